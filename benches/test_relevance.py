"""MMR, ranked batch, power sampling and a stream against careful numpy, the peers and the memory."""

from __future__ import annotations

import limit
import numpy as np
import pytest
import querist as qr
from pools import THREADS, mixture, once


def mmr_by_numpy(scores: np.ndarray, pool: np.ndarray, k: int) -> list[int]:
    unit = pool / np.linalg.norm(pool, axis=1, keepdims=True)
    similar, picks = np.full(len(pool), -np.inf, np.float32), []
    value = 0.5 * scores
    for _ in range(k):
        value[picks] = -np.inf
        picks.append(int(value.argmax()))
        similar = np.maximum(similar, unit @ unit[picks[-1]])
        value = 0.5 * scores - 0.5 * similar
    return picks


def test_mmr(bench):
    n, d, k = max(2000, int(100_000 * bench.scale)), 128, max(20, int(200 * bench.scale))
    pool, scores = mixture(n, d), np.random.default_rng(1).random(n)
    assert qr.select.mmr(scores, pool, 10).indices.tolist() == mmr_by_numpy(scores, pool, 10)
    taken = bench.interleaved(
        {
            "querist": lambda: qr.select.mmr(scores, pool, k, n_threads=THREADS),
            "numpy": lambda: mmr_by_numpy(scores, pool, k),
        },
        least=3,
    )
    bench.add(f"mmr k = {k}, {n:,} x {d}", taken["querist"], "numpy", taken["numpy"], bar=5)


def ranked_by_numpy(scores: np.ndarray, pool: np.ndarray, labeled: np.ndarray, k: int) -> list[int]:
    """Ranked batch with the least distance kept: one sweep a pick."""
    norms = (pool * pool).sum(1)
    squares = norms[:, None] + norms[labeled] - 2 * (pool @ pool[labeled].T)
    nearest = np.maximum(squares, 0).min(1)
    picks, taken = [], list(labeled)
    for t in range(k):
        left = len(pool) - len(labeled) - t
        alpha = left / (left + len(labeled) + t)
        value = alpha * (1 - 1 / (1 + np.sqrt(nearest))) + (1 - alpha) * scores
        value[taken] = -1
        row = int(value.argmax())
        picks.append(row)
        taken.append(row)
        np.minimum(nearest, np.maximum(norms + norms[row] - 2 * (pool @ pool[row]), 0), out=nearest)
    return picks


class Learner:
    """What modAL's ranked batch asks of a learner."""

    on_transformed = False

    def __init__(self, labelled: np.ndarray) -> None:
        self.X_training = labelled

    @staticmethod
    def transform_without_estimating(X):
        return X


def test_ranked_batch(bench):
    n, d, k = max(600, int(5000 * bench.scale)), 64, max(10, int(100 * bench.scale))
    pool, scores = mixture(n + 500, d).astype(float), np.random.default_rng(1).random(n + 500)
    labeled = np.arange(500)
    picks = qr.select.ranked_batch(scores, pool, k, labeled=labeled).indices
    assert picks.tolist() == ranked_by_numpy(scores, pool, labeled, k)
    taken = bench.interleaved(
        {
            "querist": lambda: qr.select.ranked_batch(scores, pool, k, labeled=labeled, n_threads=THREADS),
            "numpy": lambda: ranked_by_numpy(scores, pool, labeled, k),
        }
    )
    work = f"ranked_batch k = {k}, {n:,} x {d}, 500 labelled"
    bench.add(work, taken["querist"], "numpy", taken["numpy"], bar=5)
    peer = pytest.importorskip("modAL.batch").ranked_batch
    given = Learner(pool[:500]), pool[500:], scores[500:], k, "euclidean", None
    theirs, (rows, _) = once(lambda: peer(*given))
    assert (np.asarray(rows) + 500).tolist() == picks.tolist()
    bench.add(work, taken["querist"], "modAL, once", theirs, bar=200)


def test_power(bench):
    n, k = max(10_000, int(10_000_000 * bench.scale)), 1000
    scores = np.random.default_rng(0).random(n).astype(np.float32)
    rows = scores[: n // 1000 * 1000].reshape(-1, 1000)
    out = np.empty(len(rows), np.float32)
    assert len(set(qr.select.power(scores, k, seed=0).indices.tolist())) == k
    taken = bench.interleaved(
        {
            "querist": lambda: qr.select.power(scores, k, seed=0, n_threads=THREADS),
            "limit": lambda: limit.read_and_write(rows, out, THREADS),
        }
    )
    work = f"power k = {k} of {n:,}"
    bench.add(work, taken["querist"], "the limit", taken["limit"], bar=0.3, moved=scores.nbytes)


def test_a_stream(bench):
    peers = pytest.importorskip("skactiveml.stream.budgetmanager")
    scores = np.random.default_rng(0).random(max(500, int(5000 * bench.scale)))

    def ours() -> list[int]:
        return qr.select.QuantileFilter(0.1).pick(scores).indices.tolist()

    def theirs() -> list[int]:
        peer, asked = peers.BalancedIncrementalQuantileFilter(w=100, w_tol=50, budget=0.1), []
        for place, score in enumerate(scores):
            queried = peer.query_by_utility(np.array([score]))
            peer.update([[0.0]], queried, [score])
            asked += [place] * len(queried)
        return asked

    assert ours() == theirs()
    taken = bench.interleaved({"querist": ours, "skactiveml": theirs})
    work = f"QuantileFilter, {len(scores):,} items of a stream"
    bench.add(work, taken["querist"], "scikit-activeml", taken["skactiveml"])
