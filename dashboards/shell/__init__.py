"""The shell of every page: its document with our head, bar and look. Knows no run and no streamer."""

from dashboards.shell.page import HOME, serve_fonts, show
from dashboards.shell.where import make_where

__all__ = ["HOME", "make_where", "serve_fonts", "show"]
