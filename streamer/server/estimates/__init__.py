"""Estimates of the runs under way, what was said of each, and the runs they learn from. Runs in the streamer."""
