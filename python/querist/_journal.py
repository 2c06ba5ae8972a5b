"""The journal of a campaign: its events in one SQLite file, each on the disk before it counts.

A row is an event. Each carries a seal: a hash of itself and of the seal before it, so that a row that was
changed, lost or put in by another hand is an error and never another campaign.

The file is in WAL mode with `synchronous=FULL`: a commit is one append and one fsync, where a rollback
journal needs several of each; readers do not stop a writer; and a torn tail of the log is found by its own
checksums and cut off, at a commit. Several processes may write: each reads first what the others wrote.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar
from urllib.parse import quote

from querist._core import __version__
from querist._event_text import event_of, event_text
from querist._events import Event
from querist._interrupts import uninterrupted
from querist._rounds import JournalError

APPLICATION = 0x71737274  # SQLite's mark for whose file this is: "qsrt"
SCHEMA = 1
PATIENCE = 30.0  # seconds to wait while another process has the file locked
STEP = 0.005  # seconds between two tries
RIGHTS = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)  # what SQLite says where it lacks one

T = TypeVar("T")
Row: TypeAlias = tuple[int, float, str, str, bytes]


class Began(NamedTuple):
    """The first row: when the campaign began, and with what."""

    time: float
    querist: str
    settings: Mapping[str, Any]


class Journal:
    """An open journal. `started` and `opened` make one."""

    def __init__(self, path: str | os.PathLike[str], mode: Literal["rwc", "rw", "ro"]) -> None:
        self.path = Path(path)
        self._mode = mode
        self._process = os.getpid()
        self.began: Began | None = None
        self._seal = b""
        self._read = 0  # the number of the last event that is known
        self._file = self.path.absolute()  # also when the process goes to another directory
        if self.path.is_dir():
            raise JournalError(f"journal {path}: expected a file, got a directory; name a file in it")
        if not self.path.parent.is_dir():
            raise JournalError(f"journal {path}: there is no directory {self.path.parent}; make it first")
        if mode != "rwc" and not self.path.exists():
            raise JournalError(f"journal {path}: there is no such file")
        uri = f"file:{quote(str(self._file))}?mode={mode}"
        self._had_log = self._beside("-wal").exists()
        if mode == "ro" and not self._had_log:
            uri += "&immutable=1"  # or SQLite would make two files beside it only to read, and leave them
        with self._errors():
            # Without a timeout: SQLite would wait where Ctrl-C cannot reach it.
            self._connection = sqlite3.connect(
                uri, uri=True, timeout=0, isolation_level=None, check_same_thread=False
            )
            pragmas = "PRAGMA synchronous=FULL; PRAGMA fullfsync=1"
            self._patiently(lambda: self._connection.executescript(pragmas).close())
        self._identity = self._identity_now()

    @classmethod
    def started(
        cls, path: str | os.PathLike[str], time: float, settings: Mapping[str, Any], first: Sequence[Event]
    ) -> Journal:
        """Start a journal in a new or empty file, with the first events in the same commit."""
        texts = [(event.time, *event_text(event)) for event in first]
        journal = cls(path, "rwc")
        try:
            text = json.dumps({"querist": __version__, "settings": settings})
            with journal._errors():
                journal._patiently(lambda: journal._start([(time, "began", text), *texts]))
        except BaseException:
            journal.close()
            raise
        journal.began = Began(time, __version__, settings)
        return journal

    @classmethod
    def opened(cls, path: str | os.PathLike[str], mode: Literal["rw", "ro"] = "rw") -> Journal:
        """Open a journal, to read it only if `mode` is "ro"; nothing but its first row is read yet."""
        journal = cls(path, mode)
        try:
            with journal._errors():
                journal._patiently(journal._open)
        except BaseException:
            journal.close()
            raise
        return journal

    def news(self, take: Callable[[Event], None]) -> None:
        """Hand on the events that are not known yet, from first to last."""
        with self._errors():
            self._patiently(lambda: self._news(take))

    def append(
        self,
        events: Sequence[Event],
        *,
        take: Callable[[Event], None],
        overtaken: Callable[[list[Event]], bool],
        then: Callable[[], None],
    ) -> None:
        """Write the events in one commit, and call `then` when it is on the disk.

        `take` is called before with each event that others have written; if these have `overtaken` the
        events, nothing is written.
        """
        texts = [(event.time, *event_text(event)) for event in events]

        def write() -> None:
            with uninterrupted():
                with self._transaction():
                    if overtaken(self._news(take)):
                        return
                    last = self._insert(texts)
                    self._check_in_place()
                self._read, self._seal = last
                then()

        with self._errors():
            self._patiently(write)

    def check(self) -> None:
        """Have SQLite look at every page of the file."""
        with self._errors():
            found = self._patiently(lambda: self._connection.execute("PRAGMA integrity_check").fetchall())
        if found != [("ok",)]:
            raise JournalError(f"journal {self.path}: damaged: {found[0][0]}")

    def close(self) -> None:
        """Close the file."""
        if hasattr(self, "_connection") and os.getpid() == self._process:
            self._connection.close()

    def __reduce__(self) -> Any:
        raise TypeError(
            f"a learner with a journal can be neither copied nor pickled; resume from {self.path} "
            "instead, in as many processes as you like"
        )

    def __del__(self) -> None:
        with suppress(Exception):
            self.close()

    def _start(self, texts: Sequence[tuple[float, str, str]]) -> None:
        self._check_empty()  # before a file of another program is touched
        self._connection.execute("PRAGMA journal_mode=WAL").close()
        with uninterrupted(), self._transaction():
            self._check_empty()
            self._connection.execute(f"PRAGMA application_id={APPLICATION}")
            self._connection.execute(f"PRAGMA user_version={SCHEMA}")
            self._connection.execute(
                "CREATE TABLE event (number INTEGER PRIMARY KEY, time REAL NOT NULL, kind TEXT NOT NULL, "
                "body TEXT NOT NULL, seal BLOB NOT NULL)"
            )
            last = self._insert(texts)
            self._check_in_place()
        self._read, self._seal = last

    def _open(self) -> None:
        self._check_kind()
        row = self._connection.execute("SELECT * FROM event WHERE number = 1").fetchone()
        if row is None:
            raise JournalError(f"journal {self.path}: its first event is missing")
        with self._damage(1):
            seal = self._seal_of(row)
            body = json.loads(row[3])
            self.began = Began(row[1], body["querist"], body["settings"])
        self._read, self._seal = 1, seal

    def _check_empty(self) -> None:
        if self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            self._check_application()
            raise JournalError(
                f"journal {self.path}: there is a campaign in it already; continue it with "
                "ActiveLearner.resume, or name another file"
            )

    def _check_in_place(self) -> None:
        """Raise where the path no longer leads to the open file: nobody would find what is written there."""
        if self._identity_now() != self._identity:
            raise JournalError(
                f"journal {self.path}: the file was removed or replaced while it was open, and nothing more "
                "is written to it; put it back, or resume from the one that is there"
            )

    def _identity_now(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self._file)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _check_kind(self) -> None:
        self._check_application()
        (schema,) = self._connection.execute("PRAGMA user_version").fetchone()
        if schema != SCHEMA:
            raise JournalError(
                f"journal {self.path}: of schema {schema}, written by another version of querist; this one "
                f"({__version__}) reads schema {SCHEMA}"
            )

    def _check_application(self) -> None:
        (application,) = self._connection.execute("PRAGMA application_id").fetchone()
        if application == APPLICATION:
            return
        (n_pages,) = self._connection.execute("PRAGMA page_count").fetchone()
        (n_tables,) = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if n_pages and not (n_tables or self._had_log):
            raise JournalError(
                f"journal {self.path}: a database without a table: not a journal of querist, or a copy of "
                f"one that was open, without {self._beside('-wal').name}, which has its events; copy both "
                "files; or the start of a campaign broke off, and ActiveLearner(..., journal=...) begins it"
            )
        if not n_tables:
            raise JournalError(
                f"journal {self.path}: no campaign was begun in it; "
                "ActiveLearner(..., journal=...) begins one"
            )
        raise JournalError(f"journal {self.path}: not a journal of querist; name another file")

    def _news(self, take: Callable[[Event], None]) -> list[Event]:
        rows = self._connection.execute(
            "SELECT * FROM event WHERE number > ? ORDER BY number", (self._read,)
        ).fetchall()
        events = []
        for row in rows:
            with self._damage(self._read + 1):
                seal = self._seal_of(row)
                events.append(event_of(row[1], row[2], row[3]))
            with uninterrupted():
                take(events[-1])
                self._read, self._seal = row[0], seal
        return events

    def _insert(self, texts: Sequence[tuple[float, str, str]]) -> tuple[int, bytes]:
        """Write events, and give the number and the seal of the last."""
        rows: list[Row] = []
        seal = self._seal
        for number, (time, kind, text) in enumerate(texts, self._read + 1):
            seal = _sealed(seal, number, time, kind, text)
            rows.append((number, time, kind, text, seal))
        self._connection.executemany("INSERT INTO event VALUES (?, ?, ?, ?, ?)", rows)
        return self._read + len(rows), seal

    def _seal_of(self, row: Row) -> bytes:
        """Give the seal of the next event, or raise if it is broken."""
        number, time, kind, text, seal = row
        if number != self._read + 1 or seal != _sealed(self._seal, number, time, kind, text):
            raise ValueError("its seal is broken")
        return seal

    def _patiently(self, act: Callable[[], T]) -> T:
        """Do what needs the file, again and again while another process has it locked."""
        end = monotonic() + PATIENCE
        while True:
            try:
                return act()
            except sqlite3.OperationalError as error:
                if _code(error) != sqlite3.SQLITE_BUSY:
                    raise
                if monotonic() >= end:
                    raise JournalError(
                        f"journal {self.path}: another process has had it locked for {PATIENCE:g} s, such as "
                        "a database browser, a backup or a learner that hangs; end that one, then try again"
                    ) from error
            sleep(STEP)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            yield
            self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        # SQLite's locks are those of a process.
        if os.getpid() != self._process:  # pragma: no cover - in a child of fork
            raise JournalError(f"journal {self.path}: opened before a fork; resume from it in the child")
        try:
            yield
        except sqlite3.Error as error:
            is_other = _code(error) == sqlite3.SQLITE_NOTADB
            what = "not a journal of querist, or its first bytes are damaged: " if is_other else ""
            why = self._missing_right() if _code(error) in RIGHTS else ""
            raise JournalError(f"journal {self.path}: {what}{error}{why}") from error

    def _missing_right(self) -> str:
        """Say what may not be read or written, where SQLite says only that it cannot, and what to do."""
        files = [file for file in map(self._beside, ("", "-wal", "-shm")) if file.exists()]
        directory = files[0].parent if files else self.path.parent
        for right, does, lacking in (
            (os.R_OK, "read", files),
            (os.W_OK, "write", [] if self._mode == "ro" else files),
            (os.W_OK, "write files in", [directory]),
        ):
            for path in lacking:
                if not os.access(path, right, effective_ids=os.access in os.supports_effective_ids):
                    return (
                        f": this user may not {does} {path}; allow it, or copy the journal, with the -wal "
                        "beside it if there is one, to a directory of your own"
                    )
        return ""

    def _beside(self, suffix: str) -> Path:
        """Give the path of one of SQLite's files, which are beside the file that a link leads to."""
        file = self.path.resolve()
        return file.with_name(file.name + suffix)

    @contextmanager
    def _damage(self, number: int) -> Iterator[None]:
        try:
            yield
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
            raise JournalError(f"journal {self.path}: event {number} is damaged: {error}") from error


def _sealed(before: bytes, number: int, time: float, kind: str, text: str) -> bytes:
    row = f"{number} {time!r} {kind} {text}".encode()
    return hashlib.blake2b(before + row, digest_size=16).digest()


def _code(error: sqlite3.Error) -> int:
    """Give SQLite's kind of error; 0 where Python's module found it."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
