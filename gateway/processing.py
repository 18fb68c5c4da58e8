"""Keeps the processing worker running: starts it, listens to it, starts it again when it dies.

Intake never waits for the worker: while it is away the ledger grows, and then it catches up.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, ClassVar, Final, Literal

import structlog

from gateway.child import Child
from gateway.errors import ConfigError, GatewayError, ProfileError, StoreLocked
from gateway.worker_messages import (
    Drain,
    Failed,
    Loaded,
    Order,
    Reload,
    Reloaded,
    Report,
    Word,
    start_worker,
)

if TYPE_CHECKING:
    from gateway.worker_messages import WorkerSpec

log = structlog.get_logger(__name__)

_KILL_S: Final = 1.0
_LASTING: Final = {error.__name__: error for error in (ConfigError, ProfileError, StoreLocked)}

State = Literal["starting", "running", "restarting", "draining", "stopped"]


class Processing(Child[Order, Word]):
    """The worker process as the event loop sees it.

    Args:
        spec: what the worker needs.

    Attributes:
        state: what it is doing.
        last_error: why it died last; None when it never did.
        report: its latest report, also of one that has died since; None before the first.
        reloaded: what became of the last `reload`; None before the first.
    """

    name: ClassVar[str] = "processing"
    reap_s: ClassVar[float] = _KILL_S

    def __init__(self, spec: WorkerSpec) -> None:
        super().__init__(start_worker, spec)
        self.state: State = "starting"
        self.last_error: str | None = None
        self.report: Report | None = None
        self.reloaded: Reloaded | None = None
        self._first_word: asyncio.Future[Loaded | Failed] | None = None
        self._failed: Failed | None = None

    async def run(self) -> None:
        """Keeps a worker running until `drain` or `kill`."""
        try:
            await self._keep()
        finally:
            self.kill()
            self.state = "stopped"

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

    def reload(self) -> bool:
        """Has the worker read profiles and registry anew; False when there is none to ask.

        A worker that is starting again reads them anyway.
        """
        return self._process is not None and self._order(Reload())

    def _died(self, code: int | None) -> str:
        self.state = "restarting"
        self.last_error = self._failed.message if self._failed else f"ended with status {code}"
        self._failed = None
        return self.last_error

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
