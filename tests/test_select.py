"""`select.top_k` against the reference: order, ties, NaN, what is available, every error."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import querist as qr
from layouts import layouts_of
from reference import bits, top_k

NAN, INF = math.nan, math.inf
FLOATS = [np.float32, np.float64]
every_float = pytest.mark.parametrize("dtype", FLOATS)


def pools(n, dtype):
    """Yield n scores in the shapes that are hard for a selection, each with a name."""
    rng = np.random.default_rng(n)
    random = rng.random(n).astype(dtype)
    yield "random", random
    yield "ascending", np.sort(random)
    yield "descending", np.sort(random)[::-1].copy()
    yield "constant", np.full(n, 0.5, dtype)
    yield "two values", rng.integers(0, 2, n).astype(dtype)
    yield "few values", rng.integers(0, 5, n).astype(dtype)
    yield "with NaN", np.where(rng.random(n) < 0.3, NAN, random).astype(dtype)
    yield "signed zeros", np.where(rng.random(n) < 0.5, -0.0, 0.0).astype(dtype)
    yield "infinities", np.where(rng.random(n) < 0.3, [INF], -random).astype(dtype) * 2
    yield "negative infinities", np.where(rng.random(n) < 0.3, [-INF], random).astype(dtype)
    yield "subnormal", (rng.integers(-9, 9, n) * np.finfo(dtype).smallest_subnormal).astype(dtype)
    yield (
        "organ pipe",
        np.concatenate([np.arange(n // 2), np.arange(n - n // 2)[::-1]]).astype(dtype),
    )


def assert_picks(picks, expected, name=""):
    indices, values = picks
    assert isinstance(picks, qr.Picks)
    assert isinstance(picks, tuple)
    assert len(picks) == 2
    assert indices is picks.indices
    assert values is picks.values
    assert isinstance(picks.info, dict)
    assert indices.dtype == np.int64
    assert indices.tolist() == expected[0].tolist(), name
    assert bits(values) == bits(expected[1]), name


@every_float
@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 33, 100, 1000, 5000])
def test_top_k_is_the_reference_for_every_k_and_every_order_of_scores(dtype, n):
    for name, scores in pools(n, dtype):
        pickable = int((~np.isnan(scores)).sum())
        for k in {0, 1, 2, 3, n // 10, n // 2, pickable - 1, pickable}:
            if 0 <= k <= pickable:
                assert_picks(qr.select.top_k(scores, k), top_k(scores, k), name)


@every_float
def test_threads_do_not_change_the_picks(dtype):
    for name, scores in pools(2**20 + 77, dtype):
        expected = top_k_by_sorting(scores, 1000)
        for n_threads in (1, 2, 3, 7, None):
            assert_picks(qr.select.top_k(scores, 1000, n_threads=n_threads), expected, name)


@every_float
def test_infinities_are_the_first(dtype):
    n = 64 * 8192 + 63
    scores = (np.arange(n) % 777).astype(dtype)
    scores[::1000] = INF
    for case in (scores, np.full(n, INF, dtype)):
        for k in (5, 31):
            assert_picks(qr.select.top_k(case, k), top_k_by_sorting(case, k))


def top_k_by_sorting(scores, k):
    """Equal to the reference, and quick enough for a million."""
    pickable = np.flatnonzero(~np.isnan(scores))
    indices = pickable[np.argsort(-scores[pickable], kind="stable")[:k]]
    return indices, scores[indices]


def test_the_quick_reference_is_the_reference():
    for dtype in FLOATS:
        for _, scores in pools(500, dtype):
            for k in (0, 1, 100):
                quick, slow = top_k_by_sorting(scores, k), top_k(scores, k)
                assert quick[0].tolist() == slow[0].tolist()


@every_float
@pytest.mark.parametrize("n", [5, 100, 3000])
def test_only_what_is_available_is_picked(dtype, n):
    rng = np.random.default_rng(n)
    for name, scores in pools(n, dtype):
        for share in (0.0, 0.1, 0.5, 1.0):
            mask = rng.random(n) < share
            shuffled = rng.permutation(np.flatnonzero(mask))
            pickable = int((mask & ~np.isnan(scores)).sum())
            for k in {0, min(1, pickable), pickable // 2, pickable}:
                expected = top_k(scores, k, mask)
                for available in (mask, shuffled, shuffled.tolist(), mask.tolist()):
                    assert_picks(qr.select.top_k(scores, k, available=available), expected, name)


def test_available_may_be_any_integers_in_any_layout():
    scores = np.arange(100, dtype=np.float32) % 7
    chosen = np.array([99, 3, 41, 6, 13, 20])
    expected = top_k(scores, 4, chosen)
    for dtype in (np.int8, np.uint8, np.int16, np.uint32, np.int32, np.uint64, np.int64, ">i8"):
        assert_picks(qr.select.top_k(scores, 4, available=chosen.astype(dtype)), expected)
    mask = np.zeros(100, bool)
    mask[chosen] = True
    for values in (chosen, mask):
        for _, view in layouts_of(values):
            assert_picks(qr.select.top_k(scores, 4, available=view), expected)


@pytest.mark.parametrize("dtype", [np.float64, np.int64, bool, object, "U1"])
def test_an_empty_available_of_any_dtype_means_none(dtype):
    none = np.zeros(0, dtype)
    for scores in (np.ones(3, np.float32), np.zeros(0, np.float32)):
        picks = qr.select.top_k(scores, 0, available=none)
        assert_picks(picks, (np.zeros(0, np.int64), np.zeros(0, np.float32)))
        with pytest.raises(ValueError, match=r"\b1\b.*\b0\b"):
            qr.select.top_k(scores, 1, available=none)
    with pytest.raises(ValueError, match=r"\b1\b.*\b0\b"):
        qr.select.top_k(np.ones(3), 1, available=[])


@pytest.mark.parametrize(
    ("available", "error"),
    [
        (np.ones(9, bool), ValueError),
        (np.ones(11, bool), ValueError),
        (np.ones((10, 1), bool), ValueError),
        ([[1, 2]], ValueError),
        ([1, 2, 1], ValueError),
        ([10], ValueError),
        ([-1], ValueError),
        ([2**40], ValueError),
        (np.array([2**63 + 5], np.uint64), ValueError),
        ([1.0, 2.0], TypeError),
        (["1"], TypeError),
        ([None], TypeError),
        (3, (TypeError, ValueError)),
        ("all", (TypeError, ValueError)),
    ],
)
def test_an_available_that_names_no_rows_is_refused_by_name(available, error):
    with pytest.raises(error, match="available"):
        qr.select.top_k(np.arange(10.0), 1, available=available)
    with pytest.raises(error, match="available"):
        qr.top_scores(np.full((10, 2), 0.5), 1, available=available)


def test_an_available_row_is_named_as_it_was_given():
    for row in (2**63 + 1, 10):
        with pytest.raises(ValueError, match=rf"^available: row {row} is not one of the 10 rows$"):
            qr.select.top_k(np.arange(10.0), 1, available=np.array([row], np.uint64))


@pytest.mark.parametrize(
    ("scores", "available", "k", "pickable"),
    [
        (np.ones(5), None, 6, 5),
        (np.array([1, NAN, 2, NAN]), None, 3, 2),
        (np.full(4, NAN), None, 1, 0),
        (np.ones(9), [3, 4], 3, 2),
        (np.array([1, NAN, 2, NAN]), [0, 1, 3], 2, 1),
        (np.zeros(0), None, 1, 0),
        (np.ones(5), None, 2**40, 5),
    ],
)
def test_more_picks_than_rows_is_an_error_that_says_both_numbers(scores, available, k, pickable):
    with pytest.raises(ValueError, match=r"\bk\b|pick|batch") as error:
        qr.select.top_k(scores, k, available=available)
    plain = str(error.value).replace(",", "").replace("_", "")
    assert str(k) in plain
    assert str(pickable) in plain


@pytest.mark.parametrize("k", [-1, -(2**40), True, False, 1.0, "1", None, [1], np.float64(1)])
def test_a_k_that_is_no_count_is_refused(k):
    with pytest.raises((ValueError, TypeError), match=r"\bk\b"):
        qr.select.top_k(np.ones(5), k)
    with pytest.raises((ValueError, TypeError), match=r"\bk\b"):
        qr.top_scores(np.full((5, 2), 0.5), k)


@pytest.mark.parametrize("k", [np.int64(2), np.uint8(2), np.int32(2)])
def test_a_k_from_numpy_is_a_count(k):
    assert qr.select.top_k(np.arange(5.0), k).indices.tolist() == [4, 3]
    assert qr.top_scores(np.full((5, 2), 0.5), k).indices.tolist() == [0, 1]


@pytest.mark.parametrize("shape", [(), (3, 1), (1, 3)])
def test_scores_of_another_dimension_are_a_value_error(shape):
    with pytest.raises(ValueError, match="scores"):
        qr.select.top_k(np.ones(shape), 0)


@pytest.mark.parametrize("dtype", [np.int64, bool, complex, object, "U3"])
def test_scores_of_another_dtype_are_a_type_error(dtype):
    with pytest.raises(TypeError, match="scores"):
        qr.select.top_k(np.ones(3, dtype), 1)


def test_picks_survive_a_copy_and_read_as_they_were_written():
    picks = qr.select.k_center([[0.0], [1.0], [5.0], [9.0]], 2, labeled=[0])
    for again in (copy.deepcopy(picks), eval(repr(picks), {"Picks": qr.Picks, "array": np.array})):
        assert_picks(again, picks)
        assert again.info == picks.info
    assert set(picks.info) == {"distances", "sweeps"}
