"""No call leaves memory behind, however it ends. `make leaks` has valgrind look at the same calls."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import numpy as np
import public_calls
import pytest
import querist as qr
from layouts import repeated
from public_calls import CALLS, GIVEN, good, refused

TOLD = Path("/proc/self/statm")
WIDE = np.broadcast_to(np.float32(2**-20), (2**20, 2**20))
ENDLESS = repeated(np.full(10, 0.1, np.float32), 2**40)


def test_the_table_has_every_public_function():
    assert public_calls.unnamed() == set()


@pytest.mark.parametrize("name", CALLS)
def test_a_call_holds_on_to_nothing_that_it_was_given(name):
    def held():
        return {name: sys.getrefcount(array) for name, array in GIVEN.items()}

    before = held()
    for _ in range(5):
        good(name)
        refused(name)
    assert held() == before


def interrupted(n_threads):
    """Stop calls in the middle of their work."""
    for call in (lambda **o: qr.gini(WIDE, **o), lambda **o: qr.top_scores(ENDLESS, 9, **o)):
        with contextlib.suppress(TimeoutError):
            call(deadline=0.01, n_threads=n_threads)
            raise AssertionError("the call came to an end")


def everything(times):
    for name in CALLS:
        for _ in range(times):
            good(name)
            refused(name)
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
