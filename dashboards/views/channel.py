"""`tell`: a text for the drawings of a model in a session's browsers, as `msg:custom` in Panel's scripts.

Why not as Panel 1.9 sends: what it cannot write at once, since something else is being written, it can forget until
more is sent (a `_dispatch_msgs` that is done ends the block on which another that waits relies). The last message of a
page, "go to the run that was started", then never came. Here each waits for its turn at the connection. And a message
costs an eighth: the frames are made here and written at once, without an event, a serializer and tasks for each.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

import msgspec
from tornado.iostream import StreamClosedError
from tornado.websocket import WebSocketHandler

_CONTENT: Final = (
    '{"events":[{"kind":"MessageSent","msg_type":"bokeh_event","msg_data":{"type":"event","name":"esm_event",'
    '"values":{"type":"map","entries":[["model",%s],["data",%s]]}}}]}'
)


def _frame(text: str) -> bytes:
    """Return a message as a server frames it: final, text, not masked (RFC 6455, section 5.2)."""
    data = text.encode()
    size = len(data)
    if size < 126:
        return b"\x81%c%b" % (size, data)
    if size < 1 << 16:
        return b"\x81\x7e%b%b" % (size.to_bytes(2, "big"), data)
    return b"\x81\x7f%b%b" % (size.to_bytes(8, "big"), data)


#: A message of Bokeh's protocol is three of the WebSocket's: header, metadata, content.
_BEGIN: Final = _frame('{"msgid":"streamer","msgtype":"PATCH-DOC","num_buffers":0}') + _frame("{}")


def can_tell(session: Any) -> bool:
    """Return whether `tell` can write to the connections of a Bokeh session: they are Tornado's, not compressed."""
    sockets = [connection._socket for connection in session._subscribed_connections]
    return all(isinstance(one, WebSocketHandler) and one.get_compression_options() is None for one in sockets)


def tell(session: Any, model: Any, text: str) -> None:
    """Send a text to the drawings of a Bokeh model in a session's browsers, after all that was sent before.

    They know the model: its document was sent to them. To be called in the server's loop.
    """
    encode = msgspec.json.encode
    data = _BEGIN + _frame(_CONTENT % (encode(model.ref).decode(), encode(text).decode()))
    for connection in session._subscribed_connections:
        _write_in_turn(connection._socket, data)


def _write_in_turn(handler: Any, data: bytes) -> None:
    """Write to a WebSocket when nobody else is in the middle of a message."""

    def write(turn: asyncio.Future[Any]) -> None:
        # Closed: the reader has left.
        with turn.result(), contextlib.suppress(StreamClosedError):
            if handler.ws_connection is not None:
                handler.ws_connection.stream.write(data)

    turn = handler.write_lock.acquire()
    if turn.done():
        write(turn)
    else:
        turn.add_done_callback(write)
