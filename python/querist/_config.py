"""How querist runs in this process."""

from __future__ import annotations

import numpy as np

from querist import _core
from querist._core import get_num_threads, set_num_threads

__all__ = ["get_num_threads", "set_num_threads", "show_config"]


def show_config() -> dict[str, str | int]:
    """Tell the version, the SIMD level in use and the number of threads.

    Returns
    -------
    dict
        ``version``, ``numpy`` (its version), ``simd`` (``"baseline"``, ``"avx2"`` or ``"avx512"``; the
        environment variable ``QUERIST_SIMD``, read at import, forces one) and ``threads`` (of a large call:
        `set_num_threads`, else ``QUERIST_NUM_THREADS``, else ``OMP_NUM_THREADS``, else the processors this
        process may use).

    Examples
    --------
    >>> import querist as qr
    >>> sorted(qr.show_config())
    ['numpy', 'simd', 'threads', 'version']
    """
    return {
        "version": _core.__version__,
        "numpy": np.__version__,
        "simd": _core.simd_level(),
        "threads": get_num_threads(),
    }
