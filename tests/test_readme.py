"""What README shows is what runs, as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

from threadpoolctl import threadpool_limits

README = Path(__file__).parent.parent / "README.md"


def test_the_examples_run_as_pasted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    examples = re.findall(
        r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    assert len(examples) == 2
    with threadpool_limits(1):
        for example in examples:
            exec(compile(example, README.name, "exec"), names := {})
    names["learner"].close()
    assert names["learner"].n_labels >= 50
