"""Instructions of the main kernels, counted by callgrind: `python benches/instructions.py [--record]`.

Compares with benches/record/callgrind.json, or writes it. Counts do not depend on how busy a machine is, but
they do on the compiler: a new one is a reason to record again. Valgrind knows no AVX-512; all is at AVX2.
Each call lies between two calls of `getppid`, at which callgrind is told to begin a new part.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import querist as qr

RECORD = Path(__file__).parent / "record" / "callgrind.json"
TOLERANCE = 0.02


def calls() -> dict[str, Callable[[], object]]:
    """What is counted: one thread, inputs of about a megabyte or less."""
    rng = np.random.default_rng(0)

    def proba(*shape: int, dtype: type = np.float32) -> np.ndarray:
        given = rng.random(shape, dtype) + dtype(0.01)
        return given / given.sum(axis=-1, keepdims=True)

    short, long, wide = proba(20_000, 10), proba(200, 1000), proba(10_000, 10, dtype=np.float64)
    fortran, tiny = np.asfortranarray(short), short[:1]
    members = proba(10, 2_000, 10)
    votes = rng.integers(0, 10, (10, 20_000)).astype(np.uint8)
    features = rng.standard_normal((1_000, 64), np.float32)
    scores = rng.random(100_000, np.float32)
    tails = (1 - scores) ** -2
    wide_votes = rng.integers(0, 1000, (10, 20_000))
    return {
        "entropy, 1 x 10": lambda: qr.entropy(tiny, n_threads=1),
        "entropy, 20000 x 10": lambda: qr.entropy(short, n_threads=1),
        "entropy, 20000 x 10, Fortran order": lambda: qr.entropy(fortran, n_threads=1),
        "entropy, 10000 x 10, float64": lambda: qr.entropy(wide, n_threads=1),
        "entropy, 200 x 1000": lambda: qr.entropy(long, n_threads=1),
        "entropy of logits, 20000 x 10": lambda: qr.entropy(short, from_logits=True, n_threads=1),
        "margin, 20000 x 10": lambda: qr.margin(short, n_threads=1),
        "top_scores, 100 of 20000 x 10": lambda: qr.top_scores(short, 100, n_threads=1),
        "bald, 10 x 2000 x 10": lambda: qr.bald(members, n_threads=1),
        "vote_entropy, 10 x 20000": lambda: qr.vote_entropy(votes, n_threads=1),
        "vote_entropy, 10 x 20000, of 1000 classes": lambda: qr.vote_entropy(wide_votes, n_threads=1),
        "knn_density, 1000 x 64": lambda: qr.knn_density(features, 5, n_threads=1),
        "rbf density, 1000 x 64": lambda: qr.information_density(features, metric="rbf", n_threads=1),
        "top_k, 1000 of 100000": lambda: qr.select.top_k(scores, 1000, n_threads=1),
        "power, 100 of 100000": lambda: qr.select.power(scores, 100, seed=0, n_threads=1),
        "power, 100 of 100000, of heavy tails": lambda: qr.select.power(tails, 100, seed=0, n_threads=1),
        "k_center, 50 of 1000 x 64": lambda: qr.select.k_center(features, 50, n_threads=1),
        "k_means_pp, 50 of 1000 x 64": lambda: qr.select.k_means_pp(features, 50, seed=0, n_threads=1),
        "facility_location, 10 of 1000 x 64": lambda: qr.select.facility_location(features, 10, n_threads=1),
    }


def counted() -> None:
    """Make each call, the second time between two marks."""
    for call in calls().values():
        call()
        os.getppid()
        call()
        os.getppid()


def count() -> dict[str, int]:
    """Run `counted` under callgrind and read the parts."""
    with tempfile.TemporaryDirectory() as folder:
        callgrind = ["--tool=callgrind", "--dump-before=getppid", f"--callgrind-out-file={folder}/part"]
        subprocess.run(
            ["valgrind", *callgrind, sys.executable, __file__, "--counted"],
            env=os.environ | {"QUERIST_SIMD": "avx2", "PYTHONHASHSEED": "0"},
            stderr=subprocess.DEVNULL,
            check=True,
        )
        names = list(calls())
        totals = [
            re.search(r"^totals: (\d+)", Path(folder, f"part.{2 * i + 2}").read_text(), re.MULTILINE)
            for i in range(len(names))
        ]
        return {name: int(total[1]) for name, total in zip(names, totals, strict=True) if total}


def versions() -> str:
    """What counts depend on beside the sources."""
    rustc = subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=True).stdout
    return f"Python {platform.python_version()}, numpy {np.__version__}, {rustc.strip()}"


def main() -> None:
    """Count, then write the record or compare with it."""
    came = count()
    if "--record" in sys.argv:
        RECORD.parent.mkdir(exist_ok=True)
        RECORD.write_text(json.dumps({"with": versions(), "instructions": came}, indent=2) + "\n")
    record = json.loads(RECORD.read_text())
    told = record["instructions"]
    print(f"recorded with {record['with']}\n      now with {versions()}")
    for name, n in came.items():
        print(f"{name:40}{n:12,}{n / told.get(name, n) - 1:+8.1%}")
    if told.keys() != came.keys():
        sys.exit(f"{RECORD}: other calls than those of today; record again")
    if any(n > told[name] * (1 + TOLERANCE) for name, n in came.items()):
        sys.exit(f"{RECORD}: a call takes more than {TOLERANCE:.0%} above what is recorded")


if __name__ == "__main__":
    counted() if "--counted" in sys.argv else main()
