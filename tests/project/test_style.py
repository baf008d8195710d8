"""The check of prose and sizes finds what it is for, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import style


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for folder in ("streamer", "dashboards", "tools", "tests"):
        (tmp_path / folder).mkdir()
    (tmp_path / "ARCHITECTURE.md").write_text("A map.\n")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("README.md", "One fact.\n\nWhat follows is another one.\n", 3),
        ("README.md", "One fact. Whoever reads on learns the next.\n", 1),
        ("README.md", "| a | b |\n|---|---|\n| What it does | x |\n", 3),
        ("streamer/one.py", '"""What it holds."""\n', 1),
        ("streamer/one.py", '"""A module."""\n\nx = 1  # Who sets it owns it.\n', 3),
        ("README.md", "What `f` returns is a number.\n", 1),
        ("README.md", "One fact. Who\nreads it knows.\n", 1),
        ("streamer/one.py", '"""A module.\n\nWhat JSON cannot carry.\n"""\n', 3),
        ("tools/one.py", 'def f():\n    """Do it.\n\n    What is done stays.\n    """\n', 4),
    ],
)
def test_a_sentence_without_its_subject_first_is_found(project, name, text, line):
    (project / name).write_text(text)
    (found,) = style.find_sentences(project)
    assert (name, line) == (found.path, found.line)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("README.md", "It says\nWhat is a word in the middle of a sentence.\n"),
        ("README.md", "```\nWhat is code.\n```\n"),
        ("README.md", "The page shows what is known.\n"),
        ("streamer/one.py", '"""A module."""\n\nx = "What is shown."\n'),
    ],
)
def test_other_uses_of_the_words_are_none(project, name, text):
    (project / name).write_text(text)
    assert [] == list(style.find_sentences(project))


def test_a_long_module_gives_its_reason_and_none_is_too_long(project):
    lines = "x = 1\n" * 450
    (project / "streamer" / "silent.py").write_text('"""A module."""\n' + lines)
    (project / "streamer" / "stated.py").write_text('"""A module.\n\nWhy one module: a table.\n"""\n' + lines)
    (project / "streamer" / "endless.py").write_text(
        '"""A module.\n\nWhy one module: a table.\n"""\n' + lines * 2
    )
    assert ["streamer/endless.py", "streamer/silent.py"] == [
        found.path for found in style.find_sizes(project)
    ]


def test_a_full_folder_a_long_test_and_a_long_map_are_found(project):
    (project / "dashboards" / "parts").mkdir()
    for number in range(17):
        (project / "dashboards" / "parts" / f"m{number}.py").write_text("")
    (project / "tests" / "test_all.py").write_text("x = 1\n" * 801)
    (project / "ARCHITECTURE.md").write_text("word " * 2_500)
    found = {one.path for one in style.find_sizes(project)}
    assert {"dashboards/parts", "tests/test_all.py", "ARCHITECTURE.md"} == found


def test_this_project_keeps_its_own_bounds():
    assert [] == list(style.find_sizes(style.ROOT))
    assert len(list(style.find_sentences(style.ROOT))) <= style.MOST_SENTENCES
