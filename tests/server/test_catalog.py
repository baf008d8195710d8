"""The pipelines on offer: where they come from, what is wrong with them, and what changes."""

from __future__ import annotations

import dataclasses
import io
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import Distribution, EntryPoint
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from streamer.model.events import PhaseSpec
from streamer.producer.reference import load
from streamer.server.catalog import EXAMPLES, GROUP, Catalog, CatalogProblem
from tests.pipeline_files import own_imports, source, write
from tests.support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES = ["AuditFolder", "Count", "ImportPrices"]


@pytest.fixture(autouse=True)
def clean_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with own_imports(tmp_path, monkeypatch):
        yield


def catalog(*references: str, points: list[EntryPoint] | None = None, examples: bool = False) -> Catalog:
    return Catalog(references, entry_points=lambda: points or [], examples=examples)


def names(offered: Catalog) -> list[str]:
    return [offer.name for offer in offered.offers()]


def the_problem(offered: Catalog) -> CatalogProblem:
    (problem,) = offered.problems()
    return problem


# -- the examples and the entry points ---------------------------------------------------------------------------------


def test_the_examples_are_on_offer_by_default() -> None:
    offered = Catalog()
    assert set(NAMES) <= set(names(offered))
    assert offered.problems() == ()


def test_the_examples_are_on_offer_in_a_checkout_that_was_never_installed() -> None:
    assert names(catalog(examples=True)) == NAMES


def test_an_offer_says_all_about_its_pipeline() -> None:
    offer = catalog(examples=True).get("ImportPrices")
    assert offer is not None
    assert offer.title == "Import prices"
    assert offer.doc.startswith("Load daily share prices into a SQLite file and summarise them.\n")
    assert offer.phases == (PhaseSpec("validate", 1), PhaseSpec("load", 96), PhaseSpec("summarise", 3))
    assert list(offer.schema["properties"]) == ["source", "database", "copies"]
    assert offer.reference == "streamer.examples.import_prices:ImportPrices"
    assert load(offer.reference) is offer.pipeline


def test_a_name_that_is_not_offered_has_no_offer() -> None:
    assert catalog(examples=True).get("Nothing") is None


def test_the_entry_points_of_this_project_do_not_double_the_examples() -> None:
    points = [EntryPoint(value.rpartition(":")[2], value, GROUP) for value in EXAMPLES]
    offered = catalog(points=points, examples=True)
    assert (NAMES, ()) == (names(offered), offered.problems())


def test_the_entry_points_of_an_older_installation_of_this_project_do_no_harm(tmp_path: Path) -> None:
    folder = tmp_path / "panel_streamer-0.0.1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: panel_streamer\nVersion: 0.0.1\n")
    (folder / "entry_points.txt").write_text(f"[{GROUP}]\nOld = streamer.examples.long_gone:Old\n")
    points = list(Distribution.at(folder).entry_points)
    assert [point.name for point in points] == ["Old"]
    offered = catalog(points=points, examples=True)
    assert (NAMES, ()) == (names(offered), offered.problems())


def test_an_entry_point_offers_a_class_or_a_module_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "jobs_one.py", "A", "Unregistered")
    write(tmp_path / "jobs_two.py", "B", "C")
    monkeypatch.syspath_prepend(tmp_path)
    points = [EntryPoint("a", "jobs_one:A", GROUP), EntryPoint("two", "jobs_two", GROUP)]
    assert names(catalog(points=points)) == ["A", "B", "C"]


def test_an_entry_point_that_fails_is_told_with_its_name_and_the_others_are_offered() -> None:
    offered = catalog(points=[EntryPoint("gone", "no_such_module:X", GROUP)], examples=True)
    assert names(offered) == NAMES
    assert the_problem(offered).reference == "gone = no_such_module:X"
    assert the_problem(offered).message == "ModuleNotFoundError: No module named 'no_such_module'"


def test_entry_points_that_cannot_be_read_are_told_and_the_rest_is_offered() -> None:
    def broken() -> list[EntryPoint]:
        raise OSError("bad metadata")

    offered = Catalog(entry_points=broken)
    assert names(offered) == NAMES
    assert the_problem(offered).reference == GROUP
    assert the_problem(offered).message == "OSError: bad metadata"


# -- references --------------------------------------------------------------------------------------------------------


def test_a_module_offers_what_it_declares_and_exports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "jobs" / "parts.py", "Part", "Exported", "Imported")
    write(tmp_path / "elsewhere.py", "Foreign")
    write(
        tmp_path / "jobs" / "__init__.py",
        "Own",
        "_Private",
        before="""
            from streamer.examples.count import Count
            from elsewhere import Foreign
            from jobs.parts import Part
            __all__ = ["Foreign"]

            class NoPhases(Pipeline): pass

            class Abstract(Pipeline):
                __abstract = True
                @phase
                def go(self): ...
        """,
    )
    monkeypatch.syspath_prepend(tmp_path)
    offered = catalog("jobs")
    assert (["Foreign", "Own", "Part"], ()) == (names(offered), offered.problems())


def test_a_class_of_a_module_is_offered_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "several_jobs.py", "A", "B")
    monkeypatch.syspath_prepend(tmp_path)
    offer = catalog("several_jobs:B").get("B")
    assert offer is not None
    assert offer.reference == "several_jobs:B"
    assert names(catalog("several_jobs:B")) == ["B"]


def test_a_module_is_found_in_the_current_folder_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "jobs_here.py", "Here")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    assert names(catalog("jobs_here")) == ["Here"]
    assert load("jobs_here:Here").__module__ == "jobs_here"


def test_a_file_offers_its_pipelines_under_exact_references(tmp_path: Path) -> None:
    path = write(tmp_path / "my jobs.py", "A", "B")
    offered = catalog(path)
    assert [f"{path}:A", f"{path}:B"] == [offer.reference for offer in offered.offers()]


def test_a_relative_path_counts_from_the_folder_that_was_current_at_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "jobs.py", "A")
    monkeypatch.chdir(tmp_path)
    offered = catalog("jobs.py")
    assert names(offered) == ["A"]
    monkeypatch.chdir("/")
    assert [path + ":A"] == [offer.reference for offer in offered.offers()]


def test_a_class_of_a_file_is_offered_alone(tmp_path: Path) -> None:
    assert names(catalog(write(tmp_path / "jobs.py", "A", "B") + ":B")) == ["B"]


def test_a_folder_offers_the_pipelines_of_its_files(tmp_path: Path) -> None:
    write(tmp_path / "one.py", "A")
    write(tmp_path / "two.py", "B")
    write(tmp_path / "helper.py")
    write(tmp_path / "_private.py", "Private")
    write(tmp_path / "deeper" / "three.py", "C")
    offered = catalog(str(tmp_path))
    assert (["A", "B"], ()) == (names(offered), offered.problems())


def test_a_folder_in_the_current_one_needs_no_slash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "jobs" / "one.py", "A")
    monkeypatch.chdir(tmp_path)
    assert names(catalog("jobs")) == ["A"]


def test_a_colon_may_belong_to_the_path(tmp_path: Path) -> None:
    write(tmp_path / "a:b" / "one.py", "A")
    assert names(catalog(str(tmp_path / "a:b"))) == ["A"]


def test_a_file_imports_the_modules_beside_it_and_each_folder_has_its_own(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "helper.py").write_text("DOC = 'of a'")
    (tmp_path / "b" / "helper.py").write_text("DOC = 'of b'")
    beside = "import helper\nclass Base(Pipeline): pass\n"
    paths = [write(tmp_path / name / "jobs.py", name.upper(), before=beside) for name in "ab"]
    offers = catalog(*paths).offers()
    assert ["of a", "of b"] == [sys.modules[o.pipeline.__module__].helper.DOC for o in offers]
    assert "helper" not in sys.modules


def test_a_file_may_have_the_name_of_a_module_of_the_standard_library(tmp_path: Path) -> None:
    path = write(tmp_path / "statistics.py", "Mean", before="import statistics as real\nreal.fmean")
    write(tmp_path / "other.py", "Other", before="import statistics\nstatistics.fmean")
    sys.modules.pop("statistics", None)
    assert "fmean" in the_problem(catalog(path)).message  # as with `python statistics.py`: it imports itself
    import statistics

    assert statistics.fmean([1, 2]) == 1.5


def test_a_file_may_declare_dataclasses(tmp_path: Path) -> None:
    before = """
        from __future__ import annotations
        from dataclasses import dataclass, KW_ONLY

        @dataclass
        class Row:
            _: KW_ONLY
            x: int
    """
    path = tmp_path / "jobs.py"
    path.write_text(dedent(before) + source("A"))
    (offer,) = catalog(str(path)).offers()
    assert dataclasses.fields(sys.modules[offer.pipeline.__module__].Row)[0].kw_only


# -- what is wrong -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        (
            "import nothing_like_it",
            "ModuleNotFoundError: No module named 'nothing_like_it'",
            "import nothing",
        ),
        ("def f():\n    raise KeyError('x')\nf()", "KeyError: 'x'", "raise KeyError"),
        ("def (:", "invalid syntax", "def (:"),
        ("raise SystemExit(3)", "SystemExit: 3", "raise SystemExit"),
        ("import asyncio\nraise asyncio.CancelledError", "CancelledError", "raise asyncio.CancelledError"),
        (
            "class Skipped(BaseException): ...\nraise Skipped('no torch')",
            "Skipped: no torch",
            "raise Skipped",
        ),
        ("raise GeneratorExit", "GeneratorExit", "raise GeneratorExit"),
        ("raise BaseExceptionGroup('two', [KeyboardInterrupt()])", "BaseExceptionGroup: two", "raise Base"),
        ("x = '\udc80'".encode("utf-8", "surrogateescape"), "SyntaxError", ""),
    ],
)
def test_a_file_that_cannot_be_imported_is_told_with_its_line_and_the_others_are_offered(
    tmp_path: Path, text: Any, message: str, line: str
) -> None:
    broken = tmp_path / "broken.py"
    broken.write_bytes(text if isinstance(text, bytes) else text.encode())
    offered = catalog(str(broken), write(tmp_path / "fine.py", "Fine"))
    assert names(offered) == ["Fine"]
    problem = the_problem(offered)
    assert problem.reference == str(broken)
    assert message in problem.message
    assert line in problem.traceback
    assert "catalog.py" not in problem.traceback


def test_a_file_that_raises_a_keyboard_interrupt_in_a_readers_thread_is_told(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("raise KeyboardInterrupt")
    offered = catalog(str(broken), write(tmp_path / "fine.py", "Fine"))
    with ThreadPoolExecutor(1) as readers:
        assert ["Fine"] == readers.submit(names, offered).result()
    assert "KeyboardInterrupt" in the_problem(offered).message


def test_a_file_that_asks_a_question_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("an answer on the streamer's terminal"))
    broken = tmp_path / "broken.py"
    broken.write_text("name = input('Which? ')")
    assert [] == names(offered := catalog(str(broken)))
    assert the_problem(offered).message.startswith("EOFError")


def test_a_ctrl_c_while_files_are_imported_goes_on(tmp_path: Path) -> None:
    # In the main thread it may be a signal's.
    broken = tmp_path / "broken.py"
    broken.write_text("raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        names(catalog(str(broken)))


def test_a_class_that_ends_the_program_when_it_is_described_does_not_hide_the_others(tmp_path: Path) -> None:
    before = """
        class Limit:
            def __get__(self, *_):
                raise SystemExit(4)

        class Wrong(Pipeline):
            time_limit_seconds = Limit()

            @phase
            def go(self): ...
    """
    path = write(tmp_path / "jobs.py", "Right", before=before)
    offered = catalog(path)
    assert ["Right"] == names(offered)
    assert f"{path}:Wrong" == the_problem(offered).reference


def test_a_class_that_is_declared_wrongly_does_not_hide_the_others(tmp_path: Path) -> None:
    before = """
        class Wrong(Pipeline):
            @phase
            def go(self, path): ...
    """
    path = write(tmp_path / "jobs.py", "Right", before=before)
    offered = catalog(path)
    assert names(offered) == ["Right"]
    assert the_problem(offered).reference == f"{path}:Wrong"
    assert the_problem(offered).message == "TypeError: Wrong.go: a phase takes no arguments besides self"


def test_of_two_pipelines_of_one_name_the_first_is_offered_and_the_other_is_told(tmp_path: Path) -> None:
    first = write(tmp_path / "one.py", "Same")
    second = write(tmp_path / "two.py", "Same", "Other")
    offered = catalog(first, second)
    assert [f"{second}:Other", f"{first}:Same"] == [offer.reference for offer in offered.offers()]
    assert the_problem(offered) == CatalogProblem(
        f"{second}:Same", f"Same is already offered by {first}:Same: rename one of the classes"
    )


def test_an_example_makes_way_for_a_pipeline_of_the_users(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.py", "Count")
    offered = catalog(path, examples=True)
    assert (NAMES, ()) == (names(offered), offered.problems())
    assert [f"{path}:Count"] == [o.reference for o in offered.offers() if o.name == "Count"]


def test_what_is_reached_by_two_ways_is_offered_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / "jobs.py", "A")
    write(tmp_path / "package" / "__init__.py", before="from package.inner import B")
    write(tmp_path / "package" / "inner.py", "B")
    monkeypatch.syspath_prepend(tmp_path)
    offered = catalog(file, file, str(tmp_path), "package", "package.inner:B")
    assert (["A", "B"], ()) == (names(offered), offered.problems())


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("/no/such/file.py", "FileNotFoundError: no such file or folder: /no/such/file.py"),
        ("/no/such/folder", "FileNotFoundError: no such file or folder: /no/such/folder"),
        ("json", "no pipeline found: expected a subclass of streamer.Pipeline with @phase methods"),
        ("json:Nothing", "LookupError: "),
        ("json:JSONDecoder", "TypeError: JSONDecoder: expected a subclass of streamer.Pipeline"),
        ("streamer:Pipeline", "TypeError: Pipeline: expected 1 to 500 @phase methods, found 0"),
        ("not a module", "ModuleNotFoundError: No module named 'not a module'"),
        ("..", "expected a folder of 1 to 200 Python files"),
        ("a..b", "ModuleNotFoundError: No module named 'a'"),
    ],
)
def test_a_reference_that_offers_nothing_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: str, message: str
) -> None:
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    offered = catalog(reference)
    assert names(offered) == []
    assert the_problem(offered).message.startswith(message)


def test_of_a_folder_with_too_many_files_the_first_are_read(tmp_path: Path) -> None:
    for number in range(201):
        (tmp_path / f"x{number:03}.py").write_text("")
    write(tmp_path / "a.py", "First")
    write(tmp_path / "z.py", "Last")
    offered = catalog(str(tmp_path))
    assert names(offered) == ["First"]
    assert the_problem(offered).message == "expected a folder of 1 to 200 Python files, found 203"


# -- what changes ------------------------------------------------------------------------------------------------------


def test_a_file_that_does_not_change_is_imported_once(tmp_path: Path) -> None:
    offered = catalog(write(tmp_path / "jobs.py", "A"))
    assert offered.offers()[0].pipeline is offered.offers()[0].pipeline


def test_a_file_that_has_changed_is_read_again(tmp_path: Path) -> None:
    offered = catalog(write(tmp_path / "jobs.py", "A"))
    assert names(offered) == ["A"]
    write(tmp_path / "jobs.py", "A", "B")
    assert names(offered) == ["A", "B"]


def test_a_change_within_the_same_second_and_of_the_same_size_is_seen(tmp_path: Path) -> None:
    path = write(tmp_path / "jobs.py", "A", doc="one")
    os.utime(path, ns=(10**18, 10**18))
    offered = catalog(path)
    assert [offer.doc for offer in offered.offers()] == ["one."]
    write(tmp_path / "jobs.py", "A", doc="two")
    os.utime(path, ns=(10**18, 10**18 + 1000))
    assert [offer.doc for offer in offered.offers()] == ["two."]


def test_a_problem_goes_when_its_file_is_mended_and_comes_when_it_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "jobs.py"
    path.write_text("nonsense(")
    offered = catalog(str(path))
    assert len(offered.problems()) == 1
    write(path, "A")
    assert (["A"], ()) == (names(offered), offered.problems())
    path.unlink()
    assert names(offered) == []
    assert the_problem(offered).message.startswith("FileNotFoundError")


def test_a_folder_is_watched_for_new_files_and_those_that_are_gone(tmp_path: Path) -> None:
    write(tmp_path / "one.py", "A")
    offered = catalog(str(tmp_path))
    assert names(offered) == ["A"]
    write(tmp_path / "two.py", "B")
    assert names(offered) == ["A", "B"]
    (tmp_path / "one.py").unlink()
    assert names(offered) == ["B"]


def test_a_changed_file_sees_the_changed_module_beside_it(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("NAME = 'one'")
    path = write(tmp_path / "jobs.py", "A", before="import helper\n")
    offered = catalog(path)
    assert sys.modules[offered.offers()[0].pipeline.__module__].helper.NAME == "one"
    (tmp_path / "helper.py").write_text("NAME = 'another'")
    write(tmp_path / "jobs.py", "A", "B", before="import helper\n")
    assert sys.modules[offered.offers()[0].pipeline.__module__].helper.NAME == "another"


def test_an_import_that_does_not_end_is_a_problem_and_keeps_nothing_from_being_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamer.server.timed_import.IMPORT_SECONDS", 0.3)
    end = threading.Event()
    monkeypatch.setattr(sys, "streamer_test_end", end, raising=False)
    (tmp_path / "a_hangs.py").write_text("import sys\nsys.streamer_test_end.wait(60)\n")
    (tmp_path / "b_good.py").write_text(
        "from streamer import Pipeline, phase\nclass Good(Pipeline):\n    @phase\n    def go(self): ...\n"
    )
    before, path = sys.stdin, list(sys.path)
    try:
        found = catalog(str(tmp_path))
        assert ["Good"] == [offer.name for offer in found.offers()]
        (problem,) = found.problems()
        assert problem.reference.endswith("a_hangs.py")
        assert "its import has not ended after 0.3 s" in problem.message
        assert before is sys.stdin
        assert [one for one in sys.path if one != str(tmp_path)] == path
        # It is not tried again until the file changes.
        assert 1 == len(found.problems())
    finally:
        end.set()
    wait_until(lambda: "streamer-import" not in {thread.name for thread in threading.enumerate()})
