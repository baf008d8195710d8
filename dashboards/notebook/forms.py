"""The form that starts a pipeline from a notebook. The saved file keeps its description, no form. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dashboards.notebook.markup import Markup, tag
from dashboards.notebook.record import SOFT, beside, box, foot, note, stamp
from dashboards.session.start_model import StartModel
from dashboards.session.values import PipelineSpec
from streamer.model import formatting

_INPUT = (
    "font:inherit;color:inherit;background:transparent;border:1px solid rgba(128,128,128,.5);border-radius:6px;"
    "padding:4px 8px;max-width:420px;width:100%;box-sizing:border-box"
)


class Asked(NamedTuple):
    """A form at a time: of which pipeline (`spec` None: not known yet), its fields, and what is wrong with them.

    `said` is by the name of a changed field what the change did. `note` is what is wrong with the whole form, or why
    it cannot be sent.
    """

    name: str
    at: float
    spec: PipelineSpec | None = None
    fields: tuple[Mapping[str, Any], ...] = ()
    errors: Mapping[str, str] = {}
    said: Mapping[str, tuple[str, ...]] = {}
    note: str = ""
    busy: bool = False


def asked_of(model: StartModel, at: float) -> Asked:
    """Return the form of a model at a time.

    Args:
        model: The model; its pipeline is chosen.
        at: The time, in POSIX seconds.
    """
    note = "" if model.errors else str(model.notice)
    return Asked(
        model.chosen,
        at,
        model.pipeline,
        tuple(model.fields()),
        model.errors,
        model.said,
        note or " ".join(model.said.get("", ())),
        model.busy or bool(model.run_id),
    )


def form_text(asked: Asked) -> str:
    """Return what can be started, in a line."""
    return f"A form that starts {asked.name}; run the cell to use it.\nAs of {stamp(asked.at)}"


def described_html(asked: Asked) -> Markup:
    """Return what stays of a form: the pipeline and its parameters."""
    rows = [
        tag("li", tag("b", field["label"]), f" {field['help']}" if field["help"] else None)
        for field in asked.fields
    ]
    again = "run the cell to start it"
    return box(*_head(asked), tag("ul", *rows) if rows else None, foot(asked.at, again))


def form_html(asked: Asked) -> Markup:
    """Return the form. Its browser sends `start` with what was typed, by name."""
    if asked.spec is None:
        return box(*_head(asked), note(asked.note))
    fields = [
        _field(field, asked.errors.get(field["name"], ""), asked.said.get(field["name"], ()))
        for field in asked.fields
    ]
    seen = max((field["renewed"] for field in asked.fields), default=0)
    send = tag(
        "button", "Starting…" if asked.busy else "Start", type="submit", disabled=asked.busy, style=_BUTTON
    )
    form = tag(
        "form",
        *fields,
        tag("div", send, style="margin-top:12px"),
        novalidate=True,
        autocomplete="off",
        data_seen=str(seen),
    )
    return box(*_head(asked), note(asked.note), form)


_BUTTON = (
    "font:inherit;font-weight:600;color:inherit;background:transparent;cursor:pointer;"
    "border:1px solid rgba(128,128,128,.6);border-radius:6px;padding:5px 18px"
)


def _head(asked: Asked) -> tuple[Markup, Markup | None]:
    spec = asked.spec
    name = asked.name if spec is None else spec.title or spec.name
    title = tag("div", tag("b", f"Start {name}", style="font-size:16px"))
    if spec is None:
        return title, tag("div", "Asking the streamer what it takes…", style=SOFT) if not asked.note else None
    doc = formatting.cut(formatting.paragraphs(spec.doc), 4_000)
    return title, tag("div", doc, style=f"{SOFT};white-space:pre-line;max-width:70ch") if doc else None


def _field(field: Mapping[str, Any], wrong: str, said: Sequence[str]) -> Markup:
    hint = " · ".join(part for part in (field["hint"], "required" if field["required"] else "") if part)
    label = tag("b", field["label"])
    small = tag("span", f" {hint}", style=f"{SOFT};font-size:12px") if hint else None
    common = {
        "name": field["name"],
        "aria_invalid": "true" if wrong else None,
        "data_watched": field["watched"],
        "data_renewed": str(field["renewed"]),
    }
    kind, value = field["kind"], field["value"]
    if kind == "boolean":
        box_ = tag("input", type="checkbox", checked=value, **common)
        control = tag("label", box_, Markup("&nbsp;"), label, small)
    else:
        if kind == "choice":
            chosen = [("", "—"), *((str(i), choice) for i, choice in enumerate(field["choices"]))]
            options = [tag("option", text, value=key, selected=key == value) for key, text in chosen]
            inner = tag("select", *options, style=_INPUT, **common)
        elif kind in ("lines", "json", "any") or "\n" in str(value):
            # HTML drops a line's end right after the start tag.
            inner = tag("textarea", f"\n{value}", rows=3, style=_INPUT, **common)
        else:
            types = {"date": "date", "text": "password" if field["secret"] else "text"}
            inner = tag("input", type=types.get(kind, "text"), value=value, style=_INPUT, **common)
        control = tag("label", tag("div", label, small), inner)
        if field["nullable"]:
            # Its name says which field has no value while it is checked.
            none = tag(
                "input",
                type="checkbox",
                data_none=field["name"],
                checked=field["none"],
                aria_label=f"{field['label']}: None",
                data_renewed=str(field["renewed"]),
            )
            control = tag(
                "div", control, tag("label", none, Markup("&nbsp;"), "None", style="font-size:12px")
            )
    return tag(
        "div",
        control,
        tag("div", field["help"], style=f"{SOFT};font-size:12px") if field["help"] else None,
        tag("div", wrong, role="alert", style=f"{beside('bad')};font-size:13px") if wrong else None,
        tag("div", *(tag("div", text) for text in said), role="status", style=f"{SOFT};font-size:13px")
        if said
        else None,
        style="margin-top:12px",
    )
