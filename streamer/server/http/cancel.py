"""The request that cancels a run, and the ticket with which a page of another origin may send it."""

from __future__ import annotations

from streamer.model.bounds import NAME_LIMIT
from streamer.server.http.errors import invalid
from streamer.server.http.handler import BaseHandler


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
