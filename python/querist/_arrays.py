"""The one input ladder: from whatever holds numbers to a numpy array, without a copy if there is a way.

Sparse matrices stay sparse where a function takes them.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

# DLPack's name for memory that a CPU can read (kDLCPU).
_CPU = 1


def as_array(given: Any, argument: str, expected: str = "numbers") -> NDArray[Any]:
    """Give the numpy array of any object that holds one.

    The steps, first that fits: a numpy array as it is (a masked one is refused: its memory is not its
    meaning); an arrow array of lists of one length by its numbers; a tensor on the CPU by DLPack, detached
    from autograd; the array protocol (pandas, polars, pyarrow); the buffer protocol; a sequence.

    Parameters
    ----------
    given : object
        Anything but a string.
    argument : str
        The argument's name, for errors.
    expected : str
        What it is to hold, for the error about objects.

    Returns
    -------
    ndarray
        Read-only or not, of any dtype but object.

    Raises
    ------
    TypeError
        If it lies on a device, is masked, or does not hold numbers.
    ValueError
        If nested sequences have different lengths, or an arrow list is null.
    """
    # Not np.ma: that imports it, and a fork in that moment leaves the child waiting for the import.
    masked = getattr(sys.modules.get("numpy.ma"), "MaskedArray", ())
    if isinstance(given, masked):
        msg = f"{argument}: expected an array, got a masked array; fill or drop the masked entries first"
        raise TypeError(msg)
    if isinstance(given, np.ndarray):
        return np.asarray(given)
    if isinstance(given, (str, bytes)):
        msg = f"{argument}: expected an array, got {type(given).__name__}"
        raise TypeError(msg)
    if hasattr(getattr(given, "type", None), "list_size"):
        return _from_lists(given, argument)
    if hasattr(given, "__dlpack_device__"):
        return _from_tensor(given, argument, expected)
    if hasattr(given, "toarray"):
        msg = f"{argument}: expected a dense array, got a sparse {type(given).__name__}; pass .toarray()"
        raise TypeError(msg)
    return _converted(given, argument, expected)


def _converted(given: Any, argument: str, expected: str) -> NDArray[Any]:
    """Give what the object itself or numpy makes of it."""
    try:
        array: NDArray[Any] = np.asarray(given)
    except ValueError as error:
        msg = f"{argument}: cannot make an array of it: {error}"
        raise ValueError(msg) from error
    if array.dtype == object:
        msg = f"{argument}: expected {expected}, got {type(given).__name__} of objects"
        raise TypeError(msg)
    return array


def _from_lists(given: Any, argument: str) -> NDArray[Any]:
    """Give (n, d) of n arrow lists of d numbers, which lie side by side."""
    size = given.type.list_size
    if given.null_count:
        row = np.asarray(given.is_null()).argmax()
        msg = f"{argument}: row {row} is null, expected a list of {size} numbers"
        raise ValueError(msg)
    lists = given.combine_chunks() if hasattr(given, "combine_chunks") else given
    numbers = as_array(lists.flatten(), argument)
    return numbers.reshape(len(given), size, *numbers.shape[1:])


def _from_tensor(given: Any, argument: str, expected: str) -> NDArray[Any]:
    device = int(given.__dlpack_device__()[0])
    if device != _CPU:
        msg = (
            f"{argument}: expected memory of the CPU, got {type(given).__name__} on a device "
            f"(DLPack type {device}); move it first, for example with .cpu()"
        )
        raise TypeError(msg)
    if getattr(given, "requires_grad", False):
        given = given.detach()
    if str(getattr(given, "dtype", "")) == "torch.bfloat16":
        # NumPy has no bfloat16 of its own: torch lends its bits, ml_dtypes gives them their name.
        return _bfloat16_bits(given, argument)
    try:
        return np.from_dlpack(given)
    except (BufferError, RuntimeError, TypeError, DeprecationWarning):
        # A dtype or layout that DLPack or numpy does not take; the object's own conversion may. Arrow warns
        # of numpy's second attempt, which is an error where warnings are.
        return _converted(given, argument, expected)


def _bfloat16_bits(given: Any, argument: str) -> NDArray[Any]:
    try:
        import ml_dtypes
    except ImportError as error:
        msg = f"{argument}: a bfloat16 tensor needs the package ml_dtypes, or pass .float()"
        raise TypeError(msg) from error
    import torch

    bits: NDArray[Any] = np.from_dlpack(given.view(torch.int16))
    return bits.view(ml_dtypes.bfloat16)


def is_sparse(given: Any) -> bool:
    """Tell a scipy sparse matrix or array, of any format."""
    return isinstance(getattr(given, "format", None), str) and hasattr(given, "tocsr")


def as_matrix(given: Any, argument: str) -> Any:
    """Give an (n, d) numpy array as `as_array` does, or of a sparse matrix its CSR form.

    Raises
    ------
    TypeError, ValueError
        As for `as_array`; also if it is not of two dimensions, or sparse with indices that are not in it.
    """
    matrix: Any = given if is_sparse(given) else as_array(given, argument)
    if len(matrix.shape) != 2:
        msg = f"{argument}: expected shape (n, d), got {matrix.shape}"
        raise ValueError(msg)
    if not is_sparse(matrix) or matrix.format == "csr":
        return matrix
    if hasattr(matrix, "check_format"):
        # The core looks at CSR itself; scipy's conversion of its kin trusts them, and could crash.
        try:
            matrix.check_format()
        except ValueError as error:
            msg = f"{argument}: expected a sparse matrix that is sound, got {matrix.format}: {error}"
            raise ValueError(msg) from error
    return matrix.tocsr()
