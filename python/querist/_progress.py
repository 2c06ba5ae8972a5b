"""The progress bar of a run: only for a person at a terminal, and only with tqdm."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from querist._rounds import Round


@contextmanager
def progress_bar(n_labels: int) -> Iterator[Callable[[Round], None]]:
    """Give a function that shows a round, on a bar that counts labels from `n_labels` on."""
    if not (sys.stderr is not None and sys.stderr.isatty() and importlib.util.find_spec("tqdm")):
        yield lambda _: None
        return
    from tqdm import tqdm

    with tqdm(desc="labels", initial=n_labels, unit="label", file=sys.stderr) as bar:

        def show(round: Round) -> None:
            bar.set_postfix({"round": round.number, **round.metrics}, refresh=False)
            bar.update(round.n_labels - bar.n)

        yield show
