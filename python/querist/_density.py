"""Density: how typical of the pool each row is; always larger where the pool is denser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias, cast, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from querist import _core
from querist._arguments import count, finite, holds_floats
from querist._arrays import as_array, as_matrix, is_sparse
from querist._deadline import Deadline
from querist._seed import Seed, drawn_seed

Metric: TypeAlias = Literal["cosine", "dot", "sqeuclidean", "euclidean", "rbf"]
Progress: TypeAlias = Callable[[float], object]

LINEAR = ("cosine", "dot", "sqeuclidean")
QUADRATIC = ("euclidean", "rbf")


@overload
def information_density(
    features: Any,
    *,
    metric: Metric = "cosine",
    reference: Any = None,
    include_self: bool | None = None,
    gamma: float | Literal["scale"] = "scale",
    shift: bool = False,
    sample: None = None,
    seed: Seed = None,
    progress: Progress | None = None,
    out: NDArray[Any] | None = None,
    n_threads: int | None = None,
    deadline: float | None = None,
) -> NDArray[Any]: ...


@overload
def information_density(
    features: Any,
    *,
    metric: Metric = "cosine",
    reference: Any = None,
    include_self: bool | None = None,
    gamma: float | Literal["scale"] = "scale",
    shift: bool = False,
    sample: int,
    seed: Seed = None,
    progress: Progress | None = None,
    out: NDArray[Any] | None = None,
    n_threads: int | None = None,
    deadline: float | None = None,
) -> tuple[NDArray[Any], NDArray[Any]]: ...


def information_density(
    features: Any,
    *,
    metric: Metric = "cosine",
    reference: Any = None,
    include_self: bool | None = None,
    gamma: float | Literal["scale"] = "scale",
    shift: bool = False,
    sample: int | None = None,
    seed: Seed = None,
    progress: Progress | None = None,
    out: NDArray[Any] | None = None,
    n_threads: int | None = None,
    deadline: float | None = None,
) -> NDArray[Any] | tuple[NDArray[Any], NDArray[Any]]:
    r"""Mean similarity of each row to the rows of the pool, or of another set.

    Parameters
    ----------
    features : array_like, shape (n, d), or CSR matrix
        The pool: float16, bfloat16, float32 or float64, in any memory layout, read in place. All finite. For
        "cosine", "dot" and "sqeuclidean" also a scipy sparse matrix of float32 or float64; formats other than
        CSR are converted to it.
    metric : {"cosine", "dot", "sqeuclidean", "euclidean", "rbf"}, default "cosine"
        What is averaged over the rows u:

        * "cosine": :math:`\cos(x, u)`; a row of zeros has cosine 0 to everything. In [-1, 1].
        * "dot": :math:`x \cdot u`.
        * "sqeuclidean": the score is :math:`1 / (1 + \text{mean } |x - u|^2)`. In (0, 1].
        * "euclidean": :math:`1 / (1 + |x - u|)`, as in modAL. In (0, 1].
        * "rbf": :math:`\exp(-\gamma |x - u|^2)`. In [0, 1].
    reference : array_like, shape (m, d), or CSR matrix, optional
        Another set to average over; every one of its rows counts. It must be sparse where the pool is. By
        default the pool itself.
    include_self : bool, optional
        Whether a row of the pool counts as similar to itself; None means True. With `reference` it must be
        None.
    gamma : float or "scale", default "scale"
        The γ of "rbf"; other metrics do not look at it. "scale" means 1 / (d · variance of all numbers of
        `features`), as in scikit-learn.
    shift : bool, default False
        Whether to average :math:`(1 + \cos) / 2`, in [0, 1], instead of the cosine; for `density_weighted`.
    sample : int, optional
        For "euclidean" and "rbf": how many rows to average over, drawn without replacement. The standard
        error is returned too. The other metrics have no use for it: they are exact in O(n d).
    seed : None, int or numpy Generator, optional
        What draws the sample.
    progress : callable, optional
        Called now and then with the share of the work that is done, rising to 1.0, on the thread of the
        caller; by "euclidean" and "rbf" only.
    out : ndarray, shape (n,), optional
        Where to write: C-contiguous, of the dtype returned, sharing no memory with the input. Undefined after
        an error.
    n_threads : int, optional
        Threads for this call; by default as many as `get_num_threads` tells. Small inputs use one. The result
        does not depend on it.
    deadline : float, optional
        Seconds after which to give up; looked at every 50 ms, as is Ctrl-C.

    Returns
    -------
    density : ndarray, shape (n,)
        float64 for float64 input, else float32.
    standard_error : ndarray, shape (n,)
        Only with `sample`: of the density, with the correction for a finite set; 0 where the sample is all of
        it.

    Raises
    ------
    TypeError
        If an input does not hold floats, or lies on a device.
    ValueError
        If a shape or an option does not fit, a number is not finite, or no row is left to average over.
    TimeoutError
        If the deadline passes.

    Notes
    -----
    "cosine", "dot" and "sqeuclidean": O(n d) time, or O(nnz), and O(n + d) memory: the mean goes inside, so
    no pair is formed. "euclidean" and "rbf": O(n² d) time over the symmetric half, or O(n m d), in tiles, and
    O(n) memory. Distances do not cancel: a dense pool far from the origin gives right ones, and duplicates
    are at exactly 0. Sparse rows, which are not centred, lose what their squares round away.

    References
    ----------
    Settles and Craven, "An analysis of active learning strategies for sequence labeling tasks", EMNLP 2008.

    Examples
    --------
    >>> import numpy as np
    >>> import querist as qr
    >>> qr.information_density(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))
    array([0.5, 0.5, 0. , 0. ])
    >>> qr.information_density(np.array([[0.0], [1.0]]), metric="euclidean")
    array([0.75, 0.75])
    """
    if metric not in LINEAR + QUADRATIC:
        msg = f"metric: expected one of {LINEAR + QUADRATIC}, got {metric!r}"
        raise ValueError(msg)
    if shift and metric != "cosine":
        msg = f"shift: expected False with the metric {metric!r}; it is for the cosine"
        raise ValueError(msg)
    if not (include_self is None or isinstance(include_self, bool | np.bool_)):
        msg = f"include_self: expected True, False or None, got {include_self!r}"
        raise TypeError(msg)
    if include_self is not None and reference is not None:
        msg = f"include_self: expected None with a reference, whose rows all count, got {include_self}"
        raise ValueError(msg)
    time = Deadline(deadline)
    counts = include_self is None or bool(include_self)
    if metric in LINEAR:
        if sample is not None:
            msg = f"sample: expected None with the metric {metric!r}, which is exact in O(n d) already"
            raise ValueError(msg)
        return _linear(
            features,
            metric,
            reference,
            counts=counts,
            shift=shift,
            out=out,
            n_threads=n_threads,
            deadline=time,
        )
    _check_progress(progress)
    pool, others = _dense(features, "features", metric), None
    if reference is not None:
        others = _dense(reference, "reference", metric)
        _check_reference(others.shape, pool.shape[1])
    else:
        _check_others(len(pool), counts)
    width = kernel_gamma(gamma, pool, n_threads, time) if metric == "rbf" else 1.0
    if sample is None:
        density, _ = _core.pairwise_density(
            pool, metric, width, others, None, counts, False, out, progress, n_threads, time.left()
        )
        return density
    base = pool if others is None else others
    rows = np.sort(_drawn(sample, len(base), seed, 2 if counts else 3))
    own = rows if others is None else None
    density, spreads = _core.pairwise_density(
        pool, metric, width, base[rows], own, counts, True, out, progress, n_threads, time.left()
    )
    drawn, whole = np.full(len(pool), len(rows)), len(base)
    if not counts:
        drawn[rows] -= 1
        whole -= 1
    variance = cast("NDArray[np.float64]", spreads) / (drawn - 1)
    error: NDArray[Any] = np.sqrt(variance / drawn * (1 - drawn / whole)).astype(density.dtype)
    return density, error


def knn_density(
    features: ArrayLike,
    k: int,
    *,
    metric: Literal["euclidean", "cosine"] = "euclidean",
    progress: Progress | None = None,
    out: NDArray[Any] | None = None,
    n_threads: int | None = None,
    deadline: float | None = None,
) -> NDArray[Any]:
    """One over the mean distance of each row to its k nearest others in the pool.

    Parameters
    ----------
    features : array_like, shape (n, d)
        The pool; as for `information_density`, but not sparse.
    k : int
        How many neighbours, 1 to n - 1; a row is not its own neighbour.
    metric : {"euclidean", "cosine"}, default "euclidean"
        The distance; that of the cosine is 1 - cos, which is 1 between a row of zeros and any other.
    progress, out, n_threads, deadline
        As for `information_density`.

    Returns
    -------
    ndarray, shape (n,)
        Above 0, in one over the unit of the features; +inf where k others are duplicates of the row. float64
        for float64 input, else float32.

    Raises
    ------
    TypeError, ValueError, TimeoutError
        As for `information_density`; also if k is not from 1 to n - 1.

    Notes
    -----
    O(n² d) time, in tiles, O(n k) memory; a k of hundreds costs more, up to O(n² k). Exact.

    References
    ----------
    Loftsgaarden and Quesenberry, "A nonparametric estimate of a multivariate density function", 1965.
    Hacohen, Dekel and Weinshall, "Active learning on a budget: opposite strategies suit high and low
    budgets", ICML 2022, where it is the typicality.

    Examples
    --------
    >>> import numpy as np
    >>> import querist as qr
    >>> qr.knn_density(np.array([[0.0], [2.0], [6.0]]), 1)
    array([0.5 , 0.5 , 0.25])
    """
    if metric not in ("euclidean", "cosine"):
        msg = f'metric: expected "euclidean" or "cosine", got {metric!r}'
        raise ValueError(msg)
    _check_progress(progress)
    pool, k = _dense(features, "features", metric), count(k, "k")
    if not 1 <= k < len(pool):
        msg = (
            f"k: expected 1 to {len(pool) - 1}, as a row of the {len(pool)} is not its own neighbour, got {k}"
        )
        raise ValueError(msg)
    return _core.knn_density(pool, k, metric, out, progress, n_threads, deadline)


def density_weighted(scores: ArrayLike, density: ArrayLike, *, beta: float = 1.0) -> NDArray[Any]:
    r"""Scores weighted by density: :math:`\text{score} \cdot \text{density}^\beta`.

    Parameters
    ----------
    scores : array_like, shape (n,)
        One number a row, larger where it should be asked first. NaN stays NaN; 0 stays 0, however dense.
    density : array_like, shape (n,)
        One number a row, 0 or more, such as `information_density` gives.
    beta : float, default 1.0
        How much the density counts, 0 or more: 0 gives the scores as they are.

    Returns
    -------
    ndarray, shape (n,)
        Of the dtype that numpy makes of both; float16 and bfloat16 count as float32, integers as float64.

    Raises
    ------
    TypeError
        If an input does not hold numbers.
    ValueError
        If the shapes differ, a density is negative or NaN, or `beta` is negative or not finite.

    Notes
    -----
    O(n) time.

    References
    ----------
    Settles and Craven, "An analysis of active learning strategies for sequence labeling tasks", EMNLP 2008.

    Examples
    --------
    >>> import querist as qr
    >>> qr.density_weighted([1.0, 1.0, 0.5], [0.5, 0.25, 0.5], beta=2)
    array([0.25  , 0.0625, 0.125 ])
    """
    scores, density = _numbers(scores, "scores"), _numbers(density, "density")
    if scores.shape != density.shape:
        msg = f"density: expected shape {scores.shape}, a number for each score, got {density.shape}"
        raise ValueError(msg)
    power = finite(beta, "beta", least="0 or more")
    unfit = ~(density >= 0)
    if unfit.any():
        row = int(unfit.argmax())
        advice = "; for the cosine pass shift=True to information_density" if density[row] < 0 else ""
        msg = f"density: row {row} is {density[row]}, expected 0 or more{advice}"
        raise ValueError(msg)
    with np.errstate(over="ignore", invalid="ignore"):
        weighted = scores * density**power
    weighted[scores == 0] = 0
    return weighted


def _linear(
    features: Any,
    metric: str,
    reference: Any,
    *,
    counts: bool,
    shift: bool,
    out: NDArray[Any] | None,
    n_threads: int | None,
    deadline: Deadline,
) -> NDArray[Any]:
    pool = as_matrix(features, "features")
    others = None if reference is None else as_matrix(reference, "reference")
    if others is None:
        _check_others(pool.shape[0], counts)
    else:
        _check_reference(others.shape, pool.shape[1])
    return _core.linear_density(pool, metric, others, counts, shift, out, n_threads, deadline.left())


def _dense(given: Any, argument: str, metric: str) -> NDArray[Any]:
    if is_sparse(given):
        msg = (
            f"{argument}: expected a dense array for the metric {metric!r}, got a sparse matrix; "
            f"the metrics of information_density for sparse ones are {LINEAR}"
        )
        raise ValueError(msg)
    return cast("NDArray[Any]", as_matrix(given, argument))


def _check_reference(shape: tuple[int, ...], d: int) -> None:
    if shape[0] == 0 or shape[1] != d:
        msg = f"reference: expected at least one row of {d} features as in the pool, got shape {shape}"
        raise ValueError(msg)


def _check_others(n: int, counts: bool) -> None:
    if n == 1 and not counts:
        msg = "include_self: expected True for a pool of one row, got False, which leaves nothing to compare"
        raise ValueError(msg)


def _check_progress(progress: Any) -> None:
    if not (progress is None or callable(progress)):
        msg = f"progress: expected a function of the share done, got {type(progress).__name__}"
        raise TypeError(msg)


def kernel_gamma(given: Any, pool: Any, n_threads: int | None, deadline: Deadline) -> float:
    if isinstance(given, str):
        if given != "scale":
            msg = f'gamma: expected "scale" or a number, got {given!r}'
            raise ValueError(msg)
        variance = _core.spread(pool, n_threads, deadline.left()) if 0 not in pool.shape else 0.0
        width = 1 / (pool.shape[1] * variance) if variance > 0 else 1.0
        if width == 0:
            msg = (
                "features: expected smaller numbers for gamma='scale' (scale them), their variance overflows"
            )
            raise ValueError(msg)
        return width
    return finite(given, "gamma", least="above 0")


def _drawn(sample: Any, size: int, seed: Seed, least: int) -> NDArray[np.int64]:
    """Draw row numbers without replacement."""
    m = count(sample, "sample")
    if not least <= m <= size:
        msg = f"sample: expected {least} to {size}, the number of rows, got {m}"
        raise ValueError(msg)
    generator = seed if isinstance(seed, np.random.Generator) else np.random.default_rng(drawn_seed(seed))
    return generator.choice(size, m, replace=False).astype(np.int64)


def _numbers(given: Any, argument: str) -> NDArray[Any]:
    array = as_array(given, argument)
    if array.ndim != 1:
        msg = f"{argument}: expected shape (n,), got {array.shape}"
        raise ValueError(msg)
    if array.dtype.kind in "iu":
        return array.astype(np.float64)
    if not holds_floats(array):
        msg = f"{argument}: expected numbers, got {array.dtype}"
        raise TypeError(msg)
    return array.astype(np.float32) if array.dtype.itemsize == 2 else array
