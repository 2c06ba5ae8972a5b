"""Batches drawn at random: power sampling, k-means++ and BADGE."""

from __future__ import annotations

from numpy.typing import ArrayLike

from querist import _core
from querist._arguments import checked_weights, finite, still_open, taken
from querist._arrays import as_array, as_matrix
from querist._picks import Picks
from querist._quota import Quota, quotas
from querist._seed import Seed, drawn_seed


def power(
    scores: ArrayLike,
    k: int,
    *,
    beta: float = 1.0,
    seed: Seed = None,
    available: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    quota: Quota | None = None,
    n_threads: int | None = None,
    deadline: float | None = None,
) -> Picks:
    """K rows drawn without replacement with chances proportional to ``scores ** beta``.

    The top k of beta ln s plus a Gumbel variable for each row: as cheap as top-k, and less prone to pick the
    same thing many times.

    Parameters
    ----------
    scores : array_like, shape (n,)
        One number a row, not negative: float16, bfloat16, float32 or float64. A row scored 0 or NaN is never
        drawn.
    k : int
        How many rows.
    beta : float, default 1.0
        0 draws evenly among the rows with a score; the larger, the nearer to top-k.
    seed : int or numpy.random.Generator, optional
        Where the random numbers start; by default somewhere, as ``info["seed"]`` tells.
    available : array_like, optional
        Rows that may be drawn: booleans (n,), or row numbers, none twice. An empty one means none; None means
        all.
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
        The row numbers, largest perturbed logarithm first, and these in float64.

    Raises
    ------
    TypeError
        If `scores` does not hold floats, or `seed` is of another kind.
    ValueError
        If a score is negative or infinite, or k is more than the rows that can be drawn.

    Notes
    -----
    O(n + k log k) time, O(k) memory for each thread. Logarithms are taken only of rows that may be drawn.

    References
    ----------
    Kirsch, Farquhar, Atighehchian, Jesson, Branchaud-Charron and Gal, "Stochastic batch acquisition: a simple
    baseline for deep active learning", TMLR 2023.

    Examples
    --------
    >>> import querist as qr
    >>> sorted(qr.select.power([0.0, 0.2, 0.5], 2, seed=0).indices.tolist())
    [1, 2]
    """
    start = drawn_seed(seed)
    slope = finite(beta, "beta", least="0 or more")
    array = as_array(scores, "scores")
    limits = quotas(groups, quota, array.size, k)
    indices, values, _ = _core.power(array, k, slope, start, available, limits, n_threads, deadline)
    return Picks(indices, values, {"seed": start})


def k_means_pp(
    features: ArrayLike,
    k: int,
    *,
    labeled: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    available: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    quota: Quota | None = None,
    seed: Seed = None,
    n_threads: int | None = None,
    deadline: float | None = None,
) -> Picks:
    """K rows drawn one after the other, each with a chance proportional to w D² (k-means++).

    D is the distance to the nearest row that is labelled or drawn already.

    Parameters
    ----------
    features : array_like, shape (n, d)
        The pool: float16, bfloat16, float32 or float64, in any memory layout, read in place; or a
        scipy sparse matrix of float32 or float64. All finite.
    k : int
        How many rows.
    labeled : array_like, optional
        Rows of the pool (unique 1-D integers, or booleans of shape (n,)), which are not drawn again, or rows
        from outside it (2-D floats, d columns; taken in the pool's float type). None or an empty one means
        none.
    weights : array_like, shape (n,), optional
        w: finite and not negative. A row of weight 0 or NaN is never drawn.
    available : array_like, optional
        Rows that may be drawn, unless they are labelled: booleans (n,), or row numbers, none twice. An empty
        one means none; None means all.
    groups, quota
        As for `top_k`.
    seed : int or numpy.random.Generator, optional
        Where the random numbers start; by default somewhere, as ``info["seed"]`` tells.
    n_threads, deadline
        As for `power`.

    Returns
    -------
    Picks
        The row numbers as they were drawn, and D² at the draw in float64: infinite for a first one with
        nothing labelled, which is drawn with a chance proportional to w. ``info`` has the seed, the distances
        evaluated and the sweeps over the pool.

    Raises
    ------
    TypeError, ValueError
        As for `k_center`; also if k is more than the rows that can be drawn.

    Notes
    -----
    If every D² is 0, the chance is proportional to w. O(n k d) time, O(n) memory.

    References
    ----------
    Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.

    Examples
    --------
    >>> import numpy as np
    >>> import querist as qr
    >>> pool = np.array([[0.0], [0.0], [3.0]])
    >>> qr.select.k_means_pp(pool, 1, labeled=[0], seed=0)[1]
    array([9.])
    """
    start = drawn_seed(seed)
    array = as_matrix(features, "features")
    n = array.shape[0]
    rows, outside = taken(array, labeled)
    worth = None if weights is None else checked_weights(weights, n)
    mask = still_open(n, rows, available)
    indices, values, distances, sweeps = _core.k_means_pp(
        array, k, rows.tolist(), outside, worth, mask, quotas(groups, quota, n, k), start, n_threads, deadline
    )
    return Picks(indices, values, {"seed": start, "distances": distances, "sweeps": sweeps})


def badge(
    proba: ArrayLike,
    features: ArrayLike,
    k: int,
    *,
    available: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    quota: Quota | None = None,
    seed: Seed = None,
    n_threads: int | None = None,
    deadline: float | None = None,
) -> Picks:
    """K rows whose loss gradients are long and unlike each other (BADGE).

    The gradient of the last layer for the likeliest class as label is (p - e) times h, an outer product. The
    first pick has the longest; each other is drawn with a chance proportional to the squared distance of its
    gradient to the nearest one drawn. No gradient is formed: c + d numbers a row stand for c d.

    Parameters
    ----------
    proba : array_like, shape (n, c)
        Class probabilities, as for `entropy`.
    features : array_like, shape (n, d)
        The model's last hidden layer: float16, bfloat16, float32 or float64, all finite, or a
        scipy sparse matrix. No bias column is added.
    k : int
        How many rows.
    available : array_like, optional
        Rows that may be drawn: booleans (n,), or row numbers, none twice. An empty one means none; None means
        all.
    groups, quota, seed, n_threads, deadline
        As for `power`.

    Returns
    -------
    Picks
        The row numbers as they were drawn, and in float64 the squared length of the first gradient and the
        squared distance of each other at its draw. ``info`` is as `k_means_pp` gives it.

    Raises
    ------
    TypeError, ValueError
        If a shape does not fit, a row is not valid or not finite, or k is more than the rows that can be
        drawn.

    Notes
    -----
    O(n k (c + d)) time, O(n) memory beside one block of rows for each thread.

    References
    ----------
    Ash, Zhang, Krishnamurthy, Langford and Agarwal, "Deep batch active learning by diverse, uncertain
    gradient lower bounds", ICLR 2020.

    Examples
    --------
    >>> import numpy as np
    >>> import querist as qr
    >>> proba = np.array([[0.9, 0.1], [0.5, 0.5]])
    >>> qr.select.badge(proba, np.ones((2, 3)), 2).indices
    array([1, 0])
    """
    start = drawn_seed(seed)
    array = as_matrix(features, "features")
    limits = quotas(groups, quota, array.shape[0], k)
    indices, values, distances, sweeps = _core.badge(
        proba, array, k, available, limits, start, n_threads, deadline
    )
    return Picks(indices, values, {"seed": start, "distances": distances, "sweeps": sweeps})
