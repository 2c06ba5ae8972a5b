"""What a campaign was begun with, in a form that a journal can keep and a resumed one be compared to."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from querist._arrays import as_array, is_sparse
from querist._event_text import label_value
from querist._pool import Pool
from querist._protocols import Label
from querist._quota import Groups, numbered

BY_ROW = ("embed", "groups", "cost")  # arguments
ROWS = ("X shape", "X dtype", "X rows", *BY_ROW)  # settings
GROWS = "a pool may grow at its end; the rows that it has stay, as they are"
ANOTHER = (
    "to change it, resume as it was begun, close, and begin another journal with labels=old.labels, those of "
    "the learner that was resumed"
)
SAMPLE = 256  # rows of a pool that are hashed, evenly spaced


def campaign_settings(
    pool: Pool, given: Mapping[str, Any], n: int | None = None, begun: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Give what tells one campaign from another: its pool and its arguments.

    Or what they were of n rows, to be compared with the settings that it was begun with.
    """
    n = len(pool) if n is None else min(n, len(pool))
    dtype = "" if begun is None else str(begun.get("X dtype"))
    return {**_pool_settings(pool, n, dtype), **argument_settings(given, n)}


def row_settings(
    pool: Pool, given: Mapping[str, Any], n: int | None = None, begun: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Give those of the settings that change when the pool grows."""
    return campaign_settings(pool, {name: given[name] for name in BY_ROW}, n, begun)


def argument_settings(given: Mapping[str, Any], n: int) -> dict[str, Any]:
    """Give what tells arguments from others; those that go by row, of the first n."""
    return {name: _setting(_first(value, n) if name in BY_ROW else value) for name, value in given.items()}


def labels_setting(labels: Mapping[int, Label]) -> str:
    """Give what tells one set of labels from another."""
    pairs = sorted((index, label_value(label, "labels")) for index, label in labels.items())
    return hashlib.blake2b(json.dumps(pairs).encode(), digest_size=16).hexdigest()


def disagreement(
    stored: Mapping[str, Any], given: Mapping[str, Any], *, of: str = "the journal"
) -> str | None:
    """Name the first setting that differs, with both values."""
    for name, value in given.items():
        if stored.get(name) != value:
            grows = f"; {GROWS}" if name.startswith("X ") else ""
            if name in ("X rows", "labels"):  # known by a hash, which tells nobody anything
                return f"{name}: they differ from those that {of} was begun with{grows}"
            if name == "root":  # what a generator gave
                return (
                    "seed: expected what the journal was begun with, or a generator in that state, got a "
                    "generator in another; leave it out to go on with the first"
                )
            differs = f"{name}: {of} was begun with {stored.get(name)!r}, got {value!r}{grows}"
            is_said = grows or name == "seed" or of == "the campaign"  # which has no journal
            return differs if is_said else f"{differs}; {ANOTHER}"
    return None


def pool_mark(pool: Pool) -> str:
    """Tell one pool from another by a few rows where these are at hand, else by their number alone."""
    X = pool.X
    at_hand = isinstance(X, np.ndarray | list | tuple) or any(
        hasattr(X, name) for name in ("tocsr", "iloc", "write_csv")
    )
    return f"{len(pool)} {_hash(pool.take(_sample(len(pool), 16))) if at_hand else ''}"


def _pool_settings(pool: Pool, n: int, dtype: str) -> dict[str, Any]:
    """Give what tells n rows of a pool from others: shape, dtype, and a hash of a sample of the rows."""
    sample = pool.take(_sample(n))
    if re.fullmatch("[<>|][US][0-9]+", dtype) and getattr(sample, "dtype", np.dtype("V")).kind == dtype[1]:
        # As wide as it was, if the texts fit: numpy makes it that of the longest, which may be a new one.
        begun = sample.astype(dtype)
        sample = begun if (begun == sample).all() else sample
    return {
        "X shape": [n, *(int(length) for length in getattr(sample, "shape", (n,))[1:])],
        "X dtype": str(getattr(sample, "dtype", type(sample).__name__)),
        "X rows": _hash(sample),
    }


def _first(given: Any, n: int) -> Any:
    """Give what there is for the first n rows, or what is not by row as it is."""
    if isinstance(given, Groups):  # numbered as if there were no others
        return given.places if n == len(given.places) else numbered(given.of_rows()[:n], n).places
    if given is None or callable(given):
        return given
    return (given.tocsr() if is_sparse(given) else as_array(given, "array"))[:n]


def _setting(given: Any) -> Any:
    """Give plain values as they are, arrays by a sample, and the rest by the name of its function or type."""
    if given is None or isinstance(given, str | int | float | dict):
        return given
    if isinstance(given, list | tuple) and any(callable(one) or hasattr(one, "fit") for one in given):
        return [_setting(one) for one in given]
    if callable(given) or hasattr(given, "fit"):
        return getattr(given, "__qualname__", type(given).__qualname__)
    array = given.tocsr() if is_sparse(given) else as_array(given, "array")
    return f"{array.dtype} {array.shape} {_hash(array[_sample(array.shape[0])])}"


def _sample(n: int, most: int = SAMPLE) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int64))


def _hash(rows: Any) -> str:
    if hasattr(rows, "tocsr"):
        parts = [np.asarray(part) for part in (rows.data, rows.indices, rows.indptr)]
        content = b"".join(part.tobytes() for part in parts)
    elif hasattr(rows, "iloc"):
        plain = rows.apply(_column) if rows.ndim > 1 else _column(rows)
        content = plain.to_csv(index=False).encode(errors="surrogatepass")
    elif hasattr(rows, "write_csv"):
        nested = any(dtype.is_nested() for dtype in rows.dtypes)  # which CSV has no room for
        content = ("\n".join(map(_text, rows.rows())) if nested else rows.write_csv()).encode()
    elif hasattr(rows, "dtype") and getattr(rows.dtype, "kind", "V") not in "OT":  # T: texts elsewhere
        content = np.asarray(rows).tobytes()
    else:
        content = "\n".join(map(_text, rows)).encode()
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _column(cells: Any) -> Any:
    """Give a column of a data frame, with the text of each cell that is no plain value."""
    if cells.dtype != object:
        return cells
    wordless: Any = object.__repr__  # but for the address
    unfit = [isinstance(cell, CONTAINERS) or type(cell).__repr__ is wordless for cell in cells]
    return cells.where(~np.array(unfit), cells.map(_text)) if any(unfit) else cells


# As numpy prints by default.
PRINTED: dict[str, Any] = {
    "precision": 8,
    "threshold": 1000,
    "edgeitems": 3,
    "linewidth": 75,
    "suppress": False,
    "nanstr": "nan",
    "infstr": "inf",
    "sign": "-",
    "floatmode": "maxprec",
    "legacy": False,
}
CONTAINERS = (list, tuple, dict, set, frozenset, np.ndarray)


def _text(row: Any) -> str:
    """Give the words of plain values, whatever order a set has or how numpy is told to print."""
    match row:
        case np.generic():
            words = f"np.{type(row).__name__}({row.item()!r})"
        case None | str() | bytes() | int() | float() | complex():
            words = repr(row)
        case list():
            words = f"[{_texts(row)}]"
        case tuple():
            words = f"({_texts(row)}{',' if len(row) == 1 else ''})"
        case dict():
            words = f"{{{', '.join(f'{_text(key)}: {_text(value)}' for key, value in row.items())}}}"
        case set() | frozenset():
            words = f"{{{', '.join(sorted(map(_text, row)))}}}"
        case np.ndarray() if row.size <= PRINTED["threshold"]:
            with np.printoptions(**PRINTED, formatter={"object": _text}):
                words = repr(row)
        case np.ndarray():
            words = f"{row.dtype} {row.shape} {_hash(row)}"
        case _:  # whose words may hold an address
            words = re.sub(r" at 0x[0-9a-fA-F]+", "", repr(row))
    return words


def _texts(values: Iterable[Any]) -> str:
    return ", ".join(map(_text, values))
