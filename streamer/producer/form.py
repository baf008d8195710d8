"""Compute a form after a change, in a process of its own: ``python -m streamer.producer.form``. It starts no run.

It reads a `FormAsked` as JSON from standard input, and writes a `FormAnswer` to standard output.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import msgspec

from streamer.model.parameters.json_schema import Problem, changed, secret_names
from streamer.model.parameters.secret import texts_of
from streamer.model.text.cutting import text_or_nothing
from streamer.model.text.secrets import HIDDEN
from streamer.producer.reference import load

#: The longest error that is told, in characters.
ERROR_LIMIT = 1_000


class FormAsked(msgspec.Struct, frozen=True):
    """A pipeline's exact reference, the values so far, and the names that were changed last."""

    pipeline: str
    values: dict[str, Any]
    changed: list[str]


class FormAnswer(msgspec.Struct, frozen=True):
    """The form's values and schema after the change, and why values do not fit; `error` says why there are none."""

    values: dict[str, Any] = {}
    schema: dict[str, Any] = {}
    problems: tuple[Problem, ...] = ()
    error: str = ""


def main() -> int:
    """Answer the question on standard input; return the exit code."""
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=FormAsked)
    # A pipeline's own prints must not mix with the answer.
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    answer = answered(asked)
    with sink:
        sink.write(answer)
    return 0


def answered(asked: FormAsked) -> bytes:
    """Return the `FormAnswer` as JSON, whatever the pipeline's code does.

    Args:
        asked: The question.

    """
    hidden: set[str] = set()
    try:
        pipeline = load(asked.pipeline)
        names = secret_names(pipeline)
        hidden = {text for name in names for text in texts_of(asked.values.get(name)) if text}
        answer = FormAnswer(*changed(pipeline, asked.values, asked.changed))
    except BaseException as error:  # noqa: BLE001 - a user's code may raise anything
        return _encoded_error(f"{type(error).__name__}: {text_or_nothing(error)}", hidden)
    try:
        return msgspec.json.encode(answer)
    except Exception as error:  # noqa: BLE001 - the encoder raises several kinds
        what = ", ".join(name for name, value in answer.values.items() if not _is_encodable(value))
        where = f"the values of {what}" if what else "its choices or texts"
        return _encoded_error(f"the form cannot be sent as JSON: {where}: {text_or_nothing(error)}", hidden)


def _encoded_error(text: str, hidden: set[str]) -> bytes:
    for secret in hidden:
        text = text.replace(secret, HIDDEN)
    # A lone surrogate has no UTF-8.
    said = text[:ERROR_LIMIT].encode(errors="backslashreplace").decode()
    return msgspec.json.encode(FormAnswer(error=said))


def _is_encodable(value: Any) -> bool:
    try:
        msgspec.json.encode(value)
    except Exception:  # noqa: BLE001 - as above
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
