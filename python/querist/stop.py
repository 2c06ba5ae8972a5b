"""When a campaign has enough: rules for `ActiveLearner.run` that say why they fired.

A rule is any function from the rounds so far to a bool. Those here also combine: `a | b` fires
when either does, `a & b` when both do after the same round, and `reason` then tells why.

>>> import querist as qr
>>> qr.stop.MaxLabels(500) | qr.stop.Target("accuracy", 0.95) & qr.stop.MaxRounds(3)
(MaxLabels(500) | (Target('accuracy', 0.95) & MaxRounds(3)))

What is to be spent: `MaxLabels`, `MaxRounds`, `MaxCost`, `MaxTime`. What `validation` measures: `Target`,
`Plateau`. What the model makes of the pool, for which no label is needed beyond those in hand:
`StabilizingPredictions`, `ClassificationChange`, `OverallUncertainty`. The first two of these three stand
out in the comparison of Z. Pullar-Strecker et al., "Hitting the target: stopping active learning at the
cost-based optimum", Machine Learning 2024.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from querist._arguments import finite, number, positive
from querist._rounds import Round
from querist._rule import Rule, when
from querist._settled import ClassificationChange, OverallUncertainty, StabilizingPredictions

__all__ = [
    "ClassificationChange",
    "MaxCost",
    "MaxLabels",
    "MaxRounds",
    "MaxTime",
    "OverallUncertainty",
    "Plateau",
    "Rule",
    "StabilizingPredictions",
    "Target",
    "when",
]


class MaxLabels(Rule):
    """Stop after the round that brings the labels in hand to at least `n`.

    Examples
    --------
    >>> import querist as qr
    >>> learner = qr.ActiveLearner(lambda X: X, [[0.9, 0.1], [0.5, 0.5]], batch_size=1)
    >>> rule = qr.stop.MaxLabels(1)
    >>> len(list(learner.run(lambda indices, rows: ["cat"], stop=rule)))
    1
    >>> rule.reason
    'labels: 1 of 1'
    """

    def __init__(self, n: int) -> None:
        positive(n, "n", "label")

        def why(history: Sequence[Round]) -> str | None:
            n_labels = history[-1].n_labels
            return f"labels: {n_labels} of {n}" if n_labels >= n else None

        super().__init__(f"MaxLabels({n})", why)
        self.max_labels = int(n)


class MaxRounds(Rule):
    """Stop after round number `n`; rounds of an earlier `run` of the learner count.

    Examples
    --------
    >>> from querist import stop
    >>> stop.MaxRounds(20)
    MaxRounds(20)
    """

    def __init__(self, n: int) -> None:
        positive(n, "n", "round")

        def why(history: Sequence[Round]) -> str | None:
            number = history[-1].number
            return f"rounds: {number} of {n}" if number >= n else None

        super().__init__(f"MaxRounds({n})", why)


class MaxCost(Rule):
    """Stop after the round that brings the cost of all answers to at least `total`.

    The cost of an answer is that of the learner's `cost`, or 1.

    Examples
    --------
    >>> from querist import stop
    >>> stop.MaxCost(250.0)
    MaxCost(250.0)
    """

    def __init__(self, total: float) -> None:
        finite(total, "total", least="0 or more")

        def why(history: Sequence[Round]) -> str | None:
            cost = history[-1].total_cost
            return f"cost: {cost:.4g} of {total:.4g}" if cost >= total else None

        super().__init__(f"MaxCost({total})", why)


class MaxTime(Rule):
    """Stop after the round whose last answer came at least `seconds` after the campaign's start.

    A round under way is finished first.

    Examples
    --------
    >>> from querist import stop
    >>> stop.MaxTime(3600)
    MaxTime(3600)
    """

    def __init__(self, seconds: float) -> None:
        finite(seconds, "seconds", least="0 or more")

        def why(history: Sequence[Round]) -> str | None:
            elapsed = history[-1].elapsed
            return f"seconds: {elapsed:.4g} of {seconds:.4g}" if elapsed >= seconds else None

        super().__init__(f"MaxTime({seconds})", why)


class Target(Rule):
    """Stop when a metric of the learner's `validation` is at least `value`.

    A round before the first fit has no metrics and does not stop. After a fit, metrics that lack this name
    raise a ValueError, since it never would; so does a learner without `validation`.

    Examples
    --------
    >>> from querist import stop
    >>> stop.Target("accuracy", 0.95)
    Target('accuracy', 0.95)
    """

    def __init__(self, metric: str, value: float) -> None:
        number(value, "value")

        def why(history: Sequence[Round]) -> str | None:
            reached = _metric(history[-1], metric)
            return f"{metric}: {reached:.4g} of {value:.4g}" if reached >= value else None

        super().__init__(f"Target({metric!r}, {value})", why)


class Plateau(Rule):
    """Stop when a metric has not got better by more than `min_delta` for `patience` rounds.

    A round counts as better if it is more than `min_delta` above the best that counted before it. Rounds
    without metrics, as in the cold start, do not count; a name that the metrics lack, or a learner without
    `validation`, raises a ValueError.

    Examples
    --------
    >>> from querist import stop
    >>> stop.Plateau("accuracy", patience=5, min_delta=0.001)
    Plateau('accuracy', patience=5, min_delta=0.001)
    """

    def __init__(self, metric: str, *, patience: int, min_delta: float = 0.0) -> None:
        patience = positive(patience, "patience", "round")
        number(min_delta, "min_delta")

        def why(history: Sequence[Round]) -> str | None:
            _metric(history[-1], metric)
            best, waited = -math.inf, 0
            for value in (_metric(round, metric) for round in history if round.metrics):
                better = value > best + min_delta
                best, waited = (value, 0) if better else (best, waited + 1)
            if waited < patience:
                return None
            return f"{metric}: for {waited} rounds no better than {best:.4g}"

        super().__init__(f"Plateau({metric!r}, patience={patience}, min_delta={min_delta})", why)


def _metric(round: Round, name: str) -> float:
    """Give a metric of a round; -inf, which is never enough, if it has none at all."""
    if round.fit_seconds > 0 and not round.metrics:
        raise ValueError(f"metric: expected a learner with validation=, got no metrics with {name!r}")
    if round.metrics and name not in round.metrics:
        raise ValueError(f"metric: expected one of {list(round.metrics)}, got {name!r}")
    return round.metrics.get(name, -math.inf)
