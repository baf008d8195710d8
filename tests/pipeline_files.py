"""Files of pipelines that tests write and import."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

import pytest


@contextmanager
def own_imports(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give a test its own `sys.path`, and forget the modules that it imported from its folder."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(folder)):
            del sys.modules[name]


def source(*names: str, doc: str = "", before: str = "") -> str:
    """Return the text of a module with these pipelines."""
    classes = [
        f'class {name}(Pipeline):\n    """{doc or name}."""\n    @phase(weight=2)\n    def go(self): return 1\n'
        for name in names
    ]
    return "\n".join(["from streamer import Pipeline, phase", dedent(before), *classes])


def write(path: Path, *names: str, **more: str) -> str:
    """Write a module with these pipelines; return its path as text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source(*names, **more))
    return str(path)
