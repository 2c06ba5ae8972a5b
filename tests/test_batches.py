"""Power sampling, k-means++, BADGE, MMR and ranked batch against the slow obvious way."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import querist as qr
from reference import bits, dirichlet
from scipy.stats import chisquare
from sklearn.datasets import load_digits

select = qr.select
NAN, INF = math.nan, math.inf
single_and_double = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def unit(x):
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    return np.divide(x, norms, out=np.zeros_like(x), where=norms > 0)


def pool_of(n, d, dtype=np.float64, seed=0):
    pool = np.random.default_rng(seed).normal(size=(n, d)).astype(dtype)
    pool[n // 3] = pool[0]
    pool[n // 2] = 0
    return pool


def squared_to(x, chosen):
    return ((x[:, None] - x[chosen][None]) ** 2).sum(axis=2).min(axis=1)


def greedy_mmr(scores, x, k, trade_off, labeled):
    cosine, chosen = unit(x) @ unit(x).T, list(labeled)
    picks, values = [], []
    for _ in range(k):
        value = trade_off * scores
        if chosen:
            value = value - (1 - trade_off) * cosine[:, chosen].max(axis=1)
        value[list(labeled) + picks] = -INF
        picks.append(int(np.nanargmax(value)))
        values.append(value[picks[-1]])
        chosen.append(picks[-1])
    return picks, values


def test_keys_of_no_size_tie_whatever_their_sign():
    scores = np.where(np.arange(20_000) < 12_000, -0.0, 0.0)
    # Rows of zeros have cosine 0 to all.
    picks = select.mmr(scores, np.zeros((20_000, 1)), 5, labeled=[2, 4])
    assert picks.indices.tolist() == [0, 1, 3, 5, 6]


def greedy_ranked(scores, x, k, labeled):
    picks, values = [], []
    for t in range(k):
        chosen = [*labeled, *picks]
        left = len(x) - len(labeled) - t
        alpha = left / (left + len(chosen))
        apart = np.sqrt(squared_to(x, chosen)) if chosen else np.full(len(x), INF)
        value = alpha * (1 - 1 / (1 + apart)) + (1 - alpha) * scores
        order = value.copy() if chosen else scores.copy()
        order[chosen] = -INF
        picks.append(int(np.nanargmax(order)))
        values.append(value[picks[-1]])
    return picks, values


@single_and_double
@pytest.mark.parametrize("labeled", [[], [1], [1, 5, 40]])
@pytest.mark.parametrize("trade_off", [0.0, 0.5, 0.9, 1.0])
def test_mmr_is_the_naive_greedy(dtype, labeled, trade_off):
    for n, d, k in [(300, 5, 60), (203, 20, 200), (41, 1, 38)]:
        pool, scores = pool_of(n, d, dtype), np.random.default_rng(d).random(n)
        picks = select.mmr(scores, pool, k, trade_off=trade_off, labeled=labeled)
        indices, values = greedy_mmr(scores, pool.astype(float), k, trade_off, labeled)
        np.testing.assert_allclose(picks.values, values, atol=1e-12)
        if 0 < trade_off < 1 and d > 1:
            assert picks.indices.tolist() == indices
        assert len(set(picks.indices.tolist())) == k
        assert picks.info["distances"] >= 0


@single_and_double
@pytest.mark.parametrize("labeled", [[], [1], [1, 5, 40]])
def test_ranked_batch_is_the_naive_greedy(dtype, labeled):
    for n, d, k in [(300, 5, 60), (203, 20, 200), (41, 1, 38)]:
        pool, scores = pool_of(n, d, dtype), np.random.default_rng(d).random(n)
        picks = select.ranked_batch(scores, pool, k, labeled=labeled)
        indices, values = greedy_ranked(scores, pool.astype(float), k, labeled)
        assert picks.indices.tolist() == indices
        np.testing.assert_allclose(picks.values, values, rtol=1e-12)


def test_ranked_batch_with_rows_from_outside_and_digits_with_ties():
    pool = load_digits().data
    scores = np.random.default_rng(0).integers(0, 3, len(pool)) / 2
    picks = select.ranked_batch(scores[100:], pool[100:], 40, labeled=pool[:100])
    whole = select.ranked_batch(scores, pool, 40, labeled=np.arange(100))
    assert (picks.indices + 100).tolist() == whole.indices.tolist()
    assert bits(picks.values) == bits(whole.values)


@pytest.mark.parametrize("scale", [1.0, 1e4])
@pytest.mark.parametrize("spread", [0.0, 1e-9, 0.01])
def test_ranked_batch_of_scores_that_hardly_differ_is_the_naive_greedy(scale, spread):
    rng = np.random.default_rng(1)
    pool = rng.normal(size=(6000, 2)) * scale
    pool[4000:] = pool[rng.integers(0, 40, 2000)]
    scores = 0.5 + spread * rng.random(6000)
    picks = select.ranked_batch(scores, pool, 60, labeled=[1])
    indices, values = greedy_ranked(scores, pool, 60, [1])
    assert picks.indices.tolist() == indices
    np.testing.assert_allclose(picks.values, values, rtol=1e-12)


@pytest.mark.parametrize("kind", ["equal", "few", "far"])
def test_ranked_batch_goes_through_the_pool_a_few_times_where_scores_are_equal(kind):
    pool = np.random.default_rng(0).normal(size=(20_000, 64)).astype(np.float32) * np.float32(1e4)
    if kind != "far":
        pool = pool[np.arange(20_000) % (1 if kind == "equal" else 10)]
    info = select.ranked_batch(np.full(20_000, 0.5), pool, 200, labeled=[0]).info
    assert info["sweeps"] < 15
    assert info["distances"] < 20_000 * 100


def calls(pool, proba, scores):
    return {
        "power": lambda **more: select.power(scores, 20, seed=3, **more),
        "k_means_pp": lambda **more: select.k_means_pp(pool, 20, seed=3, **more),
        "badge": lambda **more: select.badge(proba, pool, 20, seed=3, **more),
        "mmr": lambda **more: select.mmr(scores, pool, 20, **more),
        "ranked_batch": lambda **more: select.ranked_batch(scores, pool, 20, labeled=[0], **more),
    }


@pytest.mark.parametrize("name", ["power", "k_means_pp", "badge", "mmr", "ranked_batch"])
def test_only_what_is_available_is_picked(name):
    pool, proba, scores = pool_of(60, 3), dirichlet(60, 3), np.random.default_rng(1).random(60)
    call = calls(pool, proba, scores)[name]
    allowed = np.arange(5, 35)
    assert set(call(available=allowed).indices.tolist()) <= set(allowed.tolist())
    mask = np.isin(np.arange(60), allowed)
    assert call(available=mask).indices.tolist() == call(available=allowed).indices.tolist()
    with pytest.raises(ValueError, match=r"k=20.*\b10\b"):
        call(available=np.arange(30, 40))


def test_power_draws_in_proportion():
    scores = np.array([1.0, 2.0, 3.0, 4.0, 0.0, NAN])
    for beta, chances in [(1.0, scores[:4] / 10), (2.0, scores[:4] ** 2 / 30), (0.0, np.full(4, 0.25))]:
        drawn = [select.power(scores, 1, beta=beta, seed=seed).indices[0] for seed in range(4000)]
        counts = np.bincount(drawn, minlength=4)
        assert len(counts) == 4
        assert chisquare(counts, chances * 4000).pvalue > 1e-4


def words(seed, counters):
    """Return random words: SplitMix64 over a counter."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + (counters + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def uniforms(seed, n):
    """Return the random numbers of the core: 16 bits of a word for four rows, 37 of the row's own."""
    row = np.arange(n, dtype=np.uint64)
    first = words(seed, row // np.uint64(4)) >> (row % np.uint64(4) * np.uint64(16)) & np.uint64(0xFFFF)
    rest = words(seed, row + np.uint64(1 << 63)) >> np.uint64(27)
    return ((first << np.uint64(37) | rest).astype(float) + 0.5) / 2**53


@single_and_double
@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 7.0])
def test_power_that_skips_logarithms_draws_what_all_of_them_would(dtype, beta):
    n = 200_000
    rng = np.random.default_rng(2)
    made = (
        rng.random(n),
        np.sort(rng.random(n)) ** 9,
        rng.exponential(size=n) * 1e-30,
        np.exp(8 * rng.normal(size=n)),
        rng.random(n) ** -2.0,
    )
    for given, odd in product(made, (NAN, -0.0)):
        scores = given.astype(dtype)
        scores[rng.random(n) < 0.2] = 0
        scores[rng.random(n) < 0.1] = odd
        with np.errstate(divide="ignore", invalid="ignore"):
            value = beta * np.log(scores.astype(float)) - np.log(-np.log(uniforms(11, n)))
        value[~(scores > 0)] = -INF
        for n_threads in (1, 3):
            picks = select.power(scores, 300, beta=beta, seed=11, n_threads=n_threads)
            assert picks.indices.tolist() == np.argsort(-value, kind="stable")[:300].tolist()
            np.testing.assert_allclose(picks.values, value[picks.indices], rtol=1e-13)


def test_power_of_scores_that_vanish_is_that_of_large_ones():
    rng = np.random.default_rng(0)
    scores = rng.random(50_000) * 2.0 ** rng.integers(-40, 1, 50_000)
    for beta in (0.3, 100.0):
        one, other = (select.power(scores * scale, 40, beta=beta, seed=3) for scale in (1.0, 2.0**-40))
        assert one.indices.tolist() == other.indices.tolist()


def test_the_first_bad_score_is_named_though_a_sample_is_looked_at_before():
    scores = np.random.default_rng(0).random(1_000_000)
    scores[[700_000, 999_999]] = -1
    with pytest.raises(ValueError, match=r"row 700000\b"):
        select.power(scores, 10, seed=0)
    proba = np.tile(np.float32([0.6, 0.4]), (2_000_000, 1))
    proba[[1_300_000, 1_999_999]] = np.nan
    with pytest.raises(ValueError, match=r"row 1300000\b"):
        qr.top_scores(proba, 10)


def test_k_means_pp_draws_in_proportion():
    pool, weights = np.array([[0.0], [1.0], [3.0], [3.5]]), np.array([1.0, 2.0, 1.0, 0.5])
    squares = (pool - pool.T) ** 2
    counts = np.zeros((4, 4))
    for seed in range(6000):
        first, second = select.k_means_pp(pool, 2, weights=weights, seed=seed).indices
        counts[first, second] += 1
    chances = weights[:, None] / weights.sum() * (weights * squares)
    chances /= (weights * squares).sum(axis=1, keepdims=True)
    off = ~np.eye(4, dtype=bool)
    assert counts[~off].tolist() == [0.0] * 4
    assert chisquare(counts[off], chances[off] * 6000).pvalue > 1e-4


def test_k_means_pp_draws_in_proportion_from_many_rows():
    n, far = 700, 40.0
    pool = np.random.default_rng(2).standard_normal((n, 3)) * np.linspace(0.1, 2, n)[:, None]
    pool[0], pool[600] = far, far / 2  # labelled, and one apart from all others
    squares = ((pool[:, None] - pool) ** 2).sum(axis=2)
    first = squares[0] / squares[0].sum()
    left = np.minimum(squares[0], squares)
    second = first @ (left / left.sum(axis=1, keepdims=True))
    third = np.zeros(n)
    for row, chance in enumerate(first):
        known = left[row] / left[row].sum() * chance
        both = np.minimum(left[row], squares)
        third += (known / both.sum(axis=1)) @ both
    draws = [select.k_means_pp(pool, 3, labeled=[0], seed=seed).indices for seed in range(6000)]
    for drawn, chances in zip(np.transpose(draws), (first, second, third), strict=True):
        counts = np.bincount(drawn // 35, minlength=20)
        assert chisquare(counts, chances.reshape(20, 35).sum(axis=1) * 6000).pvalue > 1e-4


@pytest.mark.parametrize(
    ("at", "weights", "labeled", "chances"),
    [
        ([0, 1, 2, 3], [1e308, 1e308, 1, 1], [], [1, 1, 0, 0]),
        ([0, 1, 2, 3], [1e-320, 1e-320, 2e-320, 0], [], [1, 1, 2, 0]),
        ([0, 1e150, 2e150, 3e150], [1e10] * 4, [0], [0, 1, 4, 9]),
        ([0, 1e-150, 2e-150, 3e-150], [1e-30] * 4, [0], [0, 1, 4, 9]),
        ([0, 0, 1e-50, 2e-50], [1, 1, 1e-300, 1e-300], [0], [0, 0, 1, 4]),
        ([0, 0, 0, 0], [1, 1e308, 1e308, 1e308], [0], [0, 1, 1, 1]),
    ],
)
def test_chances_of_k_means_pp_neither_overflow_nor_vanish(at, weights, labeled, chances):
    pool = np.array(at, float)[:, None]
    drawn = [
        int(select.k_means_pp(pool, 1, weights=weights, labeled=labeled, seed=seed).indices[0])
        for seed in range(2000)
    ]
    counts, chances = np.bincount(drawn, minlength=4), np.array(chances) / sum(chances)
    assert counts[chances == 0].sum() == 0
    assert chisquare(counts[chances > 0], chances[chances > 0] * 2000).pvalue > 1e-4


def test_all_rows_that_have_a_chance_are_drawn_however_small_it_is():
    weights = [1e308, 1e-308, 5e-324, 1, 1e300, 0]
    pool = np.arange(6.0)[:, None] * 1e-150
    assert sorted(select.k_means_pp(pool, 5, weights=weights, seed=0).indices) == [0, 1, 2, 3, 4]


@single_and_double
def test_the_values_of_k_means_pp_are_the_squared_distances(dtype):
    pool = pool_of(400, 9, dtype)
    picks = select.k_means_pp(pool, 120, labeled=[0, 1], seed=3)
    chosen = [0, 1]
    for row, value in zip(*picks, strict=True):
        assert value == pytest.approx(squared_to(pool.astype(float), chosen)[row], rel=1e-12)
        chosen.append(int(row))
    assert len(set(chosen)) == 122
    assert select.k_means_pp(pool, 1, seed=0).values.tolist() == [INF]
    assert len(select.k_means_pp(np.ones((9, 2)), 9, seed=0).indices) == 9


def test_badge_draws_by_gradients_that_are_never_formed():
    proba, features = dirichlet(300, 6), pool_of(300, 5)
    proba[8], features[8] = proba[7], features[7]
    residual = proba - np.eye(6)[proba.argmax(axis=1)]
    gradients = (residual[:, :, None] * features[:, None]).reshape(300, -1)
    picks = select.badge(proba, features, 60, seed=5)
    lengths = (gradients**2).sum(axis=1)
    assert picks.indices[0] == lengths.argmax()
    assert picks.values[0] == pytest.approx(lengths.max())
    chosen = [int(picks.indices[0])]
    for row, value in list(zip(*picks, strict=True))[1:]:
        assert value == pytest.approx(squared_to(gradients, chosen)[row], rel=1e-9)
        chosen.append(int(row))
    assert not {7, 8} <= set(chosen)


def test_rows_at_no_distance_are_drawn_without_another_sweep():
    rng = np.random.default_rng(0)
    pool = rng.normal(size=(10, 8))[np.arange(5000) % 10]
    proba = dirichlet(10, 4)[np.arange(5000) % 10]
    for picks in (select.k_means_pp(pool, 200, seed=0), select.badge(proba, pool, 200, seed=0)):
        assert len(set(picks.indices)) == 200
        assert (picks.values[10:] == 0).all()
        assert picks.info["sweeps"] < 10
        assert picks.info["distances"] < 15 * 5000


def test_rows_at_no_distance_are_drawn_by_their_weights():
    pool, weights = np.zeros((40, 2)), np.repeat([1.0, 3.0], 20)
    drawn = [select.k_means_pp(pool, 2, weights=weights, seed=seed).indices[1] for seed in range(3000)]
    heavy = 0.75 * 57 / 77 + 0.25 * 60 / 79
    assert np.mean(np.array(drawn) >= 20) == pytest.approx(heavy, abs=0.04)


@pytest.mark.parametrize(
    ("dtype", "spread", "scale"),
    [(np.float32, 1e-4, 1), (np.float32, 1e-4, 1e-24), (np.float64, 1e-8, 1), (np.float64, 1e-8, 1e100)],
)
def test_badge_tells_gradients_near_each_other_apart(dtype, spread, scale):
    rng = np.random.default_rng(0)
    features = ((1 + spread * rng.normal(size=(300, 16))) * scale).astype(dtype)
    proba = np.where(rng.random((300, 1)) < 0.5, [0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4])
    proba = (proba * (1 + spread * rng.normal(size=(300, 4)))).astype(dtype)
    picks = select.badge(proba, features, 50, seed=3)
    wide = np.longdouble if np.finfo(np.longdouble).eps < 1e-18 else np.float64
    residual = proba.astype(wide) - np.eye(4)[proba.argmax(axis=1)]
    gradients = (residual[:, :, None] * features.astype(wide)[:, None]).reshape(300, -1)
    chosen = picks.indices
    for at in range(1, 50):
        exact = ((gradients[chosen[:at]] - gradients[chosen[at]]) ** 2).sum(axis=1).min()
        assert picks.values[at] == pytest.approx(float(exact), rel=1e-5, abs=0)


def test_badge_draws_in_proportion():
    proba = np.array([[0.5, 0.5], [0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    features = np.array([[2.0], [1.0], [-1.0], [1.0]])
    residual = proba - np.eye(2)[proba.argmax(axis=1)]
    gradients = residual * features
    chances = squared_to(gradients, [0])
    drawn = [select.badge(proba, features, 2, seed=seed).indices.tolist() for seed in range(4000)]
    assert {first for first, _ in drawn} == {0}
    counts = np.bincount([second for _, second in drawn], minlength=4)
    assert chisquare(counts[1:], chances[1:] / chances.sum() * 4000).pvalue > 1e-4


def test_badge_takes_few_distances_whatever_the_seed():
    rng, n = np.random.default_rng(0), 20_000
    proba, features = rng.dirichlet(np.full(3, 0.3), n), rng.normal(size=(n, 16))
    for seed in range(16):
        info = select.badge(proba, features, 400, seed=seed).info
        assert info["distances"] < 1_500_000
        assert info["sweeps"] < 10


def test_seeds():
    scores = np.random.default_rng(0).random(500)
    picks = select.power(scores, 50)
    assert select.power(scores, 50, seed=picks.info["seed"]).indices.tolist() == picks.indices.tolist()
    generator = np.random.default_rng(7)
    one, other = (select.power(scores, 50, seed=generator).indices.tolist() for _ in range(2))
    assert one != other
    again = np.random.default_rng(7)
    assert select.power(scores, 50, seed=again).indices.tolist() == one
    for wrong in (1.5, "1", True):
        with pytest.raises(TypeError, match="seed"):
            select.power(scores, 5, seed=wrong)
    with pytest.raises(ValueError, match="seed"):
        select.power(scores, 5, seed=-1)


def test_bad_input_is_named():
    pool, proba, scores = pool_of(30, 3), dirichlet(30, 3), np.random.default_rng(1).random(30)
    with pytest.raises(ValueError, match=r"scores.*row 4\b"):
        select.power(np.where(np.arange(30) == 4, -1.0, scores), 3)
    with pytest.raises(ValueError, match=r"scores.*row 4\b"):
        select.power(np.where(np.arange(30) == 4, INF, np.where(np.arange(30) == 2, NAN, scores)), 3)
    with pytest.raises(ValueError, match="beta"):
        select.power(scores, 3, beta=-1)
    with pytest.raises(ValueError, match=r"scores.*row 4\b"):
        select.mmr(np.where(np.arange(30) == 4, INF, scores), pool, 3)
    for wrong in (-0.1, 1.1, NAN):
        with pytest.raises(ValueError, match="trade_off"):
            select.mmr(scores, pool, 3, trade_off=wrong)
    with pytest.raises(ValueError, match="scores"):
        select.ranked_batch(scores[:29], pool, 3, labeled=[])
    spoilt = pool.copy()
    spoilt[7, 1] = NAN
    for call in (
        lambda: select.k_means_pp(spoilt, 5, labeled=[1], seed=0),
        lambda: select.badge(proba, spoilt, 5, seed=0),
        lambda: select.mmr(scores, spoilt, 5, labeled=[1]),
        lambda: select.ranked_batch(scores, spoilt, 5, labeled=[1]),
    ):
        with pytest.raises(ValueError, match=r"features.*row 7\b"):
            call()
    spoilt = proba.copy()
    spoilt[9] = 1
    with pytest.raises(ValueError, match=r"proba.*row 9\b"):
        select.badge(spoilt, pool, 5)
    with pytest.raises(ValueError, match="features"):
        select.badge(proba, pool[:20], 5)
