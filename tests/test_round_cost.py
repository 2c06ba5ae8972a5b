"""What a round costs in Python does not grow with the labels in hand: counted, not timed."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import querist as qr

N = 6000
PROBA = np.random.default_rng(0).dirichlet(np.ones(3), size=N)


class Model:
    """As cheap as can be: whatever is counted is querist's."""

    def fit(self, _X, _y):
        self.classes_ = np.arange(3)

    def predict_proba(self, _):
        return PROBA


class Regressor:
    """The same for numbers, each of which is a label of its own."""

    def fit(self, _X, _y):
        pass

    def predict(self, _, return_std=False):
        assert return_std
        return PROBA[:, 0], PROBA[:, 1]


def steps_of(work):
    """Count the instructions of the interpreter."""
    counted, before = 0, sys.gettrace()

    def trace(frame, event, _):
        nonlocal counted
        frame.f_trace_opcodes = True
        counted += event == "opcode"
        return trace

    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return counted


@pytest.mark.parametrize("regresses", [False, True])
@pytest.mark.parametrize("retrain", [None, {"rounds": 50}])
def test_a_round_takes_as_many_steps_whatever_is_labelled(regresses, retrain):
    score = "variance" if regresses else "margin"
    learner = qr.ActiveLearner(
        Regressor() if regresses else Model(), np.arange(N)[:, None], score=score, retrain=retrain, seed=0
    )

    def label(row):
        return float(row) if regresses else int(row) % 3

    def a_round():
        batch = learner.ask()
        learner.tell(batch, [label(row) for row in batch.indices.tolist()])

    def steps():
        a_round()  # what comes only once, comes here
        return steps_of(a_round)

    learner.tell(range(60), [label(row) for row in range(60)])
    few = steps()
    learner.tell(range(60, 5000), [label(row) for row in range(60, 5000)])
    assert steps() == pytest.approx(few, rel=0.05)
