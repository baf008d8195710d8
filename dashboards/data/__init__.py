"""The connection of the models: a thread's loop, a streamer's feed, and links that keep models up to date."""
