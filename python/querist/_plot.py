"""Pictures, drawn with matplotlib: a campaign so far, and the curves of a simulation."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from querist._protocols import Label
from querist._rounds import ABSTAIN, Round
from querist._simulation import Simulation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's palette, which colour-blind readers can tell apart; grey is for the baseline.
GREY = "#7f7f7f"
MANY = 20  # classes, more than which a legend has no room for
LONG = 24  # characters of a name
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442")


def learning_curve(history: Sequence[Round], *, by_class: bool = True) -> Figure:
    """Draw the metrics, if any, and the answers of each class so far, against the labels in hand.

    Parameters
    ----------
    history : sequence of Round
        The rounds of a learner, at least one.
    by_class : bool, default True
        Whether labels are classes, not numbers; both these and more than 20 classes are drawn as one line.

    Returns
    -------
    Figure
        Of matplotlib; ``figure.savefig("curve.png")`` writes it.

    Raises
    ------
    ValueError
        If there is no round.

    Examples
    --------
    >>> import querist as qr
    >>> learner = qr.ActiveLearner(lambda X: X, [[0.9, 0.1], [0.5, 0.5]], batch_size=1)
    >>> rounds = list(learner.run(qr.oracle.Known(["cat", "dog"])))
    >>> [axes.get_ylabel() for axes in learning_curve(rounds).axes]
    ['answers']
    """
    if not history:
        raise ValueError("history: expected at least one round, got none")
    names = list(dict.fromkeys(name for round in history for name in round.metrics))
    figure = _figure((8, 7) if names else (8, 4))
    *above, below = figure.subplots(2 if names else 1, sharex=True, squeeze=False)[:, 0]
    for axes in above:
        for name in names:
            measured = [round for round in history if name in round.metrics]
            axes.plot(
                [round.n_labels for round in measured],
                [round.metrics[name] for round in measured],
                marker=".",
                label=_name(name) if len(names) > 1 else None,
            )
        axes.set_ylabel("metric" if len(names) > 1 else names[0], parse_math=False)
        _finish(axes)
    at = [round.n_labels for round in history]
    classes = {label for round in history for label in round.labels if label is not ABSTAIN}
    apart = by_class and len(classes) <= MANY
    # None, which is no label, for all of them.
    answers = [[label if apart or label is ABSTAIN else None for label in round.labels] for round in history]
    for label in _in_order(dict.fromkeys(label for round in answers for label in round)):
        asked = np.cumsum([round.count(label) for round in answers])
        if label is ABSTAIN:
            below.plot(at, asked, marker=".", label=f"abstained: {asked[-1]}", color=GREY, linestyle="--")
        else:
            name = "labelled" if label is None else _name(label)
            below.plot(at, asked, marker=".", label=f"{name}: {asked[-1]}")
    below.set(ylabel="answers", xlabel="labels")
    _finish(below)
    figure.suptitle(f"{at[-1]:,} labels after {len(history):,} round{'s' * (len(history) > 1)}")
    return figure


def simulation_figure(simulation: Simulation, title: str = "") -> Figure:
    """Draw median and quartiles of each strategy, and the median full-data metric."""
    figure = _figure((8, 5))
    axes = figure.subplots()
    others = iter(COLOURS * len(simulation.strategies))
    for strategy in simulation.strategies:
        colour = GREY if strategy == simulation.baseline else next(others)
        n_labels, low, median, high = simulation.band(strategy)
        axes.fill_between(n_labels, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(n_labels, median, color=colour, linewidth=2, label=_name(strategy))
    full = float(np.median(list(simulation.full.values())))
    axes.axhline(full, color="black", linewidth=1, linestyle="--", label=f"all labels: {full:.4g}")
    axes.set_xlabel("labels")
    axes.set_ylabel(simulation.metric, parse_math=False)  # a name with dollars is no formula
    axes.set_title(title, parse_math=False)
    n_seeds = len(simulation.full)
    _finish(axes, f"median and quartiles of {n_seeds} seeds" if n_seeds > 1 else "")
    return figure


def check_format(path: Path) -> None:
    """Raise unless matplotlib knows the format that the suffix names."""
    from matplotlib.backend_bases import FigureCanvasBase

    known = sorted(FigureCanvasBase.get_supported_filetypes())
    if path.suffix[1:].lower() not in known:
        raise ValueError(f"png: expected a file with a suffix of {known}, got {path}")


def _figure(size: tuple[int, int]) -> Figure:
    from matplotlib.figure import Figure  # without pyplot: no window, no global state

    return Figure(figsize=size, dpi=150, layout="constrained")


def _name(label: Label) -> str:
    """Give the text of a label; matplotlib leaves out of a legend what is empty or begins with _."""
    text = str(label)
    text = text if len(text) <= LONG else f"{text[: LONG - 1]}…"
    return repr(text) if text == "" or text.startswith("_") else text


def _in_order(labels: Collection[Label]) -> list[Label]:
    """Give the labels ascending, or as they came if they do not compare, with ABSTAIN at the end."""
    names: list[Any] = [label for label in labels if label is not ABSTAIN]
    with suppress(TypeError):
        names = sorted(names)  # not in place, which would leave a mixture half sorted
    return names + [ABSTAIN] * (ABSTAIN in labels)


def _finish(axes: Any, title: str = "") -> None:
    if axes.get_legend_handles_labels()[0]:
        for text in axes.legend(frameon=False, title=title or None).get_texts():
            text.set_parse_math(False)  # a name with dollars is no formula
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
