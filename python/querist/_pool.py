"""The pool of a campaign: rows of any kind, what is known of each, and what can still be asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from querist._protocols import Label
from querist._rounds import ABSTAIN


class Pool:
    """The rows of `X`, with a label, an abstention, or nothing yet for each."""

    def __init__(self, X: Any) -> None:
        self.X = X
        self.available = np.ones(_row_count(X), dtype=bool)  # neither label nor abstention
        self.labels: dict[int, Label] = {}

    def __len__(self) -> int:
        return len(self.available)

    def answer(self, answers: Mapping[int, Label]) -> bool:
        """Take in {index: label}, and tell whether a label is new or revised.

        An abstention never takes a label back.
        """
        labels = {index: label for index, label in answers.items() if label is not ABSTAIN}
        changed = any(
            index not in self.labels or self.labels[index] != label for index, label in labels.items()
        )
        self.labels |= labels
        self.available[list(answers)] = False
        return changed

    def labelled(self) -> tuple[Any, NDArray[Any]]:
        """Give the labelled rows and their labels, in the order of the pool."""
        indices = np.array(sorted(self.labels), dtype=np.int64)
        return self.take(indices), np.array([self.labels[index] for index in indices.tolist()])

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
