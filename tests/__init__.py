"""The tests of panel-streamer. What they share is in `tests.support`."""
