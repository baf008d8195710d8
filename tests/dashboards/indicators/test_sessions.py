"""A `Run` made in a served session, in a script and before any loop runs: it is kept up to date and leaves nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

pytestmark = pytest.mark.slow

#: No streamer is needed to count subscribers, only an address where nobody answers.
SESSIONS = """
import asyncio, gc, json, threading, time
import httpx, panel as pn
from dashboards.data.background import background_loop
from dashboards.indicators import RunView
from dashboards.data.streamers import live
from dashboards.models import Run

URL = "http://127.0.0.1:9"

def app():
    return RunView(Run("abc", URL))

async def subscribers():
    return live(URL).feed.subscribers

def count():
    return asyncio.run_coroutine_threadsafe(subscribers(), background_loop()).result(10)

def until(wanted):
    end = time.monotonic() + 40
    while count() != wanted and time.monotonic() < end:
        threading.Event().wait(0.05)
    return count()

server = pn.serve(app, port=0, show=False, start=False, unused_session_lifetime_milliseconds=300,
                  check_unused_sessions_milliseconds=100)

def visit():
    address = f"http://localhost:{server.port}/"
    before = count()
    with httpx.Client(timeout=30) as browser:
        most = 0
        for _ in range(int(NUMBER)):
            assert browser.get(address).status_code == 200
            most = max(most, count())
    print(json.dumps({"before": before, "most": most, "after": until(before)}), flush=True)
    server.io_loop.add_callback(server.io_loop.stop)

threading.Thread(target=visit, daemon=True).start()
server.start()
server.io_loop.start()
"""

#: Opens sessions with their WebSockets, and is killed while all are open.
VIEWERS = """
import asyncio, re, sys
import httpx
from tornado.websocket import websocket_connect

async def look():
    kept = []
    async with httpx.AsyncClient(timeout=60) as browser:
        for _ in range(int(sys.argv[2])):
            page = (await browser.get(sys.argv[1])).text
            token = re.search(r'"token": ?"([^"]+)"', page)[1]
            address = sys.argv[1].replace("http", "ws", 1) + "ws"
            kept.append(await websocket_connect(address, subprotocols=["bokeh", token]))
            assert "ACK" in await kept[-1].read_message()
    print("open", flush=True)
    sys.stdin.read()

asyncio.run(look())
"""

#: Takes the place of the visit by HTTP alone.
KILLED = """
def visit():
    import subprocess, sys
    before = count()
    viewers = subprocess.Popen([sys.executable, "-c", VIEWERS, f"http://localhost:{server.port}/", "NUMBER"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    said = viewers.stdout.readline()
    most = count()
    viewers.kill()
    viewers.communicate()
    print(json.dumps({"said": said.strip(), "before": before, "most": most, "after": until(before)}), flush=True)
    server.io_loop.add_callback(server.io_loop.stop)
"""

SCRIPT = """
import json, threading
from dashboards.indicators import Status
from dashboards.models import Run

run = Run("abc", "http://127.0.0.1:9")
away = threading.Event()
run.param.watch(lambda event: away.set() if event.new == "away" else None, "connection")
away.wait(20)
print(json.dumps({"connection": run.connection, "shown": bool(Status(run).content)}))
run.close()
"""


def answer(script: str) -> Any:
    """Run a script in a process of its own, as its user would; return what it prints last."""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_a_hundred_sessions_that_end_without_a_word_leave_no_subscriber() -> None:
    seen = answer(SESSIONS.replace("NUMBER", "100"))
    assert (0, True, 0) == (seen["before"], seen["most"] > 0, seen["after"])


def test_a_hundred_viewers_that_are_killed_leave_no_subscriber() -> None:
    head, _, rest = SESSIONS.partition("def visit():")
    _, _, end = rest.partition("threading.Thread(")
    script = f"VIEWERS = {VIEWERS!r}\n{head}{KILLED}\nthreading.Thread({end}"
    seen = answer(script.replace("NUMBER", "100"))
    assert {"said": "open", "before": 0, "most": 100, "after": 0} == seen


def test_a_run_of_a_script_is_kept_up_to_date_before_any_loop_runs() -> None:
    assert {"connection": "away", "shown": True} == answer(SCRIPT)
