"""`WorkerSpec`: tells a worker process which run to execute. The server writes it, the worker reads it."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct


class WorkerSpec(Struct, frozen=True, kw_only=True):
    """All that a worker needs to execute one run; sent as JSON over its standard input.

    `url` is the streamer's address when the worker starts; `data` the folder whose ``streamer.json`` says it later.
    `token` allows to append events to this run and nothing else. `pipeline` is ``module:qualname`` or
    ``path.py:qualname``; `parameters` are plain JSON values. `paths` are appended to the worker's import path.
    `spool_bytes`: how much may wait on disk for a streamer that is away; 0: nothing, and then a worker that has
    finished waits for it `wait_seconds`. `retry` is the path of the `FailedItems` that are to be done again; empty: all
    there is.
    `reached`: how many items of a phase's maps were done before, where the rest is to be done, too. `secrets` are the
    parameters that `parameters` hold hidden; they are in no log.
    """

    run_id: str
    url: str
    token: str
    data: str
    pipeline: str
    parameters: dict[str, Any] = {}
    secrets: dict[str, Any] = {}
    log_level: str = "INFO"
    paths: tuple[str, ...] = ()
    wait_seconds: float = 600.0
    spool_bytes: int = 0
    retry: str = ""
    reached: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"WorkerSpec(run_id={self.run_id!r}, pipeline={self.pipeline!r})"


def encode_spec(spec: WorkerSpec) -> bytes:
    """Return the spec as JSON. Raises `TypeError` for parameters that are not plain JSON values."""
    return msgspec.json.encode(spec)


def decode_spec(data: bytes) -> WorkerSpec:
    """Read a spec from JSON. Raises `msgspec.ValidationError` or `msgspec.DecodeError`."""
    return msgspec.json.decode(data, type=WorkerSpec)
