"""Disagreement of a committee by its members' votes, or by the numbers they predict."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from querist import _core
from querist._arguments import member_weights
from querist._arrays import as_array
from querist._scores import Invalid
from querist._streamed import POSSIBLE


def vote_entropy(
    votes: ArrayLike,
    *,
    n_classes: int | None = None,
    missing: int = -1,
    weights: ArrayLike | None = None,
    member_axis: int | None = None,
    out: NDArray[np.float64] | None = None,
    n_threads: int | None = None,
    deadline: float | None = None,
) -> NDArray[np.float64]:
    r"""Entropy of the votes of a committee on each row, in nats.

    :math:`-\sum_j \frac{v_j}{M} \ln \frac{v_j}{M}`, where :math:`v_j` of the M votes given are for class j: 0
    where all agree, at most :math:`\ln \min(M, c)`.

    Parameters
    ----------
    votes : array_like of integers, shape (m, n)
        The class that each of m members names for each of n rows; any integer or boolean dtype, in any memory
        layout, read in place. `votes` makes them of probabilities.
    n_classes : int, optional
        How many classes there are: votes are then 0 to n_classes - 1. By default any integer is a class.
    missing : int, default -1
        The vote that means none; it is not counted.
    weights : array_like, shape (m,), optional
        Weights of the members, not negative, not all 0; by default all count the same. Only their ratios
        matter. A member of weight 0 counts as absent.
    member_axis : {0, 1}, optional
        Which axis is that of the members: 0 for (m, n), 1 for (n, m). By default 0, and an array of more than
        64 members and fewer rows is refused, as it looks transposed.
    out : ndarray of float64, shape (n,), optional
        Where to write: C-contiguous, sharing no memory with `votes`. Undefined after an error.
    n_threads : int, optional
        Threads for this call; by default as many as `get_num_threads` tells. Small inputs use one. The result
        does not depend on it.
    deadline : float, optional
        Seconds after which to give up; looked at every 50 ms, as is Ctrl-C.

    Returns
    -------
    ndarray of float64, shape (n,)
        The entropy of each row, 0 or more.

    Raises
    ------
    TypeError
        If `votes` does not hold integers: classes by name are to be numbered, as the error says.
    ValueError
        If `votes` is not two-dimensional or looks transposed (then say `member_axis`), a vote is no class, a
        row has no vote, or the weights do not fit.
    TimeoutError
        If the deadline passes.

    Notes
    -----
    O(m n) time, one read of the input.

    References
    ----------
    Dagan and Engelson, "Committee-based sampling for training probabilistic classifiers", ICML 1995.

    Examples
    --------
    >>> import numpy as np
    >>> import querist as qr
    >>> qr.vote_entropy(np.array([[0, 0], [0, 1]]))  # 2 members, 2 rows
    array([0.        , 0.69314718])
    """
    outs = None if out is None else [out]
    limits = n_threads, deadline
    return _core.vote_scores(
        _numbered(votes),
        ["vote_entropy"],
        member_axis,
        n_classes,
        missing,
        member_weights(weights),
        outs,
        *limits,
    )[0]


def variation_ratio(
    votes: ArrayLike,
    *,
    n_classes: int | None = None,
    missing: int = -1,
    weights: ArrayLike | None = None,
    member_axis: int | None = None,
    out: NDArray[np.float64] | None = None,
    n_threads: int | None = None,
    deadline: float | None = None,
) -> NDArray[np.float64]:
    r"""Share of the votes on each row that are not for the most voted class.

    :math:`1 - \max_j v_j / M`, where :math:`v_j` of the M votes given are for class j: 0 where all agree,
    less than 1.

    Parameters
    ----------
    votes : array_like of integers, shape (m, n)
        The class that each member names for each row; as for `vote_entropy`.
    n_classes, missing, weights, member_axis, out, n_threads, deadline
        As for `vote_entropy`.

    Returns
    -------
    ndarray of float64, shape (n,)
        The share of each row, from 0 to 1 - 1/M.

    Raises
    ------
    TypeError, ValueError, TimeoutError
        As for `vote_entropy`.

    Notes
    -----
    O(m n) time, one read of the input.

    References
    ----------
    Freeman, "Elementary Applied Statistics", 1965.

    Examples
    --------
    >>> import numpy as np
    >>> import querist as qr
    >>> qr.variation_ratio(np.array([[0, 0, 2], [0, 1, 2]]))  # 2 members, 3 rows
    array([0. , 0.5, 0. ])
    >>> qr.variation_ratio(np.array([[0, 1, 1, -1, 1]]), member_axis=1)  # 5 members, 1 row, 1 vote missing
    array([0.25])
    """
    outs = None if out is None else [out]
    limits = n_threads, deadline
    return _core.vote_scores(
        _numbered(votes),
        ["variation_ratio"],
        member_axis,
        n_classes,
        missing,
        member_weights(weights),
        outs,
        *limits,
    )[0]


def votes(
    proba: ArrayLike,
    *,
    member_axis: int = 0,
    invalid: Invalid = "raise",
    n_threads: int | None = None,
    deadline: float | None = None,
) -> NDArray[np.int64]:
    """The most likely class of each row for each member, ties to the lower class.

    Parameters
    ----------
    proba : array_like, shape (m, n, c)
        Class probabilities of n rows by m members; as for `bald`.
    member_axis : {0, 1, 2}, default 0
        As for `bald`.
    invalid : {"raise", "nan"}, default "raise"
        What becomes of a row that is not valid: an error that names the first, or the vote -1, which
        `vote_entropy` takes as missing.
    n_threads, deadline
        As for `bald`.

    Returns
    -------
    ndarray of int64, shape (m, n)
        The votes, in this shape whatever `member_axis` is.

    Raises
    ------
    TypeError, ValueError, TimeoutError
        As for `bald`.

    Notes
    -----
    O(m n c) time, one read of the input. ``committee_scores(proba, ["vote_entropy"])`` scores these votes
    without writing them.

    Examples
    --------
    >>> import numpy as np
    >>> import querist as qr
    >>> qr.votes(np.array([[[0.75, 0.25]], [[0.0, 1.0]]]))  # 2 members, 1 row
    array([[0],
           [1]])
    """
    if isinstance(proba, Iterator):
        msg = f"proba: votes need all members as one array; an iterator serves only for {list(POSSIBLE)}"
        raise ValueError(msg)
    return _core.votes(proba, member_axis, invalid, n_threads, deadline)


def ensemble_variance(
    values: ArrayLike,
    *,
    member_axis: int | None = None,
    weights: ArrayLike | None = None,
    out: NDArray[Any] | None = None,
    n_threads: int | None = None,
    deadline: float | None = None,
) -> NDArray[Any]:
    r"""Variance of the members' predictions of each row, for regression.

    :math:`\sum_m w_m (y_m - \bar y)^2` with :math:`\bar y = \sum_m w_m y_m`: the population variance
    (``ddof=0``), 0 where all members agree, in the squared unit of `values`.

    Parameters
    ----------
    values : array_like, shape (m, n)
        The number that each of m members predicts for each of n rows: float16, bfloat16, float32 or float64,
        in any memory layout, read in place; integers are converted to float64. All finite.
    member_axis : {0, 1}, optional
        Which axis is that of the members: 0 for (m, n), 1 for (n, m). By default 0, and an array of more than
        64 members and fewer rows is refused, as it looks transposed.
    weights : array_like, shape (m,), optional
        Weights of the members; as for `bald`.
    out, n_threads, deadline
        As for `bald`.

    Returns
    -------
    ndarray, shape (n,)
        float64 for float64 and integer input, else float32.

    Raises
    ------
    TypeError
        If `values` does not hold numbers.
    ValueError
        If `values` is not two-dimensional, has no member or looks transposed, a value is not finite, or the
        weights do not fit.
    TimeoutError
        If the deadline passes.

    Notes
    -----
    O(m n) time, one read of the input.

    References
    ----------
    Burbidge, Rowland and King, "Active learning for regression based on query by committee", IDEAL 2007.

    Examples
    --------
    >>> import numpy as np
    >>> import querist as qr
    >>> qr.ensemble_variance(np.array([[1.0, 2.0], [3.0, 2.0]]))  # 2 members, 2 rows
    array([1., 0.])
    """
    array = as_array(values, "values")
    if array.dtype.kind in "biu":
        array = array.astype(np.float64)
    return _core.ensemble_variance(array, member_axis, member_weights(weights), out, n_threads, deadline)


def _numbered(votes: ArrayLike) -> NDArray[Any]:
    """Give the votes as an array, or raise where they are names."""
    array = as_array(votes, "votes", "an array of integers")
    if array.dtype.kind in "USO":
        raise TypeError(
            f"votes: expected an array of integers, got {array.dtype}; number the classes: "
            "np.unique(votes, return_inverse=True)[1].reshape(votes.shape)"
        )
    return array
