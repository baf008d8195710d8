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

#: Seconds that the pipeline's code may take, its import included.
FORM_SECONDS: Final = 2.0
#: Processes that compute forms at once.
FORMS_AT_ONCE: Final = 2
_COMMAND: Final = (sys.executable, "-m", "streamer.producer.form")


class FormFailed(ValueError):
    """The pipeline's code gave no form: it raised, ended, or took too long."""


async def form_after(
    reference: str,
    values: Mapping[str, Any],
    changed: Sequence[str],
    *,
    room: asyncio.Semaphore,
    seconds: float = FORM_SECONDS,
) -> dict[str, Any]:
    """Return the form's values and schema after a change.

    Args:
        reference: The pipeline's exact reference.
        values: The values so far, as JSON.
        changed: The names of the parameters that were changed last.
        room: Bounds the processes at once.
        seconds: The time that the pipeline's code may take. Its process is killed then.

    Returns:
        ``values`` and ``schema``, as JSON.

    Raises:
        FormFailed: The pipeline's code raised, ended its process, or took too long.

    """
    asked = msgspec.json.encode({"pipeline": reference, "values": values, "changed": changed})
    environment = {name: value for name, value in os.environ.items() if name != "STREAMER_TOKEN"}
    async with room:
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
                output, _ = await process.communicate(asked)
        except TimeoutError:
            raise FormFailed(f"the form took longer than {seconds:g} s and was stopped") from None
        finally:
            # Its children, too. The process is waited for, so that none is left behind.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    try:
        answer: dict[str, Any] = msgspec.json.decode(output, type=dict[str, Any])
    except msgspec.DecodeError:
        raise FormFailed(f"the form's process ended with exit code {process.returncode}") from None
    if answer["error"]:
        raise FormFailed(answer["error"])
    return {"values": answer["values"], "schema": answer["schema"]}
