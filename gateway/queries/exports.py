"""Exports within a scope: records one by one, for as long as somebody reads them.

The same keys as `gateway export` writes.  Without ``exact`` they have pseudonyms in place of
devices, and nothing that leads back to one.
"""
# ruff: noqa: S608 - what is put into statements is our own names; users' values are parameters

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any, Final, Literal, get_args

import msgspec

from gateway.errors import ConfigError
from gateway.quantities import KINDS
from gateway.queries import devices as device_queries
from gateway.queries import flags as flag_queries
from gateway.queries import quarantine as quarantine_queries
from gateway.queries.devices import DeviceChoice
from gateway.queries.flags import FlagChoice
from gateway.queries.privacy import PERSONAL
from gateway.queries.quarantine import QuarantineChoice
from gateway.store import export, rows, schema, writers
from gateway.store.export import reading_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from gateway.quantities import Type
    from gateway.queries.paging import Page
    from gateway.queries.privacy import Pseudonyms
    from gateway.queries.seen import Seen
    from gateway.records import Reading

What = Literal["readings", "flags", "quarantine", "devices"]
Format = Literal["jsonl", "csv", "parquet"]
WHAT: Final[tuple[What, ...]] = get_args(What)
FORMATS: Final[tuple[Format, ...]] = get_args(Format)

_PAGE: Final = 5_000
_FEW: Final = 2_000
"""Up to so many devices the store looks for their readings; of more, all are read and sifted."""
_WITHOUT_EFFECT: Final[dict[What, tuple[str, ...]]] = {
    "readings": ("code",),
    "flags": (),
    "quarantine": ("kind", "code", "region"),
    "devices": ("code", "since", "until"),
}
_LEADS_BACK: Final = frozenset(
    ("ledger_offset", "id", "topic", "payload", "payload_base64", "detail", "decision", "site")
)


class ExportChoice(msgspec.Struct, frozen=True, kw_only=True):
    """What of it; what is None does not narrow.  Bounds in ns; of quarantine those of receipt."""

    kind: str | None = None
    code: str | None = None
    device_id: str | None = None
    region: str | None = None
    since: int | None = None
    until: int | None = None

    def checked(self, what: What) -> ExportChoice:
        """Itself, for an export of this.

        Raises:
            ConfigError: no such kind or code, or something that would silently be without effect.
        """
        FlagChoice(kind=self.kind, code=self.code).checked()
        for name in _WITHOUT_EFFECT[what]:
            if getattr(self, name) is not None:
                raise ConfigError(f"export of {what}: {name} cannot be used here")
        return self


def records(seen: Seen, what: What, choice: ExportChoice, names: Pseudonyms) -> Iterator[Any]:
    """The records of an export.

    Raises:
        ConfigError: a choice that there is not.
        AccessDenied: the region lies outside of the scope.
    """
    choice = choice.checked(what)
    made: dict[What, Callable[[Seen, ExportChoice], Iterator[dict[str, Any]]]] = {
        "readings": _readings,
        "flags": _flags,
        "quarantine": _quarantine,
        "devices": _devices,
    }
    found = made[what](seen, choice)
    if seen.privacy.exact or not seen.privacy.places:
        return found
    known = seen.world.directory.members(seen.scope)
    return (names.record(record, known, _LEADS_BACK) for record in found)


def is_personal(what: What, choice: ExportChoice) -> bool:
    """Whether an export may tell of people."""
    return what == "readings" and (choice.kind is None or choice.kind in PERSONAL)


def write(
    seen: Seen,
    what: What,
    choice: ExportChoice,
    *,
    format_: Format,
    names: Pseudonyms,
    out: IO[bytes],
) -> int:
    """Writes an export; returns how many records it has."""
    found = records(seen, what, choice, names)
    if format_ == "jsonl":
        return writers.write_jsonl(found, out)
    columns = _columns(seen, what, choice)
    flat: Iterable[dict[str, Any]] = map(export.flat_title, found) if what == "flags" else found
    if format_ == "csv":
        return writers.write_csv(flat, out, list(columns))
    return writers.write_parquet(flat, out, columns, integers=export.INTEGERS)


def _columns(seen: Seen, what: What, choice: ExportChoice) -> dict[str, Type]:
    columns = export.columns_of(what, seen.world.store, choice.kind)
    if seen.privacy.exact or not seen.privacy.places:
        return columns
    return {name: type_ for name, type_ in columns.items() if name not in _LEADS_BACK}


def _readings(seen: Seen, choice: ExportChoice) -> Iterator[dict[str, Any]]:
    chosen = seen.chosen(device_id=choice.device_id, region=choice.region)
    few = chosen is not None and len(chosen) <= _FEW
    members = None if chosen is None or few else frozenset(chosen)
    kinds = KINDS if choice.kind is None else [choice.kind]
    for kind in kinds:
        for reading in _of_kind(seen, kind, choice, chosen if few else None):
            if members is None or reading.device_id in members:
                yield reading_record(seen.privacy.reading(reading))


def _of_kind(
    seen: Seen, kind: str, choice: ExportChoice, chosen: list[str] | None
) -> Iterator[Reading]:
    """A page at a time: a long answer would hold the store's log open while it is read."""
    after = 0
    only = "" if chosen is None else " AND device_id IN (SELECT value FROM chosen)"
    while True:
        clause, parameters = rows.where(
            {
                "position > ?": after,
                rows.time_bound("measured_at", ">="): choice.since,
                rows.time_bound("measured_at", "<"): choice.until,
            }
        )
        found = seen.world.store.ask(
            f"SELECT {schema.selected(kind)} FROM {schema.table(kind)}{clause}{only} "
            f"ORDER BY position LIMIT {_PAGE}",
            parameters,
            chosen=chosen,
        )
        yield from (reading for _, reading in rows.readings(kind, found))
        if len(found) < _PAGE:
            return
        after = found[-1][0]


def _flags(seen: Seen, choice: ExportChoice) -> Iterator[dict[str, Any]]:
    chosen = FlagChoice(
        code=choice.code, kind=choice.kind, device_id=choice.device_id, region=choice.region,
        since=choice.since, until=choice.until,
    )  # fmt: skip
    keys = dict.fromkeys(export.columns_of("flags", seen.world.store, None)) | {"title": None}
    for record in _paged(lambda at: flag_queries.page(seen, chosen, cursor=at, limit=1_000)):
        yield {key: value for key, value in record.items() if key in keys}


def _quarantine(seen: Seen, choice: ExportChoice) -> Iterator[dict[str, Any]]:
    chosen = QuarantineChoice(device_id=choice.device_id, since=choice.since, until=choice.until)
    return _paged(lambda at: quarantine_queries.page(seen, chosen, cursor=at, limit=500))


def _devices(seen: Seen, choice: ExportChoice) -> Iterator[dict[str, Any]]:
    chosen = DeviceChoice(kind=choice.kind, region=choice.region)
    keys = export.columns_of("devices", seen.world.store, None)
    for record in _paged(lambda at: device_queries.page(seen, chosen, cursor=at, limit=1_000)):
        if choice.device_id in {None, record["device_id"]}:
            yield {key: value for key, value in record.items() if key in keys}


def _paged(page: Callable[[str | None], Page]) -> Iterator[dict[str, Any]]:
    cursor: str | None = None
    while True:
        found = page(cursor)
        yield from found.items
        cursor = found.next_cursor
        if cursor is None:
            return
