"""`top_scores` is `top_k` of the score, bit for bit, also where it may skip a logarithm."""

from __future__ import annotations

import math

import numpy as np
import pytest
import querist as qr
from layouts import repeated
from reference import FLOATS, SCORES, bits, dirichlet

NAN = math.nan
every_score = pytest.mark.parametrize("score", SCORES, ids=str)
every_float = pytest.mark.parametrize("dtype", FLOATS, ids=str)
both_inputs = pytest.mark.parametrize("from_logits", [False, True], ids=["proba", "logits"])
CLASSES = [1, 2, 3, 10, 15, 16, 17, 33, 100, 1000]


def confident(n, c, dtype, *, share=0.9):
    """Return rows of which most are nearly certain, so that a bound settles them."""
    proba = dirichlet(n, c, np.float64, seed=n)
    rng = np.random.default_rng(c)
    certain = rng.random(n) < share
    doubt = 10 ** rng.uniform(-9, -1, n)
    winner = np.eye(c)[rng.integers(0, c, n)]
    sure = (1 - doubt)[:, None] * winner + doubt[:, None] * proba
    return np.where(certain[:, None], sure, proba).astype(dtype)


def assert_same_picks(score, array, k, *, available=None, **options):
    whole = getattr(qr, score.name)(array, **options)
    expected = qr.select.top_k(whole, k, available=available)
    for n_threads in (1, 2, None):
        got = qr.top_scores(array, k, score=score.name, available=available, n_threads=n_threads, **options)
        assert isinstance(got, qr.Picks)
        assert isinstance(got.info, dict)
        assert got.indices.dtype == np.int64
        assert got.values.dtype == whole.dtype
        assert got.indices.tolist() == expected.indices.tolist()
        assert bits(got.values) == bits(expected.values)


def test_entropy_is_the_score_unless_another_is_named():
    proba = confident(100, 5, np.float32)
    assert bits(qr.top_scores(proba, 9).values) == bits(qr.top_scores(proba, 9, score="entropy").values)


@every_score
@every_float
@both_inputs
@pytest.mark.parametrize("c", CLASSES)
def test_top_scores_are_the_top_k_of_the_scores(score, dtype, from_logits, c):
    n = 700
    proba = confident(n, c, dtype)
    array = proba
    if from_logits:
        array = (8 * np.random.default_rng(c).normal(size=(n, c))).astype(dtype)
    for k in (0, 1, 10, 350, n):
        assert_same_picks(score, array, k, from_logits=from_logits)


@every_score
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("c", [2, 10, 17, 1000])
def test_a_pool_of_confident_rows_is_still_exact(score, dtype, c):
    n = 2**20 // c + 11
    for share in (0.5, 0.99, 1.0):
        proba = confident(n, c, dtype, share=share)
        for k in (1, 100, min(1000, n)):
            assert_same_picks(score, proba, k)


@every_score
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("c", [2, 3, 10, 16, 17, 100])
def test_rows_sorted_against_the_threshold_are_still_exact(score, dtype, c):
    doubt = np.linspace(1e-7, 0.99, 5000)[:, None]
    rising = ((1 - doubt) * np.eye(c)[0] + doubt / c).astype(dtype)
    for array in (rising, rising[::-1], np.concatenate([rising, rising[::-1], rising])):
        for k in (1, 64, 1000):
            assert_same_picks(score, array, k)


@every_score
@pytest.mark.parametrize("c", [2, 10, 17, 100])
def test_ties_go_to_the_lower_index(score, c):
    kinds = confident(3, c, np.float64, share=0.0)
    proba = kinds[np.random.default_rng(0).integers(0, 3, 9001)]
    for k in (1, 50, 4000, 9001):
        assert_same_picks(score, proba, k)
    constant = repeated(kinds[0], 10**5)
    picks = qr.top_scores(constant, 1000, score=score.name)
    assert picks.indices.tolist() == list(range(1000))
    shuffled = np.random.default_rng(1).permutation(5000) + 7
    picks = qr.top_scores(constant, 10, score=score.name, available=shuffled)
    assert picks.indices.tolist() == list(range(7, 17))


@every_score
@both_inputs
def test_only_what_is_available_is_picked(score, from_logits):
    for c in (2, 10, 33):
        proba = confident(900, c, np.float32)
        rng = np.random.default_rng(c)
        for share in (0.02, 0.5, 1.0):
            mask = rng.random(900) < share
            for available in (mask, rng.permutation(np.flatnonzero(mask))):
                for k in (0, 1, mask.sum() // 2, mask.sum()):
                    assert_same_picks(score, proba, int(k), available=available, from_logits=from_logits)


BAD_ROWS = {
    "a confident row that does not sum to one": [1.0, 0.5, 0.0],
    "NaN beside certainty": [1.0, NAN, 0.0],
    "a negative beside certainty": [0.99, -0.05, 0.06],
    "too large": [1.5, 0.0, 0.0],
    "nothing": [0.0, 0.0, 0.0],
    "all NaN": [NAN, NAN, NAN],
}


@every_score
@pytest.mark.parametrize("bad", BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_row_that_a_bound_could_skip_is_still_validated(score, bad):
    """The threshold is high from the start, so that nothing asks for the bad row's score."""
    proba = np.full((400, 3), 1 / 3, np.float32)
    proba[237] = bad
    for n_threads in (1, 2):
        options = {"score": score.name, "n_threads": n_threads}
        with pytest.raises(ValueError, match=r"proba.*\brow 237\b"):
            qr.top_scores(proba, 5, **options)
        picks = qr.top_scores(proba, 399, invalid="nan", **options)
        assert picks.indices.tolist() == [i for i in range(400) if i != 237]
        with pytest.raises(ValueError, match=r"\b400\b.*\b399\b|\b399\b.*\b400\b"):
            qr.top_scores(proba, 400, invalid="nan", **options)


@every_score
@pytest.mark.parametrize("bad", BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_row_that_is_not_available_is_not_validated(score, bad):
    proba = confident(400, 3, np.float32)
    proba[[0, 237, 399]] = bad
    mask = np.ones(400, bool)
    mask[[0, 237, 399]] = False
    for available in (mask, np.flatnonzero(mask), np.flatnonzero(mask)[::-1]):
        picks = qr.top_scores(proba, 397, score=score.name, available=available)
        assert sorted(picks.indices.tolist()) == np.flatnonzero(mask).tolist()
        mixed = qr.top_scores(proba, 50, score=score.name, available=available, invalid="nan", n_threads=3)
        assert mixed.indices.tolist() == picks.indices[:50].tolist()
    mask[237] = True
    with pytest.raises(ValueError, match=r"proba.*\brow 237\b"):
        qr.top_scores(proba, 5, score=score.name, available=mask)
    with pytest.raises(ValueError, match=r"proba.*\brow 237\b"):
        qr.top_scores(proba, 5, score=score.name, available=[5, 237, 4, 6, 7, 8])


@every_score
def test_more_picks_than_rows_is_an_error_that_says_both_numbers(score):
    proba = np.full((7, 2), 0.5, np.float32)
    for n, k, available in [(7, 8, None), (2, 3, [4, 5]), (0, 1, np.zeros(7, bool))]:
        with pytest.raises(ValueError, match=rf"\b{k}\b.*\b{n}\b|\b{n}\b.*\b{k}\b"):
            qr.top_scores(proba, k, score=score.name, available=available)
    empty = np.zeros((0, 2), np.float32)
    assert qr.top_scores(empty, 0, score=score.name).indices.tolist() == []
    with pytest.raises(ValueError, match=r"\b1\b.*\b0\b|\b0\b.*\b1\b"):
        qr.top_scores(empty, 1, score=score.name)
