"""Why an item was picked, how the classes stand, and the rounds as a table."""

from __future__ import annotations

import copy
import re
import sys

import numpy as np
import pytest
import querist as qr
from hypothesis import given, settings
from hypothesis import strategies as st
from querist import _event_text, _reasons
from sklearn.naive_bayes import GaussianNB

N = 60
X = np.random.default_rng(0).normal(size=(N, 3)) + np.repeat([[0.0], [2.0], [4.0]], 20, axis=0)
Y = np.repeat(["cat", "cow", "dog"], 20)
KNOWN = {0: "cat", 1: "cat", 20: "cow", 21: "cow", 40: "dog", 41: "dog"}


class OfPairs:
    """A model whose labels are tuples."""

    def fit(self, X, y):
        self.classes_ = sorted(set(y.tolist()))
        self.model = GaussianNB().fit(X, [self.classes_.index(label) for label in y.tolist()])

    def predict_proba(self, X):
        return self.model.predict_proba(X)


def distance(a, b):
    return np.sqrt(((a - b) ** 2).sum())


class TestReasons:
    def test_each_term_of_the_value_is_there(self):
        model = GaussianNB()
        learner = qr.ActiveLearner(
            model, X, labels=KNOWN, score="entropy", density="information_density", select="k_center"
        )
        batch = learner.ask(k=5)
        proba = model.predict_proba(X)
        entropy, density = qr.entropy(proba), qr.information_density(X, shift=True)
        for at, (row, reason) in enumerate(zip(batch.indices, batch.reasons, strict=True)):
            assert reason["rank"] == at + 1
            assert reason["picked_by"] == "k_center"
            assert reason["value"] == batch.scores[at]
            assert reason["entropy"] == entropy[row]
            assert reason["density"] == density[row]
            assert reason["predicted"] == model.classes_[proba[row].argmax()]
            nearest = min(distance(X[row], X[other]) for other in KNOWN)
            assert reason["nearest_labeled"] == pytest.approx(nearest, rel=1e-12)
            before = [distance(X[row], X[other]) for other in batch.indices[:at]]
            assert reason.get("nearest_picked") == (pytest.approx(min(before), rel=1e-12) if before else None)
        # The value of weighted k-center is what its terms give.
        first = batch.reasons[0]
        value = first["entropy"] * first["density"] * first["nearest_labeled"]
        assert first["value"] == pytest.approx(value, rel=1e-6)

    @pytest.mark.parametrize("name", ["rank", "value", "predicted", "runner_up", "picked_by", "density"])
    def test_a_score_of_ones_own_has_any_name(self, name, tmp_path):
        def score(proba):
            return qr.gini(proba)

        score.__name__ = name
        journal = tmp_path / "run.db"
        with qr.ActiveLearner(GaussianNB(), X, labels=KNOWN, score=score, journal=journal) as learner:
            batch = learner.ask(k=3)
        assert [reason["rank"] for reason in batch.reasons] == [1, 2, 3]
        assert [reason["picked_by"] for reason in batch.reasons] == ["top_k"] * 3
        assert [reason[f"{name}_score"] for reason in batch.reasons] == batch.scores.tolist()
        assert f"{name.replace('_', ' ')} score 0." in batch.explain()
        with qr.ActiveLearner.resume(GaussianNB(), X, score=score, journal=journal) as learner:
            assert learner.ask().reasons == batch.reasons

    def test_what_is_not_known_is_left_out(self):
        def model(rows):
            return np.tile([0.5, 0.5], (len(rows), 1))

        learner = qr.ActiveLearner(model, ["a text"] * 5, strategy="random")
        (reason,) = learner.ask(k=1).reasons
        assert set(reason) == {"rank", "picked_by", "value"}

    @pytest.mark.parametrize("chunk", [None, 20])
    def test_rows_that_are_no_distributions_have_no_predicted_class(self, chunk):
        independent = np.random.default_rng(0).random((N, 3))
        independent[7] = [0.25, 0.25, 0.5]  # a single one may look like one
        learner = qr.ActiveLearner(
            lambda rows: rows, independent, score=lambda p: p.mean(axis=1), chunk=chunk
        )
        batch = learner.ask()
        assert "predicted" not in batch.explain()
        assert all("predicted" not in reason for reason in batch.reasons)
        learner.tell(batch, [0] * 10)
        assert learner.history[-1].predictions is None
        assert learner.history[-1].predicted_shares == {}
        # Of a row that nobody can be asked about nothing is said.
        independent[:] = [0.25, 0.25, 0.5]
        independent[0] = 0.9
        learner = qr.ActiveLearner(
            lambda rows: rows, independent, score=lambda p: p.mean(axis=1), labels={0: 2}
        )
        assert [reason["predicted"] for reason in learner.ask().reasons] == [2] * 10

    def test_a_margin_is_between_two_classes(self):
        model = GaussianNB()
        batch = qr.ActiveLearner(model, X, labels=KNOWN, batch_size=4, epsilon=0.5).ask()
        for row, reason in zip(batch.indices, batch.reasons, strict=True):
            proba = model.predict_proba(X[[row]])[0]
            first, second = np.argsort(-proba)[:2]
            assert (reason["predicted"], reason["runner_up"]) == tuple(model.classes_[[first, second]])
            assert reason["predicted_share"] == pytest.approx(proba[first], rel=1e-12)
            assert reason["runner_up_share"] == pytest.approx(proba[second], rel=1e-12)
        first = batch.reasons[0]
        words = f"predicted {first['predicted']!r} ({first['predicted_share']:.4g}) against "
        assert f"{words}{first['runner_up']!r} ({first['runner_up_share']:.4g}), " in batch.explain()
        # Of members it is their mean; where two are as likely, the first is predicted.
        learner = qr.ActiveLearner([lambda rows: rows, lambda rows: 1 - rows], np.array([[0.25, 0.75]]))
        [reason] = learner.ask().reasons
        assert {name: reason[name] for name in reason if name.startswith(("predicted", "runner"))} == {
            "predicted": 0,
            "predicted_share": 0.5,
            "runner_up": 1,
            "runner_up_share": 0.5,
        }

    @pytest.mark.parametrize("options", [{"score": "entropy"}, {"chunk": 25}])
    def test_of_other_scores_and_of_chunks_only_the_likeliest_is_known(self, options):
        batch = qr.ActiveLearner(GaussianNB(), X, labels=KNOWN, batch_size=4, **options).ask()
        assert "predicted" in batch.reasons[0]
        assert not {"predicted_share", "runner_up", "runner_up_share"} & set(batch.reasons[0])

    def test_a_journal_keeps_the_runner_up_with_its_type(self, tmp_path):
        known = {row: (label, 1) for row, label in KNOWN.items()}
        with qr.ActiveLearner(OfPairs(), X, labels=known, journal=tmp_path / "run.db") as learner:
            batch = learner.ask()
        with qr.ActiveLearner.resume(OfPairs(), X, journal=tmp_path / "run.db") as learner:
            assert learner.ask().reasons == batch.reasons
        assert batch.reasons[0]["runner_up"] in set(known.values())

    def test_reasons_of_older_journals_still_read(self):
        older = {"rank": 1, "picked_by": "top_k", "value": 0.5, "margin": 0.5, "predicted": "cat"}
        assert _event_text._reason_of(older) == older
        assert (
            _reasons.explained(np.array([7]), [older])
            == "1. row 7: margin 0.5, predicted 'cat'; picked by top_k"
        )

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({}, "top_k"),
            ({"density": "knn_density"}, "top_k, weighted score "),
            ({"strategy": "core_set"}, "k_center, distance "),
            ({"select": "k_center"}, "k_center, value "),  # a distance, weighted by the score
            ({"strategy": "k_means_pp"}, "k_means_pp, squared distance "),
            ({"strategy": "badge"}, "badge, squared distance of gradients "),
            ({"strategy": "max_herding"}, "max_herding, gain "),
            ({"strategy": "facility_location"}, "facility_location, gain "),
            ({"strategy": "mmr"}, "mmr, value "),
            ({"strategy": "random"}, "random"),
            ({"cold": "diverse", "labels": None}, "the cold start (diverse), distance inf"),
        ],
    )
    def test_what_a_method_gives_has_its_name(self, options, words):
        line = (
            qr.ActiveLearner(GaussianNB(), X, **({"labels": KNOWN} | options)).ask().explain().splitlines()[0]
        )
        assert re.fullmatch(re.escape(words) + r"[\d.e+-]*", line.partition("picked by ")[2])

    def test_they_follow_their_items(self):
        learner = qr.ActiveLearner(GaussianNB(), X, labels=KNOWN, batch_size=4)
        batch = learner.ask()
        learner.tell(batch.indices[[0, 2]], ["cat", "cow"])
        assert learner.ask().reasons == (batch.reasons[1], batch.reasons[3])
        learner.tell(batch.indices, ["cat"] * 4)
        assert learner.history[-1].reasons == batch.reasons

    @pytest.mark.parametrize(
        ("options", "how"),
        [
            ({}, "the cold start (random)"),
            ({"cold": "diverse"}, "the cold start (diverse)"),
            ({"strategy": "core_set"}, "k_center"),
            ({"strategy": "random"}, "random"),
            ({"strategy": lambda context: context.pick("core_set")}, "k_center"),
            ({"strategy": lambda context: (np.flatnonzero(context.available)[:4], np.ones(4))}, "<lambda>"),
        ],
    )
    def test_who_picked(self, options, how):
        batch = qr.ActiveLearner(GaussianNB(), X, batch_size=4, **options).ask()
        assert [reason["picked_by"] for reason in batch.reasons] == [how] * 4

    def test_exploration_is_told_apart(self):
        batch = qr.ActiveLearner(GaussianNB(), X, labels=KNOWN, batch_size=4, epsilon=0.5).ask()
        how = [reason["picked_by"] for reason in batch.reasons]
        assert how == ["top_k"] * 2 + ["exploration"] * 2

    def test_a_journal_keeps_them(self, tmp_path):
        options = {
            "journal": tmp_path / "run.db",
            "strategy": "k_means_pp",
            "epsilon": 0.3,
            "cold": "diverse",
        }
        learner = qr.ActiveLearner(GaussianNB(), X, batch_size=4, **options)
        learner.tell(learner.ask(), ["cat", "cow", "dog", "dog"])
        batch = learner.ask()
        learner.close()
        again = qr.ActiveLearner.resume(GaussianNB(), X, batch_size=4, **options)
        assert repr(again.history[-1].reasons) == repr(learner.history[-1].reasons)
        assert repr(again.ask().reasons) == repr(batch.reasons)
        assert again.ask().explain() == batch.explain()

    @pytest.mark.parametrize("embed", [None, lambda rows: 2.0 * rows])
    def test_they_tell_of_the_ask_whenever_they_are_read(self, embed):
        def campaign(read):
            learner = qr.ActiveLearner(
                GaussianNB(),
                X,
                labels=KNOWN,
                select="k_center",
                embed=embed,
                batch_size=4,
                epsilon=0.3,
                seed=0,
            )
            for k in range(4):
                batch = learner.ask()
                if read:
                    batch.explain()
                learner.tell(batch, Y[batch.indices])
                learner.tell([int(batch.indices[0])], ["cow"])
                learner.tell([50 + k], ["dog"])  # perhaps nearer to the picks than any other
            return learner.history

        late, early = ([round.reasons for round in campaign(read)] for read in (False, True))
        assert repr(late) == repr(early)

    def test_they_go_with_a_copy(self):
        learner = qr.ActiveLearner(GaussianNB(), X, labels=KNOWN, batch_size=4)
        batch = learner.ask()
        some = batch.only(np.array([True, False, True, False]))
        copied = copy.deepcopy(some)
        assert copied.reasons == (batch.reasons[0], batch.reasons[2])
        assert copied.explain() == some.explain()

    def test_in_words(self):
        pool = np.array([[0.0, 1.0], [0.5, 0.5], [0.75, 0.25], [1.0, 0.0]])
        learner = qr.ActiveLearner(lambda X: X, pool, labels={3: "cat"}, batch_size=2)
        assert learner.ask().explain().splitlines() == [
            "1. row 1: margin 1, predicted 0 (0.5) against 1 (0.5), 0.7071 from the nearest labelled row; "
            "picked by top_k",
            "2. row 2: margin 0.5, predicted 0 (0.75) against 1 (0.25), "
            "0.3536 from the nearest labelled row, 0.3536 from the nearest row above; picked by top_k",
        ]
        words = qr.ActiveLearner(lambda X: X, pool, score="random", seed=0).ask(k=1).explain()
        assert words.startswith("1. row ")
        assert words.endswith(": picked by random")

    @given(n=st.integers(1, 45), offset=st.sampled_from([0.0, 1e6]), small=st.sampled_from([1, 2**17]))
    @settings(max_examples=50, deadline=None)
    def test_distances_in_any_blocks(self, n, offset, small):
        features = np.random.default_rng(n).normal(size=(90, 2)) + offset
        features[5] = features[0]
        picks, labeled = np.arange(n), np.arange(n, 90)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_reasons, "SMALL", small)
            found = _reasons.reasons(
                picks,
                np.zeros(n),
                ["top_k"] * n,
                terms={},
                predicted={},
                features=features,
                labeled=labeled,
            )
        for row, reason in enumerate(found):
            assert reason["nearest_labeled"] == min(distance(features[row], features[i]) for i in labeled)
            before = [distance(features[row], features[i]) for i in range(row)]
            assert reason.get("nearest_picked") == (min(before) if before else None)

    @pytest.mark.parametrize("small", [1, 2**17])
    @pytest.mark.parametrize("missing", [np.nan, np.inf])
    def test_rows_without_all_features_are_at_no_distance(self, small, missing, monkeypatch):
        monkeypatch.setattr(_reasons, "SMALL", small)
        features = np.random.default_rng(0).normal(size=(80, 2))
        for row in (0, 3, 7, *range(44, 62)):  # a whole block of the labelled
            features[row, 1] = missing
        picks, labeled = np.arange(40), np.arange(40, 80)
        found = _reasons.reasons(
            picks,
            np.zeros(40),
            ["top_k"] * 40,
            terms={},
            predicted={},
            features=features,
            labeled=labeled,
        )
        whole = np.isfinite(features).all(axis=1)

        def nearest(row, others):
            distances = [distance(features[row], features[i]) for i in others if whole[row] and whole[i]]
            return min(distances, default=np.nan)

        for row, reason in enumerate(found):
            np.testing.assert_equal(reason["nearest_labeled"], nearest(row, labeled))
            np.testing.assert_equal(reason.get("nearest_picked", np.nan), nearest(row, range(row)))


class TestBalance:
    def test_shares_of_labels_and_predictions(self):
        model = GaussianNB()
        learner = qr.ActiveLearner(model, X, labels=KNOWN, batch_size=6)
        batch = learner.ask()
        predicted = model.predict(X)
        learner.tell(batch, ["cat"] * 6)
        balance = learner.balance()
        assert set(balance) == {"cat", "cow", "dog"}
        for name, (labeled, share) in balance.items():
            assert share == np.mean(predicted == name)
            assert labeled == {"cat": 8, "cow": 2, "dog": 2}[name] / 12
        shares = [share for _, share in balance.values()]
        assert shares == sorted(shares, reverse=True)

    def test_a_starving_class_is_told_of_once(self):
        class Fixed:
            classes_ = ("cat", "cow")

            def fit(self, X, y):
                pass

            def predict_proba(self, X):
                return np.where(X < 0.1, [0.9, 0.1], [0.1, 0.9])

        pool = np.linspace(0, 1, 200)[:, None]  # a tenth are cats, the model says
        learner = qr.ActiveLearner(Fixed(), pool, labels={0: "cat", 199: "cow"}, batch_size=15)

        def round_of_cats():
            learner.tell(learner.ask(), ["cat"] * 15)

        round_of_cats()
        round_of_cats()  # 32 labels: of 29 cows one could still say that it is chance
        with pytest.warns(
            qr.ClassStarvedWarning, match="class 'cow': 1 of 47 labels, though 90% of"
        ) as warned:
            round_of_cats()
        assert warned[0].filename == __file__
        round_of_cats()
        assert learner.balance()["cow"] == pytest.approx((1 / 62, 0.9))

    def test_a_warning_made_an_error_keeps_no_round_from_its_hook(self):
        class Rounds:
            told = ()

            def after_round(self, _learner, round):
                self.told += (round.number,)

        class Fixed(GaussianNB):
            def predict_proba(self, rows):
                return np.tile([0.2, 0.8], (len(rows), 1))

        rounds = Rounds()
        labels = {0: "cat", 1: "cow"}
        learner = qr.ActiveLearner(Fixed(), X, labels=labels, batch_size=N - 12, callbacks=[rounds])
        batch = learner.ask()
        with pytest.raises(qr.ClassStarvedWarning):  # as pytest is told to make of it
            learner.tell(batch, ["cat"] * len(batch))
        assert learner.n_labels == N - 10
        assert rounds.told == ()
        learner.ask()
        assert rounds.told == (1,)

    def test_a_function_has_classes_without_names(self):
        learner = qr.ActiveLearner(lambda rows: np.tile([0.9, 0.1], (len(rows), 1)), X, labels=KNOWN)
        learner.tell(learner.ask(), ["cow"] * 10)
        assert learner.history[-1].predicted_shares == {}
        assert learner.balance()["cow"] == (12 / 16, 0.0)


class TestFrame:
    def test_a_row_for_each_round(self):
        pytest.importorskip("pandas")
        learner = qr.ActiveLearner(GaussianNB(), X, labels=KNOWN, validation=(X, Y), cost=np.full(N, 0.5))
        assert learner.frame().shape == (0, 11)
        rounds = list(learner.run(lambda indices, _: Y[indices], stop=qr.stop.MaxRounds(3)))
        frame = learner.frame()
        assert frame["n_items"].tolist() == [10, 10, 10]
        assert frame["number"].tolist() == [1, 2, 3]
        assert frame["total_cost"].tolist() == [8.0, 13.0, 18.0]
        for name in ("n_labels", "ticket", "elapsed", "uncertainty"):
            assert frame[name].tolist() == [getattr(round, name) for round in rounds]
        assert frame["accuracy"].tolist() == [round.metrics["accuracy"] for round in rounds]

    def test_a_metric_takes_the_place_of_no_fact(self):
        pytest.importorskip("pandas")
        metrics = {"cost": 0.25, "n_items": 0.5, "f1": 0.75}
        learner = qr.ActiveLearner(GaussianNB(), X, labels=KNOWN, validation=lambda _: metrics)
        next(learner.run(lambda indices, _: Y[indices]))
        columns = ["n_items", "cost", "metric_cost", "metric_n_items", "f1"]
        assert learner.frame()[columns].values.tolist() == [[10.0, 10.0, 0.25, 0.5, 0.75]]

    def test_without_pandas_the_extra_is_named(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "pandas", None)
        with pytest.raises(ImportError, match=r"pip install 'querist\[frame\]'"):
            qr.ActiveLearner(GaussianNB(), X).frame()
