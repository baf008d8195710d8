"""What the Makefile runs: an environment made once, packages found or fetched, a URL printed when it is true."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading

import pytest

from tests.support import ROOT, wait_until
from tools import install, packages

#: The last step of an installation for `make run`.
RUN = ".[dashboards,examples]"

# -- the environment ---------------------------------------------------------------------------------------------------


class Steps:
    """Stands for the two slow steps of an installation, and says which were taken."""

    def __init__(self, monkeypatch):
        self.taken = []
        monkeypatch.setattr(
            install, "make_environment", lambda folder: self._step("make", folder.mkdir(exist_ok=True))
        )
        monkeypatch.setattr(
            install, "pip_install", lambda folder, arguments: self._step(arguments[-1]) or 1.0
        )
        monkeypatch.setattr(install, "is_usable", lambda folder: folder.exists())

    def _step(self, what, _=None):
        self.taken.append(what)

    def of(self, root, *extras):
        """Install, and return the steps that took; a path is written as a dot."""
        self.taken.clear()
        install.install(root, set(extras))
        return [step.replace(str(root), ".") for step in self.taken]


@pytest.fixture
def steps(monkeypatch):
    return Steps(monkeypatch)


@pytest.fixture
def checkout(tmp_path):
    root = tmp_path / "checkout"
    root.mkdir()
    (root / "pyproject.toml").write_text("[project]")
    return root


def test_the_second_make_installs_nothing_and_says_nothing(steps, checkout, capsys):
    assert ["make", RUN] == steps.of(checkout)
    capsys.readouterr()
    assert [] == steps.of(checkout)
    assert "" == capsys.readouterr().out


def test_a_changed_pyproject_installs_again_in_the_same_environment(steps, checkout):
    steps.of(checkout)
    (checkout / "pyproject.toml").write_text("[project]\nchanged")
    assert [RUN] == steps.of(checkout)


def test_extras_are_added_and_never_taken_away(steps, checkout):
    assert ["make", ".[dashboards,examples,test]"] == steps.of(checkout, "test")
    assert [] == steps.of(checkout)
    assert [".[dashboards,examples,lint,test]"] == steps.of(checkout, "lint")


def test_another_folder_is_an_environment_of_its_own(steps, checkout):
    steps.of(checkout)
    steps.taken.clear()
    install.install(checkout, set(), ".venv-newer")
    assert ["make", RUN] == [step.replace(str(checkout), ".") for step in steps.taken]
    assert (checkout / ".venv-newer" / "installed.json").exists()


def test_a_moved_checkout_gets_a_new_environment(steps, checkout):
    steps.of(checkout, "test")
    moved = checkout.rename(checkout.with_name("moved"))
    assert ["make", RUN] == steps.of(moved)


def test_an_installation_that_was_cut_short_is_done_again(steps, checkout, monkeypatch):
    def broken(folder, arguments):
        raise install.InstallError("no network")

    with monkeypatch.context() as patched:
        patched.setattr(install, "pip_install", broken)
        with pytest.raises(install.InstallError, match="no network"):
            install.install(checkout, set())
    assert ["make", RUN] == steps.of(checkout)


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"'])
def test_a_damaged_stamp_counts_as_none(tmp_path, text):
    (tmp_path / "installed.json").write_text(text)
    assert {} == install.read_stamp(tmp_path / "installed.json")


def test_an_environment_whose_python_is_gone_is_not_usable(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(tmp_path / "python3.9")
    assert not install.is_usable(tmp_path)
    assert install.is_usable(install.Path(sys.prefix))


def fake_pip(folder, script):
    python = folder / "bin" / "python"
    python.parent.mkdir()
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    return folder


def test_a_failing_pip_is_shown_and_explained(tmp_path):
    folder = fake_pip(tmp_path, "echo 'ERROR: No matching distribution'; exit 1")
    with pytest.raises(
        install.InstallError, match=r"(?s)No matching distribution.*could not install.*install\.log"
    ):
        install.pip_install(folder, ["x"])
    assert "ERROR: No matching distribution\n" == (tmp_path / "install.log").read_text()


def test_the_progress_of_pip_is_shown_in_words(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(install, "REPORT_SECONDS", 0.0)
    script = "echo 'Collecting panel>=1.9'; echo 'Installing collected packages: a, b, c'"
    install.pip_install(fake_pip(tmp_path, script), ["x"])
    said = capsys.readouterr().out
    assert "1 packages found, panel>=1.9" in said
    assert "unpacking 3 packages" in said


def test_a_python_that_can_make_no_environment_is_explained(tmp_path, monkeypatch):
    failed = subprocess.CompletedProcess([], 1)
    monkeypatch.setattr(install.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(install.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(install.InstallError, match="apt-get install python3-venv"):
        install.make_environment(tmp_path / ".venv")
    assert not (tmp_path / ".venv").exists()


def test_two_installations_in_one_folder_wait_for_each_other(tmp_path, capsys):
    order = []

    def second():
        with install.locked(tmp_path / "lock"):
            order.append("second")

    with install.locked(tmp_path / "lock"):
        other = threading.Thread(target=second)
        other.start()
        wait_until(lambda: "Waiting for another make" in capsys.readouterr().out)
        order.append("first")
    other.join(10)
    assert ["first", "second"] == order


# -- the system's packages ---------------------------------------------------------------------------------------------

PROGRAMS = {"chromium", "nginx", "node", "npm"}


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine with apt-get and every package but Chromium; returns the commands it was told, and its programs."""
    told = []
    has = {"apt-get", *PROGRAMS} - {"chromium"}

    def command(words, **_):
        told.append(words)
        return subprocess.CompletedProcess(words, 0, stdout="")

    monkeypatch.setattr(packages.shutil, "which", lambda name, path="": name if name in has else None)
    monkeypatch.setattr(packages.subprocess, "run", command)
    monkeypatch.setattr(packages.os, "geteuid", lambda: 0)
    monkeypatch.setattr(packages, "PACKAGES", with_fonts(tmp_path))
    return told, has


def with_fonts(folder):
    """Return the packages with one font, which is there when the folder is."""
    programs = [package for package in packages.PACKAGES if package.is_required]
    return (*programs, packages.Package("fonts-roboto-unhinted", fonts=folder))


def test_a_machine_that_has_all_needs_nothing(machine):
    told, has = machine
    has.add("chromium-browser")
    assert 0 == packages.main()
    assert [] == told


def test_root_installs_missing_programs_and_fonts(machine, monkeypatch, tmp_path):
    told, has = machine
    has.remove("nginx")
    monkeypatch.setattr(packages, "PACKAGES", with_fonts(tmp_path / "none"))
    assert 0 == packages.main()
    assert ["apt-get", "apt-get"] == [words[0] for words in told]
    assert ["chromium", "nginx", "fonts-roboto-unhinted"] == told[1][-3:]


def test_others_install_through_sudo(machine, monkeypatch):
    told, has = machine
    has.add("sudo")
    monkeypatch.setattr(packages.os, "geteuid", lambda: 1000)
    assert 0 == packages.main()
    assert ["sudo", "-n", "true"] == told[0]
    assert ["sudo", "-n"] == told[-1][:2]


def test_without_the_right_to_install_what_is_missing_is_named(machine, monkeypatch, capsys):
    machine[1].remove("npm")
    monkeypatch.setattr(packages.os, "geteuid", lambda: 1000)
    assert 1 == packages.main()
    assert "only root can install. Install by hand: chromium, npm;" in capsys.readouterr().err


def test_missing_fonts_alone_fail_nothing(machine, monkeypatch, tmp_path):
    told, has = machine
    has.add("chromium")
    monkeypatch.setattr(packages.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(packages, "PACKAGES", with_fonts(tmp_path / "none"))
    assert 0 == packages.main()
    assert [] == told


def test_without_apt_what_playwright_cannot_fetch_is_named(machine, monkeypatch, capsys):
    told, has = machine
    has -= {"apt-get", "nginx"}
    monkeypatch.setattr(packages, "playwright_has_browser", lambda: False)
    assert 1 == packages.main()
    assert ["-m", "playwright", "install", "chromium"] == told[0][1:]
    assert "Install by hand: nginx;" in capsys.readouterr().err


# -- the Makefile ------------------------------------------------------------------------------------------------------


def make(*arguments, environment=None):
    ended = subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return ended.returncode, ended.stdout + ended.stderr


def test_make_help_explains_every_target():
    text = (ROOT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    code, said = make("help")
    assert 0 == code
    assert phony.split() == re.findall(r"^  make (\S+) +\S", said, re.MULTILINE)


def test_make_alone_explains_itself():
    assert make("help") == make()


@pytest.fixture
def prepared(tmp_path):
    """A checkout in which all is installed, whose Pythons only say what they are to run; and what `make run` says."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    for path, word in ((python, "runs"), (tmp_path / "python", "asks")):
        path.write_text(f'#!/bin/sh\necho {word} "$@"\n')
        path.chmod(0o755)
    (tmp_path / "pyproject.toml").touch()
    stamp = tmp_path / ".venv" / "installed.json"
    stamp.write_text(json.dumps({"root": str(tmp_path)}))
    os.utime(tmp_path / "pyproject.toml", (1, 1))

    def run():
        command = ["make", "--no-print-directory", "run", f"PYTHON={tmp_path / 'python'}"]
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        return ended.stdout.splitlines()

    return tmp_path, run


def test_make_run_starts_at_once_when_nothing_changed(prepared):
    _, run = prepared
    assert ["runs -m streamer dashboards --port 5006"] == run()


@pytest.mark.parametrize("change", ["pyproject", "python", "folder"])
def test_make_run_asks_what_to_install_when_something_changed(prepared, change):
    folder, run = prepared
    match change:
        case "pyproject":
            os.utime(folder / "pyproject.toml")
            os.utime(folder / ".venv" / "installed.json", (1, 1))
        case "python":
            (folder / ".venv" / "bin" / "python").unlink()
        case "folder":
            (folder / ".venv" / "installed.json").write_text(json.dumps({"root": "/elsewhere"}))
    assert "asks tools/install.py" == run()[0]


def test_a_machine_without_a_new_enough_python_is_told_so(tmp_path):
    (tmp_path / "make").symlink_to(shutil.which("make"))
    (tmp_path / "sh").symlink_to("/bin/sh")
    code, said = make("run", environment={"PATH": str(tmp_path)})
    assert 2 == code
    assert "needs Python 3.11 or newer, and none was found" in said


def test_a_python_that_is_too_old_is_told_so(monkeypatch, capsys):
    monkeypatch.setattr(install.sys, "version_info", (3, 10, 4))
    assert 1 == install.main([])
    assert "needs Python 3.11 or newer" in capsys.readouterr().err
