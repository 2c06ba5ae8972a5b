"""querist after fork, forkserver and spawn: the same bits, and never a hang."""

from __future__ import annotations

import os
from textwrap import dedent

import child
import pytest
from reference import NAMES

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

DIGEST = dedent("""
    import multiprocessing
    import os
    import sys
    import threading
    import zlib
    import numpy as np
    import querist as qr

    # Made once: numpy imports and OpenSSL hold locks that a fork in their middle leaves locked.
    proba = np.random.default_rng(0).random((300_000, 10), np.float32) + np.float32(0.01)
    proba /= proba.sum(axis=1, keepdims=True)

    def digest():
        seen = 0
        for n_threads in (None, 3):
            for score in qr.scores(proba, NAMES, n_threads=n_threads).values():
                seen = zlib.crc32(score, seen)
            picks = qr.top_scores(proba, 1000, n_threads=n_threads)
            seen = zlib.crc32(picks.indices, seen)
            seen = zlib.crc32(qr.select.top_k(picks.values, 100, n_threads=n_threads).indices, seen)
        return seen
""").replace("NAMES", repr(NAMES))


def assert_one_digest(out: str, times: int) -> None:
    digests = out.split()
    assert len(digests) == times
    assert len(set(digests)) == 1


@needs_fork
def test_a_child_of_fork_and_its_child_give_the_same_bits():
    grandchild = dedent("""
        print(digest(), flush=True)
        if (first := os.fork()) == 0:
            print(digest(), flush=True)
            if (second := os.fork()) == 0:
                print(digest(), flush=True)
                os._exit(0)
            os._exit(os.waitpid(second, 0)[1] != 0)
        assert os.waitpid(first, 0)[1] == 0
        print(digest())
    """)
    assert_one_digest(child.run(DIGEST + grandchild), 4)


@needs_fork
def test_a_child_of_fork_gives_the_same_bits_when_only_the_child_ever_scores():
    first_use_in_the_child = dedent("""
        if (pid := os.fork()) == 0:
            print(digest(), flush=True)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        print(digest())
    """)
    assert_one_digest(child.run(DIGEST + first_use_in_the_child), 2)


@needs_fork
def test_a_fork_while_other_threads_are_scoring_does_not_hang():
    in_the_middle = dedent("""
        done = threading.Event()
        def keep_scoring():
            while not done.is_set():
                digest()
        busy = [threading.Thread(target=keep_scoring) for _ in range(3)]
        for thread in busy:
            thread.start()
        for _ in range(8):
            if (pid := os.fork()) == 0:
                print(digest(), flush=True)
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
        done.set()
        for thread in busy:
            thread.join()
        print(digest())
    """)
    assert_one_digest(child.run(DIGEST + in_the_middle, timeout=120), 9)


@needs_fork
@pytest.mark.parametrize("first", ["entropy(proba)", "bald([proba, proba])", "select.top_k(proba[:, 0], 3)"])
def test_a_fork_at_the_first_call_of_another_thread_does_not_hang(first):
    # What is made ready at the first call must not be locked in the child for ever: half of the runs hung.
    at_once = dedent("""
        import os, threading
        import numpy as np
        import querist as qr
        proba = np.full((500, 4), 0.25)
        done = threading.Event()
        def keep_scoring():
            while not done.is_set():
                qr.FIRST
        busy = threading.Thread(target=keep_scoring)
        busy.start()
        for _ in range(20):
            if (pid := os.fork()) == 0:
                qr.FIRST
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
        done.set()
        busy.join()
    """)
    for _ in range(4):
        child.run(at_once.replace("FIRST", first), timeout=20)


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_every_way_to_start_a_process_gives_the_same_bits(method, tmp_path):
    script = tmp_path / "pool.py"
    body = dedent("""
        if __name__ == "__main__":
            if sys.argv[1] not in multiprocessing.get_all_start_methods():
                print("absent")
                sys.exit()
            print(digest())
            with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
                results = [pool.apply_async(digest) for _ in range(3)]
                print(*[result.get(timeout=60) for result in results])
            print(digest())
    """)
    script.write_text(DIGEST + body)
    out = child.run(script, method, timeout=120)
    if out.split() == ["absent"]:
        pytest.skip(f"this system cannot start processes by {method}")
    assert_one_digest(out, 5)


@needs_fork
def test_a_selector_that_was_at_work_when_the_process_was_forked_says_so_and_any_other_goes_on():
    source = """
        import os
        import threading
        import time
        import numpy as np
        import querist as qr

        pool = np.random.default_rng(0).normal(size=(100_000, 32)).astype(np.float32)
        selector, idle = qr.select.KCenter(pool), qr.select.KCenter(pool, labeled=[0])
        busy = threading.Thread(target=lambda: selector.pick(20_000))
        busy.start()
        time.sleep(0.3)
        if (pid := os.fork()) == 0:
            for work in (lambda: selector.pick(1), lambda: selector.add([1])):
                try:
                    work()
                    print("went on", flush=True)
                except RuntimeError as error:
                    print(error, flush=True)
            print(idle.pick(1).indices, flush=True)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        print(idle.pick(1).indices)
    """
    first, second, *picks = child.run(source).splitlines()
    assert first == second
    assert first.startswith("this KCenter was at work in another thread when the process was forked")
    assert picks[0] == picks[1]
