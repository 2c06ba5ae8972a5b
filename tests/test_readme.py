"""What README and the guide to the loop show is what runs, as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import querist as qr
from sklearn.datasets import load_digits
from sklearn.naive_bayes import GaussianNB
from threadpoolctl import threadpool_limits

README = Path(__file__).parent.parent / "README.md"
LOOP = README.parent / "docs" / "loop.md"


def examples_of(path):
    return re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def test_the_example_runs_as_pasted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (example,) = examples_of(README)
    with threadpool_limits(1):
        exec(compile(example, README.name, "exec"), names := {})
    names["learner"].close()
    assert names["learner"].n_labels > 50


def test_the_strategies_of_the_guide_pick_what_they_say():
    X, y = load_digits(n_class=3, return_X_y=True)
    given = {"np": np, "qr": qr, "model": GaussianNB(var_smoothing=1e-2), "X": X}
    (example,) = examples_of(LOOP)
    exec(compile(example, LOOP.name, "exec"), given)
    learner = given["learner"]
    first, second = list(learner.run(lambda indices, _: y[indices], stop=qr.stop.MaxRounds(2)))
    assert np.isnan(first.scores).all()
    model = GaussianNB(var_smoothing=1e-2).fit(X[np.sort(first.indices)], y[np.sort(first.indices)])
    change = qr.expected_gradient_length(model.predict_proba(X), X)
    change[first.indices] = -1
    assert second.indices.tolist() == qr.select.top_k(change, 10).indices.tolist()
    mixed = qr.ActiveLearner(model, X, strategy=given["half_and_half"], labels=learner.labels).ask()
    assert [why["picked_by"] for why in mixed.reasons] == ["top_k"] * 5 + ["k_center"] * 5
    mixing = {"strategy": given["half_and_half"], "labels": learner.labels}
    assert [len(qr.ActiveLearner(model, X, **mixing).ask(k)) for k in (1, 6)] == [1, 6]
