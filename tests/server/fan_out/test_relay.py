"""A reader behind Tornado's stream, as with TLS: what the hub writes arrives, and nothing is left behind."""

from __future__ import annotations

import asyncio
import socket

import pytest
from tornado.iostream import IOStream

from streamer.server.fan_out.relay import relay


@pytest.fixture
def ends():
    """The subscriber's socket, the relay's, the reader's, and Tornado's stream to the reader."""
    near, far = socket.socketpair()
    reader, server_side = socket.socketpair()
    for one in (near, far, reader):
        one.setblocking(False)
    stream = IOStream(server_side)
    yield near, far, reader, stream
    for one in (near, far, reader, stream):
        one.close()


async def test_all_bytes_arrive_and_the_end_of_the_stream_closes_the_connection(ends):
    near, far, reader, stream = ends
    loop = asyncio.get_running_loop()
    data = bytes(range(256)) * 4000
    task = asyncio.create_task(relay(far, stream, write_seconds=10.0))

    async def write() -> None:
        await loop.sock_sendall(near, data)
        near.close()

    writing = asyncio.create_task(write())
    found = b""
    while chunk := await loop.sock_recv(reader, 65_536):
        found += chunk
    await writing
    await task
    assert data == found
    assert stream.closed()
    assert -1 == far.fileno()


async def test_a_reader_that_leaves_ends_the_subscribers_connection(ends):
    near, far, reader, stream = ends
    task = asyncio.create_task(relay(far, stream, write_seconds=10.0))
    reader.sendall(b"what is said after the request")
    reader.close()
    assert b"" == await asyncio.get_running_loop().sock_recv(near, 100)
    await task


async def test_a_reader_that_takes_nothing_is_closed_in_time(ends):
    near, far, _, stream = ends
    task = asyncio.create_task(relay(far, stream, write_seconds=0.05))
    with pytest.raises(ConnectionError):
        await asyncio.get_running_loop().sock_sendall(near, bytes(20_000_000))
    await task
    assert stream.closed()


async def test_a_relay_that_is_cancelled_closes_both_ends(ends):
    near, far, reader, stream = ends
    task = asyncio.create_task(relay(far, stream, write_seconds=10.0))
    await asyncio.get_running_loop().sock_sendall(near, b"x")
    assert b"x" == await asyncio.get_running_loop().sock_recv(reader, 10)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert stream.closed()
    assert b"" == await asyncio.get_running_loop().sock_recv(near, 10)
