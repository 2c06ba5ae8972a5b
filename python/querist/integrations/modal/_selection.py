"""The largest and smallest values, as in `modAL.utils.selection`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from querist._arrays import as_array
from querist._picks import Picks
from querist.integrations._conventions import numbers, top

if TYPE_CHECKING:
    from numpy.random import Generator


def multi_argmax(values: ArrayLike, n_instances: int = 1) -> Picks:
    """The rows of the largest values: `querist.select.top_k`.

    Parameters
    ----------
    values : array_like, shape (n,)
        Floats or integers. A NaN is never picked.
    n_instances : int, default 1
        How many rows.

    Returns
    -------
    Picks
        A tuple ``(indices, values)``, largest first, ties to the lower row.

    Raises
    ------
    TypeError
        If `values` does not hold numbers.
    ValueError
        If fewer values are numbers.

    Notes
    -----
    O(n + k log k) time.

    Examples
    --------
    >>> from querist.integrations.modal import multi_argmax
    >>> multi_argmax([3, 9, 5], 2)[0]
    array([1, 2])
    """
    return largest(as_array(values, "values"), n_instances, False)


def multi_argmin(values: ArrayLike, n_instances: int = 1) -> Picks:
    """The rows of the smallest values.

    Parameters
    ----------
    values, n_instances
        As for `multi_argmax`.

    Returns
    -------
    Picks
        A tuple ``(indices, values)``, smallest first, ties to the lower row.

    Raises
    ------
    TypeError, ValueError
        As for `multi_argmax`.

    Notes
    -----
    O(n + k log k) time.

    Examples
    --------
    >>> from querist.integrations.modal import multi_argmin
    >>> multi_argmin([3, 9, 5], 2)[0]
    array([0, 2])
    """
    return smallest(as_array(values, "values"), n_instances, False)


def largest(values: NDArray[Any], k: int, random_tie_break: bool | Generator) -> Picks:
    """Give the k largest, largest first."""
    rows = top(_ordered(values), k, _ties(random_tie_break))
    return Picks(rows, values[rows])


def smallest(values: NDArray[Any], k: int, random_tie_break: bool | Generator) -> Picks:
    """Give the k smallest, smallest first."""
    rows = top(-_ordered(values), k, _ties(random_tie_break))
    return Picks(rows, values[rows])


def _ordered(values: NDArray[Any]) -> NDArray[Any]:
    """Give floats in the order of the values; of integers that float64 may round, their ranks."""
    floats = numbers(values, "values")
    if values.dtype.kind in "iu" and np.abs(floats).max(initial=0) >= 2**53:
        floats = np.unique(values, return_inverse=True)[1].astype(np.float64)
    return floats


def _ties(given: bool | Generator) -> Generator | None:
    if isinstance(given, bool | np.bool_):
        return np.random.default_rng() if given else None
    if not isinstance(given, np.random.Generator):
        msg = f"random_tie_break: expected a bool or a numpy Generator, got {type(given).__name__}"
        raise TypeError(msg)
    return given
