"""`Registration`: the description of a run that its producer executes itself, and the streamer's answer to it.

The producer, its spool, the client, the API and the server use this one type. The module does no I/O.
"""

from __future__ import annotations

from typing import Annotated, Any, Self

import msgspec
from msgspec import Meta, Struct

from streamer.model.bounds import COUNT_LIMIT
from streamer.model.events import PhaseSpec
from streamer.model.timestamps import parse_time


class Registration(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A run that its producer executes: its description, and the id and token that the producer may choose.

    `pipeline` is the name under which its runs are listed together. `host` and `program` say where the producer runs;
    `pid` is its process there. `time` (RFC 3339) says when the run began; None means now. `run` and `token` come
    together, or the streamer makes both. The run is cancelled after `time_limit_seconds`; None sets no limit.
    """

    title: str
    phases: tuple[PhaseSpec, ...] = ()
    parameters: dict[str, Any] = {}
    pipeline: str | None = None
    owner: str | None = None
    host: str | None = None
    program: str | None = None
    time: str | None = None
    run: str | None = None
    token: str | None = None
    pid: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None
    time_limit_seconds: Annotated[float, Meta(gt=0, lt=COUNT_LIMIT)] | None = msgspec.field(
        default=None, name="timeLimitSeconds"
    )

    def __repr__(self) -> str:
        return f"Registration(title={self.title!r}, run={self.run!r})"

    def named(self, run: str, token: str) -> Self:
        """Return the registration with the id and the token that the producer chose.

        Args:
            run: Id of the run.
            token: Secret with which the run's events are sent.

        """
        return msgspec.structs.replace(self, run=run, token=token)

    def began(self) -> float | None:
        """Return when the run began, in POSIX seconds; None means now.

        Raises:
            ValueError: `time` is not an RFC 3339 time.

        """
        return None if self.time is None else parse_time(self.time)


class Created(Struct, frozen=True):
    """A new run. `page` is the URL of its page, where the streamer knows it.

    `token` is the secret for the events of a registered run; it is empty for other runs.
    """

    run: str
    status: str = "queued"
    url: str = ""
    events: str = ""
    page: str | None = None
    token: str = ""
