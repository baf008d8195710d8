"""`ClientStart`: the commands of a form, carried out by a client of the streamer. Imports nothing of Panel."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final, Literal, Protocol, TypeVar

from dashboards.form_fields import wrong_fields
from dashboards.session.commands import CommandError, StartRefused
from dashboards.session.values import FormChange, PipelineSpec
from streamer.client.client import ApiError, Client, Refused, StreamerError
from streamer.model.estimate import Usual
from streamer.protocol.api import Offer, Unavailable

#: Attempts to have a form computed while others are, and most seconds between two.
FORM_ATTEMPTS: Final = 5
FORM_WAIT_SECONDS: Final = 1.0
_T = TypeVar("_T")


class Ask(Protocol):
    """Asks a question in the loop of the client."""

    def __call__(self, question: Callable[[], Coroutine[Any, Any, _T]], /) -> Awaitable[_T]: ...


class ClientStart:
    """The commands of a form. `owner` is who starts. Each is called by a coroutine that may await `ask`."""

    def __init__(self, client: Client, ask: Ask, owner: str | None = None) -> None:
        self._client = client
        self._ask = ask
        self._owner = owner

    async def start(
        self,
        pipeline: str,
        parameters: dict[str, Any],
        *,
        again: str = "",
        items: Literal["failed", "rest", "all"] = "all",
        time_limit_seconds: float | None = None,
    ) -> str:
        """Do as `StartCommands.start`."""
        client = self._client
        how: dict[str, Any] = {"owner": self._owner, "time_limit_seconds": time_limit_seconds}
        try:
            if again:
                created = await self._ask(lambda: client.retry(again, items=items, params=parameters, **how))
            else:
                created = await self._ask(lambda: client.create(pipeline, parameters, **how))
        except Refused as error:
            raise StartRefused(_sentence(error), wrong_fields(error.details)) from error
        except StreamerError as error:
            raise CommandError(str(error)) from error
        return created.run

    async def check(self, pipeline: str, parameters: dict[str, Any]) -> None:
        """Do as `StartCommands.check`."""
        try:
            await self._ask(lambda: self._client.check(pipeline, parameters))
        except Refused as error:
            raise StartRefused(_sentence(error), wrong_fields(error.details)) from error
        except StreamerError as error:
            raise CommandError(str(error)) from error

    async def usual(self, pipeline: str, parameters: dict[str, Any]) -> Usual:
        """Do as `StartCommands.usual`."""
        try:
            return await self._ask(lambda: self._client.estimate(pipeline, parameters))
        except StreamerError as error:
            raise CommandError(str(error)) from error

    async def form(self, pipeline: str, values: dict[str, Any], changed: Sequence[str]) -> FormChange:
        """Do as `StartCommands.form`."""
        for left in reversed(range(FORM_ATTEMPTS)):
            try:
                form = await self._ask(lambda: self._client.form(pipeline, values, changed))
            except Unavailable as error:
                if not left:
                    raise CommandError(str(error)) from error
                seconds = min(error.retry_after_seconds or FORM_WAIT_SECONDS, FORM_WAIT_SECONDS)
                await self._ask(lambda: asyncio.sleep(seconds))  # noqa: B023 - it is awaited in its own turn
            except StreamerError as error:
                raise CommandError(str(error)) from error
            else:
                return FormChange(form.values, form.schema, form.problems)
        raise AssertionError("the last attempt returns or raises")


def spec_of(offer: Offer) -> PipelineSpec:
    """Return a pipeline on offer as models hold it.

    Args:
        offer: The streamer's answer.
    """
    phases = tuple((phase.name, phase.weight) for phase in offer.phases)
    title = offer.title or offer.name
    return PipelineSpec(offer.name, title, offer.doc, phases, offer.schema, offer.time_limit_seconds)


def _sentence(error: ApiError) -> str:
    fields = wrong_fields(error.details)
    if not fields:
        return error.message
    return (
        "One of the parameters was refused."
        if len(fields) == 1
        else f"{len(fields)} parameters were refused."
    )
