"""Texts within a bound: cut with a note, well-formed Unicode, and the text of any object. It knows no event."""

from __future__ import annotations

from streamer.model.text.plain import well_formed


def cut(text: str, limit: int) -> str:
    """Return `text` within `limit` characters, well-formed Unicode; what was cut away is said at its end."""
    if len(text) > limit:
        text = f"{text[: max(limit - 60, 0)]} … [cut: {len(text):,} characters in all]"
    return well_formed(text)


def cut_middle(text: str, limit: int) -> str:
    """Cut a traceback in its middle: its first lines say where it began, its last what went wrong.

    Args:
        text: The text.
        limit: Most characters of what is returned.

    """
    if len(text) > limit:
        half = max((limit - 60) // 2, 0)
        text = f"{text[:half]}\n… [cut: {len(text):,} characters in all] …\n{text[len(text) - half :]}"
    return cut(text, limit)


def text_or_nothing(value: object) -> str:
    """Return an object's text; empty when it cannot be shown.

    Args:
        value: Any object; its class may raise anything when it is asked.

    """
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - an exception of a user's own may fail at anything
        return ""


def text_of(value: object) -> str:
    """Return an object's text, or what it is when it cannot be shown.

    Args:
        value: Any object; its class may raise anything when it is asked.

    Returns:
        The text, of any length.

    """
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - somebody else's __str__
        return f"<{type(value).__name__} without a text: {type(error).__name__}>"
