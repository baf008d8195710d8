"""`StartLink`: keeps a `StartModel` up to date with what a streamer offers. Draws nothing."""

from __future__ import annotations

from typing import Any

from dashboards.data.feed import Update
from dashboards.data.place import Place
from dashboards.data.start_commands import ClientStart, spec_of
from dashboards.data.streamers import Live
from dashboards.data.timers import RETRY_SECONDS, Pauses
from dashboards.session import StartModel
from streamer.client.client import StreamerError


class StartLink:
    """Keeps a `StartModel` up to date until it is closed, and gives it its commands. `owner` is who starts.

    `wanted` is the pipeline that is chosen at first; `again` a run of it whose values the form is filled with,
    and `items` those of its items that are done again: failed, rest or all.
    """

    def __init__(
        self,
        model: StartModel,
        source: Live,
        place: Place,
        *,
        owner: str | None = None,
        wanted: str = "",
        again: str = "",
        items: str = "all",
    ) -> None:
        self._model = model
        self._source = source
        self._place = place
        self._wanted = wanted
        self._again = again
        self._items = items
        self._asking = False
        self._pauses = Pauses()
        # The notice about the pipelines; it goes when it is no longer true.
        self._said = ""
        model.commands = ClientStart(source.client, place.ask, owner)
        model.place = place
        model.on_close(self._pauses.close)
        self._connection = ""
        told = source.feed.subscribe(None, self._told)
        model.on_close(lambda: source.call(told.end))

    def _told(self, update: Update) -> None:
        # The form does not show runs.
        if update.renewed or update.connection != self._connection:
            self._connection = update.connection
            self._place.deliver(lambda: self._take(update))

    def _take(self, update: Update) -> None:
        model = self._model
        if model.closed:
            return
        if update.connection != model.connection or update.message != model.connection_message:
            model.update(connection=update.connection, connection_message=update.message)
        # After every reset the streamer may be another one, with other pipelines.
        if update.connection == "live" and (update.renewed or not model.pipelines):
            self._ask()

    def _ask(self) -> None:
        if not self._asking and not self._model.closed:
            self._asking = True
            self._place.run(self._read)

    async def _read(self) -> None:
        model = self._model
        try:
            offers = await self._place.ask(self._source.client.pipelines)
        except StreamerError as error:
            self._asking = False
            self._said = f"The pipelines could not be read: {error}"
            model.update(notice=self._said)
            self._pauses.after(RETRY_SECONDS, self._ask)
            return
        self._asking = False
        if model.closed:
            return
        specs = tuple(map(spec_of, offers.pipelines))
        names = [spec.name for spec in specs]
        changes: dict[str, Any] = {"pipelines": specs}
        if model.chosen not in names:
            changes["chosen"] = self._wanted if self._wanted in names else next(iter(names), "")
        problems = [f"{problem.reference}: {problem.message}" for problem in offers.problems]
        said = "Not on offer: " + " · ".join(problems[:5]) if problems else ""
        if said or model.notice == self._said:
            changes["notice"] = said
        self._said = said
        if self._again:
            changes |= await self._values_of(self._again, names)
        await self._fill(changes)

    async def _fill(self, changes: dict[str, Any]) -> None:
        """Fill the form, and ask for the choices that hold, unless what is known still holds."""
        model = self._model
        if model.closed:
            return
        is_other = changes.get("chosen", model.chosen) != model.chosen or "values" in changes
        if is_other or changes["pipelines"] != model.pipelines:
            changes |= {"changed_schema": {}}
        model.update(**changes)
        if not model.changed_schema:
            await model.ask()
        if is_other or not model.usual:
            await model.estimate()

    async def _values_of(self, run_id: str, names: list[str]) -> dict[str, Any]:
        """Return what fills the form with the values of a run; where it cannot be, the notice says why."""
        # Once: what the viewer typed since must not be lost when the streamer was away.
        self._again = ""
        try:
            state = (await self._place.ask(lambda: self._source.client.run(run_id))).state
        except StreamerError as error:
            return {"notice": f"The values of run {run_id} could not be read: {error}"}
        if not state.managed or state.pipeline not in names:
            return {"notice": f"The pipeline of run {run_id} is not on offer here."}
        return {
            "chosen": state.pipeline,
            "again": run_id,
            "items": self._items,
            "values": dict(state.parameters),
            "time_limit": state.time_limit_seconds,
        }
