"""Every formula of querist, the slow obvious way.

`SCORES` is the table: one row per score. The generic tests are parametrised over it, so that a new
score is tested for dtypes, layouts, threads, levels, NaN and accuracy by adding its row here.

Two references stand side by side: the formula in float64 numpy, and the exact value of the stored
numbers in mpmath, against which accuracy is counted in ULP.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from heapq import nlargest

import ml_dtypes
import numpy as np
from mpmath import mp, mpf

FLOATS = [
    np.dtype(np.float16),
    np.dtype(ml_dtypes.bfloat16),
    np.dtype(np.float32),
    np.dtype(np.float64),
]
TOLERANCE = {"float16": 5e-3, "bfloat16": 5e-2, "float32": 1e-3, "float64": 1e-3}
MAPPED = {"float16": np.float32, "bfloat16": np.float32, "float32": np.float32}
MAPPED |= {"float64": np.float64}


@dataclass(frozen=True, slots=True)
class Score:
    """One score: its formula on a pool, the terms it sums on one exact row, its largest value."""

    name: str
    of_proba: Callable[[np.ndarray], np.ndarray]
    terms: Callable[[list[mpf]], list[mpf]]
    largest: Callable[[int], float]
    fused: bool
    """Its way from probabilities uses multiply-add, so the baseline level may differ."""

    def of_logits(self, logits: np.ndarray) -> np.ndarray:
        return self.of_proba(softmax(logits))

    def __str__(self) -> str:
        return self.name


def softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def entropy(proba: np.ndarray) -> np.ndarray:
    logs = np.log(proba, out=np.zeros_like(proba), where=proba > 0)
    return -(proba * logs).sum(axis=1) + 0.0


def margin(proba: np.ndarray) -> np.ndarray:
    first, second = two_largest(proba)
    return (1 - first) + second


def least_confidence(proba: np.ndarray) -> np.ndarray:
    return 1 - proba.max(axis=1)


def gini(proba: np.ndarray) -> np.ndarray:
    first, others = proba.max(axis=1), np.sort(proba, axis=1)[:, :-1]
    return (1 - first) * (1 + first) - (others**2).sum(axis=1)


def two_largest(proba: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with_a_zero = np.concatenate([proba, np.zeros((len(proba), 1))], axis=1)
    ordered = np.sort(with_a_zero, axis=1)
    return ordered[:, -1], ordered[:, -2]


@lru_cache(2**17)
def minus_p_ln_p(p: mpf, precision: int) -> mpf:
    with mp.workprec(precision):
        return -p * mp.log(p) if p > 0 else mpf(0)


def entropy_terms(row: list[mpf]) -> list[mpf]:
    return [minus_p_ln_p(p, mp.prec) for p in row]


def margin_terms(row: list[mpf]) -> list[mpf]:
    second, first = nlargest(2, [*row, mpf(0)])[::-1]
    return [1 - first, second]


def least_confidence_terms(row: list[mpf]) -> list[mpf]:
    return [1 - max(row)]


def gini_terms(row: list[mpf]) -> list[mpf]:
    first = max(row)
    chosen = row.index(first)
    others = row[:chosen] + row[chosen + 1 :]
    return [(1 - first) * (1 + first), *(-p * p for p in others)]


SCORES = [
    Score("entropy", entropy, entropy_terms, lambda c: float(np.log(c)), fused=True),
    Score("margin", margin, margin_terms, lambda c: float(c > 1), fused=False),
    Score(
        "least_confidence",
        least_confidence,
        least_confidence_terms,
        lambda c: 1 - 1 / c,
        fused=False,
    ),
    Score("gini", gini, gini_terms, lambda c: 1 - 1 / c, fused=True),
]
NAMES = [score.name for score in SCORES]


@dataclass(frozen=True, slots=True)
class Exact:
    """The true value for one row of stored numbers, and the sum of its terms' magnitudes."""

    value: mpf
    magnitude: mpf

    def error_in_ulp(self, got: float, dtype: np.dtype) -> float:
        """|got - true| in units in the last place that `dtype` has at the true value."""
        return float(abs(mpf(float(got)) - self.value) / ulp(self.value, dtype))


def exact(score: Score, row: np.ndarray) -> Exact:
    """The score of one row of probabilities, to 200 bits."""
    with mp.workprec(200):
        terms = score.terms([mpf(float(p)) for p in row])
        return Exact(mp.fsum(terms), mp.fsum(terms, absolute=True))


def exact_of_logits(score: Score, row: np.ndarray) -> Exact:
    """The score of one row of logits: a plain softmax, with bits to spare for cancellation."""
    proba, precision = exact_softmax(tuple(map(float, row)))
    with mp.workprec(precision):
        terms = score.terms(proba)
        return Exact(mp.fsum(terms), mp.fsum(terms, absolute=True))


@lru_cache(1000)
def exact_softmax(logits: tuple[float, ...]) -> tuple[list[mpf], int]:
    top = max(logits)
    spread = max(top - z for z in logits if z > -float("inf"))
    precision = 300 + int(3 * min(spread, 800))
    with mp.workprec(precision):
        weights = [mp.exp(mpf(z) - mpf(top)) if z > -float("inf") else mpf(0) for z in logits]
        total = mp.fsum(weights)
        return [w / total for w in weights], precision


def ulp(value: mpf, dtype: np.dtype) -> mpf:
    """The spacing of `dtype` at `value`; below the normal numbers, the smallest subnormal."""
    info = np.finfo(dtype)
    exponent = int(mp.frexp(value)[1]) - 1 if value else info.minexp
    return mp.ldexp(1, max(exponent, info.minexp) - info.nmant)


def top_k(scores: np.ndarray, k: int, available: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Descending by score, ascending by index, NaN never: `(indices, values)`."""
    pickable = np.arange(len(scores)) if available is None else np.asarray(available)
    if pickable.dtype == bool:
        pickable = np.flatnonzero(pickable)
    in_order = sorted(
        (int(i) for i in pickable if not np.isnan(scores[i])),
        key=lambda i: (-float(scores[i]), i),
    )
    indices = np.array(in_order[:k], dtype=np.int64)
    return indices, scores[indices]


def dirichlet(n: int, c: int, dtype: np.dtype = np.float64, *, alpha: float = 0.5, seed: int = 0):
    """Return n rows of c probabilities, rounded to `dtype`, each valid for it."""
    draws = np.random.default_rng(seed).gamma(alpha, size=(n, c)) + 1e-30
    return (draws / draws.sum(axis=1, keepdims=True)).astype(dtype)


def bits(array: np.ndarray) -> bytes:
    """The bytes of the values in order: NaN equals NaN, and +0.0 differs from -0.0."""
    return np.asarray(array, order="C").tobytes()
