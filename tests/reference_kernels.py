"""Committees, model change and density in float64 numpy, the slow obvious way."""

from __future__ import annotations

import numpy as np
from mpmath import mp
from reference import entropy, least_confidence, margin


def members_of(array, member_axis=0):
    """Move the members to the front: (m, n, c), or (m, n) of votes and numbers."""
    return np.moveaxis(np.asarray(array, np.float64), member_axis, 0)


def shares(m, weights=None):
    weights = np.ones(m) if weights is None else np.asarray(weights, np.float64)
    return weights / weights.sum()


def divergences(proba, weights=None):
    """KL of each member to the consensus, (m, n), as the sum of non-negative p ln(p/q) - p + q."""
    w = shares(len(proba), weights)
    w = w.astype(np.longdouble)
    proba = proba[w > 0].astype(np.longdouble)
    # Deviations from the first member, so that identical members are the consensus to the bit.
    q = proba[0] + np.tensordot(w[w > 0], proba - proba[0], axes=1)
    logs = np.zeros_like(proba)
    for i, p in enumerate(proba):
        rest = np.divide(q - p, p, out=np.zeros_like(p), where=p > 0)
        logs[i] = np.where(p > 0, -p * log1p_minus(rest), q)
    return logs.sum(axis=2).astype(np.float64)


def log1p_minus(x):
    """Give ln(1 + x) - x, by its series where the difference would cancel."""
    series = sum((-1) ** (k + 1) * x**k / k for k in range(2, 12))
    return np.where(np.abs(x) < 0.01, series, np.log1p(x) - x)


def consensus(proba, weights=None):
    return np.tensordot(shares(len(proba), weights), proba, axes=1)


def bald(proba, weights=None):
    w = shares(len(proba), weights)
    return w[w > 0] @ divergences(proba, weights)


def max_disagreement(proba, weights=None):
    return divergences(proba, weights).max(axis=0)


def votes(proba):
    return proba.argmax(axis=2)


def vote_shares(votes, weights=None, missing=-1):
    """Share of the votes given for each class, (n, c)."""
    w = np.ones(len(votes)) if weights is None else np.asarray(weights, np.float64)
    classes = sorted(set(votes[votes != missing].tolist())) or [0]
    given = (w[:, None] * (votes != missing)).sum(axis=0)
    return np.stack([(w[:, None] * (votes == j)).sum(axis=0) for j in classes], axis=1) / given[:, None]


def vote_entropy(votes, weights=None, missing=-1):
    return entropy(vote_shares(votes, weights, missing))


def variation_ratio(votes, weights=None, missing=-1):
    return 1 - vote_shares(votes, weights, missing).max(axis=1)


COMMITTEE = {
    "bald": bald,
    "max_disagreement": max_disagreement,
    "consensus_entropy": lambda proba, weights=None: entropy(consensus(proba, weights)),
    "consensus_margin": lambda proba, weights=None: margin(consensus(proba, weights)),
    "consensus_least_confidence": lambda proba, weights=None: least_confidence(consensus(proba, weights)),
    "vote_entropy": lambda proba, weights=None: vote_entropy(votes(proba), weights),
    "variation_ratio": lambda proba, weights=None: variation_ratio(votes(proba), weights),
}
"""Each score of member probabilities (m, n, c), by its name."""
STREAMED = ["bald", "consensus_entropy", "consensus_margin", "consensus_least_confidence"]
"""Those that an iterator of members allows."""
VOTES = {"vote_entropy": vote_entropy, "variation_ratio": variation_ratio}


def ensemble_variance(values, weights=None):
    w = shares(len(values), weights)[:, None]
    return (w * (values - (w * values).sum(axis=0)) ** 2).sum(axis=0)


def expected_gradient_length(proba, features, *, bias=True, squared=False):
    """Build the gradient matrix of every label of every row, and measure it."""
    proba, features = np.asarray(proba, np.float64), np.asarray(features, np.float64)
    n, c = proba.shape
    if bias:
        features = np.hstack([features, np.ones((n, 1))])
    score = np.zeros(n)
    for j in range(c):
        delta = proba.copy()
        delta[:, j] = proba[:, j] - 1
        length = np.linalg.norm(delta[:, :, None] * features[:, None, :], axis=(1, 2))
        score += proba[:, j] * length ** (2 if squared else 1)
    return score


def mean_variance(pool, rows, ridge, noise):
    """Mean predictive variance over the pool of ridge regression, refitted on these rows."""
    precision = rows.T @ rows / noise + np.eye(pool.shape[1]) * ridge / noise
    return np.einsum("id,de,ie->i", pool, np.linalg.inv(precision), pool).mean()


def variance_reduction(pool, rows, ridge=1.0, noise=1.0):
    """Refit with each candidate."""
    before = mean_variance(pool, rows, ridge, noise)
    return np.array([before - mean_variance(pool, np.vstack([rows, x]), ridge, noise) for x in pool])


def variance_reduction_picks(pool, rows, k, available, *, ridge=1.0, noise=1.0):
    indices, gains = [], []
    for _ in range(k):
        gain = variance_reduction(pool, rows, ridge, noise)
        left = [i for i in available if i not in indices]
        best = max(left, key=lambda i: (gain[i], -i))
        indices.append(best)
        gains.append(gain[best])
        rows = np.vstack([rows, pool[best]])
    return np.array(indices), np.array(gains)


def exact_gains(pool, picks, *, ridge=1.0, noise=1.0):
    """Give what each row would bring before each of the picks, refitted in 60 digits."""
    with mp.workdps(60):
        rows = np.array([[mp.mpf(float(x)) for x in row] for row in pool], dtype=object)
        moment = rows.T.dot(rows) / len(rows)
        precision = rows[:0].T.dot(rows[:0]) + np.diag([mp.mpf(ridge)] * pool.shape[1])
        for pick in picks:
            covariance = np.array((noise * mp.matrix(precision.tolist()) ** -1).tolist(), dtype=object)
            fall = (rows.dot(covariance.dot(moment).dot(covariance)) * rows).sum(axis=1)
            yield (fall / (noise + (rows.dot(covariance) * rows).sum(axis=1))).astype(float)
            precision = precision + np.outer(rows[pick], rows[pick])


def distances(x, y):
    """Differences first: nothing cancels."""
    return np.sqrt(np.stack([((a - y) ** 2).sum(axis=1) for a in x]) if len(x) else np.zeros((0, len(y))))


def unit(x):
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    return np.divide(x, norms, out=np.zeros_like(x), where=norms > 0)


def scale(x):
    return 1 / (x.shape[1] * x.var()) if x.size and x.var() > 0 else 1.0


SIMILARITY = {
    "cosine": lambda x, y, _: unit(x) @ unit(y).T,
    "dot": lambda x, y, _: x @ y.T,
    "sqeuclidean": lambda x, y, _: distances(x, y) ** 2,
    "euclidean": lambda x, y, _: 1 / (1 + distances(x, y)),
    "rbf": lambda x, y, gamma: np.exp(-gamma * distances(x, y) ** 2),
}
LINEAR = ["cosine", "dot", "sqeuclidean"]
QUADRATIC = ["euclidean", "rbf"]


def information_density(x, metric="cosine", *, reference=None, include_self=True, gamma="scale", shift=False):
    x = np.asarray(x, np.float64)
    y = x if reference is None else np.asarray(reference, np.float64)
    similarity = SIMILARITY[metric](x, y, scale(x) if gamma == "scale" else gamma)
    if shift:
        similarity = (1 + similarity) / 2
    if reference is None and not include_self:
        similarity = similarity[~np.eye(len(x), dtype=bool)].reshape(len(x), len(x) - 1)
    mean = similarity.mean(axis=1)
    return 1 / (1 + mean) if metric == "sqeuclidean" else mean


def knn_density(x, k, metric="euclidean"):
    x = np.asarray(x, np.float64)
    apart = distances(x, x) if metric == "euclidean" else distances(unit(x), unit(x)) ** 2 / 2
    if metric == "cosine":
        zero = ~x.any(axis=1)
        apart[zero, :] = apart[:, zero] = 1
    np.fill_diagonal(apart, np.inf)
    with np.errstate(divide="ignore"):
        return 1 / np.sort(apart, axis=1)[:, :k].mean(axis=1)


def committee(m, n, c, dtype=np.float64, *, apart=None, seed=0):
    """Return (m, n, c) probabilities; with `apart`, members that differ by that much, relatively."""
    rng = np.random.default_rng(seed)
    draws = rng.gamma(0.5, size=(m, n, c)) + 1e-30
    if apart is not None:
        draws = (draws[:1] + 0.01) * (1 + apart * rng.uniform(-1, 1, (m, n, c)))
    return (draws / draws.sum(axis=2, keepdims=True)).astype(dtype)


def random_votes(m, n, classes=4, missing=None, seed=0):
    """Return (m, n) votes, of which the first member's are never missing."""
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, classes, (m, n))
    if missing is not None:
        drawn[1:] = np.where(rng.random((m - 1, n)) < 0.4, missing, drawn[1:])
    return drawn


def pool_of(n, d, dtype=np.float64, *, offset=0.0, seed=0):
    """Return n rows, a tenth of which are zeros and a tenth copies of the first."""
    rng = np.random.default_rng(seed)
    pool = rng.normal(size=(n, d)) + rng.normal(size=d) / 2
    pool[::10] = 0
    pool[5::10] = pool[1 % n]
    return (pool + offset).astype(dtype)
