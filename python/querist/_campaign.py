"""The state of a campaign: what is known of each row, who was asked what, and the rounds that came of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from querist._events import Asked, Event, Fitted, Grown, Released, Seen, Told
from querist._labelled import Labelled, identity
from querist._protocols import Label
from querist._reasons import Reasons
from querist._rounds import ABSTAIN, Answer, Batch, Round


@dataclass(slots=True)
class Lease:
    """A batch that waits for answers."""

    asked: Asked
    waiting: set[int]


class Campaign:
    """All of a campaign that outlives a process. Only `apply` changes it."""

    def __init__(self, n: int, cost: NDArray[np.float64] | None, began: float) -> None:
        self.available = np.ones(n, dtype=bool)  # neither label nor abstention, though perhaps leased
        self.labelled = Labelled(n)
        self.record: list[Answer] = []
        self.leases: dict[str, Lease] = {}  # by ticket
        self.n_asked = 0
        self.history: list[Round] = []
        self._newest: list[Round] = []  # the newest round, and what was handed out of it before a fit
        self.changes = 0  # new and revised labels
        self.fitted: Seen | None = None  # by the newest fit
        self.grown: Grown | None = None  # the newest
        self.cost = cost  # of more rows than there are, perhaps: of those that the pool is about to have
        self._fits: dict[int, tuple[Seen, float]] = {}  # the newest after so many rounds, and its time
        self._latest: dict[int, Label] = {}
        self._said: dict[tuple[int, Label | None], Label] = {}  # the latest by row and annotator
        self._asked_in: dict[int, str] = {}
        self._asked_of: dict[int, Label | None] = {}  # whom each row was last leased to
        self._numbers: dict[str, int] = {}
        self._spent = 0.0
        self._began = began

    @property
    def labels(self) -> Mapping[int, Label]:
        """The label of each labelled row."""
        return self.labelled.by_row

    def whys(self) -> Iterator[Reasons]:
        """Give the reasons of all that was asked and is kept."""
        yield from (round.why for round in self.history)
        yield from (lease.asked.batch.why for lease in self.leases.values())

    def labelled_after(self, n_answers: int) -> Labelled:
        """Give the labels as they were after so many answers of the record."""
        if n_answers == len(self.record):
            return self.labelled
        labelled = Labelled(len(self.available))
        for answer in self.record[:n_answers]:
            if answer.label is not ABSTAIN:
                labelled.put(answer.index, answer.label)
        return labelled

    def free(self) -> NDArray[np.bool_]:
        """Say which rows can be leased."""
        free = self.available.copy()
        for lease in self.leases.values():
            free[lease.asked.batch.indices] = False
        return free

    def waiting(self, annotator: Label | None) -> Batch | None:
        """Give what the annotator has yet to answer, if anything."""
        for lease in self.leases.values():
            batch = lease.asked.batch
            if batch.annotator == annotator:
                return batch.only(self.available[batch.indices])
        return None

    def expired(self, now: float) -> list[str]:
        """Give the tickets of the leases that have run out."""
        return [
            ticket
            for ticket, lease in self.leases.items()
            if lease.asked.expires is not None and lease.asked.expires <= now
        ]

    def seen(self) -> Seen:
        """Say how much of the campaign a model has seen that is fitted now."""
        return Seen(len(self.record), self.changes, len(self.labels), len(self.history))

    def has_asked(self, ticket: str) -> bool:
        """Tell whether there was a batch with this ticket."""
        return ticket in self._numbers

    def owners(self, answers: Mapping[int, Label]) -> dict[Label | None, dict[int, Label]]:
        """Give the answers by whom their rows were last leased to; None has those that never were.

        Also when the lease is over: a row that is answered is not leased again, so that a file of answers is
        the same person's however often it is read.
        """
        owned: dict[Label | None, dict[int, Label]] = {}
        for index, label in answers.items():
            owned.setdefault(self._asked_of.get(index), {})[index] = label
        return owned

    def news(self, answers: Mapping[int, Label], annotator: Label | None) -> dict[int, Label]:
        """Give the answers that are neither what the annotator said last nor a label taken back.

        What was said last is no news from nobody in particular.
        """
        return {index: label for index, label in answers.items() if self._is_news(index, label, annotator)}

    def apply(self, event: Event) -> None:
        """Let it happen."""
        match event:
            case Asked():
                self._lease(event)
            case Told():
                self._answer(event)
            case Released():
                if lease := self.leases.pop(event.ticket, None):
                    batch = lease.asked.batch
                    answered = ~self.available[batch.indices]
                    if answered.any():
                        self._close(lease.asked, batch.only(answered), event.time)
            case Fitted():
                self._fit(event, event.seen or self.seen())
            case Grown():
                more = np.ones(event.n - len(self.available), dtype=bool)
                self.available = np.concatenate([self.available, more])
                self.labelled.grow(event.n)
                self.grown = event

    def _is_news(self, index: int, label: Label, annotator: Label | None) -> bool:
        if label is ABSTAIN and index in self.labels:
            return False
        said = [self._said.get((index, annotator))]  # no label is None
        if annotator is None:
            said.append(self._latest.get(index))
        return identity(label) not in map(identity, said)

    def _lease(self, event: Asked) -> None:
        batch = event.batch
        rows = batch.indices.tolist()
        self.leases[batch.ticket] = Lease(event, set(rows))
        self.n_asked = event.number
        self._numbers[batch.ticket] = event.number
        self._asked_in |= dict.fromkeys(rows, batch.ticket)
        self._asked_of |= dict.fromkeys(rows, batch.annotator)

    def _answer(self, event: Told) -> None:
        for index, label in event.answers.items():
            ticket = event.ticket if event.ticket in self._numbers else self._asked_in.get(index)
            number = None if ticket is None else self._numbers.get(ticket)
            self.record.append(Answer(index, label, event.annotator, event.time, number, ticket))
            self._latest[index] = self._said[index, event.annotator] = label
            if label is not ABSTAIN:
                self.changes += self.labelled.put(index, label)
            if self.available[index]:
                self.available[index] = False
                self._spent += 1.0 if self.cost is None else float(self.cost[index])
        for ticket, lease in list(self.leases.items()):
            lease.waiting -= event.answers.keys()
            if not lease.waiting:
                del self.leases[ticket]
                self._close(lease.asked, lease.asked.batch, event.time)

    def _fit(self, event: Fitted, seen: Seen) -> None:
        # Others may answer and fit before this is in the journal: the order of fits must not matter.
        if self.fitted is None or self.fitted < seen:
            self.fitted = seen
        fit = seen, event.time
        if self._fits.setdefault(seen.rounds, fit) > fit:
            return
        self._fits[seen.rounds] = fit
        if seen.rounds:
            last = seen.rounds - 1
            self.history[last] = replace(
                self.history[last],
                n_labels=seen.labels,
                fit_seconds=event.seconds,
                metrics=event.metrics,
            )
            if seen.rounds == len(self.history):
                self._newest.append(self.history[last])

    def _close(self, asked: Asked, batch: Batch, time: float) -> None:
        for round in self._newest:
            round.drop_predictions()
        labels = self.labels
        self.history.append(
            Round(
                batch.indices,
                batch.scores,
                batch.ticket,
                annotator=batch.annotator,
                why=batch.why,
                number=len(self.history) + 1,
                labels=tuple(labels.get(index, ABSTAIN) for index in batch.indices.tolist()),
                n_labels=len(labels),
                score_seconds=asked.score_seconds,
                cost=float(len(batch) if self.cost is None else self.cost[batch.indices].sum()),
                total_cost=self._spent,
                elapsed=time - self._began,
                uncertainty=asked.uncertainty,
                predicted_shares=asked.predicted_shares,
                predictions=asked.predictions,
            )
        )
        self._newest = self.history[-1:]
