"""HTML from values: whatever is not markup of this module's own making is escaped. Knows nothing of runs."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Final

#: Frontends style the links of an output, and not those of a widget. No one colour is legible on every ground.
_LINK: Final = "color:inherit;text-decoration:underline"
_VOID: Final = frozenset({"br", "hr", "input"})


class Markup(str):
    """HTML that `tag` or `join` made."""

    __slots__ = ()


def tag(name: str, /, *children: str | None, **attributes: str | float | bool | None) -> Markup:
    """Return an element. Children that are no `Markup` are text; None is left out, as are attributes of None and False.

    In the attributes' names ``_`` stands for ``-``, and one at the end for nothing.
    """
    parts = [f"<{name}"]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        attribute = key.rstrip("_").replace("_", "-")
        parts.append(
            f" {attribute}" if value is True else f' {attribute}="{html.escape(str(value), quote=True)}"'
        )
    parts.append(">")
    if name not in _VOID:
        parts += [join(children), f"</{name}>"]
    return Markup("".join(parts))


def join(parts: Iterable[str | None], between: str = "") -> Markup:
    """Return the parts one after another, with a text between them."""
    return Markup(
        html.escape(between).join(
            part if isinstance(part, Markup) else html.escape(part) for part in parts if part
        )
    )


def link(href: str, text: str) -> Markup:
    """Return a link that opens beside the notebook; what is no web address stays text.

    Args:
        href: The address.
        text: The link's text.

    """
    if not href.startswith(("http://", "https://")):
        return join([text])
    return tag("a", text, href=href, target="_blank", rel="noopener noreferrer", style=_LINK)
