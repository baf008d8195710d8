"""Decode a stream of 200-byte events in chunks of 64 KiB, with our decoder and with httpx-sse's, in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator

import httpx
from httpx_sse import EventSource

from streamer.protocol import sse

EVENTS = 50_000
CHUNK = 65_536
ROUNDS = 7

DATA = sse.encode("x" * 150, event="progress", id="0123456789ab-123456") * EVENTS
CHUNKS = [DATA[i : i + CHUNK] for i in range(0, len(DATA), CHUNK)]


def ours() -> int:
    decoder = sse.Decoder()
    return sum(len(decoder.feed(chunk)) for chunk in CHUNKS)


class Body(httpx.SyncByteStream):
    def __iter__(self) -> Iterator[bytes]:
        return iter(CHUNKS)


def theirs() -> int:
    response = httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Body())
    return sum(1 for _ in EventSource(response).iter_sse())


def seconds(decode: Callable[[], int]) -> float:
    start = time.perf_counter()
    assert decode() == EVENTS
    return time.perf_counter() - start


def main() -> None:
    taken: dict[str, list[float]] = {"streamer.protocol.sse": [], "httpx-sse": []}
    for _ in range(ROUNDS):
        taken["streamer.protocol.sse"].append(seconds(ours))
        taken["httpx-sse"].append(seconds(theirs))
    medians = {name: statistics.median(values) for name, values in taken.items()}
    for name, median in medians.items():
        print(f"{name:<13} {len(DATA) / median / 1e6:7.1f} MB/s  {median / EVENTS * 1e6:5.2f} µs an event")
    print(f"ratio         {medians['httpx-sse'] / medians['streamer.protocol.sse']:7.2f}")


if __name__ == "__main__":
    main()
