"""Text tables that line up, for the console command."""

from __future__ import annotations

from collections.abc import Sequence


def table(rows: Sequence[Sequence[str]]) -> str:
    """Give the rows as lines of columns, the first to the left, the others to the right.

    Examples
    --------
    >>> print(table([("strategy", "labels"), ("random", "290"), ("margin", "150")]))
    strategy  labels
    random       290
    margin       150
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    )
