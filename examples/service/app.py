"""Scores and picks over HTTP, from the bytes that `numpy.save` writes.

    pip install querist starlette gunicorn uvicorn-worker
    gunicorn app:app                      # in this folder, which has gunicorn.conf.py

    POST /scores/entropy                  .npy of (n, c) probabilities -> .npy of n scores
    POST /picks/margin?k=100              the same                     -> {"indices": [...], "values": [...]}
    GET  /health                          -> how this worker runs

A body that is too large is 413, one that is no .npy file 400, of another media type 415; an array that
querist refuses, or a bad k, is 422 with the reason; a client too slow 408; no turn or score in time 503.
"""

import asyncio
import io
import math
import os
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import querist as qr
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

MEDIA_TYPE = "application/x-npy"
MAX_BYTES = 64 * 2**20  # of a body
MAX_HEADER = 10_240  # bytes of it that come before the numbers; numpy writes 128
AT_ONCE = 2  # bodies that a worker holds; others wait unread, in the buffers of their sockets
SECONDS = 10.0  # for a body to come, then for its scores
SCORES = ("entropy", "margin", "least_confidence", "gini")
MAX_K = 10_000

bodies = asyncio.Semaphore(AT_ONCE)


@asynccontextmanager
async def turn() -> AsyncIterator[None]:
    """Wait until there is room for a body, which bounds the memory; not for ever."""
    try:
        await asyncio.wait_for(bodies.acquire(), SECONDS)
    except TimeoutError:
        raise HTTPException(503, "busy: try again later", {"Retry-After": "1"}) from None
    try:
        yield
    finally:
        bodies.release()


async def read(request: Request) -> bytearray:
    """Read the body, or refuse it as soon as it is known to be too large."""
    if request.headers.get("content-type") != MEDIA_TYPE:
        raise HTTPException(415, f"content-type: expected {MEDIA_TYPE}")
    too_large = HTTPException(413, f"body: expected at most {MAX_BYTES} bytes", {"Connection": "close"})
    if int(request.headers.get("content-length", 0)) > MAX_BYTES:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise too_large
    except TimeoutError:
        raise HTTPException(408, f"body: expected it in {SECONDS} s", {"Connection": "close"}) from None
    except ClientDisconnect:
        raise HTTPException(400, "body: the connection was closed in its middle") from None
    return body


def parse(body: bytearray) -> np.ndarray[Any, Any]:
    """Give the array that the body holds, in its memory."""
    file = io.BytesIO(memoryview(body)[:MAX_HEADER])
    try:
        version = np.lib.format.read_magic(file)
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    except Exception as error:  # numpy has Python's own parser read the header, which may raise anything
        raise HTTPException(400, f"body: expected a .npy file: {error}") from None
    floats = dtype.str[1:] in {"f2", "f4", "f8"}
    if not floats or version != (1, 0) or len(shape) != 2 or min(shape) < 0:
        raise HTTPException(422, f"body: expected floats of shape (n, c), got {dtype} of {shape}")
    expected, came = math.prod(shape) * dtype.itemsize, len(body) - file.tell()
    if came != expected:
        raise HTTPException(400, f"body: expected {expected} bytes of numbers, got {came}")
    return np.ndarray(shape, dtype, body, file.tell(), order="F" if fortran else "C")


async def run(request: Request, function: Any) -> Any:
    """Call `function(proba, score)` on a thread; querist lets go of the GIL, so the loop answers others."""
    score = request.path_params["score"]
    if score not in SCORES:
        raise HTTPException(404, f"score: expected one of {', '.join(SCORES)}")
    async with turn():
        proba = parse(await read(request))
        try:
            return await asyncio.to_thread(function, proba, score)
        except (ValueError, TypeError) as error:
            raise HTTPException(422, str(error)) from None
        except TimeoutError as error:
            raise HTTPException(503, str(error), {"Retry-After": "1"}) from None


async def scores(request: Request) -> Response:
    """Score each row."""

    def saved(proba: np.ndarray[Any, Any], score: str) -> bytes:
        file = io.BytesIO()
        np.save(file, qr.scores(proba, [score], n_threads=1, deadline=SECONDS)[score], allow_pickle=False)
        return file.getvalue()

    return Response(await run(request, saved), media_type=MEDIA_TYPE)


async def picks(request: Request) -> Response:
    """Pick the k rows to ask first."""
    k = request.query_params.get("k", "")
    if not (k.isascii() and k.isdigit() and len(k) < 10 and 1 <= int(k) <= MAX_K):
        raise HTTPException(422, f"k: expected a number from 1 to {MAX_K}, got {k[:20]!r}")

    def best(proba: np.ndarray[Any, Any], score: str) -> qr.Picks:
        return qr.top_scores(proba, int(k), score=score, n_threads=1, deadline=SECONDS)

    indices, values = await run(request, best)
    return JSONResponse({"indices": indices.tolist(), "values": values.tolist()})


async def health(_: Request) -> Response:
    """Tell how this worker runs, and the most memory that it ever held (KiB on Linux, bytes on macOS)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return JSONResponse(qr.show_config() | {"pid": os.getpid(), "peak": peak})


app = Starlette(
    routes=[
        Route("/scores/{score}", scores, methods=["POST"]),
        Route("/picks/{score}", picks, methods=["POST"]),
        Route("/health", health),
    ]
)
