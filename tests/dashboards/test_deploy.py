"""The ways to serve the pages: each has the properties that `docs/deploy.md` gives it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import httpx
import psutil
import pytest

from tests.support import ROOT, ServerProcess, free_port, wait_until

pytestmark = pytest.mark.slow

WAYS: Final = ("streamer dashboards", "panel serve")


def served(
    way: str, folder: Path, *options: str, path: str = "/dashboards", address: bool = True
) -> ServerProcess:
    """Prepare the pages, served in one of the ways."""
    port, api = free_port(), free_port()
    if way == "panel serve":
        command = [sys.executable, "-m", "panel", "serve", str(ROOT / "dashboards"), "--port", str(port)]
        command += ["--address", "127.0.0.1"] if address else []
    else:
        command = [sys.executable, "-m", "streamer", "dashboards", "--port", str(port)]
    return ServerProcess(
        [*command, *options],
        port=port,
        data=folder / "data",
        ready_path=path,
        environment={"STREAMER_PORT": str(api)},
        api_url=f"http://127.0.0.1:{api}",
        page_path=path,
        timeout=90,
    )


@pytest.mark.parametrize("way", WAYS)
def test_the_streamer_is_in_the_process_and_both_end_cleanly(way: str, tmp_path: Path) -> None:
    with served(way, tmp_path) as server:
        assert 200 == httpx.get(f"{server.api_url}/api/health/ready", timeout=60).status_code
        known = httpx.get(f"{server.api_url}/api/pipelines", timeout=60).json()["pipelines"]
        assert "Count" in {one["name"] for one in known}
        started = httpx.post(f"{server.api_url}/api/pipelines/Count/runs", json={"n": 1}, timeout=60).json()
        assert started["page"].endswith(f":{server.port}/dashboards?run={started['run']}")
        assert (server.data / "streamer.json").exists()
        assert server.process is not None
        server.process.terminate()
        assert 0 == server.process.wait(60)
        assert not (server.data / "streamer.json").exists()
        assert "Traceback" not in server.output()


@pytest.mark.parametrize("way", WAYS)
def test_a_name_that_nobody_allowed_gets_no_page(way: str, tmp_path: Path) -> None:
    with served(way, tmp_path) as server:
        rebound = {"Host": f"rebound.example:{server.port}"}
        assert "Not served" in httpx.get(f"{server.url}/dashboards", headers=rebound, timeout=60).text
        assert "Not served" not in httpx.get(f"{server.url}/dashboards", timeout=60).text


@pytest.mark.parametrize("way", WAYS)
def test_other_machines_get_no_page_by_default(way: str, tmp_path: Path) -> None:
    others = [
        one.address
        for addresses in psutil.net_if_addrs().values()
        for one in addresses
        if one.family.name == "AF_INET" and not one.address.startswith("127.")
    ]
    with served(way, tmp_path, address=False) as server:
        assert "Not served" not in httpx.get(f"{server.url}/dashboards", timeout=60).text
        for other in others:
            try:
                answer = httpx.get(f"http://{other}:{server.port}/dashboards", timeout=60)
            except httpx.ConnectError:
                continue
            assert "Not served" in answer.text


@pytest.mark.parametrize("way", WAYS)
def test_pages_have_a_prefix(way: str, tmp_path: Path) -> None:
    with served(way, tmp_path, "--prefix", "jobs", path="/jobs/dashboards") as server:
        assert 200 == httpx.get(f"{server.url}/jobs/dashboards", timeout=60).status_code
        started = httpx.post(f"{server.api_url}/api/pipelines/Count/runs", json={"n": 1}, timeout=60).json()
        assert f":{server.port}/jobs/dashboards?run=" in started["page"]


@pytest.mark.parametrize("way", WAYS)
def test_pages_have_a_login(way: str, tmp_path: Path) -> None:
    login = ("--basic-auth", "secret", "--cookie-secret", "for a test alone")
    with served(way, tmp_path, *login, path="/login") as server:
        answer = httpx.get(f"{server.url}/dashboards", timeout=60)
        assert (302, "login") == (
            answer.status_code,
            answer.headers["location"].partition("?")[0].strip("./"),
        )


@pytest.mark.parametrize("way", WAYS)
def test_several_processes_share_one_streamer(way: str, tmp_path: Path) -> None:
    with served(way, tmp_path, "--num-procs", "2") as server:
        wait_until(lambda: httpx.get(f"{server.api_url}/api/health/ready", timeout=60).status_code == 200)
        for _ in range(8):
            page = httpx.get(f"{server.url}/dashboards", timeout=60)
            assert (200, False) == (page.status_code, "Not served" in page.text)
        assert server.process is not None
        assert len(psutil.Process(server.process.pid).children()) >= 1
