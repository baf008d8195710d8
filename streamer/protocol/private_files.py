"""Folders and files that are their owner's alone: made so, or made so again. It reads none of them.

They hold log lines, parameters and results. A folder that its owner opened to a group, by letting it write there, stays
as it is.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

logger = logging.getLogger(__name__)

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600
#: The permissions of others than the owner.
_OTHERS: Final = 0o077


def make_private(folder: Path) -> None:
    """Make a folder where there is none, and take the permissions of others from it and from all that is in it.

    The log says once how many were open to others. A folder in which a group may write stays open, with a warning.

    Args:
        folder: The data folder.

    Raises:
        OSError: If the folder cannot be made. A file that cannot be changed stays as it is, with a warning.

    """
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    if folder.stat().st_mode & stat.S_IWGRP:
        logger.warning("%s is open to a group, as are the logs, parameters and results in it", folder)
        return
    mended = failed = 0
    for path, mode in _open_to_others(folder):
        try:
            path.chmod(FOLDER_MODE if stat.S_ISDIR(mode) else FILE_MODE | mode & stat.S_IXUSR)
            mended += 1
        except OSError:
            failed += 1
    if mended:
        logger.warning(
            "%s was open to others: %d folders and files in it are its owner's alone now", folder, mended
        )
    if failed:
        logger.warning(
            "%s: %d folders and files in it stay open to others, as they are not ours", folder, failed
        )


def create_private(path: Path) -> None:
    """Make an empty file for its owner alone, where there is none.

    Args:
        path: The file.

    Raises:
        OSError: If it cannot be made.

    """
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, FILE_MODE))


def private_opener(path: str, flags: int) -> int:
    """Open a file for `open`; a new one is its owner's alone.

    Args:
        path: The file.
        flags: As `os.open` takes them.

    """
    return os.open(path, flags, FILE_MODE)


def _open_to_others(folder: Path) -> Iterator[tuple[Path, int]]:
    """Yield the folder and what is in it, as far as others have permissions, with its mode. Links are not followed."""
    mode = folder.stat().st_mode
    if mode & _OTHERS:
        yield folder, mode
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(root, name)
            try:
                mode = path.lstat().st_mode
            except OSError:
                continue
            if (stat.S_ISDIR(mode) or stat.S_ISREG(mode)) and mode & _OTHERS:
                yield path, mode
