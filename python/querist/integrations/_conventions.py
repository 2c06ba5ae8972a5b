"""What the drop-ins translate alike: integers as numbers, labels as class numbers, ties at random."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from querist import select
from querist._arrays import as_array

if TYPE_CHECKING:
    from numpy.random import Generator


def numbers(given: Any, argument: str) -> NDArray[Any]:
    """Give an array of floats; integers and booleans, which the peers take too, become float64."""
    array = as_array(given, argument)
    return array.astype(np.float64) if array.dtype.kind in "biu" else array


def class_numbers(votes: NDArray[Any], classes: Any) -> NDArray[np.int64]:
    """Give each vote as its place among the sorted classes, -1 where it is none of them."""
    names = np.unique(as_array(classes, "classes"))
    places = np.minimum(np.searchsorted(names, votes), len(names) - 1)
    return np.where(names[places] == votes, places, -1)


def top(values: NDArray[Any], k: int, ties: Generator | None) -> NDArray[np.int64]:
    """Give the rows of the k largest values, largest first.

    Ties go to the lower row, or with a generator to each row with the same chance.
    """
    picks = select.top_k(values, k).indices
    if ties is None or not picks.size:
        return picks
    last = values[picks[-1]]
    rows = np.concatenate([picks[values[picks] > last], np.flatnonzero(values == last)])
    # Largest first, and rows of the same value in an order that is drawn.
    order = np.lexsort((ties.random(rows.size), -values[rows]))
    return rows[order[:k]]
