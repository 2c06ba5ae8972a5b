"""The benches' engine: rivals take turns in one process, and a table ends the run.

`QUERIST_BENCH_SCALE=0.01` shrinks the pools, to see that everything works. No timing is asserted:
each line says the ratio reached beside the one to reach.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
os.environ.setdefault("NUMBA_NUM_THREADS", "2")
os.environ.setdefault("OMP_NUM_THREADS", "2")
# Or numba's threads spin after their work and take the rival's turn away.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

SCALE = float(os.environ.get("QUERIST_BENCH_SCALE", "1"))
SECONDS = 3.0 * min(1.0, SCALE**0.5)
"""What one case may take, over all that take turns in it."""


SETTLE, TURN = 0.03, 0.06
"""Seconds of a turn that are not counted, and of a turn at least.

OpenBLAS's threads spin for some 20 ms after a call and would take a core from whoever comes next: ranked
batch took twice as long behind numpy as behind itself. A pause instead lets cores and caches go cold.
"""


def interleaved(
    calls: dict[str, Callable[[], object]], *, number: int = 1, least: int = 7
) -> dict[str, float]:
    """Return each call's median seconds. They take turns, so that a busy moment hits them all.

    `number` calls are one sample, for calls that are short against the clock; each has `least` turns.
    """
    for call in calls.values():
        call()
    samples: dict[str, list[float]] = {name: [] for name in calls}
    turns = list(calls.items())
    began = time.perf_counter()
    while least > 0 or time.perf_counter() - began < SECONDS:
        for name, call in turns:
            samples[name] += turn(call, number)
        turns.append(turns.pop(0))
        least -= 1
    return {name: statistics.median(taken) for name, taken in samples.items()}


def turn(call: Callable[[], object], number: int) -> list[float]:
    """Return the samples of one turn, at least one."""
    samples: list[float] = []
    now = began = time.perf_counter()
    while not samples or now - began < TURN:
        start, again = now, repeat(None, number)
        for _ in again:
            call()
        now = time.perf_counter()
        # Against a long call it does not matter who was there before.
        if start - began >= SETTLE or now - start > 10 * SETTLE:
            samples.append((now - start) / number)
    return samples


@lru_cache(maxsize=2)
def pool(n: int, c: int, dtype: str, kind: str = "random") -> np.ndarray:
    """Return n rows of c probabilities or logits, C-contiguous, scaled; long pools repeat."""
    n = max(64, int(n * SCALE))
    rng = np.random.default_rng(0)
    distinct = min(n, max(64, 10_000_000 // c))
    if kind == "logits":
        block = 3 * rng.normal(size=(distinct, c))
    else:
        block = rng.gamma(0.5, size=(distinct, c)) + 1e-30
        block /= block.sum(axis=1, keepdims=True)
    if kind == "confident":
        doubt = 10 ** rng.uniform(-9, -1, distinct)
        doubt[rng.random(distinct) < 0.1] = 1
        block *= doubt[:, None]
        block[np.arange(distinct), rng.integers(0, c, distinct)] += 1 - doubt
    array = np.empty((n, c), dtype)
    for start in range(0, n, distinct):
        array[start : start + distinct] = block[: n - start]
    return array


@dataclass
class Bench:
    """What a case works with: pools, turns, and the table that gets one line from each case."""

    pool = staticmethod(pool)
    interleaved = staticmethod(interleaved)
    scale = SCALE
    lines: list[tuple[str, ...]] = field(default_factory=list)
    facts: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self,
        work: str,
        ours: float,
        against: str,
        theirs: float,
        *,
        bar: float | None = None,
        moved: int | None = None,
    ) -> None:
        """Add one line: `ratio` is their time over ours, `bar` the least it has to be.

        `moved` is the number of bytes that theirs reads and writes.
        """
        ratio = theirs / ours
        verdict = "" if bar is None else "reached" if ratio >= bar else "SHORT"
        rate = "" if moved is None else f"{moved / theirs / 1e9:.1f}"
        wanted = "" if bar is None else f"{bar:g}"
        self.facts.append(
            {
                "work": work,
                "querist": ours,
                "against": against,
                "theirs": theirs,
                "ratio": ratio,
                "bar": bar,
            }
        )
        self.lines.append(
            (work, duration(ours), against, duration(theirs), rate, f"{ratio:.3g}", wanted, verdict)
        )

    def __str__(self) -> str:
        head = ("work", "querist", "against", "theirs", "GB/s", "ratio", "bar", "")
        rows = [head, *self.lines]
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        left = {0, 2, 7}
        return "\n".join(
            "  ".join(
                cell.ljust(width) if i in left else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        )


def duration(seconds: float) -> str:
    return f"{seconds * 1e6:.2f} us" if seconds < 1e-4 else f"{seconds * 1e3:.2f} ms"


BENCH = Bench()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that keeps a run."""
    parser.addoption("--record", action="store_true", help="write benches/record/ and docs/benchmarks.md")


@pytest.fixture(name="bench", scope="session")
def _bench() -> Bench:
    return BENCH


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table under everything else."""
    if BENCH.lines:
        terminalreporter.section("querist and its rivals, medians, taking turns")
        terminalreporter.write_line(str(BENCH))
        if terminalreporter.config.getoption("--record") and SCALE == 1:
            import record

            terminalreporter.write_line(f"written: {record.write(BENCH.facts)}, docs/benchmarks.md")
        if SCALE != 1:
            terminalreporter.write_line(f"pools scaled by {SCALE:g}: not the numbers to reach")
