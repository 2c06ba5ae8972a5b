"""A fresh interpreter for what must be seen from outside: environment, fork, signals, import."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

STEERING = ("QUERIST_SIMD", "QUERIST_NUM_THREADS", "OMP_NUM_THREADS")


def start(source: str | Path, *args: str, flags: tuple[str, ...] = (), **env: str) -> subprocess.Popen:
    """Start a source text or a script in its own session, in an environment free of steering."""
    program = [str(source)] if isinstance(source, Path) else ["-c", dedent(source)]
    inherited = {name: value for name, value in os.environ.items() if name not in STEERING}
    return subprocess.Popen(
        [sys.executable, "-P", *flags, *program, *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=inherited | env,
        start_new_session=True,
    )


def finish(process: subprocess.Popen, timeout: float = 60.0) -> tuple[int, str, str]:
    """Wait for the exit: `(code, stdout, stderr)`. After `timeout` the whole session is killed."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        message = f"the child hung for {timeout} s\nstdout:\n{out}\nstderr:\n{err}"
        raise AssertionError(message) from None
    return process.returncode, out, err


def run(
    source: str | Path,
    *args: str,
    timeout: float = 60.0,
    flags: tuple[str, ...] = (),
    **env: str,
) -> str:
    """Return what the program prints; a hang or a failure is an AssertionError."""
    code, out, err = finish(start(source, *args, flags=flags, **env), timeout)
    assert code == 0, f"the child exited with {code}\nstdout:\n{out}\nstderr:\n{err}"
    return out
