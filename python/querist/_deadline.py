"""A deadline that several calls of the core share."""

from __future__ import annotations

import time

LONGEST = 2.0**63
"""Seconds beyond which no clock goes."""


class Deadline:
    """Counts down from when it is made."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._start = time.monotonic()

    def left(self) -> float | None:
        """Seconds that are left; None if there is no deadline.

        What is no number of seconds, or too many for any clock, is given back: the core has the error for it.

        Raises
        ------
        TimeoutError
            If none is left.
        """
        if not isinstance(self._seconds, int | float) or not 0 <= self._seconds < LONGEST:
            return self._seconds
        left = self._seconds - (time.monotonic() - self._start)
        if left < 0:
            msg = f"deadline: {self._seconds} s have passed"
            raise TimeoutError(msg)
        return left
