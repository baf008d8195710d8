"""Text that is safe to print: no control character of somebody else's reaches the terminal. Draws nothing."""

from __future__ import annotations

from typing import Final

#: `str.isprintable` refuses these, and every script needs them: joiners inside words and emoji.
_JOINERS: Final = "\u200c\u200d"


def printable(text: str) -> str:
    r"""Return one line that is safe to print.

    Args:
        text: Any text.

    Returns:
        The text with every character that cannot be seen, line ends too, as an escape like ``\x1b``.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in _JOINERS else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return " " if character in "\t\xa0\u3000" else character.encode("unicode_escape").decode()


def printable_lines(text: str) -> list[str]:
    """Return the lines of a text, each safe to print.

    Args:
        text: Any text.

    Returns:
        Its lines, without the empty ones at its end.
    """
    lines = [printable(line) for line in text.replace("\r\n", "\n").split("\n")]
    while lines and not lines[-1].strip():
        lines.pop()
    return lines
