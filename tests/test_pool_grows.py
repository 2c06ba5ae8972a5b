"""A pool that grows while the campaign lasts: no row changes its number, no label is lost."""

from __future__ import annotations

import gc
import sqlite3
import weakref
from contextlib import closing

import numpy as np
import pytest
import querist as qr
import scipy.sparse
from querist import _cli, _journal
from sklearn.naive_bayes import GaussianNB

N, MORE = 60, 100
X = np.random.default_rng(0).normal(size=(MORE, 3)) + np.tile([[0.0], [2.0], [4.0], [6.0]], (25, 1))
Y = np.tile(["cat", "cow", "dog", "elk"], 25)
LABELS = {0: "cat", 1: "cow"}


def oracle(indices, _):
    return Y[indices]


def begin(pool=X[:N], **options):
    return qr.ActiveLearner(GaussianNB(), pool, **({"batch_size": 4, "seed": 1, "labels": LABELS} | options))


def resume(path, pool=X, **options):
    return qr.ActiveLearner.resume(GaussianNB(), pool, journal=path, **options)


def answer(learner, **who):
    batch = learner.ask(**who)
    learner.tell(batch, Y[batch.indices])
    return batch


def kinds(path):
    with closing(sqlite3.connect(path)) as connection:
        return [kind for (kind,) in connection.execute("SELECT kind FROM event ORDER BY number")]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.db"


class TestRows:
    def test_the_next_batch_is_of_all_rows_and_what_was_stays(self):
        learner = begin()
        answer(learner)
        waiting = learner.ask()
        before = learner.labels, learner.record, learner.history[0]
        learner.extend(X)
        assert (learner.labels, learner.record, learner.history[0]) == before
        assert learner.n_available == MORE - 6
        assert learner.ask().ticket == waiting.ticket
        learner.tell(waiting, Y[waiting.indices])
        learner.tell([MORE - 1], ["elk"])
        assert learner.labels[MORE - 1] == "elk"
        rounds = list(learner.run(oracle))
        assert sorted(row for round in learner.history for row in round.indices) == [*range(2, MORE - 1)]
        assert max(rounds[0].indices) >= N

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"strategy": "badge", "density": "knn_density"},
            {"strategy": "core_set"},
            {"score": "random"},
            {"epsilon": 0.5},
            {"retrain": {"rounds": 2}, "validation": (X, Y)},
            {"chunk": 7},
        ],
        ids=str,
    )
    def test_a_resumed_campaign_and_one_in_memory_are_the_same(self, path, options):
        alive, stored = begin(**options), begin(journal=path, **options)
        for n in (N, N + 3, MORE):
            if n > N:
                alive.extend(X[:n])
            stored.close()
            stored = resume(path, X[:n], **options)
            for _ in range(3):
                batch, other = answer(alive), answer(stored)
                assert batch.ticket == other.ticket
                np.testing.assert_array_equal(batch.scores, other.scores)
        assert alive.labels == stored.labels
        assert kinds(path).count("grown") == 2
        stored.close()
        assert [round.ticket for round in resume(path, **options).history] == [
            round.ticket for round in alive.history
        ]

    def test_what_the_model_knows_stays(self):
        learner = begin(retrain={"labels": 50})
        answer(learner)
        learner.extend(X)
        answer(learner)
        assert learner.model.class_count_.sum() == 2

    @pytest.mark.parametrize(
        "kind", ["csr", "pandas", "polars", "list", "text", "text array", "function", "map"]
    )
    @pytest.mark.parametrize("resumes", [True, False])
    def test_any_pool_grows(self, path, tmp_path, kind, resumes):
        def made(rows):
            if kind == "csr":
                return scipy.sparse.csr_matrix(rows)
            if kind in ("pandas", "polars"):
                return pytest.importorskip(kind).DataFrame(dict(zip("abc", rows.T, strict=True)))
            if kind == "function":
                return lambda: iter(np.array_split(rows, 3))
            if kind == "map":
                np.save(tmp_path / "rows.npy", rows)
                return np.load(tmp_path / "rows.npy", mmap_mode="r")
            if kind == "text array":
                return np.array([f"{row}{'!' * at}" for at, row in enumerate(rows)])
            return list(map(str, rows)) if kind == "text" else rows.tolist()

        def model(rows):
            return np.full((rows.shape[0] if hasattr(rows, "shape") else len(rows), 2), 0.5)

        learner = qr.ActiveLearner(model, made(X[:N]), journal=path, batch_size=N)
        learner.tell(learner.ask(), Y[:N])
        if resumes:
            learner.close()
            with pytest.raises(qr.JournalError, match=r"X rows: they differ .*; a pool may grow at its end"):
                qr.ActiveLearner.resume(model, made(X + 1), journal=path)
            learner = qr.ActiveLearner.resume(model, made(X), journal=path)
        else:
            with pytest.raises(ValueError, match=r"X rows: they differ .*; a pool may grow at its end"):
                learner.extend(made(X + 1))
            learner.extend(made(X))
        assert learner.ask().indices.tolist() == list(range(N, MORE))
        assert kinds(path).count("grown") == 1

    def test_a_function_that_gives_more_is_told_of_extend(self):
        rows = [X[:N]]

        def pool():
            return iter(rows)

        learner = begin(pool, score="entropy")
        answer(learner)
        rows.append(X[N:])
        with pytest.raises(ValueError, match=r"X: expected chunks of 60 rows .*; .* call learner\.extend"):
            learner.ask()
        learner.extend(pool)
        assert learner.n_available == MORE - 6
        assert len(learner.history[0].predictions) == N
        answer(learner)
        assert len(learner.history[1].predictions) == MORE

    def test_a_list_may_be_appended_to(self):
        rows = X[:N].tolist()
        learner = begin(rows)
        rows += X[N:].tolist()
        learner.extend(rows)
        assert learner.n_available == MORE - 2

    def test_no_new_row_is_no_event(self, path):
        learner = begin(journal=path)
        learner.extend(X[:N].copy())
        learner.close()
        resume(path, X[:N]).close()
        assert "grown" not in kinds(path)

    @pytest.mark.parametrize(
        ("pool", "message"),
        [
            (
                X[: N - 1],
                r"X: expected at least the 60 rows so far, got 59; a pool may grow at its end; the r",
            ),
            (X[::-1], r"X rows: they differ from those that the campaign was begun with; a pool may grow"),
            (np.vstack([X[1:], X[:1]]), r"X rows: they differ"),
            (X.astype(np.float32), r"X dtype: the campaign was begun with 'float64', got 'float32'; a pool"),
            (X[:, :2], r"X shape: the campaign was begun with \[60, 3\], got \[60, 2\]; a pool"),
        ],
    )
    @pytest.mark.parametrize("is_kept", [True, False])
    def test_rows_neither_vanish_nor_change(self, path, pool, message, is_kept):
        learner = begin(journal=path if is_kept else None)
        batch = learner.ask()
        with pytest.raises(ValueError, match=message):
            learner.extend(pool)
        assert learner.ask().ticket == batch.ticket
        assert learner.n_available == N - 2

    def test_a_grown_one_does_not_shrink_again(self, path):
        begin(journal=path).close()
        resume(path).close()
        for n in (N, MORE - 1):
            with pytest.raises(
                qr.JournalError, match=rf"grown to 100 rows, and here are the first {n}; give"
            ):
                resume(path, X[:n])
        with pytest.raises(qr.JournalError, match=r"X shape: .*\[60, 3\], got \[59, 3\]; a pool may"):
            resume(path, X[: N - 1])
        other = X.copy()
        other[N + 5 :] += 1
        with pytest.raises(qr.JournalError, match=r"run\.db: X rows: they differ"):
            resume(path, other)
        resume(path).close()


class TestArguments:
    GROUPS = np.array(["b", "c"] * 30 + ["a"] * 40)  # the new one comes first by name

    def test_what_goes_by_row_grows_too(self, path):
        cost, embed = np.arange(1.0, MORE + 1), X[:, :2]
        options = {"strategy": "core_set", "quota": 2, "batch_size": 6}

        def by_row(n):
            return {"cost": cost[:n], "embed": embed[:n].tolist(), "groups": self.GROUPS[:n]}

        alive, stored = begin(**by_row(N), **options), begin(journal=path, **by_row(N), **options)
        for each in (alive, stored):
            assert len(answer(each)) == 4
            each.extend(X, **by_row(MORE))
            batch = answer(each)
            assert sorted(self.GROUPS[batch.indices]) == ["a", "a", "b", "b", "c", "c"]
            assert each.history[1].cost == (batch.indices + 1).sum()
            each.tell([MORE - 1], ["elk"])
        stored.close()
        again = resume(path, **by_row(MORE), **options)
        assert answer(again).ticket == answer(alive).ticket
        assert again.history[-1].total_cost == alive.history[-1].total_cost
        again.close()
        for name, other in [("cost", cost + 1), ("embed", embed * 2), ("groups", self.GROUPS[::-1])]:
            with pytest.raises(qr.JournalError, match=f"{name}: the journal was begun with"):
                resume(path, **(by_row(MORE) | {name: other}), **options)

    @pytest.mark.parametrize("name", ["cost", "embed", "groups"])
    def test_they_are_to_be_given_where_they_were_and_only_there(self, name):
        values = {"cost": np.ones(MORE), "embed": X[:, :2], "groups": self.GROUPS}[name]
        learner = begin(**{name: values[:N]})
        with pytest.raises(ValueError, match=f"{name}: expected one for each row, as at the start, got None"):
            learner.extend(X)
        with pytest.raises(ValueError, match=f"{name}: "):
            learner.extend(X, **{name: values[:N]})
        with pytest.raises(ValueError, match=f"{name}: the campaign was begun with"):
            learner.extend(X, **{name: values[::-1] if name == "groups" else values + 1})
        assert learner.n_available == N - 2
        learner.extend(X, **{name: values})
        with pytest.raises(ValueError, match=f"{name}: expected None, as at the start, got ndarray"):
            begin().extend(X, **{name: values})

    def test_a_function_of_rows_stays(self):
        learner = begin(embed=lambda rows: rows[:, :2], strategy="core_set")
        learner.extend(X)
        assert learner.ask().indices.max() >= N


class TestTwoProcesses:
    """Two learners on one file stand for two processes."""

    def test_one_with_the_short_pool_neither_asks_nor_tells_until_it_has_the_long_one(self, path):
        one = begin(journal=path)
        two = resume(path, X[:N])
        batch = two.ask(annotator="bob")
        one.extend(X)
        before = kinds(path)
        message = r"run\.db: the pool has grown to 100 rows, and here are the first 60; give all .*\.extend"
        for attempt in (
            lambda: two.tell(batch, Y[batch.indices]),
            lambda: two.ask(annotator="eve"),
            two.fit,
            lambda: list(two.run(oracle)),
            lambda: two.extend(X[: N + 1]),
            lambda: two.tell(batch, Y[batch.indices]),
        ):
            with pytest.raises(qr.JournalError, match=message.replace("60", "6[01]")):
                attempt()
        assert kinds(path) == before
        assert two.labels == LABELS
        two.extend(X)
        two.tell(batch, Y[batch.indices])
        assert one.ask(annotator="bob").ticket != batch.ticket
        assert one.labels == two.labels
        assert kinds(path).count("grown") == 1

    def test_a_batch_that_was_picked_meanwhile_is_not_asked(self, path):
        def strategy(context):
            if not context.is_cold and grows:
                grows.pop().extend(X)
            return context.pick("margin")

        one = begin(journal=path, strategy=strategy)
        two = resume(path, X[:N], strategy=strategy)
        grows = [two]
        with pytest.raises(qr.JournalError, match="the pool has grown to 100 rows"):
            one.ask()
        assert kinds(path) == ["began", "told", "grown"]
        one.extend(X)
        assert one.ask().ticket == two.ask().ticket

    def test_both_may_grow(self, path):
        one = begin(journal=path)
        two, three = resume(path, X[:N]), resume(path, X[:N])
        one.extend(X[: N + 9])
        two.extend(X)
        three.extend(X)
        one.extend(X)
        assert kinds(path).count("grown") == 2
        assert one.ask().ticket == two.ask().ticket == three.ask().ticket

    def test_the_faster_one_counts(self, path):
        one = begin(journal=path)
        two = resume(path, X[:N])
        append = one._journal.append

        def late(*arguments, **options):
            one._journal.append = append
            two.extend(X)
            append(*arguments, **options)

        one._journal.append = late
        one.extend(X)
        assert kinds(path).count("grown") == 1
        assert one.ask().ticket == two.ask().ticket

    def test_other_new_rows_are_an_error_until_they_are_the_same(self, path):
        one = begin(journal=path)
        two = resume(path, X[:N])
        one.extend(X[: N + 20])
        other = X.copy()
        other[N:] += 1
        for attempt in (lambda: two.extend(other), two.ask, lambda: two.tell([N], ["cat"])):
            with pytest.raises(qr.JournalError, match=r"run\.db: X rows: they differ"):
                attempt()
        assert kinds(path) == ["began", "told", "grown"]
        with pytest.raises(ValueError, match="X rows: they differ"):
            two.extend(other)
        two.extend(X)
        assert one.labels == two.labels
        one.extend(X)
        assert one.ask().ticket == two.ask().ticket

    def test_what_a_locked_journal_did_not_take_goes_in_with_the_next_call(self, path, monkeypatch):
        monkeypatch.setattr(_journal, "PATIENCE", 0.01)
        learner = begin(journal=path)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(qr.JournalError, match="locked"):
                learner.extend(X)
        learner.tell([MORE - 1], ["elk"])
        assert kinds(path) == ["began", "told", "grown", "told"]
        assert resume(path).labels == learner.labels


@pytest.mark.parametrize(
    "rule", [qr.stop.StabilizingPredictions(0.9, window=1), qr.stop.ClassificationChange()], ids=str
)
def test_stop_rules_compare_the_rows_that_both_models_saw(rule):
    learner = begin()
    old = learner.ask(annotator="slow")
    fired = []
    for n in (N, N + 7, MORE):
        learner.extend(X[:n])
        answer(learner)
        learner.fit()
        fired.append(rule(learner.history))
    learner.tell(old, Y[old.indices])  # a round whose predictions are older, and fewer
    fired.append(rule(learner.history))
    assert fired[0] is False
    assert len(fired) == 4


def test_the_command_tells_of_it(path, capsys):
    begin(journal=path).close()
    with resume(path) as learner:
        learner.tell([MORE - 1], ["elk"])
    assert _cli.main(["journal", "verify", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}: good, 4 events, 3 labels\n"
    assert _cli.main(["journal", "show", str(path)]) == 0
    lines = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()]
    assert ["X", "shape", "[100, 3]"] in lines
    assert any(line[:2] == ["rows", "at"] and line[2].split() == ["first", "60"] for line in lines)
    assert _cli.main(["journal", "export", str(path)]) == 0
    assert f"\n{MORE - 1},elk," in capsys.readouterr().out


def flat(rows):
    return np.tile([0.6, 0.4], (len(rows), 1))


@pytest.mark.parametrize("dtype", ["U40", "S40", None])
@pytest.mark.parametrize("chunked", [False, True])
def test_texts_grow_whatever_the_width_of_their_dtype(tmp_path, dtype, chunked):
    texts = np.array(["x" * length for length in range(1, 31)], dtype)

    def pool(n):
        return (lambda: iter([texts[: n // 2], texts[n // 2 : n]])) if chunked else texts[:n]

    with qr.ActiveLearner(flat, pool(10), journal=tmp_path / "run.db") as learner:
        learner.extend(pool(20))
    with qr.ActiveLearner.resume(flat, pool(30), journal=tmp_path / "run.db") as learner:
        assert len(learner.ask(k=40)) == 30
    other = texts.copy()
    other[3] = b"y" if dtype == "S40" else "y"
    with pytest.raises(qr.JournalError, match="X rows"):
        qr.ActiveLearner.resume(flat, other, journal=tmp_path / "run.db")


def test_no_pool_that_was_outgrown_stays_in_memory():
    pools = [np.random.default_rng(0).normal(size=(10 * n, 2)) for n in range(1, 4)]
    rows = [np.vstack(pools[:n]) for n in range(1, 4)]
    seen = [weakref.ref(X) for X in rows]
    learner = qr.ActiveLearner(flat, rows.pop(0), batch_size=2)
    while True:
        learner.tell(learner.ask(), ["a", "b"])
        learner.ask(annotator="open")
        if not rows:
            break
        learner.extend(rows.pop(0))
    gc.collect()
    assert [X() is not None for X in seen] == [False, False, True]
    assert all(len(round.reasons) == 2 for round in learner.history)


def test_answers_that_run_could_not_tell_are_on_the_error(tmp_path):
    X = np.random.default_rng(0).normal(size=(30, 2))
    first = qr.ActiveLearner(flat, X[:10], journal=tmp_path / "run.db", batch_size=3)
    second = qr.ActiveLearner.resume(flat, X[:10], journal=tmp_path / "run.db")

    def oracle(indices, rows):
        second.extend(X)
        return ["a"] * len(indices)

    with pytest.raises(qr.JournalError) as caught:
        list(first.run(oracle))
    asked = first._campaign.waiting(None).indices.tolist()
    assert str(dict.fromkeys(asked, "a")) in caught.value.__notes__[0]
    first.extend(X)
    first.tell(asked, ["a"] * 3)
    assert first.n_labels == 3
    second.close()
    first.close()


def test_the_function_of_the_start_may_be_given_again_and_a_closed_learner_takes_nothing(tmp_path):
    X = np.random.default_rng(0).normal(size=(20, 2))

    def embed(rows):
        return rows

    learner = qr.ActiveLearner(flat, X[:10], embed=embed, journal=tmp_path / "run.db")
    learner.extend(X, embed=embed)
    learner.close()
    before = repr(learner)
    with pytest.raises(qr.JournalError, match="closed"):
        learner.extend(np.vstack([X, X]))
    assert repr(learner) == before
