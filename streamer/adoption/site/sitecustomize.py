"""Python imports this at its start, since `streamer exec` put it on the path: lets bars be found, and steps aside."""

import contextlib
import importlib.machinery
import importlib.util
import os  # before the program's own code: nothing here may cost much, or fail
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
    """Leave the path as it was, and import the sitecustomize that would have been, had we not been in front of it."""
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != _HERE]  # noqa: PTH100
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", sys.path)
    if spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


# Whatever is odd about this Python, the program must run as it would have.
with contextlib.suppress(Exception):
    _adopt()
_step_aside()
