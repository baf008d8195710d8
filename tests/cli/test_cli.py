"""The command line as a person and as a program use it: real processes, a real streamer, a terminal of their own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from streamer.cli.errors import UsageError
from streamer.cli.main import main
from streamer.cli.parameters import read_parameters, read_value
from streamer.client.client import Offer
from tests.support import ROOT, ServerProcess, wait_until
from tests.terminal_support import Terminal

COMMAND = (sys.executable, "-m", "streamer")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess.streamer(tmp_path_factory.mktemp("cli")) as server:
        yield server


@pytest.fixture(autouse=True)
def places_for_the_next_test(request: pytest.FixtureRequest) -> Iterator[None]:
    """Cancel what a test leaves running: there are as few places as processors."""
    yield
    if "server" in request.fixturenames:
        server = request.getfixturevalue("server")
        for run in httpx.get(f"{server.api_url}/api/runs?status=running,queued", timeout=60).json()["runs"]:
            httpx.post(f"{server.api_url}/api/runs/{run['run']}/cancel", timeout=60)


def call(server: ServerProcess, *arguments: str, timeout: float = 60.0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        check=False,
        cwd=ROOT,
        env=server.environment,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def terminal(server: ServerProcess, *arguments: str, **options: Any) -> Terminal:
    return Terminal([*COMMAND, *arguments], server.environment, **options)


def state_of(server: ServerProcess, run: str) -> dict[str, Any]:
    answer: dict[str, Any] = httpx.get(f"{server.api_url}/api/runs/{run}", timeout=60).json()
    return answer


def start(server: ServerProcess, **parameters: Any) -> str:
    answer = httpx.post(f"{server.api_url}/api/pipelines/Count/runs", json=parameters, timeout=60)
    return str(answer.json()["run"])


# -- in a pipe ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_run_in_a_pipe_says_one_line_for_each_change_and_exits_with_0(server):
    done = call(server, "run", "Count", "-p", "n=3", "-p", "delay=0")
    lines = done.stdout.splitlines()
    assert 0 == done.returncode, done.stderr
    assert lines[0].startswith("run ")
    assert any("phase      count started" in line for line in lines)
    assert any("complete" in line for line in lines)
    assert "\x1b" not in done.stdout


@pytest.mark.slow
def test_run_with_json_says_entries_that_fold_to_the_runs_state(server):
    done = call(server, "run", "Count", "-p", "n=3", "-p", "delay=0", "-p", "fail_at=2", "--json")
    entries = [json.loads(line) for line in done.stdout.splitlines()]
    assert list(range(1, len(entries) + 1)) == [entry["seq"] for entry in entries]
    assert "status" == entries[0]["event"]
    assert ("complete", 1, 2) == (
        entries[-1]["event"], entries[-1]["results"]["failed"], entries[-1]["results"]["success"]
    )  # fmt: skip
    assert 0 == done.returncode


@pytest.mark.slow
def test_a_run_that_fails_exits_with_1_and_shows_the_traceback(server):
    done = call(server, "run", "Count", "-p", "n=3", "-p", "delay=0", "-p", "fail=true")
    assert 1 == done.returncode
    assert "Traceback (most recent call last):" in done.stdout


@pytest.mark.slow
def test_a_run_that_is_cancelled_elsewhere_exits_with_130(server):
    run = start(server, n=10_000, delay=0.01)
    watching = subprocess.Popen(
        [*COMMAND, "watch", run], cwd=ROOT, env=server.environment, stdout=subprocess.PIPE, text=True
    )
    with watching:
        assert watching.stdout is not None
        assert watching.stdout.readline().startswith(f"run {run}")
        assert "cancelling" in call(server, "cancel", run).stdout
        assert 130 == watching.wait(60)
        assert "cancelled" in watching.stdout.read()


@pytest.mark.slow
def test_interrupted_in_a_pipe_it_cancels_its_run(server):
    running = subprocess.Popen(
        [*COMMAND, "run", "Count", "-p", "n=10000", "-p", "delay=0.01"],
        cwd=ROOT, env=server.environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with running:
        assert running.stdout is not None
        run = running.stdout.readline().split()[1]
        wait_until(lambda: state_of(server, run)["status"] == "running")
        running.send_signal(signal.SIGINT)
        assert 130 == running.wait(60)
    assert "cancelled" == state_of(server, run)["status"]


@pytest.mark.slow
def test_detached_it_says_the_id_and_leaves_and_the_run_goes_on(server):
    done = call(server, "run", "Count", "-p", "n=2", "-p", "delay=0", "--detach")
    run = done.stdout.strip()
    assert 0 == done.returncode
    wait_until(lambda: state_of(server, run)["status"] == "complete", timeout=60)


@pytest.mark.slow
def test_runs_are_listed_newest_first_and_as_json(server):
    first, second = start(server, n=1, delay=0), start(server, n=1, delay=0)
    shown = call(server, "runs", "--pipeline", "Count").stdout
    assert shown.index(second) < shown.index(first)
    listed = [
        json.loads(line)["run"] for line in call(server, "runs", "--json", "--limit", "2").stdout.splitlines()
    ]
    assert [second, first] == listed


@pytest.mark.slow
def test_pipelines_are_listed_with_their_parameters(server):
    shown = call(server, "pipelines").stdout
    assert "ImportPrices" in shown
    assert "    -p n=100  How far to count." in shown


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "Nonesuch"], "no pipeline 'Nonesuch'; on offer: "),
        (["run", "Count", "-p", "n=0"], "n: "),
        (["run", "Count", "-p", "nonesuch=1"], "Count has no such parameter"),
        (["watch", "nonesuch"], "nonesuch"),
        (["cancel", "nonesuch"], "nonesuch"),
        (["runs", "--url", "http://127.0.0.1:9"], "start one with `streamer serve`"),
    ],
)
def test_what_cannot_be_done_is_said_with_exit_code_2(server, arguments, said):
    done = call(server, *arguments)
    assert (2, "") == (done.returncode, done.stdout)
    assert said in done.stderr
    assert "Traceback" not in done.stderr


# -- in a terminal -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_in_a_terminal_of_60_columns_bars_move_below_the_log_and_agree_with_the_streamer(server):
    with terminal(server, "run", "Count", "-p", "n=400", "-p", "delay=0.01", columns=60, rows=24) as shown:
        shown.wait_for("of 400 items")
        early = shown.text
        assert 0 == shown.wait()
        late = shown.text
    assert "100 %" not in early
    assert "100 %" in late
    assert all(len(line) <= 60 for line in shown.lines)
    (run,) = httpx.get(f"{server.api_url}/api/runs?limit=1", timeout=60).json()["runs"]
    assert run["results"] == {"success": 400, "failed": 0}
    assert "400 succeeded" in late


@pytest.mark.slow
def test_a_terminal_that_is_resized_is_drawn_anew_in_its_new_width(server):
    with terminal(server, "run", "Count", "-p", "n=100000", "-p", "delay=0.01", columns=120) as shown:
        shown.wait_for("of 100,000 items ·")
        shown.resize(40, 24)
        wait_until(
            lambda: any(
                line.startswith("━") and line.endswith("%") and len(line) <= 40 for line in shown.lines
            ),
            message=lambda: shown.text,
        )
        shown.type("\x03")
        shown.wait_for("Cancel the run (c)")
        shown.type("c\r")
        assert 130 == shown.wait()


@pytest.mark.slow
def test_without_colour_nothing_is_coloured(server):
    environment = {**server.environment, "NO_COLOR": "1"}
    with Terminal([*COMMAND, "run", "Count", "-p", "n=5", "-p", "delay=0.01"], environment) as shown:
        assert 0 == shown.wait()
    assert b"\x1b[3" not in shown.raw.replace(b"\x1b[3m", b"")  # italics are no colour
    assert "complete" in shown.text


@pytest.mark.slow
def test_ctrl_c_asks_and_leaving_lets_the_run_go_on(server):
    with terminal(server, "run", "Count", "-p", "n=100000", "-p", "delay=0.01") as shown:
        shown.wait_for("of 100,000 items")
        shown.type("\x03")
        shown.wait_for("Cancel the run (c)")
        shown.type("l\r")
        assert 130 == shown.wait()
        assert "goes on: streamer watch" in shown.text
    (run,) = httpx.get(f"{server.api_url}/api/runs?limit=1", timeout=60).json()["runs"]
    assert "running" == run["status"]
    # Watching it again does not end it either.
    with terminal(server, "watch", run["run"]) as again:
        again.wait_for("of 100,000 items")
        again.type("\x03")
        assert 130 == again.wait()
    assert "running" == state_of(server, run["run"])["status"]
    assert 0 == call(server, "cancel", run["run"]).returncode


@pytest.mark.slow
def test_the_question_of_ctrl_c_stays_until_it_is_answered(server):
    with terminal(server, "run", "Count", "-p", "n=100000", "-p", "delay=0.01", "-p", "fail_at=1") as shown:
        shown.wait_for("of 100,000 items")
        shown.type("\x03")
        shown.wait_for("Cancel the run (c)")
        asked = len(shown.raw)
        # Another Ctrl-C and an answer that is none ask it again. Nothing is drawn over it meanwhile.
        for keys in ("\x03", "x\r", "\x03"):
            before = shown.raw.count(b"Cancel the run (c)")
            shown.type(keys)
            wait_until(lambda before=before: shown.raw.count(b"Cancel the run (c)") > before)
        assert b"of 100,000 items" not in shown.raw[asked:]
        assert shown.lines[-1].startswith("Cancel the run (c)") or "Cancel the run (c)" in shown.text
        shown.type("\r")
        wait_until(lambda: b"of 100,000 items" in shown.raw[asked:])
        shown.type("\x03")
        wait_until(lambda: shown.raw.count(b"Cancel the run (c)") == 5)
        shown.type("c\r")
        assert 130 == shown.wait()
    assert "cancelled" in shown.text


@pytest.mark.slow
def test_failed_items_stand_above_the_bars_and_once_more_at_the_end(server):
    with terminal(server, "run", "Count", "-p", "n=5", "-p", "delay=0.01", "-p", "fail_at=3") as shown:
        assert 0 == shown.wait()
        assert "complete, 1 of 5 failed" in shown.text
        assert "failed in count: 3: " in shown.text


# -- mistakes ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("runs", "--status", "over"), "streamer: status: expected some of queued, "),
        (("runs", "--outcome", "over"), "streamer: outcome: expected some of complete, partial, "),
        (("run", "Count", "-p", "n=-1"), "streamer: n: "),
    ],
)
def test_a_mistake_has_one_message_that_names_its_field_once(server, words, said):
    ended = call(server, *words)
    assert 2 == ended.returncode
    assert ended.stderr.startswith(said)
    assert 1 == len(ended.stderr.splitlines())
    assert 1 == ended.stderr.count(f"{said.split()[1]} ")


@pytest.mark.slow
def test_serve_says_whether_the_port_or_the_folder_cannot_be_used(server, tmp_path):
    port = server.url.rpartition(":")[2]
    ended = call(server, "serve", "--port", port, "--data", str(tmp_path / "data"))
    assert (
        2,
        f"streamer: cannot listen on 127.0.0.1:{port}: another program does; take another port with --port\n",
    ) == (
        ended.returncode,
        ended.stderr,
    )
    (tmp_path / "file").write_text("")
    ended = call(server, "serve", "--port", "0", "--data", str(tmp_path / "file" / "data"))
    assert 2 == ended.returncode
    assert ended.stderr.startswith(f"streamer: cannot use {tmp_path / 'file' / 'data'}: ")
    assert "listen" not in ended.stderr


# -- parameters --------------------------------------------------------------------------------------------------------

OFFER = Offer(
    name="P",
    title="P",
    doc="",
    phases=[],
    schema={"properties": {"n": {"type": "integer"}, "name": {"type": "string"}, "on": {"type": "boolean"}}},
)


def test_texts_are_read_by_the_parameters_types():
    assert {"n": 3, "name": "3", "on": True} == read_parameters(OFFER, ["n=3", "name=3", "on=yes"])


@pytest.mark.parametrize("text", ["n", "=3", "m=3"])
def test_a_parameter_that_is_none_is_refused_by_name(text):
    with pytest.raises(UsageError, match=text.partition("=")[0] or "NAME=VALUE"):
        read_parameters(OFFER, [text])


def test_a_parameter_given_twice_is_refused():
    with pytest.raises(UsageError, match="twice"):
        read_parameters(OFFER, ["n=1", "n=2"])


def test_null_is_none_where_it_is_allowed_and_a_text_elsewhere():
    assert [None, "null"] == [
        read_value({"type": ["string", "null"]}, "null"),
        read_value({"type": "string"}, "null"),
    ]


def test_what_is_no_json_goes_as_it_is_and_the_streamer_says_what_is_wrong():
    assert "many" == read_value({"type": "integer"}, "many")


def test_without_a_command_it_prints_its_help_and_exits_with_0(capsys):
    assert 0 == main([])
    said = capsys.readouterr().out
    for name in ("serve", "run", "watch", "runs", "pipelines", "cancel", "exec", "retry", "send"):
        assert f"\n    {name}" in said


def test_the_command_is_installed():
    assert (Path(sys.executable).parent / "streamer").exists()


@pytest.mark.slow
def test_estimate_says_how_long_a_run_takes_once_one_has_completed(tmp_path):
    with ServerProcess.streamer(tmp_path) as server:
        before = call(server, "estimate", "Count", "-p", "n=7")
        assert (0, "Duration not known yet: no earlier run has completed\n") == (
            before.returncode,
            before.stdout,
        )
        assert 0 == call(server, "run", "Count", "-p", "n=7", "-p", "delay=0").returncode
        after = call(server, "estimate", "Count", "-p", "n=7", "-p", "delay=0")
        assert after.stdout.startswith("Usually ")
        assert after.stdout.endswith(", from 1 earlier run\n")
        usual = json.loads(call(server, "estimate", "Count", "-p", "n=7", "--json").stdout)
        assert {"duration", "runs", "basis"} == set(usual)


def test_estimate_takes_a_pipeline_or_recorded_runs(capsys):
    assert 2 == main(["estimate"])
    assert "expected a pipeline, or recorded runs" in capsys.readouterr().err
