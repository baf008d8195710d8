"""What reporting costs a job, with the streamer there and away: ratios against the same job that reports nothing.

    python benchmarks/away.py [--seconds 3] [--rounds 5]

The job hashes blocks, one item each, and logs every hundredth. All forms run in processes of their own, in turn, each
round in another order; the median of the rounds counts.
"""

from __future__ import annotations

import argparse
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

JOB = """
import hashlib, logging, sys, time
form, items = sys.argv[1], int(sys.argv[2])
block = b"x" * 20_000
log = logging.getLogger("job")
def work(numbers):
    begun = time.perf_counter()
    for n in numbers:
        hashlib.sha256(block).digest()
        if n % 100 == 0:
            log.info("block %d", n)
    return time.perf_counter() - begun
if form == "bare":
    logging.basicConfig(level=logging.INFO, handlers=[logging.NullHandler()])
    print(work(range(items)))
else:
    import streamer
    with streamer.run("Away", show=False) as run:
        print(work(run.track(range(items))), flush=True)
"""


def job(form: str, items: int, environment: dict[str, str]) -> float:
    done = subprocess.run(
        [sys.executable, "-c", JOB, form, str(items)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="how long the job takes, about")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    root = str(Path(__file__).resolve().parent.parent)
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        there = {
            **os.environ,
            "PYTHONPATH": root,
            "STREAMER_DATA": f"{folder}/there",
            "STREAMER_PORT": str(port),
        }
        away = {**there, "STREAMER_DATA": f"{folder}/away", "STREAMER_PORT": str(free_port())}
        server = subprocess.Popen(
            [sys.executable, "-m", "streamer.cli", "serve"], env=there, stdout=subprocess.PIPE
        )
        try:
            assert server.stdout is not None
            server.stdout.readline()
            urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health/ready").close()
            items = 20_000
            items = int(items * arguments.seconds / job("bare", items, there))
            forms = {"bare": there, "there": there, "away": away}
            seconds: dict[str, list[float]] = {form: [] for form in forms}
            for _ in range(arguments.rounds):
                for form in random.sample(list(forms), len(forms)):
                    seconds[form].append(job(form, items, forms[form]))
        finally:
            server.terminate()
            server.wait()
        spooled = sum(path.stat().st_size for path in Path(folder, "away", "spool").glob("*.spool"))
    bare = statistics.median(seconds["bare"])
    print(
        f"{items:,} items of {bare / items * 1e6:.0f} µs, {items // 100:,} log lines, {arguments.rounds} rounds"
    )
    for form, words in (
        ("bare", "reports nothing"),
        ("there", "the streamer there"),
        ("away", "the streamer away"),
    ):
        median = statistics.median(seconds[form])
        print(f"  {words:20} {median:6.3f} s   {median / bare:.3f} times")
    print(f"  {spooled:,} bytes wait on disk, {spooled // arguments.rounds:,} a run")


if __name__ == "__main__":
    main()
