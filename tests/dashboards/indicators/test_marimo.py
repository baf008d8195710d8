"""Indicators in marimo, by its display protocol: a widget each, and of a layout those of its parts."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from dashboards import RunView as NamedView
from dashboards.indicators import Percent, RunView
from tests.gallery.runs import RUNS


@pytest.fixture(autouse=True)
def marimo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in for marimo, of which tests need no more than these two names."""
    module: Any = SimpleNamespace(
        ui=SimpleNamespace(anywidget=lambda widget: ("widget", widget)), vstack=lambda parts: ("below", parts)
    )
    monkeypatch.setitem(sys.modules, "marimo", module)


def test_an_indicator_is_a_widget_that_follows_it() -> None:
    percent = Percent(RUNS["running"]())
    kind, widget = percent._display_()
    assert ("widget", percent.content) == (kind, widget.content)
    percent.model.update(state=RUNS["complete"]().state)
    assert percent.content == widget.content


def test_a_run_s_view_is_its_parts_one_below_the_other() -> None:
    view = RunView(RUNS["running"]())
    kind, parts = view._display_()
    names = [type(widget).__name__ for _, widget in parts]
    assert "below" == kind
    assert ["NoticeWidget", "StatusWidget", "RunControlsWidget"] == names[:3]
    assert {"PercentWidget", "PhaseBarWidget", "ThroughputWidget", "LogTableWidget"} <= {*names}


def test_the_view_that_notebooks_name_is_the_same_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NamedView, "__panel__", lambda self: RunView(RUNS["running"]()))
    assert "below" == NamedView("7k2m")._display_()[0]
