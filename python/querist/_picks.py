"""What every selection returns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Picks(tuple[NDArray[np.int64], NDArray[Any]]):
    """Rows picked for labelling, best first: a tuple of exactly two, ``(indices, values)``.

    Attributes
    ----------
    indices : ndarray of int64, shape (k,)
        Row numbers in the order of selection; none twice, ties to the lower one.
    values : ndarray, shape (k,)
        What each row was picked for: its score, distance or gain, as the method says. A batch of the loop has
        them as `Batch.scores`.
    info : dict
        Work done (counters), and the seed where one was used.

    Examples
    --------
    >>> import querist as qr
    >>> indices, values = qr.select.top_k([0.1, 0.9, 0.5], 2)
    >>> indices
    array([1, 2])
    """

    info: dict[str, Any]

    def __new__(
        cls, indices: NDArray[np.int64], values: NDArray[Any], info: dict[str, Any] | None = None
    ) -> Picks:
        """Make picks of two arrays of the same length."""
        picks = super().__new__(cls, (indices, values))
        picks.info = {} if info is None else info
        return picks

    @property
    def indices(self) -> NDArray[np.int64]:
        """Row numbers in the order of selection."""
        return self[0]

    @property
    def values(self) -> NDArray[Any]:
        """What each row was picked for."""
        return self[1]

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self[0], self[1], self.info))

    def __repr__(self) -> str:
        return f"Picks(indices={self[0]!r}, values={self[1]!r}, info={self.info!r})"
