"""k-center and its selector against the naive greedy, to the bit and the tie; what picks stand for."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import querist as qr
import reference_select as slow
from levels import at_level
from reference import FLOATS, MAPPED, bits
from sklearn.datasets import load_digits

k_center, KCenter, coverage = qr.select.k_center, qr.select.KCenter, qr.select.coverage
METRICS = ["euclidean", "cosine"]
every_metric = pytest.mark.parametrize("metric", METRICS)
every_float = pytest.mark.parametrize("dtype", FLOATS, ids=str)
NAN, INF = np.nan, np.inf


def digits(dtype):
    return load_digits().data.astype(dtype)


def normal(n, d, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(dtype)


def tf_idf(n=1200, d=400):
    """Rows of length 1, 4 words each: almost all are √2 apart."""
    rng = np.random.default_rng(3)
    counts = np.zeros((n, d))
    counts[np.arange(n)[:, None], rng.integers(0, d, size=(n, 4))] = rng.integers(1, 4, size=(n, 4))
    rows = counts * np.log(n / np.maximum((counts > 0).sum(axis=0), 1))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def with_zeros(n, d, dtype=np.float64):
    rows = normal(n, d, dtype)
    rows[::9] = 0
    return rows


POOLS = {
    "digits float64": lambda: digits(np.float64),
    "digits float32": lambda: digits(np.float32),
    "normal": lambda: normal(1500, 300),
    "normal float32": lambda: normal(1500, 300, np.float32),
    "two columns": lambda: normal(6000, 2, np.float32),
    "offset": lambda: normal(1500, 77, np.float32) + np.float32(1e4),
    "duplicates": lambda: normal(90, 260)[np.random.default_rng(1).integers(0, 90, 1300)],
    "line": lambda: np.random.default_rng(2).permutation(5000)[:, None] // 3.0,
    "constant": lambda: np.full((700, 5), 0.1),
    "half constant": lambda: np.concatenate([np.full((2000, 9), 1 / 3), normal(2000, 2)], axis=1),
    "tf-idf": tf_idf,
    "zeros": lambda: with_zeros(1400, 270),
    "zeros float32": lambda: with_zeros(1400, 19, np.float32),
}
every_pool = pytest.mark.parametrize("name", POOLS)


def weights_of(n, seed=5):
    rng = np.random.default_rng(seed)
    weights = rng.random(n)
    weights[rng.random(n) < 0.1], weights[rng.random(n) < 0.05] = 0, NAN
    return weights


def labels_of(pool, seed=6):
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(pool))
    outside = pool[rows[:25]].astype(float) * 0.75
    return {"none": None, "one": rows[:1], "many": rows[: min(300, len(pool) // 3)], "outside": outside}


def assert_naive(pool, k, **options):
    threads = options.pop("n_threads", None)
    picks = k_center(pool, k, n_threads=threads, **options)
    indices, values = slow.k_center(pool, k, **options)
    assert picks.indices.tolist() == indices.tolist()
    assert (bits(picks.indices), bits(picks.values)) == (bits(indices), bits(values))
    return picks


@every_metric
@every_pool
def test_picks_and_values_are_those_of_the_naive_greedy(name, metric):
    pool = POOLS[name]()
    for labeled in labels_of(pool).values():
        assert_naive(pool, 120, labeled=labeled, metric=metric)
        assert_naive(pool, 120, labeled=labeled, metric=metric, weights=weights_of(len(pool)))


@every_metric
@pytest.mark.parametrize("name", ["digits float32", "tf-idf", "line"])
def test_many_picks_and_as_many_threads(name, metric):
    pool = POOLS[name]()[:1300]
    first = assert_naive(pool, 900, metric=metric, n_threads=1)
    for threads in (2, 3, 7):
        picks = k_center(pool, 900, metric=metric, n_threads=threads)
        assert list(map(bits, picks[:2])) == list(map(bits, first[:2]))


@every_metric
def test_a_large_pool_is_the_same_with_any_number_of_threads(metric):
    pool, weights = normal(20_000, 24, np.float32), weights_of(20_000)
    options = {"labeled": np.arange(0, 20_000, 40), "weights": weights, "metric": metric}
    first = assert_naive(pool, 40, n_threads=1, **options)
    for threads in (2, 3, 7):
        picks = k_center(pool, 40, n_threads=threads, **options)
        assert list(map(bits, picks[:2])) == list(map(bits, first[:2]))


@pytest.mark.parametrize(
    ("dtype", "scale"),
    [(np.float32, s) for s in (1e-30, 1e-22, 3e-23, 1e-15, 1e15, 3e17)]
    + [(np.float64, s) for s in (1e-170, 1e-161, 1e-100, 1e100, 1e152)],
)
@every_metric
def test_numbers_of_any_size(dtype, scale, metric):
    for d in (1, 4, 20):
        pool = (normal(1500, d) * scale).astype(dtype)
        assert_naive(pool, 60, metric=metric)
        assert_naive(pool, 60, metric=metric, labeled=np.arange(0, 300, 5))


def test_numbers_whose_squares_hardly_fit():
    signs = np.sign(normal(600, 1, np.float32))
    pool = signs * np.linspace(4.0e18, 4.6e18, 600, dtype=np.float32)[:, None]
    assert_naive(pool, 60)
    assert_naive(pool, 60, labeled=np.arange(0, 300, 5))
    with pytest.raises(ValueError, match=r"features: row 0 .*overflows"):
        qr.select.k_center(4 * pool, 60)


@pytest.mark.parametrize("scale", [1e-310, 1e-200, 1e200, 1.7e308])
@every_metric
def test_weights_of_any_size(scale, metric):
    pool, weights = normal(3000, 8) * 100, weights_of(3000) * scale
    for labeled in (None, np.arange(1000)):
        assert_naive(pool, 60, metric=metric, weights=weights, labeled=labeled)


def test_products_that_overflow_tie_at_infinity():
    pool = normal(6000, 4) * 1e3
    weights = np.where(np.random.default_rng(0).random(6000) < 0.01, 1.7e308, 1e305)
    for labeled in (None, np.arange(1000)):
        assert_naive(pool, 60, weights=weights, labeled=labeled)


@every_metric
def test_ties_and_missing_weights(metric):
    pool = np.array([[0.0, 1], [0, 1], [1, 0], [1, 0], [0, 0]])
    for weights in ([1, 2, 2, 1, 1], [0, 0, 0, 0, 0], [NAN, 0, 0, 1, 0], [NAN, NAN, 3, NAN, 3]):
        for k in range(1, 1 + int((~np.isnan(weights)).sum())):
            assert_naive(pool, k, metric=metric, weights=np.array(weights, float))
    assert k_center(pool, 1).values.tolist() == [INF]
    assert k_center(pool, 2, weights=np.zeros(5)).values.tolist() == [0, 0]
    assert k_center(pool, 1, weights=[0, 3, 1, 3, 0]).indices.tolist() == [1]
    assert k_center(pool, 1, weights=np.full(5, 2, np.float32)).indices.tolist() == [0]


@every_metric
def test_available_rows_and_how_many(metric):
    pool, rng = digits(np.float64)[:400], np.random.default_rng(0)
    mask = rng.random(400) < 0.3
    labeled, weights = np.flatnonzero(mask)[:7], weights_of(400)
    open_rows = np.setdiff1d(np.flatnonzero(mask), labeled)
    options = {"metric": metric, "labeled": labeled, "weights": weights}
    count = int((~np.isnan(weights[open_rows])).sum())
    picks = assert_naive(pool, count, available=mask, **options)
    for available in (np.flatnonzero(mask), np.flatnonzero(mask)[::-1], mask.tolist()):
        again = k_center(pool, count, available=available, **options)
        assert list(map(bits, again[:2])) == list(map(bits, picks[:2]))
    labels = np.isin(np.arange(400), labeled)
    again = k_center(pool, count, available=mask, metric=metric, labeled=labels, weights=weights)
    assert bits(again.indices) == bits(picks.indices)
    with pytest.raises(ValueError, match=rf"k={count + 1} .*the {count} rows"):
        k_center(pool, count + 1, available=mask, **options)
    with pytest.raises(ValueError, match="the 0 rows"):
        k_center(pool, 1, available=[], metric=metric)


@every_metric
@pytest.mark.parametrize("n", [1, 2, 50])
def test_k_from_nothing_to_everything(n, metric):
    pool = normal(n, 3)
    for k in (0, 1, n):
        assert_naive(pool, k, metric=metric)
        assert_naive(pool, k, metric=metric, labeled=np.ones((1, 3)))
    assert sorted(k_center(pool, n, metric=metric).indices) == list(range(n))
    assert len(k_center(pool, 0, labeled=np.arange(n), metric=metric).indices) == 0
    for k, labeled in ((n + 1, None), (1, np.arange(n)), (n, [0])):
        with pytest.raises(ValueError, match=f"k={k} is more"):
            k_center(pool, k, labeled=labeled, metric=metric)
    assert_naive(pool, min(n, 5), labeled=np.zeros((0, 3)), metric=metric)


@every_metric
@every_float
def test_floats(dtype, metric):
    pool, labeled = with_zeros(150, 21, dtype), [4, 100, 3]
    expected = assert_naive(pool.astype(MAPPED[dtype.name]), 50, labeled=labeled, metric=metric)
    nearest = slow.coverage(pool, expected.indices, metric)
    picks = k_center(pool, 50, labeled=labeled, metric=metric)
    assert list(map(bits, picks[:2])) == list(map(bits, expected[:2]))
    assert list(map(bits, coverage(pool, picks, metric=metric))) == list(map(bits, nearest))
    outside = pool[:20].astype(float)
    for view in (
        outside.astype(dtype),
        outside.astype(np.float32),
        outside.tolist(),
        outside[::-1].copy()[::-1],
    ):
        picks = k_center(pool, 30, labeled=view, metric=metric)
        assert bits(picks.indices) == bits(slow.k_center(pool, 30, labeled=outside, metric=metric)[0])


LEVELS = """
    for key, pool in given.items():
        for metric in ("euclidean", "cosine"):
            for name, labeled in (("none", None), ("many", list(range(0, 400, 3)))):
                picks = qr.select.k_center(pool, 100, labeled=labeled, metric=metric)
                results[f"{key} {metric} {name} indices"] = picks.indices
                results[f"{key} {metric} {name} values"] = picks.values
            rows, distances = qr.select.coverage(pool, picks, metric=metric)
            results[f"{key} {metric} rows"], results[f"{key} {metric} distances"] = rows, distances
"""


@pytest.mark.parametrize("level", ["avx2", "avx512"])
def test_levels_agree(level, tmp_path):
    given = {key: POOLS[key]() for key in ("digits float32", "normal", "offset", "line", "tf-idf", "zeros")}
    baseline, other = (at_level(name, LEVELS, given, tmp_path) for name in ("baseline", level))
    assert [key for key in other if bits(other[key]) != bits(baseline[key])] == []


@every_metric
def test_a_selector_keeps_nothing_but_what_was_added(metric):
    pool, labeled = digits(np.float32), [5, 900]
    weights = weights_of(len(pool))
    selector = KCenter(pool, labeled=labeled, metric=metric)
    for step in range(4):
        expected = slow.k_center(pool, 40, labeled=labeled, metric=metric)
        for _ in range(2):
            assert list(map(bits, selector.pick(40)[:2])) == list(map(bits, expected))
            weighted = slow.k_center(pool, 25, labeled=labeled, metric=metric, weights=weights)
            assert list(map(bits, selector.pick(25, weights=weights)[:2])) == list(map(bits, weighted))
            few = {"available": np.arange(7, 100)}
            open_ones = slow.k_center(pool, 9, labeled=labeled, metric=metric, **few)
            assert bits(selector.pick(9, n_threads=2, **few).indices) == bits(open_ones[0])
        selector.add(expected[0] if step % 2 else np.isin(np.arange(len(pool)), expected[0]))
        selector.add([*labeled, *expected[0]])
        selector.add([])
        labeled = [*labeled, *expected[0]]
    with pytest.raises(ValueError, match=f"the {len(pool) - len(labeled)} rows"):
        selector.pick(len(pool) - len(labeled) + 1)


def test_rows_from_outside_and_added_ones_together():
    pool = normal(1000, 30)
    selector = KCenter(pool, labeled=pool[:300] + 0.5)
    first = selector.pick(200)
    selector.add(first.indices[:100])
    rest = selector.pick(100)
    assert list(map(bits, rest[:2])) == [bits(a[100:]) for a in first[:2]]


def test_a_selector_in_eight_threads():
    pool = normal(4000, 20, np.float32)
    expected = slow.k_center(pool, 60, labeled=[1, 2])
    selector = KCenter(pool, labeled=[1, 2])
    with ThreadPoolExecutor(8) as executor:
        for picks in executor.map(lambda threads: selector.pick(60, n_threads=threads), [1, 2, 3, 1] * 4):
            assert list(map(bits, picks[:2])) == list(map(bits, expected))


def test_info_counts():
    info = k_center(normal(500, 6), 20).info
    assert sorted(info) == ["distances", "sweeps"]
    assert all(type(value) is int and value > 0 for value in info.values())


@every_metric
@every_pool
def test_coverage_is_that_of_brute_force(name, metric):
    pool = POOLS[name]()
    rows = np.random.default_rng(0).permutation(len(pool))[:200]
    for picks in (rows, rows[:1], k_center(pool, 50, metric=metric)):
        indices = picks if isinstance(picks, np.ndarray) else picks.indices
        for threads in (1, 3):
            nearest, distance = coverage(pool, picks, metric=metric, n_threads=threads)
            expected = slow.coverage(pool, indices, metric)
            assert list(map(bits, (nearest, distance))) == list(map(bits, expected))
    # A row of zeros has cosine 0 to everything, itself included.
    itself = indices if metric == "euclidean" else indices[pool[indices].any(axis=1)]
    assert not distance[itself].any()


@every_metric
@pytest.mark.parametrize("seed", range(12))
def test_coverage_holds_across_blocks_of_picks_and_rows_of_very_different_length(seed, metric):
    rng = np.random.default_rng(seed)
    pool = rng.standard_normal((900, seed % 5 + 1)).astype([np.float32, np.float64][seed % 2])
    pool[rng.integers(0, 900, 5)] *= 10.0 ** (seed % 4)
    rows = rng.permutation(900)[:700]
    got, expected = coverage(pool, rows, metric=metric), slow.coverage(pool, rows, metric)
    assert list(map(bits, got)) == list(map(bits, expected))


def test_a_selector_is_not_copied():
    selector = KCenter(normal(5, 2))
    for way in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="KCenter cannot be copied"):
            way(selector)
