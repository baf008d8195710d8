"""Where the views are found: as an entry point, by import, or not; and how a notebook's script goes on without."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

import dashboards.notebook
from streamer.model.state import RunState
from streamer.producer import display, views
from tests.support import ROOT


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch):
    """Return a function that says which entry points are installed in the views' group."""

    def install(*found: EntryPoint) -> None:
        monkeypatch.setattr(
            views.importlib.metadata, "entry_points", lambda **wanted: EntryPoints(found).select(**wanted)
        )

    return install


@pytest.fixture
def hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a user's `dashboards.py` first on the path; return it."""
    own = tmp_path / "dashboards.py"
    own.touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [one for one in sys.modules if one.partition(".")[0] == "dashboards"]:
        monkeypatch.delitem(sys.modules, name)
    return own


def test_the_pages_stand_beside_the_streamer() -> None:
    assert ROOT / "dashboards" == views.folder()


def test_an_installed_view_is_found_as_an_entry_point(points) -> None:
    points(EntryPoint("notebook", "tests.support:free_port", views.GROUP))
    assert "free_port" == views.notebook_view().__name__


def test_in_a_checkout_that_is_not_installed_the_view_is_imported(points) -> None:
    points()
    assert dashboards.notebook.show is views.notebook_view()


def test_a_file_of_the_user_s_that_hides_the_views_is_named(hidden) -> None:
    with pytest.raises(
        views.ViewsUnavailable, match=f"^{hidden} hides the package dashboards of panel-streamer"
    ):
        views.notebook_view()


def test_a_missing_package_is_said_with_the_place_it_should_have(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "dashboards", None)
    with pytest.raises(views.ViewsUnavailable, match="not installed: expected it in"):
        views.folder()


def test_a_notebook_whose_views_are_hidden_says_so_once_and_writes_lines(hidden, monkeypatch, capsys) -> None:
    monkeypatch.setattr(display, "in_kernel", lambda: True)
    found = display.display_of(RunState(run="r1"), None, is_there=True)
    assert isinstance(found, display.Lines)
    assert f"streamer: {hidden} hides the package dashboards" in capsys.readouterr().err


def test_a_notebook_waits_until_it_is_known_whether_a_streamer_has_the_run(monkeypatch) -> None:
    monkeypatch.setattr(display, "in_kernel", lambda: True)
    assert display.display_of(RunState(run="r1"), None, is_there=None) is None
