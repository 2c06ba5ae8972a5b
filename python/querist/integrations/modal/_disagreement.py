"""Disagreement of a committee, as in `modAL.disagreement`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import querist
from querist._arrays import as_array
from querist._picks import Picks
from querist.integrations._conventions import class_numbers, scored
from querist.integrations.modal._models import answer
from querist.integrations.modal._selection import largest
from querist.integrations.modal._uncertainty import classifier_entropy

if TYPE_CHECKING:
    from numpy.random import Generator


def vote_entropy(committee: Any, X: Any, **predict_proba_kwargs: Any) -> NDArray[np.float64]:
    """Entropy of the members' votes on each row, in nats: `querist.vote_entropy`.

    Parameters
    ----------
    committee : modAL.models.Committee
        Or an object with ``vote(X)``, which gives the labels (n, m), and ``classes_``. If these are strings,
        its members are asked one by one with ``predict(X)``.
    X : array_like, shape (n, d)
        What the committee takes.
    **predict_proba_kwargs
        Passed on to ``vote``.

    Returns
    -------
    ndarray of float64, shape (n,)
        From 0 to ln min(m, c); zeros if the committee is not fitted. A vote for none of ``classes_`` is not
        counted.

    Raises
    ------
    ValueError
        If no vote on a row is for one of ``classes_``.

    Notes
    -----
    O(n m log c) time after the prediction.

    References
    ----------
    Dagan and Engelson, "Committee-based sampling for training probabilistic classifiers", ICML 1995.

    Examples
    --------
    >>> import numpy as np
    >>> from querist.integrations.modal import vote_entropy
    >>> class Pair:
    ...     classes_ = np.array([0, 1])
    ...     def vote(self, X):
    ...         return np.array([[0.0, 0.0], [0.0, 1.0]])
    >>> vote_entropy(Pair(), np.zeros((2, 3)))
    array([0.        , 0.69314718])
    """
    votes = answer(lambda rows, **options: _votes(committee, rows, **options), X, predict_proba_kwargs)
    if votes is None:
        return np.zeros(X.shape[0])
    return querist.vote_entropy(class_numbers(votes, committee.classes_), member_axis=1)


def consensus_entropy(committee: Any, X: Any, **predict_proba_kwargs: Any) -> NDArray[Any]:
    """Entropy of the members' mean probabilities of each row, in nats.

    Parameters
    ----------
    committee : modAL.models.Committee
        Or an object whose ``predict_proba(X)`` gives the mean probabilities (n, c).
    X, **predict_proba_kwargs
        As for `classifier_uncertainty`.

    Returns
    -------
    ndarray, shape (n,)
        From 0 to ln c; zeros if the committee is not fitted.

    Raises
    ------
    TypeError, ValueError
        As for `querist.entropy`, if the probabilities are not valid.

    Notes
    -----
    O(n c) time after the prediction.

    References
    ----------
    Settles, "Active Learning Literature Survey", 2009, section 3.2.

    Examples
    --------
    >>> import numpy as np
    >>> from querist.integrations.modal import consensus_entropy
    >>> class Pair:
    ...     def predict_proba(self, X):
    ...         return np.array([[0.5, 0.5], [1.0, 0.0]])
    >>> consensus_entropy(Pair(), np.zeros((2, 3)))
    array([0.69314718, 0.        ])
    """
    return classifier_entropy(committee, X, **predict_proba_kwargs)


def KL_max_disagreement(committee: Any, X: Any, **predict_proba_kwargs: Any) -> NDArray[Any]:
    """Divergence of the member farthest from the consensus on each row: `querist.max_disagreement`.

    Parameters
    ----------
    committee : modAL.models.Committee
        Or an object whose ``vote_proba(X)`` gives the members' probabilities (n, m, c).
    X : array_like, shape (n, d)
        What the committee takes.
    **predict_proba_kwargs
        Passed on to ``vote_proba``.

    Returns
    -------
    ndarray, shape (n,)
        From 0 to ln m, in nats; zeros if the committee is not fitted.

    Raises
    ------
    TypeError, ValueError
        As for `querist.max_disagreement`, if the probabilities are not valid.

    Notes
    -----
    O(n m c) time after the prediction. Where members hardly differ modAL's difference of logarithms keeps few
    digits; here none is lost.

    References
    ----------
    Danka and Horvath, "modAL: a modular active learning framework for Python", 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from querist.integrations.modal import KL_max_disagreement
    >>> class Pair:
    ...     def vote_proba(self, X):
    ...         return np.array([[[1.0, 0.0], [0.0, 1.0]], [[0.5, 0.5], [0.5, 0.5]]])
    >>> KL_max_disagreement(Pair(), np.zeros((2, 3)))
    array([0.69314718, 0.        ])
    """
    proba = answer(committee.vote_proba, X, predict_proba_kwargs)
    if proba is None:
        return np.zeros(X.shape[0])
    return scored(querist.max_disagreement, proba, "vote_proba", member_axis=1)


def vote_entropy_sampling(
    committee: Any,
    X: Any,
    n_instances: int = 1,
    random_tie_break: bool | Generator = False,
    **disagreement_measure_kwargs: Any,
) -> Picks:
    """The rows of the largest `vote_entropy`.

    Parameters
    ----------
    committee, X, **disagreement_measure_kwargs
        As for `vote_entropy`.
    n_instances, random_tie_break
        As for `uncertainty_sampling`. Votes tie often.

    Returns
    -------
    Picks
        A tuple ``(indices, values)``, best first.

    Raises
    ------
    ValueError
        As for `vote_entropy`; also if the pool has fewer rows.

    Notes
    -----
    O(n m log c + k log k) time after the prediction.

    References
    ----------
    Dagan and Engelson, "Committee-based sampling for training probabilistic classifiers", ICML 1995.

    Examples
    --------
    >>> import numpy as np
    >>> from querist.integrations.modal import vote_entropy_sampling
    >>> class Pair:
    ...     classes_ = np.array([0, 1])
    ...     def vote(self, X):
    ...         return np.array([[0.0, 0.0], [0.0, 1.0]])
    >>> vote_entropy_sampling(Pair(), np.zeros((2, 3)))[0]
    array([1])
    """
    return largest(vote_entropy(committee, X, **disagreement_measure_kwargs), n_instances, random_tie_break)


def consensus_entropy_sampling(
    committee: Any,
    X: Any,
    n_instances: int = 1,
    random_tie_break: bool | Generator = False,
    **disagreement_measure_kwargs: Any,
) -> Picks:
    """The rows of the largest `consensus_entropy`.

    Parameters
    ----------
    committee, X, **disagreement_measure_kwargs
        As for `consensus_entropy`.
    n_instances, random_tie_break
        As for `uncertainty_sampling`.

    Returns
    -------
    Picks
        A tuple ``(indices, values)``, best first.

    Raises
    ------
    TypeError, ValueError
        As for `consensus_entropy`; also if the pool has fewer rows.

    Notes
    -----
    O(n c + k log k) time after the prediction.

    References
    ----------
    Settles, "Active Learning Literature Survey", 2009, section 3.2.

    Examples
    --------
    >>> import numpy as np
    >>> from querist.integrations.modal import consensus_entropy_sampling
    >>> class Pair:
    ...     def predict_proba(self, X):
    ...         return np.array([[1.0, 0.0], [0.5, 0.5]])
    >>> consensus_entropy_sampling(Pair(), np.zeros((2, 3)))[0]
    array([1])
    """
    return largest(
        consensus_entropy(committee, X, **disagreement_measure_kwargs), n_instances, random_tie_break
    )


def max_disagreement_sampling(
    committee: Any,
    X: Any,
    n_instances: int = 1,
    random_tie_break: bool | Generator = False,
    **disagreement_measure_kwargs: Any,
) -> Picks:
    """The rows of the largest `KL_max_disagreement`.

    Parameters
    ----------
    committee, X, **disagreement_measure_kwargs
        As for `KL_max_disagreement`.
    n_instances, random_tie_break
        As for `uncertainty_sampling`.

    Returns
    -------
    Picks
        A tuple ``(indices, values)``, best first.

    Raises
    ------
    TypeError, ValueError
        As for `KL_max_disagreement`; also if the pool has fewer rows.

    Notes
    -----
    O(n m c + k log k) time after the prediction.

    References
    ----------
    Danka and Horvath, "modAL: a modular active learning framework for Python", 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from querist.integrations.modal import max_disagreement_sampling
    >>> class Pair:
    ...     def vote_proba(self, X):
    ...         return np.array([[[1.0, 0.0], [0.0, 1.0]], [[0.5, 0.5], [0.5, 0.5]]])
    >>> max_disagreement_sampling(Pair(), np.zeros((2, 3)))[0]
    array([0])
    """
    return largest(
        KL_max_disagreement(committee, X, **disagreement_measure_kwargs), n_instances, random_tie_break
    )


def _votes(committee: Any, X: Any, **options: Any) -> NDArray[Any]:
    """Give the label that each member names for each row, (n, m)."""
    classes = committee.classes_
    if classes is not None and np.asarray(classes).dtype.kind not in "biuf":
        # Committee.vote has room for numbers only.
        return np.stack([learner.predict(X, **options) for learner in committee], axis=1)
    return as_array(committee.vote(X, **options), "votes")
