"""Uncertainty of one classifier, as in `modAL.uncertainty`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import querist
from querist._picks import Picks
from querist.integrations._conventions import numbers, scored
from querist.integrations.modal._models import answer
from querist.integrations.modal._selection import largest, smallest

if TYPE_CHECKING:
    from numpy.random import Generator


def classifier_uncertainty(classifier: Any, X: Any, **predict_proba_kwargs: Any) -> NDArray[Any]:
    """One minus the probability of the likeliest class of each row: `querist.least_confidence`.

    Parameters
    ----------
    classifier : object with ``predict_proba``
        A modAL learner, a scikit-learn classifier or the like.
    X : array_like, shape (n, d)
        What the classifier takes.
    **predict_proba_kwargs
        Passed on to ``predict_proba``.

    Returns
    -------
    ndarray, shape (n,)
        From 0 to 1 - 1/c, of the float type of the probabilities, float64 for integers; ones if the
        classifier is not fitted.

    Raises
    ------
    TypeError, ValueError
        As for `querist.least_confidence`, if the probabilities are not valid.

    Notes
    -----
    O(n c) time after the prediction.

    References
    ----------
    Lewis and Gale, "A sequential algorithm for training text classifiers", SIGIR 1994.

    Examples
    --------
    >>> import numpy as np
    >>> from querist.integrations.modal import classifier_uncertainty
    >>> class Model:
    ...     def predict_proba(self, X):
    ...         return np.column_stack([X, 1 - X])
    >>> classifier_uncertainty(Model(), np.array([0.5, 0.25]))
    array([0.5 , 0.25])
    """
    proba = answer(classifier.predict_proba, X, predict_proba_kwargs)
    if proba is None:
        return np.ones(X.shape[0])
    return scored(querist.least_confidence, proba, "predict_proba")


def classifier_margin(classifier: Any, X: Any, **predict_proba_kwargs: Any) -> NDArray[Any]:
    """Gap between the two likeliest classes of each row: one minus `querist.margin`.

    Parameters
    ----------
    classifier, X, **predict_proba_kwargs
        As for `classifier_uncertainty`.

    Returns
    -------
    ndarray, shape (n,)
        From 0 to 1, small where the row should be asked first; zeros if the classifier is not fitted, or
        knows one class only.

    Raises
    ------
    TypeError, ValueError
        As for `querist.margin`, if the probabilities are not valid.

    Notes
    -----
    O(n c) time after the prediction.

    References
    ----------
    Scheffer, Decomain and Wrobel, "Active hidden Markov models for information extraction", IDA 2001.

    Examples
    --------
    >>> import numpy as np
    >>> from querist.integrations.modal import classifier_margin
    >>> class Model:
    ...     def predict_proba(self, X):
    ...         return np.column_stack([X, 1 - X])
    >>> classifier_margin(Model(), np.array([0.5, 0.25]))
    array([0. , 0.5])
    """
    proba = answer(classifier.predict_proba, X, predict_proba_kwargs)
    if proba is None:
        return np.zeros(X.shape[0])
    given = numbers(proba, "predict_proba")
    # In float64, where a small gap beside 1 keeps the digits that it has in float32.
    wide = given.astype(np.float64) if given.dtype == np.float32 else given
    gap = 1 - scored(querist.margin, wide, "predict_proba")
    # With one class the gap is 1 to querist, as nothing is uncertain, and 0 to modAL.
    return np.zeros(len(gap)) if given.shape[1] == 1 else gap.astype(given.dtype)


def classifier_entropy(classifier: Any, X: Any, **predict_proba_kwargs: Any) -> NDArray[Any]:
    """Shannon entropy of the probabilities of each row, in nats: `querist.entropy`.

    Parameters
    ----------
    classifier, X, **predict_proba_kwargs
        As for `classifier_uncertainty`.

    Returns
    -------
    ndarray, shape (n,)
        From 0 to ln c; zeros if the classifier is not fitted.

    Raises
    ------
    TypeError, ValueError
        As for `querist.entropy`, if the probabilities are not valid.

    Notes
    -----
    O(n c) time after the prediction.

    References
    ----------
    Shannon, "A mathematical theory of communication", 1948.

    Examples
    --------
    >>> import numpy as np
    >>> from querist.integrations.modal import classifier_entropy
    >>> class Model:
    ...     def predict_proba(self, X):
    ...         return np.column_stack([X, 1 - X])
    >>> classifier_entropy(Model(), np.array([0.5, 1.0]))
    array([0.69314718, 0.        ])
    """
    proba = answer(classifier.predict_proba, X, predict_proba_kwargs)
    return np.zeros(X.shape[0]) if proba is None else scored(querist.entropy, proba, "predict_proba")


def uncertainty_sampling(
    classifier: Any,
    X: Any,
    n_instances: int = 1,
    random_tie_break: bool | Generator = False,
    **uncertainty_measure_kwargs: Any,
) -> Picks:
    """The rows of the largest `classifier_uncertainty`.

    Parameters
    ----------
    classifier, X
        As for `classifier_uncertainty`.
    n_instances : int, default 1
        How many rows.
    random_tie_break : bool or numpy.random.Generator, default False
        Whether each of several equal rows is picked with the same chance; else the lower one is. With True
        the draw differs from call to call; a generator makes it repeatable. numpy's global generator, which
        modAL draws from, is not touched.
    **uncertainty_measure_kwargs
        Passed on to ``predict_proba``.

    Returns
    -------
    Picks
        A tuple ``(indices, values)``, best first.

    Raises
    ------
    TypeError, ValueError
        If the probabilities are not valid, or the pool has fewer rows.

    Notes
    -----
    O(n c + k log k) time after the prediction.

    References
    ----------
    Lewis and Gale, "A sequential algorithm for training text classifiers", SIGIR 1994.

    Examples
    --------
    >>> import numpy as np
    >>> from querist.integrations.modal import uncertainty_sampling
    >>> class Model:
    ...     def predict_proba(self, X):
    ...         return np.column_stack([X, 1 - X])
    >>> indices, values = uncertainty_sampling(Model(), np.array([0.875, 0.5, 0.75]), n_instances=2)
    >>> indices, values
    (array([1, 2]), array([0.5 , 0.25]))
    """
    return largest(
        classifier_uncertainty(classifier, X, **uncertainty_measure_kwargs), n_instances, random_tie_break
    )


def margin_sampling(
    classifier: Any,
    X: Any,
    n_instances: int = 1,
    random_tie_break: bool | Generator = False,
    **uncertainty_measure_kwargs: Any,
) -> Picks:
    """The rows of the smallest `classifier_margin`.

    Parameters
    ----------
    classifier, X, n_instances, random_tie_break, **uncertainty_measure_kwargs
        As for `uncertainty_sampling`.

    Returns
    -------
    Picks
        A tuple ``(indices, values)``, the smallest gap first.

    Raises
    ------
    TypeError, ValueError
        As for `uncertainty_sampling`.

    Notes
    -----
    O(n c + k log k) time after the prediction.

    References
    ----------
    Scheffer, Decomain and Wrobel, "Active hidden Markov models for information extraction", IDA 2001.

    Examples
    --------
    >>> import numpy as np
    >>> from querist.integrations.modal import margin_sampling
    >>> class Model:
    ...     def predict_proba(self, X):
    ...         return np.column_stack([X, 1 - X])
    >>> indices, values = margin_sampling(Model(), np.array([0.875, 0.5, 0.75]), n_instances=2)
    >>> indices, values
    (array([1, 2]), array([0. , 0.5]))
    """
    return smallest(
        classifier_margin(classifier, X, **uncertainty_measure_kwargs), n_instances, random_tie_break
    )


def entropy_sampling(
    classifier: Any,
    X: Any,
    n_instances: int = 1,
    random_tie_break: bool | Generator = False,
    **uncertainty_measure_kwargs: Any,
) -> Picks:
    """The rows of the largest `classifier_entropy`.

    Parameters
    ----------
    classifier, X, n_instances, random_tie_break, **uncertainty_measure_kwargs
        As for `uncertainty_sampling`.

    Returns
    -------
    Picks
        A tuple ``(indices, values)``, best first.

    Raises
    ------
    TypeError, ValueError
        As for `uncertainty_sampling`.

    Notes
    -----
    O(n c + k log k) time after the prediction.

    References
    ----------
    Settles and Craven, "An analysis of active learning strategies for sequence labeling tasks", EMNLP 2008.

    Examples
    --------
    >>> import numpy as np
    >>> from querist.integrations.modal import entropy_sampling
    >>> class Model:
    ...     def predict_proba(self, X):
    ...         return np.column_stack([X, 1 - X])
    >>> entropy_sampling(Model(), np.array([0.875, 0.5, 0.75]))[0]
    array([1])
    """
    return largest(
        classifier_entropy(classifier, X, **uncertainty_measure_kwargs), n_instances, random_tie_break
    )
