"""CSV as it is written here: a line ends in a line feed, and a cell with any line break is quoted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TextIO


class _Lines:
    """A file that gets lines with carriage returns, and has none at their ends."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, line: str) -> int:
        return self._file.write(line.removesuffix("\r\n") + "\n")


def write_csv(file: TextIO, rows: Iterable[Sequence[Any]]) -> None:
    """Write rows; a file of the disk is to be opened with ``newline=""``."""
    import csv

    # Before Python 3.13, csv quotes only those line breaks that end its own lines.
    csv.writer(_Lines(file), lineterminator="\r\n").writerows(rows)
