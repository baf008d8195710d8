"""`without_duplicates`: a numbered batch that is sent twice is stored once. It stores nothing itself."""

from __future__ import annotations

from collections.abc import Sequence

from streamer.server.log.base import Draft


def without_duplicates(drafts: Sequence[Draft], first_seq: int, acknowledged: int) -> Sequence[Draft]:
    """Return the events of a batch that are not stored yet.

    Args:
        drafts: The events of the batch, numbered one after another by their producer.
        first_seq: The number of the first one; at most the next one that is expected.
        acknowledged: The last number that is stored; a producer sends again what it has no answer for.
    """
    return drafts[acknowledged + 1 - first_seq :]
