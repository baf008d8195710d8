"""`Below`: everything that is written to a terminal stays above the rows, whoever writes it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.terminal_support import Terminal

pytestmark = pytest.mark.slow

_LOOP = """
import streamer, time, sys, os, logging, subprocess
{before}
for number in streamer.track(range(8), "Work"):
    {body}
    time.sleep(0.1)  # the work of an item: the bar is drawn meanwhile
"""


def lines_of(tmp_path: Path, body: str, before: str = "") -> list[str]:
    """Return what a terminal shows in the end of a program with that loop's body."""
    program = _LOOP.format(body=body, before=before)
    environment = {**os.environ, "STREAMER_DATA": str(tmp_path), "STREAMER_URL": "http://127.0.0.1:9"}
    with Terminal((sys.executable, "-c", program), environment) as terminal:
        assert 0 == terminal.wait()
        return terminal.lines


EXPECTED = [f"line {number}" for number in range(8)]


@pytest.mark.parametrize(
    ("before", "body"),
    [
        ("logging.basicConfig(level=20, format='%(message)s')", "logging.info('line %d', number)"),
        ("kept = sys.stderr", "print('line', number, file=kept)"),
        ("kept = sys.stdout.write", "print('line', number)"),
        ("from rich.logging import RichHandler; from rich.console import Console",
         "Console().print('line', number)"),
        ("", "number or time.sleep(0.5); print('line', end=' '); sys.stdout.flush(); time.sleep(0.2); print(number)"),
        ("", "pid = os.fork()\n    if not pid: print('line', number, flush=True); os._exit(0)\n    os.waitpid(pid, 0)"),
    ],
    ids=["handler", "kept stream", "print", "rich", "in pieces", "fork"],
)  # fmt: skip
def test_each_line_stays_once_above_the_bar(tmp_path, before, body):
    lines = lines_of(tmp_path, body, before)

    assert [line for line in lines if line.startswith("line")] == EXPECTED
    assert [line for line in lines if line.startswith("Work")] == [
        line for line in lines if line.startswith("Work  complete")
    ]


@pytest.mark.parametrize(
    "body",
    ["os.write(1, b'line %d\\n' % number)", "subprocess.run(['echo', 'line', str(number)])"],
    ids=["descriptor", "child"],
)
def test_no_line_is_lost_that_goes_past_the_outputs_of_python(tmp_path, body):
    lines = lines_of(tmp_path, body)

    # Where two lines come between two drawings, the second one may stand before the rest of a row of the bar.
    assert [line[:6] for line in lines if line.startswith("line")] == EXPECTED


def test_a_bar_of_tqdm_inside_keeps_a_row_of_its_own(tmp_path):
    lines = lines_of(
        tmp_path,
        "for _ in tqdm.tqdm(range(3), desc=f'inner {number}', ncols=60): time.sleep(0.05)",
        "import tqdm",
    )

    # The notice that there is no streamer may come between two drawings of a bar, which then has two rows.
    rows = [line[:7] for line in lines if line.startswith("inner")]
    assert len(rows) <= 9
    assert list(dict.fromkeys(rows)) == [f"inner {number}" for number in range(8)]


def test_printed_lines_go_where_the_output_goes_and_not_to_the_terminal(tmp_path):
    output = tmp_path / "out.txt"
    program = _LOOP.format(before="", body="print('line', number)")
    environment = {**os.environ, "STREAMER_DATA": str(tmp_path), "STREAMER_URL": "http://127.0.0.1:9"}
    command = ("sh", "-c", f'exec "$0" -c "$1" > {output}', sys.executable, program)

    with Terminal(command, environment) as terminal:
        assert 0 == terminal.wait()

    assert EXPECTED == output.read_text().splitlines()


def test_a_terminal_without_control_sequences_gets_lines_alone(tmp_path):
    program = _LOOP.format(before="", body="print('line', number)")
    environment = {**os.environ, "STREAMER_DATA": str(tmp_path), "STREAMER_URL": "http://127.0.0.1:9"}

    with Terminal(("env", "TERM=dumb", sys.executable, "-c", program), environment) as terminal:
        assert 0 == terminal.wait()

    assert b"\x1b" not in terminal.raw
    assert [line for line in terminal.lines if line.startswith("line")] == EXPECTED


def test_a_bar_that_has_ended_leaves_the_outputs_as_they_were(tmp_path):
    program = _LOOP.format(before="", body="pass") + "streamer.run('x')\nprint('write' in vars(sys.stdout))"
    ended = subprocess.run(
        (sys.executable, "-c", program), env={**os.environ, "STREAMER_DATA": str(tmp_path)}, cwd=ROOT,
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert "False\n" == ended.stdout
