"""Arguments other than matrices: rows of the pool, numbers for each row, counts, positive numbers."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from querist._arrays import as_array


def row_numbers(given: Any, n: int, argument: str) -> NDArray[np.int64]:
    """Give the row numbers that booleans (n,) or unique integers mean; an empty array means none.

    Raises
    ------
    TypeError
        If it is not one-dimensional, or holds neither booleans nor integers.
    ValueError
        If there are not n booleans, or a row is there twice or not at all.
    """
    array = as_array(given, argument)
    if array.ndim == 1 and array.size == 0:
        return np.zeros(0, np.int64)
    if array.ndim != 1 or array.dtype.kind not in "biu":
        msg = f"{argument}: expected booleans (n,) or integer row numbers, got {described(array)}"
        raise TypeError(msg)
    if array.dtype.kind == "b":
        if array.size != n:
            msg = f"{argument}: expected one boolean for each of the {n} rows, got {array.size}"
            raise ValueError(msg)
        return np.flatnonzero(array).astype(np.int64)
    outside = (array < 0) | (array >= n)
    if outside.any():
        msg = f"{argument}: row {array[outside.argmax()]} is not one of the {n} rows"
        raise ValueError(msg)
    rows = array.astype(np.int64)
    unique, counts = np.unique(rows, return_counts=True)
    if unique.size != rows.size:
        msg = f"{argument}: row {unique[(counts > 1).argmax()]} is there twice"
        raise ValueError(msg)
    return rows


def labeled_rows(labeled: Any, n: int, d: int) -> tuple[NDArray[np.int64], NDArray[np.float64] | None]:
    """Tell labelled rows of the pool from rows of outside: `(row numbers, None)` or `(none, rows)`.

    Raises
    ------
    TypeError
        If it is not 1-D of integers or booleans, nor 2-D of floats.
    ValueError
        As for `row_numbers`; also if rows from outside are not of d finite numbers.
    """
    array = as_array(labeled, "labeled")
    none = np.zeros(0, np.int64)
    if array.ndim in (1, 2) and array.size == 0:
        return none, None
    if array.ndim == 1 and array.dtype.kind in "biu":
        return row_numbers(array, n, "labeled"), None
    if array.ndim != 2 or not holds_floats(array):
        msg = (
            "labeled: expected 1-D integers or booleans (rows of the pool) or 2-D floats (rows from outside "
            f"it), got {described(array)}"
        )
        raise TypeError(msg)
    if array.shape[1] != d:
        msg = f"labeled: expected rows of {d} features as in the pool, got shape {array.shape}"
        raise ValueError(msg)
    rows = array.astype(np.float64)
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        row = int(finite.argmin())
        column = int((~np.isfinite(rows[row])).argmax())
        msg = f"labeled: row {row}: column {column} is {rows[row, column]}, expected a finite number"
        raise ValueError(msg)
    return none, rows


def cast(outside: NDArray[np.float64], pool: Any) -> NDArray[Any]:
    """Give rows from outside in the float type that the pool is read in; what does not fit is infinite."""
    with np.errstate(over="ignore"):
        return outside.astype(np.float64 if pool.dtype.itemsize == 8 else np.float32)


def taken(pool: Any, labeled: ArrayLike | None) -> tuple[NDArray[np.int64], NDArray[Any] | None]:
    """Give the labelled rows of the pool, and those from outside in its float type."""
    if labeled is None:
        return np.zeros(0, np.int64), None
    rows, outside = labeled_rows(labeled, *pool.shape)
    return rows, None if outside is None else cast(outside, pool)


def still_open(n: int, rows: NDArray[np.int64], available: ArrayLike | None) -> NDArray[np.bool_] | None:
    """Say which rows can be picked: those available that are not labelled; None if all."""
    if available is None and not rows.size:
        return None
    mask = np.ones(n, bool)
    if available is not None:
        mask[:] = False
        mask[row_numbers(available, n, "available")] = True
    mask[rows] = False
    return mask


def checked_weights(weights: ArrayLike, n: int, argument: str = "weights") -> NDArray[np.float64]:
    """Give weights in float64.

    Raises
    ------
    TypeError
        If they are not numbers.
    ValueError
        If there are not n of them, or one is negative or infinite; NaN is let through.
    """
    array = as_array(weights, argument)
    if array.shape != (n,):
        msg = f"{argument}: expected shape ({n},), got {array.shape}"
        raise ValueError(msg)
    if not (array.dtype.kind in "biu" or holds_floats(array)):
        msg = f"{argument}: expected numbers, got {array.dtype}"
        raise TypeError(msg)
    worth = np.require(array, np.float64, ["C", "ALIGNED"])
    wrong = (worth < 0) | np.isinf(worth)
    if wrong.any():
        row = int(wrong.argmax())
        msg = f"{argument}: row {row} is {worth[row]}, expected a finite number, 0 or more"
        raise ValueError(msg)
    return worth


def finite_weights(weights: ArrayLike, n: int, argument: str = "weights") -> NDArray[np.float64]:
    """Give weights as `checked_weights` does, but for NaN, which is a ValueError too."""
    worth = checked_weights(weights, n, argument)
    if np.isnan(worth).any():
        msg = f"{argument}: row {int(np.isnan(worth).argmax())} is nan, expected a finite number, 0 or more"
        raise ValueError(msg)
    return worth


def checked_scores(scores: ArrayLike, n: int) -> NDArray[np.float64]:
    """Give scores in float64.

    Raises
    ------
    TypeError
        If they are not numbers.
    ValueError
        If there are not n of them, or one is infinite; NaN is let through.
    """
    array = as_array(scores, "scores")
    if array.shape != (n,):
        msg = f"scores: expected shape ({n},), one for each row of features, got {array.shape}"
        raise ValueError(msg)
    if not (array.dtype.kind in "iu" or holds_floats(array)):
        msg = f"scores: expected numbers, got {array.dtype}"
        raise TypeError(msg)
    worth = np.require(array, np.float64, ["C", "ALIGNED"])
    wrong = np.isinf(worth)
    if wrong.any():
        row = int(wrong.argmax())
        msg = f"scores: row {row} is {worth[row]}, expected a finite number or NaN"
        raise ValueError(msg)
    return worth


def member_weights(weights: ArrayLike | None) -> NDArray[np.float64] | None:
    """Give member weights as float64; their number is checked where that of the members is known."""
    if weights is None:
        return None
    array = as_array(weights, "weights")
    if not (array.dtype.kind in "biu" or holds_floats(array)):
        msg = f"weights: expected numbers, got {array.dtype}"
        raise TypeError(msg)
    if array.ndim != 1:
        msg = f"weights: expected shape (m,), one number for each member, got {array.shape}"
        raise ValueError(msg)
    array = array.astype(np.float64)
    unfit = ~(np.isfinite(array) & (array >= 0))
    if unfit.any():
        member = int(unfit.argmax())
        msg = f"weights: expected finite numbers of 0 or more, got {array[member]} for member {member}"
        raise ValueError(msg)
    if not array.any():
        msg = f"weights: expected one above 0, got {array.size} weights of 0"
        raise ValueError(msg)
    return array


def holds_floats(array: NDArray[Any]) -> bool:
    """Tell floats, of which bfloat16 is a type of its own to numpy."""
    return array.dtype.kind == "f" or array.dtype.name == "bfloat16"


def described(array: NDArray[Any]) -> str:
    """Say dtype and shape."""
    return f"{array.dtype} of shape {array.shape}"


def count(given: Any, argument: str) -> int:
    """Give an integer as one; True is not a count."""
    try:
        if not isinstance(given, bool | np.bool_):
            return operator.index(given)
    except TypeError:
        pass
    msg = f"{argument}: expected an integer, got {type(given).__name__}"
    raise TypeError(msg)


def positive(given: Any, argument: str, unit: str = "") -> int:
    """Give an integer of at least 1, or raise a TypeError or a ValueError."""
    number = count(given, argument)
    if number < 1:
        msg = f"{argument}: expected at least 1{' ' if unit else ''}{unit}, got {number}"
        raise ValueError(msg)
    return number


def number(given: Any, argument: str) -> float:
    """Give a number; True is none, and nothing compares with NaN."""
    if isinstance(given, bool | np.bool_) or not isinstance(given, int | float | np.integer | np.floating):
        msg = f"{argument}: expected a number, got {given!r}"
        raise TypeError(msg)
    value = float(given)
    if np.isnan(value):
        msg = f"{argument}: expected a number, got nan"
        raise ValueError(msg)
    return value


def finite(given: Any, argument: str, *, least: str) -> float:
    """Give a finite number that is "above 0", or "0 or more", as `least` says."""
    value = number(given, argument)
    if not (np.isfinite(value) and (value > 0 or (value == 0 and least == "0 or more"))):
        msg = f"{argument}: expected a finite number, {least}, got {given}"
        raise ValueError(msg)
    return value
