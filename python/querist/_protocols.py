"""What a campaign takes from outside: a model, a score, an oracle, a stop rule.

None of them needs to know querist: anything of the right shape will do.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from querist._committee import CommitteeName
from querist._scores import ScoreName

if TYPE_CHECKING:
    from querist._rounds import Round


class Classifier(Protocol):
    """A model that learns: scikit-learn's two methods, and nothing more of it."""

    def fit(self, X: Any, y: Any, /) -> Any:
        """Learn from rows and their labels."""

    def predict_proba(self, X: Any, /) -> Any:
        """Give (n, c) class probabilities, one row for each row of `X`."""


Label: TypeAlias = Hashable
Labels: TypeAlias = Sequence[Label] | NDArray[Any]
Indices: TypeAlias = Sequence[int] | NDArray[np.integer[Any]]


class Regressor(Protocol):
    """A model of numbers: it takes `return_std=True`, or is one of several."""

    def fit(self, X: Any, y: Any, /) -> Any:
        """Learn from rows and their numbers."""

    def predict(self, X: Any, /) -> Any:
        """Give one number for each row of `X`."""


Model: TypeAlias = Classifier | Regressor | Callable[[Any], Any] | Sequence[Any]
"""A model, a list of them, or a callable from X to (n, c) or (m, n, c) probabilities."""

ScoreFunction: TypeAlias = Callable[[Any], Any]
"""From (n, c) or (m, n, c) probabilities to (n,) scores, larger means ask first."""

Score: TypeAlias = Literal["random", "variance"] | ScoreName | CommitteeName | ScoreFunction

Oracle: TypeAlias = Callable[[NDArray[np.int64], Any], "Labels | Iterator[tuple[int, Label]]"]
"""From pool indices and their rows to one label (or `querist.ABSTAIN`) for each, or to an iterator of
(index, label): what takes its time, as a person does, gives each answer as it comes."""

StopRule: TypeAlias = "Callable[[Sequence[Round]], bool]"
"""From the rounds so far, at least one, to whether they are enough."""

Validation: TypeAlias = tuple[Any, Any] | Callable[[Any], Mapping[str, float]]
"""Rows and their true labels, or a function from the fitted model to named metrics."""

Retrain: TypeAlias = Mapping[Literal["rounds", "labels"], int]
"""How much must be new before the model is fitted again; what is reached first decides."""

WarmAt: TypeAlias = Mapping[Literal["labels", "per_class"], int]
"""How much must be in hand before the model is fitted: labels in all, and of each class it is to know."""
