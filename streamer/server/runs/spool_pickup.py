"""`Pickup`: finds the spools that producers left, and has their events appended. It decides nothing about the runs.

The streamer trusts a spool no more than a request: it must carry the run's token, and hold only events of a producer.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from streamer.protocol.spool import (
    FOLDER,
    MOST_FILES,
    RUN_ID,
    SUFFIX,
    Header,
    Left,
    SpoolRefused,
    refuse,
    spools,
)
from streamer.server.batch_lines import LineRefused, read_lines
from streamer.server.log.base import Draft, LogUnavailable, RunEnded, SequenceGap, UnknownRun
from streamer.server.runs.producers import Forbidden

logger = logging.getLogger(__name__)

_BATCH_EVENTS: Final = 2_000
_BATCH_BYTES: Final = 4_000_000


class Read(Protocol):
    """Calls a function that blocks in a reader's thread."""

    def __call__(self, function: Callable[[], Any], /) -> Awaitable[Any]:
        """Return the function's result."""


class Pickup:
    """See the module. The event loop alone calls it; files are read beside it.

    `ingest(run, token, drafts, first)` appends a batch; `register(header)` makes a run of a spool's header.
    """

    def __init__(
        self,
        data: Path,
        *,
        read: Read,
        ingest: Callable[[str, str, Sequence[Draft], int], Awaitable[object]],
        register: Callable[[Header], Awaitable[object]],
    ) -> None:
        self._folder = data / FOLDER
        self._read = read
        self._ingest = ingest
        self._register = register
        self._lock = asyncio.Lock()
        #: The name of the last file of this look, when more files follow; empty when the next look begins at the front.
        self._looked_at = ""
        #: The address of this streamer. A spool that names another address is not for it.
        self.url = ""

    async def look(self) -> list[str]:
        """Take the spools that no producer holds.

        One call takes a bounded number, and the next call goes on with the others: spools for another streamer never
        hold up those for this one.

        Returns:
            The ids of the runs whose spools were taken; their producers are gone.

        """
        paths: list[Path] = await self._read(lambda: spools(self._folder, after=self._looked_at))
        self._looked_at = paths[-1].name if len(paths) == MOST_FILES else ""
        taken: list[str] = []
        for path in paths:
            try:
                if await self._take(path) == "taken":
                    taken.append(path.stem)
            except OSError as error:
                logger.warning("%s cannot be read now: %s", path, error)
        return taken

    async def take(self, run_id: str, *, gone: bool = False) -> Literal["none", "held", "taken"]:
        """Take one run's spool, if there is one.

        Args:
            run_id: Id of the run.
            gone: Whether its producer is known to have ended.

        Returns:
            "held" when its producer lives and will deliver it, "taken", or "none".

        Raises:
            LogUnavailable: The spool cannot be read, or its events not stored. Nothing is lost; try again.

        """
        if not RUN_ID.fullmatch(run_id):
            return "none"
        try:
            return await self._take(self._folder / f"{run_id}{SUFFIX}", gone=gone)
        except OSError as error:
            raise LogUnavailable(f"cannot read what run {run_id} left: {error}") from error

    async def _take(self, path: Path, *, gone: bool = False) -> Literal["none", "held", "taken"]:
        async with self._lock:
            try:
                left: Left | None = await self._read(lambda: Left.open(path, force=gone))
            except SpoolRefused as error:
                await self._refuse(path, str(error))
                return "none"
            if left is None:
                return "held" if await self._read(path.exists) else "none"
            done = False
            try:
                if left.header.to not in ("", self.url):
                    return "none"
                await self._append(left)
                done = True
            except (SpoolRefused, UnknownRun, SequenceGap, Forbidden) as error:
                await self._refuse(path, str(error))
            finally:
                await self._read(left.remove if done else left.close)
            return "taken" if done else "none"

    async def _append(self, left: Left) -> None:
        header = left.header
        if not RUN_ID.fullmatch(header.run):
            raise SpoolRefused(f"expected a run's id, received {header.run[:60]!r}")
        while lines := await self._read(lambda: left.lines(max_events=_BATCH_EVENTS, max_bytes=_BATCH_BYTES)):
            try:
                drafts, first = await self._read(functools.partial(read_lines, lines, header.run, now=None))
            except LineRefused as error:
                raise SpoolRefused(str(error)) from error
            assert first is not None
            try:
                try:
                    await self._ingest(header.run, header.token, drafts, first)
                except UnknownRun:
                    if header.registration is None or first != 1:
                        raise
                    await self._register(header)
                    await self._ingest(header.run, header.token, drafts, first)
            except RunEnded:
                return

    async def _refuse(self, path: Path, reason: str) -> None:
        logger.warning("%s cannot be used, and is put aside: %s", path, reason)
        await self._read(lambda: refuse(path))
