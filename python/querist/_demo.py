"""`querist demo`: what active learning saves on real data, and what the core does at scale."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from querist._demo_speed import speed
from querist._plot import check_format
from querist._simulate import simulate
from querist._simulate_command import explained


def demo(*, n_seeds: int, png: Path, quick: bool) -> None:
    """Print both tables and write the picture."""
    check_format(png)
    X, y = load_digits(return_X_y=True)
    simulation = simulate(
        LogisticRegression(C=3, tol=1e-3, max_iter=1000),
        X / 16,
        y,
        seeds=n_seeds,
        growth=0.25 if quick else 0.05,
        n_jobs=min(os.cpu_count() or 1, 4),
        progress=True,
    )
    full = np.mean(list(simulation.full.values()))
    n_labels = simulation.curves[0].n_labels[-1]
    print(
        f"Handwritten digits, logistic regression: all {n_labels} labels\n"
        f"give a test accuracy of {full:.1%}.\n"
        f"{explained(simulation)}\n\n"
        f"{simulation.table()}"
    )
    simulation.plot(png, title="Handwritten digits, logistic regression")
    print(f"\nLearning curves: {png.resolve()}\n", flush=True)
    print(speed(n=100_000 if quick else 1_000_000))
