# ProcessPoolExecutor and a plain Process, with records of logging, and one that is killed in the middle.
import logging
import multiprocessing
import os
import signal
from concurrent.futures import ProcessPoolExecutor

from tqdm import tqdm
from tqdm.contrib.concurrent import process_map

logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")


def square(x):
    for _ in tqdm(range(20), desc=f"square {x}"):
        pass
    logging.getLogger("squares").warning("square of %d", x)
    return x * x


def dies():
    for i in tqdm(range(100), desc="dies"):
        if i == 50:
            multiprocessing.Event().wait(1.0)  # a reading of its bar comes by
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        print(sum(tqdm(pool.map(square, range(4)), total=4, desc="squares")))
    print(sum(process_map(abs, range(30), max_workers=2, desc="process_map")))
    process = context.Process(target=dies)
    process.start()
    process.join()
    logging.getLogger().debug("not shown by its own choice")
