"""`StartModel`: the reactive mirror of the form that starts a pipeline. No network, no drawing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import param

from dashboards.session.base import Session
from dashboards.session.commands import CommandError, StartCommands, StartRefused
from dashboards.session.values import (
    PipelineSpec,
)


class StartModel(Session):
    """The reactive mirror of the form that starts a pipeline."""

    pipelines = param.ClassSelector(class_=tuple, default=(), doc="The pipelines on offer (`PipelineSpec`).")
    chosen = param.String(default="", doc="The name of the pipeline that the form is for; empty: none yet.")
    values = param.Dict(default={}, doc="What the form is filled with, where it differs from the defaults.")
    typed = param.Dict(default={}, doc="The fields as they were sent last; empty: nobody sent the form yet.")
    errors = param.Dict(default={}, doc="What is wrong, by the name of the parameter.")
    busy = param.Boolean(default=False, doc="Whether the run is being started.")
    run_id = param.String(default="", doc="The run that was started.")
    again = param.String(default="", doc="The run that is done again, of which the form has the values.")
    items: Any = param.Selector(
        default="all", objects=["all", "failed", "rest"], doc="The items of that run that are done again."
    )
    time_limit = param.Number(
        default=None,
        allow_None=True,
        doc="Seconds the run may take; None: as its pipeline says; 0: any time.",
    )

    def __init__(self, *, commands: StartCommands | None = None, **params: Any) -> None:
        params["pipelines"] = tuple(params.get("pipelines") or ())
        if not params.get("chosen") and params["pipelines"]:
            params["chosen"] = params["pipelines"][0].name
        super().__init__(commands=commands, **params)

    @property
    def pipeline(self) -> PipelineSpec | None:
        """The pipeline that the form is for."""
        return next((spec for spec in self.pipelines if spec.name == self.chosen), None)

    def choose(self, name: str) -> None:
        """Turn the form to another pipeline; unknown names are ignored."""
        if name != self.chosen and any(spec.name == name for spec in self.pipelines):
            self.update(
                chosen=name, values={}, typed={}, errors={}, notice="", again="", items="all", time_limit=None
            )

    async def start(self, values: Mapping[str, Any], *, time_limit_seconds: float | None = None) -> None:
        """Start the chosen pipeline, once; `run_id` becomes the run's id, or `errors` and `notice` say what is wrong.

        Of a double click the second may come after the first was answered.
        """
        spec = self.pipeline
        if self.busy or self.run_id or self.commands is None or spec is None:
            return
        known = set(spec.schema.get("properties") or {})
        parameters = {name: value for name, value in values.items() if name in known}
        self.update(busy=True, errors={}, notice="")
        how: dict[str, Any] = {"again": self.again, "time_limit_seconds": time_limit_seconds}
        if self.again and self.items != "all":
            how["items"] = self.items
        try:
            run_id = await self.commands.start(spec.name, parameters, **how)
        except StartRefused as refused:
            fields = {name: text for name, text in refused.fields.items() if name in known}
            self.update(busy=False, errors=fields, notice=str(refused))
        except CommandError as error:
            self.update(busy=False, notice=str(error))
        else:
            self.update(busy=False, run_id=run_id)
