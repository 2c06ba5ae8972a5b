"""A program at each SIMD level, in a fresh interpreter that is forced to it."""

from __future__ import annotations

from textwrap import dedent

import child
import numpy as np
import pytest
from test_levels import NEEDS, cpu_flags

PROGRAM = """
import sys
import numpy as np
import querist as qr

with np.load(sys.argv[1]) as stored:
    given = {{key: stored[key] for key in stored.files}}
assert qr.show_config()["simd"] == sys.argv[3]
results = {{}}
{source}
np.savez(sys.argv[2], **results)
"""


def at_level(level, source, given, folder):
    """Return what `source` puts into `results`, made of the arrays `given`; skip what the CPU lacks."""
    missing = NEEDS[level] - cpu_flags()
    if missing:
        pytest.skip(f"this CPU cannot run level {level}: it lacks {sorted(missing)}")
    np.savez(folder / "given.npz", **given)
    program = PROGRAM.format(source=dedent(source))
    target = folder / f"{level}.npz"
    child.run(program, str(folder / "given.npz"), str(target), level, timeout=120, QUERIST_SIMD=level)
    with np.load(target) as stored:
        return {key: stored[key] for key in stored.files}
