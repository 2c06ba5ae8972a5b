"""What k-center, its selector and coverage refuse, and what they say."""

from __future__ import annotations

import re
import sys

import child
import numpy as np
import pytest
import querist as qr
import reference_select as slow
from reference import bits

k_center, KCenter, coverage = qr.select.k_center, qr.select.KCenter, qr.select.coverage
NAN, INF = np.nan, np.inf
POOL = np.random.default_rng(0).normal(size=(3000, 40))


@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize("row", [0, 1, 7, 1200, 2999])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_a_row_that_is_not_finite_is_named(row, value, metric):
    pool = POOL.copy()
    pool[row, 4] = value
    for labeled in (None, [3], POOL[:2]):
        with pytest.raises(ValueError, match=rf"features: row {row} .*column 4"):
            k_center(pool, 5, labeled=labeled, metric=metric)
    for picks in ([2, 3], [2, row]):
        with pytest.raises(ValueError, match=rf"features: row {row} .*column 4"):
            coverage(pool, picks, metric=metric)
    with pytest.raises(ValueError, match=rf"features: row {row} .*column 4"):
        k_center(pool, 5, labeled=[2, row], metric=metric)
    selector = KCenter(pool, labeled=[2], metric=metric)
    with pytest.raises(ValueError, match=rf"features: row {row} .*column 4"):
        selector.add([3, row])


def test_a_pick_that_is_not_finite_is_never_given():
    pool = POOL.copy()
    pool[0, 4] = NAN
    with pytest.raises(ValueError, match="features: row 0 "):
        k_center(pool, 1)


def test_an_overflow_is_named():
    pool = POOL.astype(np.float32)
    pool[1200, 3] = 1e20
    with pytest.raises(ValueError, match=r"features: row 1200 .*overflow"):
        k_center(pool, 5, labeled=[3])


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("value", [1e20, 1e300])
def test_an_overflow_of_a_labelled_row_is_named_so(value):
    with pytest.raises(ValueError, match=r"labeled: row 1\b"):
        k_center(POOL[:50].astype(np.float32), 5, labeled=np.array([[0.0] * 40, [value] * 40]))


@pytest.mark.parametrize("value", [-1.0, INF, -INF])
def test_weights_are_finite_and_not_negative(value):
    weights = np.ones(3000)
    weights[[5, 17]] = NAN, value
    with pytest.raises(ValueError, match=rf"weights: row 17 is {value}, "):
        k_center(POOL, 3, weights=weights)


@pytest.mark.parametrize(
    ("error", "message", "options"),
    [
        (ValueError, "weights: expected shape (3000,), got (2999,)", {"weights": np.ones(2999)}),
        (ValueError, "weights: expected shape (3000,), got (3000, 1)", {"weights": np.ones((3000, 1))}),
        (TypeError, "weights", {"weights": "heavy"}),
        (TypeError, "labeled: expected 1-D integers", {"labeled": [0.0, 1.0]}),
        (TypeError, "labeled: expected 1-D integers", {"labeled": np.ones((3, 40), int)}),
        (TypeError, "labeled: expected 1-D integers", {"labeled": np.ones((3, 4, 40))}),
        (TypeError, "labeled: expected 1-D integers", {"labeled": np.float64(1)}),
        (TypeError, "labeled: expected an array", {"labeled": "all"}),
        (ValueError, "labeled: expected rows of 40 features", {"labeled": np.ones((3, 39))}),
        (ValueError, "labeled: row 1: column 2 is nan", {"labeled": [[0.0] * 40, [0.0] * 2 + [NAN] * 38]}),
        (ValueError, "labeled: row 3000 is not one", {"labeled": [1, 3000]}),
        (ValueError, "labeled: row -1 is not one", {"labeled": [-1]}),
        (ValueError, "labeled: row 7 is there twice", {"labeled": [7, 1, 7]}),
        (ValueError, "labeled: expected one boolean", {"labeled": np.ones(2999, bool)}),
        (ValueError, "available: row 3000 is not one", {"available": [3000]}),
        (ValueError, "available: row 7 is there twice", {"available": [7, 1, 7]}),
        (ValueError, "available: expected one boolean", {"available": np.ones(2999, bool)}),
        (TypeError, "available: expected booleans", {"available": np.ones(3000)}),
        (ValueError, "metric: expected", {"metric": "manhattan"}),
        (ValueError, "n_threads", {"n_threads": 0}),
        (ValueError, "deadline", {"deadline": -1.0}),
    ],
)
def test_what_does_not_fit_is_refused(error, message, options):
    with pytest.raises(error, match=re.escape(message)):
        k_center(POOL, 3, **options)


def test_pools_picks_and_k_that_do_not_fit():
    for pool, error in ((POOL[0], ValueError), (POOL[None], ValueError), (POOL[:, :0], ValueError)):
        with pytest.raises(error, match="features"):
            k_center(pool, 1)
        with pytest.raises(error, match="features"):
            coverage(pool, [0])
    with pytest.raises(TypeError, match="features"):
        k_center(POOL.astype(int), 1)
    for k, error in ((-1, ValueError), (1.0, TypeError), (True, TypeError), ("1", TypeError)):
        with pytest.raises(error, match=r"\bk\b"):
            k_center(POOL, k)
    for picks, error in (([], ValueError), ([3000], ValueError), ([-1], ValueError), ([1, 1], ValueError)):
        with pytest.raises(error, match="picks"):
            coverage(POOL, picks)
    for picks in ([1.0], [[1]], 3):
        with pytest.raises(TypeError, match="picks"):
            coverage(POOL, picks)
    with pytest.raises(ValueError, match="picks"):
        coverage(POOL, k_center(POOL, 0))
    selector = KCenter(POOL)
    for rows, error in (([3000], ValueError), ([1, 1], ValueError), ([1.0], TypeError)):
        with pytest.raises(error, match="indices"):
            selector.add(rows)
    assert bits(selector.pick(3).indices) == bits(k_center(POOL, 3).indices)


def test_a_deadline_stops_and_leaves_the_selector_right():
    pool = np.random.default_rng(1).normal(size=(30_000, 50)).astype(np.float32)
    labeled = np.arange(6000)
    selector = KCenter(pool, labeled=labeled)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            selector.pick(20_000, deadline=0.05, n_threads=1)
    few = {"available": np.arange(9000)}
    picks = selector.pick(10, **few)
    again = KCenter(pool, labeled=labeled).pick(10, **few)
    assert list(map(bits, picks[:2])) == list(map(bits, again[:2]))
    with pytest.raises(TimeoutError):
        coverage(pool, np.arange(20_000), deadline=0.02, n_threads=1)
    small = slow.k_center(POOL, 30, labeled=[4])
    assert list(map(bits, k_center(POOL, 30, labeled=[4], deadline=60)[:2])) == list(map(bits, small))


TIES = r"""
    import re
    from pathlib import Path
    import numpy as np
    import querist as qr

    def peak():
        return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024

    qr.select.k_center(np.broadcast_to(np.float32(1), (2000, 256)), 3)
    before = peak()
    qr.select.k_center(np.broadcast_to(np.float32(1), (200_000, 256)), 3)
    assert peak() - before < 60, peak() - before
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_pool_that_ties_is_not_copied():
    child.run(TIES, timeout=60)
