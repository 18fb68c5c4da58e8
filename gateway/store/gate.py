"""Answering the questions of other processes, beside processing, in the process that has the store.

DuckDB lets one process have a file.  So who wants to know something while a gateway runs asks its
worker, over a Unix socket in the data directory that only the same user can open (0600).  Each
question has a connection of its own in a read-only transaction and runs in a thread of its own; the
interpreter is free while DuckDB works.  What a question may take is bounded: time (it is
interrupted), rows, bytes, and how many run at once; memory by the store's own limit, which
questions and processing share.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import duckdb
import msgspec
import pyarrow as pa
import structlog

from gateway.errors import StoreError
from gateway.store import wire
from gateway.store.connections import chosen_table, translated
from gateway.store.wire import (
    Asked,
    Failure,
    Question,
    QuestionTooLarge,
    Recent,
    RecentFlags,
    StoreBusy,
    address,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from gateway.records import Flag
    from gateway.store.duckdb import DuckDBStore

log = structlog.get_logger(__name__)

_BATCH: Final = 4096
_LOOK_S: Final = 0.05
_PATIENCE_S: Final = 5.0
_REMEMBERED: Final = 4096


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What questions may take at most, whatever they ask for."""

    seconds: float = 60.0
    rows: int = 1_000_000
    bytes: int = 256 * 1024 * 1024
    at_once: int = 2
    waiting: int = 16


class FlagLog:
    """The ids of the flags that were committed last, numbered from the start of the process."""

    def __init__(self) -> None:
        self._begun = time.time_ns()
        self._number = 0
        self._ids: deque[str] = deque(maxlen=_REMEMBERED)
        self._lock = threading.Lock()

    def add(self, flags: Iterable[Flag]) -> None:
        """Remembers flags that have just been committed."""
        with self._lock:
            for flag in flags:
                self._ids.append(flag.id)
                self._number += 1

    def since(self, after: int | None) -> RecentFlags:
        """Those behind a number; None gives none, and the number to begin from."""
        with self._lock:
            behind = 0 if after is None else self._number - after
            known = max(0, min(behind, len(self._ids)))
            ids = list(self._ids)[len(self._ids) - known :] if known else []
            return RecentFlags(self._begun, self._number, ids, missed=behind > known or behind < 0)


class _Running(msgspec.Struct, frozen=True):
    """A question that is being answered."""

    interrupt: Callable[[], None]
    asker: socket.socket
    until: float


class StoreGate:
    """The listener; answers until `close`.

    Args:
        store: this process's own.
        path: of the socket; one that a process left behind is replaced.
        flags: the log that commits are told to; without one nobody can ask what is new.
        limits: of all questions.

    Raises:
        StoreError: the socket cannot be made.
    """

    def __init__(
        self,
        store: DuckDBStore,
        path: Path,
        *,
        flags: FlagLog | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._store = store
        self._path = path
        self._flags = flags or FlagLog()
        self._limits = limits or Limits()
        self._closed = threading.Event()
        self._running: dict[int, _Running] = {}
        self._lock = threading.Lock()
        self._askers: set[socket.socket] = set()
        self._listener = self._listen()
        self._pool = ThreadPoolExecutor(self._limits.at_once, thread_name_prefix="question")
        self._threads = [
            threading.Thread(target=run, name=f"store-gate-{run.__name__}", daemon=True)
            for run in (self._accept, self._watch)
        ]
        for thread in self._threads:
            thread.start()

    def _listen(self) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._path.unlink(missing_ok=True)
            with address(self._path) as where:
                listener.bind(where)
            # Nobody can connect before `listen`, so nobody was let in by the mode of a moment ago.
            self._path.chmod(0o600)
            listener.listen(self._limits.waiting)
        except OSError as error:
            listener.close()
            raise StoreError(f"store: {self._path}: no socket there: {error.strerror}") from None
        return listener

    def close(self) -> None:
        """Takes no more questions and interrupts those in progress."""
        if self._closed.is_set():
            return
        self._closed.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for running in self._running.values():
                running.interrupt()
            for asker in self._askers:
                # Who does not read his answer must not hold up the end.
                with contextlib.suppress(OSError):
                    asker.shutdown(socket.SHUT_RDWR)
        self._pool.shutdown(cancel_futures=True)
        for asker in list(self._askers):
            self._release(asker)  # of those that still waited
        for thread in self._threads:
            thread.join(1.0)
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                asker, _ = self._listener.accept()
            except OSError:
                return  # closed
            asker.settimeout(_PATIENCE_S)
            with self._lock:
                self._askers.add(asker)
                full = len(self._askers) > self._limits.at_once + self._limits.waiting
            try:
                if full:
                    self._refuse(asker)
                else:
                    self._pool.submit(self._serve, asker)
            except RuntimeError:
                self._release(asker)  # closing

    def _refuse(self, asker: socket.socket) -> None:
        with contextlib.suppress(OSError, StoreError):
            # An answer before the question has been read would be lost with the connection.
            asker.settimeout(_LOOK_S)
            wire.receive(asker, wire.LONGEST_QUESTION)
            fault = StoreBusy("store: too many questions at once: ask again in a moment")
            wire.send(asker, wire.FAILED, _failure(fault))
        self._release(asker)

    def _release(self, asker: socket.socket) -> None:
        with self._lock:
            self._askers.discard(asker)
        asker.close()

    def _serve(self, asker: socket.socket) -> None:
        try:
            asked = _asked(asker)
            if isinstance(asked, Recent):
                recent = self._flags.since(asked.after)
                wire.send(asker, wire.WORD, msgspec.msgpack.encode(recent))
            else:
                self._answer(asker, asked)
            wire.send(asker, wire.END)
        except StoreError as error:
            with contextlib.suppress(OSError):
                wire.send(asker, wire.FAILED, _failure(error))
        except OSError as error:
            log.debug("who asked is gone", error=str(error))
        except Exception as error:
            log.exception("a question failed")
            with contextlib.suppress(OSError):
                wire.send(asker, wire.FAILED, _failure(StoreError(f"store: {error}")))
        finally:
            self._release(asker)

    def _answer(self, asker: socket.socket, question: Question) -> None:
        seconds = min(question.seconds, self._limits.seconds)
        with self._store.query() as connection:
            _only_select(connection, question.sql)
            with (
                self._bounded(connection, asker, seconds),
                translated(self._store.path),
                chosen_table(connection, question.chosen),
            ):
                connection.execute("BEGIN TRANSACTION READ ONLY")
                try:
                    self._stream(connection, asker, question)
                finally:
                    # Nothing was written; a transaction left open would hold back the log.  After
                    # a fault it is over already.
                    with contextlib.suppress(duckdb.Error):
                        connection.rollback()

    def _stream(
        self, connection: duckdb.DuckDBPyConnection, asker: socket.socket, question: Question
    ) -> None:
        most = min(question.rows, self._limits.rows)
        found = connection.sql(question.sql, params=question.parameters)
        if found is None:
            raise StoreError("store: the question gives no rows")
        reader = found.to_arrow_reader(_BATCH)
        sink = _Frames(asker, self._limits.bytes)
        given = 0
        with pa.ipc.new_stream(pa.PythonFile(sink, mode="w"), reader.schema) as stream:
            for batch in reader:
                given += batch.num_rows
                if given > most:
                    raise QuestionTooLarge(
                        f"store: more than {most:,} rows: ask for less at a time"
                    )
                stream.write_batch(batch)

    @contextlib.contextmanager
    def _bounded(
        self, connection: duckdb.DuckDBPyConnection, asker: socket.socket, seconds: float
    ) -> Iterator[None]:
        """Interrupts the question when its time is over, or nobody waits for its answer."""
        key = id(connection)
        until = time.monotonic() + seconds
        with self._lock:
            self._running[key] = _Running(connection.interrupt, asker, until)
        try:
            yield
        except duckdb.InterruptException:
            raise QuestionTooLarge(
                f"store: took more than {seconds:g} s: ask for a shorter time or fewer devices"
            ) from None
        finally:
            with self._lock:
                self._running.pop(key, None)

    def _watch(self) -> None:
        while not self._closed.wait(_LOOK_S):
            now = time.monotonic()
            with self._lock:
                for running in self._running.values():
                    if now > running.until or _gone(running.asker):
                        running.interrupt()


class _Frames:
    """What Arrow writes its stream to."""

    def __init__(self, to: socket.socket, most: int) -> None:
        self._to, self._left = to, most
        self.closed = False

    def write(self, content: Any) -> int:  # noqa: ANN401 - whatever has a buffer
        """Sends bytes on."""
        view = memoryview(content).cast("B")
        self._left -= len(view)
        if self._left < 0:
            raise QuestionTooLarge("store: the answer is too large: ask for less at a time")
        for begin in range(0, len(view), wire.LONGEST_FRAME):
            wire.send(self._to, wire.ROWS, view[begin : begin + wire.LONGEST_FRAME])
        return len(view)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """The socket is closed by who opened it."""
        self.closed = True


def _asked(asker: socket.socket) -> Asked:
    kind, content = wire.receive(asker, wire.LONGEST_QUESTION)
    if kind != wire.ASK:
        raise StoreError("store: that is no question")
    try:
        asked: Asked = msgspec.msgpack.decode(content, type=Asked)
    except msgspec.DecodeError as error:
        raise StoreError(f"store: that is no question: {error}") from None
    return asked


def _only_select(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    with translated(None):
        statements = connection.extract_statements(sql)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise StoreError("store: a question is one SELECT")


def _gone(asker: socket.socket) -> bool:
    """Whether who asked has hung up."""
    try:
        poll = select.poll()
        poll.register(asker, select.POLLRDHUP)
        return bool(poll.poll(0))
    except (OSError, ValueError):
        return True


def _failure(error: StoreError) -> bytes:
    kind = type(error).__name__
    known = kind if kind in wire.ERRORS else "StoreError"
    return msgspec.msgpack.encode(Failure(known, str(error)))
