"""Objects of other libraries that hold numbers, and what is promised of each: how often a call copies them.

`PRODUCERS` is the table. JAX starts threads, so only child processes import it.
"""

from __future__ import annotations

import array
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import array_api_strict
import ml_dtypes
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
from stand_ins import Frame, Interface, OldTensor, Tensor, Torch


def memory_mapped(values: np.ndarray) -> np.ndarray:
    with tempfile.TemporaryFile() as file:
        values.tofile(file)
        mapped = np.memmap(file, values.dtype, mode="r", shape=values.shape)
    mapped.max()  # all of the file is in memory now
    return mapped


def memory_view(values: np.ndarray) -> memoryview:
    flat = array.array(values.dtype.char, values.tobytes())
    return memoryview(flat).cast("B").cast(values.dtype.char, values.shape)


def ctypes_array(values: np.ndarray) -> Any:
    kind = np.ctypeslib.as_ctypes_type(values.dtype)
    for size in reversed(values.shape):
        kind = kind * size
    return kind.from_buffer_copy(values.tobytes())


def fixed_size_lists(values: np.ndarray) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])


def halves(values: np.ndarray, join: Callable[[list[Any]], Any], make: Callable[[np.ndarray], Any]) -> Any:
    return join([make(part) for part in np.array_split(values, 2)])


def columns(values: np.ndarray) -> dict[str, np.ndarray]:
    return {str(j): np.ascontiguousarray(column) for j, column in enumerate(values.T)}


def jax_array(values: np.ndarray) -> Any:
    import jax

    return jax.numpy.asarray(values).block_until_ready()


@dataclass(frozen=True, slots=True)
class Producer:
    """One kind of object: how to make it of an array, how often a call copies it, and what it can hold."""

    name: str
    make: Callable[[np.ndarray], Any]
    copies: int
    dimensions: tuple[int, ...] = (1, 2, 3)
    kinds: str = "fiub"

    def __str__(self) -> str:
        return self.name

    def holds(self, values: np.ndarray) -> bool:
        return values.ndim in self.dimensions and values.dtype.kind in self.kinds


PRODUCERS = [
    Producer("numpy", np.array, 0),
    Producer("numpy memmap", memory_mapped, 0),
    Producer("memoryview", memory_view, 0, kinds="f"),
    Producer("ctypes", ctypes_array, 0, kinds="f"),
    Producer("DLPack", Tensor, 0),
    Producer("DLPack without versions", OldTensor, 0),
    Producer("array protocol", Frame, 0),
    Producer("array interface", Interface, 0),
    Producer("array API", array_api_strict.asarray, 0),
    Producer("torch, by a stand-in", Torch, 0),
    Producer("torch with a gradient, by a stand-in", lambda values: Torch(values, requires_grad=True), 0),
    Producer("arrow array", pa.array, 0, (1,), "fiu"),
    Producer("arrow array in one chunk", lambda v: pa.chunked_array([pa.array(v)]), 0, (1,), "fiu"),
    Producer("arrow array in two chunks", lambda values: halves(values, pa.chunked_array, pa.array), 1, (1,)),
    Producer("arrow tensor", pa.Tensor.from_numpy, 0, kinds="fiu"),
    Producer("arrow tensors", pa.FixedShapeTensorArray.from_numpy_ndarray, 0, (2,), "f"),
    Producer("arrow lists", fixed_size_lists, 0, (2,)),
    Producer("arrow lists in two chunks", lambda v: halves(v, pa.chunked_array, fixed_size_lists), 1, (2,)),
    Producer("arrow table", lambda values: pa.table(columns(values)), 1, (2,)),
    Producer("polars column", pl.Series, 0, (1,), "fiu"),
    Producer("polars column of arrays", pl.Series, 0, (2,), "f"),
    Producer("polars frame", lambda values: pl.DataFrame(columns(values)), 1, (2,)),
    Producer("pandas column", pd.Series, 0, (1,)),
    Producer("pandas frame", pd.DataFrame, 0, (2,)),
    Producer("pandas frame of columns", lambda values: pd.DataFrame(columns(values)), 0, (2,)),
]
JAX = Producer("JAX", jax_array, 0)
NARROW = [
    Producer("numpy, float16", lambda values: values.astype(np.float16), 0),
    Producer("numpy, bfloat16", lambda values: values.astype(ml_dtypes.bfloat16), 0),
]
EVERY = {producer.name: producer for producer in [*PRODUCERS, JAX, *NARROW]}
