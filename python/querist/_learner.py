"""The loop around a model: ask what to label, tell the labels, until it is enough.

`ask` and `tell` are the whole of it; `run` is a few lines on top, for an oracle that is a function.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from time import monotonic, perf_counter, time
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from querist._acquire import NO_OUTLOOK, acquire, check_score, draw, outlook
from querist._answers import checked_answers
from querist._arguments import checked_cost, finite
from querist._callbacks import Callbacks
from querist._campaign import Campaign
from querist._events import Asked, Event, Fitted, Released, Told
from querist._model import CheckedModel, check_validation
from querist._pool import Pool
from querist._progress import progress_bar
from querist._protocols import (
    Indices,
    Label,
    Labels,
    Model,
    Oracle,
    Retrain,
    Score,
    StopRule,
    Validation,
)
from querist._rounds import ABSTAIN, Answer, Batch, PoolExhausted, Round, ticket_of

__all__ = ["ABSTAIN", "ActiveLearner", "Answer", "Batch", "PoolExhausted", "Round"]


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
    retrain : mapping, optional
        How much must be new before the model is fitted again: `{"rounds": 5}` ended rounds, `{"labels": 100}`
        new or revised labels, or both, and then what is reached first. By default any label.
    lease : float, optional
        Seconds after which an unanswered item may be asked of others; by default never. An answer that comes
        later is taken all the same.
    callbacks : sequence of objects, optional
        Hooks. Each object has any of the methods `before_ask(learner)`, `after_ask(learner, batch)`,
        `before_tell(learner, answers)`, `after_tell(learner, answers)`, `after_fit(learner)` and
        `after_round(learner, round)`, where `answers` maps pool indices to labels.
    seed : int or numpy Generator, optional
        For the random picks; numpy's global generator is never touched.

    Attributes
    ----------
    history : list of Round
        The rounds that have ended.
    seed : int or numpy Generator
        The one given, or the one drawn if none was.

    Notes
    -----
    Until two classes are labelled there is nothing to fit: in this cold start picks are random.
    A callable model has no cold start. The model sees labels in pool order, so the order of the
    answers does not matter. What is random in a batch follows from the seed and the number of the batch
    alone. A learner is not safe to share by threads.

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
        retrain: Retrain | None = None,
        lease: float | None = None,
        callbacks: Sequence[Any] = (),
        seed: int | np.random.Generator | None = None,
    ) -> None:
        check_score(score)
        check_validation(validation)
        self._model = CheckedModel(model)
        self._pool = Pool(X)
        self._validation = validation
        self._retrain = _checked_retrain(retrain)
        self._lease = None if lease is None else finite(lease, "lease", least="above 0")
        self._callbacks = Callbacks(callbacks)
        self.score = score
        self.batch_size = _count("batch_size", batch_size)
        self.seed = secrets.randbits(128) if seed is None else seed
        self._root = int(np.random.default_rng(self.seed).integers(2**63))
        # Other processes understand the time of day, but it may be set back; this clock is not.
        self._clock = time() - monotonic()
        n = len(self._pool)
        self._campaign = Campaign(n, None if cost is None else checked_cost(cost, n), self._now())
        if labels:
            self.tell(list(labels), list(labels.values()))

    @property
    def history(self) -> list[Round]:
        """The rounds that have ended, in that order."""
        return self._campaign.history

    @property
    def record(self) -> list[Answer]:
        """Every answer as it came, also those that another has replaced: a copy."""
        return list(self._campaign.record)

    @property
    def labels(self) -> dict[int, Label]:
        """The label of each labelled pool index, in pool order: a copy."""
        return dict(sorted(self._campaign.labels.items()))

    @property
    def n_labels(self) -> int:
        """The number of labelled items."""
        return len(self._campaign.labels)

    @property
    def n_available(self) -> int:
        """The number of items that have neither a label nor an abstention, leased ones included."""
        return int(np.count_nonzero(self._campaign.available))

    def ask(self, k: int | None = None, *, annotator: Label | None = None) -> Batch:
        """Lease the items to label next, after fitting the model if it is time to.

        While a batch of this annotator is open, that is until each of its items is answered or the lease runs
        out, this is that batch without its answered items, whatever `k` is: asking twice is safe. A new batch
        has no item of another open one.

        Parameters
        ----------
        k : int, optional
            Items in a new batch, by default `batch_size`. Fewer at the end of the pool.
        annotator : hashable, optional
            Who asks. Those who give no name are one.

        Returns
        -------
        Batch
            At least one item, the one to ask first in front.

        Raises
        ------
        PoolExhausted
            If every item has a label or an abstention, or is leased to others.
        ValueError
            If `k` is less than 1, or the model or the score returns what cannot be used.

        Examples
        --------
        >>> import querist as qr
        >>> learner = qr.ActiveLearner(lambda X: X, [[0.9, 0.1], [0.5, 0.5], [0.7, 0.3]])
        >>> learner.ask(k=2, annotator="ann").indices
        array([1, 2])
        >>> learner.ask(k=2, annotator="bob").indices
        array([0])
        >>> learner.tell([1], ["cat"], annotator="ann")
        >>> learner.ask(k=2, annotator="ann").indices
        array([2])
        """
        k = _count("k", self.batch_size if k is None else k)
        self._callbacks("before_ask", self)
        now = self._now()
        self._let(*(Released(now, ticket) for ticket in self._campaign.expired(now)))
        batch = self._campaign.waiting(annotator)
        if batch is None:
            if self._is_due():
                self.fit()
            asked = self._pick(k, annotator)
            self._let(asked)
            batch = asked.batch
        self._callbacks("after_ask", self, batch)
        return batch

    def tell(
        self, batch_or_indices: Batch | Indices, labels: Labels, *, annotator: Label | None = None
    ) -> None:
        """Take in answers: all or some of a batch, in any order, late ones, or labels from elsewhere.

        The same answer of the same annotator again changes nothing; another answer is a revision and
        replaces the first, which stays in `record`. `ABSTAIN` sets an item aside, neither labelled nor asked
        again, until a label comes; it never takes a label back. After an error nothing has changed.

        Parameters
        ----------
        batch_or_indices : Batch or (k,) integers
            What was asked, or pool indices.
        labels : (k,) sequence
            The answer to each.
        annotator : hashable, optional
            Whose answers they are, by default those of whom the batch was leased to.

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
        told, ticket = batch_or_indices, None
        if isinstance(told, Batch):
            annotator = told.annotator if annotator is None else annotator
            ticket, told = told.ticket, told.indices
        answers = checked_answers(told, labels, n=len(self._pool))
        self._callbacks("before_tell", self, answers)
        news = self._campaign.news(answers, annotator)
        n_rounds = len(self.history)
        if news:
            self._let(Told(self._now(), news, annotator, ticket))
        self._callbacks("after_tell", self, answers)
        for round in self.history[n_rounds:]:
            self._callbacks("after_round", self, round)

    def fit(self) -> None:
        """Bring the model and the last round's metrics up to date with the labels, whatever `retrain` says.

        `ask` and `run` do this by themselves when it is due; it is for the model after the last `tell`. Does
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
        fitted = self._campaign.fitted
        if self._is_cold() or (fitted is not None and fitted.changes == self._campaign.changes):
            return
        started = perf_counter()
        self._model.fit(*self._labelled(self._campaign.labels))
        seconds = perf_counter() - started
        metrics = self._model.metrics(self._validation) if self._validation and self.history else {}
        self._let(Fitted(self._now(), seconds, metrics))
        self._callbacks("after_fit", self)

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

        Notes
        -----
        At a terminal, and with tqdm installed, a bar shows the labels in hand and the last metrics.

        Examples
        --------
        >>> import querist as qr
        >>> pool = [[0.9, 0.1], [0.5, 0.5], [0.7, 0.3]]
        >>> learner = qr.ActiveLearner(lambda X: X, pool, batch_size=2)
        >>> [round.n_labels for round in learner.run(lambda indices, rows: ["cat"] * len(rows))]
        [2, 3]
        """
        with progress_bar(self.n_labels) as show:
            while not (stop and self.history and stop(self.history)):
                try:
                    batch = self.ask()
                except PoolExhausted:
                    return
                self.tell(batch, oracle(batch.indices, self._pool.take(batch.indices)))
                if self._is_due():
                    self.fit()
                show(self.history[-1])
                yield self.history[-1]

    def _now(self) -> float:
        return self._clock + monotonic()

    def _let(self, *events: Event) -> None:
        for event in events:
            self._campaign.apply(event)

    def _is_cold(self) -> bool:
        return self._model.trainable and len(set(self._campaign.labels.values())) < 2

    def _is_due(self) -> bool:
        """Tell whether enough is new for another fit."""
        fitted = self._campaign.fitted
        if fitted is None or not self._retrain:
            return True
        new = {
            "rounds": len(self.history) - fitted.rounds,
            "labels": self._campaign.changes - fitted.changes,
        }
        return any(new[what] >= enough for what, enough in self._retrain.items())

    def _labelled(self, labels: Mapping[int, Label]) -> tuple[Any, NDArray[Any]]:
        """Give the labelled rows and their labels, in the order of the pool."""
        indices = np.array(sorted(labels), dtype=np.int64)
        return self._pool.take(indices), np.array([labels[index] for index in indices.tolist()])

    def _pick(self, k: int, annotator: Label | None) -> Asked:
        started = perf_counter()
        n, free = len(self._pool), self._campaign.free()
        k = min(k, int(np.count_nonzero(free)))
        if k == 0:
            leased = self.n_available
            others = f"; {leased} are leased to other annotators" if leased else ""
            raise PoolExhausted(f"none of the {n} rows of the pool is left to ask about{others}")
        number = self._campaign.n_asked + 1
        uncertainty, predictions = NO_OUTLOOK
        if self.score == "random" or self._is_cold():
            generator = np.random.default_rng([self._root, number])
            indices, scores = draw(k, available=free, generator=generator)
        else:
            proba = self._model.proba(self._pool.X, n)
            indices, scores = acquire(proba, k, score=self.score, available=free)
            uncertainty, predictions = outlook(proba, free)
        batch = Batch(indices, scores, ticket_of(number, indices), annotator=annotator)
        now = self._now()
        return Asked(
            time=now,
            number=number,
            batch=batch,
            expires=None if self._lease is None else now + self._lease,
            score_seconds=perf_counter() - started,
            uncertainty=uncertainty,
            predictions=predictions,
        )


def _count(name: str, value: int) -> int:
    if not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name}: expected an integer of at least 1, got {value!r}")
    return int(value)


def _checked_retrain(retrain: Retrain | None) -> Retrain:
    if retrain is None:
        return {}
    if not isinstance(retrain, Mapping) or not retrain or not set(retrain) <= {"rounds", "labels"}:
        raise ValueError(f'retrain: expected {{"rounds": r}}, {{"labels": m}} or both, got {retrain!r}')
    return {what: _count(f"retrain[{what!r}]", enough) for what, enough in retrain.items()}
