"""Whatever reads text or bytes: any of them give the right answer or the documented error, nothing else."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import sqlite3
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
import querist as qr
from hypothesis import example, given, settings
from hypothesis import strategies as st
from querist import _cli
from querist._event_text import event_of, event_text
from querist._events import Asked, Fitted, Released, Seen, Told
from querist._journal import Journal, _sealed
from querist._journal_command import journal_command
from querist._reasons import Reasons
from querist._simulate_command import load

few = settings(max_examples=150, deadline=None, derandomize=True, database=None)

# What breaks parsers: marks of the formats, numbers out of range, what nests too deep, what is too long.
MARKS = (
    b"\" ' , ; \t \n \r \r\n \0 { } [ \xff \xef\xbb\xbf null NaN -1 1e999 ticket index label abstain".split(
        b" "
    )
)
LONG = [b"9" * 25, b"9" * 5000, b"[" * 100_000, b'{"a":' * 100_000, b"x" * 200_000, "ж€".encode("utf-16")]
HARD = st.sampled_from([*MARKS, *LONG])
PIECES = HARD | st.binary(max_size=20) | st.text(max_size=20).map(str.encode)


@contextlib.contextmanager
def allowed(error, message):
    """Let this error pass if its message says so; give a list that holds it then."""
    caught = []
    try:
        yield caught
    except error as one:
        caught.append(one)
    assert all(message in str(one) for one in caught), caught


@st.composite
def damaged(draw, content):
    """Give content in which some pieces are exchanged for others, cut out, or put in."""
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.sampled_from([0, 1, 5, 100_000])))
        content = content[:start] + draw(PIECES) + content[end:]
    return content


CLASSES = ("cat", "a dog", 7)


@pytest.fixture(scope="module", params=["csv", "jsonl"])
def exchanged(request, tmp_path_factory):
    """A batch that went out, and the file to be filled in."""
    exchange = qr.oracle.FileExchange(
        tmp_path_factory.mktemp("out"), CLASSES, format=request.param, show=lambda i: {"text": f"№ {i}"}
    )
    batch = qr.ActiveLearner(lambda X: [[0.5, 0.5]] * len(X), list(range(9)), batch_size=4, seed=0).ask()
    return exchange, batch, exchange.export(batch)


class TestAnswers:
    @few
    @given(labels=st.lists(st.sampled_from(["cat", " a dog", "7", "", "Abstain"]) | st.text(), max_size=4))
    def test_any_text_is_a_label_or_named(self, exchanged, labels):
        exchange, batch, path = exchanged
        rows = [
            {"ticket": batch.ticket, "index": index, "label": label}
            for index, label in zip(batch.indices.tolist(), labels, strict=False)
        ]
        with open(path, "w", encoding="utf-8", newline="") as file:
            if path.suffix == ".jsonl":
                file.writelines(json.dumps(row) + "\n" for row in rows or [{"": 0}][:0])
            else:
                table = csv.DictWriter(file, ["ticket", "index", "label"])
                table.writeheader()
                table.writerows(rows)
        known = {"cat": "cat", "a dog": "a dog", "7": 7, "abstain": qr.ABSTAIN}
        texts = {row["index"]: row["label"].strip() for row in rows}
        meant = {
            index: re.sub(r"^7\.0+$", "7", text).casefold() for index, text in texts.items() if text != ""
        }
        wrong = [text for text in meant.values() if text not in known]
        is_wrong = wrong or (not rows and path.suffix == ".jsonl")
        with pytest.warns(UserWarning, match="expected") if is_wrong else contextlib.nullcontext():
            part, got = exchange.answers(batch)
        expected = {index: known[text] for index, text in meant.items() if text in known}
        assert dict(zip(part.indices.tolist(), got, strict=True)) == expected

    @few
    @given(data=st.data())
    def test_any_bytes_are_answers_or_a_warning_that_names_the_file(self, exchanged, data):
        exchange, batch, path = exchanged
        asked = path.with_name(f"{batch.ticket}.asked{path.suffix}").read_bytes()
        valid = (
            asked.replace(b"null}", b'"cat"}')
            if path.suffix == ".jsonl"
            else asked.replace(b",\n", b",cat\n")
        )
        path.write_bytes(data.draw(damaged(valid) | st.binary() | HARD))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            part, labels = exchange.answers(batch)
            assert set(part.indices.tolist()) <= set(batch.indices.tolist())
            assert all(label in CLASSES or label is qr.ABSTAIN for label in labels)
        assert all(str(path) in str(each.message) for each in caught)


EVENTS = [
    Asked(
        time=1.0,
        number=1,
        batch=qr.Batch(
            np.array([3, 1]),
            np.array([0.5, np.nan], np.float32),
            "ticket",
            annotator=("a", 1),
            why=Reasons(({"rank": 0, "score": 0.5, "predicted": "cat"}, {"rank": 1})),
        ),
        expires=9.0,
        score_seconds=0.1,
        uncertainty=float("inf"),
        predicted_shares={"cat": 0.75, ("dog", True): 0.25},
        predictions=None,
    ),
    Told(2.0, {3: "cat", 1: qr.ABSTAIN}, None, "ticket"),
    Released(3.0, "ticket"),
    Fitted(4.0, 0.5, {"accuracy": float("nan")}, Seen(2, 1, 1, 1)),
    Fitted(4.0, 0.5, {}, None),
]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(
        [2**63, 2**64, "f4", "O", "V", "S5", "M8[s]", "f4,f4", ",", "(2,)f4", "nan", "cat", [1, []]]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["float", "rank", "predicted", ""]), inner, max_size=2)
    ),
    max_leaves=6,
)


@st.composite
def events(draw):
    """Give the kind and the text of an event: one of another shape, or of no shape."""
    kind, text = event_text(draw(st.sampled_from(EVENTS)))
    body = json.loads(text)
    for _ in range(draw(st.integers(0, 2))):
        name = draw(st.sampled_from([*body, ""]))
        body[name] = draw(VALUES)
        if draw(st.booleans()):
            del body[name]
            break
    text = json.dumps(body)
    if draw(st.booleans()):
        text = draw(damaged(text.encode())).decode(errors="replace")
    return draw(st.sampled_from([kind, kind, kind, "told", ""])), text


@pytest.fixture(scope="module")
def begun():
    """The bytes of a journal in which a campaign has begun, and its last seal."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "run.db")
        with qr.ActiveLearner(lambda X: [[0.5, 0.5]] * len(X), list(range(9)), journal=path, seed=0):
            pass
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA journal_mode=DELETE").fetchall()
        (seal,) = connection.execute("SELECT seal FROM event WHERE number = 1").fetchone()
        connection.close()
        return path.read_bytes(), seal


class TestJournal:
    @pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
    def test_an_event_comes_back(self, event):
        assert event_text(event_of(event.time, *event_text(event))) == event_text(event)

    @few
    @given(event=events())
    @example(event=("told", "[" * 100_000))
    @example(event=("asked", event_text(EVENTS[0])[1].replace("[3,1]", f"[{2**64},1]")))
    def test_any_event_under_a_right_seal_is_read_or_damaged(self, begun, event):
        content, seal = begun
        kind, text = event
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "run.db")
            path.write_bytes(content)
            connection = sqlite3.connect(path)
            row = (2, 1.0, kind, text, _sealed(seal, 2, 1.0, kind, text))
            connection.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?)", row)
            connection.commit()
            connection.close()
            journal = Journal.opened(path)
            with contextlib.closing(journal), allowed(qr.JournalError, "event 2 is damaged"):
                read = []
                journal.news(read.append)
                assert [event_text(one)[0] for one in read] == [kind]

    @few
    @given(data=st.data())
    def test_any_file_is_a_journal_or_an_error(self, begun, data):
        content, _ = begun
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "run.db")
            path.write_bytes(data.draw(damaged(content) | st.binary() | HARD))
            for action in ("verify", "show", "export"):
                with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                    assert _cli.main(["journal", action, str(path)]) in (0, 1)


WORDS = [
    "info",
    "demo",
    "journal",
    "verify",
    "show",
    "simulate",
    "iris",
    "forest",
    "0",
    "-1",
    "1e999",
    "/",
    "%s",
]
OPTIONS = [
    "-h",
    "--help",
    "--",
    "-",
    "--png",
    "--csv",
    "--quick",
    "--seeds",
    "--seeds=3",
    "--growth",
    "--strategies",
]
ODD = ["", "\0", "a\0/b", "\ud800", "9" * 5000, "x" * 5000 + "/y"]


@few
@example(arguments=["demo", "--png", "x" * 5000 + "/y"])
@given(arguments=st.lists(st.sampled_from(WORDS + OPTIONS + ODD) | st.text(max_size=8), max_size=6))
def test_any_arguments_are_understood_or_refused(arguments):
    silent = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
    with silent[0] as told, silent[1], allowed(SystemExit, "") as refused:
        understood = _cli._parser().parse_args(arguments)
        assert understood.command in ("info", "demo", "journal", "simulate")
        if understood.command == "journal":
            assert journal_command(understood) == 1, "there is no such file"
    if refused:
        assert refused[0].code == (0 if told.getvalue() else 2), "help, or what is wrong"


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


@few
@given(data=st.data())
@pytest.mark.parametrize(
    ("suffix", "valid"),
    [
        (".csv", b'a,b,y\n1,2.5,cat\n-3,4e1,"a dog"\n'),
        (".npz", npz(X=np.eye(2), y=np.array(["cat", "dog"]))),
        (".npz", npz(X=np.eye(2), y=np.array(["cat", None], object))),
    ],
    ids=["csv", "npz", "npz of objects"],
)
def test_any_data_for_a_simulation_are_read_or_refused(suffix, valid, data):
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, f"data{suffix}")
        path.write_bytes(data.draw(damaged(valid) | st.binary() | HARD))
        with contextlib.suppress(OSError, ValueError):
            X, y = load(str(path), None)
            assert isinstance(X, np.ndarray)
            assert isinstance(y, np.ndarray)
