"""What the tests of sources share: a loop, a running intake, a link that can be cut."""

from __future__ import annotations

import asyncio
import functools
import random
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self

import uvloop

from gateway.intake import CommitSettings, GroupCommit
from gateway.sources import BrokerSettings
from gateway.sources.mqtt5 import Mqtt5Source
from gateway.sources.mqtt311 import Mqtt311Source
from gateway.testing import MemoryLedger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

    Decorator = Callable[[Callable[..., Awaitable[None]]], Callable[..., None]]

BOTH = (Mqtt5Source, Mqtt311Source)
AnySource = Mqtt5Source | Mqtt311Source


def on(runner: Callable[[Coroutine[Any, Any, None]], None]) -> Decorator:
    """Run a test on this loop, for a minute at most."""

    def decorate(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
        @functools.wraps(test)
        def run(*args: object, **kwargs: object) -> None:
            async def limited() -> None:
                async with asyncio.timeout(60):
                    await test(*args, **kwargs)

            runner(limited())

        return run

    return decorate


asynchronous = on(uvloop.run)  # the gateway's loop
on_plain_asyncio = on(asyncio.run)


async def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.005)


def settings(port: int, **changes: object) -> BrokerSettings:
    facts: dict[str, Any] = {
        "name": "test",
        "host": "127.0.0.1",
        "port": port,
        "topics": ("meters/#",),
        "client_id": "gateway-1",
        "reconnect_min": 0.02,
        "reconnect_max": 0.1,
        "connect_timeout": 2.0,
    }
    return BrokerSettings(**(facts | changes))


def make(kind: type[AnySource], port: int, **changes: object) -> AnySource:
    return kind(settings(port, **changes), rng=random.Random(1))


@asynccontextmanager
async def intake(
    *sources: AnySource,
    ledger: MemoryLedger | None = None,
    commit: CommitSettings | None = None,
    connected: bool = True,
) -> AsyncIterator[tuple[GroupCommit, MemoryLedger]]:
    """Sources running into a ledger; ends cleanly, and no task is left."""
    ledger = ledger or MemoryLedger()
    group = GroupCommit(ledger, sources, commit)
    tasks = [asyncio.create_task(source.run()) for source in sources]
    tasks.append(asyncio.create_task(group.run()))
    try:
        if connected:
            await until(lambda: all(source.connected for source in sources))
        yield group, ledger
    finally:
        ledger.gate.set()
        await group.close()
        for source in sources:
            await source.close()
        await asyncio.gather(*tasks)


def payloads(ledger: MemoryLedger) -> list[bytes]:
    return [payload for _, payload, _ in ledger.messages]


class Cable:
    """A TCP proxy before a broker that can be cut, or go dead without a word."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._writers: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        assert self._server is not None
        self._server.close()
        self._flowing.set()
        self.cut()
        await asyncio.sleep(0.02)

    def cut(self) -> None:
        """Reset every connection."""
        for writer in list(self._writers):
            writer.transport.abort()

    def stall(self) -> None:
        """Carry nothing more, though every connection stays open."""
        self._flowing.clear()

    def mend(self) -> None:
        self.cut()
        self._flowing.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
            self._writers.add(far_writer)
            await asyncio.gather(self._pipe(reader, far_writer), self._pipe(far_reader, writer))
            self._writers.discard(far_writer)
        except OSError:
            writer.transport.abort()
        self._writers.discard(writer)

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
        except (OSError, RuntimeError):
            pass  # the other end is gone (uvloop: "the handler is closed"), so is this one
        writer.close()
