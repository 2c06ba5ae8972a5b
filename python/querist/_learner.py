"""The loop around a model: ask what to label, tell the labels, until it is enough.

`ask` and `tell` are the whole of it; `run` is a few lines on top, for an oracle that is a function.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from os import PathLike
from time import monotonic, perf_counter, time
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike

from querist._answers import checked_annotator, checked_answers, checked_labels, checked_pair
from querist._arguments import finite, positive
from querist._balance import Balance, class_balance, warn_of_starved
from querist._callbacks import Callbacks
from querist._campaign import Campaign
from querist._events import Fitted, Grown, Released, Told
from querist._features import Density, Embed
from querist._frame import frame
from querist._layout import laid_out
from querist._ledger import Ledger
from querist._model import checked_model, checked_validation
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
    WarmAt,
)
from querist._quota import Quota
from querist._rounds import ABSTAIN, Answer, Batch, JournalError, PoolExhausted, Round
from querist._rule import check_stop
from querist._seed import drawn_seed
from querist._settings import (
    BY_ROW,
    GROWS,
    ROWS,
    argument_settings,
    campaign_settings,
    disagreement,
    labels_setting,
    row_settings,
)
from querist._strategies import Cold, Pick, Strategy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from querist._journal import Journal

__all__ = ["ABSTAIN", "ActiveLearner", "Answer", "Batch", "PoolExhausted", "Round"]


class ActiveLearner:
    """An active-learning campaign over one pool.

    Parameters
    ----------
    model : object with fit and predict_proba, list of those, regressor, or callable
        Fitted in place on all labels in hand. A list is a committee; so is a forest or a bagging ensemble
        where the score is one of a committee, also as the last step of a pipeline. Classifiers without
        predict_proba are voters, for the scores "vote_entropy" and "variation_ratio" of a list or an ensemble
        of them. A callable from `X` to (n, c) probabilities is fitted if it has a `fit` too, as a net may
        have, and a plain function never is. Either way probabilities may be (m, n, c), those of m members:
        draws of dropout, an ensemble of nets. The columns of `predict_proba` are `classes_`, or else the
        labels that were seen; those of a callable with a `fit` are `classes_` too, or else the labels 0, 1, 2
        and so on. A regressor (fit, predict) has the score "variance": it takes `return_std=True`, or is a
        forest or a list of regressors.
    X : (n, ...) array, sparse matrix, data frame or sequence, or callable
        The pool. Not copied. Rows go by position, never by a data frame's index. It may grow, by `extend`.
        For a pool that no memory holds, a memory-mapped array, or a function without
        arguments that gives the chunks of rows from first to last, anew at each call: arrays, sparse
        matrices, data frames or lists. It is called once at the start to count the rows and up to three times
        a round.
    labels : mapping of int to label, optional
        Labels already in hand, by pool index. A label is anything hashable but None and NaN.
    score : str or callable, default "margin"
        "margin", "entropy", "least_confidence", "gini", of the mean of the members if there are several; of a
        committee "bald", "max_disagreement", "consensus_entropy", "consensus_margin",
        "consensus_least_confidence", "vote_entropy", "variation_ratio"; "variance"; "random"; None for none;
        or a function from the (n, c) or (m, n, c) probabilities of a chunk of the pool to (n,) scores, larger
        means ask first; a row that it scores NaN is not picked.
    density : str or callable, optional
        What the score is multiplied by: "information_density", the mean cosine to the pool moved into [0, 1],
        "knn_density" of 10 neighbours, or a function from the features to (n,) numbers of 0 or more.
    select : str or callable, default "top_k"
        How rows are chosen by their scores: "top_k", "power", "k_center", "k_means_pp", "badge",
        "facility_location", "mmr", "ranked_batch", "max_herding", "uncertainty_herding" (each the function of
        this name in `querist.select`; those that take weights take the scores), "random", or a function like
        `strategy`.
    strategy : str or callable, optional
        A name of the field that sets what it says of the three above: a score; "random", "core_set", "badge",
        "k_means_pp", "facility_location", "max_herding", which use no score; "information_density",
        "ranked_batch", "mmr", "uncertainty_herding", which use `score`; "power_margin", "power_entropy". Or a
        function from a context (`number` of the batch, `k`, `available`, `labels`, `labeled`, `scores`,
        `proba`, `features`, `groups`, `quota`, `seed`) to `Picks`, or to an array of rows. A schedule is such
        a function: it gives `context.pick("badge")`, or another name, by `context.number`.
    embed : (n, d) array or callable, optional
        The features that diversity and density use, or a function from rows of `X` to them, called anew for
        each batch that needs them. By default `X` itself, if it is a matrix or data frame of numbers, sparse
        or not; what are no floats are copied to such once. The model never sees these features. One that is
        to learn from embeddings is given them as `X`, and texts or images are looked up by index.
    epsilon : float, default 0.0
        The share of each batch that is picked at random; of a fraction of an item, that is its chance.
    cold : {"random", "diverse"}, default "random"
        How to pick before the first fit, if the strategy needs the model: at random, or the rows farthest
        from each other by their features.
    warm_at : mapping, optional
        What the first fit needs, for models that need more than two labels: `{"labels": 40}` in hand, or
        `{"per_class": 3}` of two classes at least, or both. Until then it is cold. A class with fewer than
        `per_class` labels is left out of each fit, so that one found late stops nothing: the model does not
        know of it until it has as many.
    groups : (n,) array of int or str, optional
        The group of each row. In a random cold start those with the fewest answers are asked about first.
    quota : int, float or mapping, optional
        The most that a batch may hold of each of the `groups`: rows, or a share of the batch, rounded up (a
        float above 0 and up to 1), or ``{group: either}`` for some groups. It holds for every strategy, for
        random picks and in the cold start; a batch is smaller where the rows that are left let no more in.
    chunk : int, optional
        Rows that the model sees at once when the pool is predicted. By default at most 65,536, and 64 MiB of
        an array.
    batch_size : int, default 10
        Items in a batch. A plain attribute: it may change between batches, and where a campaign is resumed.
    validation : (X, y) or callable, optional
        Gives `Round.metrics` after each fit: rows and true labels for the accuracy, of a
        regressor R²; or a function from `model` to a dict of metrics.
    cost : (n,) array, optional
        What it costs to ask about each row, for `Round.cost`; by default 1 each.
    retrain : mapping, optional
        How much must be new before the model is fitted again: `{"rounds": 5}` ended rounds, `{"labels": 100}`
        new or revised labels, or both, and then what is reached first. By default any label.
    lease : float, optional
        Seconds after which an unanswered item may be asked of others; by default never. An answer that comes
        later is taken all the same.
    journal : path, optional
        Where each event is written before it counts, an SQLite file; `resume` continues from it. The file
        must not hold a campaign yet. Labels and annotators must then be of int, float, str, bool or tuples of
        these. While it is open the newest events are in a second file beside it, `-wal`; `close` leaves one.
    callbacks : sequence of objects, optional
        Hooks. Each object has any of the methods `before_ask(learner)`, `after_ask(learner, batch)`,
        `before_tell(learner, answers)`, `after_tell(learner, answers)`, `after_fit(learner)` and
        `after_round(learner, round)`, where `answers` maps pool indices to labels. Each `after_round` is told
        once of each round that this learner ends; one that raises, by the next `ask`, `tell` or `run` again.
    seed : int or numpy Generator, optional
        For the random picks; numpy's global generator is never touched.

    Attributes
    ----------
    history : list of Round
        The rounds that have ended: a copy.
    seed : int or numpy Generator
        The one given, or the one drawn if none was.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it should be: a score or a selection that the model or the features are
        known never to serve, too. What only a call can tell is an error of the first `ask`.

    Notes
    -----
    Until two classes are labelled (two numbers, for a regressor), or as much as `warm_at` says, there is
    nothing to fit: in this cold start picks are as `cold` says, but for a strategy that asks no model. A
    plain function has no cold start. The model sees labels in pool order, so the order of the answers does
    not matter. What is random in a batch follows from the seed and the number of the batch alone. A learner
    is not safe to share by threads.

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
        score: Score | None = "margin",
        density: Density | None = None,
        select: str | Pick = "top_k",
        strategy: Strategy | None = None,
        embed: Embed | None = None,
        epsilon: float = 0.0,
        cold: Cold = "random",
        warm_at: WarmAt | None = None,
        groups: ArrayLike | None = None,
        quota: Quota | None = None,
        chunk: int | None = None,
        batch_size: int = 10,
        validation: Validation | None = None,
        cost: ArrayLike | None = None,
        retrain: Retrain | None = None,
        lease: float | None = None,
        journal: str | PathLike[str] | None = None,
        callbacks: Sequence[Any] = (),
        seed: int | np.random.Generator | None = None,
    ) -> None:
        self._model = checked_model(model)
        if not isinstance(seed, np.random.Generator):
            drawn_seed(seed)  # or an error
        self.seed = secrets.randbits(64) if seed is None else seed
        self.batch_size = positive(batch_size, "batch_size", "item")
        self._lease = None if lease is None else finite(lease, "lease", least="above 0")
        self._options: dict[str, Any] = {
            "model": model,
            "score": score,
            "density": density,
            "select": select,
            "strategy": strategy,
            "epsilon": epsilon,
            "cold": cold,
            "warm_at": warm_at,
            "quota": quota,
            "chunk": chunk,
            "batch_size": self.batch_size,
            "retrain": retrain,
            "lease": self._lease,
        }
        root = int(np.random.default_rng(self.seed).integers(2**63))
        layout = laid_out(self._model, X, self._options, root, embed=embed, groups=groups, cost=cost)
        self._pool, self._training, self._picker, self._given = layout
        self._validation = checked_validation(validation)
        self._callbacks = Callbacks(callbacks)
        # Other processes understand the time of day, but it may be set back; this clock is not.
        self._clock = time() - monotonic()
        n = len(self._pool)
        began = self._now()
        self._campaign = Campaign(n, self._given["cost"], began)
        self._starved: set[Label] = set()  # the classes that were warned of
        self._known: Grown | None = None  # the newest growth that the pool here agrees with
        self._untold: deque[tuple[int, Callable[..., None]]] = deque()  # rounds, each with a hook
        told = {} if labels is None else checked_labels(labels, n)
        first = [Told(began, told, None, None)] if told else []
        self._journal: Journal | None = None
        if journal is not None:
            # Here, and in resume, so that without a journal there is no SQLite.
            from querist._journal import Journal

            settings = campaign_settings(self._pool, self._given)
            settings["labels"] = labels_setting(told)
            settings |= {"seed": _number_of(self.seed), "root": self._picker.root}
            self._journal = Journal.started(journal, began, settings, first)
        for event in first:
            self._campaign.apply(event)
        self._ledger = Ledger(self._campaign, self._journal, n)

    @classmethod
    def resume(
        cls,
        model: Model,
        X: Any,
        *,
        journal: str | PathLike[str],
        labels: Mapping[int, Label] | None = None,
        batch_size: int | None = None,
        seed: int | np.random.Generator | None = None,
        **arguments: Any,
    ) -> ActiveLearner:
        """Continue a campaign from its journal, with the batch that would have come next.

        Parameters
        ----------
        model, X
            As at the start; the model is fitted again when it is needed. The pool may have grown since: new
            rows come after those that it had, as in `extend`.
        journal : path
            The file.
        labels, seed
            As at the start, or left out.
        batch_size : int, optional
            From now on; by default as at the start. A journal does not keep what it was set to since.
        **arguments
            All others as at the start.

        Returns
        -------
        ActiveLearner
            With all labels, leases and rounds. The next batch is that of a run without interruption, if the
            model gives the same numbers when it is fitted on the same labels, and the batch size is the same.

        Raises
        ------
        JournalError
            If the file cannot be read, is damaged or of another schema, or was begun with other arguments:
            the first that differs is named. Of the pool the shape, the dtype and up to 256 rows are compared,
            of a longer one as far as it was known.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> import querist as qr
        >>> path = Path(tempfile.mkdtemp()) / "run.db"
        >>> pool = [[0.9, 0.1], [0.5, 0.5], [0.7, 0.3]]
        >>> def model(X):
        ...     return X
        >>> learner = qr.ActiveLearner(model, pool, batch_size=2, journal=path)
        >>> learner.tell(learner.ask().indices[:1], ["cat"])
        >>> learner.close()
        >>> again = qr.ActiveLearner.resume(model, pool, journal=path)
        >>> again.labels, again.ask().indices, again.batch_size
        ({1: 'cat'}, array([2]), 2)
        """
        if batch_size is not None:
            arguments["batch_size"] = batch_size
        learner = cls(model, X, seed=seed, **arguments)
        from querist._journal import Journal

        opened = Journal.opened(journal)
        try:
            learner._continue(opened, labels, batch_size, seed)
        except BaseException:
            opened.close()
            raise
        return learner

    def close(self) -> None:
        """Write what is left to write and close the journal, if there is one.

        What is asked, told or fitted after that is a `JournalError`. All that is ever left to write is that
        the model was fitted; where it cannot be written, which is an error, the journal is closed all the
        same, and a resumed campaign fits again.
        """
        self._ledger.close()

    def __enter__(self) -> ActiveLearner:
        return self

    def __exit__(self, _: object, error: BaseException | None, *__: object) -> None:
        try:
            self.close()
        except JournalError as unwritten:
            if error is None:
                raise
            error.add_note(f"close: {unwritten}")

    def __repr__(self) -> str:
        given = self._given["strategy"] or self._given["score"]
        strategy = given if isinstance(given, str) else getattr(given, "__name__", type(given).__name__)
        model = type(self.model).__name__
        return f"ActiveLearner({model}, {strategy!r}, {self.n_labels} of {len(self._pool)} labelled)"

    @property
    def model(self) -> Model:
        """The model, or models, given."""
        return cast(Model, self._given["model"])

    @property
    def history(self) -> list[Round]:
        """The rounds that have ended, in that order: a copy."""
        return list(self._campaign.history)

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

    def balance(self) -> dict[Label, Balance]:
        """Compare what was asked about with what there is: the shares of each class.

        Returns
        -------
        dict of label to Balance
            For each class its share among the labels in hand, `labeled`, and among the predictions of the
            pool at the newest round that asked the model, `predicted`; 0 where there are none.

        Notes
        -----
        A class with less than a quarter of the labels that its predicted share lets expect, of 30 at least,
        starves: the end of the round then gives a `ClassStarvedWarning`, once for each class.

        Examples
        --------
        >>> import querist as qr
        >>> learner = qr.ActiveLearner(lambda X: X, [[0.9, 0.1], [0.5, 0.5]], labels={0: "cat", 1: "dog"})
        >>> learner.balance()["cat"]
        Balance(labeled=0.5, predicted=0.0)
        """
        shares = (round.predicted_shares for round in reversed(self._campaign.history))
        return class_balance(self._campaign.labelled, next(filter(None, shares), {}))

    def frame(self) -> Any:
        """Give `history` as a pandas data frame: a row for each round, a column for each fact and metric.

        A metric that is named as a fact, such as "cost", is in "metric_cost".

        Raises
        ------
        ImportError
            If pandas is not installed: `pip install 'querist[frame]'`.

        Examples
        --------
        >>> import querist as qr
        >>> learner = qr.ActiveLearner(lambda X: X, [[0.9, 0.1], [0.5, 0.5]], batch_size=1)
        >>> _ = list(learner.run(lambda indices, rows: ["cat"]))
        >>> learner.frame()[["number", "n_labels", "total_cost"]].values.tolist()
        [[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]]
        """
        return frame(self._campaign.history)

    def plot(self) -> Figure:
        """Draw the metrics, if any, and the answers of each class so far, against the labels in hand.

        More than 20 classes are one line, and so are the numbers of a regressor.

        Returns
        -------
        Figure
            Of matplotlib; ``figure.savefig("curve.png")`` writes it.

        Raises
        ------
        ValueError
            If no round has ended.
        ImportError
            If matplotlib is not installed: `pip install 'querist[plot]'`.

        Examples
        --------
        >>> import querist as qr
        >>> learner = qr.ActiveLearner(lambda X: X, [[0.9, 0.1], [0.5, 0.5]], batch_size=1)
        >>> _ = list(learner.run(qr.oracle.Known(["cat", "dog"])))
        >>> [axes.get_ylabel() for axes in learner.plot().axes]
        ['answers']
        """
        from querist._plot import learning_curve

        return learning_curve(self._campaign.history, by_class=not self._model.regresses)

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
            If every item has a label or an abstention, is leased to others, or is of a group of quota 0.
        TypeError, ValueError
            If `k` or `batch_size` is no integer of at least 1, or the model or the score returns what cannot
            be used.

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
        k = positive(self.batch_size, "batch_size", "item") if k is None else positive(k, "k", "item")
        annotator = checked_annotator(annotator)
        self._callbacks("before_ask", self)
        self._catch_up()
        now = self._now()
        if expired := self._campaign.expired(now):
            self._ledger.let(*(Released(now, ticket) for ticket in expired))
        self._tell_of_rounds()
        while (batch := self._campaign.waiting(annotator)) is None:
            self._fit_if_due()
            if self._campaign.waiting(annotator) is not None:  # another process asked while this one fitted
                continue
            if self._ledger.must_refit and (fitted := self._campaign.fitted):
                self._training.fit(self._campaign.labelled_after(fitted.answers))
                self._ledger.must_refit = False
            try:
                asked = self._picker.pick(self._campaign, k, annotator, now=self._now, lease=self._lease)
            except PoolExhausted:
                self._ledger.save()
                raise
            self._ledger.let(asked)  # perhaps in vain, if another process is faster
        self._ledger.save()  # a fit, if it is the batch of another process
        self._callbacks("after_ask", self, batch)
        return batch

    def tell(
        self, batch_or_indices: Batch | Indices, labels: Labels, *, annotator: Label | None = None
    ) -> None:
        """Take in answers: all or some of a batch, in any order, late ones, or labels from elsewhere.

        The same answer of the same annotator again changes nothing, also when others have corrected it since;
        another answer is a revision and replaces the one before, which stays in `record`. Labels are the same
        if they are equal and of one type: True is not 1, but an integer of numpy is. `ABSTAIN` sets an
        item aside, neither labelled nor asked again, until a label comes; it never takes a label back. After
        an error nothing has changed, unless it is that of an `after_tell` or `after_round`, or a warning made
        an error: the answers are in by then.

        Parameters
        ----------
        batch_or_indices : Batch or (k,) integers
            What was asked, or pool indices.
        labels : (k,) sequence
            The answer to each.
        annotator : hashable, optional
            Whose answers they are, by default those of whom the batch, or each item, was last leased to.

        Raises
        ------
        ValueError
            If the lengths differ, an index is outside the pool, an index comes twice with
            different labels, a label is None or NaN, or the batch is of another learner.
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
        annotator = checked_annotator(annotator)
        answers = checked_answers(told, labels, n=len(self._pool))
        self._callbacks("before_tell", self, dict(answers))
        self._catch_up()
        if not (ticket is None or self._campaign.has_asked(ticket)):
            raise ValueError(f"batch: expected one that this learner has asked, got the ticket {ticket!r}")
        owners = (
            self._campaign.owners(answers) if ticket is None and annotator is None else {annotator: answers}
        )
        now = self._now()
        news = [
            Told(now, new, owner, ticket)
            for owner, theirs in owners.items()
            if (new := self._campaign.news(theirs, owner))
        ]
        if news:
            self._ledger.let(*news)
        self._callbacks("after_tell", self, answers)
        self._tell_of_rounds()

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
        self._bring_up_to_date()
        self._ledger.save()  # at once: a resumed campaign would not make a fit again that was not due

    def extend(
        self,
        X: Any,
        *,
        embed: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        cost: ArrayLike | None = None,
    ) -> None:
        """Go on with a longer pool: all rows so far, and new ones at the end.

        Labels, open batches and rounds stay as they are; the next new batch may have new rows. A journal has
        this as an event: other processes on it then get a `JournalError` from `ask`, `tell` and `fit`, which
        change nothing, until they call this too.

        Parameters
        ----------
        X : as at the start
            The whole pool; of a function without arguments, what it gives is counted anew.
        embed, groups, cost : arrays, optional
            Anew, for all rows, where they were given as arrays at the start.

        Raises
        ------
        TypeError, ValueError
            If a row is missing or another than before, or an argument is not what it should be; then nothing
            has changed. As in `resume` the dtype and up to 256 rows are compared; of chunks without a journal
            their number alone.
        JournalError
            If the journal cannot be written now, which the next call tries again; or if another process has
            gone on with more rows than these, or others.

        Examples
        --------
        >>> import querist as qr
        >>> learner = qr.ActiveLearner(lambda X: X, [[0.9, 0.1], [0.8, 0.2]], batch_size=1)
        >>> learner.tell(learner.ask(), ["cat"])
        >>> learner.extend([[0.9, 0.1], [0.8, 0.2], [0.5, 0.5]])
        >>> learner.ask().indices
        array([2])
        """
        self._ledger.check_open()
        n = len(self._campaign.available)
        given = {"embed": embed, "groups": groups, "cost": cost}
        for name, values in given.items():
            before = self._given[name]
            if callable(before) and (values is None or values is before):
                given[name] = before
            elif (before is None or callable(before)) != (values is None):
                expected = "one for each row" if values is None else "None"
                raise ValueError(f"{name}: expected {expected}, as at the start, got {type(values).__name__}")
        layout = laid_out(self._model, X, self._options, self._picker.root, **given)
        if len(layout.pool) < n:
            raise ValueError(f"X: expected at least the {n} rows so far, got {len(layout.pool)}; {GROWS}")
        stored = self._stored(n)
        longer = row_settings(layout.pool, layout.given, n, stored)
        if differs := disagreement(stored, {name: longer[name] for name in stored}, of="the campaign"):
            raise ValueError(differs)
        for why in self._campaign.whys():  # which would keep the shorter pool in memory until they are read
            why.all()
        self._pool, self._training, self._picker, self._given = layout
        self._campaign.cost = layout.given["cost"]
        self._ledger.n_rows = len(self._pool)
        self._catch_up()

    def run(self, oracle: Oracle, *, stop: StopRule | None = None) -> Iterator[Round]:
        """Ask the oracle, tell its answers, fit; yield each round until it is enough.

        Parameters
        ----------
        oracle : callable
            From pool indices and their rows to a label, or `ABSTAIN`, for each; or to an iterator of (index,
            label), each of which is told as it comes. One that ends early ends the run, and the batch stays
            open: for a person who has had enough. In a list a pair is a label: pass ``iter(pairs)``.
        stop : callable, optional
            From `history` to whether to stop, called after each round. An exhausted pool always
            stops.

        Yields
        ------
        Round
            The round just done. It is also the last entry of `history`.

        Notes
        -----
        At a terminal, and with tqdm installed, a bar shows the labels in hand and the last metrics, but while
        `oracle.Prompt` asks. It makes room for what the loop over the rounds prints, not for what an oracle
        of your own does: `TQDM_DISABLE=1` in the environment (tqdm 4.66 or later) switches it off.

        Examples
        --------
        >>> import querist as qr
        >>> pool = [[0.9, 0.1], [0.5, 0.5], [0.7, 0.3]]
        >>> learner = qr.ActiveLearner(lambda X: X, pool, batch_size=2)
        >>> [round.n_labels for round in learner.run(lambda indices, rows: ["cat"] * len(rows))]
        [2, 3]
        """
        if not callable(oracle):
            raise TypeError(
                "oracle: expected a function from indices and rows to labels, got "
                f"{type(oracle).__name__}; wrap known labels in oracle.Known"
            )
        if stop is not None:
            check_stop(stop)
        return self._rounds(oracle, stop)

    def _rounds(self, oracle: Oracle, stop: StopRule | None) -> Iterator[Round]:
        try:
            yield from self._until(oracle, stop)
        except GeneratorExit:
            self._ledger.save()
            raise
        # Not after an error, which a journal that is locked would replace: a fit goes in with the next event.
        self._ledger.save()

    def _until(self, oracle: Oracle, stop: StopRule | None) -> Iterator[Round]:
        with progress_bar(self.n_labels, len(self._pool), oracle, stop) as without_bar:
            self._catch_up()
            self._tell_of_rounds()
            self._fit_if_due()  # `stop` may wait for its metrics, since before a resume
            while not (stop and self._campaign.history and stop(self.history)):
                try:
                    batch = self.ask()
                except PoolExhausted:
                    return
                n_rounds = len(self._campaign.history)
                answers = oracle(batch.indices, self._pool.take(batch.indices))
                if not isinstance(answers, Iterator):
                    self._tell_or_note(batch, answers)
                elif not self._tell_each(batch, answers):
                    return
                self._fit_if_due()
                # Made again after a kill, a fit could be of more labels than these, if fits are put off; or
                # too late for this round, if an open batch ended another one first.
                if self._training.retrain or self._campaign.leases:
                    self._ledger.save()
                if len(self._campaign.history) > n_rounds:  # not if the lease ran out for another process
                    with without_bar(self._campaign.history[-1]):
                        yield self._campaign.history[-1]

    def _fit_if_due(self) -> None:
        if self._training.is_due(self._campaign):
            self._bring_up_to_date()

    def _bring_up_to_date(self) -> None:
        self._catch_up()
        fitted, seen = self._campaign.fitted, self._campaign.seen()
        is_new = fitted is None or fitted.changes != seen.changes
        if self._training.is_cold(self._campaign) or not (is_new or self._ledger.must_refit):
            return
        started = perf_counter()
        self._ledger.must_refit = True  # should this end midway
        self._training.fit(self._campaign.labelled)
        seconds = perf_counter() - started
        if is_new:
            measured = self._validation if self._campaign.history else None
            metrics = self._model.metrics(measured) if measured else {}
            self._ledger.let_later(Fitted(self._now(), seconds, metrics, seen))
        self._ledger.must_refit = False
        self._callbacks("after_fit", self)

    def _tell_each(self, batch: Batch, answers: Iterator[tuple[int, Label]]) -> bool:
        """Tell answers as they come, and whether there was one for each item."""
        asked, told = batch.indices.tolist(), set()
        for answer in answers:
            index, label = checked_pair(answer, asked)
            self._tell_or_note(batch.only(batch.indices == index), [label])
            told.add(index)
        return told.issuperset(asked)

    def _tell_or_note(self, batch: Batch, answers: Labels) -> None:
        """Tell answers; an error of the journal says which, as nobody else may have them."""
        try:
            self.tell(batch, answers)
        except JournalError as error:
            given = dict(zip(batch.indices.tolist(), answers, strict=False))
            error.add_note(f"not told, and for tell when that is mended: {given}")
            raise

    def _tell_of_rounds(self) -> None:
        """Tell each hook once of each round that ended here; one that raises, at the next call again."""
        hooks = [self._warn_of_starved, *self._callbacks.of("after_round")]
        ended, self._ledger.ended = self._ledger.ended, []
        self._untold += product(ended, hooks)
        while self._untold:
            at, hook = told = self._untold.popleft()  # before it is called: it may ask or tell itself
            try:
                hook(self, self._campaign.history[at])
            except BaseException:
                self._untold.appendleft(told)
                raise

    def _warn_of_starved(self, _: ActiveLearner, round: Round) -> None:
        warn_of_starved(round, self._campaign.labelled, self._starved)

    def _now(self) -> float:
        return self._clock + monotonic()

    def _catch_up(self) -> None:
        """Let happen what others have written; and that the pool has grown, where it has grown here."""
        self._ledger.catch_up()
        grown = self._campaign.grown
        if self._journal is not None and grown is not None and grown is not self._known:  # by another process
            here = row_settings(self._pool, self._given, grown.n, grown.settings)
            differs = disagreement(grown.settings, here)
            if differs is not None:
                raise JournalError(f"journal {self._journal.path}: {differs}")
            self._known = grown
        if len(self._campaign.available) < len(self._pool):
            settings = {} if self._journal is None else row_settings(self._pool, self._given)
            self._known = Grown(self._now(), len(self._pool), settings)
            self._ledger.let(self._known)  # perhaps in vain, if another process is faster
            self._catch_up()

    def _stored(self, n: int) -> dict[str, Any]:
        """Give what is known of the n rows of the campaign: by the journal, or else by the pool itself."""
        if self._journal is not None and self._journal.began is not None:
            grown = self._campaign.grown
            settings = self._journal.began.settings if grown is None else grown.settings
            return {name: settings.get(name) for name in ROWS}
        if self._pool.streamed:  # what its function gave then is gone
            return argument_settings({name: self._given[name] for name in BY_ROW}, n)
        return row_settings(self._pool, self._given, n)

    def _continue(
        self,
        journal: Journal,
        labels: Mapping[int, Label] | None,
        batch_size: int | None,
        seed: int | np.random.Generator | None,
    ) -> None:
        began = journal.began
        assert began is not None, "an opened journal has begun"
        n = began.settings["X shape"][0]
        given = campaign_settings(self._pool, self._given, n, began.settings)
        del given["batch_size"]  # which may change at any time
        if labels is not None:
            given["labels"] = labels_setting(checked_labels(labels, len(self._pool)))
        if _number_of(seed) is not None:
            given["seed"] = _number_of(seed)
        elif seed is not None:
            given["root"] = self._picker.root
        differs = disagreement(began.settings, given)
        if differs is not None:
            raise JournalError(f"journal {journal.path}: {differs}")
        if batch_size is None:
            self.batch_size = began.settings["batch_size"]
        self._picker.root = began.settings["root"]
        self.seed = self.seed if began.settings["seed"] is None else began.settings["seed"]
        self._journal = journal
        self._campaign = Campaign(n, self._given["cost"], began.time)
        self._ledger = Ledger(self._campaign, journal, len(self._pool))
        self._catch_up()


def _number_of(seed: Any) -> int | None:
    return int(seed) if isinstance(seed, int | np.integer) else None
