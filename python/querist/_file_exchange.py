"""Batches that go out as files, and come back with answers."""

from __future__ import annotations

import contextlib
import io
import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TextIO, TypeAlias

import numpy as np

from querist._answers import composed, plain_labels
from querist._csv import write_csv
from querist._labelled import identity
from querist._protocols import Label
from querist._rounds import ABSTAIN, Batch

Fields: TypeAlias = Mapping[str, Any]
Row: TypeAlias = tuple[str, Fields | str]  # where it stands, and its fields, or what is wrong with it

OWN = ("ticket", "index", "label")
MARK = "\ufeff"  # by this Excel knows UTF-8
LONGEST = 40  # characters of an annotator in a file's name, which may have 255 bytes


class FileExchange:
    """Batches as files in a directory, for a person with a spreadsheet or for another tool.

    `export` writes a batch, a row for each item, with nothing for a label. Somebody fills in labels, all or
    some, or the word ``abstain``. `answers` reads them for `ActiveLearner.tell`, as often as one likes: the
    same answers told again change nothing, and a corrected one is a revision.

    Parameters
    ----------
    directory : path
        Where the files are; made if it is not there. ANNOTATOR-TICKET.csv is to be filled in, or TICKET.csv
        of a batch that is nobody's; the one that ends in .asked.csv stays as it went out, and answers are
        checked against it. A file that is there is never written over.
    classes : sequence of labels
        The labels that there are; their texts are what is filled in. Capitals do not matter where the text
        is that of one class without them, and 3.0, as spreadsheets and pandas save it, is the class 3.
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
        If there are no classes, two have the same text, or one has none or "abstain" or is None or NaN, or if
        the format is another.
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
            or label, or a text that UTF-8 does not have; or if the file of this ticket is there but went out
            with other items or fields.
        TypeError
            If it gives what JSON cannot hold, in a file of that.
        """
        path, asked = self._paths(batch)
        content = self._content(batch)
        try:
            content.encode()
        except UnicodeEncodeError as error:  # half a surrogate pair
            around = content[max(error.start - 20, 0) : error.end + 20]
            raise ValueError(f"show: expected text that UTF-8 has, got {around!r}") from error
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
            If the file that went out, which answers are checked against, has been damaged.

        Warns
        -----
        UserWarning
            If something in the file is no answer: a label that is no class, two labels for one index, an
            index that was not asked about, another ticket, a line or a file of another shape. The warning
            lists all of it, each with its line, what was expected and what came. The other answers are
            given; what was left out is read again the next time, until it is put right.
        """
        path, asked = self._paths(batch)
        indices = {str(row["index"]): int(row["index"]) for row in self._sound(asked)}
        answers: dict[int, Label] = {}
        wrong, contested = [], set()
        for where, row in self._read(path):
            answer = row if isinstance(row, str) else self._answer(row, batch.ticket, indices)
            if isinstance(answer, str):
                wrong.append(f"{where}: {answer}")
            elif answer:
                index, label = answer
                first = answers.setdefault(index, label)
                if identity(first) != identity(label):
                    wrong.append(
                        f"{where}: expected one label for index {index}, got {first!r} and {label!r}"
                    )
                    contested.add(index)
        for index in contested:
            del answers[index]
        if wrong:
            listed = "\n".join(wrong)
            warnings.warn(
                f"what is no answer is left out, and read again until it is put right:\n{listed}",
                stacklevel=2,
            )
        told = np.array(list(answers), np.int64)
        scores = np.full(len(told), np.nan)  # a file has none
        return Batch(told, scores, batch.ticket, annotator=batch.annotator), list(answers.values())

    def _paths(self, batch: Batch) -> tuple[Path, Path]:
        name = self._directory / _named(batch)
        before = self._directory / batch.ticket  # as all were named once
        if before.with_name(f"{batch.ticket}.asked.{self._format}").exists():
            name = before
        return Path(f"{name}.{self._format}"), Path(f"{name}.asked.{self._format}")

    def _answer(self, row: Fields, ticket: str, indices: dict[str, int]) -> tuple[int, Label] | str | None:
        """Give the index and its label, what is wrong, or None where nothing is filled in."""
        if missing := [name for name in OWN if name not in row]:
            return f"expected a field {missing[0]!r}, got {list(row)}"
        came, index, text = ("" if row[name] is None else composed(str(row[name])) for name in OWN)
        if came != ticket:
            return f"expected the ticket {ticket!r}, got {came!r}"
        if _whole(index) not in indices:
            return f"expected an index that was asked about, got {index!r}"
        if text == "":
            return None
        name = self._meant(text)
        if name is None:
            return f"expected a label of {list(self._labels)}, got {text!r}"
        return indices[_whole(index)], self._labels[name]

    def _meant(self, text: str) -> str | None:
        """Give the text of the class that is meant, as spreadsheets and people write it, if it is one."""
        if text in self._labels:
            return text
        alike = [name for name, label in self._labels.items() if _bare(name, label) == _bare(text, label)]
        return alike[0] if len(alike) == 1 else None

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
        content, names = io.StringIO(), list(lines[0])
        write_csv(content, [names, *([line[name] for name in names] for line in lines)])
        return MARK + content.getvalue()

    def _check_same(self, content: str, asked: Path) -> None:
        """Raise unless the file has these rows; it may have more, which are answered by now, or fewer."""
        there = {row["index"]: row for row in self._sound(asked)}
        file = io.StringIO(content.removeprefix(MARK), newline="")
        rows = [row for _, row in self._rows(file, asked) if not isinstance(row, str)]
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

    def _sound(self, path: Path) -> list[Fields]:
        """Give the rows of a file that nobody is to have written in."""
        rows = []
        for where, row in self._read(path):
            if isinstance(row, str):
                raise ValueError(f"{where}: {row}")
            if not (row.keys() >= set(OWN) and str(row["index"]).isdecimal()):
                got = row.get("index", row)
                raise ValueError(f"{where}: expected an index, got {got!r}; the file is not as it went out")
            rows.append(row)
        return rows

    def _read(self, path: Path) -> list[Row]:
        # Some spreadsheets save in an older encoding; it would show in a label, which is checked.
        with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
            return list(self._rows(file, path))

    def _rows(self, file: TextIO, path: Path) -> Iterator[Row]:
        return _json_rows(file, path) if self._format == "jsonl" else _csv_rows(file, path)


def _named(batch: Batch) -> str:
    """Give the name of a batch's files: whose it is, as far as any file system can say it, and the ticket."""
    whose = "" if batch.annotator is None else re.sub(r"[^\w-]+", "_", str(batch.annotator)).strip("_")
    return f"{whose[:LONGEST]}-{batch.ticket}" if whose else batch.ticket


def _by_text(classes: Iterable[Label]) -> dict[str, Label]:
    """Give the label that each text stands for."""
    if isinstance(classes, str | bytes):
        raise TypeError(f"classes: expected a sequence of labels, got {classes!r}")
    labels: dict[str, Label] = {}
    listed = list(classes)
    plain_labels(listed, "classes", each="text")  # or an error
    for label in listed:
        text = composed(str(label))
        if text in ("", *labels) or text.lower() == ABSTAIN.value:
            raise ValueError(f"classes: expected each to have a text of its own, got {text!r} for {label!r}")
        labels[text] = label
    if not labels:
        raise ValueError("classes: expected at least one, got none")
    return labels | {ABSTAIN.value: ABSTAIN}


def _bare(text: str, label: Label) -> str:
    """Give a text without capitals, and that of a number without the zeros behind its point."""
    is_number = isinstance(label, int | float | np.number) and not isinstance(label, bool)
    return _whole(text) if is_number else text.casefold()


def _whole(text: str) -> str:
    """Give an integer as it is written, also where a spreadsheet or pandas made 3.0 of it."""
    return re.sub(r"\.0+\Z", "", text)


def _csv_rows(file: TextIO, path: Path) -> Iterator[Row]:
    import csv

    header = file.readline()
    file.seek(0)
    rows = csv.DictReader(file, delimiter=max(",;\t", key=header.count))
    try:
        names = list(rows.fieldnames or [])
        if missing := [name for name in OWN if name not in names]:
            yield f"{path}, line 1", f"expected a field {missing[0]!r}, got {names}"
            return
        for row in rows:
            if not any(row.values()):  # as spreadsheets leave them
                continue
            where = f"{path}, line {rows.line_num}"
            torn = None in row.values() and any("\n" in cell for cell in row.values() if cell)
            if None in row or torn:  # last cells that are empty, some spreadsheets leave out
                got = "one that goes on over lines, as a quote that is not closed does" if torn else "more"
                yield where, f"expected a cell for each of {names}, got {got}"
            else:
                yield where, row
    except csv.Error as error:  # a cell without an end, say
        yield f"{path}, line {rows.line_num}", f"expected CSV, got what is none: {error}"


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


def _json_rows(file: TextIO, path: Path) -> Iterator[Row]:
    import json

    number = 0
    for number, line in enumerate(file, 1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):  # brackets may nest too deep, a number be too long
            row = line.strip()
        where = f"{path}, line {number}"
        yield where, row if isinstance(row, dict) else f"expected an object in JSON, got {row!r}"
    if number == 0:
        yield f"{path}", "expected an object for each item, got an empty file"


def _write(path: Path, content: str) -> None:
    """Write a file at once or not at all; one that has come to be there stays, as it may be filled in."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        _fill(draft, "w", content)
        try:
            os.link(draft, path)  # which takes the place of no file
        except FileExistsError:
            pass
        except OSError:  # no links on this file system: there the file grows under its own name
            with contextlib.suppress(FileExistsError):
                _fill(path, "x", content)
    finally:
        draft.unlink(missing_ok=True)


def _fill(path: Path, mode: Literal["w", "x"], content: str) -> None:
    file = open(path, mode, encoding="utf-8", newline="")  # noqa: SIM115 - closed below
    try:
        with file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink()  # what is there by halves would stay
        raise
