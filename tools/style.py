"""Check the prose and the sizes of the project: sentences that begin with What, Who or Whoever, and modules too long.

    python tools/style.py

Prints every finding with its place. The exit code is 1 when there are more than the bounds below allow. Needs nothing
but the standard library.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CODE = ("streamer", "dashboards", "tools")
DOCUMENTS = ("*.md", "docs/*.md", "benchmarks/*.md")
#: So many sentences of the project may begin so: a question in a table, a title that others gave.
MOST_SENTENCES = 5
#: Lines from which on a module's docstring says why it is one ("Why one …"), and lines that no module has.
LONG, TOO_LONG = 400, 600
#: Lines of a test module, modules of a folder, words of ARCHITECTURE.md.
LONGEST_TEST, MOST_MODULES, MOST_WORDS = 800, 16, 2_500
#: `inside` must load alone in other people's programs.
LONGER = {"streamer/adoption/inside.py"}
#: Folders with a module for each thing of a kind.
FULLER = {"dashboards/indicators"}
_BEGINS = re.compile(r"(?:^|(?<=[.;:!?] ))(?:What|Who|Whoever)\b", re.MULTILINE)
_FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Finding:
    """A place, and the text that was found there."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


def main() -> int:
    """Check all; return the exit code."""
    sentences = list(find_sentences(ROOT))
    sizes = list(find_sizes(ROOT))
    for finding in sizes if len(sentences) <= MOST_SENTENCES else [*sentences, *sizes]:
        print(finding)
    if len(sentences) > MOST_SENTENCES:
        print(
            f"{len(sentences)} sentences begin with What, Who or Whoever; at most {MOST_SENTENCES} may. Subject first."
        )
    return 1 if sizes or len(sentences) > MOST_SENTENCES else 0


def find_sentences(root: Path) -> Iterator[Finding]:
    """Yield the sentences that begin with What, Who or Whoever.

    Args:
        root: The project's folder.

    Yields:
        A finding for each sentence of a document, a docstring or a comment.

    """
    for path in sorted(path for pattern in DOCUMENTS for path in root.glob(pattern)):
        text = _FENCED.sub(lambda match: "\n" * match.group().count("\n"), path.read_text())
        yield from _in_text(
            path.relative_to(root).as_posix(), 1, re.sub(r"^[-|>*# ]+", "", text, flags=re.MULTILINE)
        )
    for path in _modules(root, CODE):
        name = path.relative_to(root).as_posix()
        source = path.read_text()
        for line, text in (*_docstrings(source), *_comments(source)):
            yield from _in_text(name, line, text)


def find_sizes(root: Path) -> Iterator[Finding]:
    """Yield the modules, folders and documents that are too large.

    Args:
        root: The project's folder.

    Yields:
        A finding for each, with its size and the bound.

    """
    folders: dict[str, int] = {}
    for path in _modules(root, CODE):
        name = path.relative_to(root).as_posix()
        source = path.read_text()
        lines = source.count("\n")
        if path.name != "__init__.py":
            folder = path.parent.relative_to(root).as_posix()
            folders[folder] = folders.get(folder, 0) + 1
        if name in LONGER:
            continue
        if lines > TOO_LONG:
            yield Finding(name, lines, f"{lines} lines; {TOO_LONG} at most")
        elif lines > LONG and "Why one " not in (ast.get_docstring(ast.parse(source)) or ""):
            yield Finding(
                name, lines, f"{lines} lines; over {LONG}, the docstring says why (`Why one module: …`)"
            )
    for path in _modules(root, ("tests",)):
        lines = path.read_text().count("\n")
        if lines > LONGEST_TEST:
            yield Finding(path.relative_to(root).as_posix(), lines, f"{lines} lines; {LONGEST_TEST} at most")
    for folder, count in folders.items():
        if count > MOST_MODULES and folder not in FULLER:
            yield Finding(folder, 1, f"{count} modules; {MOST_MODULES} at most")
    words = len((root / "ARCHITECTURE.md").read_text().split())
    if words >= MOST_WORDS:
        yield Finding("ARCHITECTURE.md", 1, f"{words} words; fewer than {MOST_WORDS}")


def _modules(root: Path, folders: tuple[str, ...]) -> list[Path]:
    return sorted(path for folder in folders for path in (root / folder).rglob("*.py"))


def _in_text(path: str, line: int, text: str) -> Iterator[Finding]:
    for match in _BEGINS.finditer(text):
        before = text[: match.start()].rstrip(" ")
        # At the beginning of a line a sentence begins only where the text before has ended.
        if before.endswith("\n") and not before.endswith("\n\n") and before.rstrip()[-1:] not in ".:;!?|":
            continue
        found = text[match.start() :].partition("\n")[0]
        yield Finding(path, line + text.count("\n", 0, match.start()), found[:90])


def _docstrings(source: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield node.body[0].lineno, text


def _comments(source: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string.lstrip("#: ")


if __name__ == "__main__":
    sys.exit(main())
