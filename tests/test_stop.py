"""Stop rules: when they fire, how they combine, and what they say."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import querist as qr
from querist import stop
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import cohen_kappa_score
from sklearn.naive_bayes import GaussianNB


def a_round(number, n_labels=1, indices=(0,), **fields):
    return qr.Round(
        np.array(indices),
        np.zeros(len(indices)),
        fields.pop("ticket", f"ticket {number}"),
        number=number,
        labels=("cat",) * len(indices),
        n_labels=n_labels,
        score_seconds=0.0,
        **fields,
    )


def rounds(*n_labels, **fields):
    return [a_round(number, n, **fields) for number, n in enumerate(n_labels, 1)]


def measured(*values):
    return [
        a_round(number, metrics={} if value is None else {"f1": value})
        for number, value in enumerate(values, 1)
    ]


def predicted(*predictions, dtype=np.uint8, **fields):
    return [
        a_round(
            number, fit_seconds=1.0, predictions=None if each is None else np.array(each, dtype), **fields
        )
        for number, each in enumerate(predictions, 1)
    ]


def told_of(rule, history):
    """Show the rounds to a rule one after the other, and give the numbers of those at which it fires."""
    return [number for number in range(1, len(history) + 1) if rule(history[:number])]


def yes(history):
    return True


def no(history):
    return False


@pytest.mark.parametrize("rule", [stop.MaxLabels(1), stop.MaxRounds(1), stop.when(yes)])
def test_no_rule_fires_before_the_first_round(rule):
    assert not rule([])
    assert rule.reason is None
    assert rule(rounds(5))


def test_max_labels_fires_at_its_limit():
    rule = stop.MaxLabels(20)
    assert not rule(rounds(10, 19))
    assert rule(rounds(10, 20))
    assert rule(rounds(10, 25))
    assert rule.reason == "labels: 25 of 20"


def test_max_rounds_fires_at_its_limit():
    rule = stop.MaxRounds(2)
    assert not rule(rounds(10))
    assert rule(rounds(10, 20))
    assert rule.reason == "rounds: 2 of 2"


def test_target_fires_at_its_value():
    rule = stop.Target("accuracy", 0.95)
    assert not rule(rounds(10))
    assert not rule(rounds(10, metrics={"accuracy": 0.94}))
    assert not rule(rounds(10, metrics={"accuracy": float("nan")}))
    assert rule(rounds(10, metrics={"accuracy": 0.95}))
    assert rule.reason == "accuracy: 0.95 of 0.95"


@pytest.mark.parametrize("rule", [stop.Target("accuracy", 0.9), stop.Plateau("accuracy", patience=1)])
def test_a_rule_of_a_metric_needs_a_validation(rule):
    learner = qr.ActiveLearner(GaussianNB(), [[0.0], [1.0], [2.0]], labels={0: 0, 1: 1})
    with pytest.raises(ValueError, match=r"metric: expected a learner with validation=.*'accuracy'"):
        list(learner.run(qr.oracle.Known([0, 1, 1]), stop=rule | stop.MaxLabels(9)))


def test_a_rule_of_the_model_warns_once_where_no_model_is_asked():
    X, y = load_digits(n_class=4, return_X_y=True)
    learner = qr.ActiveLearner(GaussianNB(), X, strategy="random", seed=0)
    rule = stop.OverallUncertainty(0.5)
    with pytest.warns(UserWarning, match=r"OverallUncertainty\(0.5\): cannot fire while no pick") as warned:
        list(learner.run(qr.oracle.Known(y), stop=rule | stop.MaxRounds(8)))
    assert len(warned) == 1


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: stop.MaxLabels("a"), TypeError, "n: expected an integer, got str"),
        (lambda: stop.MaxLabels(-1), ValueError, "n: expected at least 1 label, got -1"),
        (lambda: stop.MaxRounds(0), ValueError, "n: expected at least 1 round, got 0"),
        (lambda: stop.MaxCost(-1), ValueError, "total: expected a finite number, 0 or more, got -1"),
        (lambda: stop.MaxTime(-1), ValueError, "seconds: expected a finite number, 0 or more, got -1"),
        (lambda: stop.Target("accuracy", "x"), TypeError, "value: expected a number, got 'x'"),
        (lambda: stop.Plateau("f1", patience=1, min_delta="q"), TypeError, "min_delta: .* number, got 'q'"),
        (lambda: stop.OverallUncertainty("x"), TypeError, "threshold: expected a number, got 'x'"),
        (lambda: stop.StabilizingPredictions(kappa=True), TypeError, "kappa: expected a number, got True"),
        (lambda: stop.Target("f1", float("nan")), ValueError, "value: expected a number, got nan"),
        (lambda: stop.OverallUncertainty(np.nan), ValueError, "threshold: expected a number, got nan"),
        (lambda: stop.MaxLabels(1) | stop.MaxTime, TypeError, "stop: expected a function .*, got <class"),
        (lambda: stop.MaxLabels(1) | 3, TypeError, "stop: expected a function of the rounds so far, got 3"),
        (lambda: 3 & stop.MaxLabels(1), TypeError, "stop: expected a function of the rounds so far, got 3"),
    ],
)
def test_a_rule_that_cannot_work_is_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_target_of_an_unknown_metric_is_an_error():
    with pytest.raises(ValueError, match=r"expected one of \['accuracy', 'f1'\], got 'acuracy'"):
        stop.Target("acuracy", 0.9)(rounds(10, metrics={"accuracy": 0.5, "f1": 0.5}))


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (stop.MaxLabels(10) | stop.MaxRounds(9), "labels: 10 of 10"),
        (stop.MaxLabels(99) | stop.MaxRounds(1), "rounds: 1 of 1"),
        (stop.MaxLabels(10) | stop.MaxRounds(1), "labels: 10 of 10 and rounds: 1 of 1"),
        (stop.MaxLabels(10) & stop.MaxRounds(1), "labels: 10 of 10 and rounds: 1 of 1"),
        (stop.MaxLabels(10) & stop.MaxRounds(9), None),
        (stop.MaxLabels(99) | stop.MaxRounds(9), None),
        (stop.MaxLabels(99) | yes, "yes"),
        (no | stop.MaxLabels(10), "labels: 10 of 10"),
        (stop.MaxLabels(10) & no, None),
        (yes & stop.MaxLabels(10), "yes and labels: 10 of 10"),
        (stop.when(yes) & yes | no, "yes and yes"),
    ],
)
def test_rules_combine_and_say_why(rule, reason):
    assert rule(rounds(10)) is (reason is not None)
    assert rule.reason == reason


def test_a_reason_is_of_the_last_call():
    rule = stop.MaxLabels(10) | no
    assert rule(rounds(10))
    assert not rule(rounds(9))
    assert rule.reason is None


def test_both_sides_see_every_round():
    seen = []

    def counting(history):
        seen.append(len(history))
        return False

    rule = (stop.MaxLabels(1) | counting) & counting
    rule(rounds(10))
    assert seen == [1, 1]


def test_a_run_stops_with_its_reason():
    proba = np.random.default_rng(0).dirichlet(np.ones(3), size=50)
    rule = stop.MaxLabels(25) | stop.MaxRounds(4)
    learner = qr.ActiveLearner(lambda _: proba, proba)
    list(learner.run(lambda indices, _: ["cat"] * len(indices), stop=rule))
    assert learner.n_labels == 30
    assert rule.reason == "labels: 30 of 25"


def test_a_rule_reads_as_it_was_written():
    rule = stop.MaxLabels(500) | stop.Target("f1", 0.9) & stop.when(yes)
    assert repr(rule) == "(MaxLabels(500) | (Target('f1', 0.9) & yes))"


def test_max_cost_fires_at_its_limit():
    rule = stop.MaxCost(12.5)
    assert not rule(rounds(10, total_cost=12.4))
    assert rule(rounds(10, total_cost=12.5))
    assert rule.reason == "cost: 12.5 of 12.5"


def test_max_cost_adds_up_what_a_campaign_spends():
    proba = np.random.default_rng(0).dirichlet(np.ones(3), size=50)
    cost = np.arange(50.0)
    rule = stop.MaxCost(400)
    learner = qr.ActiveLearner(lambda _: proba, proba, cost=cost, batch_size=5)
    spent = [cost[list(learner.labels)].sum() for _ in learner.run(qr.oracle.Known(["cat"] * 50), stop=rule)]
    assert spent[-2] < 400 <= spent[-1]


def test_max_time_fires_at_its_limit():
    rule = stop.MaxTime(60)
    assert not rule(rounds(10, elapsed=59.9))
    assert rule(rounds(10, elapsed=61.0))
    assert rule.reason == "seconds: 61 of 60"


@pytest.mark.parametrize(
    ("values", "patience", "min_delta", "fires"),
    [
        ([0.5, 0.6, 0.7, 0.8], 1, 0.0, []),
        ([0.5, 0.5], 1, 0.0, [2]),
        ([0.5, 0.6, 0.55, 0.6], 2, 0.0, [4]),
        ([0.5, 0.6, 0.55, 0.6, 0.61], 2, 0.0, [4]),
        ([0.5, 0.6, 0.4, 0.5, 0.59], 2, 0.0, [4, 5]),
        ([0.5, 0.505, 0.509, 0.52], 2, 0.01, [3]),  # a slow rise is one
        ([0.5, 0.505, 0.511, 0.52], 2, 0.01, []),
        ([None, None, 0.5, None, 0.5], 1, 0.0, [5]),
        ([None, None, None], 1, 0.0, []),
        ([float("nan"), float("nan")], 2, 0.0, [2]),
    ],
)
def test_plateau_fires_when_nothing_gets_better(values, patience, min_delta, fires):
    rule = stop.Plateau("f1", patience=patience, min_delta=min_delta)
    assert told_of(rule, measured(*values)) == fires


def test_plateau_says_how_long_it_waited():
    rule = stop.Plateau("f1", patience=2)
    assert rule(measured(0.5, 0.75, 0.6, 0.7))
    assert rule.reason == "f1: for 2 rounds no better than 0.75"


def test_plateau_of_an_unknown_metric_is_an_error():
    with pytest.raises(ValueError, match=r"metric: expected one of \['f1'\], got 'accuracy'"):
        stop.Plateau("accuracy", patience=2)(measured(0.5))


@pytest.mark.parametrize(
    "make", [lambda n: stop.Plateau("f1", patience=n), lambda n: stop.StabilizingPredictions(window=n)]
)
def test_a_count_of_rounds_is_at_least_1(make):
    with pytest.raises(ValueError, match=r"(patience|window): expected at least 1 round, got 0"):
        make(0)


@pytest.fixture(scope="module")
def digits():
    """A campaign on digits to near its end, and what a rule could see of it after each round."""
    X, y = load_digits(return_X_y=True)
    X, y = X[:600] / 16, y[:600]
    learner = qr.ActiveLearner(LogisticRegression(C=3, tol=1e-3, max_iter=1000), X, batch_size=20, seed=0)
    seen, open_rows, reasons = [], set(range(600)), []
    rules = [
        stop.StabilizingPredictions(0.97, window=2),
        stop.StabilizingPredictions(),
        stop.ClassificationChange(),
        stop.OverallUncertainty(0.25),
    ]
    for round in learner.run(qr.oracle.Known(y), stop=stop.MaxLabels(500)):
        seen.append((round.predictions, round.uncertainty, sorted(open_rows)))
        reasons.append([rule.reason if rule(learner.history) else None for rule in rules])
        open_rows -= set(round.indices.tolist())
    fired = [[at for at, reason in enumerate(column) if reason] for column in zip(*reasons, strict=True)]
    return seen, fired, reasons


def mean_kappa(seen, at, window):
    """The mean of scikit-learn's kappa over the last pairs of models, or -1 if there are not as many."""
    pairs = [(seen[i - 1][0], seen[i][0]) for i in range(at - window + 1, at + 1) if i >= 1]
    if len(pairs) < window or any(before is None for before, _ in pairs):
        return -1.0
    return np.mean([cohen_kappa_score(before, now) for before, now in pairs])


@pytest.mark.parametrize(("rule", "kappa", "window"), [(0, 0.97, 2), (1, 0.99, 3)])
def test_stabilizing_predictions_fires_where_the_mean_kappa_is_reached(digits, rule, kappa, window):
    seen, fired, reasons = digits
    means = [mean_kappa(seen, at, window) for at in range(len(seen))]
    expected = [at for at, mean in enumerate(means) if mean >= kappa]
    assert fired[rule] == expected
    assert 3 < expected[0] < len(seen) - 1, "the campaign shows both sides of the rule"
    assert reasons[expected[0]][rule] == (
        f"mean kappa {means[expected[0]]:.4g} over {window} round{'s' * (window > 1)}, at least {kappa}"
    )


def test_classification_change_fires_where_no_open_row_changed(digits):
    seen, fired, reasons = digits
    expected = []
    for at in range(1, len(seen)):
        (before, *_), (now, _, open_rows) = seen[at - 1 : at + 1]
        if before is not None and all(before[row] == now[row] for row in open_rows):
            expected.append(at)
    assert fired[2] == expected
    assert expected
    assert expected[0] > 3
    assert reasons[expected[0]][2] == "no prediction changed"


def test_overall_uncertainty_fires_under_its_threshold(digits):
    seen, fired, _ = digits
    expected = [at for at, (_, uncertainty, _) in enumerate(seen) if uncertainty < 0.25]
    assert fired[3] == expected
    assert 1 < expected[0] < len(seen) - 1


def kappa_by_hand(before, now):
    n = len(before)
    agreed = sum(a == b for a, b in zip(before, now, strict=True)) / n
    chance = sum(Counter(before)[c] * Counter(now)[c] for c in set(before)) / n**2
    return (agreed - chance) / (1 - chance)


def test_kappa_is_cohens():
    generator = np.random.default_rng(0)
    for c in (2, 3, 300):
        before, now = generator.integers(c, size=(2, 500))
        now[:300] = before[:300]
        kappa = kappa_by_hand(before.tolist(), now.tolist())
        history = predicted(before, now, dtype=np.uint16)
        assert told_of(stop.StabilizingPredictions(kappa - 1e-12, window=1), history) == [2]
        assert told_of(stop.StabilizingPredictions(kappa + 1e-12, window=1), history) == []


def test_rows_without_a_prediction_do_not_count_for_kappa():
    with_gaps = predicted([0, 1, 255, 1, 0], [0, 1, 0, 255, 1])
    without = predicted([0, 1, 0], [0, 1, 1])
    for kappa in (0.3, 0.5):
        fires = told_of(stop.StabilizingPredictions(kappa, window=1), without)
        assert told_of(stop.StabilizingPredictions(kappa, window=1), with_gaps) == fires


def test_models_that_know_one_class_alone_are_not_stable():
    assert told_of(stop.StabilizingPredictions(0.1, window=1), predicted([1, 1], [1, 1], [1, 1])) == []


def test_a_round_that_asked_no_model_begins_the_window_anew():
    same = [0, 1]
    history = predicted(same, same, None, same, same, same)
    assert told_of(stop.StabilizingPredictions(window=2), history) == [6]
    assert told_of(stop.ClassificationChange(), history) == [2, 5, 6]


@pytest.mark.parametrize("rule", [stop.StabilizingPredictions(0.5, window=1), stop.ClassificationChange()])
def test_a_model_that_was_not_fitted_anew_is_no_second_one(rule):
    X, y = load_digits(n_class=4, return_X_y=True)
    learner = qr.ActiveLearner(GaussianNB(), X, batch_size=4, retrain={"rounds": 3}, seed=0)
    picked, fired = [], []
    for round in learner.run(qr.oracle.Known(y), stop=stop.MaxRounds(12)):
        picked.append(round.predictions)
        fired.append(rule(learner.history))
    same = [before is not None and np.array_equal(before, now) for before, now in pairwise(picked)]
    assert any(same), "the same model has picked two rounds"
    assert not fired[same.index(True) + 1]


@pytest.mark.parametrize("rule", [stop.StabilizingPredictions, stop.ClassificationChange])
def test_a_rule_that_begins_in_a_resumed_campaign_says_that_it_begins_anew(rule, tmp_path):
    X, y = load_digits(n_class=4, return_X_y=True)
    options = {"batch_size": 4, "journal": tmp_path / "run.db", "labels": {0: y[0], 1: y[1]}}
    with qr.ActiveLearner(GaussianNB(), X, **options) as learner:
        list(learner.run(qr.oracle.Known(y), stop=rule() & stop.MaxRounds(1) | stop.MaxRounds(3)))
    with (
        qr.ActiveLearner.resume(GaussianNB(), X, **options) as again,
        pytest.warns(UserWarning, match=r"begins anew after 3 rounds, as .* in no journal either") as warned,
    ):
        list(again.run(qr.oracle.Known(y), stop=rule() & stop.MaxRounds(1) | stop.MaxRounds(5)))
    assert len(warned) == 1


def test_asking_twice_about_a_round_changes_nothing():
    rule = stop.StabilizingPredictions(window=2)
    history = predicted([0, 1], [0, 1], [0, 1])
    assert [rule(history[:n]) for n in (1, 1, 2, 2, 3, 3)] == [False, False, False, False, True, True]


def test_a_rule_serves_another_campaign():
    rule = stop.StabilizingPredictions(window=2)
    history = predicted([0, 1], [0, 1], [0, 1], [0, 1])
    assert told_of(rule, history) == [3, 4]
    assert told_of(rule, history) == [3, 4]


@pytest.mark.parametrize("rule", [stop.StabilizingPredictions(window=1), stop.ClassificationChange()])
@pytest.mark.parametrize("of_another", [{"ticket": "another"}, {"elapsed": 2.0}])
@pytest.mark.parametrize("rows", [2, 3])
def test_campaigns_are_not_compared_with_each_other(rule, of_another, rows):
    first = predicted([0, 1], [1, 0])
    second = predicted(*[[1, 0, 0][:rows]] * 3, **of_another)
    assert told_of(rule, first) == []
    assert not rule(second[:2])  # in which no round was seen before
    assert not rule(first)
    assert not rule(second), "the round after that of the same number in the first campaign"


def test_classification_change_leaves_out_what_was_asked_before():
    history = [
        a_round(1, indices=(2,), fit_seconds=1.0, predictions=np.array([0, 1, 0], np.uint8)),
        a_round(2, indices=(0,), fit_seconds=1.0, predictions=np.array([0, 1, 1], np.uint8)),
        a_round(3, indices=(1,), predictions=np.array([0, 0, 1], np.uint8)),
    ]
    assert told_of(stop.ClassificationChange(), history) == [2]


def test_overall_uncertainty_says_how_sure_the_model_is():
    rule = stop.OverallUncertainty(0.05)
    assert not rule(rounds(10, uncertainty=0.05))
    assert not rule(rounds(10))
    assert rule(rounds(10, uncertainty=0.049))
    assert rule.reason == "uncertainty: 0.049, under 0.05"


def test_the_rules_about_the_model_read_as_they_were_written():
    rule = stop.StabilizingPredictions(0.98) & stop.ClassificationChange() | stop.OverallUncertainty(0.01)
    assert repr(rule) == (
        "((StabilizingPredictions(kappa=0.98, window=3) & ClassificationChange()) | OverallUncertainty(0.01))"
    )
