"""Fixtures for the client's tests: clients that do not wait."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streamer.client.client import (
    Client,
)
from streamer.settings import Settings
from tests.client.scripted import (
    Middle,
    Pauses,
    ScriptedServer,
)


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


@pytest.fixture
def make(pauses: Pauses, tmp_path: Path):
    """Return a function that makes clients that do not wait."""

    def make(server: ScriptedServer | str | None, **options: Any) -> Client:
        url = server.url if isinstance(server, ScriptedServer) else server
        given = {"settings": Settings(data=tmp_path / "data"), "sleep": pauses, "rng": Middle(), **options}
        return Client(url, **given)

    return make
