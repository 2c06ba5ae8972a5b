"""Oracles: labels that are known, a person at a real terminal, and files that go out and come back."""

from __future__ import annotations

import csv
import json
import os
import select
import subprocess
import sys
import time
from datetime import date
from textwrap import dedent

import numpy as np
import pandas as pd
import pytest
import querist as qr
from querist import oracle
from scipy import sparse

POOL = np.linspace(0.5, 0.95, 10)


def a_learner(**arguments):
    """A learner over ten rows, whose first batch of four is 0, 1, 2, 3."""
    return qr.ActiveLearner(lambda X: np.stack([X, 1 - X], axis=1), POOL, batch_size=4, **arguments)


@pytest.mark.parametrize(
    "y", [["a", "b", "c"], np.array(["a", "b", "c"]), pd.Series(["a", "b", "c"], index=[2, 1, 0])]
)
def test_known_labels_are_given_by_position(y):
    assert oracle.Known(y)(np.array([2, 0]), None) == ["c", "a"]


def test_known_labels_may_be_a_mapping_and_lack_some():
    known = oracle.Known({7: "cat", 2: "dog"})
    assert known(np.array([2, 7]), None) == ["dog", "cat"]
    with pytest.raises(ValueError, match="Known: expected a label for row 3, got none"):
        known(np.array([3]), None)
    with pytest.raises(ValueError, match="Known: expected a label for row 3, got none"):
        oracle.Known(["cat"] * 3)(np.array([3]), None)


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_known_labels_are_one_column(kind):
    frame = pytest.importorskip(kind).DataFrame({"label": ["cat", "dog"]})
    with pytest.raises(
        TypeError, match=r'y: expected one column .* DataFrame; pass a column, as frame\["label"'
    ):
        oracle.Known(frame)
    assert oracle.Known(frame["label"])(np.array([1]), None) == ["dog"]


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_answers_are_one_column(kind):
    frame = pytest.importorskip(kind).DataFrame({"label": ["cat", "dog"], "by": ["ann", "bob"]})
    learner = qr.ActiveLearner(lambda X: [[0.5, 0.5]] * len(X), TEXTS, batch_size=2)
    batch = learner.ask()
    for tell in (lambda: learner.tell(batch, frame), lambda: next(learner.run(lambda *_: frame))):
        with pytest.raises(
            TypeError, match=r'labels: expected one column .*; pass a column, as frame\["label'
        ):
            tell()
    assert learner.labels == {}
    learner.tell(batch, frame["label"])
    assert list(learner.labels.values()) == ["cat", "dog"]


def test_known_times_are_no_numbers():
    learner = qr.ActiveLearner(lambda X: [[0.5, 0.5]] * len(X), TEXTS)
    with pytest.raises(TypeError, match=r"labels\[0\]: expected a time that Python can hold"):
        next(learner.run(oracle.Known(np.zeros(len(TEXTS), "datetime64[ns]"))))
    next(learner.run(oracle.Known(np.zeros(len(TEXTS), "datetime64[D]"))))
    assert set(learner.labels.values()) == {date(1970, 1, 1)}


def test_a_missing_value_of_pandas_is_no_label():
    learner = qr.ActiveLearner(lambda X: [[0.5, 0.5]] * len(X), TEXTS)
    with pytest.raises(ValueError, match=r"labels\[1\]: expected a label or querist.ABSTAIN, got <NA>"):
        list(learner.run(oracle.Known(pd.array([1, None, *[1] * 8])[: len(TEXTS)])))
    assert learner.labels == {}


@pytest.mark.parametrize("given", [np.arange(4), {0: "cat"}])
def test_a_run_is_refused_before_it_begins_without_a_function(tmp_path, given):
    learner = qr.ActiveLearner(lambda X: [[0.5, 0.5]] * len(X), TEXTS)
    for wrong in (given, an_exchange(tmp_path)):
        with pytest.raises(TypeError, match=f"oracle: expected .* {type(wrong).__name__}; wrap known labels"):
            learner.run(wrong)
    for wrong in (5, qr.stop.MaxLabels):
        with pytest.raises(TypeError, match=f"stop: expected a function of the rounds so far, got {wrong!r}"):
            learner.run(oracle.Known(TEXTS), stop=wrong)


def test_known_labels_may_be_anything_and_abstain():
    known = oracle.Known([("a", 1), qr.ABSTAIN, 3])
    learner = qr.ActiveLearner(lambda X: X, [[0.5, 0.5]] * 3)
    list(learner.run(known))
    assert learner.labels == {0: ("a", 1), 2: 3}


# The terminal


def dialogue(monkeypatch, capsys, prompt, typed, *, indices=(7, 5, 3), rows="xyz"):
    """Type lines, then the end of input or an exception; give the answers and what was printed."""
    lines = iter(typed)

    def fake_input(question):
        print(question)
        line = next(lines, EOFError)
        if isinstance(line, str):
            return line
        raise line

    monkeypatch.setattr("builtins.input", fake_input)
    answers = []
    ending = None
    try:
        for index, label in prompt(np.array(indices), rows):
            answers.append((index, label))
    except (KeyboardInterrupt, Exception) as error:
        ending = type(error)
    return answers, ending, capsys.readouterr().out


def test_a_prompt_asks_about_each_item(monkeypatch, capsys):
    prompt = oracle.Prompt(["cat", "dog"], show=lambda index: f"picture {index}")
    answers, ending, printed = dialogue(monkeypatch, capsys, prompt, ["2", " 1 ", "s"])
    assert answers == [(7, "dog"), (5, "cat"), (3, qr.ABSTAIN)]
    assert ending is None
    assert printed.splitlines() == [
        "picture 7",
        "[1/3]  1 cat  2 dog  s skip  u undo  q quit > ",
        "picture 5",
        "[2/3]  1 cat  2 dog  s skip  u undo  q quit > ",
        "picture 3",
        "[3/3]  1 cat  2 dog  s skip  u undo  q quit > ",
    ]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["1", "u", "2", "1", "1"], [(7, "dog"), (5, "cat"), (3, "cat")]),
        (["1", "u", "s", "1", "1"], [(7, qr.ABSTAIN), (5, "cat"), (3, "cat")]),
        (["u", "1", "1", "1"], [(7, "cat"), (5, "cat"), (3, "cat")]),
        (["1", "2", "u", "u", "1", "1"], [(7, "cat"), (5, "cat"), (3, "cat")]),  # one step and no more
        (["1", "u", "q"], []),
        (["1", "q"], [(7, "cat")]),
        (["q"], []),
        (["1", "2"], [(7, "cat"), (5, "dog")]),  # and the end of input
        (["", "3", "cat", "1", "1", "1"], [(7, "cat"), (5, "cat"), (3, "cat")]),
    ],
)
def test_undo_quit_and_wrong_keys(monkeypatch, capsys, typed, expected):
    answers, ending, _ = dialogue(monkeypatch, capsys, oracle.Prompt(["cat", "dog"]), typed)
    assert answers == expected
    assert ending is None


def test_a_prompt_says_what_it_did_not_understand(monkeypatch, capsys):
    printed = dialogue(monkeypatch, capsys, oracle.Prompt(["cat", "dog"]), ["3", "u", "q"])[2]
    assert "expected one of the keys, got '3'\n" in printed
    assert "there is no answer to take back\n" in printed


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_interrupt_gives_away_the_answers_first(monkeypatch, capsys, error):
    prompt = oracle.Prompt(["cat", "dog"])
    answers, ending, _ = dialogue(monkeypatch, capsys, prompt, ["1", "2", error])
    assert answers == [(7, "cat"), (5, "dog")]
    assert ending is error


def test_an_item_that_cannot_be_shown_loses_no_answer(monkeypatch, capsys):
    prompt = oracle.Prompt(["cat", "dog"], show={7: "picture"}.__getitem__)
    answers, ending, _ = dialogue(monkeypatch, capsys, prompt, ["1"])
    assert answers == [(7, "cat")]
    assert ending is KeyError


def test_an_answer_is_given_away_when_the_next_is_there(monkeypatch):
    typed = []
    monkeypatch.setattr("builtins.input", lambda _: typed.append("1") or "1")
    answers = oracle.Prompt(["cat", "dog"])([7, 5, 3], "xyz")
    assert [(next(answers), len(typed)) for _ in range(3)] == [
        ((7, "cat"), 2),
        ((5, "cat"), 3),
        ((3, "cat"), 3),
    ]


@pytest.mark.parametrize(
    ("classes", "choices"),
    [
        ([0, 1, 2], "0  1  2"),
        (["y", "n"], "y  n"),
        ([1, 10, 100], "1  2 10  3 100"),
        (["cat", "d"], "1 cat  2 d"),
        (["s", "x"], "1 s  2 x"),
        ([1, "1"], "1  2 1"),
        ({"c": "cat", "d": "dog", "w": "dog"}, "c cat  d dog  w dog"),
        ({"c": "cat", "x": qr.ABSTAIN}, "c cat  x abstain"),
    ],
)
def test_classes_have_keys(monkeypatch, capsys, classes, choices):
    printed = dialogue(monkeypatch, capsys, oracle.Prompt(classes), ["q"])[2]
    assert printed.splitlines()[1] == f"[1/3]  {choices}  s skip  u undo  q quit > "


def test_a_class_with_blanks_around_it_can_be_chosen(monkeypatch, capsys):
    assert dialogue(monkeypatch, capsys, oracle.Prompt([" a", "b"]), ["a", " a", "q"])[0] == [
        (7, " a"),
        (5, " a"),
    ]


@pytest.mark.parametrize("kind", [np.array, iter, tuple])
def test_classes_may_be_any_labels_to_go_over(monkeypatch, capsys, kind):
    told = dialogue(monkeypatch, capsys, oracle.Prompt(kind(["cat", "dog"])), ["2", "q"])[0]
    assert told == [(7, "dog")]
    assert type(told[0][1]) is str


@pytest.mark.parametrize("classes", ["cat", 2, None])
def test_classes_that_are_no_labels_are_an_error(classes):
    with pytest.raises(TypeError, match="classes: expected labels, or a mapping of key to label, got"):
        oracle.Prompt(classes)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([], "expected at least one, got none"),
        (np.array([]), "expected at least one, got none"),
        ({1: "one"}, "expected a key to type .* got 1"),
        ({"s": "sloth"}, "not s, u or q, got 's'"),
        ({"": "nothing"}, "got ''"),
        ({" a": "cat"}, "got ' a'"),
    ],
)
def test_classes_that_cannot_be_chosen_are_an_error(classes, message):
    with pytest.raises(ValueError, match=message):
        oracle.Prompt(classes)


@pytest.mark.parametrize(
    "rows",
    [
        np.array([[1, 2], [3, 4], [5, 6]]),
        pd.DataFrame({"a": [1, 3, 5], "b": [2, 4, 6]}, index=[9, 8, 7]),
        sparse.csr_array([[1, 2], [3, 4], [5, 6]]),
        [[1, 2], [3, 4], [5, 6]],
    ],
)
def test_the_row_is_shown_unless_told_otherwise(monkeypatch, capsys, rows):
    printed = dialogue(monkeypatch, capsys, oracle.Prompt([0, 1]), ["0", "0", "0"], rows=rows)[2]
    first, second, third = printed.split("q quit > ")[:3]
    assert "1" in first.replace("[1/3]", "").split("  0  1")[0]
    assert "3" in second.replace("[2/3]", "").split("  0  1")[0]
    assert "5" in third.replace("[3/3]", "").split("  0  1")[0]


PERSON = """
    import os
    import sys

    os.login_tty(os.dup(0))  # so that Ctrl-C on the terminal is a signal to this process
    import numpy as np
    import querist as qr

    pool = np.linspace(0.5, 0.95, 10)
    learner = qr.ActiveLearner(lambda X: np.stack([X, 1 - X], axis=1), pool, batch_size=4)
    prompt = qr.oracle.Prompt(["cat", "dog"], show=lambda index: f"item {index}")
    try:
        list(learner.run(prompt, stop=qr.stop.MaxRounds(1)))
    finally:
        print("told", learner.labels, "open", learner.ask().indices.tolist())
"""


class Terminal:
    """A pseudo-terminal with PERSON's program at its other end."""

    def __init__(self):
        self._mine, its = os.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", dedent(PERSON)], stdin=its, stdout=its, stderr=its
        )
        os.close(its)
        self.seen = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        os.close(self._mine)

    def wait_for(self, text, again=""):
        """Read until the program has written the text; type `again` if it is silent for long."""
        end = time.monotonic() + 60
        while text not in self.seen:
            assert time.monotonic() < end, f"expected {text!r}, got {self.seen!r}"
            ready, _, _ = select.select([self._mine], [], [], 5)
            if ready:
                self.seen += os.read(self._mine, 4096).decode()
            else:
                self.type(again)
        self.seen = self.seen.partition(text)[2]

    def type(self, keys):
        os.write(self._mine, keys.encode())

    def exit_code(self):
        return self._process.wait(60)


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are of Unix")
@pytest.mark.parametrize(
    ("keys", "told", "code"),
    [
        (["1\n", "2\n", "u\n", "1\n", "s\n", "2\n"], "{0: 'cat', 1: 'cat', 3: 'dog'} open [4, 5, 6, 7]", 0),
        (["1\n", "2\n", "q\n"], "{0: 'cat', 1: 'dog'} open [2, 3]", 0),
        (["1\n", "2\n", "\x04"], "{0: 'cat', 1: 'dog'} open [2, 3]", 0),  # Ctrl-D
        (["1\n", "2\n", "\x03"], "{0: 'cat', 1: 'dog'} open [2, 3]", -2),  # Ctrl-C
        (["1\n", "2", "\x7f1\n", "\x03"], "{0: 'cat', 1: 'cat'} open [2, 3]", -2),  # backspace
    ],
    ids=["to the end", "quit", "ctrl-d", "ctrl-c", "backspace"],
)
def test_a_person_at_a_terminal(keys, told, code):
    with Terminal() as terminal:
        for key in keys:
            if not key.startswith("\x7f"):  # a correction within a line gets no new question
                terminal.wait_for("q quit > ")
            terminal.type(key)
        # A signal that comes between the question and the read is seen after the next one: CPython's way.
        terminal.wait_for(f"told {told}", again="\x03" if key == "\x03" else "")
        assert terminal.exit_code() == code


def test_a_run_tells_each_answer_as_it_comes():
    learner = a_learner()
    seen = []

    def one_by_one(indices, rows):
        for index in reversed(indices.tolist()):
            yield index, "cat"
            seen.append((index, learner.labels.get(index)))

    rounds = list(learner.run(one_by_one))
    assert [round.n_labels for round in rounds] == [4, 8, 10]
    assert [label for _, label in seen] == ["cat"] * 10


@pytest.mark.parametrize("answer", [3, "no", b"no", (1, "cat", 0.5)])
def test_an_iterator_of_what_are_no_pairs_is_named(answer):
    learner = a_learner()
    with pytest.raises(TypeError, match="oracle: expected an iterator of pairs") as raised:
        list(learner.run(lambda indices, _: (answer for _ in indices)))
    assert f"got one that gives {answer!r};" in str(raised.value)
    assert learner.labels == {}


@pytest.mark.parametrize("index", [7, -1, 1.5, "cat", None])
def test_an_answer_to_what_was_not_asked_is_named(index):
    learner = a_learner()
    with pytest.raises(
        ValueError, match=r"oracle: expected pairs .* \[0, 1, 2, 3\] of the batch, got"
    ) as raised:
        list(learner.run(lambda *_: iter([(0, "cat"), (index, "dog")])))
    assert repr((index, "dog")) in str(raised.value)
    assert learner.labels == {0: "cat"}


def test_pairs_are_labels_in_a_list_and_answers_from_an_iterator():
    pairs = [(3, "cat"), (2, "cat"), (1, "cat"), (0, "cat")]
    of_list, of_iterator = a_learner(), a_learner()
    next(of_list.run(lambda *_: pairs))
    next(of_iterator.run(lambda *_: iter(pairs)))
    assert of_list.labels == dict(enumerate(pairs))
    assert of_iterator.labels == dict(sorted(pairs))


def test_an_oracle_that_ends_early_ends_the_run_with_the_batch_open():
    learner = a_learner()
    assert list(learner.run(lambda indices, _: iter([(indices[1], "cat")]))) == []
    assert learner.labels == {1: "cat"}
    assert learner.ask().indices.tolist() == [0, 2, 3]


# Files

TEXTS = ["zero", "one, two", 'three "four"', "fünf\nsechs", "7;8", *"56789"]
FORMATS = pytest.mark.parametrize("format", ["csv", "jsonl"])


def an_exchange(directory, format="csv", classes=("cat", "dog"), **arguments):
    return oracle.FileExchange(
        directory, classes, format=format, show=lambda index: {"text": TEXTS[index]}, **arguments
    )


def test_a_line_break_of_any_kind_stays_in_its_cell(tmp_path):
    texts = ["one\rtwo", "one\ntwo", "one\r\ntwo", "\r"]
    exchange = oracle.FileExchange(tmp_path, ["cat", "dog"], show=lambda index: {"text": texts[index]})
    batch = a_learner().ask()
    path = exchange.export(batch)
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["text"] for row in rows] == texts
    assert exchange.export(batch) == path
    assert exchange.answers(batch)[1] == []


def test_a_file_that_a_line_break_has_torn_is_named(tmp_path):
    exchange = an_exchange(tmp_path)
    batch = a_learner().ask()
    path = exchange.export(batch)
    asked = path.with_name(f"{batch.ticket}.asked.csv")
    asked.write_text(asked.read_text("utf-8").replace(TEXTS[0], "one\rtwo"), "utf-8")
    with pytest.raises(
        ValueError, match=r"asked\.csv, line 3: expected an index, got ''; the file is not as"
    ):
        exchange.answers(batch)


def rows_of(path):
    """Read a file as another tool would."""
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines()]
    return list(csv.DictReader(text.splitlines(keepends=True)))


def write(path, rows):
    """Write a file as another tool would."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        if path.suffix == ".jsonl":
            file.writelines(json.dumps(row) + "\n" for row in rows)
        else:
            table = csv.DictWriter(file, list(rows[0]))
            table.writeheader()
            table.writerows(rows)


def answered(exchange, batch):
    """Give what has come back as lists; the batch it belongs to is checked."""
    part, labels = exchange.answers(batch)
    assert (part.ticket, part.annotator) == (batch.ticket, batch.annotator)
    return part.indices.tolist(), labels


def fill_in(path, *labels):
    rows = rows_of(path)
    for row, label in zip(rows, labels, strict=False):
        row["label"] = label
    write(path, rows)


@FORMATS
def test_a_batch_goes_out_as_a_file(tmp_path, format):
    batch = a_learner().ask()
    path = an_exchange(tmp_path / "new" / "folder", format).export(batch)
    assert path == tmp_path / "new" / "folder" / f"{batch.ticket}.{format}"
    empty, number = ("", str) if format == "csv" else (None, int)
    assert rows_of(path) == [
        {"ticket": batch.ticket, "index": number(index), "text": TEXTS[index], "label": empty}
        for index in (0, 1, 2, 3)
    ]
    assert sorted(each.name for each in path.parent.iterdir()) == sorted(
        [path.name, f"{batch.ticket}.asked.{format}"]
    ), "no draft stays behind"


def test_a_file_has_an_excel_mark_and_may_hold_no_fields(tmp_path):
    batch = a_learner().ask()
    path = oracle.FileExchange(tmp_path, [0, 1]).export(batch)
    assert (
        path.read_bytes()
        == (
            "\ufeffticket,index,label\n" + "".join(f"{batch.ticket},{index},\n" for index in range(4))
        ).encode()
    )


@FORMATS
def test_a_file_of_another_campaign_is_refused(tmp_path, format):
    def chunks():  # of which no ticket knows
        yield [0] * 6

    def exchange(name):
        return oracle.FileExchange(
            tmp_path, ["cat"], format=format, show=lambda index: {name: f"{name} {index}"}
        )

    batch = qr.ActiveLearner(lambda _: [[0.5, 0.5]] * 6, chunks, seed=0, batch_size=2).ask()
    path = exchange("cats").export(batch)
    before = path.read_bytes()
    assert exchange("more").export(batch) == path, "another field is no other value"
    other = oracle.FileExchange(tmp_path, ["cat"], format=format, show=lambda index: {"cats": f"dog {index}"})
    with pytest.raises(ValueError, match=r"asked\..* cats 'cats 0' for index 0, got 'dog 0'; give each"):
        other.export(batch)
    with pytest.raises(ValueError, match="it has none of these items; give each"):
        other.export(qr.Batch(np.array([5]), np.zeros(1), batch.ticket))
    assert path.read_bytes() == before


def test_a_field_that_is_no_number_is_the_same_twice(tmp_path):
    exchange = oracle.FileExchange(tmp_path, ["cat"], format="jsonl", show=lambda _: {"size": np.nan})
    batch = qr.ActiveLearner(lambda X: X, [[0.5, 0.5], [0.4, 0.6]]).ask()
    assert exchange.export(batch) == exchange.export(batch)


def test_scalars_of_numpy_are_plain_in_json(tmp_path):
    fields = {
        "size": np.float32(0.5),
        "count": np.int64(3),
        "is_old": np.bool_(True),
        "all": [np.int8(1), "ü"],
    }
    exchange = oracle.FileExchange(tmp_path, ["cat"], format="jsonl", show=lambda _: fields)
    batch = a_learner().ask()
    path = exchange.export(batch)
    assert path.read_text(encoding="utf-8").startswith(
        f'{{"ticket": "{batch.ticket}", "index": 0, "size": 0.5, "count": 3, "is_old": true, '
        '"all": [1, "ü"], "label": null}\n'
    )
    assert exchange.export(batch) == path


@pytest.mark.parametrize("value", [b"cat", np.zeros(2), np.datetime64("2026-01-01"), {1: {2}}])
def test_a_field_that_json_cannot_hold_is_named(tmp_path, value):
    exchange = oracle.FileExchange(tmp_path, ["cat"], format="jsonl", show=lambda _: {"text": value})
    with pytest.raises(
        TypeError, match="show: expected for 'text' of index 0 what JSON can hold, got"
    ) as raised:
        exchange.export(a_learner().ask())
    assert repr(value) in str(raised.value)


@FORMATS
def test_answers_come_back_by_and_by(tmp_path, format):
    learner = a_learner()
    exchange = an_exchange(tmp_path, format)
    batch = learner.ask()
    path = exchange.export(batch)
    assert answered(exchange, batch) == ([], [])
    fill_in(path, "cat", "", "abstain")
    assert answered(exchange, batch) == ([0, 2], ["cat", qr.ABSTAIN])
    learner.tell(*exchange.answers(batch))
    learner.tell(*exchange.answers(batch))
    assert learner.labels == {0: "cat"}
    assert learner.ask().indices.tolist() == [1, 3]
    assert learner.ask().ticket == batch.ticket

    assert exchange.export(learner.ask()) == path, "what has been filled in is not written over"
    fill_in(path, "dog", "dog", "cat", " cat ")
    again = an_exchange(tmp_path, format)  # as after a restart
    learner.tell(*again.answers(learner.ask()))
    assert learner.labels == {0: "dog", 1: "dog", 2: "cat", 3: "cat"}
    assert answered(exchange, learner.history[-1]) == ([0, 1, 2, 3], ["dog", "dog", "cat", "cat"])


@FORMATS
@pytest.mark.parametrize(
    "classes", [(True, False), np.array([True, False]), ("true", "false"), ("TRUE", "FALSE")]
)
def test_what_spreadsheets_make_of_true_is_true(tmp_path, format, classes):
    exchange = an_exchange(tmp_path, format, classes=classes)
    batch = a_learner().ask()
    fill_in(exchange.export(batch), "TRUE", "FALSE", str(classes[0]))
    assert answered(exchange, batch)[1] == [classes[0], classes[1], classes[0]]


def test_classes_that_differ_by_their_capitals_alone_stay_apart(tmp_path):
    exchange = an_exchange(tmp_path, "csv", classes=("true", True, "False", "FALSE"))
    batch = a_learner().ask()
    path = exchange.export(batch)
    fill_in(path, "true", "True", "False", "FALSE")
    assert answered(exchange, batch)[1] == ["true", True, "False", "FALSE"]
    fill_in(path, "TRUE")
    with pytest.warns(UserWarning, match=r"expected a label of .* got 'TRUE'"):
        assert answered(exchange, batch) == ([1, 2, 3], [True, "False", "FALSE"])


@FORMATS
def test_capitals_do_not_matter_where_one_class_is_meant(tmp_path, format):
    exchange = an_exchange(tmp_path, format, classes=("buy", "Sell", "hold", "HOLD"))
    batch = a_learner().ask()
    fill_in(exchange.export(batch), "Buy", "SELL", "hold", "HOLD")
    assert answered(exchange, batch)[1] == ["buy", "Sell", "hold", "HOLD"]


@FORMATS
@pytest.mark.parametrize("kind", [list, np.array])
def test_integers_that_a_spreadsheet_made_fractions_are_integers(tmp_path, format, kind):
    exchange = an_exchange(tmp_path, format, classes=kind([3, -10]))
    batch = a_learner().ask()
    path = exchange.export(batch)
    fill_in(path, "3.0", "-10.00", "3", "3.5")
    with pytest.warns(UserWarning, match=r"got '3\.5'$"):
        assert answered(exchange, batch) == ([0, 1, 2], [3, -10, 3])
    fill_in(path, "3.0", "10.0", "3.", ".0")
    with pytest.warns(UserWarning, match=r"got '10\.0'\n.* got '3\.'\n.* got '\.0'$"):
        assert answered(exchange, batch) == ([0], [3])
    texts = an_exchange(tmp_path, format, classes=["3", "4"])
    with pytest.warns(UserWarning, match=r"got '3\.0'"):
        assert answered(texts, batch) == ([], [])


def test_what_pandas_saves_of_labels_with_gaps_is_read(tmp_path):
    exchange = oracle.FileExchange(tmp_path, classes=range(10))
    batch = a_learner().ask()
    path = exchange.export(batch)
    frame = pd.read_csv(path)
    frame.loc[1, "label"] = 7
    frame = frame.reindex(range(5))  # a row of nothing, by which the indices become fractions too
    frame.to_csv(path, index=False)
    assert "1.0,7.0" in path.read_text()
    assert answered(exchange, batch) == ([1], [7])


@FORMATS
def test_labels_come_back_as_they_are(tmp_path, format):
    exchange = an_exchange(tmp_path, format, classes=(0, 1.5, True, ("a", 1)))
    batch = a_learner().ask()
    fill_in(exchange.export(batch), "0", "1.5", "True", "('a', 1)")
    assert exchange.answers(batch)[1] == [0, 1.5, True, ("a", 1)]


def test_json_numbers_are_labels(tmp_path):
    exchange = an_exchange(tmp_path, "jsonl", classes=(0, 1, 2.5))
    batch = a_learner().ask()
    fill_in(exchange.export(batch), 0, 2.5, None, 1)
    assert answered(exchange, batch) == ([0, 1, 3], [0, 2.5, 1])


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_spreadsheet_may_save_as_it_likes(tmp_path, delimiter, encoding, newline):
    exchange = an_exchange(tmp_path)
    batch = a_learner().ask()
    path = exchange.export(batch)
    rows = rows_of(path)
    with open(path, "w", encoding=encoding, newline="") as file:
        table = csv.writer(file, delimiter=delimiter, lineterminator=newline)
        table.writerow(["label", "text", "ticket", "index"])
        table.writerows(["dog", row["text"], row["ticket"], row["index"]] for row in reversed(rows))
    assert answered(exchange, batch) == ([3, 2, 1, 0], ["dog"] * 4)


@FORMATS
def test_rows_may_be_missing_or_twice_with_one_label(tmp_path, format):
    exchange = an_exchange(tmp_path, format)
    batch = a_learner().ask()
    path = exchange.export(batch)
    fill_in(path, "cat", "dog")
    rows = rows_of(path)
    write(path, [rows[1], rows[0], rows[1], {**rows[1], "label": ""}])
    assert answered(exchange, batch) == ([1, 0], ["dog", "cat"])


@FORMATS
@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("ticket", "9-0000", "expected the ticket '{ticket}', got '9-0000'"),
        ("index", "4", "expected an index that was asked about, got '4'"),
        ("index", "-1", "expected an index that was asked about, got '-1'"),
        ("index", "one", "expected an index that was asked about, got 'one'"),
        ("label", "catt", "expected a label of ['cat', 'dog', 'abstain'], got 'catt'"),
        ("index", "0", "expected one label for index 0, got 'cat' and 'dog'"),
    ],
)
def test_an_answer_that_does_not_fit_is_named(tmp_path, format, field, value, message):
    exchange = an_exchange(tmp_path, format)
    batch = a_learner().ask()
    path = exchange.export(batch)
    fill_in(path, "cat", "dog")
    rows = rows_of(path)
    rows[1][field] = value
    write(path, rows)
    line = 3 if format == "csv" else 2
    with pytest.warns(UserWarning, match="line") as caught:
        indices, _ = answered(exchange, batch)
    (warning,) = caught
    assert warning.filename == __file__
    assert str(warning.message) == (
        "what is no answer is left out, and read again until it is put right:\n"
        f"{path}, line {line}: {message.format(ticket=batch.ticket)}"
    )
    assert indices == ([] if "one label" in message else [0]), "the other answers are given"


@pytest.mark.parametrize(
    ("format", "content", "message"),
    [
        ("csv", "", r"line 1: expected a field 'ticket', got \[\]"),
        ("csv", "T,1,cat\nT,2,dog\n", r"line 1: expected a field 'ticket', got \['T', '1', 'cat'\]"),
        ("jsonl", "", "expected an object for each item, got an empty file"),
        ("csv", "ticket,index\nT,1\n", r"line 1: expected a field 'label', got \['ticket', 'index'\]"),
        ("csv", "ticket,index,label\nT,1,cat,dog\n", "line 2: expected a cell for each of .*, got more"),
        ("jsonl", '{"ticket": "T", "ind', 'line 1: expected an object in JSON, got \'{"ticket": "T", "ind\''),
        ("jsonl", "[1, 2]\n", r"line 1: expected an object in JSON, got \[1, 2\]"),
        ("jsonl", '{"ticket": "T", "label": 1}\n', "line 1: expected a field 'index', got"),
    ],
)
def test_a_file_of_another_shape_is_named(tmp_path, format, content, message):
    exchange = an_exchange(tmp_path, format)
    batch = a_learner().ask()
    exchange.export(batch).write_text(content.replace("T", batch.ticket))
    with pytest.warns(UserWarning, match=message.replace("T", batch.ticket)):
        assert answered(exchange, batch) == ([], [])


@FORMATS
def test_all_that_is_wrong_is_told_at_once_and_read_again(tmp_path, format):
    learner = a_learner()
    exchange = an_exchange(tmp_path, format)
    batch = learner.ask()
    path = exchange.export(batch)
    fill_in(path, "catt", "dog", "bird", "Cat")
    first = 2 if format == "csv" else 1
    for _ in range(2):
        with pytest.warns(UserWarning, match="left out") as caught:
            learner.tell(*exchange.answers(batch))
        assert str(caught[0].message).splitlines()[1:] == [
            f"{path}, line {first}: expected a label of ['cat', 'dog', 'abstain'], got 'catt'",
            f"{path}, line {first + 2}: expected a label of ['cat', 'dog', 'abstain'], got 'bird'",
        ]
        assert learner.labels == {1: "dog", 3: "cat"}
        assert learner.ask().indices.tolist() == [0, 2], "what was left out stays open"
    fill_in(path, "cat", "dog", "abstain", "Cat")
    learner.tell(*exchange.answers(batch))
    assert learner.labels == {0: "cat", 1: "dog", 3: "cat"}


def test_lines_after_one_that_is_none_are_read(tmp_path):
    batch = a_learner().ask()
    exchange = an_exchange(tmp_path, "jsonl")
    path = exchange.export(batch)
    fill_in(path, "cat", "dog", "cat", "dog")
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([lines[0], lines[1][:-1], *lines[2:]]), encoding="utf-8")
    with pytest.warns(UserWarning, match="line 2: expected an object in JSON"):
        assert answered(exchange, batch) == ([0, 2, 3], ["cat", "cat", "dog"])
    sheet = an_exchange(tmp_path)
    path = sheet.export(batch)
    fill_in(path, "cat", "dog", "cat", "dog")
    path.write_text(path.read_text().replace("one, two", 'one", "two'), encoding="utf-8")
    with pytest.warns(UserWarning, match="line 3: expected a cell for each of"):
        assert answered(sheet, batch) == ([0, 2, 3], ["cat", "cat", "dog"])


@FORMATS
def test_a_damaged_record_of_what_went_out_is_an_error(tmp_path, format):
    exchange = an_exchange(tmp_path, format)
    batch = a_learner().ask()
    path = exchange.export(batch)
    path.with_name(f"{batch.ticket}.asked.{format}").write_text("ticket\n")
    with pytest.raises(ValueError, match=r"asked.*, line 1: expected"):
        exchange.answers(batch)


@FORMATS
@pytest.mark.parametrize(
    ("annotator", "whose"),
    [
        ("ann", "ann-"),
        ("Jörg", "Jörg-"),
        ("a/b: c.asked", "a_b_c_asked-"),
        ("../..", ""),
        (7, "7-"),
        (("site", 2), "site_2-"),
        ("x" * 300, "x" * 40 + "-"),
        ("\ud800", ""),
        (None, ""),
    ],
)
def test_a_file_says_whose_it_is(tmp_path, format, annotator, whose):
    exchange = an_exchange(tmp_path / "files", format)
    batch = a_learner().ask(annotator=annotator)
    path = exchange.export(batch)
    assert path == tmp_path / "files" / f"{whose}{batch.ticket}.{format}"
    assert sorted(each.name for each in path.parent.iterdir()) == sorted(
        [path.name, f"{whose}{batch.ticket}.asked.{format}"]
    )
    fill_in(path, "cat")
    assert answered(exchange, batch) == ([0], ["cat"])


@FORMATS
def test_files_of_before_their_names_said_whose_they_are_are_found(tmp_path, format):
    exchange = an_exchange(tmp_path, format)
    batch = a_learner().ask(annotator="ann")
    path = exchange.export(batch)
    fill_in(path, "cat")
    for file in list(tmp_path.iterdir()):
        file.rename(tmp_path / file.name.removeprefix("ann-"))
    assert exchange.export(batch) == tmp_path / f"{batch.ticket}.{format}"
    assert answered(exchange, batch) == ([0], ["cat"])
    assert len(list(tmp_path.iterdir())) == 2


def test_empty_rows_and_capitals_of_a_spreadsheet_do_not_matter(tmp_path):
    exchange = an_exchange(tmp_path)
    batch = a_learner().ask()
    path = exchange.export(batch)
    fill_in(path, "Abstain", "ABSTAIN", "cat")
    path.write_text(path.read_text() + ",,,\n\n")
    assert answered(exchange, batch) == ([0, 1, 2], [qr.ABSTAIN, qr.ABSTAIN, "cat"])


def test_a_late_file_is_of_the_annotator_it_went_to(tmp_path, monkeypatch):
    learner = qr.ActiveLearner(lambda X: [[0.5, 0.5]] * len(X), TEXTS, batch_size=2, lease=60)
    exchange = an_exchange(tmp_path)
    batch = learner.ask(annotator="ann")
    fill_in(exchange.export(batch), "cat", "dog")
    now = learner._now() + 61
    monkeypatch.setattr(learner, "_now", lambda: now)
    assert learner.ask(annotator="bob").indices.tolist() == batch.indices.tolist()
    learner.tell(*exchange.answers(batch))
    assert {(each.annotator, each.ticket) for each in learner.record} == {("ann", batch.ticket)}


def test_what_was_not_exported_has_no_answers(tmp_path):
    with pytest.raises(FileNotFoundError):
        an_exchange(tmp_path).answers(a_learner().ask())


def test_a_file_is_there_as_a_whole_or_not_at_all(tmp_path, monkeypatch):
    exchange = an_exchange(tmp_path)
    batch = a_learner().ask()

    def power_cut(_):
        raise OSError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", power_cut)
        with pytest.raises(OSError, match="no space left"):
            exchange.export(batch)
    assert not list(tmp_path.glob("*.csv"))
    assert len(rows_of(exchange.export(batch))) == 4


def no_links(*_):
    raise PermissionError(1, "Operation not permitted")


@pytest.mark.parametrize("link", [os.link, no_links])
def test_a_file_that_is_filled_in_meanwhile_is_not_written_over(tmp_path, monkeypatch, link):
    exchange = an_exchange(tmp_path)
    batch = a_learner().ask()
    path = exchange.export(batch)
    fill_in(path, "cat", "dog")
    filled_in = path.read_bytes()
    path.unlink()
    monkeypatch.setattr(os, "link", link)
    # Another process exports the batch, and a person fills it in, before the draft takes its name.
    monkeypatch.setattr(os, "fsync", lambda _: path.write_bytes(filled_in))
    assert exchange.export(batch) == path
    assert path.read_bytes() == filled_in
    assert len(list(tmp_path.iterdir())) == 2, "no draft stays behind"


def test_without_links_a_file_that_cannot_be_finished_goes_too(tmp_path, monkeypatch):
    exchange = an_exchange(tmp_path)
    batch = a_learner().ask()
    synced = []

    def full(_):
        synced.append(None)
        if len(synced) == 2:  # after the draft
            raise OSError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr(os, "link", no_links)
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="no space left"):
            exchange.export(batch)
    assert list(tmp_path.iterdir()) == []
    assert len(rows_of(exchange.export(batch))) == 4


def test_a_file_system_without_links_has_files_too(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", no_links)
    exchange = an_exchange(tmp_path)
    batch = a_learner().ask()
    fill_in(exchange.export(batch), "cat")
    assert answered(exchange, batch) == ([0], ["cat"])
    assert len(list(tmp_path.iterdir())) == 2, "no draft stays behind"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (lambda _: {"label": 1}, "expected other fields than .*, got 'label'"),
        (lambda index: {"text": 1} if index else {}, "expected the fields .* for each row, got"),
    ],
)
def test_fields_that_a_file_cannot_have_are_an_error(tmp_path, fields, message):
    exchange = oracle.FileExchange(tmp_path, [0, 1], show=fields)
    with pytest.raises(ValueError, match="show: " + message):
        exchange.export(a_learner().ask())


@pytest.mark.parametrize(
    ("classes", "format", "message"),
    [
        ([1, "1"], "csv", "classes: expected each to have a text of its own, got '1' for '1'"),
        (["cat", "abstain"], "csv", "classes: .* got 'abstain'"),
        (["cat", " "], "csv", "classes: .* got ''"),
        (["Abstain"], "csv", "classes: .* got 'Abstain'"),
        ([], "csv", "classes: expected at least one, got none"),
        (["cat"], "xlsx", "format: expected 'csv' or 'jsonl', got 'xlsx'"),
    ],
)
def test_an_exchange_that_cannot_work_is_an_error(tmp_path, classes, format, message):
    with pytest.raises(ValueError, match=message):
        oracle.FileExchange(tmp_path, classes, format=format)


@pytest.mark.parametrize("missing", [None, float("nan"), np.nan])
def test_what_is_no_label_is_no_class(tmp_path, missing):
    for make in (oracle.Prompt, lambda classes: oracle.FileExchange(tmp_path, classes)):
        with pytest.raises(ValueError, match=r"classes\[1\]: expected a label .*, got (None|nan)"):
            make(["cat", missing])
    with pytest.raises(ValueError, match=r"classes\[0\]: expected a label"):
        oracle.Prompt({"a": missing})


def test_an_accent_may_be_typed_either_way(monkeypatch, capsys, tmp_path):
    composed, apart = "caf\u00e9", "cafe\u0301"
    exchange = an_exchange(tmp_path, "csv", classes=(composed, "dog"))
    batch = a_learner().ask()
    fill_in(exchange.export(batch), apart, composed, "dog")
    assert answered(exchange, batch)[1] == [composed, composed, "dog"]
    prompt = oracle.Prompt(["\u00e9", "o"])
    assert dialogue(monkeypatch, capsys, prompt, ["e\u0301", "o", "q"])[0][0][1] == "\u00e9"


@FORMATS
def test_half_a_surrogate_pair_is_named_before_a_file_is_written(tmp_path, format):
    def show(index):
        return {"text": f"item {index}\ud800"}

    exchange = oracle.FileExchange(tmp_path / "out", ["cat"], format=format, show=show)
    with pytest.raises(ValueError, match=r"show: expected text that UTF-8 has, got .*item 0\\ud800"):
        exchange.export(a_learner().ask())
    assert not (tmp_path / "out").exists()


def test_a_text_is_no_list_of_classes(tmp_path):
    with pytest.raises(TypeError, match="classes: expected a sequence of labels, got 'ab'"):
        oracle.FileExchange(tmp_path, "ab")


@pytest.mark.parametrize("line", ['{"ticket":"q"}', '{"index":""}', "[1]"])
def test_a_damaged_file_of_what_was_asked_is_named(tmp_path, line):
    learner = qr.ActiveLearner(lambda X: X, [[0.5, 0.5], [0.9, 0.1]], batch_size=1)
    exchange = oracle.FileExchange(tmp_path, classes=["a"], format="jsonl")
    batch = learner.ask()
    exchange.export(batch)
    [asked] = tmp_path.glob("*.asked.jsonl")
    asked.write_text(line + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"asked\.jsonl, line 1"):
        exchange.answers(batch)


def test_a_quote_that_is_not_closed_is_told_of(tmp_path):
    learner = qr.ActiveLearner(lambda X: X, np.full((3, 2), 0.5), batch_size=3)
    exchange = oracle.FileExchange(tmp_path, classes=["x"], show=lambda row: {"text": f"row {row}"})
    batch = learner.ask()
    path = exchange.export(batch)
    lines = [f"{batch.ticket},0,row 0,x", f'{batch.ticket},1,"row 1,x', f"{batch.ticket},2,row 2,x"]
    path.write_text("\n".join(["ticket,index,text,label", *lines]) + "\n", encoding="utf-8")
    with pytest.warns(UserWarning, match="as a quote that is not closed does"):
        told, labels = exchange.answers(batch)
    assert (told.indices.tolist(), labels) == ([0], ["x"])
    lines[1:] = [f"{batch.ticket},1,row 1"]
    path.write_text("\n".join(["ticket,index,text,label", *lines]), encoding="utf-8")
    assert exchange.answers(batch)[1] == ["x"]  # an empty last cell may be left out


def test_a_number_is_that_number_with_or_without_its_point(tmp_path):
    learner = qr.ActiveLearner(lambda X: X, np.full((4, 2), 0.5), batch_size=4)
    exchange = oracle.FileExchange(tmp_path, classes=[1, True, 2.0, "2"])
    batch = learner.ask()
    path = exchange.export(batch)
    written = ["1.0", "true", "2.00", "2"]
    lines = [f"{batch.ticket},{row},{text}" for row, text in enumerate(written)]
    path.write_text("\n".join(["ticket,index,label", *lines]), encoding="utf-8")
    labels = exchange.answers(batch)[1]
    assert [(type(label), label) for label in labels] == [(int, 1), (bool, True), (float, 2.0), (str, "2")]
    path.write_text(
        "\n".join(["ticket,index,label", f"{batch.ticket},0,1", f"{batch.ticket},0,true"]), encoding="utf-8"
    )
    with pytest.warns(UserWarning, match="expected one label for index 0, got 1 and True"):
        assert exchange.answers(batch)[1] == []


def test_keys_that_are_the_same_as_they_are_typed_are_refused():
    with pytest.raises(ValueError, match="keys that differ"):
        oracle.Prompt({"e\u0301": "A", "\u00e9": "B"})
