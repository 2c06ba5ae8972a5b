"""Greedy k-center over labelled and unlabelled rows."""

from __future__ import annotations

from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from querist import select
from querist._arguments import count, row_numbers
from querist.integrations._conventions import numbers
from querist.integrations.skactiveml._random import RandomState, generator

METRICS = ("euclidean", "cosine")


@overload
def k_greedy_center(
    X: ArrayLike,
    y: ArrayLike,
    batch_size: int = 1,
    random_state: RandomState = None,
    missing_label: Any = np.nan,
    mapping: ArrayLike | None = None,
    n_new_cand: int | None = None,
    metric: Literal["euclidean", "cosine"] = "euclidean",
    metric_dict: dict[str, Any] | None = None,
    *,
    return_utilities: Literal[True] = True,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]: ...


@overload
def k_greedy_center(
    X: ArrayLike,
    y: ArrayLike,
    batch_size: int = 1,
    random_state: RandomState = None,
    missing_label: Any = np.nan,
    mapping: ArrayLike | None = None,
    n_new_cand: int | None = None,
    metric: Literal["euclidean", "cosine"] = "euclidean",
    metric_dict: dict[str, Any] | None = None,
    *,
    return_utilities: Literal[False],
) -> NDArray[np.int64]: ...


def k_greedy_center(
    X: ArrayLike,
    y: ArrayLike,
    batch_size: int = 1,
    random_state: RandomState = None,
    missing_label: Any = np.nan,
    mapping: ArrayLike | None = None,
    n_new_cand: int | None = None,
    metric: Literal["euclidean", "cosine"] = "euclidean",
    metric_dict: dict[str, Any] | None = None,
    *,
    return_utilities: bool = True,
) -> NDArray[np.int64] | tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The rows farthest from all labelled and picked, one after the other: `querist.select.k_center`.

    Parameters
    ----------
    X : array_like, shape (n, d)
        All rows, labelled or not: floats or integers, all finite.
    y : array_like, shape (n,)
        Their labels.
    batch_size : int, default 1
        How many rows.
    random_state : int, RandomState or Generator, optional
        Where the random number starts that draws the first pick if nothing is labelled; by default somewhere
        else each time.
    missing_label : scalar, default NaN
        What stands in `y` for no label.
    mapping : array_like of int, optional
        The rows that may be picked, unless they are labelled; by default all.
    n_new_cand : int, optional
        If given, `mapping` must be ``arange(n_new_cand)``, and the utilities are of these rows only.
    metric : {"euclidean", "cosine"}, default "euclidean"
        The distance; "cosine" is 1 - cos.
    metric_dict : dict, optional
        Must be empty.
    return_utilities : bool, default True
        Not in scikit-activeml. Whether to return the utilities too, which take most of the time and O(b n)
        memory; without them the picks alone are returned.

    Returns
    -------
    indices : ndarray of int64, shape (b,)
        The rows in the order of selection, ties to the lower one.
    utilities : ndarray of float64, shape (b, n) or (b, n_new_cand)
        The distance of each row to the nearest of what is labelled or picked before, 0 if there is none; NaN
        for rows that may not be picked.

    Raises
    ------
    TypeError
        If an argument is of another kind.
    ValueError
        If a shape does not fit, the batch is larger than the rows that may be picked, or the metric is
        another.

    Notes
    -----
    O((L + b) n d) time at most, L labelled rows; O(n) memory without the utilities.

    References
    ----------
    Sener and Savarese, "Active learning for convolutional neural networks: a core-set approach", ICLR 2018.

    Examples
    --------
    >>> from querist.integrations.skactiveml import k_greedy_center
    >>> nan = float("nan")
    >>> indices, utilities = k_greedy_center([[0.0], [1.0], [5.0], [9.0]], [1, nan, nan, nan], batch_size=2)
    >>> indices
    array([3, 2])
    >>> utilities
    array([[nan,  1.,  5.,  9.],
           [nan,  1.,  4., nan]])
    """
    if metric not in METRICS or metric_dict:
        msg = f"metric: expected one of {METRICS} without a metric_dict, got {metric!r} and {metric_dict}"
        raise ValueError(msg)
    pool, asked = numbers(X, "X"), count(batch_size, "batch_size")
    labeled, free = _labeled(y, missing_label, len(pool)), np.ones(len(pool), bool)
    if mapping is not None:
        free[:] = False
        free[row_numbers(mapping, len(pool), "mapping")] = True
    if n_new_cand is not None and not np.array_equal(np.flatnonzero(free), np.arange(n_new_cand)):
        msg = f"mapping: expected the rows 0 to {n_new_cand - 1}, as n_new_cand is {n_new_cand}"
        raise ValueError(msg)
    free &= ~labeled
    if not 1 <= asked <= np.count_nonzero(free):
        msg = f"batch_size: expected 1 to {np.count_nonzero(free)}, the rows that may be picked, got {asked}"
        raise ValueError(msg)
    centres, first = np.flatnonzero(labeled), np.zeros(0, np.int64)
    if not centres.size:
        centres = first = generator(random_state).choice(np.flatnonzero(free), 1)
    rest = select.k_center(pool, asked - first.size, labeled=centres, metric=metric, available=free)
    indices = np.concatenate([first, rest.indices])
    if not return_utilities:
        return indices
    utilities = np.full((asked, len(pool)), np.nan)
    distance = np.zeros(len(pool)) if first.size else select.coverage(pool, centres, metric=metric)[1]
    for pick in range(asked):
        utilities[pick, free] = distance[free]
        free[indices[pick]] = False
        reached = select.coverage(pool, indices[pick : pick + 1], metric=metric)[1]
        distance = reached if pick < first.size else np.minimum(distance, reached)
    return indices, utilities[:, :n_new_cand]


def _labeled(y: Any, missing_label: Any, n: int) -> NDArray[np.bool_]:
    """Say which rows have a label."""
    # Labels may be of any kind, None among them, so this is not the ladder for numbers.
    labels = np.asarray(y)
    if labels.shape != (n,):
        msg = f"y: expected shape ({n},), one label for each row of X, got {labels.shape}"
        raise ValueError(msg)
    if isinstance(missing_label, float | np.floating) and np.isnan(missing_label):
        return ~np.isnan(labels.astype(np.float64))
    known: NDArray[np.bool_] = np.asarray(labels != missing_label, bool)
    return known
