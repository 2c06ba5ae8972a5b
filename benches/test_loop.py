"""What a round of the loop costs beside the model, and what the peers take for theirs."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import querist as qr
from sklearn.datasets import load_digits

pytestmark = pytest.mark.filterwarnings("ignore::querist.ClassStarvedWarning")


class Known:
    """A model whose probabilities cost next to nothing: those of the rows that `X` numbers."""

    def __init__(self, proba: np.ndarray) -> None:
        self.proba = proba
        self.classes_ = np.arange(proba.shape[1])

    def fit(self, X: Any, y: Any) -> None:
        pass

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        first = int(X[0, 0])
        return self.proba[first : first + len(X)]


def proba_of(n: int, c: int) -> np.ndarray:
    proba = np.random.default_rng(0).gamma(0.5, size=(n, c)).astype(np.float32) + np.float32(1e-6)
    return proba / proba.sum(1, keepdims=True)


def rounds(started: Callable[[], qr.ActiveLearner]) -> Any:
    """Return a round of a campaign, which starts anew at 2,000 labels."""
    kept = {"learner": started()}

    def one() -> None:
        if kept["learner"].n_labels > 2000:
            kept["learner"] = started()
        batch = kept["learner"].ask()
        kept["learner"].tell(batch, ["a"] * len(batch))

    return one


def commits(path: Path) -> Any:
    """Return two durable commits of SQLite, as a round needs them."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE event (body TEXT)")

    def two() -> None:
        for _ in range(2):
            connection.execute("INSERT INTO event VALUES (?)", ("x" * 4000,))

    return two


def test_a_round(bench, tmp_path):
    n, c = max(2000, int(100_000 * bench.scale)), 10
    proba, numbers = proba_of(n, c), np.arange(n).reshape(-1, 1)
    options = {"batch_size": min(100, n // 100), "seed": 0}
    learner = qr.ActiveLearner(Known(proba), numbers, labels={0: "a", 1: "b"}, **options)
    batch = learner.ask()
    assert set(batch.indices) == set(qr.top_scores(proba[2:], len(batch), score="margin").indices + 2)

    def started(journal: bool = False) -> qr.ActiveLearner:
        where = tmp_path / f"{len(list(tmp_path.iterdir()))}.db" if journal else None
        return qr.ActiveLearner(Known(proba), numbers, labels={0: "a", 1: "b"}, journal=where, **options)

    taken = bench.interleaved(
        {
            "round": rounds(started),
            "kept": rounds(lambda: started(True)),
            "commits": commits(tmp_path / "other.db"),
        },
        least=11,
    )
    work = f"a round: ask and tell {options['batch_size']} of {n:,} x {c}"
    bench.add(work, taken["round"], "5 ms", 0.005, bar=1)
    bench.add(f"{work}, journal", taken["kept"], "5 ms and two commits", 0.005 + taken["commits"], bar=1)


def test_a_query_on_digits(bench):
    n = len(load_digits().target)
    proba, numbers = proba_of(n, 10), np.arange(n, dtype=float).reshape(-1, 1)
    labels = dict(enumerate(range(10)))
    learner = qr.ActiveLearner(Known(proba), numbers, labels=labels, batch_size=10, seed=0)
    asked = set(learner.ask().indices)
    left = proba[10:]
    modal = pytest.importorskip("modAL.models").ActiveLearner
    margin = pytest.importorskip("modAL.uncertainty").margin_sampling
    theirs = modal(Known(left), query_strategy=margin)
    pool = np.arange(n - 10, dtype=float).reshape(-1, 1)
    assert set(theirs.query(pool, n_instances=10)[0] + 10) == asked
    base = pytest.importorskip("skactiveml.base")
    sampling = pytest.importorskip("skactiveml.pool").UncertaintySampling(
        method="margin_sampling", random_state=0
    )

    class Given(base.SkactivemlClassifier):
        def fit(self, *_):
            return self

        def predict_proba(self, _):
            return left

    known = Given(classes=list(range(10)))
    known.classes_ = np.arange(10)
    y = np.full(n, np.nan)
    y[:10] = range(10)
    assert set(sampling.query(numbers, y, known, fit_clf=False, batch_size=10)) == asked

    kept = {"learner": learner}

    def one() -> None:
        if kept["learner"].n_available < 10:
            kept["learner"] = qr.ActiveLearner(Known(proba), numbers, labels=labels, batch_size=10, seed=0)
        batch = kept["learner"].ask()
        kept["learner"].tell(batch, [1] * 10)

    taken = bench.interleaved(
        {
            "querist": one,
            "modAL": lambda: theirs.query(pool, n_instances=10),
            "skactiveml": lambda: sampling.query(numbers, y, known, fit_clf=False, batch_size=10),
        }
    )
    work = "a round: ask and tell 10 of digits, without the model"
    bench.add(work, taken["querist"], "modAL's query", taken["modAL"], bar=5)
    bench.add(work, taken["querist"], "scikit-activeml's query", taken["skactiveml"], bar=20)
