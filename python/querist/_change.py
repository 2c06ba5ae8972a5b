"""Model change: how much a label would move the model, or shrink its error."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from querist import _core
from querist._arguments import finite, labeled_rows
from querist._arrays import as_array
from querist._deadline import Deadline
from querist._scores import Invalid

# Numbers of labelled rows that are gathered at a time from all over the pool.
BLOCK = 1 << 20

# The least share of a column that is left beside the columns before it: rounding takes 2e-16 of the column.
LEAST = 2e-12


def expected_gradient_length(
    proba: ArrayLike,
    features: ArrayLike,
    *,
    bias: bool = True,
    squared: bool = False,
    out: NDArray[Any] | None = None,
    invalid: Invalid = "raise",
    n_threads: int | None = None,
    deadline: float | None = None,
) -> NDArray[Any]:
    r"""Expected length of the step that the label of each row would make a softmax-linear model take.

    The gradient of the log-loss for label j is :math:`(p - e_j) \otimes \tilde h`, so the score is
    :math:`|\tilde h| \sum_j p_j |p - e_j|`, where :math:`\tilde h` is the row of features, with a 1 for the
    bias: 0 where the model is certain.

    Parameters
    ----------
    proba : array_like, shape (n, c)
        Class probabilities of n rows; as for `entropy`.
    features : array_like, shape (n, d)
        What the last, linear layer of the model sees of each row: float16, bfloat16, float32 or float64, in
        any memory layout, read in place. All finite.
    bias : bool, default True
        Whether that layer has a bias.
    squared : bool, default False
        Whether to score the expected squared length, :math:`|\tilde h|^2 (1 - \sum_j p_j^2)`, instead.
    out : ndarray, shape (n,), optional
        Where to write: C-contiguous, of the dtype returned, sharing no memory with the inputs. Undefined
        after an error.
    invalid : {"raise", "nan"}, default "raise"
        What becomes of a row of `proba` that is not valid: an error that names the first, or the score NaN.
    n_threads : int, optional
        Threads for this call; by default as many as `get_num_threads` tells. Small inputs use one. The result
        does not depend on it.
    deadline : float, optional
        Seconds after which to give up; looked at every 50 ms, as is Ctrl-C.

    Returns
    -------
    ndarray, shape (n,)
        0 or more (a square of probabilities that sum to more than 1 may be a little below); float64 if
        `proba` or `features` is, else float32.

    Raises
    ------
    TypeError
        If an input does not hold floats, or lies on a device.
    ValueError
        If the shapes do not fit, a row of `proba` is not valid, or a feature is not finite or so large that
        the length is not.
    TimeoutError
        If the deadline passes.

    Notes
    -----
    O(n (c + d)) time, one read of each input: no gradient is formed. Nothing cancels on nearly certain rows:
    a relative error under 1e-5 in float32 even where the top probability is 1 - 1e-6.

    References
    ----------
    Settles, Craven and Ray, "Multiple-instance active learning", NeurIPS 2008.

    Examples
    --------
    >>> import numpy as np
    >>> import querist as qr
    >>> proba, features = np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([[3.0, 4.0], [3.0, 4.0]])
    >>> qr.expected_gradient_length(proba, features, bias=False)
    array([3.53553391, 0.        ])
    >>> qr.expected_gradient_length(proba, features, bias=False, squared=True)
    array([12.5,  0. ])
    """
    return _core.expected_gradient_length(proba, features, bias, squared, out, invalid, n_threads, deadline)


def variance_reduction(
    features: ArrayLike,
    *,
    labeled: ArrayLike,
    ridge: float = 1.0,
    noise: float = 1.0,
    out: NDArray[Any] | None = None,
    n_threads: int | None = None,
    deadline: float | None = None,
) -> NDArray[Any]:
    r"""How much the label of each row would shrink the variance of linear regression over the pool.

    The model is that of ridge regression, taken as Bayesian: weights of covariance
    :math:`S = \sigma^2 (X_L^T X_L + \lambda I)^{-1}` after the labelled rows, with noise variance
    :math:`\sigma^2`. The label of x shrinks the mean variance over the pool rows u by exactly
    :math:`\frac{1}{n} \sum_u (u^T S x)^2 / (\sigma^2 + x^T S x)`, whatever the label turns out to be
    (A-optimality); for a right model it is the expected fall of the squared error.

    Parameters
    ----------
    features : array_like, shape (n, d)
        The pool: float16, bfloat16, float32 or float64, in any memory layout, read in place. All finite. No
        column for an intercept is added.
    labeled : array_like
        What is labelled already: rows of the pool (unique 1-D integers, or booleans of shape (n,)), or rows
        from outside it (2-D floats, d columns). An empty one means none.
    ridge : float, default 1.0
        The penalty λ, as ``alpha`` of scikit-learn's ``Ridge``: above 0.
    noise : float, default 1.0
        Variance σ² of the labels' noise, in the squared unit of the labels: above 0. It scales all scores
        alike.
    out : ndarray, shape (n,), optional
        Where to write: C-contiguous, of the dtype returned, sharing no memory with `features`. Undefined
        after an error.
    n_threads : int, optional
        Threads for this call; by default as many as `get_num_threads` tells. Small inputs use one. The result
        does not depend on it.
    deadline : float, optional
        Seconds after which to give up; looked at every 50 ms, as is Ctrl-C.

    Returns
    -------
    ndarray, shape (n,)
        The fall for each row, 0 or more, in the squared unit of the labels; float64 for float64 input, else
        float32. Rows that are labelled are scored too: what a second label of them would bring.

    Raises
    ------
    TypeError
        If `features` does not hold floats, or `labeled` is none of what it may be.
    ValueError
        If a shape does not fit, a feature is not finite or so large that its products are not, a labelled row
        is not in the pool or is there twice, or `ridge` or `noise` is not above 0.
    TimeoutError
        If the deadline passes.

    Notes
    -----
    O(n d² + d³) time and O(n + d²) memory, instead of n fits. `select.variance_reduction` picks a batch.

    References
    ----------
    Cohn, Ghahramani and Jordan, "Active learning with statistical models", JAIR 1996.

    Examples
    --------
    >>> import numpy as np
    >>> import querist as qr
    >>> qr.variance_reduction(np.array([[1.0], [2.0]]), labeled=[])
    array([1.25, 2.  ])
    """
    time = Deadline(deadline)
    pool = as_array(features, "features")
    posterior = linear_posterior(pool, labeled, ridge, noise, n_threads=n_threads, deadline=time)
    fall = _core.variance_reduction(
        pool, posterior.root, posterior.moment, posterior.noise, out, n_threads, time.left()
    )
    check_range(fall, pool, f", with ridge={ridge} and noise={noise},")
    return fall


def check_range(numbers: NDArray[Any], pool: NDArray[Any], circumstances: str = "") -> None:
    """Raise, naming the largest row of the pool and what else they are made of, if numbers are not finite."""
    if not np.isfinite(numbers).all():
        row = int(np.abs(pool).max(axis=1).argmax())
        msg = (
            f"features: row {row} is so large{circumstances} that the variance overflows; scale the features"
        )
        raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class LinearPosterior:
    """A Bayesian linear regression after the labelled rows, and the pool it is to predict."""

    root: NDArray[np.float64]
    """B, of which the covariance of the weights in units of `noise` is Bᵀ B."""
    moment: NDArray[np.float64]
    """B M Bᵀ, M the mean of u uᵀ over the pool."""
    noise: float
    labeled: NDArray[np.int64]
    """Which rows of the pool are labelled."""


def linear_posterior(
    pool: NDArray[Any],
    labeled: Any,
    ridge: float,
    noise: float,
    *,
    n_threads: int | None,
    deadline: Deadline,
) -> LinearPosterior:
    """Fit the posterior of ridge regression.

    Raises
    ------
    TypeError, ValueError
        As for `variance_reduction`.
    """
    ridge, noise = finite(ridge, "ridge", least="above 0"), finite(noise, "noise", least="above 0")
    if pool.ndim != 2:
        msg = f"features: expected shape (n, d), got {pool.shape}"
        raise ValueError(msg)
    n, d = pool.shape
    own, outside = labeled_rows(labeled, n, d)
    second_moment = _core.gram(pool, n_threads, deadline.left()) / max(n, 1)
    check_range(second_moment, pool)
    root = _root(pool, own, outside, ridge, deadline)
    with np.errstate(over="ignore", invalid="ignore"):
        moment = root @ second_moment @ root.T
        moment = (moment + moment.T) / 2
    return LinearPosterior(root, moment, noise, own)


def _root(
    pool: NDArray[Any], own: NDArray[np.int64], outside: NDArray[Any] | None, ridge: float, deadline: Deadline
) -> NDArray[np.float64]:
    """Give B = R⁻ᵀ, where RᵀR = X_LᵀX_L + λI, so that BᵀB is its inverse.

    R is that of the labelled rows themselves, then of the ridge below them: their squares, which a sum of
    products is made of, would leave nothing of a small λ beside long rows.
    """
    d = pool.shape[1]
    step = max(2 * d, BLOCK // max(d, 1))
    upper = np.empty((0, d))
    labelled, rows = (pool, own) if outside is None else (outside, np.arange(len(outside)))
    for start in range(0, len(rows), step):
        deadline.left()
        block = labelled[rows[start : start + step]].astype(np.float64)
        upper = _triangle(upper, block)
    upper = _triangle(upper, math.sqrt(ridge) * np.eye(d))
    if (np.abs(upper.diagonal()) < LEAST * np.abs(upper).max(axis=0)).any():
        msg = f"ridge: {ridge} is too small beside the labelled features to be told from 0"
        raise ValueError(msg)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.ascontiguousarray(np.linalg.inv(upper).T)


def _triangle(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the R of the QR decomposition of rows and those below them."""
    return np.asarray(np.linalg.qr(np.vstack([above, below]), mode="r"))
