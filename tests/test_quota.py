"""A batch under quotas is the greedy one, in which a group that is full is closed."""

from __future__ import annotations

import numpy as np
import pytest
import querist as qr
from reference import bits, dirichlet
from scipy.stats import chisquare
from sklearn.datasets import load_digits

select = qr.select
RNG = np.random.default_rng(0)
POOL = RNG.normal(size=(400, 6))
POOL[7] = POOL[3]
SCORES = RNG.random(400)
PROBA = dirichlet(400, 4)
GROUPS = RNG.integers(0, 5, 400) * 3 - 4  # names of groups are any integers

greedy = {
    "k_center": lambda k, labeled, **more: select.k_center(POOL, k, labeled=labeled, **more),
    "KCenter": lambda k, labeled, **more: select.KCenter(POOL, labeled=labeled).pick(k, **more),
    "k_center, weighted": lambda k, labeled, **more: select.k_center(
        POOL, k, labeled=labeled, weights=SCORES, **more
    ),
    "facility_location": lambda k, labeled, **more: select.facility_location(
        POOL, k, labeled=labeled, **more
    ),
    "max_herding": lambda k, labeled, **more: select.max_herding(POOL, k, labeled=labeled, **more),
    "uncertainty_herding": lambda k, labeled, **more: select.uncertainty_herding(
        SCORES, POOL, k, gamma=2.0, labeled=labeled, **more
    ),
    "mmr": lambda k, labeled, **more: select.mmr(SCORES, POOL, k, labeled=labeled, **more),
    "ranked_batch": lambda k, labeled, **more: select.ranked_batch(SCORES, POOL, k, labeled=labeled, **more),
    "variance_reduction": lambda k, labeled, **more: select.variance_reduction(
        POOL, k, labeled=labeled, **more
    ),
}
drawn = {
    "power": lambda k, **more: select.power(SCORES, k, **more),
    "k_means_pp": lambda k, **more: select.k_means_pp(POOL, k, **more),
    "badge": lambda k, **more: select.badge(PROBA, POOL, k, **more),
}


def one_by_one(method, k, labeled, left):
    """Pick k rows, each by a call of its own, from the groups that are not full."""
    picks, left = [], dict(left)
    for _ in range(k):
        full = [name for name, many in left.items() if many == 0]
        available = ~np.isin(GROUPS, full) & ~np.isin(np.arange(400), picks)
        row = int(method(1, [*labeled, *picks], available=available).indices[0])
        picks.append(row)
        left[int(GROUPS[row])] -= 1
    return picks


@pytest.mark.parametrize("name", greedy)
@pytest.mark.parametrize("labeled", [[], [2, 3, 250]])
def test_greedy_picks_go_on_among_the_groups_that_are_not_full(name, labeled):
    method = greedy[name]
    for quota, k in [({-4: 1, 2: 0, 5: 9}, 30), (6, 27), (0.25, 18)]:
        most = {-4: 1, 2: 0, 5: 9} if isinstance(quota, dict) else {}
        least = k if isinstance(quota, dict) else (6 if quota == 6 else 5)
        left = {group: most.get(group, least) for group in np.unique(GROUPS).tolist()}
        picks = method(k, labeled, groups=GROUPS, quota=quota)
        assert picks.indices.tolist() == one_by_one(method, k, labeled, left), quota
        assert all((GROUPS[picks.indices] == group).sum() <= many for group, many in left.items())


def test_top_k_under_quotas_is_the_sorted_list_without_the_surplus():
    for n, k, quota in [(400, 90, 20), (400, 12, 4), (70_000, 500, 101), (400, 0, 3)]:
        rng = np.random.default_rng(n)
        scores = rng.integers(0, 50, n) / 7
        scores[rng.random(n) < 0.1] = np.nan
        groups = (rng.random(n) ** 4 * 6).astype(int)
        scores[groups == 0] += 100  # the best are all of one group
        left, expected = dict.fromkeys(range(6), quota), []
        for row in np.argsort(-scores, kind="stable"):
            if len(expected) < k and left[groups[row]] and not np.isnan(scores[row]):
                left[groups[row]] -= 1
                expected.append(int(row))
        for n_threads in (1, 3):
            picks = select.top_k(scores, k, groups=groups, quota=quota, n_threads=n_threads)
            assert picks.indices.tolist() == expected
            assert bits(picks.values) == bits(scores[expected])


@pytest.mark.parametrize("name", drawn)
def test_draws_keep_to_the_quotas(name):
    for seed in range(30):
        picks = drawn[name](25, groups=GROUPS, quota=5, seed=seed)
        assert np.unique(GROUPS[picks.indices], return_counts=True)[1].tolist() == [5] * 5
        assert len(set(picks.indices.tolist())) == 25
        again = drawn[name](25, groups=GROUPS, quota=5, seed=seed, n_threads=3)
        assert again.indices.tolist() == picks.indices.tolist()
        loose = drawn[name](25, groups=GROUPS, quota=25, seed=seed)
        assert loose.indices.tolist() == drawn[name](25, seed=seed).indices.tolist()


def test_power_under_quotas_draws_in_proportion_among_what_is_open():
    scores, groups = np.array([3.0, 1.0, 2.0, 4.0]), [0, 0, 1, 1]
    counts = np.zeros((4, 4))
    for seed in range(6000):
        first, second = select.power(scores, 2, groups=groups, quota=1, seed=seed).indices
        counts[first, second] += 1
    chances = np.zeros((4, 4))
    for first, others in enumerate([(2, 3), (2, 3), (0, 1), (0, 1)]):
        chances[first, others] = scores[first] / 10 * scores[list(others)] / scores[list(others)].sum()
    possible = chances > 0
    assert counts[~possible].sum() == 0
    assert chisquare(counts[possible], chances[possible] * 6000).pvalue > 1e-4


def test_groups_may_have_names():
    named = np.array(["a", "b", "c", "d", "e"])[(GROUPS + 4) // 3]
    for given in (named, named.tolist()):
        for quota, same in [(4, 4), ({"b": 1, "e": 2}, {-1: 1, 8: 2})]:
            picks = select.k_center(POOL, 12, groups=given, quota=quota)
            assert (
                picks.indices.tolist()
                == select.k_center(POOL, 12, groups=GROUPS, quota=same).indices.tolist()
            )
    with pytest.raises(ValueError, match="quota: group 'f' has no row"):
        select.k_center(POOL, 12, groups=named, quota={"f": 1})


def test_real_classes_stay_balanced():
    pool, groups = load_digits(return_X_y=True)
    picks = select.k_center(pool, 50, groups=groups, quota=0.1)
    assert np.bincount(groups[picks.indices]).tolist() == [5] * 10
    assert len(set(np.bincount(groups[select.k_center(pool, 50).indices]))) > 1


def test_what_quotas_do_not_let_in_is_too_many():
    everything = greedy | {name: lambda k, _, d=draw, **m: d(k, **m) for name, draw in drawn.items()}
    everything["top_k"] = lambda k, _, **more: select.top_k(SCORES, k, **more)
    for method in everything.values():
        with pytest.raises(ValueError, match=r"k=21.*\b20\b"):
            method(21, [], groups=GROUPS, quota=4)
        assert len(method(20, [], groups=GROUPS, quota=4).indices) == 20


def test_bad_quotas_are_named():
    def pick(groups, quota):
        select.top_k([0.1, 0.2, 0.3], 2, groups=groups, quota=quota)

    with pytest.raises(ValueError, match=r"groups: expected shape \(3,\)"):
        pick([0, 1], 1)
    with pytest.raises(TypeError, match=r"groups: expected an integer or a string"):
        pick([0.5, 1.0, 2.0], 1)
    for wrong in (["a", None, "b"], (1, None, 2), [1, {}, 2]):
        with pytest.raises(TypeError, match="groups: expected an integer or a string for each row, got"):
            pick(wrong, 1)
    with pytest.raises(ValueError, match="quota: expected groups"):
        pick(None, 1)
    with pytest.raises(ValueError, match="groups: expected quota"):
        pick([0, 1, 1], None)
    for wrong in (0.0, 1.5, -0.2, float("nan")):
        with pytest.raises(ValueError, match="quota: expected an integer, or a share"):
            pick([0, 1, 1], wrong)
    with pytest.raises(ValueError, match="quota: expected 0 or more, got -1"):
        pick([0, 1, 1], -1)
    with pytest.raises(TypeError, match="quota"):
        pick([0, 1, 1], "1")
    with pytest.raises(ValueError, match="quota: group 7 has no row"):
        pick([0, 1, 1], {7: 1})
    with pytest.raises(ValueError, match=r"quota\[1\]: expected 0 or more"):
        pick([0, 1, 1], {1: -2})


def test_a_quota_may_be_larger_than_any_pool():
    expected = select.top_k(SCORES, 20)
    for quota in (10**20, {-4: 10**20, 2: 2**64}, np.uint64(2**64 - 1)):
        assert (
            select.top_k(SCORES, 20, groups=GROUPS, quota=quota).indices.tolist() == expected.indices.tolist()
        )
    with pytest.raises(ValueError, match=r"^k: expected 0 or more, got -1"):
        select.top_k(SCORES, -1, groups=GROUPS, quota={-4: 1})


def test_a_share_of_more_than_any_batch_is_no_overflow():
    with pytest.raises(ValueError, match=r"^k: "):
        qr.select.top_k([0.1, 0.2], 10**400, groups=[0, 1], quota=0.5)


def test_groups_of_few_rows_close_one_after_the_other():
    rng = np.random.default_rng(1)
    pool, groups = rng.normal(size=(600, 3)), rng.permutation(600) % 150
    for pick in (
        lambda **o: qr.select.k_center(pool, 150, **o),
        lambda **o: qr.select.k_means_pp(pool, 150, seed=3, **o),
        lambda **o: qr.select.mmr(pool[:, 0], pool, 150, **o),
        lambda **o: qr.select.variance_reduction(pool, 150, labeled=[], **o),
        lambda **o: qr.select.facility_location(pool, 150, **o),
    ):
        picks = pick(groups=groups, quota=1)
        assert len(set(groups[picks.indices])) == 150 == len(np.unique(groups))
