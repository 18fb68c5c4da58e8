"""What the store holds, written as JSON Lines, CSV, Parquet or line protocol.

``records`` are mappings whose keys are those of interface.md, in its order.  What is absent is
left out (in tables: empty), never written as 0.  Each function streams and returns how many
records it wrote.
"""

from __future__ import annotations

import base64
import codecs
from functools import lru_cache
from time import gmtime, strftime
from typing import IO, TYPE_CHECKING, Any, Final

from gateway.devices import shown_parameters
from gateway.errors import StoreError
from gateway.quantities import BY_NAME, KINDS, Quantity, Type, export_key
from gateway.store import lines, writers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from gateway.records import Device, Flag, Reading
    from gateway.store import DeviceSummary, QuarantinedRow, Readable

__all__ = [
    "FORMATS",
    "INTEGERS",
    "columns_of",
    "device_record",
    "export_devices",
    "export_flags",
    "export_quarantine",
    "export_readings",
    "flag_record",
    "flat_title",
    "quarantine_record",
    "reading_record",
    "rfc3339",
]

FORMATS: Final = ("jsonl", "csv", "parquet", "lp")
DEFAULT_CURRENCY: Final = "CNY"

_READING: Final[dict[str, Type]] = {
    "device_id": "text", "kind": "text", "event": "text", "channel": "text",
    "measured_at": "time", "received_at": "time", "sequence": "number", "quality": "text",
    "profile": "text", "ledger_offset": "number", "status": "text",
}  # fmt: skip
_REGISTERED: Final[dict[str, Type]] = {
    "vendor": "text", "model": "text", "serial_number": "text", "owner": "text", "site": "text",
    "region": "text", "longitude": "number", "latitude": "number", "commissioned_at": "time",
    "verified_at": "time", "verified_until": "time", "certificate": "text", "parameters": "text",
    "valid_from": "time",
}  # fmt: skip
_FLAG: Final = (
    "id",
    "device_id",
    "kind",
    "channel",
    "code",
    "severity",
    "measured_at",
    "from",
    "to",
    "evidence",
    "basis",
    "title_en",
    "title_zh",
    "profile",
    "ledger_offset",
    "status",
)
_QUARANTINE: Final = (
    "ledger_offset",
    "received_at",
    "topic",
    "device_id",
    "stage",
    "reason",
    "detail",
    "profile",
    "payload",
    "payload_base64",
    "payload_size",
)
_DEVICE: Final = (
    "device_id",
    "kind",
    "profile",
    "first_measured_at",
    "last_measured_at",
    "readings",
    "flags",
)
INTEGERS: Final = frozenset(("sequence", "ledger_offset", "payload_size", "readings", "flags"))
"""Columns whose numbers are whole."""


def export_readings(
    store: Readable,
    out: IO[bytes],
    format_: str,
    *,
    kind: str | None = None,
    device_id: str | None = None,
    since: int | None = None,
    until: int | None = None,
    quality_codes: Mapping[str, int | str | None] | None = None,
) -> int:
    """Readings in the order of the store; bounds in ns UTC on ``measured_at``.

    ``quality_codes`` gives a key ``quality_code`` more: by the word of the quality, in the codes of
    another system; nothing where that has none.
    """
    found = store.readings(kind=kind, device_id=device_id, since=since, until=until)
    if format_ == "lp":
        serialise = lines.ReadingLines().line
        return writers.write_lines(map(serialise, found), out)
    table = {} if format_ == "jsonl" else _reading_columns(store, kind)
    records: Iterable[dict[str, Any]] = map(reading_record, found)
    if quality_codes is not None:
        table = table and {**table, "quality_code": "text"}
        records = (_coded(record, quality_codes) for record in records)
    return _write(records, out, format_, table)


def _coded(record: dict[str, Any], codes: Mapping[str, int | str | None]) -> dict[str, Any]:
    code = codes.get(record["quality"])
    return record if code is None else record | {"quality_code": str(code)}


def export_flags(
    store: Readable,
    out: IO[bytes],
    format_: str,
    *,
    titles: Mapping[str, Mapping[str, str]],
    code: str | None = None,
    device_id: str | None = None,
    kind: str | None = None,
    since: int | None = None,
    until: int | None = None,
    restate: Callable[[Iterator[Flag]], Iterator[Flag]] | None = None,
) -> int:
    """Flags that are not withdrawn; ``titles`` are the {en, zh} of each code.

    ``restate`` gives each flag the status to show, which takes more than the store knows.
    """
    found = store.flags(code=code, device_id=device_id, kind=kind, since=since, until=until)
    if restate is not None:
        found = restate(found)
    if format_ == "lp":
        return writers.write_lines(map(lines.flag_line, found), out)
    records: Iterable[dict[str, Any]] = (flag_record(flag, titles) for flag in found)
    if format_ != "jsonl":
        records = map(flat_title, records)
    return _write(records, out, format_, columns_of("flags", store))


def export_quarantine(store: Readable, out: IO[bytes], format_: str) -> int:
    """Rows of quarantine with as much of the payload as the store keeps."""
    _tables_only("quarantine", format_)
    records = map(quarantine_record, store.quarantine())
    return _write(records, out, format_, columns_of("quarantine", store))


def export_devices(
    store: Readable, out: IO[bytes], format_: str, registry: Mapping[str, Device] | None = None
) -> int:
    """What the store knows of each device that has a reading or a flag, and what is registered.

    ``registry`` gives the fields from ``vendor`` on; kind and profile are those of the readings.
    """
    columns = _columns(_DEVICE) if registry is None else columns_of("devices", store)
    _tables_only("devices", format_)
    known = registry or {}
    records = (device_record(device, known.get(device.device_id)) for device in store.devices())
    return _write(records, out, format_, columns)


def _tables_only(what: str, format_: str) -> None:
    if format_ == "lp":
        raise StoreError(f"export: {what} are no series: lp is for readings and flags")


def _write(
    records: Iterable[dict[str, Any]], out: IO[bytes], format_: str, columns: dict[str, Type]
) -> int:
    if format_ == "jsonl":
        return writers.write_jsonl(records, out)
    if format_ == "csv":
        return writers.write_csv(records, out, list(columns))
    if format_ == "parquet":
        return writers.write_parquet(records, out, columns, integers=INTEGERS)
    raise StoreError(f"export: format {format_!r} is none of {', '.join(FORMATS)}")


def columns_of(what: str, store: Readable, kind: str | None = None) -> dict[str, Type]:
    """The columns of a table of an export; of readings those of one kind, or of all there are."""
    if what == "readings":
        return _reading_columns(store, kind)
    if what == "devices":
        return _columns(_DEVICE) | _REGISTERED
    return _columns(_FLAG if what == "flags" else _QUARANTINE)


def _columns(names: Iterable[str]) -> dict[str, Type]:
    return {
        name: "time" if name.endswith("_at") or name in ("from", "to")
        else "number" if name in INTEGERS
        else "text"
        for name in names
    }  # fmt: skip


def _reading_columns(store: Readable, kind: str | None) -> dict[str, Type]:
    """Columns of a table: the fixed ones, then every quantity in every currency there is."""
    columns = dict(_READING)
    for each, currencies in store.currencies().items():
        if kind in (None, each):
            for quantity in KINDS[each]:
                money = quantity.unit.startswith("CUR")
                for currency in (currencies or [DEFAULT_CURRENCY]) if money else [DEFAULT_CURRENCY]:
                    columns[_key(quantity, currency)] = quantity.type
    return columns


@lru_cache(maxsize=4096)
def _key(quantity: Quantity, currency: str | None) -> str:
    return export_key(quantity, currency or DEFAULT_CURRENCY)


@lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    return strftime("%Y-%m-%dT%H:%M:%S", gmtime(seconds))


def rfc3339(ns: int) -> str:
    """A time in ns UTC with the milliseconds, and the micro- or nanoseconds it has."""
    seconds, fraction = divmod(ns, 1_000_000_000)
    digits = f"{fraction:09d}"
    if digits.endswith("000000"):
        digits = digits[:3]
    elif digits.endswith("000"):
        digits = digits[:6]
    return f"{_second(seconds)}.{digits}Z"


def reading_record(reading: Reading) -> dict[str, Any]:
    """A reading with the keys of the readings export."""
    record: dict[str, Any] = {
        "device_id": reading.device_id,
        "kind": reading.kind,
        "event": reading.event,
        "channel": reading.channel,
        "measured_at": rfc3339(reading.measured_at),
        "received_at": rfc3339(reading.received_at),
        "sequence": reading.sequence,
        "quality": reading.quality,
        "profile": reading.profile,
        "ledger_offset": reading.ledger_offset,
        "status": list(reading.status) or None,
    }
    record = {key: value for key, value in record.items() if value is not None}
    quantities = BY_NAME[reading.kind]
    for name, value in zip(reading.names, reading.values, strict=True):
        if value is not None:
            quantity = quantities[name]
            record[_key(quantity, reading.currency)] = _plain(value, quantity.type)
    return record


def _plain(value: Any, type_: Type) -> Any:  # noqa: ANN401 - whatever a quantity may be
    if type_ == "time":
        return rfc3339(value)
    if type(value) is float and value.is_integer() and abs(value) < 1e15:
        # The shortest decimal: 5, not 5.0.
        return int(value)
    return value


def flag_record(flag: Flag, titles: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """A flag with the keys of the flags export."""
    record = {
        "id": flag.id,
        "device_id": flag.device_id,
        "kind": flag.kind,
        "channel": flag.channel,
        "code": flag.code,
        "severity": flag.severity,
        "measured_at": rfc3339(flag.measured_at),
        "from": rfc3339(flag.since),
        "to": rfc3339(flag.until),
        "evidence": flag.evidence,
        "basis": flag.basis,
        "title": dict(titles[flag.code]) if flag.code in titles else None,
        "profile": flag.profile,
        "ledger_offset": flag.ledger_offset,
        "status": flag.status,
    }
    return {key: value for key, value in record.items() if value is not None}


def flat_title(record: dict[str, Any]) -> dict[str, Any]:
    """A flag's record with a title a column."""
    title = record.pop("title", {})
    return record | {f"title_{language}": text for language, text in title.items()}


def quarantine_record(row: QuarantinedRow) -> dict[str, Any]:
    """A quarantine row: ``payload`` if it is UTF-8 text, else ``payload_base64``."""
    message = row.message
    record: dict[str, Any] = {
        "ledger_offset": message.ledger_offset,
        "received_at": rfc3339(message.received_at),
        "topic": message.topic,
        "device_id": message.device_id,
        "stage": message.stage,
        "reason": message.reason,
        "detail": message.detail,
        "profile": message.profile,
    }
    cut = row.payload_size > len(message.payload)
    try:
        # A payload that was cut may end in the middle of a character: that is still text.
        decoder = codecs.getincrementaldecoder("utf-8")()
        record["payload"] = decoder.decode(message.payload, final=not cut)
    except UnicodeDecodeError:
        record["payload_base64"] = base64.b64encode(message.payload).decode()
    record["payload_size"] = row.payload_size
    return {key: value for key, value in record.items() if value is not None}


def device_record(device: DeviceSummary, registered: Device | None = None) -> dict[str, Any]:
    """A device with its kind, profile, span of readings and counts, and its registered fields."""
    record: dict[str, Any] = {"device_id": device.device_id, "kind": device.kind}
    record["profile"] = device.profile
    if device.first_measured_at is not None and device.last_measured_at is not None:
        record["first_measured_at"] = rfc3339(device.first_measured_at)
        record["last_measured_at"] = rfc3339(device.last_measured_at)
    record |= {"readings": device.readings, "flags": device.flags}
    for name, type_ in _REGISTERED.items():
        value = getattr(registered, name, None)
        if name == "parameters":
            value = shown_parameters(value or {})
        if value is not None and value != {}:
            record[name] = rfc3339(value) if type_ == "time" else value
    return record
