"""The console command, as a user starts it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import subprocess
import sys

import pytest
import querist as qr
from querist import _cli


def querist(*arguments, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "querist", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
        timeout=120,
    )


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
def test_a_missing_extra_is_named(missing, monkeypatch, capsys):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == missing else find_spec(name)
    )
    assert _cli.main(["demo"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == ("querist demo needs the extra \"demo\": pip install 'querist[demo]'\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: command"),
        (["dream"], "invalid choice: 'dream'"),
        (["demo", "--seeds", "0"], "must be at least 1, got 0"),
        (["demo", "--seeds", "few"], "argument --seeds: invalid"),
        (["demo", "--png", "/nowhere/at/all.png"], "there is no directory /nowhere/at"),
    ],
)
def test_a_wrong_argument_is_named(arguments, message, capsys):
    with pytest.raises(SystemExit) as raised:
        _cli.main(arguments)
    assert raised.value.code == 2
    assert message in capsys.readouterr().err


def test_the_demo_prints_both_tables_and_writes_the_picture(tmp_path):
    done = querist("demo", "--quick", "--seeds", "2", "--png", "curves.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    picture = tmp_path / "curves.png"
    assert picture.read_bytes().startswith(b"\x89PNG\r\n")
    assert f"Learning curves: {picture.resolve()}\n" in done.stdout
    assert "labelling digits: 100%" in done.stderr

    savings, speed = done.stdout.split("Learning curves")
    needed = {
        strategy: int(re.search(rf"^{strategy} +(\d+) ", savings, re.MULTILINE)[1])
        for strategy in ("random", "margin", "entropy")
    }
    assert 10 < needed["margin"] < needed["random"] < 1257
    assert re.search(r"^margin +\d+ +\d+-\d+ +\d+% +\d+ +\d+-\d+ +\d+%$", savings, re.MULTILINE)

    assert re.search(r"100,000 rows.*agree within \de-0[5-8]", speed)
    rows = re.findall(r"^(entropy|margin) +(\w+) +[\d.]+ +\d+ +(-|[\d.]+ x)$", speed, re.MULTILINE)
    assert [row[:2] for row in rows] == [
        ("entropy", "querist"),
        ("entropy", "numpy"),
        ("entropy", "scipy"),
        ("margin", "querist"),
        ("margin", "numpy"),
    ]
    for part in (savings, speed):
        block = part.strip().split("\n\n")[-1].splitlines()
        assert len({len(line) for line in block}) == 1, "the columns line up"
