"""MaxHerding and Uncertainty Herding against the published greedy over the whole kernel matrix."""

from __future__ import annotations

import math

import numpy as np
import pytest
import querist as qr
from reference import bits, dirichlet
from sklearn.datasets import load_digits
from sklearn.metrics import pairwise_distances, pairwise_kernels
from sklearn.preprocessing import normalize

select = qr.select


def herding(scores, pool, k, gamma, labeled):
    """Follow the reference: `(indices, gains)`; gains are sums."""
    unit = normalize(pool.astype(np.float64))
    kernel = pairwise_kernels(unit, metric="rbf", gamma=gamma)
    covered = kernel[:, labeled].max(axis=1) if len(labeled) else np.zeros(len(pool))
    picks, gains = [], []
    for _ in range(k):
        gain = (scores[:, None] * np.maximum(kernel - covered[:, None], 0)).sum(axis=0)
        gain[[*labeled, *picks]] = -1
        picks.append(int(gain.argmax()))
        gains.append(gain.max())
        covered = np.maximum(covered, kernel[:, picks[-1]])
    return picks, gains


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("labeled", [[], [5], [0, 9, 700, 701]])
def test_both_are_the_published_greedy_on_digits(dtype, labeled):
    pool = load_digits().data[:900].astype(dtype)
    scores = qr.margin(dirichlet(900, 10))
    loose = 1e-5 if dtype == np.float32 else 1e-11
    picks = select.max_herding(pool, 30, labeled=labeled)
    indices, gains = herding(np.ones(900), pool, 30, 1.0, labeled)
    assert picks.indices.tolist() == indices
    np.testing.assert_allclose(picks.values, gains, rtol=loose)
    unit = normalize(pool[labeled].astype(float)) if labeled else np.zeros((0, 64))
    apart = pairwise_distances(unit)[~np.eye(len(labeled), dtype=bool)] if len(labeled) > 1 else [1.0]
    gamma = 1 / np.min(apart) ** 2
    picks = select.uncertainty_herding(scores, pool, 30, labeled=labeled)
    assert picks.info["gamma"] == pytest.approx(gamma, rel=1e-6)
    indices, gains = herding(scores, pool, 30, gamma, labeled)
    assert picks.indices.tolist() == indices
    np.testing.assert_allclose(picks.values, gains, rtol=20 * loose)


def test_only_directions_count():
    pool = np.random.default_rng(0).normal(size=(200, 5))
    stretched = pool * 2.0 ** np.random.default_rng(1).integers(-9, 9, (200, 1))
    one, other = select.max_herding(pool, 20), select.max_herding(stretched, 20)
    assert one.indices.tolist() == other.indices.tolist()
    assert bits(one.values) == bits(other.values)


def test_the_kernel_narrows_with_the_least_distance_between_two_labelled_directions():
    pool = np.random.default_rng(0).normal(size=(50, 3))
    scores = np.ones(50)

    def gamma(labeled):
        return select.uncertainty_herding(scores, pool, 3, labeled=labeled).info["gamma"]

    assert gamma(None) == gamma([]) == gamma([4]) == 1.0
    # The same direction twice is no distance.
    assert gamma(np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [0.1, 0.2, 0.3]])) == 1.0
    assert gamma(np.array([[1.0, 0.0, 0.0], [0.0, 3.0, 0.0]])) == pytest.approx(0.5)
    assert gamma(np.array([[1.0, 0, 0], [0, 3.0, 0], [5.0, 5.0, 0]])) == pytest.approx(1 / (2 - math.sqrt(2)))
    assert gamma([3, 8, 9]) == pytest.approx(
        1 / np.min(pairwise_distances(normalize(pool[[3, 8, 9]])) + 9 * np.eye(3)) ** 2
    )


def test_the_width_is_by_the_distances_that_the_kernel_sees():
    pool, scores = np.eye(4), np.ones(4)
    pool[:2] = 0

    def gamma(labeled, size=1.0):
        return select.uncertainty_herding(scores, pool * size, 1, labeled=labeled).info["gamma"]

    # A row of zeros is at the distance √2 from everything.
    assert gamma([0, 1]) == gamma([1, 2]) == pytest.approx(0.5)
    assert gamma([0]) == 1.0
    pool = np.array([[1, 0.0], [1, 1e-3], [0, 1], [1, 1]])
    for size in (1e-165, 1e-320, 1e150):
        assert gamma([0, 2], size) == pytest.approx(0.5)
    assert gamma([0, 1], 1e-165) == pytest.approx(gamma([0, 1]), rel=1e-9)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_rows_of_one_direction_up_to_rounding_are_no_distance_apart(dtype):
    for seed in range(20):
        pool = np.random.default_rng(seed).normal(size=(6, 40))
        pool[1], pool[3] = pool[0] * 3, pool[2] / 7
        pool = pool.astype(dtype)
        both, one = (
            select.uncertainty_herding(np.ones(6), pool, 1, labeled=labeled).info["gamma"]
            for labeled in ([0, 1, 2, 3, 4], [0, 2, 4])
        )
        assert both == pytest.approx(one, rel=1e-2 if dtype == np.float16 else 1e-5)
        assert both < 10


def test_only_the_ratios_of_scores_count_however_small_they_are():
    pool = np.random.default_rng(0).normal(size=(40, 3))
    scores = np.arange(1.0, 41)
    expected = select.uncertainty_herding(scores, pool, 8, gamma=1.0)
    for size in (1e-300, 1e-50, 1e60):
        picks = select.uncertainty_herding(scores * size, pool.astype(np.float32), 8, gamma=1.0)
        assert picks.indices.tolist() == expected.indices.tolist()
        np.testing.assert_allclose(picks.values / size, expected.values, rtol=1e-4)
    with pytest.raises(ValueError, match="scores: expected a sum that is finite, got inf"):
        select.uncertainty_herding(np.full(40, 1e308), pool, 1)


def test_items_without_uncertainty_need_no_cover():
    pool = np.random.default_rng(0).normal(size=(60, 4))
    scores = np.zeros(60)
    scores[17] = 0.3
    assert select.uncertainty_herding(scores, pool, 1).indices.tolist() == [17]


def test_bad_input_is_named():
    pool, scores = np.ones((5, 2)), np.ones(5)
    for gamma in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="gamma"):
            select.max_herding(pool, 1, gamma=gamma)
    for wrong in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match=r"scores.*row 3\b"):
            select.uncertainty_herding(np.where(np.arange(5) == 3, wrong, scores), pool, 1)
    with pytest.raises(ValueError, match=r"scores: expected shape \(5,\)"):
        select.uncertainty_herding(scores[:4], pool, 1)
    with pytest.raises(TypeError, match="scores: expected numbers, got complex128"):
        select.uncertainty_herding(scores.astype(complex), pool, 1)
    for method in (lambda x: select.uncertainty_herding(scores, x, 1), lambda x: select.max_herding(x, 1)):
        with pytest.raises(ValueError, match=r"features: expected shape \(n, d\)"):
            method(pool[:, 0])
    with pytest.raises(ValueError, match="labeled"):
        select.uncertainty_herding(scores, pool, 1, labeled=np.ones((2, 3)))
