"""Hands letters to a target until it has taken them, or refuses them, or time is up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

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

_GRACE_S: Final = 1.0
_LONGEST_ASKED_S: Final = 3600.0
_DETAIL: Final = 500


class Post(Protocol):
    """Which letters go now, and which of them together."""

    def due(self, now: int) -> list[list[Letter]]:
        """Parcels to be sent now; ``now`` in ns UTC."""
        ...


class Singly:
    """Every letter by itself, at once; of one flag one after another.

    Args:
        name: of the alert.
        outbox: where letters are.
        parallel: most letters under way.
    """

    def __init__(self, name: str, outbox: Outbox, parallel: int) -> None:
        self._name = name
        self._outbox = outbox
        self._parallel = parallel

    def due(self, now: int) -> list[list[Letter]]:
        """The oldest letters."""
        return [[letter] for letter in self._outbox.due(self._name, now, self._parallel)]


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
        try:
            while not self._closing.is_set():
                try:
                    await self._round()
                except StoreUnavailable as fault:
                    self.last_error = str(fault)
                    log.warning("alert cannot read what is to be sent", fault=str(fault))
                    await self._pause(self._longest_wait / 4)
        finally:
            await self._target.close()

    async def _round(self) -> None:
        self._wake.clear()
        parcels = self._post.due(self._clock())
        if not parcels:
            await self._rest()
            return
        sending = [asyncio.create_task(self._hand_over(parcel)) for parcel in parcels]
        await self._finished(sending)
        results = [task.result() for task in sending if not task.cancelled()]
        failed = [result for result in results if result is not None]
        if results and len(failed) == len(results):
            asked = max(fault.wait for fault in failed)
            wait = max(min(asked, _LONGEST_ASKED_S), self._backoff(self._in_a_row))
            self._in_a_row += 1
            await self._pause(wait)
        elif results:
            self._through()

    async def _finished(self, sending: list[asyncio.Task[Later | None]]) -> None:
        """Waits for what is under way; when closing, only for a moment."""
        closing = asyncio.create_task(self._closing.wait())
        waiting = set(sending)
        while waiting and not closing.done():
            done, _ = await asyncio.wait({*waiting, closing}, return_when=asyncio.FIRST_COMPLETED)
            waiting -= done
        closing.cancel()
        if waiting:
            _, waiting = await asyncio.wait(waiting, timeout=_GRACE_S)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)

    def _through(self) -> None:
        if self._in_a_row:
            log.info("alert is delivered again", alert=self._spec.name)
            self._outbox.hurry(self._spec.name)
        self._in_a_row = 0
        self.last_error = None

    async def _hand_over(self, parcel: Sequence[Letter]) -> Later | None:
        """One attempt; None where it is decided, else why it is not."""
        try:
            await self._target.send(parcel)
        except Refused as fault:
            self._bury(parcel, str(fault)[:_DETAIL])
            return None
        except Later as fault:
            said = str(fault)[:_DETAIL]
            self.failures += 1
            if self.last_error is None:
                log.warning("alert is not delivered", alert=self._spec.name, fault=said)
            self.last_error = said
            waited = self._clock() - min(letter.queued_at for letter in parcel)
            if waited > self._spec.give_up * SECOND:
                self._bury(parcel, said)
            else:
                attempts = max(letter.attempts for letter in parcel)
                wait = max(min(fault.wait, _LONGEST_ASKED_S), self._backoff(attempts))
                self._outbox.postpone(parcel, self._clock() + round(wait * SECOND), said)
            return fault
        self._outbox.sent(self._spec.name, parcel)
        return None

    def _bury(self, parcel: Sequence[Letter], why: str) -> None:
        self._outbox.bury(parcel, why)
        log.error(
            "alert was not taken; `gateway alert dead` tells what, `resend` sends it again",
            alert=self._spec.name, letters=len(parcel), why=why,
        )  # fmt: skip

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
