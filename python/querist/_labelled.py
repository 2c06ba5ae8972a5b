"""The labels in hand, by row and by class: brought up to date at each answer, never gone over in a round."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from querist._protocols import Label

# numpy makes text of all that comes with text, and rows of a matrix of tuples.
APART = (str, bytes, tuple)


def identity(label: Label) -> Hashable:
    """Give what two labels have in common if they are the same: equal and of one type, for True is not 1."""
    return tuple(map(identity, label)) if type(label) is tuple else (type(label), label)


class Labelled:
    """A label for some of n rows, kept by class. For a model, equal ones are one class: 1 and True."""

    def __init__(self, n: int) -> None:
        self.by_row: dict[int, Label] = {}
        self._place_of_row = np.full(n, -1, np.int32)  # in the lists of classes
        self._classes: list[Label] = []
        self._sizes: list[int] = []
        self._places: dict[Hashable, int] = {}  # by identity
        self._array: NDArray[Any] = np.empty(0)  # of the first classes, as a model sees them

    def put(self, row: int, label: Label) -> bool:
        """Set the label of a row, and tell whether that changes anything."""
        before = int(self._place_of_row[row])
        place = self._places.setdefault(identity(label), len(self._classes))
        if place == before:
            return False
        if place == len(self._classes):
            self._classes.append(label)
            self._sizes.append(0)
        self.by_row[row] = label
        self._place_of_row[row] = place
        self._sizes[place] += 1
        if before >= 0:
            self._sizes[before] -= 1
            if self._sizes[before] == 0:
                self._drop(before)
        return True

    def grow(self, n: int) -> None:
        """Let there be n rows, the new ones without a label."""
        more = np.full(n - len(self._place_of_row), -1, np.int32)
        self._place_of_row = np.concatenate([self._place_of_row, more])

    def sizes(self) -> dict[Label, int]:
        """Give how many rows have each label, as a model sees it: equal ones are one."""
        sizes: dict[Label, int] = {}
        for label, size in zip(self._classes, self._sizes, strict=True):
            sizes[label] = sizes.get(label, 0) + size
        return sizes

    def differ(self) -> bool:
        """Tell whether there are two labels that differ, as a model sees them."""
        return any(label != self._classes[0] for label in self._classes)

    def rows(self) -> NDArray[np.int64]:
        """Give the labelled rows in ascending order."""
        return np.flatnonzero(self._place_of_row >= 0).astype(np.int64, copy=False)

    def arrays(self, least: int = 1) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Give the labelled rows in ascending order, and their labels as one array to fit a model on.

        Rows of a class that has fewer than `least` are left out.

        Raises
        ------
        TypeError
            If text or tuples are among labels of another kind.
        """
        rows = self.rows()
        known = len(self._array)
        if known < len(self._classes):
            self._check_kinds(rows, known)
            array = label_array(self._classes[known:])
            if known and array.dtype == self._array.dtype:  # numbers: most are a class of their own
                array = np.concatenate([self._array, array])
            elif known:
                array = label_array(self._classes)
            self._array = array
        if least > 1:
            sizes = self.sizes()
            enough = np.array([sizes[label] >= least for label in self._classes])
            rows = rows[enough.take(self._place_of_row.take(rows))]
        return rows, self._array.take(self._place_of_row.take(rows), axis=0)

    def _drop(self, place: int) -> None:
        """Forget a class that no row has any more: the last one takes its place."""
        last = len(self._classes) - 1
        del self._places[identity(self._classes[place])]
        label, size = self._classes.pop(), self._sizes.pop()
        if place != last:
            self._classes[place], self._sizes[place] = label, size
            self._places[identity(label)] = place
            self._place_of_row[self._place_of_row == last] = place
        self._array = np.empty(0)

    def _check_kinds(self, rows: NDArray[np.int64], known: int) -> None:
        """Raise unless all classes are of the kind of the first `known`, which are of one."""
        types = set(map(type, [self._classes[0], *self._classes[known:]]))
        if len(set(map(_kind, types))) < 2:
            return
        first, *others = rows.tolist()
        kind = _kind(type(self.by_row[first]))
        other = next(row for row in others if _kind(type(self.by_row[row])) is not kind)
        one, another = (
            f"{type(self.by_row[row]).__name__} ({self.by_row[row]!r} at index {row})"
            for row in (first, other)
        )
        raise TypeError(f"labels: expected one kind to fit a model on, got {one} and {another}")


def _kind(type_: type) -> type | None:
    return next((kind for kind in APART if issubclass(type_, kind)), None)


def label_array(labels: Any) -> NDArray[Any]:
    """Give labels as an array of (n,) in which each tuple is one object, not a row of a matrix."""
    array = None if isinstance(labels, list | tuple) else np.asarray(labels)
    if array is not None and array.dtype != object:
        return array
    listed = list(labels) if array is None else array.tolist()
    if not any(isinstance(label, tuple) for label in listed):
        return np.array(listed)
    array = np.empty(len(listed), object)
    array[:] = listed
    return array
