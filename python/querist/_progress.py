"""The progress bar of a run: only for a person at a terminal, and only with tqdm."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from time import monotonic

from querist._prompt import Prompt
from querist._protocols import Oracle, StopRule
from querist._rounds import Round
from querist._rule import Rule

REDRAWN = 0.1  # seconds after which the bar is drawn again, as tqdm has it


@contextmanager
def progress_bar(
    n_labels: int, n: int, oracle: Oracle, stop: StopRule | None
) -> Iterator[Callable[[Round], AbstractContextManager[object]]]:
    """Give a function from a round to a context, without the bar, in which the caller may print.

    The bar counts labels from `n_labels` on, to as many as are known to be the end. A person who is prompted
    has the terminal alone.
    """
    is_seen = sys.stderr is not None and sys.stderr.isatty() and not isinstance(oracle, Prompt)
    if not (is_seen and importlib.util.find_spec("tqdm")):
        yield nullcontext
        return
    from tqdm import tqdm

    end = n if stop is None else stop.max_labels if isinstance(stop, Rule) else None
    total = None if end is None else max(min(end, n), n_labels)
    with tqdm(desc="labelling", initial=n_labels, total=total, unit=" labels", file=sys.stderr) as bar:
        drawn = monotonic()

        @contextmanager
        def without_bar(round: Round) -> Iterator[None]:
            nonlocal drawn
            bar.set_postfix({"round": round.number, **round.metrics}, refresh=False)
            bar.n = round.n_labels
            if bar.total is not None:
                bar.total = max(bar.total, bar.n)  # the last batch may bring more
            bar.clear()
            yield
            if monotonic() - drawn >= REDRAWN:
                bar.refresh()
                drawn = monotonic()

        yield without_bar
