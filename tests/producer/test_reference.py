"""Loading a pipeline by its exact reference, as a worker does."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from streamer import Pipeline
from streamer.producer.reference import load
from tests.pipeline_files import own_imports, write
from tests.support import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def clean_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with own_imports(tmp_path, monkeypatch):
        yield


@pytest.mark.parametrize(
    ("reference", "error"),
    [
        ("streamer.examples.count", LookupError),
        ("streamer.examples.count:Nothing", LookupError),
        ("streamer.examples.count:phase", TypeError),
        ("no_such_module:X", ModuleNotFoundError),
        ("/no/such/file.py:X", FileNotFoundError),
    ],
)
def test_loading_what_is_not_there_raises(reference: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        load(reference)


def test_what_a_loaded_file_defines_can_be_pickled(tmp_path: Path) -> None:
    path = write(tmp_path / "my_jobs.py", "A", before="class Item: pass\n")
    pipeline = load(f"{path}:A")
    assert issubclass(pipeline, Pipeline)
    assert pipeline.__module__ == "my_jobs"
    item = sys.modules["my_jobs"].Item()
    assert type(pickle.loads(pickle.dumps(item))) is type(item)


def test_loading_twice_gives_the_same_class(tmp_path: Path) -> None:
    path = write(tmp_path / "my_jobs.py", "A")
    assert load(f"{path}:A") is load(f"{path}:A")


def test_a_file_is_not_taken_for_a_module_of_the_same_name(tmp_path: Path) -> None:
    path = write(tmp_path / "json.py", "A")
    assert load(f"{path}:A").__module__.startswith("json_")
    import json

    assert json.loads("1") == 1


@pytest.mark.slow
def test_the_processes_that_a_loaded_file_starts_find_it_and_the_modules_beside_it(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("def double(x): return 2 * x")
    path = tmp_path / "spread.py"
    path.write_text(
        dedent(
            """
            import multiprocessing
            from concurrent.futures import ProcessPoolExecutor
            from streamer import Pipeline, phase

            def one(x):
                from beside import double
                return double(x)

            class Spread(Pipeline):
                @phase
                def go(self):
                    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
                        return list(pool.map(one, [1, 2]))
            """
        )
    )
    script = "from streamer.producer.reference import load\n"
    script += f"if __name__ == '__main__': print(load({f'{path}:Spread'!r})().go())"
    (tmp_path / "elsewhere").mkdir()
    main = tmp_path / "elsewhere" / "main.py"
    main.write_text(script)
    done = subprocess.run(
        [sys.executable, str(main)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert ("[2, 4]\n", "") == (done.stdout, done.stderr)
