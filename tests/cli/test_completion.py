"""Shell completion: the words that may come next, and its scripts in their shells."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from streamer.cli.completion import complete, install, shell_of
from streamer.cli.errors import UsageError
from streamer.cli.main import main
from streamer.cli.parser import build_parser
from tests.support import ROOT, ServerProcess


def words(line: str) -> list[str]:
    """Return what may stand at the end of a line."""
    parts = line.split(" ")
    return complete(build_parser(), parts, len(parts) - 1)


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMER_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("STREAMER_URL", raising=False)


def test_commands_options_and_their_values_are_offered() -> None:
    assert {"run", "watch", "exec", "dashboards"} <= set(words(""))
    assert ["retry", "run", "runs"] == sorted(words("r"))
    assert ["--status"] == words("runs --st")
    assert ["complete"] == words("runs --status comp")
    assert ["partial"] == words("runs --outcome par")
    assert "--version" in words("--")
    assert "--detach" in words("run Count --")


def test_where_a_file_may_stand_nothing_is_offered() -> None:
    assert [] == words("serve --data ")
    assert [] == words("exec -- ls ")
    assert [] == words("exec ls --")
    assert [] == words("run Count ")


def test_without_a_streamer_names_are_not_waited_for() -> None:
    assert [] == words("run ")
    assert [] == words("watch ")


@pytest.mark.slow
def test_pipelines_parameters_and_runs_are_those_of_the_streamer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ServerProcess.streamer(tmp_path / "server") as server:
        monkeypatch.setenv("STREAMER_URL", server.url)
        assert ["Count"] == words("run Cou")
        assert ["Count"] == words("runs --pipeline Cou")
        assert ["fail=", "fail_at="] == sorted(words("run Count -p fai"))
        subprocess.run(
            [sys.executable, "-m", "streamer", "run", "Count", "-p", "n=1"],
            check=True,
            capture_output=True,
            cwd=ROOT,
        )
        (run,) = words("watch ")
        assert [run] == words("retry ")
        assert [] == words("cancel ")


def test_each_shell_gets_its_script_where_it_looks_for_it(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    assert "bash-completion/completions/streamer" in install("bash", home)
    assert "fish/completions/streamer.fish" in install("fish", home)
    (tmp_path / ".zshrc").write_text("export A=1")
    install("zsh", home)
    assert "" != install("zsh", home)
    # The line is there once.
    assert (
        "export A=1\nfpath+=~/.zfunc; autoload -Uz compinit; compinit\n" == (tmp_path / ".zshrc").read_text()
    )
    assert (tmp_path / ".zfunc/_streamer").read_text().startswith("#compdef streamer\n")


def test_the_shell_is_that_of_the_user_and_another_is_refused() -> None:
    assert "zsh" == shell_of("", {"SHELL": "/bin/zsh"})
    assert "fish" == shell_of("fish", {"SHELL": "/bin/zsh"})
    with pytest.raises(UsageError, match="expected one of bash, zsh, fish, received 'csh'"):
        shell_of("", {"SHELL": "/bin/csh"})


def test_a_shell_asks_by_a_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_STREAMER_COMPLETE", "2")
    assert 0 == main(["streamer", "runs", "--outc"])
    assert "--outcome\n" == capsys.readouterr().out


@pytest.mark.slow
def test_bash_completes_a_command_line(tmp_path: Path) -> None:
    (tmp_path / "streamer").write_text(f'#!/bin/sh\nexec {sys.executable} -m streamer "$@"\n')
    (tmp_path / "streamer").chmod(0o755)
    bash = shutil.which("bash")
    assert bash is not None
    script = (
        'eval "$(streamer --show-completion bash)"\n'
        'COMP_WORDS=(streamer runs --outcome pa); COMP_CWORD=3; _streamer_completion; echo "${COMPREPLY[@]}"\n'
        "complete -p streamer"
    )
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    ended = subprocess.run(
        [bash, "-c", script],
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ["partial", "complete -o default -F _streamer_completion streamer"] == ended.stdout.splitlines()
