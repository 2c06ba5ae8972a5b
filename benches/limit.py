"""The limit: the time to read the input once and to write an output into a reused buffer.

What no row score can beat with the same threads. Reading is a sum that the compiler turns into
several independent vector accumulators, so that the memory is waited for and not the adder; writing
follows in blocks, as a score's does.
"""

from __future__ import annotations

import numba
import numpy as np

BLOCK = 2**15
"""Numbers read before their rows' outputs are written."""


@numba.njit(parallel=True, fastmath=True)
def _read_and_write(flat: np.ndarray, out: np.ndarray, c: int, threads: int) -> None:
    n = out.size
    step = max(1, BLOCK // c)
    for thread in numba.prange(threads):
        start, end = n * thread // threads, n * (thread + 1) // threads
        for first in range(start, end, step):
            last = min(first + step, end)
            block = flat[first * c : last * c]
            total = flat.dtype.type(0)
            for i in range(block.size):
                total += block[i]
            for row in range(first, last):
                out[row] = total


def read_and_write(array: np.ndarray, out: np.ndarray, threads: int) -> None:
    """Read the C-contiguous `array` (n, c) once and fill `out` (n,), each number with a sum."""
    numba.set_num_threads(threads)
    _read_and_write(array.reshape(-1), out, array.shape[1], threads)


def check() -> None:
    """Raise unless every number is read and every output written: the sums must come out."""
    array = np.random.default_rng(0).integers(0, 9, (40_000, 10)).astype(np.float32)
    out = np.full(len(array), -1, np.float32)
    read_and_write(array, out, 2)
    for half in (0, 1):
        rows, sums = array[half * 20_000 :][:20_000], out[half * 20_000 :][:20_000]
        step = BLOCK // 10
        expected = [rows[i : i + step].sum() for i in range(0, len(rows), step)]
        np.testing.assert_array_equal(sums[::step], expected)
        np.testing.assert_array_equal(sums, np.repeat(sums[::step], step)[: len(sums)])
