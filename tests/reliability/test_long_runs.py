"""A page costs the same however long its run is. `benchmarks/soak.py` does the same with a million lines."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.reliability import long_runs

pytestmark = [pytest.mark.browser, pytest.mark.slow]

LINES = 100_000


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> Iterator[long_runs.Pages]:
    with long_runs.pages(tmp_path_factory.mktemp("long-runs"), lines=LINES) as pages:
        yield pages


def test_the_page_of_a_long_run_opens_as_that_of_a_short_one_and_finds_an_old_line(pages):
    long_runs.opened(pages, lines=LINES)


def test_a_page_that_stays_open_while_its_run_grows_takes_no_more_memory_nor_do_the_servers(pages):
    long_runs.growing(pages, lines=20_000, width=100)


def test_a_page_that_is_halted_while_its_run_goes_on_is_waited_for_and_then_shows_the_newest_line(pages):
    long_runs.halted(pages, lines=60_000)
