"""Every public function of querist, and how to call it on a pool that is drawn.

`FUNCTIONS` is the table: a row for each function and each of its ways through the core. The tests of
`test_functions.py` and `test_arrays.py` run over it, so that a new function is tested for layouts, threads,
narrow floats, NaN, order, emptiness and foreign arrays by adding its row here; without one a test fails.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import querist as qr
from reference import NAMES
from reference_kernels import COMMITTEE, LINEAR, QUADRATIC, VOTES

NAN, INF = math.nan, math.inf
BAD = (NAN, INF, -INF)

# Public, but none of them takes an array of numbers for each row of a pool.
NO_ARRAYS = {
    "ActiveLearner": "a loop around a model: test_learner.py",
    "Answer": "a record of the loop",
    "Balance": "a strategy's option: test_strategies.py",
    "Batch": "a record of the loop",
    "ClassStarvedWarning": "a warning",
    "Context": "what the loop tells a strategy: test_strategies.py",
    "JournalError": "an error",
    "Picks": "what a selection returns",
    "PoolExhausted": "an error",
    "Round": "a record of the loop",
    "Simulation": "a record of simulate",
    "get_num_threads": "takes nothing",
    "set_num_threads": "takes a number: test_guest.py",
    "show_config": "takes nothing",
    "simulate": "a loop around a model: test_simulate.py",
}


@dataclass(frozen=True, slots=True)
class Pool:
    """What arguments are made of: n rows of c classes and d features, in one float type, from one seed."""

    n: int
    c: int = 3
    d: int = 4
    dtype: np.dtype | type = np.float64
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of array: how it is made, and what becomes of a number in it that is not finite."""

    make: Callable[[Pool, np.random.Generator], np.ndarray]
    axis: int | None = None
    """Which axis is that of the pool's rows, if one is."""
    allowed: dict[float, Callable[[Any, int], bool]] = field(default_factory=dict)
    """Numbers that are not finite and yet not refused, and what the answer is then to hold of that row."""


def probabilities(pool: Pool, rng: np.random.Generator, *members: int) -> np.ndarray:
    """Make rows that float16 and bfloat16 hold exactly: shares of 64, in these types."""
    shares = rng.dirichlet(np.full(pool.c, 0.5), (*members, pool.n))
    if np.dtype(pool.dtype).itemsize == 2:
        shares = rng.multinomial(64, shares) / 64
    return shares.astype(pool.dtype)


def normal(pool: Pool, rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.normal(size=shape).astype(pool.dtype)


def positive(pool: Pool, rng: np.random.Generator, size: int) -> np.ndarray:
    return rng.uniform(0.1, 1, size).astype(pool.dtype)


def never_picked(answer: qr.Picks, row: int) -> bool:
    return row not in answer.indices


def picked_first(answer: qr.Picks, row: int) -> bool:
    return answer.indices[0] == row


def nan_itself(answer: np.ndarray, row: int) -> bool:
    return np.isnan(answer).nonzero()[0].tolist() == [row]


def infinite(answer: np.ndarray, row: int) -> bool:
    return np.isinf(answer).nonzero()[0].tolist() == [row]


def a_number(answer: Any, row: int) -> bool:
    return all(np.isfinite(part).all() for part in parts(answer))


MEMBERS = 3
PROBA = Kind(probabilities, axis=0)
LOGITS = Kind(lambda pool, rng: normal(pool, rng, pool.n, pool.c) * 4, axis=0, allowed={-INF: a_number})
COMMITTEES = Kind(lambda pool, rng: probabilities(pool, rng, MEMBERS), axis=1)
MEMBER_WEIGHTS = Kind(lambda pool, rng: positive(pool, rng, MEMBERS))
CLASSES = Kind(lambda pool, rng: rng.integers(0, 4, (MEMBERS, pool.n)), axis=1)
VALUES = Kind(lambda pool, rng: normal(pool, rng, MEMBERS, pool.n), axis=1)
FEATURES = Kind(lambda pool, rng: normal(pool, rng, pool.n, pool.d), axis=0)
OUTSIDE = Kind(lambda pool, rng: normal(pool, rng, 3, pool.d))
WORTH = Kind(lambda pool, rng: positive(pool, rng, pool.n), axis=0)
WORTH_OR_NAN = Kind(WORTH.make, axis=0, allowed={NAN: never_picked})
SCORES_OR_NAN = Kind(lambda pool, rng: normal(pool, rng, pool.n), axis=0, allowed={NAN: never_picked})
ANY_SCORES = Kind(
    SCORES_OR_NAN.make, axis=0, allowed={NAN: never_picked, INF: picked_first, -INF: never_picked}
)
PRODUCT_SCORES = Kind(SCORES_OR_NAN.make, axis=0, allowed={NAN: nan_itself, INF: infinite, -INF: infinite})
PRODUCT_DENSITY = Kind(WORTH.make, axis=0, allowed={INF: infinite})
# A fifth of the rows is picked, at most half of them of each of two groups; an eighth is labelled, another is
# not available, so that each group has enough.
GROUPS = Kind(lambda pool, _: np.arange(pool.n) % 2, axis=0)
AVAILABLE = Kind(lambda pool, _: np.arange(pool.n) % 8 != 7, axis=0)
ROWS = Kind(lambda pool, _: np.arange(6, pool.n, 8))
PICKED = Kind(lambda pool, rng: rng.permutation(pool.n)[: (pool.n + 4) // 5])
ROW_NUMBERS = (ROWS, PICKED)


@dataclass(frozen=True, slots=True)
class Function:
    """One way to call one function: its arrays by their arguments, and its options."""

    name: str
    arrays: dict[str, Kind]
    options: dict[str, Any] = field(default_factory=dict)
    call: Callable[..., Any] | None = None
    """How to call it, if not by its name with arrays and options."""
    streams: bool = False
    """Its members come from an iterator."""
    many: int = 50_000
    """Rows that take several threads, if there are 8 classes and features."""
    exact: bool = True
    """The rows in another order have the same bits; if not, sums over the pool round in another way."""
    in_order: str = ""
    """Why the rows in another order give another answer, if they do."""
    wide_only: str = ""
    """Why float16 and bfloat16 are not what their float32 images are, if they are not."""
    refuses: tuple[str, ...] = ("", "")
    """The argument that is named when there are no rows, or one, if there is no answer then."""

    def __str__(self) -> str:
        given = [f"{name}={value}" for name, value in self.options.items() if isinstance(value, str | bool)]
        given += [name for name, kind in self.arrays.items() if kind in (*ROW_NUMBERS, OUTSIDE)]
        return f"{self.name}({', '.join(given)})"

    @property
    def function(self) -> Callable[..., Any]:
        return find(self.name)

    @property
    def takes(self) -> set[str]:
        """The parameters of its signature; a selector's are those of its pick."""
        function = self.function
        return set(inspect.signature(function.pick if inspect.isclass(function) else function).parameters)

    def make(self, pool: Pool) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(pool.seed)
        return {argument: kind.make(pool, rng) for argument, kind in self.arrays.items()}

    def __call__(self, arrays: dict[str, Any], n: int, **options: Any) -> Any:
        if self.streams:
            arrays = arrays | {"proba": iter(list(arrays["proba"]))}
        if "k" in self.takes:
            options = {"k": n // 5} | options
        return (self.call or self.function)(**arrays, **self.options | options)


def find(name: str) -> Callable[..., Any]:
    found = qr
    for part in name.split("."):
        found = getattr(found, part)
    return found


def parts(answer: Any) -> list[np.ndarray]:
    """Give the arrays that an answer is made of."""
    if isinstance(answer, dict):
        return list(answer.values())
    return list(answer) if isinstance(answer, tuple) else [answer]


def pick_of_selector(features, labeled, indices, *, k, **options) -> qr.Picks:
    selector = qr.select.KCenter(features, labeled=labeled)
    selector.add(indices)
    return selector.pick(k, **options)


def pick_of_stream(scores, *, budget, **options) -> qr.Picks:
    return qr.select.QuantileFilter(budget).pick(scores, **options)


OF_ROWS = {"labeled": ROWS, "available": AVAILABLE, "groups": GROUPS}
FROM_OUTSIDE = {"labeled": OUTSIDE}
HALF = {"quota": 0.5}
SEEDED = HALF | {"seed": 7}
DRAWN = "the random number of a row is that of its place"
TIED = "two rows that cover nothing but each other bring the same"
ONE_OF_EACH = "its members are float32 or float64"


def selections(name: str, arrays: dict[str, Kind], options: dict[str, Any], **more: Any) -> list[Function]:
    """Give a row that labels rows of the pool, and one that labels rows from outside it."""
    return [
        Function(name, arrays | OF_ROWS, options | HALF, **more),
        Function(name, arrays | FROM_OUTSIDE, options, **more),
    ]


FUNCTIONS = [
    *(Function(name, {"proba": PROBA}) for name in NAMES),
    *(Function(name, {"proba": LOGITS}, {"from_logits": True}) for name in NAMES),
    Function("scores", {"proba": PROBA}, {"names": NAMES}),
    Function("top_scores", {"proba": PROBA, "available": AVAILABLE}),
    Function("top_scores", {"proba": LOGITS}, {"from_logits": True, "score": "margin"}),
    *(
        Function(name, {"proba": COMMITTEES, "weights": MEMBER_WEIGHTS})
        for name in COMMITTEE
        if name not in VOTES
    ),
    Function(
        "committee_scores", {"proba": COMMITTEES, "weights": MEMBER_WEIGHTS}, {"names": list(COMMITTEE)}
    ),
    Function(
        "committee_scores",
        {"proba": COMMITTEES, "weights": MEMBER_WEIGHTS},
        {"names": ["bald", "consensus_entropy"]},
        streams=True,
        wide_only=ONE_OF_EACH,
    ),
    Function("votes", {"proba": COMMITTEES}),
    *(Function(name, {"votes": CLASSES, "weights": MEMBER_WEIGHTS}, many=140_000) for name in VOTES),
    Function("ensemble_variance", {"values": VALUES, "weights": MEMBER_WEIGHTS}, many=140_000),
    *(
        Function("information_density", {"features": FEATURES}, {"metric": metric}, exact=False, many=n)
        for names, n in ((LINEAR, 50_000), (QUADRATIC, 500))
        for metric in names
    ),
    *(
        Function(
            "information_density",
            {"features": FEATURES, "reference": OUTSIDE},
            {"metric": metric},
            exact=metric != "rbf",  # whose gamma is made of the variance of the pool
        )
        for metric in (*LINEAR, *QUADRATIC)
    ),
    *(
        Function(
            "information_density",
            {"features": FEATURES},
            {"metric": metric, "include_self": False},
            exact=False,
            many=n,
            refuses=("", "include_self"),
        )
        for metric, n in (("cosine", 50_000), ("euclidean", 500))
    ),
    Function(
        "information_density",
        {"features": FEATURES},
        {"metric": "rbf", "sample": 4, "seed": 7},
        in_order="the sample is drawn by place",
        many=30_000,
        refuses=("sample", "sample"),
    ),
    *(
        Function(
            "knn_density",
            {"features": FEATURES},
            {"metric": metric},
            many=500,
            exact=False,
            refuses=("k", "k"),
        )
        for metric in ("euclidean", "cosine")
    ),
    Function(
        "density_weighted",
        {"scores": PRODUCT_SCORES, "density": PRODUCT_DENSITY},
        {"beta": 0.5},
        wide_only="its answer is of the dtype that numpy gives the product",
    ),
    Function("expected_gradient_length", {"proba": PROBA, "features": FEATURES}),
    *(
        Function(name, {"features": FEATURES, "labeled": kind}, exact=False)
        for name in ("variance_reduction", "select.variance_reduction")
        for kind in (ROWS, OUTSIDE)
    ),
    Function("select.variance_reduction", {"features": FEATURES} | OF_ROWS, HALF, exact=False),
    Function("select.top_k", {"scores": ANY_SCORES}, many=1_200_000),
    Function("select.top_k", {"scores": ANY_SCORES, "available": AVAILABLE, "groups": GROUPS}, HALF),
    Function(
        "select.power",
        {"scores": WORTH_OR_NAN, "available": AVAILABLE, "groups": GROUPS},
        SEEDED,
        in_order=DRAWN,
        many=100_000,
    ),
    Function(
        "select.QuantileFilter",
        {"scores": SCORES_OR_NAN},
        {"budget": 0.2},
        call=pick_of_stream,
        in_order="a stream goes by in its order",
    ),
    *selections(
        "select.k_means_pp", {"features": FEATURES, "weights": WORTH_OR_NAN}, {"seed": 7}, in_order=DRAWN
    ),
    Function(
        "select.badge",
        {"proba": PROBA, "features": FEATURES, "available": AVAILABLE, "groups": GROUPS},
        SEEDED,
        in_order=DRAWN,
    ),
    *selections("select.mmr", {"scores": SCORES_OR_NAN, "features": FEATURES}, {}),
    *selections("select.ranked_batch", {"scores": SCORES_OR_NAN, "features": FEATURES}, {}),
    *selections("select.k_center", {"features": FEATURES, "weights": WORTH_OR_NAN}, {}),
    *selections("select.k_center", {"features": FEATURES}, {"metric": "cosine"}),
    Function(
        "select.KCenter",
        {"features": FEATURES, "weights": WORTH_OR_NAN, "indices": ROWS} | OF_ROWS | FROM_OUTSIDE,
        HALF,
        call=pick_of_selector,
    ),
    *(
        Function(
            "select.coverage",
            {"features": FEATURES, "picks": PICKED},
            {"metric": metric},
            many=3000,
            refuses=("picks", ""),
        )
        for metric in ("euclidean", "cosine")
    ),
    *(
        function
        for kernel in ("rbf", "cosine")
        for function in selections(
            "select.facility_location",
            {"features": FEATURES, "weights": WORTH},
            {"kernel": kernel},
            exact=False,
            many=1000,
        )
    ),
    *selections("select.max_herding", {"features": FEATURES}, {}, in_order=TIED, many=1000),
    *selections(
        "select.uncertainty_herding", {"scores": WORTH, "features": FEATURES}, {}, exact=False, many=1000
    ),
]
