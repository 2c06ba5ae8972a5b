"""The row scores against the reference, over every score, dtype and number of classes."""

from __future__ import annotations

import numpy as np
import pytest
import querist as qr
from reference import FLOATS, MAPPED, NAMES, SCORES, bits, dirichlet

CLASSES = [1, 2, 3, 5, 8, 10, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 129, 1000]
ROWS = [0, 1, 2, 15, 16, 17, 31, 33, 257]

every_score = pytest.mark.parametrize("score", SCORES, ids=str)
every_float = pytest.mark.parametrize("dtype", FLOATS, ids=str)
both_inputs = pytest.mark.parametrize("from_logits", [False, True], ids=["proba", "logits"])


def call(score, array, **options):
    return getattr(qr, score.name)(array, **options)


def pool(n, c, dtype, *, from_logits=False, seed=0):
    if from_logits:
        return (3 * np.random.default_rng(seed).normal(size=(n, c))).astype(dtype)
    return dirichlet(n, c, dtype, seed=seed)


def assert_agrees(got, expected):
    """Loose: `test_accuracy` counts the last bits."""
    assert got.dtype in (np.float32, np.float64)
    relative = 64 * np.finfo(got.dtype).eps
    np.testing.assert_allclose(got, expected, rtol=relative, atol=relative)


@every_score
@every_float
@pytest.mark.parametrize("c", CLASSES)
def test_every_score_is_the_formula_of_the_stored_probabilities(score, dtype, c):
    for n in ROWS:
        proba = pool(n, c, dtype)
        got = call(score, proba)
        assert type(got) is np.ndarray
        assert got.shape == (n,)
        assert got.dtype == MAPPED.get(dtype.name, np.float64)
        assert_agrees(got, score.of_proba(proba.astype(np.float64)))


@every_score
@every_float
@pytest.mark.parametrize("c", CLASSES)
def test_every_score_from_logits_is_the_formula_of_their_softmax(score, dtype, c):
    for n in ROWS:
        logits = pool(n, c, dtype, from_logits=True)
        got = call(score, logits, from_logits=True)
        assert got.shape == (n,)
        assert got.dtype == MAPPED.get(dtype.name, np.float64)
        assert_agrees(got, score.of_logits(logits.astype(np.float64)))


@every_score
@both_inputs
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "c"), [(1000, 3), (1000, 10), (333, 16), (333, 17), (70, 1000)])
def test_a_row_scores_the_same_wherever_it_stands(score, dtype, from_logits, n, c):
    array = pool(n, c, dtype, from_logits=from_logits)
    whole = call(score, array, from_logits=from_logits)
    order = np.random.default_rng(1).permutation(n)
    assert bits(call(score, array[order], from_logits=from_logits)) == bits(whole[order])
    for cuts in ([1], [7, 8], [16, 32, 48], [n // 2], list(range(3, n, 13))):
        pieces = np.split(array, cuts)
        scored = [call(score, piece, from_logits=from_logits) for piece in pieces]
        assert bits(np.concatenate(scored)) == bits(whole)


@every_score
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_normalize_divides_by_the_largest_value_that_c_classes_allow(score, dtype):
    for c in CLASSES[1:]:
        proba = pool(100, c, dtype)
        plain, normalized = call(score, proba), call(score, proba, normalize=True)
        assert normalized.dtype == plain.dtype
        eps = np.finfo(dtype).eps
        np.testing.assert_allclose(normalized, plain / score.largest(c), rtol=4 * eps)

        even = call(score, np.full((3, c), 1 / c, dtype), normalize=True)
        np.testing.assert_allclose(even, 1, rtol=8 * eps + c * eps / 4)
        certain = call(score, np.eye(c, dtype=dtype), normalize=True)
        assert bits(certain) == bits(np.zeros(c, dtype))


@every_score
@both_inputs
def test_one_class_has_nothing_to_ask(score, from_logits):
    ones = np.ones((40, 1), np.float32)
    for normalize in (False, True):
        got = call(score, ones, from_logits=from_logits, normalize=normalize)
        assert bits(got) == bits(np.zeros(40, np.float32))
    nearly = np.full((3, 1), 0.9995, np.float32)
    assert bits(call(score, nearly, normalize=True)) == bits(np.zeros(3, np.float32))


@every_score
def test_larger_means_ask_this_one_first(score):
    for c in CLASSES[1:]:
        certainty = np.linspace(0.999, 0.001, 30)[:, None]
        proba = certainty * np.eye(c)[0] + (1 - certainty) / c
        assert np.all(np.diff(call(score, proba)) > 0)
        logits = np.linspace(20, 0.01, 30)[:, None] * np.eye(c)[-1]
        assert np.all(np.diff(call(score, logits, from_logits=True)) > 0)


@both_inputs
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("c", [1, 2, 10, 17, 100, 1000])
def test_scores_in_one_pass_are_the_scores_alone(from_logits, dtype, c):
    array = pool(300, c, dtype, from_logits=from_logits)
    for names in (NAMES, NAMES[::-1], NAMES[:1], NAMES[1:3], NAMES[3:]):
        for normalize in (False, True):
            options = {"from_logits": from_logits, "normalize": normalize}
            got = qr.scores(array, names, **options)
            assert list(got) == names
            for name in names:
                assert bits(got[name]) == bits(getattr(qr, name)(array, **options)), name
