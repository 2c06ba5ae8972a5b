"""What a campaign hands out and keeps: a batch of questions, and the round it became."""

from __future__ import annotations

import enum
import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from querist._protocols import Label
from querist._reasons import Reason, Reasons, explained


class PoolExhausted(Exception):
    """Raised by `ActiveLearner.ask` when no row is left to ask about: answered, or leased to others.

    Examples
    --------
    >>> import querist as qr
    >>> learner = qr.ActiveLearner(lambda X: X, [[0.5, 0.5]], labels={0: "cat"})
    >>> try:
    ...     learner.ask()
    ... except qr.PoolExhausted as error:
    ...     print(error)
    none of the 1 rows of the pool is left to ask about
    """


class JournalError(Exception):
    """Raised where a journal cannot be read, written or continued; what it holds is left as it is.

    Examples
    --------
    >>> import querist as qr
    >>> try:
    ...     qr.ActiveLearner.resume(lambda X: X, [[0.5, 0.5]], journal="no-such.db")
    ... except qr.JournalError as error:
    ...     print(error)
    journal no-such.db: there is no such file
    """


class Abstain(enum.Enum):
    """The type of `ABSTAIN`: an enum, so that a copy in another process is the same object."""

    ABSTAIN = "abstain"

    def __repr__(self) -> str:
        return self.name

    def __str__(self) -> str:
        return self.value


ABSTAIN: Final = Abstain.ABSTAIN
"""The answer of an oracle that does not know: no label, and the item is not asked again."""


def ticket_of(number: int, indices: NDArray[np.int64], campaign: str) -> str:
    """Give the identity of the batch of this number, unlike that of another campaign."""
    content = campaign.encode() + indices.tobytes()
    return f"{number}-{hashlib.blake2b(content, digest_size=6).hexdigest()}"


NO_REASONS = Reasons(())


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """The items to label now: the answer of `ActiveLearner.ask`.

    Attributes
    ----------
    indices : (k,) int64 array, read-only
        Rows of the pool, the one to ask first in front.
    scores : (k,) float array, read-only
        The score of each, larger means ask first; NaN for a random pick. They are the `values` of the `Picks`
        that the selection gave: of a diverse one distances or gains.
    ticket : str
        The batch's identity, the same until its last item is answered: the same items of an
        equal pool, asked for with an equal seed, have the same, so it can serve as an idempotency key.
    annotator : hashable, optional
        Who it is leased to.
    reasons : tuple of mappings
        Why each was picked: `rank` in the batch as it was asked, 1 for the first; `picked_by`, the selection;
        `value`, what it gave: a score, a distance or a gain; the score by its name and the `density` where
        there are some; `predicted`, the likeliest label or column; for a margin, if the model saw the pool in
        one piece, `predicted_share`, the `runner_up` and `runner_up_share`; and, where features are at hand,
        the euclidean distances `nearest_labeled` and `nearest_picked`, to the picks of lower rank.

    Examples
    --------
    >>> import querist as qr
    >>> pool = [[0.9, 0.1], [0.5, 0.5], [0.7, 0.3]]
    >>> batch = qr.ActiveLearner(lambda X: X, pool, batch_size=2).ask()
    >>> batch.indices
    array([1, 2])
    >>> len(batch)
    2
    """

    indices: NDArray[np.int64]
    scores: NDArray[np.floating[Any]]
    ticket: str
    annotator: Label | None = field(default=None, kw_only=True)
    why: Reasons = field(default=NO_REASONS, kw_only=True, repr=False)

    def __post_init__(self) -> None:
        # The learner works from the same arrays: an in-place sort by a caller must fail.
        self.indices.flags.writeable = False
        self.scores.flags.writeable = False

    def __len__(self) -> int:
        return len(self.indices)

    def only(self, rows: NDArray[np.bool_]) -> Batch:
        """Give the batch of some of the items, under the same ticket."""
        if rows.all():
            return self
        return replace(self, indices=self.indices[rows], scores=self.scores[rows], why=self.why.only(rows))

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Why each was picked; made when it is first read, of what was known at the ask."""
        return self.why.all()

    def explain(self) -> str:
        """Say in words why each item was picked, a line for each.

        Examples
        --------
        >>> import querist as qr
        >>> pool = [[0.9, 0.1], [0.5, 0.5], [0.7, 0.3]]
        >>> print(qr.ActiveLearner(lambda X: X, pool, batch_size=2).ask().explain())
        1. row 1: margin 1, predicted 0 (0.5) against 1 (0.5); picked by top_k
        2. row 2: margin 0.6, predicted 0 (0.7) against 1 (0.3); picked by top_k
        """
        return explained(self.indices, self.reasons)


@dataclass(frozen=True, slots=True, eq=False)
class Round(Batch):
    """A batch with all its answers: an entry of `ActiveLearner.history`.

    Attributes
    ----------
    indices, scores, ticket, annotator
        Of the whole batch, as in `Batch`; of its answered items where the lease ran out.
    number : int
        1 for the first round that ended.
    labels : tuple
        The answer to each index, `ABSTAIN` where there was none.
    n_labels : int
        Labels in hand at the end of the round, those told outside of batches included.
    score_seconds : float
        Time to predict the pool, score it and pick the batch, in seconds.
    fit_seconds : float
        Time to fit the model on those labels, in seconds; 0 until it is done.
    metrics : mapping of str to float
        What `validation` gave for the model fitted on those labels; empty without a
        `validation`, in the cold start, and until that fit is done.
    cost : float
        What its answers cost, abstentions too: the sum of the learner's `cost`, or 1 each.
    total_cost : float
        What all answers so far cost, those told outside of batches included.
    elapsed : float
        Time from the start of the campaign to the last answer, in seconds.
    uncertainty : float
        Mean entropy of the rows that could be asked, over ln c: from 0 to 1, of the model that picked;
        NaN where the picks asked no model, or one of those rows is no distribution.
    predicted_shares : mapping of label to float
        The share of each class among those predictions; empty for a function, whose classes have no names.
    predictions : (n,) unsigned integer array, or None
        The likeliest class of every row of the pool, as a column number, by the model that picked; for an
        answered row whose probabilities are not valid, the largest value of the type. On the newest round
        only: None on older ones, and where `uncertainty` is NaN.

    Examples
    --------
    >>> import querist as qr
    >>> learner = qr.ActiveLearner(lambda X: X, [[0.9, 0.1], [0.5, 0.5]], batch_size=1)
    >>> for round in learner.run(lambda indices, rows: ["cat"] * len(indices)):
    ...     print(round.number, round.indices, round.labels, round.n_labels)
    1 [1] ('cat',) 1
    2 [0] ('cat',) 2
    """

    number: int
    labels: tuple[Label, ...]
    n_labels: int
    score_seconds: float
    fit_seconds: float = 0.0
    metrics: Mapping[str, float] = field(default_factory=dict)
    cost: float = 0.0
    total_cost: float = 0.0
    elapsed: float = 0.0
    uncertainty: float = math.nan
    predicted_shares: Mapping[Label, float] = field(default_factory=dict)
    predictions: NDArray[np.unsignedinteger[Any]] | None = None

    def drop_predictions(self) -> None:
        """Let go of the one array that grows with the pool, also for whoever keeps this round."""
        object.__setattr__(self, "predictions", None)


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer as it came: an entry of `ActiveLearner.record`.

    Attributes
    ----------
    index : int
        The row of the pool.
    label : label or ABSTAIN
        The answer.
    annotator : hashable or None
        Whose it is.
    time : float
        When it came, in seconds since the epoch.
    round : int or None
        The number of the batch in which the row was asked, 1 for the first; None if it was not.
    ticket : str or None
        The ticket of that batch.

    Examples
    --------
    >>> import querist as qr
    >>> learner = qr.ActiveLearner(lambda X: X, [[0.9, 0.1], [0.5, 0.5]])
    >>> learner.tell([0], ["cat"], annotator="ann")
    >>> learner.tell([0], ["cow"], annotator="bob")
    >>> [(answer.label, answer.annotator) for answer in learner.record]
    [('cat', 'ann'), ('cow', 'bob')]
    """

    index: int
    label: Label
    annotator: Label | None
    time: float
    round: int | None
    ticket: str | None
