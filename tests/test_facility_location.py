"""Facility location against the naive greedy over the whole matrix of similarities."""

from __future__ import annotations

import math

import numpy as np
import pytest
import querist as qr

cover = qr.select.facility_location
every_kernel = pytest.mark.parametrize("kernel", ["rbf", "cosine"])
single_and_double = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def pool_of(n, d, dtype=np.float64, seed=0):
    pool = np.random.default_rng(seed).normal(size=(n, d)).astype(dtype)
    pool[n // 3] = pool[0]
    pool[n // 2] = 0
    return pool


def similarities(x, y, kernel, gamma):
    if kernel == "rbf":
        return np.exp(-gamma * ((x[:, None] - y[None]) ** 2).sum(axis=2))
    lengths = [np.linalg.norm(z, axis=1, keepdims=True) for z in (x, y)]
    x, y = (np.divide(z, m, out=np.zeros_like(z), where=m > 0) for z, m in zip((x, y), lengths, strict=True))
    return np.maximum(x @ y.T, 0)


def naive(pool, k, kernel, *, weights=None, labeled=None, available=None, follow=None):
    """Pick greedily, or follow given picks: `(indices, gains, the largest gains that there were)`."""
    pool = pool.astype(np.float64)
    gamma = 1 / (pool.shape[1] * pool.var())
    similar = similarities(pool, pool, kernel, gamma)
    weights = np.ones(len(pool)) if weights is None else weights
    coverage, closed = np.zeros(len(pool)), []
    if labeled is not None and np.ndim(labeled) == 2:
        coverage = similarities(pool, np.asarray(labeled, float), kernel, gamma).max(axis=1)
    elif labeled is not None and len(labeled):
        coverage, closed = similar[:, labeled].max(axis=1), list(labeled)
    picks, values, best = [], [], []
    for step in range(k):
        gains = (weights[:, None] * np.maximum(0, similar - coverage[:, None])).sum(axis=0)
        gains[closed + picks] = -1
        if available is not None:
            gains[~np.isin(np.arange(len(pool)), available)] = -1
        picks.append(int(gains.argmax()) if follow is None else int(follow[step]))
        values.append(gains[picks[-1]])
        best.append(gains.max())
        coverage = np.maximum(coverage, similar[:, picks[-1]])
    return picks, values, best


@every_kernel
@single_and_double
@pytest.mark.parametrize("labeled", [None, [3, 9], "outside"])
@pytest.mark.parametrize("weighted", [False, True])
def test_picks_and_gains_are_those_of_the_naive_greedy(dtype, kernel, labeled, weighted):
    for n, d, k in [(600, 8, 80), (150, 3, 100), (90, 65, 60)]:
        pool = pool_of(n, d, dtype)
        weights = np.random.default_rng(n).random(n) * (np.arange(n) % 5 > 0) if weighted else None
        given = pool_of(7, d, seed=5) if labeled == "outside" else labeled
        picks = cover(pool, k, kernel=kernel, weights=weights, labeled=given)
        loose = 1e-5 if dtype == np.float32 else 1e-11
        _, values, _ = naive(pool, k, kernel, weights=weights, labeled=given)
        np.testing.assert_allclose(picks.values, values, rtol=loose, atol=loose)
        # Where gains tie up to rounding the order may differ: each pick has the largest gain at its turn.
        _, values, best = naive(pool, k, kernel, weights=weights, labeled=given, follow=picks.indices)
        np.testing.assert_allclose(values, best, rtol=loose, atol=loose)
        np.testing.assert_allclose(picks.values, values, rtol=loose, atol=loose)
        assert len(set(picks.indices.tolist())) == k
        known = n * (0 if given is None else len(given))
        assert n * (n - 1) // 2 <= picks.info["distances"] - known <= k * n * n


def test_distances_to_labelled_rows_are_counted():
    pool = pool_of(600, 8, np.float64)
    none, some = (cover(pool, 1, kernel="rbf", labeled=labeled).info for labeled in (None, pool[:40] + 1))
    assert some["distances"] - none["distances"] >= 600 * 40
    assert some["sweeps"] == none["sweeps"] + 1


@pytest.mark.parametrize("n", [1150, 3000])
@pytest.mark.parametrize("distinct", [1, 5])
def test_equal_gains_come_to_an_end(n, distinct):
    points = np.random.default_rng(0).standard_normal((distinct, 4)).astype(np.float32)
    picks = qr.select.facility_location(points[np.arange(n) % distinct], distinct + 2, deadline=60)
    assert sorted(picks.indices[:distinct]) == list(range(distinct))
    assert picks.values[distinct:].tolist() == [0, 0]
    assert picks.indices[distinct:].tolist() == [distinct, distinct + 1]


@every_kernel
def test_what_may_be_picked(kernel):
    pool = pool_of(120, 4)
    allowed = np.arange(10, 40)
    picks = cover(pool, 20, kernel=kernel, available=allowed, labeled=[12])
    indices, values, _ = naive(pool, 20, kernel, available=np.delete(allowed, 2), labeled=[12])
    assert set(picks.indices.tolist()) <= set(allowed.tolist()) - {12}
    np.testing.assert_allclose(picks.values, values, rtol=1e-11)
    assert picks.indices[0] == indices[0]
    assert cover(pool, 0, kernel=kernel).indices.tolist() == []
    assert sorted(cover(pool, 120, kernel=kernel).indices.tolist()) == list(range(120))
    with pytest.raises(ValueError, match=r"k=30.*\b29\b"):
        cover(pool, 30, kernel=kernel, available=allowed, labeled=[12])


def test_bad_input_is_named():
    pool = pool_of(50, 3)
    with pytest.raises(ValueError, match="kernel"):
        cover(pool, 3, kernel="linear")
    for gamma in (0.0, -1.0, math.nan, math.inf, "auto"):
        with pytest.raises(ValueError, match="gamma"):
            cover(pool, 3, gamma=gamma)
    for wrong in (-1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match=r"weights.*row 4\b"):
            cover(pool, 3, weights=np.where(np.arange(50) == 4, wrong, 1.0))
    spoilt = pool.copy()
    spoilt[7, 1] = math.nan
    for kernel in ("rbf", "cosine"):
        with pytest.raises(ValueError, match=r"features.*row 7\b"):
            cover(spoilt, 3, kernel=kernel)


@every_kernel
@pytest.mark.parametrize("size", [1e-310, 1e-50, 1e39, 1e300])
def test_the_size_of_weights_does_not_change_the_picks(kernel, size):
    pool = pool_of(90, 4, np.float32)
    weights = np.random.default_rng(1).random(90)
    expected = cover(pool, 20, kernel=kernel, weights=weights)
    for dtype in (np.float32, np.float64):
        picks = cover(pool.astype(dtype), 20, kernel=kernel, weights=weights * size)
        assert picks.indices.tolist() == expected.indices.tolist()
        np.testing.assert_allclose(picks.values / size, expected.values, rtol=1e-4, atol=1e-6)


def test_one_weight_may_be_far_larger_than_the_others():
    pool = pool_of(30, 4, np.float32)
    for large in (1e39, 1e60):
        weights = np.where(np.arange(30) == 4, large, 1.0)
        picks, wide = (cover(x, 5, weights=weights) for x in (pool, pool.astype(np.float64)))
        assert picks.indices.tolist() == wide.indices.tolist()
        np.testing.assert_allclose(picks.values, wide.values, rtol=1e-5)
    with pytest.raises(ValueError, match="weights: expected a sum that is finite, got inf"):
        cover(pool, 2, weights=np.full(30, 1e308))


@pytest.mark.parametrize(("size", "gamma"), [(1, 1e39), (1, 1e-50), (1e-20, "scale"), (1e-19, 3e38)])
def test_the_kernel_of_float32_takes_any_width(size, gamma):
    pool = pool_of(50, 3, np.float32) * np.float32(size)
    outside = (pool[:2] * 1.5).astype(np.float64)
    for labeled in (None, [4], outside):
        picks, wide = (cover(x, 5, gamma=gamma, labeled=labeled) for x in (pool, pool.astype(np.float64)))
        assert picks.indices.tolist() == wide.indices.tolist()
        np.testing.assert_allclose(picks.values, wide.values, rtol=1e-6)


def test_a_deadline_that_no_float_holds_is_named():
    with pytest.raises((TypeError, ValueError), match=r"^deadline: "):
        qr.select.facility_location(np.eye(3), 1, deadline=10**400)
