"""Audits a folder: what takes the space, what is there twice, what would compress. Reads only, and changes nothing."""

from __future__ import annotations

import bz2
import hashlib
import lzma
import os
import stat
import sysconfig
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import param

from streamer import Pipeline, phase
from streamer.model.pipeline import SkipPhase

#: How many rows each table of the result has at most, and how many names of the same content.
ROWS_SHOWN: Final = 20
COPIES_SHOWN: Final = 5
#: Bytes read at once.
CHUNK: Final = 1 << 20


class File(NamedTuple):
    """A file that was found: its path below the folder, its size in bytes, and what it is on the disk."""

    path: str
    size: int
    inode: tuple[int, int]


class Content(NamedTuple):
    """The outcome of reading a file; `packed` is its size in bytes when compressed, None when that was not asked."""

    file: File
    digest: bytes
    packed: int | None


class Compressor(Protocol):
    """The methods that the compressors of `zlib`, `bz2` and `lzma` share."""

    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


COMPRESSORS: Final[dict[str, Callable[[], Compressor] | None]] = {
    "zlib": zlib.compressobj,
    "bz2": bz2.BZ2Compressor,
    "lzma": lzma.LZMACompressor,
    "none": None,
}


class AuditFolder(Pipeline):
    """Find what takes the space in a folder: duplicates, the largest files, space by type, and what would compress.

    Every file is read. Symbolic links are not followed, and nothing but regular files is opened; a file that cannot
    be read is listed with the reason. Each phase counts the bytes of the files.
    """

    folder = param.Foldername(
        None, doc="The folder to audit, with all below it. By default Python's standard library."
    )
    skip = param.List(
        ["site-packages", "dist-packages"], item_type=str, doc="Names of folders that are not entered."
    )
    compression: param.Selector[str] = param.Selector(
        objects=list(COMPRESSORS),
        doc="How the space that compression would save is measured; bz2 and lzma take a multiple of the time.",
    )
    passes = param.Integer(
        1,
        bounds=(1, 1_000),
        softbounds=(1, 20),
        doc="How many times each file is read. One whose content is another the next time is listed as failed: "
        "somebody writes to it, or the disk is worn. The more, the longer it takes.",
    )
    max_files = param.Integer(100_000, bounds=(1, 5_000_000), doc="Where the scan ends, in files.")
    max_megabytes = param.Number(
        4_000, bounds=(0, 1_000_000), doc="Files larger than this are counted, but not read."
    )

    _root: str
    _files: list[File]
    _contents: list[Content]
    _left_out: Counter[str]

    @phase(weight=2)
    def scan(self) -> None:
        """Find the files; how large they are together is not known before."""
        self._root = str(self.folder or sysconfig.get_path("stdlib"))
        self._files = []
        self._contents = []
        self._left_out = Counter()
        self.log.info("scanning %s", shown(self._root))
        part, first = "", 0
        with self.counter(unit="bytes") as counter:
            for file in islice(self.walk(), self.max_files):
                top = file.path.partition(os.sep)[0] if os.sep in file.path else ""
                if top != part:
                    self._log_part(part, first)
                    part, first = top, len(self._files)
                    self.message(f"scanning {shown(part)}")
                self._files.append(file)
                counter.advance(file.size)
        self._log_part(part, first)
        for what, number in self._left_out.items():
            self.log.info("left out: %s (%s)", what, f"{number:,}")
        if len(self._files) == self.max_files:
            self.log.warning("the scan ended at %s files, as max_files says", f"{self.max_files:,}")

    @phase(weight=97)
    def hash(self) -> None:
        """Read the files, as often as `passes` says."""
        limit = self.max_megabytes * 1e6
        files = [file for file in self._files if file.size <= limit]
        if len(files) < len(self._files):
            self.log.warning("left out: files larger than max_megabytes (%d)", len(self._files) - len(files))
        if not files:
            raise SkipPhase("there are no files to read")
        self._contents = self.map(
            self.read,
            files,
            on_error="collect",
            size=lambda file: file.size * self.passes,
            total=self.passes * sum(file.size for file in files),
            unit="bytes",
            label=lambda file: shown(file.path),
        )

    @phase(weight=1)
    def report(self) -> dict[str, Any]:
        """Sum up: the result."""
        copies: dict[tuple[int, bytes], list[File]] = defaultdict(list)
        types: dict[str, list[Content]] = defaultdict(list)
        with self.counter(sum(content.file.size for content in self._contents), unit="bytes") as counter:
            for content in self._contents:
                types[type_of(content.file.path)].append(content)
                if content.file.size:
                    copies[content.file.size, content.digest].append(content.file)
                counter.advance(content.file.size)
        duplicates = sorted(
            (row for files in copies.values() if (row := duplicate(files))),
            key=lambda row: -row["wasted_bytes"],
        )
        wasted = sum(row["wasted_bytes"] for row in duplicates)
        self.log.info("%s of %s are taken by duplicates", amount(wasted), amount(total_of(self._files)))
        return {
            "folder": shown(self._root),
            "files": len(self._files),
            "bytes": total_of(self._files),
            "unread_files": len(self._files) - len(self._contents),
            "wasted_bytes": wasted,
            "duplicates": duplicates[:ROWS_SHOWN],
            "largest": [
                {"file": shown(file.path), "bytes": file.size}
                for file in sorted(self._files, key=lambda file: -file.size)[:ROWS_SHOWN]
            ],
            "types": sorted(map(space_of, types, types.values()), key=lambda row: -row["bytes"])[:ROWS_SHOWN],
        }

    def walk(self) -> Iterator[File]:
        """Return the regular files, a folder's before those of the folders in it, both by name.

        Raises `OSError` when the folder itself cannot be read; another one that cannot is logged and left out.
        """
        waiting = [""]
        seen: set[tuple[int, int]] = set()
        while waiting:
            folder = waiting.pop()
            try:
                with os.scandir(Path(self._root, folder)) as entries:
                    found = sorted(islice(entries, self.max_files), key=lambda entry: entry.name)
            except OSError as error:
                if not folder:
                    raise
                self._leave_out("folders that cannot be read", folder, error)
                continue
            folders = []
            for entry in found:
                path = f"{folder}{os.sep}{entry.name}" if folder else entry.name
                try:
                    state = entry.stat(follow_symlinks=False)
                except OSError as error:
                    self._leave_out("entries that cannot be read", path, error)
                    continue
                inode = (state.st_dev, state.st_ino)
                if stat.S_ISREG(state.st_mode):
                    yield File(path, state.st_size, inode)
                elif not stat.S_ISDIR(state.st_mode):
                    self._left_out["symbolic links and special files"] += 1
                elif entry.name in self.skip:
                    self._left_out["folders by their name"] += 1
                elif not state.st_ino or inode not in seen:
                    # A folder may be mounted within itself.
                    seen.add(inode)
                    folders.append(path)
            waiting += reversed(folders)

    def read(self, file: File) -> Content:
        """Read a file `passes` times. Raises `OSError`, or `ValueError` when it is not the same each time."""
        make = COMPRESSORS[self.compression]
        digest, packed = digest_of(self._root, file.path, make() if make else None)
        for _ in range(1, self.passes):
            if digest_of(self._root, file.path, None)[0] != digest:
                raise ValueError("its content was another when it was read again")
        return Content(file, digest, packed)

    def _leave_out(self, what: str, path: str, error: OSError) -> None:
        self._left_out[what] += 1
        self.log.warning("%s: %s", shown(path), error.strerror or error, extra={"item": shown(path)})

    def _log_part(self, part: str, first: int) -> None:
        files = self._files[first:]
        if files:
            number = "1 file" if len(files) == 1 else f"{len(files):,} files"
            self.log.info("%s: %s, %s", shown(part) or "at the top", number, amount(total_of(files)))


def digest_of(root: str, path: str, compressor: Compressor | None) -> tuple[bytes, int | None]:
    """Return the SHA-256 of a file, and its compressed size. Raises `OSError`, also when it is no regular file now.

    Args:
        root: The folder that is audited.
        path: The file, below `root`.
        compressor: The compressor for the second result; None: no compressed size.

    Raises:
        OSError: If the file cannot be read, or is no regular file now.

    """
    # Between scan and now a pipe or a link may have taken its place: do not wait for its writer, and do not follow it.
    flags = (
        os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    )
    digest = hashlib.sha256()
    packed = 0
    with os.fdopen(os.open(Path(root, path), flags), "rb", buffering=0) as file:
        state = os.fstat(file.fileno())
        if not stat.S_ISREG(state.st_mode):
            raise OSError("it is no regular file any more")
        # A log that grows faster than it is read would have no end.
        left = state.st_size
        while left > 0 and (data := file.read(min(CHUNK, left))):
            left -= len(data)
            digest.update(data)
            if compressor is not None:
                packed += len(compressor.compress(data))
    if compressor is None:
        return digest.digest(), None
    return digest.digest(), packed + len(compressor.flush())


def duplicate(files: list[File]) -> dict[str, Any] | None:
    """Return the table's row for files of the same content; None when they take the space of one."""
    # Hard links are several names of one file.
    copies = list({file.inode if file.inode[1] else file.path: file for file in files}.values())
    if len(copies) < 2:
        return None
    return {
        "bytes": copies[0].size,
        "copies": len(copies),
        "wasted_bytes": copies[0].size * (len(copies) - 1),
        "files": [shown(file.path) for file in copies[:COPIES_SHOWN]],
    }


def space_of(name: str, contents: list[Content]) -> dict[str, Any]:
    """Return the table's row for the files of one type.

    Args:
        name: The type.
        contents: Its files, with their sizes.

    """
    size = total_of([content.file for content in contents])
    row = {"type": name, "files": len(contents), "bytes": size}
    packed = [content.packed for content in contents if content.packed is not None]
    if packed and size:
        row["saved_percent"] = round(max(0.0, 100 * (1 - sum(packed) / size)))
    return row


def type_of(path: str) -> str:
    """Return a file's type: what its name ends in."""
    return shown(Path(path).suffix.lower())[:40] or "(none)"


def total_of(files: list[File]) -> int:
    """Return the size of files together, in bytes."""
    return sum(file.size for file in files)


def amount(size: int) -> str:
    """Write a number of bytes in a unit that suits it."""
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= limit:
            return f"{size / limit:,.1f} {unit}"
    return "1 byte" if size == 1 else f"{size} bytes"


def shown(path: str) -> str:
    """Return a path as well-formed text, whatever bytes its name has."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
