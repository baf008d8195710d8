"""References to pipelines: it splits them and imports the class that a reference names. It knows no catalog.

A user writes ``package.module``, ``package.module:Class``, the path of a Python file, also with ``:Class``, or the path
of a folder of Python files. An exact reference is ``package.module:Class`` or ``/absolute/path.py:Class``; `load` takes
it in any process.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.machinery
import importlib.util
import os
import re
import sys
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from streamer.model.bounds import cut
from streamer.model.pipeline import Pipeline


def load(reference: str) -> type[Pipeline]:
    """Import the class of an exact reference, in a process that runs this one pipeline.

    The file's folder becomes the first of `sys.path`, as with ``python path.py``: the file, and the processes that it
    starts, find the modules beside it at any time.

    Args:
        reference: ``package.module:Class`` or ``/absolute/path.py:Class``.

    Returns:
        The pipeline's class.

    Raises:
        LookupError: The reference is not exact, or there is no such class.
        TypeError: The class is no pipeline.
        Exception: The import itself may raise any exception.

    """
    where, name = split(reference)
    if not name:
        raise LookupError(f"expected module:Class or /path.py:Class, received {cut(reference, 300)!r}")
    if not where.endswith(".py"):
        return pipeline_of(import_module(where), name)
    path = Path(where).absolute()
    folder = str(path.parent)
    sys.path[:] = [folder, *(entry for entry in sys.path if entry != folder)]
    return pipeline_of(execute(path, _plain_name(path)), name)


def split(text: str) -> tuple[str, str]:
    """Split a reference.

    Args:
        text: The reference, as a user writes it.

    Returns:
        The module or path, and the name of the class; the name is empty when the reference has none.

    """
    where, colon, name = text.rpartition(":")
    is_name = bool(colon) and all(part.isidentifier() for part in name.split("."))
    # A colon may also belong to a path: C:\jobs, /data/a:b
    if is_name and (where.endswith(".py") or not is_path(where)):
        return where, name
    return text, ""


def is_path(where: str) -> bool:
    """Return whether the first part of a reference is a path, and not the name of a module."""
    if (
        where.endswith(".py")
        or where.startswith((".", "~"))
        or {os.sep, os.altsep or os.sep, "/"} & set(where)
    ):
        return True
    folder = Path(where)
    return folder.is_dir() and not (folder / "__init__.py").exists()


def import_module(name: str) -> ModuleType:
    """Import a module, at last from the current folder: a console script does not have it on `sys.path`.

    Args:
        name: Full name of the module.

    Returns:
        The module.

    Raises:
        Exception: The import may raise any exception; `ModuleNotFoundError` when there is no such module.

    """
    folder = str(Path.cwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.partition(".")[0] or {folder, ""} & set(sys.path):
            raise
    sys.path.append(folder)
    importlib.invalidate_caches()
    return importlib.import_module(name)


class _Loader(importlib.machinery.SourceFileLoader):
    """Compiles the file at each load. Cached bytecode is dated in whole seconds: a quick edit would not be seen."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def execute(path: Path, name: str) -> ModuleType:
    """Execute a file as a module, unless that module is this file already.

    Args:
        path: Absolute path of the file.
        name: Name of the module.

    Returns:
        The module.

    Raises:
        Exception: The file may raise any exception; there is no such module then.

    """
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) == str(path):
        return known
    spec = importlib.util.spec_from_file_location(name, path, loader=_Loader(name, str(path)))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Before it runs: dataclasses and pickle look the module up by its name.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _plain_name(path: Path) -> str:
    """Return the name that ``import`` uses for a file on `sys.path`; a unique name when another module has that one."""
    name = path.stem
    elsewhere = [folder for folder in sys.path if folder != str(path.parent)]
    known = sys.modules.get(name)
    taken = (
        not name.isidentifier()
        or name in sys.stdlib_module_names
        or (known is not None and getattr(known, "__file__", None) != str(path))
        or importlib.machinery.PathFinder.find_spec(name, elsewhere) is not None
    )
    return unique_name(path) if taken else name


def unique_name(path: Path) -> str:
    """Return a module name for a file that no file of another folder has."""
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9_]', '_', path.stem)}_{digest}"


def pipeline_of(module: ModuleType, name: str) -> type[Pipeline]:
    """Return the pipeline of a module.

    Args:
        module: The module.
        name: Name of the class in it; with dots for a class inside a class.

    Returns:
        The class.

    Raises:
        LookupError: The module has no such name.
        TypeError: It names something else than a pipeline.

    """
    value: Any = module
    for part in name.split("."):
        try:
            value = getattr(value, part)
        except AttributeError:
            raise LookupError(f"{module.__file__ or module.__name__} has no {name}") from None
    if not (isinstance(value, type) and issubclass(value, Pipeline)):
        raise TypeError(f"{name}: expected a subclass of streamer.Pipeline, received {cut(repr(value), 200)}")
    return value
