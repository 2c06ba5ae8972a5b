"""Where random numbers start."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

# In quotes: numpy.random is loaded when it is first asked for, and takes longer than all of querist.
Seed: TypeAlias = "int | np.random.Generator | None"


def drawn_seed(seed: Seed) -> int:
    """Give the number that a call starts from: the one given, one from a generator, or a new one.

    Raises
    ------
    TypeError
        If it is none of these.
    ValueError
        If it is negative or does not fit in 64 bits.
    """
    if seed is None:
        return int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
    if isinstance(seed, np.random.Generator):
        return int(seed.integers(2**63))
    if isinstance(seed, bool | np.bool_) or not isinstance(seed, int | np.integer):
        msg = f"seed: expected None, an integer or a numpy Generator, got {type(seed).__name__}"
        raise TypeError(msg)
    if not 0 <= seed < 2**64:
        msg = f"seed: expected an integer from 0 to 2**64 - 1, got {seed}"
        raise ValueError(msg)
    return int(seed)
