"""A real JupyterLab on the loopback address, with a token, and what a test does in it through Chromium."""

from __future__ import annotations

import contextlib
import json
import secrets
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx
import nbformat

from tests.support import ServerProcess, free_port, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

#: Generous: a machine may be busy with other tests.
PATIENCE_SECONDS = 60.0


class Lab:
    """JupyterLab over a folder of its own. `environment` reaches the kernels."""

    def __init__(self, server: ServerProcess, token: str, root: Path) -> None:
        self.server = server
        self.root = root
        self._token = token

    def write(self, name: str, cells: Sequence[str]) -> Path:
        """Write a notebook of code cells."""
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
        # Without it JupyterLab asks which kernel is meant.
        book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        path = self.root / name
        nbformat.write(book, path)
        return path

    def api(self, method: str, path: str) -> httpx.Response:
        """Ask Jupyter's own API."""
        headers = {"Authorization": f"token {self._token}"}
        return httpx.request(method, self.server.url + path, headers=headers, timeout=PATIENCE_SECONDS)

    @contextlib.contextmanager
    def open(self, browser: Browser, name: str) -> Iterator[Book]:
        """Open a notebook in a browser's tab, and close the tab. The kernel stays."""
        # A workspace of its own for each notebook, so that no tab of another one is restored.
        workspace = Path(name).stem
        context = browser.new_context(viewport={"width": 1200, "height": 1000})
        page = context.new_page()
        page.set_default_timeout(PATIENCE_SECONDS * 1000)
        page.goto(f"{self.server.url}/lab/workspaces/{workspace}/tree/{name}?token={self._token}")
        book = Book(self, page, name)
        book.wait_for_kernel()
        yield book
        context.close()


class Book:
    """An open notebook."""

    def __init__(self, lab: Lab, page: Page, name: str) -> None:
        self.lab = lab
        self.page = page
        self.name = name

    def wait_for_kernel(self) -> None:
        """Return when the notebook is drawn and its kernel is idle."""
        self.page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
        self.kernel("idle")

    def kernel(self, status: str) -> None:
        """Return when the kernel is in a state."""
        sessions = lambda: self.lab.api("GET", "/api/sessions").json()  # noqa: E731
        wait_until(
            lambda: [
                s for s in sessions() if s["path"] == self.name and s["kernel"]["execution_state"] == status
            ],
            timeout=PATIENCE_SECONDS,
            message=f"the kernel is {status}",
        )

    def restart(self) -> None:
        """Restart the kernel, as its user does."""
        self.page.locator(".jp-NotebookPanel-toolbar [data-command='notebook:restart-kernel']").click()
        self.page.locator(".jp-Dialog .jp-mod-accept").click()
        self.kernel("idle")

    def cell(self, index: int) -> Locator:
        """Return a cell."""
        return self.page.locator(".jp-Notebook .jp-CodeCell").nth(index)

    def output(self, index: int) -> Locator:
        """Return a cell's output."""
        return self.cell(index).locator(".jp-OutputArea-output")

    def run(self, index: int) -> None:
        """Start a cell; it may go on for long."""
        self.cell(index).locator(".cm-content").click()
        self.page.keyboard.press("Control+Enter")

    def save(self) -> Any:
        """Ask for the file to be written, which is done soon, and return the file as it is."""
        self.page.keyboard.press("Control+s")
        return nbformat.read(self.lab.root / self.name, as_version=4)


class Work:
    """A run that the test executes, by saying how far it is; a context manager that ends it."""

    def __init__(self, url: str, title: str) -> None:
        self.url = url
        answer = httpx.post(
            f"{url}/api/runs", json={"title": title, "phases": [{"name": "fit"}]}, timeout=60
        ).json()
        self.run: str = answer["run"]
        self._headers = {"Authorization": f"Bearer {answer['token']}", "Content-Type": "application/x-ndjson"}
        self._seq = 0
        self._send(event="phase", phase="fit", phaseStatus="started")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.state()["status"] not in ("complete", "failed", "cancelled"):
            self.end("cancelled")

    def progress(self, done: int) -> None:
        """Say that so much of a hundred is done."""
        self._send(event="progress", phase="fit", done=done, total=100, unit="models")

    def end(self, event: str) -> None:
        """Say that it is over."""
        self._send(event=event)

    def state(self) -> dict[str, Any]:
        """Return what the streamer knows of it."""
        state: dict[str, Any] = httpx.get(f"{self.url}/api/runs/{self.run}", timeout=60).json()
        return state

    def _send(self, **event: Any) -> None:
        self._seq += 1
        line = json.dumps({"seq": self._seq, **event})
        answer = httpx.post(
            f"{self.url}/api/runs/{self.run}/events", content=line, headers=self._headers, timeout=60
        )
        answer.raise_for_status()


@contextlib.contextmanager
def lab(folder: Path, environment: dict[str, str]) -> Iterator[Lab]:
    """Start JupyterLab and end it, with its kernels."""
    root = folder / "books"
    settings = folder / "settings"
    notification = settings / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    notification.parent.mkdir(parents=True)
    notification.write_text(
        json.dumps({"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True})
    )
    root.mkdir()
    token, port = secrets.token_hex(16), free_port()
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        "--allow-root",
        "--ip=127.0.0.1",
        f"--port={port}",
    ]
    command += [
        "--ServerApp.port_retries=0",
        f"--ServerApp.root_dir={root}",
        "--LabApp.extension_manager=readonly",
    ]
    own = {
        "JUPYTER_TOKEN": token,
        "JUPYTERLAB_SETTINGS_DIR": str(settings),
        **{f"JUPYTER_{name}_DIR": str(folder / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")},
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "IPYTHONDIR": str(folder / "ipython"),
        **environment,
    }
    server = ServerProcess(
        command, port=port, data=folder / "data", ready_path="/api", environment=own, timeout=90
    )
    with server:
        yield Lab(server, token, root)
