"""What README shows is what runs, as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

from threadpoolctl import threadpool_limits

README = Path(__file__).parent.parent / "README.md"


def test_the_example_runs_as_pasted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(
        r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    with threadpool_limits(1):
        exec(compile(example, README.name, "exec"), names := {})
    names["learner"].close()
    assert names["learner"].n_labels > 50
