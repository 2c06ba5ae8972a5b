"""Why each row of a batch was picked: the terms that made its value, as data and in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import compress
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from querist._arrays import is_sparse

Reason: TypeAlias = Mapping[str, Any]

# Multiplications of one product: so few that BLAS keeps to one thread. Its others would wait by spinning, and
# on two cores that made the next pass of querist's own threads five times as long.
SMALL = 2**17

LABELS = ("predicted", "runner_up")
COLUMNS = (
    "rank",
    "picked_by",
    "value",
    "density",
    *LABELS,
    "predicted_share",
    "runner_up_share",
    "nearest_labeled",
    "nearest_picked",
)


class Reasons:
    """The reasons of a batch, or what makes them: most batches are never asked for theirs."""

    def __init__(self, given: tuple[Reason, ...] | Callable[[], tuple[Reason, ...]]) -> None:
        self._given = given

    def all(self) -> tuple[Reason, ...]:
        """Give a mapping for each row of the batch."""
        if callable(self._given):
            self._given = self._given()
        return self._given

    def only(self, rows: NDArray[np.bool_]) -> Reasons:
        """Give those of some of the rows."""
        return Reasons(lambda: tuple(compress(self.all(), rows.tolist())))

    def __reduce__(self) -> tuple[Any, ...]:  # a copy in another process needs no pool to make them of
        return Reasons, (self.all(),)


def reasons(
    indices: NDArray[np.int64],
    values: NDArray[Any],
    how: Sequence[str],
    *,
    terms: Mapping[str, NDArray[Any]],
    predicted: Mapping[str, Sequence[Any]],
    features: NDArray[Any] | None,
    labeled: NDArray[np.int64],
) -> tuple[Reason, ...]:
    """Give a mapping for each row; a term that is not known is left out.

    `terms` hold a number for each pick, and `predicted` a label or a share.
    """
    columns: dict[str, Sequence[Any]] = {
        "rank": range(1, len(indices) + 1),
        "picked_by": how,
        "value": values.tolist(),
        **{name: numbers.tolist() for name, numbers in terms.items()},
        **predicted,
    }
    if features is not None:
        picks = _rows(features, indices)
        if labeled.size:
            columns["nearest_labeled"] = _nearest(picks, features, labeled).tolist()
        columns["nearest_picked"] = _nearest_before(picks)
    rows = zip(*columns.values(), strict=True)
    return tuple(
        {name: value for name, value in zip(columns, row, strict=True) if value is not None} for row in rows
    )


def explained(indices: NDArray[np.int64], given: Sequence[Reason]) -> str:
    """Give a line for each row, the one to ask first on top.

    Examples
    --------
    >>> print(explained(np.array([17]), [{"rank": 1, "picked_by": "top_k", "value": 0.91, "margin": 0.91}]))
    1. row 17: margin 0.91; picked by top_k
    """
    lines = []
    for row, reason in zip(indices.tolist(), given, strict=True):
        words = [_words(name, reason) for name in reason if name not in _NOT_A_TERM]
        words = [", ".join(words)] if words else []
        lines.append(f"{reason['rank']}. row {row}: " + "; ".join([*words, _picked_by(reason)]))
    return "\n".join(lines)


_NOT_A_TERM = ("rank", "picked_by", "value", "predicted_share", "runner_up", "runner_up_share")

_UNITS = {
    "top_k": "weighted score",  # the score itself is among the terms
    "power": "perturbed logarithm",
    "k_center": "distance",
    "the cold start (diverse)": "distance",
    "k_means_pp": "squared distance",
    "badge": "squared distance of gradients",
    "facility_location": "gain",
    "max_herding": "gain",
    "uncertainty_herding": "gain",
}


def _picked_by(reason: Reason) -> str:
    """Say what picked a row, and what it gave that is not said yet."""
    how, value = reason["picked_by"], reason["value"]
    terms = [number for name, number in reason.items() if name == "density" or name not in COLUMNS]
    if value != value or (how == "top_k" and value in terms):  # noqa: PLR0124 (a random pick has NaN)
        return f"picked by {how}"
    # A distance may be weighted, if there is something to weight it by.
    unit = "value" if how == "k_center" and terms else _UNITS.get(how, "value")
    return f"picked by {how}, {unit} {value:.4g}"


def _words(name: str, reason: Reason) -> str:
    value = reason[name]
    match name:
        case "predicted" if "runner_up" in reason:
            share, other = reason["predicted_share"], reason["runner_up_share"]
            return f"predicted {value!r} ({share:.4g}) against {reason['runner_up']!r} ({other:.4g})"
        case "predicted":
            return f"predicted {value!r}"
        case "nearest_labeled":
            return f"{value:.4g} from the nearest labelled row"
        case "nearest_picked":
            return f"{value:.4g} from the nearest row above"
    return f"{name.replace('_', ' ')} {value:.4g}"


def _rows(features: Any, indices: NDArray[np.int64]) -> NDArray[np.float64]:
    """Give some rows in float64, dense; one that is not finite is at no distance, and NaN throughout."""
    taken = features[indices]
    rows: NDArray[np.float64] = np.array(taken.toarray() if is_sparse(taken) else taken, np.float64)
    rows[~np.isfinite(rows).all(axis=1)] = np.nan
    return rows


def _nearest(picks: NDArray[Any], features: NDArray[Any], others: NDArray[np.int64]) -> NDArray[Any]:
    """Give the distance of each pick to the nearest of the other rows."""
    least, size = np.full(len(picks), np.nan), _block(picks)
    for start in range(0, len(others), size):
        block = _rows(features, others[start : start + size])
        least = np.fmin(least, _distances(picks, block, _squares(picks, block).argmin(axis=1)))
    return least


def _nearest_before(picks: NDArray[Any]) -> list[float | None]:
    """Give the distance of each pick to the nearest before it; the first has none."""
    least: list[float | None] = [None]
    size = _block(picks)
    for start in range(1, len(picks), size):
        rows = np.arange(start, min(start + size, len(picks)))
        before = picks[: rows[-1]]
        squares = _squares(picks[rows], before)
        squares[np.arange(len(before)) >= rows[:, None]] = np.inf
        least += _distances(picks[rows], before, squares.argmin(axis=1)).tolist()
    return least


def _block(picks: NDArray[Any]) -> int:
    return max(SMALL // max(picks.size, 1), 16)


def _squares(points: NDArray[Any], others: NDArray[Any]) -> NDArray[Any]:
    """Give squared distances, good enough to tell which is least: never that to a row of NaN."""
    known = ~np.isnan(points).any(axis=1)
    centre = points[known].mean(axis=0) if known.any() else 0.0
    points, others = points - centre, others - centre
    squares: NDArray[Any] = (others**2).sum(axis=1) - 2 * points @ others.T
    return np.where(np.isnan(squares), np.inf, squares)


def _distances(points: NDArray[Any], others: NDArray[Any], which: NDArray[Any]) -> NDArray[Any]:
    distances: NDArray[Any] = np.sqrt(((points - others[which]) ** 2).sum(axis=1))
    return distances
