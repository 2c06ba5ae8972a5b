"""Who answers: known labels, a person at the terminal, or a file that goes out and comes back.

An oracle is any function from pool indices and their rows to a label, or `querist.ABSTAIN`, for each.
Those here are for the common cases. Where the answers take their time, nothing waits for the last of them:
`Prompt` gives each on its own, and `FileExchange` reads as many as there are.

>>> import querist as qr
>>> pool = [[0.9, 0.1], [0.5, 0.5], [0.7, 0.3]]
>>> learner = qr.ActiveLearner(lambda X: X, pool, batch_size=2)
>>> for round in learner.run(qr.oracle.Known(["cat", "dog", "cat"])):
...     print(round.indices, round.labels)
[1 2] ('dog', 'cat')
[0] ('cat',)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from querist._answers import check_column
from querist._file_exchange import FileExchange
from querist._prompt import Prompt
from querist._protocols import Label, Labels

__all__ = ["FileExchange", "Known", "Prompt"]


class Known:
    """Labels that are known already, for a trial run.

    Parameters
    ----------
    y : (n,) array or sequence, or mapping of int to label
        The label of each row of the pool.

    Raises
    ------
    ValueError
        When it is asked about a row that it has no label for.
    TypeError
        If `y` is a data frame, whose columns are not told apart.

    Examples
    --------
    >>> import numpy as np
    >>> from querist import oracle
    >>> oracle.Known(np.array(["cat", "dog", "cow"]))(np.array([2, 0]), rows=None)
    ['cow', 'cat']
    """

    def __init__(self, y: Labels | Mapping[int, Label]) -> None:
        check_column(y, "y")
        if isinstance(y, Mapping):
            self._labels: Any = y
        elif isinstance(y, np.ndarray) and y.dtype.kind not in "mM":  # times would be numbers
            self._labels = y.tolist()
        else:  # a list: the brackets of a pandas series would look for its own index
            self._labels = list(y)

    def __call__(self, indices: NDArray[np.int64], rows: Any) -> list[Label]:  # noqa: ARG002
        """Give the label of each index."""
        labels = []
        for index in indices.tolist():
            try:
                labels.append(self._labels[index])
            except LookupError as error:
                raise ValueError(f"Known: expected a label for row {index}, got none") from error
        return labels
