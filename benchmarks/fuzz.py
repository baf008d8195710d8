"""Send mutated event streams to the decoder and mutated ingest bodies to the streamer; stop at what was not declared.

    python benchmarks/fuzz.py [--inputs 1000000] [--requests 20000] [--seed 1]

`inputs` are read without a socket, half of them as streams, half as ingest bodies, the whole way from bytes to a run's
state and back; `requests` go over real sockets to a streamer in this process. Prints what was tried, and how much of it
was taken. What is found is raised, with the input and the seed that made it. `tests/reliability/test_fuzz.py` runs the
same code over fewer inputs.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from streamer.model.bounds import bounded
from streamer.model.events import KINDS, Entry, encode_event
from streamer.model.reducer import apply
from streamer.model.settling import settle
from streamer.model.state import RunState, decode_state, encode_state
from streamer.protocol import sse
from streamer.protocol.frames import entry_json, read_entry, read_state, state_data
from streamer.server.app import Streamer
from streamer.server.http.errors import ApiError
from streamer.server.http.ingest import read_batch
from streamer.server.log.base import Draft
from streamer.settings import Settings

RUN = "2345678abc"
EPOCH = "0123456789ab"
#: Small, so that the bound is met as often as not.
MAX_EVENT_BYTES = 200
MOST_EVENTS = 50


class Found(AssertionError):
    """An input did what is not declared."""

    def __init__(self, what: str, data: bytes) -> None:
        super().__init__(f"{what}: {data!r}")


# -- inputs ------------------------------------------------------------------------------------------------------------

STREAMS = [
    sse.encode_retry(1752) + sse.encode('{"a":1}', event="snapshot", id=f"{EPOCH}-7") + sse.HEARTBEAT,
    b"".join(sse.encode(f"{n}\nsecond line", event="progress", id=f"{EPOCH}-{n}") for n in range(5)),
    b"\xef\xbb\xbf: comment\n\ndata\ndata:\ndata: x\n\nid\n\nevent: a\n\n",
    "data: \u00e4\u20ac\U0001f600\n\nid: \u00e4\ndata:\u2028\u2029\x85\n\n".encode(),
    b"data: a\r\rdata: b\r\n\r\ndata: c\n\n: x\r\nretry: 99999999999999999999\r\n\r\n",
]
STREAM_TOKENS = [
    *(
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b":",
        b": ",
        b" ",
        b"\0",
        b"\xef\xbb\xbf",
        b"\xff",
        b"\xe2\x82",
        b"\xf0\x9f",
    ),
    *(b"data:", b"data", b"event:", b"id:", b"id\n", b"retry:", b"retry: 5\n", b"x" * 190, b"x" * 250),
]

ERROR = {"type": "ValueError", "message": "no", "traceback": "Traceback\n  …\n"}
EVENTS: list[dict[str, Any]] = [
    {
        "event": "status",
        "status": "running",
        "message": "m",
        "title": "t",
        "phases": [{"name": "a", "weight": 2}],
    },
    {"event": "phase", "phase": "a", "phaseStatus": "started", "weight": 1, "phaseProgress": 1.5},
    {"event": "phase", "phase": "a", "phaseStatus": "finished"},
    {"event": "progress", "phase": "a", "done": 5, "total": 20, "unit": "rows", "results": {"success": 4}},
    {"event": "progress", "progress": 50, "overallProgress": 50.5, "rate": 3.5, "message": "m"},
    {
        "event": "progress",
        "bars": [{"id": "1", "name": "b", "done": 1, "total": 2}, {"id": "2", "parent": "1"}],
    },
    {"event": "log", "level": "WARNING", "logger": "l", "message": "ä€😀", "item": "i", "timestamp": "now"},
    {"event": "failure", "item": "row 17", "phase": "a", "error": ERROR},
    {
        "event": "complete",
        "result": {"rows": [1, 2.5, None, True, "x"]},
        "results": {"success": 3, "errors": []},
    },
    {"event": "failed", "error": ERROR, "message": "m", "progress": 7},
    {"event": "cancelled", "message": "m", "duration": 1.5},
]
VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1, 2**53, 2**63, 2**64, -(2**63) - 1, 10**30, 0.0, -0.0, 1e308, 5e-324, 0.1),
    *("", " ", "x" * 400, "\0", "\ud800", "\u2028", "😀" * 200, "2026-01-31T09:41:32.118Z", "9" * 50, RUN),
    *([], {}, [[]], {"": {}}, [None] * 300, {"event": "log"}, [{"name": "a"}], {"x": "y" * 1000}),
    *KINDS,
]
INGEST_TOKENS = [
    *(
        b"\n",
        b"\n\n",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b'"',
        b"\\",
        b"\\u0000",
        b"\\ud800",
        b"\xff",
        b"\0",
        b"NaN",
    ),
    *(
        b"1e400",
        b"-",
        b"[" * 120,
        b"[" * 2000,
        b'{"a":' * 120,
        b'"seq":1,',
        b'"event":"log",',
        b"null",
        b" " * 50,
    ),
]


def mutated(source: random.Random, data: bytes, tokens: list[bytes]) -> bytes:
    """Return `data` with up to six changes at the level of bytes."""
    result = bytearray(data)
    for _ in range(source.choice((0, 1, 1, 2, 3, 6))):
        start = source.randrange(len(result) + 1)
        end = min(len(result), start + source.choice((0, 1, 2, 5, 20, 80)))
        match source.randrange(5):
            case 0:
                result[start:end] = source.choice(tokens)
            case 1:
                del result[start:end]
            case 2:
                result[start:start] = result[start:end] * source.choice((1, 2, 30))
            case 3:
                result[start:end] = source.randbytes(end - start)
            case _:
                del result[start:]
    return bytes(result)


def changed(source: random.Random, value: Any) -> Any:
    """Return a JSON value with one change somewhere in it."""
    if not isinstance(value, (dict, list)) or not value or source.random() < 0.15:
        return source.choice(VALUES)
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    key = source.choice(list(copy)) if isinstance(copy, dict) else source.randrange(len(copy))
    match source.randrange(6):
        case 0:
            del copy[key]
        case 1 if isinstance(copy, dict):
            copy[source.choice(("event", "seq", "time", "run", "phase", "done", "\0"))] = source.choice(
                VALUES
            )
        case _:
            copy[key] = changed(source, copy[key])
    return copy


def ingest_body(source: random.Random) -> bytes:
    """Return an ingest body: valid events, some of them changed, and the bytes mutated in a part of the cases."""
    first = source.choice((1, 1, 1, 5, 2**53 - 2))
    lines = []
    for seq in range(first, first + source.choice((0, 1, 1, 2, 4))):
        gap = source.random() < 0.05
        event = {"seq": seq + gap, "time": "2026-01-31T09:41:32.118Z", **source.choice(EVENTS)}
        for _ in range(source.choice((0, 0, 1, 1, 2))):
            event = changed(source, event)
        lines.append(json.dumps(event, ensure_ascii=source.random() < 0.5).encode("utf-8", "surrogatepass"))
    body = b"\n".join(lines)
    return mutated(source, body, INGEST_TOKENS) if source.random() < 0.5 else body


# -- what is tried -----------------------------------------------------------------------------------------------------


def fuzz_decoder(source: random.Random, number: int) -> Counter[str]:
    """Read mutated streams, whole and split: the same comes of it, nothing but `EventTooLarge`, in bounded memory."""
    counts: Counter[str] = Counter()
    for _ in range(number):
        data = mutated(source, source.choice(STREAMS) + source.choice(STREAMS), STREAM_TOKENS)
        whole = decoded(data, [data])
        cuts = sorted(source.randrange(len(data) + 1) for _ in range(source.choice((1, 2, 5, 40))))
        parts = [data[start:end] for start, end in itertools.pairwise((0, *cuts, len(data)))]
        if decoded(data, parts) != whole:
            raise Found(f"split at {cuts}, a stream reads differently", data)
        counts["too large" if whole[1] else "read"] += 1
        counts["frames"] += len(whole[0])
    return counts


def decoded(data: bytes, parts: list[bytes]) -> tuple[list[sse.Frame], bool, str, int | None]:
    """Return the frames, whether the bound was passed, the last id and the delay."""
    decoder = sse.Decoder(max_event_bytes=MAX_EVENT_BYTES)
    frames: list[sse.Frame] = []
    failed = False
    try:
        # An empty part at the end: what failed after whole frames says so with the next call.
        for part in (*parts, b""):
            frames += decoder.feed(part)
            kept = (
                len(decoder._line) + len(decoder._data or b"") + len(decoder._event) + len(decoder._id or b"")
            )
            if kept > 4 * MAX_EVENT_BYTES:
                raise Found(f"the decoder keeps {kept} bytes", data)
    except sse.EventTooLarge:
        failed = True
    for frame in frames:
        if len(frame.data.encode()) > 3 * MAX_EVENT_BYTES:
            raise Found("an event larger than the bound was given out", data)
    return frames, failed, decoder.last_event_id, decoder.retry_milliseconds


def fuzz_ingest(source: random.Random, number: int) -> Counter[str]:
    """Take mutated bodies the way of the streamer: refused in the declared form, or stored and read back the same."""
    counts: Counter[str] = Counter()
    state = RunState(run=RUN)
    for _ in range(number):
        body = ingest_body(source)
        try:
            drafts, _ = read_batch(body, RUN, now=1_700_000_000.0, most=MOST_EVENTS)
        except ApiError as error:
            refused(error, body)
            counts[f"refused with {error.status}"] += 1
            continue
        counts["taken"] += 1
        counts["events"] += len(drafts)
        if state.is_over or state.seq > 200:
            state = RunState(run=RUN)
        for draft in drafts:
            state = stored(state, draft, body)
    return counts


def refused(error: ApiError, body: bytes) -> None:
    """Look at what every refusal must say."""
    details = error.details[0] if isinstance(error.details, list) else error.details
    if (
        error.status not in (409, 413, 422)
        or not error.message
        or not details["field"]
        or not details["expected"]
    ):
        raise Found(f"refused with {error.status} and {error.details!r}", body)
    if len(error.message) > 800:
        raise Found("the refusal repeats too much", body)


def stored(state: RunState, draft: Draft, body: bytes) -> RunState:
    """Return the state after an event as the log would store it; it and the event must read back the same."""
    entry = Entry(state.offset + 1, RUN, state.seq + 1, draft.time, bounded(draft.event))
    before, state = state, apply(state, entry)
    settled = Entry(entry.offset, RUN, entry.seq, entry.time, settle(state, entry))
    if encode_event(read_entry(entry_json(settled), entry.offset).event) != encode_event(settled.event):
        raise Found("an event is not read back as it was written", body)
    if apply(before, settled) != state:
        raise Found("an event that was filled in leads to another state", body)
    if decode_state(encode_state(state)) != state or read_state(state_data(state)).progress != state.progress:
        raise Found("a state is not read back as it was written", body)
    if not 0 <= before.overall_progress <= state.overall_progress <= 100:
        raise Found("progress fell, or left its range", body)
    return state


async def fuzz_requests(source: random.Random, number: int, folder: Path) -> Counter[str]:
    """Send mutated bodies to a streamer: each is answered in the declared form, and the streamer goes on."""
    counts: Counter[str] = Counter()
    streamer = Streamer(Settings(data=folder, port=0, max_ingest_events=MOST_EVENTS, commit_seconds=0.0))
    await streamer.open()
    try:
        async with httpx.AsyncClient(base_url=streamer.url, timeout=60.0, trust_env=False) as http:
            for sent in range(number):
                if sent % 50 == 0:
                    run = (await http.post("/api/runs", json={"title": "fuzz"})).json()
                target = source.choice(("ingest", "ingest", "register", "cancel", "start"))
                body = ingest_body(source).replace(RUN.encode(), run["run"].encode())
                headers = {"Content-Type": "application/json"}
                path = {
                    "ingest": f"/api/runs/{run['run']}/events",
                    "register": "/api/runs",
                    "cancel": f"/api/runs/{RUN}/cancel",
                    "start": "/api/pipelines/None/runs",
                }[target]
                if target == "ingest":
                    headers = {
                        "Authorization": f"Bearer {run['token']}",
                        "Content-Type": "application/x-ndjson",
                    }
                answer = await http.post(path, content=body, headers=headers)
                answered(answer, body)
                counts[f"{target}: {answer.status_code}"] += 1
            # What was stored can be read.
            for path in ("/api/runs", "/metrics", f"/api/runs/{run['run']}", f"/api/runs/{run['run']}/log"):
                if (await http.get(path)).status_code != 200:
                    raise Found(f"{path} cannot be read afterwards", b"")
    finally:
        await streamer.close()
    return counts


def answered(answer: httpx.Response, body: bytes) -> None:
    """Look at what every answer must be."""
    if answer.status_code >= 500:
        raise Found(f"answered {answer.status_code} {answer.text[:200]}", body)
    if answer.status_code >= 400 and {"code", "message", "details"} != set(answer.json()["error"]):
        raise Found(f"an error of another form: {answer.text[:200]}", body)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    steps: list[tuple[str, int, Callable[[random.Random, int], Counter[str]]]] = [
        ("decoder", asked.inputs // 2, fuzz_decoder),
        ("ingest", asked.inputs - asked.inputs // 2, fuzz_ingest),
        ("requests", asked.requests, over_sockets),
    ]
    for name, number, fuzz in steps:
        started = time.perf_counter()
        counts = fuzz(random.Random(asked.seed), number)
        taken = time.perf_counter() - started
        said = ", ".join(f"{count:,} {what}" for what, count in sorted(counts.items()))
        print(f"{name:<9} {number:>9,} inputs in {taken:6.1f} s: {said}", flush=True)


def over_sockets(source: random.Random, number: int) -> Counter[str]:
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(fuzz_requests(source, number, Path(folder)))


if __name__ == "__main__":
    main()
