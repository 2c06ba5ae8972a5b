"""What `tell` takes, and a campaign begins with, checked as a whole before any of it counts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Set
from typing import Any

import numpy as np
from numpy.typing import NDArray

from querist._labelled import identity
from querist._protocols import Indices, Label, Labels


def checked_answers(indices: Indices, labels: Labels, *, n: int) -> dict[int, Label]:
    """Give {index: label} for a pool of n rows, or raise."""
    rows = _checked_indices(indices, n)
    answers = plain_labels(labels, "labels", each="index")
    if len(rows) != len(answers):
        raise ValueError(f"labels: expected one for each of {len(rows)} indices, got {len(answers)}")
    told: dict[int, Label] = {}
    for row, label in zip(rows.tolist(), answers, strict=True):
        if identity(told.setdefault(row, label)) != identity(label):
            raise ValueError(f"labels: expected one answer for index {row}, got {told[row]!r} and {label!r}")
    return told


def checked_labels(labels: Mapping[int, Label], n: int) -> dict[int, Label]:
    """Give the labels that a campaign begins with, or raise."""
    if not isinstance(labels, Mapping):
        raise TypeError(f"labels: expected a mapping of pool index to label, got {type(labels).__name__}")
    for index in labels:
        if isinstance(index, bool) or not isinstance(index, int | np.integer):
            raise TypeError(f"labels: expected pool indices for keys, got {index!r}")
        if not 0 <= index < n:
            raise ValueError(f"labels: expected rows of the pool of {n} for keys, got {index}")
    return checked_answers(list(labels), list(labels.values()), n=n)


def composed(text: str) -> str:
    """Give a text without blanks around it, each accent in one character with its letter.

    Keyboards and systems differ in how they write these.
    """
    import unicodedata

    return unicodedata.normalize("NFC", text.strip())


def checked_annotator(annotator: Label | None) -> Label | None:
    """Give a name that can be told from others, or raise."""
    annotator = _plain(annotator, "annotator")
    try:
        hash(annotator)
    except TypeError as error:
        raise TypeError(f"annotator: expected something hashable, got {annotator!r}") from error
    if _is_nan(annotator):
        raise ValueError(f"annotator: expected a name, got {annotator}")
    return annotator


def _is_nan(label: Any) -> bool:
    """Tell what does not equal itself, and could never be told twice alike."""
    try:
        return bool(label != label)  # noqa: PLR0124
    except TypeError:  # pandas.NA has no truth
        return True


def _checked_indices(indices: Indices, n: int) -> NDArray[np.int64]:
    rows = np.asarray(indices)
    if rows.ndim != 1:
        raise ValueError(f"indices: expected one dimension, got shape {rows.shape}")
    if rows.size == 0:  # an empty list is an array of floats
        return np.empty(0, dtype=np.int64)
    if not np.issubdtype(rows.dtype, np.integer):
        listed = list(indices)
        if not all(isinstance(row, int | np.integer) and not isinstance(row, bool) for row in listed):
            raise TypeError(f"indices: expected integers, got {rows.dtype}")
        rows = np.array(listed, dtype=object)  # numpy makes floats of a np.uint64 beside an int
    outside = np.flatnonzero((rows < 0) | (rows >= n))
    if outside.size:
        at = int(outside[0])
        raise ValueError(f"indices[{at}]: expected a row of the pool of {n}, got {rows[at]}")
    return rows.astype(np.int64)


def _plain(given: Any, name: str) -> Any:
    """Give a plain Python object, so that it is the same whether it came in an array, a tensor or a list."""
    if type(given) is tuple:
        return tuple(_plain(part, name) for part in given)
    is_scalar = getattr(given, "shape", None) == () and hasattr(given, "item")
    plain = given.item() if is_scalar and given is not np.ma.masked else given  # which would be 0
    if getattr(getattr(given, "dtype", None), "kind", None) in ("m", "M") and isinstance(plain, int):
        raise TypeError(
            f"{name}: expected a time that Python can hold, got {given!r}, which would become {plain}; give "
            "it as text or in microseconds"
        )
    return plain


def check_column(labels: Any, name: str) -> None:
    """Raise if it is a data frame, which would be gone over by its columns' names."""
    if hasattr(labels, "columns"):
        raise TypeError(
            f"{name}: expected one column of labels, got {type(labels).__name__}; pass a column, as "
            'frame["label"]'
        )


def plain_labels(labels: Labels, name: str, *, each: str) -> list[Label]:
    """Give labels as plain Python objects, one for each index or row, or raise."""
    check_column(labels, name)
    if not isinstance(labels, Iterable) or isinstance(labels, str | bytes | Mapping | Set):
        raise TypeError(f"{name}: expected a sequence, one for each {each}, got {labels!r}")
    answers = [_plain(label, f"{name}[{at}]") for at, label in enumerate(labels)]
    for at, label in enumerate(answers):
        try:
            hash(label)
        except TypeError as error:
            raise TypeError(f"{name}[{at}]: expected something hashable, got {label!r}") from error
        if label is None or _is_nan(label):
            raise ValueError(f"{name}[{at}]: expected a label or querist.ABSTAIN, got {label}")
    return answers


def checked_pair(answer: Any, asked: Collection[int]) -> tuple[int, Any]:
    """Give the index and the label that an oracle's iterator gives.

    Raises
    ------
    TypeError
        If it is no pair.
    ValueError
        If the index is none of those asked.
    """
    try:  # a text of two letters is a label, and no pair
        pair: Any = () if isinstance(answer, str | bytes) else answer
        index, label = pair
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"oracle: expected an iterator of pairs (index, label), got one that gives {answer!r}; "
            "labels alone are to come as a sequence, such as list(answers)"
        ) from error
    if index not in asked:
        raise ValueError(
            f"oracle: expected pairs (index, label) for the indices {asked} of the batch, got "
            f"{answer!r}; labels of other rows are for tell"
        )
    return index, label
