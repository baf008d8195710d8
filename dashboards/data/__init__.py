"""The models' connection: a loop in a thread, a streamer's feed, and where a session's models are changed."""
