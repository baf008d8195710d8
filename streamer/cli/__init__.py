"""The command `streamer`. Runs in the process of the person who types it."""
