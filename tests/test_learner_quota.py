"""Batches of the loop under quotas: whatever picks, no group has more rows than it may."""

from __future__ import annotations

import numpy as np
import pytest
import querist as qr
from querist._strategies import PRESETS, SELECTIONS
from reference import dirichlet
from sklearn.naive_bayes import GaussianNB

N = 60
X = np.random.default_rng(0).normal(size=(N, 3))
MEMBERS = np.stack([dirichlet(N, 3, seed=seed) for seed in (1, 2, 3)])
PROBA = MEMBERS[0]
GROUPS = np.repeat(["a", "b", "c"], [40, 14, 6])


def asked(model=lambda _: PROBA, k=8, **options):
    return qr.ActiveLearner(model, X, **{"groups": GROUPS, "seed": 0, "batch_size": k, **options}).ask()


def sizes(rows):
    return {group: int((GROUPS[rows] == group).sum()) for group in "abc"}


@pytest.mark.parametrize("epsilon", [0.0, 0.4])
@pytest.mark.parametrize("name", sorted(set(PRESETS) - {"variance"}))
def test_every_name_keeps_to_it_to_the_end_of_the_pool(name, epsilon):
    learner = qr.ActiveLearner(
        lambda _: MEMBERS, X, strategy=name, groups=GROUPS, quota={"a": 4, "b": 0.25}, epsilon=epsilon, seed=1
    )
    learner.batch_size = 8
    left = sizes(np.arange(N))
    for round in learner.run(lambda indices, _: indices % 3):
        limits = {"a": 4, "b": 2 if sum(left.values()) >= 8 else 1, "c": 8}
        got = sizes(round.indices)
        assert all(got[group] <= limits[group] for group in got)
        room = sum(min(limits[group], many) for group, many in left.items())
        assert len(round) == min(8, room), "no smaller than it must be"
        left = {group: many - got[group] for group, many in left.items()}
    assert learner.n_labels == N


def test_parts_of_a_batch_keep_to_it_together():
    def mixed(context):
        first = context.pick("margin", k=4)
        left = context.without(first.indices)
        assert left.quota["a"] == context.quota["a"] - sizes(first.indices)["a"]
        rest = left.pick("core_set", k=4)
        return np.concatenate([first.indices, rest.indices])

    for seed in range(5):
        batch = asked(strategy=mixed, quota={"a": 3, "b": 2}, seed=seed, score="random")
        assert len(batch) == 8
        assert sizes(batch.indices)["a"] == 3
        assert sizes(batch.indices)["b"] <= 2


@pytest.mark.parametrize("name", sorted(set(SELECTIONS) - {"random"}))
def test_a_function_of_the_context_can_do_as_the_names_do(name):
    calls = {
        "top_k": lambda c, **more: qr.select.top_k(c.scores, c.k, **more),
        "power": lambda c, **more: qr.select.power(c.scores, c.k, seed=c.seed, **more),
        "k_center": lambda c, **more: qr.select.k_center(
            c.features, c.k, labeled=c.labeled, weights=c.scores, **more
        ),
        "k_means_pp": lambda c, **more: qr.select.k_means_pp(
            c.features, c.k, labeled=c.labeled, weights=c.scores, seed=c.seed, **more
        ),
        "badge": lambda c, **more: qr.select.badge(c.proba, c.features, c.k, seed=c.seed, **more),
        "facility_location": lambda c, **more: qr.select.facility_location(
            c.features, c.k, labeled=c.labeled, weights=c.scores, **more
        ),
        "mmr": lambda c, **more: qr.select.mmr(c.scores, c.features, c.k, labeled=c.labeled, **more),
        "ranked_batch": lambda c, **more: qr.select.ranked_batch(
            c.scores, c.features, c.k, labeled=c.labeled, **more
        ),
        "max_herding": lambda c, **more: qr.select.max_herding(c.features, c.k, labeled=c.labeled, **more),
        "uncertainty_herding": lambda c, **more: qr.select.uncertainty_herding(
            c.scores, c.features, c.k, labeled=c.labeled, **more
        ),
    }

    def mine(context):
        assert context.groups.tolist() == GROUPS.tolist()
        assert context.quota == {"a": 3, "b": 3, "c": 3}
        return calls[name](context, available=context.available, groups=context.groups, quota=context.quota)

    labels = {0: 0, 45: 1, 59: 2}
    named = asked(labels=labels, select=name, quota=3)
    assert named.indices.tolist() == asked(labels=labels, strategy=mine, quota=3).indices.tolist()
    assert named.indices.tolist() != asked(labels=labels, select=name).indices.tolist()
    assert sizes(named.indices)["a"] <= 3


def test_a_function_that_asks_for_too_many_of_a_group_is_told():
    def first_rows(context):
        return np.arange(context.k)

    with pytest.raises(
        ValueError, match="strategy first_rows: expected by quota at most 2 rows of group 'a', got 8"
    ):
        asked(strategy=first_rows, quota={"a": 2})
    with pytest.raises(
        ValueError, match="strategy first_rows: expected by quota at most 2 rows of group 'a', got 8"
    ):
        asked(select=first_rows, quota={"a": 2})
    assert len(asked(strategy=first_rows, quota={"a": 8})) == 8

    def without(context):
        assert context.groups is not None
        assert context.quota is None
        return context.pick("margin")

    asked(strategy=without)


@pytest.mark.parametrize("cold", ["random", "diverse"])
def test_in_the_cold_start(cold):
    batch = asked(GaussianNB(), labels={0: 0}, cold=cold, quota={"b": 1, "c": 2})
    assert sizes(batch.indices)["b"] == 1
    assert sizes(batch.indices)["c"] <= 2
    assert len(batch) == 8


def test_random_picks_are_even_among_the_rows_that_are_left():
    counts = np.zeros(N)
    for seed in range(3000):
        counts[asked(strategy="random", k=2, quota=1, seed=seed).indices] += 1
    # Drawn first or, if the first is of another group, second among the others.
    share = {group: many / N for group, many in sizes(np.arange(N)).items()}
    for group, of_group in share.items():
        second = sum(first * of_group / (1 - first) for name, first in share.items() if name != group)
        expected = 3000 * (of_group + second)
        got = counts[group == GROUPS]
        assert abs(got.sum() - expected) < 4 * np.sqrt(expected)
        chi2 = ((got - got.mean()) ** 2 / got.mean()).sum()
        assert chi2 < len(got) + 5 * np.sqrt(2 * len(got))


def test_rows_without_a_score_leave_no_gap():
    def score(proba):
        scores = qr.margin(proba)
        scores[:38] = np.nan
        return scores

    batch = asked(score=score, quota=3)
    assert sizes(batch.indices) == {"a": 2, "b": 3, "c": 3}


def test_a_group_of_quota_0_is_never_asked_about():
    learner = qr.ActiveLearner(lambda _: PROBA, X, groups=GROUPS, quota={"a": 0}, batch_size=15)
    assert [len(round) for round in learner.run(lambda rows, _: rows % 3)] == [15, 5]
    with pytest.raises(qr.PoolExhausted, match="none of the 60 rows is left to ask about but 40 of quota 0"):
        learner.ask()


def test_two_annotators_have_a_quota_each():
    learner = qr.ActiveLearner(lambda _: PROBA, X, groups=GROUPS, quota=2, batch_size=6)
    for annotator in ("ann", "bob"):
        assert sizes(learner.ask(annotator=annotator).indices) == {"a": 2, "b": 2, "c": 2}


@pytest.mark.parametrize("kind", ["list", "objects", "pandas", "polars"])
def test_groups_of_any_kind(kind):
    given = {"list": list, "objects": lambda names: names.astype(object)}.get(kind)
    groups = given(GROUPS) if given else pytest.importorskip(kind).Series(GROUPS.tolist())
    assert asked(groups=groups, quota={"a": 1}).indices.tolist() == asked(quota={"a": 1}).indices.tolist()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"quota": 2, "groups": None}, ValueError, "quota: expected groups with it, got None"),
        ({"quota": {"d": 2}}, ValueError, "quota: group 'd' has no row"),
        ({"quota": 1.5}, ValueError, "quota: expected an integer, or a share above 0 and up to 1, got 1.5"),
        ({"quota": {"a": -1}}, ValueError, r"quota\['a'\]: expected 0 or more, got -1"),
        ({"quota": "2"}, TypeError, "quota: expected an integer, got str"),
        ({"groups": GROUPS[1:], "quota": 2}, ValueError, r"groups: expected shape \(60,\)"),
        ({"groups": np.linspace(0, 1, N)}, TypeError, "groups: expected an integer or a string"),
    ],
)
def test_a_wrong_one_is_named_at_the_start(options, error, message):
    with pytest.raises(error, match=message):
        qr.ActiveLearner(lambda _: PROBA, X, **{"groups": GROUPS, **options})


def test_a_resumed_campaign_has_the_same(tmp_path):
    options = {"groups": GROUPS, "quota": {"a": 1, "b": 0.5}, "journal": tmp_path / "run.db", "seed": 0}
    with qr.ActiveLearner(lambda _: PROBA, X, **options) as learner:
        learner.tell(learner.ask(), ["cat"] * 10)
        batch = learner.ask(annotator="ann")
    with qr.ActiveLearner.resume(lambda _: PROBA, X, **options) as again:
        assert again.ask(annotator="ann").indices.tolist() == batch.indices.tolist()
        assert sizes(again.ask().indices)["a"] == 1
    for quota in ({"a": 1.0, "b": 0.5}, {"a": 1}, 1, None):
        with pytest.raises(
            qr.JournalError, match=r"quota: the journal was begun with \{'a': '1', 'b': '0.5'\}, got"
        ):
            qr.ActiveLearner.resume(lambda _: PROBA, X, **{**options, "quota": quota})


def test_a_resumed_campaign_knows_groups_that_are_numbers(tmp_path):
    options = {"groups": np.arange(N) % 4, "quota": {3: 1, 0: 2}, "journal": tmp_path / "run.db", "seed": 0}
    with qr.ActiveLearner(lambda _: PROBA, X, **options) as learner:
        first = learner.ask()
    with qr.ActiveLearner.resume(lambda _: PROBA, X, **options) as again:
        assert again.ask().indices.tolist() == first.indices.tolist()
