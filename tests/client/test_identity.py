"""What a process says of itself: the name of its script, its module, or that it has none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SAY = "from streamer.client import identity; print(identity.program())"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["work/load.py"], "load.py"),
        (["-m", "work.load"], "python -m work.load"),
        (["-m", "work"], "python -m work"),
        (["-c", SAY], "python -c"),
        (["-"], "python"),
    ],
    ids=["script", "module", "package", "text", "standard input"],
)
def test_a_program_is_called_as_it_was_started(tmp_path: Path, arguments: list[str], said: str) -> None:
    (tmp_path / "work").mkdir()
    for name in ("__main__.py", "__init__.py", "load.py"):
        (tmp_path / "work" / name).write_text(SAY if name != "__init__.py" else "")
    command = [sys.executable, *arguments]
    ran = subprocess.run(command, cwd=tmp_path, input=SAY, capture_output=True, text=True, check=True)
    assert f"{said}\n" == ran.stdout
