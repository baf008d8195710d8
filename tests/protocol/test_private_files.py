"""The data folder and its files are their owner's alone."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from streamer.protocol.private_files import create_private, make_private, private_opener


def modes(folder: Path) -> dict[str, int]:
    found = {str(path.relative_to(folder)): stat.S_IMODE(path.lstat().st_mode) for path in folder.rglob("*")}
    return {".": stat.S_IMODE(folder.stat().st_mode), **found}


def test_what_was_open_to_others_is_closed_and_that_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data, outside = tmp_path / "data", tmp_path / "outside"
    (data / "spool").mkdir(parents=True)
    outside.write_text("")
    outside.chmod(0o644)
    for path, mode in ((data / "log.sqlite", 0o644), (data / "spool" / "x", 0o666), (data / "run.sh", 0o755)):
        path.write_text("")
        path.chmod(mode)
    (data / "link").symlink_to(outside)
    data.chmod(0o755)
    (data / "spool").chmod(0o755)
    make_private(data)
    assert 1 == caplog.text.count("5 folders and files in it are its owner's alone now")
    found = modes(data)
    assert {".": 0o700, "spool": 0o700, "log.sqlite": 0o600, "spool/x": 0o600, "run.sh": 0o700} == {
        name: mode for name, mode in found.items() if name != "link"
    }
    assert 0o644 == stat.S_IMODE(outside.stat().st_mode)
    caplog.clear()
    make_private(data)
    assert "" == caplog.text


def test_a_folder_that_its_owner_opened_to_a_group_stays_open_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "log.sqlite").write_text("")
    (data / "log.sqlite").chmod(0o660)
    data.chmod(0o770)
    make_private(data)
    assert "is open to a group" in caplog.text
    assert {".": 0o770, "log.sqlite": 0o660} == modes(data)


def test_new_folders_and_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    data = tmp_path / "a" / "data"
    make_private(data)
    create_private(data / "one")
    with open(data / "two", "w", opener=private_opener) as file:
        file.write("x")
    create_private(data / "two")
    assert {".": 0o700, "one": 0o600, "two": 0o600} == modes(data)
    assert "x" == (data / "two").read_text()
