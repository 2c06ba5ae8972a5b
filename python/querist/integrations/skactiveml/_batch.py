"""The best candidates by given utilities."""

from __future__ import annotations

import warnings
from typing import Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from querist import select
from querist._arguments import count
from querist.integrations._conventions import numbers, top
from querist.integrations.skactiveml._random import RandomState, generator


@overload
def simple_batch(
    utilities: ArrayLike,
    random_state: RandomState = None,
    batch_size: int = 1,
    return_utilities: Literal[False] = False,
    method: Literal["max", "proportional"] = "max",
) -> NDArray[np.int64]: ...


@overload
def simple_batch(
    utilities: ArrayLike,
    random_state: RandomState = None,
    batch_size: int = 1,
    *,
    return_utilities: Literal[True],
    method: Literal["max", "proportional"] = "max",
) -> tuple[NDArray[np.int64], NDArray[np.float64]]: ...


@overload
def simple_batch(
    utilities: ArrayLike,
    random_state: RandomState,
    batch_size: int,
    return_utilities: Literal[True],
    method: Literal["max", "proportional"] = "max",
) -> tuple[NDArray[np.int64], NDArray[np.float64]]: ...


def simple_batch(
    utilities: ArrayLike,
    random_state: RandomState = None,
    batch_size: int = 1,
    return_utilities: bool = False,
    method: Literal["max", "proportional"] = "max",
) -> NDArray[np.int64] | tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The candidates of the largest utilities, or a draw of them: `querist.select.top_k` or `power`.

    Parameters
    ----------
    utilities : array_like, shape (n,) or more axes
        One finite number for each candidate; NaN where it may not be picked.
    random_state : int, RandomState or Generator, optional
        Where the random numbers start: those that break ties, each with the same chance, or that draw. By
        default somewhere else each time.
    batch_size : int, default 1
        How many, 1 or more; if there are fewer candidates a UserWarning says so and all are taken.
    return_utilities : bool, default False
        Whether to return the utilities before each pick, too.
    method : {"max", "proportional"}, default "max"
        The largest; or drawn without replacement with chances proportional to the utilities, of one axis.

    Returns
    -------
    indices : ndarray of int64, shape (b,), or (b, ndim) if there are more axes
        The candidates in the order of selection.
    batch_utilities : ndarray of float64, shape (b, n) or (b, ...)
        Only with `return_utilities`: as given, with NaN for what was picked before. O(b n) memory.

    Raises
    ------
    TypeError
        If an argument is of another kind.
    ValueError
        If a utility is infinite, `batch_size` is under 1, `method` is another, or "proportional" does not
        fit: more axes than one, a negative utility, or fewer that are not 0.

    Notes
    -----
    O(n + b log b) time for "max"; O(n) memory.

    Examples
    --------
    >>> from querist.integrations.skactiveml import simple_batch
    >>> simple_batch([0.25, 1.0, float("nan"), 0.5], batch_size=2)
    array([1, 3])
    """
    if method not in ("max", "proportional"):
        msg = f'method: expected "max" or "proportional", got {method!r}'
        raise ValueError(msg)
    given = np.asarray(numbers(utilities, "utilities"), np.float64)
    if np.isinf(given).any():
        msg = f"utilities: expected finite numbers, or NaN, got {given[np.isinf(given)][0]}"
        raise ValueError(msg)
    asked, there = count(batch_size, "batch_size"), int(np.count_nonzero(~np.isnan(given)))
    if asked < 1:
        msg = f"batch_size: expected 1 or more, got {asked}"
        raise ValueError(msg)
    if there < asked:
        text = f"batch_size: {asked} is more than the {there} candidates; all of them are taken"
        warnings.warn(text, UserWarning, stacklevel=2)
        asked = there
    draws = generator(random_state)
    if method == "max":
        rows = top(given.ravel(), asked, draws)
    else:
        rows = select.power(given, asked, seed=draws).indices
    indices = rows if given.ndim == 1 else np.column_stack(np.unravel_index(rows, given.shape))
    if not return_utilities:
        return indices
    before = np.repeat(given.reshape(1, -1), asked, axis=0)
    for pick, row in enumerate(rows):
        before[pick + 1 :, row] = np.nan
    return indices, before.reshape(asked, *given.shape)
