"""Compute a form after a change, in a process of its own: ``python -m streamer.producer.form``. It starts no run.

It reads a `FormAsked` as JSON from standard input, and writes a `FormAnswer` to standard output.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import msgspec

from streamer.model.parameters.json_schema import changed
from streamer.producer.reference import load


class FormAsked(msgspec.Struct, frozen=True):
    """A pipeline's exact reference, the values so far, and the names that were changed last."""

    pipeline: str
    values: dict[str, Any]
    changed: list[str]


class FormAnswer(msgspec.Struct, frozen=True):
    """The form's values and schema after the change; `error` says why there are none."""

    values: dict[str, Any] = {}
    schema: dict[str, Any] = {}
    error: str = ""


def main() -> int:
    """Answer the question on standard input; return the exit code."""
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=FormAsked)
    # A pipeline's own prints must not mix with the answer.
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        values, schema = changed(load(asked.pipeline), asked.values, asked.changed)
        answer = FormAnswer(values, schema)
    except BaseException as error:  # noqa: BLE001 - a user's code may raise anything
        answer = FormAnswer(error=f"{type(error).__name__}: {error}"[:1_000])
    with sink:
        sink.write(msgspec.json.encode(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
