"""Where events go through: first into the journal, if there is one, then into the campaign."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from querist._campaign import Campaign
from querist._events import Asked, Event, Fitted, Grown, Told
from querist._interrupts import uninterrupted
from querist._rounds import JournalError

if TYPE_CHECKING:
    from querist._journal import Journal


class Ledger:
    """A campaign with its journal, which other processes may write to as well."""

    def __init__(self, campaign: Campaign, journal: Journal | None, n_rows: int) -> None:
        self.campaign = campaign
        self.n_rows = n_rows  # of the pool that is at hand
        # The model is not that of `campaign.fitted`: others made that fit, or one made here has broken off.
        self.must_refit = False
        self._journal = journal
        self.ended: list[int] = []  # rounds that ended by what happened here: their places in the history
        self._unsaved: list[Event] = []
        self._is_closed = False

    def let(self, *events: Event) -> None:
        """Let the events happen, once they are in the journal; or nothing, if others have made them wrong."""

        def happen() -> None:
            self._unsaved = []
            n_rounds = len(self.campaign.history)
            for event in events:
                self.campaign.apply(event)
            self.ended += range(n_rounds, len(self.campaign.history))

        if self._journal is None:
            with uninterrupted():
                happen()
        else:
            self._journal.append(
                [*self._unsaved, *events],
                take=self._take_over,
                overtaken=lambda others: _are_overtaken(events, others),
                then=happen,
            )

    def let_later(self, event: Fitted) -> None:
        """Let happen what may stand after what others write: it goes into the journal with the next event."""
        with uninterrupted():
            self.campaign.apply(event)
            if self._journal is not None:
                self._unsaved.append(event)

    def check_open(self) -> None:
        """Raise a JournalError if it is closed."""
        if self._is_closed:
            raise JournalError("the learner is closed; resume from its journal")

    def catch_up(self) -> None:
        """Let happen what other processes have written."""
        self.check_open()
        if self._journal is not None:
            self._journal.news(self._take_over)

    def save(self) -> None:
        """Write what is left to write."""
        if self._unsaved:
            self.let()

    def close(self) -> None:
        """Write what is left to write, and close the journal, also where that cannot be written."""
        if self._journal is not None:
            try:
                self.save()
            finally:
                self._unsaved = []
                self._is_closed = True
                self._journal.close()

    def _take_over(self, event: Event) -> None:
        if isinstance(event, Grown) and event.n > self.n_rows and self._journal is not None:
            raise JournalError(
                f"journal {self._journal.path}: the pool has grown to {event.n} rows, and here are the first "
                f"{self.n_rows}; give all of them to learner.extend, or to ActiveLearner.resume"
            )
        self.campaign.apply(event)
        self.must_refit |= isinstance(event, Fitted)


def _are_overtaken(events: Sequence[Event], others: Sequence[Event]) -> bool:
    """Tell whether one of the events is a batch that is no longer what should be asked, or growth by then."""
    if any(isinstance(event, Grown) for event in events):
        return any(isinstance(other, Grown) for other in others)
    asked = [event for event in events if isinstance(event, Asked)]
    rows = {row for event in asked for row in event.batch.indices.tolist()}
    return bool(asked) and any(
        isinstance(other, Asked) or (isinstance(other, Told) and not rows.isdisjoint(other.answers))
        for other in others
    )
