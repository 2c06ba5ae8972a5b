"""Selection from scipy sparse matrices: to the bit that from the same rows made dense."""

from __future__ import annotations

import numpy as np
import pytest
import querist as qr
from reference import bits, dirichlet
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

select = qr.select


def documents(n):
    """Return short texts with a few words each, some of them equal and one without a known word."""
    rng = np.random.default_rng(0)
    words = [f"w{i}" for i in range(300)]
    texts = [" ".join(rng.choice(words[: 20 + i % 280], 8)) for i in range(n)]
    texts[9] = texts[4]
    texts[17] = "?"
    return TfidfVectorizer().fit_transform(texts)


TEXTS = documents(250)
SCORES = np.random.default_rng(1).random(250)
PROBA = dirichlet(250, 3)
methods = {
    "k_center": lambda x, **more: select.k_center(x, 30, labeled=[3, 5], **more),
    "k_center, cosine": lambda x, **more: select.k_center(x, 30, metric="cosine", weights=SCORES, **more),
    "KCenter": lambda x, **more: select.KCenter(x, metric="cosine", labeled=[1]).pick(20, **more),
    "mmr": lambda x, **more: select.mmr(SCORES, x, 30, **more),
    "ranked_batch": lambda x, **more: select.ranked_batch(SCORES, x, 30, labeled=[8], **more),
    "k_means_pp": lambda x, **more: select.k_means_pp(x, 30, seed=4, **more),
    "badge": lambda x, **more: select.badge(PROBA, x, 20, seed=4, **more),
    "facility_location": lambda x, **more: select.facility_location(x, 12, gamma=0.5, **more),
    "facility_location, cosine": lambda x, **more: select.facility_location(x, 12, kernel="cosine", **more),
    "max_herding": lambda x, **more: select.max_herding(x, 12, labeled=[2], **more),
    "uncertainty_herding": lambda x, **more: select.uncertainty_herding(
        SCORES, x, 12, labeled=[2, 7], **more
    ),
}


@pytest.mark.parametrize("name", methods)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_picks_are_those_of_the_dense_rows(name, dtype):
    csr = TEXTS.astype(dtype)
    expected = methods[name](csr.toarray())
    for form in ("csr", "csc", "coo", "lil"):
        picks = methods[name](csr.asformat(form))
        assert picks.indices.tolist() == expected.indices.tolist(), form
        assert bits(picks.values) == bits(expected.values), form
    wide = sparse.csr_array((csr.data, csr.indices.astype(np.int64), csr.indptr.astype(np.int64)), csr.shape)
    for n_threads in (1, 3):
        picks = methods[name](wide, n_threads=n_threads, available=np.arange(250))
        assert picks.indices.tolist() == expected.indices.tolist()


def test_rounds_and_coverage_of_a_sparse_pool():
    selector, dense = (select.KCenter(x, metric="cosine", labeled=[0]) for x in (TEXTS, TEXTS.toarray()))
    for _ in range(3):
        picks, expected = selector.pick(7), dense.pick(7)
        assert picks.indices.tolist() == expected.indices.tolist()
        selector.add(picks.indices)
        dense.add(picks.indices)
    outside = TEXTS[:4].toarray()
    one = select.k_center(TEXTS, 5, labeled=outside)
    assert one.indices.tolist() == select.k_center(TEXTS.toarray(), 5, labeled=outside).indices.tolist()
    for metric in ("euclidean", "cosine"):
        given = select.coverage(TEXTS, [4, 200], metric=metric)
        expected = select.coverage(TEXTS.toarray(), [4, 200], metric=metric)
        assert given[0].tolist() == expected[0].tolist()
        assert bits(given[1]) == bits(expected[1])


def test_entries_that_are_there_twice_count_once_added():
    twice = sparse.csr_array(
        (np.repeat(TEXTS.data / 2, 2), np.repeat(TEXTS.indices, 2), 2 * TEXTS.indptr), TEXTS.shape
    )
    before = twice.data.copy(), twice.indices.copy()
    picks = select.k_center(twice, 20, metric="cosine")
    assert picks.indices.tolist() == select.k_center(TEXTS, 20, metric="cosine").indices.tolist()
    assert bits(twice.data) == bits(before[0])
    assert twice.indices.tolist() == before[1].tolist()


def test_the_scaled_kernel_counts_the_zeros():
    few = TEXTS[:60].copy()
    gamma = 1 / (few.shape[1] * few.toarray().var())
    scaled = select.facility_location(few, 8)
    assert scaled.values == pytest.approx(select.facility_location(few, 8, gamma=gamma).values, rel=1e-9)
    assert bits(scaled.values) == bits(select.facility_location(few.toarray(), 8).values)


def test_empty_sparse_pools():
    none = sparse.csr_array((0, 5))
    assert select.k_center(none, 0).indices.tolist() == []
    zeros = sparse.csr_array((4, 5))
    assert select.k_center(zeros, 3).indices.tolist() == [0, 1, 2]
    assert select.mmr(np.arange(4.0), zeros, 2).indices.tolist() == [3, 2]


def test_bad_sparse_pools_are_named():
    spoilt = TEXTS.copy()
    spoilt.data[spoilt.indptr[11]] = np.nan
    for metric in ("euclidean", "cosine"):
        with pytest.raises(ValueError, match=r"features.*row 11\b"):
            select.k_center(spoilt, 5, metric=metric, labeled=[0])
    outside = TEXTS.copy()
    outside.indices[0] = TEXTS.shape[1]
    with pytest.raises(ValueError, match="features: expected column indices below"):
        select.k_center(outside, 5, labeled=[0])
    falling = TEXTS.copy()
    falling.indptr[5] = falling.indptr[6] + 1
    with pytest.raises(ValueError, match="features: expected indptr that rises"):
        select.k_center(falling, 5, labeled=[0])
    with pytest.raises(TypeError, match="features"):
        select.k_center(TEXTS.astype(np.int64), 5, labeled=[0])
    with pytest.raises(TypeError, match="labeled"):
        select.k_center(TEXTS, 5, labeled=TEXTS[:2])


@pytest.mark.parametrize("name", [*methods, "information_density", "coverage"])
def test_a_structure_that_makes_no_sense_is_refused_by_every_method(name):
    more = {"information_density": qr.information_density, "coverage": lambda x: select.coverage(x, [3])}
    method = {**methods, **more}[name]

    def with_starts(starts):
        spoilt = TEXTS.copy()
        spoilt.indptr = starts.astype(spoilt.indptr.dtype)
        return spoilt

    far, late = TEXTS.indptr.copy(), TEXTS.indptr.copy()
    far[2], late[0] = 100_000_000, 1
    for starts in (far, late):
        with pytest.raises(ValueError, match="features: expected indptr that rises from 0"):
            method(with_starts(starts))
    with pytest.raises(
        ValueError, match="features: expected indptr of 251 numbers, one more than rows, got 250"
    ):
        method(with_starts(TEXTS.indptr[:-1]))
    for dtype in (np.float32, np.float64):
        with pytest.raises(ValueError, match="features: expected at least one column, got none"):
            method(sparse.csr_matrix((250, 0), dtype=dtype))
    columns = TEXTS.tocsc()
    columns.indices[7] = 100_000_000
    with pytest.raises(ValueError, match=r"features: expected a sparse matrix that is sound, got csc"):
        method(columns)
