"""Row scores against the limit and against their rivals: the numbers that issue Foundation sets.

A ratio is the other's time over querist's. Every answer is checked before anything is timed.
"""

# ruff: noqa: ARG001 -- an empty function of a score's signature uses none of its arguments

from __future__ import annotations

import inspect

import limit
import numba
import numpy as np
import pytest
import querist as qr
import scipy.stats

THREADS = 2
NAMES = ["entropy", "margin", "least_confidence", "gini"]

WIDE, TEN, TWO = (200_000, 1000), (1_000_000, 10), (10_000_000, 2)
SHARE_OF_THE_LIMIT = {
    (WIDE, "float32"): {"margin": 0.9, "least_confidence": 0.9, "gini": None, "entropy": 0.8},
    (TEN, "float32"): {"margin": 0.7, "least_confidence": 0.7, "gini": None, "entropy": 0.5},
    (TWO, "float32"): {"margin": 0.8, "least_confidence": None, "gini": None, "entropy": 0.5},
    (WIDE, "float64"): {"margin": 0.72, "least_confidence": 0.72, "gini": None, "entropy": 0.45},
    (TEN, "float64"): {"margin": 0.56, "least_confidence": 0.56, "gini": None, "entropy": 0.4},
    (TWO, "float64"): {"margin": 0.64, "least_confidence": None, "gini": None, "entropy": 0.35},
}
CASES = [
    pytest.param(shape, dtype, name, bar, id=f"{name}-{shape[0]}x{shape[1]}-{dtype}")
    for (shape, dtype), bars in SHARE_OF_THE_LIMIT.items()
    for name, bar in bars.items()
]


def by_numpy(name: str, proba: np.ndarray) -> np.ndarray:
    """Return the score as a careful numpy user writes it."""
    if name == "entropy":
        logs = np.log(proba, out=np.zeros_like(proba), where=proba > 0)
        return -(proba * logs).sum(axis=1)
    if name == "gini":
        return 1 - (proba * proba).sum(axis=1)
    if name == "least_confidence":
        return 1 - proba.max(axis=1)
    top = np.partition(proba, -2, axis=1)[:, -2:]
    return 1 - (top[:, 1] - top[:, 0])


def softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


@numba.njit(parallel=True, fastmath=True)
def entropy_by_numba(proba: np.ndarray, out: np.ndarray) -> None:
    for row in numba.prange(proba.shape[0]):
        total = proba.dtype.type(0)
        for column in range(proba.shape[1]):
            p = proba[row, column]
            if p > 0:
                total -= p * np.log(p)
        out[row] = total


def agree(got: np.ndarray, expected: np.ndarray) -> None:
    loose = 1e-5 if got.dtype == np.float32 else 1e-11
    np.testing.assert_allclose(got, expected, rtol=loose, atol=loose)


def title(work: str, array: np.ndarray) -> str:
    return f"{work}, {array.shape[0]:,} x {array.shape[1]} {array.dtype}"


def some_rows(array: np.ndarray) -> slice:
    """Return enough rows to check an answer on, where all of them would take numpy long."""
    return slice(0, max(64, 4_000_000 // array.shape[1]))


def test_the_limit_reads_every_number_and_writes_every_output():
    limit.check()


@pytest.mark.parametrize(("shape", "dtype", "name", "bar"), CASES)
def test_score_against_the_limit(bench, shape, dtype, name, bar):
    proba = bench.pool(*shape, dtype)
    out, reused = np.zeros(len(proba), dtype), np.zeros(len(proba), dtype)
    score = getattr(qr, name)
    score(proba, out=out, n_threads=THREADS)
    checked = some_rows(proba)
    agree(out[checked], by_numpy(name, proba[checked]))
    taken = bench.interleaved(
        {
            "querist": lambda: score(proba, out=out, n_threads=THREADS),
            "limit": lambda: limit.read_and_write(proba, reused, THREADS),
        }
    )
    moved = proba.nbytes + out.nbytes
    bench.add(title(name, proba), taken["querist"], "the limit", taken["limit"], bar=bar, moved=moved)


@pytest.mark.parametrize("name", NAMES)
def test_score_from_logits_against_the_limit(bench, name):
    logits = bench.pool(*TEN, "float32", "logits")
    out, reused = np.zeros(len(logits), np.float32), np.zeros(len(logits), np.float32)
    score = getattr(qr, name)
    score(logits, from_logits=True, out=out, n_threads=THREADS)
    checked = some_rows(logits)
    agree(out[checked], by_numpy(name, softmax(logits[checked])))
    taken = bench.interleaved(
        {
            "querist": lambda: score(logits, from_logits=True, out=out, n_threads=THREADS),
            "limit": lambda: limit.read_and_write(logits, reused, THREADS),
        }
    )
    bar = 0.4 if name == "entropy" else None
    moved = logits.nbytes + out.nbytes
    work = title(f"{name} from logits", logits)
    bench.add(work, taken["querist"], "the limit", taken["limit"], bar=bar, moved=moved)


def test_entropy_against_its_rivals(bench):
    proba = bench.pool(*TEN, "float32")
    out, by_rival = np.zeros(len(proba), np.float32), np.zeros(len(proba), np.float32)
    qr.entropy(proba, out=out, n_threads=THREADS)
    numba.set_num_threads(THREADS)
    entropy_by_numba(proba, by_rival)
    jax = pytest.importorskip("jax")
    by_jax, on_device = jax.jit(lambda p: -jax.scipy.special.xlogy(p, p).sum(1)), jax.numpy.asarray(proba)
    answers = by_numpy("entropy", proba), scipy.stats.entropy(proba, axis=1), by_rival, by_jax(on_device)
    for answer in answers:
        agree(out, np.asarray(answer))
    taken = bench.interleaved(
        {
            "querist": lambda: qr.entropy(proba, out=out, n_threads=THREADS),
            "numpy": lambda: by_numpy("entropy", proba),
            "scipy.stats": lambda: scipy.stats.entropy(proba, axis=1),
            "numba, parallel": lambda: entropy_by_numba(proba, by_rival),
            "jax.jit": lambda: by_jax(on_device).block_until_ready(),
            "querist on one thread": lambda: qr.entropy(proba, out=out, n_threads=1),
        }
    )
    ours = taken.pop("querist")
    for rival, theirs in taken.items():
        bench.add(title("entropy", proba), ours, rival, theirs)


@pytest.mark.parametrize("shape", [TEN, WIDE], ids=["10", "1000"])
def test_all_four_scores_in_one_pass(bench, shape):
    """The bar: at most the larger of 1.4 times the slowest one alone, and the limit."""
    proba = bench.pool(*shape, "float32")
    out = {name: np.zeros(len(proba), np.float32) for name in NAMES}
    alone, reused = np.zeros(len(proba), np.float32), np.zeros(len(proba), np.float32)
    qr.scores(proba, NAMES, out=out, n_threads=THREADS)
    checked = some_rows(proba)
    for name in NAMES:
        agree(out[name][checked], by_numpy(name, proba[checked]))

    def one(name: str):
        return lambda: getattr(qr, name)(proba, out=alone, n_threads=THREADS)

    taken = bench.interleaved(
        {
            "querist": lambda: qr.scores(proba, NAMES, out=out, n_threads=THREADS),
            "limit": lambda: limit.read_and_write(proba, reused, THREADS),
            **{name: one(name) for name in NAMES},
        }
    )
    slowest = max(NAMES, key=taken.__getitem__)
    allowed, against = max((1.4 * taken[slowest], f"1.4 x {slowest}"), (taken["limit"], "the limit"))
    bench.add(title("scores of all four", proba), taken["querist"], against, allowed, bar=1)


@pytest.mark.parametrize("kind", ["random", "confident"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [TEN, WIDE], ids=["10", "1000"])
def test_top_scores_against_the_score_alone(bench, shape, name, kind):
    proba = bench.pool(*shape, "float32", kind)
    k = min(1000, len(proba) // 4)
    out = np.zeros(len(proba), np.float32)
    score = getattr(qr, name)
    expected = qr.select.top_k(score(proba, out=out), k)
    picks = qr.top_scores(proba, k, score=name, n_threads=THREADS)
    np.testing.assert_array_equal(picks.indices, expected.indices)
    checked = some_rows(proba)
    agree(out[checked], by_numpy(name, proba[checked]))
    taken = bench.interleaved(
        {
            "querist": lambda: qr.top_scores(proba, k, score=name, n_threads=THREADS),
            "score": lambda: score(proba, out=out, n_threads=THREADS),
        }
    )
    work = title(f"top_scores of {kind} {name}, k = {k}", proba)
    bench.add(work, taken["querist"], f"{name} alone", taken["score"], bar=1)


@pytest.mark.parametrize("order", ["random", "ascending", "descending"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_top_k_against_numpy(bench, dtype, order):
    n = len(bench.pool(*TEN, "float32"))
    k = min(1000, n // 4)
    scores = np.random.default_rng(0).permutation(n).astype(dtype) / n
    if order != "random":
        scores.sort()
    if order == "descending":
        scores = scores[::-1].copy()

    def by_argpartition() -> np.ndarray:
        best = np.argpartition(scores, n - k)[n - k :]
        return best[np.argsort(-scores[best], kind="stable")]

    indices = qr.select.top_k(scores, k, n_threads=THREADS).indices
    np.testing.assert_array_equal(indices, by_argpartition())
    taken = bench.interleaved(
        {
            "querist": lambda: qr.select.top_k(scores, k, n_threads=THREADS),
            "numpy": by_argpartition,
        }
    )
    bar = 10 if (order, dtype) == ("random", "float32") else None
    work = f"top_k, k = {k} of {n:,} {dtype}, {order}"
    bench.add(work, taken["querist"], "numpy argpartition, sort", taken["numpy"], bar=bar)


def empty_function(
    proba,
    *,
    from_logits=False,
    normalize=False,
    out=None,
    invalid="raise",
    n_threads=None,
    deadline=None,
):
    return out


@pytest.mark.parametrize("name", NAMES)
def test_a_small_call(bench, name):
    """The bars: half of numpy's one-liner, and one microsecond over an empty function."""
    score = getattr(qr, name)
    assert inspect.signature(score).parameters.keys() == inspect.signature(empty_function).parameters.keys()
    proba = np.random.default_rng(0).dirichlet(np.ones(10), 100).astype(np.float32)
    out = np.zeros(100, np.float32)
    agree(score(proba, out=out), -(proba * np.log(proba)).sum(1) if name == "entropy" else out)
    agree(out, by_numpy(name, proba))
    taken = bench.interleaved(
        {
            "with out": lambda: score(proba, out=out),
            "plain": lambda: score(proba),
            "numpy": lambda: -(proba * np.log(proba)).sum(1),
            "empty with out": lambda: empty_function(proba, out=out),
            "empty": lambda: empty_function(proba),
        },
        number=1000,
    )
    for call, empty in (("with out", "empty with out"), ("plain", "empty")):
        work = f"{name}, 100 x 10 float32, one call {call}"
        if name == "entropy":
            bench.add(work, taken[call], "-(p*np.log(p)).sum(1)", taken["numpy"], bar=2)
        bench.add(work, taken[call], "an empty function + 1 us", taken[empty] + 1e-6, bar=1)
