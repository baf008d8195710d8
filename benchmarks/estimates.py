"""How good estimates of the remaining time are, on simulated runs, beside the mean of the last runs and the pace alone.

The runs are seeded. `streamer estimate --replay` takes them as it takes recorded ones.
"""

from __future__ import annotations

import gzip
import json
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from streamer.model.timestamps import format_time
from streamer.server.replay import replay

BEGIN = 1_770_000_000.0
GRID = (np.arange(100) + 0.5) / 100
INSIDE = (GRID > 0.05) & (GRID < 0.95)
#: An absurd error counts as this.
CAP = 10.0


def steady(rng: random.Random, _rows: int) -> list[tuple[str, list[float]]]:
    """Two phases, items of one length; the machine is faster or slower from run to run."""
    speed = rng.lognormvariate(0, 0.15)
    return [("load", [0.5 * speed] * 60), ("save", [0.2 * speed] * 40)]


def skewed(rng: random.Random, _rows: int) -> list[tuple[str, list[float]]]:
    """The second phase has half the items of the first one, and takes nine times as long."""
    speed = rng.lognormvariate(0, 0.1)
    return [("load", [0.1 * speed] * 80), ("fit", [1.8 * speed * rng.uniform(0.8, 1.2) for _ in range(40)])]


def varied(rng: random.Random, _rows: int) -> list[tuple[str, list[float]]]:
    """Items of lognormal length."""
    return [("work", [rng.lognormvariate(-0.5, 1.0) for _ in range(80)])]


def sized(rng: random.Random, rows: int) -> list[tuple[str, list[float]]]:
    """As long as a parameter says."""
    return [("work", [rows / 1000 * rng.uniform(0.9, 1.1) for _ in range(60)])]


SCENARIOS: tuple[Callable[[random.Random, int], list[tuple[str, list[float]]]], ...] = (
    steady,
    skewed,
    varied,
    sized,
)


def write(folder: Path, runs: int) -> dict[str, dict[str, Any]]:
    """Write recordings and their manifest; return each run's scenario, times and declared percentages."""
    families, about = [], {}
    for scenario in SCENARIOS:
        rng, files, earlier = random.Random(scenario.__name__), [], []
        for number in range(runs):
            run, begin = f"{scenario.__name__}{number}", BEGIN + 100_000.0 * number
            rows = int(10 ** rng.uniform(2, 3.5))
            phases = scenario(rng, rows)
            first = {
                "event": "status",
                "status": "running",
                "pipeline": scenario.__name__,
                "parameters": {"rows": rows},
            }
            first["phases"] = [{"name": name, "weight": 1.0} for name, _ in phases]
            now, entries, shares = 0.0, [(0.0, first)], [(0.0, 0.0)]
            for place, (name, items) in enumerate(phases):
                entries.append((now, {"event": "phase", "phase": name, "phaseStatus": "started"}))
                for done, seconds in enumerate(items, 1):
                    now += seconds
                    entries.append(
                        (now, {"event": "progress", "phase": name, "done": done, "total": len(items)})
                    )
                    shares.append((now, (place + done / len(items)) / len(phases)))
                entries.append((now, {"event": "phase", "phase": name, "phaseStatus": "finished"}))
            entries.append((now, {"event": "complete"}))
            lines = (
                json.dumps({"run": run, "time": format_time(begin + time), **one}) for time, one in entries
            )
            (folder / f"{run}.ndjson.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
            files.append({"run": run, "file": f"{run}.ndjson.gz"})
            about[run] = {
                "scenario": scenario.__name__,
                "number": number,
                "begin": begin,
                "seconds": now,
                "shares": np.array(shares),
                "earlier": list(earlier),
            }
            earlier.append(now)
        families.append({"family": scenario.__name__, "runs": files})
    (folder / "manifest.json").write_text(json.dumps({"families": families}))
    return about


def standing(about: dict[str, Any], lines: list[dict[str, Any]]) -> np.ndarray:
    """Return the quantiles of the remaining seconds that stood over the run; not known: NaN."""
    nothing = {"p10": np.nan, "p50": np.nan, "p90": np.nan}
    said = [(one["time"] - about["begin"], *(one["remaining"] or nothing).values()) for one in lines]
    rows, now = np.array(said), GRID * about["seconds"]
    at = rows[np.maximum(np.searchsorted(rows[:, 0], now + 1e-6, "right") - 1, 0)]
    return np.maximum(at[:, 1:] + at[:, :1] - now[:, None], 0)


def error(middle: np.ndarray, seconds: float) -> float:
    """Return the mean relative error between 5 and 95 % of a run. "Not known" counts as 1."""
    true = (1 - GRID) * seconds
    off = np.minimum(np.abs(middle - true) / true, CAP)
    return float(np.where(np.isnan(off), 1.0, off)[INSIDE].mean())


def main() -> None:
    """Print the figures of runs with three earlier ones or more: all of them with `--full`, a part without."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        about = write(folder, 25 if "--full" in sys.argv else 10)
        said: dict[str, list[dict[str, Any]]] = {run: [] for run in about}
        for line in map(json.loads, replay(folder, workers=2)):
            said[line["run"]].append(line)
    print("mean relative error; share of the time in which the band held; width of the band / run")
    print(f"{'scenario':10s}{'ours':>8s}{'last 3':>8s}{'pace':>8s}{'in band':>9s}{'band/run':>10s}")
    for scenario in (one.__name__ for one in SCENARIOS):
        rows = []
        for run, one in about.items():
            if one["scenario"] != scenario or one["number"] < 3:
                continue
            seconds, now = one["seconds"], GRID * one["seconds"]
            rest, true = standing(one, said[run]), (1 - GRID) * one["seconds"]
            last = np.maximum(np.mean(one["earlier"][-3:]) - now, 0)
            times, shares = one["shares"].T
            share = shares[np.searchsorted(times, now, "right") - 1]
            pace = np.where(share > 0, now * (1 - share) / np.maximum(share, 1e-9), np.nan)
            hit = (rest[:, 0] <= true + 1e-3) & (true <= rest[:, 2] + 1e-3)
            width = (rest[:, 2] - rest[:, 0]) / seconds
            rows.append(
                (
                    error(rest[:, 1], seconds),
                    error(last, seconds),
                    error(pace, seconds),
                    hit[INSIDE].mean(),
                    width[INSIDE].mean(),
                )
            )
        ours, mean, pace_alone, inside, wide = np.mean(rows, axis=0)
        print(f"{scenario:10s}{ours:8.3f}{mean:8.3f}{pace_alone:8.3f}{inside:9.2f}{wide:10.2f}")


if __name__ == "__main__":
    main()
