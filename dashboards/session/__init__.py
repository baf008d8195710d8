"""A session's reactive mirrors: of one run, of the list of runs, of the form that starts one. No network, no drawing.

Views watch a model. Its data comes from outside: from a feed, a test or the gallery. A viewer's requests go out through
the injected commands. A model belongs to one session, and is used on that session's thread only. `close()` ends every
watcher.
"""

from dashboards.session.base import CONNECTIONS, Session
from dashboards.session.commands import CommandError, RunCommands, RunsCommands, StartCommands, StartRefused
from dashboards.session.run_model import RunModel
from dashboards.session.runs_model import CHOSEN, FILTERS, WITHIN, RunsModel
from dashboards.session.start_model import StartModel
from dashboards.session.values import (
    PAGE_FAILURES,
    PAGE_LINES,
    PAGE_RUNS,
    SEARCH_LIMIT,
    TABS,
    WINDOW_LINES,
    FailuresPage,
    FormChange,
    LogChange,
    LogLine,
    LogWindow,
    PipelineSpec,
)

__all__ = [
    "CHOSEN",
    "CONNECTIONS",
    "FILTERS",
    "PAGE_FAILURES",
    "PAGE_LINES",
    "PAGE_RUNS",
    "SEARCH_LIMIT",
    "TABS",
    "WINDOW_LINES",
    "WITHIN",
    "CommandError",
    "FailuresPage",
    "FormChange",
    "LogChange",
    "LogLine",
    "LogWindow",
    "PipelineSpec",
    "RunCommands",
    "RunModel",
    "RunsCommands",
    "RunsModel",
    "Session",
    "StartCommands",
    "StartModel",
    "StartRefused",
]
