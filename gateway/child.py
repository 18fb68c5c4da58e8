"""A process of ours beside the gateway: begun, listened to, begun again when it dies.

The processing worker and the API are such.  Each is spoken to through a pipe, whose end is the end
of the process.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
import time
from abc import ABC, abstractmethod
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, TypeVar

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

log = structlog.get_logger(__name__)

RESTART_MIN_S: Final = 0.5
RESTART_MAX_S: Final = 30.0
_STABLE_S: Final = 60.0
_OURS: Final = (signal.SIGINT,)

Order = TypeVar("Order")
Word = TypeVar("Word")


class Child(ABC, Generic[Order, Word]):
    """One process as the event loop sees it: it is sent orders and says words.

    Args:
        main: what the new process calls, with its end of the pipe and the spec.
        spec: what it needs to know; travels by pickle.

    Attributes:
        name: what logs call it.
        reap_s: seconds in which it must have ended once its pipe has.
        restarts: how often it had to be begun again.
    """

    name: ClassVar[str]
    reap_s: ClassVar[float]

    def __init__(self, main: Callable[[Any, Any], None], spec: object) -> None:
        self.restarts = 0
        self._main = main
        self._spec = spec
        self._process: SpawnProcess | None = None
        self._pipe: Connection[Order, Word] | None = None
        self._gone = asyncio.Event()
        self._stopping = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """Its process id while it lives."""
        return self._process.pid if self._process is not None else None

    def kill(self) -> None:
        """Ends it now."""
        self._stopping.set()
        if self._process is not None:
            self._process.kill()

    async def _keep(self) -> None:
        """Begins it, and begins it again when it ends, waiting longer each time."""
        delay, told = RESTART_MIN_S, f"{self.name} died, will restart"
        while not self._stopping.is_set():
            began = time.monotonic()
            self._start()
            await self._gone.wait()
            code = await self._reap()
            if self._stopping.is_set():
                break
            self.restarts += 1
            why = self._died(code)
            if time.monotonic() - began > _STABLE_S:
                delay = RESTART_MIN_S
            log.error(told, error=why, after_s=delay)
            try:
                await asyncio.wait_for(self._stopping.wait(), delay)
            except TimeoutError:
                delay = min(delay * 2, RESTART_MAX_S)

    def _order(self, order: Order) -> bool:
        """Whether the order went out; one that cannot hear has died, or is about to begin."""
        if self._pipe is None or self._gone.is_set():
            return False
        try:
            self._pipe.send(order)
        except OSError:
            return False
        return True

    @abstractmethod
    def _take(self, word: Word) -> None:
        """Takes what it said."""

    @abstractmethod
    def _died(self, code: int | None) -> str:
        """Why it died, by what it said or its status; may raise where it must not begin again."""

    def _closed(self) -> None:
        """Its pipe has ended."""

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self._gone.clear()
        self._pipe = ours
        self._process = context.Process(
            target=self._main, args=(theirs, self._spec), name=f"gateway-{self.name}", daemon=True
        )
        # A Ctrl-C is for the parent: until its own code runs, a child would die of it, loudly.
        # The first child brings the tracker along, whose start lets signals through again.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, _OURS)
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _OURS)
        theirs.close()
        asyncio.get_running_loop().add_reader(ours.fileno(), self._hear, ours)

    def _hear(self, pipe: Connection[Order, Word]) -> None:
        """Takes what it said; the end of the pipe is the end of the process."""
        try:
            while pipe.poll():
                self._take(pipe.recv())
        except (EOFError, OSError):
            asyncio.get_running_loop().remove_reader(pipe.fileno())
            pipe.close()
            self._pipe = None
            self._closed()
            self._gone.set()

    async def _reap(self) -> int | None:
        process = self._process
        if process is None:
            return None
        await asyncio.to_thread(process.join, self.reap_s)
        if process.exitcode is None:
            process.kill()
            await asyncio.to_thread(process.join, self.reap_s)
        code = process.exitcode
        self._process = None
        return code
