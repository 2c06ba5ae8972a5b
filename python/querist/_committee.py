"""Disagreement of a committee by its members' probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from numpy.typing import ArrayLike, NDArray

from querist import _core
from querist._arguments import member_weights
from querist._scores import Invalid, named
from querist._streamed import stream

CommitteeName: TypeAlias = Literal[
    "bald",
    "max_disagreement",
    "consensus_entropy",
    "consensus_margin",
    "consensus_least_confidence",
    "vote_entropy",
    "variation_ratio",
]


def bald(
    proba: ArrayLike | Iterator[ArrayLike],
    *,
    member_axis: int = 0,
    weights: ArrayLike | None = None,
    out: NDArray[Any] | None = None,
    invalid: Invalid = "raise",
    n_threads: int | None = None,
    deadline: float | None = None,
) -> NDArray[Any]:
    r"""What the label of each row would tell about the members (BALD), in nats.

    The mutual information of label and member. It is also the mean Kullback-Leibler divergence of the members
    to their consensus :math:`q = \sum_m w_m p_m`, and their Jensen-Shannon divergence:
    :math:`\sum_m w_m \sum_j p_{mj} \ln (p_{mj} / q_j)`. 0 where all members agree, however uncertain; at most
    :math:`\ln \min(m, c)`.

    Parameters
    ----------
    proba : array_like, shape (m, n, c), or iterator of arrays (n, c)
        Class probabilities of n rows by m members: float16, bfloat16, float32 or float64, in any memory
        layout, read in place. Rows are valid as for `entropy`. An iterator gives one member at a time, all
        float32 or all float64, for committees that do not fit in memory together: O(n c) memory, whatever m.
    member_axis : {0, 1, 2}, default 0
        Which axis is that of the members: 0 for (m, n, c), 1 for (n, m, c), 2 for (n, c, m).
    weights : array_like, shape (m,), optional
        Weights of the members, not negative, not all 0; by default all count the same. Only their ratios
        matter. A member of weight 0 counts as absent, and so does one whose share is below 5e-35 (float32;
        9e-305 float64).
    out : ndarray, shape (n,), optional
        Where to write: C-contiguous, of the dtype returned, sharing no memory with `proba`. Undefined after
        an error.
    invalid : {"raise", "nan"}, default "raise"
        What becomes of a row that is not valid for some member: an error that names the first, or the score
        NaN.
    n_threads : int, optional
        Threads for this call; by default as many as `get_num_threads` tells. Small inputs use one. The result
        does not depend on it.
    deadline : float, optional
        Seconds after which to give up; looked at every 50 ms, as is Ctrl-C.

    Returns
    -------
    ndarray, shape (n,)
        float64 for float64 input, else float32.

    Raises
    ------
    TypeError
        If `proba` does not hold floats, or lies on a device.
    ValueError
        If `proba` is not three-dimensional, has no member or no class, a row is not valid, or the weights do
        not fit. From an iterator also if the members differ in shape.
    TimeoutError
        If the deadline passes.

    Notes
    -----
    O(m n c) time, one read of the input. A sum of terms :math:`p \ln(p/q) - p + q`, none of which is
    negative: identical members give exactly 0, and nothing cancels between members that hardly differ, as it
    does in the textbook's difference of two entropies.

    From an iterator by the chain rule of the divergence, in float64: the absolute error is a few eps
    (2.2e-16) for each member; the relative error is at most about 4 m eps / δ where members differ by a
    relative δ, so under 1e-10 for 10 members that differ by 1e-4.

    References
    ----------
    Houlsby, Huszár, Ghahramani and Lengyel, "Bayesian active learning for classification and preference
    learning", 2011. McCallum and Nigam, "Employing EM and pool-based active learning for text
    classification", ICML 1998 (the mean divergence). Lin, "Divergence measures based on the Shannon entropy",
    1991.

    Examples
    --------
    >>> import numpy as np
    >>> import querist as qr
    >>> one, other = np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([[0.0, 1.0], [0.5, 0.5]])
    >>> qr.bald(np.stack([one, other]))
    array([0.69314718, 0.        ])
    >>> qr.bald(iter([one, other]))
    array([0.69314718, 0.        ])
    """
    return _one(
        proba,
        "bald",
        out,
        member_axis=member_axis,
        weights=weights,
        invalid=invalid,
        n_threads=n_threads,
        deadline=deadline,
    )


def max_disagreement(
    proba: ArrayLike,
    *,
    member_axis: int = 0,
    weights: ArrayLike | None = None,
    out: NDArray[Any] | None = None,
    invalid: Invalid = "raise",
    n_threads: int | None = None,
    deadline: float | None = None,
) -> NDArray[Any]:
    r"""Divergence of the member that is farthest from the consensus on each row, in nats.

    :math:`\max_m \sum_j p_{mj} \ln (p_{mj} / q_j)`, with the consensus :math:`q = \sum_m w_m p_m`: 0 where
    all members agree, at most ln m for equal weights. It finds the one dissenter whom the mean of `bald`
    hides.

    Parameters
    ----------
    proba : array_like, shape (m, n, c)
        Class probabilities of n rows by m members; as for `bald`, but all members at once.
    member_axis, weights, out, invalid, n_threads, deadline
        As for `bald`. Weights count in the consensus; the maximum is over all members that count.

    Returns
    -------
    ndarray, shape (n,)
        float64 for float64 input, else float32.

    Raises
    ------
    TypeError, ValueError, TimeoutError
        As for `bald`.

    Notes
    -----
    O(m n c) time, one read of the input; computed as `bald` is, so nothing cancels.

    References
    ----------
    Kullback and Leibler, "On information and sufficiency", 1951. Danka and Horvath, "modAL: a modular active
    learning framework for Python", 2018, where it is ``KL_max_disagreement``.

    Examples
    --------
    >>> import numpy as np
    >>> import querist as qr
    >>> qr.max_disagreement(np.array([[[1.0, 0.0], [0.5, 0.5]], [[0.0, 1.0], [0.5, 0.5]]]))
    array([0.69314718, 0.        ])
    """
    return _one(
        proba,
        "max_disagreement",
        out,
        member_axis=member_axis,
        weights=weights,
        invalid=invalid,
        n_threads=n_threads,
        deadline=deadline,
    )


def consensus_entropy(
    proba: ArrayLike | Iterator[ArrayLike],
    *,
    member_axis: int = 0,
    weights: ArrayLike | None = None,
    out: NDArray[Any] | None = None,
    invalid: Invalid = "raise",
    n_threads: int | None = None,
    deadline: float | None = None,
) -> NDArray[Any]:
    r"""Entropy of the members' mean probabilities on each row, in nats.

    :math:`-\sum_j q_j \ln q_j`, with :math:`q = \sum_m w_m p_m`: large where members disagree, and also where
    they agree that the row is uncertain.

    Parameters
    ----------
    proba : array_like, shape (m, n, c), or iterator of arrays (n, c)
        Class probabilities of n rows by m members; as for `bald`.
    member_axis, weights, out, invalid, n_threads, deadline
        As for `bald`.

    Returns
    -------
    ndarray, shape (n,)
        float64 for float64 input, else float32.

    Raises
    ------
    TypeError, ValueError, TimeoutError
        As for `bald`.

    Notes
    -----
    O(m n c) time, one read of the input.

    References
    ----------
    Settles, "Active Learning Literature Survey", 2009, section 3.2 (soft vote entropy).

    Examples
    --------
    >>> import numpy as np
    >>> import querist as qr
    >>> qr.consensus_entropy(np.array([[[1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [1.0, 0.0]]]))
    array([0.69314718, 0.        ])
    """
    return _one(
        proba,
        "consensus_entropy",
        out,
        member_axis=member_axis,
        weights=weights,
        invalid=invalid,
        n_threads=n_threads,
        deadline=deadline,
    )


def consensus_margin(
    proba: ArrayLike | Iterator[ArrayLike],
    *,
    member_axis: int = 0,
    weights: ArrayLike | None = None,
    out: NDArray[Any] | None = None,
    invalid: Invalid = "raise",
    n_threads: int | None = None,
    deadline: float | None = None,
) -> NDArray[Any]:
    r"""One minus the gap between the two most likely classes of the members' mean, on each row.

    :math:`1 - (q_1 - q_2)`, in [0, 1], of the consensus :math:`q = \sum_m w_m p_m`.

    Parameters
    ----------
    proba : array_like, shape (m, n, c), or iterator of arrays (n, c)
        Class probabilities of n rows by m members; as for `bald`.
    member_axis, weights, out, invalid, n_threads, deadline
        As for `bald`.

    Returns
    -------
    ndarray, shape (n,)
        float64 for float64 input, else float32.

    Raises
    ------
    TypeError, ValueError, TimeoutError
        As for `bald`.

    Notes
    -----
    O(m n c) time, one read of the input.

    References
    ----------
    `margin` of the consensus: Scheffer, Decomain and Wrobel, "Active hidden Markov models for information
    extraction", IDA 2001.

    Examples
    --------
    >>> import numpy as np
    >>> import querist as qr
    >>> qr.consensus_margin(np.array([[[1.0, 0.0], [1.0, 0.0]], [[0.5, 0.5], [1.0, 0.0]]]))
    array([0.5, 0. ])
    """
    return _one(
        proba,
        "consensus_margin",
        out,
        member_axis=member_axis,
        weights=weights,
        invalid=invalid,
        n_threads=n_threads,
        deadline=deadline,
    )


def consensus_least_confidence(
    proba: ArrayLike | Iterator[ArrayLike],
    *,
    member_axis: int = 0,
    weights: ArrayLike | None = None,
    out: NDArray[Any] | None = None,
    invalid: Invalid = "raise",
    n_threads: int | None = None,
    deadline: float | None = None,
) -> NDArray[Any]:
    r"""One minus the probability of the most likely class of the members' mean, on each row.

    :math:`1 - q_1`, from 0 to :math:`1 - 1/c`, of the consensus :math:`q = \sum_m w_m p_m`.

    Parameters
    ----------
    proba : array_like, shape (m, n, c), or iterator of arrays (n, c)
        Class probabilities of n rows by m members; as for `bald`.
    member_axis, weights, out, invalid, n_threads, deadline
        As for `bald`.

    Returns
    -------
    ndarray, shape (n,)
        float64 for float64 input, else float32.

    Raises
    ------
    TypeError, ValueError, TimeoutError
        As for `bald`.

    Notes
    -----
    O(m n c) time, one read of the input.

    References
    ----------
    `least_confidence` of the consensus: Lewis and Gale, "A sequential algorithm for training text
    classifiers", SIGIR 1994.

    Examples
    --------
    >>> import numpy as np
    >>> import querist as qr
    >>> qr.consensus_least_confidence(np.array([[[1.0, 0.0], [1.0, 0.0]], [[0.5, 0.5], [1.0, 0.0]]]))
    array([0.25, 0.  ])
    """
    return _one(
        proba,
        "consensus_least_confidence",
        out,
        member_axis=member_axis,
        weights=weights,
        invalid=invalid,
        n_threads=n_threads,
        deadline=deadline,
    )


def committee_scores(
    proba: ArrayLike | Iterator[ArrayLike],
    names: Sequence[CommitteeName],
    *,
    member_axis: int = 0,
    weights: ArrayLike | None = None,
    out: Mapping[CommitteeName, NDArray[Any]] | None = None,
    invalid: Invalid = "raise",
    n_threads: int | None = None,
    deadline: float | None = None,
) -> dict[CommitteeName, NDArray[Any]]:
    """Several scores of a committee's probabilities, in one read of the input.

    Parameters
    ----------
    proba : array_like, shape (m, n, c), or iterator of arrays (n, c)
        Class probabilities of n rows by m members; as for `bald`. From an iterator "bald" and the scores of
        the consensus only.
    names : sequence of str
        Which scores, each once: "bald", "max_disagreement", "consensus_entropy", "consensus_margin",
        "consensus_least_confidence", and "vote_entropy" and "variation_ratio" of the members' most likely
        classes.
    member_axis, weights, invalid, n_threads, deadline
        As for `bald`.
    out : mapping of str to ndarray of shape (n,), optional
        Where to write: one array for each name, and no other.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        Each score by its name, in the order of `names`; float64 for float64 input, else float32.

    Raises
    ------
    TypeError, ValueError, TimeoutError
        As for `bald`; also for an unknown or repeated name, and an `out` of other names.

    Notes
    -----
    O(m n c) time.

    Examples
    --------
    >>> import numpy as np
    >>> import querist as qr
    >>> proba = np.array([[[1.0, 0.0], [1.0, 0.0]], [[0.25, 0.75], [1.0, 0.0]]])
    >>> qr.committee_scores(proba, ["consensus_margin", "variation_ratio"])
    {'consensus_margin': array([0.75, 0.  ]), 'variation_ratio': array([0.5, 0. ])}
    """
    names, arrays = named(names, out)
    found = _scores(
        proba,
        names,
        arrays,
        member_axis=member_axis,
        weights=weights,
        invalid=invalid,
        n_threads=n_threads,
        deadline=deadline,
    )
    return dict(zip(names, found, strict=True))


def _one(
    proba: ArrayLike | Iterator[ArrayLike], name: CommitteeName, out: NDArray[Any] | None, **options: Any
) -> NDArray[Any]:
    return _scores(proba, [name], None if out is None else [out], **options)[0]


def _scores(
    proba: ArrayLike | Iterator[ArrayLike],
    names: Sequence[CommitteeName],
    out: Sequence[Any] | None,
    *,
    member_axis: int,
    weights: ArrayLike | None,
    invalid: Invalid,
    n_threads: int | None,
    deadline: float | None,
) -> list[NDArray[Any]]:
    checked = member_weights(weights)
    if not isinstance(proba, Iterator):
        return _core.committee(proba, names, member_axis, checked, out, invalid, n_threads, deadline)
    return stream(
        proba,
        names,
        member_axis=member_axis,
        weights=checked,
        out=out,
        invalid=invalid,
        n_threads=n_threads,
        deadline=deadline,
    )
