"""The loop: what is asked, what is told, and that nothing told is lost."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pandas
import pytest
import querist as qr
import scipy.sparse
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from threadpoolctl import threadpool_limits

N = 60
X = np.random.default_rng(0).normal(size=(N, 3)) + np.repeat([[0.0], [2.0], [4.0]], 20, axis=0)
Y = np.repeat(["cat", "cow", "dog"], 20)
PROBA = np.random.default_rng(1).dirichlet(np.ones(4), size=N)


class CountingNB(GaussianNB):
    """Naive Bayes that remembers what it was fitted on."""

    def __init__(self):
        super().__init__()
        self.fits = []

    def fit(self, X, y):
        self.fits.append((X, y))
        return super().fit(X, y)


def oracle(indices, rows):
    assert len(rows) == len(indices)
    return Y[indices]


def proba(_rows):
    return PROBA


def state(learner):
    """All that a failed call must leave alone."""
    waiting = learner.ask()
    return learner.labels, learner.n_available, waiting.indices.tolist(), waiting.ticket


class TestAsk:
    def test_asking_twice_gives_the_same_batch(self):
        learner = qr.ActiveLearner(CountingNB(), X, labels={0: "cat", 30: "cow"})
        first, second = learner.ask(), learner.ask(k=3)
        assert first.ticket == second.ticket
        assert first.indices.tolist() == second.indices.tolist()
        assert first.scores.tolist() == second.scores.tolist()
        assert len(first) == 10
        assert first.indices.dtype == np.int64

    def test_an_open_batch_gives_its_unanswered_items_only(self):
        learner = qr.ActiveLearner(proba, X, batch_size=4)
        batch = learner.ask()
        learner.tell(batch.indices[1:3], ["cat", qr.ABSTAIN])
        rest = learner.ask()
        assert rest.indices.tolist() == batch.indices[[0, 3]].tolist()
        assert rest.scores.tolist() == batch.scores[[0, 3]].tolist()
        assert rest.ticket == batch.ticket
        learner.tell(rest, ["cat", "cat"])
        assert learner.ask().ticket != batch.ticket

    def test_the_end_of_the_pool_gives_fewer_then_raises(self):
        learner = qr.ActiveLearner(proba, X, labels=dict.fromkeys(range(N - 3), "cat"))
        last = learner.ask(k=50)
        assert sorted(last.indices) == [N - 3, N - 2, N - 1]
        learner.tell(last, ["cow", qr.ABSTAIN, "dog"])
        with pytest.raises(qr.PoolExhausted, match="none of the 60 rows"):
            learner.ask()

    @pytest.mark.parametrize("name", ["margin", "entropy", "least_confidence", "gini"])
    def test_a_named_score_asks_its_largest_first(self, name):
        available = np.arange(N) >= 10
        learner = qr.ActiveLearner(proba, X, score=name, labels=dict.fromkeys(range(10), "cat"))
        scores = getattr(qr, name)(PROBA)
        order = np.lexsort((np.arange(N), -np.where(available, scores, -np.inf)))
        batch = learner.ask(k=20)
        assert batch.indices.tolist() == order[:20].tolist()
        assert batch.scores.tolist() == scores[order[:20]].tolist()

    def test_a_function_scores_like_the_name_of_its_formula(self):
        by_name = qr.ActiveLearner(proba, X, score="entropy").ask()
        by_function = qr.ActiveLearner(proba, X, score=qr.entropy).ask()
        assert by_function.indices.tolist() == by_name.indices.tolist()

    def test_a_row_scored_nan_is_not_asked(self):
        def only_three(proba):
            return np.where(np.isin(np.arange(len(proba)), [5, 7, 9]), proba[:, 0], np.nan)

        learner = qr.ActiveLearner(proba, X, score=only_three)
        batch = learner.ask()
        assert sorted(batch.indices) == [5, 7, 9]
        learner.tell(batch, ["cat"] * 3)
        with pytest.raises(ValueError, match=r"score only_three: .* got NaN for each"):
            learner.ask()

    def test_a_batch_cannot_be_changed(self):
        batch = qr.ActiveLearner(proba, X).ask()
        with pytest.raises(ValueError, match="read-only"):
            batch.indices.sort()

    @pytest.mark.parametrize(
        ("k", "error", "message"),
        [
            (0, ValueError, "at least 1 item, got 0"),
            (-1, ValueError, "at least 1 item, got -1"),
            (2.0, TypeError, "an integer, got float"),
            ("2", TypeError, "an integer, got str"),
            (True, TypeError, "an integer, got bool"),
        ],
    )
    def test_k_must_be_a_positive_integer(self, k, error, message):
        with pytest.raises(error, match=f"^k: expected {message}"):
            qr.ActiveLearner(proba, X).ask(k)

    def test_a_batch_size_that_was_set_is_named(self):
        learner = qr.ActiveLearner(proba, X)
        learner.batch_size = 0
        with pytest.raises(ValueError, match=r"^batch_size: expected at least 1 item, got 0"):
            learner.ask()
        assert len(learner.ask(3)) == 3


class TestWrongArguments:
    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"seed": "a"}, TypeError, "seed: expected None, an integer or a numpy Generator, got str"),
            ({"seed": -1}, ValueError, "seed: expected an integer from 0"),
            ({"labels": [1, 2]}, TypeError, "labels: expected a mapping of pool index to label, got list"),
            ({"labels": np.arange(3)}, TypeError, "labels: expected a mapping .* got ndarray"),
            (
                {"labels": {99: "a"}},
                ValueError,
                "labels: expected rows of the pool of 60 for keys, got 99",
            ),
            ({"labels": {"a": 1}}, TypeError, "labels: expected pool indices for keys, got 'a'"),
            ({"callbacks": lambda: 1}, TypeError, "callbacks: expected a sequence of objects, got function"),
        ],
    )
    def test_a_wrong_one_is_named(self, options, error, message):
        with pytest.raises(error, match=message):
            qr.ActiveLearner(proba, X, **options)

    @pytest.mark.parametrize(("annotator", "error"), [(["r"], TypeError), (float("nan"), ValueError)])
    def test_an_annotator_has_a_name(self, annotator, error):
        learner = qr.ActiveLearner(proba, X)
        with pytest.raises(error, match="annotator: expected"):
            learner.ask(annotator=annotator)
        with pytest.raises(error, match="annotator: expected"):
            learner.tell([0], ["cat"], annotator=annotator)
        assert learner.labels == {}

    def test_a_function_may_score_in_integers(self):
        def likeliest(proba):
            return proba.argmax(axis=1)

        expected = qr.select.top_k(PROBA.argmax(axis=1).astype(float), 10)
        assert qr.ActiveLearner(proba, X, score=likeliest).ask().indices.tolist() == expected.indices.tolist()


class TestFace:
    def test_it_reads_as_what_it_is(self):
        learner = qr.ActiveLearner(CountingNB(), X, labels={0: "cat"}, strategy="badge")
        assert repr(learner) == "ActiveLearner(CountingNB, 'badge', 1 of 60 labelled)"

    def test_the_model_is_there_to_read(self):
        model = CountingNB()
        learner = qr.ActiveLearner(model, X)
        assert learner.model is model
        with pytest.raises(AttributeError):
            learner.model = None

    def test_the_end_of_a_with_closes(self, tmp_path):
        with qr.ActiveLearner(proba, X, journal=tmp_path / "run.db") as learner:
            learner.tell([0], ["cat"])
        with pytest.raises(qr.JournalError, match="closed"):
            learner.tell([1], ["cat"])


@pytest.mark.parametrize("kind", ["pandas series", "nested polars"])
def test_a_pool_may_be_a_series_or_hold_lists(kind):
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    pool = (
        pandas.Series(["a", "b", "c"])
        if kind == "pandas series"
        else polars.DataFrame({"a": [[1.0, 2.0]] * 3})
    )
    learner = qr.ActiveLearner(lambda rows: np.tile([0.6, 0.4], (len(rows), 1)), pool, batch_size=2)
    assert learner.ask().indices.tolist() == [0, 1]


class TestKinds:
    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            ({0: "a", 1: 7, 2: "b"}, r"got str \('a' at index 0\) and int \(7 at index 1\)"),
            ({5: 1, 9: 2, 4: b"x"}, r"got bytes \(b'x' at index 4\) and int \(1 at index 5\)"),
            ({0: "a", 1: ("a", "b")}, r"got str \('a' at index 0\) and tuple"),
        ],
    )
    def test_labels_of_two_kinds_are_not_fitted(self, labels, message):
        model = CountingNB()
        learner = qr.ActiveLearner(model, X, labels=labels)
        with pytest.raises(TypeError, match="labels: expected one kind to fit a model on, " + message):
            learner.fit()
        assert model.fits == []

    def test_numbers_are_one_kind(self):
        model = CountingNB()
        qr.ActiveLearner(model, X, labels={0: 1, 1: 2.0, 2: True}).fit()
        assert model.fits[0][1].tolist() == [1, 2, 1]


class TestColdStart:
    def test_there_is_no_fit_until_two_classes_are_labelled(self):
        model = CountingNB()
        learner = qr.ActiveLearner(model, X, batch_size=2, seed=0)
        for _ in range(3):
            batch = learner.ask()
            assert np.isnan(batch.scores).all()
            learner.tell(batch, ["cat", "cat"])
        assert model.fits == []
        learner.tell(learner.ask(), ["cow", "cow"])
        assert np.isfinite(learner.ask().scores).all()
        assert len(model.fits) == 1

    def test_a_function_has_none(self):
        assert np.isfinite(qr.ActiveLearner(proba, X).ask().scores).all()

    def test_the_seed_decides_the_picks(self):
        def asked(seed):
            return qr.ActiveLearner(CountingNB(), X, seed=seed).ask().indices.tolist()

        assert asked(7) == asked(7)
        assert asked(7) != asked(8)
        assert asked(7) == asked(np.random.default_rng(7))

    def test_a_drawn_seed_is_kept_and_repeats_the_run(self):
        first = qr.ActiveLearner(CountingNB(), X, score="random")
        again = qr.ActiveLearner(CountingNB(), X, score="random", seed=first.seed)
        rounds = zip(first.run(oracle), again.run(oracle), strict=True)
        assert all(a.ticket == b.ticket for a, b in rounds)

    def test_the_global_generator_is_left_alone(self):
        before = np.random.get_state()[1].copy()  # noqa: NPY002
        list(qr.ActiveLearner(CountingNB(), X, score="random").run(oracle))
        assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


class TestTell:
    def test_indices_may_be_integers_of_any_types(self):
        rows = [np.uint64(3), 2, np.int8(5)]
        learner = qr.ActiveLearner(GaussianNB(), X, labels=dict.fromkeys(rows, "cat"))
        learner.tell([np.uint64(7), 8], ["cow", "cow"])
        assert learner.labels == {2: "cat", 3: "cat", 5: "cat", 7: "cow", 8: "cow"}

    @pytest.mark.parametrize(
        ("indices", "labels", "error", "message"),
        [
            ([1, 2, 3], ["cat", "cow"], ValueError, "one for each of 3 indices, got 2"),
            ([1], [], ValueError, "each of 1 indices, got 0"),
            (
                [4, 5, 4],
                ["cat", "cow", "dog"],
                ValueError,
                "answer for index 4, got 'cat' and 'dog'",
            ),
            ([4, 4], ["cat", qr.ABSTAIN], ValueError, "answer for index 4, got 'cat' and ABSTAIN"),
            (
                [3, N],
                ["cat", "cow"],
                ValueError,
                r"indices\[1\]: expected a row of the pool of 60, got 60",
            ),
            ([-1], ["cat"], ValueError, r"indices\[0\]: expected a row.* got -1"),
            ([[1], [2]], ["cat", "cow"], ValueError, r"one dimension, got shape \(2, 1\)"),
            ([1.0], ["cat"], TypeError, "indices: expected integers, got float64"),
            ([1, 2.0], ["cat", "cow"], TypeError, "indices: expected integers, got float64"),
            ([np.uint64(3), 2**80], ["cat", "cow"], ValueError, rf"indices\[1\]: .* of 60, got {2**80}"),
            ([True, False], ["cat", "cow"], TypeError, "indices: expected integers, got bool"),
            ([1], [None], ValueError, r"labels\[0\]: expected a label or querist.ABSTAIN"),
            ([1, 2], [0.0, np.nan], ValueError, r"labels\[1\]: .* got nan"),
            ([1], [["cat"]], TypeError, r"labels\[0\]: expected something hashable, got"),
            ([1, 2], ["cat", ("cow", [])], TypeError, r"labels\[1\]: expected something hashable, got"),
            ([1, 2, 3], "cat", TypeError, "labels: expected a sequence"),
            ([1], {1: "cat"}, TypeError, "labels: expected a sequence"),
            ([1], 7, TypeError, "labels: expected a sequence"),
        ],
    )
    def test_a_wrong_call_is_named_and_changes_nothing(self, indices, labels, error, message):
        learner = qr.ActiveLearner(GaussianNB(), X, labels={0: "cat", 30: "cow"})
        before = state(learner)
        with pytest.raises(error, match=message):
            learner.tell(indices, labels)
        assert state(learner) == before

    def test_the_same_answer_again_is_not_a_reason_to_fit(self):
        model = CountingNB()
        learner = qr.ActiveLearner(model, X, labels={0: "cat", 30: "cow"})
        learner.fit()
        learner.tell([0, 30], np.array(["cat", "cow"]))
        learner.fit()
        assert len(model.fits) == 1

    def test_another_answer_is_a_revision(self):
        model = CountingNB()
        learner = qr.ActiveLearner(model, X, labels={0: "cat", 30: "cow"})
        learner.fit()
        learner.tell([0], ["dog"])
        learner.fit()
        assert learner.labels == {0: "dog", 30: "cow"}
        assert model.fits[-1][1].tolist() == ["dog", "cow"]

    def test_a_revision_of_a_past_round_leaves_its_record(self):
        learner = qr.ActiveLearner(proba, X, batch_size=1)
        batch = learner.ask()
        learner.tell(batch, ["cat"])
        learner.tell(batch, ["cow"])
        assert learner.history[0].labels == ("cat",)
        assert len(learner.history) == 1

    def test_an_abstention_sets_aside_until_a_label_comes(self):
        learner = qr.ActiveLearner(proba, X, batch_size=2)
        batch = learner.ask()
        learner.tell(batch, [qr.ABSTAIN, "cat"])
        assert learner.history[0].labels == (qr.ABSTAIN, "cat")
        assert (learner.n_labels, learner.n_available) == (1, N - 2)
        assert not set(learner.ask(k=N).indices) & set(batch.indices)
        learner.tell(batch.indices[:1], ["cow"])
        assert learner.n_labels == 2

    def test_an_abstention_takes_no_label_back(self):
        learner = qr.ActiveLearner(proba, X, labels={3: "cat"})
        learner.tell([3], [qr.ABSTAIN])
        assert learner.labels == {3: "cat"}

    def test_the_order_of_answers_does_not_matter(self):
        fits = []
        for order in itertools.permutations([3, 25, 50]):
            model = CountingNB()
            learner = qr.ActiveLearner(model, X)
            for index in order:
                learner.tell([index], [Y[index]])
            learner.fit()
            fits.append([part.tolist() for part in model.fits[0]])
        assert all(fit == fits[0] for fit in fits)

    def test_labels_come_back_as_plain_objects(self):
        learner = qr.ActiveLearner(proba, X)
        learner.tell(np.array([2, 1], dtype=np.uint8), np.array([1, 0], dtype=np.int8))
        learner.tell([], [])
        assert learner.labels == {1: 0, 2: 1}
        assert [type(label) for label in learner.labels.values()] == [int, int]

    def test_a_scalar_in_an_array_or_a_tensor_is_its_value(self):
        class Tensor:
            """As those of torch: equal by value, hashed by identity."""

            shape = ()

            def __init__(self, value):
                self.value = value

            def item(self):
                return self.value

        learner = qr.ActiveLearner(proba, X)
        learner.tell([0, 1, 2, 3], [Tensor(3), Tensor(3), np.array(3), np.array("cow")])
        learner.tell([0], [Tensor(3)])
        assert list(map(repr, learner.labels.values())) == ["3", "3", "3", "'cow'"]
        assert len(learner.record) == 4
        with pytest.raises(TypeError, match="expected a time that Python can hold"):
            learner.tell([4], [np.array(0, "datetime64[ns]")])
        with pytest.raises(TypeError, match="expected something hashable, got masked"):
            learner.tell([4], np.ma.masked_equal([5], 5))

    def test_abstain_stays_itself_when_copied(self):
        assert copy.deepcopy(qr.ABSTAIN) is qr.ABSTAIN
        assert repr(qr.ABSTAIN) == "ABSTAIN"


class TestRun:
    def test_rounds_tell_what_happened(self):
        learner = qr.ActiveLearner(CountingNB(), X, validation=(X, Y), batch_size=7, seed=3)
        rounds = list(learner.run(oracle, stop=qr.stop.MaxRounds(4)))
        assert [round.number for round in rounds] == [1, 2, 3, 4]
        assert [round.n_labels for round in rounds] == [7, 14, 21, 28]
        assert rounds == learner.history
        for round in rounds:
            assert round.labels == tuple(Y[round.indices])
            assert 0 < round.metrics["accuracy"] <= 1
            assert round.score_seconds > 0
            assert round.fit_seconds > 0

    def test_an_exhausted_pool_stops(self):
        learner = qr.ActiveLearner(CountingNB(), X, batch_size=25)
        sizes = [len(round) for round in learner.run(oracle, stop=lambda _: False)]
        assert sizes == [25, 25, 10]
        asked = np.concatenate([round.indices for round in learner.history])
        assert sorted(asked) == list(range(N))

    def test_the_model_knows_the_last_labels(self):
        model = CountingNB()
        learner = qr.ActiveLearner(model, X)
        for round in learner.run(oracle, stop=qr.stop.MaxLabels(30)):
            assert len(model.fits[-1][1]) == round.n_labels

    def test_it_goes_on_where_it_stopped(self):
        learner = qr.ActiveLearner(proba, X)
        first = list(learner.run(oracle, stop=qr.stop.MaxRounds(2)))
        assert list(learner.run(oracle, stop=qr.stop.MaxRounds(2))) == []
        second = list(learner.run(oracle, stop=qr.stop.MaxRounds(3)))
        assert len(first + second) == len(learner.history) == 3

    def test_a_failing_oracle_loses_nothing(self):
        calls = itertools.count(1)

        def unreliable(indices, rows):
            call = next(calls)
            if call % 3 == 0:
                raise ConnectionError("the annotator is away")
            if call % 5 == 0:
                return Y[indices[1:]]  # one label short
            return Y[indices]

        learner = qr.ActiveLearner(CountingNB(), X, batch_size=5)
        failures = 0
        while learner.n_available:
            before = learner.labels
            try:
                for round in learner.run(unreliable):
                    before = learner.labels
                    assert round.n_labels == len(before)
            except (ConnectionError, ValueError):
                failures += 1
                assert learner.labels == before
        assert failures > 3
        assert learner.labels == dict(enumerate(Y))

    def test_metrics_may_be_the_callers_own(self):
        model = CountingNB()
        learner = qr.ActiveLearner(
            model, X, validation=lambda fitted: {"fits": len(fitted.fits)}, batch_size=20
        )
        assert [round.metrics for round in learner.run(oracle)] == [{"fits": k} for k in (1, 2, 3)]

    def test_metrics_that_are_not_named_are_an_error(self):
        learner = qr.ActiveLearner(proba, X, validation=lambda _: 0.9)
        with pytest.raises(TypeError, match="validation: expected it to return a dict of metrics, got float"):
            next(learner.run(oracle))
        assert learner.n_labels == 10

    @pytest.mark.parametrize("value", [1, True, 0.5, np.float32(0.5), np.array(0.5), np.nan])
    def test_a_metric_is_a_number(self, value, tmp_path):
        with qr.ActiveLearner(
            proba, X, validation=lambda _: {"f1": value}, journal=tmp_path / "a.db"
        ) as learner:
            metrics = next(learner.run(oracle)).metrics
        assert type(metrics["f1"]) is float
        assert metrics == pytest.approx({"f1": float(value)}, nan_ok=True)

    @pytest.mark.parametrize("metrics", [{"f1": None}, {"f1": "0.5"}, {"f1": [0.5]}, {"f1": 1j}, {7: 0.5}])
    def test_a_metric_that_is_none_is_an_error_of_the_fit_alone(self, metrics, tmp_path):
        with qr.ActiveLearner(proba, X, validation=lambda _: metrics, journal=tmp_path / "a.db") as learner:
            with pytest.raises(TypeError, match=r"validation: expected metrics of {name: number}, got"):
                next(learner.run(oracle))
            learner.tell(range(N), Y)
            assert learner.n_labels == N

    def test_accuracy_needs_no_predict(self):
        learner = qr.ActiveLearner(proba, X, validation=(X, PROBA.argmax(axis=1)))
        assert next(learner.run(oracle)).metrics == {"accuracy": 1.0}

    def test_metrics_follow_labels_told_by_hand(self):
        learner = qr.ActiveLearner(CountingNB(), X, validation=(X, Y), labels={0: "cat"})
        batch = learner.ask()
        learner.tell(batch, Y[batch.indices])
        assert learner.history[-1].metrics == {}
        learner.fit()
        assert learner.history[-1].metrics["accuracy"] > 0.3


class TestRoundFacts:
    """What stop rules read on each round."""

    def test_cost_is_summed_over_all_answers(self):
        cost = np.arange(N) / 4
        learner = qr.ActiveLearner(proba, X, cost=cost, labels={50: "cat"}, batch_size=3)
        first = learner.ask()
        learner.tell(first, ["cat", qr.ABSTAIN, "cow"])
        learner.tell([40] if 40 not in first.indices else [41], ["dog"])
        second = learner.ask()
        learner.tell(second, ["cat"] * 3)
        one, two = learner.history
        assert one.cost == cost[first.indices].sum()
        assert one.total_cost == one.cost + cost[50]
        assert two.cost == cost[second.indices].sum()
        answered = {*first.indices, *second.indices, 50, 40 if 40 not in first.indices else 41}
        assert two.total_cost == cost[list(answered)].sum()

    def test_each_answer_costs_one_by_default(self):
        learner = qr.ActiveLearner(proba, X, labels={50: "cat"}, batch_size=7)
        rounds = list(learner.run(oracle, stop=qr.stop.MaxRounds(2)))
        assert [(round.cost, round.total_cost) for round in rounds] == [(7, 8), (7, 15)]

    @pytest.mark.parametrize(
        ("cost", "message"),
        [
            ([1.0, 2.0], r"cost: expected shape \(60,\).* got \(2,\)"),
            (np.where(np.arange(N) == 7, np.inf, 1), "cost: row 7 is inf"),
            (np.where(np.arange(N) == 9, -1.0, 1), "cost: row 9 is -1.0"),
        ],
    )
    def test_a_wrong_cost_is_named(self, cost, message):
        with pytest.raises(ValueError, match=message):
            qr.ActiveLearner(proba, X, cost=cost)

    def test_elapsed_grows_from_the_start(self):
        learner = qr.ActiveLearner(proba, X)
        elapsed = [round.elapsed for round in learner.run(oracle)]
        assert elapsed[0] > 0
        assert elapsed == sorted(set(elapsed))

    def test_uncertainty_is_the_mean_over_what_could_be_asked(self):
        learner = qr.ActiveLearner(proba, X, labels=dict.fromkeys(range(20), "cat"))
        first = next(learner.run(oracle))
        entropies = -(PROBA * np.log(PROBA)).sum(axis=1) / np.log(4)
        assert first.uncertainty == pytest.approx(entropies[20:].mean(), rel=1e-12)

    def test_predictions_stay_on_the_newest_round_only(self):
        learner = qr.ActiveLearner(proba, X)
        for round in learner.run(oracle):
            assert round.predictions.dtype == np.uint8
            assert round.predictions.tolist() == PROBA.argmax(axis=1).tolist()
            assert all(older.predictions is None for older in learner.history[:-1])

    def test_predictions_go_from_a_round_that_a_hook_keeps_too(self):
        class Rounds:
            def __init__(self):
                self.kept = []

            def after_round(self, _learner, round):
                self.kept.append(round)

        rounds = Rounds()
        options = {"labels": {0: "cat", 30: "cow"}, "validation": (X, Y), "callbacks": [rounds]}
        learner = qr.ActiveLearner(GaussianNB(), X, **options)
        for round in learner.run(oracle):
            assert round.predictions is rounds.kept[-1].predictions
            assert len(round.predictions) == N
            assert all(older.predictions is None for older in rounds.kept[:-1])
        assert len(rounds.kept) == 6

    def test_a_pick_without_a_model_has_none(self):
        for learner in (
            qr.ActiveLearner(CountingNB(), X),
            qr.ActiveLearner(proba, X, score="random"),
        ):
            first = next(learner.run(oracle))
            assert np.isnan(first.uncertainty)
            assert first.predictions is None

    def test_many_rows_and_classes_are_read_in_chunks(self):
        many = np.random.default_rng(2).dirichlet(np.ones(300), size=2**16 + 5).astype(np.float32)
        first = next(qr.ActiveLearner(lambda X: X, many).run(lambda indices, _: indices))
        assert first.predictions.dtype == np.uint16
        assert (first.predictions == many.argmax(axis=1)).all()
        assert first.uncertainty == pytest.approx(qr.entropy(many, normalize=True).mean(), rel=1e-5)


class TestArguments:
    @pytest.mark.parametrize("kind", ["array", "list", "csr", "csc", "coo", "pandas", "polars"])
    def test_any_pool_with_rows_gives_the_same_campaign(self, kind):
        rows = X.round(2)
        if kind in ("pandas", "polars"):
            frame = pytest.importorskip(kind).DataFrame
            pool = frame(dict(zip("abc", rows.T, strict=True)))
            if kind == "pandas":
                pool.index = range(100, 100 + N)  # labels of rows are not positions
        elif kind in ("csr", "csc", "coo"):
            pool = getattr(scipy.sparse, f"{kind}_matrix")(rows)
        else:
            pool = rows.tolist() if kind == "list" else rows

        def dense(X):
            return X.toarray() if scipy.sparse.issparse(X) else np.asarray(X)

        class Dense(GaussianNB):
            def fit(self, X, y):
                return super().fit(dense(X), y)

            def predict_proba(self, X):
                return super().predict_proba(dense(X))

        def checking_oracle(indices, given):
            assert dense(given).tolist() == rows[indices].tolist()
            return Y[indices]

        def asked(learner, oracle):
            stop = qr.stop.MaxRounds(3)
            return [round.indices.tolist() for round in learner.run(oracle, stop=stop)]

        expected = asked(qr.ActiveLearner(GaussianNB(), rows, seed=0), oracle)
        assert asked(qr.ActiveLearner(Dense(), pool, seed=0), checking_oracle) == expected

    @pytest.mark.parametrize(
        ("returned", "message"),
        [
            (PROBA[1:], r"got ndarray of shape \(59, 4\)"),
            (PROBA[:, 0], r"got ndarray of shape \(60,\)"),
            (PROBA[:, :1], r"got ndarray of shape \(60, 1\)"),
            ([PROBA[1:]] * 2, r"got list of shape \(2, 59, 4\)"),
            ([[0.5, 0.5], [1.0]], "got rows of different lengths"),
            (None, r"got NoneType of shape \(\)"),
        ],
    )
    def test_a_wrong_shape_names_the_model(self, returned, message):
        class Faulty(GaussianNB):
            def predict_proba(self, _):
                return returned

        labels = {0: "cat", 1: "cow"}
        with pytest.raises(ValueError, match=r"Faulty\.predict_proba: expected .*\(60, c\).*,.* " + message):
            qr.ActiveLearner(Faulty(), X, labels=labels).ask()

    @pytest.mark.parametrize("pool", [{"a": [1, 2]}, {1, 2}])
    def test_a_pool_has_rows_in_order(self, pool):
        with pytest.raises(TypeError, match="X: expected an array, .* of rows, got " + type(pool).__name__):
            qr.ActiveLearner(proba, pool)

    def test_a_wrong_shape_names_the_function(self):
        def half(rows):
            return PROBA[: len(rows) // 2]

        with pytest.raises(ValueError, match=r"half: expected .*\(60, c\).*, got ndarray of shape \(30, 4\)"):
            qr.ActiveLearner(half, X).ask()

    def test_a_wrong_shape_names_the_score(self):
        def one_number(proba):
            return 0.5

        with pytest.raises(ValueError, match=r"score one_number: expected .*\(60,\).*, got shape \(\)"):
            qr.ActiveLearner(proba, X, score=one_number).ask()

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ({"model": object()}, TypeError, "model: expected an object with fit.*got object"),
            ({"model": GaussianNB}, TypeError, "model: .*got the class GaussianNB"),
            ({"X": 3}, TypeError, "X: expected an array, a data frame.*got int"),
            ({"score": "margins"}, ValueError, "score: expected a function or one of.*'margins'"),
            ({"batch_size": 0}, ValueError, "batch_size: expected at least 1 item, got 0"),
            ({"validation": (X, Y, 3)}, ValueError, r"validation: expected \(X, y\).*got 3 items"),
            ({"labels": {N: "cat"}}, ValueError, "labels: expected rows of the pool of 60 for keys, got 60"),
        ],
    )
    def test_a_wrong_argument_is_named(self, arguments, error, message):
        given = {"model": proba, "X": X} | arguments
        with pytest.raises(error, match=message):
            qr.ActiveLearner(given.pop("model"), given.pop("X"), **given)


class Campaign(RuleBasedStateMachine):
    """Any order of calls, right and wrong, against a dict that keeps every answer."""

    def __init__(self):
        super().__init__()
        self.n = 12
        self.learner = qr.ActiveLearner(CountingNB(), X[18 : 18 + self.n], batch_size=3, seed=0)
        self.labels = {}
        self.answered = set()
        self.waiting = []

    answers = st.dictionaries(st.integers(0, 11), st.sampled_from(["cat", "cow", qr.ABSTAIN]), max_size=5)

    def told(self, answers):
        self.learner.tell(list(answers), list(answers.values()))
        self.labels |= {i: label for i, label in answers.items() if label is not qr.ABSTAIN}
        self.answered |= set(answers)
        self.waiting = [index for index in self.waiting if index not in answers]

    @precondition(lambda self: len(self.answered) < self.n)
    @rule(k=st.integers(1, 5))
    def ask(self, k):
        batch = self.learner.ask(k)
        if self.waiting:
            assert batch.indices.tolist() == self.waiting
        else:
            assert len(batch) == min(k, self.n - len(self.answered))
            assert len(set(batch.indices)) == len(batch)
            assert not set(batch.indices) & self.answered
        self.waiting = batch.indices.tolist()

    @precondition(lambda self: len(self.answered) == self.n)
    @rule()
    def ask_in_vain(self):
        with pytest.raises(qr.PoolExhausted):
            self.learner.ask()

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def answer_some_of_the_batch(self, data):
        some = data.draw(st.sets(st.sampled_from(self.waiting), min_size=1))
        self.told({index: data.draw(st.sampled_from(["cat", "cow"])) for index in some})

    @rule(answers=answers)
    def tell_anything(self, answers):
        self.told(answers)

    @rule(answers=answers, bad=st.sampled_from([-1, 12, 99]))
    def tell_with_a_mistake(self, answers, bad):
        with pytest.raises(ValueError, match="row of the pool of 12"):
            self.learner.tell([*answers, bad], [*answers.values(), "cat"])

    @invariant()
    def no_label_is_lost(self):
        assert self.learner.labels == self.labels
        assert self.learner.n_labels == len(self.labels)
        assert self.learner.n_available == self.n - len(self.answered)

    @invariant()
    def no_item_is_in_two_rounds(self):
        asked = [index for round in self.learner.history for index in round.indices]
        assert len(asked) == len(set(asked))
        assert set(asked) <= self.answered


TestCampaign = Campaign.TestCase
TestCampaign.settings = settings(max_examples=50, deadline=None)


def test_margin_needs_fewer_labels_than_random_on_real_digits():
    digits, y = load_digits(return_X_y=True)
    needed = {"random": [], "margin": []}
    for seed in range(3):
        pool, test, truth, test_truth = train_test_split(
            digits / 16, y, test_size=0.3, stratify=y, random_state=seed
        )
        model = LogisticRegression(C=3, tol=1e-3, max_iter=1000)
        target = 0.95 * model.fit(pool, truth).score(test, test_truth)
        for strategy, labels in needed.items():
            learner = qr.ActiveLearner(model, pool, score=strategy, validation=(test, test_truth), seed=seed)
            stop = qr.stop.Target("accuracy", target)
            with threadpool_limits(1):
                *_, last = learner.run(lambda indices, _, truth=truth: truth[indices], stop=stop)
            labels.append(last.n_labels)
    assert sum(needed["margin"]) < 0.8 * sum(needed["random"])


class PairModel:
    """Remembers the labels that it was fitted on; they are pairs."""

    def fit(self, _, y):
        self.y, self.classes_ = y, np.array([0, 1])

    def predict_proba(self, X):
        return np.full((len(X), 2), 0.5)


def test_labels_that_are_tuples_are_one_object_each_for_the_model():
    model = PairModel()
    qr.ActiveLearner(model, X, labels={0: ("cat", 1), 30: ("cow", 2)}).fit()
    assert model.y.shape == (2,)
    assert model.y.tolist() == [("cat", 1), ("cow", 2)]


def test_the_learner_draws_its_rounds():
    learner = qr.ActiveLearner(GaussianNB(), X, labels={0: "cat", 30: "cow"}, validation=(X, Y))
    rounds = list(learner.run(lambda indices, _: Y[indices], stop=qr.stop.MaxRounds(2)))
    lines = [line for axes in learner.plot().axes for line in axes.lines]
    assert any(line.get_xdata().tolist() == [each.n_labels for each in rounds] for line in lines)


def test_rows_go_by_position_whatever_the_index_of_a_frame():
    frame = pandas.DataFrame(X, index=np.arange(N)[::-1])
    labels = {0: "cat", 30: "cow", 59: "dog"}
    model = GaussianNB()
    learner = qr.ActiveLearner(model, frame, labels=labels)
    learner.fit()
    expected = GaussianNB().fit(X[[0, 30, 59]], list(labels.values()))
    assert model.theta_.tolist() == expected.theta_.tolist()
    plain = qr.ActiveLearner(GaussianNB(), X, labels=labels)
    assert learner.ask().indices.tolist() == plain.ask().indices.tolist()
