"""Requests about runs: start, list, show, register, retry. Cancelling and a run's lines have modules of their own."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection
from typing import Any, Final, Literal

import msgspec

from streamer.model.bounds import NAME_LIMIT, PHASES_LIMIT
from streamer.model.events import OUTCOMES, STATUSES
from streamer.model.state import RunState
from streamer.model.timestamps import parse_time
from streamer.protocol.cursor import Cursor
from streamer.protocol.frames import state_data
from streamer.protocol.paging import MOST_PER_PAGE, RUNS_PER_PAGE
from streamer.protocol.registration import Registration
from streamer.protocol.run_filter import NEWEST_FIRST, SORTS, RunFilter
from streamer.protocol.spool import RUN_ID
from streamer.server.fan_out.subscriber import End
from streamer.server.http.badge import GlanceHandler
from streamer.server.http.errors import invalid, not_valid
from streamer.server.http.event_streams import StreamHandler

#: The values of `?status=`, and the status that each asks for. The terminal event of a failed run is called "error".
_ASKED: Final[dict[str, str]] = {status: status for status in STATUSES} | {"error": "failed"}
#: How often a request goes on with what has come meanwhile, before others have their turn with its connection.
_ROUNDS: Final = 50
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{20,200}", re.ASCII)


class StartHandler(StreamHandler):
    """``POST /api/pipelines/NAME/runs``: start a run; the answer is its id, or with the right `Accept` its stream.

    With ``?check=true`` the parameters are checked, and nothing is started.
    """

    async def post(self, name: str) -> None:
        streaming = "text/event-stream" in self.request.headers.get("Accept", "").lower()
        on_disconnect = self.choice("on_disconnect", {"": False, "cancel": True}, "")
        style = self.stream_style()
        if self.choice("check", {"": False, "true": True}, ""):
            self.answer({"parameters": await self.or_leave(self.parts.runs.check(name, self.json_object()))})
            return
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
    """``GET /api/runs``: filtered, sorted, paged. ``POST /api/runs``: register a run that somebody else executes."""

    async def get(self) -> None:
        wanted = self._wanted()
        limit = self.number("limit", RUNS_PER_PAGE, most=MOST_PER_PAGE)
        sort = self.choice("sort", {one: one for one in SORTS}, NEWEST_FIRST)
        before = self.text("before") or None
        log = self.parts.log
        found, total, counts = await self.parts.runs.read(
            lambda: (
                log.runs(wanted, sort=sort, before=before, limit=limit + 1),
                log.total(wanted),
                log.counts(),
            )
        )
        page = found[:limit]
        self.answer(
            {
                "runs": [state_data(self.parts.runs.with_estimate(state)) for state in page],
                "next": page[-1].run if len(found) > limit else None,
                "total": total,
                "counts": counts,
            }
        )

    def _wanted(self) -> RunFilter:
        """Return which runs the query asks for. Raises `ApiError` 400."""
        return RunFilter(
            status=tuple(sorted({_ASKED[value] for value in self._some_of("status", _ASKED)})),
            outcome=tuple(self._some_of("outcome", OUTCOMES)),
            pipeline=self.text("pipeline") or None,
            title=self.text("title") or None,
            owner=self.text("owner") or None,
            search=self.text("search")[:NAME_LIMIT],
            since=self._time("since"),
            until=self._time("until"),
            failures=self.choice("failures", {"": False, "true": True}, ""),
        )

    def _time(self, name: str) -> float | None:
        """Return a time of the query in POSIX seconds, None where it is not given. Raises `ApiError` 400."""
        value = self.text(name)
        if not value:
            return None
        try:
            return parse_time(value)
        except ValueError as error:
            raise invalid(
                name, value, "an RFC 3339 time, such as 2026-01-31T09:41:32Z", status=400
            ) from error

    def _some_of(self, name: str, allowed: Collection[str]) -> list[str]:
        """Return the words of a query, which may be repeated, comma separated, or both."""
        asked = [part for value in self.texts(name) for part in value.split(",") if part]
        for value in asked:
            if value not in allowed:
                raise invalid(name, value, f"some of {', '.join(allowed)}", status=400)
        return asked

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


class RetrySpec(msgspec.Struct, forbid_unknown_fields=True):
    """Body of ``POST /api/runs/ID/retry``."""

    items: Literal["failed", "rest", "all"] = "failed"
    parameters: dict[str, Any] = {}


class RetryHandler(StartHandler):
    """``POST /api/runs/ID/retry``: a new run, linked to the old one, of its failed items, the rest or everything."""

    async def post(self, name: str) -> None:
        try:
            spec = msgspec.convert(self.json_object(), RetrySpec)
        except msgspec.ValidationError as error:
            raise not_valid(error, "items (failed, rest or all) and parameters") from error
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
