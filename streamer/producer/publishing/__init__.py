"""The way of an event to the streamer: outbox, publisher, connection. Runs in the user's process."""
