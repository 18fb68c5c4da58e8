"""Removes what has been kept for as long as the settings say, while the gateway runs.

By the time of receipt, which is our own clock's: a device that says 1970 loses nothing by it, and
one that says 2099 keeps nothing.  A bound is the beginning of a day (UTC), so a reading goes within
a day after its time is over, and the audit has one entry a kind and day.
"""

from __future__ import annotations

import getpass
import time
from typing import TYPE_CHECKING, Final

import structlog

from gateway.chores import Chore
from gateway.store.removal import QUARANTINE
from gateway.times import DAY, rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from gateway.casebook import Casebook
    from gateway.chores import Clerk
    from gateway.store import Removed
    from gateway.store.duckdb import DuckDBStore

log = structlog.get_logger(__name__)

EVERY_S: Final = 60.0
AT_ONCE: Final = 20_000
"""Rows of one transaction: some hundredths of a second."""


class Retention(Chore):
    """Removes readings by kind, and rows of quarantine.

    Args:
        store: to remove from.
        clerk: tells the audit.
        days: to keep, by kind and ``quarantine``; what is not in it is kept.
        snapshot: has processing write a snapshot, and tells its ledger offset.  Of quarantine only
            what is below it goes: a restart must find what was refused behind its snapshot.
        clock: ns UTC.
        every: seconds between two looks.
        most: rows of one transaction.

    Attributes:
        totals: rows that were ever removed, by kind and ``quarantine``.
    """

    def __init__(
        self,
        store: DuckDBStore,
        clerk: Clerk,
        days: Mapping[str, int],
        snapshot: Callable[[], int],
        *,
        clock: Callable[[], int] = time.time_ns,
        every: float = EVERY_S,
        most: int = AT_ONCE,
    ) -> None:
        super().__init__(every=every)
        self._store = store
        self._clerk = clerk
        self._days = dict(days)
        self._snapshot = snapshot
        self._now = clock
        self._most = most
        self._done: dict[str, int] = {}
        self.totals: dict[str, int] = {}
        self._count()

    def _count(self) -> dict[str, Removed]:
        removed = {each.kind: each for each in self._store.removed()}
        self.totals = {kind: each.total for kind, each in removed.items()}
        return removed

    def _do(self) -> Generator[bool, None, None]:
        for kind, days in self._days.items():
            before = (self._now() - days * DAY) // DAY * DAY
            if self._done.get(kind) == before:
                continue
            # A restart may have left what nobody has been told of.
            yield from self._tell(kind, unless=before)
            yield from self._remove(kind, before)
            yield from self._tell(kind)
            self._done[kind] = before

    def _remove(self, kind: str, before: int) -> Generator[bool, None, None]:
        below = self._snapshot() if kind == QUARANTINE else None
        while True:
            gone = self._store.remove(kind, before, most=self._most, below=below)
            self.totals[kind] = self.totals.get(kind, 0) + gone
            if gone < self._most:
                return
            yield True

    def _tell(self, kind: str, unless: int | None = None) -> Generator[bool, None, None]:
        """Has the audit say what was removed, unless that is of a bound that is being worked on."""
        removed = self._count().get(kind)
        if removed is None or removed.told or removed.before == unless:
            return
        yield from self._clerk.ask(_record, removed)
        self._store.removal_told(kind)
        log.info(
            "removed by retention",
            kind=kind,
            rows=removed.amount,
            received_before=rfc3339(removed.before),
        )


def _record(casebook: Casebook, removed: Removed) -> None:
    casebook.record(
        actor=getpass.getuser(),
        action="retention.remove",
        subject=removed.kind,
        detail={"rows": removed.amount, "received_before": rfc3339(removed.before)},
    )
