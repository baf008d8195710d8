"""The indicators' scripts: one for each, bundled as they are, with the palette, without markup of data."""

from __future__ import annotations

import json

import pytest

from dashboards import indicators
from dashboards.indicators.bundle import BUNDLE, FOLDER, bundle, module
from streamer.model.palette import DARK


def test_the_bundle_is_the_scripts_beside_it() -> None:
    assert bundle() == BUNDLE.read_text(encoding="utf-8"), "run python -m dashboards.indicators.bundle"


@pytest.mark.parametrize("name", indicators.__all__)
def test_each_indicator_has_a_script_of_its_module_s_name(name: str) -> None:
    of = getattr(indicators, name)
    path = FOLDER / f"{of.__module__.rpartition('.')[2]}.js"
    assert f"export default component({name})" in path.read_text(encoding="utf-8")


def test_a_module_alone_is_shared_tools_and_one_drawing() -> None:
    script = module("Percent")
    assert (1, True) == (script.count("export default"), f'"dark": {json.dumps(DARK)[:-1]}' in script)


def test_the_scripts_make_no_markup_of_data_and_load_nothing() -> None:
    forbidden = (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "import ",
        "https://",
    )
    assert [] == [word for word in forbidden if word in bundle()]
