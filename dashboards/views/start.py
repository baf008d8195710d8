"""The form that starts a pipeline, made from the JSON schema of its parameters. What is wrong is said at the field."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import panel as pn
from panel.viewable import Viewer

from dashboards import theme
from dashboards.session import PipelineSpec, StartModel
from dashboards.views.base import Component, View, run_soon, text_of
from streamer import words

#: What a form shows and takes at most.
FIELDS_SHOWN = 100
CHOICES_SHOWN = 500
VALUE_LIMIT = 20_000


class StartForm(Component):
    """A choice of pipelines, and a form for the chosen one."""


class StartFormView(View):
    """The form of a `StartModel`."""

    names = ("pipelines", "chosen", "values", "errors", "busy", "notice", "connection", "run_id")
    component_class = StartForm
    model: StartModel

    def __init__(self, model: StartModel, *, runs_href: str = "?") -> None:
        self.runs_href = runs_href
        super().__init__(model)

    def present(self) -> dict[str, Any]:
        model, spec = self.model, self.model.pipeline
        return {
            "pipelines": [
                {"name": one.name, "title": words.cut(one.title or one.name, 200), "brief": _brief(one)}
                for one in model.pipelines
            ],
            "chosen": model.chosen,
            "title": "" if spec is None else words.cut(spec.title or spec.name, 300),
            "doc": "" if spec is None else words.cut(words.paragraphs(spec.doc), 4_000),
            "phases": [] if spec is None else [[words.cut(n, 60), f"{w:g}"] for n, w in spec.phases[:30]],
            "fields": [] if spec is None else _fields(spec, model.values),
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
                if isinstance(raw, Mapping) and spec is not None:
                    values, errors = read_values(spec, raw)
                    if errors:
                        self.model.update(values=values, errors=errors, notice="")
                    else:
                        run_soon(lambda: self.model.start(values))


def read_values(spec: PipelineSpec, raw: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Read what was typed as what the schema asks for: the values, and what is wrong by parameter.

    A field left empty is left out, so that the pipeline's own default holds; a required one is wrong then. A list that
    was filled in and is empty now is an empty list.
    """
    required = set(spec.schema.get("required") or ())
    values: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for name, schema in (spec.schema.get("properties") or {}).items():
        value = raw.get(name)
        if value is None or value == "":
            if name in required and _field_kind(schema) != "boolean":
                errors[name] = "This is required."
            elif value == "" and _field_kind(schema) == "lines" and schema.get("default"):
                values[name] = []
            continue
        try:
            values[name] = _read(value, schema)
        except ValueError as error:
            values[name] = value if not isinstance(value, str) else value[:VALUE_LIMIT]
            errors[name] = str(error)
    return values, errors


def _read(value: Any, schema: Mapping[str, Any]) -> Any:
    kind = _field_kind(schema)
    if kind == "boolean":
        return value is True
    if kind == "choice":
        return _chosen(value, schema)
    # From a browser: what is not text is none of what a field gives.
    value = value if isinstance(value, str) else ""
    if len(value) > VALUE_LIMIT:
        raise ValueError(f"At most {VALUE_LIMIT:,} characters.")
    if kind in ("integer", "number"):
        return _number(value, schema, whole=kind == "integer")
    if kind == "lines":
        return [line.strip() for line in value.splitlines() if line.strip()]
    if kind == "json":
        try:
            return json.loads(value)
        except ValueError:
            raise ValueError('Expected JSON, for example ["a", "b"].') from None
    return value


def _chosen(value: Any, schema: Mapping[str, Any]) -> Any:
    choices = list(schema.get("enum") or ())
    if isinstance(value, str) and value.isdecimal() and int(value) < len(choices):
        return choices[int(value)]
    raise ValueError("Choose one of those on offer.")


def _number(text: str, schema: Mapping[str, Any], *, whole: bool) -> float:
    try:
        number = int(text) if whole else float(text)
    except ValueError:
        raise ValueError("Expected a whole number." if whole else "Expected a number.") from None
    checks = (
        ("minimum", number >= schema.get("minimum", number), "At least {}."),
        ("maximum", number <= schema.get("maximum", number), "At most {}."),
        (
            "exclusiveMinimum",
            "exclusiveMinimum" not in schema or number > schema["exclusiveMinimum"],
            "More than {}.",
        ),
        (
            "exclusiveMaximum",
            "exclusiveMaximum" not in schema or number < schema["exclusiveMaximum"],
            "Less than {}.",
        ),
    )
    for key, holds, text_ in checks:
        if not holds:
            raise ValueError(text_.format(f"{schema[key]:,}"))
    return number


def _brief(spec: PipelineSpec) -> str:
    lines = spec.doc.strip().splitlines()
    return words.cut(lines[0] if lines else "", 160)


def _kinds(schema: Mapping[str, Any]) -> list[str]:
    kind = schema.get("type")
    kinds = [kind] if isinstance(kind, str) else list(kind or ())
    for option in schema.get("anyOf") or ():
        kinds += _kinds(option)
    return [one for one in kinds if one != "null"]


def _field_kind(schema: Mapping[str, Any]) -> str:
    """Return what a parameter's field is: choice, boolean, integer, number, lines, json, path, date or text."""
    if schema.get("enum"):
        return "choice"
    kinds = _kinds(schema)
    if len(kinds) == 1 and kinds[0] in ("boolean", "integer", "number"):
        return kinds[0]
    if kinds and set(kinds) <= {"integer", "number"}:
        return "number"
    if kinds == ["array"] and (schema.get("items") or {}).get("type") == "string":
        return "lines"
    if any(kind in ("array", "object") for kind in kinds):
        return "json"
    form = str(schema.get("format") or "")
    if form in ("path", "file-path", "directory-path"):
        return "path"
    return "date" if form == "date" else "text"


def _fields(spec: PipelineSpec, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    required = set(spec.schema.get("required") or ())
    properties = spec.schema.get("properties") or {}
    return [
        _field(name, schema, name in required, values)
        for name, schema in list(properties.items())[:FIELDS_SHOWN]
    ]


def _field(name: str, schema: Mapping[str, Any], required: bool, values: Mapping[str, Any]) -> dict[str, Any]:
    kind = _field_kind(schema)
    default = schema.get("default")
    value = values.get(name, default)
    choices = list(schema.get("enum") or ())[:CHOICES_SHOWN]
    if kind == "choice":
        chosen = name in values or "default" in schema
        shown: Any = str(choices.index(value)) if chosen and value in choices else ""
    elif kind == "boolean":
        shown = value is True
    elif kind == "lines" and isinstance(value, list):
        shown = "\n".join(str(one) for one in value)
    elif kind == "json" and value is not None and not isinstance(value, str):
        shown = json.dumps(value, ensure_ascii=False)
    else:
        shown = "" if value is None else str(value)
    return {
        "name": name,
        "label": words.cut(str(schema.get("title") or _spaced(name)), 100),
        "kind": kind,
        "value": shown,
        "choices": ["none" if choice is None else words.cut(str(choice), 200) for choice in choices],
        "required": required,
        "help": words.cut(str(schema.get("description") or ""), 1_000),
        "hint": _hint(kind, schema),
        "min": schema.get("minimum"),
        "max": schema.get("maximum"),
        "default": ""
        if default is None or kind in ("boolean", "choice", "lines")
        else words.cut(str(default), 200),
    }


def _spaced(name: str) -> str:
    return name.replace("_", " ").strip().capitalize() or name


def _hint(kind: str, schema: Mapping[str, Any]) -> str:
    """Return what is to be written into a field, where that is not plain."""
    if kind in ("integer", "number"):
        return _bounds(schema)
    if kind == "path":
        noun = {"file": "a file", "folder": "a folder"}.get(str(schema.get("x-path")), "a path")
        return f"{noun} on the streamer's machine"
    return {"lines": "one a line", "json": "as JSON"}.get(kind, "")


def _bounds(schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f"{low:,} to {high:,}"
    parts = []
    for bound, text in ((low, "at least"), (above, "more than"), (high, "at most"), (below, "less than")):
        if bound is not None:
            parts.append(f"{text} {bound:,}")
    return ", ".join(parts)


class StartView(Viewer):
    """The page that starts a pipeline. When `model.run_id` is set, the run was started: the page goes there."""

    def __init__(self, model: StartModel, *, runs_href: str = "?", **params: Any) -> None:
        super().__init__(**params)
        self.model = model
        self.form = StartFormView(model, runs_href=runs_href)
        self.layout = pn.Column(
            self.form.component, sizing_mode="stretch_width", margin=0, stylesheets=[theme.PAGE_CSS]
        )

    def close(self) -> None:
        """End what keeps the view up to date."""
        self.model.close()

    def __panel__(self) -> pn.Column:
        return self.layout
