"""No call leaves memory behind, however it ends. `make leaks` has valgrind look at the same calls."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import querist as qr
from functions import FEATURES, FUNCTIONS, Function, Kind, Pool
from layouts import repeated
from scipy import sparse

TOLD = Path("/proc/self/statm")
WIDE = np.broadcast_to(np.float32(2**-20), (2**20, 2**20))
ENDLESS = repeated(np.full(10, 0.1, np.float32), 2**40)

CSR = Kind(lambda pool, rng: sparse.csr_matrix(np.maximum(FEATURES.make(pool, rng), 0)))
SPARSE = [Function("information_density", {"features": CSR}), Function("select.k_center", {"features": CSR})]
CALLS = [*FUNCTIONS, *SPARSE]
# One lost result of a single score is 32 kB; what compares all pairs gets fewer rows.
POOLS = [Pool(256) if call.many < 50_000 else Pool(4096) for call in CALLS]
GIVEN = [call.make(pool) for call, pool in zip(CALLS, POOLS, strict=True)]
EVERY = range(len(CALLS))


def made(at: int, arrays: dict[str, Any]) -> None:
    options = {"k": 5} if "k" in CALLS[at].takes else {}
    CALLS[at](arrays, POOLS[at].n, **options)


def good(at: int) -> None:
    """Make a call."""
    made(at, GIVEN[at])


def refused(at: int) -> None:
    """Make it with a first array that is not valid, of another shape or no array; each is an error."""
    argument, array = next(iter(GIVEN[at].items()))
    reshaped = array[:, None] if isinstance(array, np.ndarray) else [[]]
    for wrong in (np.full((POOLS[at].n, 5), np.nan), reshaped, object()):
        try:
            made(at, GIVEN[at] | {argument: wrong})
        except (TypeError, ValueError):
            continue
        raise AssertionError(f"{CALLS[at]} took {wrong!r}")


@pytest.mark.parametrize("at", EVERY, ids=list(map(str, CALLS)))
def test_a_call_holds_on_to_nothing_that_it_was_given(at):
    def held():
        return {argument: sys.getrefcount(array) for argument, array in GIVEN[at].items()}

    before = held()
    for _ in range(5):
        good(at)
        refused(at)
    assert held() == before


def interrupted(n_threads):
    """Stop calls in the middle of their work."""
    for call in (lambda **o: qr.gini(WIDE, **o), lambda **o: qr.top_scores(ENDLESS, 9, **o)):
        with contextlib.suppress(TimeoutError):
            call(deadline=0.01, n_threads=n_threads)
            raise AssertionError("the call came to an end")


def everything(times):
    for at in EVERY:
        for _ in range(times):
            good(at)
            refused(at)
    for _ in range(times // 8):
        interrupted(1)
        interrupted(3)


@pytest.mark.skipif(not TOLD.exists(), reason="this system does not tell it there")
def test_memory_does_not_grow():
    def resident():
        return int(TOLD.read_text().split()[1]) * 4096

    everything(24)  # what is loaded at first use stays, and the heap finds its size
    before = resident()
    everything(40)
    # One lost result a call, 32 kB, of a single score would be 1.3 MB.
    assert resident() - before < 2**20
