"""Pipelines and runs: list, start, look at, cancel, register, and take their events in."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final, Literal

import msgspec

from streamer.model.bounds import NAME_LIMIT, PHASES_LIMIT
from streamer.model.events import LEVELS, STATUSES
from streamer.model.state import RunState
from streamer.protocol.frames import Cursor, entry_json, state_data
from streamer.protocol.pages import FAILURES_PER_PAGE, LINES_PER_PAGE, MOST_PER_PAGE, RUNS_PER_PAGE
from streamer.protocol.registration import Registration
from streamer.protocol.spool import RUN_ID
from streamer.server.execution.form import FORMS_AT_ONCE, FormFailed, form_after
from streamer.server.fan_out.subscriber import End
from streamer.server.http.badge import GlanceHandler
from streamer.server.http.errors import ApiError, invalid, not_valid
from streamer.server.http.event_streams import StreamHandler
from streamer.server.http.handler import BaseHandler
from streamer.server.log.base import Found
from streamer.server.runs.start import UnknownPipeline

#: The values of `?status=`, and the status that each asks for. The terminal event of a failed run is called "error".
_ASKED: Final[dict[str, str]] = {status: status for status in STATUSES} | {"error": "failed"}
#: How often a request goes on with what has come meanwhile, before others have their turn with its connection.
_ROUNDS: Final = 50
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{20,200}", re.ASCII)


class PipelinesHandler(BaseHandler):
    """``GET /api/pipelines``: what is on offer, and what could not be loaded."""

    async def get(self) -> None:
        offers = await self.parts.runs.read(self.parts.catalog.offers)
        problems = self.parts.catalog.problems()
        self.answer(
            {
                "pipelines": [
                    {
                        "name": offer.name,
                        "title": offer.title,
                        "doc": offer.doc,
                        "phases": offer.phases,
                        "schema": offer.schema,
                        "timeLimitSeconds": offer.time_limit_seconds,
                    }
                    for offer in offers
                ],
                "problems": [{"reference": p.reference, "message": p.message} for p in problems],
            }
        )


class FormHandler(BaseHandler):
    """``POST /api/pipelines/NAME/form``: the form's values and schema after a change."""

    async def post(self, name: str) -> None:
        body = self.json_object()
        try:
            asked = msgspec.convert(body, FormBody)
        except msgspec.ValidationError as error:
            raise not_valid(error, "the values so far, and the names of those that changed") from error
        offer = await self.parts.runs.read(lambda: self.parts.catalog.get(name))
        if offer is None:
            raise UnknownPipeline(f"no pipeline {name[:100]!r} is on offer")
        room = self.application.settings.setdefault("forms", asyncio.Semaphore(FORMS_AT_ONCE))
        try:
            self.answer(await form_after(offer.reference, asked.values, asked.changed, room=room))
        except FormFailed as error:
            raise ApiError(422, "invalid", str(error)) from error


class FormBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of ``POST /api/pipelines/NAME/form``."""

    values: dict[str, Any] = {}
    changed: list[str] = []


class StartHandler(StreamHandler):
    """``POST /api/pipelines/NAME/runs``: start a run; the answer is its id, or with the right `Accept` its stream."""

    async def post(self, name: str) -> None:
        streaming = "text/event-stream" in self.request.headers.get("Accept", "").lower()
        on_disconnect = self.choice("on_disconnect", {"": False, "cancel": True}, "")
        style = self.stream_style()
        if streaming:
            # Before there is a run that nobody would learn of.
            self.check_room()
        state = await self.or_leave(
            self.parts.runs.start(
                name,
                self.json_object(),
                owner=self._owner(),
                time_limit_seconds=self.seconds("time_limit_seconds"),
            )
        )
        self.set_header("Location", f"/api/runs/{state.run}")
        if not streaming:
            self.answer(self.described(state), 201)
            return
        after = state.offset - 1
        if not on_disconnect:
            self.begin_stream(state.run, after=after, style=style)
            return
        ended: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        self.begin_stream(state.run, after=after, style=style, on_end=ended.set_result)
        if not (await ended).run_over and not self.parts.hub.is_closing:
            await self.cancel_quietly(state.run, by="its reader, who left")

    def _owner(self) -> str | None:
        return self.request.headers.get("X-Streamer-Owner", "")[:NAME_LIMIT] or None

    def described(self, state: RunState) -> dict[str, Any]:
        """Return what is said of a new run: its id, and where to go on."""
        return {
            "run": state.run,
            "status": state.status,
            "url": f"/api/runs/{state.run}",
            "events": f"/api/runs/{state.run}/events",
            "page": self.page_of(state.run),
        }


class RegisterBody(Registration, frozen=True, forbid_unknown_fields=True):
    """Body of ``POST /api/runs``."""


class RunsHandler(StartHandler):
    """``GET /api/runs``: newest first, paged. ``POST /api/runs``: register a run that somebody else executes."""

    async def get(self) -> None:
        asked = [part for value in self.texts("status") for part in value.split(",") if part]
        for value in asked:
            if value not in _ASKED:
                raise invalid("status", value, f"some of {', '.join(_ASKED)}", status=400)
        limit = self.number("limit", RUNS_PER_PAGE, most=MOST_PER_PAGE)
        pipeline, before = self.text("pipeline") or None, self.text("before") or None
        search = self.text("search")[:NAME_LIMIT]
        status = sorted({_ASKED[value] for value in asked})
        log = self.parts.log
        found = await self.parts.runs.read(
            lambda: log.runs(status=status, pipeline=pipeline, search=search, before=before, limit=limit + 1)
        )
        counts = await self.parts.runs.read(log.counts)
        page = found[:limit]
        self.answer(
            {
                "runs": [state_data(state) for state in page],
                "next": page[-1].run if len(found) > limit else None,
                "counts": counts,
            }
        )

    async def post(self, name: str = "") -> None:
        body = self.json_object()
        try:
            spec = msgspec.convert(body, RegisterBody)
        except msgspec.ValidationError as error:
            expected = (
                "a run's title, phases, parameters, owner, host, program, pid, pipeline and timeLimitSeconds"
            )
            raise not_valid(error, expected) from error
        if not spec.title.strip():
            raise invalid("title", spec.title, "a title")
        if len(spec.phases) > PHASES_LIMIT:
            raise invalid("phases", len(spec.phases), f"at most {PHASES_LIMIT} phases")
        names = [phase.name for phase in spec.phases]
        for number, phase in enumerate(spec.phases):
            if not 0 < phase.weight < float("inf"):
                raise invalid(f"phases[{number}].weight", phase.weight, "a positive number")
            if not phase.name or names.index(phase.name) != number:
                raise invalid(f"phases[{number}].name", phase.name, "a name of its own")
        self._check_identity(spec)
        spec = msgspec.structs.replace(spec, owner=spec.owner or self._owner())
        state, token = await self.or_leave(self.parts.runs.register(spec))
        self.set_header("Location", f"/api/runs/{state.run}")
        self.answer({**self.described(state), "token": token}, 201)

    def _check_identity(self, spec: Registration) -> None:
        """Check the id, the token and the time that the producer chose. Raises `ApiError`."""
        if (spec.run is None) != (spec.token is None):
            raise invalid(
                "token" if spec.token is None else "run", None, "`run` and `token` together, or neither"
            )
        if spec.run is not None and not RUN_ID.fullmatch(spec.run):
            raise invalid("run", spec.run, "ten small letters and digits")
        if spec.token is not None and not _TOKEN.fullmatch(spec.token):
            raise invalid("token", "…", "20 to 200 letters, digits, - and _")
        try:
            spec.began()
        except ValueError as error:
            raise invalid("time", spec.time, "an RFC 3339 time") from error


class RunHandler(GlanceHandler):
    """``GET /api/runs/ID``: a run's state, what is known of its life, and the cursor from which its stream goes on.

    With the right `Accept` it is one line of text.
    """

    async def get(self, run_id: str) -> None:
        state = await self.parts.runs.state(run_id)
        self.add_header("Vary", "Accept")
        accepted = self.request.headers.get("Accept", "").lower()
        # Libraries for JSON ask for it and then for any text.
        if "text/plain" in accepted and "json" not in accepted:
            self.glance_line(state)
            return
        life = msgspec.to_builtins(self.parts.runs.life(run_id))
        self.answer(state_data(state, life=life, cursor=str(Cursor(self.parts.log.epoch, state.offset))))


class TicketHandler(BaseHandler):
    """``POST /api/runs/ID/ticket``: a secret with which a page of another origin cancels this run."""

    async def post(self, run_id: str) -> None:
        await self.parts.runs.state(run_id)
        ticket = self.parts.tickets.issue(run_id)
        self.answer({"run": run_id, "ticket": ticket, "page": self.page_of(run_id)}, 201)


class CancelHandler(BaseHandler):
    """``POST /api/runs/ID/cancel``: ask a run to end. With the run's ticket, pages of any origin may."""

    def lets_read(self, origin: str) -> bool:
        # A browser asks first (OPTIONS), without the ticket; that answer says nothing that anybody could use.
        return self.request.method == "OPTIONS" or self._has_ticket() or super().lets_read(origin)

    def _check_token(self) -> None:
        if not self._has_ticket():
            super()._check_token()

    def _has_ticket(self) -> bool:
        # In the header alone: what stands in an address ends up in histories and logs.
        scheme, _, ticket = self.request.headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and self.parts.tickets.admits(self.path_args[0], ticket.strip())

    async def post(self, run_id: str) -> None:
        by = self.json_object().get("by", "")
        if not isinstance(by, str):
            raise invalid("by", by, "who asks, as text")
        state = await self.or_leave(self.parts.runs.cancel(run_id, by=by[:NAME_LIMIT]))
        self.answer({"run": run_id, "status": state.status}, 202)


class RetrySpec(msgspec.Struct, forbid_unknown_fields=True):
    """Body of ``POST /api/runs/ID/retry``."""

    items: Literal["failed", "all"] = "failed"
    parameters: dict[str, Any] = {}


class RetryHandler(StartHandler):
    """``POST /api/runs/ID/retry``: a new run, linked to the old one, of its failed items or of everything."""

    async def post(self, name: str) -> None:
        try:
            spec = msgspec.convert(self.json_object(), RetrySpec)
        except msgspec.ValidationError as error:
            raise not_valid(error, "items (failed or all) and parameters") from error
        state = await self.or_leave(
            self.parts.runs.retry(
                name,
                items=spec.items,
                values=spec.parameters,
                owner=self._owner(),
                time_limit_seconds=self.seconds("time_limit_seconds"),
            )
        )
        self.set_header("Location", f"/api/runs/{state.run}")
        self.answer(self.described(state), 201)


class LinesHandler(BaseHandler):
    """``GET /api/runs/ID/log``: log lines, paged by cursor, searched over the whole log."""

    async def get(self, run_id: str) -> None:
        levels = {"": 0} | LEVELS | {name.lower(): number for name, number in LEVELS.items()} | {"log": 0}
        level = self.choice("level", levels, "")
        search = self.text("search")[:NAME_LIMIT]
        before, after = self.position("before"), self.position("after")
        limit = self.number("limit", LINES_PER_PAGE, most=MOST_PER_PAGE)
        state = await self.parts.runs.state(run_id)
        log = self.parts.log

        def look() -> Found:
            if search:
                return log.search(run_id, search, level=level, before=before, after=after, limit=limit + 1)
            return Found(log.lines(run_id, level=level, before=before, after=after, limit=limit + 1), None)

        looked = await self.parts.runs.read(look)
        found, reached = looked.lines, looked.reached
        forward = before is None and after is not None
        more = len(found) > limit
        lines = (found[:limit] if forward else found[-limit:]) if more else found
        filtered = bool(level or search)
        older = str(lines[0].offset) if lines and (more or forward) else None
        newer = str(lines[-1].offset) if lines else None if after is None else str(after)
        if reached is not None:
            older, newer = (older, str(reached)) if forward else (str(reached), newer)
        self.answer(
            {
                "lines": [
                    msgspec.json.decode(entry_json(line)) | {"cursor": str(line.offset)} for line in lines
                ],
                # Where to go on: None when there is nothing older; newer lines may come at any time.
                "older": older,
                "newer": newer,
                "total": None if filtered else state.log_lines,
                # A search looks at so many lines a request: it goes on from `older`, or `newer`.
                "partial": reached is not None,
            }
        )


class FailuresHandler(BaseHandler):
    """``GET /api/runs/ID/failures``: failed items with their errors, oldest first, paged."""

    async def get(self, run_id: str) -> None:
        after = self.position("after") or 0
        limit = self.number("limit", FAILURES_PER_PAGE, most=MOST_PER_PAGE)
        state = await self.parts.runs.state(run_id)
        found = await self.parts.runs.read(
            lambda: self.parts.log.failures(run_id, after=after, limit=limit + 1)
        )
        page = found[:limit]
        self.answer(
            {
                "failures": [msgspec.json.decode(entry_json(e)) | {"cursor": str(e.offset)} for e in page],
                "next": str(page[-1].offset) if len(found) > limit else None,
                "total": state.results.failed,
            }
        )
