"""What holds for the event-stream codec whatever is fed or written, beside a plain reading of the standard."""

from __future__ import annotations

import re
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from streamer.protocol.sse import (
    HEARTBEAT,
    HEARTBEAT_DATA_ONLY,
    MAX_RETRY_MILLISECONDS,
    Decoder,
    EventTooLarge,
    Frame,
    encode,
    encode_retry,
)

PIECES = [
    *(
        b"data",
        b"event",
        b"id",
        b"retry",
        b"comment",
        b":",
        b": ",
        b" ",
        b"\t",
        b"\0",
        b"7",
        b"40",
        b"x",
        b"message",
    ),
    *(
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b"\xef\xbb\xbf",
        b"\xef\xbb",
        b"\xe2\x80\xa6",
        b"\xf0\x9f\xab\x90",
        b"\xff",
        b"\xc3",
    ),
    *(b"data: a\n", b"data:b\r", b"id: 5\n", b"event: ripe\r\n", b"data\n\n"),
]
streams = st.one_of(st.lists(st.sampled_from(PIECES), max_size=60).map(b"".join), st.binary(max_size=200))
texts = st.text(st.characters(exclude_categories=["Cs"]))
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"))


@st.composite
def chunked(draw: st.DrawFn) -> list[bytes]:
    stream = draw(streams)
    cuts = draw(st.lists(st.integers(0, len(stream)), max_size=12).map(sorted))
    return [stream[start:end] for start, end in pairwise([0, *cuts, len(stream)])]


def read(chunks: list[bytes], limit: int = 1_000_000) -> tuple[list[Frame], str, int | None, bool]:
    """Return the frames, what to resume after, the retry, and whether something was too large."""
    decoder = Decoder(max_event_bytes=limit)
    frames: list[Frame] = []
    try:
        for chunk in [*chunks, b""]:
            frames += decoder.feed(chunk)
    except EventTooLarge:
        return frames, decoder.last_event_id, decoder.retry_milliseconds, True
    return frames, decoder.last_event_id, decoder.retry_milliseconds, False


def read_plainly(stream: bytes) -> tuple[list[Frame], str, int | None, bool]:
    """Do as `read` does, in the words of the standard and in no other order: decode it all, then line by line."""
    text = stream.decode("utf-8", "replace").removeprefix("\ufeff")
    lines = re.split("\r\n|\n|\r", text)[:-1]
    frames: list[Frame] = []
    data_buffer = type_buffer = id_buffer = last_event_id = ""
    retry: int | None = None
    for line in lines:
        if line == "":
            last_event_id = id_buffer
            if data_buffer != "":
                frames.append(Frame(type_buffer or "message", data_buffer.removesuffix("\n"), last_event_id))
            data_buffer = type_buffer = ""
            continue
        if line.startswith(":"):
            continue
        name, value = line, ""
        if ":" in line:
            name, value = line.split(":", 1)
            value = value.removeprefix(" ")
        if name == "event":
            type_buffer = value
        elif name == "data":
            data_buffer += value + "\n"
        elif name == "id" and "\0" not in value:
            id_buffer = value
        elif name == "retry" and re.fullmatch("[0-9]+", value):
            retry = min(int(value), MAX_RETRY_MILLISECONDS)
    return frames, last_event_id, retry, False


@given(chunked())
def test_any_bytes_in_any_chunks_are_read_as_the_standard_says(chunks: list[bytes]) -> None:
    assert read_plainly(b"".join(chunks)) == read(chunks)


@given(chunked(), st.integers(1, 30))
@example([b"data: a\n\nid: 2\ndata: bcdefgh\n\ndata: c\n\n"], 8)
@example([b"data:a\ndata:b\ndata:c\n", b"data:d\n\n"], 6)
def test_what_is_too_large_is_so_however_it_is_cut(chunks: list[bytes], limit: int) -> None:
    stream = b"".join(chunks)
    byte_by_byte = read([stream[i : i + 1] for i in range(len(stream))], limit)
    assert byte_by_byte == read([stream], limit)
    assert byte_by_byte == read(chunks, limit)


@given(chunked(), st.integers(1, 30))
def test_up_to_the_bound_all_is_read_and_above_it_what_came_before(chunks: list[bytes], limit: int) -> None:
    unbounded, _, _, _ = read(chunks)
    frames, _, _, too_large = read(chunks, limit)
    lines = re.split(rb"\r\n|\n|\r", b"".join(chunks))
    assert frames == unbounded[: len(frames)]
    assert too_large or frames == unbounded
    assert too_large or max(map(len, lines)) <= limit
    # A bound as large as the whole stream refuses nothing.
    assert not read(chunks, max(1, sum(map(len, chunks))))[3]


@given(st.lists(st.tuples(texts, st.none() | names.filter(bool), st.none() | names), max_size=8), st.data())
def test_what_was_written_is_read_back(
    events: list[tuple[str, str | None, str | None]], data: st.DataObject
) -> None:
    between = st.sampled_from([b"", HEARTBEAT, HEARTBEAT_DATA_ONLY, encode_retry(1500)])
    stream = b""
    expected: list[Frame] = []
    last = ""
    for text, event, event_id in events:
        stream += data.draw(between) + encode(text, event=event, id=event_id)
        last = last if event_id is None else event_id
        expected.append(Frame(event or "message", re.sub("\r\n|\r", "\n", text), last))
    cut = data.draw(st.integers(0, len(stream)))
    frames, last_event_id, _, too_large = read([stream[:cut], stream[cut:]])
    assert (expected, last, False) == (frames, last_event_id, too_large)


@given(texts)
def test_data_never_leaves_its_event(text: str) -> None:
    lines = encode(text, event="ripe", id="1").split(b"\n")
    assert [b"event: ripe", b"id: 1"] == lines[:2]
    assert [b"", b""] == lines[-2:]
    assert all(line.startswith(b"data: ") and b"\r" not in line for line in lines[2:-2])
