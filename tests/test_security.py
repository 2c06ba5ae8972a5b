"""SECURITY.md lists all unsafe code."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_table_of_unsafe_code_is_complete():
    table = re.findall(
        r"^\| `(rust/\S+)` \| (\d+) \|", (ROOT / "SECURITY.md").read_text("utf-8"), re.MULTILINE
    )
    told = {file: int(count) for file, count in table}
    found = {}
    for source in sorted((ROOT / "rust").rglob("*.rs")):
        code = re.sub(r"//.*", "", source.read_text("utf-8"))
        if count := len(re.findall(r"\bunsafe\b", code)):
            found[source.relative_to(ROOT).as_posix()] = count
    assert told == found
