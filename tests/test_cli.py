"""The console command, as a user starts it."""

from __future__ import annotations

import csv
import importlib.metadata
import importlib.util
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import querist as qr
from querist import _cli, _simulate_command
from querist._demo_speed import _disagreement
from sklearn.datasets import load_iris


def querist(*arguments, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "querist", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
        timeout=120,
    )


@pytest.fixture
def in_tmp_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_command_is_installed():
    (entry,) = importlib.metadata.entry_points(group="console_scripts", name="querist")
    assert entry.load() is _cli.main


def test_info_lines_up_the_configuration(capsys):
    assert _cli.main(["info"]) == 0
    lines = capsys.readouterr().out.splitlines()
    config = qr.show_config()
    width = max(map(len, config)) + 2
    assert [line[:width].rstrip() for line in lines] == list(config)
    assert [line[width:] for line in lines] == [str(value) for value in config.values()]


@pytest.mark.parametrize("missing", ["sklearn", "scipy", "matplotlib", "tqdm"])
@pytest.mark.parametrize("arguments", [["demo"], ["simulate", "iris"]])
def test_a_missing_extra_is_named(arguments, missing, monkeypatch, capsys):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == missing else find_spec(name)
    )
    assert _cli.main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == (f"querist {arguments[0]} needs the extra \"demo\": pip install 'querist[demo]'\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: command"),
        (["dream"], "invalid choice: 'dream'"),
        (["demo", "--seeds", "0"], "must be at least 1, got 0"),
        (["demo", "--seeds", "few"], "argument --seeds: must be an integer of at least 1, got 'few'"),
        (["simulate", "--strategies", "random", "digits"], "required: data; write it before --strategies"),
        (["demo", "--png", "/nowhere/at/all.png"], "there is no directory /nowhere/at"),
        (["simulate"], "required: data"),
        (["simulate", "iris", "--model", "oracle"], "invalid choice: 'oracle'"),
        (["simulate", "iris", "--csv", "/nowhere/at/all.csv"], "there is no directory /nowhere/at"),
        (["simulate", "iris", "--csv", "/"], "argument --csv: expected a file, got the directory /"),
    ],
)
def test_a_wrong_argument_is_named(arguments, message, capsys):
    with pytest.raises(SystemExit) as raised:
        _cli.main(arguments)
    assert raised.value.code == 2
    assert message in capsys.readouterr().err


def test_the_demo_prints_both_tables_and_writes_the_picture(in_tmp_path, capsys):
    assert _cli.main(["demo", "--quick", "--seeds", "2", "--png", "curves.png"]) == 0
    printed = capsys.readouterr()
    picture = Path("curves.png")
    assert picture.read_bytes().startswith(b"\x89PNG\r\n")
    assert f"Learning curves: {picture.resolve()}\n" in printed.out
    assert "simulating: 100%" in printed.err

    savings, speed = printed.out.split("Learning curves")
    needed = {
        strategy: int(re.search(rf"^{strategy} +\d+ +\d+-\d+ +\S+ +(\d+) ", savings, re.MULTILINE)[1])
        for strategy in ("random", "margin", "entropy")
    }
    assert 10 < needed["margin"] < needed["random"] < 1257
    assert re.search(
        r"^margin +\d+ +\d+-\d+ +-?\d+% +\d+ +\d+-\d+ +\d+% +0\.\d+ +2-0-0 ", savings, re.MULTILINE
    )

    assert re.search(r"100,000 rows.*\n.*agree within \de-0[5-8]", speed)
    rows = re.findall(r"^(entropy|margin) +(\w+) +[\d.]+ +\d+ +(-|[\d.]+ x)$", speed, re.MULTILINE)
    assert [row[:2] for row in rows] == [
        ("entropy", "querist"),
        ("entropy", "numpy"),
        ("entropy", "scipy"),
        ("margin", "querist"),
        ("margin", "numpy"),
    ]
    assert "Labels needed to reach 95% and 99% of that" in savings
    assert max(map(len, printed.out.splitlines())) <= max(80, len(f"Learning curves: {picture.resolve()}"))
    for part in (savings, speed):
        block = part.strip().split("\n\n")[-1].splitlines()
        assert len({len(line) for line in block}) == 1, "the columns line up"


def test_the_demo_times_no_answers_that_differ():
    scorers = {"querist": lambda: np.zeros(3), "numpy": lambda: np.full(3, 1e-4)}
    with pytest.raises(RuntimeError, match=r"entropy of querist and numpy differ by 0\.0001"):
        _disagreement("entropy", scorers)


def test_ctrl_c_ends_a_command_with_its_own_code(monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(_simulate_command, "run", interrupted)
    assert _cli.main(["simulate", "iris"]) == 130


def test_a_reader_that_has_read_enough_ends_a_command(monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        assert _cli.main(["info"]) == 141


def test_a_strategy_that_the_model_cannot_serve_is_named(capsys):
    assert _cli.main(["simulate", "iris", "--strategies", "bald", "--jobs", "1"]) == 1
    assert capsys.readouterr().err.startswith("querist simulate: Pipeline.predict_proba: a score of a comm")


def test_python_runs_the_module_as_the_command(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["querist", "info"])
    with pytest.raises(SystemExit) as raised:
        runpy.run_module("querist", run_name="__main__")
    assert raised.value.code == 0
    assert qr.__version__ in capsys.readouterr().out


def test_simulate_prints_a_table_and_writes_curves_and_a_picture(tmp_path):
    done = querist(
        *("simulate", "iris", "--model", "naive_bayes", "--strategies", "random", "margin", "--seeds", "3"),
        *("--max-labels", "40", "--jobs", "2", "--csv", "curves.csv", "--png", "curves.png"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "iris, naive_bayes: 150 rows of 3 classes, 3 seeds.\n" in done.stdout
    assert "Labels needed to reach 95% and 99% of that, median" in done.stdout
    assert max(map(len, done.stdout.partition("Curves")[0].splitlines())) <= 80
    assert re.search(r"^random +(\d+|never) ", done.stdout, re.MULTILINE)
    assert re.search(r"^margin +(\d+|never) ", done.stdout, re.MULTILINE)
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG\r\n")
    with open(tmp_path / "curves.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["strategy"], row["seed"]) for row in rows} == {
        (strategy, seed) for strategy in ("random", "margin") for seed in "012"
    }
    assert done.stderr == "", "nobody looks at a bar here"


@pytest.mark.parametrize("name", ["data.csv", "data.npz", "first.csv"])
def test_simulate_reads_files(name, in_tmp_path):
    X, y = load_iris(return_X_y=True)
    np.savez("data.npz", X=X, y=y)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    for file, last in (("data.csv", True), ("first.csv", False)):
        with open(file, "w", newline="") as out:
            rows = csv.writer(out)
            rows.writerow(["a", "b", "c", "d", "kind"] if last else ["kind", "a", "b", "c", "d"])
            rows.writerows([*row, kind] if last else [kind, *row] for row, kind in zip(X, names, strict=True))
    target = ["--target", "kind"] if name == "first.csv" else []
    tables = []
    for data in ("iris", name):
        extra = target if data == name else []
        arguments = ["simulate", data, *extra, "--model", "naive_bayes", "--seeds", "2", "--jobs", "1"]
        files = ["--csv", "curves.csv", "--png", "curves.png"]
        assert _cli.main([*arguments, "--max-labels", "30", *files]) == 0
        assert Path("curves.png").read_bytes().startswith(b"\x89PNG\r\n")
        tables.append(Path("curves.csv").read_text())
    assert tables[0] == tables[1]


@pytest.mark.parametrize(
    ("data", "content", "message"),
    [
        ("mnist", None, "data: expected one of ['breast_cancer', 'digits', 'iris', 'wine'], a .csv or"),
        ("gone.csv", None, "No such file"),
        ("a.csv", "a,b\n1,x\nfew,y\n", "a.csv, row 3: expected numbers beside 'b', got ['few', 'y']"),
        ("a.csv", "a,b,c\n1,2,x\n1,2\n", "a.csv, row 3: expected 3 cells, got 2"),
        (
            "a.csv",
            "a,b\n" + "".join(f"{n},{n / 2}\n" for n in range(22)),
            "target: expected classes, got 22 different numbers such as 0.5",
        ),
        ("a.csv", "a,b\n", "X: expected at least one row, got none"),
        (
            "a.csv",
            "5.1,3.5,0\n1,2,1\n",
            "a.csv, row 1: expected the names of the columns, got ['5.1', '3.5', '0']",
        ),
        ("a.csv", "5.1,3.5,x\n1,2,y\n1,2,x\n", "a.csv, row 1: expected the names of the columns, got ['5.1'"),
        ("a.csv", "a,b\n1,x\n", "target: expected one of ['a', 'b'], got 'label'"),
        ("a.csv", "a,b\n1,x\n\n2,x\n", "a.csv, row 3: expected 2 cells, got 0"),
        ("iris", None, "target: expected a CSV file with it, whose column it names, got 'iris'; leave"),
        ("a.npz", "label", "target: expected a CSV file with it, whose column it names, got 'a.npz'"),
        ("a.npz", "junk", "a.npz: expected an archive of arrays, as of numpy.savez, got what is none"),
    ],
)
def test_data_that_cannot_be_used_are_named(data, content, message, in_tmp_path, capsys):
    if content:
        Path(data).write_text(content)
    target = (
        ["--target", "label"] if "'label'" in message or message.startswith("target: expected a CSV") else []
    )
    assert _cli.main(["simulate", data, *target]) == 1
    printed = capsys.readouterr().err
    assert printed.startswith("querist simulate: ")
    assert message in printed


def test_a_file_in_another_encoding_is_named(in_tmp_path, capsys):
    Path("a.csv").write_bytes("a,b\n1,caf\u00e9\n".encode("cp1252"))
    assert _cli.main(["simulate", "a.csv"]) == 1
    assert "a.csv: expected CSV in UTF-8, got what is none: " in capsys.readouterr().err


def test_numbers_of_an_archive_are_no_classes(in_tmp_path, capsys):
    np.savez("numbers.npz", X=np.ones((4, 2)), y=[1, 2, 2, 2.5])
    assert _cli.main(["simulate", "numbers.npz"]) == 1
    assert "target: expected classes, got 3 different numbers such as 2.5" in capsys.readouterr().err


def test_classes_may_be_whole_numbers_in_any_dtype(in_tmp_path):
    X, y = load_iris(return_X_y=True)
    np.savez("whole.npz", X=X, y=y.astype(np.float32))
    arguments = ["--model", "naive_bayes", "--seeds", "1", "--max-labels", "20", "--jobs", "1"]
    assert _cli.main(["simulate", "whole.npz", *arguments]) == 0


def test_classes_of_a_csv_file_may_be_ratings(in_tmp_path, capsys):
    ratings = "".join(f"{n % 3 + n / 100},{n % 3 / 2}\n" for n in range(60))
    Path("ratings.csv").write_text("a,rating\n" + ratings)
    arguments = ["--model", "naive_bayes", "--seeds", "1", "--max-labels", "20", "--jobs", "1"]
    assert _cli.main(["simulate", "ratings.csv", *arguments]) == 0
    assert "60 rows of 3 classes" in capsys.readouterr().out


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit) as raised:
        _cli.main(["--version"])
    assert raised.value.code == 0
    assert capsys.readouterr().out == f"querist {qr.__version__}\n"


def test_numbers_may_be_the_names_of_columns(in_tmp_path):
    Path("frame.csv").write_text("0,1,label\n1,2,x\n3,4,y\n")
    X, y = _simulate_command.load("frame.csv", None)
    assert X.tolist() == [[1, 2], [3, 4]]
    assert y.tolist() == ["x", "y"]


def test_a_file_without_both_arrays_is_named(in_tmp_path, capsys):
    np.savez("half.npz", X=np.ones((3, 2)))
    assert _cli.main(["simulate", "half.npz"]) == 1
    assert "half.npz: expected arrays X and y, got ['X']" in capsys.readouterr().err


@pytest.mark.parametrize("y", [np.array(["a", None], object), np.ones(2)])
def test_an_archive_that_cannot_be_read_is_named(y, in_tmp_path, capsys):
    np.savez("odd.npz", X=np.ones((2, 2)), y=y)
    if y.dtype != object:
        content = bytearray(Path("odd.npz").read_bytes())
        content[60:200] = bytes(140)
        Path("odd.npz").write_bytes(content)
    assert _cli.main(["simulate", "odd.npz"]) == 1
    assert "odd.npz: expected an archive of arrays of numbers or text: " in capsys.readouterr().err


@pytest.mark.parametrize("ending", ["\n", "\n\n", "\r\n,,\r\n\r\n"])
def test_empty_last_lines_of_a_file_are_nothing(ending, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b,kind\n1,2,x\n3,4,y" + ending, newline="")
    rows, labels = _simulate_command.load(str(path), None)
    assert (rows.tolist(), labels.tolist()) == ([[1, 2], [3, 4]], ["x", "y"])


@pytest.mark.parametrize("command", [["demo"], ["simulate", "iris"]])
@pytest.mark.parametrize("name", ["curves.foo", "curves"])
def test_a_picture_of_an_unknown_format_is_refused_before_the_experiment(
    command, name, in_tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("querist._simulate.ActiveLearner", None)
    assert _cli.main([*command, "--png", name]) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith(f"querist {command[0]}: png: expected a file with a suffix of ['")
    assert printed.err.endswith(f", got {name}\n")
