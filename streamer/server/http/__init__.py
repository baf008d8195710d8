"""Tornado handlers: each parses a request, calls one method, and writes the answer. Runs in the streamer's process."""
