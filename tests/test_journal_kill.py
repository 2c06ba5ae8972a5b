"""A process that is killed at any moment has lost no label that `tell` took, and its run goes on."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
from contextlib import suppress

import numpy as np
import pytest
import querist as qr

KILLS = 200

# Each line that comes out was acknowledged before it was written. A child goes on with the campaign
# where the one before it was killed, so starts, leases, partial answers and revisions are all cut through.
SOURCE = """
    import os, sys
    import numpy as np
    import querist as qr

    def model(rows):
        return rows

    def report(line):
        os.write(1, line.encode())

    def label_on(path, X):
        learner = qr.ActiveLearner.resume(model, X, journal=path, batch_size=6)
        report("ready\\n")
        while True:
            batch = learner.ask()
            report(f"asked {batch.ticket}\\n")
            for index in batch.indices.tolist():
                label = f"{index} first" if index % 3 == 0 else index
                learner.tell([index], [label])
                report(f"told {index} {label!r}\\n")
                if index % 5 == 0:
                    learner.tell([index], [(index, "revised")])
                    report(f"told {index} {(index, 'revised')!r}\\n")

    X = np.load(sys.argv[1] + ".npy")
    for line in sys.stdin:  # a fork for each kill: the interpreter is started once
        pid = os.fork()
        if pid == 0:
            try:
                label_on(sys.argv[1], X)
            finally:
                os._exit(1)
        report(f"child {pid}\\n")
        _, status = os.waitpid(pid, 0)
        report(f"dead {os.waitstatus_to_exitcode(status)}\\n")
"""


def model(rows):
    return rows


def labelled_until_killed(parent, chance, told):
    """Let a child label, and kill it some lines and a moment later; give the tickets that it was given."""
    print("go", file=parent.stdin, flush=True)
    left, pid, asked = chance.randrange(12), None, []
    for line in parent.stdout:
        word, _, rest = line.rstrip("\n").partition(" ")
        if word == "child":
            pid = int(rest)
        elif word == "told":
            index, _, label = rest.partition(" ")
            told[int(index)] = label
        elif word == "asked":
            asked.append(rest)
        elif word == "dead":
            assert int(rest) == -signal.SIGKILL, "it did not fail by itself"
            return asked
        left -= 1
        if left <= 0 and pid is not None:
            for _ in range(chance.randrange(20_000)):  # so that the kill falls anywhere within a tell
                pass
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    raise AssertionError("the parent ended")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_no_acknowledged_label_is_lost(tmp_path):
    path = tmp_path / "run.db"
    X = np.random.default_rng(0).dirichlet(np.ones(3), size=3000)
    np.save(f"{path}.npy", X)
    qr.ActiveLearner(model, X, journal=path, batch_size=6, seed=0).close()
    parent = subprocess.Popen(
        [sys.executable, "-P", "-c", textwrap.dedent(SOURCE), str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    chance, told, asked = random.Random(7), {}, []
    try:
        for kill in range(KILLS):
            asked += labelled_until_killed(parent, chance, told)
            if kill % 10 and kill != KILLS - 1:
                continue
            again = qr.ActiveLearner.resume(model, X, journal=path, batch_size=6)
            for index, label in told.items():
                # A revision may be there though no one was told so: never another value.
                assert repr(again.labels[index]) in (label, repr((index, "revised")))
            again.close()
    finally:
        parent.stdin.close()
        parent.stdout.close()
        parent.wait(60)
    assert len(told) > KILLS

    # The run that was never killed asks the same, from the first batch to the next.
    again = qr.ActiveLearner.resume(model, X, journal=path, batch_size=6)
    whole = qr.ActiveLearner(model, X, batch_size=6, seed=0)
    tickets = []
    for answer in again.record:
        if not tickets or tickets[-1] != answer.ticket:
            batch = whole.ask()
            tickets.append(batch.ticket)
            assert batch.ticket == answer.ticket
        whole.tell([answer.index], [answer.label])
    assert again.ask().ticket == whole.ask().ticket
    assert again.ask().indices.tolist() == whole.ask().indices.tolist()
    assert list(dict.fromkeys(asked)) == [*tickets, again.ask().ticket][: len(dict.fromkeys(asked))]
