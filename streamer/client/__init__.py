"""A streamer's HTTP API and streams from Python. Runs in a reader's process."""
