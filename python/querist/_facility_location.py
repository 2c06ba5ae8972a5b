"""Facility location: picks that together stand for the pool."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from querist import _core
from querist._arguments import finite_weights, still_open, taken
from querist._arrays import as_matrix
from querist._deadline import Deadline
from querist._density import kernel_gamma
from querist._picks import Picks
from querist._quota import Limits, Quota, quotas


def facility_location(
    features: ArrayLike,
    k: int,
    *,
    weights: ArrayLike | None = None,
    kernel: Literal["rbf", "cosine"] = "rbf",
    gamma: float | Literal["scale"] = "scale",
    labeled: ArrayLike | None = None,
    available: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    quota: Quota | None = None,
    n_threads: int | None = None,
    deadline: float | None = None,
) -> Picks:
    """The k rows that together stand for the pool best, picked greedily.

    An item is covered by the pick most similar to it, and each pick brings the largest gain, the sum over
    all items of w max(0, similarity - coverage so far). `max_herding` and
    `uncertainty_herding` are this with published settings.

    Parameters
    ----------
    features : array_like, shape (n, d)
        The pool: float16, bfloat16, float32 or float64, in any memory layout, read in place; or a
        scipy sparse matrix of float32 or float64. All finite.
    k : int
        How many rows.
    weights : array_like, shape (n,), optional
        w, how much it counts that an item is covered: finite and not negative.
    kernel : {"rbf", "cosine"}, default "rbf"
        The similarity: exp(-γ d²), or the cosine, of which a negative one counts 0.
    gamma : float or "scale", default "scale"
        γ of the rbf kernel; "scale" is 1 / (d var), as in scikit-learn.
    labeled : array_like, optional
        What covers the pool already: rows of the pool (unique 1-D integers, or booleans of shape (n,)), which
        are not picked again, or rows from outside it (2-D floats, d columns; taken in the pool's float type).
    available : array_like, optional
        Rows that may be picked, unless they are labelled: booleans (n,), or row numbers, none twice. An empty
        one means none; None means all. All rows count as items.
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
        The row numbers in the order of selection, ties to the lower one, and their gains in float64.
        ``info["distances"]`` counts the similarities computed, ``info["sweeps"]`` how often the pool was gone
        through.

    Raises
    ------
    TypeError, ValueError
        As for `k_center`; also if a weight is NaN.

    Notes
    -----
    O(n² d / 2) time for the first pick, often a few n d for each other, O(n) memory: gains only fall, and an
    old one is a bound. Similarities are computed in the pool's float type, gains summed in float64: rows with
    gains equal up to that rounding may come in another order than in exact arithmetic.

    References
    ----------
    Nemhauser, Wolsey and Fisher, "An analysis of approximations for maximizing submodular set functions",
    1978. Minoux, "Accelerated greedy algorithms for maximizing submodular set functions", 1978.

    Examples
    --------
    >>> import numpy as np
    >>> import querist as qr
    >>> pool = np.array([[0.0], [0.1], [0.2], [5.0]])
    >>> qr.select.facility_location(pool, 2).indices
    array([1, 3])
    """
    time = Deadline(deadline)
    array = as_matrix(features, "features")
    width = kernel_gamma(gamma, array, n_threads, time) if kernel == "rbf" else 1.0
    return cover(
        array,
        k,
        kernel=kernel,
        gamma=width,
        weights=None if weights is None else summable_weights(weights, array.shape[0]),
        labeled=labeled,
        available=available,
        limits=quotas(groups, quota, array.shape[0], k),
        n_threads=n_threads,
        time=time,
    )


def summable_weights(weights: ArrayLike, n: int, argument: str = "weights") -> NDArray[np.float64]:
    """Give weights as `finite_weights` does; an infinite sum is a ValueError too, as gains are sums."""
    worth = finite_weights(weights, n, argument)
    with np.errstate(over="ignore"):
        whole = worth.sum()
    if np.isinf(whole):
        msg = f"{argument}: expected a sum that is finite, got inf"
        raise ValueError(msg)
    return worth


def cover(
    array: Any,
    k: int,
    *,
    kernel: str,
    gamma: float,
    weights: NDArray[np.float64] | None,
    labeled: ArrayLike | None,
    available: ArrayLike | None,
    limits: Limits | None,
    n_threads: int | None,
    time: Deadline,
) -> Picks:
    """Pick greedily what covers the pool best; the kernel is one of the core's names."""
    rows, outside = taken(array, labeled)
    mask = still_open(array.shape[0], rows, available)
    indices, values, distances, sweeps = _core.facility_location(
        array, k, kernel, gamma, rows.tolist(), outside, weights, mask, limits, n_threads, time.left()
    )
    return Picks(indices, values, {"distances": distances, "sweeps": sweeps})
