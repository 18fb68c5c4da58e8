"""Stores of readings and flags, and the sinks that follow them.

A *store* takes results in one transaction with the checkpoint and can be asked questions.  A
*sink* follows a store and hands readings on to a database that the gateway never reads back.

Positions: the store numbers its readings 1, 2, 3 ... in the order of commit, over all
kinds.  A sink remembers the position up to which it has delivered, and every query that gives
several readings gives them in that order.  It numbers the changes of flags likewise: a flag
carries the number of its latest change, so who follows them is told each flag that has changed
since, once, as it is now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from gateway.records import Flag, Quarantined, Reading

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from gateway.records import Checkpoint, Counters, Results

__all__ = [
    "DeviceSummary",
    "FlagStates",
    "FlagTail",
    "Prepared",
    "QuarantinedRow",
    "Removed",
    "Reprocessing",
    "Sink",
    "Store",
    "Tail",
]


class QuarantinedRow(msgspec.Struct, frozen=True):
    """One row of quarantine as the store keeps it.

    ``message.payload`` holds at most the first 64 KiB, and less of each where thousands came at
    once; ``payload_size`` is the size in bytes of the whole, which the ledger still has.
    """

    message: Quarantined
    payload_size: int


class DeviceSummary(msgspec.Struct, frozen=True):
    """What the store knows of one device; times in ns UTC, None where there are no readings.

    ``profile`` is the one of the latest message; ``flags`` counts those not withdrawn.
    """

    device_id: str
    kind: str
    profile: str
    first_measured_at: int | None
    last_measured_at: int | None
    readings: int
    flags: int


class Tail(msgspec.Struct, frozen=True):
    """Readings behind a position, and the position up to which these are all."""

    readings: list[Reading]
    position: int


class FlagTail(msgspec.Struct, frozen=True):
    """Flags that changed behind a change, in that order, and the change up to which these are all.

    ``next_offset``: every flag of messages below it has been told by now; None where more wait.
    """

    flags: list[Flag]
    change: int
    next_offset: int | None


class FlagStates(msgspec.Struct, frozen=True):
    """Id, severity, condition and ledger offset of every flag, as of a change and an offset."""

    states: list[tuple[str, str, str, int]]
    change: int
    next_offset: int


class Prepared(msgspec.Struct, frozen=True):
    """Readings in a store's own form, for one commit: ``first`` counts those before them in it."""

    first: int
    count: int
    held: Any


class Reprocessing(msgspec.Struct, frozen=True):
    """How far an order to decide messages in quarantine again has come, and what came of them.

    ``number`` is the order's; every message of it up to the ledger offset ``reached`` is done.
    ``decided`` is the sum of the next four: ``stored`` gave readings, ``refused`` are in quarantine
    still.
    """

    number: int
    reached: int = -1
    decided: int = 0
    stored: int = 0
    duplicates: int = 0
    ignored: int = 0
    refused: int = 0
    readings: int = 0


class Removed(msgspec.Struct, frozen=True):
    """What retention has removed of a kind, or of ``quarantine``.

    ``amount`` are rows that were received before ``before`` (ns UTC), ``total`` those and all that
    went earlier; ``told`` is whether the audit has it.
    """

    kind: str
    before: int
    amount: int
    total: int
    told: bool


class Readable(Protocol):
    """What can be asked of a store, in the process that has it or from another one.

    Every time bound is ns UTC; ``since`` is included, ``until`` is not.  Iterators hold a
    consistent view and bounded memory, and release it when they are exhausted or closed.
    """

    @property
    def position(self) -> int:
        """The position of the last reading; 0 when there is none."""
        ...

    def readings(
        self,
        *,
        kind: str | None = None,
        device_id: str | None = None,
        since: int | None = None,
        until: int | None = None,
        after: int = 0,
    ) -> Iterator[Reading]:
        """Readings by position, those behind ``after``; bounds apply to ``measured_at``."""
        ...

    def flags(
        self,
        *,
        code: str | None = None,
        device_id: str | None = None,
        kind: str | None = None,
        since: int | None = None,
        until: int | None = None,
        withdrawn: bool = False,
        severity: str | None = None,
        ids: Collection[str] | None = None,
        newest_first: bool = False,
    ) -> Iterator[Flag]:
        """Flags whose span touches [since, until), by ledger offset and id.

        Args:
            code: only this one; so for the device, the kind and the severity.
            device_id: see there.
            kind: see there.
            since: ns, included.
            until: ns, not included.
            withdrawn: also those that are withdrawn.
            severity: see there.
            ids: only these flags.
            newest_first: by ``since``, the latest first, and id instead.
        """
        ...

    def quarantine(
        self, *, stage: str | None = None, reason: str | None = None, device_id: str | None = None
    ) -> Iterator[QuarantinedRow]:
        """Rows of quarantine in the order in which they came there."""
        ...

    def devices(self) -> Iterator[DeviceSummary]:
        """Every device with a reading or a flag, by device id and kind."""
        ...

    def counters(self) -> Counters:
        """Totals of the last commit."""
        ...

    def currencies(self) -> dict[str, list[str]]:
        """The kinds that have readings, each with the currencies its readings carry."""
        ...


class Store(Readable, Protocol):
    """Keeps what processing found; safe to use from several threads."""

    def checkpoint(self) -> Checkpoint:
        """Where processing stands, with the last snapshot of the checks' state."""
        ...

    def prepare(self, readings: list[Reading], before: Sequence[Prepared]) -> Prepared:
        """Takes over readings of the next commit, behind those prepared ``before`` for it.

        Nothing is stored by this, and the commit before may still be under way in another thread.
        It lets a large commit be made of small parts, each still in the processor's cache, without
        keeping the records.

        Raises:
            StoreRefused: a record cannot be stored for what it is.
        """
        ...

    def commit(self, results: Results) -> None:
        """Stores everything of ``results`` in one transaction, durable on return.

        Giving the same results again after a StoreUnavailable stores them once.

        Raises:
            StoreUnavailable: nothing of it is certain; give the same results again.
            StoreRefused: a record cannot be stored for what it is; nothing was stored.
            StoreError: the results do not follow the checkpoint.
        """
        ...

    def replace_quarantined(
        self, offsets: Collection[int], results: Results, progress: Reprocessing | None = None
    ) -> None:
        """Puts the results of reprocessed messages in the place of their quarantine rows.

        One transaction, which also takes the ``progress`` of the order that this is for.  Counters
        of ``results`` are the new totals; its ``next_offset`` and ``snapshot`` are not looked at.
        Rows that a sink refused are not touched.

        Raises:
            StoreError: an offset is not in quarantine (it may have been replaced before).
        """
        ...

    def retried(self) -> list[tuple[int, int]]:
        """The messages that were reprocessed since the last snapshot, in that order.

        Each is a ledger offset, and where the checkpoint was then.
        """
        ...

    def reprocessing(self) -> Reprocessing | None:
        """How far the latest order has come; None before the first."""
        ...

    def tail(self, after: int, limit: int = 5000) -> Tail:
        """At most ``limit`` readings behind the position ``after``, and the position reached."""
        ...

    @property
    def change(self) -> int:
        """The number of the latest change of a flag; 0 when there is none."""
        ...

    def flag_tail(self, after: int, limit: int = 500) -> FlagTail:
        """At most ``limit`` flags that have changed since the change ``after``, as they are now."""
        ...

    def flag_states(self) -> FlagStates:
        """The state of every flag, and the change up to which these are all."""
        ...

    def sink_position(self, name: str) -> int:
        """How far the sink ``name`` came; 0 for a new one."""
        ...

    def advance_sink(self, name: str, position: int, refused: Sequence[Quarantined] = ()) -> None:
        """Remembers how far a sink came and quarantines what its database refused, atomically."""
        ...

    def close(self) -> None:
        """Closes the store; calling it again does nothing."""
        ...


class Sink(Protocol):
    """Follows a store; at-least-once, so what it writes must be idempotent."""

    name: str

    async def run(self) -> None:
        """Delivers what the store has, then what it gets, until ``close``."""
        ...

    async def close(self) -> None:
        """Ends ``run`` after the write in progress."""
        ...

    @property
    def lag(self) -> int:
        """Readings in the store that are not delivered yet."""
        ...
