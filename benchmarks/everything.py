"""Run every benchmark, one after the other, and keep what they print: `make bench` runs their short forms.

    python benchmarks/everything.py [--full] [--write] [NAME ...]

The short forms, within some five minutes, or the full ones. With `--write` RESULTS.md and the chart are written anew
from what they printed, with versions and commands. Each program has a bound in time; one that fails is said, and the
rest goes on.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent
#: Each program with the arguments of its short form and of its full one.
PROGRAMS: dict[str, tuple[list[str], list[str]]] = {
    "fanout": (["--short", "--only", "ours", "nchan"], ["--seconds", "3"]),
    "latency": (["--short"], ["--seconds", "4"]),
    "ingest": (["--short"], []),
    "replay": (["--short"], []),
    "viewers": (["--short"], []),
    "crowd": (["--short"], []),
    "visible": (["--short"], []),
    "long": (["--short"], []),
    "start": (["--short"], []),
    "track": (["--rounds", "3", "--items", "1000000"], []),
    "adopt": ([], []),
    "job": (["--short"], []),
    "away": (["--rounds", "1", "--seconds", "2"], []),
    "decoder": ([], []),
    "log": ([], []),
    "size": (["100000"], []),
    "estimates": ([], ["--full"]),
    "growth": (["--short"], []),
}
LONGEST_SECONDS = {False: 240.0, True: 600.0}
PACKAGES = ("bokeh", "msgspec", "panel", "panel-material-ui", "tornado")


def run(name: str, arguments: list[str], seconds: float) -> tuple[str, bool]:
    """Run a program; return what it printed, and whether it ended well. Whatever it started ends with it."""
    command = [sys.executable, str(HERE / f"{name}.py"), *arguments]
    # Not pipes: what a program leaves behind would hold them open.
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command, cwd=HERE.parent, stdout=output, stderr=errors, start_new_session=True
        )
        problem = ""
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            problem = f"did not end within {seconds:g} s"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        errors.seek(0)
        if process.returncode and not problem:
            problem = f"ended with {process.returncode}"
        said = f"{problem}\n{errors.read()[-2000:]}" if problem else ""
        return f"{output.read().strip()}\n{said}".strip(), not problem


def surroundings() -> str:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True, check=False
    ).stdout.strip()
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{time.strftime('%Y-%m-%d')}, commit {commit or 'unknown'}; {platform.system()} {platform.release()}, "
        f"{os.cpu_count()} processors, Python {platform.python_version()}; {packages}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--full", action="store_true", help="the full forms: some 25 minutes")
    parser.add_argument("--write", action="store_true", help="write RESULTS.md anew")
    parser.add_argument("names", nargs="*", choices=[*PROGRAMS, []], metavar="NAME", help=", ".join(PROGRAMS))
    asked = parser.parse_args()
    parts, failed = [], 0
    for name in asked.names or PROGRAMS:
        arguments = PROGRAMS[name][asked.full]
        if name == "growth":
            arguments = [*arguments, "--out", "benchmarks" if asked.write else "build"]
        began = time.monotonic()
        output, well = run(name, arguments, LONGEST_SECONDS[asked.full])
        failed += not well
        command = " ".join(["python", f"benchmarks/{name}.py", *arguments])
        print(f"== {command} ({time.monotonic() - began:.0f} s)\n{output}\n", flush=True)
        parts.append(f"## {name}\n\n`{command}`\n\n```\n{output}\n```\n")
    if asked.write and not asked.names:
        head = (
            "# Results\n\nThe last run that was kept: "
            f"`python benchmarks/everything.py {'--full ' * asked.full}--write`. Machines"
            " differ and are\nshared: read the ratios. What each program measures, and against whom, says "
            "[README.md](README.md).\n\n"
        )
        chart = "## How costs grow\n\n![cost per delivery, page-open time, memory](growth.png)\n\n"
        chart += "The same as a page: `growth.html`.\n"
        text = f"{head}{surroundings()}.\n\n" + "\n".join([*parts, chart])
        (HERE / "RESULTS.md").write_text(text)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
