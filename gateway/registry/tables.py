"""The tables of the registry in the casebook: versions of its records, read and written.

Every function works on a connection of the casebook, within its transaction.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa

from gateway.devices import EVER, Registry, named_devices
from gateway.records import Certificate, Device, Owner, Site
from gateway.registry.changes import Known
from gateway.registry.relations import RELATIONS, named_by, sites_with_nozzles

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gateway.registry.changes import Change
    from gateway.registry.entries import Entry, Key, Record

_METADATA: Final = sa.MetaData()
_AT_ONCE: Final = 1_000  # SQLite takes 32,766 values a statement
_DECODED: Final = 100_000


def _texts(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Text) for name in names]


def _place() -> list[sa.Column[Any]]:
    return [sa.Column("longitude", sa.Float), sa.Column("latitude", sa.Float)]


def _times(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.BigInteger) for name in names]


def _version() -> list[sa.Column[Any]]:
    """When it begins (`EVER` for ever), and the entry of the audit that brought it."""
    return [sa.Column("valid_from", sa.BigInteger, primary_key=True), _audit_id()]


def _audit_id() -> sa.Column[Any]:
    return sa.Column("audit_id", sa.Integer)


DEVICE: Final = sa.Table(
    "device_version",
    _METADATA,
    sa.Column("device_id", sa.Text, primary_key=True),
    *_texts("kind", "profile", "vendor", "model", "serial_number", "owner", "site", "region"),
    *_place(),
    *_times("commissioned_at", "verified_at", "verified_until"),
    *_texts("certificate"),
    sa.Column("parameters", sa.JSON, nullable=False),
    *_version(),
)
SITE: Final = sa.Table(
    "site_version",
    _METADATA,
    sa.Column("site", sa.Text, primary_key=True),
    *_texts("name", "owner", "region", "address"),
    *_place(),
    *_version(),
)
OWNER: Final = sa.Table(
    "owner_version",
    _METADATA,
    sa.Column("owner", sa.Text, primary_key=True),
    *_texts("name", "credit_code", "address"),
    *_version(),
)
CERTIFICATE: Final = sa.Table(
    "certificate",
    _METADATA,
    sa.Column("device_id", sa.Text, primary_key=True),
    sa.Column("number", sa.Text, primary_key=True),
    *_times("verified_at", "issued_at", "valid_until"),
    *_texts("laboratory", "result"),
    sa.Column("errors", sa.JSON, nullable=False),
    sa.Column("source", sa.JSON, nullable=False),
    _audit_id(),
)
TABLES: Final = {"device": DEVICE, "site": SITE, "owner": OWNER, "certificate": CERTIFICATE}
_PLAIN: Final[dict[str, type[Site | Owner | Certificate]]] = {
    "site": Site, "owner": Owner, "certificate": Certificate,
}  # fmt: skip


def read_registry(connection: sa.Connection) -> Registry:
    """Every version of every device, in the order of the ids."""
    return Registry(_devices(connection, sa.true()))


def read_ids_within(connection: sa.Connection, region: str, vendor: str | None) -> list[str]:
    """The devices whose latest version lies in a district, and is of a vendor where one is given.

    Args:
        connection: of the casebook.
        region: a beginning of a GB/T 2260 code; empty for every registered device.
        vendor: None for all.
    """
    later = DEVICE.alias()
    latest = (
        sa.select(sa.func.max(later.c.valid_from))
        .where(later.c.device_id == DEVICE.c.device_id)
        .scalar_subquery()
    )
    query = sa.select(DEVICE.c.device_id).where(DEVICE.c.valid_from == latest)
    if region:
        query = query.where(DEVICE.c.region.startswith(region, autoescape=True))
    if vendor is not None:
        query = query.where(DEVICE.c.vendor == vendor)
    return list(connection.scalars(query))


def any_device(connection: sa.Connection) -> bool:
    """Whether at least one device is registered."""
    return connection.scalar(sa.select(DEVICE.c.device_id).limit(1)) is not None


def read_versions(connection: sa.Connection, device_ids: Iterable[str]) -> Registry:
    """Every version of these devices; those that are not registered are not in it."""
    return Registry(
        device
        for part in _parts(sorted(device_ids))
        for device in _devices(connection, DEVICE.c.device_id.in_(part))
    )


def read_numbered(connection: sa.Connection, numbers: Iterable[str]) -> list[Device]:
    """Every version of the devices that have one of these as their id or serial number."""
    found: dict[str, None] = {}
    for part in _parts(sorted(numbers)):
        columns = DEVICE.c.device_id, DEVICE.c.serial_number
        query = sa.select(DEVICE.c.device_id).where(sa.or_(*(c.in_(part) for c in columns)))
        found.update(dict.fromkeys(row.device_id for row in connection.execute(query)))
    return [
        device
        for part in _parts(list(found))
        for device in _devices(connection, DEVICE.c.device_id.in_(part))
    ]


def read_known(connection: sa.Connection, entries: Sequence[Entry]) -> Known:
    """What is known of the records of an import, and of the devices that they are related to."""
    mine = dict.fromkeys(
        each.record.device_id for each in entries if isinstance(each.record, Device | Certificate)
    )
    known = Known(_with_parents(connection, dict.fromkeys((*mine, *named_by(entries)))))
    for part in _parts(sorted(sites_with_nozzles(entries))):
        for device in _devices(connection, DEVICE.c.site.in_(part)):
            known.put(device)
    for part in _parts(list(mine)):
        for record in _plain(connection, "certificate", CERTIFICATE.c.device_id.in_(part)):
            known.put(record)
    for kind in ("site", "owner"):
        for record in _plain(connection, kind, sa.true()):
            known.put(record)
    return known


def _with_parents(connection: sa.Connection, names: dict[str, None]) -> Iterator[Device]:
    """Every version of the devices, of their parents, and so on up to the top."""
    seen: set[str] = set()
    while names:
        seen.update(names)
        above: dict[str, None] = {}
        for part in _parts(list(names)):
            for device in _devices(connection, DEVICE.c.device_id.in_(part)):
                yield device
                parent = device.parameters.get("parent")
                if isinstance(parent, str) and parent not in seen:
                    above[parent] = None
        names = above


def read_records(connection: sa.Connection, kind: str, **of: str) -> list[Record]:
    """Records of a kind, all versions, in the order of their names; ``of`` narrows by columns."""
    table = TABLES[kind]
    where = sa.and_(sa.true(), *(table.c[name] == value for name, value in of.items()))
    return list(
        _devices(connection, where) if kind == "device" else _plain(connection, kind, where)
    )


def read_naming(connection: sa.Connection, device_id: str) -> list[Device]:
    """Every version of the devices that name this one in a relation, as parent or tank."""
    text = sa.cast(DEVICE.c.parameters, sa.Text)
    # As written by msgspec, and with other letters escaped, as older programs wrote them.
    forms = {msgspec.json.encode(device_id).decode(), json.dumps(device_id)}
    hits = sa.or_(*(text.contains(form, autoescape=True) for form in sorted(forms)))
    ids = sa.select(DEVICE.c.device_id).where(hits)
    found = Registry(_devices(connection, DEVICE.c.device_id.in_(ids)))
    return [
        device
        for name in found
        for device in found.versions(name)
        if any(device_id in named_devices(device, relation) for relation in RELATIONS)
    ]


def audited(connection: sa.Connection, device_id: str) -> tuple[set[int], list[str]]:
    """What the audit has of a device: entries that brought versions, subjects of its records."""
    ids: set[int] = set()
    for table in (DEVICE, CERTIFICATE):
        query = sa.select(table.c.audit_id).where(table.c.device_id == device_id)
        ids.update(row[0] for row in connection.execute(query) if row[0] is not None)
    numbers = sa.select(CERTIFICATE.c.number).where(CERTIFICATE.c.device_id == device_id)
    rows = connection.execute(numbers)
    return ids, [device_id, *(f"{device_id} {row.number}" for row in rows)]


def write(connection: sa.Connection, changes: Iterable[Change], audit_id: int) -> None:
    """Writes what changed; of several changes of one version the last one."""
    final: dict[str, dict[tuple[Key, int], tuple[bool, Record]]] = {}
    for change in changes:
        mine = final.setdefault(change.key[0], {})
        version = change.key, _begin(change.after)
        corrected = version in mine and mine[version][0]
        mine[version] = corrected or change.action == "correct", change.after
    for kind, records in final.items():
        table = TABLES[kind]
        keys = [column.name for column in table.primary_key]
        rows = [_row(record, audit_id) for _, record in records.values()]
        gone = [
            {f"old_{key}": row[key] for key in keys}
            for row, (replaces, _) in zip(rows, records.values(), strict=True)
            if replaces
        ]
        if gone:
            where = [table.c[key] == sa.bindparam(f"old_{key}") for key in keys]
            connection.execute(sa.delete(table).where(*where), gone)
        connection.execute(sa.insert(table), rows)


def _begin(record: Record) -> int:
    begin: int | None = getattr(record, "valid_from", None)
    return EVER if begin is None else begin


def _row(record: Record, audit_id: int) -> dict[str, Any]:
    row = msgspec.structs.asdict(record)
    if "valid_from" in row:
        row["valid_from"] = _begin(record)
    row["audit_id"] = audit_id
    return row


def _parts(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for at in range(0, len(names), _AT_ONCE):
        yield names[at : at + _AT_ONCE]


def _devices(connection: sa.Connection, where: sa.ColumnElement[bool]) -> Iterator[Device]:
    """Versions of devices, in the order of ids and beginnings.

    The words and days that many devices have in common, and equal parameters, are one object each:
    a million devices take a third less memory.
    """
    columns = [
        sa.cast(column, sa.Text) if column.name == "parameters" else column
        for column in DEVICE.columns
        if column.name != "audit_id"
    ]
    query = sa.select(*columns).where(where).order_by(DEVICE.c.device_id, DEVICE.c.valid_from)
    share: dict[Any, Any] = {}
    shared = share.setdefault
    decoded: dict[str, dict[str, Any]] = {}
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    result = connection.execution_options(yield_per=10_000).execute(query)
    for (
        device_id, kind, profile, vendor, model, serial_number, owner, site, region, longitude,
        latitude, commissioned_at, verified_at, verified_until, certificate, text, valid_from,
    ) in result:  # fmt: skip
        parameters = decoded.get(text)
        if parameters is None:
            parameters = {
                name: shared(value, value) if value.__class__ is str else value
                for name, value in decode(text).items()
            }
            if len(decoded) < _DECODED:
                decoded[text] = parameters
        yield Device(
            device_id=device_id,
            kind=shared(kind, kind),
            profile=shared(profile, profile),
            vendor=shared(vendor, vendor),
            model=shared(model, model),
            serial_number=serial_number,
            owner=shared(owner, owner),
            site=shared(site, site),
            region=shared(region, region),
            longitude=longitude,
            latitude=latitude,
            commissioned_at=shared(commissioned_at, commissioned_at),
            verified_at=shared(verified_at, verified_at),
            verified_until=shared(verified_until, verified_until),
            certificate=certificate,
            parameters=parameters,
            valid_from=None if valid_from == EVER else valid_from,
        )


def _plain(
    connection: sa.Connection, kind: str, where: sa.ColumnElement[bool]
) -> Iterator[Site | Owner | Certificate]:
    table, type_ = TABLES[kind], _PLAIN[kind]
    names = type_.__struct_fields__
    query = sa.select(*(table.c[name] for name in names)).where(where)
    for row in connection.execute(query.order_by(*table.primary_key)):
        fields = dict(zip(names, row, strict=True))
        if fields.get("valid_from") == EVER:
            fields["valid_from"] = None
        yield type_(**fields)
