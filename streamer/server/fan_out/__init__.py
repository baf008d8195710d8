"""From a stored entry to every subscriber's socket. Runs in the streamer's process."""
