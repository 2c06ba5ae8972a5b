"""Committees: every score against its formula, from votes, arrays and iterators."""

from __future__ import annotations

import math

import numpy as np
import pytest
import querist as qr
from levels import at_level
from reference import FLOATS, MAPPED, bits
from reference_kernels import (
    COMMITTEE,
    STREAMED,
    VOTES,
    committee,
    members_of,
    random_votes,
    shares,
    votes,
)

every_score = pytest.mark.parametrize("name", COMMITTEE)
every_streamed = pytest.mark.parametrize("name", STREAMED)
every_float = pytest.mark.parametrize("dtype", FLOATS, ids=str)
SHAPES = [
    (1, 5, 3),
    (2, 203, 2),
    (3, 100, 1),
    (5, 64, 10),
    (10, 203, 10),
    (4, 33, 17),
    (3, 20, 1000),
    (40, 7, 3),
]
REFUSED = (ValueError, TypeError)
NAN = math.nan


def call(name, proba, **options):
    """Score member probabilities; scores of votes have no function of their own for these."""
    if name in VOTES:
        out = options.pop("out", None)
        return qr.committee_scores(proba, [name], out=None if out is None else {name: out}, **options)[name]
    return getattr(qr, name)(proba, **options)


def assert_close(got, expected, name=""):
    rtol, atol = (2e-5, 1e-6) if got.dtype == np.float32 else (1e-10, 1e-13)
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=atol, err_msg=name)


def as_axis(proba, axis):
    """Return the same committee with its members on another axis, in a new array."""
    return np.moveaxis(proba, 0, axis).copy(order="C")


@every_score
@every_float
@pytest.mark.parametrize("member_axis", [0, 1, 2])
def test_every_score_is_its_formula(name, dtype, member_axis):
    for m, n, c in SHAPES:
        proba = committee(m, n, c, dtype)
        got = call(name, as_axis(proba, member_axis), member_axis=member_axis)
        assert got.dtype == MAPPED.get(dtype.name, np.float64)
        assert_close(got, COMMITTEE[name](members_of(proba)), f"{m, n, c}")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(5, 64, 10), (3, 40, 33)])
def test_company_and_the_axis_of_the_members_change_no_bit(dtype, shape):
    proba = committee(*shape, dtype)
    alone = {name: bits(call(name, proba)) for name in COMMITTEE}

    def check(array, what, **options):
        together = qr.committee_scores(array, list(COMMITTEE), **options)
        assert list(together) == list(COMMITTEE)
        for name in COMMITTEE:
            assert bits(together[name]) == alone[name], (what, name)
            assert bits(call(name, array, **options)) == alone[name], (what, name)

    for axis in (0, 1, 2):
        check(as_axis(proba, axis), f"copy {axis}", member_axis=axis)
        check(np.moveaxis(proba, 0, axis), f"view {axis}", member_axis=axis)


LEVELS = """
    names = ["bald", "max_disagreement", "consensus_entropy", "consensus_margin"]
    for key, array in given.items():
        if key.startswith("proba"):
            results |= {f"{key} {name}": x for name, x in qr.committee_scores(array, names).items()}
            results[f"{key} variance"] = qr.ensemble_variance(array[:, :, 0])
        else:
            results[f"{key} entropy"] = qr.vote_entropy(array)
            results[f"{key} ratio"] = qr.variation_ratio(array, weights=[3, 1, 0, 2, 5])
"""


def test_levels_agree(tmp_path):
    given = {"votes": random_votes(5, 999)}
    for dtype in ("float32", "float64"):
        given |= {f"proba {c} {dtype}": committee(6, 333, c, dtype) for c in (1, 2, 10, 16, 33)}
    baseline = at_level("baseline", LEVELS, given, tmp_path)
    avx2 = at_level("avx2", LEVELS, given, tmp_path)
    for key, array in avx2.items():
        assert_close(baseline[key], array, key)
    avx512 = at_level("avx512", LEVELS, given, tmp_path)
    assert [key for key in avx2 if bits(avx2[key]) != bits(avx512[key])] == []


@every_score
def test_weights_are_shares_and_a_member_of_weight_zero_is_absent(name):
    proba, weights = committee(4, 100, 6), np.array([0.5, 0, 3, 1.5])
    expected = COMMITTEE[name](proba, weights)
    for given in (weights, weights * 7, weights.tolist(), (2 * weights).astype(int)):
        assert_close(call(name, proba, weights=given), expected)
    present = [0, 2, 3]
    assert bits(call(name, proba[present], weights=weights[present])) == bits(
        call(name, proba, weights=weights)
    )
    proba[1] = NAN
    assert_close(call(name, proba, weights=weights), expected)


@pytest.mark.parametrize(
    "weights",
    [[1, 1], [1, 1, 1, 1], [0, 0, 0], [1, -1, 1], [1, NAN, 1], [1, math.inf, 1], [[1, 1, 1]], "abc", []],
)
def test_weights_that_do_not_fit_are_refused(weights):
    proba = committee(3, 10, 4)
    for name in COMMITTEE:
        with pytest.raises(REFUSED, match="weights"):
            call(name, proba, weights=weights)
    for name in STREAMED:
        with pytest.raises(REFUSED, match="weights"):
            call(name, iter(proba), weights=weights)
    with pytest.raises(REFUSED, match="weights"):
        qr.vote_entropy(votes(proba), weights=weights)
    with pytest.raises(REFUSED, match="weights"):
        qr.ensemble_variance(proba[:, :, 0], weights=weights)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("m", [1, 2, 3, 7, 10])
def test_identical_members_disagree_by_exactly_nothing(dtype, m):
    for c in (1, 2, 10, 33):
        proba = np.repeat(committee(1, 100, c, dtype), m, axis=0)
        for weights in (None, np.arange(1, m + 1) / 7):
            for axis in (0, 1, 2):
                options = {"member_axis": axis, "weights": weights}
                assert not qr.bald(as_axis(proba, axis), **options).any()
                assert not qr.max_disagreement(as_axis(proba, axis), **options).any()
            assert not qr.bald(iter(proba), weights=weights).any()


@pytest.mark.parametrize("name", ["bald", "max_disagreement"])
@pytest.mark.parametrize("shape", [(2, 300, 2), (10, 300, 10), (5, 100, 100)])
def test_members_that_hardly_differ_are_told_apart(name, shape):
    single = committee(*shape, np.float32, apart=1e-4)
    expected = COMMITTEE[name](members_of(single))
    assert expected.max() < 1e-7
    np.testing.assert_allclose(call(name, single), expected, rtol=1e-4)
    double = committee(*shape, apart=1e-4)
    np.testing.assert_allclose(call(name, double), COMMITTEE[name](double), rtol=1e-9)
    if name == "bald":
        np.testing.assert_allclose(call(name, iter(double)), COMMITTEE[name](double), rtol=1e-9)
        assert (call(name, committee(3, 5000, 4, np.float32)) >= 0).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_place_of_a_light_or_a_lonely_member_costs_no_digits(dtype):
    two = np.array([[[1, 0]], [[0, 1]]], dtype)
    for weight in (1e-3, 1e-8, 1e-17, 1e-30):
        for proba, weights in ((two, [weight, 1]), (two[::-1], [1, weight])):
            [value] = qr.max_disagreement(proba, weights=weights)
            assert value == pytest.approx(np.log1p(1 / weight), rel=1e-5)
            [value] = qr.bald(proba, weights=weights)
            assert value == pytest.approx(
                weight * (1 + np.log(1 / weight)), rel=2e-2 if weight > 1e-4 else 1e-5
            )
    # One of many, who stands first in one row and last in another.
    lonely = np.zeros((100, 2, 2), dtype)
    lonely[:, :, 0] = 1
    lonely[0, 0] = lonely[99, 1] = [0, 1]
    for name in ("bald", "max_disagreement", "consensus_least_confidence"):
        got = call(name, lonely)
        np.testing.assert_allclose(got, COMMITTEE[name](lonely), rtol=1e-4 if dtype == np.float32 else 1e-12)
    # One of a thousand: the consensus is nearly certain, far from who stands first.
    eps = np.finfo(dtype).eps
    for who in (0, 1, 999):
        thousand = np.zeros((1000, 17, 2), dtype)
        thousand[..., 0] = 1
        thousand[who] = [0, 1]
        for name, expected in {
            "consensus_least_confidence": 1e-3,
            "consensus_margin": 2e-3,
            "consensus_entropy": -0.999 * math.log1p(-1e-3) - 1e-3 * math.log(1e-3),
        }.items():
            np.testing.assert_allclose(
                call(name, thousand), expected, rtol=100 * eps, err_msg=f"{name} {who}"
            )


def test_a_member_too_light_for_its_dtype_is_absent():
    for dtype, weight in ((np.float32, 1e-37), (np.float64, 1e-306)):
        two = np.array([[[1, 0]], [[0, 1]]], dtype)
        for name in COMMITTEE:
            assert bits(call(name, two, weights=[1, weight])) == bits(call(name, two, weights=[1, 0])), name


@every_score
def test_a_crowd_of_members_is_scored(name):
    for axis, dtype in ((0, np.float64), (1, np.float32), (2, np.float64)):
        proba = committee(1100, 19, 3, dtype)
        got = call(name, as_axis(proba, axis), member_axis=axis)
        np.testing.assert_allclose(got, COMMITTEE[name](members_of(proba)), rtol=2e-3, atol=1e-6)
    numbers = np.random.default_rng(0).random((1100, 19))
    np.testing.assert_allclose(qr.ensemble_variance(numbers, member_axis=0), numbers.var(axis=0), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weights", [None, [1.0, 3.0, 0.25, 0.0, 2.0]])
def test_nearly_certain_members_have_a_consensus_with_all_its_digits(dtype, weights):
    eps = float(np.finfo(dtype).eps)
    rng = np.random.default_rng(3)
    doubt = eps ** rng.uniform(0.3, 1.0, (5, 2000, 1))
    proba = np.concatenate([1 - doubt, doubt * rng.dirichlet(np.ones(4), (5, 2000))], axis=2).astype(dtype)
    exact = proba.astype(np.float64)
    first = np.tensordot(shares(5, weights), 1 - exact[:, :, 0], axes=1)
    others = np.tensordot(shares(5, weights), exact[:, :, 1:], axes=1)
    expected = {
        "consensus_least_confidence": first,
        "consensus_margin": first + others.max(axis=1),
        "consensus_entropy": (first - 1) * np.log1p(-first) - (others * np.log(others)).sum(axis=1),
    }
    for name, of_consensus in expected.items():
        got = call(name, proba, weights=weights)
        np.testing.assert_allclose(got, of_consensus, rtol=6 * eps, err_msg=name)


def test_weights_as_large_as_can_be_are_shares():
    assert not qr.bald(np.ones((2, 1, 1)), weights=[1e308, 1e308]).any()
    assert_close(
        qr.bald(committee(2, 9, 3), weights=[1e308, 5e307]), qr.bald(committee(2, 9, 3), weights=[2, 1])
    )


def test_disjoint_members_disagree_as_much_as_can_be():
    proba = np.eye(3)[:, None, :]
    for dtype in (np.float32, np.float64):
        for name in ("bald", "max_disagreement", "consensus_entropy", "vote_entropy"):
            np.testing.assert_allclose(call(name, proba.astype(dtype)), [math.log(3)], rtol=1e-6)


@every_streamed
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weights", [None, [0.5, 0, 3, 1.5]])
def test_an_iterator_of_members_gives_what_the_array_gives(name, dtype, weights):
    for shape in [(4, 203, 7), (4, 0, 3), (4, 10, 1)]:
        proba = committee(*shape, dtype)
        expected = COMMITTEE[name](members_of(proba), weights)
        out = np.full(shape[1], 7, dtype)
        for members in (
            iter(proba),
            (np.asfortranarray(p) for p in proba),
            iter(proba.astype(f">f{out.itemsize}")),
        ):
            got = call(name, members, weights=weights, n_threads=2)
            assert got.dtype == dtype
            assert_close(got, expected)
        assert call(name, iter(proba), weights=weights, out=out) is out
        assert_close(out, expected)
        together = qr.committee_scores(iter(proba), STREAMED, weights=weights)
        assert list(together) == STREAMED
        assert_close(together[name], expected)


def test_an_iterator_of_many_members_keeps_its_accuracy():
    proba = committee(200, 50, 5)
    for name in STREAMED:
        np.testing.assert_allclose(call(name, iter(proba)), COMMITTEE[name](proba), rtol=1e-12)


def test_what_an_iterator_cannot_give_is_refused():
    proba = committee(3, 10, 4)
    for name in sorted(set(COMMITTEE) - set(STREAMED)):
        with pytest.raises(ValueError, match="iterator"):
            call(name, iter(proba))
    with pytest.raises(ValueError, match="iterator"):
        qr.votes(iter(proba))
    with pytest.raises(ValueError, match="member_axis"):
        qr.bald(iter(proba), member_axis=1)
    unfit = {
        "at least one member": [],
        r"member 1.*\(10, 4\).*\(9, 4\)": [proba[0], proba[1][1:]],
        r"member 0.*\(n, c\)": [proba[0, 0]],
        r"member 2.*\brow 8\b": [proba[0], proba[1], np.where(np.arange(10) == 8, NAN, proba[2].T).T],
    }
    for text, members in unfit.items():
        with pytest.raises(ValueError, match=text):
            qr.bald(iter(members))
    for members in ([proba[0].astype(int)], [proba[0], proba[1].astype(np.float32)]):
        with pytest.raises(TypeError, match="member"):
            qr.bald(iter(members))
    for out in (np.zeros(9), np.zeros(10, np.float32), np.zeros(20)[::2], [0.0] * 10):
        with pytest.raises(REFUSED, match="out"):
            qr.bald(iter(proba), out=out)
    memory = proba.copy()
    for member in range(3):
        with pytest.raises(ValueError, match=rf"^out: shares memory with member {member}\b"):
            qr.bald(iter(memory), out=memory[member].reshape(-1)[:10], weights=[1, 1, 0])
    assert bits(memory) == bits(proba)
    with pytest.raises(REFUSED, match="n_threads"):
        qr.bald(iter(proba), n_threads=0)
    with pytest.raises(TimeoutError):
        qr.bald(iter(np.broadcast_to(np.float32(0.001), (2, 1000, 1000))), deadline=0.0)


@every_streamed
@pytest.mark.parametrize("total", [0.999, 1.001])
def test_members_as_far_from_one_as_can_be_have_a_consensus(name, total):
    proba = np.random.default_rng(0).dirichlet(np.ones(3), (3, 20_000))
    proba *= total / proba.sum(axis=2, keepdims=True)
    valid = proba[:, ~np.isnan(qr.bald(proba, invalid="nan"))]
    assert valid.shape[1] > 100
    assert_close(call(name, iter(valid)), call(name, valid))


@every_score
@every_float
@pytest.mark.parametrize("bad", [NAN, math.inf, -0.25, 1.5])
def test_a_bad_row_is_named_or_scored_nan(name, dtype, bad):
    for m, n, c in [(3, 40, 1), (5, 70, 10), (2, 40, 33)]:
        proba = committee(m, n, c, dtype)
        clean = call(name, proba)
        spoilt, rows = proba.copy(), [3, 17, n - 1]
        for row in rows:
            spoilt[row % m, row, row % c] = bad
        for axis in (0, 1, 2):
            view = as_axis(spoilt, axis)
            with pytest.raises(
                ValueError, match=rf"proba.*\brow 3\b.*member {3 % m}|proba.*member {3 % m}.*\brow 3\b"
            ):
                call(name, view, member_axis=axis)
            got = call(name, view, member_axis=axis, invalid="nan")
            assert np.isnan(got).nonzero()[0].tolist() == rows
            assert bits(np.delete(got, rows)) == bits(np.delete(clean, rows))
        if name in STREAMED and np.dtype(dtype).itemsize > 2:
            got = call(name, iter(spoilt), invalid="nan")
            assert np.isnan(got).nonzero()[0].tolist() == rows
            assert_close(np.delete(got, rows), np.delete(clean, rows))
            with pytest.raises(ValueError, match=r"member \d.*\brow \d+"):
                call(name, iter(spoilt))


def test_the_outs_of_an_iterator_must_not_overlap():
    shared, names = np.zeros(30), ["bald", "consensus_entropy"]
    out = {"bald": shared[:20], "consensus_entropy": shared[10:]}
    with pytest.raises(ValueError, match="out: array 1 shares memory with another one"):
        qr.committee_scores(iter(committee(2, 20, 3)), names, out=out)


@every_score
def test_out_is_filled_and_what_does_not_fit_is_refused(name):
    proba = committee(3, 100, 5, np.float32)
    out = np.full(100, 7, np.float32)
    assert call(name, proba, out=out) is out
    assert bits(out) == bits(call(name, proba))
    for unfit in (
        np.zeros(99, np.float32),
        np.zeros(100),
        np.zeros(200, np.float32)[::2],
        [0.0] * 100,
        proba[0, :, 0],
    ):
        with pytest.raises(REFUSED, match="out"):
            call(name, proba, out=unfit)


def test_names_are_checked():
    proba = committee(3, 10, 5)
    for names in ("bald", ["bald", "bald"], ["balderdash"]):
        with pytest.raises(REFUSED, match=r"name|score"):
            qr.committee_scores(proba, names)
    for out in ({}, {"max_disagreement": np.zeros(10)}, [np.zeros(10)]):
        with pytest.raises(REFUSED, match="out"):
            qr.committee_scores(proba, ["bald"], out=out)


@every_score
def test_no_rows_one_member_and_no_class(name):
    assert call(name, np.zeros((3, 0, 4), np.float32)).shape == (0,)
    one = committee(1, 20, 5)
    assert_close(call(name, one), COMMITTEE[name](one))
    for shape in ((3, 10, 0), (0, 10, 3), (10, 3), (10,)):
        with pytest.raises(ValueError, match="proba"):
            call(name, np.zeros(shape))
    for axis in (3, -1):
        with pytest.raises(ValueError, match="member_axis"):
            call(name, one, member_axis=axis)
    with pytest.raises(TypeError, match="proba"):
        call(name, np.ones((2, 3, 1), int))


@every_float
def test_votes_are_the_argmax_of_each_member(dtype):
    for m, n, c in SHAPES:
        proba = committee(m, n, c, dtype)
        proba[:, : n // 4] = np.asarray(1 / c, dtype) if dtype.itemsize > 2 else proba[:, : n // 4]
        for axis in (0, 1, 2):
            got = qr.votes(as_axis(proba, axis), member_axis=axis)
            assert got.dtype == np.int64
            assert got.tolist() == votes(members_of(proba)).tolist()
    proba[1, 3] = NAN
    with pytest.raises(ValueError, match=r"\brow 3\b"):
        qr.votes(proba)
    got = qr.votes(proba, invalid="nan")
    assert got[1, 3] == -1
    assert (np.delete(got, 3, axis=1) >= 0).all()


@pytest.mark.parametrize("name", ["bald", "max_disagreement", "consensus_entropy"])
def test_a_call_past_its_deadline_is_a_timeout_error(name):
    endless = np.broadcast_to(np.float32(2**-20), (2, 2**20, 2**20))
    with pytest.raises(TimeoutError):
        call(name, endless, deadline=0.15)
