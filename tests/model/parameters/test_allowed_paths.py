"""Paths among parameters lie in the folders that the operator allows, whatever links and dots they have."""

from __future__ import annotations

from pathlib import Path

import param
import pytest

from streamer.model.parameters.allowed_paths import check_paths
from streamer.model.parameters.json_schema import ParametersRefused
from streamer.model.pipeline import Pipeline


class Reads(Pipeline):
    source = param.Filename("/etc/passwd", check_exists=False)
    folder = param.Foldername(None, check_exists=False)
    text = param.String("/etc/passwd")


def test_without_folders_every_path_is_allowed() -> None:
    check_paths(Reads, {"source": "/etc/shadow"}, ())


def test_defaults_and_other_texts_are_the_pipelines_own_matter(tmp_path: Path) -> None:
    check_paths(Reads, {"text": "/etc/shadow", "folder": None, "source": ""}, [tmp_path])


@pytest.mark.parametrize("path", ["/etc/shadow", "{root}/../x", "{root}/link/x", "relative", "{root}x/y"])
def test_a_path_that_leads_elsewhere_is_refused_by_its_name(tmp_path: Path, path: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to("/etc")
    with pytest.raises(ParametersRefused, match="STREAMER_FILES") as refused:
        check_paths(Reads, {"source": path.format(root=root), "folder": str(root)}, [root])
    assert ["source"] == [problem.field for problem in refused.value.problems]


def test_a_path_below_an_allowed_folder_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    check_paths(
        Reads, {"source": f"{tmp_path}/link/x/../y", "folder": str(tmp_path)}, [tmp_path / "real", tmp_path]
    )
