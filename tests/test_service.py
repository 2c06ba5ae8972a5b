"""The example service, run for real: gunicorn that preloads, two workers, sockets."""

from __future__ import annotations

import http.client
import io
import json
import os
import re
import signal
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import child
import numpy as np
import pytest
import querist as qr

if sys.platform == "win32":
    pytest.skip("gunicorn runs on Unix", allow_module_level=True)

SERVICE = Path(__file__).parent.parent / "examples" / "service"
LIMIT = 2**22
NPY = {"Content-Type": "application/x-npy"}

# Before the fork, threads have run in the parent. The limit is small, so that a test can reach it.
PRELOADED = f"""
import sys
sys.path.insert(0, {str(SERVICE)!r})
import numpy as np
import querist as qr
qr.entropy(np.full((500_000, 10), 0.1, np.float32), n_threads=4)
import app as service
service.MAX_BYTES = {LIMIT}
app = service.app
"""


class Server:
    """Gunicorn on a free port of this machine."""

    def __init__(self, folder: Path, seconds: float = 60.0) -> None:
        (folder / "preloaded.py").write_text(f"{PRELOADED}\nservice.SECONDS = {seconds}\n")
        self.log = folder / "log"
        self.log.touch()
        where = ["--chdir", str(folder), "--error-logfile", str(self.log), "--bind", "127.0.0.1:0"]
        how = ["--config", str(SERVICE / "gunicorn.conf.py"), "--workers", "2", "preloaded:app"]
        self.process = child.start("from gunicorn.app.wsgiapp import run; run()", *where, *how)
        while not (found := re.search(r"Listening at: http://127\.0\.0\.1:(\d+)", self.log.read_text())):
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.01)
        self.port = int(found[1])

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] = NPY
    ) -> tuple[int, bytes]:
        connection = self.connect()
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def peaks(self) -> dict[int, int]:
        """Bytes that each worker held at most, by process."""
        unit = 1 if sys.platform == "darwin" else 1024
        found: dict[int, int] = {}
        while len(found) < 2:
            told = json.loads(self.ask("GET", "/health")[1])
            found[told["pid"]] = told["peak"] * unit
        return found

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        code, _, err = child.finish(self.process)
        assert code == 0, err + self.log.read_text()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("service"))
    try:
        yield running
    finally:
        running.stop()


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def probabilities(n: int, c: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(c), n)


def test_concurrent_requests_get_the_bits_of_a_direct_call(server):
    kinds = ["<f4", ">f4", "<f8", ">f8", "<f2"]

    def ask(i: int) -> None:
        proba = probabilities(500 + i, 7, seed=i).astype(kinds[i % len(kinds)])
        proba = np.asfortranarray(proba) if i % 2 else proba
        score = ("entropy", "margin", "least_confidence", "gini")[i % 4]
        status, body = server.ask("POST", f"/scores/{score}", npy(proba))
        assert status == 200, body
        np.testing.assert_array_equal(np.load(io.BytesIO(body)), getattr(qr, score)(proba), strict=True)
        status, body = server.ask("POST", f"/picks/{score}?k=20", npy(proba))
        assert status == 200, body
        expected = qr.top_scores(proba, 20, score=score)
        assert json.loads(body) == {"indices": expected.indices.tolist(), "values": expected.values.tolist()}

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(ask, range(80)))


def test_many_large_bodies_at_once_are_held_a_few_at_a_time(server):
    body = npy(np.full((LIMIT // 40 - 10, 10), 0.1, np.float32))
    server.ask("POST", "/scores/entropy", body)
    before = server.peaks()
    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda _: server.ask("POST", "/scores/entropy", body), range(80)))
    assert {status for status, _ in answers} == {200}
    after = server.peaks()
    assert after.keys() == before.keys()
    # Two bodies with the room that they grow into, and of each that waits what a socket brings at once.
    # If all were held, the busier worker would grow by 20 bodies or more.
    assert max(after[pid] - before[pid] for pid in before) < 14 * LIMIT


GOOD = npy(np.array([[0.5, 0.5], [1.0, 0.0]]))


def with_header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + b"\x00" * 32


def of_shape(shape: str) -> bytes:
    return with_header(f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}")


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/scores/entropy", b"", 400, "npy"),
        ("/scores/entropy", b"PK\x03\x04 and more", 400, "npy"),
        ("/scores/entropy", GOOD[:-1], 400, "32 bytes of numbers, got 31"),
        ("/scores/entropy", GOOD + b"x", 400, "32 bytes of numbers, got 33"),
        ("/scores/entropy", with_header("-" * 9000 + "1"), 400, "npy"),
        ("/scores/entropy", with_header("(" * 9000), 400, "npy"),
        ("/scores/entropy", of_shape("(-2, -2)"), 422, "(-2, -2)"),
        ("/scores/entropy", of_shape("(4611686018427387904, 4)"), 400, "bytes of numbers"),
        ("/scores/entropy", npy(np.array([["a"]], object)), 422, "got object"),
        ("/scores/entropy", npy(np.ones((2, 2), np.int64)), 422, "got int64"),
        ("/scores/entropy", npy(np.ones((2, 2), np.longdouble)), 422, "floats"),
        ("/scores/entropy", npy(np.ones(4)), 422, "(4,)"),
        ("/scores/entropy", npy(np.ones((2, 2, 2))), 422, "(2, 2, 2)"),
        ("/scores/entropy", npy(np.array([[1.0, 0.0], [0.5, 0.6]])), 422, "row 1"),
        ("/scores/entropy", npy(np.ones((3, 0))), 422, "proba"),
        ("/scores/nothing", GOOD, 404, "margin"),
        ("/picks/margin", GOOD, 422, "k:"),
        ("/picks/margin?k=0", GOOD, 422, "k:"),
        ("/picks/margin?k=-1", GOOD, 422, "k:"),
        ("/picks/margin?k=10001", GOOD, 422, "k:"),
        ("/picks/margin?k=" + "9" * 5000, GOOD, 422, "k:"),
        ("/picks/margin?k=3", GOOD, 422, "k=3 is more than the 2 rows"),
        ("/elsewhere", GOOD, 404, ""),
    ],
)
def test_what_is_refused_is_refused_with_its_reason(server, path, body, status, words):
    came, text = server.ask("POST", path, body)
    assert (came, words in text.decode()) == (status, True), (came, text)


def test_a_method_or_a_media_type_that_is_not_served_is_refused(server):
    assert server.ask("GET", "/scores/entropy")[0] == 405
    assert server.ask("POST", "/scores/entropy", GOOD, {"Content-Type": "application/json"})[0] == 415
    assert server.ask("POST", "/scores/entropy", GOOD, {})[0] == 415


def test_a_body_that_is_too_large_is_refused_before_it_is_read(server):
    connection = server.connect()
    connection.putrequest("POST", "/scores/entropy")
    for name, value in (NPY | {"Content-Length": str(LIMIT + 1)}).items():
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_a_body_of_untold_length_is_refused_where_it_passes_the_limit(server):
    """Its end is never sent: the answer comes without."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as wire:
        wire.sendall(
            b"POST /scores/entropy HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-npy\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % (LIMIT + 1)
        )
        wire.sendall(bytes(LIMIT + 1))
        assert wire.recv(12) == b"HTTP/1.1 413"


def test_a_client_that_goes_away_in_the_middle_of_a_body_harms_nobody(server):
    for _ in range(10):
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as wire:
            wire.sendall(
                b"POST /scores/entropy HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-npy\r\n"
                b"Content-Length: 1000\r\n\r\nhalf"
            )
    assert server.ask("POST", "/scores/entropy", GOOD)[0] == 200
    assert "Traceback" not in server.log.read_text()


def test_a_client_that_is_too_slow_is_told_so(tmp_path):
    server = Server(tmp_path, seconds=0.2)
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as wire:
        wire.sendall(
            b"POST /scores/entropy HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-npy\r\n"
            b"Content-Length: 1000\r\n\r\nhalf"
        )
        assert wire.recv(12) == b"HTTP/1.1 408"
    server.stop()


def test_a_request_under_way_is_answered_after_the_signal_to_stop(tmp_path):
    server = Server(tmp_path)
    assert server.ask("GET", "/health")[0] == 200
    connection = server.connect()
    connection.putrequest("POST", "/scores/entropy")
    for name, value in (NPY | {"Content-Length": str(len(GOOD)), "Expect": "100-continue"}).items():
        connection.putheader(name, value)
    connection.endheaders()
    wire = connection.sock
    assert wire.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"  # the worker waits for the body
    os.kill(server.process.pid, signal.SIGTERM)
    while "Handling signal: term" not in server.log.read_text():
        assert server.process.poll() is None
        time.sleep(0.01)
    wire.sendall(GOOD)
    response = connection.getresponse()
    assert response.status == 200
    np.testing.assert_array_equal(np.load(io.BytesIO(response.read())), qr.entropy(np.load(io.BytesIO(GOOD))))
    connection.close()
    code, _, err = child.finish(server.process)
    assert code == 0, err
