"""`querist.integrations.modal` against modAL itself, and where the two differ on purpose."""

from __future__ import annotations

import inspect
from types import SimpleNamespace

import child
import modAL.batch
import modAL.density
import modAL.disagreement
import modAL.models.learners
import modAL.uncertainty
import modAL.utils.selection
import numpy as np
import pytest
import querist as qr
from modAL.models import ActiveLearner, Committee
from model_outputs import MODELS, classifiers, committees, data, tolerance
from querist.integrations import modal
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

PARTS = (modAL.uncertainty, modAL.disagreement, modAL.density, modAL.batch, modAL.utils.selection)
CLASSIFIERS, COMMITTEES = classifiers(), committees()
POOL = np.zeros((3, 1))


def theirs(name):
    return next(getattr(part, name) for part in PARTS if hasattr(part, name))


class Given:
    """A classifier that says what it was given."""

    def __init__(self, proba):
        self.proba = proba

    def predict_proba(self, _X):
        return self.proba


class GivenCommittee:
    """A committee of members whose probabilities, (m, n, c), were given."""

    def __init__(self, members, classes=None):
        self.members = members
        self.classes_ = np.arange(members.shape[2]) if classes is None else classes

    def __len__(self):
        return len(self.members)

    def __iter__(self):
        return iter(self.members)

    def vote_proba(self, _X):
        return self.members.transpose(1, 0, 2)

    def predict_proba(self, _X):
        return self.members.mean(axis=0)

    def vote(self, _X):
        return self.classes_[self.members.argmax(axis=2).T].astype(float)


def same_choice(ours, peer, scores, k, loose):
    """Both choose k of the largest: the same rows, but where the k-th and the next cannot be told apart."""
    falling = np.sort(scores)[::-1]
    np.testing.assert_allclose(scores[ours], falling[:k], rtol=0, atol=loose)
    np.testing.assert_allclose(np.sort(scores[peer])[::-1], falling[:k], rtol=0, atol=loose)
    clear = k == len(scores) or falling[k - 1] - falling[k] > 2 * loose
    if clear:
        assert set(ours.tolist()) == set(peer.tolist())
    return clear


MEASURES = {
    "classifier_uncertainty": "uncertainty_sampling",
    "classifier_margin": "margin_sampling",
    "classifier_entropy": "entropy_sampling",
}
DISAGREEMENTS = {
    "vote_entropy": "vote_entropy_sampling",
    "consensus_entropy": "consensus_entropy_sampling",
    "KL_max_disagreement": "max_disagreement_sampling",
}


@pytest.mark.parametrize("case", CLASSIFIERS)
@pytest.mark.parametrize("name", MEASURES)
def test_uncertainty_is_that_of_modal(name, case):
    proba = CLASSIFIERS[case]
    model, pool = Given(proba), np.zeros((len(proba), 1))
    expected, found = theirs(name)(model, pool), getattr(modal, name)(model, pool)
    assert found.shape == expected.shape
    assert found.dtype == proba.dtype
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance(case, proba))


@pytest.mark.parametrize("dtype", [bool, int, np.uint8, np.longdouble])
def test_hard_and_long_probabilities_are_taken_as_modal_takes_them(dtype):
    hard = np.eye(3, dtype=dtype)
    for name in MEASURES:
        found = getattr(modal, name)(Given(hard), hard)
        assert found.dtype == np.float64
        assert found.tolist() == theirs(name)(Given(hard.astype(float)), hard).tolist()
    several = GivenCommittee(np.stack([hard, hard[::-1]]))
    for name in ("consensus_entropy", "KL_max_disagreement"):
        expected = theirs(name)(GivenCommittee(several.members.astype(float)), hard)
        np.testing.assert_allclose(getattr(modal, name)(several, hard), expected, rtol=0, atol=1e-15)


def test_errors_are_about_what_a_drop_in_knows():
    halves = np.array([[0.5, 0.25]])
    for name in (*MEASURES, "consensus_entropy"):
        with pytest.raises(ValueError, match=r"^predict_proba: row 0 is not valid: [^;]*$"):
            getattr(modal, name)(Given(halves), POOL)
        with pytest.raises(TypeError, match=r"^predict_proba: expected .*, got complex128$"):
            getattr(modal, name)(Given(halves.astype(complex)), POOL)
    with pytest.raises(ValueError, match=r"^vote_proba: row 0 of member 0 is not valid: [^;]*$"):
        modal.KL_max_disagreement(GivenCommittee(halves[None]), POOL)


@pytest.mark.parametrize("case", COMMITTEES)
@pytest.mark.parametrize("name", DISAGREEMENTS)
def test_disagreement_is_that_of_modal(name, case):
    committee = GivenCommittee(COMMITTEES[case])
    pool = np.zeros((COMMITTEES[case].shape[1], 1))
    expected, found = theirs(name)(committee, pool), getattr(modal, name)(committee, pool)
    loose = 1e-12 if name == "vote_entropy" else tolerance(case, COMMITTEES[case])
    np.testing.assert_allclose(found, expected, rtol=0, atol=loose)


def test_a_committee_may_have_more_members_than_rows():
    committee = GivenCommittee(np.random.default_rng(0).dirichlet(np.ones(3), (100, 5)))
    for name in DISAGREEMENTS:
        expected, found = (
            score(committee, np.zeros((5, 1))) for score in (theirs(name), getattr(modal, name))
        )
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("random_tie_break", [False, True])
@pytest.mark.parametrize("case", CLASSIFIERS)
@pytest.mark.parametrize("name", MEASURES)
def test_sampling_picks_what_modal_picks(name, case, random_tie_break):
    proba = CLASSIFIERS[case]
    model, pool, strategy = Given(proba), np.zeros((len(proba), 1)), MEASURES[name]
    scores = theirs(name)(model, pool).astype(np.float64)
    scores = -scores if name == "classifier_margin" else scores
    clear = []
    n = len(proba)
    for k in {1, min(2, n), max(n // 2, 1), n}:
        indices, values = getattr(modal, strategy)(model, pool, k, random_tie_break)
        peer, _ = theirs(strategy)(model, pool, k, random_tie_break)
        assert indices.dtype == np.int64
        assert len(set(indices.tolist())) == k
        np.testing.assert_array_equal(values, getattr(modal, name)(model, pool)[indices])
        clear.append(same_choice(indices, peer, scores, k, tolerance(case, proba)))
    assert any(clear)


@pytest.mark.parametrize("case", COMMITTEES)
@pytest.mark.parametrize("name", DISAGREEMENTS)
def test_committee_sampling_picks_what_modal_picks(name, case):
    committee, n = GivenCommittee(COMMITTEES[case]), COMMITTEES[case].shape[1]
    pool, strategy = np.zeros((n, 1)), DISAGREEMENTS[name]
    scores = theirs(name)(committee, pool).astype(np.float64)
    for k in (1, n):
        indices, values = getattr(modal, strategy)(committee, pool, k)
        peer, _ = theirs(strategy)(committee, pool, k)
        np.testing.assert_array_equal(values, getattr(modal, name)(committee, pool)[indices])
        same_choice(indices, peer, scores, k, tolerance(case, COMMITTEES[case]))


DENSITIES = {
    "digits": lambda: data("digits")[0][:400],
    "digits, near 0": lambda: data("digits")[0][:300] / 16,
    "iris": lambda: data("iris")[0],
    "float32": lambda: data("digits")[0][:200].astype(np.float32),
    "integers": lambda: data("digits")[0][:200].astype(np.int64),
    "one row": lambda: np.array([[3.0, 4.0]]),
    "a list": lambda: [[0.0], [1.0], [1.0]],
}


@pytest.mark.parametrize("metric", ["euclidean", "l2"])
@pytest.mark.parametrize("case", DENSITIES)
def test_density_is_that_of_modal(case, metric):
    pool = DENSITIES[case]()
    found, expected = modal.information_density(pool, metric), modAL.density.information_density(pool, metric)
    # Scikit-learn's distances between near rows are right to 1e-7 or so, in float32 to 1e-3.
    np.testing.assert_allclose(found, expected, rtol=1e-5 if case == "float32" else 1e-8)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int32])
def test_the_extremes_are_those_of_modal(dtype):
    values = (np.random.default_rng(1).permutation(50) - 20).astype(dtype)
    for name in ("multi_argmax", "multi_argmin"):
        for k in (1, 7, 50):
            indices, found = getattr(modal, name)(values, k)
            peer, _ = theirs(name)(values, k)
            assert set(indices.tolist()) == set(peer.tolist())
            assert (found == values[indices]).all()
            steps = np.diff(found)
            assert ((steps < 0) if name == "multi_argmax" else (steps > 0)).all()


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_integers_that_float64_rounds_keep_their_order(dtype):
    values = np.array([2**62, 2**62 + 2, 2**62 + 1], dtype)
    for k in (1, 2, 3):
        assert modal.multi_argmax(values, k)[0].tolist() == [1, 2, 0][:k]
        assert modal.multi_argmin(values, k)[0].tolist() == [0, 2, 1][:k]
        assert set(theirs("multi_argmax")(values, k)[0].tolist()) == set([1, 2, 0][:k])


def learner(name="digits", model="bayes", rows=slice(0, 40), **options):
    X, y = data(name)
    return ActiveLearner(clone(MODELS[model]), X_training=X[rows], y_training=y[rows], **options)


def committee(name="digits", **options):
    parts = [learner(name, model, slice(20 * at, 20 * at + 60)) for at, model in enumerate(MODELS)]
    return Committee(parts, **options)


def shortfall(labeled, pool, scores, picks):
    """How far each pick's value is under the largest at its turn, by the formula."""
    distance = np.linalg.norm(pool[:, None] - labeled[None], axis=2).min(axis=1)
    free, lost = np.ones(len(pool), bool), []
    for pick in picks:
        share = free.sum() / (len(pool) + len(labeled))
        values = share * (1 - 1 / (1 + distance)) + (1 - share) * scores
        lost.append(values[free].max() - values[pick])
        distance = np.minimum(distance, np.linalg.norm(pool - pool[pick], axis=1))
        free[pick] = False
    return np.array(lost)


@pytest.fixture
def teaching(monkeypatch):
    """modAL whose `teach` works: with scikit-learn 1.8 and later it passes an argument that is gone."""
    checked = modAL.models.learners.check_X_y
    if "force_all_finite" not in inspect.signature(checked).parameters:
        monkeypatch.setattr(
            modAL.models.learners,
            "check_X_y",
            lambda *rows, force_all_finite, **rest: checked(
                *rows, ensure_all_finite=force_all_finite, **rest
            ),
        )


@pytest.mark.usefixtures("teaching")
@pytest.mark.parametrize(
    "strategy", [*MEASURES.values(), "uncertainty_batch_sampling", *DISAGREEMENTS.values()]
)
def test_a_loop_of_modal_asks_and_learns(strategy):
    X, y = data("digits")
    ask = getattr(modal, strategy)
    is_committee = strategy in DISAGREEMENTS.values()
    asker = committee(query_strategy=ask) if is_committee else learner(model="logistic", query_strategy=ask)
    pool, truth = X[100:400], y[100:400]
    before = asker.score(X[400:], y[400:])
    for left in (300, 290, 280):
        assert len(pool) == left
        rows, asked = asker.query(pool, n_instances=10)
        assert len(set(rows.tolist())) == 10
        np.testing.assert_array_equal(asked, pool[rows])
        asker.teach(asked, truth[rows])
        pool, truth = np.delete(pool, rows, axis=0), np.delete(truth, rows)
    assert asker.score(X[400:], y[400:]) > before


@pytest.mark.parametrize("n_jobs", [None, 1, -1])
@pytest.mark.parametrize("model", ["bayes", "forest"])
@pytest.mark.parametrize("name", ["digits", "iris"])
def test_ranked_batch_is_that_of_modal(name, model, n_jobs):
    asker, pool = learner(name, model), data(name)[0][100:400]
    for k in (1, 2, 25):
        peer, scores = modAL.batch.uncertainty_batch_sampling(asker, pool, n_instances=k, n_jobs=n_jobs)
        indices, values = modal.uncertainty_batch_sampling(asker, pool, n_instances=k, n_jobs=n_jobs)
        # By the forest rows of iris tie, in score and in distance, up to rounding.
        assert (name, model) == ("iris", "forest") or indices.tolist() == peer.tolist()
        np.testing.assert_allclose(values, scores, rtol=0, atol=1e-12)
        uncertainty = modal.classifier_uncertainty(asker, pool)
        assert np.abs(shortfall(asker.X_training, pool, uncertainty, indices)).max() < 1e-12


def test_ranked_batch_takes_all_that_there_is():
    asker, pool = learner("iris"), data("iris")[0][100:112]
    peer, _ = modAL.batch.uncertainty_batch_sampling(asker, pool, n_instances=20)
    assert modal.uncertainty_batch_sampling(asker, pool)[0].tolist() == peer.tolist()


def test_ranked_batch_of_transformed_rows_is_that_of_modal():
    X, y = data("digits")
    pipeline = make_pipeline(StandardScaler(), GaussianNB())
    asker = ActiveLearner(pipeline, X_training=X[:60], y_training=y[:60], on_transformed=True)
    peer, _ = modAL.batch.uncertainty_batch_sampling(asker, X[60:300], n_instances=15)
    plain = ActiveLearner(pipeline, X_training=X[:60], y_training=y[:60])
    assert modal.uncertainty_batch_sampling(asker, X[60:300], 15)[0].tolist() == peer.tolist()
    assert modal.uncertainty_batch_sampling(plain, X[60:300], 15)[0].tolist() != peer.tolist()


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_ranked_batch_of_images_is_that_of_modal(dtype):
    X = data("digits")[0].astype(dtype).reshape(-1, 8, 8)
    asker, scores = learner(), np.random.default_rng(0).random(200)
    asker.X_training = X[:30]
    peer, _ = modAL.batch.ranked_batch(asker, X[30:230], scores, 12, "euclidean", None)
    indices, values = modal.ranked_batch(asker, X[30:230], scores, 12, "l2", None)
    assert indices.tolist() == peer.tolist()
    assert (values == scores[indices]).all()


@pytest.mark.parametrize("name", ["digits", "iris"])
def test_cold_start_is_that_of_modal(name):
    X = data(name)[0]
    for pool in (X, X.astype(np.float32), X[:50] * 1e-150, X[:50] * 1e100, X[:1], X[[3, 3, 3]], 7 - X[:20]):
        index, row = modal.select_cold_start_instance(pool)
        peer, its = modAL.batch.select_cold_start_instance(pool.astype(np.float64), "euclidean", None)
        assert index == peer
        assert row.dtype == pool.dtype
        np.testing.assert_allclose(row, its, rtol=1e-6)


@pytest.mark.parametrize("name", ["digits", "iris"])
def test_ranked_batch_of_a_committee_is_that_of_modal(name):
    # Committee.X_training is always None, so this is a cold start.
    pool = data(name)[0][100:300]
    peer, _ = modAL.batch.uncertainty_batch_sampling(committee(name), pool, n_instances=12)
    assert len(set(peer.tolist())) == 12
    assert (
        modal.uncertainty_batch_sampling(committee(name), pool, n_instances=12)[0].tolist() == peer.tolist()
    )


@pytest.mark.parametrize("strategy", [*MEASURES.values(), "uncertainty_batch_sampling"])
def test_a_learner_queries_with_either(strategy):
    for name in ("digits", "iris"):
        X = data(name)[0][100:200]
        for k in (1, 2, 3):
            (one, rows, values), (other, _, scores) = (
                learner(name, "logistic", query_strategy=take(strategy)).query(
                    X, n_instances=k, return_metrics=True
                )
                for take in (lambda strategy: getattr(modal, strategy), theirs)
            )
            assert set(one.tolist()) == set(other.tolist())
            assert (rows == X[one]).all()
            np.testing.assert_allclose(np.sort(values), np.sort(scores), rtol=0, atol=1e-7)


@pytest.mark.parametrize("strategy", [*DISAGREEMENTS.values(), *MEASURES.values()])
def test_a_committee_queries_with_either(strategy):
    X = data("digits")[0][100:400]
    (one, rows), (other, _) = (
        committee(query_strategy=take(strategy)).query(X, n_instances=2)
        for take in (lambda strategy: getattr(modal, strategy), theirs)
    )
    # Votes tie: then the lower rows, which modAL's partition need not find.
    assert strategy == "vote_entropy_sampling" or set(one.tolist()) == set(other.tolist())
    assert (rows == X[one]).all()


def test_a_committee_whose_members_know_different_classes():
    X, y = data("iris")
    parts = [
        ActiveLearner(GaussianNB(), X_training=X[y != left], y_training=y[y != left]) for left in range(3)
    ]
    for name in DISAGREEMENTS:
        np.testing.assert_allclose(
            getattr(modal, name)(Committee(parts), X), theirs(name)(Committee(parts), X), atol=1e-7
        )


def test_models_that_are_not_fitted_score_as_in_modal():
    X = np.zeros((4, 2))
    asker = ActiveLearner(GaussianNB())
    for name in MEASURES:
        assert getattr(modal, name)(asker, X).tolist() == theirs(name)(asker, X).tolist()
    several = Committee([ActiveLearner(GaussianNB()), ActiveLearner(GaussianNB())])
    for name in DISAGREEMENTS:
        assert getattr(modal, name)(several, X).tolist() == theirs(name)(several, X).tolist() == [0] * 4


def test_other_errors_of_a_model_come_through():
    class Broken:
        def predict_proba(self, _X):
            raise ValueError("out of order")

    for name in MEASURES:
        with pytest.raises(ValueError, match="out of order"):
            getattr(modal, name)(Broken(), POOL)


def test_options_reach_the_model():
    class Tempered(Given):
        def predict_proba(self, _X, share):
            return share * self.proba + (1 - share) / 2

    model = Tempered(np.array([[1.0, 0.0], [0.75, 0.25]]))
    for name, strategy in MEASURES.items():
        found = getattr(modal, name)(model, POOL, share=0.5)
        np.testing.assert_allclose(found, theirs(name)(model, POOL, share=0.5), atol=1e-15)
        assert found[0] > 0.2
        assert getattr(modal, strategy)(model, POOL, share=0.5)[0].tolist() == [1]


def test_one_class_has_a_margin_of_zero_as_in_modal():
    one = Given(np.ones((3, 1)))
    for name in MEASURES:
        assert getattr(modal, name)(one, POOL).tolist() == theirs(name)(one, POOL).tolist() == [0, 0, 0]


@pytest.mark.parametrize("name", modal.__all__)
def test_signatures_are_those_of_modal(name):
    ours, peer = (inspect.signature(function).parameters for function in (getattr(modal, name), theirs(name)))
    assert [(p.name, p.kind) for p in ours.values()] == [(p.name, p.kind) for p in peer.values()]
    for argument, parameter in peer.items():
        assert parameter.default in (ours[argument].default, inspect.Parameter.empty)


def test_modal_is_not_needed():
    loaded = child.run("""
        import sys
        import querist.integrations.modal, querist.integrations.skactiveml
        print([name for name in ("modAL", "skactiveml", "sklearn", "scipy", "pandas") if name in sys.modules])
    """)
    assert loaded == "[]\n"


# Where the answers differ on purpose: each row of the table in the module's docstring.


def test_rows_that_do_not_sum_to_one_are_not_rescaled():
    off = Given(np.array([[0.5, 0.5], [0.5, 0.25]]))
    assert modAL.uncertainty.classifier_entropy(off, POOL)[1] == pytest.approx(0.6365, abs=1e-4)
    with pytest.raises(ValueError, match="row 1"):
        modal.classifier_entropy(off, POOL)
    near = np.array([[0.5, 0.5 - 1e-4]])
    assert modal.classifier_entropy(Given(near), POOL)[0] == qr.entropy(near)[0]
    assert abs(modAL.uncertainty.classifier_entropy(Given(near), POOL)[0] - qr.entropy(near)[0]) > 1e-5


def test_nan_probabilities_are_named():
    unsure = Given(np.array([[0.5, 0.5], [np.nan, np.nan], [0.9, 0.1]]))
    for strategy in ("uncertainty_sampling", "entropy_sampling"):
        assert theirs(strategy)(unsure, POOL, 1, random_tie_break=True)[0].tolist() == [1]
        with pytest.raises(ValueError, match="row 1"):
            getattr(modal, strategy)(unsure, POOL, 1)
    with pytest.raises(ValueError, match="row 1"):
        modal.margin_sampling(unsure, POOL, 1)


def test_nan_never_wins():
    values = np.array([0.5, np.nan, 0.9])
    assert modAL.utils.selection.shuffled_argmax(values, 1)[0].tolist() == [1]
    assert modAL.utils.selection.multi_argmax(values, 3)[0].tolist() == [2, 0, 1]
    assert modal.multi_argmax(values, 2)[0].tolist() == [2, 0]
    assert modal.multi_argmin(values, 2)[0].tolist() == [0, 2]
    with pytest.raises(ValueError, match="k=3"):
        modal.multi_argmax(values, 3)


def test_a_batch_is_best_first():
    proba = np.column_stack([np.linspace(0.5, 1, 9), np.linspace(0.5, 0, 9)])[[4, 2, 0, 1, 3, 5, 8, 7, 6]]
    model, pool = Given(proba), np.zeros((9, 1))
    peer, _ = modAL.uncertainty.uncertainty_sampling(model, pool, 3, random_tie_break=True)
    assert peer.tolist() == [1, 3, 2]
    for ties in (False, True):
        for strategy in MEASURES.values():
            assert getattr(modal, strategy)(model, pool, 3, ties)[0].tolist() == [2, 3, 1]


def test_ties_go_to_the_lower_row_or_evenly_at_random():
    certain = Given(np.array([[1.0, 0.0], [0.5, 0.5], [0.5, 0.5], [0.5, 0.5], [0.25, 0.75]]))
    pool, draws = np.zeros((5, 1)), 600
    assert modal.margin_sampling(certain, pool, 2)[0].tolist() == [1, 2]
    ties, firsts, taken = np.random.default_rng(0), np.zeros(5), np.zeros(5)
    for _ in range(draws):
        indices, _ = modal.entropy_sampling(certain, pool, 2, random_tie_break=ties)
        firsts[indices[0]] += 1
        taken[indices] += 1
    # Five standard deviations of a share.
    assert np.abs(firsts / draws - [0, 1 / 3, 1 / 3, 1 / 3, 0]).max() < 0.1
    assert np.abs(taken / draws - [0, 2 / 3, 2 / 3, 2 / 3, 0]).max() < 0.1
    assert modal.entropy_sampling(certain, pool, 4, random_tie_break=ties)[0][3] == 4
    assert sorted(modal.entropy_sampling(certain, pool, 5, ties)[0].tolist()) == [0, 1, 2, 3, 4]


def test_random_ties_leave_the_global_generator_alone():
    same = Given(np.full((40, 2), 0.5))
    pool = np.zeros((40, 1))

    def state():
        _, key, position, *_ = np.random.get_state()  # noqa: NPY002
        return key.tolist(), position

    before = state()
    seen = {tuple(modal.margin_sampling(same, pool, 5, random_tie_break=True)[0]) for _ in range(9)}
    assert state() == before
    modAL.uncertainty.margin_sampling(same, pool, 5, random_tie_break=True)
    assert state() != before
    assert len(seen) > 1
    one, other = (
        modal.margin_sampling(same, pool, 5, random_tie_break=np.random.default_rng(3)) for _ in range(2)
    )
    assert one.indices.tolist() == other.indices.tolist()
    with pytest.raises(TypeError, match="random_tie_break"):
        modal.margin_sampling(same, pool, 5, random_tie_break=3)


def test_a_batch_over_the_pool_is_a_value_error():
    with pytest.raises(AssertionError):
        modAL.utils.selection.multi_argmax(np.zeros(3), 4)
    with pytest.raises(ValueError, match="k=4"):
        modal.multi_argmax(np.zeros(3), 4)
    with pytest.raises(ValueError, match="n_instances"):
        modal.ranked_batch(learner(), data("digits")[0][:5], np.zeros(5), 0, "euclidean", None)


def test_string_labels_vote():
    X, y = data("iris")
    named = np.array(["setosa", "versicolor", "virginica"])[y]
    forests = [RandomForestClassifier(3, random_state=seed) for seed in range(4)]
    strings, numbers = (
        Committee([ActiveLearner(clone(f), X_training=X[:60], y_training=labels[:60]) for f in forests])
        for labels in (named, y)
    )
    with pytest.raises(ValueError, match="could not convert string"):
        modAL.disagreement.vote_entropy(strings, X)
    expected = modAL.disagreement.vote_entropy(numbers, X)
    assert expected.max() > 0
    np.testing.assert_allclose(modal.vote_entropy(strings, X), expected, atol=1e-12)


def test_votes_for_no_known_class_do_not_count():
    members = np.eye(3)[[[0, 2], [1, 2], [2, 2]]]
    two = GivenCommittee(members)
    two.vote = lambda _: np.array([[5.0, 5.0, 8.0], [8.0, 8.0, 8.0]])
    two.classes_ = np.array([5, 6])
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(modAL.disagreement.vote_entropy(two, np.zeros((2, 1))), [0, np.nan])
    with pytest.raises(ValueError, match="row 1"):
        modal.vote_entropy(two, np.zeros((2, 1)))
    two.vote = lambda _: np.array([[5.0, 5.0, 8.0], [5.0, 6.0, 8.0]])
    expected = modAL.disagreement.vote_entropy(two, np.zeros((2, 1)))
    np.testing.assert_allclose(modal.vote_entropy(two, np.zeros((2, 1))), expected, atol=1e-15)


def test_members_that_agree_do_not_diverge():
    one = np.random.default_rng(0).dirichlet(np.ones(5), size=200)
    same, pool = GivenCommittee(np.stack([one] * 3)), np.zeros((200, 1))
    assert 0 < np.abs(modAL.disagreement.KL_max_disagreement(same, pool)).max() < 1e-15
    assert not modal.KL_max_disagreement(same, pool).any()


def test_far_from_the_origin_distances_keep_their_digits():
    near = np.array([[0.0], [1.0], [3.0]])
    expected = modal.information_density(near)
    np.testing.assert_array_equal(modal.information_density(near + 2.0**30), expected)
    assert np.abs(modAL.density.information_density(near + 2.0**30) - expected).max() > 0.01


class Unlabelled:
    X_training, on_transformed = None, False


def test_a_ranked_batch_has_no_row_twice():
    # The first row, nearest to all, is also the only uncertain one.
    pool, scores = np.array([[0.0], [0.1], [-0.1], [0.2], [-0.2]]), np.array([9.0, 0, 0, 0, 0])
    peer, _ = modAL.batch.ranked_batch(Unlabelled(), pool, scores, 5, "euclidean", None)
    assert peer.tolist()[:2] == [0, 0]
    indices, values = modal.ranked_batch(Unlabelled(), pool, scores, 5, "euclidean", None)
    assert indices[0] == 0
    assert sorted(indices.tolist()) == [0, 1, 2, 3, 4]
    assert values.tolist() == [9, 0, 0, 0, 0]
    assert modal.ranked_batch(Unlabelled(), pool, scores, 1, "euclidean", None)[0].tolist() == [0]


def test_no_labelled_rows_are_a_cold_start():
    class Empty:
        X_training, on_transformed = np.zeros((0, 1)), False

    pool, scores = np.array([[0.0], [4.0], [5.0]]), np.zeros(3)
    with pytest.raises(UnboundLocalError):
        modAL.batch.ranked_batch(Empty(), pool, scores, 2, "euclidean", None)
    cold = modal.ranked_batch(Unlabelled(), pool, scores, 2, "euclidean", None)
    assert (
        modal.ranked_batch(Empty(), pool, scores, 2, "euclidean", None)[0].tolist()
        == cold[0].tolist()
        == [1, 0]
    )


def test_a_cold_start_is_near_the_least_mean_distance():
    for seed in range(40):
        draw = np.random.default_rng(seed)
        pool = draw.normal(size=(draw.integers(2, 60), 2)).round(1)
        means = np.linalg.norm(pool[:, None] - pool[None], axis=2).mean(axis=1)
        index, _ = modal.select_cold_start_instance(pool)
        assert means[index] - means.min() <= 1e-7 * np.linalg.norm(np.ptp(pool, axis=0))


@pytest.mark.parametrize("metric", ["cosine", "sqeuclidean", "manhattan", lambda *_: 0.0])
def test_other_metrics_are_refused_by_name(metric):
    pool = np.eye(3)
    assert np.isfinite(modAL.density.information_density(pool, metric)).all()
    for call in (
        lambda: modal.information_density(pool, metric),
        lambda: modal.select_cold_start_instance(pool, metric),
        lambda: modal.ranked_batch(Unlabelled(), pool, np.zeros(3), 1, metric, None),
        lambda: modal.uncertainty_batch_sampling(learner(), data("digits")[0][:9], 1, metric),
    ):
        with pytest.raises(ValueError, match=r"metric: expected one of .*euclidean.*l2"):
            call()


def test_sparse_features_are_refused_where_distances_are_asked():
    X = data("digits")[0][:30]
    assert np.isfinite(modAL.density.information_density(csr_matrix(X))).all()
    with pytest.raises(TypeError, match="sparse"):
        modal.information_density(csr_matrix(X))
    with pytest.raises(TypeError, match="sparse"):
        modal.ranked_batch(Unlabelled(), csr_matrix(X), np.zeros(30), 2, "euclidean", None)


def test_the_gap_of_many_classes_keeps_its_digits():
    proba = np.exp(np.random.default_rng(0).normal(size=(300, 10_000)).astype(np.float32) * np.float32(0.05))
    proba /= proba.sum(axis=1, keepdims=True)
    model = SimpleNamespace(predict_proba=lambda _: proba.copy())
    theirs = modAL.uncertainty.classifier_margin(model, proba)
    ours = modal.classifier_margin(model, proba)
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-15)
