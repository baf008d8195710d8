# The usages that tqdm's documentation shows.
import string
import sys
from io import StringIO

from tqdm import tqdm, trange
from tqdm.auto import tqdm as auto_tqdm
from tqdm.contrib import tenumerate, tzip
from tqdm.contrib.concurrent import thread_map

text = ""
for char in tqdm(["a", "b", "c", "d"]):
    text = text + char

for _ in trange(100, desc="trange"):
    pass

pbar = tqdm(["a", "b", "c", "d"])
for char in pbar:
    pbar.set_description(f"Processing {char}")

with tqdm(total=100, desc="manual") as pbar:
    for _ in range(10):
        pbar.update(10)

pbar = tqdm(total=100, desc="closed by hand")
for _ in range(5):
    pbar.update(10)
pbar.close()

for _ in trange(3, desc="1st loop"):
    for _ in trange(4, desc="2nd loop", leave=False):
        for _ in trange(5, desc="3rd loop", leave=False):
            pass

for i, _ in tenumerate(range(7), desc="enumerate"):
    assert i < 7
for one, other in tzip(range(6), string.ascii_letters, desc="zip"):
    assert one < 6
    assert other
assert sum(thread_map(abs, range(50), desc="thread_map", max_workers=4)) == 1225

for _ in auto_tqdm(range(9), desc="auto"):
    pass

for line in tqdm((i for i in range(12)), desc="no total"):
    assert line < 12

for i in tqdm(range(1000), desc="left", unit="files"):
    if i == 10:
        break

with tqdm(total=3_000_000, unit="B", unit_scale=True, unit_divisor=1024, desc="download") as t:
    for _ in range(3):
        t.update(1_000_000)

for _ in tqdm(range(5), desc="hidden", disable=True):
    pass
for _ in tqdm(range(5), desc="to a string", file=StringIO()):
    pass
sys.exit(0 if text == "abcd" else 1)
