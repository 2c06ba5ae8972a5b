"""The picture of `querist demo`: accuracy against labels, for each strategy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure  # without pyplot: no window, no global state

from querist._demo_digits import Curve

# From Okabe and Ito's palette, which colour-blind readers can tell apart.
COLOURS = {"random": "#7f7f7f", "margin": "#0072b2", "entropy": "#d55e00"}


def draw_curves(curves: Sequence[Curve], png: Path, *, n_seeds: int) -> None:
    """Draw mean and standard deviation over the seeds, and the accuracy of the full data."""
    figure = Figure(figsize=(8, 5), dpi=150, layout="constrained")
    axes = figure.subplots()
    for strategy, colour in COLOURS.items():
        runs = [run for run in curves if run.strategy == strategy]
        # Runs leave the cold start at different rounds: the mean starts where all have.
        grid = np.arange(max(run.n_labels[0] for run in runs), runs[0].n_labels[-1] + 1)
        accuracy = np.array([np.interp(grid, run.n_labels, run.accuracy) for run in runs])
        mean, spread = accuracy.mean(axis=0), accuracy.std(axis=0)
        axes.fill_between(grid, mean - spread, mean + spread, color=colour, alpha=0.15, linewidth=0)
        axes.plot(grid, mean, color=colour, linewidth=2, label=strategy)
    full = float(np.mean([run.accuracy[-1] for run in curves]))
    axes.axhline(full, color="black", linewidth=1, linestyle="--")
    axes.annotate(
        f"all {curves[0].n_labels[-1]} labels: {full:.1%}",
        (790, full),
        xytext=(0, 14),
        textcoords="offset points",
        horizontalalignment="right",
    )
    axes.set(
        xlim=(0, 800),
        ylim=(0.75, 1.0),
        xlabel="labels",
        ylabel="test accuracy",
        title=f"Handwritten digits, logistic regression: mean \N{PLUS-MINUS SIGN} "
        f"standard deviation, {n_seeds} seeds",
    )
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.legend(loc="lower right", frameon=False)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(png)
