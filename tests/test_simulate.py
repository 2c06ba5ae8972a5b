"""Simulations: curves that are right and repeatable, and what is read from them."""

from __future__ import annotations

import csv
import importlib.util
import math
import os
import re
import threading
import time
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
import querist as qr
from querist._plot import learning_curve, simulation_figure
from querist._simulate import _check_classes, _held_out
from querist._simulation import Curve, Simulation
from scipy import sparse, stats
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import BayesianRidge
from sklearn.metrics import f1_score, get_scorer
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import LinearSVC

X, Y = load_iris(return_X_y=True)


def curve(strategy, seed, n_labels, values, seconds=1.0):
    return Curve(strategy, seed, np.array(n_labels), np.array(values, float), seconds)


def same(first, second):
    return first.full == second.full and all(
        (a.strategy, a.seed) == (b.strategy, b.seed)
        and np.array_equal(a.n_labels, b.n_labels)
        and np.array_equal(a.values, b.values)
        for a, b in zip(first.curves, second.curves, strict=True)
    )


# What is run


def test_a_curve_is_that_of_a_learner_on_the_same_split():
    simulation = qr.simulate(GaussianNB(), X, Y, strategies=["margin"], seeds=[5], batch_size=7)
    (ours,) = simulation.curves
    held_out = _held_out(Y.tolist(), 0.3, np.random.default_rng(5))
    validation = X[held_out], Y[held_out]
    rows = np.random.default_rng([5, 1]).permutation(np.count_nonzero(~held_out))[:7]
    labels = dict(zip(rows.tolist(), Y[~held_out][rows].tolist(), strict=True))
    learner = qr.ActiveLearner(
        GaussianNB(), X[~held_out], score="margin", batch_size=7, validation=validation, seed=5, labels=labels
    )
    rounds = [
        (round.n_labels, round.metrics["accuracy"])
        for round in learner.run(qr.oracle.Known(Y[~held_out]))
        if round.metrics
    ]
    start = GaussianNB().fit(X[~held_out][sorted(rows)], Y[~held_out][sorted(rows)]).score(*validation)
    assert list(zip(ours.n_labels.tolist(), ours.values.tolist(), strict=True)) == [(7, start), *rounds]
    assert ours.n_labels[-1] == np.count_nonzero(~held_out)
    whole = GaussianNB().fit(X[~held_out], Y[~held_out]).score(*validation)
    assert simulation.full == {5: whole}
    assert ours.values[-1] == whole


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_each_class_keeps_its_share(share):
    y = np.repeat(["a", "b", "c"], [100, 41, 3]).tolist()
    held_out = _held_out(y, share, np.random.default_rng(0))
    for label in "abc":
        of_class = np.array(y) == label
        assert np.count_nonzero(held_out & of_class) == round(share * np.count_nonzero(of_class))
    assert not np.array_equal(held_out, _held_out(y, share, np.random.default_rng(1)))


def test_the_curves_are_the_same_for_any_number_of_processes():
    digits, y = load_digits(n_class=4, return_X_y=True)
    strategies = {"random": {"score": "random"}, "fine": {"score": "entropy", "batch_size": 5}}
    one, two = (
        qr.simulate(
            GaussianNB(var_smoothing=1e-2), digits, y, strategies=strategies, seeds=2, max_labels=60, n_jobs=n
        )
        for n in (1, 2)
    )
    assert same(one, two)
    assert [(each.strategy, each.seed) for each in two.curves] == [*product(strategies, range(2))]


@pytest.mark.parametrize("kind", [np.asarray, list, pd.DataFrame, sparse.csr_array])
def test_rows_of_any_kind(kind):
    class Dense(GaussianNB):
        def fit(self, rows, y):
            return super().fit(_dense(rows), y)

        def predict_proba(self, rows):
            return super().predict_proba(_dense(rows))

    def _dense(rows):
        return rows.toarray() if sparse.issparse(rows) else np.asarray(rows)

    arguments = {"strategies": ["margin"], "seeds": 2, "max_labels": 30}
    assert same(qr.simulate(Dense(), kind(X), Y, **arguments), qr.simulate(GaussianNB(), X, Y, **arguments))


def test_labels_may_be_text():
    names = ["setosa", "versicolor", "virginica"]
    arguments = {"seeds": 2, "max_labels": 30}
    texts = [names[label] for label in Y]
    assert same(
        qr.simulate(GaussianNB(), X, texts, **arguments), qr.simulate(GaussianNB(), X, Y, **arguments)
    )


def test_all_strategies_begin_with_the_same_labels():
    seen = []

    class Watched(GaussianNB):
        def fit(self, rows, y):
            seen[-1].append(sorted(map(tuple, rows.tolist())))
            return super().fit(rows, y)

    class Begin:
        def __deepcopy__(self, _):  # for each run
            seen.append([])
            return Watched()

        fit = predict_proba = Watched.fit

    strategies = {
        **{name: name for name in ("random", "margin", "core_set", "facility_location", "badge")},
        "diverse": {"cold": "diverse"},
        "fine": {"batch_size": 1},
        "late": {"strategy": "max_herding", "warm_at": {"labels": 21}},
    }
    simulation = qr.simulate(Begin(), X, Y, strategies=strategies, seeds=3, batch_size=7, max_labels=30)
    runs = seen[3:]  # the first have seen the whole pool
    for seed in range(3):
        starts = [run[0] for run in runs[seed::3]]
        late = starts.pop()
        assert len(late) == 21
        assert starts.count(starts[0]) == len(starts)
        assert len(starts[0]) == 7
        assert set(starts[0]) <= set(late)
        begins = [(curve.n_labels[0], curve.values[0]) for curve in simulation.curves if curve.seed == seed]
        assert len(set(begins[:-1])) == 1
    assert runs[0][1] != runs[3][1]


def test_a_start_of_one_class_goes_on():
    rare = np.where(np.arange(len(X)) % 15, "common", "rare")
    simulation = qr.simulate(GaussianNB(), X, rare, strategies=["core_set"], seeds=9, batch_size=2)
    starts = [curve.n_labels[0] for curve in simulation.curves]
    assert min(starts) >= 2
    assert len(set(starts)) > 2
    assert all(start % 2 == 0 for start in starts)


@pytest.mark.parametrize("names", [None, ["setosa", "versicolor", "virginica"]])
def test_a_classifier_without_predict_proba_has_an_accuracy(names):
    y = Y if names is None else np.array(names)[Y]
    simulation = qr.simulate(LinearSVC(), X, y, strategies=["random", "core_set"], seeds=2, max_labels=40)
    assert simulation.metric == "accuracy"
    held_out = _held_out([0] * len(y), 0.3, np.random.default_rng(1))
    assert simulation.full[1] == LinearSVC().fit(X[~held_out], y[~held_out]).score(X[held_out], y[held_out])


def test_a_regressor_has_r2():
    rows, y = load_diabetes(return_X_y=True)
    y = y + np.arange(len(y)) / 1000  # each another number
    arguments = {"strategies": ["random", "variance"], "seeds": 2, "max_labels": 60}
    simulation = qr.simulate(BayesianRidge(), rows, y, **arguments)
    assert simulation.metric == "r2"
    held_out = _held_out([0] * len(y), 0.3, np.random.default_rng(1))
    assert np.count_nonzero(held_out) == round(0.3 * len(y))
    fitted = BayesianRidge().fit(rows[~held_out], y[~held_out])
    assert simulation.full[1] == pytest.approx(fitted.score(rows[held_out], y[held_out]))
    assert same(simulation, qr.simulate(BayesianRidge(), rows, y, metric="r2", **arguments))
    with pytest.raises(ValueError, match=r"metric: expected 'r2', which this model has, .*, got 'accuracy'"):
        qr.simulate(BayesianRidge(), rows, y, metric="accuracy", **arguments)


def test_a_metric_of_ones_own():
    simulation = qr.simulate(
        GaussianNB(), X, Y, strategies=["margin"], seeds=[1], metric=get_scorer("f1_macro"), max_labels=20
    )
    held_out = _held_out(Y.tolist(), 0.3, np.random.default_rng(1))
    model = GaussianNB().fit(X[~held_out], Y[~held_out])
    assert simulation.full[1] == f1_score(Y[held_out], model.predict(X[held_out]), average="macro")
    assert simulation.metric == "metric"


def test_a_name_means_what_it_means_to_a_learner():
    named = qr.simulate(GaussianNB(), X, Y, strategies=["badge"], seeds=2, max_labels=30)
    spelled = qr.simulate(
        GaussianNB(), X, Y, strategies={"badge": {"strategy": "badge"}}, seeds=2, max_labels=30
    )
    assert same(named, spelled)


@pytest.mark.parametrize("share", [0.1, 0.125, 0.3, 0.5, 0.75])
def test_the_rows_that_a_class_needs_are_those_said(share):
    for n in range(1, 12):
        y = np.arange(n * 2).repeat(n).tolist()
        if _held_out(y, share, np.random.default_rng(0)).any():
            _check_classes(y, share)
        else:
            with pytest.raises(ValueError, match="y: expected classes") as raised:
                _check_classes(y, share)
            enough = int(re.search(r"at least (\d+) rows", str(raised.value))[1])
            assert _held_out([0] * enough, share, np.random.default_rng(0)).any()
            assert not _held_out([0] * (enough - 1), share, np.random.default_rng(0)).any()


def test_growth_may_be_any_finite_number():
    simulation = qr.simulate(GaussianNB(), X, Y, strategies=["random"], seeds=1, growth=1e308, max_labels=30)
    assert simulation.curves[0].n_labels.tolist() == [10, 30]


def test_rounds_grow_and_end_at_max_labels():
    growing = qr.simulate(GaussianNB(), X, Y, strategies=["random"], seeds=1, growth=0.5, max_labels=70)
    assert growing.curves[0].n_labels.tolist() == [10, 20, 30, 45, 67, 70]


@pytest.mark.filterwarnings("ignore::querist.ClassStarvedWarning")
@pytest.mark.parametrize("retrain", [{"rounds": 4}, {"labels": 25}])
def test_a_model_is_fitted_when_retrain_says_so(retrain):
    strategies = {"each": "margin", "seldom": {"strategy": "margin", "retrain": retrain}}
    simulation = qr.simulate(GaussianNB(), X, Y, strategies=strategies, seeds=[5], batch_size=7)
    held_out = _held_out(Y.tolist(), 0.3, np.random.default_rng(5))
    model, pool, labels = GaussianNB(), X[~held_out], Y[~held_out]
    learner = qr.ActiveLearner(model, pool, strategy="margin", batch_size=7, retrain=retrain, seed=5)
    start = np.random.default_rng([5, 1]).permutation(len(pool))[:7]
    learner.tell(start, labels[start])
    learner.fit()
    points = [(7, model.score(X[held_out], Y[held_out]))]
    points += [
        (round.n_labels, model.score(X[held_out], Y[held_out]))
        for round in learner.run(qr.oracle.Known(labels))
    ]
    (seldom,) = simulation.of("seldom")
    assert list(zip(seldom.n_labels, seldom.values, strict=True)) == points
    assert seldom.values.tolist() != simulation.of("each")[0].values.tolist()


@pytest.mark.parametrize("kind", [np.asarray, list, pd.Series])
def test_what_is_there_for_each_row_is_split_as_the_rows_are(kind):
    groups = np.array(["odd", "even"])[np.arange(len(X)) % 2]
    own = {"select": "k_center", "groups": kind(groups), "quota": {"odd": 0}, "cost": kind(np.arange(150.0))}
    seen = []

    class Callback:
        def after_round(self, learner, round):
            seen.append((learner, round))

    for embed in (X[:, :2], sparse.coo_array(X[:, :2]), pd.DataFrame(X[:, :2])):
        arguments = {**own, "embed": embed, "callbacks": [Callback()]}
        qr.simulate(GaussianNB(), X, Y, strategies={"own": arguments}, seeds=[3], max_labels=200)
    rows = np.flatnonzero(~_held_out(Y.tolist(), 0.3, np.random.default_rng(3)))
    learner = qr.ActiveLearner(
        GaussianNB(),
        X[rows],
        embed=X[rows, :2],
        groups=groups[rows],
        cost=rows.astype(float),
        select="k_center",
        quota={"odd": 0},
        seed=3,
    )
    start = np.random.default_rng([3, 1]).permutation(len(rows))[:10]
    learner.tell(start, Y[rows[start]])
    left = np.setdiff1d(rows, rows[start])
    expected = [
        (round.indices.tolist(), round.cost) for round in learner.run(qr.oracle.Known(Y[rows])) if len(round)
    ]
    assert sum(len(indices) for indices, _ in expected) == np.count_nonzero(groups[left] == "even")
    assert [(round.indices.tolist(), round.cost) for _, round in seen] == 3 * expected


def test_a_group_may_have_no_row_in_a_pool():
    groups = np.where(np.arange(len(X)) == 0, "rare", "common")
    strategies = {"own": {"strategy": "random", "groups": groups, "quota": {"rare": 1}}}
    simulation = qr.simulate(GaussianNB(), X, Y, strategies=strategies, seeds=8, max_labels=20)
    assert any(_held_out(Y.tolist(), 0.3, np.random.default_rng(seed))[0] for seed in range(8))
    assert len(simulation.curves) == 8


def test_the_model_given_is_left_alone():
    model = GaussianNB()
    before = vars(clone(model)).copy()
    qr.simulate(model, X, Y, seeds=1, max_labels=20)
    assert vars(model) == before


def test_margin_saves_labels_on_digits():
    digits, y = load_digits(n_class=6, return_X_y=True)
    model = GaussianNB(var_smoothing=1e-2)
    simulation = qr.simulate(model, digits, y, strategies=["random", "margin"], seeds=5, max_labels=200)
    assert simulation.saved("margin", 0.98) > 0.1
    assert simulation.compare("margin").wins >= 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"y": [0, 1]}, "y: expected one label for each of the 150 rows of X, got 2"),
        ({"y": Y[:, None]}, r"y: expected labels of shape \(n,\), got shape \(150, 1\); pass one column"),
        ({"X": [], "y": []}, "X: expected at least one row, got none"),
        ({"strategies": []}, "strategies: expected at least one, got none"),
        ({"strategies": ["marjin"]}, "strategy: expected .* got 'marjin'"),
        ({"seeds": 0}, "seeds: expected at least one, got none"),
        ({"seeds": [1, 2, 1]}, "seeds: expected each once, got 1 more than once"),
        ({"seeds": -1}, "seeds: expected at least 1 or the seeds, got -1"),
        ({"seeds": [0, -2]}, "seed: expected an integer from 0 .* got -2"),
        ({"max_labels": 0}, "max_labels: expected at least 1, got 0"),
        ({"metric": "r2"}, "metric: expected 'accuracy', which this model has, or a function .*, got 'r2'"),
        (
            {"metric": "f1"},
            r"metric: expected one of \('accuracy', 'r2'\) or a function .*, got 'f1'; .*get_scorer gives",
        ),
        ({"strategies": ["margin", "random", "margin"]}, "strategies: expected each once, got 'margin' more"),
        ({"strategies": {"a": {"seed": 3}}}, r"strategies\['a'\]: seed is what simulate sets itself"),
        ({"strategies": {"a": {"X": X}}}, r"strategies\['a'\]: X is what simulate sets itself"),
        ({"strategies": {"a": {"labels": {0: 0}}}}, r"strategies\['a'\]: labels is by rows of the pool, and"),
        ({"strategies": {"a": {"journal": "a.db"}}}, r"\['a'\]: journal is the file of one campaign, and"),
        ({"strategies": {"a": {"lease": 3.0}}}, r"\['a'\]: lease has no meaning where each answer comes"),
        (
            {"strategies": {"a": {"groups": Y[:9]}}},
            r"\['a'\]: groups: expected shape \(150,\), .* got \(9,\)",
        ),
        ({"strategies": {"a": {"cost": [1.0]}}}, r"\['a'\]: cost: expected shape \(150,\), got \(1,\)"),
        ({"strategies": {"a": {"embed": X[1:]}}}, r"\['a'\]: embed: expected shape \(150, d\), .*\(149, 4\)"),
        ({"test_size": 1.0}, "test_size: expected a share between 0 and 1, got 1.0"),
        ({"growth": -1.0}, "growth: expected a finite number, 0 or more, got -1.0"),
        ({"growth": math.inf}, "growth: expected a finite number, 0 or more, got inf"),
        ({"y": [*Y[:5], None, *Y[6:]]}, r"y\[5\]: expected a label or querist.ABSTAIN, got None"),
        ({"y": [*Y[:7], math.nan, *Y[8:]]}, r"y\[7\]: expected a label or querist.ABSTAIN, got nan"),
        ({"y": [*Y[:7], qr.ABSTAIN, *Y[8:]]}, r"y\[7\]: expected a label, got ABSTAIN; leave such rows out"),
        (
            {"y": range(150)},
            "y: expected classes, one of them of at least 2 rows, .* got 150 of at most 1; .* pass a regr",
        ),
        ({"n_jobs": 0}, "n_jobs: expected at least 1, got 0"),
        ({"y": [0] * 150}, "y: expected two classes or more in the pool of seed 0, got {0}"),
        ({"strategies": ["marjin"], "n_jobs": 2}, "strategy: expected .* got 'marjin'"),
    ],
)
def test_arguments_that_cannot_work_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        qr.simulate(**{"model": GaussianNB(), "X": X, "y": Y, "seeds": 1, "max_labels": 20} | arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seeds": "a"}, "seeds: expected how many or the seeds, got 'a'"),
        ({"y": Y[:, None].tolist()}, r"y\[0\]: expected something hashable, got \[0\]"),
        ({"y": "a" * 150}, "y: expected a sequence, one for each row, got 'aaa"),
        ({"test_size": "a"}, "test_size: expected a number, got 'a'"),
        ({"growth": "a"}, "growth: expected a number, got 'a'"),
        ({"strategies": "margin"}, "strategies: expected a sequence of names or a mapping, got 'margin'"),
        ({"strategies": ["margin", len]}, r"strategies\[1\]: expected a name, got builtin_function.*; give"),
        ({"strategies": {1: "margin"}}, "strategies: expected text for names, got 1"),
        ({"strategies": {"a": 3}}, r"strategies\['a'\]: expected a name or keyword arguments, got int"),
    ],
)
def test_arguments_of_another_type_are_named(arguments, message):
    with pytest.raises(TypeError, match=message):
        qr.simulate(GaussianNB(), X, **{"y": Y, "seeds": 1, "max_labels": 20} | arguments)


def test_a_strategy_may_have_a_name_of_its_own():
    by_name = qr.simulate(GaussianNB(), X, Y, strategies={"mine": "margin"}, seeds=1, max_labels=30)
    expected = qr.simulate(GaussianNB(), X, Y, strategies=["margin"], seeds=1, max_labels=30)
    assert by_name.of("mine")[0].values.tolist() == expected.of("margin")[0].values.tolist()


def test_what_does_not_pickle_is_explained():
    with pytest.raises(Exception, match="pickle") as raised:
        qr.simulate(GaussianNB(), X, Y, metric=lambda *_: 1.0, seeds=1, max_labels=20, n_jobs=2)
    assert "n_jobs: new processes import the main module" in raised.value.__notes__[0]


def about_pickles(*_):
    raise ValueError("this pickle is too sour")


def dies(*_):
    os._exit(1)


def test_processes_that_end_before_they_have_begun_are_explained():
    with pytest.raises(BrokenProcessPool) as raised:
        qr.simulate(GaussianNB(), X, Y, metric=dies, seeds=1, max_labels=20, n_jobs=2)
    assert "n_jobs: new processes import the main module" in raised.value.__notes__[0]


def test_an_error_of_a_job_is_not_taken_for_one_of_sending_it():
    with pytest.raises(ValueError, match="too sour") as raised:
        qr.simulate(GaussianNB(), X, Y, metric=about_pickles, seeds=1, max_labels=20, n_jobs=2)
    assert not hasattr(raised.value, "__notes__")
    with pytest.raises(TypeError, match="lock") as raised:
        qr.simulate(
            GaussianNB(),
            X,
            Y,
            strategies={"a": {"callbacks": [threading.Lock()]}},
            seeds=1,
            max_labels=20,
            n_jobs=2,
        )
    assert "n_jobs: new processes import the main module" in raised.value.__notes__[0]


class Reluctant:
    """A metric that takes its time to say that it does not pickle."""

    def __call__(self, *_):
        return 1.0

    def __reduce__(self):
        time.sleep(0.2)
        raise TypeError("cannot pickle this")


@pytest.mark.timeout(60)
def test_jobs_that_fail_to_pickle_one_after_the_other_end_too():
    with pytest.raises(TypeError, match="cannot pickle this"):
        qr.simulate(GaussianNB(), X, Y, metric=Reluctant(), seeds=3, max_labels=20, n_jobs=2)


def test_a_bar_is_shown_on_request_alone(capsys):
    qr.simulate(GaussianNB(), X, Y, seeds=1, max_labels=20)
    assert capsys.readouterr().err == ""
    qr.simulate(GaussianNB(), X, Y, seeds=1, max_labels=20, progress=True)
    assert "simulating: 100%" in capsys.readouterr().err


# What is read from the curves


@pytest.fixture
def simulation():
    return Simulation(
        "accuracy",
        (
            curve("random", 0, [10, 20, 40], [0.5, 0.7, 0.9]),
            curve("random", 1, [20, 30, 40], [0.6, 0.7, 0.8]),
            curve("margin", 0, [10, 20, 40], [0.5, 0.9, 1.0]),
            curve("margin", 1, [10, 20, 40], [0.4, 0.5, 0.8]),
        ),
        {0: 1.0, 1: 0.8},
    )


def test_labels_to_reach_a_share_of_the_full_data(simulation):
    assert simulation.labels_to_reach("random", 0.9).tolist() == [40, 40]
    assert simulation.labels_to_reach("margin", 0.9).tolist() == [20, 40]
    assert simulation.labels_to_reach("random", 0.95).tolist() == [math.inf, 40]
    assert simulation.saved("margin", 0.9) == pytest.approx(1 - 30 / 40)
    assert simulation.saved("margin", 0.9, baseline="margin") == 0
    assert math.isnan(simulation.saved("margin", 0.95))


def test_a_share_of_a_metric_below_0_is_short_of_it_by_the_rest():
    curves = (curve("margin", 0, [10, 20, 30], [-0.4, -0.21, -0.2]),)
    simulation = Simulation("neg_log_loss", curves, {0: -0.2})
    assert simulation.labels_to_reach("margin", 1).tolist() == [30]
    assert simulation.labels_to_reach("margin", 0.9).tolist() == [20]
    assert simulation.labels_to_reach("margin", 0.96).tolist() == [30]


def test_a_metric_that_is_nan_is_no_tie():
    values = {"random": (0.5, 0.5, 0.5), "margin": (math.nan, 0.5, 0.9)}
    curves = [curve(name, seed, [10], [value]) for name in values for seed, value in enumerate(values[name])]
    assert Simulation("f1", tuple(curves), dict.fromkeys(range(3), 1.0)).compare("margin")[:3] == (1, 1, 0)


def test_areas_are_over_what_all_curves_have(simulation):
    for strategy in simulation.strategies:
        expected = []
        for each in simulation.of(strategy):
            grid = np.linspace(20, 40, 200_001)
            expected.append(np.interp(grid, each.n_labels, each.values).mean())
        np.testing.assert_allclose(simulation.area(strategy), expected, rtol=1e-5)


def test_a_band_has_the_quartiles_of_each_number_of_labels(simulation):
    n_labels, low, median, high = simulation.band("random")
    assert n_labels.tolist() == list(range(20, 41))
    at_30 = [0.8, 0.7]
    assert [low[10], median[10], high[10]] == pytest.approx(np.quantile(at_30, [0.25, 0.5, 0.75]))


@pytest.mark.parametrize("counts", [(10, 0), (9, 1), (5, 5), (3, 7), (1, 0), (0, 0), (0, 12)])
def test_wins_have_the_p_of_the_sign_test(counts):
    wins, losses = counts
    gains = [0.1] * wins + [-0.1] * losses + [0.0] * 2
    seeds = range(len(gains))
    simulation = Simulation(
        "accuracy",
        (
            *(curve("random", seed, [10, 20], [0.5, 0.5]) for seed in seeds),
            *(curve("margin", seed, [10, 20], [0.5, 0.5 + gains[seed]]) for seed in seeds),
        ),
        dict.fromkeys(seeds, 1.0),
    )
    compared = simulation.compare("margin")
    assert compared[:3] == (wins, 2, losses)
    expected = stats.binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
    assert compared.p == pytest.approx(expected, rel=1e-12)


def test_a_table_lines_up(simulation):
    lines = simulation.table(shares=(0.9, 0.95)).partition("\n\n")[0].splitlines()
    assert len({len(line) for line in lines}) == 1
    above, header, random, margin = map(str.split, lines)
    assert above == ["labels", "to", "labels", "to", "won-tied"]
    assert header == ["strategy", "90%", "saved", "95%", "saved", "area", "-lost", "p", "sec"]
    assert random == ["random", "40", "40-40", "-", "never", "-", "-", "0.7500", "-", "-", "1.0"]
    assert margin == [
        *("margin", "30", "25-35", "25%", "40", "40-40", "-", "0.8000", "1-0-1", "1.000", "1.0")
    ]


def test_what_most_seeds_never_reach_has_no_quartiles(simulation):
    last = simulation.table(shares=(1.5,)).partition("\n\n")[0].splitlines()[-1].split()
    assert last[:4] == ["margin", "never", "-", "-"]


def test_a_table_of_ordinary_numbers_fits_a_terminal():
    needed = {"random": [280, 500, 610], "uncertainty": [130, 140, 170]}
    curves = [
        curve(name, seed, [10, n, n + 250, 900], [0.1, 0.955, 0.98 + seed / 100, 0.9], 12.3)
        for name, labels in needed.items()
        for seed, n in enumerate(labels)
    ]
    table = Simulation("accuracy", tuple(curves), dict.fromkeys(range(3), 1.0)).table()
    assert max(map(len, table.splitlines())) <= 80
    assert " 405+ " in table, "the lower quartile, where the upper one was never reached"


def test_what_a_table_cannot_tell_is_told_below_it(simulation):
    def notes(table):
        return table.partition("\n\n")[2].splitlines()

    assert notes(simulation.table(shares=(0.95, 1.5))) == [
        "saved: not known at 95% and 150%, which random did not reach in half of the seeds.",
        "p: 0.5 at best with 2 seeds; under 0.05 takes 6 or more.",
    ]

    def of(n_seeds, *values):
        return Simulation(
            "accuracy",
            tuple(
                curve(name, seed, [10, 20, 30], value)
                for name, value in zip(("random", "margin"), values, strict=False)
                for seed in range(n_seeds)
            ),
            dict.fromkeys(range(n_seeds), 1.0),
        )

    always = [0.5, 0.9, 1.0], [0.5, 1.0, 1.0]
    assert notes(of(5, *always).table()) == ["p: 0.062 at best with 5 seeds; under 0.05 takes 6 or more."]
    assert stats.binomtest(0, 5).pvalue == 0.0625
    assert stats.binomtest(0, 6).pvalue < 0.05
    assert of(6, *always).table().count("\n") == 3, "nothing to say"
    assert notes(of(1, [0.5, 0.6, 0.7]).table()) == [], "there is nothing to compare"
    some = Simulation(
        "accuracy",
        tuple(curve("random", seed, [10, 20], [0.5, 1.0 if seed < 4 else 0.6]) for seed in range(6)),
        dict.fromkeys(range(6), 1.0),
    )
    assert notes(some.table()) == [
        "20+: the lower quartile; a quarter of the seeds or more never got there.",
    ]


def test_the_first_strategy_is_the_baseline_where_none_is_random():
    simulation = qr.simulate(GaussianNB(), X, Y, strategies=["gini", "margin"], seeds=1, max_labels=20)
    assert simulation.baseline == "gini"


def test_curves_go_to_csv(simulation, tmp_path):
    simulation.to_csv(tmp_path / "curves.csv")
    with open(tmp_path / "curves.csv", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["strategy", "seed", "n_labels", "accuracy", "full_data_accuracy"]
    assert rows[0] == ["random", "0", "10", "0.5", "1.0"]
    assert rows[-1] == ["margin", "1", "40", "0.8", "0.8"]
    assert len(rows) == 12


def test_a_name_with_a_line_break_is_one_cell(tmp_path):
    simulation = qr.simulate(GaussianNB(), X, Y, strategies={"a\rb": "margin"}, seeds=1, max_labels=20)
    simulation.to_csv(tmp_path / "curves.csv")
    with open(tmp_path / "curves.csv", newline="") as file:
        assert [row[0] for row in csv.reader(file)][1:] == ["a\rb"] * len(simulation.curves[0].n_labels)


def test_curves_are_a_frame(simulation, tmp_path):
    simulation.to_csv(tmp_path / "curves.csv")
    pd.testing.assert_frame_equal(simulation.frame(), pd.read_csv(tmp_path / "curves.csv"))


def test_a_simulation_is_shown_in_a_line(simulation):
    assert repr(simulation) == "Simulation('accuracy', random, margin; 2 seeds)"


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_curves_are_drawn(simulation, tmp_path, suffix):
    path = tmp_path / f"curves.{suffix}"
    simulation.plot(path, title="Iris")
    assert path.read_bytes()[:5] in (b"\x89PNG\r", b"<?xml")
    (axes,) = simulation_figure(simulation).axes
    assert axes.get_legend().get_title().get_text() == "median and quartiles of 2 seeds"


def test_dollars_in_a_title_and_a_metric_are_no_formula(simulation, tmp_path):
    replace(simulation, metric="x$_$").plot(tmp_path / "curves.png", title="price$_$.csv")


def test_an_unknown_strategy_is_named(simulation):
    with pytest.raises(ValueError, match=r"strategy: expected one of \('random', 'margin'\), got 'gini'"):
        simulation.area("gini")


# The picture of a campaign


def test_a_campaign_is_drawn_as_it_went():
    answers = Y.tolist()
    answers[0] = qr.ABSTAIN
    learner = qr.ActiveLearner(GaussianNB(), X, batch_size=30, validation=(X, Y), seed=0)
    list(learner.run(qr.oracle.Known(answers)))
    metrics, asked = learning_curve(learner.history).axes
    (accuracy,) = metrics.get_lines()
    assert accuracy.get_xdata().tolist() == [round.n_labels for round in learner.history]
    assert accuracy.get_ydata().tolist() == [round.metrics["accuracy"] for round in learner.history]
    last = {line.get_label(): line.get_ydata()[-1] for line in asked.get_lines()}
    assert last == {"0: 49": 49, "1: 50": 50, "2: 50": 50, "abstained: 1": 1}
    assert list(last) == sorted(last)
    assert metrics.get_ylabel() == "accuracy"
    assert metrics.get_legend() is None, "the axis has the name"
    assert learning_curve(learner.history).get_suptitle() == "149 labels after 5 rounds"


def test_metrics_have_names_where_there_are_several():
    learner = qr.ActiveLearner(GaussianNB(), X, batch_size=30, validation=lambda _: {"f1": 0.5, "_auc": 0.6})
    list(learner.run(qr.oracle.Known(Y), stop=qr.stop.MaxRounds(2)))
    metrics, _ = learner.plot().axes
    assert metrics.get_ylabel() == "metric"
    assert [text.get_text() for text in metrics.get_legend().get_texts()] == ["f1", "'_auc'"]


def test_without_a_metric_there_is_no_panel_for_it():
    learner = qr.ActiveLearner(GaussianNB(), X, batch_size=30)
    list(learner.run(qr.oracle.Known(Y), stop=qr.stop.MaxRounds(1)))
    (asked,) = learner.plot().axes
    assert asked.get_ylabel() == "answers"
    assert learner.plot().get_suptitle() == "30 labels after 1 round"


def test_what_are_no_classes_or_too_many_is_one_line():
    def asked(learner, answers):
        list(learner.run(qr.oracle.Known(answers), stop=qr.stop.MaxRounds(1)))
        (line,) = learner.plot().axes[-1].get_lines()
        return line.get_label(), line.get_ydata().tolist()

    numbers = (X[:, 0] * 10).tolist()
    forest = RandomForestRegressor(2, random_state=0)
    assert asked(qr.ActiveLearner(forest, X, score="variance"), numbers) == ("labelled: 10", [10])
    assert asked(qr.ActiveLearner(GaussianNB(), X, batch_size=30), list(range(150))) == ("labelled: 30", [30])


def test_any_label_is_named_in_the_picture(tmp_path):
    labels = ["$\\bad$", "_hidden", "", "plain", ("a", 1), "long " * 20]
    learner = qr.ActiveLearner(lambda rows: np.full((len(rows), 2), 0.5), X, batch_size=6)
    learner.tell(learner.ask(), labels)
    figure = learner.plot()
    figure.savefig(tmp_path / "curve.png")
    named = [text.get_text() for text in figure.axes[-1].get_legend().get_texts()]
    assert named == [
        *("$\\bad$: 1", "'_hidden': 1", "'': 1", "plain: 1", "('a', 1): 1"),
        "long long long long lon…: 1",
    ]


def test_no_history_is_no_picture():
    with pytest.raises(ValueError, match="history: expected at least one round, got none"):
        learning_curve([])


def test_curves_that_share_one_number_of_labels_have_the_height_there():
    short = (curve("random", 0, [10, 20], [0.5, 0.7]), curve("margin", 0, [20, 40], [0.9, 1.0]))
    simulation = Simulation("accuracy", short, {0: 1.0})
    assert simulation.area("random").tolist() == [0.7]
    assert simulation.area("margin").tolist() == [0.9]


def test_a_run_that_never_sees_two_classes_is_named():
    rare = np.where(np.arange(len(X)) < 5, "rare", "common")
    with pytest.raises(ValueError, match=r"random: expected labels of two classes.* by label 4, got fewer"):
        qr.simulate(GaussianNB(), X, rare, strategies=["random"], seeds=1, batch_size=2, max_labels=4)


def test_threads_of_blas_are_left_alone_without_threadpoolctl(monkeypatch):
    expected = qr.simulate(GaussianNB(), X, Y, seeds=1, max_labels=20)
    find_spec = importlib.util.find_spec
    without = {"threadpoolctl": None}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: without.get(name, find_spec(name)))
    again = qr.simulate(GaussianNB(), X, Y, seeds=1, max_labels=20)
    assert [c.values.tolist() for c in again.curves] == [c.values.tolist() for c in expected.curves]


def test_a_share_that_holds_out_no_row_of_a_regressor_is_named():
    X = np.arange(30.0).reshape(-1, 1)
    model = [BayesianRidge(), BayesianRidge()]
    with pytest.raises(ValueError, match=r"test_size: .* holds out a row of 30, got 0\.001"):
        qr.simulate(model, X, X[:, 0], strategies=["random"], seeds=1, test_size=0.001)
