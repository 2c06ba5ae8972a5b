"""Stop rules: when they fire, how they combine, and what they say."""

from __future__ import annotations

import numpy as np
import pytest
import querist as qr
from querist import stop


def rounds(*n_labels, metrics=None):
    return [
        qr.Round(
            np.arange(1),
            np.zeros(1),
            "ticket",
            number=number,
            labels=("cat",),
            n_labels=n,
            score_seconds=0.0,
            metrics=metrics or {},
        )
        for number, n in enumerate(n_labels, 1)
    ]


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
