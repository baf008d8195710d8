"""The streamer: it stores events, serves them as streams, and executes pipelines. Runs in the streamer's process."""
