"""Ranked batches, as in `modAL.batch`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import querist
from querist import select
from querist._arguments import count
from querist._arrays import as_array
from querist._picks import Picks
from querist.integrations._conventions import numbers
from querist.integrations.modal._density import check_metric
from querist.integrations.modal._uncertainty import classifier_uncertainty


def select_cold_start_instance(
    X: ArrayLike, metric: str = "euclidean", n_jobs: int | None = None
) -> tuple[int, NDArray[Any]]:
    """The row of the least mean distance to all rows, where a ranked batch starts with nothing labelled.

    Parameters
    ----------
    X : array_like, shape (n, d)
        The pool: floats or integers, all finite.
    metric : {"euclidean", "l2"}, default "euclidean"
        The distance.
    n_jobs : int, optional
        Threads; None and negative numbers mean all that `querist.get_num_threads` tells.

    Returns
    -------
    index : int
        The row's number; of rows whose mean distances agree to about 1e-7 of the pool's diameter any, as the
        mean is read from the density of a pool that has been shrunk.
    row : ndarray, shape (1, d)
        The row.

    Raises
    ------
    TypeError, ValueError
        As for `information_density`.

    Notes
    -----
    O(n² d) time in tiles, O(n d) memory; modAL takes O(n²).

    References
    ----------
    Cardoso, Silva, Canuto, Moro and Gonçalves, "Ranked batch-mode active learning", Information Sciences
    2017.

    Examples
    --------
    >>> from querist.integrations.modal import select_cold_start_instance
    >>> select_cold_start_instance([[0.0], [4.0], [5.0]])
    (1, array([[4.]]))
    """
    check_metric(metric)
    pool = _rows(X, "X")
    # Of a pool so small that ε d < 2⁻²⁶, the mean of 1 / (1 + ε d) is 1 - ε (mean d) but for the rounding.
    # A power of two changes no digit.
    wide = pool.astype(np.float64)
    _, exponent = np.frexp(np.linalg.norm(np.ptp(wide, axis=0)))
    density = querist.information_density(
        np.ldexp(wide, -26 - exponent), metric="euclidean", n_threads=_threads(n_jobs)
    )
    index = int(select.top_k(density, 1).indices[0])
    return index, pool[[index]]


def ranked_batch(
    classifier: Any,
    unlabeled: Any,
    uncertainty_scores: ArrayLike,
    n_instances: int,
    metric: str = "euclidean",
    n_jobs: int | None = None,
) -> Picks:
    """Rows far from what is labelled while little is, uncertain later: `querist.select.ranked_batch`.

    Parameters
    ----------
    classifier : modAL.models.ActiveLearner or modAL.models.Committee
        Or an object with ``X_training``, what is labelled or None, ``on_transformed``, and, if that is true,
        ``transform_without_estimating(X)``.
    unlabeled : array_like, shape (n, ...)
        The pool: floats or integers, all finite; more axes than two are taken as one row each.
    uncertainty_scores : array_like, shape (n,)
        Such as `classifier_uncertainty` gives. A row scored NaN is never picked.
    n_instances : int
        How many rows, 1 or more; all if the pool has fewer.
    metric : {"euclidean", "l2"}, default "euclidean"
        The distance d; the similarity is 1 / (1 + d).
    n_jobs : int, optional
        Threads; None and negative numbers mean all that `querist.get_num_threads` tells.

    Returns
    -------
    Picks
        A tuple ``(indices, values)`` in the order of selection; the values are the uncertainty scores.

    Raises
    ------
    TypeError, ValueError
        As for `querist.select.ranked_batch`; also if `metric` is another.

    Notes
    -----
    O(n (L + k) d) time at most, L labelled rows. With nothing labelled, and always with a modAL committee,
    which keeps no training data, the first row is that of `select_cold_start_instance`, in O(n² d) time.

    References
    ----------
    Cardoso, Silva, Canuto, Moro and Gonçalves, "Ranked batch-mode active learning", Information Sciences
    2017.

    Examples
    --------
    >>> import numpy as np
    >>> from querist.integrations.modal import ranked_batch
    >>> class Learner:
    ...     X_training, on_transformed = np.array([[0.0]]), False
    >>> pool = np.array([[1.0], [9.0], [10.0]])
    >>> ranked_batch(Learner(), pool, [0.2, 0.3, 0.3], 2, "euclidean", None)[0]
    array([2, 1])
    """
    check_metric(metric)
    asked = count(n_instances, "n_instances")
    if asked < 1:
        msg = f"n_instances: expected 1 or more, got {asked}"
        raise ValueError(msg)
    labeled = classifier.X_training
    if classifier.on_transformed:
        unlabeled = classifier.transform_without_estimating(unlabeled)
        labeled = None if labeled is None else classifier.transform_without_estimating(labeled)
    pool = _rows(unlabeled, "unlabeled")
    known = pool[:0] if labeled is None else _rows(labeled, "classifier.X_training")
    first, free = [], np.ones(len(pool), bool)
    if not len(known):
        # The row counts as labelled and, as in modAL, still among the unlabelled in the weights.
        start, known = select_cold_start_instance(pool, metric, n_jobs)
        first, free[start] = [start], False
    picks = select.ranked_batch(
        uncertainty_scores,
        pool,
        min(len(pool), asked) - len(first),
        labeled=known,
        available=free,
        n_threads=_threads(n_jobs),
    )
    indices = np.concatenate([np.array(first, np.int64), picks.indices])
    return Picks(indices, as_array(uncertainty_scores, "uncertainty_scores")[indices], picks.info)


def uncertainty_batch_sampling(
    classifier: Any,
    X: Any,
    n_instances: int = 20,
    metric: str = "euclidean",
    n_jobs: int | None = None,
    **uncertainty_measure_kwargs: Any,
) -> Picks:
    """A `ranked_batch` by `classifier_uncertainty`.

    Parameters
    ----------
    classifier : modAL.models.ActiveLearner or modAL.models.Committee
        As for `ranked_batch`, and with ``predict_proba``.
    X : array_like, shape (n, ...)
        The pool, as for `ranked_batch`.
    n_instances : int, default 20
        How many rows, 1 or more; all if the pool has fewer.
    metric, n_jobs
        As for `ranked_batch`.
    **uncertainty_measure_kwargs
        Passed on to ``predict_proba``.

    Returns
    -------
    Picks
        A tuple ``(indices, values)`` in the order of selection; the values are the uncertainties.

    Raises
    ------
    TypeError, ValueError
        As for `ranked_batch` and `classifier_uncertainty`.

    Notes
    -----
    As for `ranked_batch`, after the prediction.

    References
    ----------
    Cardoso, Silva, Canuto, Moro and Gonçalves, "Ranked batch-mode active learning", Information Sciences
    2017.

    Examples
    --------
    >>> import numpy as np
    >>> from querist.integrations.modal import uncertainty_batch_sampling
    >>> class Learner:
    ...     X_training, on_transformed = np.array([[0.0]]), False
    ...     def predict_proba(self, X):
    ...         return np.column_stack([X / 32, 1 - X / 32])
    >>> uncertainty_batch_sampling(Learner(), np.array([[1.0], [9.0], [10.0]]), 2)[0]
    array([2, 1])
    """
    uncertainty = classifier_uncertainty(classifier, X, **uncertainty_measure_kwargs)
    return ranked_batch(classifier, X, uncertainty, n_instances, metric, n_jobs)


def _rows(given: Any, argument: str) -> NDArray[Any]:
    array = numbers(given, argument)
    return array if array.ndim == 2 else array.reshape(len(array), -1)


def _threads(n_jobs: int | None) -> int | None:
    return None if n_jobs is None or n_jobs < 1 else n_jobs
