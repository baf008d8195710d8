"""The form that starts a pipeline from a notebook. The saved file keeps its description, no form. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from dashboards.form_fields import fields_of
from dashboards.notebook.markup import Markup, tag
from dashboards.notebook.record import SOFT, beside, box, foot, note, stamp
from streamer.model import formatting
from streamer.protocol.api import Offer

_INPUT = (
    "font:inherit;color:inherit;background:transparent;border:1px solid rgba(128,128,128,.5);border-radius:6px;"
    "padding:4px 8px;max-width:420px;width:100%;box-sizing:border-box"
)


class Asked(NamedTuple):
    """A form at a time: of which pipeline (`offer` None: not known yet), and what is wrong with what was typed.

    `note` is what is wrong with all of it, or why it cannot be sent.
    """

    name: str
    at: float
    offer: Offer | None = None
    typed: Mapping[str, Any] = {}
    errors: Mapping[str, str] = {}
    note: str = ""
    busy: bool = False


def form_text(asked: Asked) -> str:
    """Return what can be started, in a line."""
    return f"A form that starts {asked.name}; run the cell to use it.\nAs of {stamp(asked.at)}"


def described_html(asked: Asked) -> Markup:
    """Return what stays of a form: the pipeline and its parameters."""
    rows = [
        tag("li", tag("b", field["label"]), f" {field['help']}" if field["help"] else None)
        for field in _fields(asked)
    ]
    again = "run the cell to start it"
    return box(*_head(asked), tag("ul", *rows) if rows else None, foot(asked.at, again))


def form_html(asked: Asked) -> Markup:
    """Return the form. Its browser sends `start` with what was typed, by name."""
    if asked.offer is None:
        return box(*_head(asked), note(asked.note))
    fields = [_field(field, asked.errors.get(field["name"], "")) for field in _fields(asked)]
    send = tag(
        "button", "Starting…" if asked.busy else "Start", type="submit", disabled=asked.busy, style=_BUTTON
    )
    form = tag(
        "form", *fields, tag("div", send, style="margin-top:12px"), novalidate=True, autocomplete="off"
    )
    return box(*_head(asked), note(asked.note), form)


_BUTTON = (
    "font:inherit;font-weight:600;color:inherit;background:transparent;cursor:pointer;"
    "border:1px solid rgba(128,128,128,.6);border-radius:6px;padding:5px 18px"
)


def _head(asked: Asked) -> tuple[Markup, Markup | None]:
    offer = asked.offer
    name = asked.name if offer is None else offer.title or offer.name
    title = tag("div", tag("b", f"Start {name}", style="font-size:16px"))
    if offer is None:
        return title, tag("div", "Asking the streamer what it takes…", style=SOFT) if not asked.note else None
    doc = formatting.cut(formatting.paragraphs(offer.doc), 4_000)
    return title, tag("div", doc, style=f"{SOFT};white-space:pre-line;max-width:70ch") if doc else None


def _fields(asked: Asked) -> list[dict[str, Any]]:
    return [] if asked.offer is None else fields_of(asked.offer.schema, {}, asked.typed)


def _field(field: dict[str, Any], wrong: str) -> Markup:
    hint = " · ".join(part for part in (field["hint"], "required" if field["required"] else "") if part)
    label = tag("b", field["label"])
    small = tag("span", f" {hint}", style=f"{SOFT};font-size:12px") if hint else None
    common = {"name": field["name"], "aria_invalid": "true" if wrong else None}
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
            types = {"date": "date"}
            inner = tag("input", type=types.get(kind, "text"), value=value, style=_INPUT, **common)
        control = tag("label", tag("div", label, small), inner)
        if field["nullable"]:
            # Its name says which field has no value while it is checked.
            none = tag("input", type="checkbox", data_none=field["name"], checked=field["none"])
            control = tag(
                "div", control, tag("label", none, Markup("&nbsp;"), "None", style="font-size:12px")
            )
    return tag(
        "div",
        control,
        tag("div", field["help"], style=f"{SOFT};font-size:12px") if field["help"] else None,
        tag("div", wrong, role="alert", style=f"{beside('bad')};font-size:13px") if wrong else None,
        style="margin-top:12px",
    )
