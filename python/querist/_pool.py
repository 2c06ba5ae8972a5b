"""The pool of a campaign: rows of any kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Pool:
    """The rows of `X`."""

    def __init__(self, X: Any) -> None:
        self.X = X
        self._n = _row_count(X)

    def __len__(self) -> int:
        return self._n

    def take(self, indices: NDArray[np.int64]) -> Any:
        """Give the rows at `indices`, in that order and of the same kind as `X`."""
        if hasattr(self.X, "iloc"):  # pandas, whose plain brackets look for columns or labels
            return self.X.iloc[indices]
        if isinstance(self.X, Sequence):
            return [self.X[index] for index in indices.tolist()]
        # Of scipy's sparse formats not all have rows to take; CSR stays as it is.
        X = self.X.tocsr() if hasattr(self.X, "tocsr") else self.X
        return X[indices]


def _row_count(X: Any) -> int:
    shape = getattr(X, "shape", None)
    if shape:  # before len, which a sparse matrix does not have
        return int(shape[0])
    if shape is None and hasattr(X, "__len__"):
        return len(X)
    raise TypeError(f"X: expected an array, a data frame or a sequence of rows, got {type(X).__name__}")
