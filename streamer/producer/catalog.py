"""The pipelines on offer: entry points, modules, files and folders. Imports them; neither constructs nor runs any.

A reference, as a user writes it, is ``package.module``, ``package.module:Class``, the path of a Python file, also with
``:Class``, or the path of a folder of Python files. An offer's own reference is always exact: ``package.module:Class``
or ``/absolute/path.py:Class``, which is what `load` takes in another process.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.machinery
import importlib.util
import os
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from importlib.metadata import entry_points as installed_entry_points
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final

from streamer.model.bounds import TRACEBACK_LIMIT, cut, cut_middle
from streamer.model.events import PhaseSpec
from streamer.model.parameters.json_schema import schema_of
from streamer.model.pipeline import Pipeline, doc_of, phases_of, time_limit_of, title_of

#: The group of entry points in which packages register their pipelines: a class, or a module of them.
GROUP: Final = "streamer.pipelines"
DISTRIBUTION: Final = "panel-streamer"
#: Our own examples. Why not by their entry points alone: a checkout that was never installed has none, and those of an
#: older installation may be out of date.
EXAMPLES: Final = (
    "streamer.examples.import_prices:ImportPrices",
    "streamer.examples.audit_folder:AuditFolder",
    "streamer.examples.count:Count",
)
#: Most files of one folder that are read.
FILES_LIMIT: Final = 200
_MESSAGE_LIMIT: Final = 1_000


@dataclass(frozen=True)
class Offer:
    """A pipeline that can be started; `schema` is that of its parameters, `reference` is what `load` takes.

    `time_limit_seconds` is how long its runs may take, None for any time.
    """

    name: str
    title: str
    doc: str
    phases: tuple[PhaseSpec, ...]
    schema: dict[str, Any]
    reference: str
    pipeline: type[Pipeline]
    time_limit_seconds: float | None = None


@dataclass(frozen=True)
class CatalogProblem:
    """A reference that offers nothing, or less than it could; `traceback` is empty when the message says it all."""

    reference: str
    message: str
    traceback: str = ""


class Catalog:
    """The pipelines on offer; the first call imports them. Any thread.

    `references` are the user's (`Settings.pipelines`), `entry_points` returns the group's. Where two pipelines have
    the same name, the first one of references, entry points and examples counts. A file that has changed is read again
    at the next call, a module is imported once. What fails is told by `problems()`, and the rest is on offer.
    """

    def __init__(
        self,
        references: Sequence[str] = (),
        *,
        entry_points: Callable[[], Iterable[EntryPoint]] | None = None,
        examples: bool = True,
    ) -> None:
        self._lock = threading.RLock()
        self._references = tuple(dict.fromkeys(text.strip() for text in references))
        self._entry_points = entry_points or _installed
        self._examples = EXAMPLES if examples else ()
        self._files = _Files()
        self._sources: list[_Source] | None = None
        self._general_problems: list[CatalogProblem] = []
        self._offers: dict[str, Offer] = {}
        self._problems: tuple[CatalogProblem, ...] = ()

    def offers(self) -> tuple[Offer, ...]:
        """Return what is on offer, sorted by name."""
        with self._lock:
            self._refresh()
            return tuple(self._offers[name] for name in sorted(self._offers))

    def get(self, name: str) -> Offer | None:
        """Return the offer of that name, or None."""
        with self._lock:
            self._refresh()
            return self._offers.get(name)

    def problems(self) -> tuple[CatalogProblem, ...]:
        """Return what could not be offered and why, in the order of the references."""
        with self._lock:
            self._refresh()
            return self._problems

    def _refresh(self) -> None:
        if self._sources is None:
            self._sources = self._find_sources()
        # Every source is to be read, not only those up to the first that has changed.
        changed = [source for source in self._sources if source.read()]
        if changed:
            self._assemble(self._sources)

    def _find_sources(self) -> list[_Source]:
        registered = []
        try:
            registered = [point for point in self._entry_points() if not _is_ours(point)]
        except Exception as error:  # noqa: BLE001 - the broken metadata of some package is no reason to offer nothing
            self._general_problems.append(_problem(GROUP, error))
        return [
            *(_Source(text, self._files) for text in self._references),
            *(
                _Source(_value(point), self._files, shown=f"{point.name} = {point.value}")
                for point in registered
            ),
            *(_Source(text, self._files, yields=True) for text in self._examples),
        ]

    def _assemble(self, sources: list[_Source]) -> None:
        offers: dict[str, Offer] = {}
        problems = list(self._general_problems)
        for source in sources:
            for found in source.found():
                problems += found.problems
                for offer in found.offers:
                    first = offers.setdefault(offer.name, offer)
                    if not source.yields and not _is_same(first, offer):
                        message = (
                            f"{offer.name} is already offered by {first.reference}: rename one of the classes"
                        )
                        problems.append(CatalogProblem(offer.reference, cut(message, _MESSAGE_LIMIT)))
        self._offers = offers
        self._problems = tuple(problems)


def load(reference: str) -> type[Pipeline]:
    """Import the class of an offer's reference, ``package.module:Class`` or ``/absolute/path.py:Class``.

    For a process that runs this one pipeline: the file's folder becomes the first of `sys.path`, as with ``python
    path.py``, so that modules beside it are found whenever they are imported, in the processes it starts as well.
    Raises what the import raises, `LookupError` when there is no such class, and `TypeError` when it is no pipeline.
    """
    where, name = _split(reference)
    if not name:
        raise LookupError(f"expected module:Class or /path.py:Class, received {cut(reference, 300)!r}")
    if not where.endswith(".py"):
        return _named(_import(where), name)
    path = Path(where).absolute()
    folder = str(path.parent)
    sys.path[:] = [folder, *(entry for entry in sys.path if entry != folder)]
    return _named(_execute(path, _plain_name(path)), name)


# -- references --------------------------------------------------------------------------------------------------------


def _split(text: str) -> tuple[str, str]:
    """Return the module or path, and the name of the class, which may be empty."""
    where, colon, name = text.rpartition(":")
    is_name = bool(colon) and all(part.isidentifier() for part in name.split("."))
    # A colon may also belong to a path: C:\jobs, /data/a:b
    if is_name and (where.endswith(".py") or not _is_path(where)):
        return where, name
    return text, ""


def _is_path(where: str) -> bool:
    if (
        where.endswith(".py")
        or where.startswith((".", "~"))
        or {os.sep, os.altsep or os.sep, "/"} & set(where)
    ):
        return True
    folder = Path(where)
    return folder.is_dir() and not (folder / "__init__.py").exists()


def _installed() -> Iterable[EntryPoint]:
    return installed_entry_points(group=GROUP)


def _is_ours(point: EntryPoint) -> bool:
    distribution = point.dist.name if point.dist is not None else ""
    return point.value in EXAMPLES or re.sub(r"[-_.]+", "-", distribution).lower() == DISTRIBUTION


def _value(point: EntryPoint) -> str:
    return f"{point.module}:{point.attr}" if point.attr else point.module


def _is_same(one: Offer, other: Offer) -> bool:
    # The same class may be reached by two ways: exported by its package, or named as a file and with its folder.
    return one.pipeline is other.pipeline or one.reference == other.reference


# -- what a reference offers -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Found:
    """What one module, file or folder came to."""

    offers: tuple[Offer, ...] = ()
    problems: tuple[CatalogProblem, ...] = ()


class _Source:
    """A reference and what it came to. `yields`: another pipeline of the same name silently takes its place."""

    def __init__(self, text: str, files: _Files, *, shown: str = "", yields: bool = False) -> None:
        self.shown = shown or text
        self.yields = yields
        self._files = files
        self._where, self._name = _split(text)
        self._path = Path(self._where).expanduser().absolute() if _is_path(self._where) else None
        self._parts: dict[str, tuple[object, _Found]] = {}

    def found(self) -> list[_Found]:
        """Return what the parts came to, a folder's in the order of their names."""
        return [found for _, found in self._parts.values()]

    def read(self) -> bool:
        """Read the parts that are new or have changed; say whether there was anything to do."""
        states = self._states()
        if states == {key: state for key, (state, _) in self._parts.items()}:
            return False
        old = self._parts
        self._parts = {
            key: old[key] if key in old and old[key][0] == state else (state, self._read(key))
            for key, state in states.items()
        }
        return True

    def _states(self) -> dict[str, object]:
        """Return the parts, each with what changes when it has to be read again."""
        if self._path is None:
            return {self._where: None}
        if not self._path.is_dir():
            return {str(self._path): _stamp(self._path)}
        paths = _python_files(self._path)
        states: dict[str, object] = {str(path): _stamp(path) for path in paths[:FILES_LIMIT]}
        if not 0 < len(paths) <= FILES_LIMIT:
            states[str(self._path)] = len(paths)
        return states

    def _read(self, key: str) -> _Found:
        if self._path is not None and self._path.is_dir() and key == str(self._path):
            number = len(_python_files(self._path))
            return self._nothing(f"expected a folder of 1 to {FILES_LIMIT} Python files, found {number}")
        try:
            module = _import(key) if self._path is None else self._files.execute(Path(key))
            named = [(self._name, _named(module, self._name))] if self._name else _pipelines_in(module)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the others are to be offered, whatever this one does
            return _Found(problems=(_problem(self._shown_of(key), error),))
        offers = []
        problems = []
        for name, pipeline in named:
            try:
                offers.append(_offer(f"{key}:{name}", pipeline))
            except Exception as error:  # noqa: BLE001 - one class that is declared wrongly does not hide the others
                problems.append(_problem(f"{self._shown_of(key)}:{name}", error))
        if not named and key in (self._where, str(self._path)):
            return self._nothing(
                "no pipeline found: expected a subclass of streamer.Pipeline with @phase methods"
            )
        return _Found(tuple(offers), tuple(problems))

    def _nothing(self, message: str) -> _Found:
        return _Found(problems=(CatalogProblem(self.shown, message),))

    def _shown_of(self, key: str) -> str:
        return self.shown if key in (self._where, str(self._path)) else key


def _python_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.py") if not path.name.startswith(("_", ".")))


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size


def _offer(reference: str, pipeline: type[Pipeline]) -> Offer:
    return Offer(
        name=pipeline.__name__,
        title=title_of(pipeline),
        doc=doc_of(pipeline),
        phases=phases_of(pipeline),
        schema=schema_of(pipeline),
        reference=reference,
        pipeline=pipeline,
        time_limit_seconds=time_limit_of(pipeline),
    )


def _pipelines_in(module: ModuleType) -> list[tuple[str, type[Pipeline]]]:
    """Return the pipelines that a module declares or exports, not those that it merely imports."""
    exported = set(getattr(module, "__all__", ()))
    found: dict[type[Pipeline], str] = {}
    for name, value in list(vars(module).items()):
        if not (isinstance(value, type) and issubclass(value, Pipeline)) or name.startswith("_"):
            continue
        own = f"{value.__module__}.".startswith(f"{module.__name__}.") or name in exported
        has_phases = any(
            hasattr(member, "__phase_weight__") for base in value.__mro__ for member in vars(base).values()
        )
        if own and has_phases and not _is_abstract(value):
            found.setdefault(value, name)
    return [(name, pipeline) for pipeline, name in found.items()]


def _is_abstract(pipeline: type[Pipeline]) -> bool:
    # mypy takes what the metaclass computes for a property of the class.
    abstract: Any = pipeline.abstract
    return bool(abstract)


def _named(module: ModuleType, name: str) -> type[Pipeline]:
    value: Any = module
    for part in name.split("."):
        try:
            value = getattr(value, part)
        except AttributeError:
            raise LookupError(f"{module.__file__ or module.__name__} has no {name}") from None
    if not (isinstance(value, type) and issubclass(value, Pipeline)):
        raise TypeError(f"{name}: expected a subclass of streamer.Pipeline, received {cut(repr(value), 200)}")
    return value


def _problem(reference: str, error: BaseException) -> CatalogProblem:
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith((__file__, "<frozen importlib")):
        # Of the user's interest is what the import ran into, not how the catalog got there.
        trace = trace.tb_next
    lines = traceback.format_exception(type(error), error, trace)
    return CatalogProblem(
        reference,
        cut("".join(traceback.format_exception_only(error)).strip(), _MESSAGE_LIMIT),
        cut_middle("".join(lines), TRACEBACK_LIMIT),
    )


# -- importing ---------------------------------------------------------------------------------------------------------


def _import(name: str) -> ModuleType:
    """Import a module; when it is not found, from the current folder, which a console script has not on `sys.path`."""
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
    """Compiles the file at each load. Cached bytecode is told by whole seconds: it may be older than a quick edit."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def _execute(path: Path, name: str) -> ModuleType:
    """Execute a file as the module `name`, unless that module is this file already."""
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) == str(path):
        return known
    spec = importlib.util.spec_from_file_location(name, path, loader=_Loader(name, str(path)))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Before it runs: what it defines is to be found by its module's name (dataclasses, pickle).
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _plain_name(path: Path) -> str:
    """Return the name that ``import`` would use for a file whose folder is on `sys.path`, unless it is another's."""
    name = path.stem
    elsewhere = [folder for folder in sys.path if folder != str(path.parent)]
    known = sys.modules.get(name)
    taken = (
        not name.isidentifier()
        or name in sys.stdlib_module_names
        or (known is not None and getattr(known, "__file__", None) != str(path))
        or importlib.machinery.PathFinder.find_spec(name, elsewhere) is not None
    )
    return _unique_name(path) if taken else name


def _unique_name(path: Path) -> str:
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9_]', '_', path.stem)}_{digest}"


class _Files:
    """Executes pipeline files of many folders in one process, where two folders may have modules of the same name."""

    def __init__(self) -> None:
        self._added: set[str] = set()

    def execute(self, path: Path) -> ModuleType:
        """Execute a file anew. Raises what it raises."""
        if not path.exists():
            raise FileNotFoundError(f"no such file or folder: {path}")
        name = _unique_name(path)
        sys.modules.pop(name, None)
        with self._first_on_path(path.parent, keep=name):
            return _execute(path, name)

    @contextmanager
    def _first_on_path(self, folder: Path, *, keep: str) -> Iterator[None]:
        """Let a file import the modules beside it, and forget them after: another folder has its own of that name."""
        text = str(folder)
        if text in sys.path and text not in self._added:
            yield
            return
        if text in self._added:
            sys.path.remove(text)
        before = set(sys.modules)
        sys.path.insert(0, text)
        importlib.invalidate_caches()
        try:
            yield
        finally:
            # Last from now on: what a constructor imports is found, and nothing of ours is hidden.
            with suppress(ValueError):
                sys.path.remove(text)
            sys.path.append(text)
            self._added.add(text)
            beside = {name for name in set(sys.modules) - before if _is_beside(sys.modules[name], folder)}
            for name in set(sys.modules) - before - {keep}:
                if name.partition(".")[0] in beside:
                    del sys.modules[name]


def _is_beside(module: ModuleType, folder: Path) -> bool:
    origin = getattr(module, "__file__", None)
    if not origin or "." in module.__name__:
        return False
    path = Path(origin)
    return folder in (path.parent, path.parent.parent if path.name == "__init__.py" else path.parent)
