"""Arguments other than arrays of floats: rows of the pool, counts, positive numbers."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    if array.ndim != 2 or not (array.dtype.kind == "f" or array.dtype.name == "bfloat16"):
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


def finite(given: Any, argument: str, *, least: str) -> float:
    """Give a finite number that is "above 0", or "0 or more", as `least` says."""
    if isinstance(given, bool | np.bool_) or not isinstance(given, int | float | np.integer | np.floating):
        msg = f"{argument}: expected a number, got {type(given).__name__}"
        raise TypeError(msg)
    if not (np.isfinite(given) and (given > 0 or (given == 0 and least == "0 or more"))):
        msg = f"{argument}: expected a finite number, {least}, got {given}"
        raise ValueError(msg)
    return float(given)
