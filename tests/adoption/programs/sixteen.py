# A bar in each of sixteen processes, as tqdm's documentation has it; by fork or by spawn.
import multiprocessing
import sys

from tqdm import tqdm


def work(n):
    total = 1000 + n
    with tqdm(total=total, desc=f"process {n:02d}", position=n) as bar:
        for _ in range(total):
            bar.update(1)
    return total


if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    with context.Pool(16, initializer=tqdm.set_lock, initargs=(context.RLock(),)) as pool:
        done = sum(tqdm(pool.imap_unordered(work, range(16), chunksize=1), total=16, desc="all"))
    print("done", done)
