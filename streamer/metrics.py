"""What the streamer counts about itself, as Prometheus reads it. Counts only; nobody acts on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The streamer's counters, in a registry of their own. Used in the event loop."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "streamer_requests", "Requests answered, by status.", ["status"], registry=self.registry
        )
        self.streams = Counter("streamer_streams", "Streams opened.", registry=self.registry)
        self.resets = Counter("streamer_resets", "Streams that began with a reset.", registry=self.registry)
        self.delivered = Counter(
            "streamer_delivered", "Entries delivered to streams.", registry=self.registry
        )
        self.delivered_bytes = Counter(
            "streamer_delivered_bytes", "Bytes of frames delivered to streams.", registry=self.registry
        )
        self.stalled_readers = Counter(
            "streamer_stalled_readers_closed",
            "Streams closed because nobody read them.",
            registry=self.registry,
        )
        self.appended = Gauge(
            "streamer_entries_appended", "Entries appended since the start.", registry=self.registry
        )
        self.replays = Gauge(
            "streamer_replays_from_log",
            "Reads that the tail in memory could not serve.",
            registry=self.registry,
        )
        self.subscribers = Gauge("streamer_subscribers", "Streams that are open now.", registry=self.registry)
        self.runs = Gauge("streamer_runs", "Runs, by status.", ["status"], registry=self.registry)

    def render(self, *, subscribers: int, appended: int, replays: int, runs: Mapping[str, int]) -> bytes:
        """Return the text of ``/metrics`` with these present values."""
        self.subscribers.set(subscribers)
        self.appended.set(appended)
        self.replays.set(replays)
        self.runs.clear()
        for status, number in runs.items():
            self.runs.labels(status).set(number)
        return generate_latest(self.registry)
