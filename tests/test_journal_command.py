"""`querist journal`: what it prints, and what it says of a file that is no good."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import sqlite3
import sys
import tempfile
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import querist as qr
from querist import _cli


def command(*arguments):
    return _cli.main(["journal", *map(str, arguments)])


@pytest.fixture
def learner(tmp_path):
    pool = np.random.default_rng(0).dirichlet(np.ones(3), size=20)
    learner = qr.ActiveLearner(
        lambda X: X, pool, journal=tmp_path / "run.db", batch_size=3, seed=4, labels={0: "a,b"}
    )
    batch = learner.ask(annotator="ann")
    learner.tell(batch, [1, qr.ABSTAIN, ("x", 2.5)])
    learner.tell(batch.indices[:1], [True], annotator="bob")
    learner.ask()
    return learner


def test_export_is_the_record(learner, capsys):
    assert command("export", learner._ledger._journal.path) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert list(rows[0]) == ["index", "label", "annotator", "time", "round", "ticket"]
    assert [row["label"] for row in rows] == ["a,b", "1", "", '["x", 2.5]', "true"]
    assert [row["annotator"] for row in rows] == ["", "ann", "ann", "ann", "bob"]
    assert [row["round"] for row in rows] == ["", "1", "1", "1", "1"]
    for row, answer in zip(rows, learner.record, strict=True):
        assert int(row["index"]) == answer.index
        assert row["ticket"] == (answer.ticket or "")
        assert datetime.fromisoformat(row["time"]).timestamp() == pytest.approx(answer.time, abs=1e-3)


def test_labels_are_the_answers_that_hold(learner, capsys):
    first = next(iter(learner.labels))
    learner.tell([first], ["revised"], annotator="cat")
    learner.tell([first], [qr.ABSTAIN], annotator="dora")  # which takes no label back
    assert command("export", "--labels", learner._ledger._journal.path) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert list(rows[0]) == ["index", "label", "annotator", "time", "round", "ticket"]
    written = {label if isinstance(label, str) else json.dumps(label) for label in learner.labels.values()}
    assert {row["label"] for row in rows} == written == {"revised", "true", '["x", 2.5]'}
    assert [int(row["index"]) for row in rows] == list(learner.labels)
    assert [row["annotator"] for row in rows] == ["cat", "ann", "bob"]


def test_the_help_of_export_says_what_is_a_training_set(capsys):
    with pytest.raises(SystemExit):
        command("export", "--help")
    assert "a training set" in " ".join(capsys.readouterr().out.split())


def test_export_keeps_line_breaks_and_tells_an_empty_text_from_an_abstention(tmp_path, capsys):
    labels = ["a\rb", "a\nb", "a\r\nb", "", qr.ABSTAIN]
    with qr.ActiveLearner(lambda X: X, np.full((5, 2), 0.5), journal=tmp_path / "run.db") as learner:
        learner.tell(range(5), labels, annotator="x\ry")
    assert command("export", tmp_path / "run.db") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out, newline="")))
    assert [row["label"] for row in rows] == [*labels[:3], '""', ""]
    assert {row["annotator"] for row in rows} == {"x\ry"}


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_text_that_cannot_be_written_is_exported_as_json(tmp_path, monkeypatch, encoding):
    texts = ["caf\u00e9", "\ud800", "\u0142\udfff,", '"']
    path = tmp_path / "run.db"
    with qr.ActiveLearner(
        lambda rows: np.full((len(rows), 2), 0.5), np.zeros((9, 1)), journal=path
    ) as learner:
        for row, text in enumerate(texts):
            learner.tell([row], [text], annotator=text)
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding=encoding, write_through=True))
    assert command("export", path) == 0
    rows = list(csv.DictReader(io.StringIO(written.getvalue().decode(encoding))))
    for column in ("label", "annotator"):
        assert [row[column] for row in rows] == [texts[0], '"\\ud800"', '"\\u0142\\udfff,"', '"']
    assert [json.loads(row["label"]) for row in rows[1:3]] == texts[1:3]


def test_show_tells_the_settings_and_the_state(learner, capsys):
    assert command("show", learner._ledger._journal.path) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert (lines["querist"], lines["seed"], lines["score"]) == (qr.__version__, "4", "margin")
    assert (lines["answers"], lines["labels"], lines["abstentions"]) == ("5", "3", "1")
    assert (lines["rounds"], lines["open"].split()) == ("1", ["batches", "1"])


def test_verify_reads_it_all(learner, capsys):
    path = learner._ledger._journal.path
    assert command("verify", path) == 0
    assert capsys.readouterr().out == f"{path}: good, 8 events, 3 labels\n"
    learner.close()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE event SET body = replace(body, 'x', 'y') WHERE number = 5")
    connection.commit()
    connection.close()
    for action in ("verify", "show", "export"):
        assert command(action, path) == 1
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err == f"journal {path}: event 5 is damaged: its seal is broken\n"


def test_verify_looks_at_every_page(learner, capsys):
    path = learner._ledger._journal.path
    learner.tell([5], ["label" * 5000])
    learner.close()
    content = bytearray(path.read_bytes())
    content[100:108] = bytes(8)  # the header of the page that lists the tables
    path.write_bytes(content)
    assert command("verify", path) == 1
    assert capsys.readouterr().err.startswith(f"journal {path}: ")


def test_verify_finds_damage_that_no_reader_meets(learner, capsys):
    path = learner._ledger._journal.path
    learner.close()
    content = bytearray(path.read_bytes())
    content[36:40] = (7).to_bytes(4, "big")  # the number of free pages
    path.write_bytes(content)
    assert command("show", path) == 0
    capsys.readouterr()
    assert command("verify", path) == 1
    assert capsys.readouterr().err.startswith(f"journal {path}: damaged: ")


def test_a_missing_file_is_named(tmp_path, capsys):
    assert command("verify", tmp_path / "no.db") == 1
    assert capsys.readouterr().err == f"journal {tmp_path / 'no.db'}: there is no such file\n"
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_action_is_named(capsys):
    with pytest.raises(SystemExit):
        command("repair", "run.db")
    assert "invalid choice: 'repair'" in capsys.readouterr().err


@contextmanager
def no_rights_but(mode, directory):
    """Be a user to whom the modes of files mean something, as they do not to root."""
    os.chmod(directory, mode)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)
        os.chmod(directory, 0o755)


@pytest.fixture
def copied(learner):
    """A directory that others may look into, as they may not into pytest's."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        yield Path(directory)


def copy(learner, directory, *suffixes):
    for suffix in suffixes:
        source = Path(f"{learner._ledger._journal.path}{suffix}")
        shutil.copy(source, directory)
        os.chmod(directory / source.name, 0o444)
    return directory / "run.db"


posix = pytest.mark.skipif(sys.platform == "win32", reason="modes of files are POSIX")


@posix
@pytest.mark.parametrize("action", ["verify", "show", "export"])
@pytest.mark.parametrize("is_open", [True, False])
def test_what_may_not_be_written_is_read(learner, copied, is_open, action, capsys):
    assert command(action, learner._ledger._journal.path) == 0
    expected = capsys.readouterr().out
    suffixes = ["", "-wal", "-shm"] if is_open else [""]
    if not is_open:
        learner.close()
    path = copy(learner, copied, *suffixes)
    before = {file.name: file.read_bytes() for file in copied.iterdir()}
    with no_rights_but(0o555, copied):
        assert command(action, path) == 0
        printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out == expected.replace(str(learner._ledger._journal.path), str(path))
    assert {file.name: file.read_bytes() for file in copied.iterdir()} == before


@posix
def test_a_look_leaves_nothing_behind(learner, tmp_path, capsys):
    path = learner._ledger._journal.path
    learner.close()
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "run.db").symlink_to(path)
    for each in (path, tmp_path / "link" / "run.db"):
        assert command("verify", each) == 0
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["link", "run.db", "run.db"]


@posix
def test_a_missing_right_is_named(learner, copied, capsys):
    path = copy(learner, copied, "", "-wal")
    with no_rights_but(0o555, copied):
        assert command("verify", path) == 1
    assert capsys.readouterr().err.endswith(
        f": this user may not write files in {copied}; allow it, or copy the journal, with the -wal beside "
        "it if there is one, to a directory of your own\n"
    )
    assert command("verify", path) == 0
    os.chmod(path, 0)
    with no_rights_but(0o555, copied):
        assert command("verify", path) == 1
    assert f": this user may not read {path}; allow it" in capsys.readouterr().err
    for file in copied.iterdir():
        file.unlink()
    learner.close()
    path = copy(learner, copied, "")
    with (
        no_rights_but(0o555, copied),
        pytest.raises(qr.JournalError, match=f"may not write {path}; allow it"),
    ):
        qr.ActiveLearner.resume(lambda X: X, np.ones((20, 3)), journal=path)


def test_what_is_in_the_way_is_no_missing_right(learner, tmp_path, capsys):
    path = learner._ledger._journal.path
    learner.close()
    (tmp_path / "run.db-wal").mkdir()
    assert command("verify", path) == 1
    assert capsys.readouterr().err == f"journal {path}: unable to open database file\n"


def test_a_copy_without_its_log_is_told_from_another_file(learner, copied, capsys):
    path = copy(learner, copied, "")
    assert command("verify", path) == 1
    assert "or a copy of one that was open, without run.db-wal, which has its events; copy both files" in (
        capsys.readouterr().err
    )
    shutil.copy(f"{learner._ledger._journal.path}-wal", copied)
    assert command("verify", path) == 0
    empty = copied / "empty.db"
    empty.touch()
    assert command("verify", empty) == 1
    assert f"journal {empty}: no campaign was begun in it" in capsys.readouterr().err
