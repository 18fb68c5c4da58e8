"""Keeps the processing worker running: starts it, listens to it, starts it again when it dies.

Intake never waits for the worker: while it is away the ledger grows, and then it catches up.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from typing import TYPE_CHECKING, Final, Literal

import structlog

from gateway.errors import ConfigError, GatewayError, ProfileError, StoreLocked
from gateway.worker_messages import Drain, Failed, Loaded, Reload, Reloaded, Report, start_worker

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from gateway.worker_messages import Order, Word, WorkerSpec

log = structlog.get_logger(__name__)

RESTART_MIN_S: Final = 0.5
RESTART_MAX_S: Final = 30.0
_STABLE_S: Final = 60.0
_KILL_S: Final = 1.0
_LASTING: Final = {error.__name__: error for error in (ConfigError, ProfileError, StoreLocked)}

State = Literal["starting", "running", "restarting", "draining", "stopped"]


class Processing:
    """The worker process as the event loop sees it.

    Args:
        spec: what the worker needs.

    Attributes:
        state: what it is doing.
        restarts: how often it had to be started again.
        last_error: why it died last; None when it never did.
        report: its latest report, also of one that has died since; None before the first.
        reloaded: what became of the last `reload`; None before the first.
    """

    def __init__(self, spec: WorkerSpec) -> None:
        self.state: State = "starting"
        self.restarts = 0
        self.last_error: str | None = None
        self.report: Report | None = None
        self.reloaded: Reloaded | None = None
        self._spec = spec
        self._process: SpawnProcess | None = None
        self._pipe: Connection[Order, Word] | None = None
        self._gone = asyncio.Event()
        self._stopping = asyncio.Event()
        self._first_word: asyncio.Future[Loaded | Failed] | None = None
        self._failed: Failed | None = None

    @property
    def pid(self) -> int | None:
        """The worker's process id while it lives."""
        return self._process.pid if self._process is not None else None

    async def run(self) -> None:
        """Keeps a worker running until `drain` or `kill`."""
        try:
            await self._keep()
        finally:
            self.kill()
            self.state = "stopped"

    async def _keep(self) -> None:
        delay = RESTART_MIN_S
        while not self._stopping.is_set():
            began = time.monotonic()
            self._start()
            await self._gone.wait()
            code = await self._reap()
            if self._stopping.is_set():
                break
            self.state = "restarting"
            self.restarts += 1
            self.last_error = self._failed.message if self._failed else f"ended with status {code}"
            if time.monotonic() - began > _STABLE_S:
                delay = RESTART_MIN_S
            log.error("processing died, will restart", error=self.last_error, after_s=delay)
            try:
                await asyncio.wait_for(self._stopping.wait(), delay)
            except TimeoutError:
                delay = min(delay * 2, RESTART_MAX_S)

    async def loaded(self, timeout: float) -> Loaded | None:  # noqa: ASYNC109 - None is an answer
        """The worker's first word; None when it takes longer than ``timeout`` seconds.

        Raises:
            GatewayError: profiles, registry or settings are wrong, or another process has the
                store: trying again will not help.
        """
        word = self._expect_first_word()
        try:
            said = await asyncio.wait_for(asyncio.shield(word), timeout)
        except TimeoutError:
            return None
        if isinstance(said, Loaded):
            return said
        if said.retry:
            return None
        raise _LASTING.get(said.kind, GatewayError)(said.message)

    def _expect_first_word(self) -> asyncio.Future[Loaded | Failed]:
        if self._first_word is None:
            self._first_word = asyncio.get_running_loop().create_future()
        return self._first_word

    async def drain(self, until: int | None, timeout: float) -> bool:  # noqa: ASYNC109 - then kills
        """Has the worker decide everything below ``until``, snapshot and end.

        A worker that is not done after ``timeout`` seconds is told to end at once, then killed:
        what it has not committed stays in the ledger for the next start.

        Returns:
            Whether it ended by itself.
        """
        self._stopping.set()
        self.state = "draining"
        deadline = time.monotonic() + timeout
        orders = [(until, deadline - _KILL_S), (None, deadline)]
        for order, end in orders:
            if self._process is None or self._gone.is_set() or not self._order(Drain(order)):
                break
            try:
                await asyncio.wait_for(self._gone.wait(), max(0.05, end - time.monotonic()))
            except TimeoutError:
                continue
            break
        by_itself = self._process is None or self._gone.is_set()
        if not by_itself:
            log.warning("processing did not end in time and is killed", timeout_s=timeout)
            self.kill()
        return by_itself

    def kill(self) -> None:
        """Ends the worker now; commits are transactions, so nothing is half done."""
        self._stopping.set()
        if self._process is not None:
            self._process.kill()

    def reload(self) -> bool:
        """Has the worker read profiles and registry anew; False when there is none to ask.

        A worker that is starting again reads them anyway.
        """
        return self._process is not None and self._order(Reload())

    def _order(self, order: Order) -> bool:
        if self._pipe is None:
            return False
        try:
            self._pipe.send(order)
        except OSError:
            return False
        return True

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self._gone.clear()
        self._failed = None
        self._pipe = ours
        self._process = context.Process(
            target=start_worker, args=(theirs, self._spec), name="gateway-processing", daemon=True
        )
        self._process.start()
        theirs.close()
        asyncio.get_running_loop().add_reader(ours.fileno(), self._hear, ours)

    def _hear(self, pipe: Connection[Order, Word]) -> None:
        """Takes what the worker said; the end of the pipe is the end of the worker."""
        try:
            while pipe.poll():
                self._take(pipe.recv())
        except (EOFError, OSError):
            asyncio.get_running_loop().remove_reader(pipe.fileno())
            pipe.close()
            self._gone.set()

    def _take(self, word: Word) -> None:
        first = self._expect_first_word()
        if isinstance(word, Report):
            self.report = word
            return
        if isinstance(word, Reloaded):
            self._take_reloaded(word)
            return
        if not first.done():
            first.set_result(word)
        if isinstance(word, Failed):
            self._failed = word
        elif self.state != "draining":
            self.state = "running"
            log.info(
                "processing",
                next_offset=word.next_offset,
                profiles=word.profiles,
                devices=word.devices,
            )

    def _take_reloaded(self, word: Reloaded) -> None:
        self.reloaded = word
        if word.refused is not None:
            log.error(
                "profiles refused, going on with the old ones", faults=word.refused.split("\n")
            )
            return
        log.info(
            "profiles switched",
            since_offset=word.next_offset,
            profiles=word.profiles,
            devices=word.devices,
            changed=list(word.changed),
        )

    async def _reap(self) -> int | None:
        process = self._process
        if process is None:
            return None
        await asyncio.to_thread(process.join, _KILL_S)
        if process.exitcode is None:
            process.kill()
            await asyncio.to_thread(process.join, _KILL_S)
        code = process.exitcode
        self._process = None
        return code
