"""What a density takes: sparse pools, options, progress, interruption, bad input; and weighting by it."""

from __future__ import annotations

import math
import os
from functools import partial

import child
import numpy as np
import pytest
import querist as qr
from reference import bits
from reference_kernels import LINEAR, QUADRATIC, information_density, pool_of

every_metric = pytest.mark.parametrize("metric", LINEAR + QUADRATIC)
every_linear = pytest.mark.parametrize("metric", LINEAR)
single_and_double = pytest.mark.parametrize("dtype", [np.float32, np.float64])
REFUSED = (ValueError, TypeError)
NAN, INF = math.nan, math.inf


def assert_close(got, expected, name=""):
    rtol, atol = (1e-5, 1e-6) if got.dtype == np.float32 else (1e-10, 1e-13)
    size = max(1, np.abs(expected).max(initial=0, where=np.isfinite(expected)))
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=atol * size, err_msg=name)


def sparse_and_dense(n, d, dtype, seed=0):
    sparse = pytest.importorskip("scipy.sparse")
    rng = np.random.default_rng(seed)
    dense = np.where(rng.random((n, d)) < 0.2, rng.normal(size=(n, d)) + 0.5, 0).astype(dtype)
    dense[::7] = 0
    return sparse.csr_array(dense), dense


@every_linear
@single_and_double
def test_sparse_pools_have_the_density_of_dense_ones(metric, dtype):
    sparse, dense = sparse_and_dense(203, 31, dtype)
    other, other_dense = sparse_and_dense(50, 31, dtype, seed=1)
    for include_self in (None, True, False):
        options = {"metric": metric, "include_self": include_self}
        got = qr.information_density(sparse, **options)
        assert got.dtype == dtype
        assert_close(got, information_density(dense, metric, include_self=include_self is not False))
        for n_threads in (1, 2, 3, 7):
            assert bits(qr.information_density(sparse, n_threads=n_threads, **options)) == bits(got)
        for form in ("csc", "coo", "lil"):
            assert bits(qr.information_density(sparse.asformat(form), **options)) == bits(got), form
    got = qr.information_density(sparse, metric=metric, reference=other)
    assert_close(got, information_density(dense, metric, reference=other_dense))
    wide = type(sparse)(
        (sparse.data, sparse.indices.astype(np.int64), sparse.indptr.astype(np.int64)), sparse.shape
    )
    assert bits(qr.information_density(wide, metric=metric)) == bits(
        qr.information_density(sparse, metric=metric)
    )
    twice = type(sparse)(
        (np.repeat(sparse.data / 2, 2), np.repeat(sparse.indices, 2), 2 * sparse.indptr), sparse.shape
    )
    before = twice.nnz
    assert_close(qr.information_density(twice, metric=metric), information_density(dense, metric))
    assert twice.nnz == before
    out = np.full(203, 7, dtype)
    assert qr.information_density(sparse, metric=metric, out=out) is out
    assert bits(out) == bits(qr.information_density(sparse, metric=metric))


def test_sparse_pools_that_cannot_be_are_refused():
    sparse, dense = sparse_and_dense(20, 6, np.float64)
    for metric in QUADRATIC:
        with pytest.raises(ValueError, match="sparse"):
            qr.information_density(sparse, metric=metric)
    with pytest.raises(ValueError, match="sparse"):
        qr.knn_density(sparse, 3)
    for pool, reference in ((sparse, dense), (dense, sparse), (sparse, sparse[:, :5]), (sparse, sparse[:0])):
        with pytest.raises(ValueError, match="reference"):
            qr.information_density(pool, reference=reference)
    with pytest.raises(TypeError):
        qr.information_density(sparse.astype(int))
    late = sparse.copy()
    late.indptr[0] = 1
    for pool, options in ((late, {}), (sparse, {"reference": late})):
        with pytest.raises(ValueError, match="expected indptr that rises from 0"):
            qr.information_density(pool, **options)
    spoilt = sparse.copy()
    spoilt.data[5] = NAN
    with pytest.raises(ValueError, match=r"\brow \d+"):
        qr.information_density(spoilt)
    with pytest.raises(ValueError, match="include_self"):
        qr.information_density(sparse[:1], include_self=False)


@pytest.mark.parametrize("size", [1e-200, 1e160, 1e300])
@pytest.mark.parametrize("include_self", [True, False])
def test_sparse_rows_whose_squares_do_not_fit_are_as_dense_ones(size, include_self):
    sparse, dense = sparse_and_dense(40, 6, np.float64)
    options = {"include_self": include_self}
    expected = qr.information_density(dense, **options)
    assert_close(qr.information_density(sparse * size, **options), expected)
    expected = qr.information_density(dense, reference=dense[5:9])
    for reference in (sparse[5:9] * size, sparse[5:9]):
        assert_close(qr.information_density(sparse * size, reference=reference), expected)
    for metric in ("dot", "sqeuclidean"):
        if size < 1:
            expected = qr.information_density(dense * size, metric=metric, **options)
            assert_close(qr.information_density(sparse * size, metric=metric, **options), expected)
            continue
        for pool in (sparse, dense):
            with pytest.raises(ValueError, match=r"features: row \d+ .*overflows"):
                qr.information_density(pool * size, metric=metric, **options)
    with pytest.raises(ValueError, match=r"(features|reference): row \d+ .*overflows"):
        qr.information_density(sparse, metric="sqeuclidean", reference=sparse * 1e160)
    with pytest.raises(ValueError, match=r"features: row \d+ .*overflows"):
        qr.information_density((sparse * 1e20).astype(np.float32), metric="dot")


def quadratic_calls(pool):
    for metric in QUADRATIC:
        density = partial(qr.information_density, pool, metric=metric)
        yield density
        yield partial(density, reference=pool[:999])
        yield partial(density, sample=500)
    yield partial(qr.knn_density, pool, 5)


@pytest.mark.parametrize("call", [*quadratic_calls(pool_of(3000, 8, np.float32))])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_progress_rises_to_one_and_may_raise(call, n_threads):
    seen = []
    call(progress=seen.append, n_threads=n_threads)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert seen[0] >= 0

    def stop(share):
        raise KeyError(share)

    with pytest.raises(KeyError):
        call(progress=stop, n_threads=n_threads)
    with pytest.raises(TypeError, match="progress"):
        call(progress=True)


@pytest.mark.skipif(os.name != "posix", reason="sends itself a signal of Unix")
@pytest.mark.parametrize("name", ["euclidean", "rbf", "neighbours"])
@pytest.mark.parametrize("progress", ["None", "seen.append"])
def test_ctrl_c_interrupts_at_once_with_and_without_progress(name, progress):
    source = f"""
        import os, signal, threading, time
        import numpy as np
        import querist as qr

        pool, seen, waits = np.random.default_rng(0).normal(size=(400_000, 64)).astype("f4"), [], []
        sent = []
        def interrupt():
            sent.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)
        for _ in range(3):
            threading.Timer(0.3, interrupt).start()
            try:
                if "{name}" == "neighbours":
                    qr.knn_density(pool, 20, progress={progress})
                else:
                    qr.information_density(pool, metric="{name}", progress={progress})
            except KeyboardInterrupt:
                waits.append(time.monotonic() - sent[-1])
        assert len(waits) == 3 and min(waits) < 0.2, waits
    """
    child.run(source)


@every_metric
def test_bad_features_references_and_options(metric):
    def density(array, **options):
        return qr.information_density(array, metric=metric, **options)

    pool = pool_of(20, 4)
    assert density(pool[:0]).shape == (0,)
    assert density(pool[:0], include_self=False).shape == (0,)
    assert density(pool[:1]).shape == (1,)
    with pytest.raises(ValueError, match="include_self"):
        density(pool[:1], include_self=False)
    for unfit in (pool[:, 0], pool[:, :0], pool[None]):
        with pytest.raises(ValueError, match="features"):
            density(unfit)
    with pytest.raises(TypeError, match="features"):
        density(pool.astype(int))
    for bad in (NAN, INF, -INF):
        spoilt = pool.copy()
        spoilt[13, 2] = bad
        with pytest.raises(ValueError, match=r"features.*\brow 13\b"):
            density(spoilt)
        with pytest.raises(ValueError, match=r"reference.*\brow 13\b"):
            density(pool, reference=spoilt)
    for reference in (pool[:0], pool[:, :3], pool[0]):
        with pytest.raises(ValueError, match="reference"):
            density(pool, reference=reference)
    for include_self in (True, False):
        with pytest.raises(ValueError, match="include_self"):
            density(pool, reference=pool, include_self=include_self)
    out = np.full(20, 7.0)
    assert density(pool, out=out) is out
    assert bits(out) == bits(density(pool))
    for unfit in (np.zeros(19), np.zeros(20, np.float32), np.zeros(40)[::2], pool.reshape(-1)[:20]):
        with pytest.raises(REFUSED, match="out"):
            density(pool, out=unfit)
    wrong = [("sample", 5)] if metric in LINEAR else [("sample", m) for m in (1, 21, -1, 2.5, True)]
    wrong += [("shift", True)] if metric != "cosine" else []
    wrong += [("gamma", g) for g in ("auto", 0, -1, NAN, INF, None)] if metric == "rbf" else []
    for name, bad in [*wrong, ("include_self", "no"), ("n_threads", 0)]:
        with pytest.raises(REFUSED, match=name):
            density(pool, **{name: bad})


def test_other_bad_options():
    pool = pool_of(20, 4)
    with pytest.raises(ValueError, match="metric"):
        qr.information_density(pool, metric="manhattan")
    with pytest.raises(ValueError, match="metric"):
        qr.knn_density(pool, 3, metric="dot")
    for k in (0, 20, -1, 2.5, True):
        with pytest.raises(REFUSED, match=r"\bk\b"):
            qr.knn_density(pool, k)
    for seed in (-1, 2**64, "a", True):
        with pytest.raises(REFUSED, match=r"^seed: "):
            qr.information_density(pool, metric="rbf", sample=5, seed=seed)
    with pytest.raises(TimeoutError):
        qr.information_density(np.broadcast_to(np.float32(1), (2**20, 2**20)), deadline=0.15)


@pytest.mark.parametrize("beta", [0, 0.5, 1, 2.5])
@single_and_double
def test_weighted_scores_are_products(beta, dtype):
    rng = np.random.default_rng(0)
    scores, density = rng.normal(size=50).astype(dtype), rng.random(50).astype(dtype)
    scores[3] = NAN
    got = qr.density_weighted(scores, density, beta=beta)
    assert got.dtype == dtype
    np.testing.assert_allclose(got, scores.astype(float) * density.astype(float) ** beta, rtol=1e-6)
    assert np.isnan(got).nonzero()[0].tolist() == [3]
    assert qr.density_weighted(scores, density.astype(np.float64)).dtype == np.float64
    assert qr.density_weighted([1, 2], [3, 4]).tolist() == [3, 8]
    assert qr.density_weighted([0.0, 1.0], [INF, INF]).tolist() == [0, INF]
    assert qr.density_weighted(scores[:0], density[:0]).shape == (0,)
    large = qr.density_weighted(np.float16([300]), np.float16([300]), beta=beta)
    assert large.dtype == np.float32
    assert large[0] == pytest.approx(300 * 300.0**beta)


def test_weights_that_are_no_density_are_refused():
    scores, density = np.ones(5), np.array([1, 0.5, -0.25, 0, -1])
    with pytest.raises(ValueError, match=r"density.*\brow 2\b.*-0\.25.*shift=True"):
        qr.density_weighted(scores, density)
    with pytest.raises(ValueError, match=r"density.*\brow 1\b"):
        qr.density_weighted(scores, [1, NAN, 1, 1, 1])
    for one, other in ((scores, density[:4]), (scores, np.ones((5, 1))), (np.ones((5, 1)), scores)):
        with pytest.raises(ValueError, match=r"scores|density"):
            qr.density_weighted(one, other)
    for beta in (-1, NAN, INF, "1"):
        with pytest.raises(REFUSED, match="beta"):
            qr.density_weighted(scores, scores, beta=beta)
    with pytest.raises(TypeError, match="scores"):
        qr.density_weighted(scores > 0, scores)
