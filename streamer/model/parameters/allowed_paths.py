"""`check_paths`: that the paths among a run's parameters lie in folders which the operator allows. It opens no file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import param

from streamer.model.parameters.json_schema import ParametersRefused, Problem


def check_paths(
    pipeline: type[param.Parameterized], values: Mapping[str, Any], roots: Sequence[Path]
) -> None:
    """Check the values that somebody gives for path parameters; defaults are the pipeline's own matter.

    Links and ``..`` are followed first, so that neither leads out.

    Args:
        pipeline: The pipeline's class.
        values: The values that were given, by parameter.
        roots: The folders that they may lie in, with all below; empty: everywhere.

    Raises:
        ParametersRefused: Some lie elsewhere. It names them, whether there is such a file or not.

    """
    if not roots:
        return
    problems = []
    for name, value in values.items():
        if name not in pipeline.param:
            continue
        declared = pipeline.param[name]
        if not isinstance(declared, param.Path) or not isinstance(value, str) or not value:
            continue
        if not is_within(Path(value), roots):
            expected = f"a path in {' or '.join(map(str, roots))} (STREAMER_FILES)"
            problems.append(Problem(name, f"must be {expected}, not {value[:200]}", value[:200], expected))
    if problems:
        raise ParametersRefused(tuple(problems))


def is_within(path: Path, roots: Sequence[Path]) -> bool:
    """Return whether a path lies in one of some folders, after links and ``..`` were followed.

    Args:
        path: The path; there need not be such a file.
        roots: The folders.

    """
    real = Path(os.path.realpath(path))
    return any(real.is_relative_to(os.path.realpath(root)) for root in roots)
