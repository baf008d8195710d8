"""A streamer with its HTTP API, and a run with a log, for the tests of this folder."""

from __future__ import annotations

import pytest

from tests.api_support import Api, Producer, running


@pytest.fixture
async def api(tmp_path):
    async with running(tmp_path) as api:
        yield api


@pytest.fixture
async def logged(api: Api) -> Producer:
    """A run of twelve log lines, of which every third is a warning and the last an error."""
    producer = await api.register()
    await producer.send(
        *(
            {
                "event": "log",
                "level": "ERROR" if number == 12 else "INFO" if number % 3 else "WARNING",
                "message": f"line {number}",
            }
            for number in range(1, 13)
        )
    )
    return producer
