"""Batches that go out as files, and come back with answers."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TextIO, TypeAlias

import numpy as np

from querist._protocols import Label
from querist._rounds import ABSTAIN, Batch

Fields: TypeAlias = Mapping[str, Any]

OWN = ("ticket", "index", "label")
MARK = "\ufeff"  # by this Excel knows UTF-8


class FileExchange:
    """Batches as files in a directory, for a person with a spreadsheet or for another tool.

    `export` writes a batch, a row for each item, with nothing for a label. Somebody fills in labels, all or
    some, or the word ``abstain``, capital or not. `answers` reads them for `ActiveLearner.tell`, as often as
    one likes: the same answers told again change nothing, and a corrected one is a revision.

    Parameters
    ----------
    directory : path
        Where the files are; made if it is not there. TICKET.csv is to be filled in; TICKET.asked.csv stays as
        it went out, and answers are checked against it. A file that is there is never written over.
    classes : sequence of labels
        The labels that there are; their texts are what is filled in.
    format : {"csv", "jsonl"}, default "csv"
        "csv" for spreadsheets, in UTF-8; one saved with semicolons or tabs is read too. "jsonl" for tools: an
        object a line, `null` for no label yet.
    show : callable, optional
        From an index to a mapping of the fields to write beside ticket, index and label: what somebody needs
        to see in order to answer. By default none. For one index always the same: by them a file of another
        campaign is known.

    Raises
    ------
    ValueError
        If there are no classes, two have the same text, or one has none or "abstain", or if the format is
        another.
    TypeError
        If the classes are a text.

    Examples
    --------
    >>> import tempfile
    >>> import querist as qr
    >>> texts = ["good", "so so", "bad"]
    >>> learner = qr.ActiveLearner(lambda X: [[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]], texts, batch_size=2)
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     exchange = qr.oracle.FileExchange(directory, [0, 1], show=lambda index: {"text": texts[index]})
    ...     batch = learner.ask()
    ...     path = exchange.export(batch)
    ...     content = path.read_text(encoding="utf-8-sig")
    ...     print(content.replace(batch.ticket, "TICKET"), end="")
    ...     _ = path.write_text(content.replace("bad,", "bad,1"))
    ...     learner.tell(*exchange.answers(batch))
    ticket,index,text,label
    TICKET,1,so so,
    TICKET,2,bad,
    >>> learner.labels
    {2: 1}
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        classes: Iterable[Label],
        *,
        format: Literal["csv", "jsonl"] = "csv",
        show: Callable[[int], Fields] | None = None,
    ) -> None:
        if format not in ("csv", "jsonl"):
            raise ValueError(f"format: expected 'csv' or 'jsonl', got {format!r}")
        self._directory = Path(directory)
        self._labels = _by_text(classes)
        self._format = format
        self._show = show or (lambda _: {})

    def export(self, batch: Batch) -> Path:
        """Write a batch; one that has been written is left as it is, if it is this one.

        Returns
        -------
        Path
            The file to fill in.

        Raises
        ------
        ValueError
            If what `show` gives has other fields for one item than for another, or one called ticket, index
            or label; or if the file of this ticket is there but went out with other items or fields.
        TypeError
            If it gives what JSON cannot hold, in a file of that.
        """
        path, asked = self._paths(batch)
        content = self._content(batch)
        self._directory.mkdir(parents=True, exist_ok=True)
        if asked.exists():
            self._check_same(content, asked)
        for target in (asked, path):
            if not target.exists():
                _write(target, content)
        return path

    def answers(self, batch: Batch) -> tuple[Batch, list[Label]]:
        """Give the items that are answered so far, under the batch's ticket and annotator, and their labels.

        Parameters
        ----------
        batch : Batch
            One that was exported; each round of the learner's history is one too.

        Raises
        ------
        FileNotFoundError
            If the batch was not exported here.
        ValueError
            If the file is not what was exported with labels filled in: another ticket, an index that was not
            asked about, a label that is no class, two labels for one index. The message has file and line.
        """
        path, asked = self._paths(batch)
        indices = {str(row["index"]): int(row["index"]) for _, row in self._read(asked)}
        answers: dict[int, Label] = {}
        for where, row in self._read(path):
            ticket, index, text = (_text(row, name, where) for name in OWN)
            if ticket != batch.ticket:
                raise ValueError(f"{where}: expected the ticket {batch.ticket!r}, got {ticket!r}")
            if index not in indices:
                raise ValueError(f"{where}: expected an index that was asked about, got {index!r}")
            if text == "":
                continue
            text = ABSTAIN.value if text.lower() == ABSTAIN.value else text
            if text not in self._labels:
                raise ValueError(f"{where}: expected a label of {list(self._labels)}, got {text!r}")
            first, label = answers.setdefault(indices[index], self._labels[text]), self._labels[text]
            if first != label:
                raise ValueError(
                    f"{where}: expected one label for index {index}, got {first!r} and {label!r}"
                )
        told = np.array(list(answers), np.int64)
        scores = np.full(len(told), np.nan)  # a file has none
        return Batch(told, scores, batch.ticket, annotator=batch.annotator), list(answers.values())

    def _paths(self, batch: Batch) -> tuple[Path, Path]:
        name = self._directory / batch.ticket
        return Path(f"{name}.{self._format}"), Path(f"{name}.asked.{self._format}")

    def _content(self, batch: Batch) -> str:
        lines: list[dict[str, Any]] = []
        for index in batch.indices.tolist():
            fields = self._show(index)
            if taken := fields.keys() & set(OWN):
                raise ValueError(f"show: expected other fields than {OWN}, got {min(taken)!r}")
            lines.append({"ticket": batch.ticket, "index": index, **fields, "label": None})
            if lines[-1].keys() != lines[0].keys():
                raise ValueError(
                    f"show: expected the fields {list(lines[0])} for each row, got {list(lines[-1])}"
                )
        if self._format == "jsonl":
            return "".join(map(_json_text, lines))
        import csv

        content = io.StringIO()
        table = csv.DictWriter(content, list(lines[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(lines)
        return MARK + content.getvalue()

    def _check_same(self, content: str, asked: Path) -> None:
        """Raise unless the file has these rows; it may have more, which are answered by now, or fewer."""
        there = {row["index"]: row for _, row in self._read(asked)}
        rows = [row for _, row in self._rows(io.StringIO(content.removeprefix(MARK), newline=""), asked)]
        known = [row for row in rows if row["index"] in there]
        differs = [
            f"{name} {there[row['index']][name]!r} for index {row['index']}, got {value!r}"
            for row in known
            for name, value in row.items()
            if repr(there[row["index"]].get(name, value)) != repr(value)  # NaN is NaN
        ]
        if differs or not known:
            has = differs[0] if differs else "none of these items"
            raise ValueError(
                f"batch: {asked} is of another batch, or `show` has changed: it has {has}; give each "
                "campaign a directory of its own"
            )

    def _read(self, path: Path) -> list[tuple[str, Fields]]:
        """Give the rows, each with where it stands."""
        # Some spreadsheets save in an older encoding; it would show in a label, which is checked.
        with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
            return self._rows(file, path)

    def _rows(self, file: TextIO, path: Path) -> list[tuple[str, Fields]]:
        return list(_json_rows(file, path) if self._format == "jsonl" else _csv_rows(file, path))


def _by_text(classes: Iterable[Label]) -> dict[str, Label]:
    """Give the label that each text stands for."""
    if isinstance(classes, str | bytes):
        raise TypeError(f"classes: expected a sequence of labels, got {classes!r}")
    labels: dict[str, Label] = {}
    for label in classes:
        text = str(label).strip()
        if text in ("", *labels) or text.lower() == ABSTAIN.value:
            raise ValueError(f"classes: expected each to have a text of its own, got {text!r} for {label!r}")
        labels[text] = label
    if not labels:
        raise ValueError("classes: expected at least one, got none")
    for word in ("TRUE", "FALSE"):  # as spreadsheets write them, however they were written
        meant = [label for text, label in labels.items() if text.upper() == word]
        if len(meant) == 1:
            labels[word] = meant[0]
    return labels | {ABSTAIN.value: ABSTAIN}


def _csv_rows(file: TextIO, path: Path) -> Iterator[tuple[str, Fields]]:
    import csv

    header = file.readline()
    file.seek(0)
    rows = csv.DictReader(file, delimiter=max(",;\t", key=header.count))
    try:
        names = list(rows.fieldnames or [])
        if missing := [name for name in OWN if name not in names]:
            raise ValueError(f"{path}, line 1: expected a field {missing[0]!r}, got {names}")
        for row in rows:
            if not any(row.values()):  # as spreadsheets leave them
                continue
            where = f"{path}, line {rows.line_num}"
            if None in row:
                raise ValueError(f"{where}: expected a cell for each of {names}, got more")
            yield where, row
    except csv.Error as error:  # a cell without an end, say
        raise ValueError(f"{path}, line {rows.line_num}: expected CSV, got what is none: {error}") from error


def _json_text(line: Fields) -> str:
    """Give a line of a file; scalars of numpy are plain ones there."""
    import json

    fields = []
    for name, value in line.items():
        try:
            field = json.dumps({name: value}, ensure_ascii=False, default=np.generic.item)
        except (TypeError, ValueError, RecursionError) as error:
            raise TypeError(
                f"show: expected for {name!r} of index {line['index']} what JSON can hold, got {value!r}; "
                "pass it as text"
            ) from error
        fields.append(field[1:-1])
    return f"{{{', '.join(fields)}}}\n"


def _json_rows(file: TextIO, path: Path) -> Iterator[tuple[str, Fields]]:
    import json

    number = 0
    for number, line in enumerate(file, 1):
        where = f"{path}, line {number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:  # brackets may nest too deep, a number be too long
            raise ValueError(f"{where}: expected an object in JSON, got {line.strip()!r}") from error
        if not isinstance(row, dict):
            raise ValueError(f"{where}: expected an object in JSON, got {row!r}")
        yield where, row
    if number == 0:
        raise ValueError(f"{path}: expected an object for each item, got an empty file")


def _text(row: Fields, name: str, where: str) -> str:
    if name not in row:
        raise ValueError(f"{where}: expected a field {name!r}, got {list(row)}")
    return "" if row[name] is None else str(row[name]).strip()


def _write(path: Path, content: str) -> None:
    """Write a file at once or not at all; one that has come to be there stays, as it may be filled in."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        _fill(draft, "w", content)
        try:
            os.link(draft, path)  # which takes the place of no file
        except FileExistsError:
            pass
        except OSError:  # a file system without links: the file is there by halves while it is written
            with contextlib.suppress(FileExistsError):
                _fill(path, "x", content)
    finally:
        draft.unlink(missing_ok=True)


def _fill(path: Path, mode: Literal["w", "x"], content: str) -> None:
    with open(path, mode, encoding="utf-8", newline="") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
