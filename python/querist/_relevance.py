"""Batches of rows that score high and are unlike each other: MMR and ranked batch."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike

from querist import _core
from querist._arguments import checked_scores, finite, still_open, taken
from querist._arrays import as_matrix
from querist._picks import Picks
from querist._quota import Limits, Quota, quotas


def mmr(
    scores: ArrayLike,
    features: ArrayLike,
    k: int,
    *,
    trade_off: float = 0.5,
    labeled: ArrayLike | None = None,
    available: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    quota: Quota | None = None,
    n_threads: int | None = None,
    deadline: float | None = None,
) -> Picks:
    """K rows by maximal marginal relevance: a high score, and a small cosine to all labelled and picked.

    Each pick has the largest λ s - (1 - λ) max cos; without anything to compare with, the second term is
    not there.

    Parameters
    ----------
    scores : array_like, shape (n,)
        One number a row, as it is: scale it so that it can be weighed against a cosine. A row scored NaN is
        never picked.
    features : array_like, shape (n, d)
        The pool: float16, bfloat16, float32 or float64, in any memory layout, read in place; or a
        scipy sparse matrix of float32 or float64. All finite. A row of zeros has cosine 0 to everything.
    k : int
        How many rows.
    trade_off : float, default 0.5
        λ, from 0 (only unlike) to 1 (only scores).
    labeled, available, groups, quota, n_threads, deadline
        As for `k_means_pp`.

    Returns
    -------
    Picks
        The row numbers in the order of selection, ties to the lower one, and their values at the pick in
        float64. ``info`` is as `k_center` gives it.

    Raises
    ------
    TypeError, ValueError
        If a shape does not fit, a number is not finite, `trade_off` is not from 0 to 1, or k is more than the
        rows that can be picked.

    Notes
    -----
    O(n k d) time at most, often far less; O(n) memory, and the picks and labelled rows, kept dense.

    References
    ----------
    Carbonell and Goldstein, "The use of MMR, diversity-based reranking for reordering documents and producing
    summaries", SIGIR 1998.

    Examples
    --------
    >>> import numpy as np
    >>> import querist as qr
    >>> pool = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> qr.select.mmr([0.9, 0.8, 0.5], pool, 2).indices
    array([0, 2])
    """
    weight = finite(trade_off, "trade_off", least="0 or more")
    if weight > 1:
        msg = f"trade_off: expected a number from 0 to 1, got {trade_off}"
        raise ValueError(msg)
    array = as_matrix(features, "features")
    return _greedy(
        scores,
        array,
        k,
        trade_off=weight,
        labeled=labeled,
        available=available,
        limits=quotas(groups, quota, array.shape[0], k),
        n_threads=n_threads,
        deadline=deadline,
    )


def ranked_batch(
    scores: ArrayLike,
    features: ArrayLike,
    k: int,
    *,
    labeled: ArrayLike | None,
    available: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    quota: Quota | None = None,
    n_threads: int | None = None,
    deadline: float | None = None,
) -> Picks:
    """K rows by ranked batch-mode sampling: far from what is labelled while little is, uncertain later.

    Each pick has the largest α (1 - 1 / (1 + d)) + (1 - α) s: d is the distance to the nearest labelled or
    picked row, α the share of all rows that are neither (modAL's uncertainty batch sampling).

    Parameters
    ----------
    scores : array_like, shape (n,)
        Uncertainties, best between 0 and 1. A row scored NaN is never picked.
    features : array_like, shape (n, d)
        The pool: float16, bfloat16, float32 or float64, in any memory layout, read in place; or a
        scipy sparse matrix of float32 or float64. All finite.
    k : int
        How many rows.
    labeled : array_like or None
        As for `k_means_pp`. With nothing labelled the first pick is that of the highest score.
    available, groups, quota, n_threads, deadline
        As for `k_means_pp`.

    Returns
    -------
    Picks
        The row numbers in the order of selection, ties to the lower one, and their values at the pick in
        float64. ``info`` is as `k_center` gives it.

    Raises
    ------
    TypeError, ValueError
        If a shape does not fit, a number is not finite, or k is more than the rows that can be picked.

    Notes
    -----
    O(n (L + k) d) time at most, L labelled rows, O(n + (L + k) d) memory.

    References
    ----------
    Cardoso, Silva, Canuto, Moro and Gonçalves, "Ranked batch-mode active learning", Information Sciences
    2017.

    Examples
    --------
    >>> import numpy as np
    >>> import querist as qr
    >>> pool = np.array([[0.0], [1.0], [9.0], [10.0]])
    >>> qr.select.ranked_batch([0.1, 0.2, 0.3, 0.3], pool, 2, labeled=[0]).indices
    array([3, 2])
    """
    array = as_matrix(features, "features")
    return _greedy(
        scores,
        array,
        k,
        trade_off=None,
        labeled=labeled,
        available=available,
        limits=quotas(groups, quota, array.shape[0], k),
        n_threads=n_threads,
        deadline=deadline,
    )


def _greedy(
    scores: ArrayLike,
    array: Any,
    k: int,
    *,
    trade_off: float | None,
    labeled: ArrayLike | None,
    available: ArrayLike | None,
    limits: Limits | None,
    n_threads: int | None,
    deadline: float | None,
) -> Picks:
    rows, outside = taken(array, labeled)
    worth = checked_scores(scores, array.shape[0])
    mask = still_open(array.shape[0], rows, available)
    indices, values, distances, sweeps = _core.relevant(
        worth, array, k, trade_off, rows.tolist(), outside, mask, limits, n_threads, deadline
    )
    return Picks(indices, values, {"distances": distances, "sweeps": sweeps})
