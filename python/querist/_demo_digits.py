"""The experiment of `querist demo`: handwritten digits, labelled in three ways, to the end.

Every run goes on to the last label of its pool, so that its own end is the accuracy that the
full data give.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Literal, NamedTuple, TypeAlias

from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from querist._learner import ActiveLearner

Strategy: TypeAlias = Literal["random", "margin", "entropy"]
STRATEGIES: tuple[Strategy, ...] = ("random", "margin", "entropy")


class Curve(NamedTuple):
    """The test accuracy of one run after each of its rounds."""

    strategy: Strategy
    n_labels: list[int]
    accuracy: list[float]

    def labels_to_reach(self, share: float) -> int:
        """Give the labels in hand when a share of the last accuracy was first reached."""
        target = share * self.accuracy[-1]
        return next(n for n, value in zip(*self[1:], strict=True) if value >= target)


def digits_curves(n_seeds: int, *, growth: int) -> list[Curve]:
    """Run each strategy with each seed, in a few processes, with a progress bar."""
    # Spawned: to fork a process that has threads, as BLAS may have here, is unsound.
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(
        min(os.cpu_count() or 1, 4),
        mp_context=context,
        initializer=signal.signal,  # Ctrl-C is for the parent, which cancels what is left
        initargs=(signal.SIGINT, signal.SIG_IGN),
    )
    try:
        runs = [
            executor.submit(_digits_curve, strategy, seed, growth)
            for seed in range(n_seeds)
            for strategy in STRATEGIES
        ]
        progress = tqdm(as_completed(runs), "labelling digits", total=len(runs), unit="run")
        return [run.result() for run in progress]
    finally:
        executor.shutdown(cancel_futures=True)


def _digits_curve(strategy: Strategy, seed: int, growth: int) -> Curve:
    X, y = load_digits(return_X_y=True)
    pool, test, truth, test_truth = train_test_split(X / 16, y, test_size=0.3, stratify=y, random_state=seed)
    learner = ActiveLearner(
        LogisticRegression(C=3, tol=1e-3, max_iter=1000),
        pool,
        score=strategy,
        validation=(test, test_truth),
        seed=seed,
    )
    with threadpool_limits(1):  # on products this small BLAS threads only wait for each other
        for round in learner.run(lambda indices, _: truth[indices]):
            # Each round adds about the same share: as fine a curve, with half the fits.
            learner.batch_size = max(10, round.n_labels // growth)
    measured = [round for round in learner.history if round.metrics]  # all after the cold start
    return Curve(
        strategy,
        [round.n_labels for round in measured],
        [round.metrics["accuracy"] for round in measured],
    )
