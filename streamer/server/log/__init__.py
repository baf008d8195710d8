"""The append-only log of events: its interface and one module for each technology. Runs in the streamer's process."""
