"""Which rows are probabilities, which are logits, and what happens to a row that is neither."""

from __future__ import annotations

import inspect
import math
import re

import ml_dtypes
import numpy as np
import pytest
import querist as qr
from reference import FLOATS, NAMES, SCORES, TOLERANCE, bits, dirichlet

every_score = pytest.mark.parametrize("score", SCORES, ids=str)
every_float = pytest.mark.parametrize("dtype", FLOATS, ids=str)
CLASSES = [1, 2, 3, 10, 15, 16, 17, 33, 100, 1000]
NAN, INF = math.nan, math.inf


def call(score, array, **options):
    return getattr(qr, score.name)(array, **options)


def spoilt(proba, row, column, value):
    bad = proba.copy()
    bad[row, column] = value
    return bad


def with_sum(c, total, dtype):
    """One row of c equal probabilities that add up to `total`, as far as `dtype` can say it."""
    row = np.full((1, c), total / c, dtype)
    row[0, 0] += np.asarray(total - row.astype(np.float64).sum()).astype(dtype)
    return row


@every_score
@every_float
@pytest.mark.parametrize("bad", [NAN, INF, -INF, -0.25, -1e-6, 1.5])
def test_one_bad_entry_anywhere_is_found_and_its_row_named(score, dtype, bad):
    for c in CLASSES:
        proba = dirichlet(40, c, dtype)
        for row in (0, 1, 15, 16, 17, 38, 39):
            for column in {0, 1 % c, c // 2, c - 1}:
                with pytest.raises(ValueError, match=rf"proba.*\brow {row}\b"):
                    call(score, spoilt(proba, row, column, bad))


@every_score
@pytest.mark.parametrize("c", CLASSES[1:])
def test_a_negative_entry_is_found_though_the_row_sums_to_one(score, c):
    proba = dirichlet(20, c)
    proba[13] = 0
    proba[13, 0], proba[13, c - 1] = 1.0005, -0.0005
    with pytest.raises(ValueError, match=r"proba.*\brow 13\b"):
        call(score, proba)


@every_score
@every_float
def test_the_tolerance_of_the_sum_is_the_documented_one(score, dtype):
    tolerance = TOLERANCE[dtype.name]
    for c in (1, 2, 3, 10, 16, 17, 100):
        for sign in (1, -1):
            inside = with_sum(c, 1 + 0.8 * sign * tolerance, dtype)
            outside = with_sum(c, 1 + 1.2 * sign * tolerance, dtype)
            assert abs(inside.astype(float).sum() - 1) < tolerance < abs(outside.astype(float).sum() - 1)
            assert np.isfinite(call(score, inside)).all()
            with pytest.raises(ValueError, match=r"proba.*\brow 0\b"):
                call(score, outside)


@every_score
def test_the_message_says_what_was_expected_and_what_came(score):
    cases = {
        (0.75, 0.75): r"1\.5",
        (-0.25, 1.25): r"-0\.25",
        (NAN, 0.5): r"(?i)nan",
        (INF, 0.0): r"(?i)inf",
    }
    for row, came in cases.items():
        proba = np.array([[0.5, 0.5], row], np.float32)
        with pytest.raises(ValueError, match=r"proba.*\brow 1\b") as error:
            call(score, proba)
        assert re.search(came, str(error.value)), str(error.value)
        assert re.search(r"probabilit|sum|between|\[0, 1\]", str(error.value)), str(error.value)


@every_score
@every_float
def test_negative_zero_is_a_probability(score, dtype):
    for c in CLASSES[1:]:
        certain = np.full((c, c), -0.0, dtype)
        np.fill_diagonal(certain, 1)
        expected = call(score, np.eye(c, dtype=dtype))
        assert bits(call(score, certain)) == bits(expected) == bits(np.zeros_like(expected))


@every_score
@pytest.mark.parametrize("n_threads", [1, 2, 3, 7])
def test_the_first_bad_row_is_the_one_named_whoever_finds_it(score, n_threads):
    for c in (2, 16, 100):
        n = 2**21 // c
        proba = np.full((n, c), 1 / c, np.float32)
        for bad_rows in ([n - 1], [n // 2 - 1, n // 2 + 5, n - 2], [7, n // 3, n - 1]):
            spoilt_rows = proba.copy()
            spoilt_rows[bad_rows, -1] = NAN
            with pytest.raises(ValueError, match=rf"\brow {bad_rows[0]}\b"):
                call(score, spoilt_rows, n_threads=n_threads)
            with pytest.raises(ValueError, match=rf"\brow {bad_rows[0]}\b"):
                qr.scores(spoilt_rows, NAMES, n_threads=n_threads)


@every_score
@every_float
def test_invalid_nan_scores_the_bad_rows_nan_and_leaves_their_neighbours_alone(score, dtype):
    for c in CLASSES:
        proba = dirichlet(70, c, dtype)
        clean = call(score, proba)
        for bad in (NAN, INF, -0.25, 1.5):
            rows = [0, 3, 16, 17, 31, 69]
            spoilt_rows = proba.copy()
            for row in rows:
                spoilt_rows[row, row % c] = bad
            expected = clean.copy()
            expected[rows] = NAN
            for normalize in (False, True):
                got = call(score, spoilt_rows, invalid="nan", normalize=normalize)
                assert np.isnan(got).nonzero()[0].tolist() == rows
                if not normalize:
                    np.testing.assert_array_equal(got, expected)
                in_one_pass = qr.scores(spoilt_rows, [score.name], invalid="nan", normalize=normalize)
                assert bits(in_one_pass[score.name]) == bits(got)
        every_row = call(score, np.full((33, c), NAN, dtype), invalid="nan")
        assert np.isnan(every_row).all()


@every_score
@every_float
def test_any_finite_logit_and_minus_infinity_are_valid(score, dtype):
    largest = float(ml_dtypes.finfo(dtype).max)
    rows = {
        (0.0, -INF, -INF): 0.0,
        (-largest, -INF, -INF): 0.0,
        (largest, -largest, 0.0): 0.0,
        (largest, largest, -INF): score.of_proba(np.array([[0.5, 0.5, 0]]))[0],
        (-largest, -largest, -largest): score.of_proba(np.full((1, 3), 1 / 3))[0],
    }
    for row, expected in rows.items():
        got = call(score, np.array([row], dtype), from_logits=True)
        np.testing.assert_allclose(got, expected, rtol=1e-6, err_msg=str(row))


@every_score
@every_float
def test_a_row_of_logits_with_nan_or_plus_infinity_or_nothing_finite_is_invalid(score, dtype):
    for c in CLASSES:
        logits = np.random.default_rng(c).normal(size=(40, c)).astype(dtype)
        clean = call(score, logits, from_logits=True)
        for row in (0, 15, 16, 39):
            bad_rows = [spoilt(logits, row, column, NAN) for column in {0, c // 2, c - 1}]
            bad_rows += [spoilt(logits, row, column, INF) for column in {0, c // 2, c - 1}]
            bad_rows += [spoilt(logits, row, slice(None), -INF)]
            for bad in bad_rows:
                with pytest.raises(ValueError, match=rf"proba.*\brow {row}\b"):
                    call(score, bad, from_logits=True)
                got = call(score, bad, from_logits=True, invalid="nan")
                assert np.isnan(got).nonzero()[0].tolist() == [row]
                assert bits(np.delete(got, row)) == bits(np.delete(clean, row))


@every_score
@pytest.mark.parametrize("invalid", ["ignore", "", "NaN", None, 0])
def test_another_word_for_invalid_is_refused(score, invalid):
    with pytest.raises((ValueError, TypeError), match="invalid"):
        call(score, np.eye(3), invalid=invalid)
    with pytest.raises((ValueError, TypeError), match="invalid"):
        qr.scores(np.eye(3), [score.name], invalid=invalid)
    with pytest.raises((ValueError, TypeError), match="invalid"):
        qr.top_scores(np.eye(3), 1, score=score.name, invalid=invalid)


@every_score
@every_float
@pytest.mark.parametrize("from_logits", [False, True], ids=["proba", "logits"])
def test_no_rows_give_no_scores_and_no_classes_are_an_error(score, dtype, from_logits):
    options = {"from_logits": from_logits}
    assert call(score, np.zeros((0, 5), dtype), **options).shape == (0,)
    assert qr.scores(np.zeros((0, 5), dtype), [score.name], **options)[score.name].shape == (0,)
    for n in (0, 4):
        with pytest.raises(ValueError, match="proba"):
            call(score, np.zeros((n, 0), dtype), **options)


def test_advice_is_what_the_function_takes():
    nowhere, features = [[3.0, 4.0]], [[1.0]]
    calls = {
        "entropy": lambda: qr.entropy(nowhere),
        "top_scores": lambda: qr.top_scores(nowhere, 1),
        "bald": lambda: qr.bald([nowhere]),
        "bald of an iterator": lambda: qr.bald(iter([nowhere])),
        "votes": lambda: qr.votes([nowhere]),
        "expected_gradient_length": lambda: qr.expected_gradient_length(nowhere, features),
        "badge": lambda: qr.select.badge(nowhere, features, 1),
    }
    for name, score in calls.items():
        with pytest.raises(ValueError, match=r"row 0\b.* is not valid") as caught:
            score()
        takes = inspect.signature(getattr(qr, name.split()[0], None) or getattr(qr.select, name)).parameters
        for option in ("from_logits", "invalid"):
            assert (option in takes) == (f"{option}=" in str(caught.value)), (name, str(caught.value))
