"""What a simulation found: learning curves, and what they say about the strategies."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from querist._csv import write_csv
from querist._frame import data_frame
from querist._table import table

Floats = NDArray[np.float64]

LEVEL = 0.05  # a p under it is called significant


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """One run of one strategy.

    Attributes
    ----------
    strategy : str
    seed : int
    n_labels : (r,) int64 array
        The labels in hand at the end of each round that was measured, that is after the cold start.
    values : (r,) float64 array
        The metric of the model then: fitted on them, or by `retrain` on those of the last fit.
    seconds : float
        Wall time of the run: all fits, scores, picks and measurements.
    """

    strategy: str
    seed: int
    n_labels: NDArray[np.int64]
    values: Floats
    seconds: float


class Band(NamedTuple):
    """Quartiles of the curves of one strategy over the seeds, at each number of labels."""

    n_labels: NDArray[np.int64]
    low: Floats
    median: Floats
    high: Floats


class Comparison(NamedTuple):
    """One strategy against another: seeds won, tied and lost, and the two-sided p of the sign test."""

    wins: int
    ties: int
    losses: int
    p: float


@dataclass(frozen=True, slots=True, eq=False)
class Simulation:
    """Learning curves of some strategies, each with the same seeds: the result of `simulate`.

    Attributes
    ----------
    metric : str
        What was measured on the rows held out.
    curves : tuple of Curve
        Strategy by strategy, in the order given, and seed by seed.
    full : mapping of int to float
        For each seed, the metric of the model fitted on its whole pool.

    Notes
    -----
    Seeds are re-splits of one data set: a p says how sure it is that a strategy wins on *this* data with
    another split, and nothing about other data.

    Examples
    --------
    >>> import numpy as np
    >>> import querist as qr
    >>> def curve(strategy, seed, *values):
    ...     return Curve(strategy, seed, np.array([10, 20, 30]), np.array(values), 0.1)
    >>> simulation = Simulation(
    ...     "accuracy",
    ...     (
    ...         curve("random", 0, 0.5, 0.7, 1.0),
    ...         curve("random", 1, 0.5, 0.7, 1.0),
    ...         curve("margin", 0, 0.5, 1.0, 1.0),
    ...         curve("margin", 1, 0.6, 0.8, 1.0),
    ...     ),
    ...     full={0: 1.0, 1: 1.0},
    ... )
    >>> simulation.area("margin")
    array([0.875, 0.8  ])
    >>> simulation.labels_to_reach("margin", 0.75)
    array([20., 20.])
    >>> simulation.compare("margin")
    Comparison(wins=2, ties=0, losses=0, p=0.5)
    """

    metric: str
    curves: tuple[Curve, ...]
    full: Mapping[int, float]

    def __repr__(self) -> str:
        return f"Simulation({self.metric!r}, {', '.join(self.strategies)}; {len(self.full)} seeds)"

    @property
    def strategies(self) -> tuple[str, ...]:
        """The labels of the strategies, in the order given."""
        return tuple(dict.fromkeys(curve.strategy for curve in self.curves))

    @property
    def baseline(self) -> str:
        """What strategies are compared with: "random" if it is one of them, else the first."""
        return "random" if "random" in self.strategies else self.strategies[0]

    def of(self, strategy: str) -> list[Curve]:
        """Give the curves of a strategy, seed by seed.

        Raises
        ------
        ValueError
            If there is no such strategy.
        """
        curves = [curve for curve in self.curves if curve.strategy == strategy]
        if not curves:
            raise ValueError(f"strategy: expected one of {self.strategies}, got {strategy!r}")
        return curves

    def band(self, strategy: str) -> Band:
        """Give median and quartiles over the seeds, between rounds interpolated.

        They start where the last of the runs has left the cold start, and end where the first ends.
        """
        curves = self.of(strategy)
        first, last = _shared(curves)
        grid = np.arange(first, last + 1)
        values = [np.interp(grid, curve.n_labels, curve.values) for curve in curves]
        return Band(grid, *np.quantile(values, [0.25, 0.5, 0.75], axis=0))

    def area(self, strategy: str) -> Floats:
        """Give for each seed the area under the curve, as a mean: the metric at an average number of labels.

        All strategies are taken over the same numbers of labels, those that every run has.
        """
        first, last = _shared(self.curves)
        return np.array([_mean_height(curve, first, last) for curve in self.of(strategy)])

    def labels_to_reach(self, strategy: str, share: float) -> Floats:
        """Give for each seed the labels in hand when `share` of the full-data metric was first reached.

        inf where it never was. The metric is larger for better models. Of one below 0, as a negative error,
        95 % is what falls short of it by 5 % of its size: -0.21 where the full data give -0.2.
        """
        return np.array([self._needed(curve, share) for curve in self.of(strategy)])

    def saved(self, strategy: str, share: float, *, baseline: str | None = None) -> float:
        """Give 1 - median needed / median needed by the baseline: the share saved. NaN if unknown."""
        needed = _quantile(self.labels_to_reach(strategy, share), 0.5)
        by_baseline = _quantile(self.labels_to_reach(baseline or self.baseline, share), 0.5)
        return 1 - needed / by_baseline if math.isfinite(needed + by_baseline) else math.nan

    def compare(self, strategy: str, baseline: str | None = None) -> Comparison:
        """Compare the areas seed by seed, as both had the same split and start.

        A seed with an area that is NaN, as the metric was, is none of the three.

        References
        ----------
        The exact sign test, ties left out: W. J. Dixon and A. M. Mood, "The statistical sign test", JASA
        1946; for counts of wins J. Demšar, "Statistical comparisons of classifiers over multiple data
        sets", JMLR 2006.
        """
        gain = self.area(strategy) - self.area(baseline or self.baseline)
        wins, ties, losses = (int(each.sum()) for each in (gain > 0, gain == 0, gain < 0))
        return Comparison(wins, ties, losses, _sign_test(wins, losses))

    def table(self, shares: Sequence[float] = (0.95, 0.99)) -> str:
        """Give a text table, a line for each strategy.

        For each share, the labels needed to reach that share of the full-data metric: their median and
        quartiles, 150+ where the upper one was never reached, and the share saved against the baseline. Then
        the median area; seeds won, tied and lost by area, and the p of that; the median seconds of a run.
        Lines below it say what it cannot tell, and why.
        """
        columns = [["", "strategy", *self.strategies]]
        for share in shares:
            needed = [self.labels_to_reach(strategy, share) for strategy in self.strategies]
            middles, quartiles = ([put(each) for each in needed] for put in (_middle, _quartiles))
            wide, high = (max(map(len, cells)) for cells in (middles, quartiles))
            both = [f"{m:>{wide}} {q:>{high}}" for m, q in zip(middles, quartiles, strict=True)]
            columns += [["labels to", f"{share:.0%}", *both]]
            columns += [["", "saved", *(self._saved(strategy, share) for strategy in self.strategies)]]
        areas = [f"{np.median(self.area(strategy)):.4f}" for strategy in self.strategies]
        wins, chances = zip(*map(self._won, self.strategies), strict=True)
        times = [
            f"{np.median([curve.seconds for curve in self.of(strategy)]):.1f}" for strategy in self.strategies
        ]
        columns += [
            ["", "area", *areas],
            ["won-tied", "-lost", *wins],
            ["", "p", *chances],
            ["", "sec", *times],
        ]
        notes = "".join(f"\n{note}" for note in self._notes(shares))
        return table(list(zip(*columns, strict=True))) + (f"\n{notes}" if notes else "")

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write all curves, a line for each round of each run."""
        with open(path, "w", encoding="utf-8", newline="") as file:
            write_csv(file, self._lines())

    def frame(self) -> Any:
        """Give the lines of `to_csv` as a pandas data frame.

        Raises
        ------
        ImportError
            If pandas is not installed: `pip install 'querist[frame]'`.
        """
        header, *rows = self._lines()
        return data_frame(rows, header)

    def plot(self, path: str | os.PathLike[str], *, title: str = "") -> None:
        """Draw median and quartiles of each strategy, and the full-data metric; needs matplotlib.

        The suffix of the path gives the format: png, svg, pdf.
        """
        from querist._plot import simulation_figure

        simulation_figure(self, title).savefig(Path(path))

    def _lines(self) -> Iterator[Sequence[Any]]:
        yield ["strategy", "seed", "n_labels", self.metric, f"full_data_{self.metric}"]
        for curve in self.curves:
            for n, value in zip(curve.n_labels.tolist(), curve.values.tolist(), strict=True):
                yield [curve.strategy, curve.seed, n, value, self.full[curve.seed]]

    def _needed(self, curve: Curve, share: float) -> float:
        full = self.full[curve.seed]
        reached = np.flatnonzero(curve.values >= full * (share if full >= 0 else 2 - share))
        return float(curve.n_labels[reached[0]]) if reached.size else math.inf

    def _saved(self, strategy: str, share: float) -> str:
        saved = self.saved(strategy, share)
        return f"{saved:.0%}" if strategy != self.baseline and math.isfinite(saved) else "-"

    def _notes(self, shares: Sequence[float]) -> Iterator[str]:
        """Say how to read a table of these curves where it does not speak for itself."""
        by_baseline = {share: self.labels_to_reach(self.baseline, share) for share in shares}
        unknown = [share for share in shares if not math.isfinite(_quantile(by_baseline[share], 0.5))]
        if unknown and len(self.strategies) > 1:
            yield (
                f"saved: not known at {' and '.join(f'{share:.0%}' for share in unknown)}, which "
                f"{self.baseline} did not reach in half of the seeds."
            )
        quartiles = (_quartiles(self.labels_to_reach(s, share)) for share in shares for s in self.strategies)
        if open_end := next((each for each in quartiles if each.endswith("+")), None):
            yield f"{open_end}: the lower quartile; a quarter of the seeds or more never got there."
        n = len(self.full)
        if len(self.strategies) > 1 and 2.0 ** (1 - n) >= LEVEL:
            enough = math.ceil(1 - math.log2(LEVEL))
            yield f"p: {2.0 ** (1 - n):.2g} at best with {n} seeds; under {LEVEL} takes {enough} or more."

    def _won(self, strategy: str) -> tuple[str, str]:
        wins, ties, losses, p = self.compare(strategy)
        return ("-", "-") if strategy == self.baseline else (f"{wins}-{ties}-{losses}", f"{p:.3f}")


def _shared(curves: Sequence[Curve]) -> tuple[int, int]:
    """Give the first and the last number of labels that all the curves span."""
    first = max(int(curve.n_labels[0]) for curve in curves)
    return first, max(first, min(int(curve.n_labels[-1]) for curve in curves))


def _mean_height(curve: Curve, first: int, last: int) -> float:
    ends = np.interp([first, last], curve.n_labels, curve.values)
    if first == last:
        return float(ends[0])
    inside = (curve.n_labels > first) & (curve.n_labels < last)
    at = np.concatenate([[first], curve.n_labels[inside], [last]])
    values = np.concatenate([ends[:1], curve.values[inside], ends[1:]])
    return float(((values[1:] + values[:-1]) / 2 * np.diff(at)).sum() / (last - first))


def _quantile(needed: Floats, q: float) -> float:
    """Give the quantile of `numpy.quantile`, which would make NaN of inf."""
    ordered = np.sort(needed)
    place = q * (len(ordered) - 1)
    below, above = float(ordered[math.floor(place)]), float(ordered[math.ceil(place)])
    return below if below == above else below + (above - below) * (place % 1)


def _middle(needed: Floats) -> str:
    middle = _quantile(needed, 0.5)
    return f"{middle:.0f}" if math.isfinite(middle) else "never"


def _quartiles(needed: Floats) -> str:
    low, high = (_quantile(needed, q) for q in (0.25, 0.75))
    if not math.isfinite(low):
        return "-"
    return f"{low:.0f}-{high:.0f}" if math.isfinite(high) else f"{low:.0f}+"


def _sign_test(wins: int, losses: int) -> float:
    """Give the chance of a split as uneven as this, or more, among fair coins."""
    n = wins + losses
    tail = sum(math.comb(n, k) for k in range(min(wins, losses) + 1))
    return min(1.0, float(2 * tail / 2**n))
