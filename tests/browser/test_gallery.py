"""The gallery in Chromium: that every view is drawn, reads well, fits a phone, and runs nothing of what it shows."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from tests.gallery.samples import MARKUP
from tests.support import ROOT, ServerProcess, free_port, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]

#: What a page must have drawn before it is looked at, by view.
DRAWN = {"run": ".pct", "runs": ".runs tbody tr, .start-empty", "start": ".submit"}

# Walks every shadow root; the functions below begin with it.
WALK = """
const all = []
const walk = (root) => {
  for (const e of root.querySelectorAll("*")) { all.push(e); if (e.shadowRoot) { walk(e.shadowRoot) } }
}
walk(document)
const parent = (e) => e.parentElement ?? e.getRootNode().host ?? null
"""

# Every visible text whose contrast with what is behind it is under 4.5 (3 for large text), as "text: ratio".
PALE = f"""() => {{ {WALK}
  const canvas = Object.assign(document.createElement("canvas"), {{width: 1, height: 1}})
  const context = canvas.getContext("2d", {{willReadFrequently: true}})
  const rgba = (colour) => {{
    context.clearRect(0, 0, 1, 1); context.fillStyle = colour; context.fillRect(0, 0, 1, 1)
    const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data
    return [r, g, b, a / 255]
  }}
  const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1]
  const ground = (e) => {{
    const layers = []
    for (let at = e; at != null; at = parent(at)) {{ layers.push(rgba(getComputedStyle(at).backgroundColor)) }}
    return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255, 1])
  }}
  const light = ([r, g, b]) => {{
    const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    const [x, y, z] = [r, g, b].map((c) => linear(c / 255))
    return 0.2126 * x + 0.7152 * y + 0.0722 * z
  }}
  const pale = []
  for (const e of all) {{
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim() !== "")
    if (!own || ["STYLE", "SCRIPT", "OPTION", "TITLE"].includes(e.tagName) || e.disabled) {{ continue }}
    const seen = e.checkVisibility({{visibilityProperty: true, opacityProperty: true}})
    if (!seen || e.getClientRects().length === 0) {{ continue }}
    const back = ground(e)
    const style = getComputedStyle(e)
    const [high, low] = [light(over(rgba(style.color), back)), light(back)].sort((a, b) => b - a)
    const ratio = (high + 0.05) / (low + 0.05)
    const large = parseFloat(style.fontSize) >= 24
    if (ratio < (large ? 3 : 4.5)) {{ pale.push(`${{e.textContent.trim().slice(0, 40)}}: ${{ratio.toFixed(2)}}`) }}
  }}
  return pale
}}"""

# What sticks out of the window to the right and cannot be scrolled to within a box of its own.
WIDE = f"""() => {{ {WALK}
  const scrolls = (e) => {{
    for (let at = parent(e); at != null; at = parent(at)) {{
      if (["auto", "scroll", "hidden"].includes(getComputedStyle(at).overflowX)) {{ return true }}
    }}
    return false
  }}
  const sticks_out = (e) => e.getClientRects().length > 0 && e.getBoundingClientRect().right > innerWidth + 1
  const wide = all.filter((e) => sticks_out(e) && !scrolls(e))
  const content = document.documentElement
  if (content.scrollWidth > content.clientWidth) {{ wide.push(content) }}
  return wide.map((e) => `${{e.tagName}}.${{e.className}}`)
}}"""

# All models of Bokeh's: a figure has a document of its own.
MODELS = "Bokeh.documents.flatMap((document) => [...document.all_models])"

# The colours of the glyphs, by the renderers' names.
GLYPHS = f"""() => Object.fromEntries({MODELS}.filter((m) => m.type === "GlyphRenderer")
  .map((r) => [r.name, r.glyph.fill_color?.value ?? r.glyph.line_color?.value]))"""


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder: Path = tmp_path_factory.mktemp("gallery")
    port = free_port()
    address = ["--address", "127.0.0.1", "--port", str(port), "--allow-websocket-origin", f"127.0.0.1:{port}"]
    # A page that was left is not kept for its reader to come back to.
    sessions = ["--unused-session-lifetime", "8000", "--check-unused-sessions", "1000"]
    app = str(ROOT / "tests" / "gallery" / "gallery.py")
    command = [sys.executable, "-m", "panel", "serve", app, *address, *sessions]
    environment = {"PYTHONPATH": str(ROOT)}
    with ServerProcess(
        command, port=port, data=folder, ready_path="/gallery", environment=environment, timeout=90
    ) as server:
        yield server


class Visit:
    """A page of the gallery, drawn; `troubles` is what went wrong in the browser meanwhile."""

    def __init__(self, context: BrowserContext, url: str, view: str, script: str = "") -> None:
        self.troubles: list[str] = []
        self.page: Page = context.new_page()
        self.page.add_init_script(script)
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.troubles.append(f"error: {error}"))
        self.page.on("request", lambda request: self._request(request.url))
        self.page.goto(url)
        self.page.locator(DRAWN[view]).locator("visible=true").first.wait_for(timeout=30_000)

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.troubles.append(f"{message.type}: {message.text}")

    def _request(self, url: str) -> None:
        if not url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")):
            self.troubles.append(f"asks for {url}")


@pytest.fixture
def visit(gallery: ServerProcess, browser: Browser) -> Iterator[Callable[..., Visit]]:
    contexts: list[BrowserContext] = []

    def open_page(
        view: str, state: str, *, dark: bool = False, width: int = 1280, script: str = "", **options: Any
    ) -> Visit:
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        query = {"view": view, "state": state, **({"theme": "dark"} if dark else {})}
        return Visit(context, f"{gallery.url}/gallery?{urlencode(query)}", view, script)

    yield open_page
    for context in contexts:
        context.close()


@pytest.mark.parametrize(
    ("view", "state"),
    [
        ("run", "markup"),
        ("run", "queued"),
        ("runs", "many"),
        ("runs", "empty"),
        ("start", "markup"),
    ],
)
def test_a_page_is_drawn_without_trouble_and_runs_nothing_it_shows(
    visit: Callable[..., Visit], view: str, state: str
) -> None:
    page = visit(view, state)
    page.page.wait_for_load_state("networkidle")
    assert ([], "Streamer") == (page.troubles, page.page.title())
    assert 0 == page.page.locator("img[src=x]").count()


def test_a_page_reaches_no_other_host_and_loads_no_plugin(visit: Callable[..., Visit]) -> None:
    page = visit("run", "running").page
    refused = page.evaluate(
        """async () => {
          const found = new Set()
          const all = new Promise((resolve) => document.addEventListener("securitypolicyviolation", (event) => {
            found.add(event.effectiveDirective)
            if (found.size === 4) { resolve() }
          }))
          const image = new Image()
          image.src = "http://127.0.0.1:9/x.png"
          await fetch("http://127.0.0.1:9/").catch(() => null)
          document.body.append(Object.assign(document.createElement("embed"), {src: "/x.pdf", type: "application/pdf"}))
          const base = Object.assign(document.createElement("base"), {href: "http://127.0.0.1:9/"})
          document.head.append(base)
          await all
          return [...found].sort()
        }"""
    )
    assert ["base-uri", "connect-src", "img-src", "object-src"] == refused


def test_markup_is_seen_as_it_is_wherever_it_can_be(visit: Callable[..., Visit]) -> None:
    page = visit("run", "markup").page
    for place in ("h1", ".sub", ".what", ".line .message", ".list .name >> nth=0", ".banner"):
        assert MARKUP in page.locator(place).first.inner_text()
    page.get_by_role("tab", name="Parameters").click()
    assert MARKUP in page.locator(".pairs th").first.inner_text()
    page.get_by_role("tab", name="Failed items").click()
    page.locator(".items summary").click()
    assert MARKUP in page.locator(".items pre").inner_text()


def test_progress_has_a_name_and_a_value(visit: Callable[..., Visit]) -> None:
    bar = visit("run", "running").page.get_by_role("progressbar", name="Overall progress")
    assert ("63", "0", "100", "63 %, load, 3,664 of 4,812 rows · 128 rows/s") == tuple(
        bar.get_attribute(f"aria-{name}") for name in ("valuenow", "valuemin", "valuemax", "valuetext")
    )


def test_what_is_not_known_has_no_value(visit: Callable[..., Visit]) -> None:
    bar = visit("run", "indeterminate").page.get_by_role("progressbar", name="Overall progress")
    assert (None, "12,408 files, scan, total not known · 1,240 files/s") == (
        bar.get_attribute("aria-valuenow"),
        bar.get_attribute("aria-valuetext"),
    )


def test_the_phases_are_named_for_those_who_do_not_see_them(visit: Callable[..., Visit]) -> None:
    page = visit("run", "failed").page
    assert "load: failed at 76 % · 24 s" in (page.locator(".bar").get_attribute("aria-label") or "")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("view", "state"),
    [("run", "failed"), ("runs", "many"), ("start", "errors")],
)
def test_all_text_can_be_read(visit: Callable[..., Visit], view: str, state: str, dark: bool) -> None:
    page = visit(view, state, dark=dark, reduced_motion="reduce").page
    wait_until(lambda: dark == page.evaluate("document.documentElement.dataset.stTheme === 'dark'"))
    assert [] == page.evaluate(PALE)


@pytest.mark.parametrize(
    ("view", "state"),
    [
        ("run", "long-names"),
        ("run", "nested-bars"),
        ("run", "complete"),
        ("runs", "many"),
        ("start", "markup"),
    ],
)
def test_a_phone_is_wide_enough(visit: Callable[..., Visit], view: str, state: str) -> None:
    assert [] == visit(view, state, width=400).page.evaluate(WIDE)


def test_bars_inside_a_run_have_names_and_values_and_do_not_push_the_rest_away(
    visit: Callable[..., Visit],
) -> None:
    page = visit("run", "many-bars").page
    bar = page.get_by_role("progressbar", name="process 7", exact=True)
    assert ("3", "35 of 1,000 it") == (
        bar.get_attribute("aria-valuenow"),
        bar.get_attribute("aria-valuetext"),
    )
    box = page.get_by_role("list", name="Bars inside this run").bounding_box()
    assert box is not None
    assert box["height"] < 300


def test_a_long_page_ends_with_a_margin(visit: Callable[..., Visit]) -> None:
    page = visit("runs", "many").page
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    assert page.locator(".runs").bounding_box()["y"] < 0
    assert 860 == page.locator(".runs").evaluate("(e) => Math.round(e.getBoundingClientRect().bottom)")


# The name of what has the focus, in whatever shadow root it is.
FOCUSED = """() => {
  let at = document.activeElement
  while (at.shadowRoot?.activeElement) { at = at.shadowRoot.activeElement }
  return at.getAttribute("aria-label") ?? at.placeholder ?? at.textContent.trim()
}"""


def test_keys_reach_what_can_be_done_and_nothing_else(visit: Callable[..., Visit]) -> None:
    page = visit("run", "running").page
    reached = []
    for _ in range(10):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(FOCUSED))
    stops = ["Streamer", "Gallery", "Dark theme", "Copy link", "Cancel", "Log 1,204", "Level"]
    assert [*stops, "Search the whole log", "Following", "Log"] == reached


def test_narrow_phases_are_named_in_a_list(visit: Callable[..., Visit]) -> None:
    page = visit("run", "thirty-phases", width=400).page
    assert 6 == page.locator(".list li:visible").count()
    page.get_by_role("button", name="All 30 phases").click()
    assert 30 == page.locator(".list li:visible").count()


@pytest.mark.parametrize(
    ("state", "names"),
    [
        ("running", ["Copy link", "Cancel"]),
        ("retried", ["Copy link", "Retry failed items", "Run again…"]),
    ],
)
def test_on_a_phone_the_buttons_of_a_run_are_one_row(
    visit: Callable[..., Visit], state: str, names: list[str]
) -> None:
    buttons = visit("run", state, width=400).page.locator(".top .btn:not(dialog *)").locator("visible=true")
    assert names == buttons.all_inner_texts()
    assert 1 == len({round(button.bounding_box()["y"]) for button in buttons.all()})


def test_wide_phases_are_named_under_their_segments(visit: Callable[..., Visit]) -> None:
    page = visit("run", "running").page
    assert (3, 0) == (page.locator(".labels .name:visible").count(), page.locator(".list li:visible").count())


@pytest.mark.parametrize(("motion", "animation"), [("reduce", "none"), ("no-preference", "pass")])
def test_what_moves_stands_still_for_those_who_ask(
    visit: Callable[..., Visit], motion: str, animation: str
) -> None:
    page = visit("run", "indeterminate", reduced_motion=motion).page
    moving = page.locator(".moving")
    assert animation == moving.evaluate("(e) => getComputedStyle(e, '::after').animationName")


def test_the_figures_follow_the_theme_without_a_reload(visit: Callable[..., Visit]) -> None:
    page = visit("run", "running").page
    light = page.evaluate(GLYPHS)
    page.get_by_role("button", name="Dark theme").click()
    wait_until(lambda: page.evaluate(GLYPHS) != light)
    dark = page.evaluate(GLYPHS)
    assert ("#dcebfb", "#12314f") == (light["area"], dark["area"])
    assert "rgb(50, 59, 72)" == page.locator(".segment").last.evaluate(
        "(e) => getComputedStyle(e).backgroundColor"
    )


# The ground of the document in every frame that was painted; runs before anything else does.
GROUNDS = """(() => {
  const seen = window.seen = new Set()
  const look = () => {
    if (document.body != null) { seen.add(getComputedStyle(document.body).backgroundColor) }
    requestAnimationFrame(look)
  }
  look()
})()"""


def test_a_page_is_as_dark_as_its_browser_prefers_from_the_first_frame(visit: Callable[..., Visit]) -> None:
    page = visit("run", "running", color_scheme="dark", script=GROUNDS).page
    assert ["rgb(14, 17, 22)"] == page.evaluate("[...window.seen]")


def test_the_theme_that_was_chosen_wins_and_is_remembered(visit: Callable[..., Visit]) -> None:
    page = visit("run", "running", dark=True, color_scheme="dark").page
    toggle = page.get_by_role("button", name="Dark theme")
    assert "true" == toggle.get_attribute("aria-pressed")
    toggle.click()
    wait_until(lambda: "light" == page.evaluate("document.documentElement.dataset.stTheme"))
    page.reload()
    page.locator(".pct").wait_for()
    assert ("light", "false", False) == (
        page.evaluate("document.documentElement.dataset.stTheme"),
        page.get_by_role("button", name="Dark theme").get_attribute("aria-pressed"),
        "theme=" in page.url,
    )


def test_a_run_under_way_moves_and_its_log_follows(visit: Callable[..., Visit]) -> None:
    visited = visit("run", "live")
    page = visited.page
    bar = page.get_by_role("progressbar", name="Overall progress")
    wait_until(lambda: int(bar.get_attribute("aria-valuenow") or 0) >= 65, timeout=30)
    lines = page.locator(".lines")
    assert lines.evaluate("(e) => e.scrollHeight - e.scrollTop - e.clientHeight < 30")
    messages = page.locator(".line .message").all_inner_texts()
    assert len(set(messages)) == len(messages)
    assert [] == visited.troubles


@pytest.mark.parametrize("width", [390, 1280])
def test_what_was_logged_beside_a_line_is_one_line_until_it_is_opened(
    visit: Callable[..., Visit], width: int
) -> None:
    visited = visit("run", "long-names", width=width)
    fields = visited.page.locator(".line .extra")
    fields.scroll_into_view_if_needed()
    assert f"rows: 5\nwho: {MARKUP}" == fields.text_content()
    closed = fields.bounding_box()["height"]
    fields.click()
    wait_until(lambda: fields.bounding_box()["height"] >= 2 * closed)
    # Elsewhere in the row: twice at one place would be a double click, which selects a word.
    visited.page.locator(".line.open .time").click()
    wait_until(lambda: fields.bounding_box()["height"] == closed)
    assert [] == visited.troubles


def test_a_line_of_the_log_is_opened_and_closed_by_keys(visit: Callable[..., Visit]) -> None:
    visited = visit("run", "long-names")
    page = visited.page
    line = page.locator(".line", has=page.locator(".extra"))
    closed = line.bounding_box()["height"]
    page.get_by_role("treegrid", name="Log").focus()
    page.keyboard.press("Tab")
    assert page.locator(".line").last.evaluate("(e) => e.matches(':focus-visible')")
    for _ in range(page.locator(".line").count()):
        if line.evaluate("(e) => e.matches(':focus')"):
            break
        page.keyboard.press("ArrowUp")
    assert ("false", "solid") == (
        line.get_attribute("aria-expanded"),
        line.evaluate("(e) => getComputedStyle(e).outlineStyle"),
    )
    for key, expanded in (("Enter", "true"), ("Escape", "false"), (" ", "true"), (" ", "false")):
        page.keyboard.press(key)
        assert expanded == line.get_attribute("aria-expanded")
        assert (expanded == "true") == (line.bounding_box()["height"] > closed)
    page.keyboard.press("Escape")
    assert page.evaluate(FOCUSED) == "Log"
    assert [] == visited.troubles


def test_who_is_at_a_line_by_keys_stays_there_while_more_come(visit: Callable[..., Visit]) -> None:
    page = visit("run", "live").page
    lines = page.get_by_role("treegrid", name="Log")
    wait_until(lambda: lines.evaluate("(e) => e.scrollHeight > e.clientHeight + 200"), timeout=30)
    lines.focus()
    page.keyboard.press("Tab")
    follow = page.locator(".follow")
    wait_until(lambda: follow.get_attribute("aria-pressed") == "false")
    page.keyboard.press("Home")
    wait_until(lambda: lines.evaluate("(e) => e.scrollTop === 0"))
    page.keyboard.press("End")
    wait_until(lambda: lines.evaluate("(e) => e.scrollHeight - e.scrollTop - e.clientHeight < 24"))
    text, drawn = page.evaluate(FOCUSED), page.locator(".line").count()
    wait_until(lambda: page.locator(".line").count() > drawn + 3, timeout=30)
    assert (text, "false") == (page.evaluate(FOCUSED), follow.get_attribute("aria-pressed"))


def test_the_log_stops_following_when_its_reader_scrolls_up(visit: Callable[..., Visit]) -> None:
    page = visit("run", "live").page
    lines = page.locator(".lines")
    wait_until(lambda: lines.evaluate("(e) => e.scrollHeight > e.clientHeight + 200"), timeout=30)
    lines.hover()
    page.mouse.wheel(0, -150)
    follow = page.locator(".follow")
    wait_until(lambda: follow.get_attribute("aria-pressed") == "false")
    pill = page.locator(".pill")
    pill.wait_for()
    top = lines.evaluate("(e) => e.scrollTop")
    drawn = page.locator(".line").count()
    wait_until(lambda: page.locator(".line").count() > drawn + 3)
    assert top == lines.evaluate("(e) => e.scrollTop")
    pill.click()
    wait_until(lambda: follow.get_attribute("aria-pressed") == "true")
    wait_until(lambda: lines.evaluate("(e) => e.scrollHeight - e.scrollTop - e.clientHeight < 30"))


def test_scrolling_up_loads_older_lines_and_stays_bounded(visit: Callable[..., Visit]) -> None:
    page = visit("run", "many-lines").page
    lines = page.locator(".lines")
    wait_until(lambda: lines.evaluate("(e) => e.scrollTop > 1000"))
    first = page.locator(".line .time").first.get_attribute("title")
    lines.hover()
    page.mouse.wheel(0, -50_000)
    wait_until(lambda: page.locator(".line .time").first.get_attribute("title") != first)
    assert 500 == page.locator(".line").count()
    assert lines.evaluate("(e) => e.scrollTop > 1000")


def test_the_whole_log_is_searched(visit: Callable[..., Visit]) -> None:
    page = visit("run", "many-lines").page
    page.get_by_role("searchbox", name="Search the whole log").fill("trading days")
    found = "GOOG: 3 trading days missing in 2010-04"
    wait_until(lambda: found == page.locator(".line .message").first.inner_text(), interval=0.1)
    assert {found} == set(page.locator(".line .message").all_inner_texts())
    page.get_by_label("Level").select_option(label="Errors")
    page.get_by_text("No lines match.").wait_for()


def test_cancel_asks_first(visit: Callable[..., Visit]) -> None:
    page = visit("run", "running").page
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("button", name="Keep running").click()
    assert 0 == page.locator(".banner").count()
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("button", name="Cancel run").click()
    page.get_by_text("Cancel did not go through").wait_for()


def test_the_link_is_copied(visit: Callable[..., Visit]) -> None:
    page = visit("run", "running", permissions=["clipboard-read", "clipboard-write"]).page
    page.get_by_role("button", name="Copy link").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.url == page.evaluate("navigator.clipboard.readText()")


def test_tabs_are_turned_by_keys(visit: Callable[..., Visit]) -> None:
    page = visit("run", "complete").page
    tab = page.get_by_role("tab", name="Result")
    assert "true" == tab.get_attribute("aria-selected")
    tab.press("ArrowRight")
    page.get_by_role("tabpanel", name="Log").wait_for()


def test_a_traceback_is_one_click_away(visit: Callable[..., Visit]) -> None:
    page = visit("run", "complete-with-failures").page
    page.locator(".items summary").first.click()
    assert "line 118, in load" in page.locator(".items pre:visible").inner_text()
    page.get_by_role("button", name="Next").click()
    page.get_by_text("51 to 60 of 60").wait_for()


def test_a_click_on_a_row_opens_the_run(visit: Callable[..., Visit]) -> None:
    page = visit("runs", "some").page
    assert "?view=run&state=running#a91c" == page.get_by_role("link", name="Audit folder").get_attribute(
        "href"
    )
    page.locator(".runs tbody tr").nth(1).locator("td").nth(4).click()
    page.locator(".pct").wait_for()


def test_what_is_refused_is_said_at_the_field_and_the_form_keeps_what_was_typed(
    visit: Callable[..., Visit],
) -> None:
    page = visit("start", "form").page
    repeat = page.get_by_label("Repeat")
    repeat.fill("1000")
    page.get_by_role("button", name="Start", exact=True).click()
    page.get_by_text("At most 100.").wait_for()
    assert ("1000", "true") == (repeat.input_value(), repeat.get_attribute("aria-invalid"))
    repeat.fill("3")
    page.get_by_label("Source").fill("/nowhere")
    page.get_by_role("button", name="Start", exact=True).click()
    page.get_by_text("Expected something that exists.").wait_for()
    assert (None, "/nowhere") == (
        repeat.get_attribute("aria-invalid"),
        page.get_by_label("Source").input_value(),
    )


def test_another_pipeline_has_another_form(visit: Callable[..., Visit]) -> None:
    page = visit("start", "form").page
    page.get_by_role("button", name="Audit folder").click()
    page.get_by_label("Folder", exact=False).first.wait_for()
    assert 0 == page.get_by_label("Repeat").count()
