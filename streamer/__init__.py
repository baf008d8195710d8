"""panel-streamer: live progress for batch work, true for everybody who has the URL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamer.model.parameters.secret import Secret
from streamer.model.pipeline import Pipeline, phase

if TYPE_CHECKING:
    from streamer.adoption.adopt import adopt
    from streamer.client.client import Client
    from streamer.producer.scripts.script import run, track

__all__ = ["Client", "Pipeline", "Secret", "adopt", "phase", "run", "track"]
__version__ = "0.1.0"

# Why not import them here: the HTTP client costs more to import than all the rest, and pipelines need none of it.
_LAZY = {
    "Client": "streamer.client.client",
    "adopt": "streamer.adoption.adopt",
    "load_ipython_extension": "streamer.adoption.magic",
    "run": "streamer.producer.scripts.script",
    "track": "streamer.producer.scripts.script",
    "unload_ipython_extension": "streamer.adoption.magic",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'streamer' has no attribute {name!r}")
