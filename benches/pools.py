"""What the benches of selection share: the pool, and a stopwatch for what is too slow to take turns."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

THREADS = 2


def once(call: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds that a call took, and what it gave."""
    began = time.perf_counter()
    given = call()
    return time.perf_counter() - began, given


def mixture(n: int, d: int, seed: int = 0) -> np.ndarray:
    """Return n rows about a hundred centres."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((100, d), dtype=np.float32)
    return centres[rng.integers(0, 100, n)] + 0.7 * rng.standard_normal((n, d), dtype=np.float32)
