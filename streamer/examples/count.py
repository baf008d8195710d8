"""The plainest pipeline: it counts. Documentation and tests use it; it does no work but waiting."""

from __future__ import annotations

import time

import param

from streamer import Pipeline, phase


class Count(Pipeline):
    """Count to a number, slowly, to see how a run looks.

    One item can be made to fail, or the whole run.
    """

    n = param.Integer(100, bounds=(1, 1_000_000), doc="How far to count.")
    delay = param.Number(
        0.1, bounds=(0, 60), softbounds=(0, 1), doc="Seconds to wait at each item.", label="Delay in seconds"
    )
    fail_at = param.Integer(
        0, bounds=(0, 1_000_000), doc="The item that fails; the others are counted all the same. 0: none."
    )
    fail = param.Boolean(
        False,
        doc="Whether the whole run fails, at the item that fails, or at the first one when none is named.",
        label="Fail as a whole",
    )
    unit = param.String("items", regex=r"^.{0,40}$", doc="What is counted, in the plural.")

    @phase
    def count(self) -> dict[str, int]:
        """Count, log every tenth of the way, and return how many items succeeded."""
        counted = self.map(
            self.count_one,
            range(1, self.n + 1),
            on_error="raise" if self.fail else "collect",
            unit=self.unit,
        )
        return {"counted": len(counted), "n": self.n}

    def count_one(self, item: int) -> int:
        """Wait, and return the item. Raises `ValueError` at the item that is to fail."""
        if self.delay:
            time.sleep(self.delay)  # the work of this example, as long as is asked for
        if item == (self.fail_at or self.fail):
            raise ValueError(f"item {item} was asked to fail")
        # Eleven lines whatever the number: the first item, then every tenth of the way.
        if item == 1 or item % max(1, self.n // 10) == 0:
            self.log.info("%s of %s %s", f"{item:,}", f"{self.n:,}", self.unit)
        return item
