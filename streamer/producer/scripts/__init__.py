"""`streamer.run` and `streamer.track`: any script or notebook as a run with a page. Runs in the user's process."""
