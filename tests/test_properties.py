"""What hypothesis finds of the row scores and the best of them (of all functions: test_functions.py)."""

from __future__ import annotations

import math

import numpy as np
import pytest
import querist as qr
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from reference import SCORES, bits, exact, top_k

every_score = pytest.mark.parametrize("score", SCORES, ids=str)
thorough = settings(max_examples=150, deadline=None, derandomize=True, database=None)

DTYPES = st.sampled_from([np.float32, np.float64])
SHAPES = st.tuples(st.integers(1, 40), st.sampled_from([1, 2, 3, 5, 10, 15, 16, 17, 33, 70]))


def call(score, array, **options):
    return getattr(qr, score.name)(array, **options)


@st.composite
def probabilities(draw, shapes=SHAPES):
    """Draw rows of weights of many magnitudes, zeros among them, divided by their sum."""
    dtype, shape = draw(DTYPES), draw(shapes)
    exponents = draw(hnp.arrays(np.int8, shape, elements=st.integers(-120, 0)))
    kept = draw(hnp.arrays(bool, shape))
    kept[:, 0] |= ~kept.any(axis=1)
    weights = np.where(kept, np.exp(exponents / draw(st.sampled_from([1, 4, 30]))), 0.0)
    proba = (weights / weights.sum(axis=1, keepdims=True)).astype(dtype)
    return np.minimum(proba, 1)


@st.composite
def logits(draw):
    dtype, shape = draw(DTYPES), draw(SHAPES)
    finite = st.floats(-90, 90, width=32)
    array = draw(hnp.arrays(dtype, shape, elements=finite | st.just(-math.inf)))
    array[:, 0] = np.where(np.isinf(array).all(axis=1), 0, array[:, 0])
    return array


@every_score
@thorough
@given(proba=probabilities())
def test_a_score_lies_between_zero_and_its_largest_value(score, proba):
    got = call(score, proba)
    eps = np.finfo(proba.dtype).eps
    assert (got >= -4 * eps).all()
    assert (got <= score.largest(proba.shape[1]) + 64 * eps).all()
    normalized = call(score, proba, normalize=True)
    assert (normalized <= 1 + 64 * eps).all()


@every_score
@thorough
@given(proba=probabilities())
@example(proba=np.float32([[1, 5.1090889e-12, *[3.4424771e-14] * 68]]))  # small squares added to a large one
def test_a_score_is_the_formula_of_the_stored_numbers(score, proba):
    for row, got in zip(proba, call(score, proba), strict=True):
        true = exact(score, row)
        allowed = 4 * float(np.finfo(proba.dtype).eps) * float(true.magnitude)
        assert abs(float(true.value) - float(got)) <= max(allowed, 1e-43)


@every_score
@thorough
@given(proba=probabilities(), data=st.data())
def test_the_order_of_the_classes_does_not_matter(score, proba, data):
    order = data.draw(st.permutations(range(proba.shape[1])))
    one, other = call(score, proba), call(score, proba[:, order])
    eps = np.finfo(proba.dtype).eps
    np.testing.assert_allclose(one, other, rtol=8 * eps, atol=8 * eps)
    if score.name in ("margin", "least_confidence"):
        assert bits(one) == bits(other)


@every_score
@thorough
@given(proba=probabilities())
def test_the_logarithms_of_probabilities_are_logits_for_them(score, proba):
    with np.errstate(divide="ignore"):
        as_logits = np.log(proba.astype(np.float64))
    got = call(score, as_logits, from_logits=True)
    loose = 1e-5 if proba.dtype == np.float32 else 1e-12
    np.testing.assert_allclose(got, call(score, proba), rtol=loose, atol=loose)


@every_score
@thorough
@given(array=logits(), offset=st.integers(-64, 64))
def test_an_offset_to_all_logits_changes_nothing_where_the_sum_is_exact(score, array, offset):
    rounded = np.round(array * 1024) / 1024
    shifted = rounded + offset
    assert np.array_equal(shifted - offset, rounded)
    assert bits(call(score, rounded, from_logits=True)) == bits(call(score, shifted, from_logits=True))


ANY_SCORES = DTYPES.flatmap(
    lambda dtype: hnp.arrays(
        dtype,
        st.integers(0, 80),
        elements=st.sampled_from([0.0, -0.0, 1.0, -1.0, math.inf, -math.inf, math.nan, 0.5])
        | st.floats(width=32),
    )
)


@thorough
@given(scores=ANY_SCORES, data=st.data())
def test_top_k_of_any_scores_is_the_reference(scores, data):
    n = len(scores)
    available = data.draw(
        st.none() | hnp.arrays(bool, n) | st.lists(st.integers(0, max(n - 1, 0)), unique=True, max_size=n)
        if n
        else st.none()
    )
    pickable = len(top_k(scores, n, available)[0])
    k = data.draw(st.integers(0, pickable))
    indices, values = qr.select.top_k(scores, k, available=available)
    expected = top_k(scores, k, available)
    assert indices.tolist() == expected[0].tolist()
    assert bits(values) == bits(expected[1])
    with pytest.raises(ValueError, match=rf"\b{pickable + 1}\b"):
        qr.select.top_k(scores, pickable + 1, available=available)


@every_score
@thorough
@given(proba=probabilities(), data=st.data())
def test_top_scores_are_the_top_k_of_the_scores(score, proba, data):
    k = data.draw(st.integers(0, len(proba)))
    expected = qr.select.top_k(call(score, proba), k)
    got = qr.top_scores(proba, k, score=score.name)
    assert got.indices.tolist() == expected.indices.tolist()
    assert bits(got.values) == bits(expected.values)
    order = np.random.default_rng(k).permutation(len(proba))
    elsewhere = qr.top_scores(proba[order], k, score=score.name)
    assert bits(elsewhere.values) == bits(expected.values)
