"""What README shows is what runs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.naive_bayes import GaussianNB

README = Path(__file__).parent.parent / "README.md"


def test_the_examples_run_as_printed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    X, y = load_digits(n_class=2, return_X_y=True)
    y = np.array(["cat", "dog"])[y]
    given = {
        "model": GaussianNB(var_smoothing=1e-2),
        "X": X[:300],
        "X_test": X[300:],
        "y_test": y[300:],
        "oracle": lambda indices, _: y[indices],
        "labels": ["cat"] * 10,
        "known": [3, 8],
        "proba": np.random.default_rng(0).dirichlet(np.ones(3), size=300),
        "members": np.random.default_rng(0).dirichlet(np.ones(3), size=(4, 300)),
    }
    examples = re.findall(
        r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    assert examples
    for example in examples:
        exec(compile(example, README.name, "exec"), given)
    assert list(given["learner"].labels.values()).count("cat") > 10
    given["learner"].close()
