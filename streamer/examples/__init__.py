"""Pipelines that do real work on real data, on offer by default. A user's own look just like them."""
