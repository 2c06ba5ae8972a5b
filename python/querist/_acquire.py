"""The step from probabilities to picks: a score by name, the caller's own, or none at all."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from querist._arrays import as_array
from querist._protocols import Score, ScoreFunction
from querist._scores import ScoreName, entropy, top_scores
from querist._votes import votes
from querist.select import top_k

SCORES = ("random", "margin", "entropy", "least_confidence", "gini")

Picked: TypeAlias = tuple[NDArray[np.int64], NDArray[Any]]

CHUNK = 2**16  # rows read at once, so that what is made of them stays small


class Outlook(NamedTuple):
    """What a model makes of the whole pool: how sure it is, and of what."""

    uncertainty: float
    predictions: NDArray[np.unsignedinteger[Any]] | None


NO_OUTLOOK = Outlook(math.nan, None)


def outlook(proba: Any, available: NDArray[np.bool_]) -> Outlook:
    """Give the mean entropy of the available rows over ln c, and the likeliest column of every row."""
    array = as_array(proba, "proba")
    n, c = array.shape
    predictions = np.empty(n, np.min_scalar_type(c))  # one value is left for "none"
    total = 0.0
    for start in range(0, n, CHUNK):
        rows = slice(start, start + CHUNK)
        # A row that is not valid matters only if it can be asked, and then the score has named it.
        total += entropy(array[rows], normalize=True, invalid="nan")[available[rows]].sum(dtype=np.float64)
        predictions[rows] = votes(array[None, rows], invalid="nan")[0]
    return Outlook(float(total / np.count_nonzero(available)), predictions)


def check_score(score: Score) -> None:
    """Raise unless `score` is a function or one of `SCORES`."""
    if not callable(score) and score not in SCORES:
        raise ValueError(f"score: expected a function or one of {SCORES}, got {score!r}")


def draw(k: int, *, available: NDArray[np.bool_], generator: np.random.Generator) -> Picked:
    """Give k of the available rows at random, scored NaN."""
    candidates = np.flatnonzero(available).astype(np.int64)
    return generator.choice(candidates, k, replace=False), np.full(k, np.nan)


def acquire(proba: Any, k: int, *, score: ScoreName | ScoreFunction, available: NDArray[np.bool_]) -> Picked:
    """Give the k best available rows and their scores, or fewer if it scores some NaN."""
    if not callable(score):
        return top_scores(proba, k, score=score, available=available)
    name = f"score {getattr(score, '__name__', type(score).__name__)}"
    scores = as_array(score(proba), name)
    if scores.shape != available.shape:
        raise ValueError(
            f"{name}: expected an array of shape ({len(available)},), one number for each row of "
            f"the pool, got shape {scores.shape}"
        )
    scored = available & ~np.isnan(scores)
    if not scored.any():
        raise ValueError(f"{name}: expected a number for some available row, got NaN for each")
    return top_k(scores, min(k, int(np.count_nonzero(scored))), available=scored)
