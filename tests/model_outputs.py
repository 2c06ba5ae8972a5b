"""Probabilities of real models and small made ones, for comparisons with other packages."""

from __future__ import annotations

from functools import cache

import numpy as np
from sklearn.datasets import load_digits, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

MODELS = {
    "logistic": LogisticRegression(max_iter=3000),
    "bayes": GaussianNB(),
    "forest": RandomForestClassifier(20, random_state=0),
}
DATA = {"digits": load_digits, "iris": load_iris}


@cache
def data(name):
    """Features and labels in an order of chance."""
    X, y = DATA[name](return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    return X[order], y[order]


@cache
def members(name):
    """What models fitted to a third of the data say of the rest: (m, n, c)."""
    X, y = data(name)
    known = len(y) // 3
    return np.stack([model.fit(X[:known], y[:known]).predict_proba(X[known:]) for model in MODELS.values()])


def classifiers():
    """`{case: (n, c) probabilities}`; the forest's and the tiny ones tie."""
    cases = {f"{name}-{model}": members(name)[at] for name in DATA for at, model in enumerate(MODELS)}
    cases |= {
        f"{case}-float32": cases[case].astype(np.float32) for case in ("digits-logistic", "iris-forest")
    }
    return cases | {
        "one row": np.array([[0.2, 0.5, 0.3]]),
        "uniform": np.full((7, 4), 0.25),
        "certain": np.eye(5)[[0, 3, 3, 1]],
        "two ties": np.array([[0.7, 0.3], [0.5, 0.5], [0.9, 0.1], [0.5, 0.5]]),
        "Fortran": np.asfortranarray(cases["digits-logistic"]),
    }


def committees():
    """`{case: (m, n, c) probabilities}`."""
    cases = {name: members(name) for name in DATA}
    return cases | {
        "digits-float32": cases["digits"].astype(np.float32),
        "one row": cases["digits"][:, :1],
        "one member": cases["iris"][:1],
        "opposed": np.array([[[1.0, 0.0], [0.5, 0.5]], [[0.0, 1.0], [0.5, 0.5]]]),
        "many members": np.tile(cases["iris"], (7, 1, 1)),
    }


def tolerance(case, proba):
    """How far a score may be from that of a package that rescales rows, and sums in their own float type."""
    if proba.dtype == np.float32:
        return 2e-6
    # The rows of naive Bayes miss 1 by some 1e-9.
    return 1e-7 if "bayes" in case or proba.ndim == 3 else 1e-12
