"""Disagreement of a committee, by probabilities or votes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import querist
from querist._arguments import described, finite
from querist._arrays import as_array
from querist.integrations._conventions import class_numbers, numbers, scored

# The default eps, which is there for the logarithm of 0 alone.
GUARD = 1e-7

# A vote that nobody casts, so that none is taken as missing.
NO_VOTE = int(np.iinfo(np.int64).min)


def average_kl_divergence(probas: ArrayLike, eps: float = 1e-7) -> NDArray[Any]:
    """Mean divergence of the members from their consensus on each row, in nats: `querist.bald`.

    Parameters
    ----------
    probas : array_like, shape (m, n, c)
        Class probabilities of n rows by m members, as for `querist.bald`.
    eps : float, default 1e-7
        Above 0, up to 0.1. Up to the default it does nothing: it guards the logarithm, and querist's needs no
        guard. Over that, probabilities under it are raised to it and the rows rescaled, on a copy.

    Returns
    -------
    ndarray, shape (n,)
        From 0 to ln min(m, c); float64 for float64 or integer input, else float32.

    Raises
    ------
    TypeError
        If `probas` does not hold numbers.
    ValueError
        If it is not three-dimensional, a row is not valid, or `eps` is not above 0 and up to 0.1.

    Notes
    -----
    O(m n c) time, one read of the input; a copy of it if `eps` is over 1e-7.

    References
    ----------
    McCallum and Nigam, "Employing EM and pool-based active learning for text classification", ICML 1998.

    Examples
    --------
    >>> from querist.integrations.skactiveml import average_kl_divergence
    >>> average_kl_divergence([[[1.0, 0.0], [0.5, 0.5]], [[0.0, 1.0], [0.5, 0.5]]])
    array([0.69314718, 0.        ])
    """
    least = finite(eps, "eps", least="above 0")
    if least > 0.1:
        msg = f"eps: expected a number above 0, up to 0.1, got {eps}"
        raise ValueError(msg)
    array = numbers(probas, "probas")
    divergence = scored(querist.bald, array, "probas")
    if least <= GUARD:
        return divergence
    raised = np.clip(array, least, 1)
    raised /= raised.sum(axis=2, keepdims=True)
    return querist.bald(raised)


def vote_entropy(votes: ArrayLike, classes: ArrayLike) -> NDArray[np.float64]:
    """Entropy of the votes on each row, in nats: `querist.vote_entropy`.

    Parameters
    ----------
    votes : array_like, shape (n, m)
        The label that each of m members names for each of n rows: numbers or strings.
    classes : array_like, shape (c,)
        All labels, each once.

    Returns
    -------
    ndarray of float64, shape (n,)
        From 0 to ln min(m, c).

    Raises
    ------
    ValueError
        If `votes` is not two-dimensional, a vote is none of the classes, or one of these is there twice.

    Notes
    -----
    O(n m) time if the classes are 0 to c - 1 and the votes integers; else O(n m log c).

    References
    ----------
    Dagan and Engelson, "Committee-based sampling for training probabilistic classifiers", ICML 1995.

    Examples
    --------
    >>> from querist.integrations.skactiveml import vote_entropy
    >>> vote_entropy([[0, 0], [0, 1]], classes=[0, 1])
    array([0.        , 0.69314718])
    """
    given, names = _labels(votes), _distinct(classes)
    if not (_counts_as_it_is(given) and np.array_equal(names, np.arange(len(names)))):
        numbered = class_numbers(given, names)
        if (numbered < 0).any():
            row, member = np.argwhere(numbered < 0)[0]
            msg = f"votes[{row}, {member}]: expected one of the classes, got {given[row, member].item()!r}"
            raise ValueError(msg)
        given = numbered
    return querist.vote_entropy(given, n_classes=len(names), missing=NO_VOTE, member_axis=1)


def variation_ratios(votes: ArrayLike) -> NDArray[np.float64]:
    """Share of the votes on each row that are not for the most voted class: `querist.variation_ratio`.

    Parameters
    ----------
    votes : array_like, shape (n, m)
        The label that each of m members names for each of n rows: numbers or strings.

    Returns
    -------
    ndarray of float64, shape (n,)
        From 0 to 1 - 1/m.

    Raises
    ------
    ValueError
        If `votes` is not two-dimensional, or a vote is not finite.

    Notes
    -----
    O(n m) time for integers, else that of sorting the votes.

    References
    ----------
    Freeman, "Elementary Applied Statistics", 1965.

    Examples
    --------
    >>> from querist.integrations.skactiveml import variation_ratios
    >>> variation_ratios([[0, 0, 1, 2], [3, 3, 3, 3]])
    array([0.5, 0. ])
    """
    given = _labels(votes)
    if not _counts_as_it_is(given):
        given = np.unique(given, return_inverse=True)[1].reshape(given.shape)
    return querist.variation_ratio(given, missing=NO_VOTE, member_axis=1)


def _labels(votes: ArrayLike) -> NDArray[Any]:
    given = as_array(votes, "votes")
    if given.ndim != 2:
        msg = f"votes: expected shape (n, m), got {described(given)}"
        raise ValueError(msg)
    if given.dtype.kind == "f" and not np.isfinite(given).all():
        row, member = np.argwhere(~np.isfinite(given))[0]
        msg = f"votes[{row}, {member}]: expected a label, got {given[row, member]}"
        raise ValueError(msg)
    return given


def _distinct(classes: ArrayLike) -> NDArray[Any]:
    """Give the classes in ascending order."""
    given = as_array(classes, "classes")
    if given.ndim != 1 or not given.size:
        msg = f"classes: expected shape (c,), one label for each class, got {described(given)}"
        raise ValueError(msg)
    names, counts = np.unique(given, return_counts=True)
    if len(names) != len(given):
        msg = f"classes: expected each label once, got {names[counts.argmax()].item()!r} more often"
        raise ValueError(msg)
    return names


def _counts_as_it_is(votes: NDArray[Any]) -> bool:
    """Tell votes that are numbers to the core: all that an int64 holds, but for `NO_VOTE`."""
    return np.can_cast(votes.dtype, np.int64) and bool(votes.min(initial=0) != NO_VOTE)
