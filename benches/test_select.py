"""Diverse batches against careful numpy, fused numba and the peers.

A ratio is the other's time over querist's. Every answer is checked before anything is timed. "Once" marks
a rival that takes too long to take turns: it ran a single time.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import limit
import numba
import numpy as np
import pytest
import querist as qr
from pools import THREADS, mixture, once


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


@numba.njit(parallel=True, fastmath=True)
def farthest_by_numba(pool: np.ndarray, nearest: np.ndarray, centre: int) -> int:
    """Fold one centre into the squared distances and return the farthest row, in one sweep."""
    n, parts = len(pool), 64
    best = np.full(parts, -1.0, np.float32)
    rows = np.zeros(parts, np.int64)
    for part in numba.prange(parts):
        for i in range(n * part // parts, n * (part + 1) // parts):
            squared = np.float32(0)
            for j in range(pool.shape[1]):
                difference = pool[i, j] - pool[centre, j]
                squared += difference * difference
            nearest[i] = min(nearest[i], squared)
            if nearest[i] > best[part]:
                best[part], rows[part] = nearest[i], i
    return rows[best.argmax()]


def k_center_by_numba(pool: np.ndarray, labeled: np.ndarray, k: int) -> list[int]:
    nearest, picks, row = np.full(len(pool), np.inf, np.float32), [], 0
    for centre in labeled:
        row = farthest_by_numba(pool, nearest, centre)
    for _ in range(k):
        picks.append(int(row))
        row = farthest_by_numba(pool, nearest, row)
    return picks


def test_k_center_of_embeddings(bench):
    n, d, k = max(2000, int(50_000 * bench.scale)), 256, max(20, int(1000 * bench.scale))
    pool = mixture(n, d)
    pool /= np.linalg.norm(pool, axis=1, keepdims=True)
    labeled = np.arange(10)
    picks = qr.select.k_center(pool, k, labeled=labeled).indices
    # The rival's float32 products round, so that later near-ties may go another way.
    numba.set_num_threads(THREADS)
    assert picks[:5].tolist() == ByNumpy(pool, labeled).pick(5) == k_center_by_numba(pool, labeled, 5)
    taken = bench.interleaved(
        {
            "querist": lambda: qr.select.k_center(pool, k, labeled=labeled, n_threads=THREADS),
            "numpy": lambda: ByNumpy(pool, labeled).pick(k),
            "numba": lambda: k_center_by_numba(pool, labeled, k),
            "alone": lambda: qr.select.k_center(pool, k, labeled=labeled, n_threads=1),
        },
        least=3,
    )
    work = f"k_center k = {k}, {n:,} x {d}, 10 labelled"
    bench.add(work, taken["querist"], "numpy", taken["numpy"], bar=20)
    bench.add(work, taken["querist"], "numba, one sweep a pick", taken["numba"], bar=5)
    bench.add(work, taken["querist"], "querist on one thread", taken["alone"])
    y = np.full(n, np.nan)
    y[labeled] = 0
    peer = pytest.importorskip("skactiveml.pool").CoreSet(random_state=0)
    theirs, rows = once(lambda: peer.query(pool, y, batch_size=k))
    assert rows[:5].tolist() == picks[:5].tolist()
    bench.add(work, taken["querist"], "scikit-activeml, once", theirs, bar=100)


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
    new = np.setdiff1d(np.arange(n), labeled)[:100]
    selector.add(new)
    after, second = once(lambda: selector.pick(k, n_threads=THREADS))
    whole, again = once(
        lambda: qr.select.KCenter(pool, labeled=[*labeled, picks[0], *new]).pick(k, n_threads=THREADS)
    )
    assert second.indices.tolist() == again.indices.tolist()
    bench.add(f"KCenter.pick({k}) after 100 labels, {size}", after, "from the start", whole, bar=10)


CHILD = """
import re, sys, time
from pathlib import Path
import numpy as np
import querist as qr
n, d, k = int(sys.argv[1]), 64, 1000
rng = np.random.default_rng(0)
centres = rng.standard_normal((100, d), dtype=np.float32)
pool = np.empty((n, d), np.float32)
for first in range(0, n, 10_000):
    size = min(10_000, n - first)
    pool[first : first + size] = centres[rng.integers(0, 100, size)]
    pool[first : first + size] += 0.7 * rng.standard_normal((size, d), dtype=np.float32)
labeled = rng.choice(n, 1000, replace=False)
qr.select.k_center(pool[:5000], 10)
peak = lambda: int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
before = peak()
began = time.perf_counter()
qr.select.k_center(pool, k, labeled=labeled, n_threads=2)
whole, extra = time.perf_counter() - began, peak() - before
began = time.perf_counter()
qr.select.coverage(pool, labeled, n_threads=2)
first = time.perf_counter() - began
print(first, whole, extra)
"""


def test_k_center_of_a_million_rows(bench):
    n = max(20_000, int(1_000_000 * bench.scale))
    command = [sys.executable, "-c", CHILD, str(n)]
    told = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ).stdout
    first, whole, extra = map(float, told.split())
    work = f"k_center k = 1000, {n:,} x 64, 1000 labelled, {extra:.0f} MiB extra (64 allowed)"
    bench.add(work, whole, "all distances to the labelled", first, bar=0.5)


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


@numba.njit(parallel=True, fastmath=True)
def nearer_by_numba(
    residual: np.ndarray, features: np.ndarray, lengths: np.ndarray, nearest: np.ndarray, row: int
) -> None:
    for i in numba.prange(len(residual)):
        left, right = np.float32(0), np.float32(0)
        for j in range(residual.shape[1]):
            left += residual[i, j] * residual[row, j]
        for j in range(features.shape[1]):
            right += features[i, j] * features[row, j]
        nearest[i] = min(nearest[i], max(lengths[i] + lengths[row] - 2 * left * right, np.float32(0)))


def badge_by_numba(proba: np.ndarray, features: np.ndarray, k: int, seed: int) -> list[int]:
    """BADGE with factored distances, one fused parallel sweep a draw."""
    rng = np.random.default_rng(seed)
    residual = proba.copy()
    residual[np.arange(len(proba)), proba.argmax(1)] -= 1
    lengths = (residual**2).sum(1) * (features**2).sum(1)
    picks, nearest = [int(lengths.argmax())], np.full(len(proba), np.inf, np.float32)
    while len(picks) < k:
        nearer_by_numba(residual, features, lengths, nearest, picks[-1])
        nearest[picks] = 0
        chances = nearest.cumsum(dtype=float)
        picks.append(int(chances.searchsorted(rng.random() * chances[-1])))
    return picks


def classifier_of(proba: np.ndarray) -> Any:
    """Return a classifier that scikit-activeml takes, of probabilities that are known."""
    base = pytest.importorskip("skactiveml.base")

    class Known(base.SkactivemlClassifier):
        def fit(self, *_):
            return self

        def predict_proba(self, X):
            return proba[: len(X)]

    known = Known(classes=list(range(proba.shape[1])))
    known.classes_ = np.arange(proba.shape[1])
    return known


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
            "numba": lambda: badge_by_numba(proba, features, k, 0),
        },
        least=3,
    )
    work = f"badge k = {k}, {n:,} x ({c}, {d})"
    bench.add(work, taken["querist"], "numpy, factored", taken["numpy"], bar=10)
    bench.add(work, taken["querist"], "numba, factored and fused", taken["numba"], bar=3)
    # scikit-activeml forms all c d numbers of each gradient: two minutes, and 8 GB.
    peer = pytest.importorskip("skactiveml.pool").Badge(random_state=0)
    y, known = np.full(n, np.nan), classifier_of(proba)
    theirs, rows = once(lambda: peer.query(features, y, known, fit_clf=False, batch_size=k))
    assert len(rows) == k
    bench.add(work, taken["querist"], "scikit-activeml, once", theirs, bar=5000)


def test_badge_of_many_classes(bench):
    n, c, d, k = max(2000, int(200_000 * bench.scale)), 1000, 64, 50
    rng = np.random.default_rng(0)
    proba = rng.random((n, c), dtype=np.float32) ** 9
    proba /= proba.sum(1, keepdims=True)
    features = rng.standard_normal((n, d), dtype=np.float32)
    taken, picks = once(lambda: qr.select.badge(proba, features, k, seed=0, n_threads=THREADS))
    assert len(set(picks.indices.tolist())) == k
    out = np.empty(n, np.float32)
    read = bench.interleaved({"limit": lambda: limit.read_and_write(proba, out, THREADS)})
    bench.add(f"badge k = {k}, {n:,} x ({c}, {d})", taken, "one read of proba", read["limit"])
