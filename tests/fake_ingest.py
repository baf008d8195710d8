"""A small streamer's ingest side on loopback, for tests of producers: stores events, and misbehaves when told to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

#: What a request may meet. "drop": the connection ends before anything is stored; "lose": after it, without an answer.
MODES = ("ok", "ok", "ok", "drop", "lose", "busy", "broken", "partial")


class FakeIngest:
    """`events[run]` are the stored lines, in order, as dictionaries. `mode(n)` says what request number n meets.

    `requests` is what answers ask of the producer; `refuse` a (status, code, details) that answers every request.
    """

    def __init__(self, mode: Callable[[int], str] = lambda n: "ok", port: int = 0) -> None:
        self.mode = mode
        self.events: dict[str, list[dict[str, Any]]] = {}
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.registered: list[dict[str, Any]] = []
        self.requests: Sequence[str] = ()
        self.refuse: tuple[int, str, dict[str, Any]] | None = None
        self.accepts: Callable[[list[dict[str, Any]]], bool] = lambda lines: True
        #: The run that is meant where none is named.
        self.run = "r1"
        self.retry_after: str | None = None
        self.page: str | None = None
        self.ended: set[str] = set()
        self.lock = threading.Lock()
        self.count = 0
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.ingest = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def of(self, run: str | None = None, kind: str | None = None) -> list[dict[str, Any]]:
        with self.lock:
            found = self.events.get(self._id(run or self.run), [])
            return [e for e in found if kind in (None, e["event"])]

    def _id(self, run: str) -> str:
        """Return the id of the run that was registered as number n, for ``rn``."""
        number = int(run[1:]) if run[1:].isdigit() else 0
        if 0 < number <= len(self.registered):
            return str(self.registered[number - 1].get("run", run))
        return run

    def seqs(self, run: str | None = None) -> list[int]:
        return [event["seq"] for event in self.of(run)]

    def terminal(self, run: str | None = None) -> dict[str, Any] | None:
        return next((e for e in self.of(run) if e["event"] in ("complete", "failed", "cancelled")), None)


class _Server(ThreadingHTTPServer):
    ingest: FakeIngest
    daemon_threads = False
    block_on_close = True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 0.5  # an idle connection is closed soon, so that the server's threads end

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        ingest = self.server.ingest
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with ingest.lock:
            ingest.count += 1
            ingest.bodies.append(body)
            ingest.headers.append(dict(self.headers))
            mode = ingest.mode(ingest.count)
            if ingest.refuse is not None:
                status, code, details = ingest.refuse
                self._answer(status, {"error": {"code": code, "message": "", "details": details}})
            elif mode == "drop":
                self._hang_up()
            elif mode == "busy":
                self._answer(503, {"error": {"code": "unavailable", "message": "", "details": {}}})
            elif mode == "deep":
                self._send(502, b'{"error": ' + b"[" * 100_000)
            elif mode == "not UTF-8":
                self._send(200, b'{"acknowledged": 1, "requests": ["\xff"]}')
            elif mode == "broken":
                self._answer(200, "no answer of a streamer")
            elif self.path == "/api/runs":
                self._register(json.loads(body))
            else:
                self._ingest(self.path.split("/")[3], body, mode)

    def _register(self, described: dict[str, Any]) -> None:
        ingest = self.server.ingest
        ingest.registered.append(described)
        run = described.get("run", f"r{len(ingest.registered)}")
        answer = {
            "run": run,
            "token": described.get("token", f"token-{run}"),
            "url": f"{ingest.url}/api/runs/{run}",
        }
        self._answer(201, {**answer, "page": ingest.page} if ingest.page else answer)

    def _ingest(self, run: str, body: bytes, mode: str) -> None:
        ingest = self.server.ingest
        stored = ingest.events.setdefault(run, [])
        lines = [json.loads(line) for line in body.splitlines()]
        if not ingest.accepts(lines):
            self._answer(422, {"error": {"code": "invalid", "message": "no", "details": {}}})
            return
        if mode == "partial" and len(lines) > 1:
            lines = lines[: len(lines) // 2]
        for line in lines:
            if line["seq"] > len(stored) + 1:
                details = {"expected": len(stored) + 1}
                self._answer(409, {"error": {"code": "sequence_gap", "message": "", "details": details}})
                return
            if line["seq"] == len(stored) + 1:
                if run in ingest.ended:
                    self._answer(409, {"error": {"code": "run_ended", "message": "", "details": {}}})
                    return
                stored.append(line)
                if line["event"] in ("complete", "failed", "cancelled"):
                    ingest.ended.add(run)
        if mode == "lose":
            self._hang_up()
        else:
            self._answer(200, {"acknowledged": len(stored), "requests": list(ingest.requests)})

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.close()

    def _answer(self, status: int, value: Any) -> None:
        self._send(status, json.dumps(value).encode())

    def _send(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Type", "application/json")
        if self.server.ingest.retry_after is not None:
            self.send_header("Retry-After", self.server.ingest.retry_after)
        self.end_headers()
        self.wfile.write(data)
