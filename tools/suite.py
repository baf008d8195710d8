"""Run the tests in steps: first those that can share the machine, two at a time, then the others one by one.

    python tools/suite.py [ARGUMENTS OF PYTEST]

Browser and notebook tests and those marked ``alone`` measure time or need both cores: they run in the second step.
The third step repeats the quick tests of the dashboards, and those marked ``newer``, on Python 3.12 or 3.13, which has
newer versions of Panel and Bokeh. It says so where there is no such Python. Every argument goes to all steps. A step
without a test is no failure as long as another one has some.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

# Started as a program, `tools` is the first folder to import from, and the project's is not among them.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools import newer

ROOT = Path(__file__).resolve().parent.parent
#: The steps by name, each with the arguments that it adds. A module stays in one worker: its servers start once.
STEPS = {"together": ("-n", "2", "--dist", "loadfile"), "alone": ()}
#: The step on a newer Python.
NEWER = ("--step=newer", "-n", "2", "--dist", "loadfile")
#: Exit codes of pytest.
PASSED, FAILED, NO_TESTS = 0, 1, 5


def main(arguments: Sequence[str] = ()) -> int:
    """Run all steps; stop after one that was interrupted or could not run.

    Args:
        arguments: Arguments of pytest, for all steps.

    Returns:
        The exit code: 0 when all tests passed, 5 when no step has a test, else the first failing step's.

    """
    codes = []
    for step, added in STEPS.items():
        print(f"== tests, {step}", flush=True)
        command = [sys.executable, "-m", "pytest", f"--step={step}", *added, *arguments]
        codes.append(subprocess.run(command, cwd=ROOT, check=False).returncode)
        if codes[-1] not in (PASSED, FAILED, NO_TESTS):
            return outcome(codes)
    if newer.is_running():
        print(f"== tests, newer: these ran on Python {sys.version.split()[0]}", flush=True)
    elif (found := newer.find()) is None:
        print("== tests, newer: this machine has no Python 3.12 or 3.13", flush=True)
    else:
        codes.append(run_newer(found, arguments))
    return outcome(codes)


def run_newer(found: Path, arguments: Sequence[str]) -> int:
    """Run the step of the newer Python in its environment.

    Args:
        found: The newer Python.
        arguments: Arguments of pytest.

    Returns:
        The exit code of pytest; that of a step without tests when the environment could not be made.

    """
    print(f"== tests, newer: {found}", flush=True)
    python = newer.prepare(found)
    if python is None:
        print("== tests, newer: the environment could not be made, so these tests did not run", flush=True)
        return NO_TESTS
    command = [str(python), "-m", "pytest", *NEWER, *arguments]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def outcome(codes: Sequence[int]) -> int:
    """Join the steps' exit codes.

    Args:
        codes: Exit codes of pytest, one a step.

    Returns:
        The first code that stands for a failure; else 5 when no step had a test; else 0.

    """
    failures = [code for code in codes if code not in (PASSED, NO_TESTS)]
    if failures:
        return failures[0]
    return PASSED if PASSED in codes else NO_TESTS


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
