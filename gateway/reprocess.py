"""Decides the ledger anew: all of it, or what is in quarantine.

All of it goes into a new store that then takes the old one's place.  The ledger's writer lock is
held meanwhile, so no gateway can start on the same data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway.assembly import DataDirectory, make_decider, read_devices, read_profiles
from gateway.errors import ConfigError, LedgerLocked, StoreLocked
from gateway.ledger.sqlite import SqliteLedger
from gateway.pipeline import Processor
from gateway.records import Counters
from gateway.store.duckdb import DuckDBStore
from gateway.store.rebuild import swap

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from gateway.deciding import Decider


class Reprocessed(msgspec.Struct, frozen=True):
    """Totals before and after; ``decided`` messages were decided anew.

    ``flags_before`` and ``flags_after`` are the flags that stand. The counters' ``flags`` count
    each time one was raised, prolonged or withdrawn.
    """

    decided: int
    before: Counters
    after: Counters
    flags_before: int
    flags_after: int


def reprocess(
    data: Path,
    *,
    profiles: Sequence[Path] = (),
    quarantine_only: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Reprocessed:
    """Decides messages anew with the profiles and the registry of today.

    A store that is missing is built from the ledger.

    Args:
        data: the data directory; no gateway may be using it.
        profiles: directories of profiles, or the packaged ones.
        quarantine_only: only messages in quarantine; they are judged as if they came late.
        progress: called with messages decided and messages in all.

    Raises:
        ConfigError: there is nothing to reprocess, or a gateway has the data.
        GatewayError: profiles, ledger or store fail; the store is as it was.
    """
    directory = DataDirectory(data)
    if not directory.ledger.exists():
        raise ConfigError(f"--data {data}: no ledger in it; has a gateway run there?")
    if quarantine_only and not directory.store.exists():
        raise ConfigError(
            f"--data {data}: no store in it, so nothing in quarantine; without --quarantine-only "
            "it is built from the ledger"
        )
    tell = progress or (lambda _done, _all: None)
    try:
        with SqliteLedger(directory.ledger) as ledger:
            devices = read_devices(directory, None)
            decider = make_decider(read_profiles(profiles), devices, profiles)
            if quarantine_only:
                return _quarantined(directory, ledger, decider, tell)
            return _everything(directory, ledger, decider, tell)
    except (LedgerLocked, StoreLocked) as error:
        hint = (
            "to decide quarantine again while it runs, reload the profiles (SIGHUP) and use "
            "'Reprocess these' on the console's page Quarantine, or POST "
            "/api/v1/quarantine/reprocess"
            if quarantine_only
            else "all of the ledger can be decided again only while no gateway runs on it"
        )
        raise ConfigError(f"{error}\n{hint}") from None


def _everything(
    directory: DataDirectory,
    ledger: SqliteLedger,
    decider: Decider,
    tell: Callable[[int, int], None],
) -> Reprocessed:
    """Builds the new store beside the old one, then swaps."""
    fresh = directory.store.with_name("store-reprocessing.duckdb")
    for left in (fresh, fresh.with_name(fresh.name + ".wal")):
        left.unlink(missing_ok=True)
    old, new = DuckDBStore(directory.store), None
    try:
        new = DuckDBStore(fresh)
        if ledger.first_offset > 0:
            new.copy_before(ledger.first_offset, old)
        before, flags_before = old.counters(), _standing(old)
        processor = Processor(ledger, new, decider)
        begin, end = processor.offset, ledger.next_offset
        while processor.step():
            tell(processor.offset - begin, end - begin)
        processor.finish()
        processor.settle()
        flags_after = _standing(new)
    finally:
        old.close()
        if new is not None:
            new.close()
    swap(fresh, directory.store)
    return Reprocessed(
        processor.offset - begin, before, processor.counters, flags_before, flags_after
    )


def _standing(store: DuckDBStore) -> int:
    return sum(1 for _ in store.flags())


def _quarantined(
    directory: DataDirectory,
    ledger: SqliteLedger,
    decider: Decider,
    tell: Callable[[int, int], None],
) -> Reprocessed:
    store = DuckDBStore(directory.store)
    try:
        processor = Processor(ledger, store, decider)
        before, flags_before = store.counters(), _standing(store)
        count = processor.retry_quarantined(tell)
        return Reprocessed(count, before, store.counters(), flags_before, _standing(store))
    finally:
        store.close()
