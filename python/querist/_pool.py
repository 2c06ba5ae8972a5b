"""The pool of a campaign: rows of any kind, all at once or in chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

import numpy as np
from numpy.typing import NDArray

from querist._arguments import positive
from querist._arrays import as_matrix, is_sparse

ROWS = 2**16  # of a chunk, at most
BYTES = 2**26


class Pool:
    """The rows of `X`, or of the chunks that `X()` gives.

    A chunk is what the model sees at once. A pool of one chunk is `X` itself.
    """

    def __init__(self, X: Any, chunk: int | None = None) -> None:
        self.X = X.tocsr() if hasattr(X, "tocsr") else X  # not all sparse formats have rows to take
        self.streamed = callable(X) and not hasattr(X, "__len__")
        if chunk is not None:
            positive(chunk, "chunk", "row")
        self._n = sum(map(row_count, _checked_chunks(X()))) if self.streamed else row_count(X)
        bytes_of_row = getattr(X, "nbytes", 0) // max(self._n, 1)
        self._chunk = min(ROWS, max(BYTES // max(bytes_of_row, 1), 1)) if chunk is None else chunk

    def __len__(self) -> int:
        return self._n

    def chunks(self) -> Iterator[tuple[slice, Any]]:
        """Give the rows from first to last, a chunk at a time, and which they are."""
        if not self.streamed:
            if self._n <= self._chunk:
                yield slice(0, self._n), self.X
                return
            for start in range(0, self._n, self._chunk):
                rows = slice(start, min(start + self._chunk, self._n))
                yield rows, self.X.iloc[rows] if hasattr(self.X, "iloc") else self.X[rows]
            return
        start = 0
        for chunk in self.X():
            rows = slice(start, start + row_count(chunk))
            start = rows.stop
            if start > self._n:
                break
            yield rows, chunk
        if start != self._n:
            raise ValueError(
                f"X: expected chunks of {self._n} rows in all, as at first, got {start}; for new rows at the "
                "end call learner.extend"
            )

    def mapped(self, function: Callable[[Any], Any], name: str) -> Any:
        """Give the (n, d) array, or CSR matrix, of what the function makes of each chunk."""
        array: NDArray[Any] | None = None
        sparse: list[Any] = []
        for rows, X in self.chunks():
            part = as_matrix(function(X), name)
            before = sparse[0] if sparse else array
            width = part.shape[1:] if before is None else before.shape[1:]
            if part.shape != (rows.stop - rows.start, *width):
                d = "d" if before is None else str(before.shape[1])
                raise ValueError(
                    f"{name}: expected an array of shape ({rows.stop - rows.start}, {d}), a row for each row "
                    f"of X, got shape {part.shape}"
                )
            if before is not None and is_sparse(part) != is_sparse(before):
                raise TypeError(f"{name}: expected all chunks sparse or none, got some of each")
            if is_sparse(part):
                sparse.append(part)
                continue
            if array is None:
                array = np.empty((self._n, *width), part.dtype)
            array[rows] = part
        return _joined(sparse) if sparse else array

    def take(self, indices: NDArray[np.int64]) -> Any:
        """Give the rows at `indices`, in that order and of the same kind as `X` or its chunks."""
        if not self.streamed:
            return _taken(self.X, indices)
        order = np.argsort(indices, kind="stable")
        parts = []
        for rows, X in self.chunks():
            first, last = np.searchsorted(indices[order], [rows.start, rows.stop])
            if last > first:
                here = X.tocsr() if hasattr(X, "tocsr") else X
                parts.append(_taken(here, indices[order[first:last]] - rows.start))
        return _taken(_joined(parts), np.argsort(order))


def _checked_chunks(chunks: Any) -> Iterable[Any]:
    """Give the chunks, or raise if they are rows, each of which would be taken for a chunk."""
    if hasattr(chunks, "shape") or not isinstance(chunks, Iterable):
        raise TypeError(
            "X: expected the function to give chunks of rows one after the other, got "
            f"{type(chunks).__name__}; give a list of chunks, or yield them"
        )
    return chunks


def row_count(X: Any) -> int:
    """Give the number of rows, or raise a TypeError if it cannot be told."""
    if hasattr(X, "num_columns"):  # of arrow, whose brackets look for columns
        kind = type(X).__name__
        raise TypeError(f"X: expected rows that can be taken, got a pyarrow {kind}; pass .to_pandas() of it")
    shape = getattr(X, "shape", None)
    if shape:  # before len, which a sparse matrix does not have
        return int(shape[0])
    if shape is None and hasattr(X, "__len__") and not isinstance(X, Mapping | Set):
        return len(X)
    raise TypeError(f"X: expected an array, a data frame or a sequence of rows, got {type(X).__name__}")


def _taken(X: Any, indices: NDArray[np.int64]) -> Any:
    if hasattr(X, "iloc"):  # pandas, whose plain brackets look for columns or labels
        return X.iloc[indices]
    if isinstance(X, Sequence):
        return [X[index] for index in indices.tolist()]
    return X[indices]


def _joined(parts: list[Any]) -> Any:
    if len(parts) < 2:
        return parts[0] if parts else []  # of a pool without rows
    if hasattr(parts[0], "tocsr"):
        from scipy.sparse import vstack

        return vstack(parts, format="csr")
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    if isinstance(parts[0], list):
        return [row for part in parts for row in part]
    if hasattr(parts[0], "iloc"):
        import pandas

        return pandas.concat(parts)
    if hasattr(parts[0], "write_csv"):
        import polars

        return polars.concat(parts)
    raise TypeError(
        f"X: expected chunks that are arrays, sparse, data frames or lists, got {type(parts[0]).__name__}"
    )
