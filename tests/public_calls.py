"""Every public function of arrays, called on small inputs: as it should be, and so that it is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import querist as qr
from reference import dirichlet
from scipy import sparse

N, FEW, C, D = 4096, 256, 5, 6
RNG = np.random.default_rng(0)
GIVEN = {
    "proba": dirichlet(N, C, np.float64),
    "members": np.stack([dirichlet(N, C, np.float64, seed=seed) for seed in range(3)]),
    "votes": RNG.integers(0, C, (3, N)),
    "scores": RNG.random(N),
    "features": RNG.normal(size=(FEW, D)),
    "few proba": dirichlet(FEW, C, np.float64),
    "few scores": RNG.random(FEW),
    "labeled": np.arange(3),
    "wrong": np.full((N, C), np.nan),
}
GROUPS = {"groups": np.arange(FEW) % 3, "quota": 4}
CSR = sparse.csr_matrix(np.where(np.abs(GIVEN["features"]) > 1, GIVEN["features"], 0))


def _calls() -> dict[str, tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]]:
    """Function, arguments and options of each call."""
    proba, members, votes, scores, features, few_proba, few_scores, labeled, _ = GIVEN.values()
    select = qr.select
    committee = [qr.bald, qr.max_disagreement, qr.consensus_entropy, qr.consensus_margin]
    committee += [qr.consensus_least_confidence, qr.votes]
    return {
        **{f.__name__: (f, (proba,), {}) for f in (qr.entropy, qr.margin, qr.least_confidence, qr.gini)},
        **{f.__name__: (f, (members,), {}) for f in committee},
        "logits": (qr.entropy, (features,), {"from_logits": True}),
        "scores": (qr.scores, (proba, ["entropy", "gini"]), {}),
        "top_scores": (qr.top_scores, (proba, 9), {}),
        "committee_scores": (qr.committee_scores, (members, ["bald", "vote_entropy"]), {}),
        "vote_entropy": (qr.vote_entropy, (votes,), {}),
        "variation_ratio": (qr.variation_ratio, (votes,), {"weights": [1, 2, 0]}),
        "ensemble_variance": (qr.ensemble_variance, (members[:, :, 0],), {}),
        "expected_gradient_length": (qr.expected_gradient_length, (few_proba, features), {}),
        "variance_reduction": (qr.variance_reduction, (features,), {"labeled": labeled}),
        "information_density": (qr.information_density, (features,), {}),
        "information_density of all pairs": (qr.information_density, (features,), {"metric": "rbf"}),
        "information_density of sparse rows": (qr.information_density, (CSR,), {}),
        "knn_density": (qr.knn_density, (features, 3), {}),
        "density_weighted": (qr.density_weighted, (scores, scores), {}),
        "select.top_k": (select.top_k, (scores, 9), {}),
        "select.top_k with quotas": (select.top_k, (few_scores, 9), GROUPS),
        "select.power": (select.power, (scores, 9), {"seed": 0}),
        "select.k_center": (select.k_center, (features, 9), {"labeled": labeled, **GROUPS}),
        "select.k_center of sparse rows": (select.k_center, (CSR, 9), {}),
        "select.KCenter": (lambda x, k: select.KCenter(x).pick(k), (features, 9), {}),
        "select.k_means_pp": (select.k_means_pp, (features, 9), {"seed": 0}),
        "select.badge": (select.badge, (few_proba, features, 9), {"seed": 0}),
        "select.facility_location": (select.facility_location, (features, 3), {}),
        "select.max_herding": (select.max_herding, (features, 3), {}),
        "select.uncertainty_herding": (select.uncertainty_herding, (few_scores, features, 3), {"gamma": 1.0}),
        "select.mmr": (select.mmr, (few_scores, features, 9), {}),
        "select.ranked_batch": (select.ranked_batch, (few_scores, features, 9), {"labeled": labeled}),
        "select.variance_reduction": (select.variance_reduction, (features, 3), {"labeled": labeled}),
        "select.coverage": (select.coverage, (features, [1, 2, 3]), {}),
    }


CALLS = _calls()


def good(name: str) -> Any:
    """Make a call."""
    function, arguments, options = CALLS[name]
    return function(*arguments, **options)


def refused(name: str) -> None:
    """Make it with arrays that are not valid, of another shape or no arrays; each is an error."""
    function, arguments, options = CALLS[name]
    first, *others = arguments
    for wrong in (GIVEN["wrong"], first[:, None] if isinstance(first, np.ndarray) else [[]], object()):
        try:
            function(wrong, *others, **options)
        except (TypeError, ValueError):
            continue
        raise AssertionError(f"{name} took {wrong!r}")


def unnamed() -> set[str]:
    """Give the public functions that are not in the table."""
    told = {name.split(" ")[0] for name in CALLS}
    public = {name for name in qr.__all__ if callable(getattr(qr, name)) and name[0].islower()}
    public |= {f"select.{name}" for name in qr.select.__all__}
    # What takes no array.
    return public - told - {"get_num_threads", "set_num_threads", "show_config", "simulate"}
