"""A form after a change, computed by the pipeline's own code in a process that has little time. It starts no run."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

#: Seconds from the request to its answer; the pipeline's code may take these, its import included.
FORM_SECONDS: Final = 2.0
#: Processes that compute forms at once.
FORMS_AT_ONCE: Final = 2
#: The largest answer of a form's process, in bytes.
ANSWER_LIMIT: Final = 2_000_000
_COMMAND: Final = (sys.executable, "-m", "streamer.producer.form")


class FormFailed(ValueError):
    """The pipeline's code gave no form: it raised, ended, took too long, or said too much."""


class FormsBusy(RuntimeError):
    """As many forms are computed as may be. Another attempt may succeed."""


class Forms:
    """Computes forms, a bounded number at once. The event loop alone calls it."""

    def __init__(self, at_once: int = FORMS_AT_ONCE, *, answer_limit: int = ANSWER_LIMIT) -> None:
        self._at_once = at_once
        self._answer_limit = answer_limit
        self._running = 0

    async def after(
        self,
        reference: str,
        values: Mapping[str, Any],
        changed: Sequence[str],
        *,
        seconds: float = FORM_SECONDS,
    ) -> dict[str, Any]:
        """Return the form's values and schema after a change.

        Args:
            reference: The pipeline's exact reference.
            values: The values so far, as JSON.
            changed: The names of the parameters that were changed last.
            seconds: The time that is left for the pipeline's code. Its process is killed then.

        Returns:
            ``values``, ``schema`` and ``problems``, as JSON.

        Raises:
            FormFailed: The pipeline's code raised, ended its process, took too long, or its answer is too large.
            FormsBusy: As many forms are computed as may be.

        """
        if self._running >= self._at_once:
            raise FormsBusy(f"{self._running} forms are being computed already, as many as may be at once")
        self._running += 1
        try:
            output = await self._run(
                msgspec.json.encode({"pipeline": reference, "values": values, "changed": changed}), seconds
            )
        finally:
            self._running -= 1
        try:
            answer: dict[str, Any] = msgspec.json.decode(output, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise FormFailed(f"the form's process answered no JSON: {error}") from None
        if answer["error"]:
            raise FormFailed(answer["error"])
        return {name: answer[name] for name in ("values", "schema", "problems")}

    async def _run(self, asked: bytes, seconds: float) -> bytes:
        environment = {name: value for name, value in os.environ.items() if name != "STREAMER_TOKEN"}
        process = await asyncio.create_subprocess_exec(
            *_COMMAND,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(seconds):
                output = await self._exchange(process, asked)
                code = await process.wait()
        except TimeoutError:
            raise FormFailed(f"the form took longer than {FORM_SECONDS:g} s and was stopped") from None
        finally:
            # Its children, too. The process is waited for, so that none is left behind.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        if code != 0 or not output:
            how = f"exit code {code}" if code >= 0 else f"signal {-code} ({signal.strsignal(-code)})"
            raise FormFailed(f"the form's process ended with {how} before it answered")
        return output

    async def _exchange(self, process: asyncio.subprocess.Process, asked: bytes) -> bytes:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(asked)
        # A process that ended before it read everything has another way to say so.
        with contextlib.suppress(ConnectionError):
            await process.stdin.drain()
        process.stdin.close()
        parts: list[bytes] = []
        size = 0
        while part := await process.stdout.read(65_536):
            size += len(part)
            if size > self._answer_limit:
                raise FormFailed(f"the form is larger than {self._answer_limit:,} bytes")
            parts.append(part)
        return b"".join(parts)
