"""Works on orders to decide messages in quarantine again, while the gateway runs.

A slice is as many messages as fit into a twentieth of a second, and one transaction of the store,
with how far the order has come.  Whoever is killed begins behind the last slice.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from typing import TYPE_CHECKING, Final

import structlog

from gateway import orders
from gateway.chores import Chore
from gateway.queries import quarantine
from gateway.store import Reprocessing

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from gateway.chores import Clerk
    from gateway.orders import Taken
    from gateway.pipeline import Processor
    from gateway.profiles import ProfileSet
    from gateway.store.duckdb import DuckDBStore

log = structlog.get_logger(__name__)

SLICE_S: Final = 0.05
"""Seconds of one slice, after which messages that have come meanwhile are decided."""
LOOK_S: Final = 1.0
_AT_ONCE: Final = 500


class Retrying(Chore):
    """Takes orders up one after another.

    Args:
        processor: decides.
        store: that the processor fills.
        clerk: asks the casebook.
        profiles: those that hold now.
        slice_s: seconds of a slice; one message at least is decided in each.
        every: seconds between two looks for an order.
        clock: seconds.
    """

    def __init__(
        self,
        processor: Processor,
        store: DuckDBStore,
        clerk: Clerk,
        profiles: Callable[[], ProfileSet],
        *,
        slice_s: float = SLICE_S,
        every: float = LOOK_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(every=every, clock=clock)
        self._processor = processor
        self._store = store
        self._clerk = clerk
        self._profiles = profiles
        self._slice_s = slice_s

    def _do(self) -> Generator[bool, None, None]:
        latest = self._store.reprocessing()
        below = self._processor.offset
        taken = yield from self._clerk.ask(orders.take_up, below=below, latest=latest)
        if taken is None:
            return
        order = taken.order
        known = latest is not None and latest.number == order.number
        progress = latest if known and latest is not None else Reprocessing(order.number)
        fault = None
        if order.attempts > orders.MOST_ATTEMPTS and len(self._left(taken, progress.reached)):
            fault = (
                f"processing died {order.attempts - 1} times behind ledger offset "
                f"{progress.reached}: `gateway decode` shows what a message does"
            )
        else:
            log.info("reprocessing", order=order.number, by=order.actor, behind=progress.reached)
            after = progress.reached
            while len(offsets := self._left(taken, after)):
                after = offsets[-1]
                progress = yield from self._slices(offsets, progress)
            # The checks have seen more now: the snapshot goes along.
            self._processor.finish()
        yield from self._clerk.ask(orders.end, order, progress, fault)
        told = {name: getattr(progress, name) for name in ("decided", "stored", "refused")}
        log.info("reprocessed", order=order.number, fault=fault, **told)

    def _left(self, taken: Taken, after: int) -> Sequence[int]:
        return quarantine.ordered(
            self._store, taken.order, devices=taken.devices, profiles=self._profiles(), after=after
        )

    def _over(self) -> Callable[[], bool]:
        """Says whether a slice that begins now is over."""
        until = self._clock() + self._slice_s
        return lambda: self._clock() >= until

    def _slices(
        self, offsets: Sequence[int], progress: Reprocessing
    ) -> Generator[bool, None, Reprocessing]:
        at = 0
        while at < len(offsets):
            part = offsets[at : at + _AT_ONCE]
            # Retention may have removed some of them since.
            here = quarantine.still(self._store, part)
            if here:
                progress = self._processor.retry(here, progress, enough=self._over())
            done = part[-1] if not here or progress.reached == here[-1] else progress.reached
            at = bisect_right(offsets, done)
            yield True
        return progress
