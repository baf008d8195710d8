"""Remaining time from earlier runs and a run's own pace: pure functions over arrays, without I/O. Needs numpy.

The streamer computes estimates; a job never imports this package.
"""
