"""Asking the process that has the store; and the store itself where none has it."""

from __future__ import annotations

import io
import socket
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pyarrow as pa

from gateway.errors import StoreError, StoreLocked, StoreUnavailable
from gateway.store import wire
from gateway.store.duckdb import DuckDBStore
from gateway.store.reading import StoreReader
from gateway.store.wire import Failure, Question, Recent, RecentFlags, StoreBusy, address

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_WAIT_S: Final = 2.0
_AGAIN_S: Final = 0.05


class AskedStore(StoreReader):
    """A store that another process has, asked over its socket; safe to use from several threads.

    Args:
        path: of the socket.
        seconds: that a question may take.
        rows: that it may give.
    """

    def __init__(self, path: Path, *, seconds: float = 10.0, rows: int = 200_000) -> None:
        self.path = path
        self._seconds = seconds
        self._most = rows

    def close(self) -> None:
        """Nothing is held between two questions."""

    @property
    def position(self) -> int:
        """The position of the last reading; 0 when there is none."""
        ((position,),) = self._all("SELECT position FROM checkpoint")
        return int(position)

    def recent_flags(self, after: int | None) -> RecentFlags:
        """The flags that were committed behind a number; see `RecentFlags`."""
        for kind, content in self._frames(Recent(after)):
            if kind == wire.WORD:
                return msgspec.msgpack.decode(content, type=RecentFlags)
        raise StoreUnavailable("store: no answer")

    def table(
        self, sql: str, parameters: Sequence[Any] = (), chosen: Sequence[str] | None = None
    ) -> pa.Table:
        """The answer to a question as an Arrow table; see `ask`.

        Raises:
            StoreUnavailable: nobody answers, or too many ask at once (`StoreBusy`).
            QuestionTooLarge: it takes longer, or gives more, than it may.
            StoreError: the database refuses.
        """
        among = None if chosen is None else list(chosen)
        question = Question(sql, list(parameters), among, self._seconds, self._most)
        told = io.BytesIO()
        for kind, content in self._frames(question):
            if kind == wire.ROWS:
                told.write(content)
        told.seek(0)
        return pa.ipc.open_stream(told).read_all()

    def _all(
        self, sql: str, parameters: Sequence[Any] = (), chosen: Sequence[str] | None = None
    ) -> list[tuple[Any, ...]]:
        table = self.table(sql, parameters, chosen)
        return list(zip(*map(_plain, table.columns), strict=True)) if table.num_rows else []

    def _rows(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        # Asked when the first row is wanted, as with a store of one's own.
        yield from self._all(sql, parameters)

    def _frames(self, asked: Question | Recent) -> Iterator[tuple[int, bytes]]:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as to:
                to.settimeout(self._seconds + _WAIT_S)
                with address(self.path) as where:
                    to.connect(where)
                wire.send(to, wire.ASK, msgspec.msgpack.encode(asked))
                while True:
                    kind, content = wire.receive(to, wire.LONGEST_FRAME)
                    if kind == wire.FAILED:
                        raise _error(content)
                    if kind == wire.END:
                        return
                    yield kind, content
        except TimeoutError:
            raise StoreUnavailable("store: no answer in time: ask again") from None
        except BlockingIOError:
            raise StoreBusy("store: too many questions at once: ask again in a moment") from None
        except OSError as error:
            raise StoreUnavailable(
                f"store: {self.path}: nobody answers ({error.strerror}): processing is not running"
            ) from None


def _error(content: bytes) -> StoreError:
    failure = msgspec.msgpack.decode(content, type=Failure)
    if failure.kind == "StoreRefused":
        return wire.ERRORS[failure.kind](failure.message)
    return wire.ERRORS.get(failure.kind, StoreError)(failure.message)


def _plain(column: pa.ChunkedArray) -> list[Any]:
    values: list[Any] = column.to_pylist()
    if pa.types.is_decimal(column.type) and column.type.scale == 0:
        # A sum of whole numbers is a whole number.
        return [None if value is None else int(value) for value in values]
    return values


def open_store(
    data: Path, *, memory_limit: str = "512MB", threads: int = 2, seconds: float = 60.0
) -> StoreReader:
    """The store of a data directory to be read: asked of the gateway that runs, else opened.

    Args:
        data: the data directory.
        memory_limit: where it is opened here.
        threads: where it is opened here.
        seconds: that a question may take where a gateway is asked.

    Raises:
        StoreLocked: another process has it, which answers no questions.
        StoreError: there is none.
    """
    path = data / wire.SOCKET
    until = time.monotonic() + _WAIT_S
    while True:
        asked = AskedStore(path, seconds=seconds, rows=1_000_000)
        if path.exists() and _answers(asked):
            return asked
        try:
            return DuckDBStore(
                data / "store.duckdb", read_only=True, memory_limit=memory_limit, threads=threads
            )
        except StoreLocked:
            # A gateway that is just starting, or ending, will answer or let go in a moment.
            if time.monotonic() > until:
                raise
            time.sleep(_AGAIN_S)


def _answers(asked: AskedStore) -> bool:
    try:
        asked.recent_flags(None)
    except StoreBusy:
        return True
    except StoreUnavailable:
        return False
    return True
