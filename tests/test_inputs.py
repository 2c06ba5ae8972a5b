"""What a call accepts as an array, and the error that names whatever it does not."""

from __future__ import annotations

import array
import ctypes
import math

import ml_dtypes
import numpy as np
import pytest
import querist as qr
from reference import NAMES, SCORES, bits, dirichlet

every_score = pytest.mark.parametrize("score", SCORES, ids=str)
PROBA = dirichlet(20, 3, np.float32)


def call(score, array, **options):
    return getattr(qr, score.name)(array, **options)


class Tensor:
    """Speaks DLPack and nothing else, as numpy's own arrays do it."""

    def __init__(self, values, device=None):
        self.values, self.device = values, device

    def __dlpack__(self, **options):
        if self.device is not None:
            raise BufferError("the data live on a device")
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.device or self.values.__dlpack_device__()


class OldTensor(Tensor):
    """The protocol before versions: `stream` is the only option."""

    def __dlpack__(self, stream=None):
        return super().__dlpack__(stream=stream)


class Frame:
    """Speaks the array protocol and nothing else, as a data frame does."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return self.values if dtype is None else self.values.astype(dtype)


class Interface:
    """Speaks `__array_interface__` and nothing else."""

    def __init__(self, values):
        self.values = values
        self.__array_interface__ = values.__array_interface__


def buffer_of(values):
    flat = array.array(values.dtype.char, values.ravel().tolist())
    return memoryview(flat).cast("B").cast(values.dtype.char, values.shape)


def ctypes_of(values):
    n, c = values.shape
    element = ctypes.c_float if values.dtype == np.float32 else ctypes.c_double
    return (element * c * n)(*(tuple(row) for row in values.tolist()))


SPEAKERS = [Tensor, OldTensor, Frame, Interface, buffer_of, ctypes_of]


@every_score
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("speaker", SPEAKERS, ids=lambda s: s.__name__)
def test_whatever_speaks_an_array_protocol_is_read_with_its_own_dtype(score, dtype, speaker):
    proba = dirichlet(20, 3, dtype)
    expected = call(score, proba)
    got = call(score, speaker(proba))
    assert got.dtype == dtype
    assert bits(got) == bits(expected)
    assert bits(qr.scores(speaker(proba), [score.name])[score.name]) == bits(expected)
    indices, values = qr.top_scores(speaker(proba), 4, score=score.name)
    assert bits(values) == bits(expected[indices])


@pytest.mark.parametrize("speaker", [Tensor, OldTensor, Frame, Interface])
def test_scores_for_top_k_climb_the_same_ladder(speaker):
    scores = np.array([0.1, 0.9, 0.5], np.float32)
    assert qr.select.top_k(speaker(scores), 2).indices.tolist() == [1, 2]
    assert qr.select.top_k(array.array("d", [0.1, 0.9, 0.5]), 2).indices.tolist() == [1, 2]
    assert qr.select.top_k([0.1, 0.9, 0.5], 2).indices.tolist() == [1, 2]


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
        with pytest.raises(TypeError, match=option):
            attempt()


@pytest.mark.parametrize("deadline", [-1, math.nan])
def test_a_deadline_that_is_no_time_from_now_is_a_value_error(deadline):
    with pytest.raises(ValueError, match="deadline"):
        qr.entropy(PROBA, deadline=deadline)


def test_an_unknown_score_is_a_value_error_that_lists_the_known_ones():
    for attempt in (
        lambda: qr.scores(PROBA, ["entropy", "entropie"]),
        lambda: qr.top_scores(PROBA, 2, score="entropie"),
    ):
        with pytest.raises(ValueError, match="entropie") as error:
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
