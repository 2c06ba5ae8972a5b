"""What docs/tasks.md shows is what runs."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
from querist._strategies import PRESETS
from threadpoolctl import threadpool_limits

PAGE = (Path(__file__).parent.parent / "docs" / "tasks.md").read_text(encoding="utf-8")


def snippets(text):
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


PRELUDE, *SECTIONS = re.split(r"^## ", PAGE, flags=re.MULTILINE)
CASES = [
    pytest.param(snippet, id=f"{section.splitlines()[0]}, {number}")
    for section in SECTIONS
    for number, snippet in enumerate(snippets(section), 1)
]


@pytest.mark.parametrize("snippet", CASES)
def test_a_snippet_runs_after_the_first_lines(snippet, tmp_path, monkeypatch):
    if "import torch" in snippet and not importlib.util.find_spec("torch"):
        pytest.skip("torch is not installed: its snippet was not run")
    monkeypatch.chdir(tmp_path)
    typed = iter("123u456q")  # by the person at the terminal
    monkeypatch.setattr("builtins.input", lambda _: next(typed))
    (prelude,) = snippets(PRELUDE)
    names = {}
    with threadpool_limits(1):
        for lines in (prelude, snippet):
            exec(compile(lines, "tasks.md", "exec"), names)
    if "learner" in names:
        assert names["learner"].n_labels > 0


def test_the_table_names_strategies_that_there_are():
    (table,) = (section for section in SECTIONS if section.startswith("Which strategy when"))
    named = re.findall(
        r"`(\w+)`", " ".join(row.split("|")[2] for row in re.findall(r"^\|.*`.*", table, re.M))
    )
    assert len(named) >= 8
    assert set(named) <= set(PRESETS)
