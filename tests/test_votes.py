"""Votes and predicted numbers of a committee: every integer, missing votes, bad ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
import querist as qr
from reference import FLOATS, MAPPED, bits
from reference_kernels import VOTES, ensemble_variance, members_of, random_votes

every_score = pytest.mark.parametrize("name", VOTES)
every_float = pytest.mark.parametrize("dtype", FLOATS, ids=str)
EVERY_INTEGER = [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64]


def assert_close(got, expected, name=""):
    rtol, atol = (2e-5, 1e-6) if got.dtype == np.float32 else (1e-10, 1e-13)
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=atol, err_msg=name)


@every_score
@pytest.mark.parametrize("weights", [None, [2, 1, 0.5, 1, 0, 3, 1]])
def test_scores_of_votes_are_their_formulas(name, weights):
    score = getattr(qr, name)
    for classes in (1, 2, 4, 10, 300):
        drawn = random_votes(7, 200, classes)
        expected = VOTES[name](drawn, weights)
        kinds = [k for k in EVERY_INTEGER if classes - 1 <= np.iinfo(k).max]
        for dtype in [*kinds, *([bool] if classes <= 2 else [])]:
            got = score(drawn.astype(dtype), weights=weights)
            assert got.dtype == np.float64
            assert_close(got, expected, np.dtype(dtype).name)
        assert_close(score(drawn, weights=weights, n_classes=classes), expected)
        for turned in (drawn.T, drawn.T.copy()):
            again = score(turned, weights=weights, member_axis=1)
            assert bits(again) == bits(score(drawn, weights=weights))


@every_score
def test_votes_for_any_integer_count_and_missing_ones_do_not(name):
    score = getattr(qr, name)
    for missing in (-1, 99, -(2**40)):
        drawn = random_votes(6, 100, missing=missing)
        expected = VOTES[name](drawn, missing=missing)
        assert_close(score(drawn, missing=missing), expected)
        assert_close(score(drawn, missing=missing, n_classes=4), expected)
        weights = [1, 2, 0.5, 1, 3, 1]
        assert_close(score(drawn, missing=missing, weights=weights), VOTES[name](drawn, weights, missing))
    far = np.array([[-(2**62), 5], [2**62, 5], [7, -9]])
    assert_close(score(far), VOTES[name](far))


@every_score
@pytest.mark.parametrize("dtype", [str, bytes, object])
def test_votes_by_name_are_told_how_to_be_numbers(name, dtype):
    score, votes = getattr(qr, name), np.array([["cat", "cow"], ["cat", "dog"]]).astype(dtype)
    with pytest.raises(TypeError, match="votes: expected an array of integers, got ") as raised:
        score(votes)
    _, advice = str(raised.value).split("number the classes: ")
    assert (score(eval(advice, {"np": np, "votes": votes})) > 0).tolist() == [False, True]


@every_score
def test_votes_that_cannot_be_right_are_refused(name):
    score, drawn = getattr(qr, name), random_votes(5, 20)
    with pytest.raises(ValueError, match="member_axis"):
        score(random_votes(100, 10))
    assert score(random_votes(100, 10), weights=np.ones(100)).shape == (10,)
    for axis in (0, 1):
        many = np.moveaxis(random_votes(100, 10), 0, axis)
        assert score(many, member_axis=axis).shape == (10,), "the caller knows the axis"
    drawn[:, 13] = -1
    with pytest.raises(ValueError, match=r"votes.*\brow 13\b"):
        score(drawn)
    drawn[:, 13] = 4
    with pytest.raises(ValueError, match=r"votes.*\brow 13\b"):
        score(drawn, n_classes=4)
    with pytest.raises(TypeError, match="votes"):
        score(drawn.astype(float))
    for shape in ((5,), (2, 3, 4), (0, 10)):
        with pytest.raises(ValueError, match="votes"):
            score(np.zeros(shape, int))
    with pytest.raises(ValueError, match="member_axis"):
        score(drawn, member_axis=2)
    assert score(np.zeros((5, 0), int)).shape == (0,)
    out = np.full(20, 7.0)
    assert score(drawn, out=out) is out
    assert bits(out) == bits(score(drawn))


@every_float
@pytest.mark.parametrize("weights", [None, [2, 1, 0, 0.5]])
def test_ensemble_variance_is_the_variance_of_the_members(dtype, weights):
    values = (np.random.default_rng(0).normal(size=(4, 200)) + 3).astype(dtype)
    expected = ensemble_variance(members_of(values), weights)
    got = qr.ensemble_variance(values, weights=weights)
    assert got.dtype == MAPPED.get(dtype.name, np.float64)
    assert_close(got, expected)
    for turned in (values.T, values.T.copy()):
        assert bits(qr.ensemble_variance(turned, weights=weights, member_axis=1)) == bits(got)


def test_ensemble_variance_far_from_zero_of_integers_and_of_bad_values():
    values = np.random.default_rng(0).normal(size=(5, 100)).astype(np.float32) + np.float32(1e4)
    np.testing.assert_allclose(qr.ensemble_variance(values), ensemble_variance(members_of(values)), rtol=1e-5)
    assert not qr.ensemble_variance(np.repeat(values[:1], 3, axis=0)).any()
    got = qr.ensemble_variance([[1, 2], [3, 2]])
    assert (got.dtype, got.tolist()) == (np.float64, [1, 0])
    assert qr.ensemble_variance(np.zeros((3, 0))).shape == (0,)
    values[2, 7] = math.inf
    with pytest.raises(ValueError, match=r"values.*\brow 7 of member 2\b"):
        qr.ensemble_variance(values)
    with pytest.raises(ValueError, match=r"values.*\brow 7 of member 2\b"):
        qr.ensemble_variance(values, weights=[0, 1, 1, 1, 1])
    present = qr.ensemble_variance(values[[0, 1, 3, 4]])
    assert bits(qr.ensemble_variance(values, weights=[1, 1, 0, 1, 1])) == bits(present), "it is not there"
    many = np.random.default_rng(0).normal(size=(100, 10))
    with pytest.raises(ValueError, match=r"^values: expected \(m, n\).*pass member_axis=0$"):
        qr.ensemble_variance(many)
    assert bits(qr.ensemble_variance(many, member_axis=0)) == bits(
        qr.ensemble_variance(many.T, member_axis=1)
    )
    for shape in ((5,), (0, 10), (2, 3, 4)):
        with pytest.raises(ValueError, match="values"):
            qr.ensemble_variance(np.zeros(shape))


def test_ensemble_variance_that_overflows_is_named():
    for dtype, large in ((np.float32, 3e38), (np.float64, 1e308)):
        values = np.ones((2, 40), dtype)
        values[:, 33] = large, -large
        with pytest.raises(ValueError, match=r"values.*\brow 33\b.*overflows"):
            qr.ensemble_variance(values)
        values[1, 20] = np.inf
        with pytest.raises(ValueError, match=r"values.*\brow 20 of member 1\b"):
            qr.ensemble_variance(values)


def test_a_member_whose_weight_is_nothing_in_float32_is_absent():
    values = np.array([[1], [3], [1e30]], np.float32)
    assert qr.ensemble_variance(values, weights=[1, 1, 1e-60]) == qr.ensemble_variance(values[:2])


def test_ensemble_variance_is_the_same_whichever_axis_the_members_are_on():
    values = np.random.default_rng(0).normal(size=(7, 1000)).astype(np.float32)
    turned = np.ascontiguousarray(values.T)
    assert bits(qr.ensemble_variance(values)) == bits(qr.ensemble_variance(turned, member_axis=1))


@every_score
def test_unsigned_votes_are_as_large_as_they_are(name):
    votes = np.array([[2**63, 1, 2**64 - 1], [1, 1, 2**64 - 1], [2**63, 2**63, 2**64 - 1]], np.uint64)
    small = np.array([[0, 1, 2], [1, 1, 2], [0, 0, 2]])
    assert bits(getattr(qr, name)(votes)) == bits(getattr(qr, name)(small))
    # Nor do votes that are no bytes change the bits of the rows beside them.
    drawn = np.random.default_rng(1).integers(0, 6, size=(9, 5000))
    expected = getattr(qr, name)(drawn)
    drawn[:, 77] = 1000
    np.testing.assert_array_equal(np.delete(getattr(qr, name)(drawn), 77), np.delete(expected, 77))
    with pytest.raises(ValueError, match=str(2**63)):
        getattr(qr, name)(votes, n_classes=2**62)


@every_score
@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int32, np.uint32, np.int64, np.uint64])
def test_votes_of_every_width_and_layout_have_the_same_bits(name, dtype):
    rng = np.random.default_rng(3)
    votes = rng.integers(0, 9, size=(10, 5000))
    expected = bits(getattr(qr, name)(votes.astype(np.uint8)))
    array = votes.astype(dtype)
    turned = np.ascontiguousarray(array.T)
    assert bits(getattr(qr, name)(array)) == expected
    assert bits(getattr(qr, name)(array.astype(array.dtype.newbyteorder()))) == expected
    assert bits(getattr(qr, name)(turned, member_axis=1)) == expected
    assert bits(getattr(qr, name)(array[:, ::-1])[::-1].copy()) == expected


@every_score
@pytest.mark.parametrize("m", [2, 10, 12, 14, 15, 64, 65, 254, 255])
def test_scores_depend_on_who_agrees_and_not_on_the_votes(name, m):
    score, rng = getattr(qr, name), np.random.default_rng(m)
    votes = rng.integers(0, 6, size=(m, 5000))
    given = rng.random(votes.shape) < 0.8
    given[0] = True
    # In some rows alone, so that some blocks hold all votes, and others do not.
    given[:, 2000:] = True
    expected = bits(score(votes)), bits(score(np.where(given, votes, -1)))
    for dtype in EVERY_INTEGER:
        info = np.iinfo(dtype)
        third = info.max // 3
        classes = np.array([info.max, info.min, info.min + 5, info.max // 2, info.max // 2 + 1, third], dtype)
        wide, missing = classes[votes], info.max // 2 - 1
        masked = np.where(given, wide, dtype(missing))
        for array in (wide, wide.astype(wide.dtype.newbyteorder()), np.asfortranarray(wide)):
            assert bits(score(array, missing=missing)) == expected[0], dtype
        for array in (masked, np.asfortranarray(masked)):
            assert bits(score(array, missing=missing)) == expected[1], dtype


def test_a_vote_that_is_no_class_is_named_among_wide_ones():
    votes = np.random.default_rng(0).integers(0, 1000, size=(10, 5000))
    for dtype in (np.int16, np.uint16, np.int64, np.uint64):
        assert bits(qr.vote_entropy(votes.astype(dtype), n_classes=1000)) == bits(qr.vote_entropy(votes))
        for bad in (1000, np.iinfo(dtype).max, *([-2] if np.iinfo(dtype).min < 0 else [])):
            wrong = votes.astype(dtype)
            wrong[3, 4321] = bad
            with pytest.raises(ValueError, match=rf"row 4321 of member 3\b.*{bad}"):
                qr.vote_entropy(wrong, n_classes=1000)
    narrow = np.zeros((3, 100), np.int8)
    narrow[1, 50] = -2
    with pytest.raises(ValueError, match=r"row 50 of member 1\b.*-2"):
        qr.vote_entropy(narrow, n_classes=200)
