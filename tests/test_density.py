"""Density: every metric against its n x n matrix, samples, sparse pools, neighbours, far from the origin."""

from __future__ import annotations

import math

import numpy as np
import pytest
import querist as qr
import scipy.sparse
from levels import at_level
from reference import FLOATS, MAPPED, bits
from reference_kernels import LINEAR, QUADRATIC, distances, information_density, knn_density, pool_of

every_metric = pytest.mark.parametrize("metric", LINEAR + QUADRATIC)
every_quadratic = pytest.mark.parametrize("metric", QUADRATIC)
every_float = pytest.mark.parametrize("dtype", FLOATS, ids=str)
single_and_double = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def assert_close(got, expected, name=""):
    rtol, atol = (1e-5, 1e-6) if got.dtype == np.float32 else (1e-10, 1e-13)
    size = max(1, np.abs(expected).max(initial=0, where=np.isfinite(expected)))
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=atol * size, err_msg=name)


@every_metric
@every_float
@pytest.mark.parametrize("include_self", [None, True, False])
def test_density_is_the_mean_of_a_row_of_the_matrix(metric, dtype, include_self):
    for n, d in [(2, 1), (40, 3), (203, 17), (130, 64), (20, 200)]:
        pool = pool_of(n, d, dtype)
        got = qr.information_density(pool, metric=metric, include_self=include_self)
        assert got.dtype == MAPPED.get(dtype.name, np.float64)
        assert_close(
            got, information_density(pool, metric, include_self=include_self is not False), f"{n, d}"
        )


@every_metric
@single_and_double
def test_every_row_of_a_reference_counts(metric, dtype):
    pool = pool_of(60, 9, dtype)
    for reference in (pool_of(1, 9, dtype, seed=1), pool_of(77, 9, dtype, seed=1), pool[10:30], pool):
        got = qr.information_density(pool, metric=metric, reference=reference)
        assert_close(got, information_density(pool, metric, reference=reference))


@single_and_double
def test_gamma_and_shift(dtype):
    pool = pool_of(80, 6, dtype)
    for gamma in (0.01, 1, np.float32(2.5)):
        got = qr.information_density(pool, metric="rbf", gamma=gamma)
        assert_close(got, information_density(pool, "rbf", gamma=float(gamma)))
    constant = np.full((10, 3), 7, dtype)
    assert qr.information_density(constant, metric="rbf").tolist() == [1.0] * 10
    for include_self in (True, False):
        got = qr.information_density(-pool, shift=True, include_self=include_self)
        assert_close(got, information_density(-pool, shift=True, include_self=include_self))
        assert (got >= 0).all()
    got = qr.information_density(pool, shift=True, reference=-pool[1:2])
    assert_close(got, information_density(pool, shift=True, reference=-pool[1:2]))


LEVELS = """
    for key, pool in given.items():
        for metric in ("cosine", "dot", "sqeuclidean", "euclidean", "rbf"):
            results[f"{key} {metric}"] = qr.information_density(pool, metric=metric)
            other = qr.information_density(pool, metric=metric, reference=pool[:50])
            results[f"{key} {metric} reference"] = other
        for metric in ("euclidean", "cosine"):
            results[f"{key} neighbours {metric}"] = qr.knn_density(pool[1::10], 7, metric=metric)
"""


def test_levels_agree(tmp_path):
    given = {f"{d} {dtype}": pool_of(333, d, dtype) for d in (1, 16, 37) for dtype in ("float32", "float64")}
    baseline = at_level("baseline", LEVELS, given, tmp_path)
    avx2 = at_level("avx2", LEVELS, given, tmp_path)
    for key, array in avx2.items():
        assert_close(baseline[key], array, key)
    avx512 = at_level("avx512", LEVELS, given, tmp_path)
    assert [key for key in avx2 if bits(avx2[key]) != bits(avx512[key])] == []


@pytest.mark.parametrize("offset", [1e4, -1e4])
def test_distances_far_from_the_origin_do_not_cancel(offset):
    pool = pool_of(300, 24, np.float32, offset=offset)
    spread = np.median(distances(pool[:20].astype(float), pool.astype(float)))
    for metric in ("sqeuclidean", "euclidean", "rbf"):
        got = qr.information_density(pool, metric=metric)
        np.testing.assert_allclose(got, information_density(pool, metric), rtol=1e-5)
    distinct = pool[1::10]
    got, expected = 1 / qr.knn_density(distinct, 3).astype(float), 1 / knn_density(distinct, 3)
    assert np.abs(got - expected).max() < 1e-5 * spread


@every_quadratic
@single_and_double
@pytest.mark.parametrize("offset", [0, 1e4])
def test_duplicates_are_at_exactly_no_distance(metric, dtype, offset):
    for n, d in [(2, 3), (50, 17), (300, 64)]:
        one = (np.random.default_rng(d).normal(size=(1, d)) + offset).astype(dtype)
        pool = np.repeat(one, n, axis=0)
        for include_self in (True, False):
            got = qr.information_density(pool, metric=metric, gamma=100.0, include_self=include_self)
            assert got.tolist() == [1.0] * n
        assert qr.information_density(pool, metric=metric, gamma=100.0, reference=one).tolist() == [1.0] * n


@single_and_double
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_neighbours_are_those_of_a_full_sort(dtype, metric):
    for n, d, k in [(2, 1, 1), (40, 3, 5), (203, 17, 20), (203, 17, 202), (130, 64, 1)]:
        rng = np.random.default_rng(n)
        pool = (
            rng.normal(size=(n, d)).astype(dtype)
            if metric == "euclidean" or d > 1
            else np.eye(n, dtype=dtype)
        )
        got = qr.knn_density(pool, k, metric=metric)
        assert got.dtype == dtype
        np.testing.assert_allclose(
            got, knn_density(pool, k, metric), rtol=1e-5 if dtype == np.float32 else 1e-10
        )


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("scale", [1e-16, 1e-20, 1e-22, 1e-24, 1e-40])
def test_neighbours_are_found_where_squares_vanish(scale, metric):
    pool = (np.random.default_rng(0).normal(size=(700, 3)) * scale).astype(np.float32)
    pool[:300] /= 100
    pool[650] = pool[5]
    for k in (1, 4):
        expected = qr.knn_density(pool.astype(np.float64), k, metric=metric)
        finite = expected < np.finfo(np.float32).max
        got = qr.knn_density(pool, k, metric=metric)
        np.testing.assert_allclose(got[finite], expected[finite], rtol=1e-6)
        assert np.isinf(got[~finite]).all()


@pytest.mark.parametrize(("n", "d", "k"), [(1200, 2, 3), (1200, 16, 5), (300, 2, 250), (1000, 1, 2)])
@pytest.mark.parametrize("offset", [0, 10, 1e3, 1e5])
def test_the_nearest_directions_of_float32_are_those_of_float64(n, d, k, offset):
    pool = np.random.default_rng(0).normal(offset, 1, (n, d)).astype(np.float32)
    pool[7] = pool[n // 2] = 0
    pool[n - 1] = pool[3]
    got = qr.knn_density(pool, k, metric="cosine")
    with np.errstate(over="ignore"):
        expected = qr.knn_density(pool.astype(np.float64), k, metric="cosine").astype(np.float32)
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    other = qr.knn_density(np.asfortranarray(pool), k, metric="cosine", n_threads=2)
    assert bits(got) == bits(other)


@single_and_double
@pytest.mark.parametrize("as_given", [np.asarray, scipy.sparse.csr_array], ids=["dense", "sparse"])
def test_mean_cosines_are_in_their_range(dtype, as_given):
    for seed in range(20):
        r = np.random.default_rng(seed)
        one = r.normal(size=(1, 7)) * r.uniform(0.5, 2, (40, 1))
        sides = np.where(np.arange(40) == 3, -1, 1)[:, None]
        for pool in (one.astype(dtype), (one * sides).astype(dtype)):
            for include_self in (True, False):
                cosine, shifted = (
                    qr.information_density(as_given(pool), shift=shift, include_self=include_self)
                    for shift in (False, True)
                )
                assert np.abs(cosine).max() <= 1
                assert 0 <= shifted.min() <= shifted.max() <= 1


@pytest.mark.parametrize("offset", [1e6, 1e8, 1e11])
@pytest.mark.parametrize("d", [1, 2, 9])
def test_mean_squared_distances_far_from_the_origin_keep_their_digits(offset, d):
    pool = np.random.default_rng(d).normal(size=(300, d)) + offset
    # The numbers as stored, moved without rounding.
    moved = pool - pool[0]
    expected = 1 / (1 + ((moved[:, None] - moved) ** 2).sum(axis=2).mean(axis=1))
    np.testing.assert_allclose(qr.information_density(pool, metric="sqeuclidean"), expected, rtol=1e-14)


@single_and_double
@pytest.mark.parametrize("offset", [0, 1e4])
def test_k_duplicates_are_infinitely_dense(dtype, offset):
    pool = (np.random.default_rng(0).normal(size=(90, 12)) + offset).astype(dtype)
    pool[[3, 40, 41, 89]] = pool[7]
    copies = np.isin(np.arange(90), [3, 7, 40, 41, 89])
    for k in (1, 4):
        assert np.isposinf(qr.knn_density(pool, k)).tolist() == copies.tolist()
    assert np.isfinite(qr.knn_density(pool, 5)).all()


def test_a_row_of_zeros_has_cosine_zero_to_everything():
    pool = np.array([[0.0, 0], [1, 0], [0, 2]])
    np.testing.assert_allclose(qr.information_density(pool), [0, 1 / 3, 1 / 3])
    assert qr.information_density(pool, shift=True)[0] == 0.5
    assert qr.knn_density(pool, 2, metric="cosine").tolist() == [1.0] * 3


@every_quadratic
@single_and_double
@pytest.mark.parametrize("kind", ["pool", "others", "reference"])
def test_a_sample_is_unbiased_and_its_standard_error_honest(metric, dtype, kind):
    pool, seeds = pool_of(150, 4, dtype), 60
    options = {"metric": metric, "include_self": False if kind == "others" else None}
    if kind == "reference":
        options["reference"] = pool_of(170, 4, dtype, seed=1)
    exact = qr.information_density(pool, **options).astype(float)
    drawn = [qr.information_density(pool, sample=40, seed=seed, **options) for seed in range(seeds)]
    estimates, errors = np.array(drawn, float).swapaxes(0, 1)
    assert drawn[0][0].dtype == drawn[0][1].dtype == dtype
    off = (estimates.mean(axis=0) - exact) / (errors.mean(axis=0) + 1e-12) * math.sqrt(seeds)
    assert np.abs(off).max() < 6
    within = np.abs(estimates - exact) <= 2 * errors + 1e-6
    assert within.mean() > 0.9
    np.testing.assert_allclose(estimates.std(axis=0).mean(), errors.mean(), rtol=0.15)


@every_quadratic
@pytest.mark.parametrize("include_self", [None, False])
def test_a_sample_of_everything_is_exact_and_a_seed_repeats_it(metric, include_self):
    pool, options = pool_of(60, 5), {"metric": metric, "include_self": include_self}
    density, error = qr.information_density(pool, sample=60, **options)
    assert_close(density, qr.information_density(pool, **options))
    assert np.abs(error).max() < 1e-7
    first = qr.information_density(pool, sample=20, seed=7, **options)
    again = qr.information_density(pool, sample=20, seed=7, **options)
    assert list(map(bits, first)) == list(map(bits, again))
    generator = np.random.default_rng(7)
    assert bits(qr.information_density(pool, sample=20, seed=generator, **options)[0]) == bits(first[0])
    assert bits(qr.information_density(pool, sample=20, seed=generator, **options)[0]) != bits(first[0])
    out = np.full(60, 7.0)
    assert qr.information_density(pool, sample=20, seed=7, out=out, **options)[0] is out
    assert bits(out) == bits(first[0])


@pytest.mark.parametrize("metric", ["euclidean", "rbf"])
def test_large_rows_that_lie_close_together_are_compared(metric):
    apart = np.arange(40.0).reshape(20, 2) * 7919 % 101
    pool = 1e155 + 1e142 * apart
    got = qr.information_density(pool, metric=metric, **({"gamma": 1e-286} if metric == "rbf" else {}))
    assert np.isfinite(got).all()


@pytest.mark.parametrize("include_self", [True, False])
def test_the_standard_error_does_not_cancel_where_rows_are_near_each_other(include_self):
    for size, metric in [(1e-4, "euclidean"), (1e-3, "rbf")]:
        pool = (np.random.default_rng(0).normal(size=(900, 8)) * size).astype(np.float32)
        options = {"gamma": 1.0, "include_self": include_self, "sample": 600, "seed": 7}
        errors = [
            qr.information_density(x, metric=metric, **options)[1] for x in (pool, pool.astype(np.float64))
        ]
        np.testing.assert_allclose(*errors, rtol=1e-2)


@every_quadratic
def test_the_standard_error_is_that_of_the_similarities_drawn(metric):
    pool = pool_of(700, 5)
    rows = np.sort(np.random.default_rng(3).choice(700, 650, replace=False))
    apart = distances(pool, pool[rows])
    similar = 1 / (1 + apart) if metric == "euclidean" else np.exp(-0.3 * apart**2)
    density, error = qr.information_density(pool, metric=metric, gamma=0.3, sample=650, seed=3)
    np.testing.assert_allclose(density, similar.mean(axis=1), rtol=1e-10)
    np.testing.assert_allclose(error, similar.std(axis=1, ddof=1) * np.sqrt((1 - 650 / 700) / 650), rtol=1e-9)


def test_the_rbf_kernel_of_float32_takes_any_width():
    pool = pool_of(60, 3, np.float32)
    for size, gamma in [(1, 1e39), (1, 1e-50), (1e-20, "scale"), (1e-40, "scale"), (1e-19, 3e38)]:
        small = pool * np.float32(size)
        got = qr.information_density(small, metric="rbf", gamma=gamma)
        assert got.dtype == np.float32
        wide = qr.information_density(small.astype(np.float64), metric="rbf", gamma=gamma)
        np.testing.assert_allclose(got, wide, rtol=1e-6)
        out = np.zeros(60, np.float32)
        assert qr.information_density(small, metric="rbf", gamma=gamma, out=out) is out
        assert bits(out) == bits(got)


def test_the_scale_of_the_kernel_where_the_variance_is_none_or_does_not_fit():
    for x in (0.1, 1 / 3, -1e9, 1e150):
        assert bits(qr.information_density(np.full((999, 7), x), metric="rbf")) == bits(np.ones(999))
    pool = pool_of(60, 3)
    for size in (1e-157, 1e-170):
        with pytest.raises(ValueError, match=r"features: expected numbers whose variance does not vanish"):
            qr.information_density(pool * size, metric="rbf")
    with pytest.raises(ValueError, match=r"features: .* variance overflows"):
        qr.information_density(pool + np.array([1e155, -1e155, 0]), metric="rbf")
