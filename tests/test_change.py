"""Model change: gradients that are really built, and regressions that are really refitted."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import querist as qr
from levels import at_level
from reference import FLOATS, MAPPED, bits, dirichlet, gini
from reference_kernels import (
    exact_gains,
    expected_gradient_length,
    mean_variance,
    variance_reduction,
    variance_reduction_picks,
)

every_float = pytest.mark.parametrize("dtype", FLOATS, ids=str)
every_kind = pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
REFUSED = (ValueError, TypeError)
NAN = math.nan


def normal(n, d, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(dtype)


def rtol(dtype):
    return 1e-11 if dtype == np.float64 else 1e-5


@every_kind
@every_float
@pytest.mark.parametrize("shape", [(1, 1, 1), (50, 2, 3), (203, 10, 17), (30, 100, 5), (33, 3, 130)])
def test_gradient_length_is_that_of_the_gradients(shape, dtype, bias):
    n, c, d = shape
    proba, features = dirichlet(n, c, dtype), normal(n, d, dtype)
    got = qr.expected_gradient_length(proba, features, bias=bias)
    assert got.dtype == MAPPED.get(dtype.name, np.float64)
    expected = expected_gradient_length(proba, features, bias=bias)
    np.testing.assert_allclose(got, expected, rtol=rtol(got.dtype), atol=1e-30)
    got = qr.expected_gradient_length(proba, features, bias=bias, squared=True)
    if dtype == np.float64:
        expected = expected_gradient_length(proba, features, bias=bias, squared=True)
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-13)
    norms = (features.astype(np.float64) ** 2).sum(axis=1) + bias
    impurity = gini(proba.astype(np.float64))
    np.testing.assert_allclose(got, norms * impurity, rtol=4 * rtol(got.dtype), atol=1e-12)


@every_kind
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("doubt", [1e-3, 1e-5, 1e-6, 1e-7])
def test_gradient_length_keeps_its_digits_on_nearly_certain_rows(doubt, dtype, bias):
    proba = dirichlet(200, 7, np.float64) * doubt
    proba[:, 3] += 1 - doubt
    proba, features = proba.astype(dtype), normal(200, 16, dtype)
    for squared in (False, True):
        got = qr.expected_gradient_length(proba, features, bias=bias, squared=squared)
        if squared:
            # 1 - sum p^2 of the stored numbers, whose sum is 1 only to rounding.
            norms = (features.astype(np.float64) ** 2).sum(axis=1) + bias
            expected = norms * gini(proba.astype(np.float64))
        else:
            expected = expected_gradient_length(proba, features, bias=bias)
        np.testing.assert_allclose(got, expected, rtol=max(rtol(dtype), 1e-9))


LEVELS = """
    for dtype in ("float32", "float64"):
        proba, features = given[f"proba {dtype}"], given[f"features {dtype}"]
        results[f"length {dtype}"] = qr.expected_gradient_length(proba, features)
        results[f"variance {dtype}"] = qr.variance_reduction(features, labeled=[3, 5])
        picks = qr.select.variance_reduction(features, 5, labeled=[3, 5])
        results[f"picks {dtype}"] = picks.indices
        results[f"gains {dtype}"] = picks.values
"""


def test_levels_agree(tmp_path):
    given = {}
    for dtype in ("float32", "float64"):
        given |= {f"proba {dtype}": dirichlet(333, 10, dtype), f"features {dtype}": normal(333, 19, dtype)}
    baseline = at_level("baseline", LEVELS, given, tmp_path)
    avx2 = at_level("avx2", LEVELS, given, tmp_path)
    for key, array in avx2.items():
        np.testing.assert_allclose(baseline[key], array, rtol=rtol(array.dtype) * 10, err_msg=key)
    avx512 = at_level("avx512", LEVELS, given, tmp_path)
    assert [key for key in avx2 if bits(avx2[key]) != bits(avx512[key])] == []


@pytest.mark.parametrize("d", [1, 7, 130])
@pytest.mark.parametrize(
    ("dtype", "powers"),
    [(np.float32, [-120, -70, 70, 110]), (np.float64, [-1000, -600, -450, 450, 600, 1000])],
)
def test_gradient_length_keeps_its_digits_where_squares_do_not(dtype, powers, d):
    proba, features = dirichlet(40, 3, dtype), normal(40, d, dtype)
    features[7] = 0
    expected = qr.expected_gradient_length(proba, features, bias=False)
    for power in powers:
        scaled = np.ldexp(features, power)
        got = qr.expected_gradient_length(proba, scaled, bias=False)
        np.testing.assert_allclose(got, np.ldexp(expected, power), rtol=4 * np.finfo(dtype).eps)


@every_kind
def test_gradient_length_that_overflows_is_named(bias):
    proba = np.array([[0.5, 0.5], [1, 0], [0.5, 0.5]])
    for dtype, large in ((np.float32, 3e38), (np.float64, 1.7e308)):
        features = np.ones((3, 4), dtype)
        features[1] = large
        with pytest.raises(ValueError, match=r"features.*\brow 1\b.*overflows"):
            qr.expected_gradient_length(proba.astype(dtype), features, bias=bias)
        features[1] = large**0.6
        with pytest.raises(ValueError, match=r"features.*\brow 1\b.*overflows"):
            qr.expected_gradient_length(proba.astype(dtype), features, bias=bias, squared=True)


@pytest.mark.parametrize(
    ("dtype", "doubt"),
    [
        *((np.float32, doubt) for doubt in (1e-13, 1e-20, 1e-30, 1e-37, 1e-44)),
        *((np.float64, doubt) for doubt in (1e-13, 1e-44, 1e-200, 1e-320)),
    ],
)
@pytest.mark.parametrize("c", [3, 10, 100])
def test_gradient_length_of_certain_rows_is_what_little_is_left(dtype, doubt, c):
    proba = np.full((20, c), doubt, dtype)
    proba[np.arange(20), np.arange(20) % c] = 1
    stored = float(proba[0, 1])
    got = qr.expected_gradient_length(proba, np.ones((20, 1), dtype), bias=False)
    # The largest is ‖(0, p, …, p)‖ from its unit vector, each other √2 from its own.
    true = stored * ((c - 1) ** 0.5 + (c - 1) * 2**0.5)
    np.testing.assert_allclose(got, true, rtol=rtol(dtype), atol=2 * np.finfo(dtype).smallest_subnormal)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("c", [2, 70])
def test_gradient_length_of_certain_rows_of_every_size(dtype, c):
    left = 2.0 ** np.arange(np.log2(np.finfo(dtype).smallest_subnormal) + 10, -10)
    proba = np.zeros((len(left), c), dtype)
    proba[:, 0], proba[:, -1] = 1, left
    got = qr.expected_gradient_length(proba, np.ones((len(left), 1), dtype), bias=False)
    np.testing.assert_allclose(got, left * (1 + np.hypot(1 - left, 1)), rtol=1e-3)


def test_gradient_length_is_of_the_wider_type_of_both():
    proba, features = dirichlet(20, 3), normal(20, 4)
    for one, other in ((np.float32, np.float64), (np.float64, np.float16)):
        given = proba.astype(one), features.astype(other)
        got = qr.expected_gradient_length(*given)
        wide = qr.expected_gradient_length(*(array.astype(np.float64) for array in given))
        assert got.dtype == np.float64
        assert bits(got) == bits(wide)
    assert qr.expected_gradient_length(proba.astype(np.float16), features.astype("f4")).dtype == np.float32


def test_gradient_length_of_bad_input():
    proba, features = dirichlet(20, 3), normal(20, 4)
    score = qr.expected_gradient_length
    assert score(np.zeros((0, 3)), np.zeros((0, 4))).shape == (0,)
    for unfit in (features[:19], features[:, 0], features[:, :0]):
        with pytest.raises(ValueError, match="features"):
            score(proba, unfit)
    with pytest.raises(TypeError, match="features"):
        score(proba, features.astype(int))
    for bad in (NAN, math.inf):
        spoilt = features.copy()
        spoilt[13, 2] = bad
        with pytest.raises(ValueError, match=r"features.*\brow 13\b"):
            score(proba, spoilt)
    spoilt = proba.copy()
    spoilt[7, 1] = NAN
    with pytest.raises(ValueError, match=r"proba.*\brow 7\b"):
        score(spoilt, features)
    got = score(spoilt, features, invalid="nan")
    assert np.isnan(got).nonzero()[0].tolist() == [7]
    assert bits(np.delete(got, 7)) == bits(np.delete(score(proba, features), 7))
    out = np.full(20, 7.0)
    assert score(proba, features, out=out) is out
    assert bits(out) == bits(score(proba, features))
    for unfit in (np.zeros(19), np.zeros(20, np.float32), proba[:, 0], features.reshape(-1)[:20]):
        with pytest.raises(REFUSED, match="out"):
            score(proba, features, out=unfit)


def labels_of(pool):
    """Yield ways to say what is labelled, each with the labelled rows it means."""
    mask = np.zeros(len(pool), bool)
    mask[[1, 4, 9]] = True
    yield [9, 1, 4], pool[[1, 4, 9]]
    yield np.array([9, 1, 4], np.uint8), pool[[1, 4, 9]]
    yield mask, pool[mask]
    outside = normal(6, pool.shape[1], seed=5)
    yield outside, outside
    yield outside.astype(np.float32), outside.astype(np.float32).astype(float)
    yield outside[:, ::-1].copy()[:, ::-1], outside
    none = pool[:0].astype(float)
    yield from (
        (e, none) for e in ([], np.zeros(0, bool), np.zeros(0, int), np.zeros((0, 99)), none.astype(int))
    )


@every_float
@pytest.mark.parametrize(("ridge", "noise"), [(1.0, 1.0), (0.1, 2.5), (30, 0.01)])
def test_variance_reduction_is_the_fall_of_a_refit(dtype, ridge, noise):
    pool = normal(40, 5, dtype)
    exactly = pool.astype(np.float64)
    for labeled, rows in labels_of(exactly):
        got = qr.variance_reduction(pool, labeled=labeled, ridge=ridge, noise=noise)
        assert got.dtype == MAPPED.get(dtype.name, np.float64)
        expected = variance_reduction(exactly, rows, ridge, noise)
        np.testing.assert_allclose(got, expected, rtol=2e-8 if got.dtype == np.float64 else 1e-5)


@pytest.mark.parametrize(
    ("labeled", "error", "text"),
    [
        ([1.0, 2.0], TypeError, "labeled"),
        (np.zeros((2, 5), int), TypeError, "labeled"),
        (np.zeros((2, 2, 5)), TypeError, "labeled"),
        (3, TypeError, "labeled"),
        ("first", TypeError, "labeled"),
        (None, TypeError, "labeled"),
        ([3, 1, 3], ValueError, r"row 3\b.*twice"),
        ([3, 40], ValueError, r"row 40\b"),
        ([-1], ValueError, r"row -1\b"),
        (np.array([2**64 - 1], np.uint64), ValueError, "labeled"),
        (np.zeros(39, bool), ValueError, r"labeled.*\b40\b"),
        (np.zeros((2, 4)), ValueError, r"labeled.*\b5\b"),
        (np.array([[0.0] * 5, [0, 0, NAN, 0, 0]]), ValueError, r"labeled.*\brow 1\b"),
    ],
)
def test_labels_that_mean_nothing_are_refused(labeled, error, text):
    pool = normal(40, 5)
    with pytest.raises(error, match=text):
        qr.variance_reduction(pool, labeled=labeled)
    with pytest.raises(error, match=text):
        qr.select.variance_reduction(pool, 2, labeled=labeled)


@pytest.mark.parametrize("argument", ["ridge", "noise"])
@pytest.mark.parametrize("bad", [0, -1, NAN, math.inf, "1", None, True])
def test_ridge_and_noise_are_positive_numbers(argument, bad):
    with pytest.raises(REFUSED, match=argument):
        qr.variance_reduction(normal(10, 3), labeled=[], **{argument: bad})


def test_variance_reduction_of_bad_and_of_no_features():
    pool = normal(10, 3)
    assert qr.variance_reduction(pool[:0], labeled=[]).shape == (0,)
    for unfit in (pool[:, 0], pool[:, :0], pool[None]):
        with pytest.raises(ValueError, match="features"):
            qr.variance_reduction(unfit, labeled=[])
    with pytest.raises(TypeError, match="features"):
        qr.variance_reduction(pool.astype(int), labeled=[])
    out = np.full(10, 7.0)
    assert qr.variance_reduction(pool, labeled=[2], out=out) is out
    assert bits(out) == bits(qr.variance_reduction(pool, labeled=[2]))
    with pytest.raises(REFUSED, match="out"):
        qr.variance_reduction(pool, labeled=[], out=np.zeros(9))
    pool[4, 1] = math.inf
    with pytest.raises(ValueError, match=r"features.*\brow 4\b"):
        qr.variance_reduction(pool, labeled=[])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_batch_is_the_greedy_one_of_refits(dtype):
    pool = normal(60, 4, dtype)
    exactly = pool.astype(np.float64)
    for labeled, rows in labels_of(exactly):
        own = np.asarray(labeled).ndim == 1
        taken = np.isin(np.arange(60), [1, 4, 9]) if own and len(rows) else np.zeros(60, bool)
        left = np.flatnonzero(~taken)
        expected, gains = variance_reduction_picks(exactly, rows, 8, left)
        picks = qr.select.variance_reduction(pool, 8, labeled=labeled)
        assert picks.indices.tolist() == expected.tolist()
        assert picks.values.dtype == np.float64
        np.testing.assert_allclose(picks.values, gains, rtol=1e-6)
        fall = mean_variance(exactly, rows, 1, 1) - mean_variance(
            exactly, np.vstack([rows, exactly[expected]]), 1, 1
        )
        np.testing.assert_allclose(picks.values.sum(), fall, rtol=1e-6)
        assert picks.info["rows_scored"] >= 8


def hard_pools():
    """Pools of which a pick takes nearly all of the variance, or whose columns differ widely in size."""
    r, n = np.random.default_rng(0), 80
    income = np.c_[r.normal(5e4, 2e4, n), r.integers(18, 80, n), r.integers(1990, 2024, n)]
    yield pytest.param(income, {}, id="income, age, year")
    yield pytest.param(np.c_[np.ones(n), r.normal(1.7e9, 1e7, n)], {}, id="1, seconds of years")
    yield pytest.param(np.c_[np.ones(n), r.normal(1.7e9, 1e3, n)], {}, id="1, seconds of an hour")
    yield pytest.param(r.normal(size=(n, 5)), {"ridge": 1e-8}, id="small ridge")
    yield pytest.param(r.normal(size=(n, 4)), {"ridge": 1e-14, "noise": 3.0}, id="smaller ridge")
    yield pytest.param(r.normal(size=(n, 5)) * 1e5, {}, id="long rows")
    yield pytest.param(r.normal(size=(n, 5)) * 10.0 ** np.arange(-6, 4, 2), {}, id="columns of all sizes")


@pytest.mark.parametrize(("pool", "options"), list(hard_pools()))
def test_the_batch_keeps_its_digits_where_picks_take_nearly_all(pool, options):
    picks = qr.select.variance_reduction(pool, 12, labeled=[], **options)
    left = np.ones(len(pool), bool)
    gains = exact_gains(pool, picks.indices, **options)
    for pick, value, exact in zip(*picks, gains, strict=True):
        assert exact[pick] >= exact[left].max() * (1 - 1e-9)
        assert value == pytest.approx(exact[pick], rel=1e-9)
        left[pick] = False


def test_a_batch_that_falls_far_has_the_same_bits_for_any_threads():
    pool = np.random.default_rng(0).normal(size=(30_000, 5)) * 1e5
    one, two = (qr.select.variance_reduction(pool, 12, labeled=[], n_threads=n) for n in (1, 2))
    assert bits(one.values) == bits(two.values)
    assert one.indices.tolist() == two.indices.tolist()


def test_the_batch_is_of_available_and_unlabelled_rows():
    pool = normal(30, 4)
    for available in (list(range(5, 15)), np.isin(np.arange(30), range(5, 15))):
        for labeled in ([7, 20], np.isin(np.arange(30), [7, 20])):
            picks = qr.select.variance_reduction(pool, 9, labeled=labeled, available=available)
            assert sorted(picks.indices.tolist()) == [i for i in range(5, 15) if i != 7]
            with pytest.raises(ValueError, match=r"\bk\b"):
                qr.select.variance_reduction(pool, 10, labeled=labeled, available=available)
    outside = qr.select.variance_reduction(pool, 30, labeled=pool[:3])
    assert sorted(outside.indices.tolist()) == list(range(30))
    for bad in ([3, 3], [30], [0.5], np.zeros(29, bool)):
        for labeled in ([], [1]):
            with pytest.raises(REFUSED, match="available"):
                qr.select.variance_reduction(pool, 1, labeled=labeled, available=bad)
    assert qr.select.variance_reduction(pool, 0, labeled=[], available=[]).indices.size == 0


def test_ties_go_to_the_lower_row():
    pool = np.repeat(normal(5, 3), 4, axis=0)
    picks = qr.select.variance_reduction(pool, 20, labeled=[])
    assert sorted(picks.indices.tolist()) == list(range(20))
    order = picks.indices.tolist()
    for first in range(0, 20, 4):
        copies = [i for i in order if first <= i < first + 4]
        assert copies == sorted(copies)


@pytest.mark.parametrize("scale", [1e160, 1e100])
def test_features_whose_products_overflow_are_named(scale):
    pool = np.random.default_rng(0).normal(size=(20, 3))
    pool[7] = 9
    for call in (
        lambda: qr.variance_reduction(pool * scale, labeled=[]),
        lambda: qr.select.variance_reduction(pool * scale, 3, labeled=[]),
    ):
        with pytest.raises(ValueError, match=r"features: row 7\b.*overflows"):
            call()


@pytest.mark.parametrize(("ridge", "noise"), [(1.0, 1e308), (1e-200, 1.0)])
def test_ridge_and_noise_that_make_the_variance_overflow_are_named(ridge, noise):
    pool, text = (
        np.array([[1.0], [2.0]]),
        f"^features: row 1 .*with ridge={ridge} and noise={noise}, .*overflows",
    )
    for call in (
        lambda: qr.variance_reduction(pool, labeled=[], ridge=ridge, noise=noise),
        lambda: qr.select.variance_reduction(pool, 1, labeled=[], ridge=ridge, noise=noise),
    ):
        with pytest.raises(ValueError, match=text.replace("+", r"\+")):
            call()


def test_a_ridge_that_drowns_in_the_labelled_features_is_named():
    with pytest.raises(ValueError, match=r"^ridge: 1e-300 is too small"):
        qr.variance_reduction(normal(4, 2), labeled=np.full((4, 2), 2.0**20), ridge=1e-300)


def gains_by_fractions(pool, labeled, ridge):
    """The gain of each row by fractions, with noise 1."""
    rows = [[Fraction(float(x)) for x in row] for row in pool]
    d = len(rows[0])
    precision = [
        [sum(rows[r][i] * rows[r][j] for r in labeled) + (Fraction(ridge) if i == j else 0) for j in range(d)]
        for i in range(d)
    ]
    for i in range(d):  # Gauss and Jordan, in place
        pivot = precision[i][i]
        precision[i][i] = Fraction(1)
        precision[i] = [x / pivot for x in precision[i]]
        for j in range(d):
            if j != i:
                factor, precision[j][i] = precision[j][i], Fraction(0)
                precision[j] = [x - factor * y for x, y in zip(precision[j], precision[i], strict=True)]
    times = [[sum(s * x for s, x in zip(line, row, strict=True)) for line in precision] for row in rows]
    across = [[sum(x * t for x, t in zip(row, time, strict=True)) for row in rows] for time in times]
    return np.array(
        [float(sum(x * x for x in line) / len(rows) / (1 + line[r])) for r, line in enumerate(across)]
    )


@pytest.mark.parametrize(("size", "ridge"), [(1.0, 1.0), (3e6, 1e-2), (3e7, 1.0), (1e4, 1e-6)])
def test_a_ridge_that_is_small_beside_few_labelled_rows_keeps_its_digits(size, ridge):
    for seed in range(4):
        pool = normal(15, 4, seed=seed) * size
        expected = gains_by_fractions(pool, [0, 1], ridge)
        gains = qr.variance_reduction(pool, labeled=[0, 1], ridge=ridge)
        np.testing.assert_allclose(gains[2:], expected[2:], rtol=1e-7)
        expected[:2] = -1
        picks = qr.select.variance_reduction(pool, 1, labeled=[0, 1], ridge=ridge)
        assert picks.indices.tolist() == [expected.argmax()]
        outside = qr.variance_reduction(pool, labeled=pool[:2], ridge=ridge)
        assert bits(outside) == bits(gains)


def test_outside_rows_whose_products_overflow_count():
    gains = qr.variance_reduction(np.array([[3.0, 4], [3, 5]]), labeled=[[1e200, 1.0], [1e200, 2.0]])
    np.testing.assert_allclose(gains, [12.4952, 12.8931], rtol=1e-4)  # mpmath, 900 digits


@pytest.mark.parametrize("noise", [1e-200, 1e-150, 1e200])
def test_noise_scales_all_gains_alike(noise):
    pool = normal(20, 4)
    one = qr.select.variance_reduction(pool, 3, labeled=[5])
    other = qr.select.variance_reduction(pool, 3, labeled=[5], noise=noise)
    assert one.indices.tolist() == other.indices.tolist()
    np.testing.assert_allclose(other.values, one.values * noise, rtol=1e-14)


def test_forms_that_overflow_are_named_and_not_picked():
    for call in (qr.variance_reduction, lambda X, **options: qr.select.variance_reduction(X, 3, **options)):
        with pytest.raises(ValueError, match=r"^features: row \d+ .*overflows"):
            call(normal(20, 4), labeled=[], ridge=1e-320)


def test_a_long_batch_has_a_deadline():
    with pytest.raises(TimeoutError, match="deadline"):
        qr.select.variance_reduction(normal(20_000, 4), 20_000, labeled=[], deadline=0.2)


def test_a_batch_goes_on_where_nothing_is_left_of_what_was():
    rows = [
        [9996.409078642368, 9999.996612151714],
        [9975.815006313986, 9999.999238005834],
        [9996.02866333266, 10000.002749563233],
        [10001.948395631694, 10000.008387179932],
        [9999.723507195675, 10000.007824317923],
    ]
    X = np.vstack([np.zeros((4, 2)), rows])
    picks = qr.select.variance_reduction(X, 3, labeled=[], ridge=1e-6, noise=100.0)
    assert picks.indices.tolist() == [6, 5, 7]
    assert picks.values[2] == pytest.approx(36.66, rel=1e-3)  # with 70 digits
