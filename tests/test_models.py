"""Any model and any pool: committees, regressors, functions, pools read in chunks."""

from __future__ import annotations

import tracemalloc
import warnings

import numpy as np
import pandas as pd
import pytest
import querist as qr
import scipy.sparse
from sklearn.base import ClassifierMixin
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    BaggingRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
)
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import (
    BayesianRidge,
    LinearRegression,
    LogisticRegression,
    Perceptron,
    Ridge,
    RidgeClassifier,
)
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

N = 60
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 3)) + np.repeat([[0.0], [2.0], [4.0]], 20, axis=0)
Y = np.repeat(["cat", "cow", "dog"], 20)
KNOWN = {0: "cat", 1: "cat", 20: "cow", 21: "cow", 40: "dog", 41: "dog"}
MEMBERS = RNG.dirichlet(np.ones(4), size=(5, N))


Z = X @ [1.0, 2.0, 3.0] + RNG.normal(size=N)
SOME = dict(zip(range(0, N, 12), Z[::12].tolist(), strict=True))


def halves(rows):
    return np.full((len(rows), 2), 0.5)


def test_a_model_that_cannot_have_the_score_is_named_at_once():
    with pytest.raises(TypeError, match=r"LinearRegression\.predict: a model without predict_proba"):
        qr.ActiveLearner(LinearRegression(), X, score="margin")
    with pytest.raises(
        TypeError, match=r'GradientBoostingR.*\.predict: the score "variance" needs a regressor'
    ):
        qr.ActiveLearner(GradientBoostingRegressor(), X, score="variance")
    with pytest.raises(
        TypeError, match=r"GradientBoostingC.*: a score of a committee needs a list of models"
    ):
        qr.ActiveLearner(GradientBoostingClassifier(), X, score="bald")
    with pytest.raises(TypeError, match='the score "variance" is for regressors'):
        qr.ActiveLearner(GaussianNB(), X, score="variance")
    assert len(qr.ActiveLearner(SVC(), X, strategy="core_set").ask()) == 10


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (SVC(), "SVC"),
        (OneVsOneClassifier(SVC()), "OneVsOneClassifier"),
        (make_pipeline(StandardScaler(), SVC()), "Pipeline"),
        ([SVC(), SVC()], r"model\[0\]: SVC"),
        ([GaussianNB(), SVC()], r"model\[1\]: SVC"),
    ],
)
def test_a_classifier_without_probabilities_is_told_how_to_have_some(model, name):
    with pytest.raises(TypeError, match=rf"^{name}\.predict: a classifier .* wrap it in .*CalibratedClass"):
        qr.ActiveLearner(model, X, score="margin")


def test_members_that_cannot_be_asked_have_no_variance():
    class Boosted(LinearRegression):
        def fit(self, rows, y):
            self.estimators_ = [[LinearRegression().fit(rows, y)] for _ in range(3)]
            return super().fit(rows, y)

    with pytest.raises(
        TypeError, match=r'Boosted\.predict: the score "variance" needs a regressor that takes'
    ):
        qr.ActiveLearner(Boosted(), X, score="variance", labels=SOME).ask()


def test_an_error_of_a_fit_tells_the_kinds_of_labels():
    learner = qr.ActiveLearner(GaussianNB(), X.astype(str), labels=KNOWN)
    learner._model.model.fit = _fails
    with pytest.raises(RuntimeError, match="of its own") as raised:
        learner.fit()
    of_kinds, of_cold_start = raised.value.__notes__
    assert of_kinds == "GaussianNB.predict_proba: fitted on 6 labels of the kinds ['str']"
    assert of_cold_start.endswith('warm_at={"labels": m, "per_class": r}) makes the cold start longer')


def _fails(X, y):
    raise RuntimeError("of its own")


def test_validation_has_a_label_for_each_row():
    with pytest.raises(ValueError, match="validation: expected one label for each of its 60 rows, got 3"):
        qr.ActiveLearner(GaussianNB(), X, validation=(X, Y[:3]))


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        (3, "or a function of the model, got int"),
        ((X, Y, Y), "or a function of the model, got 3 items"),
        ((X, pd.DataFrame({"label": Y})), r"labels of shape \(60,\), got shape \(60, 1\); pass one column"),
        ((X, np.zeros((N, 2))), r"labels of shape \(60,\), got shape \(60, 2\)"),
    ],
)
def test_validation_has_one_column_of_labels(validation, message):
    with pytest.raises(ValueError, match="validation: expected .*" + message):
        qr.ActiveLearner(GaussianNB(), X, validation=validation)


@pytest.mark.parametrize(
    ("model", "score", "known", "truth", "message"),
    [
        (halves, "margin", KNOWN, Y, "are numbers, as those of the model .*got text; pass such, or a func"),
        (GaussianNB(), "margin", KNOWN, np.arange(N), "are text, as those of the model .* got numbers"),
        (BayesianRidge(), "variance", SOME, Y, "are numbers, as those of the model .* got text"),
    ],
)
def test_labels_of_a_validation_that_no_model_gives_are_named(model, score, known, truth, message):
    learner = qr.ActiveLearner(model, X, labels=known, score=score, validation=(X, truth))
    learner.tell(learner.ask(), (list(known.values()) * 2)[:10])
    with pytest.raises(ValueError, match="validation: expected labels that " + message):
        learner.fit()


def test_labels_of_a_validation_may_be_objects_or_tuples():
    def accuracy(model, y, known):
        learner = qr.ActiveLearner(model, X, labels=known, validation=(X, y), batch_size=1)
        learner.tell(learner.ask(), [known[0]])
        learner.fit()
        return learner.history[-1].metrics["accuracy"]

    class OfPairs:
        def fit(self, X, y):
            self.classes_ = sorted(set(y.tolist()))  # a list: of numpy's making it would be a matrix
            self.model = GaussianNB().fit(X, [self.classes_.index(label) for label in y.tolist()])

        def predict_proba(self, X):
            return self.model.predict_proba(X)

    expected = accuracy(GaussianNB(), Y, KNOWN)
    assert 0.3 < expected < 1
    assert accuracy(GaussianNB(), pd.Series(Y, dtype=object), KNOWN) == expected
    pairs = {row: (label, 1) for row, label in KNOWN.items()}
    assert accuracy(OfPairs(), [(label, 1) for label in Y], pairs) == expected


def best(scores, taken, k=10):
    """The slow obvious top k."""
    open_scores = np.where(np.isin(np.arange(len(scores)), list(taken)), -np.inf, scores)
    return np.lexsort((np.arange(len(scores)), -open_scores))[:k].tolist()


def columns(members, rows, classes):
    """Member probabilities, each class in its column, the slow obvious way."""
    out = np.zeros((len(members), len(rows), len(classes)))
    for at, member in enumerate(members):
        for label, column in zip(member.classes_, member.predict_proba(rows).T, strict=True):
            out[at, :, list(classes).index(label)] = column
    return out


class TestCommittees:
    @pytest.mark.parametrize("score", ["bald", "max_disagreement", "consensus_entropy", "vote_entropy"])
    def test_a_list_of_models(self, score):
        models = [GaussianNB(), LogisticRegression(), DecisionTreeClassifier(max_depth=2, random_state=0)]
        learner = qr.ActiveLearner(models, X, labels=KNOWN, score=score)
        batch = learner.ask()
        proba = np.stack([model.predict_proba(X) for model in models])
        assert batch.indices.tolist() == best(qr.committee_scores(proba, [score])[score], KNOWN)

    def test_a_score_of_rows_is_that_of_the_mean(self):
        batch = qr.ActiveLearner(lambda _: MEMBERS, X, score="gini").ask()
        assert batch.indices.tolist() == best(qr.gini(MEMBERS.mean(axis=0)), [])

    @pytest.mark.parametrize("score", ["bald", "variation_ratio"])
    def test_a_function_may_be_a_committee(self, score):
        batch = qr.ActiveLearner(lambda _: MEMBERS, X, score=score).ask()
        assert batch.indices.tolist() == best(qr.committee_scores(MEMBERS, [score])[score], [])

    def test_a_list_of_functions_too(self):
        members = [lambda _, p=p: p for p in MEMBERS]
        learner = qr.ActiveLearner(members, X, score="bald", validation=(X, MEMBERS.mean(axis=0).argmax(1)))
        first = next(learner.run(lambda indices, _: indices))
        assert first.indices.tolist() == best(qr.bald(MEMBERS), [])
        assert first.metrics == {"accuracy": 1.0}
        assert first.predictions.tolist() == MEMBERS.mean(axis=0).argmax(axis=1).tolist()

    def test_a_function_as_score_sees_all_members(self):
        learner = qr.ActiveLearner(lambda _: MEMBERS, X, score=qr.bald)
        assert learner.ask().indices.tolist() == best(qr.bald(MEMBERS), [])

    @pytest.mark.parametrize("kind", [np.asarray, pd.DataFrame, scipy.sparse.csr_array])
    @pytest.mark.parametrize("steps", [[], [MaxAbsScaler()], [FunctionTransformer(accept_sparse=True)] * 2])
    def test_so_is_one_at_the_end_of_a_pipeline(self, steps, kind):
        forest = RandomForestClassifier(20, max_depth=2, random_state=0)
        model = make_pipeline(*steps, make_pipeline(MaxAbsScaler(), forest))
        pool = kind(X - X.min(axis=0))
        batch = qr.ActiveLearner(model, pool, labels=KNOWN, score="bald").ask()
        rows = pool
        for step in [*(step for _, step in model.steps[:-1]), model[-1][0]]:
            rows = step.transform(rows)
        proba = np.stack([tree.predict_proba(getattr(rows, "values", rows)) for tree in forest])
        assert batch.indices.tolist() == best(qr.bald(proba), KNOWN)

    @pytest.mark.parametrize("frame", [False, True])
    def test_a_forest_is_one(self, frame):
        pandas = pytest.importorskip("pandas")
        forest = RandomForestClassifier(20, max_depth=2, random_state=0)
        pool = pandas.DataFrame(X, columns=list("abc")) if frame else X
        batch = qr.ActiveLearner(forest, pool, labels=KNOWN, score="bald").ask()
        proba = np.stack([tree.predict_proba(X) for tree in forest.estimators_])
        assert batch.indices.tolist() == best(qr.bald(proba), KNOWN)

    def test_bagged_members_need_not_have_seen_all_classes_or_columns(self):
        neighbours = KNeighborsClassifier(3, weights="distance")
        bagging = BaggingClassifier(neighbours, 8, max_samples=3, max_features=2, random_state=1)
        batch = qr.ActiveLearner(bagging, X, labels=KNOWN, score="bald").ask()
        assert any(len(member.classes_) < 3 for member in bagging.estimators_)
        proba = np.zeros((8, N, 3))
        for at, member in enumerate(bagging.estimators_):
            rows = X[:, bagging.estimators_features_[at]]
            proba[at] = columns([member], rows, range(3))[0]
        assert batch.indices.tolist() == best(qr.bald(proba), KNOWN)

    def test_listed_members_need_not_have_seen_all_classes(self):
        class Half(GaussianNB):
            def fit(self, X, y):
                some = y != "cow"
                return super().fit(X[some], y[some])

        models = [GaussianNB(), Half()]
        learner = qr.ActiveLearner(models, X, labels=KNOWN, score="bald", validation=(X, Y))
        batch = learner.ask()
        proba = columns(models, X, ["cat", "cow", "dog"])
        assert batch.indices.tolist() == best(qr.bald(proba), KNOWN)
        learner.tell(batch, Y[batch.indices])
        learner.fit()
        truth = np.array(["cat", "cow", "dog"])[columns(models, X, ["cat", "cow", "dog"]).mean(0).argmax(1)]
        assert learner.history[-1].metrics["accuracy"] == np.mean(truth == Y)

    def test_votes_of_a_voting_classifier(self):
        voting = VotingClassifier([("a", GaussianNB()), ("b", LogisticRegression())], voting="soft")
        batch = qr.ActiveLearner(voting, X, labels=KNOWN, score="max_disagreement").ask()
        proba = np.stack([member.predict_proba(X) for member in voting.estimators_])
        assert batch.indices.tolist() == best(qr.max_disagreement(proba), KNOWN)

    @pytest.mark.parametrize("names", [["cat", "cow", "dog"], [5, 7, 9], [0, 1, 2], [1, 2, 3]])
    @pytest.mark.parametrize("kind", [AdaBoostClassifier, BaggingClassifier])
    def test_members_know_the_classes_by_name_or_by_number(self, kind, names):
        ensemble = kind(DecisionTreeClassifier(max_depth=1, random_state=0), n_estimators=4, random_state=0)
        known = {row: names[row // 20] for row in KNOWN}
        batch = qr.ActiveLearner(ensemble, X, labels=known, score="consensus_entropy").ask()
        by_name = kind is AdaBoostClassifier
        proba = columns(ensemble.estimators_, X, names if by_name else range(3))
        assert batch.indices.tolist() == best(qr.consensus_entropy(proba), known)

    def test_members_of_other_classes_are_none(self):
        class Odd(GaussianNB):
            def fit(self, X, y):
                self.estimators_ = [GaussianNB().fit(X, y == "cat")] * 2
                self.estimators_[0].classes_ = np.array(["no", "yes"])
                return super().fit(X, y)

        with pytest.raises(TypeError, match=r"Odd\..* got Odd, whose members .* apart: \['no', 'yes'\]"):
            qr.ActiveLearner(Odd(), X, labels=KNOWN, score="bald").ask()

    @pytest.mark.parametrize("kind", [OneVsRestClassifier, type("Mine", (OneVsRestClassifier,), {})])
    def test_members_that_tell_two_groups_apart_are_no_committee(self, kind):
        with pytest.raises(
            TypeError, match="in which each member tells all classes apart, got " + kind.__name__
        ):
            qr.ActiveLearner(kind(GaussianNB()), X, score="bald")
        learner = qr.ActiveLearner(kind(GaussianNB()), X, labels=KNOWN, strategy=lambda c: c.pick("bald"))
        with pytest.raises(TypeError, match="in which each member tells all classes apart"):
            learner.ask()
        assert len(qr.ActiveLearner(kind(GaussianNB()), X, labels=KNOWN).ask()) == 10

    def test_one_against_one_has_no_variance(self):
        with pytest.raises(
            TypeError, match=r'OneVsOneClassifier\.predict: the score "variance" is for regressors'
        ):
            qr.ActiveLearner(OneVsOneClassifier(GaussianNB()), X, score="variance")

    @pytest.mark.parametrize(
        ("model", "error", "message"),
        [
            (lambda _: MEMBERS[0], ValueError, r"lambda.*\(m, 60, c\).*got shape \(60, 4\)"),
            (lambda _: MEMBERS[:, :7], ValueError, r"lambda.*\(60, c\) \(or \(m, 60, c\)\).*\(5, 7, 4\)"),
            (
                [lambda _: MEMBERS[0, :, :1]] * 2,
                ValueError,
                r"model\[0\]: <lambda>: .*c >= 2 classes.*\(60, 1\)",
            ),
            ([lambda _: MEMBERS] * 2, ValueError, r"model\[0\]: <lambda>: .*got \(5, 60, 4\)"),
            ([lambda _: MEMBERS[0], lambda _: MEMBERS[0, :, :3]], ValueError, r"model\[1\]: .*4 col.*got 3"),
        ],
    )
    def test_what_is_none_is_named(self, model, error, message):
        with pytest.raises(error, match=message):
            qr.ActiveLearner(model, X, labels=KNOWN, score="bald").ask()

    def test_functions_of_one_column_are_named_for_any_score(self):
        for score in ("margin", lambda members: members[0, :, 0]):
            learner = qr.ActiveLearner([lambda _: MEMBERS[0, :, :1]] * 2, X, score=score)
            with pytest.raises(ValueError, match=r"model\[0\]: <lambda>: .*c >= 2 classes, got ndarray"):
                learner.ask()

    @pytest.mark.parametrize("score", ["bald", "vote_entropy", "consensus_margin"])
    @pytest.mark.parametrize(
        ("model", "error", "message"),
        [
            (GaussianNB(), TypeError, "GaussianNB.predict_proba: a score of a committee needs a list"),
            (
                make_pipeline(GaussianNB()),
                TypeError,
                "Pipeline.predict_proba: a score .* got GaussianNB",
            ),
            ([GaussianNB()], ValueError, r"model: expected several models in the list, as model\[0\]: Gauss"),
            ([RandomForestClassifier()], ValueError, "pass an ensemble without a list"),
        ],
    )
    def test_what_can_be_none_is_named_at_the_start(self, model, error, message, score):
        for how in ({"score": score}, {"strategy": score}):
            with pytest.raises(error, match=message):
                qr.ActiveLearner(model, X, **how)

    @pytest.mark.parametrize("score", ["bald", "vote_entropy", "entropy"])
    def test_predict_proba_may_give_the_members(self, score):
        class Dropout(GaussianNB):
            def predict_proba(self, X):
                proba = super().predict_proba(X)
                drawn = [np.random.default_rng(draw).dirichlet(np.ones(3), len(X)) for draw in range(4)]
                return np.stack([(proba + one) / 2 for one in drawn])

        class Deep(Dropout):
            def fit(self, X, y):
                self.estimators_ = [object()] * 4  # nets, which are no models by themselves
                return super().fit(X, y)

        for model in (Dropout(), Deep(), make_pipeline(StandardScaler(), Dropout())):
            learner = qr.ActiveLearner(model, X, score=score, labels=KNOWN, validation=(X, Y))
            batch = learner.ask()
            proba = model.predict_proba(X)
            expected = (
                qr.entropy(proba.mean(0))
                if score == "entropy"
                else qr.committee_scores(proba, [score])[score]
            )
            assert batch.indices.tolist() == best(expected, KNOWN)
            learner.tell(batch, Y[batch.indices])
            learner.fit()
            truth = model.classes_[model.predict_proba(X).mean(0).argmax(1)]
            assert learner.history[-1].metrics["accuracy"] == np.mean(truth == Y)

    def test_a_model_alone_is_told_of_all_ways_to_a_committee(self):
        with pytest.raises(TypeError, match=r"list of models, \(m, n, c\) prob.*or from a function of X"):
            qr.ActiveLearner(GaussianNB(), X, score="bald")

    def test_what_may_become_one_is_let_through(self):
        class Mine(GaussianNB):
            pass

        voting = VotingClassifier([("a", GaussianNB())], voting="soft")
        for model in (Mine(), BaggingClassifier(), voting, RandomForestClassifier(), lambda _: MEMBERS[0]):
            qr.ActiveLearner(model, X, score="bald")
        learner = qr.ActiveLearner(Mine(), X, score="bald", labels=KNOWN)
        with pytest.raises(TypeError, match=r"Mine\.predict_proba: a score of a committee needs a list"):
            learner.ask()

    @pytest.mark.parametrize(
        ("model", "error", "message"),
        [
            ([], ValueError, "at least one model"),
            ([GaussianNB(), 3], TypeError, r"model\[1\]: model: expected an object.*got int"),
            ([GaussianNB(), LinearRegression()], TypeError, "got some of each"),
        ],
    )
    def test_what_is_no_list_of_models_is_named(self, model, error, message):
        with pytest.raises(error, match=message):
            qr.ActiveLearner(model, X)


def test_a_stack_has_its_methods_after_the_fit():
    stack = StackingClassifier([("a", GaussianNB())], cv=2)
    assert np.isfinite(qr.ActiveLearner(stack, X, labels=KNOWN).ask().scores).all()
    stack = StackingRegressor([("a", Ridge()), ("b", LinearRegression())], cv=2)
    assert np.isfinite(qr.ActiveLearner(stack, X, labels=SOME, score="variance").ask().scores).all()


def test_columns_are_those_of_the_classes():
    class Wide(GaussianNB):
        def predict_proba(self, _):
            return MEMBERS[0]

    with pytest.raises(ValueError, match=r"Wide\.predict_proba: expected 3 columns, one for each.*got 4"):
        qr.ActiveLearner(Wide(), X, labels=KNOWN).ask()


class Net:
    """A wrapped net: it learns by `fit`, and is called for as many columns as it was built with."""

    def __init__(self, members=0):
        self.members, self.seen = members, []

    def fit(self, X, y):
        self.seen.append(y.tolist())
        self.model = GaussianNB().fit(X, y)

    def __call__(self, X):
        proba = np.zeros((len(X), 4))
        proba[:, self.model.classes_] = self.model.predict_proba(X)
        return np.stack([proba] * self.members) if self.members else proba


class TestCallables:
    """What has `fit` and is called for its probabilities."""

    NUMBERS = {row: row // 20 for row in KNOWN}  # noqa: RUF012

    @pytest.mark.parametrize("members", [0, 3])
    def test_it_is_fitted(self, members):
        net = Net(members)
        learner = qr.ActiveLearner(net, X, seed=0, validation=(X, np.repeat([0, 1, 2], 20)), batch_size=20)
        assert np.isnan(learner.ask().scores).all()  # cold
        first = next(learner.run(lambda indices, _: indices // 20))
        assert net.seen == [[learner.labels[row] for row in sorted(learner.labels)]]
        assert learner.ask().indices.tolist() == best(
            qr.margin(net(X).reshape(-1, N, 4)[0]), learner.labels, 20
        )
        truth = net.model.score(X, np.repeat([0, 1, 2], 20))
        assert first.metrics == {"accuracy": truth}

    def test_its_columns_are_its_classes_or_else_0_1_2(self):
        learner = qr.ActiveLearner(Net(), X, labels=self.NUMBERS | {59: 3, 58: 3}, batch_size=1)
        assert learner.ask().reasons[0]["predicted"] in range(4)
        learner = qr.ActiveLearner(Net(), X, labels={1: 1, 20: 2, 2: 1, 21: 2})  # two of its four columns
        assert len(learner.ask()) == 10

        class Named(Net):
            def fit(self, X, y):
                self.classes_ = ["cat", "cow", "dog", "emu"]
                super().fit(X, np.array([self.classes_.index(label) for label in y]))

        learner = qr.ActiveLearner(Named(), X, labels=KNOWN, validation=(X, Y), batch_size=1)
        first = next(learner.run(lambda indices, _: Y[indices]))
        assert set(first.predicted_shares) == {"cat", "cow", "dog", "emu"}
        assert first.metrics["accuracy"] == learner.model.model.score(X, np.repeat([0, 1, 2], 20))

    def test_columns_of_predict_proba_are_the_labels_that_were_seen(self):
        class Bare:
            def fit(self, X, y):
                self.model = GaussianNB().fit(X, y)

            def predict_proba(self, X):
                return self.model.predict_proba(X)

        batch = qr.ActiveLearner(Bare(), X, labels=KNOWN, batch_size=1).ask()
        assert batch.reasons[0]["predicted"] in ("cat", "cow", "dog")

    def test_predict_proba_comes_first(self):
        class Both(GaussianNB):
            def __call__(self, _):
                raise AssertionError

        assert len(qr.ActiveLearner(Both(), X, labels=KNOWN).ask()) == 10

    def test_without_its_fit_it_stays_as_it_is(self):
        net = Net()
        net.fit(X[::20], np.arange(3))
        qr.ActiveLearner(net.__call__, X, labels=self.NUMBERS).ask()
        assert len(net.seen) == 1


def ballots(members, rows, classes):
    """The class that each member predicts, as a column number."""
    return np.stack([np.searchsorted(classes, member.predict(rows)) for member in members])


class TestVotes:
    """Members that have no probabilities, but may vote."""

    @pytest.mark.parametrize("score", ["vote_entropy", "variation_ratio"])
    def test_a_list_of_classifiers_that_only_decide(self, score):
        models = [LinearSVC(), Perceptron(random_state=0), RidgeClassifier()]
        learner = qr.ActiveLearner(models, X, labels=KNOWN, score=score, validation=(X, Y))
        batch = learner.ask()
        votes = ballots(models, X, ["cat", "cow", "dog"])
        expected = getattr(qr, score)(votes)
        assert len(set(expected)) > 1
        assert batch.indices.tolist() == best(expected, KNOWN)
        np.testing.assert_allclose(batch.scores, expected[batch.indices])
        learner.tell(batch, Y[batch.indices])
        assert learner.history[-1].predicted_shares["dog"] == pytest.approx(
            np.mean([np.bincount(row, minlength=3).argmax() == 2 for row in votes.T])
        )
        learner.fit()
        most = [np.bincount(row, minlength=3).argmax() for row in ballots(models, X, ["cat", "cow", "dog"]).T]
        assert learner.history[-1].metrics["accuracy"] == np.mean(np.array(["cat", "cow", "dog"])[most] == Y)

    def test_those_with_probabilities_vote_for_the_likeliest(self):
        models = [GaussianNB(), LinearSVC(), make_pipeline(StandardScaler(), RidgeClassifier())]
        batch = qr.ActiveLearner(models, X, labels=KNOWN, strategy="vote_entropy").ask()
        expected = qr.vote_entropy(ballots(models, X, ["cat", "cow", "dog"]))
        assert batch.indices.tolist() == best(expected, KNOWN)

    def test_a_class_that_a_member_has_not_seen_keeps_its_column(self):
        class Half(LinearSVC):
            def fit(self, X, y):
                some = y != "cow"
                return super().fit(X[some], y[some])

        models = [RidgeClassifier(), Half(), LinearSVC()]
        batch = qr.ActiveLearner(models, X, labels=KNOWN, score="variation_ratio").ask()
        expected = qr.variation_ratio(ballots(models, X, ["cat", "cow", "dog"]))
        assert batch.indices.tolist() == best(expected, KNOWN)

    @pytest.mark.parametrize(
        "model",
        [
            BaggingClassifier(LinearSVC(), 5, random_state=0),
            VotingClassifier([("svm", LinearSVC()), ("ridge", RidgeClassifier()), ("bayes", GaussianNB())]),
            make_pipeline(FunctionTransformer(), BaggingClassifier(LinearSVC(), 5, random_state=0)),
        ],
    )
    def test_an_ensemble(self, model):
        batch = qr.ActiveLearner(model, X, labels=KNOWN, score="vote_entropy").ask()
        members = (model[-1] if hasattr(model, "steps") else model).estimators_
        expected = qr.vote_entropy(ballots(members, X, range(3)))
        assert batch.indices.tolist() == best(expected, KNOWN)

    @pytest.mark.parametrize(
        ("model", "score", "message"),
        [
            (LinearSVC(), "vote_entropy", r"LinearSVC\.predict: a score of a committee needs a list"),
            (
                [LinearSVC()] * 2,
                "bald",
                r'model\[0\]: .* the scores "vote_entropy" and "variation_ratio" only',
            ),
            ([Ridge(), Ridge()], "vote_entropy", "variance"),
            (
                BaggingClassifier(LinearSVC()),
                "bald",
                r'an ensemble of members .*"vote_entropy" and "variation',
            ),
            (VotingClassifier([("a", GaussianNB())]), "margin", r"VotingClassifier\.predict: a classifier"),
            (StackingClassifier([("a", Perceptron())], GaussianNB(), cv=2), "bald", "an ensemble of members"),
        ],
    )
    def test_what_has_no_votes_or_not_the_score_is_named(self, model, score, message):
        with pytest.raises(TypeError, match=message):
            qr.ActiveLearner(model, X, labels=KNOWN, score=score).ask()

    def test_one_that_votes_alone_is_named_at_the_ask_too(self):
        learner = qr.ActiveLearner(LinearSVC(), X, labels=KNOWN, strategy=lambda c: c.pick("vote_entropy"))
        with pytest.raises(TypeError, match=r"LinearSVC\.predict: a score of a committee needs a list"):
            learner.ask()

    @pytest.mark.parametrize(
        ("decided", "message"),
        [
            (lambda rows: ["emu"] * len(rows), r"model\[1\]: .*one of its classes \['cat', .*got .*'emu'"),
            (
                lambda _: ["cat"],
                r"model\[1\]: LinearSVC\.predict: expected a label for each of 60 rows, got",
            ),
        ],
    )
    def test_decisions_that_are_none_are_named(self, decided, message):
        odd = LinearSVC()
        odd.predict = decided
        with pytest.raises(ValueError, match=message):
            qr.ActiveLearner([LinearSVC(), odd], X, labels=KNOWN, score="vote_entropy").ask()

    def test_nothing_voted_can_be_picked_by_gradients(self):
        with pytest.raises(TypeError, match="a classifier without predict_proba"):
            qr.ActiveLearner([LinearSVC()] * 2, X, score="vote_entropy", select="badge")


class TestRegressors:
    @pytest.mark.parametrize(
        "model",
        [GaussianProcessRegressor(), BayesianRidge(), make_pipeline(StandardScaler(), BayesianRidge())],
    )
    def test_the_variance_of_one(self, model):
        batch = qr.ActiveLearner(model, X, labels=SOME, score="variance").ask()
        expected = model.predict(X, return_std=True)[1] ** 2
        assert batch.indices.tolist() == best(expected, SOME)
        assert batch.scores.tolist() == expected[batch.indices].tolist()

    def test_the_variance_of_several(self):
        models = [Ridge(), LinearRegression()]
        batch = qr.ActiveLearner(models, X, labels=SOME, score="variance").ask()
        values = np.stack([model.predict(X) for model in models])
        assert batch.indices.tolist() == best(qr.ensemble_variance(values), SOME)

    def test_the_variance_of_a_forest(self):
        forest = RandomForestRegressor(10, random_state=0)
        learner = qr.ActiveLearner(forest, X, labels=SOME, score="variance", validation=(X, Z))
        first = next(learner.run(lambda indices, _: Z[indices]))
        assert first.metrics["r2"] == pytest.approx(forest.score(X, Z))
        assert first.predictions is None
        assert np.isnan(first.uncertainty)

    def test_the_variance_of_a_forest_in_a_pipeline(self):
        model = make_pipeline(StandardScaler(), RandomForestRegressor(10, random_state=0))
        batch = qr.ActiveLearner(model, X, labels=SOME, score="variance").ask()
        rows = model[0].transform(X)
        expected = qr.ensemble_variance(np.stack([tree.predict(rows) for tree in model[-1]]))
        assert batch.indices.tolist() == best(expected, SOME)

    @pytest.mark.parametrize(
        ("model", "better"),
        [
            (Ridge(), BaggingRegressor(Ridge(), random_state=0)),
            (Ridge(), [Ridge(), LinearRegression()]),
            (
                make_pipeline(StandardScaler(), Ridge()),
                BaggingRegressor(make_pipeline(StandardScaler(), Ridge())),
            ),
            (GradientBoostingRegressor(), BaggingRegressor(GradientBoostingRegressor(n_estimators=3), 3)),
        ],
    )
    def test_one_without_a_variance_is_told_how_to_have_some(self, model, better):
        for score in ("margin", "variance"):
            with pytest.raises(
                TypeError, match=r'"variance".* wrap it in sklearn\.ensemble\.BaggingRegressor or pass a list'
            ):
                qr.ActiveLearner(model, X, score=score)
        assert np.isfinite(qr.ActiveLearner(better, X, labels=SOME, score="variance").ask().scores).all()

    @pytest.mark.parametrize(
        "model",
        [
            BayesianRidge(),
            RandomForestRegressor(10),
            make_pipeline(StandardScaler(), BayesianRidge()),
            [Ridge(), LinearRegression()],
        ],
    )
    def test_one_with_a_variance_is_told_how_to_ask_for_it(self, model):
        with pytest.raises(TypeError, match=r'the score "variance" only; pass score="variance"$'):
            qr.ActiveLearner(model, X)
        assert np.isfinite(qr.ActiveLearner(model, X, labels=SOME, score="variance").ask().scores).all()

    @pytest.mark.parametrize(
        "model", [RandomForestRegressor(70, random_state=0), [Ridge(alpha=a) for a in range(1, 71)]]
    )
    def test_a_variance_of_more_members_than_rows(self, model):
        batch = qr.ActiveLearner(model, X, labels=SOME, score="variance").ask(2)
        members = model if isinstance(model, list) else model.estimators_
        expected = np.var([member.predict(X) for member in members], axis=0)
        np.testing.assert_allclose(batch.scores, expected[batch.indices])

    def test_two_numbers_end_the_cold_start(self):
        learner = qr.ActiveLearner(BayesianRidge(), X, score="variance", labels={0: 1.0})
        assert np.isnan(learner.ask().scores).all()
        learner.tell(learner.ask(), Z[learner.ask().indices])
        assert np.isfinite(learner.ask().scores).all()

    def test_the_mean_of_several_is_validated(self):
        members = [Ridge(alpha=0.01), Ridge(alpha=10)]
        learner = qr.ActiveLearner(members, X, labels=SOME, score="variance", validation=(X, Z))
        first = next(learner.run(lambda indices, _: Z[indices]))
        mean = (members[0].predict(X) + members[1].predict(X)) / 2
        assert first.metrics["r2"] == pytest.approx(r2_score(Z, mean))

    def test_predictions_of_another_shape_are_named(self):
        model = Ridge()
        model.predict = lambda X: np.ones((len(X), 2))
        with pytest.raises(ValueError, match=r"Ridge\.predict: expected an array of shape \(60,\), got"):
            qr.ActiveLearner([model, model], X, labels=SOME, score="variance").ask()

    def test_what_has_no_variance_is_named(self):
        with pytest.raises(TypeError, match=r'LinearRegression\.predict: the score "variance" needs'):
            qr.ActiveLearner(LinearRegression(), X, score="variance")

        class Mine(LinearRegression):  # of others than scikit-learn's own it is known at the first ask
            pass

        learner = qr.ActiveLearner(Mine(), X, labels=SOME, score="variance")
        with pytest.raises(TypeError, match=r'Mine\.predict: the score "variance" needs .*return_std'):
            learner.ask()
        with pytest.raises(ValueError, match=r"expected several models in the list, as model\[0\]: Ridge"):
            qr.ActiveLearner([Ridge()], X, score="variance")
        with pytest.raises(TypeError, match='without predict_proba has the score "variance" only'):
            qr.ActiveLearner(LinearRegression(), X, labels=SOME).ask()
        with pytest.raises(TypeError, match=r'GaussianNB\.predict_proba: the score "variance" is for'):
            qr.ActiveLearner(GaussianNB(), X, labels=KNOWN, score="variance").ask()

    def test_what_has_classes_but_no_probabilities_has_an_accuracy(self):
        def metrics(model, truth):
            learner = qr.ActiveLearner(model, X, labels=KNOWN, strategy="core_set", validation=(X, truth))
            return next(learner.run(lambda indices, _: Y[indices])).metrics

        model = SVC()
        assert metrics(model, Y) == {"accuracy": model.score(X, Y)}
        with pytest.raises(ValueError, match=r"validation: expected labels that are text.* got numbers"):
            metrics(SVC(), np.arange(N))


class TestChunks:
    @staticmethod
    def rounds(pool, **options):
        seen = []

        class Watched(GaussianNB):
            def predict_proba(self, X):
                seen.append(X.shape[0])
                return super().predict_proba(X.toarray() if scipy.sparse.issparse(X) else np.asarray(X))

            def fit(self, X, y):
                return super().fit(X.toarray() if scipy.sparse.issparse(X) else np.asarray(X), y)

        learner = qr.ActiveLearner(Watched(), pool, labels=KNOWN, seed=0, **options)

        def oracle(indices, rows):
            dense = rows.toarray() if scipy.sparse.issparse(rows) else np.asarray(rows)
            assert dense.tolist() == X[indices].tolist()
            return Y[indices]

        rounds = list(learner.run(oracle, stop=qr.stop.MaxRounds(3)))
        told = [(r.indices.tolist(), r.scores.tolist(), r.uncertainty) for r in rounds]
        return told, rounds[-1].predictions.tolist(), seen

    @pytest.mark.parametrize(
        "kind", ["array", "csr", "pandas", "polars", "list", "function", "sparse function"]
    )
    def test_chunks_change_nothing(self, kind):
        whole, predictions, seen = self.rounds(X)
        assert seen == [N] * 3
        if kind == "csr":
            pool = scipy.sparse.csr_matrix(X)
        elif kind in ("pandas", "polars"):
            pool = pytest.importorskip(kind).DataFrame(dict(zip("abc", X.T, strict=True)))
        elif kind == "function":
            pool = lambda: (X[start : start + 25] for start in range(0, N, 25))  # noqa: E731
        elif kind == "sparse function":
            pool = lambda: map(scipy.sparse.coo_matrix, np.array_split(X, 3))  # noqa: E731
        else:
            pool = X
        again, same, seen = self.rounds(pool, chunk=25)
        assert [told[0] for told in again] == [told[0] for told in whole]
        np.testing.assert_allclose([told[1] for told in again], [told[1] for told in whole], rtol=1e-12)
        np.testing.assert_allclose([told[2] for told in again], [told[2] for told in whole], rtol=1e-12)
        assert same == predictions
        assert sorted(set(seen)) == ([20] if kind == "sparse function" else [10, 25])

    def test_a_bad_row_is_named_by_its_place_in_the_pool(self):
        proba = np.full((N, 2), 0.5)
        proba[47] = 0.7
        with pytest.raises(ValueError, match="<lambda>: row 47 of the pool is not valid: ") as raised:
            qr.ActiveLearner(lambda X: X, proba, chunk=20).ask()
        for word in ("row 7", "row 0", "from_logits", "invalid=", "normalise"):  # none of the loop's
            assert word not in str(raised.value)
        assert raised.value.__suppress_context__
        assert "expected 1 (tolerance 0.001); return the probabilities of classes" in str(raised.value)
        assert len(qr.ActiveLearner(lambda X: X, proba, chunk=20, labels={47: 0}).ask()) == 10

    @pytest.mark.parametrize("kind", ["table", "record_batch"])
    def test_arrow_tables_have_no_rows_to_take(self, kind):
        arrow = pytest.importorskip("pyarrow")
        table = getattr(arrow, kind)({"a": X[:, 0], "b": X[:, 1]})
        for pool in (table, lambda: [table]):
            with pytest.raises(TypeError, match=r"X: expected rows .*got a pyarrow .*; pass \.to_pandas\(\)"):
                qr.ActiveLearner(GaussianNB(), pool)

    def test_a_bad_row_of_a_member_is_named_with_the_member(self):
        members = MEMBERS.copy()
        members[3, 47, 0] = np.nan
        with pytest.raises(
            ValueError, match=r"row 47 of the pool of member 3 is not valid: column 0 is NaN, .*; return"
        ):
            qr.ActiveLearner(lambda _: members, X, score="bald").ask()

    def test_chunks_must_stay_as_many_as_they_were(self):
        sizes = iter([60, 50])
        pool = lambda: [np.full((next(sizes), 2), 0.5)]  # noqa: E731
        learner = qr.ActiveLearner(lambda X: X, pool)
        with pytest.raises(ValueError, match="X: expected chunks of 60 rows in all, as at first, got 50"):
            learner.ask()

    def test_chunks_must_not_become_more(self):
        sizes = iter([[60], [50, 50, 50]])
        pool = lambda: [np.full((size, 2), 0.5) for size in next(sizes)]  # noqa: E731
        learner = qr.ActiveLearner(lambda X: X, pool)
        with pytest.raises(ValueError, match="X: expected chunks of 60 rows in all, as at first, got 100"):
            learner.ask()

    def test_features_are_sparse_in_all_chunks_or_in_none(self):
        def embed(rows):
            return scipy.sparse.csr_array(rows) if rows[0, 0] == X[0, 0] else rows

        with pytest.raises(TypeError, match="embed embed: expected all chunks sparse or none"):
            qr.ActiveLearner(GaussianNB(), X, strategy="core_set", embed=embed, chunk=20).ask()

    def test_rows_of_several_chunks_of_lists_are_one_list(self):
        chunks = [X[:35].tolist(), X[35:].tolist()]
        learner = qr.ActiveLearner(halves, lambda: chunks, batch_size=N)
        seen = []
        next(learner.run(lambda indices, rows: seen.extend(rows) or [0] * len(indices)))
        assert len(seen) == N
        assert sorted(seen) == sorted(X.tolist())

    def test_chunks_that_cannot_be_joined_are_named(self):
        class Rows:
            def __len__(self):
                return N // 2

            def __getitem__(self, indices):
                return self

        learner = qr.ActiveLearner(halves, lambda: [Rows(), Rows()], batch_size=N)
        with pytest.raises(TypeError, match=r"X: expected chunks that are arrays, .* or lists, got Rows"):
            next(learner.run(lambda indices, _: [0] * len(indices)))

    @pytest.mark.parametrize("kind", ["pandas", "polars"])
    def test_rows_of_several_data_frames_are_one(self, kind, tmp_path):
        frame = pytest.importorskip(kind).DataFrame(dict(zip("abc", X.T, strict=True)))
        chunks = lambda: iter([frame[:35], frame[35:]])  # noqa: E731
        learner = qr.ActiveLearner(halves, chunks, batch_size=N, seed=0, journal=tmp_path / "run.db")
        seen = []
        for round in learner.run(lambda indices, rows: seen.append(rows) or [0] * len(indices)):
            np.testing.assert_array_equal(np.asarray(seen[0]), X[round.indices])
        assert type(seen[0]) is type(frame)

    @pytest.mark.parametrize("given", [X, pd.DataFrame(X), scipy.sparse.csr_matrix(X), None])
    def test_a_function_that_gives_the_rows_themselves_is_named(self, given):
        with pytest.raises(TypeError, match=r"X: expected the function to give chunks .*; give a list of"):
            qr.ActiveLearner(halves, lambda: given)

    def test_a_large_mapped_pool_needs_little_memory(self, tmp_path):
        n, d = 1_000_000, 4
        pool = np.memmap(tmp_path / "pool", np.float32, "w+", shape=(n, d))
        pool[:] = 0.25
        learner = qr.ActiveLearner(lambda X: X, pool, score="entropy", batch_size=100)
        tracemalloc.start()
        first = next(learner.run(lambda indices, _: [0] * len(indices)))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(first) == 100
        assert peak < 30 * n  # a score, a class and some flags a row, and a chunk

    @pytest.mark.parametrize("chunk", [0, -1])
    def test_a_wrong_chunk_is_named(self, chunk):
        with pytest.raises(ValueError, match="chunk: expected at least 1 row"):
            qr.ActiveLearner(GaussianNB(), X, chunk=chunk)


def test_a_classifier_that_only_decides_is_no_regressor():
    X, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    for model in (LinearSVC(), [LinearSVC(), LinearSVC(C=0.1)]):
        with pytest.raises(TypeError, match=r"variance.*is for regressors"):
            qr.ActiveLearner(model, X, strategy="variance")
    # Two labels of one class are not enough to fit it on.
    learner = qr.ActiveLearner(
        LinearSVC(), X, labels={0: "setosa", 1: "setosa"}, strategy="core_set", validation=(X, names)
    )
    rounds = list(learner.run(lambda indices, _: names[indices], stop=qr.stop.MaxRounds(2)))
    assert rounds[-1].metrics["accuracy"] > 0.6
    assert len(learner.plot().axes[-1].lines) == 3
    # Most of a list decide; what has three labels of each class is fitted.
    folds = GridSearchCV(LinearSVC(), {"C": [0.1, 1]}, cv=3)
    options = {"strategy": "core_set", "warm_at": {"per_class": 3}, "validation": (X, names)}
    learner = qr.ActiveLearner([folds, LinearSVC(), RidgeClassifier()], X, batch_size=20, **options)
    rounds = list(learner.run(lambda indices, _: names[indices], stop=qr.stop.MaxRounds(3)))
    assert rounds[-1].metrics["accuracy"] > 0.8
    with pytest.raises(TypeError, match=r"model\[1\]: LinearSVC.predict: a classifier without predict_proba"):
        qr.ActiveLearner([GaussianNB(), LinearSVC()], X, strategy="badge")


def test_a_classifier_without_a_base_is_one():
    class Own(ClassifierMixin):
        def fit(self, *_):
            return self

        def predict(self, X):
            return np.zeros(len(X), int)

    learner = qr.ActiveLearner(Own(), X, strategy="random", labels={0: 0, 1: 1}, validation=(X[:9], [0] * 9))
    learner.fit()
    [one] = learner.run(lambda indices, _: [0] * len(indices), stop=qr.stop.MaxRounds(1))
    assert one.metrics == {"accuracy": 1.0}


def test_a_net_that_predicts_too_is_called_for_its_probabilities():
    class Net:
        def fit(self, X, y):
            self.inner = GaussianNB().fit(X, y)

        def __call__(self, X):
            return self.inner.predict_proba(X)

        predict = __call__

    X, y = load_iris(return_X_y=True)
    known = {0: 0, 60: 1, 120: 2, 1: 0, 61: 1, 121: 2}
    picked = [
        qr.ActiveLearner(model, X, labels=known, validation=(X, y)).ask().indices.tolist()
        for model in (Net(), GaussianNB())
    ]
    assert picked[0] == picked[1]


def test_r2_is_that_of_scikit_learn_in_any_dtype():
    X, y = load_diabetes(return_X_y=True)
    for truth in (y, y.astype(np.float16), np.full(len(y), 3.0)):
        data = {"labels": dict(enumerate(y[:30])), "validation": (X, truth)}
        learner = qr.ActiveLearner(Ridge(), X, strategy="random", **data)
        [one] = learner.run(lambda indices, _: y[indices], stop=qr.stop.MaxRounds(1))
        assert one.metrics["r2"] == pytest.approx(r2_score(truth.astype(float), learner.model.predict(X)))


def test_members_that_know_names_of_columns_are_asked_with_them():

    X, _ = load_iris(return_X_y=True)
    frame = pd.DataFrame(X, columns=list("abcd"))

    def by_name():
        return make_pipeline(make_column_transformer((StandardScaler(), ["a", "b", "d"])), LinearSVC())

    model = VotingClassifier([("one", by_name()), ("two", by_name()), ("three", LinearSVC())])
    learner = qr.ActiveLearner(model, frame, score="vote_entropy", labels={0: 0, 50: 1, 100: 2, 120: 2})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(learner.ask()) == 10
