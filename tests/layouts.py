"""The same numbers in every memory layout that numpy knows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from hypothesis import strategies as st
from numpy.lib.stride_tricks import as_strided


def sliced_rows(a: np.ndarray) -> np.ndarray:
    roomy = np.full((3 * len(a), *a.shape[1:]), 7, a.dtype)
    roomy[1::3] = a
    return roomy[1::3]


def sliced_last(a: np.ndarray) -> np.ndarray:
    roomy = np.full((*a.shape[:-1], 2 * a.shape[-1]), 7, a.dtype)
    roomy[..., ::2] = a
    return roomy[..., ::2]


def window(a: np.ndarray) -> np.ndarray:
    roomy = np.full([size + 4 for size in a.shape], 7, a.dtype)
    inside = tuple(slice(1, 1 + size) for size in a.shape)
    roomy[inside] = a
    return roomy[inside]


def reversed_rows(a: np.ndarray) -> np.ndarray:
    return a[::-1].copy()[::-1]


def reversed_last(a: np.ndarray) -> np.ndarray:
    return a[..., ::-1].copy()[..., ::-1]


def reversed_fortran(a: np.ndarray) -> np.ndarray:
    flipped = tuple(slice(None, None, -1) for _ in a.shape)
    return np.asfortranarray(a[flipped])[flipped]


def read_only(a: np.ndarray) -> np.ndarray:
    locked = a.copy()
    locked.flags.writeable = False
    return locked


def misaligned(a: np.ndarray) -> np.ndarray:
    raw = b"\x7f" + a.tobytes()
    return np.frombuffer(raw, np.uint8)[1:].view(a.dtype).reshape(a.shape)


def packed_field(a: np.ndarray) -> np.ndarray:
    record = np.dtype([("tag", np.uint8), ("row", a.dtype, a.shape[1:])])
    table = np.zeros(len(a), record)
    table["row"] = a
    return table["row"]


def big_endian(a: np.ndarray) -> np.ndarray:
    return a.astype(a.dtype.newbyteorder(">"))


def big_endian_misaligned_fortran(a: np.ndarray) -> np.ndarray:
    return misaligned(big_endian(a).T).T


def subclass(a: np.ndarray) -> np.ndarray:
    return a.copy().view(type("Sub", (np.ndarray,), {}))


LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    layout.__name__: layout
    for layout in [
        np.asfortranarray,
        sliced_rows,
        sliced_last,
        window,
        reversed_rows,
        reversed_last,
        reversed_fortran,
        read_only,
        misaligned,
        packed_field,
        big_endian,
        big_endian_misaligned_fortran,
        subclass,
    ]
}


def layouts_of(a: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Each layout that `a`'s dtype can have (bfloat16 has no other byte order), checked equal."""
    for name, layout in LAYOUTS.items():
        if name.startswith("big_endian") and a.dtype.kind not in "fiu":
            continue
        view = layout(a)
        assert view.tolist() == a.tolist(), name
        yield name, view


def repeated(row: np.ndarray, n: int) -> np.ndarray:
    """Return n rows that are one row in memory (stride 0), however large n is."""
    return as_strided(row, (n, *row.shape), (0, *row.strides), writeable=False)


@st.composite
def views(draw, array: np.ndarray) -> np.ndarray:
    """Draw a strided view that holds the numbers of the array elsewhere in memory."""
    steps = [draw(st.sampled_from([1, 2, 3, -1, -2])) for _ in array.shape]
    padded = [draw(st.integers(0, 3)) + size * abs(s) for size, s in zip(array.shape, steps, strict=True)]
    order = draw(st.sampled_from("CF"))
    offset = draw(st.integers(0, 7))
    raw = np.full(math.prod(padded) * array.itemsize + offset, 0xFF, np.uint8)
    roomy = raw[offset:].view(array.dtype).reshape(padded, order=order)
    index = tuple(
        slice(None, size * s, s) if s > 0 else slice(size * -s - 1, None, s)
        for size, s in zip(array.shape, steps, strict=True)
    )
    view = roomy[index]
    view[:] = array
    if draw(st.booleans()):
        view = view.astype(array.dtype.newbyteorder(">"), order="K")
    return view
