"""Stop rules that combine, and keep why they fired."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from querist._protocols import StopRule
from querist._rounds import Round


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
    max_labels : int or None
        The labels in hand at which it fires at the latest, where that is known.

    Examples
    --------
    >>> from querist import stop
    >>> rule = stop.Rule("Never()", lambda history: None)
    >>> rule([]), rule.reason
    (False, None)
    """

    def __init__(self, name: str, why: Callable[[Sequence[Round]], str | None]) -> None:
        self.reason: str | None = None
        self.max_labels: int | None = None
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


def check_stop(rule: StopRule) -> None:
    """Raise unless it is a function; a class, as of rules, would be true of any rounds."""
    if not callable(rule) or isinstance(rule, type):
        raise TypeError(f"stop: expected a function of the rounds so far, got {rule!r}")


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
    check_stop(rule)
    name = getattr(rule, "__name__", repr(rule))
    return Rule(name, lambda history: name if rule(history) else None)


def _combined(first: Rule, sign: str, second: Rule, *, needed: int) -> Rule:
    def why(history: Sequence[Round]) -> str | None:
        # Both are asked, always: a rule may count the rounds that it sees.
        reasons = [rule.reason for rule in (first, second) if rule(history) and rule.reason]
        return " and ".join(reasons) if len(reasons) >= needed else None

    rule = Rule(f"({first} {sign} {second})", why)
    known = [each.max_labels for each in (first, second) if each.max_labels is not None]
    if len(known) >= needed:
        rule.max_labels = sorted(known)[needed - 1]
    return rule
