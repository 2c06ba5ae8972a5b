"""How `gunicorn app:app` serves; read by gunicorn."""

import os

worker_class = "uvicorn_worker.UvicornWorker"
workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
preload_app = (
    True  # imported once, and shared by fork: between calls, querist has no threads that it could lose
)
timeout = 30  # a worker whose event loop stands still this long is replaced
graceful_timeout = 30  # what a request under way has to end after SIGTERM
