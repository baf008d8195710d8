"""The pages: what a query asks for, in the shell. Builds models, links and views, and joins them."""

from dashboards.pages.build import build

__all__ = ["build"]
