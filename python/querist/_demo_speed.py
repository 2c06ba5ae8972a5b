"""The speed table of `querist demo`: the same scores by querist, numpy and scipy."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from querist._scores import entropy, margin
from querist._table import table

REPEATS = 7
TOLERANCE = 1e-5  # between float32 answers, of which numpy rounds each step

Scorer = Callable[[], NDArray[Any]]


def speed(*, n: int, c: int = 10) -> str:
    """Give the table for n rows of c float32 probabilities; every answer is checked first."""
    proba = _probabilities(n, c)
    lines = [("score", "by", "ms", "million rows/s", "querist's speed-up")]
    worst = 0.0
    for score, scorers in _rivals(proba).items():
        worst = max(worst, _disagreement(score, scorers))
        milliseconds = _times(scorers)
        for name, value in milliseconds.items():
            ratio = value / milliseconds["querist"]
            gain = "-" if name == "querist" else f"{ratio:.1f} x"
            lines.append((score, name, f"{value:.1f}", f"{n / value / 1e3:.0f}", gain))
    return (
        f"{n:,} rows of {c} float32 probabilities, median of {REPEATS} runs in turn;\nthe answers "
        f"agree within {worst:.0e}:\n\n{table(lines)}"
    )


def _probabilities(n: int, c: int) -> NDArray[np.float32]:
    logits = 2 * np.random.default_rng(0).standard_normal((n, c), dtype=np.float32)
    odds = np.exp(logits)
    proba: NDArray[np.float32] = odds / odds.sum(axis=1, keepdims=True)
    return proba


def _rivals(proba: NDArray[np.float32]) -> dict[str, dict[str, Scorer]]:
    def numpy_margin() -> NDArray[Any]:
        top = np.partition(proba, -2, axis=1)[:, -2:]
        gap: NDArray[Any] = top[:, 1] - top[:, 0]
        return 1 - gap

    return {
        "entropy": {
            "querist": lambda: entropy(proba),
            "numpy": lambda: -(proba * np.log(proba)).sum(axis=1),
            "scipy": lambda: stats.entropy(proba, axis=1),
        },
        "margin": {"querist": lambda: margin(proba), "numpy": numpy_margin},
    }


def _disagreement(score: str, scorers: dict[str, Scorer]) -> float:
    answers = {name: scorer() for name, scorer in scorers.items()}
    ours = answers.pop("querist")
    worst = 0.0
    for name, theirs in answers.items():
        difference = float(np.abs(ours - theirs).max())
        if not difference <= TOLERANCE:
            raise RuntimeError(f"{score} of querist and {name} differ by {difference}")
        worst = max(worst, difference)
    return worst


def _times(scorers: dict[str, Scorer]) -> dict[str, float]:
    """Give the median milliseconds of each: in turn, so that a noisy moment hits all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in scorers}
    for _ in range(REPEATS):
        for name, scorer in scorers.items():
            started = perf_counter()
            scorer()
            seconds[name].append(perf_counter() - started)
    return {name: 1e3 * median(times) for name, times in seconds.items()}
