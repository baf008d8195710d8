"""Titles of notebook cells: what a person would call the cell, never a magic or an import."""

from __future__ import annotations

import pytest

from streamer.adoption.magic import cell_title


@pytest.mark.parametrize(
    ("source", "title"),
    [
        ("# Train the models\nfor x in tqdm(y): pass", "Train the models"),
        ("## Train the models ##\nfor x in tqdm(y): pass", "Train the models"),
        ("# %% Train the models\nfor x in tqdm(y): pass", "Train the models"),
        ("#%%\n# Train the models\nfor x in tqdm(y): pass", "Train the models"),
        ("%%time\nfor x in tqdm(y): fit(x)", "for x in tqdm(y): fit(x)"),
        ("%%time\n# Fit\nfor x in tqdm(y): fit(x)", "Fit"),
        ("%time fit(tqdm(y))", "fit(tqdm(y))"),
        ("%timeit -n 3 fit(tqdm(y))", "fit(tqdm(y))"),
        ("%matplotlib inline\n!pip install tqdm\nfit(tqdm(y))", "fit(tqdm(y))"),
        ("from tqdm import tqdm\nimport time\n\nfor x in tqdm(y):\n    time.sleep(1)", "for x in tqdm(y):"),
        ("from tqdm import (\n    tqdm,\n    trange,\n)\nfit(tqdm(y))", "fit(tqdm(y))"),
        ("import time; fit(tqdm(y))", "import time; fit(tqdm(y))"),
        ("from tqdm import tqdm\n# Load prices\nload(tqdm(y))", "Load prices"),
        ("# noqa: F401\n# -*- coding: utf-8 -*-\nload(tqdm(y))", "load(tqdm(y))"),
        ('"""Load prices."""\nload(tqdm(y))', "load(tqdm(y))"),
        ("result = await gather(*tqdm(y))", "result = await gather(*tqdm(y))"),
        ("load(tqdm(y)  # not closed", "load(tqdm(y)  # not closed"),
        ("from tqdm import tqdm\nload(tqdm(y)  # not closed", "load(tqdm(y)  # not closed"),
        ("# Is it ready?\nload(tqdm(y))", "Is it ready?"),
        ("load?\nload(tqdm(y))", "load(tqdm(y))"),
        ("from tqdm import tqdm", "Cell"),
        ("%%time", "Cell"),
        ("", "Cell"),
    ],
)
def test_a_cell_is_called_by_what_it_does(source: str, title: str) -> None:
    assert title == cell_title(source)


def test_a_bars_name_says_more_than_a_line_of_code_and_less_than_a_comment() -> None:
    assert "models" == cell_title("from tqdm import tqdm\nfor x in tqdm(y, desc='models'): pass", "models")
    assert "Fit" == cell_title("# Fit\nfor x in tqdm(y, desc='models'): pass", "models")


def test_a_long_line_is_cut() -> None:
    assert len(cell_title("x = " + "1 + " * 100 + "1")) <= 80
