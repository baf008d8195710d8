"""`Pace`: how far a browser is behind what it was sent, so that no more is sent than it can take. Sends nothing."""

from __future__ import annotations

from collections import deque
from typing import Final

#: How much may be on its way to a browser, in characters of messages; then it is waited for.
AHEAD: Final = 64_000
#: What a message costs a browser beside its characters.
EACH: Final = 1_000
#: After how much a browser is asked to say that it has taken it. Not for each message: an answer costs the server, too.
ASKED: Final = AHEAD // 2


class Pace:
    """The messages that a browser was sent and has not said to have taken.

    Why not what the socket's buffer says: a browser reads far ahead of its page, which may be minutes behind, and only
    its answers say so.
    """

    def __init__(self) -> None:
        self._sent: deque[tuple[int, int]] = deque()
        self._ahead = self._unasked = 0

    @property
    def is_full(self) -> bool:
        """Whether nothing more should be sent for now. An answer to come was asked for then."""
        return self._ahead >= AHEAD

    def sent(self, version: int, size: int) -> bool:
        """Take note of a message of so many characters; return whether to ask for an answer with it."""
        cost = size + EACH
        self._sent.append((version, cost))
        self._ahead += cost
        self._unasked += cost
        if self._unasked < ASKED and not self.is_full:
            return False
        self._unasked = 0
        return True

    def taken(self, version: int) -> None:
        """Take note that the browser has this message, and so all before it."""
        while self._sent and self._sent[0][0] <= version:
            self._ahead -= self._sent.popleft()[1]

    def clear(self) -> None:
        """Begin anew: what was sent is void."""
        self._sent.clear()
        self._ahead = self._unasked = 0
