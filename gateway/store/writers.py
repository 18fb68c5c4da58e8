"""Streams of records into files: JSON Lines, CSV, Parquet, lines of text.

Records are flat mappings of plain values.  Numbers come out in their shortest decimal form;
in Parquet money is DECIMAL(18,6) and times are timestamps in ns UTC.
"""

from __future__ import annotations

import csv
import io
import re
from decimal import Decimal
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from gateway.quantities import Type

_CHUNK: Final = 2000
_FORMULA: Final = tuple("=+-@\t\r\n＝＋－＠")
"""What begins a formula; where Chinese and Japanese are written, also in full width."""
_NUMBER: Final = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")


def _chunks(items: Iterable[Any]) -> Iterator[list[Any]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, _CHUNK)):
        yield chunk


def write_lines(texts: Iterable[str], out: IO[bytes]) -> int:
    """One text a line, UTF-8."""
    count = 0
    for chunk in _chunks(texts):
        out.write(("\n".join(chunk) + "\n").encode())
        count += len(chunk)
    return count


def write_jsonl(records: Iterable[dict[str, Any]], out: IO[bytes]) -> int:
    """One JSON object a line."""
    encoder = msgspec.json.Encoder()
    count = 0
    for chunk in _chunks(records):
        out.write(encoder.encode_lines(chunk))
        count += len(chunk)
    return count


def write_csv(records: Iterable[dict[str, Any]], out: IO[bytes], columns: list[str]) -> int:
    """RFC 4180 with a header; lists and objects as JSON, nothing where a key is absent.

    Text that a spreadsheet would run as a formula gets a leading apostrophe (OWASP, CSV
    injection): device ids and payloads come from outside.
    """
    count = 0
    for chunk in _chunks(records):
        text = io.StringIO()
        writer = csv.writer(text)
        if not count:
            writer.writerow(columns)
        writer.writerows([[_cell(record.get(key)) for key in columns] for record in chunk])
        out.write(text.getvalue().encode())
        count += len(chunk)
    if not count:
        out.write((",".join(columns) + "\r\n").encode())
    return count


def _cell(value: Any) -> str:  # noqa: ANN401 - any plain value
    if value is None:
        return ""
    if isinstance(value, str):
        text = value
    elif isinstance(value, bool):
        return "true" if value else "false"
    elif isinstance(value, list):
        text = ",".join(map(str, value))
    elif isinstance(value, dict):
        text = msgspec.json.encode(value).decode()
    else:
        return repr(value)
    if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text):
        return "'" + text
    return text


def write_parquet(
    records: Iterable[dict[str, Any]],
    out: IO[bytes],
    columns: dict[str, Type],
    *,
    integers: Collection[str],
) -> int:
    """A Parquet file (zstd) with the given columns; ``integers`` are whole numbers."""
    # Here, not above: only this format needs Arrow, and a client of the API has no store.
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    of_type = {
        "number": pa.float64(),
        "money": pa.decimal128(18, 6),
        "text": pa.string(),
        "flag": pa.bool_(),
        "time": pa.timestamp("ns", tz="UTC"),
    }
    fields = [
        (name, pa.int64() if name in integers else of_type[type_])
        for name, type_ in columns.items()
    ]
    schema = pa.schema(fields)
    count = 0
    with pq.ParquetWriter(out, schema, compression="zstd") as writer:
        for chunk in _chunks(records):
            arrays = []
            for name, type_ in fields:
                values = [_exact(record.get(name), columns[name]) for record in chunk]
                # Times are RFC 3339 texts, which Arrow reads to the last nanosecond.
                told = pa.string() if pa.types.is_timestamp(type_) else type_
                arrays.append(pa.array(values, told).cast(type_))
            writer.write_batch(pa.record_batch(arrays, schema=schema))
            count += len(chunk)
    return count


def _exact(value: Any, type_: Type) -> Any:  # noqa: ANN401 - any plain value
    if value is None:
        return None
    if type_ == "money":
        return Decimal(repr(value)).quantize(Decimal("0.000001"))
    if isinstance(value, list):
        return ",".join(map(str, value))
    if isinstance(value, dict):
        return msgspec.json.encode(value).decode()
    return value
