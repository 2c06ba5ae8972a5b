"""Selection from a stream: against the published filter, its budget, and what is kept between calls."""

from __future__ import annotations

import pickle  # noqa: TID251 (as people do with it)

import numpy as np
import pytest
import querist as qr
from hypothesis import given
from hypothesis import strategies as st


def reference(scores, budget, window, tolerance):
    """Decide item by item as in Kottke et al. 2015, with ties as the docstring says."""
    picked, seen = [], []
    for place, score in enumerate(scores):
        if np.isnan(score):
            continue
        seen.append(score)
        last = np.array(seen[-window:])
        left = budget * len(seen) - len(picked)
        threshold = np.quantile(last, 1 - budget) - (last.max() - last.min()) * left / tolerance
        if score > threshold or (score == threshold and left > 0):
            picked.append(place)
    return picked


@pytest.mark.parametrize("budget", [0.01, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("window", [1, 7, 100])
def test_it_decides_as_the_naive_filter(budget, window):
    rng = np.random.default_rng(3)
    drifting = rng.random(1500) + np.sin(np.arange(1500) / 200)
    drifting[::50] = np.nan
    stream = qr.select.QuantileFilter(budget, window=window, tolerance=20)
    picks = stream.pick(drifting)
    assert picks.indices.tolist() == reference(drifting, budget, window, 20)
    assert picks.values.tolist() == drifting[picks.indices].tolist()
    assert (stream.n_observed, stream.n_asked) == (1470, len(picks.indices))


def test_it_decides_as_scikit_activeml_where_scores_differ():
    budgets = pytest.importorskip("skactiveml.stream.budgetmanager")
    scores = np.random.default_rng(4).random(400)
    theirs = budgets.BalancedIncrementalQuantileFilter(w=100, w_tol=50, budget=0.1)
    asked = []
    for place, score in enumerate(scores):
        queried = theirs.query_by_utility(np.array([score]))
        theirs.update([[0.0]], queried, [score])
        asked += [place] * len(queried)
    assert qr.select.QuantileFilter(0.1).pick(scores).indices.tolist() == asked


@given(
    st.lists(st.sampled_from([0.0, 0.5, 1.0, -1e308, 1e308, 5e-324]) | st.floats(-1, 1), max_size=300),
    st.floats(0, 1),
    st.integers(1, 30),
    st.floats(0.1, 20),
    st.booleans(),
)
def test_the_budget_is_kept_whatever_comes(scores, budget, window, tolerance, rises):
    stream = qr.select.QuantileFilter(budget, window=window, tolerance=tolerance)
    for score in sorted(scores) if rises else scores:
        stream.pick([score])
        assert abs(stream.n_asked - budget * stream.n_observed) <= tolerance + 1 + 1e-9


def test_equal_scores_are_asked_as_the_budget_says():
    assert qr.select.QuantileFilter(0.1).pick(np.ones(1000)).indices.tolist() == list(range(0, 1000, 10))


def test_a_budget_of_none_and_of_all():
    scores = np.random.default_rng(5).random(300)
    assert qr.select.QuantileFilter(0.0).pick(scores).indices.size == 0
    assert qr.select.QuantileFilter(1.0).pick(scores).indices.tolist() == list(range(300))


def test_chunks_and_a_pickle_midway_change_nothing():
    scores = np.random.default_rng(6).normal(size=2000).astype(np.float32)
    whole = qr.select.QuantileFilter(0.2, window=50)
    expected = whole.pick(scores).indices.tolist()
    stream, found = qr.select.QuantileFilter(0.2, window=50), []
    for first in range(0, 2000, 130):
        stream = pickle.loads(pickle.dumps(stream))
        found += (stream.pick(scores[first : first + 130]).indices + first).tolist()
    assert found == expected
    assert (stream.n_observed, stream.n_asked) == (whole.n_observed, whole.n_asked)


def test_after_an_error_nothing_has_been_decided():
    stream = qr.select.QuantileFilter(0.5)
    with pytest.raises(ValueError, match="scores: row 2 is not valid: it is inf, expected a finite number"):
        stream.pick([0.5, 0.1, np.inf])
    assert (stream.n_observed, stream.n_asked) == (0, 0)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"budget": 1.5}, ValueError, "budget: expected a share from 0 to 1, got 1.5"),
        ({"budget": -0.1}, ValueError, "budget: expected a finite number, 0 or more"),
        ({"budget": "some"}, TypeError, "budget: expected a number"),
        ({"budget": 0.5, "window": 0}, ValueError, "window: expected at least 1 score, got 0"),
        ({"budget": 0.5, "tolerance": 0}, ValueError, "tolerance: expected a finite number, above 0"),
    ],
)
def test_arguments_that_are_wrong(arguments, error, message):
    with pytest.raises(error, match=message):
        qr.select.QuantileFilter(**arguments)


def test_a_long_call_has_a_deadline():
    stream = qr.select.QuantileFilter(0.5, window=10**6)
    with pytest.raises(TimeoutError, match="deadline"):
        stream.pick(np.random.default_rng(0).random(10**7), deadline=0.2)
    assert stream.n_observed == 0
