"""The recipes of docs/panel.md: each runs as it stands, in at most ten lines."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "panel.md"
#: Title and code of each recipe.
RECIPES = re.findall(
    r"^## ([^\n]+)\n(?:(?!^## ).)*?```python\n(.*?)```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
)

RUN_ALL = """
import json, sys, traceback
failed = {}
for title, code in json.load(sys.stdin):
    try:
        exec(compile(code, title, "exec"), {"__name__": "recipe"})
    except Exception:
        failed[title] = traceback.format_exc()
print(json.dumps(failed))
"""


def test_there_are_ten_recipes_of_at_most_ten_lines() -> None:
    lengths = [len([line for line in code.splitlines() if line.strip()]) for _, code in RECIPES]
    assert (10, True) == (len(RECIPES), max(lengths) <= 10)


@pytest.mark.slow
def test_each_recipe_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN_ALL],
        input=json.dumps(RECIPES),
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        check=False,
        env={"STREAMER_URL": "http://127.0.0.1:9", "PYTHONPATH": str(PAGE.parents[1]), "HOME": str(tmp_path)},
    )
    assert done.stdout, done.stderr[-3000:]
    assert {} == json.loads(done.stdout.splitlines()[-1])
    assert (tmp_path / "run.html").exists()
