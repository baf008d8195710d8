"""Python imports this at its start, because `streamer exec` puts its folder on the path. Loads `inside`."""

import contextlib
import importlib.machinery
import importlib.util
import os  # this runs before the program's own code: it must be fast, and must not fail
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib costs more than all of this


def _adopt() -> None:
    address = os.environ.get("_STREAMER_ADOPT")
    if not address:
        return
    path = os.path.join(os.path.dirname(_HERE), "inside.py")  # noqa: PTH118, PTH120
    spec = importlib.util.spec_from_file_location("_streamer_inside", path)
    if spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    sys.modules["_streamer_inside"] = module
    spec.loader.exec_module(module)
    module.install(address)


def _step_aside() -> None:
    """Restore the path, and import the `sitecustomize` that this one hides."""
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != _HERE]  # noqa: PTH100
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", sys.path)
    if spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


# However unusual this Python is, the program must run as without us.
with contextlib.suppress(Exception):
    _adopt()
_step_aside()
