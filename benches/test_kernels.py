"""Committees, model change and density against their rivals: the numbers that issue Kernels sets.

A ratio is the other's time over querist's. Every answer is checked before anything is timed.
"""

from __future__ import annotations

import time
import warnings

import limit
import numba
import numpy as np
import pytest
import querist as qr
from querist import _core
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import NearestNeighbors

THREADS = 2
ALL = [
    "bald",
    "max_disagreement",
    "consensus_entropy",
    "consensus_margin",
    "consensus_least_confidence",
    "vote_entropy",
    "variation_ratio",
]
AXES = {0: (0, 1, 2), 1: (1, 0, 2), 2: (1, 2, 0)}
LAYOUTS = {0: "(m, n, c)", 1: "(n, m, c)", 2: "(n, c, m)"}


def scaled(n: int, bench) -> int:
    return max(64, int(n * bench.scale))


def gaussian(n: int, d: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((n, d), dtype=np.float32)


def probabilities(*shape: int) -> np.ndarray:
    proba = np.random.default_rng(0).gamma(0.5, size=shape).astype(np.float32) + np.float32(1e-6)
    return proba / proba.sum(axis=-1, keepdims=True)


def once(call) -> float:
    """Time one call, for rivals that take many seconds."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def bald_by_numpy(proba: np.ndarray) -> np.ndarray:
    q = proba.mean(0)
    return (proba * np.log(proba)).sum(-1).mean(0) - (q * np.log(q)).sum(-1)


@numba.njit(parallel=True, fastmath=True)
def bald_by_numba(proba: np.ndarray, out: np.ndarray) -> None:
    m, n, c = proba.shape
    for row in numba.prange(n):
        total = np.float32(0)
        for j in range(c):
            q = np.float32(0)
            for i in range(m):
                p = proba[i, row, j]
                q += p
                total += p * np.log(p)
            q /= np.float32(m)
            total -= np.float32(m) * q * np.log(q)
        out[row] = total / np.float32(m)


@numba.njit(parallel=True)
def vote_entropy_by_numba(votes: np.ndarray, classes: int, table: np.ndarray, out: np.ndarray) -> None:
    m, n = votes.shape
    for thread in numba.prange(8):
        counts = np.zeros(classes, np.int64)
        for row in range(n * thread // 8, n * (thread + 1) // 8):
            counts[:] = 0
            for i in range(m):
                counts[votes[i, row]] += 1
            total = 0.0
            for j in range(classes):
                total += table[counts[j]]
            out[row] = total


def limit_of(array: np.ndarray):
    """Return a call that reads the array once and writes a number for each row."""
    flat = array.reshape(len(array), -1)
    out = np.zeros(len(flat), flat.dtype)
    return lambda: limit.read_and_write(flat, out, THREADS)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_committees(bench, axis):
    m, n, c = 10, scaled(200_000, bench), 10
    proba = probabilities(m, n, c)
    view = np.ascontiguousarray(proba.transpose(AXES[axis]))
    expected = bald_by_numpy(proba.astype(np.float64))
    out, theirs = np.zeros(n, np.float32), np.zeros(n, np.float32)
    outs = {name: np.zeros(n, np.float32) for name in ALL}
    numba.set_num_threads(THREADS)
    bald_by_numba(proba, theirs)
    for got in (qr.bald(view, member_axis=axis, out=out), theirs, bald_by_numpy(proba)):
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-5)
    got = qr.committee_scores(view, ALL, member_axis=axis, out=outs)
    assert got["bald"].tobytes() == out.tobytes()
    taken = bench.interleaved(
        {
            "bald": lambda: qr.bald(view, member_axis=axis, out=out, n_threads=THREADS),
            "all": lambda: qr.committee_scores(view, ALL, member_axis=axis, out=outs, n_threads=THREADS),
            "limit": limit_of(view.reshape(n, m * c)),
            "numpy": lambda: bald_by_numpy(proba),
            "numba": lambda: bald_by_numba(proba, theirs),
            "alone": lambda: qr.bald(view, member_axis=axis, out=out, n_threads=1),
        }
    )
    bench.add(
        f"bald, {LAYOUTS[axis]} {m} x {n:,} x {c}", taken["bald"], "querist on one thread", taken["alone"]
    )
    for name in ("bald", "all"):
        work = (
            f"{'bald' if name == 'bald' else 'all seven committee scores'}, {LAYOUTS[axis]} {m} x {n:,} x {c}"
        )
        bench.add(work, taken[name], "the limit", taken["limit"], bar=0.3, moved=view.nbytes)
        bench.add(work, taken[name], "numpy's bald", taken["numpy"], bar=15)
        bench.add(work, taken[name], "numba's bald, fused", taken["numba"], bar=3)


def test_votes(bench):
    from skactiveml.pool import vote_entropy

    m, n, classes = 10, scaled(1_000_000, bench), 10
    votes = np.random.default_rng(0).integers(0, classes, (m, n)).astype(np.uint8)
    share = np.arange(m + 1) / m
    table = -share * np.log(share, out=np.zeros(m + 1), where=share > 0)
    out, theirs = np.zeros(n), np.zeros(n)
    numba.set_num_threads(THREADS)
    vote_entropy_by_numba(votes, classes, table, theirs)
    np.testing.assert_allclose(qr.vote_entropy(votes, out=out), theirs, atol=1e-14)
    transposed, names = np.ascontiguousarray(votes.T), np.arange(classes)
    np.testing.assert_allclose(vote_entropy(transposed[:1000], names), out[:1000], atol=1e-12)
    slow = once(lambda: vote_entropy(transposed, names))
    taken = bench.interleaved(
        {
            "querist": lambda: qr.vote_entropy(votes, out=out, n_threads=THREADS),
            "numba": lambda: vote_entropy_by_numba(votes, classes, table, theirs),
        }
    )
    work = f"vote_entropy, {m} x {n:,} uint8"
    bench.add(work, taken["querist"], "scikit-activeml, once", slow, bar=250)
    bench.add(work, taken["querist"], "numba, a table", taken["numba"], bar=5)


def test_expected_gradient_length(bench):
    n, c, d = scaled(1_000_000, bench), 10, 128
    proba, features = probabilities(n, c), gaussian(n, d)
    few = slice(0, 1000)
    unit = np.eye(c)
    lengths = np.linalg.norm(proba[few, None, :].astype(float) - unit, axis=2)
    norms = np.sqrt(1 + (features[few].astype(float) ** 2).sum(1))
    out = np.zeros(n, np.float32)
    got = qr.expected_gradient_length(proba, features, out=out)
    np.testing.assert_allclose(got[few], (proba[few] * lengths).sum(1) * norms, rtol=1e-5)
    both = np.ones((n, c + d), np.float32)
    taken = bench.interleaved(
        {
            "querist": lambda: qr.expected_gradient_length(proba, features, out=out, n_threads=THREADS),
            "limit": limit_of(both),
        }
    )
    work = f"expected_gradient_length, {n:,} x ({c} + {d})"
    bench.add(work, taken["querist"], "the limit", taken["limit"], bar=0.7, moved=both.nbytes)


@pytest.mark.parametrize("metric", ["cosine", "dot", "sqeuclidean"])
def test_linear_densities(bench, metric):
    n, d = scaled(1_000_000, bench), 128
    features = gaussian(n, d)
    few = features[: min(n, 2000)].astype(float)
    similarity = {
        "cosine": lambda: 1 - pairwise_distances(few, metric="cosine"),
        "dot": lambda: few @ few.T,
        "sqeuclidean": lambda: pairwise_distances(few, metric="sqeuclidean"),
    }[metric]().mean(1)
    expected = 1 / (1 + similarity) if metric == "sqeuclidean" else similarity
    np.testing.assert_allclose(qr.information_density(few, metric=metric), expected, rtol=1e-9, atol=1e-9)
    out = np.zeros(n, np.float32)
    taken = bench.interleaved(
        {
            "querist": lambda: qr.information_density(features, metric=metric, out=out, n_threads=THREADS),
            "limit": limit_of(features),
        }
    )
    work = f"{metric} density, {n:,} x {d} float32"
    bar = 0.4 if metric == "cosine" else None
    bench.add(work, taken["querist"], "the limit", taken["limit"], bar=bar, moved=features.nbytes)


def test_cosine_density_against_all_pairs(bench):
    from modAL.density import information_density

    n, d = scaled(20_000, bench), 128
    features = gaussian(n, d)
    few = features[:500]
    cosine = 1 - pairwise_distances(few.astype(float), metric="cosine")
    np.testing.assert_allclose(qr.information_density(few), cosine.mean(1), atol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        slow = once(lambda: information_density(features, metric="cosine"))
    taken = bench.interleaved({"querist": lambda: qr.information_density(features, n_threads=THREADS)})
    work = f"cosine density, {n:,} x {d} float32"
    bench.add(work, taken["querist"], "modAL's n x n, once", slow, bar=1000)


def products_by_numpy(features: np.ndarray) -> None:
    for first in range(0, len(features), 2048):
        features[first : first + 2048] @ features.T


def test_pairwise_densities(bench):
    n, d, k = scaled(50_000, bench), 128, 20
    features = gaussian(n, d)
    few = features[: min(n, 2000)]
    distance = pairwise_distances(few.astype(float))
    np.testing.assert_allclose(
        qr.information_density(few, metric="euclidean"), (1 / (1 + distance)).mean(1), rtol=1e-5
    )
    np.testing.assert_allclose(
        qr.information_density(few, metric="rbf", gamma=0.01), np.exp(-0.01 * distance**2).mean(1), rtol=1e-5
    )
    np.fill_diagonal(distance, np.inf)
    nearest = 1 / np.sort(distance, axis=1)[:, :k].mean(1)
    np.testing.assert_allclose(qr.knn_density(few, k), nearest, rtol=1e-5)
    by_sklearn = NearestNeighbors(n_neighbors=k, algorithm="brute", n_jobs=THREADS).fit(features)
    calls = {
        "euclidean": lambda: qr.information_density(features, metric="euclidean", n_threads=THREADS),
        "rbf": lambda: qr.information_density(features, metric="rbf", gamma=0.01, n_threads=THREADS),
        "knn": lambda: qr.knn_density(features, k, n_threads=THREADS),
        "numpy": lambda: products_by_numpy(features),
    }
    taken = bench.interleaved(calls, least=3)
    slow = once(by_sklearn.kneighbors)
    size = f"{n:,} x {d} float32"
    bench.add(f"euclidean density, {size}", taken["euclidean"], "X @ X.T", taken["numpy"], bar=1 / 0.75)
    bench.add(f"rbf density, {size}", taken["rbf"], "the euclidean one", taken["euclidean"], bar=1 / 1.3)
    bench.add(
        f"knn_density k = {k}, {size}", taken["knn"], "the euclidean one", taken["euclidean"], bar=1 / 1.5
    )
    bench.add(f"knn_density k = {k}, {size}", taken["knn"], "scikit-learn brute, once", slow, bar=5)


@pytest.mark.parametrize("shape", [(4096, 4096), (16_384, 128)])
def test_tile(bench, shape):
    n, d = scaled(shape[0], bench), shape[1]
    left, right = gaussian(n, d), gaussian(n, d)[::-1].copy()
    np.testing.assert_allclose(_core.products(left, right, THREADS), left @ right.T, atol=1e-2)
    taken = bench.interleaved(
        {"querist": lambda: _core.products(left, right, THREADS), "numpy": lambda: left @ right.T}
    )
    work = f"tile products, {n:,} x {n:,}, d = {d} float32"
    bench.add(work, taken["querist"], "OpenBLAS by numpy", taken["numpy"], bar=0.8)
