"""The pipelines on offer: entry points, modules, files and folders. It imports them; it neither makes nor runs any.

The references are those of `producer.reference`. An offer's own reference is exact, so that a worker can load it.
"""

from __future__ import annotations

import importlib
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
from types import ModuleType
from typing import Any, Final

from streamer.model.bounds import TRACEBACK_LIMIT, cut, cut_middle
from streamer.model.events import PhaseSpec
from streamer.model.parameters.interrupt import is_interrupt
from streamer.model.parameters.json_schema import schema_of
from streamer.model.pipeline import Pipeline, doc_of, phases_of, time_limit_of, title_of
from streamer.producer import reference as loading
from streamer.producer.reference import execute, import_module, is_path, pipeline_of, split, unique_name
from streamer.server import timed_import
from streamer.server.timed_import import import_in_time, without_input

#: The group of entry points in which packages register their pipelines: a class, or a module of them.
GROUP: Final = "streamer.pipelines"
DISTRIBUTION: Final = "panel-streamer"
#: Our own examples. Why not by their entry points alone: a checkout that was never installed has no entry points, and
#: those of an older installation may be out of date.
EXAMPLES: Final = (
    "streamer.examples.import_prices:ImportPrices",
    "streamer.examples.audit_folder:AuditFolder",
    "streamer.examples.count:Count",
)
#: Most files of one folder that are read.
FILES_LIMIT: Final = 200
_MESSAGE_LIMIT: Final = 1_000
#: Beginnings of the file names whose frames a problem's traceback leaves out.
_OURS: Final = (__file__, loading.__file__, timed_import.__file__, "<frozen importlib")


@dataclass(frozen=True)
class Listing:
    """A pipeline that can be started, as the catalog found it.

    `schema` is the JSON Schema of its parameters; `reference` is exact.

    `time_limit_seconds` is how long its runs may take; None sets no limit.
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
    """The pipelines on offer; the first call imports them. Any thread may call it.

    `references` are the user's (`Settings.pipelines`); `entry_points` returns those of our group; `examples` offers our
    own. Where two pipelines have the same name, references come before entry points, and entry points before examples.
    A changed file is read again at the next call; a module is imported once. `problems()` tells the failures, and the
    rest is on offer.
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
        self._offers: dict[str, Listing] = {}
        self._problems: tuple[CatalogProblem, ...] = ()

    def offers(self) -> tuple[Listing, ...]:
        """Return the offers, sorted by name."""
        with self._lock:
            self._refresh()
            return tuple(self._offers[name] for name in sorted(self._offers))

    def get(self, name: str) -> Listing | None:
        """Return the offer of that name, or None."""
        with self._lock:
            self._refresh()
            return self._offers.get(name)

    def problems(self) -> tuple[CatalogProblem, ...]:
        """Return the references that failed and why, in their order."""
        with self._lock:
            self._refresh()
            return self._problems

    def _refresh(self) -> None:
        if self._sources is None:
            self._sources = self._find_sources()
        # Every source is read: `any` over a generator would stop at the first change.
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
        offers: dict[str, Listing] = {}
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


def _installed() -> Iterable[EntryPoint]:
    return installed_entry_points(group=GROUP)


def _is_ours(point: EntryPoint) -> bool:
    distribution = point.dist.name if point.dist is not None else ""
    return point.value in EXAMPLES or re.sub(r"[-_.]+", "-", distribution).lower() == DISTRIBUTION


def _value(point: EntryPoint) -> str:
    return f"{point.module}:{point.attr}" if point.attr else point.module


def _is_same(one: Listing, other: Listing) -> bool:
    # Two references may lead to the same class: its package exports it, or a file and its folder are both named.
    return one.pipeline is other.pipeline or one.reference == other.reference


# -- what a reference offers -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Found:
    """The offers and problems of one module, file or folder."""

    offers: tuple[Listing, ...] = ()
    problems: tuple[CatalogProblem, ...] = ()


class _Source:
    """A reference with its offers and problems. `yields`: another pipeline of the same name silently replaces it."""

    def __init__(self, text: str, files: _Files, *, shown: str = "", yields: bool = False) -> None:
        self.shown = shown or text
        self.yields = yields
        self._files = files
        self._where, self._name = split(text)
        self._path = Path(self._where).expanduser().absolute() if is_path(self._where) else None
        self._parts: dict[str, tuple[object, _Found]] = {}

    def found(self) -> list[_Found]:
        """Return the offers and problems of the parts; a folder's files are in the order of their names."""
        return [found for _, found in self._parts.values()]

    def read(self) -> bool:
        """Read the parts that are new or have changed; return whether there were any."""
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
        """Return the parts, each with a stamp that changes when the part must be read again."""
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
            module = import_in_time(lambda: self._import(key))
            named = [(self._name, pipeline_of(module, self._name))] if self._name else _pipelines_in(module)
        except BaseException as error:
            if is_interrupt(error):
                raise
            return _Found(problems=(_problem(self._shown_of(key), error),))
        offers = []
        problems = []
        for name, pipeline in named:
            try:
                offers.append(_offer(f"{key}:{name}", pipeline))
            except BaseException as error:
                if is_interrupt(error):
                    raise
                problems.append(_problem(f"{self._shown_of(key)}:{name}", error))
        if not named and key in (self._where, str(self._path)):
            return self._nothing(
                "no pipeline found: expected a subclass of streamer.Pipeline with @phase methods"
            )
        return _Found(tuple(offers), tuple(problems))

    def _import(self, key: str) -> ModuleType:
        with without_input():
            return import_module(key) if self._path is None else self._files.execute(Path(key))

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


def _offer(reference: str, pipeline: type[Pipeline]) -> Listing:
    return Listing(
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


def _problem(reference: str, error: BaseException) -> CatalogProblem:
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_OURS):
        # The user needs the frames of the failed import, not those of the catalog.
        trace = trace.tb_next
    lines = traceback.format_exception(type(error), error, trace)
    return CatalogProblem(
        reference,
        cut("".join(traceback.format_exception_only(error)).strip(), _MESSAGE_LIMIT),
        cut_middle("".join(lines), TRACEBACK_LIMIT),
    )


class _Files:
    """Executes pipeline files of many folders in one process, where two folders may have modules of the same name."""

    def __init__(self) -> None:
        self._added: set[str] = set()

    def execute(self, path: Path) -> ModuleType:
        """Execute a file again, as a fresh module.

        Args:
            path: Absolute path of the file.

        Returns:
            The module.

        Raises:
            FileNotFoundError: There is no such file.
            Exception: The file may raise any exception.

        """
        if not path.exists():
            raise FileNotFoundError(f"no such file or folder: {path}")
        name = unique_name(path)
        sys.modules.pop(name, None)
        with self._first_on_path(path.parent, keep=name):
            return execute(path, name)

    @contextmanager
    def _first_on_path(self, folder: Path, *, keep: str) -> Iterator[None]:
        """Let a file import the modules beside it, then forget them: another folder may use the same names."""
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
            # Last from now on: a constructor still finds its imports, and the folder hides none of our modules.
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
