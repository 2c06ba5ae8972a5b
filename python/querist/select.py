"""Selection: which rows to label next. Every function returns `querist.Picks`."""

from __future__ import annotations

from numpy.typing import ArrayLike

from querist import _core
from querist._picks import Picks

__all__ = ["top_k"]


def top_k(
    scores: ArrayLike,
    k: int,
    *,
    available: ArrayLike | None = None,
    n_threads: int | None = None,
    deadline: float | None = None,
) -> Picks:
    """The k highest scores.

    Parameters
    ----------
    scores : array_like, shape (n,)
        One number a row, larger where it should be asked first: float16, bfloat16, float32 or float64. A
        row scored NaN is never picked.
    k : int
        How many rows.
    available : array_like, optional
        Rows that may be picked: booleans (n,), or row numbers, none twice. An empty one means none; None
        means all.
    n_threads : int, optional
        Threads for this call; by default as many as `get_num_threads` tells. The result does not depend on
        it.
    deadline : float, optional
        Seconds after which to give up with a TimeoutError.

    Returns
    -------
    Picks
        The row numbers, highest score first, ties to the lower row, and their scores.

    Raises
    ------
    TypeError
        If `scores` does not hold floats, or k is not an integer.
    ValueError
        If k is more than the rows that are available and whose score is a number.

    Notes
    -----
    O(n + k log k) time, O(k) memory for each thread.

    Examples
    --------
    >>> import querist as qr
    >>> qr.select.top_k([0.1, 0.9, float("nan"), 0.9], 2).indices
    array([1, 3])
    """
    indices, values, _ = _core.top_k(scores, k, available, n_threads, deadline)
    return Picks(indices, values)
