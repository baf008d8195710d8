"""The identity of this process: its user and its program, as a run's page shows them."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import PurePath
from typing import Any, Final

#: The name of a notebook whose own name is not known.
NOTEBOOK: Final = "notebook"


def user() -> str | None:
    """Return who executes this process, or None where nobody can say."""
    # getuser fails where the user id has no name, as in some containers.
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return None


def program() -> str:
    """Return the name of the script or the notebook that this process executes."""
    if in_kernel():
        return _notebook() or NOTEBOOK
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    if spec is not None and spec.name:
        # Of ``python -m package`` the file alone, ``__main__.py``, would say nothing.
        return f"python -m {spec.name.removesuffix('.__main__')}"
    name = PurePath(sys.argv[0]).name if sys.argv else ""
    return {"-c": "python -c", "-": "python", "": "python"}.get(name, name)


def in_kernel() -> bool:
    """Say whether this is the kernel of a notebook."""
    return hasattr(ipython(), "kernel")


def _notebook() -> str:
    """Return the notebook's file name, where who started the kernel told it; empty when nobody did."""
    # VS Code says it in the notebook's own names; Jupyter's server, since 2.0, in the environment. A console's session
    # has a name as well, which is no file.
    told = str(ipython().user_ns.get("__vsc_ipynb_file__") or os.environ.get("JPY_SESSION_NAME") or "")
    name = told.replace("\\", "/").rpartition("/")[2]
    return name if name.endswith(".ipynb") else ""


def ipython() -> Any:
    """Return IPython's shell, if this process has one."""
    module: Any = sys.modules.get("IPython")
    return None if module is None else module.get_ipython()
