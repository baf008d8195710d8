"""`StartForm`: a choice of pipelines, and a form for the chosen one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import param

from dashboards.form_fields import fields_of, read_values
from dashboards.indicators.base import Indicator, text_of
from dashboards.session import PipelineSpec, StartModel
from streamer.model import formatting
from streamer.model.bounds import COUNT_LIMIT

#: The field of the run's time limit: a name that no parameter has.
LIMIT_FIELD = "time-limit"


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
        "busy",
        "notice",
        "connection",
        "run_id",
        "again",
        "items",
        "time_limit",
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
            "fields": []
            if spec is None
            else [
                *fields_of(spec.schema, model.values, model.typed),
                _limit_field(spec, model.time_limit, model.typed),
            ],
            "again": model.again,
            "items": model.items,
            "errors": {str(name): str(text) for name, text in model.errors.items()},
            "busy": model.busy or bool(model.run_id),
            "notice": self._notice(),
            "disabled": self._disabled(),
            "runs": self.runs_href,
        }

    def _notice(self) -> str:
        """Return what is wrong beyond what is said at the fields."""
        spec = self.model.pipeline
        fields = {} if spec is None else spec.schema.get("properties") or {}
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
            case "start":
                raw = message.get("values")
                spec = self.model.pipeline
                if spec is None or spec.name != text_of(message, "pipeline"):
                    # It was sent before its reader saw the form that they had turned to.
                    return
                if isinstance(raw, Mapping):
                    values, errors = read_values(spec.schema, raw, self.model.values)
                    limit, wrong = _read_limit(raw.get(LIMIT_FIELD))
                    if wrong:
                        errors[LIMIT_FIELD] = wrong
                    typed = {str(name): value for name, value in raw.items()}
                    if errors:
                        self.model.update(typed=typed, errors=errors, notice="")
                    else:
                        self.model.update(typed=typed)
                        self.model.run(lambda: self.model.start(values, time_limit_seconds=limit))


def _brief(spec: PipelineSpec) -> str:
    lines = spec.doc.strip().splitlines()
    return formatting.cut(lines[0] if lines else "", 160)


def _limit_field(spec: PipelineSpec, value: float | None, typed: Mapping[str, Any]) -> dict[str, Any]:
    own = spec.time_limit_seconds
    default = "any time" if own is None else f"{own:g}"
    return {
        "name": LIMIT_FIELD,
        "label": "Time limit in seconds",
        "kind": "number",
        "value": str(typed.get(LIMIT_FIELD, "" if value is None else f"{value:g}")),
        "nullable": False,
        "none": False,
        "choices": [],
        "required": False,
        "secret": False,
        "help": "The run is cancelled when it takes longer; 0 lets it take any time.",
        "hint": "",
        "min": 0,
        "max": None,
        "default": default,
    }


def _read_limit(value: Any) -> tuple[float | None, str]:
    """Return the limit that was typed (None: nothing), and what is wrong with it."""
    if not isinstance(value, str) or not value.strip():
        return None, ""
    try:
        limit = float(value[:40])
    except ValueError:
        return None, "Expected a number of seconds."
    return (limit, "") if 0 <= limit <= COUNT_LIMIT else (None, "Expected a number of seconds, 0 or more.")
