"""Trial runs on data whose labels are known: which strategy would have saved labels, and how many."""

from __future__ import annotations

import contextlib
import copy
import importlib.util
import math
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any, Final, Literal, NamedTuple, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from querist._answers import plain_labels
from querist._arguments import finite, finite_weights, number, positive
from querist._config import get_num_threads, set_num_threads
from querist._features import Features
from querist._labelled import label_array
from querist._learner import ActiveLearner
from querist._model import checked_model
from querist._pool import Pool
from querist._protocols import Label, Labels, Model, Validation
from querist._quota import Groups, numbered
from querist._rounds import ABSTAIN, PoolExhausted
from querist._seed import drawn_seed
from querist._simulation import Curve, Simulation
from querist.oracle import Known

Metric: TypeAlias = Callable[[Any, Any, Any], float]

METRICS: Final = ("accuracy", "r2")  # those of a validation of rows and labels

TO_SEND: Final = (
    'n_jobs: new processes import the main module, so a script needs `if __name__ == "__main__":`, and can '
    "be given nothing that does not pickle, as a lambda; n_jobs=1 needs neither"
)

# Arguments of a learner that a strategy cannot have here, and why.
REFUSED: Final = {
    **dict.fromkeys(("model", "X", "seed", "validation"), "is what simulate sets itself"),
    "labels": "is by rows of the pool, and each seed has another pool; leave it out",
    "journal": "is the file of one campaign, and each seed is one; use a learner and oracle.Known",
    "lease": "has no meaning where each answer comes at once; leave it out",
}


def simulate(
    model: Model,
    X: Any,
    y: Labels,
    *,
    strategies: Sequence[str] | Mapping[str, str | Mapping[str, Any]] = ("random", "margin", "entropy"),
    seeds: int | Iterable[int] = 10,
    test_size: float = 0.3,
    metric: Literal["accuracy", "r2"] | Metric | None = None,
    batch_size: int = 10,
    growth: float = 0.0,
    max_labels: int | None = None,
    n_jobs: int = 1,
    progress: bool | None = None,
) -> Simulation:
    """Run strategies against known labels, several times, and measure each round on rows held out.

    For each seed the data are split anew into a pool and a test set, with the share of each class kept, or at
    random for a regressor. All strategies have the same split and begin with the same labels, where their
    curves begin: `batch_size` random rows, and as many again until the model can be fitted (with a
    `warm_at` of its own a strategy may begin later). So a strategy is compared by what it adds, and `cold`
    has no say.

    Parameters
    ----------
    model : object with fit and predict_proba, or another that `ActiveLearner` takes
        Copied for each run, and never fitted itself. Give it its own seed if it draws random numbers.
    X : (n, ...) array, sparse matrix, data frame or sequence
        The rows.
    y : (n,) array or sequence
        Their labels: classes, or numbers for a regressor.
    strategies : sequence of str, or mapping of str to str or mapping
        Names that `ActiveLearner` takes for `strategy`; or {name: such a name, or keyword arguments}: all
        of `ActiveLearner` but `seed`, `validation`, `labels`, `journal` and `lease`. `groups`, `cost` and an
        `embed` that is an array are those of all rows of `X`. With `retrain` a round without a fit has the
        metric of the fit before. Objects of `callbacks` see all runs, or copies of them do in each process.
    seeds : int or iterable of int, default 10
        The seeds, or how many: 0, 1, 2 and so on.
    test_size : float, default 0.3
        The share of each class that is held out.
    metric : "accuracy", "r2" or callable, optional
        By default the accuracy, or R² for a regressor. Or a function from a fitted model, rows and labels to
        a number, larger for better, as are the scorers of scikit-learn: `get_scorer("f1_macro")`.
    batch_size : int, default 10
        Labels in a round, unless a strategy has its own.
    growth : float, default 0
        If larger, a round is at least this share of the labels in hand: 0.05 gives as fine a curve for few
        fits.
    max_labels : int, optional
        Where runs end, by default with the pool.
    n_jobs : int, default 1
        Processes. The curves are the same for any number. New processes import the caller's main module, so
        a script needs `if __name__ == "__main__":`, and can be given nothing that does not pickle, as a
        lambda.
    progress : bool, optional
        Whether to show a bar, for which tqdm is needed; by default if somebody looks at the terminal.

    Returns
    -------
    Simulation
        The curves, and what they say.

    Raises
    ------
    ValueError
        If lengths differ, a label is None or NaN, no class has a row to hold out, there are no strategies or
        seeds, one is there twice, a number is out of its range, a strategy has an argument that it cannot
        have here, or there are fewer than two classes in a pool.
    TypeError
        If an argument is of another type, or a label is not hashable.

    Notes
    -----
    BLAS keeps to one thread, if threadpoolctl is there to tell it: its sums depend on the number of
    threads, and on products as small as most of these its threads wait for each other.

    Examples
    --------
    >>> import querist as qr
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.naive_bayes import GaussianNB
    >>> X, y = load_iris(return_X_y=True)
    >>> simulation = qr.simulate(GaussianNB(), X, y, seeds=3, max_labels=60)
    >>> simulation.strategies
    ('random', 'margin', 'entropy')
    >>> simulation.band("margin").n_labels[[0, -1]]
    array([10, 60])
    """
    if len(shape := getattr(y, "shape", (0,))) != 1:
        raise ValueError(f"y: expected labels of shape (n,), got shape {shape}; pass one column of them")
    labels = plain_labels(y, "y", each="row")
    if ABSTAIN in labels:
        raise ValueError(f"y[{labels.index(ABSTAIN)}]: expected a label, got ABSTAIN; leave such rows out")
    pool = Pool(X)
    if len(labels) != len(pool):
        raise ValueError(f"y: expected one label for each of the {len(pool)} rows of X, got {len(labels)}")
    if not labels:
        raise ValueError("X: expected at least one row, got none")
    if not 0 < number(test_size, "test_size") < 1:
        raise ValueError(f"test_size: expected a share between 0 and 1, got {test_size}")
    finite(growth, "growth", least="0 or more")
    if not checked_model(model).regresses:
        _check_classes(labels, test_size)
    positive(n_jobs, "n_jobs")
    if max_labels is not None:
        positive(max_labels, "max_labels")
    if not (metric is None or callable(metric) or metric in METRICS):
        raise ValueError(
            f"metric: expected one of {METRICS} or a function of model, X and y, got {metric!r}; "
            "sklearn.metrics.get_scorer gives those that scikit-learn knows by name"
        )
    named = {name: _of_all_rows(name, given, pool) for name, given in _named(strategies).items()}
    numbers = _numbers(seeds)
    for name, given in (("strategies", named), ("seeds", numbers)):
        if not given:
            raise ValueError(f"{name}: expected at least one, got none")
    if len(set(numbers)) < len(numbers):
        twice = next(seed for seed in numbers if numbers.count(seed) > 1)
        raise ValueError(f"seeds: expected each once, got {twice} more than once")
    experiment = _Experiment(
        model,
        X,
        labels,
        test_size,
        metric,
        batch_size,
        growth,
        len(labels) if max_labels is None else max_labels,
    )
    whole = [(experiment.full, seed) for seed in numbers]
    runs = [(experiment.curve, seed, name, named[name]) for name in named for seed in numbers]
    results = _results([*whole, *runs], n_jobs=n_jobs, progress=progress)
    full = results[: len(whole)]
    return Simulation(
        next(iter(full[0])),
        tuple(results[len(whole) :]),
        {seed: _value(metrics) for seed, metrics in zip(numbers, full, strict=True)},
    )


class _Split(NamedTuple):
    X: Any
    y: list[Label]
    validation: Validation
    rows: NDArray[np.int64]  # of the data, that are the pool


@dataclass(frozen=True)
class _Experiment:
    """What all runs share; it is sent to the processes."""

    model: Model
    X: Any
    y: list[Label]
    test_size: float
    metric: str | Metric | None
    batch_size: int
    growth: float
    max_labels: int

    def full(self, seed: int) -> Mapping[str, float]:
        """Give the metric, by its name, of the model that has seen the whole pool."""
        X, y, validation, _ = self._split(seed)
        with _one_blas_thread():
            learner = ActiveLearner(copy.deepcopy(self.model), X, score="random", seed=seed)
            learner.tell(range(len(y)), y)
            metrics = _measured(learner, validation)
        if isinstance(self.metric, str) and self.metric not in metrics:
            raise ValueError(
                f"metric: expected {next(iter(metrics))!r}, which this model has, or a function of model, X "
                f"and y, got {self.metric!r}"
            )
        return metrics

    def curve(self, seed: int, name: str, arguments: Mapping[str, Any]) -> Curve:
        """Run one strategy."""
        X, y, validation, rows = self._split(seed)
        started = perf_counter()
        measured: list[tuple[int, float]] = []
        # Not the numbers of the learner, whose random batches are to be independent of where it began.
        start = np.random.default_rng([seed, 1]).permutation(len(y))
        with _one_blas_thread():
            learner = ActiveLearner(
                copy.deepcopy(self.model),
                X,
                seed=seed,
                **{"batch_size": self.batch_size, **_of_rows(arguments, rows)},
            )
            known = Known(y)
            with contextlib.suppress(PoolExhausted):
                while learner.n_available and learner.n_labels < self.max_labels:
                    left = self.max_labels - learner.n_labels
                    if measured:
                        size = max(learner.batch_size, int(min(self.growth * learner.n_labels, left)))
                        asked = learner.ask(min(size, left)).indices
                    else:
                        asked, start = np.split(start, [min(self.batch_size, left)])
                    learner.tell(asked, known(asked, None))
                    if metrics := _measured(learner, validation):
                        measured.append((learner.n_labels, _value(metrics)))
        if not measured:
            raise ValueError(
                f"{name}: expected labels of two classes, and as many as warm_at says, by label "
                f"{self.max_labels}, got fewer"
            )
        return Curve(
            name,
            seed,
            np.array([n_labels for n_labels, _ in measured]),
            np.array([value for _, value in measured]),
            perf_counter() - started,
        )

    def _split(self, seed: int) -> _Split:
        # The numbers of a regressor are no classes to keep the share of.
        strata = [None] * len(self.y) if checked_model(self.model).regresses else self.y
        held_out = _held_out(strata, self.test_size, np.random.default_rng(seed))
        rows, test = np.flatnonzero(~held_out), np.flatnonzero(held_out)
        pool, y = Pool(self.X), Known(self.y)
        known = y(rows, None)
        if len(set(known)) < 2:
            raise ValueError(f"y: expected two classes or more in the pool of seed {seed}, got {set(known)}")
        if not len(test):
            raise ValueError(
                f"test_size: expected a share that holds out a row of {len(self.y)}, got {self.test_size}"
            )
        test_X, test_y = pool.take(test), y(test, None)
        if not callable(self.metric):
            return _Split(pool.take(rows), known, (test_X, label_array(test_y)), rows)
        measure, name = self.metric, getattr(self.metric, "__name__", "metric")
        return _Split(pool.take(rows), known, lambda model: {name: measure(model, test_X, test_y)}, rows)


def _measured(learner: ActiveLearner, validation: Validation) -> Mapping[str, float]:
    """Fit the model if that is due and give its metric by its name; nothing in the cold start.

    A learner would only measure at the end of a round, and the common start is none.
    """
    if learner._training.is_cold(learner._campaign):
        return {}
    learner._fit_if_due()
    return learner._model.metrics(validation)


def _value(metrics: Mapping[str, float]) -> float:
    return next(iter(metrics.values()))


def _named(strategies: Sequence[str] | Mapping[str, str | Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    if isinstance(strategies, str):
        raise TypeError(f"strategies: expected a sequence of names or a mapping, got {strategies!r}")
    if isinstance(strategies, Mapping):
        named = {}
        for name, given in strategies.items():
            if not isinstance(name, str):
                raise TypeError(f"strategies: expected text for names, got {name!r}")
            arguments = {"strategy": given} if isinstance(given, str) else given
            if not isinstance(arguments, Mapping):
                raise TypeError(
                    f"strategies[{name!r}]: expected a name or keyword arguments, got {type(given).__name__}"
                )
            if refused := [argument for argument in arguments if argument in REFUSED]:
                raise ValueError(f"strategies[{name!r}]: {refused[0]} {REFUSED[refused[0]]}")
            named[name] = arguments
        return named
    for at, name in enumerate(strategies):
        if not isinstance(name, str):
            raise TypeError(
                f"strategies[{at}]: expected a name, got {type(name).__name__}; give another strategy as "
                '{name: {"strategy": it}}'
            )
    if twice := [name for name, times in Counter(strategies).items() if times > 1]:
        raise ValueError(f"strategies: expected each once, got {twice[0]!r} more than once")
    return {name: {"strategy": name} for name in strategies}


def _of_all_rows(name: str, arguments: Mapping[str, Any], pool: Pool) -> dict[str, Any]:
    """Check what a strategy has for each row of the data, of which every seed takes some."""
    checked = {argument: given for argument, given in arguments.items() if given is not None}
    try:
        if "groups" in checked:
            checked["groups"] = numbered(checked["groups"], len(pool))
        if "cost" in checked:
            checked["cost"] = finite_weights(checked["cost"], len(pool), "cost")
        if "embed" in checked and not callable(checked["embed"]):
            checked["embed"] = Features(pool, checked["embed"]).given
    except (TypeError, ValueError) as error:
        raise type(error)(f"strategies[{name!r}]: {error}") from error
    return {**arguments, **checked}


def _of_rows(arguments: Mapping[str, Any], rows: NDArray[np.int64]) -> dict[str, Any]:
    """Give the arguments of a learner whose pool is these rows."""
    split = dict(arguments)
    if split.get("groups") is not None:
        groups: Groups = split["groups"]
        split["groups"] = groups._replace(places=groups.places[rows])  # one without a row keeps its name
    for name in ("cost", "embed"):
        if split.get(name) is not None and not callable(split[name]):
            split[name] = split[name][rows]
    return split


def _numbers(seeds: int | Iterable[int]) -> list[int]:
    if isinstance(seeds, int | np.integer):
        if seeds < 0:
            raise ValueError(f"seeds: expected at least 1 or the seeds, got {seeds}")
        return list(range(seeds))
    if isinstance(seeds, str) or not isinstance(seeds, Iterable):
        raise TypeError(f"seeds: expected how many or the seeds, got {seeds!r}")
    return [drawn_seed(seed) for seed in seeds]


def _check_classes(y: Sequence[Label], share: float) -> None:
    """Raise where the share of no class is a row, as of numbers that are all different."""
    counts = Counter(y)
    most = max(counts.values())
    if round(share * most) == 0:
        raise ValueError(
            f"y: expected classes, one of them of at least {math.floor(0.5 / share) + 1} rows, so that "
            f"test_size={share} holds out some, got {len(counts)} of at most {most}; if they are numbers to "
            "be predicted, pass a regressor as the model"
        )


def _held_out(y: Sequence[Label], share: float, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Draw `share` of each class, rounded."""
    classes = {label: number for number, label in enumerate(dict.fromkeys(y))}
    codes = np.array([classes[label] for label in y])
    order = generator.permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]  # class by class, shuffled within each
    sizes = np.bincount(codes)
    rank = np.arange(len(codes)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    held_out = np.empty(len(codes), dtype=bool)
    held_out[order] = rank < np.repeat(np.rint(share * sizes), sizes)
    return held_out


def _results(jobs: Sequence[tuple[Any, ...]], *, n_jobs: int, progress: bool | None) -> list[Any]:
    """Give the result of each job, in order."""
    bar: Callable[[Any], Any] = iter
    if progress or (progress is None and sys.stderr.isatty() and importlib.util.find_spec("tqdm")):
        from tqdm import tqdm

        bar = partial(tqdm, desc="simulating", total=len(jobs), unit="run")
    if n_jobs == 1:
        return [job(*arguments) for job, *arguments in bar(jobs)]
    # Here, for they are not for everybody who imports querist.
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing.reduction import ForkingPickler

    try:
        ForkingPickler.dumps(jobs)
    except Exception as error:  # of many kinds, and later not to be told from those of a job
        error.add_note(TO_SEND)
        raise
    executor = ProcessPoolExecutor(
        n_jobs,
        # Spawned: to fork a process that has threads, as BLAS may have here, is unsound.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin,
        initargs=(n_jobs,),
    )
    futures = []
    try:
        futures += [executor.submit(*job) for job in jobs]
        for done in bar(as_completed(futures)):
            done.result()  # an error ends it all
        return [future.result() for future in futures]
    except BrokenProcessPool as error:  # where the main module has no such line, say
        error.add_note(TO_SEND)
        raise
    finally:
        # `cancel_futures=True` would lose sight of a job that fails to pickle meanwhile, and wait for ever.
        for future in futures:
            future.cancel()
        executor.shutdown()


def _begin(n_jobs: int) -> None:  # pragma: no cover - in a process of its own
    """Make a process a good neighbour of the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which cancels what is left
    set_num_threads(max(1, get_num_threads() // n_jobs))


def _one_blas_thread() -> contextlib.AbstractContextManager[Any]:
    if importlib.util.find_spec("threadpoolctl") is None:
        return contextlib.nullcontext()
    from threadpoolctl import threadpool_limits

    return cast(contextlib.AbstractContextManager[Any], threadpool_limits(1, "blas"))
