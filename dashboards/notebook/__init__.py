"""The views for notebooks: live while a cell's code runs, and plain HTML in the saved file. Imports no Panel.

Each holds what names the thing that it shows, and the streamer's URL; never state. So it can be shown any number of
times, copied and pickled, and what it shows is always what the streamer knows.
"""

from dashboards.notebook.views import RunsView, RunView, StartForm, show

__all__ = ["RunView", "RunsView", "StartForm", "show"]
