"""Selection: which rows to label next, as `querist.Picks`; `coverage`: which pick stands for each row."""

from __future__ import annotations

from numpy.typing import ArrayLike

from querist import _core
from querist._arguments import still_open
from querist._arrays import as_array
from querist._change import check_range, linear_posterior
from querist._deadline import Deadline
from querist._facility_location import facility_location
from querist._herding import max_herding, uncertainty_herding
from querist._k_center import KCenter, coverage, k_center
from querist._picks import Picks
from querist._quantile_filter import QuantileFilter
from querist._quota import Quota, quotas
from querist._relevance import mmr, ranked_batch
from querist._sampling import badge, k_means_pp, power

__all__ = [
    "KCenter",
    "QuantileFilter",
    "badge",
    "coverage",
    "facility_location",
    "k_center",
    "k_means_pp",
    "max_herding",
    "mmr",
    "power",
    "ranked_batch",
    "top_k",
    "uncertainty_herding",
    "variance_reduction",
]


def top_k(
    scores: ArrayLike,
    k: int,
    *,
    available: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    quota: Quota | None = None,
    n_threads: int | None = None,
    deadline: float | None = None,
) -> Picks:
    """The k highest scores.

    Parameters
    ----------
    scores : array_like, shape (n,)
        One number a row, larger where it should be asked first: float16, bfloat16, float32 or float64. A
        row scored NaN is never picked.
    k : int
        How many rows.
    available : array_like, optional
        Rows that may be picked: booleans (n,), or row numbers, none twice. An empty one means none; None
        means all.
    groups : array_like of int or str, shape (n,), optional
        The group of each row; comes with `quota`.
    quota : int, float or mapping, optional
        The most that the batch may hold of each group: a number of rows, or a share of k, rounded up (a float
        above 0 and up to 1), or ``{group: either}`` for some groups. A group that is full is closed, and the
        picks go on among the others.
    n_threads : int, optional
        Threads for this call; by default as many as `get_num_threads` tells. The result does not depend on
        it.
    deadline : float, optional
        Seconds after which to give up with a TimeoutError.

    Returns
    -------
    Picks
        The row numbers, highest score first, ties to the lower row, and their scores.

    Raises
    ------
    TypeError
        If `scores` does not hold floats, or k is not an integer.
    ValueError
        If k is more than the rows that are available and whose score is a number, or than the quotas let in,
        or `groups` and `quota` do not fit.

    Notes
    -----
    O(n + k log k) time, O(k) memory for each thread.

    Examples
    --------
    >>> import querist as qr
    >>> qr.select.top_k([0.1, 0.9, float("nan"), 0.9], 2).indices
    array([1, 3])
    >>> qr.select.top_k([0.1, 0.9, 0.5, 0.9], 2, groups=[0, 1, 0, 1], quota=1).indices
    array([1, 2])
    """
    array = as_array(scores, "scores")
    limits = quotas(groups, quota, array.size, k)
    indices, values, _ = _core.top_k(array, k, available, limits, n_threads, deadline)
    return Picks(indices, values)


def variance_reduction(
    features: ArrayLike,
    k: int,
    *,
    labeled: ArrayLike,
    ridge: float = 1.0,
    noise: float = 1.0,
    available: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    quota: Quota | None = None,
    n_threads: int | None = None,
    deadline: float | None = None,
) -> Picks:
    """The k rows that shrink the predictive variance of linear regression over the pool, one after the other.

    Each pick is the row of the highest `querist.variance_reduction` given the labelled rows and the picks
    before it: the exact greedy batch, which does not need their labels.

    Parameters
    ----------
    features : array_like, shape (n, d)
        The pool: float16, bfloat16, float32 or float64, in any memory layout, read in place. All finite. No
        column for an intercept is added.
    k : int
        How many rows.
    labeled : array_like
        What is labelled already: rows of the pool (unique 1-D integers, or booleans of shape (n,)), which are
        not picked again, or rows from outside it (2-D floats, d columns). An empty one means none.
    ridge, noise : float, default 1.0
        As for `querist.variance_reduction`.
    available : array_like, optional
        Rows that may be picked, unless they are labelled: booleans (n,), or row numbers, none twice. An empty
        one means none; None means all.
    groups, quota
        As for `top_k`.
    n_threads : int, optional
        Threads for this call; by default as many as `get_num_threads` tells. The result does not depend on
        it.
    deadline : float, optional
        Seconds after which to give up with a TimeoutError.

    Returns
    -------
    Picks
        The row numbers in the order of selection, ties to the lower one, and the fall of the mean variance
        that each brings, in float64. ``info["rows_scored"]`` counts the scores that were computed.

    Raises
    ------
    TypeError, ValueError
        As for `querist.variance_reduction`; also if k is more than the rows that can be picked.

    Notes
    -----
    O(n d² + k n d) time, O(n + d²) memory: each pick takes a matrix of rank one off the covariance. What
    that leaves of rows that are long beside `ridge` is computed anew, O(n d²), as often as it falls by 10^5.

    References
    ----------
    Cohn, Ghahramani and Jordan, "Active learning with statistical models", JAIR 1996.

    Examples
    --------
    >>> import numpy as np
    >>> import querist as qr
    >>> pool = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    >>> qr.select.variance_reduction(pool, 2, labeled=[]).indices
    array([1, 2])
    """
    time = Deadline(deadline)
    pool = as_array(features, "features")
    posterior = linear_posterior(pool, labeled, ridge, noise, n_threads=n_threads, deadline=time)
    indices, values, scored = _core.variance_reduction_picks(
        pool,
        posterior.root,
        posterior.moment,
        posterior.noise,
        k,
        still_open(len(pool), posterior.labeled, available),
        quotas(groups, quota, len(pool), k),
        n_threads,
        time.left(),
    )
    check_range(values, pool, f", with ridge={ridge} and noise={noise},")
    return Picks(indices, values, {"rows_scored": scored})
