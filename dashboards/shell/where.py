"""`make_where`: where a reader is, as plain data for the bar of a page. Its script is `bar.js`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from streamer.model import formatting


def make_where(
    crumbs: Sequence[tuple[str, str]], title: str, *, owner: str, query: str, go: str = ""
) -> dict[str, Any]:
    """Return where a reader is: `crumbs` (text, href) lead there, `title` is the window's, `owner` who reads.

    `query` is the address that shows the same; `go` where the page is to go instead, empty: it stays.
    """
    return {
        "crumbs": [[formatting.cut(text, 200), href] for text, href in crumbs],
        "owner": formatting.cut(owner, 100),
        "title": formatting.cut(title, 200),
        "query": query,
        "go": go,
    }
