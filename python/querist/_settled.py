"""Stop rules that look at what the model makes of the pool: it may have made up its mind.

They need no label beyond those in hand. What they look at, `Round.predictions` and `Round.uncertainty`, is
of the model that picked the round, so they fire one round after it was there to be seen; rounds picked at
random tell them nothing, nor do rounds without a fit in between. Where several annotators hold batches that
one model picked, that model is taken for two which agree: there a window should be longer than they are
many. With a strategy that asks no model for probabilities they cannot fire, and warn once. Predictions are
in no journal: in a resumed campaign the two that compare models begin anew, and warn.
"""

from __future__ import annotations

import math
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from querist._arguments import number, positive
from querist._rounds import Round
from querist._rule import Rule

Predictions: TypeAlias = NDArray[np.unsignedinteger[Any]]


SILENT = 3  # rounds in a row that tell nothing of a fitted model, before a rule warns


class _ModelRule(Rule):
    """A rule that has nothing to go by where no pick asks the model."""

    _has_warned = False
    _pairs: _Successive | None = None  # where it compares models

    def __call__(self, history: Sequence[Round]) -> bool:
        if self._pairs is not None and self._pairs.has_missed(history):
            warnings.warn(
                f"{self}: begins anew after {len(history)} rounds, as what models predicted is not kept, in "
                "no journal either; where a campaign is resumed again before it could fire, it never does",
                stacklevel=2,
            )
        if not self._has_warned and _asks_no_model(history):
            self._has_warned = True
            warnings.warn(
                f"{self}: cannot fire while no pick asks the model for probabilities, as none of the last "
                f"{SILENT} rounds did",
                stacklevel=2,
            )
        return super().__call__(history)


class StabilizingPredictions(_ModelRule):
    """Stop when successive models agree: mean Cohen kappa of at least `kappa` over `window` changes of model.

    Each model is compared with the one before by what they predict for every row of the pool, which serves as
    the paper's stop set.

    Parameters
    ----------
    kappa : float, default 0.99
        The mean to reach. A smaller one stops earlier.
    window : int, default 3
        The successive pairs of models in the mean.

    Notes
    -----
    kappa = (p_o - p_e) / (1 - p_e), where p_o is the share of rows on which both agree, and p_e what it
    would be for independent models of their class shares. It is not defined, and does not stop, where both
    models predict one and the same class throughout. O(n + c) time a round; the newest predictions are
    kept.

    References
    ----------
    M. Bloodgood and K. Vijay-Shanker, "A method for stopping active learning based on stabilizing
    predictions and the need for user-adjustable stopping", CoNLL 2009. J. Cohen, "A coefficient of
    agreement for nominal scales", Educational and Psychological Measurement 1960.

    Examples
    --------
    >>> from querist import stop
    >>> stop.StabilizingPredictions() | stop.MaxLabels(500)
    (StabilizingPredictions(kappa=0.99, window=3) | MaxLabels(500))
    """

    def __init__(self, kappa: float = 0.99, window: int = 3) -> None:
        number(kappa, "kappa")
        window = positive(window, "window", "round")
        pairs = _Successive(lambda before, now, _: _kappa(before, now), window)

        def why(history: Sequence[Round]) -> str | None:
            kappas = pairs.up_to(history)
            mean = sum(kappas) / window if len(kappas) == window else math.nan
            rounds = "round" if window == 1 else "rounds"
            return (
                f"mean kappa {mean:.4g} over {window} {rounds}, at least {kappa:.4g}"
                if mean >= kappa
                else None
            )

        super().__init__(f"StabilizingPredictions(kappa={kappa}, window={window})", why)
        self._pairs = pairs


class ClassificationChange(_ModelRule):
    """Stop when two successive models predict the same for every row that is still to be asked about.

    Notes
    -----
    Rows of earlier batches are left out; rows whose labels came from outside of batches are not. O(n) time
    a round; the newest predictions are kept.

    References
    ----------
    J. Zhu, H. Wang and E. Hovy, "Multi-criteria-based strategy to stop active learning for data annotation",
    COLING 2008.

    Examples
    --------
    >>> from querist import stop
    >>> stop.ClassificationChange()
    ClassificationChange()
    """

    def __init__(self) -> None:
        pairs = _Successive(_unchanged, 1)

        def why(history: Sequence[Round]) -> str | None:
            return "no prediction changed" if any(pairs.up_to(history)) else None

        super().__init__("ClassificationChange()", why)
        self._pairs = pairs


class OverallUncertainty(_ModelRule):
    """Stop when the mean entropy of the rows that could be asked about is less than `threshold`, over ln c.

    Parameters
    ----------
    threshold : float
        Of a mean from 0, all certain, to 1, no idea. What is small depends on the model, which may be far too
        sure or not nearly sure enough: look at `Round.uncertainty` of some rounds first.

    References
    ----------
    J. Zhu, H. Wang and E. Hovy, "Multi-criteria-based strategy to stop active learning for data annotation",
    COLING 2008.

    Examples
    --------
    >>> from querist import stop
    >>> stop.OverallUncertainty(0.15)
    OverallUncertainty(0.15)
    """

    def __init__(self, threshold: float) -> None:
        number(threshold, "threshold")

        def why(history: Sequence[Round]) -> str | None:
            uncertainty = history[-1].uncertainty
            return (
                f"uncertainty: {uncertainty:.4g}, under {threshold:.4g}" if uncertainty < threshold else None
            )

        super().__init__(f"OverallUncertainty({threshold})", why)


def _asks_no_model(history: Sequence[Round]) -> bool:
    """Tell whether the last rounds asked no model, though one was fitted before them."""
    before, last = history[:-SILENT], history[-SILENT:]
    silent = last[-1:] and last[-1].predictions is None and all(math.isnan(each.uncertainty) for each in last)
    return bool(silent) and any(round.fit_seconds > 0 for round in before)


class _Successive:
    """The last few comparisons of a model with the one before it, as far as there is no gap between them."""

    def __init__(
        self, compare: Callable[[Predictions, Predictions, Sequence[Round]], float], window: int
    ) -> None:
        self._compare = compare
        self._values: deque[float] = deque(maxlen=window)
        self._last = "", 0.0  # which round was seen last
        self._before: Predictions | None = None

    def has_missed(self, history: Sequence[Round]) -> bool:
        """Tell, the first time, whether a model picked rounds before the newest."""
        is_first = not any(self._last)
        return is_first and any(not math.isnan(round.uncertainty) for round in history[:-1])

    def up_to(self, history: Sequence[Round]) -> deque[float]:
        """Take in the newest round, once however often it is asked about, and give the comparisons.

        A model that was not fitted anew after the round before agrees with itself, which says nothing.
        """
        newest, last = history[-1], self._last
        if _mark(newest) == last:
            return self._values
        now = newest.predictions
        follows = len(history) > 1 and _mark(history[-2]) == last
        if not follows or self._before is None or now is None:
            self._values.clear()
        elif history[-2].fit_seconds > 0:
            n = min(len(self._before), len(now))  # without the rows that have come in between
            self._values.append(self._compare(self._before[:n], now[:n], history))
        self._last, self._before = _mark(newest), now
        return self._values


def _mark(round: Round) -> tuple[str, float]:
    """Tell a round from any other: campaigns of one seed and pool may have the same tickets."""
    return round.ticket, round.elapsed


def _kappa(before: Predictions, now: Predictions) -> float:
    told = (before != np.iinfo(before.dtype).max) & (now != np.iinfo(now.dtype).max)
    before, now = before[told], now[told]
    n = len(now)
    agreed = np.count_nonzero(before == now) * n
    shares = np.bincount(before), np.bincount(now)
    c = min(map(len, shares))
    by_chance = int(shares[0][:c] @ shares[1][:c])  # integers, so that certain agreement is seen to be that
    return (agreed - by_chance) / (n * n - by_chance) if by_chance < n * n else math.nan


def _unchanged(before: Predictions, now: Predictions, history: Sequence[Round]) -> bool:
    changed = before != now
    for round in history[:-1]:
        changed[round.indices[round.indices < len(changed)]] = False
    return not changed.any()
