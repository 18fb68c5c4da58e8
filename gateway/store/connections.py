"""Connections to one DuckDB file: one that writes, one for each query in progress.

DuckDB's own exceptions are mapped to ours here and nowhere else.  After a fault of the disk
DuckDB refuses everything until the file is opened anew; the next use does that.
"""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import duckdb
import pyarrow as pa
import structlog

from gateway.errors import StoreError, StoreLocked, StoreRefused, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

log = structlog.get_logger(__name__)

_FETCH: Final = 2048
_HOLDER: Final = re.compile(r"\(PID (\d+)\)")


class Connections:
    """One process' way to one DuckDB file, shared by its threads.

    Args:
        path: the file.
        read_only: do not write; other processes may read too.
        config: settings of DuckDB.
        prepare: called with the writing connection whenever the file has been opened.
    """

    def __init__(
        self,
        path: Path,
        *,
        read_only: bool,
        config: dict[str, Any],
        prepare: Callable[[duckdb.DuckDBPyConnection], None],
    ) -> None:
        self.path = path
        self.lock = threading.RLock()
        self._read_only = read_only
        self._config = config
        self._prepare = prepare
        self._pool_lock = threading.Lock()
        self._idle: list[duckdb.DuckDBPyConnection] = []
        self._busy: dict[int, duckdb.DuckDBPyConnection] = {}
        self._closed = False
        self._broken = False
        self._open()

    def _open(self) -> None:
        with self._translated():
            self._writer = duckdb.connect(
                str(self.path), read_only=self._read_only, config=self._config
            )
            try:
                # Under `python -c` a slow statement would draw its bar into our standard output.
                self._writer.execute("SET enable_progress_bar = false")
                self._prepare(self._writer)
            except BaseException:
                self._writer.close()
                raise
        self._broken = False

    def close(self) -> None:
        """Closes everything; queries in progress end with StoreUnavailable."""
        with self.lock:
            self._closed = True
            self._disconnect()

    def _disconnect(self) -> None:
        with self._pool_lock:
            for connection in (*self._busy.values(), *self._idle, self._writer):
                connection.close()
            self._busy.clear()
            self._idle.clear()

    def ready(self) -> None:
        """Opens the file anew when the last use found it broken.

        Raises:
            StoreUnavailable: closed, or still broken.
        """
        if not (self._broken or self._closed):
            return
        with self.lock:
            if self._closed:
                raise StoreUnavailable(f"store: {self.path} is closed")
            if self._broken:
                self._disconnect()
                self._open()
                log.info("store opened again", path=str(self.path))

    @contextmanager
    def transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The writing connection in a transaction: committed at the end, or nothing of it."""
        with self.lock:
            self.ready()
            writer = self._writer
            with self._translated():
                writer.begin()
                try:
                    yield writer
                    writer.commit()
                except BaseException:
                    self._roll_back(writer)
                    raise

    @staticmethod
    def _roll_back(writer: duckdb.DuckDBPyConnection) -> None:
        try:
            writer.rollback()
        except duckdb.Error as fault:
            # The fault that brought us here is the one to raise; this one tells nothing new:
            # a failed commit has already rolled back, an invalid database cannot.
            log.debug("rollback refused", fault=str(fault))

    @contextmanager
    def query(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection of its own: results stream, and a connection has one result at a time."""
        self.ready()
        with self._pool_lock, self._translated():
            connection = self._idle.pop() if self._idle else self._writer.cursor()
            self._busy[id(connection)] = connection
        try:
            yield connection
        except BaseException:
            # Also GeneratorExit: a half-read result would keep its transaction open.
            with self._pool_lock:
                self._busy.pop(id(connection), None)
            connection.close()
            raise
        with self._pool_lock:
            if self._busy.pop(id(connection), None) is not None:
                self._idle.append(connection)

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """The rows of a query, streamed; the query begins with the first row asked for."""
        with self.query() as connection:
            with self._translated():
                connection.execute(sql, parameters)
                found = connection.fetchmany(_FETCH)
            while found:
                yield from found
                with self._translated():
                    found = connection.fetchmany(_FETCH)

    def all(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query that gives few."""
        return list(self.rows(sql, parameters))

    @contextmanager
    def arrow(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[pa.RecordBatchReader]:
        """The result of a query as streamed Arrow batches."""
        with self.query() as connection, self._translated():
            yield connection.sql(sql, params=list(parameters)).to_arrow_reader(_FETCH)

    @contextmanager
    def snapshot(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection on which several queries see the same commit."""
        with self.query() as connection, self._translated():
            connection.begin()
            yield connection
            connection.commit()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except duckdb.Error as fault:
            error, broken = _translate(fault, self.path)
            self._broken = self._broken or broken
            raise error from fault


@contextmanager
def chosen_table(
    connection: duckdb.DuckDBPyConnection, chosen: Sequence[str] | None
) -> Iterator[None]:
    """Gives a connection the table ``chosen`` with these as its column ``value``, if any."""
    if chosen is None:
        yield
        return
    connection.register("chosen", pa.table({"value": pa.array(chosen, pa.string())}))
    try:
        yield
    finally:
        connection.unregister("chosen")


@contextmanager
def translated(path: Path | None) -> Iterator[None]:
    """DuckDB's errors as ours, except an interruption, which is no fault."""
    try:
        yield
    except duckdb.InterruptException:
        raise
    except duckdb.Error as fault:
        raise _translate(fault, path)[0] from fault


def _translate(fault: duckdb.Error, path: Path | None) -> tuple[StoreError, bool]:
    """Our error for one of DuckDB's, and whether the file must be opened anew."""
    said = str(fault).splitlines()[0] if str(fault) else type(fault).__name__
    if isinstance(fault, duckdb.IOException) and "lock on file" in said:
        holder = _HOLDER.search(said)
        who = f"process {holder[1]}" if holder else "another process"
        return StoreLocked(
            f"store: {who} has {path} open, and a store has one owner at a time: stop that "
            "process (a gateway ends cleanly on SIGTERM), then try again"
        ), False
    if isinstance(fault, duckdb.FatalException | duckdb.IOException | duckdb.InternalException):
        return StoreUnavailable(
            f"store: {path}: {said}: nothing is lost, it goes on when the disk does"
        ), True
    if isinstance(fault, duckdb.ConnectionException):
        return StoreUnavailable(f"store: {path}: {said}"), False
    if isinstance(fault, duckdb.OutOfMemoryException):
        return StoreUnavailable(
            f"store: {path}: {said}: raise memory_limit, or run fewer queries at a time"
        ), False
    if isinstance(fault, duckdb.DataError | duckdb.IntegrityError):
        return StoreRefused(f"store: {path}: {said}"), False
    return StoreError(f"store: {path}: {type(fault).__name__}: {said}"), False


def one(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[Any] = ()
) -> tuple[Any, ...]:
    """The one row of a query that always has one."""
    row = connection.execute(sql, parameters).fetchone()
    if row is None:
        raise StoreError(f"store: no row for {sql!r}: something else has changed the file")
    return row
