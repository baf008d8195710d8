"""`streamer dashboards`: the pages from any folder, a URL that is true when it is printed, problems in a sentence."""

from __future__ import annotations

import contextlib
import gc
import http.server
import os
import signal
import socket
import subprocess
import sys
import threading

import httpx
import pytest

from streamer.cli import dashboards
from streamer.cli.errors import UsageError
from streamer.cli.main import main
from tests.support import free_port, wait_until


@contextlib.contextmanager
def page(answer, paths=None):
    """Serve something that answers every request with one status; `paths` gets the paths that were asked for."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if paths is not None:
                paths.append(self.path)
            self.send_response(answer)
            self.end_headers()

        def log_message(self, *arguments):
            """Say nothing."""

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def address(port, *rest, host="127.0.0.1"):
    return dashboards.read_options(host, str(port), rest)


# -- where the pages are -----------------------------------------------------------------------------------------------


def test_by_default_only_this_machine_s_browsers_reach_the_pages():
    found = address(5006)
    assert "http://127.0.0.1:5006/dashboards" == found.url
    assert ("127.0.0.1:5006", "localhost:5006") == found.origins


def test_another_host_is_allowed_and_shown():
    found = address(5006, host="192.0.2.7")
    assert ("http://192.0.2.7:5006/dashboards", ("192.0.2.7:5006",)) == (found.url, found.origins)


def test_the_given_origin_is_shown_and_no_other_is_allowed():
    found = address(80, "--allow-websocket-origin", "jobs.example", host="0.0.0.0")
    assert ("http://jobs.example/dashboards", ()) == (found.url, found.origins)


@pytest.mark.parametrize(
    "rest", [["--prefix", "/ops/", "--ssl-certfile=a"], ["--prefix=ops", "--ssl-certfile", "a"]]
)
def test_prefix_and_certificate_are_part_of_the_url(rest):
    assert "https://127.0.0.1:1/ops/dashboards" == address(1, *rest).url


def test_every_address_is_refused_without_a_name_for_browsers():
    with pytest.raises(UsageError, match=r"--allow-websocket-origin=jobs\.example:5006"):
        address(5006, host="0.0.0.0")


@pytest.mark.parametrize("text", ["", "abc", "0", "65536", "-1", "80 80", "²"])
def test_a_port_that_is_none_is_said_in_a_sentence(text, capsys):
    assert 2 == main(["dashboards", f"--port={text}"])
    said = capsys.readouterr().err
    assert f"streamer: --port: expected a number from 1 to 65535, received {text!r}\n" == said


def test_an_unknown_option_of_another_command_is_refused(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["runs", "--prefix", "x"])
    assert "unrecognized arguments: --prefix x" in capsys.readouterr().err


# -- a port in use -----------------------------------------------------------------------------------------------------


def test_a_port_in_use_is_said_in_a_sentence(capsys):
    with page(404) as port:
        assert 2 == main(["dashboards", "--port", str(port)])
        said = capsys.readouterr().err
    other = port + 1000 if port <= 64535 else port - 1000
    expected = (
        f"port {port} is in use by another program; take another: --port {other} (make run PORT={other})"
    )
    assert f"streamer: {expected}\n" == said


def test_a_port_held_by_something_that_does_not_answer_is_said_as_well(monkeypatch, capsys):
    monkeypatch.setattr(dashboards, "OTHER_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert 2 == main(["dashboards", "--port", str(silent.getsockname()[1])])
    assert "is in use by another program" in capsys.readouterr().err


def test_dashboards_that_run_already_are_named(capsys):
    with page(200) as port:
        assert 2 == main(["dashboards", "--port", str(port)])
    assert (
        f"the dashboards are running already: http://127.0.0.1:{port}/dashboards" in capsys.readouterr().err
    )


def test_a_host_that_is_not_this_machine_s_is_said_in_a_sentence(capsys):
    assert 2 == main(["dashboards", "--host", "192.0.2.7"])
    assert "streamer: cannot listen on 192.0.2.7, port 5006: " in capsys.readouterr().err


# -- the URL -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [200, 302])
def test_the_url_is_printed_when_the_page_answers(answer, capsys):
    with page(answer) as port:
        dashboards.announce(address(port))
    assert f"  http://127.0.0.1:{port}/dashboards\n" in capsys.readouterr().out


def test_the_page_is_looked_for_below_the_prefix():
    paths = []
    with page(200, paths) as port:
        dashboards.announce(address(port, "--prefix=ops"))
    assert ["/ops/dashboards"] == paths


def test_no_url_is_printed_for_a_page_that_fails(capsys):
    with page(500) as port:
        dashboards.announce(address(port))
    said = capsys.readouterr()
    assert "" == said.out
    assert "The page answers with 500" in said.err


@pytest.mark.parametrize("answer", [200, 500])
def test_garbage_is_collected_again_when_the_page_has_answered(answer):
    gc.disable()
    try:
        with page(answer) as port:
            dashboards.announce(address(port))
        assert gc.isenabled()
    finally:
        gc.enable()


# -- missing or hidden -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "module", "said"),
    [
        ("serve", "tornado", "streamer serve needs the server: pip install 'panel-streamer[server]'"),
        (
            "dashboards",
            "panel",
            "streamer dashboards needs the pages: pip install 'panel-streamer[dashboards]'",
        ),
    ],
)
def test_a_missing_extra_is_said_with_the_command_that_installs_it(
    command, module, said, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, module, None)
    assert 2 == main([command])
    assert f"streamer: {said}\n" == capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dashboards.py", "dashboards/__init__.py"])
def test_a_file_of_the_user_s_that_hides_the_pages_is_named(name, tmp_path):
    own = tmp_path / name
    own.parent.mkdir(exist_ok=True)
    own.touch()
    command = [sys.executable, "-m", "streamer", "dashboards"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    named = tmp_path / name.partition("/")[0]
    assert (2, "") == (ended.returncode, ended.stdout)
    assert ended.stderr.startswith(
        f"streamer: {named} hides the package dashboards of panel-streamer: rename it"
    )


# -- served ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_from_any_folder_the_page_answers_when_its_url_is_printed_and_a_signal_ends_it(number, tmp_path):
    port = free_port()
    environment = {
        **os.environ, "STREAMER_PORT": "0", "STREAMER_DATA": str(tmp_path / "data"), "PYTHONUNBUFFERED": "1"
    }  # fmt: skip
    empty = tmp_path / "empty"
    empty.mkdir()
    output = tmp_path / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamer", "dashboards", "--port", str(port), "--session-history=-1"],
            cwd=empty,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://127.0.0.1:{port}/dashboards"
        wait_until(lambda: url in output.read_text() or process.poll() is not None, timeout=60)
        assert process.poll() is None, output.read_text()
        assert 200 == httpx.get(url, timeout=30).status_code, output.read_text()
        process.send_signal(number)
        assert 0 == process.wait(60), output.read_text()
        assert "Traceback" not in output.read_text()
    finally:
        process.kill()
        process.wait(10)
