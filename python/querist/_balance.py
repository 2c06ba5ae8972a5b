"""Class balance: what was asked about, against what the model sees in the pool."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from querist._labelled import Labelled
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


def class_balance(labelled: Labelled, predicted: Mapping[Label, float]) -> dict[Label, Balance]:
    """Give both shares of each class that was labelled or predicted, the most predicted first."""
    sizes = labelled.sizes()
    names = sorted({*sizes, *predicted}, key=lambda name: (-predicted.get(name, 0.0), str(name)))
    total = max(len(labelled.by_row), 1)
    return {name: Balance(sizes.get(name, 0) / total, predicted.get(name, 0.0)) for name in names}


def warn_of_starved(round: Round, labelled: Labelled, warned: set[Label]) -> None:
    """Warn of each class that starves after the round, but those that were `warned` of."""
    shares = round.predicted_shares
    if not shares:
        return
    sizes, n = labelled.sizes(), len(labelled.by_row)
    starved = [
        name
        for name, share in shares.items()
        if share * n >= EXPECTED and sizes.get(name, 0) * LACK <= share * n and name not in warned
    ]
    for name in sorted(starved, key=lambda name: (-shares[name], str(name))):
        warned.add(name)
        warnings.warn(
            f"class {name!r}: {sizes.get(name, 0)} of {n} labels, though {shares[name]:.0%} of the "
            f"pool are predicted to be of it; epsilon= or a diverse strategy asks about more of them",
            ClassStarvedWarning,
            stacklevel=5,
        )
