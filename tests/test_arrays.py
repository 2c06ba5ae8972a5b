"""Arrays from anywhere: each kind of object gives each function its numbers, copied no more than promised."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import child
import ml_dtypes
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import querist as qr
from functions import FUNCTIONS, Pool, parts
from producers import EVERY, PRODUCERS, fixed_size_lists
from reference import bits, dirichlet
from scipy.sparse import coo_array, csr_array
from stand_ins import Torch

FOLDER = str(Path(__file__).parent)


def answers_alike(producer, dtype):
    """Call every function with arrays and with what the producer makes of them; return how many it made."""
    made = 0
    for function in FUNCTIONS:
        arrays = function.make(Pool(40, 3, 4, dtype))
        given = dict(arrays)
        for argument, array in arrays.items():
            whole = not (function.streams and argument == "proba")
            if producer.holds(array if whole else array[0]):
                given[argument] = producer.make(array) if whole else list(map(producer.make, array))
                made += 1
        got, expected = function(given, 40), function(arrays, 40)
        assert list(map(bits, parts(got))) == list(map(bits, parts(expected))), str(function)
    return made


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("producer", PRODUCERS, ids=str)
def test_every_function_takes_the_numbers_of(producer, dtype):
    assert answers_alike(producer, dtype) > 50


def test_every_function_takes_the_numbers_of_jax():
    source = """
        import sys
        sys.path.insert(0, sys.argv[1])
        import numpy as np
        from producers import JAX
        from test_arrays import answers_alike

        assert answers_alike(JAX, np.float32) > 50
    """
    child.run(source, FOLDER)


# In a process of its own for each: the peak of memory during the call, beyond what there was before and what
# it returns, by the size of the object. It sees what any library allocates.
COPIES = r"""
    import json
    import os
    import re
    import sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[1])
    import numpy as np
    import querist as qr
    from producers import EVERY

    def memory(line):
        status = Path("/proc/self/status").read_text()
        return int(re.search(line + r":\s+(\d+)", status)[1]) * 1024

    def copies(producer):
        if 2 in producer.dimensions:
            call, shape = qr.entropy, (400_000, 40)
        else:
            call, shape = lambda scores: qr.select.top_k(scores, 10), (16_000_000,)
        values = np.full(shape, 1 / 40, np.float32)
        call(producer.make(values[:100]))
        given = producer.make(values)
        Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
        before = memory("VmRSS")
        answer = call(given)
        written = getattr(answer, "nbytes", 0)
        return round((memory("VmHWM") - before - written) / values.nbytes, 1)

    for producer in EVERY.values():
        if os.fork() == 0:
            print(json.dumps([producer.name, copies(producer)]))
            sys.stdout.flush()
            os._exit(0)
        os.wait()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_call_copies_an_object_as_often_as_is_promised():
    seen = dict(map(json.loads, child.run(COPIES, FOLDER, timeout=120).splitlines()))
    assert seen == {name: producer.copies for name, producer in EVERY.items()}


def test_a_bfloat16_tensor_of_torch_is_read_by_its_bits(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(int16="int16"))
    proba = dirichlet(20, 3, ml_dtypes.bfloat16)
    for requires_grad in (False, True):
        tensor = Torch(proba, "torch.bfloat16", requires_grad=requires_grad)
        assert bits(qr.entropy(tensor)) == bits(qr.entropy(proba))
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(TypeError, match=r"^proba: .*ml_dtypes.*\.float\(\)"):
        qr.entropy(tensor)


@pytest.mark.parametrize("column", [pa.array, pl.Series])
def test_a_null_among_numbers_is_nan(column):
    assert qr.select.top_k(column([0.5, None, 0.25]), 2).indices.tolist() == [0, 2]
    with pytest.raises(ValueError, match=r"^density: row 1 is nan"):
        qr.density_weighted(np.ones(3), column([0.5, None, 0.25]))


def test_arrow_lists_that_are_no_matrix_are_refused():
    rows = fixed_size_lists(np.full((4, 2), 0.5))
    assert qr.margin(rows[1:3]).tolist() == [1, 1]
    assert qr.margin(pa.chunked_array([rows, rows[:1]])).tolist() == [1] * 5
    with_null = pa.array([[0.5, 0.5], None], pa.list_(pa.float64(), 2))
    with pytest.raises(ValueError, match=r"^proba: row 1 is null, expected a list of 2 numbers"):
        qr.margin(with_null)
    with pytest.raises(TypeError, match=r"^proba: expected numbers, got ListArray of objects"):
        qr.margin(pa.array([[0.5, 0.5], [1.0]]))


def test_arrow_lists_of_lists_are_a_committee():
    members = np.stack([dirichlet(5, 3, seed=seed) for seed in range(4)])
    lists = pa.FixedSizeListArray.from_arrays(fixed_size_lists(members.reshape(-1, 3)), 5)
    assert bits(qr.bald(lists)) == bits(qr.bald(members))


def test_masked_arrays_and_sparse_matrices_are_refused_where_memory_is_not_meaning():
    proba = dirichlet(5, 3)
    with pytest.raises(TypeError, match=r"^proba: .*masked"):
        qr.entropy(np.ma.array(proba, mask=proba > 0.5))
    with pytest.raises(TypeError, match=r"^proba: expected a dense array, got a sparse csr_array; .*toarray"):
        qr.entropy(csr_array(proba))
    with pytest.raises(ValueError, match=r"^features: expected shape \(n, d\), got \(2, 2, 2\)"):
        qr.information_density(coo_array(np.ones((2, 2, 2))))
