"""Class balance: what was asked about, against what the model sees in the pool."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from querist._protocols import Label
from querist._rounds import Round

EXPECTED = 30  # labels of a class that random picks would have brought, before a lack of them is told
LACK = 4  # times fewer than those


class ClassStarvedWarning(UserWarning):
    """Warned once a class: it has far fewer labels than its share of the pool, as predicted, lets expect.

    Examples
    --------
    >>> import warnings
    >>> import querist as qr
    >>> warnings.simplefilter("ignore", qr.ClassStarvedWarning)
    """


class Balance(NamedTuple):
    """Shares of a class, from 0 to 1: among the labels, and among the predictions of the pool."""

    labeled: float
    predicted: float


def predicted_shares(
    predictions: NDArray[np.unsignedinteger[Any]] | None, classes: NDArray[Any] | None
) -> dict[Label, float]:
    """Give the share of each class that the model was fitted on; nothing if it is not known what they are."""
    if predictions is None or classes is None:
        return {}
    counts = np.bincount(predictions, minlength=len(classes))[: len(classes)]
    return dict(zip(classes.tolist(), (counts / len(predictions)).tolist(), strict=True))


def class_balance(labels: Mapping[int, Label], predicted: Mapping[Label, float]) -> dict[Label, Balance]:
    """Give both shares of each class that was labelled or predicted, the most predicted first."""
    counts = Counter(labels.values())
    names = sorted({*counts, *predicted}, key=lambda name: (-predicted.get(name, 0.0), str(name)))
    total = max(len(labels), 1)
    return {name: Balance(counts[name] / total, predicted.get(name, 0.0)) for name in names}


def warn_of_starved(round: Round, labels: Mapping[int, Label], warned: set[Label]) -> None:
    """Warn of each class that starves after the round, but those that were `warned` of."""
    for name, balance in class_balance(labels, round.predicted_shares).items():
        expected = balance.predicted * len(labels)
        got = balance.labeled * len(labels)
        if name in warned or expected < EXPECTED or got * LACK > expected:
            continue
        warned.add(name)
        warnings.warn(
            f"class {name!r}: {got:.0f} of {len(labels)} labels, though {balance.predicted:.0%} of the "
            f"pool are predicted to be of it; epsilon= or a diverse strategy asks about more of them",
            ClassStarvedWarning,
            stacklevel=4,
        )
