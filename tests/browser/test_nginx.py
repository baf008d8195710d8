"""The dashboards behind nginx in a folder of a site, as `docs/nginx.md` configures it: a live page and its links."""

from __future__ import annotations

import re
import shlex
import sys

import httpx
import pytest

from tests.reliability.nginx import Nginx
from tests.support import ROOT, ServerProcess, free_port

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def documented_command(port: int, origin: str) -> list[str]:
    """Return the command that `docs/nginx.md` gives for the dashboards, on our port, to be reached at our address."""
    text = (ROOT / "docs" / "nginx.md").read_text().replace("\\\n", "")
    (shown,) = re.findall(r"^.* panel serve dashboards (.*)$", text, re.MULTILINE)
    ours = shown.replace("5006", str(port)).replace("jobs.example", origin)
    return [sys.executable, "-m", "panel", "serve", str(ROOT / "dashboards"), *shlex.split(ours)]


def test_in_a_folder_of_a_site_pages_are_live_and_every_link_stays_there(tmp_path, browser):
    streamer_port, port = free_port(), free_port()
    with (
        ServerProcess.streamer(tmp_path, port=streamer_port) as streamer,
        Nginx(tmp_path, "site", streamer=streamer_port, dashboards=port) as nginx,
        ServerProcess(
            documented_command(port, f"127.0.0.1:{nginx.port}"),
            port=port,
            data=tmp_path / "pages",
            ready_path="/progress/dashboards",
            environment={"STREAMER_URL": streamer.url},
            timeout=90,
        ),
    ):
        run = httpx.post(
            f"{nginx.url}/api/pipelines/Count/runs", json={"n": 200, "delay": 0.02}, timeout=60
        ).json()["run"]
        address = f"{nginx.url}/progress/dashboards"
        context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
        page = context.new_page()
        page.set_default_timeout(60_000)
        asked, refused, sockets = [], [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("response", lambda answer: refused.append(answer.url) if answer.status >= 400 else None)
        page.on("websocket", lambda socket: sockets.append(socket.url))
        page.goto(address)
        page.locator(f'a[href*="run={run}"]').first.click()
        page.wait_for_url(f"{address}?run={run}*")
        page.get_by_text("Complete", exact=True).first.wait_for()
        page.get_by_role("button", name="Copy link").click()
        page.get_by_role("button", name="Copied").wait_for()
        assert page.url == page.evaluate("navigator.clipboard.readText()")
        page.goto(f"{address}?start=Count")
        page.get_by_role("button", name="Start", exact=True).click()
        page.wait_for_url(re.compile(rf"{re.escape(address)}\?run=(?!{run})\w+"))
        page.get_by_text(re.compile("Queued|Running|Complete")).first.wait_for()
        context.close()
    assert [] == refused
    assert {f"ws://127.0.0.1:{nginx.port}/progress/dashboards/ws"} == {
        url.partition("?")[0] for url in sockets
    }
    ours = [url for url in asked if url.startswith("http://127.0.0.1")]
    assert len(ours) > 10
    assert [] == [url for url in ours if not url.startswith(f"{nginx.url}/progress/")]
