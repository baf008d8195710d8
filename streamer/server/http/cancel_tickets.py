"""Tickets: secrets that let a page of somewhere else do one thing to one run. Keeps no list of them."""

from __future__ import annotations

import hashlib
import hmac


class Tickets:
    """Issues tickets and knows its own again. They are void with the `key`: each streamer process has one of its own.

    A ticket is the run's id and what it is for, signed; so there is nothing to store, and nothing that could fill up.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def issue(self, run_id: str) -> str:
        """Return the ticket that cancels a run, and does nothing else."""
        return hmac.new(self._key, f"cancel {run_id}".encode(), hashlib.sha256).hexdigest()

    def admits(self, run_id: str, ticket: str) -> bool:
        """Say whether it is the ticket that cancels that run.

        Args:
            run_id: The run.
            ticket: The text that came with a request.

        """
        return hmac.compare_digest(self.issue(run_id).encode(), ticket.encode())
