"""Requests about pipelines: their list, a form's values after a change, how long a run takes. Starts nothing."""

from __future__ import annotations

from typing import Any

import msgspec

from streamer.model.estimate import Usual
from streamer.protocol.run_filter import RunFilter
from streamer.server.execution.form import FORM_SECONDS, FormFailed, Forms, FormsBusy
from streamer.server.http.errors import ApiError, not_valid
from streamer.server.http.handler import BaseHandler
from streamer.server.runs.start import UnknownPipeline


class PipelinesHandler(BaseHandler):
    """``GET /api/pipelines``: what is on offer, and what could not be loaded."""

    async def get(self) -> None:
        catalog = self.parts.catalog
        # Both beside the loop: either may import files that have changed.
        offers, problems = await self.parts.runs.read(lambda: (catalog.offers(), catalog.problems()))
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


class EstimateHandler(BaseHandler):
    """``POST /api/pipelines/NAME/estimate``: how long a run with these parameters takes, from earlier runs."""

    async def post(self, name: str) -> None:
        runs, log = self.parts.runs, self.parts.log
        parameters = await self.or_leave(runs.check(name, self.json_object()))

        def usual() -> Usual:
            # A streamer that nobody asks this need not spend a tenth of a second on importing numpy.
            from streamer.model.estimates.durations import LOOKED_AT, usual_duration

            earlier = log.runs(RunFilter(pipeline=name, outcome=("complete", "partial")), limit=LOOKED_AT)
            return usual_duration(earlier, parameters)

        self.answer(msgspec.to_builtins(await runs.read(usual)))


class FormBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of ``POST /api/pipelines/NAME/form``."""

    values: dict[str, Any] = {}
    changed: list[str] = []


class FormHandler(BaseHandler):
    """``POST /api/pipelines/NAME/form``: the form's values and schema after a change, and which values do not fit."""

    async def post(self, name: str) -> None:
        body = self.json_object()
        try:
            asked = msgspec.convert(body, FormBody)
        except msgspec.ValidationError as error:
            raise not_valid(error, "the values so far, and the names of those that changed") from error
        offer = await self.parts.runs.read(lambda: self.parts.catalog.get(name))
        if offer is None:
            raise UnknownPipeline(f"no pipeline {name[:100]!r} is on offer")
        forms: Forms = self.application.settings.setdefault("forms", Forms())
        left = max(FORM_SECONDS - self.request.request_time(), 0.0)
        try:
            self.answer(await forms.after(offer.reference, asked.values, asked.changed, seconds=left))
        except FormFailed as error:
            raise ApiError(422, "invalid", str(error)) from error
        except FormsBusy as error:
            raise ApiError(503, "too_many_forms", str(error), retry=True) from error
