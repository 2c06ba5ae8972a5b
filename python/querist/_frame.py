"""The rounds of a campaign, and the curves of a simulation, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from querist._rounds import Round

FACTS = (
    "number",
    "ticket",
    "annotator",
    "n_labels",
    "score_seconds",
    "fit_seconds",
    "cost",
    "total_cost",
    "elapsed",
    "uncertainty",
)


def frame(history: Sequence[Round]) -> Any:
    """Give a pandas data frame with a row for each round; a metric named as a fact has a longer name."""
    columns = ["n_items", *FACTS]
    facts = [
        {"n_items": len(round), **{name: getattr(round, name) for name in FACTS}}
        | {f"metric_{name}" if name in columns else name: value for name, value in round.metrics.items()}
        for round in history
    ]
    return data_frame(facts, None if facts else columns)


def data_frame(rows: Sequence[Any], columns: Sequence[str] | None) -> Any:
    """Give rows as a pandas data frame."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError("frame needs the extra \"frame\": pip install 'querist[frame]'") from error
    return pandas.DataFrame(rows, columns=columns)
