"""The command `querist journal`: check a journal, tell what is in it, write its answers as CSV."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from querist._campaign import Campaign
from querist._csv import write_csv
from querist._event_text import label_value
from querist._events import Event
from querist._journal import Began, Journal
from querist._protocols import Label
from querist._rounds import ABSTAIN, Answer, JournalError
from querist._table import table

ACTIONS = {
    "verify": "read all of it, check every seal and page, and say what is wrong",
    "show": "tell what the campaign was begun with and how far it is",
    "export": "write every answer as CSV, also those that were corrected; --labels: those that hold now",
}


def add_journal_command(commands: Any) -> None:
    """Add the command to the subparsers of `querist`."""
    parser = commands.add_parser("journal", help="check, show or export the journal of a campaign")
    actions = parser.add_subparsers(dest="action", required=True, metavar="action")
    for action, does in ACTIONS.items():
        each = actions.add_parser(action, help=does)
        each.add_argument("path", help="the journal, such as run.db")
        if action == "export":
            each.add_argument(
                "--labels",
                action="store_true",
                help="only the answers that are the labels now, one for each index: a training set; without "
                "it there are also abstentions, and answers that others have taken the place of",
            )


def journal_command(arguments: argparse.Namespace) -> int:
    """Do the action; 1 where the journal cannot be read, and why on standard error."""
    try:
        journal = Journal.opened(arguments.path, "ro")
        try:
            if arguments.action == "verify":
                journal.check()
            began, campaign, n_events = _replayed(journal)
        finally:
            journal.close()
    except JournalError as error:
        print(error, file=sys.stderr)
        return 1
    if arguments.action == "verify":
        print(f"{arguments.path}: good, {n_events} events, {len(campaign.labels)} labels")
    elif arguments.action == "show":
        print(_shown(began, campaign))
    else:
        _export(_holding(campaign.record) if arguments.labels else campaign.record)
    return 0


def _replayed(journal: Journal) -> tuple[Began, Campaign, int]:
    began = journal.began
    assert began is not None, "an opened journal has begun"
    campaign = Campaign(began.settings["X shape"][0], None, began.time)
    events: list[Event] = []
    journal.news(events.append)
    for event in events:
        campaign.apply(event)
    return began, campaign, 1 + len(events)


def _shown(began: Began, campaign: Campaign) -> str:
    grown = {} if campaign.grown is None else campaign.grown.settings
    facts: Mapping[str, Any] = {
        "begun": _time(began.time),
        "querist": began.querist,
        **{name: value for name, value in {**began.settings, **grown}.items() if value is not None},
        **({"rows at first": began.settings["X shape"][0]} if grown else {}),
        "answers": len(campaign.record),
        "labels": len(campaign.labels),
        "abstentions": len(campaign.available) - int(campaign.available.sum()) - len(campaign.labels),
        "rounds": len(campaign.history),
        "open batches": len(campaign.leases),
    }
    return table([(name, str(value)) for name, value in facts.items()])


def _holding(record: Sequence[Answer]) -> list[Answer]:
    """Give the answers that are labels, row by row: the last of each, as an abstention takes none back."""
    holding = {answer.index: answer for answer in record if answer.label is not ABSTAIN}
    return [holding[index] for index in sorted(holding)]


def _export(answers: Iterable[Answer]) -> None:
    header = ("index", "label", "annotator", "time", "round", "ticket")
    rows = [
        (
            answer.index,
            _text(answer.label),
            "" if answer.annotator is None else _text(answer.annotator),
            _time(answer.time),
            answer.round,
            answer.ticket,
        )
        for answer in answers
    ]
    write_csv(sys.stdout, [header, *rows])


def _text(label: Label) -> str:
    """Give a string that can be written as it is, an abstention as nothing, any other label as JSON.

    So is the empty string, which would look like an abstention.
    """
    if isinstance(label, str) and label and _can_be_written(label):
        return label
    value = label_value(label, "label")
    return "" if value is None else json.dumps(value)


def _can_be_written(text: str) -> bool:
    """Tell whether standard output has all of the characters; half a surrogate pair it never has."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
