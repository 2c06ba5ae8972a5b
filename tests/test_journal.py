"""The journal: what is written comes back, the same campaign goes on, and what is wrong is said."""

from __future__ import annotations

import copy
import enum
import json
import os
import shutil
import signal
import sqlite3
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace

import child
import numpy as np
import pandas as pd
import pytest
import querist as qr
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from querist import _journal
from querist._event_text import event_of, event_text, label_of, label_value
from querist._events import Released
from querist._interrupts import uninterrupted
from querist._pool import Pool
from querist._settings import campaign_settings
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

N = 60
X = np.random.default_rng(0).normal(size=(N, 3)) + np.repeat([[0.0], [2.0], [4.0]], 20, axis=0)
Y = np.repeat(["cat", "cow", "dog"], 20)


def oracle(indices, _):
    return Y[indices]


def begin(path, **options):
    return qr.ActiveLearner(GaussianNB(), X, **({"journal": path, "batch_size": 4, "seed": 1} | options))


def resume(path, model=None, pool=X, **options):
    options = {"journal": path} | options
    return qr.ActiveLearner.resume(GaussianNB() if model is None else model, pool, **options)


def events(path):
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT number, kind, body FROM event ORDER BY number").fetchall()
    connection.close()
    return rows


def killed(path):
    """Give a copy of the files as a kill would leave them."""
    other = path.with_name("killed.db")
    shutil.copy(path, other)
    shutil.copy(f"{path}-wal", f"{other}-wal")
    return other


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.db"


def facts(learner):
    """All that must survive the process."""
    rounds = [
        (
            r.indices.tolist(),
            r.scores.tolist() if np.isfinite(r.scores).all() else None,
            r.scores.dtype,
            r.ticket,
            r.annotator,
            r.number,
            r.labels,
            r.n_labels,
            r.score_seconds,
            r.fit_seconds,
            dict(r.metrics),
            r.cost,
            r.total_cost,
            r.elapsed,
            repr(r.uncertainty),
        )
        for r in learner.history
    ]
    return learner.labels, learner.record, learner.n_available, rounds


class TestResume:
    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"strategy": "badge"},
            {"strategy": "power_margin", "epsilon": 0.3},
            {"score": "random"},
            {"retrain": {"labels": 9}},
            {"retrain": {"rounds": 3}, "strategy": "core_set"},
            {"warm_at": {"labels": 10, "per_class": 3}},
            {"cost": np.arange(N) / 7, "labels": {3: "cat", 30: "cow"}, "validation": (X, Y)},
        ],
        ids=str,
    )
    def test_a_run_that_is_interrupted_at_every_step_is_the_same_run(self, path, options):
        whole = qr.ActiveLearner(GaussianNB(), X, batch_size=4, seed=1, **options)
        rounds = list(whole.run(oracle, stop=qr.stop.MaxRounds(8)))
        learner = begin(path, **options)
        for expected in rounds:
            learner.close()
            learner = resume(path, **options)
            batch = learner.ask()
            assert batch.ticket == expected.ticket
            learner.close()
            learner = resume(path, **options)
            again = learner.ask()
            assert again.ticket == batch.ticket
            assert again.indices.tolist() == expected.indices.tolist()
            np.testing.assert_array_equal(again.scores, expected.scores)
            learner.tell(again.indices[:1], Y[again.indices[:1]])
            learner.close()
            learner = resume(path, **options)
            rest = learner.ask()
            assert rest.indices.tolist() == expected.indices[1:].tolist()
            learner.tell(rest, Y[rest.indices])
        assert learner.labels == whole.labels

    def test_everything_comes_back(self, path):
        options = {"labels": {0: "cat"}, "lease": 1000, "validation": (X, Y)}
        learner = begin(path, **options)
        learner.tell(learner.ask(annotator="ann"), ["cat", qr.ABSTAIN, "cow", "dog"])
        ann, bob = learner.ask(annotator="ann"), learner.ask(k=3, annotator=("bob", 2))
        learner.tell(bob.indices[:1], ["dog"], annotator="ann")
        learner.tell(bob.indices[:1], ["cow"], annotator="eve")
        learner.fit()
        expected = facts(learner)
        learner.close()
        again = resume(path, **options)
        assert facts(again) == expected
        assert again.ask(annotator="ann").indices.tolist() == ann.indices.tolist()
        left = again.ask(annotator=("bob", 2))
        assert left.indices.tolist() == bob.indices[1:].tolist()
        assert left.annotator == ("bob", 2)
        assert again.seed == 1

    def test_a_drawn_seed_comes_back(self, path):
        learner = begin(path, seed=None, score="random")
        batch = learner.ask()
        learner.tell(batch, Y[batch.indices])
        again = resume(path, score="random")
        assert again.seed == learner.seed
        assert again.ask().ticket == learner.ask().ticket

    def test_a_generator_may_be_given_again(self, path):
        learner = begin(path, seed=np.random.default_rng(3))
        again = resume(path, seed=np.random.default_rng(3))
        assert again.ask().ticket == learner.ask().ticket
        with pytest.raises(qr.JournalError, match=r"seed: expected .*; leave it out"):
            resume(path, seed=np.random.default_rng(4))

    def test_a_lease_that_ran_out_meanwhile_is_given_again(self, path):
        learner = begin(path, lease=1e-9)
        first = learner.ask(annotator="ann")
        learner.close()
        again = resume(path, lease=1e-9).ask(annotator="bob")
        assert again.ticket.startswith("2-")
        assert first.ticket.startswith("1-")

    def test_the_model_knows_what_it_knew(self, path):
        model = LogisticRegression()
        learner = qr.ActiveLearner(
            model, X, journal=path, batch_size=4, labels={0: "cat", 59: "dog"}, retrain={"labels": 20}
        )
        for _ in range(3):
            batch = learner.ask()
            learner.tell(batch, Y[batch.indices])
        other = LogisticRegression()
        again = resume(path, other, retrain={"labels": 20})
        assert again.ask().ticket == learner.ask().ticket
        assert other.coef_.tolist() == model.coef_.tolist()

    def test_a_fit_by_hand_is_there_after_a_kill(self, path):
        options = {"labels": {0: "cat", 30: "cow"}, "retrain": {"rounds": 5}}
        learner = begin(path, **options)
        for _ in range(3):
            batch = learner.ask()
            learner.tell(batch, Y[batch.indices])
        learner.fit()
        again = resume(killed(path), **options)
        assert again._campaign.fitted == learner._campaign.fitted
        assert again.ask().ticket == learner.ask().ticket

    def test_a_fit_that_run_has_shown_is_there_after_a_kill(self, path):
        options = {"labels": {0: "cat", 30: "cow"}, "retrain": {"labels": 4}, "validation": (X, Y)}
        learner = begin(path, **options)
        next(rounds := learner.run(oracle))
        again = resume(killed(path), **options)
        assert facts(again) == facts(learner)
        for one in (learner, again):
            one.tell([59, 58], ["dog", "dog"])
        assert again.ask().ticket == learner.ask().ticket
        assert again.history[0].metrics == learner.history[0].metrics
        rounds.close()

    def test_a_fit_that_run_has_shown_is_there_although_another_batch_ends_next(self, path):
        options = {"labels": {0: "cat", 30: "cow"}, "validation": (X, Y)}
        learner = begin(path, **options)
        learner.ask(annotator="bob")
        next(rounds := learner.run(oracle))
        again = resume(killed(path), **options)
        for one in (learner, again):
            batch = one.ask(annotator="bob")
            one.tell(batch, Y[batch.indices])
        assert again.history[0].metrics == learner.history[0].metrics != {}
        rounds.close()

    def test_a_fit_at_the_end_of_the_pool_is_there_after_a_kill(self, path):
        options = {"labels": {0: "cat", 30: "cow"}, "batch_size": N, "validation": (X, Y)}
        learner = begin(path, **options)
        batch = learner.ask()
        learner.tell(batch, Y[batch.indices])
        with pytest.raises(qr.PoolExhausted):
            learner.ask()
        assert facts(resume(killed(path), **options)) == facts(learner)
        assert learner.history[0].metrics

    @pytest.mark.parametrize("breaks", ["the model", "the validation"])
    @pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
    def test_a_fit_that_breaks_off_leaves_the_model_of_before(self, path, breaks, error):
        broken = []

        class Breakable(GaussianNB):
            def fit(self, X, y):
                if "the model" in broken:
                    del self.theta_
                    raise error
                return super().fit(X, y)

        def validation(model):
            if "the validation" in broken:
                raise error
            return {"classes": len(model.classes_)}

        options = {
            "labels": {0: "cat", 30: "cow"},
            "retrain": {"rounds": 5},
            "validation": validation,
            "seed": 1,
        }
        learner = qr.ActiveLearner(Breakable(), X, journal=path, batch_size=4, **options)
        for _ in range(3):
            batch = learner.ask()
            learner.tell(batch, Y[batch.indices])
        broken.append(breaks)
        with pytest.raises(error):
            learner.fit()
        broken.clear()
        batch = resume(killed(path), Breakable(), **options).ask()
        again = learner.ask()
        assert (again.ticket, again.scores.tolist()) == (batch.ticket, batch.scores.tolist())
        assert learner.model.class_count_.tolist() == [1, 1]
        learner.fit()
        assert learner.model.class_count_.sum() == 14

    def test_labels_in_hand_are_there_from_the_first_commit(self, path):
        statements = []
        connect = sqlite3.connect

        def traced(*arguments, **options):
            connection = connect(*arguments, **options)
            connection.set_trace_callback(statements.append)
            return connection

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sqlite3, "connect", traced)
            begin(path, labels={0: "cat", np.int64(3): np.str_("cow")}).close()
        assert statements.count("COMMIT") == 1
        assert resume(path, labels={0: "cat", 3: "cow"}).labels == {0: "cat", 3: "cow"}

    def test_nothing_is_told_to_a_closed_journal(self, path):
        learner = begin(path)
        learner.close()
        learner.close()
        for attempt in (lambda: learner.tell([1], ["cat"]), learner.ask, learner.fit):
            with pytest.raises(qr.JournalError, match="the learner is closed; resume from its journal"):
                attempt()
        learner.close()
        assert learner.labels == {}

    @pytest.mark.parametrize("fails", [True, False], ids=["after an error", "after none"])
    def test_what_cannot_be_written_at_the_end_closes_the_journal_all_the_same(
        self, path, fails, monkeypatch
    ):
        monkeypatch.setattr(_journal, "PATIENCE", 0.01)
        options = {"labels": {0: "cat", 30: "cow"}}

        learner = begin(path, **options)
        learner._fit_if_due()

        def work():
            with locked(path), learner:
                if fails:
                    raise LookupError("of the user's own")

        with pytest.raises(LookupError if fails else qr.JournalError) as raised:
            work()
        learner.close()
        if fails:
            assert raised.value.__notes__[0].startswith(f"close: journal {path}: another process has had it")
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            learner._ledger._journal._connection.execute("SELECT 1")
        with pytest.raises(qr.JournalError, match="the learner is closed; resume from its journal"):
            learner.tell([1], ["cat"])
        assert resume(path, **options).labels == {0: "cat", 30: "cow"}

    @pytest.mark.parametrize("change", [{"score": "entropy"}, {"labels": {1: "cow"}}], ids=str)
    def test_a_resume_that_fails_leaves_no_connection_open(self, path, change, monkeypatch):
        begin(path, labels={1: "cat"}).close()
        opened, connect = [], sqlite3.connect

        def kept(*arguments, **options):
            opened.append(connect(*arguments, **options))
            return opened[-1]

        monkeypatch.setattr(sqlite3, "connect", kept)
        with pytest.raises(qr.JournalError) as raised:  # which keeps the learner, with its journal
            resume(path, **change)
        assert raised.traceback
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            opened[0].execute("SELECT 1")

    @pytest.mark.parametrize("end", ["stop", "break", "a kill before the fit"])
    def test_a_target_that_is_met_stays_met(self, path, end):
        options = {"validation": (X, Y), "labels": dict(zip(range(0, 60, 9), Y[::9], strict=True))}
        target = qr.stop.Target("accuracy", 0.5)
        learner = begin(path, **options)
        if end == "a kill before the fit":
            batch = learner.ask()
            learner.tell(batch, Y[batch.indices])
        for round in learner.run(oracle, stop=target if end == "stop" else None):
            assert round.metrics["accuracy"] > 0.5
            break
        again = resume(path, **options)  # nobody has closed the journal
        if end != "a kill before the fit":
            assert again.history[-1].metrics == learner.history[-1].metrics
        assert list(again.run(oracle, stop=target)) == []
        assert again.history[-1].metrics["accuracy"] > 0.5


class TestAgreement:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"pool": X[:-1]}, r"X shape: the journal was begun with \[60, 3\], got \[59, 3\]"),
            ({"pool": X.astype(np.float32)}, "X dtype: the journal was begun with 'float64', got 'float32'"),
            ({"pool": X + 1}, "X rows: they differ from those that the journal was begun with"),
            ({"model": LogisticRegression()}, "model: .*'GaussianNB', got 'LogisticRegression'"),
            (
                {"score": "entropy"},
                "score: .*'margin', got 'entropy'; to .* begin another .* labels=old.labels",
            ),
            ({"density": "knn_density"}, "density: .*None, got 'knn_density'"),
            ({"select": "power"}, "select: "),
            ({"strategy": "badge"}, "strategy: "),
            ({"embed": X[:, :2]}, "embed: "),
            ({"epsilon": 0.5}, "epsilon: "),
            ({"cold": "diverse"}, "cold: "),
            ({"warm_at": {"labels": 8}}, "warm_at: .*None, got {'labels': 8}"),
            ({"groups": Y}, "groups: "),
            ({"chunk": 10}, "chunk: "),
            ({"cost": np.ones(N)}, "cost: "),
            ({"retrain": {"rounds": 2}}, "retrain: "),
            ({"lease": 5}, "lease: .*None, got 5"),
            ({"labels": {1: "cow"}}, "labels: "),
            ({"seed": 2}, "seed: .*with 1, got 2"),
        ],
        ids=str,
    )
    def test_the_first_that_differs_is_named(self, path, change, message):
        begin(path, labels={1: "cat"}).close()
        with pytest.raises(qr.JournalError, match=message):
            resume(path, **change)
        assert resume(path, labels={1: "cat"}, seed=1).labels == {1: "cat"}

    def test_the_batch_size_is_that_of_the_start_or_another(self, path):
        whole = qr.ActiveLearner(GaussianNB(), X, batch_size=4, seed=1)
        begin(path).close()
        for size in (4, 7, 4):
            whole.batch_size = size
            learner = resume(path) if size == 4 else resume(path, batch_size=size)
            assert learner.batch_size == size
            batch, expected = learner.ask(), whole.ask()
            assert batch.ticket == expected.ticket
            assert len(batch) == size
            for each in (learner, whole):
                each.tell(batch.indices, Y[batch.indices])
            learner.close()
        with pytest.raises(ValueError, match="batch_size: expected at least 1 item, got 0"):
            resume(path, batch_size=0)

    def test_what_the_error_advises_is_another_campaign_with_the_labels(self, path):
        learner = begin(path, labels={0: "cat"})
        learner.tell(learner.ask(), ["cat", "cow", "dog", qr.ABSTAIN])
        learner.close()
        with pytest.raises(qr.JournalError, match="begin another journal with labels=old"):
            resume(path, score="entropy")
        with resume(path) as old:
            pass
        other = path.with_name("other.db")
        with qr.ActiveLearner(GaussianNB(), X, score="entropy", journal=other, labels=old.labels) as learner:
            assert learner.labels == old.labels
        assert resume(other, score="entropy").n_labels == 4

    @pytest.mark.parametrize("kind", ["csr", "pandas", "polars", "list", "text", "objects", "function"])
    def test_any_pool_is_known_again(self, path, kind):
        def made(rows):
            if kind == "csr":
                return scipy.sparse.csr_matrix(rows)
            if kind in ("pandas", "polars"):
                return pytest.importorskip(kind).DataFrame(dict(zip("abc", rows.T, strict=True)))
            if kind == "function":
                return lambda: np.array_split(rows, 3)
            if kind == "objects":
                return [object() for _ in rows]
            return list(map(str, rows)) if kind == "text" else rows.tolist()

        def model(rows):
            return np.full((60, 2), 0.5)

        qr.ActiveLearner(model, made(X), journal=path, batch_size=4).close()
        resume(path, model, made(X)).close()
        if kind != "objects":
            with pytest.raises(qr.JournalError, match="X rows"):
                resume(path, model, made(X + 1))

    @pytest.mark.parametrize(
        "pool", [X[:0], lambda: iter([]), lambda: iter([X[:0]])], ids=["array", "no chunk", "chunk"]
    )
    def test_a_pool_may_have_no_row(self, path, pool):
        qr.ActiveLearner(GaussianNB(), pool, journal=path, batch_size=4).close()
        with pytest.raises(qr.PoolExhausted, match="none of the 0 rows"):
            resume(path, pool=pool).ask()


class Thing:
    """Without words of its own: they hold its address."""


def odd_pools():
    """Rows that differ from process to process in words alone, and a change of them."""
    deep = np.array([Thing(), "a"], object)
    wide, other = np.zeros((2, 6000))
    other[3000] = 1
    return {
        "objects": ([("a", Thing())] * 5, [("b", Thing())] * 5),
        "sets": ([{"tags": {f"{i}" for i in order}} for order in (range(9), range(8, -1, -1))], [{}, {}]),
        "object arrays": ([deep] * 5, [deep[:1]] * 5),
        "numbers of numpy": (list(np.arange(5)), list(np.arange(1, 6))),
        "long arrays": ([wide, wide], [wide, other]),
        "half a surrogate pair": (pd.Series(["\ud800"], dtype=object), pd.Series(["\ud801"], dtype=object)),
        "a frame": (
            pd.DataFrame({"a": [Thing(), [1.5], "b"], "n": [1, 2, 3]}),
            pd.DataFrame({"a": [Thing(), [1.6], "b"], "n": [1, 2, 3]}),
        ),
    }


def test_long_texts_of_numpy_are_known_again(path):
    pytest.importorskip("numpy", "2.0")
    texts, same, others = (np.array([c * 40] * 5, np.dtypes.StringDType()) for c in "aab")
    qr.ActiveLearner(GaussianNB(), texts, journal=path).close()
    qr.ActiveLearner.resume(GaussianNB(), same, journal=path).close()
    with pytest.raises(qr.JournalError, match="X rows"):
        qr.ActiveLearner.resume(GaussianNB(), others, journal=path)


@pytest.mark.parametrize("kind", odd_pools())
def test_a_pool_is_known_by_its_values_not_by_their_words(kind, path):
    def model(rows):
        return np.full((len(rows), 2), 0.5)

    qr.ActiveLearner(model, odd_pools()[kind][0], journal=path).close()
    keep = odd_pools()  # at other addresses
    with np.printoptions(precision=1, threshold=3, legacy="1.25"):
        qr.ActiveLearner.resume(model, keep[kind][0], journal=path).close()
    with pytest.raises(qr.JournalError, match="X rows"):
        qr.ActiveLearner.resume(model, keep[kind][1], journal=path)


A = np.arange(12.0).reshape(6, 2)


@pytest.mark.parametrize(
    ("pool", "fingerprint"),
    [
        (A, "fc9b80fc2698b1dd56513922f2d242d9"),
        (scipy.sparse.csr_matrix(A), "f97aa62233dc5e64a728813202368635"),
        (pd.DataFrame({"a": A[:, 0], "b": list("abcdef")}), "9c1f278bf119e5e01245198ba00409be"),
        ([1, 2.5, -3, np.inf, True, 1e300], "c2c2a8df445a1322a81c9c8ec84bd911"),
        (list(np.array(["a", "b"])), "0e080d808c0886bcf0060a16ace1fb1a"),
        (["a", "b\n", "ü'", "", "\\", '"'], "a2981049b3844454f8b70b6f9b365f97"),
        ([(f"a{i}", i, None, (i,), (), []) for i in range(6)], "8bd35be4b2b8288b81e5f3cd59cc6408"),
        ([{"text": "a", "n": i, "more": [1, {}]} for i in range(6)], "ed00943bb489586762f14938fbba75c4"),
    ],
    ids=str,
)
def test_a_journal_of_before_knows_its_pool(pool, fingerprint):
    assert campaign_settings(Pool(pool), {})["X rows"] == fingerprint


def test_sparse_features_are_known_again(path):
    features = scipy.sparse.coo_array(X)
    begin(path, embed=features, strategy="core_set").close()
    resume(path, embed=features, strategy="core_set").close()
    with pytest.raises(qr.JournalError, match="embed: "):
        resume(path, embed=2 * features, strategy="core_set")


class TestCost:
    def test_two_commits_a_round(self, path):
        learner = begin(path, validation=(X, Y), labels={0: "cat", 30: "cow"})
        learner.ask()
        statements = []
        learner._ledger._journal._connection.set_trace_callback(statements.append)
        for _ in learner.run(oracle, stop=qr.stop.MaxRounds(5)):
            pass
        commits = [statement for statement in statements if statement == "COMMIT"]
        assert len(commits) == 9 + 1, "the first batch was asked before; at the end the last fit is written"
        assert [kind for _, kind, _ in events(path)][-3:] == ["asked", "told", "fitted"]

    def test_a_commit_waits_for_the_disk(self, path):
        learner = begin(path)
        connection = learner._ledger._journal._connection
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


LABELS = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=5,
)


class TestLabels:
    @given(label=LABELS)
    @settings(max_examples=300, deadline=None)
    def test_a_label_comes_back_with_its_type(self, label):
        again = label_of(json.loads(json.dumps(label_value(label, "label"), allow_nan=False)))
        assert repr(again) == repr(label)

    def test_through_the_file(self, path):
        labels = [True, 1, 1.0, -0.0, float("inf"), "", "\ud800", "1", ("a", (1, 2.5)), 2**80, qr.ABSTAIN]
        learner = begin(path)
        learner.tell(range(len(labels)), labels)
        again = resume(path)
        assert list(map(repr, again.labels.values())) == list(map(repr, labels[:-1]))
        assert again.record == learner.record

    @pytest.mark.parametrize(
        "label",
        [b"cat", 1j, frozenset("a"), enum.IntEnum("Kind", "cat").cat, ("a", None), ("a", float("nan"))],
        ids=repr,
    )
    def test_others_are_refused_at_the_door(self, path, label):
        learner = begin(path)
        before = events(path)
        with pytest.raises(TypeError, match="labels: of index 5: a journal keeps int, float, str"):
            learner.tell([4, 5], ["cat", label])
        assert learner.labels == {}
        assert events(path) == before
        learner.tell([4, 5], ["cat", "cow"])
        assert resume(path).labels == {4: "cat", 5: "cow"}

    def test_an_annotator_that_cannot_be_kept_is_no_label(self, path):
        learner = begin(path)
        for attempt in (learner.ask, lambda **who: learner.tell([1], ["cat"], **who)):
            with pytest.raises(
                TypeError, match=r"annotator: a journal keeps int, .*'ann'.*; pass it as text"
            ):
                attempt(annotator=frozenset(["ann"]))
        assert learner.ask().ticket.startswith("1-")

    @pytest.mark.parametrize("name", [np.int64(3), np.str_("ann"), np.bool_(True), np.float64(0.5)])
    def test_an_annotator_of_numpy_is_a_plain_one(self, path, name):
        learner = begin(path)
        batch = learner.ask(annotator=name)
        learner.tell(batch.indices[:1], ["cat"], annotator=name)
        learner.tell(qr.Batch(batch.indices[1:], batch.scores[1:], batch.ticket, annotator=name), ["cow"] * 3)
        assert {type(answer.annotator) for answer in learner.record} == {type(name.item())}
        assert resume(path).record == learner.record

    @pytest.mark.parametrize("label", [np.datetime64("2026-01-01", "ns"), np.timedelta64(5, "ns")])
    def test_a_time_that_would_become_a_number_is_refused(self, path, label):
        learner = begin(path)
        with pytest.raises(
            TypeError, match=r"labels\[1\]: expected a time .* would become \d+; give it as text"
        ):
            learner.tell([0, 1], ["cat", label])
        assert learner.labels == {}

    def test_the_same_answer_twice_is_one(self, path):
        learner = begin(path)
        for _ in range(2):
            learner.tell([3], ["cat"], annotator="ann")
        assert [kind for _, kind, _ in events(path)] == ["began", "told"]


class TestTwoProcesses:
    """Two learners on one file stand for two processes: neither sees the other's memory."""

    def test_leases_are_disjoint_and_labels_shared(self, path):
        one = begin(path)
        two = resume(path)
        ann, bob = one.ask(annotator="ann"), two.ask(annotator="bob")
        assert not set(ann.indices) & set(bob.indices)
        one.tell(ann, Y[ann.indices])
        two.tell(bob, Y[bob.indices])
        assert one.ask(annotator="ann").ticket != two.ask(annotator="bob").ticket
        one.tell([], [])
        assert one.labels == two.labels
        assert [r.ticket for r in one.history] == [r.ticket for r in two.history]
        assert facts(resume(path)) == facts(two)

    def test_what_another_process_asks_while_this_one_fits_is_the_batch(self, path):
        labels = {0: "cat", 30: "cow"}
        one, two = begin(path, labels=labels), resume(path, labels=labels)
        fit = one._fit_if_due

        def slow():
            two.ask(annotator="ann")
            fit()

        one._fit_if_due = slow
        batch = one.ask(annotator="ann")
        assert batch.ticket == two.ask(annotator="ann").ticket
        assert len(resume(path, labels=labels)._campaign.leases) == 1

    def test_a_fit_does_not_wait_where_the_batch_is_of_another_process(self, path):
        labels = {0: "cat", 30: "cow"}
        one, two = begin(path, labels=labels), resume(path, labels=labels)
        fit = one._fit_if_due

        def overtaken():
            fit()
            two.ask(annotator="ann")

        one._fit_if_due = overtaken
        one.ask(annotator="ann")
        assert [kind for _, kind, _ in events(path)] == ["began", "told", "fitted", "asked", "fitted"]

    def test_an_error_in_a_run_is_not_replaced_by_that_of_a_locked_journal(self, path, monkeypatch):
        monkeypatch.setattr(_journal, "PATIENCE", 0.01)
        rounds = begin(path, labels={0: "cat", 30: "cow"}).run(oracle)
        next(rounds)
        with sqlite3.connect(path) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(KeyboardInterrupt):
                rounds.throw(KeyboardInterrupt)
        other.close()

    def test_a_batch_that_was_overtaken_is_picked_again(self, path):
        two = None

        def slow(rows):
            nonlocal two
            if two is not None:
                other, two = two, None
                stolen.append(other.ask(annotator="bob"))
            return np.tile([0.5, 0.5], (N, 1))

        stolen = []
        one = qr.ActiveLearner(slow, X, journal=path, batch_size=4)
        two = resume(path, slow)
        mine = one.ask(annotator="ann")
        assert len(stolen) == 1
        assert stolen[0].ticket.startswith("1-")
        assert mine.ticket.startswith("2-")
        assert not set(mine.indices) & set(stolen[0].indices)

    def test_real_ones_may_ask_and_tell_at_once(self, path):
        begin(path).close()
        source = """
            import sys
            import numpy as np
            import querist as qr
            from sklearn.naive_bayes import GaussianNB
            path, own = sys.argv[1], int(sys.argv[2])
            X = np.load(path + ".npy")
            learner = qr.ActiveLearner.resume(GaussianNB(), X, journal=path, batch_size=4)
            try:
                while True:
                    batch = learner.ask(k=3, annotator=own)
                    print(*batch.indices)
                    learner.tell(batch, ["cat" if index % 2 else "cow" for index in batch.indices])
            except qr.PoolExhausted:
                learner.close()
        """
        np.save(f"{path}.npy", X)
        asked = []
        for process in [child.start(source, str(path), str(own)) for own in range(3)]:
            code, out, err = child.finish(process)
            assert code == 0, err
            asked += map(int, out.split())
        assert sorted(asked) == list(range(N)), "each row was asked of one process, once"
        again = resume(path)
        assert again.labels == {index: "cat" if index % 2 else "cow" for index in range(N)}
        assert len(again.record) == N
        assert sum(map(len, again.history)) == N

    def test_a_lease_that_ran_out_before_a_late_answer_stays_so(self, path):
        late = []

        def strategy(context):
            while late:  # while the next batch is picked
                two.tell(late.pop(), ["cow"], annotator="ann")
            return context.pick("margin")

        options = {"strategy": strategy, "lease": 1e-9}
        one = begin(path, **options)
        two = resume(path, **options)
        batch = one.ask(annotator="ann")
        one.tell(batch.indices[:-1], ["cat"] * 3)
        late.append(batch.indices[-1:])
        one.ask(annotator="bob")
        assert [round.labels for round in one.history] == [("cat",) * 3]
        assert facts(resume(path, **options)) == facts(one) == facts(two)

    def test_a_fit_is_of_the_labels_that_it_saw(self, path):
        options = {"retrain": {"labels": 4}, "labels": {0: "cat", 20: "cow", 40: "dog"}, "validation": (X, Y)}
        one = begin(path, **options)
        two = resume(path, **options)
        batch, late = one.ask(annotator="ann"), two.ask(annotator="bob")
        one.tell(batch, Y[batch.indices])
        one._fit_if_due()
        two.tell(late, Y[late.indices])  # before the fit is in the journal
        one.tell([59], ["dog"])
        again = resume(path, **options)
        assert facts(again) == facts(one)
        assert [bool(round.metrics) for round in again.history] == [True, False]
        assert again.history[0].n_labels == 7
        assert again.ask(annotator="cid").ticket == one.ask(annotator="cid").ticket

    def test_the_newest_of_several_fits_counts_in_any_order(self, path):
        one, two = begin(path, validation=(X, Y)), resume(path, validation=(X, Y))
        batch = one.ask()
        one.tell(batch, ["cat", "cat", "cow", "cow"])
        one._fit_if_due()
        two.tell([59], ["dog"])
        two._fit_if_due()
        two.close()
        one.close()  # the older fit is written last
        again = resume(path, validation=(X, Y))
        assert facts(again) == facts(one) == facts(two)
        assert again.history[0].n_labels == 5

    def test_a_fit_of_an_older_version_is_of_the_labels_before_it(self, path):
        learner = begin(path, validation=(X, Y))
        batch = learner.ask()
        learner.tell(batch, ["cat", "cat", "cow", "cow"])
        learner._fit_if_due()
        before = learner.history[0].metrics
        learner._ledger._unsaved[0] = replace(learner._ledger._unsaved[0], seen=None)
        learner.close()
        again = resume(path, validation=(X, Y))
        assert again.history[0].metrics == before
        assert again._campaign.fitted == learner._campaign.fitted

    @pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
    def test_a_fork_does_not_share_the_file(self, path):
        source = """
            import os, sys
            import querist as qr
            learner = qr.ActiveLearner(lambda X: X, [[0.5, 0.5]] * 9, journal=sys.argv[1])
            pid = os.fork()
            try:
                learner.tell([1], ["cat"])
            except qr.JournalError as error:
                print(error, flush=True)
            if pid == 0:
                os._exit(0)
            os.waitpid(pid, 0)
            learner.tell([2], ["cow"])
            print(learner.labels)
        """
        words = child.run(source, str(path))
        assert words.splitlines() == [
            f"journal {path}: opened before a fork; resume from it in the child",
            "{1: 'cat', 2: 'cow'}",
        ]


@contextmanager
def locked(path):
    """Another process writes, and does not end."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.close()


class TestInterrupts:
    @pytest.mark.skipif(sys.platform == "win32", reason="signals to oneself are POSIX")
    def test_ctrl_c_ends_the_wait_for_another_process(self, path):
        learner = begin(path)
        batch = learner.ask()
        with locked(path):
            sent = []
            timer = threading.Timer(
                0.3, lambda: (sent.append(time.monotonic()), os.kill(os.getpid(), signal.SIGINT))
            )
            timer.start()
            with pytest.raises(KeyboardInterrupt):
                learner.tell(batch, Y[batch.indices])
            assert time.monotonic() - sent[0] < 0.5, "the promise is 0.2 s; a machine may be busy"
        assert learner.labels == resume(path).labels == {}
        learner.tell(batch, Y[batch.indices])
        assert learner.labels == resume(path).labels
        assert learner.n_labels == 4

    def test_ctrl_c_waits_for_the_end_of_what_must_be_whole(self):
        done = []

        def interrupted():
            with uninterrupted():
                with uninterrupted():
                    signal.raise_signal(signal.SIGINT)
                    done.append("inner")
                done.append("outer")

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert done == ["inner", "outer"]
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    def test_a_learner_works_in_another_thread(self, path):
        learner = begin(path)
        thread = threading.Thread(target=lambda: learner.tell([0], ["cat"]))
        thread.start()
        thread.join()
        assert learner.labels == resume(path).labels == {0: "cat"}

    def test_a_wait_that_is_too_long_says_what_to_do(self, path, monkeypatch):
        monkeypatch.setattr(_journal, "PATIENCE", 0.05)
        learner = begin(path)
        with locked(path), pytest.raises(qr.JournalError, match=r"run\.db: another .* locked .* end that"):
            learner.tell([0], ["cat"])
        learner.tell([0], ["cat"])
        assert learner.labels == resume(path).labels == {0: "cat"}

    @pytest.mark.skipif(sys.platform == "win32", reason="signals to oneself are POSIX")
    def test_ctrl_c_at_any_moment_leaves_all_of_an_event_or_nothing(self, path):
        source = """
            import itertools, os, random, signal, sys, threading, time
            import numpy as np
            import querist as qr

            def model(rows):
                return rows

            chance = random.Random(3)
            pool = np.full((100_000, 2), 0.5)
            journalled = qr.ActiveLearner(model, pool, journal=sys.argv[1])
            in_memory = qr.ActiveLearner(model, pool)
            row = itertools.count()
            interrupted = 0
            while interrupted < 400:
                learner = chance.choice([journalled, in_memory])
                moment = chance.random() * 1e-3
                sender = threading.Thread(
                    target=lambda: (time.sleep(moment), os.kill(os.getpid(), signal.SIGINT))
                )
                try:
                    sender.start()
                    while True:
                        learner.tell([next(row)], ["cat"])
                except KeyboardInterrupt:
                    interrupted += 1
                sender.join()
                assert len(learner.record) == learner.n_labels == len(pool) - learner.n_available
                if learner is journalled and interrupted % 8 == 0:
                    learner.tell([next(row)], ["cat"])  # it may not have heard of the last cow
                    again = qr.ActiveLearner.resume(model, pool, journal=sys.argv[1])
                    assert again.record == learner.record
                    again.tell([next(row)], ["cow"])  # nobody else is kept out
                    again.close()
            print(journalled.n_labels, in_memory.n_labels)
        """
        assert min(map(int, child.run(source, str(path)).split())) > 100


class TestWrongFiles:
    def test_a_campaign_is_not_begun_over(self, path):
        begin(path, labels={0: "cat"}).close()
        with pytest.raises(qr.JournalError, match=r"run\.db: there is a campaign in it already; continue it"):
            begin(path)
        assert resume(path).labels == {0: "cat"}

    def test_an_empty_file_is_none_yet(self, path):
        path.touch()
        begin(path, labels={0: "cat"}).close()
        assert resume(path).labels == {0: "cat"}

    @pytest.mark.parametrize("by", ["nothing", "another campaign", "a copy"])
    def test_nothing_is_told_to_a_file_that_nobody_would_find(self, path, tmp_path, by):
        learner, aside = begin(path, labels={0: "cat"}), tmp_path / "aside"
        aside.mkdir()
        names = [f"{path.name}{suffix}" for suffix in ("", "-wal", "-shm")]
        for name in names:
            (tmp_path / name).rename(aside / name)
        if by == "another campaign":
            begin(path).close()
        elif by == "a copy":
            shutil.copy(aside / path.name, path)
        for attempt in (lambda: learner.tell([1], ["cow"]), learner.ask):
            with pytest.raises(qr.JournalError, match=r"run\.db: the file was removed or replaced while it"):
                attempt()
        assert learner.labels == {0: "cat"}
        assert not learner.history
        for name in names:
            (aside / name).rename(tmp_path / name)
        learner.tell([1], ["cow"])
        assert resume(path).labels == {0: "cat", 1: "cow"}

    def test_another_directory_of_the_process_changes_nothing(self, path, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        learner = begin(path.name)
        monkeypatch.chdir("/")
        learner.tell([1], ["cow"])
        assert resume(path).labels == {1: "cow"}

    @pytest.mark.parametrize("statement", [None, "CREATE", "COMMIT"])
    def test_a_start_that_broke_off_is_said_to_be_none(self, path, statement):
        source = """
            import os, sqlite3, sys
            import querist as qr
            connect = sqlite3.connect
            def traced(*arguments, **options):
                connection = connect(*arguments, **options)
                kill = lambda text: os._exit(0) if text.startswith(sys.argv[2]) else None
                connection.set_trace_callback(kill)
                return connection
            sqlite3.connect = traced
            qr.ActiveLearner(lambda X: X, [[0.5, 0.5]], journal=sys.argv[1])
        """
        if statement is None:
            path.touch()
        else:
            child.run(source, str(path), statement)
        with pytest.raises(
            qr.JournalError, match=r"run\.db: no campaign was begun in it; ActiveLearner\(.*begins one"
        ):
            resume(path)
        with pytest.raises(
            qr.JournalError, match=r"(broke off, and ActiveLearner|begun in it; ActiveLearner)"
        ):
            resume(path)  # without the log, which SQLite has put away
        begin(path, labels={0: "cat"}).close()
        assert resume(path).labels == {0: "cat"}

    def test_what_is_no_database(self, path):
        path.write_bytes(b"index,label\n" * 1000)
        before = path.read_bytes()
        for attempt in (begin, resume):
            with pytest.raises(
                qr.JournalError, match=r"run\.db: not a journal of querist, or .*not a database"
            ):
                attempt(path)
        assert path.read_bytes() == before

    def test_a_database_of_another_program(self, path):
        connection = sqlite3.connect(path)
        connection.execute("CREATE TABLE event (number, label)")
        connection.close()
        before = path.read_bytes()
        for attempt in (begin, resume):
            with pytest.raises(qr.JournalError, match=r"run\.db: not a journal of querist; name another"):
                attempt(path)
        assert path.read_bytes() == before

    def test_a_directory_and_nothing(self, tmp_path):
        for attempt in (begin, resume):
            with pytest.raises(qr.JournalError, match=r"there is no directory .*no; make it first"):
                attempt(tmp_path / "no" / "run.db")
            with pytest.raises(qr.JournalError, match="expected a file, got a directory; name a file in it"):
                attempt(tmp_path)
        with pytest.raises(qr.JournalError, match="there is no such file"):
            resume(tmp_path / "no.db")

    def test_a_learner_with_a_journal_is_not_copied(self, path):
        learner = begin(path)
        with pytest.raises(
            TypeError, match=r"a learner with a journal can be neither copied.*resume from .*run"
        ):
            copy.deepcopy(learner)
        learner.tell([0], ["cat"])

    def test_a_newer_schema(self, path):
        begin(path).close()
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA user_version=2")
        connection.close()
        with pytest.raises(qr.JournalError, match="of schema 2, written by another version of querist"):
            resume(path)

    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE event SET body = replace(body, 'cow', 'dog') WHERE number = 3",
            "UPDATE event SET time = time + 1 WHERE number = 3",
            "UPDATE event SET body = NULL || body WHERE number = 1",
            "DELETE FROM event WHERE number = 3",
            "DELETE FROM event WHERE number = 1",
            "UPDATE event SET number = number + 10 WHERE number = 4",
            "INSERT INTO event SELECT 5, time, kind, body, seal FROM event WHERE number = 4",
            "DROP TABLE event",
        ],
    )
    def test_a_changed_event(self, path, change):
        learner = begin(path)
        for index, label in enumerate(["cat", "cow", "dog"]):
            learner.tell([index], [label])
        learner.close()
        connection = sqlite3.connect(path)
        try:
            connection.execute(change)
            connection.commit()
        except sqlite3.IntegrityError:
            connection.execute("UPDATE event SET body = '' WHERE number = 1")
            connection.commit()
        connection.close()
        with pytest.raises(qr.JournalError, match=r"run\.db: "):
            resume(path)


@pytest.mark.parametrize("lost", ["run.db", "run.db-wal"])
def test_an_emptied_file_is_an_error_or_the_last_checkpoint(path, tmp_path, lost):
    learner = alive(path)
    place = tmp_path / "copy"
    place.mkdir()
    for name in ("run.db", "run.db-wal"):
        shutil.copy(path.parent / name, place / name)
    (place / lost).write_bytes(b"")
    if lost == "run.db":
        with pytest.raises(qr.JournalError):
            resume(place / "run.db")
    else:
        kept = {index: label for index, label in learner.labels.items() if index % 2 == 0}
        assert resume(place / "run.db").labels == kept


def alive(path):
    """A journal whose last commits are in the -wal file only, copied as a crash would leave it."""
    learner = begin(path)
    for index in range(0, 30, 2):
        learner.tell([index], [str(Y[index])])
    learner._ledger._journal._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    for index in range(1, 30, 2):
        learner.tell([index], [str(Y[index])])
    return learner


@pytest.mark.parametrize("damage", ["cut", "flip", "zero"])
@pytest.mark.parametrize("part", ["", "-wal"])
def test_a_torn_file_never_gives_wrong_labels(path, tmp_path, part, damage):
    learner = alive(path)
    truth = learner.labels
    kept = {index: label for index, label in truth.items() if index % 2 == 0}  # before the checkpoint
    content = (path.parent / f"run.db{part}").read_bytes()
    generator = np.random.default_rng(5)
    outcomes = {"whole": 0, "part": 0, "error": 0}
    for trial in range(60):
        place = tmp_path / f"{part}{trial}"
        place.mkdir()
        at = int(generator.integers(len(content)))
        torn = bytearray(content)
        if damage == "cut":
            del torn[at:]
        elif damage == "flip":
            torn[at] ^= 1 << int(generator.integers(8))
        else:
            torn[at : at + 512] = bytes(len(torn[at : at + 512]))
        for name in ("run.db", "run.db-wal"):
            shutil.copy(path.parent / name, place / name)
        (place / f"run.db{part}").write_bytes(torn)
        try:
            again = resume(place / "run.db")
        except qr.JournalError:
            outcomes["error"] += 1
            continue
        labels = again.labels
        again.close()
        assert labels.items() <= truth.items()
        assert labels.items() >= kept.items()
        outcomes["whole" if labels == truth else "part"] += 1
    assert outcomes["error" if not part else "part"] > 0, outcomes
    assert truth == learner.labels


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are POSIX")
def test_a_full_disk_loses_nothing(path):
    source = """
        import resource, signal, sys
        import numpy as np
        import querist as qr
        learner = qr.ActiveLearner(lambda X: X, np.full((50_000, 2), 0.5), journal=sys.argv[1])
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
        try:
            for index in range(50_000):
                learner.tell([index], ["label" * 20])
        except qr.JournalError as error:
            print(index, len(learner.labels), error)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        learner.tell([index], ["again"])
        learner.close()
    """
    failed, n_labels, *words = child.run(source, str(path)).split()
    assert 100 < int(failed) == int(n_labels)
    assert " ".join(words).startswith(f"journal {path}: ")

    def model(rows):
        return rows

    model.__qualname__ = "<lambda>"
    again = qr.ActiveLearner.resume(model, np.full((50_000, 2), 0.5), journal=path)
    assert again.labels == dict.fromkeys(range(int(failed)), "label" * 20) | {int(failed): "again"}


def test_a_full_file_loses_nothing(path):
    learner = begin(path)
    learner._ledger._journal._connection.execute("PRAGMA max_page_count=20").fetchall()
    told = -1

    def tell_on():
        nonlocal told
        for told in range(N):
            learner.tell([told], ["label" * 1000])

    with pytest.raises(qr.JournalError, match="full"):
        tell_on()
    assert learner.labels == dict.fromkeys(range(told), "label" * 1000)
    learner._ledger._journal._connection.execute("PRAGMA max_page_count=100000").fetchall()
    learner.tell([told], ["again"])
    again = resume(path)
    assert again.labels == dict.fromkeys(range(told), "label" * 1000) | {told: "again"}


def test_a_lease_that_ran_out_comes_back_from_its_text():
    again = event_of(3.0, *event_text(Released(3.0, "a ticket")))
    assert (type(again), again.time, again.ticket) == (Released, 3.0, "a ticket")


def test_text_that_is_no_event_or_no_label_is_refused():
    with pytest.raises(ValueError, match="there is no event 'eaten'"):
        event_of(0.0, "eaten", "{}")
    with pytest.raises(ValueError, match="a label is missing"):
        label_of([None])


def test_an_event_that_cannot_be_written_leaves_the_file_open_to_others(path):
    learner, other = begin(path), resume(path)
    connection = learner._ledger._journal._connection
    connection.execute(
        "CREATE TEMP TRIGGER full BEFORE INSERT ON event BEGIN SELECT RAISE(FAIL, 'full'); END"
    )
    with pytest.raises(qr.JournalError, match="full"):
        learner.tell([0], ["cat"])
    other.tell([1], ["cow"])
    assert resume(path).labels == {1: "cow"}


def test_a_committee_is_known_by_its_members(path):
    def proba(rows):
        return np.full((len(rows), 2), 0.5)

    qr.ActiveLearner([GaussianNB(), proba], X, journal=path, labels={0: "cat"}).close()
    assert qr.ActiveLearner.resume([GaussianNB(), proba], X, journal=path).labels == {0: "cat"}
    with pytest.raises(qr.JournalError, match="model: the journal was begun with "):
        qr.ActiveLearner.resume([proba, GaussianNB()], X, journal=path)
