"""k-center selection, at once or kept between rounds, and what the picks stand for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, NoReturn, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from querist import _core
from querist._arguments import checked_weights, count, row_numbers, still_open, taken
from querist._arrays import as_matrix
from querist._deadline import Deadline
from querist._picks import Picks
from querist._quota import Quota, quotas

Metric: TypeAlias = Literal["euclidean", "cosine"]


def k_center(
    features: ArrayLike,
    k: int,
    *,
    labeled: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    metric: Metric = "euclidean",
    available: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    quota: Quota | None = None,
    n_threads: int | None = None,
    deadline: float | None = None,
) -> Picks:
    """The k rows farthest from everything labelled and picked, one after the other (core-set selection).

    Greedy k-center: each pick is the row whose nearest centre is farthest, or whose weight times that
    distance is largest; then it is a centre itself. The picks are those of the naive greedy with every
    distance computed in float64, to the tie.

    Parameters
    ----------
    features : array_like, shape (n, d)
        The pool: float16, bfloat16, float32 or float64, in any memory layout, read in place; or a
        scipy sparse matrix of float32 or float64. All finite.
    k : int
        How many rows.
    labeled : array_like, optional
        The first centres: rows of the pool (unique 1-D integers, or booleans of shape (n,)), which are not
        picked again, or rows from outside it (2-D floats, d columns; taken in the pool's float type). None
        or an empty one means none.
    weights : array_like, shape (n,), optional
        How much each row is worth, an uncertainty for example: finite and not negative. A row of weight NaN
        is never picked.
    metric : {"euclidean", "cosine"}, default "euclidean"
        The distance; "cosine" is 1 - cos, and a row of zeros has cosine 0 to everything.
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
        The row numbers in the order of selection, ties to the lower one, and the (weighted) distance of each
        to its nearest centre when it was picked. ``info["distances"]`` counts the distances evaluated,
        ``info["sweeps"]`` how often the pool was gone through.

    Raises
    ------
    TypeError
        If `features` does not hold floats, or lies on a device, or `labeled` is of another kind.
    ValueError
        If k is more than the rows that can be picked, a shape does not fit, or a number is not finite.

    Notes
    -----
    With nothing labelled everything is infinitely far: the first pick is the row of the largest weight, or
    row 0. O(n) numbers of memory and all centres, kept dense; the time is that of the rows that come near the
    top, often a few hundredths of n k distances. Sparse rows are filled up with zeros as they are
    read, so that a distance takes O(d).

    References
    ----------
    Gonzalez, "Clustering to minimize the maximum intercluster distance", 1985. Sener and Savarese, "Active
    learning for convolutional neural networks: a core-set approach", ICLR 2018.

    Examples
    --------
    >>> import numpy as np
    >>> import querist as qr
    >>> pool = np.array([[0.0], [1.0], [5.0], [9.0]])
    >>> qr.select.k_center(pool, 2, labeled=[0]).indices
    array([3, 2])
    """
    time = Deadline(deadline)
    selector = KCenter(features, metric=metric)
    selector._make_centres(labeled, time)
    return selector.pick(
        k,
        weights=weights,
        available=available,
        groups=groups,
        quota=quota,
        n_threads=n_threads,
        deadline=time.left(),
    )


class KCenter:
    """`k_center` over a pool that stays, with what is known of its distances kept from round to round.

    Parameters
    ----------
    features : array_like, shape (n, d)
        The pool, as for `k_center`. It is read in place at every pick and must not change.
    labeled : array_like, optional
        The first centres, as for `k_center`.
    metric : {"euclidean", "cosine"}, default "euclidean"
        The distance.

    Notes
    -----
    O(n) numbers and the centres are kept. A round with a few new centres costs only their distances to the
    rows that come near the top. Several threads may use one selector: they take turns. It cannot be copied or
    pickled.

    Examples
    --------
    >>> import numpy as np
    >>> import querist as qr
    >>> selector = qr.select.KCenter(np.array([[0.0], [1.0], [5.0], [9.0]]), labeled=[0])
    >>> selector.pick(1).indices
    array([3])
    >>> selector.add([3])
    >>> selector.pick(1).indices
    array([2])
    """

    def __init__(
        self, features: ArrayLike, *, labeled: ArrayLike | None = None, metric: Metric = "euclidean"
    ) -> None:
        self._features = as_matrix(features, "features")
        self._core = _core.KCenter(self._features, metric)
        self._open = np.ones(self._features.shape[0], bool)
        self._make_centres(labeled, Deadline(None))

    def _make_centres(self, labeled: ArrayLike | None, time: Deadline) -> None:
        rows, outside = taken(self._features, labeled)
        self._core.add(rows.tolist(), None, time.left())
        self._open[rows] = False
        if outside is not None:
            self._core.add(list(range(len(outside))), outside, time.left())

    def __reduce__(self) -> NoReturn:
        """Refuse a copy, of any kind: it would share what is known, or lose it.

        Raises
        ------
        TypeError
            Always.
        """
        msg = "a KCenter cannot be copied or pickled: make another one of the same features, and add to it"
        raise TypeError(msg)

    def add(self, indices: ArrayLike) -> None:
        """Make centres of rows of the pool, as when they were labelled; they are not picked again.

        Parameters
        ----------
        indices : array_like
            Row numbers, none twice, or booleans (n,). Rows that are centres already are passed over.

        Raises
        ------
        TypeError, ValueError
            If it is not that, or a row is not finite.
        """
        rows = row_numbers(indices, self._features.shape[0], "indices")
        rows = rows[self._open[rows]]
        self._core.add(rows.tolist())
        self._open[rows] = False

    def pick(
        self,
        k: int,
        *,
        weights: ArrayLike | None = None,
        available: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        quota: Quota | None = None,
        n_threads: int | None = None,
        deadline: float | None = None,
    ) -> Picks:
        """The next k rows; nothing that a later pick sees is changed.

        Parameters
        ----------
        k, weights, available, groups, quota, n_threads, deadline
            As for `k_center`.

        Returns
        -------
        Picks
            As `k_center` gives them.
        """
        n = self._features.shape[0]
        worth = None if weights is None else checked_weights(weights, n)
        mask = still_open(n, np.flatnonzero(~self._open), available)
        limits = quotas(groups, quota, n, k)
        indices, values, distances, sweeps = self._core.pick(
            count(k, "k"), worth, mask, limits, n_threads, deadline
        )
        return Picks(indices, values, {"distances": distances, "sweeps": sweeps})


def coverage(
    features: ArrayLike,
    picks: Picks | Iterable[int],
    *,
    metric: Metric = "euclidean",
    n_threads: int | None = None,
    deadline: float | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Which pick stands for each row of the pool, and how well.

    Parameters
    ----------
    features : array_like, shape (n, d)
        The pool, as for `k_center`.
    picks : Picks or array_like of int
        Rows of the pool, at least one.
    metric : {"euclidean", "cosine"}, default "euclidean"
        The distance.
    n_threads, deadline
        As for `k_center`.

    Returns
    -------
    representative : ndarray of int64, shape (n,)
        For each row the pick nearest to it, by its row number; the earlier of two that are as near.
    distance : ndarray of float64, shape (n,)
        The distance to it; 0 for the picks themselves, but for rows of zeros under the cosine, which are at 1
        from everything.

    Raises
    ------
    TypeError, ValueError
        As for `k_center`; also if there is no pick.

    Notes
    -----
    O(n k d) time at most, O(n) memory.

    Examples
    --------
    >>> import numpy as np
    >>> import querist as qr
    >>> pool = np.array([[0.0], [1.0], [5.0], [9.0]])
    >>> qr.select.coverage(pool, [3, 0])
    (array([0, 0, 3, 3]), array([0., 1., 4., 0.]))
    """
    array = as_matrix(features, "features")
    given: Any = picks.indices if isinstance(picks, Picks) else picks
    rows = row_numbers(given, array.shape[0], "picks")
    places, distance = _core.nearest(array, rows.tolist(), metric, n_threads, deadline)
    return rows[places], distance
