"""Diverse batches against careful numpy: the numbers that issue Select sets, as far as they are here.

A ratio is the other's time over querist's. Every answer is checked before anything is timed.
"""

from __future__ import annotations

import numpy as np
import querist as qr

THREADS = 2


def mixture(n: int, d: int, seed: int = 0) -> np.ndarray:
    """Return n rows about a hundred centres."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((100, d), dtype=np.float32)
    return centres[rng.integers(0, 100, n)] + 0.7 * rng.standard_normal((n, d), dtype=np.float32)


class ByNumpy:
    """k-center as a careful numpy user writes it: cached norms, one matrix-vector product a pick."""

    def __init__(self, pool: np.ndarray, labeled: np.ndarray) -> None:
        self.pool, self.norms = pool, (pool * pool).sum(1)
        self.nearest = np.empty(len(pool), np.float32)
        for first in range(0, len(pool), 4096):
            rows = slice(first, first + 4096)
            products = pool[rows] @ pool[labeled].T
            squares = self.norms[rows, None] + self.norms[labeled] - 2 * products
            self.nearest[rows] = squares.min(1)
        self.nearest[labeled] = -1

    def pick(self, k: int) -> list[int]:
        nearest, picks = self.nearest.copy(), []
        for _ in range(k):
            row = int(nearest.argmax())
            picks.append(row)
            apart = self.norms + self.norms[row] - 2 * (self.pool @ self.pool[row])
            nearest = np.minimum(nearest, apart)
            nearest[row] = -1
        return picks


def test_k_center_of_embeddings(bench):
    n, d, k = max(2000, int(50_000 * bench.scale)), 256, max(20, int(1000 * bench.scale))
    pool = mixture(n, d)
    pool /= np.linalg.norm(pool, axis=1, keepdims=True)
    labeled = np.arange(10)
    picks = qr.select.k_center(pool, k, labeled=labeled).indices
    # The rival's float32 products round, so that later near-ties may go another way.
    assert picks[:5].tolist() == ByNumpy(pool, labeled).pick(5)
    taken = bench.interleaved(
        {
            "querist": lambda: qr.select.k_center(pool, k, labeled=labeled, n_threads=THREADS),
            "numpy": lambda: ByNumpy(pool, labeled).pick(k),
        },
        least=3,
    )
    work = f"k_center k = {k}, {n:,} x {d}, 10 labelled"
    bench.add(work, taken["querist"], "numpy", taken["numpy"], bar=20)


def test_k_center_kept_between_rounds(bench):
    n, d, k = max(5000, int(200_000 * bench.scale)), 64, max(20, int(500 * bench.scale))
    pool = mixture(n, d)
    labeled = np.random.default_rng(0).choice(n, n // 100, replace=False)
    selector, rival = qr.select.KCenter(pool, labeled=labeled), ByNumpy(pool, labeled)
    picks = selector.pick(k).indices
    assert picks[:5].tolist() == rival.pick(5)
    selector.add(picks[:1])
    taken = bench.interleaved(
        {
            "first": lambda: qr.select.KCenter(pool, labeled=labeled).pick(k, n_threads=THREADS),
            "next": lambda: selector.pick(k, n_threads=THREADS),
            "numpy's start": lambda: ByNumpy(pool, labeled),
            "numpy": lambda: rival.pick(k),
        },
        least=3,
    )
    size = f"{n:,} x {d}, {len(labeled):,} labelled"
    bench.add(f"KCenter.pick({k}) again, {size}", taken["next"], "numpy's picks", taken["numpy"], bar=50)
    bench.add(
        f"KCenter and its first pick({k}), {size}",
        taken["first"],
        "numpy's first pass",
        taken["numpy's start"],
        bar=1 / 1.3,
    )
    bench.add(f"KCenter.pick({k}) again, {size}", taken["next"], "from the start", taken["first"], bar=10)


def badge_by_numpy(proba: np.ndarray, features: np.ndarray, k: int, seed: int) -> list[int]:
    """BADGE with factored distances: two matrix-vector products a draw."""
    rng = np.random.default_rng(seed)
    residual = proba.copy()
    residual[np.arange(len(proba)), proba.argmax(1)] -= 1
    lengths = (residual**2).sum(1) * (features**2).sum(1)
    picks, nearest = [int(lengths.argmax())], np.full(len(proba), np.inf)
    while len(picks) < k:
        row = picks[-1]
        products = (residual @ residual[row]) * (features @ features[row])
        nearest = np.minimum(nearest, np.maximum(lengths + lengths[row] - 2 * products, 0))
        nearest[picks] = 0
        chances = nearest.cumsum(dtype=float)
        picks.append(int(chances.searchsorted(rng.random() * chances[-1])))
    return picks


def test_badge(bench):
    n, c, d, k = max(500, int(20_000 * bench.scale)), 100, 256, max(20, int(200 * bench.scale))
    rng = np.random.default_rng(0)
    proba = rng.gamma(0.1, size=(n, c)).astype(np.float32) + np.float32(1e-6)
    proba /= proba.sum(1, keepdims=True)
    features = rng.standard_normal((n, d), dtype=np.float32)
    assert qr.select.badge(proba, features, k, seed=0).indices[0] == badge_by_numpy(proba, features, 1, 0)[0]
    taken = bench.interleaved(
        {
            "querist": lambda: qr.select.badge(proba, features, k, seed=0, n_threads=THREADS),
            "numpy": lambda: badge_by_numpy(proba, features, k, 0),
        },
        least=3,
    )
    work = f"badge k = {k}, {n:,} x ({c}, {d})"
    bench.add(work, taken["querist"], "numpy, factored", taken["numpy"], bar=10)


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
