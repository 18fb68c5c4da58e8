"""A sink for InfluxDB 2 and 3, and for VictoriaMetrics, which takes the same write call.

It tails a store, writes idempotent points and then remembers in the store how far it came: at
least once, and once in the database.  Flags go along, a point each time one has changed.  What the
database refuses for what it is goes to quarantine with the database's own words; for anything else
it waits and tries again.
"""

from __future__ import annotations

import asyncio
import gzip
import time
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit

import aiohttp
import structlog
from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync
from influxdb_client.rest import ApiException

from gateway.errors import ConfigError, StoreRefused, StoreUnavailable
from gateway.records import Quarantined
from gateway.retry_after import asked_wait
from gateway.store.lines import ReadingLines, flag_line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from random import Random

    from influxdb_client.client.write_api_async import WriteApiAsync

    from gateway.records import Flag, Reading
    from gateway.store import FlagTail, Store, Tail

T = TypeVar("T")

log = structlog.get_logger(__name__)

_ROW_FAULTS: Final = frozenset((400, 413, 422))
_LONGEST_ASKED: Final = 3600.0
_DETAIL: Final = 1000
_FLAGS: Final = 1000


class InfluxSink:
    """Writes the readings and flags of a store to a bucket; a database that is down blocks nothing.

    Args:
        store: what to follow.
        name: names the sink's position in the store; keep it stable.
        url: address of the database.
        token: API token; never shown.
        bucket: where to write.
        org: organisation, empty for VictoriaMetrics and InfluxDB 3.
        random: for the jitter of the back-off.
        batch: most lines of one write.
        timeout: seconds for one write.
        poll: seconds between looks at a store that had nothing new.
        first_wait: seconds to wait after the first failure, doubled at each further one ...
        longest_wait: ... up to this.  A Retry-After of the database is honoured up to an hour.
        clock: wall time in s, for a Retry-After that is a date.

    Raises:
        ConfigError: the url is not an address, or carries a password.
    """

    def __init__(
        self,
        store: Store,
        *,
        name: str,
        url: str,
        token: str,
        bucket: str,
        random: Random,
        org: str = "",
        batch: int = 5000,
        timeout: float = 10.0,
        poll: float = 0.5,
        first_wait: float = 0.5,
        longest_wait: float = 60.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self.url = _checked(name, url)
        self.bucket = bucket
        self.written = 0
        self.refused = 0
        self.last_error: str | None = None
        self._store = store
        self._token = token
        self._org = org
        self._random = random
        self._batch = batch
        self._timeout = timeout
        self._poll = poll
        self._first_wait = first_wait
        self._longest_wait = longest_wait
        self._clock = clock
        self._lines = ReadingLines()
        self._position = 0
        self._flags = f"{name}:flags"
        self._change = 0
        self._closing = asyncio.Event()

    def __repr__(self) -> str:
        return f"InfluxSink(name={self.name!r}, url={self.url!r}, bucket={self.bucket!r})"

    @property
    def connected(self) -> bool:
        """Whether the last write got through."""
        return self.last_error is None

    @property
    def position(self) -> int:
        """The position of the last delivered reading, as far as the store remembers it."""
        return self._position

    @property
    def lag(self) -> int:
        """Readings in the store that are not delivered yet."""
        return max(0, self._store.position - self._position)

    async def close(self) -> None:
        """Ends ``run`` after the write in progress; what is not delivered waits in the store."""
        self._closing.set()

    async def run(self) -> None:
        """Delivers what the store has, then what it gets, until ``close``.

        Raises:
            StoreError: the store itself fails for good.
        """
        async with InfluxDBClientAsync(
            self.url, self._token, org=self._org, timeout=round(self._timeout * 1000)
        ) as client:
            # The client's own gzip is level 9 on the event loop: 12 µs a line (DECISIONS.md, 6).
            client.api_client.set_default_header("Content-Encoding", "gzip")  # type: ignore[no-untyped-call]
            try:
                self._position = await self._until_done(partial(self._load, self.name))
                self._change = await self._until_done(partial(self._load, self._flags))
                while not self._closing.is_set():
                    tail = await self._until_done(self._read)
                    flags = await self._until_done(self._read_flags)
                    if tail.position > self._position:
                        await self._deliver(client.write_api(), tail)
                    if flags.change > self._change:
                        await self._deliver_flags(client.write_api(), flags)
                    elif not tail.readings:
                        await self._pause(self._poll)
            except _ClosedError:
                log.info("sink closed before it caught up", sink=self.name, lag=self.lag)

    async def _load(self, name: str) -> int:
        return await asyncio.to_thread(self._store.sink_position, name)

    async def _read(self) -> Tail:
        return await asyncio.to_thread(self._store.tail, self._position, self._batch)

    async def _read_flags(self) -> FlagTail:
        return await asyncio.to_thread(self._store.flag_tail, self._change, _FLAGS)

    async def _deliver(self, api: WriteApiAsync, tail: Tail) -> None:
        lines = await asyncio.to_thread(self._serialise, tail.readings)
        faults = await self._write_all(api, lines)
        refused = [self._quarantined(tail.readings[at], lines[at], why) for at, why in faults]
        await self._advance(self.name, tail.position, refused)
        self._position = tail.position
        self.written += len(lines) - len(refused)

    async def _deliver_flags(self, api: WriteApiAsync, tail: FlagTail) -> None:
        lines = [flag_line(flag).encode() for flag in tail.flags]
        faults = await self._write_all(api, lines)
        refused = [self._quarantined(tail.flags[at], lines[at], why) for at, why in faults]
        await self._advance(self._flags, tail.change, refused)
        self._change = tail.change

    async def _write_all(
        self, api: WriteApiAsync, lines: Sequence[bytes]
    ) -> list[tuple[int, StoreRefused]]:
        """Writes lines; those that the database refuses by themselves come back with its words."""
        refused: list[tuple[int, StoreRefused]] = []
        # Halves of a refused batch wait here until each is written or is a single line.
        parts = [(0, len(lines))] if lines else []
        while parts:
            first, last = parts.pop()
            body = await asyncio.to_thread(gzip.compress, b"\n".join(lines[first:last]), 1)
            try:
                await self._until_done(partial(self._write, api, body))
            except StoreRefused as fault:
                if last - first > 1:
                    middle = (first + last) // 2
                    parts += [(middle, last), (first, middle)]
                else:
                    refused.append((first, fault))
        return refused

    async def _advance(self, name: str, position: int, refused: Sequence[Quarantined]) -> None:
        await self._until_done(
            partial(asyncio.to_thread, self._store.advance_sink, name, position, refused)
        )
        self.refused += len(refused)
        if refused:
            log.warning(
                "sink refused points, they are in quarantine",
                sink=self.name,
                count=len(refused),
                first=refused[0].detail,
            )

    def _serialise(self, readings: Sequence[Reading]) -> list[bytes]:
        return [self._lines.line(reading).encode() for reading in readings]

    def _quarantined(self, of: Reading | Flag, line: bytes, fault: StoreRefused) -> Quarantined:
        return Quarantined(
            ledger_offset=of.ledger_offset,
            received_at=getattr(of, "received_at", of.measured_at),
            topic="",
            payload=line,
            stage=f"sink:{self.name}",
            reason="refused",
            detail=str(fault)[:_DETAIL],
            profile=of.profile,
            device_id=of.device_id,
        )

    async def _write(self, api: WriteApiAsync, body: bytes) -> None:
        try:
            accepted = await api.write(self.bucket, record=body)
        except ApiException as fault:
            said = f"{self.url} answered {fault.status}: {_message(fault)}"
            if fault.status in _ROW_FAULTS:
                raise StoreRefused(said) from fault
            raise _LaterError(
                said, min(asked_wait(fault.retry_after, self._clock()), _LONGEST_ASKED)
            ) from fault
        except (aiohttp.ClientError, TimeoutError, OSError) as fault:
            raise _LaterError(f"{self.url}: {type(fault).__name__}: {fault}") from fault
        if not accepted:
            raise _LaterError(f"{self.url} answered neither 201 nor 204: is this the database?")

    async def _until_done(self, action: Callable[[], Awaitable[T]]) -> T:
        """Tries again with jittered back-off for as long as the store or database is away."""
        attempt = 0
        while True:
            try:
                result = await action()
            except StoreUnavailable as fault:
                if self.last_error is None:
                    log.warning(
                        "sink cannot deliver, it tries again",
                        sink=self.name,
                        fault=str(fault),
                        lag=self.lag,
                    )
                self.last_error = str(fault)
                asked = fault.wait if isinstance(fault, _LaterError) else 0.0
                backoff = min(self._longest_wait, self._first_wait * 2.0 ** min(attempt, 30))
                attempt += 1
                await self._pause(max(asked, backoff * self._random.uniform(0.5, 1.0)))
                if self._closing.is_set():
                    raise _ClosedError from fault
            else:
                # Reading the store well says nothing about the database: only a retried action.
                if attempt:
                    log.info("sink delivers again", sink=self.name, attempts=attempt + 1)
                    self.last_error = None
                return result

    async def _pause(self, seconds: float) -> None:
        """Waits, but not longer than until ``close``."""
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return


class _LaterError(StoreUnavailable):
    """The database did not take a write that it may take later; ``wait`` is what it asked for."""

    def __init__(self, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


class _ClosedError(Exception):
    """The sink was closed while it waited to try again."""


def _message(fault: ApiException) -> str:
    """What the database said, on one line."""
    said = fault.message
    text = said.decode(errors="backslashreplace") if isinstance(said, bytes) else str(said)
    return " ".join(text.split())


def _checked(name: str, url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"sink {name}: url: should be http://HOST:PORT or https://HOST:PORT")
    if parts.username or parts.password or parts.query:
        raise ConfigError(f"sink {name}: url: may not carry a password or a query: use token")
    return url
