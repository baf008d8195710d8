"""`Bodies`: how many bytes of requests' bodies are in memory, all together, and the bound of that. It holds none."""

from __future__ import annotations


class Bodies:
    """The event loop alone calls it.

    Args:
        most: The most bytes of all bodies that are being read.

    """

    def __init__(self, most: int) -> None:
        self.most = most
        #: The bytes that are held now, or were announced.
        self.held = 0

    def take(self, size: int) -> bool:
        """Make room for a body, or a part of one; return whether there is any.

        Args:
            size: Its bytes.

        """
        if self.held + size > self.most:
            return False
        self.held += size
        return True

    def release(self, size: int) -> None:
        """Give room back.

        Args:
            size: The bytes that were taken.

        """
        self.held -= size
