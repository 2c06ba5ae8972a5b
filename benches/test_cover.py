"""Facility location against a lazy greedy over a matrix that is held in memory, and apricot."""

from __future__ import annotations

import numba
import numpy as np
import pytest
import querist as qr
from pools import THREADS, mixture, once


@numba.njit(parallel=True)
def gain_by_numba(similar: np.ndarray, coverage: np.ndarray, row: int) -> float:
    gain = 0.0
    for i in numba.prange(len(coverage)):
        gain += max(similar[row, i] - coverage[i], 0)
    return gain


def lazy_by_numba(similar: np.ndarray, k: int) -> list[float]:
    """Return the gains of the lazy greedy; each is evaluated by a compiled sweep over a row of the matrix."""
    coverage, gains = np.zeros(len(similar), np.float32), []
    bounds = similar.sum(1, dtype=float)
    fresh = np.ones(len(similar), bool)
    while len(gains) < k:
        row = int(bounds.argmax())
        if fresh[row]:
            gains.append(bounds[row])
            coverage = np.maximum(coverage, similar[row])
            bounds[row] = -1
            fresh[:] = False
        else:
            bounds[row] = gain_by_numba(similar, coverage, row)
            fresh[row] = True
    return gains


def similarities(pool: np.ndarray, kernel: str) -> np.ndarray:
    """Return the whole matrix, by one product."""
    if kernel == "cosine":
        unit = pool / np.linalg.norm(pool, axis=1, keepdims=True)
        similar = unit @ unit.T
        return np.maximum(similar, 0, out=similar)
    norms = (pool * pool).sum(1)
    similar = pool @ pool.T
    similar *= -2
    similar += norms
    similar += norms[:, None]
    similar *= -1 / np.float32(pool.shape[1] * pool.var())
    return np.exp(similar, out=similar)


@pytest.mark.parametrize("kernel", ["rbf", "cosine"])
def test_facility_location(bench, kernel):
    n, d, k = max(1000, int(20_000 * bench.scale)), 64, max(10, int(200 * bench.scale))
    pool = mixture(n, d)
    numba.set_num_threads(THREADS)
    gains = qr.select.facility_location(pool, k, kernel=kernel).values
    np.testing.assert_allclose(lazy_by_numba(similarities(pool, kernel), k), gains, rtol=2e-3)
    taken = bench.interleaved(
        {
            "querist": lambda: qr.select.facility_location(pool, k, kernel=kernel, n_threads=THREADS),
            "matrix": lambda: lazy_by_numba(similarities(pool, kernel), k),
        },
        least=3,
    )
    work = f"facility_location {kernel}, k = {k}, {n:,} x {d}"
    bench.add(work, taken["querist"], "GEMM, then lazy numba", taken["matrix"], bar=1)
    apricot = pytest.importorskip("apricot").FacilityLocationSelection
    few = similarities(pool[:200], kernel).astype(float)
    apricot(3, metric="precomputed", optimizer="lazy").fit(few)  # compiles
    peer = apricot(k, metric="precomputed", optimizer="lazy")
    theirs, _ = once(lambda: peer.fit(similarities(pool, kernel).astype(float)))
    np.testing.assert_allclose(peer.gains, gains, rtol=2e-3)
    bench.add(work, taken["querist"], "apricot, lazy, once", theirs, bar=20)


def test_facility_location_of_many_rows(bench):
    n, d, k = max(2000, int(200_000 * bench.scale)), 64, 20
    pool = mixture(n, d)
    taken, picks = once(lambda: qr.select.facility_location(pool, k, n_threads=THREADS))

    def products() -> None:
        for at in range(0, n, 512):
            pool @ pool[at : at + 512].T

    product, _ = once(products)
    assert (np.diff(picks.values) <= 1e-6 * picks.values[0]).all()
    bench.add(f"facility_location rbf, k = {k}, {n:,} x {d}", taken, "numpy's X @ X.T, in blocks", product)
