"""The loop around a model: ask what to label, tell the labels, until it is enough.

`ask` and `tell` are the whole of it; `run` is a few lines on top, for an oracle that is a function.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import replace
from time import monotonic, perf_counter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from querist._acquire import NO_OUTLOOK, acquire, check_score, draw, outlook
from querist._answers import checked_answers
from querist._arguments import checked_cost
from querist._model import CheckedModel, check_validation
from querist._pool import Pool
from querist._protocols import Indices, Label, Labels, Model, Oracle, Score, StopRule, Validation
from querist._rounds import ABSTAIN, Batch, PoolExhausted, Round, ticket

__all__ = ["ABSTAIN", "ActiveLearner", "Batch", "PoolExhausted", "Round"]


class ActiveLearner:
    """An active-learning campaign over one pool.

    Parameters
    ----------
    model : object with fit and predict_proba, or callable
        Fitted in place on all labels in hand whenever they have changed. A callable from `X`
        to (n, c) probabilities is never fitted.
    X : (n, ...) array, sparse matrix, data frame or sequence
        The pool. Not copied.
    labels : mapping of int to label, optional
        Labels already in hand, by pool index. A label is anything hashable but None and NaN.
    score : str or callable, default "margin"
        "margin", "entropy", "least_confidence", "gini", "random", or a function from the (n, c) probabilities
        of the pool to (n,) scores, larger means ask first; a row that it scores NaN is not picked.
    batch_size : int, default 10
        Items in a batch. A plain attribute: it may change between batches.
    validation : (X, y) or callable, optional
        Gives `Round.metrics` after each fit: rows and true labels for the accuracy, or a
        function from `model` to a dict of metrics.
    cost : (n,) array, optional
        What it costs to ask about each row, for `Round.cost`; by default 1 each.
    seed : int or numpy Generator, optional
        For the random picks; numpy's global generator is never touched.

    Attributes
    ----------
    history : list of Round
        The rounds so far.
    seed : int or numpy Generator
        The one given, or the one drawn if none was.

    Notes
    -----
    Until two classes are labelled there is nothing to fit: in this cold start picks are random.
    A callable model has no cold start. The model sees labels in pool order, so the order of the
    answers does not matter. A learner is not safe to share by threads.

    References
    ----------
    D. D. Lewis and W. A. Gale, "A sequential algorithm for training text classifiers", SIGIR
    1994. The ask-and-tell interface is that of Optuna, T. Akiba et al., KDD 2019.

    Examples
    --------
    >>> import querist as qr
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> X, y = load_iris(return_X_y=True)
    >>> model = LogisticRegression(max_iter=1000)
    >>> learner = qr.ActiveLearner(model, X, labels={0: 0, 50: 1, 100: 2}, batch_size=5)
    >>> batch = learner.ask()
    >>> learner.tell(batch, y[batch.indices])
    >>> enough = qr.stop.MaxLabels(20)
    >>> [round.n_labels for round in learner.run(lambda indices, rows: y[indices], stop=enough)]
    [13, 18, 23]
    """

    def __init__(
        self,
        model: Model,
        X: Any,
        *,
        labels: Mapping[int, Label] | None = None,
        score: Score = "margin",
        batch_size: int = 10,
        validation: Validation | None = None,
        cost: ArrayLike | None = None,
        seed: int | np.random.Generator | None = None,
    ) -> None:
        check_score(score)
        check_validation(validation)
        self._model = CheckedModel(model)
        self._pool = Pool(X)
        self._cost = None if cost is None else checked_cost(cost, len(self._pool))
        self._validation = validation
        self._started = monotonic()
        self._open: Batch | None = None
        self._outlook = NO_OUTLOOK  # of the model that picked it
        self._score_seconds = 0.0  # of the open batch
        self._stale = True  # the labels are newer than the fit
        self.score = score
        self.batch_size = _count("batch_size", batch_size)
        self.history: list[Round] = []
        self.seed = secrets.randbits(128) if seed is None else seed
        self._generator = np.random.default_rng(self.seed)
        if labels:
            self.tell(list(labels), list(labels.values()))

    @property
    def labels(self) -> dict[int, Label]:
        """The label of each labelled pool index, in pool order: a copy."""
        return dict(sorted(self._pool.labels.items()))

    @property
    def n_labels(self) -> int:
        """The number of labelled items."""
        return len(self._pool.labels)

    @property
    def n_available(self) -> int:
        """The number of items that have neither a label nor an abstention."""
        return int(np.count_nonzero(self._pool.available))

    def ask(self, k: int | None = None) -> Batch:
        """Give the items to label next, after fitting the model if labels have changed.

        While a batch is open, that is until each of its items is answered, this is that batch
        without its answered items, whatever `k` is: asking twice is safe.

        Parameters
        ----------
        k : int, optional
            Items in a new batch, by default `batch_size`. Fewer at the end of the pool.

        Returns
        -------
        Batch
            At least one item, the one to ask first in front.

        Raises
        ------
        PoolExhausted
            If every item has a label or an abstention.
        ValueError
            If `k` is less than 1, or the model or the score returns what cannot be used.

        Examples
        --------
        >>> import querist as qr
        >>> learner = qr.ActiveLearner(lambda X: X, [[0.9, 0.1], [0.5, 0.5], [0.7, 0.3]])
        >>> learner.ask(k=2).indices
        array([1, 2])
        >>> learner.tell([1], ["cat"])
        >>> learner.ask(k=2).indices
        array([2])
        """
        k = _count("k", self.batch_size if k is None else k)
        if self._open is None:
            self.fit()
            started = perf_counter()
            self._open = self._pick(k)
            self._score_seconds = perf_counter() - started
        indices, scores = self._open.indices, self._open.scores
        waiting = self._pool.available[indices]
        return replace(self._open, indices=indices[waiting], scores=scores[waiting])

    def tell(self, batch_or_indices: Batch | Indices, labels: Labels) -> None:
        """Take in answers: all or some of a batch, in any order, or labels from elsewhere.

        The same answer again changes nothing; another answer is a revision and replaces the
        first. `ABSTAIN` sets an item aside, neither labelled nor asked again, until a label
        comes; it never takes a label back. After an error nothing has changed.

        Parameters
        ----------
        batch_or_indices : Batch or (k,) integers
            What was asked, or pool indices.
        labels : (k,) sequence
            The answer to each.

        Raises
        ------
        ValueError
            If the lengths differ, an index is outside the pool, an index comes twice with
            different labels, or a label is None or NaN.
        TypeError
            If the indices are not integers or a label is not hashable.

        Examples
        --------
        >>> import querist as qr
        >>> learner = qr.ActiveLearner(lambda X: X, [[0.9, 0.1], [0.5, 0.5], [0.7, 0.3]])
        >>> batch = learner.ask()
        >>> learner.tell(batch, ["cat", qr.ABSTAIN, "dog"])
        >>> learner.tell([0], ["cow"])
        >>> learner.labels
        {0: 'cow', 1: 'cat'}
        """
        told = batch_or_indices
        indices = told.indices if isinstance(told, Batch) else told
        answers = checked_answers(indices, labels, n=len(self._pool))
        self._stale |= self._pool.answer(answers)
        if self._open is not None and not self._pool.available[self._open.indices].any():
            self._close(self._open)

    def fit(self) -> None:
        """Bring the model and the last round's metrics up to date with the labels.

        `ask` and `run` do this by themselves; it is for the model after the last `tell`. Does
        nothing in the cold start, and nothing when no label has changed.

        Examples
        --------
        >>> import querist as qr
        >>> from sklearn.naive_bayes import GaussianNB
        >>> model = GaussianNB()
        >>> learner = qr.ActiveLearner(model, [[0.0], [1.0], [2.0], [3.0]])
        >>> learner.tell([0, 3], ["low", "high"])
        >>> learner.fit()
        >>> model.predict([[0.5]]).tolist()
        ['low']
        """
        if not self._stale or self._is_cold():
            return
        started = perf_counter()
        if self._model.trainable:
            self._model.fit(*self._pool.labelled())
        seconds = perf_counter() - started
        if self.history:
            metrics = self._model.metrics(self._validation) if self._validation else {}
            self.history[-1] = replace(
                self.history[-1], n_labels=self.n_labels, fit_seconds=seconds, metrics=metrics
            )
        self._stale = False

    def run(self, oracle: Oracle, *, stop: StopRule | None = None) -> Iterator[Round]:
        """Ask the oracle, tell its answers, fit; yield each round until it is enough.

        Parameters
        ----------
        oracle : callable
            From pool indices and their rows to a label, or `ABSTAIN`, for each.
        stop : callable, optional
            From `history` to whether to stop, called after each round. An exhausted pool always
            stops.

        Yields
        ------
        Round
            The round just done. It is also the last entry of `history`.

        Examples
        --------
        >>> import querist as qr
        >>> pool = [[0.9, 0.1], [0.5, 0.5], [0.7, 0.3]]
        >>> learner = qr.ActiveLearner(lambda X: X, pool, batch_size=2)
        >>> [round.n_labels for round in learner.run(lambda indices, rows: ["cat"] * len(rows))]
        [2, 3]
        """
        while not (stop and self.history and stop(self.history)) and self.n_available > 0:
            batch = self.ask()
            self.tell(batch, oracle(batch.indices, self._pool.take(batch.indices)))
            self.fit()
            yield self.history[-1]

    def _is_cold(self) -> bool:
        return self._model.trainable and len(set(self._pool.labels.values())) < 2

    def _pick(self, k: int) -> Batch:
        n, available = len(self._pool), self._pool.available
        k = min(k, self.n_available)
        if k == 0:
            raise PoolExhausted(f"none of the {n} rows of the pool is left to ask about")
        self._outlook = NO_OUTLOOK
        if self.score == "random" or self._is_cold():
            indices, scores = draw(k, available=available, generator=self._generator)
        else:
            proba = self._model.proba(self._pool.X, n)
            indices, scores = acquire(proba, k, score=self.score, available=available)
            self._outlook = outlook(proba, available)
        return Batch(indices, scores, ticket(len(self.history) + 1, indices))

    def _close(self, batch: Batch) -> None:
        labels = self._pool.labels
        if self.history:
            self.history[-1].drop_predictions()
        done = Round(
            batch.indices,
            batch.scores,
            batch.ticket,
            number=len(self.history) + 1,
            labels=tuple(labels.get(index, ABSTAIN) for index in batch.indices.tolist()),
            n_labels=len(labels),
            score_seconds=self._score_seconds,
            cost=self._cost_of(batch.indices),
            total_cost=self._cost_of(~self._pool.available),
            elapsed=monotonic() - self._started,
            uncertainty=self._outlook.uncertainty,
            predictions=self._outlook.predictions,
        )
        self._open = None
        self._outlook = NO_OUTLOOK
        self.history.append(done)

    def _cost_of(self, rows: NDArray[Any]) -> float:
        if self._cost is not None:
            return float(self._cost[rows].sum())
        return float(np.count_nonzero(rows) if rows.dtype == bool else len(rows))


def _count(name: str, value: int) -> int:
    if not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name}: expected an integer of at least 1, got {value!r}")
    return int(value)
