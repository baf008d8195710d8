# The usages that rich's documentation shows.
import io

from rich.progress import BarColumn, Progress, TextColumn, track, wrap_file

for _ in track(range(10), description="Processing..."):
    pass

with Progress() as progress:
    task1 = progress.add_task("[red]Downloading...", total=1000)
    task2 = progress.add_task("[green]Processing...", total=1000)
    task3 = progress.add_task("[cyan]Cooking...", total=1000)
    while not progress.finished:
        progress.update(task1, advance=50)
        progress.update(task2, advance=30)
        progress.update(task3, advance=90)

progress = Progress()
progress.start()
try:
    hidden = progress.add_task("never seen", total=10, visible=False)
    left = progress.add_task("left in the middle", total=10)
    progress.advance(left, 4)
finally:
    progress.stop()

with Progress() as progress:
    unknown = progress.add_task("no total", total=None)
    progress.update(unknown, advance=7)
    gone = progress.add_task("removed", total=2)
    progress.update(gone, advance=2)
    progress.remove_task(gone)

with Progress(TextColumn("{task.description}"), BarColumn()) as progress:
    for _ in progress.track(range(3), description="outer"):
        for _ in progress.track(range(4), description="inner"):
            pass

data = io.BytesIO(b"x" * 4096)
with wrap_file(data, 4096, description="Reading...") as file:
    while file.read(1024):
        pass
