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
from tests.support import ROOT

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
    "hatchling",
}


def requirements(*extras):
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in EXTRAS[extra])]
    return {canonicalize_name(one.name): one for one in map(Requirement, lines)}


#: The part of the dashboards that only notebooks use.
NOTEBOOK = "dashboards/notebook"


def imported(*folders):
    """Return {distribution: a file that imports it} of third-party imports, those inside functions included.

    What only notebooks use is left out, unless it is one of the folders.
    """
    known = importlib.metadata.packages_distributions()
    found = {}
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path.is_relative_to(ROOT / NOTEBOOK) and NOTEBOOK not in folders:
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
    names = [canonicalize_name(Requirement(line).name) for line in lines]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize(
    ("folders", "extras"),
    [
        (["streamer", "dashboards"], []),
        ([NOTEBOOK], ["notebook"]),
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
    used = imported("streamer", "dashboards", NOTEBOOK, "tests", "benchmarks").keys() | USED_WITHOUT_IMPORT
    assert set() == requirements("notebook", "test").keys() - used


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


@pytest.mark.slow
def test_the_wheel_has_every_file_of_the_packages_and_nothing_else(tmp_path):
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
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


def test_the_check_that_ci_runs_can_be_run():
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_the_distribution_describes_itself():
    about = importlib.metadata.metadata("panel-streamer")
    assert "BSD-3-Clause" == about["License-Expression"]
    assert "text/markdown" == about["Description-Content-Type"]
