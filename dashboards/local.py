"""The streamer inside the dashboards' own process: opens it, again when that could not be, and closes it. No pages.

There is none where STREAMER_URL names another streamer. When another process has the data folder, its streamer is used,
and taken over from when that process has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import errno
import functools
import logging
from concurrent.futures import Future
from typing import Final

from streamer.client.discovery import DataFolderBusy
from streamer.client.pages_address import PagesAddress
from streamer.server.embedded import embedded
from streamer.settings import SettingError, Settings

logger = logging.getLogger(__name__)

#: Seconds between two attempts to open the streamer.
AGAIN_SECONDS: Final = 3.0


class Local:
    """Keeps this process' streamer open, from `start` to `close`. Used in one event loop.

    `is_open`: whether this process' own streamer is. `problem`: why there is none, in words; empty while there is one,
    here or in the process that has the data folder.
    """

    def __init__(self) -> None:
        self.problem = ""
        self.is_open = False
        #: Where this process serves its pages; None: somebody's own application does.
        self.served: PagesAddress | None = None
        # Asked for in other loops than this one's, too.
        self._tried: Future[None] = Future()
        self._task: asyncio.Task[None] | None = None

    def start(self, page: str) -> None:
        """Open the streamer soon. `page`: the dashboards' address, which its answers name; empty: not known."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._keep(page), name="dashboards-streamer")

    async def ready(self) -> None:
        """Return when the streamer is open, or could not be opened; at once when there is none to open."""
        if self._task is not None:
            await asyncio.shield(asyncio.wrap_future(self._tried))

    async def _keep(self, page: str) -> None:
        said = ""
        while True:
            self.problem = await self._open(page)
            if not self._tried.done():
                self._tried.set_result(None)
            if self.is_open:
                return
            if self.problem and self.problem != said:
                said = self.problem
                logger.error("the streamer could not be opened: %s", said)
            await asyncio.sleep(AGAIN_SECONDS)

    async def _open(self, page: str) -> str:
        """Try once; return why it did not work, empty when there is a streamer."""
        try:
            streamer = embedded()
            streamer.page = page
            await streamer.ready()
        except DataFolderBusy as busy:
            if busy.url is None:
                return str(busy)
            logger.info("using the streamer at %s, which has the data folder", busy.url)
            return ""
        except SettingError as error:
            return str(error)
        except OSError as error:
            if error.errno == errno.EADDRINUSE and streamer.settings.port:
                logger.warning("port %d is taken: the streamer's API gets a free one", streamer.settings.port)
                streamer.settings = dataclasses.replace(streamer.settings, port=0)
                return await self._open(page)
            return str(error)
        except Exception as error:  # noqa: BLE001 - whatever it is (a log of a later version, say), the page says it
            return str(error) or type(error).__name__
        self.is_open = True
        logger.info("the streamer's API is at %s", streamer.url)
        return ""

    async def close(self) -> None:
        """Close what was opened. Workers go on."""
        if self._task is None:
            return
        task, self._task = self._task, None
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        if self.is_open:
            self.is_open = False
            await embedded().close()


@functools.cache
def local() -> Local:
    """Return this process' `Local`; it is used in the event loop of the server."""
    return Local()


def is_wanted(settings: Settings) -> bool:
    """Say whether this process has to have a streamer."""
    return not settings.url
