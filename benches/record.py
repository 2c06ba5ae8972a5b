"""What a run of the benches leaves behind: a record, and the page and the picture that docs show.

`make bench` writes all three; README's table is the short form of the same run.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import querist as qr

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"
RIVALS = (
    "numpy",
    "scipy",
    "numba",
    "scikit-learn",
    "scikit-activeml",
    "modAL-python",
    "apricot-select",
    "jax",
)
INTRODUCTION = """# Benchmarks

Written by `make bench` on {day}. Rivals take turns with querist in one process, and each answer is checked
before anything is timed; times are medians, without the first 30 ms of a turn. "Once" marks a rival that is
too slow to take turns. The ratio is the other's time over querist's: under 1 querist is slower. A bar is what
the project set itself to reach.
"The limit" is the time to read the input once and write the output.

{machine}; {threads} threads, SIMD level {simd}. {versions}.

![Ratios](benchmarks.svg)

"""


def write(lines: Sequence[dict[str, Any]]) -> Path:
    """Write the record of today, `docs/benchmarks.md` and its picture; return the record's path."""
    config = qr.show_config()
    facts = {
        "day": date.today().isoformat(),
        "machine": f"{_cpu()}, Linux {platform.release().split('-')[0]}, Python {platform.python_version()}",
        "threads": config["threads"],
        "simd": config["simd"],
        "versions": ", ".join(
            f"{name} {found}" for name in ("querist", *RIVALS) if (found := _version(name))
        ),
    }
    record = HERE / "record" / f"{facts['day']}.json"
    record.parent.mkdir(exist_ok=True)
    record.write_text(json.dumps({**facts, "lines": list(lines)}, indent=1) + "\n")
    rows = ["| work | querist | against | theirs | ratio | bar |", "|---|---:|---|---:|---:|---:|"]
    for line in lines:
        bar = "" if line["bar"] is None else f"{line['bar']:.3g}"
        ratio = f"{line['ratio']:.3g}"
        if line["bar"] is not None and line["ratio"] >= line["bar"]:
            ratio = f"**{ratio}**"
        rows.append(
            f"| {line['work']} | {_time(line['querist'])} | {line['against']} | {_time(line['theirs'])} "
            f"| {ratio} | {bar} |"
        )
    page = INTRODUCTION.format(**facts) + "\n".join(rows) + "\n\nBold: the bar is reached.\n"
    (DOCS / "benchmarks.md").write_text(page)
    _draw(lines)
    return record


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _cpu() -> str:
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else platform.processor()


def _time(seconds: float) -> str:
    return (
        f"{seconds * 1e6:.1f} µs"
        if seconds < 1e-3
        else f"{seconds * 1e3:.1f} ms"
        if seconds < 1
        else f"{seconds:.2f} s"
    )


def _draw(lines: Sequence[dict[str, Any]]) -> None:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    shown = [line for line in lines if "limit" not in line["against"]]
    shown.sort(key=lambda line: line["ratio"])
    figure = Figure((9, 0.22 * len(shown) + 1), layout="constrained")
    axes = figure.subplots()
    labels = [f"{line['work']}  |  {line['against']}" for line in shown]
    ratios = [line["ratio"] for line in shown]
    axes.barh(range(len(shown)), ratios, color=["#0072b2" if ratio >= 1 else "#d55e00" for ratio in ratios])
    axes.set_yticks(range(len(shown)), labels, fontsize=6)
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel("times faster than the other (orange: slower)")
    axes.margins(y=0.01)
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "querist"}):  # text as text: a tenth of the size
        figure.savefig(DOCS / "benchmarks.svg", metadata={"Date": None})
