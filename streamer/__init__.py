"""panel-streamer: live progress for batch work, true for everybody who has the URL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamer.pipeline import Pipeline, phase

if TYPE_CHECKING:
    from streamer.adoption.local import adopt
    from streamer.client import Client
    from streamer.script import run, track

__all__ = ["Client", "Pipeline", "adopt", "phase", "run", "track"]
__version__ = "0.1.0"

# Why not import them here: the HTTP client costs more to import than all the rest, and pipelines need none of it.
_LAZY = {
    "Client": "streamer.client",
    "adopt": "streamer.adoption.local",
    "load_ipython_extension": "streamer.adoption.local",
    "run": "streamer.script",
    "track": "streamer.script",
    "unload_ipython_extension": "streamer.adoption.local",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'streamer' has no attribute {name!r}")
