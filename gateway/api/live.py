"""What happens now, as server-sent events: new and changed flags, and the gateway's state.

One task asks the store what was committed since, and only while somebody listens; each listener
gets what he may see.  Who is too slow to take it loses events, is told so (``reset``), and asks
for the lists again.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import msgspec
import structlog
from anyio import to_thread

from gateway.api.problems import Busy
from gateway.errors import GatewayError
from gateway.flags.query import Desk
from gateway.queries import flags as flag_queries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from gateway.flags.records import FlagView
    from gateway.queries.seen import Seen, World
    from gateway.status import Status
    from gateway.store.wire import RecentFlags

log = structlog.get_logger(__name__)

POLL_S: Final = 1.0
_STATUS_S: Final = 2.0
_QUIET_S: Final = 15.0
_RECHECK_S: Final = 30.0
_WAITING: Final = 200
_AT_ONCE: Final = 500
MOST: Final = 200
MOST_EACH: Final = 8


class Told(msgspec.Struct, frozen=True):
    """What somebody may be told: of the devices he sees, and the gateway's state or not."""

    seen: Seen
    ingest: bool


class Listener:
    """One stream.

    Args:
        told: what he may be told.
        permitted: what he still may, asked now and then; None: nothing any more.
    """

    def __init__(self, told: Told, permitted: Callable[[], Told | None]) -> None:
        self.told = told
        self.permitted = permitted
        self.events: asyncio.Queue[bytes] = asyncio.Queue(_WAITING)
        self.lost = False
        self.checked = time.monotonic()

    def put(self, event: bytes) -> None:
        """Hands over an event, or notes that it was lost."""
        try:
            self.events.put_nowait(event)
        except asyncio.QueueFull:
            self.lost = True


class Live:
    """The listeners, and the one task that finds out what is new.

    Args:
        world: to be asked.
        recent: what was committed behind a number.
        status: the gateway's state.
    """

    def __init__(
        self,
        world: World,
        recent: Callable[[int | None], RecentFlags],
        status: Callable[[], Status | None],
    ) -> None:
        self._world = world
        self._recent = recent
        self._status = status
        self._listeners: dict[Listener, str] = {}
        self._task: asyncio.Task[None] | None = None
        self._at: RecentFlags | None = None

    async def stream(self, listener: Listener, name: str) -> AsyncIterator[bytes]:
        """The events of one listener until he goes away or may not listen any more.

        Who began at the same moment as others, and is one too many, is told to come later.
        """
        try:
            self.admit(name)
        except Busy:
            yield b"retry: 30000\n\n"
            return
        self._listeners[listener] = name
        if self._task is None or self._task.done():
            self._at = None
            self._task = asyncio.create_task(self._run(), name="live")
        try:
            yield b"retry: 3000\n\n"
            while True:
                if listener.lost and listener.events.empty():
                    listener.lost = False
                    yield event("reset", {})
                try:
                    yield await asyncio.wait_for(listener.events.get(), _QUIET_S)
                except TimeoutError:
                    yield b": still here\n\n"
                if not await self._allowed(listener):
                    return
        finally:
            self._listeners.pop(listener, None)

    def admit(self, name: str) -> None:
        """Does nothing where one more listener of this name is taken.

        Raises:
            Busy: there are too many.
        """
        of_name = sum(1 for each in self._listeners.values() if each == name)
        if len(self._listeners) >= MOST or of_name >= MOST_EACH:
            raise Busy("too many listen: close another page first", 30)

    async def _allowed(self, listener: Listener) -> bool:
        now = time.monotonic()
        if now - listener.checked < _RECHECK_S:
            return True
        told = await to_thread.run_sync(listener.permitted)
        if told is None:
            return False
        listener.told, listener.checked = told, now
        return True

    async def _run(self) -> None:
        told = 0.0
        while self._listeners:
            try:
                await self._flags()
            except GatewayError as error:
                log.debug("nothing new to tell", error=str(error))
            now = time.monotonic()
            if now - told >= _STATUS_S:
                told = now
                self._tell_status()
            await asyncio.sleep(POLL_S)

    def _tell_status(self) -> None:
        status = self._status()
        if status is None:
            return
        message = event("status", status)
        for listener in self._listeners:
            if listener.told.ingest:
                listener.put(message)

    async def _flags(self) -> None:
        at = self._at
        new = await to_thread.run_sync(self._recent, None if at is None else at.number)
        self._at = new
        if at is None:
            return
        if new.begun != at.begun or new.missed:
            for listener in self._listeners:
                listener.put(event("reset", {}))
            return
        ids = list(dict.fromkeys(new.ids))
        for begin in range(0, len(ids), _AT_ONCE):
            views = await to_thread.run_sync(self._look, ids[begin : begin + _AT_ONCE])
            for listener in list(self._listeners):
                for view in views:
                    if listener.told.seen.sees(view.flag.device_id):
                        record = flag_queries.record(listener.told.seen, view)
                        listener.put(event("flag", record, f"{new.begun}-{new.number}"))

    def _look(self, ids: Sequence[str]) -> list[FlagView]:
        world = self._world
        world.directory.refresh()
        desk = Desk(world.store, world.casebook, world.directory.registry)
        return desk.viewed(list(world.store.flags(ids=ids, withdrawn=True)))

    async def close(self) -> None:
        """Ends the task; the streams end with their connections."""
        self._listeners.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


def event(name: str, content: object, number: str | None = None) -> bytes:
    """One event of a stream (HTML, 9.2 server-sent events)."""
    body = msgspec.json.encode(content).decode()
    head = f"id: {number}\n" if number is not None else ""
    return f"{head}event: {name}\ndata: {body}\n\n".encode()
