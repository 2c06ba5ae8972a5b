"""When a campaign has enough: rules for `ActiveLearner.run` that say why they fired.

A rule is any function from the rounds so far to a bool. Those here also combine: `a | b` fires
when either does, `a & b` when both do after the same round, and `reason` then tells why.

>>> import querist as qr
>>> qr.stop.MaxLabels(500) | qr.stop.Target("accuracy", 0.95) & qr.stop.MaxRounds(3)
(MaxLabels(500) | (Target('accuracy', 0.95) & MaxRounds(3)))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from querist._protocols import StopRule
from querist._rounds import Round

__all__ = ["MaxLabels", "MaxRounds", "Rule", "Target", "when"]


class Rule:
    """A stop rule that combines with others and keeps its reason.

    Parameters
    ----------
    name : str
        The expression that makes it, for `repr`.
    why : callable
        From the rounds so far, at least one, to the reason to stop, or None to go on.

    Attributes
    ----------
    reason : str or None
        Why it fired when last asked; None if it did not.

    Examples
    --------
    >>> from querist import stop
    >>> rule = stop.Rule("Never()", lambda history: None)
    >>> rule([]), rule.reason
    (False, None)
    """

    def __init__(self, name: str, why: Callable[[Sequence[Round]], str | None]) -> None:
        self.reason: str | None = None
        self._name = name
        self._why = why

    def __call__(self, history: Sequence[Round]) -> bool:
        """Tell whether to stop; never before the first round."""
        self.reason = self._why(history) if history else None
        return self.reason is not None

    def __or__(self, other: StopRule) -> Rule:
        return _combined(self, "|", when(other), needed=1)

    def __ror__(self, other: StopRule) -> Rule:
        return _combined(when(other), "|", self, needed=1)

    def __and__(self, other: StopRule) -> Rule:
        return _combined(self, "&", when(other), needed=2)

    def __rand__(self, other: StopRule) -> Rule:
        return _combined(when(other), "&", self, needed=2)

    def __repr__(self) -> str:
        return self._name


def when(rule: StopRule) -> Rule:
    """Give a plain function the operators `|` and `&`, with its name for a reason.

    Examples
    --------
    >>> from querist import stop
    >>> @stop.when
    ... def slow(history):
    ...     return history[-1].fit_seconds > 60
    >>> stop.MaxRounds(20) | slow
    (MaxRounds(20) | slow)
    """
    if isinstance(rule, Rule):
        return rule
    name = getattr(rule, "__name__", repr(rule))
    return Rule(name, lambda history: name if rule(history) else None)


def _combined(first: Rule, sign: str, second: Rule, *, needed: int) -> Rule:
    def why(history: Sequence[Round]) -> str | None:
        # Both are asked, always: a rule may count the rounds that it sees.
        reasons = [rule.reason for rule in (first, second) if rule(history) and rule.reason]
        return " and ".join(reasons) if len(reasons) >= needed else None

    return Rule(f"({first} {sign} {second})", why)


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
        def why(history: Sequence[Round]) -> str | None:
            n_labels = history[-1].n_labels
            return f"labels: {n_labels} of {n}" if n_labels >= n else None

        super().__init__(f"MaxLabels({n})", why)


class MaxRounds(Rule):
    """Stop after round number `n`; rounds of an earlier `run` of the learner count.

    Examples
    --------
    >>> from querist import stop
    >>> stop.MaxRounds(20)
    MaxRounds(20)
    """

    def __init__(self, n: int) -> None:
        def why(history: Sequence[Round]) -> str | None:
            number = history[-1].number
            return f"rounds: {number} of {n}" if number >= n else None

        super().__init__(f"MaxRounds({n})", why)


class Target(Rule):
    """Stop when a metric of the learner's `validation` is at least `value`.

    A round without metrics, as in the cold start, does not stop; one whose metrics lack this
    name raises a ValueError, since it never would.

    Examples
    --------
    >>> from querist import stop
    >>> stop.Target("accuracy", 0.95)
    Target('accuracy', 0.95)
    """

    def __init__(self, metric: str, value: float) -> None:
        def why(history: Sequence[Round]) -> str | None:
            metrics = history[-1].metrics
            if metrics and metric not in metrics:
                raise ValueError(f"metric: expected one of {list(metrics)}, got {metric!r}")
            reached = metrics.get(metric, float("-inf"))
            return f"{metric}: {reached:.4g} of {value:.4g}" if reached >= value else None

        super().__init__(f"Target({metric!r}, {value})", why)
