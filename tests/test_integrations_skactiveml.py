"""`querist.integrations.skactiveml` against scikit-activeml itself, and where the two differ on purpose."""

from __future__ import annotations

import inspect
import re
from textwrap import dedent

import numpy as np
import pytest
import querist as qr
import skactiveml.pool
import skactiveml.utils
from model_outputs import classifiers, committees, data, tolerance
from querist.integrations import skactiveml as ours
from skactiveml.classifier import SklearnClassifier
from skactiveml.pool import CoreSet
from sklearn.linear_model import LogisticRegression

CLASSIFIERS, COMMITTEES = classifiers(), committees()
NAN = float("nan")


def theirs(name):
    return getattr(skactiveml.pool, name, None) or getattr(skactiveml.utils, name)


@pytest.mark.parametrize("case", CLASSIFIERS)
@pytest.mark.parametrize("method", ["least_confident", "margin_sampling", "entropy"])
def test_uncertainty_is_that_of_scikit_activeml(method, case):
    proba = CLASSIFIERS[case]
    found, expected = (
        score(proba, method=method) for score in (ours.uncertainty_scores, theirs("uncertainty_scores"))
    )
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6 if proba.dtype == np.float32 else 1e-14)


@pytest.mark.parametrize("case", CLASSIFIERS)
@pytest.mark.parametrize("method", ["least_confident", "margin_sampling"])
def test_expected_costs_are_those_of_scikit_activeml(method, case):
    proba = CLASSIFIERS[case]
    costs = np.random.default_rng(0).random((proba.shape[1],) * 2)
    np.fill_diagonal(costs, 0)
    found = ours.uncertainty_scores(proba, costs, method)
    np.testing.assert_array_equal(found, theirs("uncertainty_scores")(proba, costs, method))
    equal = 1 - np.eye(len(costs))
    # Where all errors cost the same, these are the scores without costs.
    plain = ours.uncertainty_scores(proba, method=method) - (method == "margin_sampling")
    np.testing.assert_allclose(ours.uncertainty_scores(proba, equal, method), plain, atol=2e-6)


def test_costs_of_one_class_are_refused_as_in_scikit_activeml():
    for method in ("least_confident", "margin_sampling"):
        with pytest.raises(ValueError, match="kth"):
            theirs("uncertainty_scores")(np.ones((3, 1)), [[0.0]], method)
        with pytest.raises(ValueError, match=r"^cost_matrix: expected None"):
            ours.uncertainty_scores(np.ones((3, 1)), [[0.0]], method)
        assert ours.uncertainty_scores(np.ones((3, 1)), method=method).tolist() == [0] * 3


def test_whole_numbers_and_lists_are_probabilities_too():
    for method in ("least_confident", "margin_sampling", "entropy"):
        found = ours.uncertainty_scores([[1, 0], [0, 1]], method=method)
        assert (
            found.tolist() == theirs("uncertainty_scores")([[1, 0], [0, 1]], method=method).tolist() == [0, 0]
        )


@pytest.mark.parametrize("method", ["least_confident", "margin_sampling", "entropy"])
def test_the_lines_for_a_strategy_pick_what_it_picks(method):
    (lines,) = re.findall(r"^    clf\.fit.*?(?=^\S)", ours.__doc__, re.DOTALL | re.MULTILINE)
    X, truth = data("digits")
    y = np.where(np.arange(len(X)) < 60, truth, NAN)
    clf = SklearnClassifier(LogisticRegression(max_iter=3000), classes=range(10))
    names = vars(ours) | {"np": np, "is_labeled": skactiveml.utils.is_labeled, "X": X, "y": y, "clf": clf}
    exec(dedent(lines).replace("margin_sampling", method), names)
    asker = skactiveml.pool.UncertaintySampling(method=method, random_state=0)
    assert names["indices"].tolist() == asker.query(X, y, clf, batch_size=10).tolist()


@pytest.mark.parametrize("name", ["uncertainty_scores", "average_kl_divergence"])
def test_errors_are_about_the_argument_that_a_drop_in_has(name):
    halves = np.full((1, 2, 2) if name == "average_kl_divergence" else (1, 2), 0.75)
    with pytest.raises(ValueError, match=r"^probas: row 0 .*is not valid: [^;]*$"):
        getattr(ours, name)(halves)
    with pytest.raises(TypeError, match=r"^probas: expected .*, got complex128$"):
        getattr(ours, name)(halves.astype(complex))


@pytest.mark.parametrize("case", COMMITTEES)
def test_divergence_is_that_of_scikit_activeml(case):
    members = COMMITTEES[case]
    expected = theirs("average_kl_divergence")(members.copy())
    found = ours.average_kl_divergence(members)
    # What raising zeros to eps changes: c eps ln(1 / eps), and some.
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)
    far = np.abs(found - expected).max()
    small = theirs("average_kl_divergence")(members.astype(np.float64), eps=1e-15)
    np.testing.assert_allclose(found, small, rtol=0, atol=tolerance(case, members))
    assert far < 1e-15 or far > 10 * np.abs(found - small).max() or members.dtype == np.float32


@pytest.mark.parametrize("eps", [1e-6, 0.01, 0.1])
@pytest.mark.parametrize("case", COMMITTEES)
def test_divergence_with_an_eps_that_counts_is_that_of_scikit_activeml(case, eps):
    members = COMMITTEES[case]
    expected = theirs("average_kl_divergence")(members.copy(), eps)
    loose = 2e-6 if members.dtype == np.float32 else 1e-14
    np.testing.assert_allclose(ours.average_kl_divergence(members, eps), expected, rtol=0, atol=loose)


VOTES = {
    "digits": (lambda: COMMITTEES["digits"].argmax(axis=2).T, np.arange(10)),
    "classes in another order": (lambda: COMMITTEES["digits"].argmax(axis=2).T, np.arange(10)[::-1]),
    "many members": (lambda: COMMITTEES["many members"].argmax(axis=2).T, [0, 1, 2]),
    "other integers": (lambda: np.array([[-1, -1, 7], [7, 7, 7]]), [7, -1, 3]),
    "floats": (lambda: np.array([[0.5, 2.5, 2.5], [0.5, 1.5, 2.5]]), [0.5, 1.5, 2.5]),
    "bytes": (lambda: np.array([[0, 1, 1, 2]], np.uint8), [0, 1, 2]),
    "one member": (lambda: np.array([[1], [0]]), [0, 1]),
    "more members than rows": (lambda: np.arange(500).reshape(5, 100) % 3, [0, 1, 2]),
    "one row": (lambda: np.array([[1, 0, 1, 1, 1, 0, 1, 0, 0]]), [0, 1]),
    "a list": (lambda: [[1, 0], [1, 1]], [0, 1]),
}


@pytest.mark.parametrize("case", VOTES)
def test_votes_count_as_in_scikit_activeml(case):
    make, classes = VOTES[case]
    expected = theirs("vote_entropy")(make(), classes)
    np.testing.assert_allclose(ours.vote_entropy(make(), classes), expected, rtol=0, atol=1e-14)
    expected = theirs("variation_ratios")(make())
    np.testing.assert_allclose(ours.variation_ratios(make()), expected, rtol=0, atol=1e-15)


def test_any_integer_is_a_vote():
    least, most = -(2**63), 2**63
    for votes in (np.array([[least, 1, least]]), np.array([[most, 1, most]], np.uint64)):
        for count in (ours.variation_ratios, theirs("variation_ratios")):
            np.testing.assert_allclose(count(votes), [1 / 3])
        for count in (ours.vote_entropy, theirs("vote_entropy")):
            np.testing.assert_allclose(count(votes, votes[0, :2].tolist()), [0.63651417])
            with pytest.raises(ValueError, match=str(votes[0, 0])):
                count(votes, [0, 1])


@pytest.mark.parametrize("bad", [NAN, np.inf])
def test_votes_that_are_no_labels_are_refused_as_in_scikit_activeml(bad):
    for count in (ours.variation_ratios, theirs("variation_ratios")):
        with pytest.raises(ValueError, match=r"(?i)votes\[1, 0\]: expected a label, got (nan|inf)|contains"):
            count([[0.0, 1.0], [bad, 0.0]])
    for count in (ours.vote_entropy, theirs("vote_entropy")):
        with pytest.raises(ValueError, match=r"(?i)votes\[1, 0\]: expected a label, got (nan|inf)|contains"):
            count([[0.0, 1.0], [bad, 0.0]], [0.0, 1.0, bad])


@pytest.mark.parametrize("classes", [[], 3, [[0, 1]], [0, 1, 1]])
def test_classes_that_are_no_classes_are_refused_as_in_scikit_activeml(classes):
    with pytest.raises((ValueError, TypeError)):
        theirs("vote_entropy")([[0, 1]], classes)
    with pytest.raises(ValueError, match=r"^classes: expected"):
        ours.vote_entropy([[0, 1]], classes)


@pytest.mark.parametrize("classes", [[0, 1], [1, 0, 5]])
def test_a_vote_for_no_class_is_an_error_as_in_scikit_activeml(classes):
    for votes in ([[0, 1], [0, 3]], [[0, 1], [0, -1]], [[0.0, 1.0], [0.0, 3.0]]):
        for count in (ours.vote_entropy, theirs("vote_entropy")):
            with pytest.raises(ValueError, match=r"-1|3"):
                count(np.array(votes), classes)


UTILITIES = {
    "distinct": lambda: np.random.default_rng(0).permutation(60) / 7,
    "negative": lambda: np.random.default_rng(0).permutation(60) - 30.5,
    "some not there": lambda: np.where(np.arange(60) % 3, np.random.default_rng(1).permutation(60), np.nan),
    "float32": lambda: np.random.default_rng(0).permutation(60).astype(np.float32),
    "two axes": lambda: np.random.default_rng(2).permutation(60).reshape(12, 5) * 1.0,
    "two axes, Fortran": lambda: np.asfortranarray(
        np.random.default_rng(2).permutation(60).reshape(12, 5) * 1.0
    ),
    "a list": lambda: [3, 1, 2],
    "one": lambda: np.array([0.5]),
}


@pytest.mark.parametrize("case", UTILITIES)
def test_a_simple_batch_is_that_of_scikit_activeml(case):
    most = int(np.count_nonzero(~np.isnan(UTILITIES[case]())))
    for k in {1, min(3, most), most}:
        indices, before = ours.simple_batch(UTILITIES[case](), 0, k, return_utilities=True)
        peer, expected = theirs("simple_batch")(UTILITIES[case](), 0, k, return_utilities=True)
        assert indices.dtype == np.int64
        np.testing.assert_array_equal(indices, peer)
        np.testing.assert_array_equal(before, expected)
        np.testing.assert_array_equal(ours.simple_batch(UTILITIES[case](), 0, k), peer)


def test_a_drawn_batch_has_the_chances_of_scikit_activeml():
    utilities, draws, k = np.array([1.0, 2.0, 0.0, 3.0, NAN, 4.0]), 3000, 2
    p = np.nan_to_num(utilities / np.nansum(utilities))
    chances = p + [sum(p[j] * p[i] / (1 - p[j]) for j in range(6) if j != i) for i in range(6)]
    for batch, state in (
        (ours.simple_batch, np.random.default_rng(0)),
        (theirs("simple_batch"), np.random.RandomState(0)),
    ):
        drawn = np.array([batch(utilities.copy(), state, k, method="proportional") for _ in range(draws)])
        firsts, either = (np.bincount(x.ravel(), minlength=6) / draws for x in (drawn[:, 0], drawn))
        # Five standard deviations of a share are 0.046.
        assert np.abs(firsts - p).max() < 0.046
        assert np.abs(either - chances).max() < 0.046
    indices, before = ours.simple_batch(utilities, 1, 3, True, "proportional")
    for step in range(3):
        expected = utilities.copy()
        expected[indices[:step]] = NAN
        np.testing.assert_array_equal(before[step], expected)


def test_what_cannot_be_drawn_is_refused_as_in_scikit_activeml():
    for utilities, k in (([1.0, 0.0, 0.0], 2), ([1.0, -1.0, 3.0], 1), ([[1.0, 2.0]], 1)):
        for batch in (ours.simple_batch, theirs("simple_batch")):
            with pytest.raises(ValueError, match=r".+"):
                batch(np.array(utilities), 0, k, method="proportional")
    for batch in (ours.simple_batch, theirs("simple_batch")):
        for method in ("max", "proportional"):
            for infinite in (np.inf, -np.inf):
                with pytest.raises(ValueError, match=r"^utilities: .*finite.*inf$|contains infinity"):
                    batch([1.0, infinite, NAN], 0, method=method)
        with pytest.raises(ValueError, match="method"):
            batch(np.ones(3), method="least")
        with pytest.raises(ValueError, match="batch_size"):
            batch(np.ones(3), batch_size=0)


def campaign(name, labeled=12, rows=150):
    X, y = data(name)
    y = y[:rows].astype(float)
    y[labeled:] = np.nan
    return X[:rows], y


CENTRES = {
    "digits": lambda: (*campaign("digits"), {}),
    "iris": lambda: (*campaign("iris", rows=100), {}),
    "digits, cosine": lambda: (*campaign("digits"), {"metric": "cosine"}),
    "some candidates": lambda: (*campaign("digits"), {"mapping": np.arange(30, 90)}),
    "labelled candidates": lambda: (*campaign("digits"), {"mapping": np.arange(5, 90)}),
    "candidates from outside": lambda: (
        campaign("digits")[0],
        np.roll(campaign("digits")[1], 100),
        {"mapping": np.arange(80), "n_new_cand": 80},
    ),
    "float32": lambda: (campaign("digits")[0].astype(np.float32), campaign("digits")[1], {}),
    "integers": lambda: (campaign("digits")[0].astype(np.int16), campaign("digits")[1], {}),
    "labels from -1": lambda: (
        campaign("digits")[0],
        np.where(np.arange(150) < 9, 2, -1),
        {"missing_label": -1},
    ),
    "labels that are names": lambda: (
        campaign("digits")[0],
        np.where(np.arange(150) < 9, "cat", ""),
        {"missing_label": ""},
    ),
    "labels that are objects": lambda: (
        campaign("digits")[0],
        np.array(["cat"] * 9 + [None] * 141, dtype=object),
        {"missing_label": None},
    ),
}


@pytest.mark.parametrize("case", CENTRES)
def test_k_center_is_that_of_scikit_activeml(case):
    X, y, options = CENTRES[case]()
    # After ten picks rows of iris, measured to a millimetre, tie for the farthest; scikit-activeml draws one.
    for k in (1, 2, 10 if case == "iris" else 25):
        indices, utilities = ours.k_greedy_center(X, y, k, 0, **options)
        peer, expected = theirs("k_greedy_center")(X, y, k, 0, **options)
        assert indices.tolist() == peer.tolist()
        # Scikit-learn's distances between near rows are right to 1e-7 or so; the cosine to 1e-15.
        np.testing.assert_allclose(utilities, expected, rtol=1e-6, atol=1e-15)
        assert ours.k_greedy_center(X, y, k, 0, **options, return_utilities=False).tolist() == peer.tolist()


def test_k_center_picks_what_the_strategy_core_set_picks():
    X, y = campaign("digits")
    for candidates in (None, np.arange(40, 80)):
        strategy = CoreSet(random_state=0)
        peer, expected = strategy.query(X, y, candidates=candidates, batch_size=8, return_utilities=True)
        indices, utilities = ours.k_greedy_center(X, y, 8, mapping=candidates)
        assert indices.tolist() == peer.tolist()
        np.testing.assert_allclose(utilities, expected, rtol=1e-6)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_with_nothing_labelled_the_first_pick_is_drawn(metric):
    X, y = campaign("digits", labeled=0, rows=40)
    allowed, firsts = np.arange(10, 20), set()
    for seed in range(60):
        indices, utilities = ours.k_greedy_center(X, y, 6, seed, mapping=allowed, metric=metric)
        firsts.add(int(indices[0]))
        assert (
            ours.k_greedy_center(X, y, 6, seed, mapping=allowed, metric=metric)[0].tolist()
            == indices.tolist()
        )
        # Zeros for the first pick; then as if it were labelled.
        assert utilities[0][allowed].tolist() == [0] * 10
        assert np.isnan(np.delete(utilities[0], allowed)).all()
        known = y.copy()
        known[indices[0]] = 1
        peer, expected = theirs("k_greedy_center")(X, known, 5, 0, mapping=allowed, metric=metric)
        assert indices[1:].tolist() == peer.tolist()
        np.testing.assert_allclose(utilities[1:], expected, rtol=1e-6, atol=1e-15)
    assert firsts == set(allowed.tolist())


def test_bad_input_of_k_center_is_named():
    X, y = campaign("digits")
    with pytest.raises(ValueError, match="y: expected shape"):
        ours.k_greedy_center(X, y[:5])
    with pytest.raises(ValueError, match="mapping: row 150"):
        ours.k_greedy_center(X, y, mapping=[150])
    with pytest.raises(ValueError, match="mapping: expected the rows 0 to 4"):
        ours.k_greedy_center(X, y, mapping=np.arange(1, 6), n_new_cand=5)
    with pytest.raises(ValueError, match="features: row 3"):
        ours.k_greedy_center(np.where(np.arange(150)[:, None] == 3, np.nan, X), y)
    with pytest.raises(TypeError, match="batch_size"):
        ours.k_greedy_center(X, y, 2.5)


@pytest.mark.parametrize("name", ours.__all__)
def test_signatures_are_those_of_scikit_activeml(name):
    mine, peer = (inspect.signature(f).parameters.values() for f in (getattr(ours, name), theirs(name)))
    added = {"return_utilities"} if name == "k_greedy_center" else set()
    kept = [p for p in mine if p.name not in added]
    assert [(p.name, p.kind) for p in kept] == [(p.name, p.kind) for p in peer]
    assert str([p.default for p in kept]) == str([p.default for p in peer])
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY for p in mine if p.name in added)


# Where the answers differ on purpose: each row of the table in the module's docstring.


def test_what_is_given_is_not_written():
    members = COMMITTEES["digits"].copy()
    for eps in (1e-7, 0.01):
        ours.average_kl_divergence(members, eps)
        assert (members == COMMITTEES["digits"]).all()
    theirs("average_kl_divergence")(members)
    assert (members != COMMITTEES["digits"]).any()
    utilities = np.array([1.0, 3.0, 2.0])
    ours.simple_batch(utilities, batch_size=2, return_utilities=True)
    assert utilities.tolist() == [1, 3, 2]
    theirs("simple_batch")(utilities, batch_size=2)
    assert np.isnan(utilities).sum() == 2


def test_rows_that_are_no_probabilities_are_named():
    members = np.array([[[0.5, 0.5], [3.0, -1.0]], [[0.5, 0.5], [0.5, 0.5]]])
    assert np.isfinite(theirs("average_kl_divergence")(members.copy())).all()
    for eps in (1e-7, 0.01):
        with pytest.raises(ValueError, match="row 1"):
            ours.average_kl_divergence(members, eps)
    signed = np.array([[0.5, 0.5], [1.5, -0.5]])
    assert np.isfinite(theirs("uncertainty_scores")(signed, method="entropy")).all()
    for options in ({"method": "entropy"}, {"cost_matrix": [[0, 1], [1, 0]]}):
        with pytest.raises(ValueError, match="row 1"):
            ours.uncertainty_scores(signed, **options)


def test_eps_up_to_the_default_changes_nothing():
    members = COMMITTEES["digits"]
    for eps in (1e-300, 1e-9, 1e-7):
        assert (ours.average_kl_divergence(members, eps) == qr.bald(members)).all()
    assert (theirs("average_kl_divergence")(members.copy(), 1e-9) != qr.bald(members)).any()
    with pytest.raises(ValueError, match="eps"):
        theirs("average_kl_divergence")(members.copy(), 0)
    for eps in (-0.1, 0, 0.2, NAN):
        with pytest.raises(ValueError, match="eps"):
            ours.average_kl_divergence(members, eps)


def test_members_that_agree_do_not_diverge():
    one = np.random.default_rng(0).dirichlet(np.ones(5), size=200)
    assert 0 < np.abs(theirs("average_kl_divergence")(np.stack([one] * 3))).max() < 1e-15
    assert not ours.average_kl_divergence(np.stack([one] * 3)).any()


def test_names_vote():
    votes, numbers = np.array([["b", "a"], ["b", "b"]]), np.array([[1, 0], [1, 1]])
    for count, *classes in ((theirs("vote_entropy"), ["a", "b"]), (theirs("variation_ratios"),)):
        with pytest.raises(ValueError, match="numeric"):
            count(votes, *classes)
    assert ours.vote_entropy(votes, ["b", "a"]).tolist() == ours.vote_entropy(numbers, [0, 1]).tolist()
    assert ours.variation_ratios(votes).tolist() == [0.5, 0]
    with pytest.raises(ValueError, match=r"votes\[0, 1\]"):
        ours.vote_entropy(votes, ["b", "c"])
    with pytest.raises(ValueError, match="votes: expected shape"):
        ours.variation_ratios(["a", "b"])


def test_odd_costs_are_taken_as_they_are():
    proba = CLASSIFIERS["two ties"]
    for costs in ([[0, -1], [1, 0]], [[0, 0], [0, 0]], [[1, 2], [3, 1]]):
        with pytest.warns(UserWarning, match="cost_matrix"):
            expected = theirs("uncertainty_scores")(proba, costs)
        assert ours.uncertainty_scores(proba, costs).tolist() == expected.tolist()
    for costs, what in (([[0, 1]], "shape"), ([[0, NAN], [1, 0]], r"cost_matrix\[0, 1\]")):
        with pytest.raises(ValueError, match=what):
            ours.uncertainty_scores(proba, costs)
    for score in (ours.uncertainty_scores, theirs("uncertainty_scores")):
        with pytest.raises(ValueError, match="cost"):
            score(proba, [[0, 1], [1, 0]], "entropy")
        with pytest.raises(ValueError, match="least"):
            score(proba, method="gini")


@pytest.mark.filterwarnings("ignore:All-NaN")
def test_a_batch_over_the_pool():
    X, y = np.array([[0.0], [1.0], [3.0]]), np.array([1, NAN, NAN])
    assert theirs("k_greedy_center")(X, y, 4, 0)[0].tolist() == [2, 1, 0, 0]
    for k in (0, 3):
        with pytest.raises(ValueError, match="batch_size: expected 1 to 2"):
            ours.k_greedy_center(X, y, k)
    for batch in (ours.simple_batch, theirs("simple_batch")):
        with pytest.warns(UserWarning, match="batch_size"):
            assert batch(np.array([1.0, NAN, 2.0]), 0, 3).tolist() == [2, 0]
        with pytest.warns(UserWarning, match="batch_size"):
            assert batch(np.array([NAN, NAN]), 0, 1).tolist() == []


def test_duplicates_of_centres_stay_so():
    X, y = np.array([[0.0], [8.0], [0.0], [8.0]]), np.array([1, 1, NAN, NAN])
    peer, expected = theirs("k_greedy_center")(X, y, 2, 0)
    indices, utilities = ours.k_greedy_center(X, y, 2, 0)
    assert sorted(peer.tolist()) == sorted(indices.tolist()) == [2, 3]
    assert expected[1][peer[1]] == 8
    assert utilities[1][indices[1]] == 0


def test_equal_distances_go_to_the_lower_row():
    X, y = np.array([[0.0], [1.0], [-1.0], [1.0]]), np.array([1, NAN, NAN, NAN])
    assert {int(theirs("k_greedy_center")(X, y, 1, seed)[0][0]) for seed in range(30)} == {1, 2, 3}
    assert {int(ours.k_greedy_center(X, y, 1, seed)[0][0]) for seed in range(30)} == {1}


def test_equal_utilities_are_picked_evenly_at_random():
    for batch, state in (
        (ours.simple_batch, np.random.default_rng(0)),
        (theirs("simple_batch"), np.random.RandomState(0)),
    ):
        picks = np.array([batch(np.array([1.0, 2.0, 2.0, NAN, 2.0, 3.0]), state, 3) for _ in range(900)])
        assert (picks[:, 0] == 5).all()
        taken = np.bincount(picks.ravel(), minlength=6) / 900
        assert np.abs(taken - [0, 2 / 3, 2 / 3, 0, 2 / 3, 1]).max() < 0.08


def test_far_from_the_origin_distances_keep_their_digits():
    X, y = np.array([[0.0], [1.0], [3.0]]), np.array([1, NAN, NAN])
    assert ours.k_greedy_center(X + 2.0**30, y)[1].tolist()[0][1:] == [1, 3]
    assert np.abs(theirs("k_greedy_center")(X + 2.0**30, y)[1][0][1:] - [1, 3]).max() > 0.5


def test_a_random_state_moves_on_and_the_global_one_does_not():
    same, state = np.zeros(500), np.random.RandomState(0)
    one, other = (ours.simple_batch(same, state, 5).tolist() for _ in range(2))
    assert one != other
    again = np.random.RandomState(0)
    assert [ours.simple_batch(same, again, 5).tolist() for _ in range(2)] == [one, other]
    assert ours.simple_batch(same, 7, 5).tolist() == ours.simple_batch(same, 7, 5).tolist()

    def position():
        _, key, at, *_ = np.random.get_state()  # noqa: NPY002
        return key.tolist(), at

    before = position()
    assert ours.simple_batch(same, None, 5).tolist() != ours.simple_batch(same, None, 5).tolist()
    assert position() == before
    theirs("simple_batch")(same, None, 5)
    assert position() != before


@pytest.mark.parametrize("options", [{"metric": "manhattan"}, {"metric_dict": {"squared": True}}])
def test_other_metrics_are_refused_by_name(options):
    X, y = campaign("digits")
    assert len(theirs("k_greedy_center")(X, y, **options)[0]) == 1
    with pytest.raises(ValueError, match=r"metric: expected one of .*euclidean.*cosine"):
        ours.k_greedy_center(X, y, **options)
