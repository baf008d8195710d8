"""What the views share: a part of a page, and what keeps a page's parts in step with a model, as one Bokeh model.

A view says what its part shows of a model, as plain data; it draws nothing. `Board` gathers the views of a page into
one component of `views.js`, which builds the page from text only, never from markup.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

import msgspec
import panel as pn
import param
from panel.custom import JSComponent
from panel.io.model import apply_changes_without_dispatch
from panel.io.state import set_curdoc

from dashboards.session import Session
from dashboards.views.channel import can_tell, tell
from dashboards.views.pace import Pace

SCRIPT = Path(__file__).parent / "views.js"
#: How many presentations are kept for other sessions: those of a few moments of a few runs.
KEPT: Final = 400
#: Lists shorter than this are sent as they are when they change; of longer ones what is new at their end.
SHORT: Final = 5


def encode(value: Any) -> str:
    """Return plain data as JSON."""
    return msgspec.json.encode(value).decode()


class Shown:
    """What a part shows, as data and as JSON, and what is new since another; each encoded once for all sessions."""

    __slots__ = ("_change", "_since", "state", "text")

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state
        self.text = encode(state)
        self._since: Shown | None = None
        self._change = ""

    def since(self, before: Shown) -> str:
        """Return as JSON what is new, empty: nothing. A list that grew is ``+name``: [how many stay, the rest]."""
        if self is before or self.text == before.text:
            return ""
        if self._since is not before:
            self._since, self._change = before, encode(_change(before.state, self.state))
        return self._change


def _change(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    change: dict[str, Any] = {}
    for name, value in after.items():
        old = before.get(name)
        if value == old:
            continue
        if isinstance(value, list) and isinstance(old, list) and len(value) >= len(old) >= SHORT:
            same = len(old) - 1 if value[: len(old) - 1] == old[:-1] else 0
            if same:
                same += value[same] == old[same]
                change[f"+{name}"] = [same, value[same:]]
                continue
        change[name] = value
    return change


class _Presented:
    """The latest presentations, by what they depend on: viewers of one run mostly see the same."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Any, ...], tuple[tuple[Any, ...], Shown]] = {}

    def get(self, view: View) -> Shown:
        """Return what a view shows; it presents it anew only when no other has shown the same lately."""
        depends = view.looks_at()
        key = (type(view), *map(_identity, depends))
        found = self._kept.get(key)
        if found is None:
            # What it depends on is kept with it: an identity is one as long as its object lives.
            found = self._kept[key] = depends, Shown(view.present())
            while len(self._kept) > KEPT:
                self._kept.pop(next(iter(self._kept)), None)
        return found[1]


def _identity(value: Any) -> Any:
    return value if isinstance(value, str | float | int | None) else ("", id(value))


@functools.cache
def _presented() -> _Presented:
    return _Presented()


class View:
    """A part of a page: what it shows of a model, and what its reader asks for there.

    `part` is its name in `views.js`, `names` the model's parameters on which `present` depends: on nothing else but
    whether there is a streamer to ask. What is set up once, in `__init__`, does not change.
    """

    part: ClassVar[str] = ""
    names: ClassVar[Iterable[str]] = ()

    def __init__(self, model: Any) -> None:
        if not isinstance(model, Session):
            raise TypeError(
                f"expected a model (RunModel, RunsModel or StartModel), received {type(model).__name__}"
            )
        self.model: Any = model

    def looks_at(self) -> tuple[Any, ...]:
        """Return what `present` depends on, compared by identity but for texts and numbers."""
        return (*(getattr(self.model, name) for name in self.names), self.model.commands is None)

    def present(self) -> dict[str, Any]:
        """Return what is shown of the model."""
        raise TypeError(f"{type(self).__name__} does not say what it presents")

    def begin(self) -> str:
        """Return as JSON the news that a drawing starts with; empty: this part has no news."""
        return ""

    def note(self, changed: set[str]) -> None:
        """Keep for `news` what happens, beyond what is presented, as these parameters change; within bounds."""

    def news(self) -> str:
        """Return as JSON what has happened, beyond what is presented, since the last call; empty: nothing."""
        return ""

    def figure(self) -> str:
        """Return as JSON the Bokeh figure that a drawing starts with; empty: this part has none."""
        return ""

    def receive(self, message: Mapping[str, Any]) -> None:
        """Do what the reader asked for; unknown messages are ignored."""

    def __panel__(self) -> Any:
        return Board(self.model, self.part, [self]).component


class Parts(JSComponent):
    """The parts of a page in one of the layouts of `views.js`, or one part alone, as a single Bokeh model.

    `text` is what a drawing starts with; what happens later arrives as messages.
    """

    text = param.String(default="", doc="What all parts show, as JSON.")
    arrangement = param.String(default="", constant=True, doc="The layout's name, or the part's.")

    _bundle = SCRIPT

    def __init__(self, board: Board, arrangement: str) -> None:
        self.board = board
        super().__init__(arrangement=arrangement, sizing_mode="stretch_width", margin=0)

    @property
    def _linked_properties(self) -> tuple[str, ...]:
        # A browser says what its reader did in messages, and changes no property: listening for that would only bring
        # back to Python, at twice its cost, each change that Python made.
        return ()

    @property
    def _synced_params(self) -> list[str]:
        # It brings its own look. Panel's, for which it has no use, would come from the internet where a session is made
        # for a WebSocket, as in another process than that of the page.
        return [name for name in super()._synced_params if name != "stylesheets"]

    def _update_design(self, *_: Any) -> None:
        # What a design of Panel's adds changes nothing of it, and would be made for each page.
        self._design = None  # type: ignore[assignment]  # Panel asks whether there is one

    def _get_properties(self, doc: Any) -> dict[str, Any]:
        with param.parameterized.discard_events(self):
            self.text = self.board.whole()
        properties: dict[str, Any] = super()._get_properties(doc)
        return properties

    def _process_bokeh_event(self, doc: Any, event: Any) -> None:
        # Panel tells its own pages that it is busy meanwhile, which costs more than most messages.
        with set_curdoc(doc):
            self._process_event(event)

    def _handle_msg(self, data: Any) -> None:
        # It comes from a browser: anything may be in it.
        if isinstance(data, Mapping) and isinstance(data.get("type"), str):
            self.board.receive(data)

    def keep(self, text: str) -> None:
        """Have the drawings that are still to come start with this. Nothing is sent."""
        for model, _parent in self._models.values():
            if model.document is None:
                model.data.text = text
            else:
                apply_changes_without_dispatch(model.document, model.data, {"text": text})

    def send(self, text: str) -> None:
        """Tell the drawings that are there, in the order of the calls."""
        document = pn.state.curdoc
        session = getattr(getattr(document, "session_context", None), "session", None)
        if document is None or session is None or not (pn.state._unblocked(document) and can_tell(session)):
            self._send_msg(text)
            return
        for model, _parent in self._models.values():
            if model.document is document:
                tell(session, model, text)


class Board:
    """Keeps one component in step with a model: tells it what changed of its parts, joined. Ends with the model.

    Messages are numbered; a browser that missed one says `hello`, as one does that has drawn the page, and is told all.
    One that does not keep up is told nothing until it has said that it has `seen` what is on its way, then all at once.
    """

    def __init__(self, model: Session, arrangement: str, views: Iterable[View]) -> None:
        self.views = {view.part: view for view in views}
        self._shown = {part: _presented().get(view) for part, view in self.views.items()}
        self._version = 0
        self._is_drawn = False
        self._pace = Pace()
        # The parameters that changed and were not told yet.
        self._due: set[str] = set()
        self._model = model
        self.component = Parts(self, arrangement)
        model.listen(self._changed, sorted({name for view in self.views.values() for name in view.names}))

    def whole(self) -> str:
        """Return all that is shown, as JSON. Another drawing that waits is told the same."""
        self._tell()
        return self._whole()

    def _whole(self, ask: bool = False) -> str:
        parts = _mapping({part: shown.text for part, shown in self._shown.items()})
        news = _mapping({part: view.begin() for part, view in self.views.items()})
        figures = _mapping({part: view.figure() for part, view in self.views.items()})
        return (
            f'{{"version":{self._version},"whole":true,"ask":{_boolean(ask)},'
            f'"parts":{parts},"news":{news},"figures":{figures}}}'
        )

    def _changed(self, *events: Any) -> None:
        names = {event.name for event in events}
        for view in self.views.values():
            if not names.isdisjoint(view.names):
                view.note(names)
        self._due |= names
        if not self._is_drawn:
            if self._advance():
                self.component.keep(self._whole())
        elif not self._pace.is_full:
            self._tell()

    def _tell(self) -> None:
        before, news = self._version, self._advance()
        if news and self._is_drawn:
            ask = self._pace.sent(self._version, len(news))
            self.component.send(
                f'{{"version":{self._version},"after":{before},"ask":{_boolean(ask)},{news}}}'
            )

    def _advance(self) -> str:
        """Take in what changed and was not told yet; return it as the inside of a message, empty: nothing to see."""
        due, self._due = self._due, set()
        changes: dict[str, str] = {}
        news: dict[str, str] = {}
        for part, view in self.views.items():
            if due.isdisjoint(view.names):
                continue
            news[part] = view.news()
            shown, before = _presented().get(view), self._shown[part]
            self._shown[part] = shown
            changes[part] = shown.since(before)
        if not any(changes.values()) and not any(news.values()):
            return ""
        self._version += 1
        return f'"parts":{_mapping(changes)},"news":{_mapping(news)}'

    def receive(self, message: Mapping[str, Any]) -> None:
        """Take what a browser says; what is not known is ignored."""
        if self._model.closed:
            return
        match message["type"]:
            case "hello":
                self._begin(message.get("version"))
            case "seen":
                self._seen(message.get("version"))
            case _:
                view = self.views.get(text_of(message, "part"))
                if view is not None:
                    view.receive(message)

    def _begin(self, version: Any) -> None:
        self._is_drawn = True
        self._pace.clear()
        self._advance()
        if version != self._version:
            text = self._whole(ask=True)
            self._pace.sent(self._version, len(text))
            self.component.send(text)

    def _seen(self, version: Any) -> None:
        if isinstance(version, int):
            self._pace.taken(version)
            if self._due and not self._pace.is_full:
                self._tell()


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _mapping(texts: Mapping[str, str]) -> str:
    return "{" + ",".join(f'"{name}":{text}' for name, text in texts.items() if text) + "}"


def around(where: View | None) -> tuple[View, ...]:
    """Return what a page has beside what it is about: where its reader is, for its bar; nothing where there is none."""
    return () if where is None else (where,)


def run_soon(action: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run what returns a coroutine on the session's loop."""

    # Panel awaits what is declared a coroutine function, and only that: a lambda is none.
    async def run() -> None:
        await action()

    pn.state.execute(run)


def text_of(message: Mapping[str, Any], key: str, limit: int = 300) -> str:
    """Return a text from a browser's message, within bounds; empty when it is none."""
    value = message.get(key)
    return value[:limit] if isinstance(value, str) else ""
