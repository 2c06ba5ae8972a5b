"""What a call accepts as an array, and the error that names whatever it does not."""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import pytest
import querist as qr
from reference import NAMES, SCORES, bits, dirichlet
from stand_ins import OldTensor, Tensor

every_score = pytest.mark.parametrize("score", SCORES, ids=str)
PROBA = dirichlet(20, 3, np.float32)


def call(score, array, **options):
    return getattr(qr, score.name)(array, **options)


@every_score
def test_nested_lists_are_float64(score):
    expected = call(score, PROBA.astype(np.float64))
    assert bits(call(score, PROBA.tolist())) == bits(expected)
    assert bits(call(score, [tuple(row) for row in PROBA.tolist()])) == bits(expected)


@every_score
def test_the_result_is_a_plain_array_of_its_own(score):
    got = call(score, PROBA)
    assert type(got) is np.ndarray
    assert got.flags.c_contiguous
    assert got.flags.aligned
    assert got.flags.writeable
    assert got.dtype.isnative
    got[:] = 7
    assert call(score, PROBA)[0] != 7


@every_score
@pytest.mark.parametrize("device", [(2, 0), (2, 1), (8, 0), (10, 0)])
@pytest.mark.parametrize("kind", [Tensor, OldTensor])
def test_a_tensor_on_a_device_is_told_to_move_to_the_cpu(score, device, kind):
    tensor = kind(PROBA, device)
    for attempt in (
        lambda: call(score, tensor),
        lambda: qr.scores(tensor, [score.name]),
        lambda: qr.top_scores(tensor, 2, score=score.name),
    ):
        with pytest.raises(TypeError, match=r"(?i)proba.*\bcpu\b"):
            attempt()
    with pytest.raises(TypeError, match=r"(?i)scores.*\bcpu\b"):
        qr.select.top_k(kind(PROBA[:, 0], device), 2)


UNFIT_DTYPES = [bool, np.int8, np.uint8, np.int32, np.int64, np.uint64, complex, np.complex64]
UNFIT_DTYPES += [object, "U8", "S8", "M8[s]", "m8[s]", ml_dtypes.float8_e4m3fn, [("p", np.float32)]]


@every_score
@pytest.mark.parametrize("dtype", UNFIT_DTYPES, ids=str)
def test_an_array_of_another_dtype_is_a_type_error_that_names_it(score, dtype):
    unfit = np.zeros((4, 3), dtype)
    name = r"(?i)proba.*" + {"U": "U", "S": "S", "V": "", "b": "bool"}.get(
        unfit.dtype.kind, unfit.dtype.name.split("[")[0]
    )
    for attempt in (
        lambda: call(score, unfit),
        lambda: call(score, unfit, from_logits=True),
        lambda: qr.scores(unfit, [score.name]),
        lambda: qr.top_scores(unfit, 2, score=score.name),
    ):
        with pytest.raises(TypeError, match=name):
            attempt()


@every_score
@pytest.mark.parametrize("thing", [None, "proba", b"proba", object(), {"p": 1.0}, {0.5}, len])
def test_what_is_no_array_at_all_is_a_type_error(score, thing):
    with pytest.raises(TypeError, match="proba"):
        call(score, thing)
    with pytest.raises(TypeError, match="scores"):
        qr.select.top_k(thing, 1)


@every_score
@pytest.mark.parametrize("shape", [(), (1,), (6,), (2, 3, 1), (0,), (1, 1, 1, 1)], ids=str)
def test_another_number_of_dimensions_is_a_value_error_that_says_it(score, shape):
    unfit = np.full(shape, 0.5, np.float32)
    for attempt in (
        lambda: call(score, unfit),
        lambda: qr.scores(unfit, [score.name]),
        lambda: qr.top_scores(unfit, 0, score=score.name),
    ):
        with pytest.raises(ValueError, match=r"proba.*\(n, c\)") as error:
            attempt()
        assert str(shape) in str(error.value)


@every_score
def test_a_ragged_list_is_a_value_error(score):
    with pytest.raises(ValueError, match="proba"):
        call(score, [[0.5, 0.5], [1.0]])


@every_score
@pytest.mark.parametrize("n_threads", [0, -1, -(2**40)])
def test_fewer_than_one_thread_is_a_value_error(score, n_threads):
    scores = np.ones(3, np.float32)
    for attempt in (
        lambda: call(score, PROBA, n_threads=n_threads),
        lambda: qr.scores(PROBA, [score.name], n_threads=n_threads),
        lambda: qr.top_scores(PROBA, 2, score=score.name, n_threads=n_threads),
        lambda: qr.select.top_k(scores, 2, n_threads=n_threads),
        lambda: qr.set_num_threads(n_threads),
    ):
        with pytest.raises(ValueError, match=r"thread"):
            attempt()


@pytest.mark.parametrize("n_threads", ["2", 1.5, [2]])
def test_threads_that_are_no_integer_are_a_type_error(n_threads):
    for attempt in (
        lambda: qr.entropy(PROBA, n_threads=n_threads),
        lambda: qr.select.top_k(PROBA[:, 0], 2, n_threads=n_threads),
        lambda: qr.set_num_threads(n_threads),
    ):
        with pytest.raises(TypeError, match="n_threads"):
            attempt()


@pytest.mark.parametrize(
    ("option", "unfit"),
    [
        ("from_logits", "no"),
        ("normalize", 2),
        ("n_threads", 1.5),
        ("deadline", "1"),
        ("invalid", 3),
    ],
)
def test_an_option_of_another_type_is_a_type_error_that_names_it(option, unfit):
    for attempt in (
        lambda: qr.entropy(PROBA, **{option: unfit}),
        lambda: qr.scores(PROBA, NAMES, **{option: unfit}),
    ):
        with pytest.raises(TypeError, match=rf"^{option}: expected .*, got {type(unfit).__name__}"):
            attempt()


@pytest.mark.parametrize("names", [None, 3, [3], ["entropy", None], "entropy"])
def test_names_that_are_none_are_a_type_error(names):
    for score in (lambda: qr.scores(PROBA, names), lambda: qr.committee_scores(PROBA[None], names)):
        with pytest.raises(TypeError, match=r"^names: expected .*, got"):
            score()


@pytest.mark.parametrize("deadline", [-1, math.nan])
def test_a_deadline_that_is_no_time_from_now_is_a_value_error(deadline):
    with pytest.raises(ValueError, match="deadline"):
        qr.entropy(PROBA, deadline=deadline)


def test_an_unknown_score_is_a_value_error_that_lists_the_known_ones():
    for argument, attempt in (
        ("names", lambda: qr.scores(PROBA, ["entropy", "entropie"])),
        ("score", lambda: qr.top_scores(PROBA, 2, score="entropie")),
    ):
        with pytest.raises(ValueError, match=rf'^{argument}: expected .*, got "entropie"') as error:
            attempt()
        assert all(name in str(error.value) for name in NAMES)


@every_score
def test_options_are_keyword_only(score):
    with pytest.raises(TypeError):
        call(score, PROBA, True)
    with pytest.raises(TypeError):
        qr.top_scores(PROBA, 2, score.name)


@every_score
def test_a_huge_row_of_classes_is_one_row_like_any_other(score):
    c = 10**6
    even = np.broadcast_to(np.float32(1 / c), (3, c))
    got = call(score, even)
    np.testing.assert_allclose(got, score.largest(c), rtol=1e-5)
    assert not math.isnan(got[0])
