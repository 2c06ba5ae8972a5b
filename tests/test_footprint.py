"""What querist costs to import, and the memory that a call takes beside its output."""

from __future__ import annotations

import re
import statistics

import child
import pytest
from reference import NAMES


def test_importing_querist_takes_milliseconds_over_numpy():
    """The promise is 20 ms; the bound leaves room for a busy machine."""
    took = []
    for _ in range(7):
        process = child.start("import numpy; import querist", flags=("-X", "importtime"))
        code, _, report = child.finish(process)
        assert code == 0, report
        own = re.search(r"\|\s*(\d+) \| querist\n", report)
        assert own, report
        took.append(int(own[1]) / 1000)
    assert statistics.median(took) < 60, took


def test_querist_needs_numpy_alone():
    source = """
        import sys
        import numpy
        before = set(sys.modules)
        import querist
        packages = {name.partition(".")[0] for name in set(sys.modules) - before}
        foreign = packages - set(sys.stdlib_module_names) - {"numpy"}
        print(*sorted(foreign))
    """
    assert child.run(source).split() == ["querist"]


MEASURE = """
    import resource
    import sys
    import numpy as np
    import querist as qr

    def peak():
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

    n, c, dtype = 5_000_000, 10, np.dtype(sys.argv[2])
    layout, call = sys.argv[1], sys.argv[3]
    rows = n * 4 // dtype.itemsize
    if layout == "fortran":
        proba = np.empty((rows, c), dtype, order="F")
    elif layout == "strided":
        proba = np.empty((rows, 2 * c), dtype)[:, ::-2]
    elif layout == "big-endian":
        proba = np.empty((rows, c), dtype.newbyteorder(">"))
    elif layout == "misaligned":
        proba = np.empty(rows * c * dtype.itemsize + 1, np.uint8)[1:].view(dtype).reshape(rows, c)
    else:
        proba = np.empty((rows, c), dtype)
    proba[:] = 1 / c
    small = proba[:1000]
    output_dtype = np.dtype(np.float32) if dtype.itemsize < 4 else dtype
    out = np.ones(rows, output_dtype)

    run = {
        "entropy": lambda p, o: qr.entropy(p, n_threads=2),
        "out": lambda p, o: qr.entropy(p, out=o, n_threads=2),
        "logits": lambda p, o: qr.entropy(p, from_logits=True, out=o, n_threads=2),
        "scores": lambda p, o: qr.scores(p, NAMES, n_threads=2),
        "top_scores": lambda p, o: qr.top_scores(p, 1000, n_threads=2),
        "top_k": lambda p, o: qr.select.top_k(p[:, 3], 1000, n_threads=2),
    }[call]
    outputs = {"entropy": 1, "scores": 4}.get(call, 0)
    run(small, out[:1000])
    before = peak()
    result = run(proba, out)
    print(peak() - before - outputs * rows * output_dtype.itemsize)
""".replace("NAMES", repr(NAMES))


@pytest.mark.parametrize("layout", ["contiguous", "fortran", "strided", "big-endian", "misaligned"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("call", ["entropy", "out", "logits", "scores", "top_scores", "top_k"])
def test_a_call_on_200_megabytes_takes_its_output_and_little_more(layout, dtype, call):
    pytest.importorskip("resource", reason="peak memory is read by the resource module of Unix")
    assert int(child.run(MEASURE, layout, dtype, call, timeout=120)) < 2**20
