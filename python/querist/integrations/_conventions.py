"""What the drop-ins translate alike: numbers, errors, labels as class numbers, ties at random."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from querist import select
from querist._arrays import as_array

if TYPE_CHECKING:
    from numpy.random import Generator


def numbers(given: Any, argument: str) -> NDArray[Any]:
    """Give an array of floats; integers, booleans and long doubles, which the peers take, become float64."""
    array = as_array(given, argument)
    return array.astype(np.float64) if array.dtype.kind in "biu" or array.dtype.char == "g" else array


def scored(score: Callable[..., NDArray[Any]], given: Any, argument: str, **options: Any) -> NDArray[Any]:
    """Score probabilities by a function of querist.

    Its errors are about the argument that they came by, and offer no option that a drop-in lacks.

    Raises
    ------
    TypeError, ValueError
        As the function does.
    """
    array = numbers(given, argument)
    try:
        return score(array, **options)
    except (TypeError, ValueError) as error:
        text = str(error).removeprefix("proba: ").partition("; ")[0]
        raise type(error)(f"{argument}: {text}") from None


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
