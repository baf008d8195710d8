"""What the views share: the component with one `state`, and the view that keeps it in step with a model.

The components' script is `views.js`; it builds the page from text only, never from markup.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import panel as pn
import param
from panel.custom import JSComponent
from panel.viewable import Viewer

from dashboards.session import Session

SCRIPT = Path(__file__).parent / "views.js"


class Component(JSComponent):
    """An element of `views.js`, named as its class. It shows `state`; what its reader does comes to `handler`."""

    state = param.Dict(default={}, doc="What is shown: plain data.")

    _bundle = SCRIPT
    __abstract = True

    def __init__(self, **params: Any) -> None:
        params.setdefault("sizing_mode", "stretch_width")
        params.setdefault("margin", 0)
        super().__init__(**params)
        self.handler: Callable[[Mapping[str, Any]], Any] | None = None

    @property
    def _linked_properties(self) -> tuple[str, ...]:
        # A browser says what its reader did in messages, and changes no property: listening for that would only bring
        # back to Python, at twice its cost, each change that Python made.
        return ()

    def _handle_msg(self, data: Any) -> None:
        # It comes from a browser: anything may be in it.
        if self.handler is not None and isinstance(data, Mapping) and isinstance(data.get("type"), str):
            self.handler(data)

    def put(self, state: dict[str, Any]) -> None:
        """Show `state`; nothing is sent when it is shown already."""
        if state != self.state:
            self.state = state


def run_soon(action: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run what returns a coroutine on the session's loop."""

    # Panel awaits what is declared a coroutine function, and only that: a lambda is none.
    async def run() -> None:
        await action()

    pn.state.execute(run)


def when_drawn(action: Callable[[], None]) -> None:
    """Call `action` when the browser of a served page says that it has drawn it, to say again what changed meanwhile.

    Panel drops changes of properties between a page's reading and this: the end of a run that ended meanwhile would
    never be seen. What is in no page has no such time.
    """
    if pn.state.curdoc is not None and pn.state.curdoc.session_context:
        pn.state.onload(action)


class View(Viewer):
    """Keeps one component in step with a model: `present` says what it shows, `names` on which parameters that depends.

    Sends only when what is shown changes. Ends with the model's session.
    """

    names: ClassVar[Iterable[str]] = ()
    component_class: ClassVar[type[Component]] = Component

    def __init__(self, model: Any, **params: Any) -> None:
        super().__init__(**params)
        if not isinstance(model, Session):
            raise TypeError(
                f"expected a model (RunModel, RunsModel or StartModel), received {type(model).__name__}"
            )
        self.model: Any = model
        self._seen: tuple[Any, ...] = ()
        self.component = self.build()
        self.component.handler = self.receive
        self._built = self.component.state
        when_drawn(self._say_again)
        model.listen(self.refresh, self.names)
        model.on_close(self._close)

    def build(self) -> Component:
        """Return the component, showing the model as it is."""
        return self.component_class(state=self.present())

    def refresh(self, *_events: Any) -> None:
        """Show the model as it is now."""
        seen = self.looks_at()
        if seen and seen == self._seen:
            return
        self._seen = seen
        self.component.put(self.present())

    def _say_again(self) -> None:
        if self.component.state is not self._built:
            self.component._send_msg({"kind": "state", "state": self.component.state})

    def looks_at(self) -> tuple[Any, ...]:
        """Return what alone `present` depends on, when that is far less than all of `names`; empty: not known."""
        return ()

    def present(self) -> dict[str, Any]:
        """Return what is shown of the model."""
        raise TypeError(f"{type(self).__name__} does not say what it presents")

    def receive(self, message: Mapping[str, Any]) -> None:
        """Do what the reader asked for; unknown messages are ignored."""

    def _close(self) -> None:
        self.component.handler = None

    def __panel__(self) -> Any:
        return self.component


def text_of(message: Mapping[str, Any], key: str, limit: int = 300) -> str:
    """Return a text from a browser's message, within bounds; empty when it is none."""
    value = message.get(key)
    return value[:limit] if isinstance(value, str) else ""
