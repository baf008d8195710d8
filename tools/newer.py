"""Find a newer Python than 3.11 on this machine, and make an environment with it, where the tests run a second time.

pip brings other versions of Panel and Bokeh there: those that need Python 3.12. The environment is `.venv-newer`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: The folder of the environment.
FOLDER = ".venv-newer"
#: The newer Pythons that the project is tested on, the one to prefer first.
VERSIONS = ((3, 12), (3, 13))
#: Modules that a Python built without the right libraries lacks.
MODULES = "ensurepip, sqlite3, ssl, venv"


def is_running() -> bool:
    """Say whether this Python is a newer one itself."""
    return sys.version_info[:2] >= min(VERSIONS)


def find() -> Path | None:
    """Return the path of a newer Python, from the PATH or from pyenv; None when there is none that works."""
    for major, minor in VERSIONS:
        named = shutil.which(f"python{major}.{minor}")
        built = [
            path
            for folder in pyenv_folders()
            for path in sorted((folder / "versions").glob(f"{major}.{minor}.*/bin/python3"))
        ]
        for path in (*([Path(named)] if named else []), *built):
            if works(path, (major, minor)):
                return path
    return None


def pyenv_folders() -> list[Path]:
    """Return the folders where pyenv may keep its Pythons."""
    root = os.environ.get("PYENV_ROOT")
    return [*([Path(root)] if root else []), Path.home() / ".pyenv"]


def works(path: Path, version: tuple[int, int]) -> bool:
    """Say whether a Python runs, has the version and can make environments; pyenv leaves programs that only complain.

    Args:
        path: The interpreter.
        version: Its major and minor version.

    Returns:
        Whether it can be used.

    """
    check = f"import {MODULES}, sys; sys.exit(sys.version_info[:2] != {version})"
    try:
        ended = subprocess.run([path, "-c", check], capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return ended.returncode == 0


def prepare(python: Path) -> Path | None:
    """Bring the environment in step with `pyproject.toml`, which takes a minute the first time and then no time.

    Args:
        python: The newer Python, which makes the environment.

    Returns:
        The environment's interpreter; None when the installation failed, which it has printed.

    """
    command = [str(python), str(ROOT / "tools" / "install.py"), f"--folder={FOLDER}", "test"]
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        return None
    return ROOT / FOLDER / "bin" / "python"
