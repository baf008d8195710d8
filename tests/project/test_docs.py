"""The documentation against the code: what there is, is described; what is described, there is; what is shown, runs."""

from __future__ import annotations

import argparse
import dataclasses
import re
import subprocess
import sys

import pytest
from tornado.web import RequestHandler

from streamer.cli.parser import build_parser
from streamer.model.events import KINDS
from streamer.protocol.frames import RESET, SNAPSHOT
from streamer.server.app import routes
from streamer.server.http.openapi.document import document
from streamer.settings import Settings, environment_name
from tests.support import ROOT, ServerProcess

REFERENCE = ROOT / "docs" / "reference.md"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
METHODS = ("get", "post", "put", "patch", "delete")


def reference():
    return REFERENCE.read_text()


def words_in_code(text):
    """Return what stands between backticks, in tables and sentences alike, each piece once."""
    return set(re.findall(r"`([^`\n]+)`", text))


# -- what there is, is described ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [spec.name for spec in dataclasses.fields(Settings)])
def test_every_setting_is_described_with_its_environment_name(name):
    assert environment_name(name) in words_in_code(reference())


@pytest.mark.parametrize(
    "spec",
    [one for one in dataclasses.fields(Settings) if one.default is not dataclasses.MISSING],
    ids=lambda spec: spec.name,
)
def test_the_default_of_a_setting_is_the_one_described(spec):
    row = re.search(rf"^\| `{environment_name(spec.name)}` \| ([^|]+) \|", reference(), re.MULTILINE)
    default = f"{spec.default:g}" if isinstance(spec.default, float) else spec.default
    assert row is not None
    assert ("none" if default in ("", ()) else str(default)) == row[1].strip("`")


def test_no_setting_is_described_that_does_not_exist():
    known = {environment_name(spec.name) for spec in dataclasses.fields(Settings)}
    described = {word for path in DOCUMENTS for word in re.findall(r"\bSTREAMER_[A-Z_]+\b", path.read_text())}
    assert set() == described - known


def requests():
    """Return every request the API answers, as the reference writes it: `GET /api/runs/ID`."""
    found = []
    for pattern, handler, _ in routes(object()):
        path = re.sub(r"/pipelines/\([^)]*\)", "/pipelines/NAME", pattern)
        path = re.sub(r"/runs/\([^)]*\)", "/runs/ID", path).replace("\\.", ".")
        answered = [name for name in METHODS if getattr(handler, name) is not getattr(RequestHandler, name)]
        if path != "/api/.*":  # what is not there is answered for every method
            found += [f"{name.upper()} {path}" for name in answered]
    return found


@pytest.mark.parametrize("request_line", requests())
def test_every_request_is_described(request_line):
    described = {word.partition("?")[0] for word in words_in_code(reference())}
    assert request_line in described


def test_no_request_is_described_that_is_not_answered():
    shape = re.compile(rf"(?:{'|'.join(METHODS).upper()}) /(?:api/|metrics)\S*")
    described = {word.partition("?")[0] for path in DOCUMENTS for word in words_in_code(path.read_text())}
    assert set() == {word for word in described if shape.fullmatch(word)} - set(requests())


def test_the_openapi_document_names_the_same_requests():
    named = {
        f"{method.upper()} {path}".replace("{name}", "NAME").replace("{run_id}", "ID")
        for path, methods in document()["paths"].items()
        for method in methods
        if method in METHODS
    }
    assert set(requests()) == named


@pytest.mark.parametrize("kind", [*KINDS, SNAPSHOT, RESET])
def test_every_kind_of_event_is_described(kind):
    assert kind in words_in_code(reference())


def commands():
    """Return {name: its options, each with its spellings} of the command line, as argparse knows them."""
    (subcommands,) = (one for one in build_parser()._actions if isinstance(one, argparse._SubParsersAction))
    return {
        name: {tuple(action.option_strings) for action in sub._actions if action.option_strings}
        - {("-h", "--help")}
        for name, sub in subcommands.choices.items()
    }


@pytest.mark.parametrize("name", commands())
def test_every_command_is_described(name):
    assert any(word.split()[:2] == ["streamer", name] for word in words_in_code(reference()))


@pytest.mark.parametrize(
    "spellings", sorted({one for options in commands().values() for one in options}), ids="/".join
)
def test_every_option_is_described(spellings):
    described = {word.split()[0] for word in words_in_code(reference())}
    assert set(spellings) & described


def test_no_command_is_described_that_does_not_exist():
    shown = {word for path in DOCUMENTS for word in re.findall(r"`streamer ([a-z]+)", path.read_text())}
    assert set() == shown - commands().keys()


def make_targets():
    (phony,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return phony.split()


@pytest.mark.parametrize("target", make_targets())
def test_every_make_target_is_described(target):
    assert f"make {target}" in words_in_code(reference())


def test_no_make_target_is_described_that_does_not_exist():
    described = {word for path in DOCUMENTS for word in re.findall(r"`make ([a-z]+)\b", path.read_text())}
    assert set() == described - set(make_targets())


# -- what is shown, is so ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_to_a_file_leads_somewhere(path):
    targets = re.findall(r"\]\(([^)\s]+)\)", path.read_text()) + re.findall(
        r'src="([^"]+)"', path.read_text()
    )
    files = [target.partition("#")[0] for target in targets if not re.match(r"[a-z]+:|#", target)]
    assert [] == [name for name in files if not (path.parent / name).exists()]


def test_the_map_of_the_folders_is_complete():
    text = (ROOT / "README.md").read_text()
    left_by_tools = {"build", "dist", "test-output"}
    folders = {
        path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith((".", "__"))
    }
    assert set() == {name for name in folders - left_by_tools if f"{name}/" not in text}


# -- what is shown, runs -----------------------------------------------------------------------------------------------

#: Runs a block as a notebook would: `await` stands where it likes.
RUNNER = """
import ast, asyncio, inspect, pathlib, sys
code = compile(pathlib.Path(sys.argv[1]).read_text(), sys.argv[1], "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
if inspect.iscoroutine(result := eval(code, {"__name__": "__main__"})):
    asyncio.run(result)
"""


def blocks():
    """Return every Python block; a comment ``<!-- given: ... -->`` before it gives it names to work on."""
    shape = re.compile(
        r"(?:<!-- given:\n(?P<given>.*?)-->\n+)?^```python\n(?P<text>.*?)^```", re.DOTALL | re.MULTILINE
    )
    for path in DOCUMENTS:
        content = path.read_text()
        for found in shape.finditer(content):
            line = content.count("\n", 0, found.start("text"))
            yield pytest.param((found["given"] or "") + found["text"], id=f"{path.relative_to(ROOT)}:{line}")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ServerProcess.streamer(tmp_path_factory.mktemp("docs")) as running:
        yield running


@pytest.mark.slow
@pytest.mark.parametrize("text", list(blocks()))
def test_every_python_block_runs(text, server, tmp_path):
    block = tmp_path / "block.py"
    block.write_text(text)
    ended = subprocess.run(
        [sys.executable, "-c", RUNNER, str(block)],
        cwd=tmp_path,
        env={**server.environment, "STREAMER_URL": server.url},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert 0 == ended.returncode, ended.stderr
