"""The features that diversity and density use: given, made by a function, or the pool itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from querist._arguments import described
from querist._arrays import as_array, as_matrix, is_sparse
from querist._density import information_density, knn_density
from querist._pool import Pool

Embed: TypeAlias = Callable[[Any], Any] | NDArray[Any]
Density: TypeAlias = str | Callable[[NDArray[Any]], Any]

NEIGHBOURS = 10


def _knn(features: NDArray[Any]) -> NDArray[Any]:
    return knn_density(features, min(NEIGHBOURS, features.shape[0] - 1))


DENSITIES: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "information_density": lambda features: information_density(features, shift=True),
    "knn_density": _knn,
}


def check_density(density: Density | None) -> None:
    """Raise unless `density` is None, a function or one of `DENSITIES`."""
    if not (density is None or callable(density) or density in DENSITIES):
        raise ValueError(f"density: expected a function or one of {tuple(DENSITIES)}, got {density!r}")


class Features:
    """The (n, d) features of a pool, and densities of them."""

    def __init__(self, pool: Pool, embed: Embed | None) -> None:
        self._pool = pool
        self._embed = embed if callable(embed) else None
        self._given: Any = None
        self._densities: dict[Any, NDArray[Any]] = {}
        if embed is None:
            is_matrix = is_sparse(pool.X) or (isinstance(pool.X, np.ndarray) and pool.X.ndim == 2)
            if is_matrix and pool.X.dtype.kind == "f":
                self._given = as_matrix(pool.X, "X")
        elif self._embed is None:
            self._given = as_matrix(embed, "embed")
            if self._given.shape[0] != len(pool):
                raise ValueError(
                    f"embed: expected shape ({len(pool)}, d), a row for each row of the pool, got "
                    f"{described(self._given)}"
                )

    @property
    def given(self) -> Any:
        """The features that are there without asking a function."""
        return self._given

    def check(self, asked_by: str) -> None:
        """Raise, if there are none, on behalf of what asks for them."""
        if self._given is None and self._embed is None and not _are_numbers(self._pool.X):
            raise ValueError(f"{asked_by}: {_no_features(self._pool.X)}")

    def now(self) -> Any:
        """Give the features; a function makes them anew, as it may look at the model."""
        if self._given is not None:
            return self._given
        if self._embed is None:
            self._given = _as_floats(self._pool.X)
            return self._given
        return self._pool.mapped(self._embed, f"embed {getattr(self._embed, '__name__', '')}".strip())

    def density(self, density: Density, features: NDArray[Any]) -> NDArray[Any]:
        """Give the density of each row; kept, if the features are always the same."""
        if density in self._densities:
            return self._densities[density]
        function = density if callable(density) else DENSITIES[density]
        values = as_array(function(features), "density")
        if values.shape != (len(self._pool),):
            raise ValueError(f"density: expected shape ({len(self._pool)},), got {values.shape}")
        if self._given is not None:
            self._densities[density] = values
        return values


def _as_floats(X: Any) -> Any:
    """Give a matrix or frame of integers, booleans or numbers as floats, which is a copy."""
    if not _are_numbers(X):
        raise ValueError(_no_features(X))
    matrix = X if is_sparse(X) else np.asarray(X)
    if matrix.dtype.kind == "f":
        return as_matrix(matrix, "X")
    # Of 8 or 16 bits each is exact in float32.
    return matrix.astype(np.float32 if matrix.dtype.itemsize <= 2 else np.float64)


def _are_numbers(X: Any) -> bool:
    """Tell a matrix or frame of numbers; of a frame, which may have to be copied, one row tells."""
    matrix = np.asarray(X[:1]) if hasattr(X, "columns") else X
    is_array = is_sparse(matrix) or isinstance(matrix, np.ndarray)
    return is_array and len(matrix.shape) == 2 and matrix.dtype.kind in "biuf"


def _no_features(X: Any) -> str:
    """Say what was expected where `X` is not features by itself."""
    named, numbers = type(X).__name__, "if it holds numbers, pass embed="
    advice = (
        f"{numbers}lambda rows: np.asarray(rows, float)" if callable(X) else f"{numbers}np.asarray(X, float)"
    )
    if hasattr(X, "dtype") or hasattr(X, "columns"):
        matrix = X if is_sparse(X) else np.asarray(X)
        named = f"{named} of {matrix.dtype} of shape {matrix.shape}"
        if len(matrix.shape) != 2:
            advice = f"{numbers}np.reshape(X, (len(X), -1)).astype(float)"
        elif is_sparse(X) or _converts(matrix[:1]):
            advice = f"{numbers}X.astype(float)"
        else:
            advice = (
                "fit a preprocessor to the pool that makes numbers of all columns, prep.fit(X), and pass "
                "embed=lambda rows: prep.transform(rows)"
            )
    return (
        "embed: expected features, (n, d) or a function of X, as X is not a matrix of numbers, got "
        f"{named}; {advice}"
    )


def _converts(row: NDArray[Any]) -> bool:
    """Tell whether objects are numbers."""
    try:
        row.astype(float)
    except (TypeError, ValueError):
        return False
    return True
