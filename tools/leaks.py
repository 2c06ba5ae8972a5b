"""Whether valgrind finds fault with the extension: `python tools/leaks.py`.

Makes every call of tests/functions.py, with good and with refused arguments and interrupted, and looks at
what memcheck tells of it: reads and writes outside, uses of memory that was never written, and memory that is
lost for good, if code of querist is among the callers. Python and numpy have reports of their own, which are
none of ours. Valgrind knows no AVX-512; all is at AVX2.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
TIMES = 3
MEMCHECK = ["--tool=memcheck", "--leak-check=full", "--show-leak-kinds=definite", "--num-callers=40"]
# Frames of the extension: by its file, or where it has symbols, by the source.
OURS = re.compile(r"_core\.abi3\.so|_core\.cpython|\((?:lib|[a-z_0-9]+)\.rs:\d+\)")


def made() -> None:
    """Make every call."""
    sys.path.insert(0, str(ROOT / "tests"))
    from test_leaks import EVERY, good, interrupted, refused

    for _ in range(TIMES):
        for at in EVERY:
            good(at)
            refused(at)
        interrupted(1)
        interrupted(2)
    print(f"{len(EVERY)} calls, {TIMES} times", flush=True)


def reports() -> list[str]:
    """Run `made` under memcheck; give the reports that name the extension."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "memcheck")
        subprocess.run(
            ["valgrind", *MEMCHECK, f"--log-file={log}", sys.executable, __file__, "--made"],
            env=os.environ | {"QUERIST_SIMD": "avx2", "PYTHONMALLOC": "malloc"},
            check=True,
        )
        text = re.sub(r"^==\d+== ?", "", log.read_text("utf-8", errors="replace"), flags=re.MULTILINE)
    if "ERROR SUMMARY" not in text:
        raise SystemExit("valgrind did not come to its end")
    return [report for report in text.split("\n\n") if OURS.search(report)]


if __name__ == "__main__":
    if "--made" in sys.argv:
        made()
    else:
        found = reports()
        print("\n\n".join(found) or "nothing read or written outside, nothing lost")
        raise SystemExit(bool(found))
