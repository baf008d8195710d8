"""Run the tests in two steps: first those that can share the machine, two at a time, then the others one by one.

    python tools/suite.py [ARGUMENTS OF PYTEST]

Browser and notebook tests and those marked ``alone`` measure time or need both cores: they run in the second step.
Every argument goes to both steps. A step without a test is no failure as long as the other one has some.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: The steps by name, each with the arguments that it adds. A module stays in one worker: its servers start once.
STEPS = {"together": ("-n", "2", "--dist", "loadfile"), "alone": ()}
#: Exit codes of pytest.
PASSED, FAILED, NO_TESTS = 0, 1, 5


def main(arguments: Sequence[str] = ()) -> int:
    """Run both steps; stop after the first when it was interrupted or could not run.

    Args:
        arguments: Arguments of pytest, for both steps.

    Returns:
        The exit code: 0 when all tests passed, 5 when neither step has a test, else the first failing step's.

    """
    codes = []
    for step, added in STEPS.items():
        print(f"== tests, {step}", flush=True)
        command = [sys.executable, "-m", "pytest", f"--step={step}", *added, *arguments]
        codes.append(subprocess.run(command, cwd=ROOT, check=False).returncode)
        if codes[-1] not in (PASSED, FAILED, NO_TESTS):
            break
    return outcome(codes)


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
