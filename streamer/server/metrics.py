"""The streamer's counters, in the form of Prometheus. No part of the streamer acts on them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from math import nan
from typing import Final

from msgspec import Struct, field
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
#: The quantiles are those of so many of the newest lags.
_LAGS: Final = 1000
QUANTILES: Final = (0.5, 0.99)


class StreamCounts(Struct):
    """The events on streams since the start, as plain numbers: every write counts them up."""

    opened: int = 0
    resets: int = 0
    stalled: int = 0
    rotated: int = 0
    appended: int = 0
    appended_bytes: int = 0
    delivered: int = 0
    delivered_bytes: int = 0
    replays_from_memory: int = 0
    replays_from_log: int = 0
    lags: int = 0
    lag_seconds: float = 0.0
    newest_lags: deque[float] = field(default_factory=lambda: deque(maxlen=_LAGS))

    def lagged(self, seconds: float) -> None:
        """Count a commit.

        Args:
            seconds: Time from the commit until the last reader near the head was written to.
        """
        self.lags += 1
        self.lag_seconds += seconds
        self.newest_lags.append(seconds)

    def lag(self, quantile: float) -> float:
        """Return a quantile of the newest lags, in seconds; not a number when there are none.

        Args:
            quantile: From 0 to 1.
        """
        lags = sorted(self.newest_lags)
        return lags[min(int(quantile * len(lags)), len(lags) - 1)] if lags else nan


class _Streams(Collector):
    """Gives Prometheus the numbers of `StreamCounts`."""

    def __init__(self, counts: StreamCounts) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        counts = self._counts
        for name, doc, value in (
            ("streams", "Streams opened.", counts.opened),
            ("resets", "Streams that began with a reset.", counts.resets),
            ("stalled_readers_closed", "Streams closed because nobody read them.", counts.stalled),
            ("rotated", "Streams that were old and were asked to reconnect.", counts.rotated),
            ("appended", "Entries appended to the log.", counts.appended),
            ("appended_bytes", "Bytes of the frames of entries appended to the log.", counts.appended_bytes),
            ("delivered", "Entries delivered to streams.", counts.delivered),
            ("delivered_bytes", "Bytes of entries delivered to streams.", counts.delivered_bytes),
            (
                "replays_from_memory",
                "Times that a stream was brought up to the present from memory.",
                counts.replays_from_memory,
            ),
            (
                "replays_from_log",
                "Reads of the log for streams that memory could not serve.",
                counts.replays_from_log,
            ),
        ):
            yield CounterMetricFamily(f"streamer_{name}", doc, value=value)
        lag = Metric(
            "streamer_lag_seconds",
            "From a commit until all streams near the head were written to; quantiles of the newest thousand.",
            "summary",
        )
        for quantile in QUANTILES:
            lag.add_sample(lag.name, {"quantile": str(quantile)}, counts.lag(quantile))
        lag.add_sample(f"{lag.name}_sum", {}, counts.lag_seconds)
        lag.add_sample(f"{lag.name}_count", {}, counts.lags)
        yield lag


class Metrics:
    """The streamer's counters, in a registry of their own. The event loop alone calls it."""

    def __init__(self) -> None:
        self.counts = StreamCounts()
        self.registry = CollectorRegistry()
        self.registry.register(_Streams(self.counts))
        self.requests = Counter(
            "streamer_requests", "Requests answered, by status.", ["status"], registry=self.registry
        )
        self.subscribers = Gauge("streamer_subscribers", "Streams that are open now.", registry=self.registry)
        self.log_bytes = Gauge(
            "streamer_log_bytes", "Size of the log on the disk, in bytes.", registry=self.registry
        )
        self.runs = Gauge("streamer_runs", "Runs, by status.", ["status"], registry=self.registry)

    def render(self, *, subscribers: int, log_bytes: int, runs: Mapping[str, int]) -> bytes:
        """Return the text of ``/metrics``.

        Args:
            subscribers: Streams that are open now.
            log_bytes: Size of the log on the disk.
            runs: Number of runs by status.
        """
        self.subscribers.set(subscribers)
        self.log_bytes.set(log_bytes)
        self.runs.clear()
        for status, number in runs.items():
            self.runs.labels(status).set(number)
        return generate_latest(self.registry)
