"""The models' connection: a loop in a thread, a streamer's feed, links that keep models up to date, timers. Draws nothing."""
