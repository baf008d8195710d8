"""Fixtures for tests of the views: the messages to browsers, and a loop that runs at once."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import panel as pn
import pytest

from dashboards.views.base import Parts


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return what is told to browsers from here on, each message as its browser reads it."""
    sent: list[Any] = []
    monkeypatch.setattr(Parts, "_send_msg", lambda _self, data: sent.append(json.loads(data)))
    return sent


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run what a reader asks for before going on; a session would run it on its loop."""
    monkeypatch.setattr(type(pn.state), "execute", lambda _state, action, **_: asyncio.run(action()))
