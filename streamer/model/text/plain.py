r"""Text without escape sequences, control characters and bidi overrides: what names, units, titles and lines show.

An escape sequence that never ends takes away at most itself, never the lines after it. Source of the forms: ECMA-48,
sections 5.3 to 5.6, and xterm's control strings, which end with BEL as well.

Bidi overrides and isolates (Unicode Standard Annex #9, sections 2.1 to 2.4) let a text show in an order that it does
not have, and reach into the text after it. Letters of right-to-left scripts need none of them.
"""

from __future__ import annotations

import re
from typing import Final

#: The controls that end an unfinished control string: a line's end, CAN, SUB, and the next escape sequence.
_ENDS: Final = r"\x07\x18\x1a\x1b\n\r"
#: A control sequence (colours, cursor), a control string (titles, links, images), another escape sequence.
ESCAPES: Final = (
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    rf"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^{_ENDS}]*(?:\x07|\x1b\\|[\x18\x1a])?"
    r"|\x1b[ -/]*[0-~]?"
)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_BIDI: Final = "\u202a-\u202e\u2066-\u2069"
_LEFT_OUT: Final = re.compile(rf"{ESCAPES}|[\x00-\x08\x0b-\x1f\x7f-\x9f{_BIDI}]")
_LINE_ENDS: Final = re.compile(r"\r\n?|[\x0b\x0c\x85]")
_SPACES: Final = re.compile(r"[\t\n\r\x0b\x0c\x85\u2028\u2029]+")
#: One of the characters without which a text is plain already.
_SUSPECT: Final = re.compile(rf"[\x00-\x08\x0b-\x1f\x7f-\x9f{_BIDI}]")


def well_formed(text: str) -> str:
    r"""Return a text that can be written as UTF-8: bytes of a file name that are none show as ``\xe9``.

    Args:
        text: The text; lone surrogates stand for such bytes (PEP 383), or for nothing.
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub(_shown_byte, text)
    return text


def _shown_byte(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


def plain_text(text: str) -> str:
    """Return a text of any number of lines without escape sequences, control characters and bidi overrides.

    Args:
        text: The text. Line ends of other systems become newlines; tabs stay.
    """
    if _SUSPECT.search(text) is None:
        return text
    return _LEFT_OUT.sub("", _LINE_ENDS.sub("\n", text))


def plain_name(text: str) -> str:
    """Return a name, a unit or a title as one line of plain text.

    Args:
        text: The text. Line ends and tabs become blanks.
    """
    if text.isprintable():
        return text
    return _LEFT_OUT.sub("", _SPACES.sub(" ", text))


def plain_line(text: str) -> str:
    """Return a line as a terminal shows it in the end: what a carriage return overwrote is left out, as are colours.

    Args:
        text: One line, without its end.
    """
    return plain_text(text.rstrip("\r").rpartition("\r")[2])
