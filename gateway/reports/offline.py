"""The world as a command sees it: a data directory, whether or not a gateway runs on it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from gateway.access.roles import ALLOWED, Scope
from gateway.assembly import read_profiles
from gateway.casebook import Casebook
from gateway.queries.directory import Directory
from gateway.queries.privacy import EXACT
from gateway.queries.seen import Seen, World
from gateway.reports.evidence import Request
from gateway.store.asked import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


@contextmanager
def request_of(
    data: Path, *, by: str, profiles: Sequence[Path] = (), region: str = ""
) -> Iterator[Request]:
    """A request by who has the data directory, and so sees everything in it.

    Args:
        data: the data directory; the store is asked of a gateway that runs, else opened.
        by: who makes the report.
        profiles: directories of profiles, those of the gateway when empty.
        region: only this district.

    Raises:
        StoreError: there is no store, or another process has it.
    """
    store = open_store(data, memory_limit="2GB")
    try:
        with Casebook(data) as casebook:
            directory = Directory(store, casebook)
            world = World(store, casebook, directory, read_profiles(profiles), data / "ledger")
            directory.refresh()
            seen = Seen(world, Scope(region, None), EXACT)
            yield Request(
                seen=seen,
                permissions=ALLOWED["administrator"],
                by=by,
                made_at=casebook.now(),
            )
    finally:
        store.close()
