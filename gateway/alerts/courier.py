"""Hands letters to a target until it has taken them, or refuses them, or time is up."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Final, Protocol

import msgspec
import structlog

from gateway.alerts import Later, Refused
from gateway.errors import StoreUnavailable
from gateway.times import SECOND

if TYPE_CHECKING:
    from random import Random

    from gateway.alerts import Target
    from gateway.alerts.outbox import Letter, Outbox
    from gateway.alerts.spec import AlertSpec

log = structlog.get_logger(__name__)

_AHEAD: Final = 16
_RECORD_EVERY_S: Final = 0.1
_GRACE_S: Final = 1.0
_LONGEST_ASKED_S: Final = 3600.0
_DETAIL: Final = 500


class Post(Protocol):
    """Which letters go now, and which of them together."""

    def due(self, now: int, limit: int) -> list[list[Letter]]:
        """At most ``limit`` parcels to be sent now; ``now`` in ns UTC."""
        ...


class Singly:
    """Every letter by itself, at once; of one flag one after another.

    Args:
        name: of the alert.
        outbox: where letters are.
    """

    def __init__(self, name: str, outbox: Outbox) -> None:
        self._name = name
        self._outbox = outbox

    def due(self, now: int, limit: int) -> list[list[Letter]]:
        """The oldest letters."""
        return [[letter] for letter in self._outbox.due(self._name, now, limit)]


class Outcome(msgspec.Struct, frozen=True):
    """What became of an attempt: taken, refused for good, to be tried later, or not even begun."""

    parcel: list[Letter]
    fault: Later | Refused | None = None
    begun: bool = True


class Courier:
    """Sends what the post gives, for one alert; a target that is away blocks nothing else.

    A parcel that is not taken is tried again with jittered back-off, other parcels meanwhile; while
    none gets through, all wait.

    Args:
        spec: of the alert.
        outbox: where letters are; used on the event loop's thread only.
        target: where they go.
        post: which go when.
        clock: ns UTC.
        random: for the jitter.
        first_wait: seconds to wait after the first failure, doubled at each further one ...
        longest_wait: ... up to this.  What a target asks for is honoured up to an hour.
        parallel: most attempts under way.
        poll: seconds between looks at an outbox that had nothing to send.
    """

    def __init__(
        self,
        spec: AlertSpec,
        outbox: Outbox,
        target: Target,
        post: Post,
        *,
        clock: Callable[[], int],
        random: Random,
        first_wait: float = 1.0,
        longest_wait: float = 60.0,
        parallel: int = 1,
        poll: float = 1.0,
    ) -> None:
        self.last_error: str | None = None
        self.failures = 0
        self._spec = spec
        self._outbox = outbox
        self._target = target
        self._post = post
        self._clock = clock
        self._random = random
        self._first_wait = first_wait
        self._longest_wait = longest_wait
        self._poll = poll
        self._parallel = parallel
        self._room = asyncio.Semaphore(parallel)
        self._failing = 0
        self._in_a_row = 0
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()

    def wake(self) -> None:
        """There may be something to send."""
        self._wake.set()

    def close(self) -> None:
        """Ends `run`; what is under way gets a moment, and waits in the outbox otherwise."""
        self._closing.set()
        self._wake.set()

    async def run(self) -> None:
        """Sends until `close`."""
        broken = False
        try:
            while not self._closing.is_set():
                if broken:
                    broken, self.last_error = False, None
                try:
                    await self._round()
                except StoreUnavailable as fault:
                    broken, self.last_error = True, str(fault)
                    log.warning("alert cannot use its outbox", fault=str(fault))
                    await self._pause(self._longest_wait / 4)
        finally:
            await self._target.close()

    async def _round(self) -> None:
        self._wake.clear()
        # While nothing gets through, one parcel at a time finds out whether the target is back.
        limit = 1 if self._in_a_row else self._parallel * _AHEAD
        parcels = self._post.due(self._clock(), limit)
        if not parcels:
            await self._rest()
            return
        self._failing = 0
        taken, faults = await self._settled([self._hand_over(parcel) for parcel in parcels])
        if taken:
            self._through()
        elif faults:
            asked = max(min(fault.wait, _LONGEST_ASKED_S) for fault in faults)
            wait = max(asked, self._backoff(self._in_a_row))
            self._in_a_row += 1
            await self._pause(wait)

    async def _settled(
        self, attempts: Sequence[Coroutine[None, None, Outcome]]
    ) -> tuple[int, list[Later]]:
        """Waits for attempts, and records what became of them, several in one transaction.

        When closing, what is under way gets a moment.

        Returns:
            How many parcels the target has decided about, and what kept others from it.
        """
        waiting = {asyncio.create_task(attempt) for attempt in attempts}
        taken, faults, end = 0, [], math.inf
        now = asyncio.get_running_loop().time
        try:
            while waiting and now() < end:
                done, waiting = await asyncio.wait(waiting, timeout=_RECORD_EVERY_S)
                outcomes = [task.result() for task in done]
                self._record(outcomes)
                later = [each.fault for each in outcomes if isinstance(each.fault, Later)]
                taken += sum(each.begun for each in outcomes) - len(later)
                faults += later
                if self._closing.is_set():
                    end = min(end, now() + _GRACE_S)
        finally:
            # Also where nothing can be recorded: what is under way would be sent beside itself.
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        return taken, faults

    def _through(self) -> None:
        if self._in_a_row:
            log.info("alert is delivered again", alert=self._spec.name)
            self._outbox.hurry(self._spec.name)
        self._in_a_row = 0
        self.last_error = None

    async def _hand_over(self, parcel: list[Letter]) -> Outcome:
        """One attempt, as soon as there is room for it; none where the others all fail."""
        async with self._room:
            if self._failing >= self._parallel or self._closing.is_set():
                return Outcome(parcel, begun=False)
            try:
                await self._target.send(parcel)
            except Refused as fault:
                return Outcome(parcel, fault)
            except Later as fault:
                self._failing += 1
                return Outcome(parcel, fault)
            self._failing = 0
            return Outcome(parcel)

    def _record(self, outcomes: Sequence[Outcome]) -> None:
        begun = [each for each in outcomes if each.begun]
        if not begun:
            return
        sent = [letter for each in begun if each.fault is None for letter in each.parcel]
        buried: list[tuple[list[Letter], str]] = []
        postponed: list[tuple[list[Letter], int, str]] = []
        for each in begun:
            if isinstance(each.fault, Refused):
                buried.append((each.parcel, str(each.fault)[:_DETAIL]))
            elif isinstance(each.fault, Later):
                self._postpone(each.parcel, each.fault, buried, postponed)
        self._outbox.settle(self._spec.name, sent=sent, buried=buried, postponed=postponed)
        for parcel, why in buried:
            log.error(
                "alert was not taken; `gateway alert dead` tells what, `resend` sends it again",
                alert=self._spec.name, letters=len(parcel), why=why,
            )  # fmt: skip

    def _postpone(
        self,
        parcel: list[Letter],
        fault: Later,
        buried: list[tuple[list[Letter], str]],
        postponed: list[tuple[list[Letter], int, str]],
    ) -> None:
        said = str(fault)[:_DETAIL]
        self.failures += 1
        if self.last_error is None:
            log.warning("alert is not delivered", alert=self._spec.name, fault=said)
        self.last_error = said
        now = self._clock()
        if now - min(letter.queued_at for letter in parcel) > self._spec.give_up * SECOND:
            buried.append((parcel, said))
            return
        attempts = max(letter.attempts for letter in parcel)
        wait = max(min(fault.wait, _LONGEST_ASKED_S), self._backoff(attempts))
        postponed.append((parcel, now + round(wait * SECOND), said))

    def _backoff(self, attempts: int) -> float:
        longest = min(self._longest_wait, self._first_wait * 2.0 ** min(attempts, 30))
        return longest * self._random.uniform(0.5, 1.0)

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(self._poll):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _pause(self, seconds: float) -> None:
        """Waits, but not longer than until `close`."""
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return
