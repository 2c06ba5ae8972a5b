"""A program at each SIMD level, in a fresh interpreter that is forced to it."""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from textwrap import dedent

import child
import numpy as np
import pytest

NEEDS = {
    "baseline": set(),
    "avx2": {"avx2", "fma"},
    "avx512": {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
}
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


def cpu_flags() -> set[str]:
    """Return what the processor says it has, asked without querist."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return set()
    text = Path("/proc/cpuinfo").read_text()
    return set(text.split("flags", 1)[1].split("\n", 1)[0].replace(":", " ").split())


def at_level(level, source, given, folder):
    """Return what `source` puts into `results`, made of the arrays `given`; skip what the CPU lacks."""
    missing = NEEDS[level] - cpu_flags()
    if missing:
        pytest.skip(f"this CPU cannot run level {level}: it lacks {sorted(missing)}")
    return in_child(level, source, given, folder, QUERIST_SIMD=level)


def in_child(level, source, given, folder, **environment):
    """Run `source` in an interpreter that is to report that level."""
    np.savez(folder / "given.npz", **given)
    program = PROGRAM.format(source=dedent(source))
    target = folder / f"{level}.npz"
    child.run(program, str(folder / "given.npz"), str(target), level, timeout=120, **environment)
    with np.load(target) as stored:
        return {key: stored[key] for key in stored.files}
