# Bars in the ways that people use them: each function is a program of its own, named on the command line.
import asyncio
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from rich.progress import Progress
from tqdm import tqdm, trange
from tqdm.asyncio import tqdm as tqdm_async


def work(seconds):
    time.sleep(seconds)  # the work that the bars count: a user's items take time


async def work_async(seconds):
    await asyncio.sleep(seconds)  # the same, in a task


def by_hand_in_a_loop():
    bar = tqdm(range(10), total=200, unit="B", desc="decompress")
    for n in bar:
        work(0.15)
        bar.update(max(20 * (n + 1) - bar.n, 0))


def fewer_items():
    for _ in tqdm(range(10), total=200, desc="fewer"):
        pass


def steps_back():
    with tqdm(total=20, desc="back") as bar:
        for step in (5, 5, -3, 5, 8):
            bar.update(step)
            work(0.15)


def total_of_zero():
    with tqdm(total=0, desc="zero") as bar:
        for _ in range(5):
            bar.update(10)
            work(0.15)


def no_items():
    for _ in tqdm([], desc="nothing"):
        pass


async def _worker(count, name):
    async def items():
        for n in range(count):
            yield n

    with tqdm_async(items(), desc=name, total=count) as bar:
        async for _ in bar:
            await work_async(0.15)


def tasks():
    async def both():
        await asyncio.gather(_worker(5, "task 1"), _worker(6, "task 2"))

    asyncio.run(both())


def _count(count, name):
    for n in tqdm(range(count), desc=name):
        work(0.05)
        yield n


def zipped():
    for _ in zip(_count(12, "left"), _count(12, "right"), strict=True):
        pass


def zipped_bars():
    for _ in zip(tqdm(range(12), desc="left"), trange(12, desc="right"), strict=True):
        work(0.05)


def wrapped():
    for _ in _count(3, "outer"):
        for _ in trange(4, desc="inner"):
            work(0.05)


def pipeline():
    for _ in tqdm(_count(12, "source"), desc="sink", total=12):
        pass


def _four_steps(progress, outer, inner, start_over):
    for _ in range(4):
        start_over()
        for _ in range(20):
            work(0.03)
            progress.advance(inner)
        progress.advance(outer)


def rich_reset():
    with Progress() as progress:
        outer = progress.add_task("outer", total=4)
        inner = progress.add_task("inner", total=20)
        _four_steps(progress, outer, inner, lambda: progress.reset(inner))


def rich_set_to_zero():
    with Progress() as progress:
        inner = progress.add_task("inner", total=20)
        outer = progress.add_task("outer", total=4)
        _four_steps(progress, outer, inner, lambda: progress.update(inner, completed=0))


def rich_reset_afterwards():
    with Progress() as progress:
        outer = progress.add_task("outer", total=4)
        inner = progress.add_task("inner", total=20)
        for _ in range(4):
            for _ in range(20):
                work(0.03)
                progress.advance(inner)
            progress.advance(outer)
            progress.reset(inner)


def zero_before_its_end():
    bar = tqdm(total=20, desc="zero at last")
    for _ in range(20):
        work(0.03)
        bar.update()
    work(0.3)  # the count is read ten times a second
    bar.n = bar.last_print_n = 0
    bar.close()


def resumed():
    for _ in tqdm(range(50, 100), initial=50, total=100, desc="resumed"):
        work(0.02)


def shrinks():
    with tqdm(total=100, desc="shrinks") as bar:
        for n in range(30):
            if n == 20:
                bar.total = 30
            work(0.05)
            bar.update()


def scaled():
    with tqdm(total=1000, unit="B", unit_scale=2, desc="scaled") as bar:
        for _ in range(2):
            bar.reset()
            for _ in range(10):
                work(0.03)
                bar.update(100)


def gathered_in_a_loop():
    async def batches():
        for _ in tqdm(range(3), desc="batches"):
            await asyncio.gather(_worker(3, "a"), _worker(4, "b"))

    asyncio.run(batches())


def threads_in_a_loop():
    with ThreadPoolExecutor(2) as pool:
        for _ in tqdm(pool.map(_thread, range(6)), total=6, desc="all"):
            pass


def _thread(number):
    # The bar over the results begins first: bars that are there before it are beside it.
    work(0.1)
    for _ in trange(8, desc=f"thread {number}", leave=False):
        work(0.05)


def short_and_long():
    for _ in trange(5, desc="short"):
        work(0.05)
    for _ in trange(100, desc="long"):
        work(0.03)


def rich_side_by_side():
    with Progress() as progress:
        tasks = [progress.add_task(f"file {n}", total=30 + n) for n in range(3)]
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda task: _download(progress, task), tasks))


def _download(progress, task):
    for _ in range(30 + int(task)):
        work(0.05)
        progress.advance(task)


def nested_progress():
    with Progress() as progress:
        for _ in progress.track(range(3), description="outer"):
            for _ in progress.track(range(5), description="inner"):
                work(0.03)


def epochs():
    with tqdm(total=20, desc="epoch") as bar:
        for _ in range(3):
            bar.reset()
            for _ in range(20):
                work(0.03)
                bar.update()


def manual():
    outer = tqdm(total=4, desc="outer")
    for _ in range(4):
        inner = tqdm(total=10, desc="inner")
        for _ in range(10):
            work(0.03)
            inner.update()
        inner.close()
        outer.update()
    outer.close()


def disabled():
    for _ in tqdm(range(5), disable=True, desc="disabled"):
        tqdm.write("a line")
    for _ in trange(5, desc="shown", leave=False):
        tqdm.write("another line")


globals()[sys.argv[1]]()
