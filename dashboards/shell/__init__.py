"""The shell of every page: Panel's Material page with our head and look. Knows no run and no streamer."""

from dashboards.shell.frame import PageFrame
from dashboards.shell.page import make_page

__all__ = ["PageFrame", "make_page"]
