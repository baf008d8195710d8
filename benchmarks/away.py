"""What reporting costs a job, with the streamer there and away: ratios against the same job that reports nothing.

    python benchmarks/away.py [--seconds 3] [--rounds 5]

The job hashes blocks, one item each, and logs every hundredth. All forms run in processes of their own, in turn, each
round in another order; the median of the rounds counts. On a machine that others use as well the processor time of
the job's own thread tells more than the clock.
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
    begun, thread = time.perf_counter(), time.thread_time()
    for n in numbers:
        hashlib.sha256(block).digest()
        if n % 100 == 0:
            log.info("block %d", n)
    return time.perf_counter() - begun, time.thread_time() - thread
if form == "bare":
    logging.basicConfig(level=logging.INFO, handlers=[logging.NullHandler()])
    print(*work(range(items)))
else:
    import streamer
    with streamer.run("Away", show=False) as run:
        print(*work(run.track(range(items))), flush=True)
"""


def job(form: str, items: int, environment: dict[str, str]) -> tuple[float, float]:
    done = subprocess.run(
        [sys.executable, "-c", JOB, form, str(items)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    wall, thread = done.stdout.split()
    return float(wall), float(thread)


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
            [sys.executable, "-m", "streamer", "serve"], env=there, stdout=subprocess.PIPE
        )
        try:
            assert server.stdout is not None
            server.stdout.readline()
            urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health/ready").close()
            items = 20_000
            items = int(items * arguments.seconds / job("bare", items, there)[0])
            forms = {"bare": there, "there": there, "away": away}
            seconds: dict[str, list[tuple[float, float]]] = {form: [] for form in forms}
            for _ in range(arguments.rounds):
                for form in random.sample(list(forms), len(forms)):
                    seconds[form].append(job(form, items, forms[form]))
        finally:
            server.terminate()
            server.wait()
        spooled = sum(path.stat().st_size for path in Path(folder, "away", "spool").glob("*.spool"))
    print(f"{items:,} items, {items // 100:,} log lines, {arguments.rounds} rounds, medians")
    words = {"bare": "reports nothing", "there": "the streamer there", "away": "the streamer away"}
    for number, clock in enumerate(("by the clock", "processor time of the job's thread")):
        medians = {form: statistics.median(each[number] for each in found) for form, found in seconds.items()}
        print(clock)
        for form, median in medians.items():
            print(f"  {words[form]:20} {median:6.3f} s   {median / medians['bare']:.3f} times")
    print(f"  {spooled:,} bytes wait on disk, {spooled // arguments.rounds:,} a run")


if __name__ == "__main__":
    main()
