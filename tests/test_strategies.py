"""How a batch is picked: names, functions and what they combine to, against the functions of `querist`."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
import querist as qr
from querist._strategies import PRESETS, SELECTIONS
from scipy import sparse
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.preprocessing import OneHotEncoder

N = 50
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 3))
PROBA = RNG.dirichlet(np.ones(4), size=N)
KNOWN = {3: 0, 8: 1, 21: 2}
FREE = np.setdiff1d(np.arange(N), list(KNOWN))
MARGIN = qr.margin(PROBA)
DENSITY = qr.information_density(X, shift=True)
MEMBERS = RNG.dirichlet(np.ones(4), size=(5, N))


def proba(_rows):
    return PROBA


def halves(rows):
    return np.full((len(rows), 2), 0.5)


def asked(model=proba, k=8, **options):
    learner = qr.ActiveLearner(model, X, **({"labels": KNOWN, "batch_size": k, "seed": 5} | options))
    return learner.ask()


def same(batch, picks):
    assert batch.indices.tolist() == picks.indices.tolist()
    assert batch.scores.tolist() == picks.values.tolist()


LABELED = list(KNOWN)
EXPECTED = {
    "core_set": lambda: qr.select.k_center(X, 8, labeled=LABELED),
    "facility_location": lambda: qr.select.facility_location(X, 8, labeled=LABELED),
    "ranked_batch": lambda: qr.select.ranked_batch(MARGIN, X, 8, labeled=LABELED),
    "mmr": lambda: qr.select.mmr(MARGIN, X, 8, labeled=LABELED),
    "information_density": lambda: qr.select.top_k(MARGIN * DENSITY, 8, available=FREE),
    "margin": lambda: qr.select.top_k(MARGIN, 8, available=FREE),
    "gini": lambda: qr.select.top_k(qr.gini(PROBA), 8, available=FREE),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_name_is_what_its_functions_give(name):
    same(asked(strategy=name), EXPECTED[name]())


@pytest.mark.parametrize("name", ["margin", "badge"])
def test_answered_rows_need_not_be_valid(name):
    spoilt = PROBA.copy()
    spoilt[LABELED] = np.nan
    assert asked(lambda _: spoilt, strategy=name).indices.tolist() == asked(strategy=name).indices.tolist()
    spoilt[4] = 0.9
    with pytest.raises(ValueError, match="row 4"):
        asked(lambda _: spoilt, strategy=name)


@pytest.mark.parametrize("name", ["bald", "vote_entropy", "consensus_margin"])
def test_a_committee_by_its_name(name):
    scores = qr.committee_scores(MEMBERS, [name])[name]
    same(asked(lambda _: MEMBERS, strategy=name), qr.select.top_k(scores, 8, available=FREE))


@pytest.mark.parametrize(
    ("name", "law"),
    [
        ("power_margin", lambda seed: qr.select.power(MARGIN, 8, seed=seed, available=FREE)),
        ("k_means_pp", lambda seed: qr.select.k_means_pp(X, 8, labeled=LABELED, seed=seed)),
        ("badge", lambda seed: qr.select.badge(PROBA, X, 8, available=FREE, seed=seed)),
    ],
)
def test_what_is_drawn_follows_the_seed(name, law):
    seen = []

    def strategy(context):
        seen.append(context.seed)
        return context.pick(name)

    same(asked(strategy=strategy), law(seen[0]))
    assert asked(strategy=name).indices.tolist() == asked(strategy=name).indices.tolist()
    assert asked(strategy=name).indices.tolist() != asked(strategy=name, seed=6).indices.tolist()


def test_power_sampling_draws_where_no_score_is_above_zero():
    certain = np.tile([1.0, 0.0], (N, 1))
    assert len(set(asked(lambda _: certain, strategy="power_margin").indices)) == 8
    certain[7] = 0.5
    assert asked(lambda _: certain, strategy="power_margin").indices.tolist() == [7]


def test_power_sampling_says_where_it_draws_at_random():
    certain = np.tile([1.0, 0.0], (N, 1))
    assert {why["picked_by"] for why in asked(lambda _: certain, strategy="power_margin").reasons} == {
        "random"
    }


def test_power_sampling_refuses_scores_under_zero():
    def negative(proba):
        return -qr.margin(proba)

    with pytest.raises(ValueError, match=r"scores: .*expected"):
        asked(score=negative, select="power")


def test_herding_covers_by_features_and_what_is_uncertain():
    same(asked(strategy="max_herding"), qr.select.max_herding(X, 8, labeled=LABELED))
    same(asked(strategy="uncertainty_herding"), qr.select.uncertainty_herding(MARGIN, X, 8, labeled=LABELED))


@pytest.mark.parametrize("select", ["facility_location", "uncertainty_herding"])
def test_a_row_scored_nan_is_neither_picked_nor_covered(select):
    def upper(proba):
        return np.where(np.arange(N) >= 30, qr.margin(proba), np.nan)

    batch = asked(score=upper, select=select)
    worth = np.where(np.arange(N) >= 30, MARGIN, 0)
    free = np.arange(30, N)
    if select == "facility_location":
        expected = qr.select.facility_location(X, 8, weights=worth, labeled=LABELED, available=free)
    else:
        expected = qr.select.uncertainty_herding(worth, X, 8, labeled=LABELED, available=free)
    same(batch, expected)


def test_score_density_and_selection_compose():
    batch = asked(score="entropy", density="knn_density", select="k_center")
    weights = qr.density_weighted(qr.entropy(PROBA), qr.knn_density(X, 10))
    same(batch, qr.select.k_center(X, 8, labeled=LABELED, weights=weights))


def test_parts_may_be_functions():
    def last_class(proba):
        return proba[:, -1]

    def norm(features):
        return np.linalg.norm(features, axis=1)

    def two_best(context):
        return qr.select.top_k(context.scores, 2, available=context.available)

    batch = asked(score=last_class, density=norm, select=two_best)
    scores = PROBA[:, -1] * np.linalg.norm(X, axis=1)
    same(batch, qr.select.top_k(scores, 2, available=FREE))


def test_density_alone_is_a_score():
    same(asked(score=None, density="information_density"), qr.select.top_k(DENSITY, 8, available=FREE))


class TestFeatures:
    def test_an_array(self):
        features = RNG.normal(size=(N, 2)).astype(np.float32)
        batch = asked(strategy="core_set", embed=features)
        same(batch, qr.select.k_center(features, 8, labeled=LABELED))

    def test_a_function_is_called_in_chunks_and_anew_for_each_batch(self):
        calls = []

        def double(rows):
            calls.append(len(rows))
            return rows * 2

        learner = qr.ActiveLearner(
            GaussianNB(), X, labels=KNOWN, strategy="core_set", embed=double, chunk=30, batch_size=8
        )
        batch = learner.ask()
        same(batch, qr.select.k_center(X * 2, 8, labeled=LABELED))
        assert calls == [30, 20]
        learner.tell(batch, [0] * 8)
        learner.ask()
        assert calls == [30, 20] * 2

    @pytest.mark.parametrize(
        ("embed", "message"),
        [
            (X[:7], r"embed: expected shape \(50, d\).*got float64 of shape \(7, 3\)"),
            (
                lambda rows: rows[:7],
                r"embed <lambda>: expected an array of shape \(50, d\).*got shape \(7, 3\)",
            ),
            (
                lambda rows: rows[:, 0],
                r"embed <lambda>: expected shape \(n, d\), got \(50,\)",
            ),
        ],
    )
    def test_a_wrong_one_is_named(self, embed, message):
        with pytest.raises(ValueError, match=message):
            asked(strategy="core_set", embed=embed)

    @pytest.mark.parametrize("dtype", ["uint8", "int16", "int64", "bool"])
    def test_whole_numbers_are_read_as_floats(self, dtype):
        whole = np.abs(X * 20).astype(dtype)
        expected = qr.select.k_center(whole.astype(np.float64), 8, labeled=LABELED).indices.tolist()
        for pool in (whole, sparse.csr_array(whole), pd.DataFrame(whole), pl.DataFrame(whole)):
            learner = qr.ActiveLearner(proba, pool, labels=KNOWN, strategy="core_set", batch_size=8)
            assert learner.ask().indices.tolist() == expected, type(pool)

    def test_frames_of_floats_are_features(self):
        for pool in (pd.DataFrame(X), pl.DataFrame(X)):
            learner = qr.ActiveLearner(proba, pool, labels=KNOWN, strategy="core_set", batch_size=8)
            same(learner.ask(), EXPECTED["core_set"]())

    def test_a_frame_of_text_is_named(self):
        pool = pd.DataFrame({"text": ["a"] * N})
        with pytest.raises(
            ValueError, match=r"got DataFrame of object of shape \(50, 1\); fit a preprocessor"
        ):
            qr.ActiveLearner(proba, pool, strategy="core_set")

    @pytest.mark.parametrize("chunk", [None, 20])
    def test_a_function_may_give_sparse_features(self, chunk):
        some = np.where(X > 0, X, 0)
        learner = qr.ActiveLearner(
            proba if chunk is None else (lambda rows: np.full((len(rows), 2), 0.5)),
            some,
            labels=KNOWN,
            strategy="core_set",
            embed=sparse.csr_array,
            chunk=chunk,
            batch_size=8,
        )
        assert learner.ask().indices.tolist() == qr.select.k_center(some, 8, labeled=LABELED).indices.tolist()

    def test_what_is_no_matrix_needs_one(self):
        texts = ["a text"] * N
        message = "embed: expected features.*not a matrix of numbers, got "
        for name in (*(set(SELECTIONS) - {"random", "top_k", "power"}), "core_set"):
            how = {"strategy": name} if name == "core_set" else {"select": name}
            with pytest.raises(ValueError, match=f'select "[a-z_]+": {message}list'):
                qr.ActiveLearner(proba, texts, **how)
        with pytest.raises(ValueError, match=f"density: {message}list"):
            qr.ActiveLearner(proba, texts, density="knn_density")
        for name in ("random", "top_k", "power"):
            qr.ActiveLearner(proba, texts, select=name).ask()
        for pool, named in [
            (np.zeros((N, 2, 2)), r"ndarray of float64 of shape \(50, 2, 2\)"),
            (np.array([["a"]] * N), "ndarray of <U1"),
            (lambda: np.array_split(X, 3), "function"),
        ]:
            with pytest.raises(ValueError, match=f'select "mmr": {message}{named}'):
                qr.ActiveLearner(proba, pool, strategy="mmr")
        with pytest.raises(ValueError, match=f'cold "diverse": {message}list'):
            qr.ActiveLearner(GaussianNB(), texts, cold="diverse")
        qr.ActiveLearner(proba, texts, cold="diverse").ask()  # a function has no cold start

    @pytest.mark.parametrize(
        "pool",
        [
            X.tolist(),
            lambda: iter(np.array_split(X, 3)),
            lambda: iter([X[:20].tolist(), X[20:].tolist()]),
            X.astype(object),
            X.reshape(N, 3, 1),
            pd.DataFrame(X).astype(object),
            pd.Series(X[:, 0]),
        ],
        ids=["list", "chunks", "chunks of lists", "objects", "images", "frame", "column"],
    )
    def test_the_features_that_are_advised_are_some(self, pool):
        with pytest.raises(ValueError, match="if it holds numbers, pass embed=") as raised:
            qr.ActiveLearner(proba, pool, strategy="core_set")
        advised = eval(str(raised.value).rpartition("pass embed=")[2], {"np": np, "X": pool})
        assert len(qr.ActiveLearner(proba, pool, strategy="core_set", embed=advised).ask()) == 10

    @pytest.mark.parametrize("strategy", ["core_set", "badge"])
    @pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame])
    def test_columns_that_are_no_numbers_need_a_preprocessor(self, strategy, kind):
        pool = kind({"size": X[:, 0], "site": np.repeat(["a", "b"], N // 2)})
        with pytest.raises(
            ValueError, match=r"makes numbers of all columns, prep\.fit\(X\), and pass"
        ) as raised:
            qr.ActiveLearner(proba, pool, strategy=strategy)
        prep = ColumnTransformer([("site", OneHotEncoder(), [1])], remainder="passthrough").fit(pool)
        advised = eval(str(raised.value).rpartition("pass embed=")[2], {"prep": prep})
        assert len(qr.ActiveLearner(proba, pool, strategy=strategy, embed=advised).ask()) == 10

    def test_of_a_function_it_is_known_at_the_first_ask(self):
        learner = qr.ActiveLearner(proba, ["a text"] * N, strategy=lambda context: context.pick("core_set"))
        with pytest.raises(ValueError, match=r"embed: expected features.*not a matrix of numbers, got list"):
            learner.ask()


class TestFunctions:
    def test_a_schedule_is_a_function_of_the_number(self):
        def schedule(context):
            return context.pick("core_set" if context.number == 1 else "margin")

        learner = qr.ActiveLearner(proba, X, labels=KNOWN, strategy=schedule, batch_size=8)
        first = learner.ask()
        same(first, EXPECTED["core_set"]())
        learner.tell(first, [0] * 8)
        free = np.setdiff1d(FREE, first.indices)
        same(learner.ask(), qr.select.top_k(MARGIN, 8, available=free))

    def test_long_doubles_can_be_kept(self, tmp_path):
        def strategy(context):
            return context.available.nonzero()[0][:2], np.array([2, 1], np.longdouble)

        with qr.ActiveLearner(
            lambda X: X, [[0.5, 0.5]] * 3, strategy=strategy, journal=tmp_path / "a.db"
        ) as one:
            batch = one.ask()
        assert (batch.scores.dtype, batch.scores.tolist()) == (np.float64, [2, 1])

    def test_a_context_tells_what_is_known(self):
        def strategy(context):
            assert (context.number, context.k, context.labels) == (1, 8, KNOWN)
            assert context.labeled.tolist() == sorted(KNOWN)
            assert np.flatnonzero(context.available).tolist() == FREE.tolist()
            assert context.proba.tolist() == PROBA.tolist()
            assert context.scores.tolist() == MARGIN.tolist()
            assert context.features is X
            return context.pick("margin", k=3)

        assert len(asked(strategy=strategy)) == 3

    def test_a_function_waits_for_the_first_fit_only_where_it_asks_for_it(self):
        def strategy(context):
            assert context.is_cold
            return context.pick("margin")

        assert np.isnan(asked(GaussianNB(), labels=None, strategy=strategy).scores).all()

    @pytest.mark.parametrize("wish", ["scores", "proba"])
    def test_a_function_that_asks_a_model_too_early_is_told(self, wish):
        def strategy(context):
            return getattr(context, wish)

        with pytest.raises(NotFittedError) as raised:
            asked(GaussianNB(), labels=None, strategy=strategy)
        (note,) = raised.value.__notes__
        assert note.startswith("context: nothing is fitted in the cold start; ")

    def test_a_part_of_a_batch_has_a_row(self):
        with pytest.raises(ValueError, match="k: expected 0 or more, got -1"):
            asked(strategy=lambda context: context.pick("margin", k=-1))

    @pytest.mark.parametrize(
        ("returned", "error", "message"),
        [
            ([1, 2], TypeError, "strategy own: expected querist.Picks, got list"),
            (np.array([0.5]), ValueError, "row numbers and as many values, got float64"),
            (([1, 3], [0.1, 0.2]), ValueError, "available rows, got 3 at place 1"),
            (([1, N], [0.1, 0.2]), ValueError, "available rows, got 50 at place 1"),
            (([1, 1], [0.1, 0.2]), ValueError, r"each row once, got \[1, 1\]"),
            (([1, 2], [0.1]), ValueError, r"values of shape \(1,\)"),
            (([0.5], [0.1]), ValueError, "row numbers and as many values, got float64"),
            ((np.empty(0, int), []), ValueError, "expected 1 to 8 rows, got 0"),
            ((FREE[:9], np.zeros(9)), ValueError, "expected 1 to 8 rows, got 9"),
        ],
    )
    def test_what_it_returns_is_checked(self, returned, error, message):
        def own(_):
            return returned

        with pytest.raises(error, match=message):
            asked(strategy=own)


class TestMixing:
    @staticmethod
    def halves(context):
        first = context.pick("margin", k=4)
        rest = context.without(first.indices).pick("core_set", k=4)
        return np.concatenate([first.indices, rest.indices])

    def test_each_part_knows_of_the_one_before(self):
        batch = asked(strategy=self.halves)
        by_margin = qr.select.top_k(MARGIN, 4, available=FREE).indices.tolist()
        spread = qr.select.k_center(X, 4, labeled=[*KNOWN, *by_margin]).indices.tolist()
        assert batch.indices.tolist() == by_margin + spread
        assert [why["picked_by"] for why in batch.reasons] == ["top_k"] * 4 + ["k_center"] * 4

    def test_to_the_end_of_the_pool_and_in_the_cold_start(self):
        learner = qr.ActiveLearner(GaussianNB(), X, strategy=self.halves, batch_size=8, seed=0)
        rounds = list(learner.run(lambda indices, _: indices % 3))
        assert [len(round) for round in rounds] == [8] * 6 + [2]
        assert learner.n_labels == N

    def test_parts_that_are_random_are_not_the_same_draw(self):
        def places(n, seed):
            seen = []

            def twice(context):
                first = context.pick("random", k=1)
                rest = context.without(first.indices).pick("random", k=1)
                seen.extend([first.indices[0], rest.indices[0]])
                return np.array(seen)

            qr.ActiveLearner(halves, np.zeros((n, 2)), strategy=twice, batch_size=2, seed=seed).ask()
            return seen

        pairs = np.array([places(1000, seed) for seed in range(30)])
        assert np.median(np.abs(np.diff(pairs))) > 100

    def test_a_mask_and_what_is_not_available_are_fine(self):
        mask = np.zeros(N, bool)
        mask[::2] = True

        def odd(context):
            left = context.without(mask)
            assert (context.k, left.k) == (8, 8)
            assert np.flatnonzero(left.available).tolist() == [row for row in FREE.tolist() if row % 2]
            assert left.without(list(KNOWN)).available.tolist() == left.available.tolist()
            assert left.without(np.arange(N)[1::2]).pick("margin").indices.tolist() == []
            assert context.available.sum() == N - 3
            return left.pick("margin")

        same(asked(strategy=odd), qr.select.top_k(MARGIN, 8, available=FREE[FREE % 2 == 1]))

    def test_rows_that_are_none_are_named(self):
        with pytest.raises(ValueError, match="rows: row 50 is not one of the 50 rows"):
            asked(strategy=lambda context: context.without([N]))


@pytest.mark.parametrize(
    ("model", "asks_for", "message"),
    [
        (LinearRegression(), "proba", "LinearRegression.predict: a model without predict_proba has"),
        (GaussianNB(), "scores", 'GaussianNB.predict_proba: the score "variance" is for regressors'),
        ([GaussianNB()], "scores", 'model.0.: GaussianNB.predict_proba: the score "variance" is for'),
    ],
)
def test_a_function_that_asks_for_what_the_model_does_not_have_is_told(model, asks_for, message):
    def own(context):
        return getattr(context, asks_for)

    with pytest.raises(TypeError, match=message):
        asked(model, score="variance", strategy=own)


@pytest.mark.parametrize("option", ["strategy", "select"])
def test_the_arrays_of_a_function_stay_its_own(option):
    rows, values = FREE[:3].copy(), np.array([0.3, 0.2, 0.1])
    batch = asked(**{option: lambda _: qr.Picks(rows, values)})
    rows[:], values[:] = 0, 0
    assert batch.indices.tolist() == FREE[:3].tolist()
    assert batch.scores.tolist() == [0.3, 0.2, 0.1]


def test_a_function_may_give_rows_alone():
    batch = asked(strategy=lambda context: np.flatnonzero(context.available)[:3])
    assert batch.indices.tolist() == FREE[:3].tolist()
    assert np.isnan(batch.scores).all()


class TestExploration:
    def test_a_share_is_random(self):
        batch = asked(k=20, epsilon=0.25)
        wise = qr.select.top_k(MARGIN, 15, available=FREE)
        assert batch.indices[:15].tolist() == wise.indices.tolist()
        assert np.isnan(batch.scores[15:]).all()
        assert len(set(batch.indices)) == 20

    def test_of_one_item_it_is_the_chance(self):
        random = sum(np.isnan(asked(k=1, epsilon=0.3, seed=seed).scores[0]) for seed in range(300))
        assert 60 <= random <= 120

    def test_all_of_it_needs_no_model(self):
        def never(_):
            raise AssertionError("asked")

        assert len(asked(never, epsilon=1)) == 8

    @pytest.mark.parametrize("epsilon", [-0.1, 1.5])
    def test_a_wrong_share_is_named(self, epsilon):
        with pytest.raises(ValueError, match="epsilon: expected"):
            asked(epsilon=epsilon)


class TestColdStart:
    def test_diverse(self):
        batch = asked(GaussianNB(), labels={4: 0}, cold="diverse")
        same(batch, qr.select.k_center(X, 8, labeled=[4]))

    def test_groups_take_turns(self):
        groups = np.repeat(["a", "b", "c"], [40, 8, 2])
        learner = qr.ActiveLearner(GaussianNB(), X, labels={49: 0}, groups=groups, batch_size=8, seed=1)
        batch = learner.ask()
        count = dict(zip(*np.unique(groups[batch.indices], return_counts=True), strict=True))
        assert count["c"] == 1, "the other one is answered"
        assert sorted(count.values()) == [1, 3, 4]
        other = qr.ActiveLearner(GaussianNB(), X, labels={49: 0}, groups=groups, batch_size=8, seed=2)
        assert batch.indices.tolist() != other.ask().indices.tolist()

    def test_a_strategy_without_a_model_does_not_wait(self):
        same(asked(GaussianNB(), labels={4: 0}, strategy="core_set"), qr.select.k_center(X, 8, labeled=[4]))

    def test_it_is_as_long_as_the_labels_in_hand_are_to_be_many(self):
        fits = []

        class Watched(GaussianNB):
            def fit(self, X, y):
                fits.append(len(y))
                return super().fit(X, y)

        learner = qr.ActiveLearner(Watched(), X, batch_size=5, warm_at={"labels": 18}, seed=0)
        rounds = list(learner.run(lambda indices, _: indices % 3, stop=qr.stop.MaxRounds(6)))
        assert fits == [20, 25, 30]
        assert [np.isnan(round.uncertainty) for round in rounds] == [True] * 4 + [False] * 2

    def test_a_model_that_needs_some_of_each_class_is_never_stuck(self):
        rare = [5, 17, 40]  # a class that turns up one label at a time

        def label(indices, _rows):
            return [2 if row in rare else row % 2 for row in indices.tolist()]

        def learner(**options):
            model = CalibratedClassifierCV(GaussianNB(), cv=3)
            return qr.ActiveLearner(model, X, batch_size=1, seed=0, **options)

        with pytest.raises(ValueError, match="for at least one class") as raised:
            list(learner().run(label))
        assert raised.value.__notes__[-1].startswith("warm_at: ")
        patient = learner(warm_at={"per_class": 3})
        known = []
        for round in patient.run(label):
            counts = np.bincount([*patient.labels.values()], minlength=3)
            known.append(list(getattr(patient.model, "classes_", [])))
            assert known[-1] == (np.flatnonzero(counts >= 3).tolist() if sum(counts >= 3) > 1 else [])
            assert np.isnan(round.uncertainty) == (not [[], *known][-2])
        assert known[0] == []
        assert [0, 1] in known
        assert known[-1] == [0, 1, 2]

    @pytest.mark.parametrize(
        ("model", "warm_at", "error", "message"),
        [
            (
                GaussianNB(),
                {},
                ValueError,
                'warm_at: expected {"labels": m}, {"per_class": r} or both, got {}',
            ),
            (GaussianNB(), 40, ValueError, "warm_at: expected .* or both, got 40"),
            (
                GaussianNB(),
                {"per_class": 0},
                ValueError,
                r"warm_at\['per_class'\]: expected at least 1, got 0",
            ),
            (GaussianNB(), {"labels": 51}, ValueError, "warm_at.*: expected at most the 50 rows.*, got 51"),
            (
                LinearRegression(),
                {"per_class": 2},
                TypeError,
                "expected a classifier, got LinearRegression",
            ),
        ],
    )
    def test_what_says_no_length_is_named(self, model, warm_at, error, message):
        with pytest.raises(error, match=message):
            asked(model, warm_at=warm_at, strategy="core_set")

    @pytest.mark.parametrize(
        ("options", "message"),
        [({"cold": "warm"}, "cold: expected"), ({"groups": [1, 2]}, r"groups: expected shape \(50,\)")],
    )
    def test_a_wrong_one_is_named(self, options, message):
        with pytest.raises(ValueError, match=message):
            asked(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strategy": "margins"}, "strategy: expected a function of the context or one of.*'margins'"),
        ({"select": "best"}, "select: expected a function or one of.*'best'"),
        ({"density": "cosine"}, "density: expected a function or one of.*'cosine'"),
        ({"score": "bold"}, "score: expected a function or one of.*'bold'"),
    ],
)
def test_an_unknown_name_is_answered_with_the_known(options, message):
    with pytest.raises(ValueError, match=message):
        asked(**options)


def test_a_selection_by_scores_needs_one():
    for name in ("top_k", "power", "mmr", "ranked_batch", "uncertainty_herding"):
        with pytest.raises(ValueError, match="score: expected one for this selection, got None"):
            qr.ActiveLearner(proba, X, score=None, select=name)
    for name in set(SELECTIONS) - {"top_k", "power", "mmr", "ranked_batch", "uncertainty_herding"}:
        asked(score=None, select=name)
    asked(score=None, density="information_density")

    def without(context):
        return context.scores

    with pytest.raises(ValueError, match="score: expected one for this selection, got None"):
        asked(score=None, strategy=without)


@pytest.mark.parametrize("name", sorted(set(PRESETS) - {"variance"}))
def test_every_name_runs_to_the_end_of_the_pool(name):
    learner = qr.ActiveLearner(lambda _: MEMBERS, X, strategy=name, batch_size=17, epsilon=0.1)
    list(learner.run(lambda indices, _: indices % 3))
    assert learner.n_labels == N


def test_every_selection_has_a_name_of_the_field():
    assert {recipe.get("select", "top_k") for recipe in PRESETS.values()} == set(SELECTIONS)


def test_a_sparse_pool_is_its_own_features():
    csr = sparse.csr_array(np.where(X > 0, X, 0))
    for name in ("core_set", "badge", "ranked_batch", "mmr", "max_herding", "information_density"):
        options = {"strategy": name, "labels": dict.fromkeys(LABELED, "a"), "seed": 1, "batch_size": 8}
        batch = qr.ActiveLearner(lambda _: PROBA, csr, **options).ask()
        dense = qr.ActiveLearner(lambda _: PROBA, csr.toarray(), **options).ask()
        assert batch.indices.tolist() == dense.indices.tolist(), name
        assert batch.explain() == dense.explain(), name


def test_what_a_density_or_a_score_returns_is_checked():
    with pytest.raises(ValueError, match=r"^density: expected shape \(50,\), got \(3,\)"):
        asked(density=lambda _: np.ones(3))
    with pytest.raises(TypeError, match=r"^score .*: expected numbers, got <U1"):
        asked(score=lambda _: np.full(N, "a"))
