from collections.abc import Callable, Sequence
from typing import Any, Self, TypeAlias, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "KCenter",
    "__version__",
    "badge",
    "committee",
    "directions",
    "ensemble_variance",
    "expected_gradient_length",
    "facility_location",
    "get_num_threads",
    "gram",
    "k_means_pp",
    "knn_density",
    "linear_density",
    "nearest",
    "pairwise_density",
    "power",
    "products",
    "quantile_filter",
    "relevant",
    "score",
    "scores",
    "set_num_threads",
    "simd_level",
    "spread",
    "top_k",
    "top_scores",
    "variance_reduction",
    "variance_reduction_picks",
    "vote_scores",
    "votes",
]

__version__: str

_Quota: TypeAlias = tuple[NDArray[np.uint32], list[int]]

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
    tolerance: float | None = None,
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
def quantile_filter(
    scores: ArrayLike,
    budget: float,
    window: int,
    tolerance: float,
    past: tuple[NDArray[np.float64], int, int],
    deadline: float | None,
) -> tuple[NDArray[np.int64], NDArray[Any], tuple[NDArray[np.float64], int, int]]: ...
def top_k(
    scores: ArrayLike,
    k: int,
    available: ArrayLike | None,
    quota: _Quota | None,
    n_threads: int | None,
    deadline: float | None,
) -> tuple[NDArray[np.int64], NDArray[Any], int]: ...
def committee(
    proba: ArrayLike,
    names: Sequence[str],
    member_axis: int,
    weights: NDArray[np.float64] | None,
    out: Sequence[NDArray[Any]] | None,
    invalid: str,
    n_threads: int | None,
    deadline: float | None,
    tolerance: float | None = None,
) -> list[NDArray[Any]]: ...
def votes(
    proba: ArrayLike,
    member_axis: int,
    invalid: str,
    n_threads: int | None,
    deadline: float | None,
) -> NDArray[np.int64]: ...
def vote_scores(
    votes: ArrayLike,
    names: Sequence[str],
    member_axis: int | None,
    n_classes: int | None,
    missing: int,
    weights: NDArray[np.float64] | None,
    out: Sequence[NDArray[Any]] | None,
    n_threads: int | None,
    deadline: float | None,
) -> list[NDArray[np.float64]]: ...
def ensemble_variance(
    values: ArrayLike,
    member_axis: int | None,
    weights: NDArray[np.float64] | None,
    out: NDArray[Any] | None,
    n_threads: int | None,
    deadline: float | None,
) -> NDArray[Any]: ...
def expected_gradient_length(
    proba: ArrayLike,
    features: ArrayLike,
    bias: bool,
    squared: bool,
    out: NDArray[Any] | None,
    invalid: str,
    n_threads: int | None,
    deadline: float | None,
) -> NDArray[Any]: ...
def gram(
    features: ArrayLike,
    n_threads: int | None,
    deadline: float | None,
) -> NDArray[np.float64]: ...
def variance_reduction(
    features: ArrayLike,
    root: NDArray[np.float64],
    moment: NDArray[np.float64],
    noise: float,
    out: NDArray[Any] | None,
    n_threads: int | None,
    deadline: float | None,
) -> NDArray[Any]: ...
def variance_reduction_picks(
    features: ArrayLike,
    root: NDArray[np.float64],
    moment: NDArray[np.float64],
    noise: float,
    k: int,
    available: ArrayLike | None,
    quota: _Quota | None,
    n_threads: int | None,
    deadline: float | None,
) -> tuple[NDArray[np.int64], NDArray[np.float64], int]: ...
def linear_density(
    features: ArrayLike,
    metric: str,
    reference: ArrayLike | None,
    include_self: bool,
    shift: bool,
    out: NDArray[Any] | None,
    n_threads: int | None,
    deadline: float | None,
) -> NDArray[Any]: ...
def pairwise_density(
    features: ArrayLike,
    metric: str,
    gamma: float,
    reference: ArrayLike | None,
    own: NDArray[np.int64] | None,
    include_self: bool,
    spreads: bool,
    out: NDArray[Any] | None,
    progress: Callable[[float], object] | None,
    n_threads: int | None,
    deadline: float | None,
) -> tuple[NDArray[Any], NDArray[np.float64] | None]: ...
def products(left: ArrayLike, right: ArrayLike, n_threads: int | None) -> NDArray[np.float32]: ...
def spread(
    features: ArrayLike,
    n_threads: int | None,
    deadline: float | None,
) -> float: ...
def knn_density(
    features: ArrayLike,
    k: int,
    metric: str,
    out: NDArray[Any] | None,
    progress: Callable[[float], object] | None,
    n_threads: int | None,
    deadline: float | None,
) -> NDArray[Any]: ...
def set_num_threads(n_threads: int | None) -> None: ...
def get_num_threads() -> int: ...
def simd_level() -> str: ...

@final
class KCenter:
    def __new__(cls, given: ArrayLike, metric: str) -> Self: ...
    def add(
        self, rows: Sequence[int], outside: ArrayLike | None = None, deadline: float | None = None
    ) -> None: ...
    def pick(
        self,
        k: int,
        weights: NDArray[np.float64] | None,
        available: ArrayLike | None,
        quota: _Quota | None,
        n_threads: int | None,
        deadline: float | None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], int, int]: ...

def nearest(
    features: ArrayLike,
    picks: Sequence[int],
    metric: str,
    n_threads: int | None,
    deadline: float | None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]: ...
def power(
    scores: ArrayLike,
    k: int,
    beta: float,
    seed: int,
    available: ArrayLike | None,
    quota: _Quota | None,
    n_threads: int | None,
    deadline: float | None,
) -> tuple[NDArray[np.int64], NDArray[np.float64], int]: ...
def relevant(
    scores: NDArray[np.float64],
    features: ArrayLike,
    k: int,
    trade_off: float | None,
    labelled: Sequence[int],
    outside: ArrayLike | None,
    available: ArrayLike | None,
    quota: _Quota | None,
    n_threads: int | None,
    deadline: float | None,
) -> tuple[NDArray[np.int64], NDArray[np.float64], int, int]: ...
def k_means_pp(
    features: ArrayLike,
    k: int,
    labelled: Sequence[int],
    outside: ArrayLike | None,
    weights: NDArray[np.float64] | None,
    available: ArrayLike | None,
    quota: _Quota | None,
    seed: int,
    n_threads: int | None,
    deadline: float | None,
) -> tuple[NDArray[np.int64], NDArray[np.float64], int, int]: ...
def directions(
    features: ArrayLike,
    rows: Sequence[int],
    outside: ArrayLike | None,
    deadline: float | None,
) -> NDArray[np.float64]: ...
def badge(
    proba: ArrayLike,
    features: ArrayLike,
    k: int,
    available: ArrayLike | None,
    quota: _Quota | None,
    seed: int,
    n_threads: int | None,
    deadline: float | None,
) -> tuple[NDArray[np.int64], NDArray[np.float64], int, int]: ...
def facility_location(
    features: ArrayLike,
    k: int,
    kernel: str,
    gamma: float,
    labelled: Sequence[int],
    outside: ArrayLike | None,
    weights: NDArray[np.float64] | None,
    available: ArrayLike | None,
    quota: _Quota | None,
    n_threads: int | None,
    deadline: float | None,
) -> tuple[NDArray[np.int64], NDArray[np.float64], int, int]: ...
