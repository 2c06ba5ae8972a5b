"""`out=`: what it may be, that it receives the same bits, and that nothing else is written."""

from __future__ import annotations

import re

import numpy as np
import pytest
import querist as qr
from reference import FLOATS, MAPPED, NAMES, SCORES, bits, dirichlet

every_score = pytest.mark.parametrize("score", SCORES, ids=str)
every_float = pytest.mark.parametrize("dtype", FLOATS, ids=str)
REFUSED = (ValueError, TypeError)


def call(score, array, **options):
    return getattr(qr, score.name)(array, **options)


@every_score
@every_float
def test_out_is_returned_and_holds_the_same_bits(score, dtype):
    for n, c in [(0, 3), (1, 1), (100, 2), (333, 10), (70, 1000)]:
        proba = dirichlet(n, c, dtype)
        out = np.full(n, 7, MAPPED.get(dtype.name, np.float64))
        assert call(score, proba, out=out) is out
        assert bits(out) == bits(call(score, proba))
        assert call(score, proba, out=out, normalize=True, n_threads=3) is out
        assert bits(out) == bits(call(score, proba, normalize=True))


@every_score
@every_float
def test_nothing_is_written_outside_out(score, dtype):
    out_dtype = MAPPED.get(dtype.name, np.float64)
    for c in (2, 16, 100):
        for n in (1, 15, 16, 17, 100):
            roomy = np.full(n + 64, 7, out_dtype)
            call(score, dirichlet(n, c, dtype), out=roomy[32 : 32 + n])
            assert (roomy[:32] == 7).all()
            assert (roomy[32 + n :] == 7).all()


@every_score
@pytest.mark.parametrize(
    "unfit",
    [
        pytest.param(np.zeros(9, np.float32), id="short"),
        pytest.param(np.zeros(11, np.float32), id="long"),
        pytest.param(np.zeros((10, 1), np.float32), id="two-dimensional"),
        pytest.param(np.zeros(10, np.float64), id="float64"),
        pytest.param(np.zeros(10, np.float16), id="float16"),
        pytest.param(np.zeros(10, np.int32), id="int32"),
        pytest.param(np.zeros(10, ">f4"), id="big-endian"),
        pytest.param(np.zeros(20, np.float32)[::2], id="strided"),
        pytest.param(np.zeros(10, np.float32)[::-1], id="reversed"),
        pytest.param(np.zeros(41, np.uint8)[1:].view(np.float32), id="misaligned"),
        pytest.param(np.broadcast_to(np.float32(0), 10), id="broadcast"),
        pytest.param(np.frombuffer(bytes(40), np.float32), id="read-only"),
        pytest.param([0.0] * 10, id="list"),
        pytest.param({"entropy": np.zeros(10, np.float32)}, id="dict"),
    ],
)
def test_an_out_that_does_not_fit_is_refused_and_left_alone(score, unfit):
    proba = dirichlet(10, 3, np.float32)
    before = repr(unfit)
    with pytest.raises(REFUSED, match="out"):
        call(score, proba, out=unfit)
    with pytest.raises(REFUSED, match="out"):
        qr.scores(proba, [score.name], out={score.name: unfit})
    assert repr(unfit) == before


@every_score
def test_shapes_are_told_as_python_prints_them(score):
    for shape in ((9,), (10, 1)):
        with pytest.raises(ValueError, match=rf"^out: expected shape \(10,\), got {re.escape(str(shape))}$"):
            call(score, dirichlet(10, 3, np.float32), out=np.zeros(shape, np.float32))


@every_score
def test_out_must_not_overlap_the_input(score):
    memory = np.full(40, 0.25, np.float32)
    for start in (0, 5, 26, 30):
        with pytest.raises(ValueError, match=r"out|overlap"):
            call(score, memory[:36].reshape(9, 4), out=memory[start : start + 9])
    beside = memory[36:40]
    assert call(score, memory[:16].reshape(4, 4), out=beside) is beside
    assert (memory[:36] == 0.25).all()


@every_score
def test_out_must_not_overlap_a_strided_input(score):
    memory = np.full((9, 8), 0.5, np.float64)
    columns = memory.T[3:5].T
    with pytest.raises(ValueError, match=r"out|overlap"):
        call(score, columns[::-1], out=memory.reshape(-1)[20:29])
    assert (memory == 0.5).all()


def test_out_of_several_scores_is_filled_and_its_arrays_are_returned():
    proba = dirichlet(333, 10, np.float32)
    out = {name: np.full(333, 7, np.float32) for name in NAMES}
    got = qr.scores(proba, NAMES, out=out)
    for name in NAMES:
        assert got[name] is out[name]
        assert bits(out[name]) == bits(getattr(qr, name)(proba))


def test_out_of_several_scores_needs_one_array_for_each_name():
    proba = dirichlet(10, 3, np.float32)
    complete = {name: np.zeros(10, np.float32) for name in NAMES}
    missing = {name: complete[name] for name in NAMES[1:]}
    for out in (missing, {}, list(complete.values()), complete["entropy"]):
        with pytest.raises(REFUSED, match="out"):
            qr.scores(proba, NAMES, out=out)


def test_the_outs_of_one_call_must_not_overlap_each_other():
    proba = dirichlet(10, 3, np.float32)
    shared = np.zeros(20, np.float32)
    with pytest.raises(ValueError, match=r"out|overlap"):
        qr.scores(proba, NAMES[:2], out={NAMES[0]: shared[:10], NAMES[1]: shared[5:15]})
    beside = {NAMES[0]: shared[:10], NAMES[1]: shared[10:]}
    got = qr.scores(proba, NAMES[:2], out=beside)
    assert bits(got[NAMES[1]]) == bits(getattr(qr, NAMES[1])(proba))


@pytest.mark.parametrize(
    ("metric", "sparse"),
    [
        *((metric, False) for metric in ("cosine", "dot", "sqeuclidean", "euclidean", "rbf")),
        *((metric, True) for metric in ("cosine", "dot", "sqeuclidean")),
    ],
)
def test_out_in_the_reference_is_refused(metric, sparse):
    pool, reference = np.arange(12.0).reshape(6, 2), np.arange(20.0).reshape(10, 2) + 1
    out = reference.reshape(-1)[2:8]
    if sparse:
        scipy = pytest.importorskip("scipy.sparse")
        pool, reference = scipy.csr_array(pool), scipy.csr_array(reference)
        out = reference.data[2:8]
    before = out.copy()
    with pytest.raises(ValueError, match="out: shares memory with an input"):
        qr.information_density(pool, metric=metric, reference=reference, out=out)
    assert bits(out) == bits(before)


def test_an_answer_that_no_memory_holds_is_a_memory_error():
    proba = np.broadcast_to(np.float32(0.5), (2**50, 2))
    for answer in (lambda: qr.entropy(proba), lambda: qr.votes(np.broadcast_to(proba, (2, *proba.shape)))):
        with pytest.raises(MemoryError):
            answer()
