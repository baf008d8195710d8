"""`StartForm`: a choice of pipelines, and a form for the chosen one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import param

from dashboards.indicators.base import Indicator, text_of
from dashboards.session import PipelineSpec, StartModel
from dashboards.session.limit import LIMIT_FIELD
from streamer.model import formatting


class StartForm(Indicator):
    """A form that starts a pipeline: ``StartForm(start)``. When the model's `run_id` is set, the run was started."""

    runs_href = param.String(default="", doc="The address of the list of runs; empty: no link.")

    script = "StartForm"
    watched = (
        "pipelines",
        "chosen",
        "values",
        "typed",
        "errors",
        "changed_schema",
        "renewed",
        "said",
        "asking",
        "busy",
        "notice",
        "connection",
        "run_id",
        "again",
        "items",
        "time_limit",
        "usual",
    )
    model_class = StartModel

    def looks_at(self) -> tuple[Any, ...]:
        return (*super().looks_at(), self.runs_href)

    def present(self) -> dict[str, Any]:
        model, spec = self.model, self.model.pipeline
        return {
            "pipelines": [
                {"name": one.name, "title": formatting.cut(one.title or one.name, 200), "brief": _brief(one)}
                for one in model.pipelines
            ],
            "chosen": model.chosen,
            "title": "" if spec is None else formatting.cut(spec.title or spec.name, 300),
            "doc": "" if spec is None else formatting.cut(formatting.paragraphs(spec.doc), 4_000),
            "phases": []
            if spec is None
            else [[formatting.cut(n, 60), f"{w:g}"] for n, w in spec.phases[:30]],
            "fields": self.model.fields(),
            "said": {name: list(texts) for name, texts in self.model.said.items()},
            "asking": bool(self.model.asking),
            "again": model.again,
            "items": model.items,
            "errors": {str(name): str(text) for name, text in model.errors.items()},
            "busy": model.busy or bool(model.run_id),
            "notice": self._notice(),
            "usual": "" if model.busy or model.run_id else model.usual,
            "disabled": self._disabled(),
            "runs": self.runs_href,
        }

    def _notice(self) -> str:
        """Return what is wrong beyond what is said at the fields."""
        spec = self.model.pipeline
        fields = {} if spec is None else {**(self.model.schema.get("properties") or {}), LIMIT_FIELD: {}}
        at_fields = bool(self.model.errors) and self.model.errors.keys() <= fields.keys()
        return "" if at_fields else str(self.model.notice)

    def _disabled(self) -> str:
        if self.model.connection == "away":
            return "The streamer is away. The form can be sent when it is back."
        if self.model.connection == "connecting" and not self.model.pipelines:
            return "Asking the streamer what it offers…"
        if self.model.commands is None:
            return "There is no streamer here that could start it."
        return ""

    def receive(self, message: Mapping[str, Any]) -> None:
        match message["type"]:
            case "choose":
                self.model.choose(text_of(message, "name"))
            case "start" | "change" | "estimate" as what:
                raw, spec, seen = message.get("values"), self.model.pipeline, message.get("seen")
                if spec is None or spec.name != text_of(message, "pipeline") or not isinstance(raw, Mapping):
                    # It was sent before its reader saw the form that they had turned to.
                    return
                seen = seen if isinstance(seen, int) else 0
                if what == "start":
                    self.model.run(lambda: self.model.submit(raw, seen))
                elif what == "estimate":
                    self.model.run(lambda: self.model.estimate(raw, seen))
                else:
                    name = text_of(message, "name")
                    self.model.run(lambda: self.model.change(name, raw, seen))


def _brief(spec: PipelineSpec) -> str:
    lines = spec.doc.strip().splitlines()
    return formatting.cut(lines[0] if lines else "", 160)
