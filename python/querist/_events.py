"""What happens in a campaign: five small events, of which all else follows.

`Campaign` changes by them alone, and a journal is a list of them; to resume is to apply them again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from querist._protocols import Label
from querist._rounds import Batch


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A batch was leased."""

    time: float  # of the event: seconds since the epoch, in all of them
    number: int  # 1 for the first batch
    batch: Batch
    expires: float | None  # the time from which others may be asked the same
    score_seconds: float
    uncertainty: float
    predicted_shares: Mapping[Label, float]
    predictions: NDArray[np.unsignedinteger[Any]] | None  # in memory only: it grows with the pool


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """Answers came: labels and abstentions by pool index."""

    time: float
    answers: Mapping[int, Label]
    annotator: Label | None
    ticket: str | None  # of the batch that was told, if one was


@dataclass(frozen=True, slots=True, eq=False)
class Released:
    """A lease ran out, and its unanswered items went back to the pool."""

    time: float
    ticket: str


class Seen(NamedTuple):
    """What there was of a campaign when the model was fitted: how much of each."""

    answers: int
    changes: int  # new and revised labels
    labels: int
    rounds: int


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """The model was fitted."""

    time: float
    seconds: float
    metrics: Mapping[str, float]
    seen: Seen | None  # None in older journals: what there was at the event


@dataclass(frozen=True, slots=True, eq=False)
class Grown:
    """New rows came at the end of the pool."""

    time: float
    n: int  # rows from now on
    settings: Mapping[str, Any]  # what tells the longer pool from another; nothing without a journal


Event: TypeAlias = Asked | Told | Released | Fitted | Grown
