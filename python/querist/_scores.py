"""Scores of rows of class probabilities: one number a row, larger where it should be asked first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypeVar

from numpy.typing import ArrayLike, NDArray

from querist import _core
from querist._picks import Picks

ScoreName: TypeAlias = Literal["entropy", "margin", "least_confidence", "gini"]
Invalid: TypeAlias = Literal["raise", "nan"]
Name = TypeVar("Name", bound=str)


def named(
    names: Sequence[Name], out: Mapping[Name, NDArray[Any]] | None
) -> tuple[list[Name], list[NDArray[Any]] | None]:
    """Give names, each there once, and the arrays of `out` in their order.

    Raises
    ------
    TypeError
        If `names` is a string or not of strings, or `out` is not a mapping.
    ValueError
        If a name is there twice, or the names of `out` are others.
    """
    if isinstance(names, str):
        msg = f"names: expected a sequence of names, got {names!r}; for one score call its function"
        raise TypeError(msg)
    if not isinstance(names, Iterable):
        msg = f"names: expected a sequence of names, got {type(names).__name__}"
        raise TypeError(msg)
    names = list(names)
    for name in names:
        if not isinstance(name, str):
            msg = f"names: expected names, got {type(name).__name__} among them"
            raise TypeError(msg)
    if len(set(names)) != len(names):
        msg = f"names: expected each name once, got {names}"
        raise ValueError(msg)
    arrays = None
    if out is not None:
        if not isinstance(out, Mapping):
            msg = f"out: expected a mapping of names to arrays, got {type(out).__name__}"
            raise TypeError(msg)
        if set(out) != set(names):
            msg = f"out: expected an array for each of {names}, got them for {list(out)}"
            raise ValueError(msg)
        arrays = [out[name] for name in names]
    return names, arrays


def entropy(
    proba: ArrayLike,
    *,
    from_logits: bool = False,
    normalize: bool = False,
    out: NDArray[Any] | None = None,
    invalid: Invalid = "raise",
    n_threads: int | None = None,
    deadline: float | None = None,
) -> NDArray[Any]:
    r"""Shannon entropy of each row, in nats.

    :math:`-\sum_j p_j \ln p_j` with :math:`0 \ln 0 = 0`: 0 where the model is certain, ln c where every
    class is as likely.

    Parameters
    ----------
    proba : array_like, shape (n, c)
        Class probabilities of n rows: float16, bfloat16, float32 or float64, in any memory layout, read in
        place. Each p must be in [0, 1 + tol] and each row sum within tol of 1; tol is 1e-3 (float16 5e-3,
        bfloat16 5e-2).
    from_logits : bool, default False
        Whether `proba` holds logits instead: finite or -inf, at least one finite in each row.
    normalize : bool, default False
        Whether to divide by the largest score that c classes allow, so that 1 is as uncertain as can be.
    out : ndarray, shape (n,), optional
        Where to write: C-contiguous, of the dtype returned, sharing no memory with `proba`. Undefined after
        an error.
    invalid : {"raise", "nan"}, default "raise"
        What becomes of a row that is not valid: an error that names the first, or the score NaN.
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
        If `proba` is not two-dimensional, has no column, or a row is not valid.
    TimeoutError
        If the deadline passes.

    Notes
    -----
    O(n c) time, one read of the input. Within 4 ULP of the true value of the stored numbers, whatever c.
    From logits the softmax is never formed and nothing cancels: right to a few eps even at 1e-20.

    References
    ----------
    Shannon, "A mathematical theory of communication", 1948. Settles and Craven, "An analysis of active
    learning strategies for sequence labeling tasks", EMNLP 2008.

    Examples
    --------
    >>> import numpy as np
    >>> import querist as qr
    >>> qr.entropy(np.array([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]]))
    array([1.03972077, 0.        ])
    >>> qr.entropy(np.array([[0.0, 0.0], [0.0, -np.inf]]), from_logits=True, normalize=True)
    array([1., 0.])
    """
    return _core.score(proba, "entropy", from_logits, normalize, out, invalid, n_threads, deadline)


def margin(
    proba: ArrayLike,
    *,
    from_logits: bool = False,
    normalize: bool = False,
    out: NDArray[Any] | None = None,
    invalid: Invalid = "raise",
    n_threads: int | None = None,
    deadline: float | None = None,
) -> NDArray[Any]:
    r"""One minus the gap between the two most likely classes of each row.

    :math:`1 - (p_1 - p_2)`, in [0, 1]: 1 where two classes tie for the first place. modAL and small-text
    return the gap itself, which is smaller where the row is less certain.

    Parameters
    ----------
    proba : array_like, shape (n, c)
        Class probabilities of n rows: float16, bfloat16, float32 or float64, in any memory layout, read in
        place. Each p must be in [0, 1 + tol] and each row sum within tol of 1; tol is 1e-3 (float16 5e-3,
        bfloat16 5e-2).
    from_logits : bool, default False
        Whether `proba` holds logits instead: finite or -inf, at least one finite in each row.
    normalize : bool, default False
        Whether to divide by the largest score that c classes allow, so that 1 is as uncertain as can be.
    out : ndarray, shape (n,), optional
        Where to write: C-contiguous, of the dtype returned, sharing no memory with `proba`. Undefined after
        an error.
    invalid : {"raise", "nan"}, default "raise"
        What becomes of a row that is not valid: an error that names the first, or the score NaN.
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
        If `proba` is not two-dimensional, has no column, or a row is not valid.
    TimeoutError
        If the deadline passes.

    Notes
    -----
    O(n c) time, one read of the input. Computed as :math:`(1 - p_1) + p_2`, which keeps its digits on
    nearly certain rows. With one class, p₂ is 0. Near 1, where p₁ and p₂ hardly differ, float32 numbers are
    6e-8 apart: of flat rows of thousands of classes many tie, and float64 rows tell them apart.

    References
    ----------
    Scheffer, Decomain and Wrobel, "Active hidden Markov models for information extraction", IDA 2001.

    Examples
    --------
    >>> import numpy as np
    >>> import querist as qr
    >>> qr.margin(np.array([[0.5, 0.5, 0.0], [0.75, 0.25, 0.0]]))
    array([1. , 0.5])
    """
    return _core.score(proba, "margin", from_logits, normalize, out, invalid, n_threads, deadline)


def least_confidence(
    proba: ArrayLike,
    *,
    from_logits: bool = False,
    normalize: bool = False,
    out: NDArray[Any] | None = None,
    invalid: Invalid = "raise",
    n_threads: int | None = None,
    deadline: float | None = None,
) -> NDArray[Any]:
    r"""One minus the probability of the most likely class of each row.

    :math:`1 - p_1`, from 0 to :math:`1 - 1/c`.

    Parameters
    ----------
    proba : array_like, shape (n, c)
        Class probabilities of n rows: float16, bfloat16, float32 or float64, in any memory layout, read in
        place. Each p must be in [0, 1 + tol] and each row sum within tol of 1; tol is 1e-3 (float16 5e-3,
        bfloat16 5e-2).
    from_logits : bool, default False
        Whether `proba` holds logits instead: finite or -inf, at least one finite in each row.
    normalize : bool, default False
        Whether to divide by the largest score that c classes allow, so that 1 is as uncertain as can be.
    out : ndarray, shape (n,), optional
        Where to write: C-contiguous, of the dtype returned, sharing no memory with `proba`. Undefined after
        an error.
    invalid : {"raise", "nan"}, default "raise"
        What becomes of a row that is not valid: an error that names the first, or the score NaN.
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
        If `proba` is not two-dimensional, has no column, or a row is not valid.
    TimeoutError
        If the deadline passes.

    Notes
    -----
    O(n c) time, one read of the input.

    References
    ----------
    Lewis and Gale, "A sequential algorithm for training text classifiers", SIGIR 1994. Culotta and
    McCallum, "Reducing labeling effort for structured prediction tasks", AAAI 2005.

    Examples
    --------
    >>> import numpy as np
    >>> import querist as qr
    >>> qr.least_confidence(np.array([[0.5, 0.5], [0.75, 0.25]]))
    array([0.5 , 0.25])
    """
    return _core.score(proba, "least_confidence", from_logits, normalize, out, invalid, n_threads, deadline)


def gini(
    proba: ArrayLike,
    *,
    from_logits: bool = False,
    normalize: bool = False,
    out: NDArray[Any] | None = None,
    invalid: Invalid = "raise",
    n_threads: int | None = None,
    deadline: float | None = None,
) -> NDArray[Any]:
    r"""Gini impurity of each row: the chance that two draws from it differ.

    :math:`1 - \sum_j p_j^2`, from 0 to :math:`1 - 1/c`.

    Parameters
    ----------
    proba : array_like, shape (n, c)
        Class probabilities of n rows: float16, bfloat16, float32 or float64, in any memory layout, read in
        place. Each p must be in [0, 1 + tol] and each row sum within tol of 1; tol is 1e-3 (float16 5e-3,
        bfloat16 5e-2).
    from_logits : bool, default False
        Whether `proba` holds logits instead: finite or -inf, at least one finite in each row.
    normalize : bool, default False
        Whether to divide by the largest score that c classes allow, so that 1 is as uncertain as can be.
    out : ndarray, shape (n,), optional
        Where to write: C-contiguous, of the dtype returned, sharing no memory with `proba`. Undefined after
        an error.
    invalid : {"raise", "nan"}, default "raise"
        What becomes of a row that is not valid: an error that names the first, or the score NaN.
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
        If `proba` is not two-dimensional, has no column, or a row is not valid.
    TimeoutError
        If the deadline passes.

    Notes
    -----
    O(n c) time, one read of the input. Computed as :math:`(1 - p_1)(1 + p_1) - \sum_{j>1} p_j^2`, which
    keeps its digits on nearly certain rows.

    References
    ----------
    Breiman, Friedman, Olshen and Stone, "Classification and Regression Trees", 1984.

    Examples
    --------
    >>> import numpy as np
    >>> import querist as qr
    >>> qr.gini(np.array([[0.5, 0.5], [1.0, 0.0]]))
    array([0.5, 0. ])
    """
    return _core.score(proba, "gini", from_logits, normalize, out, invalid, n_threads, deadline)


def scores(
    proba: ArrayLike,
    names: Sequence[ScoreName],
    *,
    from_logits: bool = False,
    normalize: bool = False,
    out: Mapping[ScoreName, NDArray[Any]] | None = None,
    invalid: Invalid = "raise",
    n_threads: int | None = None,
    deadline: float | None = None,
) -> dict[ScoreName, NDArray[Any]]:
    """Several scores of each row, in one read of the input.

    Parameters
    ----------
    proba : array_like, shape (n, c)
        Class probabilities of n rows, or logits; as for `entropy`.
    names : sequence of {"entropy", "margin", "least_confidence", "gini"}
        Which scores, each once.
    from_logits, normalize, invalid, n_threads, deadline
        As for `entropy`.
    out : mapping of str to ndarray of shape (n,), optional
        Where to write: one array for each name, and no other.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        Each score by its name, in the order of `names`; the same bits as the functions of these names give.

    Raises
    ------
    TypeError, ValueError
        As for `entropy`; also for an unknown or repeated name, and an `out` of other names.

    Notes
    -----
    O(n c) time. All four take little longer than entropy alone.

    Examples
    --------
    >>> import numpy as np
    >>> import querist as qr
    >>> qr.scores(np.array([[0.5, 0.5], [1.0, 0.0]]), ["margin", "gini"])
    {'margin': array([1., 0.]), 'gini': array([0.5, 0. ])}
    """
    names, arrays = named(names, out)
    found = _core.scores(proba, names, from_logits, normalize, arrays, invalid, n_threads, deadline)
    return dict(zip(names, found, strict=True))


def top_scores(
    proba: ArrayLike,
    k: int,
    *,
    score: ScoreName = "entropy",
    from_logits: bool = False,
    available: ArrayLike | None = None,
    invalid: Invalid = "raise",
    n_threads: int | None = None,
    deadline: float | None = None,
) -> Picks:
    """The k rows of the highest score, found while scoring: no array of n scores is written.

    The picks are those of ``select.top_k(entropy(proba), k)``, to the bit and the tie. Where a bound on the
    entropy (Fano's inequality) shows that a row cannot be among them, its logarithms are not computed.

    Parameters
    ----------
    proba : array_like, shape (n, c)
        Class probabilities of n rows, or logits; as for `entropy`.
    k : int
        How many rows.
    score : {"entropy", "margin", "least_confidence", "gini"}, default "entropy"
        Which score.
    from_logits, n_threads, deadline
        As for `entropy`.
    available : array_like, optional
        Rows that may be picked: booleans (n,), or row numbers, none twice. An empty one means none; None
        means all. Other rows are not asked to be valid.
    invalid : {"raise", "nan"}, default "raise"
        With "nan", rows that are not valid are never picked.

    Returns
    -------
    Picks
        The row numbers, best first, ties to the lower one, and their scores.
        ``info["rows_without_logarithm"]`` counts the rows that a bound ruled out.

    Raises
    ------
    TypeError, ValueError
        As for `entropy`; also if k is more than the rows that can be picked.

    Notes
    -----
    O(n c + k log k) time, O(k) memory for each thread and a byte a row if `available` is given.

    Examples
    --------
    >>> import numpy as np
    >>> import querist as qr
    >>> proba = np.array([[0.5, 0.5], [1.0, 0.0], [0.75, 0.25]])
    >>> qr.top_scores(proba, 1, score="margin", available=[1, 2]).indices
    array([2])
    """
    indices, values, skipped = _core.top_scores(
        proba, k, score, from_logits, available, invalid, n_threads, deadline
    )
    return Picks(indices, values, {"rows_without_logarithm": skipped})
