"""Who is asked what: leases, late and corrected answers, when the model is fitted again, hooks."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import numpy as np
import pytest
import querist as qr
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from querist import _learner, _progress
from sklearn.naive_bayes import GaussianNB

N = 40
X = np.random.default_rng(0).normal(size=(N, 2)) + np.repeat([[0.0], [3.0]], 20, axis=0)
Y = np.repeat(["cat", "cow"], 20)
PROBA = np.random.default_rng(1).dirichlet(np.ones(3), size=N)


def proba(_rows):
    return PROBA


class Clock:
    """A time that passes when a test says so."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(_learner, "monotonic", lambda: self.now)
        monkeypatch.setattr(_learner, "time", lambda: 1e9 + self.now)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


class CountingNB(GaussianNB):
    """Naive Bayes that remembers how many labels each fit saw."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def fit(self, X, y):
        self.seen.append(len(y))
        return super().fit(X, y)


class TestLeases:
    def test_each_annotator_has_a_batch_of_its_own(self):
        learner = qr.ActiveLearner(proba, X, batch_size=5)
        ann, bob = learner.ask(annotator="ann"), learner.ask(annotator="bob")
        assert (ann.annotator, bob.annotator) == ("ann", "bob")
        assert not set(ann.indices) & set(bob.indices)
        assert learner.ask(annotator="ann").ticket == ann.ticket
        assert learner.ask(annotator="bob").indices.tolist() == bob.indices.tolist()
        # The best rows not leased yet: what one annotator would have been asked next.
        one = qr.ActiveLearner(proba, X).ask(k=10)
        assert [*ann.indices, *bob.indices] == one.indices.tolist()

    def test_an_exhausted_pool_says_what_is_leased(self):
        learner = qr.ActiveLearner(proba, X)
        batch = learner.ask(k=N, annotator="ann")
        with pytest.raises(qr.PoolExhausted, match=r"of the 40 rows.*40 are leased to other annotators"):
            learner.ask(annotator="bob")
        learner.tell(batch, Y)
        with pytest.raises(qr.PoolExhausted, match=r"none of the 40 rows of the pool is left to ask about$"):
            learner.ask(annotator="bob")

    def test_anyone_may_answer(self):
        learner = qr.ActiveLearner(proba, X, batch_size=2)
        batch = learner.ask(annotator="ann")
        learner.tell(batch.indices[:1], ["cat"], annotator="bob")
        assert learner.ask(annotator="ann").indices.tolist() == batch.indices[1:].tolist()
        learner.tell(learner.ask(annotator="ann"), ["cow"])
        assert [(a.annotator, a.round, a.ticket) for a in learner.record] == [
            ("bob", 1, batch.ticket),
            ("ann", 1, batch.ticket),
        ]
        assert learner.history[0].annotator == "ann"

    def test_rounds_are_in_the_order_of_their_ends(self):
        learner = qr.ActiveLearner(proba, X, batch_size=2)
        ann, bob = learner.ask(annotator="ann"), learner.ask(annotator="bob")
        learner.tell(bob, ["cat", "cat"])
        learner.tell(ann, ["cow", "cow"])
        assert [round.ticket for round in learner.history] == [bob.ticket, ann.ticket]
        assert [round.number for round in learner.history] == [1, 2]
        assert {answer.label: answer.round for answer in learner.record} == {"cat": 2, "cow": 1}

    def test_a_lease_that_ran_out_goes_back_to_the_pool(self, clock):
        learner = qr.ActiveLearner(proba, X, batch_size=3, lease=60)
        ann = learner.ask(annotator="ann")
        learner.tell(ann.indices[:1], ["cat"], annotator="ann")
        clock.now = 59.0
        assert not set(learner.ask(annotator="bob").indices) & set(ann.indices)
        clock.now = 60.0
        cid = learner.ask(annotator="cid")
        assert cid.indices[:2].tolist() == ann.indices[1:].tolist()
        (ended,) = learner.history
        assert ended.indices.tolist() == ann.indices[:1].tolist()
        assert (ended.labels, ended.cost, ended.elapsed) == (("cat",), 1.0, 60.0)

    def test_an_untouched_lease_that_ran_out_is_no_round(self, clock):
        learner = qr.ActiveLearner(proba, X, batch_size=3, lease=60)
        first = learner.ask()
        clock.now = 61.0
        second = learner.ask()
        assert second.indices.tolist() == first.indices.tolist()
        assert second.ticket != first.ticket
        assert learner.history == []

    def test_a_late_answer_is_taken(self, clock):
        learner = qr.ActiveLearner(proba, X, batch_size=3, lease=60)
        ann = learner.ask(annotator="ann")
        clock.now = 61.0
        bob = learner.ask(annotator="bob")
        learner.tell(ann, ["cat"] * 3)
        assert learner.labels == dict.fromkeys(sorted(ann.indices.tolist()), "cat")
        assert [answer.ticket for answer in learner.record] == [ann.ticket] * 3
        assert [round.ticket for round in learner.history] == [bob.ticket]
        assert not set(learner.ask(annotator="bob").indices) & set(ann.indices)

    @pytest.mark.parametrize(
        ("lease", "error", "message"),
        [(0, ValueError, "lease: .*above 0, got 0"), ("1h", TypeError, "lease: expected a number, got '1h'")],
    )
    def test_a_wrong_lease_is_named(self, lease, error, message):
        with pytest.raises(error, match=message):
            qr.ActiveLearner(proba, X, lease=lease)


class TestRecord:
    def test_revisions_are_kept_and_repetitions_are_not(self):
        learner = qr.ActiveLearner(proba, X)
        for label, annotator in [
            ("cat", "ann"),
            ("cat", "ann"),
            ("cat", "bob"),
            ("cow", "bob"),
            (qr.ABSTAIN, "cid"),
        ]:
            learner.tell([7], [label], annotator=annotator)
        assert [(a.index, a.label, a.annotator) for a in learner.record] == [
            (7, "cat", "ann"),
            (7, "cat", "bob"),
            (7, "cow", "bob"),
        ]
        assert learner.labels == {7: "cow"}

    @pytest.mark.parametrize("annotator", ["ann", None])
    def test_a_repetition_does_not_undo_a_correction_of_another(self, annotator, tmp_path):
        learner = qr.ActiveLearner(proba, X, batch_size=1, journal=tmp_path / "run.db")
        batch = learner.ask(annotator=annotator)
        learner.tell(batch, ["cat"])
        learner.tell(batch, ["dog"], annotator="bob")
        resumed = qr.ActiveLearner.resume(proba, X, batch_size=1, journal=tmp_path / "run.db")
        for each in (learner, resumed):
            each.tell(batch, ["cat"])
            assert list(each.labels.values()) == ["dog"]
        resumed.tell(batch, ["cow"])
        resumed.tell(batch, ["cat"])
        assert [answer.label for answer in resumed.record] == ["cat", "dog", "cow", "cat"]

    @pytest.mark.parametrize("lease", [None, 100])
    def test_a_file_told_by_index_does_not_undo_a_correction(self, lease, tmp_path, clock):
        options = {"batch_size": 3, "journal": tmp_path / "run.db", "lease": lease}
        learner = qr.ActiveLearner(proba, X, **options)
        batch = learner.ask(annotator="ann")
        row = int(batch.indices[1])
        if lease is not None:
            clock.now = 101
            learner.ask(k=1, annotator="cid")  # which ends the lease of ann
            assert learner.ask(annotator="cid").indices.tolist() == batch.indices[:1].tolist()
        learner.tell(batch.indices, ["cat"] * 3)
        learner.tell([row], ["dog"], annotator="bob")
        resumed = qr.ActiveLearner.resume(proba, X, **options)
        for each in (learner, resumed):
            each.tell(batch.indices, ["cat"] * 3)
            assert each.labels[row] == "dog"
            assert len(each.record) == 4
        resumed.tell([row], ["cow"])
        assert resumed.labels[row] == "cow"
        assert resumed.record[-1].annotator == "ann"

    @pytest.mark.parametrize(
        ("first", "second"), [(True, 1), (1, 1.0), (1, True), ((1, "a"), (True, "a"))], ids=str
    )
    def test_an_equal_label_of_another_type_is_another(self, first, second):
        class Model(GaussianNB):
            seen = ()

            def fit(self, _rows, labels):
                self.seen += (repr(labels.tolist()),)

        model, other = Model(), (7, "a") if isinstance(first, tuple) else 7
        learner = qr.ActiveLearner(model, X, labels={1: other})
        learner.tell([0], [first])
        learner.fit()
        learner.tell([0], [second])
        learner.fit()
        assert [repr(answer.label) for answer in learner.record] == list(map(repr, [other, first, second]))
        assert repr(learner.labels[0]) == repr(second)
        assert len(model.seen) == 2, "a revision is a reason to fit"
        with pytest.raises(ValueError, match="labels: expected one answer for index 3, got "):
            learner.tell([3, 3], [first, second])

    @pytest.mark.parametrize(
        ("plain", "of_numpy"),
        [(1, np.int64(1)), ("a", np.str_("a")), (True, np.True_), ((1, "a"), (np.int8(1), np.str_("a")))],
    )
    def test_a_label_of_numpy_is_the_plain_one(self, plain, of_numpy, tmp_path):
        learner = qr.ActiveLearner(proba, X, journal=tmp_path / "run.db")
        learner.tell([0, 0], [plain, of_numpy])
        learner.tell([0], [of_numpy])
        learner.tell([1], [of_numpy])
        assert len(learner.record) == 2
        assert repr(learner.labels) == repr({0: plain, 1: plain})
        assert learner._campaign.changes == 2

    def test_an_answer_to_what_was_not_asked_has_no_round(self):
        learner = qr.ActiveLearner(proba, X, labels={3: "cat"})
        (answer,) = learner.record
        assert (answer.round, answer.ticket, answer.annotator) == (None, None, None)

    def test_a_batch_of_another_learner_is_refused(self):
        learner = qr.ActiveLearner(proba, X, labels={3: "cat"})
        other = qr.ActiveLearner(proba, X, batch_size=1, score="entropy").ask()
        with pytest.raises(ValueError, match=f"batch: expected one that .* got the ticket '{other.ticket}'"):
            learner.tell(other, ["cow"])
        assert learner.labels == {3: "cat"}

    def test_a_batch_of_another_pool_is_refused_though_the_seed_is_the_same(self):
        first, second = qr.ActiveLearner(proba, X, seed=0), qr.ActiveLearner(proba, X + 1, seed=0)
        batch, other = first.ask(), second.ask()
        assert batch.indices.tolist() == other.indices.tolist()
        with pytest.raises(ValueError, match="batch: expected one that this learner has asked"):
            first.tell(other, ["cow"] * len(other))
        again = qr.ActiveLearner(proba, X, seed=0)
        assert again.ask().ticket == batch.ticket
        assert qr.ActiveLearner(proba, X, seed=1).ask().ticket != batch.ticket

    def test_answers_by_index_are_of_those_who_hold_them(self):
        learner = qr.ActiveLearner(proba, X, batch_size=2)
        ann, bob = learner.ask(annotator="ann"), learner.ask(annotator="bob")
        free = next(index for index in range(len(X)) if index not in {*ann.indices, *bob.indices})
        learner.tell([ann.indices[0], bob.indices[0], free], ["cat", "cow", "dog"])
        expected = {ann.indices[0]: "ann", bob.indices[0]: "bob", free: None}
        assert {each.index: each.annotator for each in learner.record} == expected
        learner.tell([bob.indices[1]], ["cat"], annotator="cid")
        assert learner.record[-1].annotator == "cid"
        learner.tell([bob.indices[1]], ["cow"])
        assert learner.record[-1].annotator == "bob"

    def test_the_same_told_by_batch_and_by_index_is_told_once(self):
        learner = qr.ActiveLearner(proba, X, batch_size=2)
        batch = learner.ask(annotator="ann")
        learner.tell(batch, ["cat", "cow"])
        learner.tell(batch.indices, ["cat", "cow"])
        assert [each.annotator for each in learner.record] == ["ann", "ann"]
        learner.tell(batch.indices, ["cat", "dog"])
        assert [each.label for each in learner.record] == ["cat", "cow", "dog"]


class TestRetrain:
    def test_rounds(self):
        model = CountingNB()
        learner = qr.ActiveLearner(
            model, X, labels={0: "cat", 39: "cow"}, batch_size=3, retrain={"rounds": 3}
        )
        list(learner.run(lambda indices, _: Y[indices]))
        assert model.seen == [2, 11, 20, 29, 38]

    def test_labels(self):
        model = CountingNB()
        learner = qr.ActiveLearner(
            model, X, labels={0: "cat", 39: "cow"}, batch_size=3, retrain={"labels": 10}
        )
        list(learner.run(lambda indices, _: Y[indices]))
        assert model.seen == [2, 14, 26, 38]

    def test_whichever_comes_first(self):
        model = CountingNB()
        retrain = {"labels": 10, "rounds": 2}
        learner = qr.ActiveLearner(model, X, labels={0: "cat", 39: "cow"}, batch_size=3, retrain=retrain)
        list(learner.run(lambda indices, _: Y[indices]))
        assert model.seen == [2, 8, 14, 20, 26, 32, 38, 40][: len(model.seen)]
        assert len(model.seen) == 7

    def test_fit_does_not_wait(self):
        model = CountingNB()
        learner = qr.ActiveLearner(model, X, labels={0: "cat", 39: "cow"}, retrain={"labels": 10})
        learner.ask()
        learner.tell([5], ["cat"])
        learner.fit()
        assert model.seen == [2, 3]

    @pytest.mark.parametrize("retrain", [{}, {"round": 3}, 5, {"rounds": 0}])
    def test_a_wrong_one_is_named(self, retrain):
        with pytest.raises(ValueError, match="retrain"):
            qr.ActiveLearner(proba, X, retrain=retrain)


class TestCallbacks:
    def test_each_step_is_told_before_and_after(self):
        class Log:
            def __init__(self):
                self.steps = []

            def before_ask(self, learner):
                self.steps.append(("before_ask", learner.n_labels))

            def after_ask(self, _learner, batch):
                self.steps.append(("after_ask", len(batch)))

            def before_tell(self, learner, answers):
                self.steps.append(("before_tell", learner.n_labels, sorted(answers.values())))

            def after_tell(self, learner, _answers):
                self.steps.append(("after_tell", learner.n_labels))

            def after_fit(self, learner):
                self.steps.append(("after_fit", learner.n_labels))

            def after_round(self, _learner, round):
                self.steps.append(("after_round", round.number))

        class Rounds:
            def __init__(self):
                self.steps = []

            def after_round(self, _learner, round):
                self.steps.append(round.number)

        log, rounds = Log(), Rounds()
        learner = qr.ActiveLearner(GaussianNB(), X, callbacks=[log, rounds], batch_size=2)
        batch = learner.ask()
        learner.tell(batch, ["cat", "cow"])
        learner.fit()
        assert rounds.steps == [1]
        assert log.steps == [
            ("before_ask", 0),
            ("after_ask", 2),
            ("before_tell", 0, ["cat", "cow"]),
            ("after_tell", 2),
            ("after_round", 1),
            ("after_fit", 2),
        ]

    def test_a_round_that_a_lease_ends_is_told_too(self, clock):
        class Rounds:
            def __init__(self):
                self.ended = []

            def after_round(self, _learner, round):
                self.ended.append((round.number, round.labels))

        rounds = Rounds()
        learner = qr.ActiveLearner(proba, X, callbacks=[rounds], batch_size=2, lease=60)
        learner.tell(learner.ask().indices[:1], ["cat"])
        clock.now = 61.0
        batch = learner.ask()
        assert rounds.ended == [(1, ("cat",))]
        learner.tell(batch, ["cat", "cow"])
        assert rounds.ended == [(1, ("cat",)), (2, ("cat", "cow"))]

    @pytest.mark.parametrize("fails", ["after_tell", "after_round"])
    @pytest.mark.parametrize("again", ["ask", "tell", "run"])
    def test_a_round_is_told_to_each_once_though_one_raises(self, fails, again):
        class Rounds:
            def __init__(self):
                self.told = []

            def after_round(self, _learner, round):
                self.told.append(round.number)

        class Broken:
            is_broken = True

        def broken(self, *_):
            if self.is_broken:
                raise OSError("disk full")

        setattr(Broken, fails, broken)
        before, hook, after = Rounds(), Broken(), Rounds()
        learner = qr.ActiveLearner(proba, X, callbacks=[before, hook, after], batch_size=2)
        with pytest.raises(OSError, match="disk full"):
            learner.tell(learner.ask(), ["cat", "cow"])
        assert learner.n_labels == 2
        assert after.told == []
        hook.is_broken = False
        if again == "ask":
            learner.ask()
        elif again == "tell":
            learner.tell([0], ["cat"])
        else:
            assert list(learner.run(lambda indices, _: Y[indices], stop=qr.stop.MaxLabels(1))) == []
        assert before.told == after.told == [1]
        learner.tell(learner.ask(), ["cat", "cow"])
        assert before.told == after.told == [1, 2]

    def test_one_may_tell_by_itself(self):
        class More:
            told = ()

            def after_round(self, learner, round):
                self.told += (round.number,)
                if round.number < 3:
                    learner.tell(learner.ask(), ["cat", "cow"])

        more = More()
        learner = qr.ActiveLearner(proba, X, callbacks=[more], batch_size=2)
        learner.tell(learner.ask(), ["cat", "cow"])
        assert more.told == (1, 2, 3)

    def test_a_round_that_another_process_ended_is_told_there(self, tmp_path):
        class Rounds:
            def __init__(self):
                self.told = []

            def after_round(self, _learner, round):
                self.told.append(round.number)

        here, there = Rounds(), Rounds()
        learner = qr.ActiveLearner(proba, X, callbacks=[here], batch_size=2, journal=tmp_path / "run.db")
        batch = learner.ask()
        other = qr.ActiveLearner.resume(
            proba, X, callbacks=[there], batch_size=2, journal=tmp_path / "run.db"
        )
        other.tell(batch, ["cat", "cow"])
        learner.tell(learner.ask(), ["cat", "cow"])
        assert (here.told, there.told) == ([2], [1])

    def test_one_that_raises_before_an_answer_keeps_it_out(self):
        class Veto:
            def before_tell(self, _learner, answers):
                if "cow" in answers.values():
                    raise ValueError("no cows")

        learner = qr.ActiveLearner(proba, X, callbacks=[Veto()])
        with pytest.raises(ValueError, match="no cows"):
            learner.tell([0, 1], ["cat", "cow"])
        assert learner.labels == {}

    def test_one_without_a_step_is_named(self):
        class Hook:
            def after_tell(self, _learner, answers):
                raise AssertionError(answers)

        for wrong, got in ((proba, "function"), (Hook, "the class Hook")):
            with pytest.raises(TypeError, match=rf"callbacks\[0\]: expected an object with any.*got {got}"):
                qr.ActiveLearner(proba, X, callbacks=[wrong])

    def test_a_hook_or_a_strategy_cannot_change_what_was_told(self):
        class Hook:
            def before_tell(self, _learner, answers):
                answers.clear()

        def strategy(context):
            with pytest.raises(TypeError, match="does not support item assignment"):
                context.labels[7] = "dog"
            return context.pick("random")

        learner = qr.ActiveLearner(proba, X, callbacks=[Hook()], strategy=strategy, batch_size=2)
        batch = learner.ask()
        learner.tell(batch, ["cat", "cow"])
        assert learner.labels == dict(sorted(zip(batch.indices.tolist(), ["cat", "cow"], strict=True)))
        learner.history.clear()
        assert len(learner.history) == 1


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("stderr", "shown"), [(Terminal(), True), (io.StringIO(), False)])
def test_a_bar_is_for_a_terminal(stderr, shown, monkeypatch):
    monkeypatch.setattr(sys, "stderr", stderr)
    list(qr.ActiveLearner(proba, X, batch_size=20).run(lambda indices, _: Y[indices]))
    assert ("labelling: 100%" in stderr.getvalue()) == shown
    assert ("| 40/40 [" in stderr.getvalue()) == shown


def bars(monkeypatch, stop, oracle=lambda indices, _: Y[indices]):
    """Give what stands at the terminal at each round of a run, and at its end."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)

    def line():
        return terminal.getvalue().rstrip("\r").rsplit("\r", 1)[-1]

    lines = [line() for _ in qr.ActiveLearner(proba, X, batch_size=20).run(oracle, stop=stop)]
    return [*lines, line()]


def test_what_the_loop_prints_has_a_line_of_its_own(monkeypatch):
    first, second, last = bars(monkeypatch, None)
    assert first.strip() == second.strip() == ""
    assert first
    assert "round=2" in last


@pytest.mark.parametrize(
    ("stop", "end"),
    [
        (qr.stop.MaxLabels(30), "| 40/40 ["),  # the last batch brings more
        (qr.stop.MaxRounds(1) | qr.stop.MaxLabels(30), "| 20/30 ["),
        (qr.stop.MaxLabels(30) | (lambda _: True), "| 20/30 ["),
        (qr.stop.MaxLabels(1000) | qr.stop.MaxRounds(1), "| 20/40 ["),  # the pool has no more
        (qr.stop.MaxLabels(10) & qr.stop.MaxLabels(30), "| 40/40 ["),
        (qr.stop.MaxLabels(30) & qr.stop.MaxRounds(1), "labelling: 40 labels ["),
        (lambda _: True, "labelling: 20 labels ["),
    ],
)
def test_a_bar_goes_to_the_labels_at_which_the_run_ends(stop, end, monkeypatch):
    assert end in bars(monkeypatch, stop)[-1]


def test_a_bar_is_drawn_again_while_the_next_round_takes_its_time(monkeypatch):
    monkeypatch.setattr(_progress, "REDRAWN", 0)
    shown = []

    def oracle(indices, _):
        shown.append(sys.stderr.getvalue().rsplit("\r", 1)[-1])
        return Y[indices]

    bars(monkeypatch, None, oracle)
    assert "labelling:  50%" in shown[1]


def test_a_person_who_is_prompted_has_the_terminal_alone(monkeypatch):
    monkeypatch.setattr("builtins.input", lambda _: "1")
    assert bars(monkeypatch, None, qr.oracle.Prompt(["cat", "cow"])) == ["", "", ""]


def test_an_environment_variable_switches_the_bar_off():
    program = (
        "import io, sys, querist as qr\n"
        "sys.stderr = io.StringIO()\n"
        "sys.stderr.isatty = lambda: True\n"
        "list(qr.ActiveLearner(lambda X: X, [[0.5, 0.5]]).run(lambda indices, rows: ['cat']))\n"
        "print(len(sys.stderr.getvalue()))\n"
    )
    printed = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, **switch},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for switch in ({}, {"TQDM_DISABLE": "1"})
    ]
    assert printed[0] != "0\n"
    assert printed[1] == "0\n"


class Leases(RuleBasedStateMachine):
    """Three annotators, a clock, and any order of calls."""

    def __init__(self):
        super().__init__()
        self.learner = qr.ActiveLearner(proba, X, batch_size=4, lease=10, seed=0)
        self.now = 0.0
        self.learner._now = lambda: self.now
        self.held = {}  # annotator: (batch, when it runs out)
        self.given = []
        self.labels = {}
        self.said = {}

    @rule(seconds=st.sampled_from([0.5, 4.0, 11.0]))
    def wait(self, seconds):
        self.now += seconds

    @rule(annotator=st.sampled_from("abc"))
    def ask(self, annotator):
        try:
            batch = self.learner.ask(annotator=annotator)
        except qr.PoolExhausted:
            taken = set(self.labels)
            for batch, end in self.held.values():
                taken |= set(batch.indices.tolist()) if end > self.now else set()
            assert len(taken) == N
            return
        rows = set(batch.indices.tolist())
        assert rows
        assert not rows & set(self.labels)
        before = self.held.get(annotator)
        if before and before[1] > self.now and set(before[0].indices.tolist()) - set(self.labels):
            assert batch.ticket == before[0].ticket
            assert rows == set(before[0].indices.tolist()) - set(self.labels)
        else:
            for other, (held, end) in self.held.items():
                if other != annotator and end > self.now:
                    assert not rows & (set(held.indices.tolist()) - set(self.labels))
            self.held[annotator] = batch, self.now + 10
            self.given.append(batch)

    @rule(data=st.data(), annotator=st.sampled_from("abc"))
    def answer_perhaps_late(self, data, annotator):
        if self.given:
            batch = data.draw(st.sampled_from(self.given))
            rows = data.draw(st.lists(st.sampled_from(batch.indices.tolist()), unique=True))
            label = data.draw(st.sampled_from(["cat", "cow"]))
            self.learner.tell(rows, [label] * len(rows), annotator=annotator)
            for row in rows:
                if self.said.get((row, annotator)) != label:  # else a repetition
                    self.said[row, annotator] = self.labels[row] = label

    @invariant()
    def nothing_is_lost(self):
        assert self.learner.labels == self.labels
        replayed = {answer.index: answer.label for answer in self.learner.record}
        assert replayed == self.labels
        assert self.learner.n_available == N - len(self.labels)


TestLeasesInAnyOrder = Leases.TestCase
TestLeasesInAnyOrder.settings = settings(max_examples=50, deadline=None)
