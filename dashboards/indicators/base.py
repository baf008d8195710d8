"""`Indicator`: what all indicators are, a Panel component that shows one thing of a model as one text. Draws nothing.

An indicator says what it shows as plain data; its script of the same name draws it. The data travels as one JSON
text, which is made once for all sessions that see the same. All protected overrides of Panel's methods stand here.
Panel calls them by itself: where a version has no such method, its own behaviour remains.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Final

import msgspec
import param
from panel.custom import AnyWidgetComponent, Child

from dashboards.indicators.widget import bundle_of, in_notebook, widget_of
from dashboards.session import Session

#: How many texts are kept for other sessions: those of a few moments of a few runs.
KEPT: Final = 400
#: The longest message that is read from a browser, in characters.
ASKED_LIMIT: Final = 200_000


def encode(value: Any) -> str:
    """Return plain data as JSON."""
    return msgspec.json.encode(value).decode()


class _Kept:
    """The latest texts, by what they depend on: viewers of one run mostly see the same. Any thread."""

    def __init__(self) -> None:
        self._texts: dict[tuple[Any, ...], tuple[tuple[Any, ...], str]] = {}

    def get(self, kind: object, depends: tuple[Any, ...], make: Callable[[], str]) -> str:
        """Return the text of what it depends on, compared by identity but for texts and numbers."""
        key = (kind, *map(_identity, depends))
        found = self._texts.get(key)
        if found is None:
            # The objects are kept as well: an identity is one as long as its object lives.
            found = self._texts[key] = depends, make()
            while len(self._texts) > KEPT:
                self._texts.pop(next(iter(self._texts)), None)
        return found[1]


def _identity(value: Any) -> Any:
    return value if isinstance(value, str | float | int | None) else ("", id(value))


@functools.cache
def _kept() -> _Kept:
    return _Kept()


class Indicator(AnyWidgetComponent):
    """A base of indicators: ``Percent(run)``. It takes a model and owns nothing; it ends with the model.

    A subclass names the model's parameters that it shows in `watched`, and returns what it shows from `present`, which
    depends on nothing else but `looks_at`.
    """

    content = param.String(default="", doc="What is shown, as one JSON text. Python sets it.")
    asked = param.String(default="", doc="What the reader last asked for, as JSON. The browser sets it.")
    beat = param.Integer(
        default=0, doc="Counts on when all is said, so that nothing is left lying. Python sets it."
    )
    label = param.String(default="", doc="The accessible name.")
    page = param.Boolean(default=False, doc="Whether it has the margins of a page of its own.")

    #: Whether a cell shows it as a widget; a layout of other indicators has children of Panel's.
    is_widget: ClassVar[bool] = True
    #: The component's name in the script; subclasses of an indicator keep it.
    script: ClassVar[str] = ""
    watched: Sequence[str] = ()
    model_class: ClassVar[type[Session]] = Session

    _bundle = Path(__file__).parent / "bundle.js"

    def __init__(self, model: Any, **params: Any) -> None:
        if not isinstance(model, self.model_class):
            raise TypeError(f"expected a {self.model_class.__name__}, received {type(model).__name__}")
        self.model: Any = model
        if params.get("width") is None:
            params.setdefault("sizing_mode", "stretch_width")
        super().__init__(**params)
        self.content = self._text()
        model.listen(self._model_changed, list(self.watched))
        model.listen(self._follow_beat, ["beat"])
        model.listen(self._say_again, ["loaded"])
        self.param.watch(self._take, "asked")

    # -- what a subclass says ------------------------------------------------------------------------------------------

    def looks_at(self) -> tuple[Any, ...]:
        """Return what `present` depends on, compared by identity but for texts and numbers."""
        return (*(getattr(self.model, name) for name in self.watched), self.model.commands is None)

    def present(self) -> dict[str, Any]:
        """Return what is shown of the model."""
        return {}

    def receive(self, message: Mapping[str, Any]) -> None:
        """Do what the reader asked for. Unknown messages are ignored."""

    def changed(self, names: set[str]) -> None:
        """Take in that parameters of the model changed."""
        self.content = self._text()

    def widget_content(self) -> str:
        """Return the content for a widget, which has no children of Panel's."""
        content: str = self.content
        return content

    def renew(self) -> None:
        """Make ready for a drawing that begins. Nothing that is set here is sent to the others."""

    # -- the rest ------------------------------------------------------------------------------------------------------

    def _text(self) -> str:
        return _kept().get(type(self), self.looks_at(), lambda: encode(self.present()))

    def refresh(self) -> None:
        """Present again: something that `present` depends on changed, such as a parameter of the indicator's own."""
        self.content = self._text()

    def _model_changed(self, *events: Any) -> None:
        self.changed({event.name for event in events})

    def _follow_beat(self, *_events: Any) -> None:
        # Panel can leave the last message lying while its connection is being written; another one brings it along.
        self.beat = self.model.beat

    def _say_again(self, *_events: Any) -> None:
        self.say_again()

    def say_again(self) -> None:
        """Send once more what is shown: a browser has loaded the page, and may have missed a change meanwhile."""
        # JSON with one blank more is the same JSON, and another text: an equal one would not be sent.
        self.content = f"{self._text()} "

    def _take(self, event: Any) -> None:
        # It comes from a browser: anything may be in it.
        if self.model.closed or len(event.new) > ASKED_LIMIT:
            return
        try:
            message = msgspec.json.decode(event.new)
        except msgspec.DecodeError:
            return
        if isinstance(message, dict) and isinstance(message.get("type"), str):
            self.receive(message)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Any:
        """Return what a cell shows: a widget where the packages are there and no children are needed, else Panel's."""
        if in_notebook() and self.is_widget:
            with suppress(ImportError):
                return bundle_of(self)
        return super()._repr_mimebundle_(include, exclude)

    def _display_(self) -> Any:
        """Return what marimo shows: a widget, or, of a layout, the widgets of its parts one below the other.

        See https://docs.marimo.io/guides/integrating_with_marimo/displaying_objects/.
        """
        # Only marimo calls this, so it is there.
        marimo = importlib.import_module("marimo")
        if self.is_widget:
            return marimo.ui.anywidget(widget_of(self))
        return marimo.vstack([part._display_() for part in self.parts()])

    def parts(self) -> list[Indicator]:
        """Return the indicators that this one is a layout of, in order; none of one that draws itself."""
        found = (getattr(self, name) for name, one in self.param.objects().items() if isinstance(one, Child))
        return [part for part in found if isinstance(part, Indicator)]

    # -- protected overrides -------------------------------------------------------------------------------------------

    #: Parameters that a browser sets; a change of any other one is not listened to.
    told: ClassVar[frozenset[str]] = frozenset({"asked"})

    @property
    def _linked_properties(self) -> tuple[str, ...]:
        # Listening for what only Python sets would bring each change back to Python, at twice its cost.
        # Where Panel has no such name, nobody asks for this one.
        linked: tuple[str, ...] = getattr(super(), "_linked_properties", ())
        return tuple(name for name in linked if name in self.told)

    @classmethod
    def _process_importmap(cls) -> dict[str, Any]:
        # The scripts import nothing; Panel would name React on a host of the internet in each model.
        return {}

    def _get_properties(self, doc: Any) -> dict[str, Any]:
        with param.parameterized.discard_events(self):
            self.renew()
        properties: dict[str, Any] = super()._get_properties(doc)
        if "class_name" in properties:
            properties["class_name"] = self.script or type(self).__name__
        return properties


class Following(Indicator):
    """An indicator with more to show than is sent at each change: it tells what is new, as numbered news.

    A drawing that missed some, or began later, asks for the whole.
    """

    news = param.String(default="", doc="What is new since the last news, as JSON. Python sets it.")

    def __init__(self, model: Any, **params: Any) -> None:
        self._version = 0
        super().__init__(model, **params)
        self.renew()

    def whole(self) -> str:
        """Return all there is, as the JSON of an object."""
        return "{}"

    def tell(self, change: str) -> None:
        """Tell what is new.

        Args:
            change: The JSON of an object; empty: nothing is new.
        """
        if change:
            self._version += 1
            self.news = f'{{"version":{self._version},"after":{self._version - 1},{change[1:]}'

    def renew(self) -> None:
        self.news = f'{{"version":{self._version},"whole":true,{self.whole()[1:]}'

    def receive(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "whole":
            self.renew()


def text_of(message: Mapping[str, Any], key: str, limit: int = 300) -> str:
    """Return a text from a browser's message, within bounds; empty when it is none.

    Args:
        message: The message.
        key: The name of the text in it.
        limit: Most characters.

    """
    value = message.get(key)
    return value[:limit] if isinstance(value, str) else ""
