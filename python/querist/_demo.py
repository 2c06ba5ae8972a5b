"""`querist demo`: what active learning saves on real data, and what the core does at scale."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from querist._demo_digits import STRATEGIES, Curve, digits_curves
from querist._demo_picture import draw_curves
from querist._demo_speed import speed
from querist._table import table

SHARES = (0.95, 0.99)


def demo(*, n_seeds: int, png: Path, quick: bool) -> None:
    """Print both tables and write the picture."""
    curves = digits_curves(n_seeds, growth=4 if quick else 20)
    print(_savings(curves, n_seeds))
    draw_curves(curves, png, n_seeds=n_seeds)
    print(f"\nLearning curves: {png.resolve()}\n", flush=True)
    print(speed(n=100_000 if quick else 1_000_000))


def _savings(curves: Sequence[Curve], n_seeds: int) -> str:
    header = ["strategy"]
    rows: list[list[str]] = [[strategy] for strategy in STRATEGIES]
    for share in SHARES:
        header += [f"labels to {share:.0%}", "quartiles", "saved"]
        at_random: float | None = None
        for row in rows:
            needed = [run.labels_to_reach(share) for run in curves if run.strategy == row[0]]
            low, middle, high = np.quantile(needed, [0.25, 0.5, 0.75])
            saved = f"{1 - middle / at_random:.0%}" if at_random else "-"
            row += [f"{middle:.0f}", f"{low:.0f}-{high:.0f}", saved]
            at_random = at_random or middle  # the first row
    full = np.mean([run.accuracy[-1] for run in curves])
    return (
        f"Handwritten digits, logistic regression: all {curves[0].n_labels[-1]} labels give a "
        f"test accuracy of {full:.1%}.\n"
        f"Labels needed to reach a share of that, median of {n_seeds} seeds:\n\n"
        f"{table([header, *rows])}"
    )
