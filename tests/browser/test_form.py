"""The form in a browser: untouched it starts exactly the defaults, done again exactly the old values; it follows."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support import ServerProcess, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CODE = '''
import datetime as dt
import param
from streamer import Pipeline, phase

REGIONS = {"de": ["north", "south"], "fr": ["east"]}
TOWNS = {"north": ["Kiel", "Lübeck"], "south": ["Ulm"], "east": ["Metz", "Nancy"]}


class Every(Pipeline):
    """Every kind of parameter."""

    separator = param.String(", ")
    query = param.String("SELECT *\\n  FROM orders\\n")
    blank = param.String("  leading")
    empty = param.String("")
    nothing = param.String(None, allow_None=True)
    maybe = param.Boolean(None, allow_None=True)
    switch = param.Boolean(True)
    limit = param.Integer(5, allow_None=True)
    big = param.Integer(2**53 + 1)
    tiny = param.Number(1e-12)
    day = param.CalendarDate(dt.date(2026, 3, 29))
    at = param.Date(dt.datetime(2026, 3, 29, 2, 30))
    window = param.DateRange((dt.datetime(2026, 1, 1), dt.datetime(2026, 2, 1)))
    color = param.Color("#112233")
    where = param.Path("/", check_exists=False)
    size = param.Selector(objects={"Small (s)": 1, "Large (l)": 2})
    only = param.Selector(objects=[None, "new", "old"], default=None)
    later = param.Selector(objects=[])
    several = param.ListSelector(default=["a b"], objects=["a b", "c,d"])
    items = param.List(["one", " two "], item_type=str)
    nested = param.Dict({"a": [1, None, {"b": ""}]})
    pair = param.Tuple((1, "x"))
    span = param.Range((0.0, 1.0))
    anything = param.Parameter({"k": True})

    @phase
    def go(self): ...


class Trip(Pipeline):
    country = param.Selector(objects=["de", "fr"])
    region = param.Selector(objects=["north", "south"])
    town = param.Selector(objects=["Kiel", "Lübeck"])
    hotel = param.Selector(objects=[])
    nights = param.Integer(1, bounds=(1, 10))
    note = param.String("x")
    password = param.String("")

    @param.depends("country", watch=True)
    def _regions(self):
        self.param["region"].objects = REGIONS[self.country]
        self.region = REGIONS[self.country][0]

    @param.depends("region", watch=True)
    def _towns(self):
        self.param["town"].objects = TOWNS[self.region]
        self.town = TOWNS[self.region][0]

    @param.depends("town", watch=True, on_init=True)
    def _hotels(self):
        self.param["hotel"].objects = [f"Hotel {self.town}", f"Hostel {self.town}"]

    @phase
    def go(self): ...
'''
#: Values of which each differs from its default, and some from what a careless form makes of them.
OLD: dict[str, Any] = {
    "separator": " | ",
    "query": "a\nb\n",
    "blank": "",
    "empty": "None",
    "nothing": "",
    "maybe": False,
    "switch": False,
    "limit": None,
    "big": -(2**53) - 1,
    "tiny": 2e-15,
    "day": "2025-12-31",
    "color": "#ffffff",
    "size": "Large (l)",
    "only": "old",
    "later": "null",
    "several": [],
    "items": [" x ", "", "y"],
    "nested": {},
    "pair": [None, "1"],
    "span": [0.25, 1],
    "anything": " 5",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("forms")
    (folder / "forms.py").write_text(CODE)
    environment = {"STREAMER_PIPELINES": str(folder / "forms.py")}
    with ServerProcess.dashboards(folder, environment=environment) as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(30_000)
    yield page
    context.close()


def started(page: Page, server: ServerProcess) -> dict[str, Any]:
    """Press Start; return the parameters of the run whose page opens."""
    old = page.url
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(re.compile(r"[?&]run=\w+"))
    assert old != page.url
    run = page.url.partition("run=")[2].partition("&")[0]
    parameters: dict[str, Any] = httpx.get(f"{server.api_url}/api/runs/{run}", timeout=30).json()[
        "parameters"
    ]
    return parameters


def run_of(server: ServerProcess, pipeline: str, values: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Start a run by HTTP, wait until it is over; return its id and parameters."""
    path = f"{server.api_url}/api/pipelines/{pipeline}/runs"
    run = httpx.post(path, json=values, timeout=30).json()["run"]

    def state() -> dict[str, Any]:
        answer: dict[str, Any] = httpx.get(f"{server.api_url}/api/runs/{run}", timeout=30).json()
        return answer

    wait_until(lambda: state()["status"] == "complete", timeout=60)
    return run, state()["parameters"]


def same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def test_an_untouched_form_starts_exactly_the_defaults(server, page) -> None:
    _, defaults = run_of(server, "Every", {})
    page.goto(f"{server.page_url}?start=Every")
    page.locator("[name=anything]").wait_for()
    same(defaults, started(page, server))


def test_a_form_done_again_starts_exactly_the_old_values(server, page) -> None:
    run, old = run_of(server, "Every", OLD)
    same(OLD, {name: old[name] for name in OLD})
    page.goto(f"{server.page_url}?start=Every&again={run}")
    page.get_by_text(f"Filled with the values of run {run}").wait_for()
    same(old, started(page, server))


def chosen(page: Page, name: str) -> str:
    text: str = page.locator(f"[name={name}]").evaluate("select => select.selectedOptions[0].textContent")
    return text


def test_a_form_follows_a_change_keeps_what_was_typed_and_starts_what_it_shows(server, page) -> None:
    page.goto(f"{server.page_url}?start=Trip")
    # The choices that a constructor fills in are there from the first.
    page.locator("select[name=hotel]").wait_for()
    page.locator("[name=note]").fill("typed by me")
    page.locator("[name=password]").fill("hunter2")
    page.locator("[name=country]").select_option(label="fr")
    page.get_by_text("Region set to 'east' because Country changed.").wait_for()
    page.get_by_text("Town set to 'Metz' because Country changed.").wait_for()
    assert ("fr", "east", "Metz") == tuple(chosen(page, name) for name in ("country", "region", "town"))
    page.locator("[name=town]").select_option(label="Nancy")
    page.get_by_text("Hotel has other choices because Town changed.").wait_for()
    page.locator("[name=hotel]").select_option(label="Hostel Nancy")
    assert "hunter2" == page.locator("[name=password]").input_value()
    parameters = started(page, server)
    expected = {
        "country": "fr",
        "region": "east",
        "town": "Nancy",
        "hotel": "Hostel Nancy",
        "note": "typed by me",
    }
    assert expected == {name: parameters[name] for name in expected}


def test_all_mistakes_are_told_at_once_and_each_box_of_none_has_its_own_name(server, page) -> None:
    page.goto(f"{server.page_url}?start=Every")
    page.locator("[name=anything]").wait_for()
    assert page.get_by_role("checkbox", name="Limit: None").is_visible()
    page.locator("[name=big]").fill("many")
    page.locator("[name=color]").fill("no color")
    page.get_by_role("button", name="Start", exact=True).click()
    page.locator("#field-big-wrong", has_text="Expected a whole number.").wait_for()
    assert "color" in page.locator("#field-color-wrong").inner_text().lower()
