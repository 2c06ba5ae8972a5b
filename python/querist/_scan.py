"""One pass of the model over the pool: a score for each row, and what the model makes of the whole."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from querist._arrays import as_array
from querist._committee import committee_scores
from querist._model import CheckedModel, consensus
from querist._pool import Pool
from querist._protocols import Score
from querist._scores import entropy
from querist._scores import scores as scores_of
from querist._votes import votes

OF_ROWS = {"margin", "entropy", "least_confidence", "gini"}
OF_VOTES = ("vote_entropy", "variation_ratio")
OF_COMMITTEES = (
    "bald",
    "max_disagreement",
    "consensus_entropy",
    "consensus_margin",
    "consensus_least_confidence",
    *OF_VOTES,
)
SCORES = ("random", *sorted(OF_ROWS), *OF_COMMITTEES, "variance")


class Scan(NamedTuple):
    """What came of the pass: the scores if one was asked for, and what a `Round` tells of the model."""

    scores: NDArray[Any] | None
    uncertainty: float
    predictions: NDArray[np.unsignedinteger[Any]] | None
    proba: NDArray[Any] | None = None  # of the margin, where the model gave all rows at once


def check_score(score: Score | None) -> None:
    """Raise unless `score` is None, a function or one of `SCORES`."""
    if not (score is None or callable(score) or score in SCORES):
        raise ValueError(f"score: expected a function or one of {SCORES}, got {score!r}")


def scan(
    model: CheckedModel,
    pool: Pool,
    score: Score | None,
    available: NDArray[np.bool_],
    keep: list[NDArray[Any]] | None = None,
) -> Scan:
    """Predict and score each row, a chunk at a time; only the available rows must be valid.

    The consensus of each chunk is added to `keep`.
    """
    n = len(pool)
    scores: NDArray[Any] | None = None
    whole: NDArray[Any] | None = None
    predictions: NDArray[np.unsignedinteger[Any]] | None = None
    total = 0.0
    for rows, X in pool.chunks():
        size = rows.stop - rows.start
        if score == "variance":
            part: NDArray[Any] | None = model.variance(X, size)
            total = math.nan
        else:
            asked = partial(model.members, votes=score in OF_VOTES) if score in OF_COMMITTEES else model.proba
            proba = as_array(asked(X, size), model.name)
            mean = consensus(proba)
            if keep is not None:
                keep.append(mean)
            names = ["entropy", *({score} & OF_ROWS - {"entropy"})]
            found = scores_of(mean, cast(Any, names), invalid="nan")  # all in one read
            entropies = float(found["entropy"][available[rows]].sum(dtype=np.float64))
            total += entropies / math.log(mean.shape[1])
            part = found.get(cast(Any, score))
            if score is not None and part is None:
                part = _scored(proba, score)
            if math.isnan(entropies) and score in OF_ROWS:  # a row that is not valid makes it so
                _check_valid(mean, np.isnan(found["entropy"]) & available[rows], rows.start, model.name)
            elif part is not None and score in OF_COMMITTEES:
                _check_valid(proba, np.isnan(part) & available[rows], rows.start, model.name)
            if predictions is None:
                # One value more than there are classes: for a row that is not valid.
                predictions = np.empty(n, np.min_scalar_type(mean.shape[1]))
            predictions[rows] = votes(mean[None], invalid="nan")[0]
            whole = mean if score == "margin" and size == n else None
        if part is not None and size == n:
            scores = part
        elif part is not None:
            if scores is None:
                scores = np.empty(n, part.dtype)
            scores[rows] = part
    # Where a row that can be asked is no distribution, which a score function may take, nothing is predicted.
    known = None if math.isnan(total) else predictions
    return Scan(scores, total / np.count_nonzero(available), known, whole)


def _scored(proba: NDArray[Any], score: Score) -> NDArray[Any]:
    if not callable(score):
        name = cast(Any, score)
        return committee_scores(proba, [name], invalid="nan")[name]
    n = proba.shape[-2]
    name = f"score {getattr(score, '__name__', type(score).__name__)}"
    scores = as_array(score(proba), name)
    if scores.shape != (n,):
        raise ValueError(
            f"{name}: expected an array of shape ({n},), one number for each row of the pool, got shape "
            f"{scores.shape}"
        )
    if scores.dtype.kind not in "biuf":
        raise TypeError(f"{name}: expected numbers, got {scores.dtype}")
    return scores if scores.dtype.kind == "f" else scores.astype(np.float64)


def _check_valid(proba: NDArray[Any], unfit: NDArray[np.bool_], start: int, name: str) -> None:
    """Raise what the core finds of the first row that could be asked but is not valid."""
    if not unfit.any():
        return
    row = int(unfit.argmax())
    alone = proba[..., row : row + 1, :]
    try:
        entropy(alone) if proba.ndim == 2 else committee_scores(alone, ["consensus_entropy"])
    except ValueError as error:
        # Its row is that of one alone, and its advice is of arguments that the loop does not have.
        found = str(error).removeprefix("proba: row 0 ").partition("; ")[0].partition(": normalise")[0]
        raise ValueError(
            f"{name}: row {start + row} of the pool {found}; return the probabilities of classes, which sum "
            "to 1, as the softmax of logits does; for labels that are independent pass a function as score="
        ) from None
