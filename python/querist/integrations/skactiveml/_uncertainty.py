"""Uncertainty of one classifier's probabilities, with costs or without."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

import querist
from querist.integrations._conventions import numbers, scored

SCORES = {
    "least_confident": querist.least_confidence,
    "margin_sampling": querist.margin,
    "entropy": querist.entropy,
}


def uncertainty_scores(
    probas: ArrayLike,
    cost_matrix: ArrayLike | None = None,
    method: Literal["least_confident", "margin_sampling", "entropy"] = "least_confident",
) -> NDArray[Any]:
    """Uncertainty of each row, larger where it should be asked first.

    Parameters
    ----------
    probas : array_like, shape (n, c)
        Class probabilities, as for `querist.entropy`.
    cost_matrix : array_like, shape (c, c), optional
        What it costs to take class i for class j, in row i and column j; finite. Not with "entropy".
    method : {"least_confident", "margin_sampling", "entropy"}, default "least_confident"
        `querist.least_confidence`, `querist.margin` or `querist.entropy`. With a cost matrix the least
        expected cost, or minus the gap between the two least.

    Returns
    -------
    ndarray, shape (n,)
        float64 for float64 or integer input and with costs, else float32.

    Raises
    ------
    TypeError
        If `probas` does not hold numbers.
    ValueError
        If a row is not valid, `method` is another, the costs do not fit, or there are costs and one class.

    Notes
    -----
    O(n c) time; O(n c²) with costs, by numpy's product of matrices and no kernel of querist.

    References
    ----------
    Chen and Lin, "Active learning for multiclass cost-sensitive classification using probabilistic models",
    TAAI 2013.

    Examples
    --------
    >>> from querist.integrations.skactiveml import uncertainty_scores
    >>> uncertainty_scores([[0.5, 0.5], [0.75, 0.25]], method="margin_sampling")
    array([1. , 0.5])
    >>> uncertainty_scores([[0.5, 0.5], [0.75, 0.25]], cost_matrix=[[0, 1], [4, 0]])
    array([0.5 , 0.75])
    """
    if method not in SCORES:
        msg = f"method: expected one of {list(SCORES)}, got {method!r}"
        raise ValueError(msg)
    array = numbers(probas, "probas")
    scores = scored(SCORES[method], array, "probas")
    if cost_matrix is None:
        return scores
    if method == "entropy":
        msg = 'cost_matrix: expected None with the method "entropy", which knows no costs'
        raise ValueError(msg)
    expected = np.partition(array @ _costs(cost_matrix, array.shape[1]), 1, axis=1)
    least: NDArray[Any] = expected[:, 0] if method == "least_confident" else expected[:, 0] - expected[:, 1]
    return least


def _costs(given: ArrayLike, c: int) -> NDArray[np.float64]:
    if c == 1:
        msg = "cost_matrix: expected None where there is one class, for which no other can be taken"
        raise ValueError(msg)
    costs = np.asarray(numbers(given, "cost_matrix"), np.float64)
    if costs.shape != (c, c):
        msg = f"cost_matrix: expected shape ({c}, {c}), a row and a column for each class, got {costs.shape}"
        raise ValueError(msg)
    if not np.isfinite(costs).all():
        i, j = np.argwhere(~np.isfinite(costs))[0]
        msg = f"cost_matrix[{i}, {j}]: expected a finite number, got {costs[i, j]}"
        raise ValueError(msg)
    return costs
