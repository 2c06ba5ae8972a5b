"""Where random numbers start, as scikit-activeml is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator

# In quotes: numpy.random is loaded when it is first asked for.
RandomState: TypeAlias = "int | np.random.RandomState | np.random.Generator | None"


def generator(random_state: Any) -> Generator:
    """Give a generator that starts where `random_state` says, or somewhere."""
    if isinstance(random_state, np.random.RandomState):
        # The next draw moves on with the state given, as it does in scikit-activeml.
        random_state = random_state.randint(2**31)
    return np.random.default_rng(random_state)
