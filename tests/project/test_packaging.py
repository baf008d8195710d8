"""The distribution: what it declares is what the code needs, and what it ships is what a user gets."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import streamer
from streamer.protocol.spool import FOLDER, spools
from tests.support import ROOT, free_port
from tools import install

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]

#: Names under which conda-forge has a package, where they differ.
CONDA_NAMES = {"playwright": "playwright-python"}

#: Distributions that are used without an import: plug-ins, tools, and what other distributions start.
USED_WITHOUT_IMPORT = {
    "ipykernel",
    "jupyterlab",
    "panel-material-ui",  # pages have its fonts
    "pytest-asyncio",
    "pytest-timeout",
    "pytest-xdist",
    "hatchling",
}


def requirements(*extras):
    """Return {distribution: requirement} of the base and some extras, those included that an extra brings."""
    found = {}
    for one in map(
        Requirement, [*PROJECT["dependencies"], *(line for extra in extras for line in EXTRAS[extra])]
    ):
        if one.name == PROJECT["name"]:
            found |= requirements(*one.extras)
        else:
            found[canonicalize_name(one.name)] = one
    return found


#: The parts of the dashboards that only notebooks use.
NOTEBOOK = ("dashboards/notebook", "dashboards/indicators/widget.py")


#: The parts of the streamer that run without an extra.
BASE = [
    path.relative_to(ROOT).as_posix()
    for path in sorted([*(ROOT / "streamer").iterdir(), *(ROOT / "streamer" / "model").iterdir()])
    if path.name not in {"server", "plugin.py", "examples", "model", "estimates", "__pycache__"}
]


def imported(*folders):
    """Return {distribution: a file that imports it} of third-party imports, those inside functions included.

    What only notebooks use is left out, unless it is one of the folders.
    """
    known = importlib.metadata.packages_distributions()
    found = {}
    for folder in folders:
        whole = ROOT / folder
        for path in [whole] if whole.suffix == ".py" else sorted(whole.rglob("*.py")):
            if any(path.is_relative_to(ROOT / part) for part in NOTEBOOK) and not set(NOTEBOOK) & set(
                folders
            ):
                continue
            for module in modules(ast.parse(path.read_text(), path)):
                for distribution in known.get(module, [] if module in sys.stdlib_module_names else [module]):
                    found.setdefault(canonicalize_name(distribution), path.relative_to(ROOT))
    for own in ("panel-streamer", "streamer", "dashboards", "tests", "tools", "benchmarks"):
        found.pop(own, None)
    return found


def modules(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def test_conda_gets_the_same_packages_with_the_same_bounds():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    lines = [line for line in environment["dependencies"] if isinstance(line, str)]
    conda = {line.name: str(line.specifier) for line in map(Requirement, lines)}
    wanted = {
        CONDA_NAMES.get(one.name, one.name.lower()): str(one.specifier)
        for one in requirements(*(EXTRAS.keys() - {"bench"})).values()
    }
    assert {"python": PROJECT["requires-python"], "pip": "", **wanted} == conda
    assert ["conda-forge"] == environment["channels"]
    assert [{"pip": ["--editable ."]}] == [
        line for line in environment["dependencies"] if isinstance(line, dict)
    ]


def test_a_package_that_two_extras_name_has_one_bound():
    lines = {line for lines in [PROJECT["dependencies"], *EXTRAS.values()] for line in lines}
    names = [canonicalize_name(one.name) for one in map(Requirement, lines) if one.name != PROJECT["name"]]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize(
    ("folders", "extras"),
    [
        (BASE, []),
        (["streamer/server", "streamer/plugin.py", "streamer/model/estimates"], ["server"]),
        (["streamer/examples"], ["examples"]),
        (["dashboards"], ["dashboards"]),
        (NOTEBOOK, ["notebook"]),
        (["tests", "tools", "benchmarks"], ["test", "bench"]),
    ],
)
@pytest.mark.slow
def test_what_the_code_imports_is_declared(folders, extras):
    undeclared = {
        name: str(path) for name, path in imported(*folders).items() if name not in requirements(*extras)
    }
    assert {} == undeclared


@pytest.mark.slow
def test_what_is_declared_is_used():
    used = imported("streamer", "dashboards", *NOTEBOOK, "tests", "benchmarks").keys() | USED_WITHOUT_IMPORT
    assert set() == requirements("dashboards", "examples", "notebook", "test").keys() - used


def test_the_installed_packages_meet_the_declared_bounds():
    found = {name: importlib.metadata.version(name) for name in requirements("test")}
    unmet = {
        name: found[name] for name, one in requirements("test").items() if found[name] not in one.specifier
    }
    assert {} == unmet


def test_the_version_stands_in_one_place():
    assert ["version"] == PROJECT["dynamic"]
    assert streamer.__version__ == importlib.metadata.version("panel-streamer")


def test_the_examples_are_registered_as_anybody_registers_pipelines():
    points = importlib.metadata.entry_points(group="streamer.pipelines")
    ours = {point.name: point for point in points if point.dist and point.dist.name == "panel-streamer"}
    assert {"ImportPrices", "AuditFolder", "Count"} == ours.keys()
    for name, point in ours.items():
        pipeline = point.load()
        assert issubclass(pipeline, streamer.Pipeline)
        assert name == pipeline.__name__


@pytest.mark.slow
def test_the_command_is_installed_and_explains_itself():
    command = Path(sys.executable).with_name("streamer")
    said = subprocess.run([command, "--help"], capture_output=True, text=True, timeout=60, check=True).stdout
    for word in ("serve", "run", "watch", "runs", "pipelines", "cancel"):
        assert word in said


@pytest.mark.slow
def test_the_streamer_runs_without_the_dashboards_packages():
    # Importing Panel costs seconds and memory in every worker process: nothing of the streamer may lead there.
    code = "import sys, pkgutil, importlib, streamer\n"
    code += "for one in pkgutil.walk_packages(streamer.__path__, 'streamer.'): importlib.import_module(one.name)\n"
    code += "print(sorted({'panel', 'bokeh', 'panel_material_ui', 'dashboards'} & sys.modules.keys()))"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert "[]" == ended.stdout.strip(), ended.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Return the wheel that is built of this folder."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (built,) = folder.glob("*.whl")
    return built


@pytest.mark.slow
def test_the_wheel_has_every_file_of_the_packages_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if ".dist-info/" not in name}
    wanted = {
        str(path.relative_to(ROOT))
        for package in ("streamer", "dashboards")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert wanted == shipped
    assert "streamer/py.typed" in shipped


# -- the base alone ----------------------------------------------------------------------------------------------------


class Installation:
    """The wheel in an environment of its own, without extras, and an empty folder to work in."""

    def __init__(self, folder, wheel):
        self.folder = folder / "work"
        self.folder.mkdir()
        self.data = folder / "data"
        # A developer's own streamer may listen on the default port.
        self._nobody = f"http://127.0.0.1:{free_port()}"
        self._bin = folder / "venv" / "bin"
        install.make_environment(folder / "venv")
        command = [self._bin / "python", "-m", "pip", "install", "--quiet", "--no-compile", wheel]
        subprocess.run(command, env=install.pip_environment(), check=True, timeout=300)

    def call(self, program, *arguments):
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("STREAMER_", "PYTHON"))
        }
        return subprocess.run(
            [self._bin / program, *arguments],
            cwd=self.folder,
            env={**kept, "STREAMER_DATA": str(self.data), "STREAMER_URL": self._nobody},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def spools(self):
        """Return how many runs wait on disk for a streamer."""
        return len(list(spools(self.data / FOLDER)))

    def bytes(self):
        """Return the size of the packages, that of pip and of compiled modules left out."""
        (site,) = self._bin.parent.glob("lib/python*/site-packages")
        return sum(
            path.stat().st_size
            for path in site.rglob("*")
            if path.is_file()
            and path.suffix != ".pyc"
            and not path.relative_to(site).parts[0].startswith(("pip", "setuptools"))
        )


@pytest.fixture(scope="module")
def base(tmp_path_factory, wheel):
    return Installation(tmp_path_factory.mktemp("base"), wheel)


@pytest.mark.slow
@pytest.mark.parametrize(
    "code",
    [
        "assert list(streamer.track([1, 2], 'Loading')) == [1, 2]",
        "with streamer.run('Fit', phases={'fit': 1}) as run:\n    with run.phase('fit'): run.log.info('fitted')",
        "with streamer.adopt('Bars') as run: run.log.info('adopted')",
    ],
    ids=["track", "run", "adopt"],
)
def test_the_base_alone_reports_and_keeps_a_run_for_a_streamer_to_come(code, base):
    before = base.spools()
    ended = base.call("python", "-c", f"import streamer\n{code}")
    assert 0 == ended.returncode, ended.stderr
    assert before + 1 == base.spools(), ended.stderr


@pytest.mark.slow
def test_the_base_alone_runs_a_command_as_a_run(base):
    before = base.spools()
    ended = base.call("streamer", "exec", "--", "sh", "-c", "echo done; exit 3")
    assert (3, "done\n") == (ended.returncode, ended.stdout), ended.stderr
    assert before + 1 == base.spools(), ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("serve", "streamer: streamer serve needs the server: pip install 'panel-streamer[server]'\n"),
        (
            "dashboards",
            "streamer: streamer dashboards needs the pages: pip install 'panel-streamer[dashboards]'\n",
        ),
    ],
)
def test_the_base_alone_says_which_extra_a_command_needs(command, said, base):
    ended = base.call("streamer", command)
    assert (2, "", said) == (ended.returncode, ended.stdout, ended.stderr)


@pytest.mark.slow
def test_the_base_alone_offers_every_public_name_and_the_views_entry_point(base):
    code = "import streamer, importlib.metadata as m\n"
    code += "for name in streamer.__all__: getattr(streamer, name)\n"
    code += "print(m.entry_points(group='streamer.views')['notebook'].load().__module__)"
    ended = base.call("python", "-c", code)
    assert "dashboards.notebook.views\n" == ended.stdout, ended.stderr


@pytest.mark.slow
def test_the_base_is_below_40_megabytes(base):
    assert 40_000_000 > base.bytes()


def test_the_check_that_ci_runs_can_be_run():
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_the_distribution_describes_itself():
    about = importlib.metadata.metadata("panel-streamer")
    assert "BSD-3-Clause" == about["License-Expression"]
    assert "text/markdown" == about["Description-Content-Type"]
