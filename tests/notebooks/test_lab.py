"""The views in a real JupyterLab in Chromium: while a cell runs, after a reload, after a restart, and in the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.notebooks.lab import PATIENCE_SECONDS, Book, Lab, Work, lab
from tests.support import ServerProcess, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Locator

pytestmark = [pytest.mark.notebook, pytest.mark.browser, pytest.mark.slow]

#: Keeps the kernel's only thread, without letting its event loop run, until the file is there.
BUSY = "from pathlib import Path\nwhile not Path('{name}').exists():\n    pass"


@pytest.fixture(scope="module")
def streamer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess.streamer(tmp_path_factory.mktemp("streamer")) as server:
        yield server


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory: pytest.TempPathFactory, streamer: ServerProcess) -> Iterator[Lab]:
    with lab(tmp_path_factory.mktemp("lab"), {"STREAMER_URL": streamer.url}) as running:
        yield running


@pytest.fixture
def work(streamer: ServerProcess) -> Iterator[Work]:
    with Work(streamer.url, "Fit <models>") as registered:
        yield registered


def view_of(run: str) -> str:
    return f"from dashboards import RunView\nRunView({run!r})"


def shows(book: Book, index: int, percent: int) -> Locator:
    """Return a cell's bar once it is there."""
    bar = book.output(index).locator(f"[role=progressbar][aria-valuenow='{percent}']")
    bar.wait_for()
    return bar


def says(book: Book, index: int, text: str, *, exact: bool = False) -> None:
    """Return when a cell's output says something; `exact`: when one element says this and nothing else."""
    book.output(index).get_by_text(text, exact=exact).first.wait_for()


def left_in(book: Book, index: int, text: str) -> Any:
    """Save until the file's output says something; return the output's data."""

    def saved() -> Any:
        outputs = book.save().cells[index].outputs
        return outputs[0].data if outputs and text in outputs[0].data["text/plain"] else None

    message = f"the file says {text}"
    # While the file is being written, it may be read half.
    return wait_until(saved, timeout=PATIENCE_SECONDS, interval=0.2, message=message, ignore=(ValueError,))


def test_a_bar_moves_and_cancel_works_while_a_cell_runs(jupyter: Lab, browser: Browser, work: Work):
    work.progress(10)
    jupyter.write("busy.ipynb", [view_of(work.run), BUSY.format(name="busy.end")])
    with jupyter.open(browser, "busy.ipynb") as book:
        book.run(0)
        shows(book, 0, 10)
        book.run(1)
        book.kernel("busy")
        work.progress(55)
        shows(book, 0, 55)
        asked = []
        book.page.on("request", lambda request: asked.append((request.method, request.url)))
        book.output(0).get_by_role("button", name="Cancel", exact=True).click()
        book.output(0).get_by_role("button", name="Cancel run").click()
        says(book, 0, "Cancelling")
        assert "cancelling" == work.state()["status"]
        assert ("POST", f"{work.url}/api/runs/{work.run}/cancel") in asked
        work.end("cancelled")
        says(book, 0, "Cancelled", exact=True)
        book.kernel("busy")
        (jupyter.root / "busy.end").touch()


def test_a_tab_that_is_closed_and_opened_again_attaches_again(jupyter: Lab, browser: Browser, work: Work):
    work.progress(20)
    jupyter.write("again.ipynb", [view_of(work.run)])
    with jupyter.open(browser, "again.ipynb") as book:
        book.run(0)
        shows(book, 0, 20)
        data = left_in(book, 0, "20 %")
        assert "application/vnd.jupyter.widget-view+json" in data
    work.progress(40)
    with jupyter.open(browser, "again.ipynb") as book:
        shows(book, 0, 40)
        work.progress(60)
        shows(book, 0, 60)


def test_a_kernel_that_is_restarted_shows_the_run_as_it_is_by_then(
    jupyter: Lab, browser: Browser, work: Work
):
    work.progress(20)
    jupyter.write("restart.ipynb", [view_of(work.run)])
    with jupyter.open(browser, "restart.ipynb") as book:
        book.run(0)
        shows(book, 0, 20)
        book.restart()
        work.progress(70)
        book.run(0)
        shows(book, 0, 70)


def test_a_form_starts_a_pipeline_and_shows_its_run(jupyter: Lab, browser: Browser):
    jupyter.write(
        "form.ipynb",
        ["from dashboards import RunsView, StartForm\nStartForm('Count')", "RunsView(pipeline='Count')"],
    )
    with jupyter.open(browser, "form.ipynb") as book:
        book.run(0)
        field = book.output(0).locator("[name=n]")
        field.fill("none")
        field.press("Enter")
        says(book, 0, "Expected a whole number.")
        field.fill("3")
        book.output(0).get_by_role("button", name="Start").click()
        says(book, 0, "Complete", exact=True)
        book.run(1)
        says(book, 1, "Complete", exact=True)
        assert "<form" not in (jupyter.root / "form.ipynb").read_text()


def test_what_is_left_in_the_file_is_the_last_state_as_plain_html(jupyter: Lab, browser: Browser, work: Work):
    work.progress(30)
    jupyter.write("left.ipynb", [view_of(work.run)])
    with jupyter.open(browser, "left.ipynb") as book:
        book.run(0)
        shows(book, 0, 30)
        data = left_in(book, 0, "30 %")
        assert "Fit &lt;models&gt;" in data["text/html"]
        work.progress(50)
        left_in(book, 0, "50 %")
        work.end("complete")
        data = left_in(book, 0, "100 %")
        assert {"text/html", "text/plain"} == data.keys()
        assert "Fit <models> · Complete · 100 %" in data["text/plain"]
        assert f'href="{work.url}/api/runs/{work.run}"' in data["text/html"]
        assert "As of " in data["text/html"]
        file = (jupyter.root / "left.ipynb").read_text()
        assert [] == [part for part in ("<script", "<style", "<img", "ticket") if part in file]
        says(book, 0, "Complete", exact=True)
