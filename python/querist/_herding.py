"""Herding: batches that cover the pool by a Gaussian kernel between directions."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike

from querist import _core
from querist._arguments import finite, taken
from querist._arrays import as_matrix
from querist._deadline import Deadline
from querist._facility_location import cover, summable_weights
from querist._k_center import k_center
from querist._picks import Picks
from querist._quota import Quota, quotas

KERNEL = "rbf of directions"

# How far apart rounding leaves two rows of one direction, with some room, by the bytes of a number.
ROUNDED = {8: 1e-12, 4: 1e-6}


def max_herding(
    features: ArrayLike,
    k: int,
    *,
    gamma: float = 1.0,
    labeled: ArrayLike | None = None,
    available: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    quota: Quota | None = None,
    n_threads: int | None = None,
    deadline: float | None = None,
) -> Picks:
    """K rows that cover the pool best (MaxHerding), for a first batch or few labels and good features.

    `facility_location` with the kernel exp(-γ |x - y|²) between rows scaled to length 1.

    Parameters
    ----------
    features : array_like, shape (n, d)
        The pool, as for `facility_location`: an embedding by a model that knows the domain. A row of zeros is
        at the distance √2 from everything.
    k : int
        How many rows.
    gamma : float, default 1.0
        γ; the published width σ = 1 is γ = 1 / σ² = 1.
    labeled, available, groups, quota, n_threads, deadline
        As for `facility_location`.

    Returns
    -------
    Picks
        As `facility_location` gives them; the gains are sums over the pool, not means.

    Raises
    ------
    TypeError, ValueError
        As for `facility_location`; also if `gamma` is not above 0.

    Notes
    -----
    Time and memory are those of `facility_location`.

    References
    ----------
    Bae, Noh and Sutherland, "Generalized coverage for more robust low-budget active learning", ECCV 2024.

    Examples
    --------
    >>> import numpy as np
    >>> import querist as qr
    >>> pool = np.array([[1.0, -0.1], [1.0, 0.0], [1.0, 0.1], [-1.0, 0.0]])
    >>> qr.select.max_herding(pool, 2).indices
    array([1, 3])
    """
    array = as_matrix(features, "features")
    return cover(
        array,
        k,
        kernel=KERNEL,
        gamma=finite(gamma, "gamma", least="above 0"),
        weights=None,
        labeled=labeled,
        available=available,
        limits=quotas(groups, quota, array.shape[0], k),
        n_threads=n_threads,
        time=Deadline(deadline),
    )


def uncertainty_herding(
    scores: ArrayLike,
    features: ArrayLike,
    k: int,
    *,
    gamma: float | None = None,
    labeled: ArrayLike | None = None,
    available: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    quota: Quota | None = None,
    n_threads: int | None = None,
    deadline: float | None = None,
) -> Picks:
    """K rows that cover what is uncertain in the pool best (Uncertainty Herding), for any number of labels.

    `max_herding` in which each item counts as much as its score. The kernel narrows as labels come, so that
    with few labels it picks what represents the pool, and with many what is uncertain.

    Parameters
    ----------
    scores : array_like, shape (n,)
        How uncertain each row is, finite and not negative: `querist.margin`, in the paper of probabilities
        that were calibrated by temperature.
    features : array_like, shape (n, d)
        The pool, as for `max_herding`.
    k : int
        How many rows.
    gamma : float, optional
        γ of the kernel exp(-γ |x - y|²). By default 1 / σ² with σ the least distance between two labelled
        rows, scaled to length 1, that is above what rounding makes of one direction (1e-6 in float32); 1
        where there are no two.
    labeled, available, groups, quota, n_threads, deadline
        As for `facility_location`.

    Returns
    -------
    Picks
        As `facility_location` gives them; ``info["gamma"]`` is the γ used.

    Raises
    ------
    TypeError, ValueError
        As for `facility_location`, of `scores` in place of weights.

    Notes
    -----
    Time and memory are those of `facility_location`, and O(L² d) for L labelled rows.

    References
    ----------
    Bae, Sutherland and Oliveira, "Uncertainty herding: one active learning method for all label budgets",
    ICLR 2025.

    Examples
    --------
    >>> import numpy as np
    >>> import querist as qr
    >>> pool = np.array([[1.0, 0.0], [1.0, 0.1], [1.0, 0.2], [0.0, 1.0]])
    >>> qr.select.uncertainty_herding([0.1, 0.1, 0.1, 0.9], pool, 2).indices
    array([3, 1])
    """
    time = Deadline(deadline)
    array = as_matrix(features, "features")
    worth = summable_weights(scores, array.shape[0], "scores")
    if gamma is None:
        width = _narrowing_gamma(array, labeled, n_threads, time)
    else:
        width = finite(gamma, "gamma", least="above 0")
    picks = cover(
        array,
        k,
        kernel=KERNEL,
        gamma=width,
        weights=worth,
        labeled=labeled,
        available=available,
        limits=quotas(groups, quota, array.shape[0], k),
        n_threads=n_threads,
        time=time,
    )
    picks.info["gamma"] = width
    return picks


def _narrowing_gamma(array: Any, labeled: ArrayLike | None, n_threads: int | None, time: Deadline) -> float:
    rows, outside = taken(array, labeled)
    numbers = rows.tolist() if outside is None else list(range(len(outside)))
    given = _core.directions(array, numbers, outside, time.left())
    # Farthest first: each direction is as far from those before it as the nearest two so far are apart. Those
    # that differ by rounding alone come last, and are one.
    order = k_center(given, len(given), metric="cosine", n_threads=n_threads, deadline=time.left())
    halves = order.values[1:]
    apart = halves[halves > ROUNDED.get(array.dtype.itemsize, 1e-2) ** 2 / 2]
    # ½ |x - y|².
    return float(1 / (2 * apart[-1])) if len(apart) else 1.0
