"""`connect`: keeps a model up to date from a streamer, wherever it was made, until it is closed or its session ends."""

from __future__ import annotations

import functools
import logging
import weakref
from collections.abc import Callable
from typing import Any

import panel as pn

from dashboards.data.background import background_loop
from dashboards.data.place import Place, SessionPlace, ThreadPlace
from dashboards.data.streamers import Live, live
from dashboards.session import Session
from streamer.settings import SettingError

logger = logging.getLogger(__name__)

#: Seconds between two updates of a model, at least: five a second are as good as more to a reader.
UPDATE_SECONDS = 0.2


def connect(model: Session, link: Callable[[Live, Place], object], url: str | None = None) -> None:
    """Keep a model up to date. Any thread; returns at once.

    Args:
        model: The model. In a served session it is closed when the session ends.
        link: Makes the model's link to a streamer; called in the connection's loop.
        url: The streamer's URL; None: as configured.
    """
    loop = background_loop()
    place = _place(model, loop)

    def begin() -> None:
        if model.closed:
            return
        try:
            link(live(url), place)
        except (SettingError, ValueError) as error:
            said = f"{error}. Set it right and start again."
            place.deliver(lambda: model.update(connection="away", connection_message=said))

    loop.call_soon_threadsafe(begin)


def _place(model: Session, loop: Any) -> SessionPlace | ThreadPlace:
    document = pn.state.curdoc
    if document is None or document.session_context is None:
        return ThreadPlace(loop)
    place = SessionPlace(loop, document, lambda: model.update(beat=model.beat + 1))
    # Panel drops the changes between a page's text and its drawing. Once it is drawn, all indicators say theirs again.
    pn.state.onload(functools.partial(_loaded, weakref.ref(model), weakref.ref(place)))
    # The document must not keep the model: Bokeh forgets a session's document when the session ends.
    document.on_session_destroyed(functools.partial(_end, model, place))
    return place


def _loaded(of_model: weakref.ref[Session], of_place: weakref.ref[SessionPlace]) -> None:
    model, place = of_model(), of_place()
    if model is not None and place is not None:
        place.deliver(lambda: model.update(loaded=model.loaded + 1))


def _end(model: Session, place: SessionPlace, _context: Any) -> None:
    place.end()
    model.close()
