from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "__version__",
    "get_num_threads",
    "score",
    "scores",
    "set_num_threads",
    "simd_level",
    "top_k",
    "top_scores",
]

__version__: str

def score(
    proba: ArrayLike,
    name: str,
    from_logits: bool,
    normalize: bool,
    out: NDArray[Any] | None,
    invalid: str,
    n_threads: int | None,
    deadline: float | None,
) -> NDArray[Any]: ...
def scores(
    proba: ArrayLike,
    names: Sequence[str],
    from_logits: bool,
    normalize: bool,
    out: Sequence[NDArray[Any]] | None,
    invalid: str,
    n_threads: int | None,
    deadline: float | None,
) -> list[NDArray[Any]]: ...
def top_scores(
    proba: ArrayLike,
    k: int,
    score: str,
    from_logits: bool,
    available: ArrayLike | None,
    invalid: str,
    n_threads: int | None,
    deadline: float | None,
) -> tuple[NDArray[np.int64], NDArray[Any], int]: ...
def top_k(
    scores: ArrayLike,
    k: int,
    available: ArrayLike | None,
    n_threads: int | None,
    deadline: float | None,
) -> tuple[NDArray[np.int64], NDArray[Any], int]: ...
def set_num_threads(n_threads: int | None) -> None: ...
def get_num_threads() -> int: ...
def simd_level() -> str: ...
