"""The life of runs: queue, start, cancel, liveness, recovery. Runs in the streamer's process."""
