"""Density of the pool, as in `modAL.density`."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike, NDArray

import querist
from querist.integrations._conventions import numbers

METRICS = ("euclidean", "l2")


def information_density(X: ArrayLike, metric: str = "euclidean") -> NDArray[Any]:
    """Mean of 1 / (1 + distance) from each row to all rows: `querist.information_density`.

    Parameters
    ----------
    X : array_like, shape (n, d)
        The pool: floats or integers, all finite.
    metric : {"euclidean", "l2"}, default "euclidean"
        The distance; both names mean the same. modAL's "cosine" is the mean of 1 / (2 - cos), which is not
        querist's, the mean cosine.

    Returns
    -------
    ndarray, shape (n,)
        In (0, 1], larger where the pool is denser; float64 for float64 and integer input, else float32.

    Raises
    ------
    TypeError
        If `X` does not hold numbers, or is sparse.
    ValueError
        If `metric` is another, or a number is not finite.

    Notes
    -----
    O(n² d) time in tiles, O(n) memory; modAL takes O(n²).

    References
    ----------
    Settles and Craven, "An analysis of active learning strategies for sequence labeling tasks", EMNLP 2008.

    Examples
    --------
    >>> from querist.integrations.modal import information_density
    >>> information_density([[0.0], [1.0]])
    array([0.75, 0.75])
    """
    check_metric(metric)
    return querist.information_density(numbers(X, "X"), metric="euclidean")


def check_metric(metric: Any) -> None:
    """Refuse a distance other than the Euclidean one."""
    if metric not in METRICS:
        msg = (
            f"metric: expected one of {METRICS}, got {metric!r}; modAL's similarity, 1 / (1 + distance), is "
            "there for these only"
        )
        raise ValueError(msg)
