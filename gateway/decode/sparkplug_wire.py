"""Sparkplug B payloads on the wire: protobuf (Eclipse Sparkplug 3.0.0 §6.4, `sparkplug_b.proto`).

The schema is built here, so that no compiler of schemas is needed; the parser is protobuf's own (in
C).  Values come out as their datatypes say (§6.4.16): signed numbers ride in unsigned fields.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError as WireError

from gateway.errors import DecodeError

MAX_METRICS: Final = 5_000
MAX_CELLS: Final = 10_000
"""Of one data set, or items of one array."""
MAX_TEMPLATES: Final = 4
"""How deep templates may stand in one another."""

_SHOWN: Final = 60
"""Signs of a name in what is told."""

GOOD: Final = 192
"""Of the property Quality (§6.4.14, after OPC)."""


class Metric(msgspec.Struct):
    """One metric: as sent, but for its value, which needs the datatype that its birth tells.

    Attributes:
        name: None where the alias stands for it.
        alias: None where it has none.
        time: ms since 1970 UTC; None where the payload's counts.
        datatype: number of the datatype, 0 where the birth tells it.
        historical: not to be taken for the present state.
        null: there is no value.
        quality: the property of this name; None where there is none.
        kind: the field of the value (`int_value`), empty without one.
        raw: what stands in it.
    """

    name: str | None
    alias: int | None
    time: int | None
    datatype: int
    historical: bool
    null: bool
    quality: int | None
    kind: str
    raw: Any


class Payload(msgspec.Struct):
    """A payload: ``time`` in ms since 1970 UTC, ``seq`` 0 to 255; None where absent."""

    time: int | None
    seq: int | None
    metrics: list[Metric]


def _schema() -> Any:  # noqa: ANN401 - protobuf makes the class
    file = descriptor_pb2.FileDescriptorProto(
        name="gateway/sparkplug_b.proto", package="gateway.sparkplug", syntax="proto2"
    )
    field = descriptor_pb2.FieldDescriptorProto
    types = {
        "uint32": field.TYPE_UINT32,
        "uint64": field.TYPE_UINT64,
        "float": field.TYPE_FLOAT,
        "double": field.TYPE_DOUBLE,
        "bool": field.TYPE_BOOL,
        # Texts are read as bytes and decoded here: broken UTF-8 is told by the metric.
        "bytes": field.TYPE_BYTES,
    }
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, (label, kind) in fields.items():
            many = kind.endswith("*")
            kind = kind.rstrip("*")  # noqa: PLW2901 - the star is a mark
            made = message.field.add(name=label, number=number)
            made.label = field.LABEL_REPEATED if many else field.LABEL_OPTIONAL
            if kind in types:
                made.type = types[kind]
            else:
                made.type, made.type_name = field.TYPE_MESSAGE, f".gateway.sparkplug.{kind}"
            if label.endswith("_value"):
                if not message.oneof_decl:
                    message.oneof_decl.add(name="value")
                made.oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    described = pool.FindMessageTypeByName("gateway.sparkplug.Payload")
    return message_factory.GetMessageClass(described)


_VALUES: Final = {
    "int_value": "uint32", "long_value": "uint64", "float_value": "float",
    "double_value": "double", "boolean_value": "bool", "string_value": "bytes",
}  # fmt: skip


def _values(first: int, more: dict[str, str] | None = None) -> dict[int, tuple[str, str]]:
    named = {**_VALUES, **(more or {})}
    return {first + i: pair for i, pair in enumerate(named.items())}


# Field numbers and types of sparkplug_b.proto; fields that no measurement needs are left unknown.
_MESSAGES: Final[dict[str, dict[int, tuple[str, str]]]] = {
    "Payload": {1: ("timestamp", "uint64"), 2: ("metrics", "Metric*"), 3: ("seq", "uint64")},
    "Metric": {
        1: ("name", "bytes"), 2: ("alias", "uint64"), 3: ("timestamp", "uint64"),
        4: ("datatype", "uint32"), 5: ("is_historical", "bool"), 7: ("is_null", "bool"),
        9: ("properties", "PropertySet"),
        **_values(
            10, {"bytes_value": "bytes", "dataset_value": "DataSet", "template_value": "Template"}
        ),
    },
    "PropertySet": {1: ("keys", "bytes*"), 2: ("values", "PropertyValue*")},
    "PropertyValue": {1: ("type", "uint32"), 2: ("is_null", "bool"), **_values(3)},
    "DataSet": {
        1: ("num_of_columns", "uint64"), 2: ("columns", "bytes*"), 3: ("types", "uint32*"),
        4: ("rows", "Row*"),
    },
    "Row": {1: ("elements", "DataSetValue*")},
    "DataSetValue": _values(1),
    "Template": {1: ("version", "bytes"), 2: ("metrics", "Metric*")},
}  # fmt: skip

_PAYLOAD: Final = _schema()


def read_payload(payload: bytes) -> Payload:
    """The metrics of a payload, their values still to be read (`value_of`).

    Raises:
        DecodeError: ``unparseable`` (no protobuf of this schema), ``too_large`` (more metrics than
            any device has).
    """
    try:
        wire = _PAYLOAD.FromString(payload)
    except WireError as error:
        opening = payload[:16].hex(" ")
        raise DecodeError(
            "unparseable",
            f"no Sparkplug B payload (protobuf): {error}; {len(payload)} bytes begin {opening}",
        ) from error
    if len(wire.metrics) > MAX_METRICS:
        raise DecodeError("too_large", f"{len(wire.metrics)} metrics, at most {MAX_METRICS}")
    return Payload(
        wire.timestamp if wire.HasField("timestamp") else None,
        wire.seq if wire.HasField("seq") else None,
        [_metric(metric) for metric in wire.metrics],
    )


def _metric(wire: Any) -> Metric:  # noqa: ANN401 - a message of protobuf
    has = wire.HasField
    kind = wire.WhichOneof("value") or ""
    return Metric(
        _text(wire.name, "a metric's name") if has("name") else None,
        wire.alias if has("alias") else None,
        wire.timestamp if has("timestamp") else None,
        wire.datatype,
        wire.is_historical,
        wire.is_null,
        _quality(wire.properties) if has("properties") else None,
        kind,
        getattr(wire, kind) if kind else None,
    )


def _text(data: bytes, what: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DecodeError("unparseable", f"{what} is no UTF-8: {data[:40]!r}") from error


def _quality(properties: Any) -> int | None:  # noqa: ANN401 - a message of protobuf
    for key, value in zip(properties.keys, properties.values, strict=False):
        if key in {b"Quality", b"quality"} and not value.is_null:
            if value.HasField("int_value"):
                return _signed32(value.int_value)
            if value.HasField("long_value"):
                return int(value.long_value)
    return None


# -- values by their datatype (§6.4.16) --------------------------------------------------------


def value_of(metric: Metric, name: str, datatype: int) -> Any:  # noqa: ANN401 - any plain value
    """What a metric says, None where it says nothing.

    Args:
        metric: as sent.
        name: its name, for what is told.
        datatype: its own or, where it has none, that of its birth; 0 where nobody tells it.

    Raises:
        DecodeError: ``wrong_type`` (a value that is none of its datatype), ``missing_field`` (a
            whole number whose datatype nobody tells), ``absurd_number``, ``too_large``,
            ``too_deep``.
    """
    return _value(metric.kind, metric.raw, datatype, name[:_SHOWN], 0) if not metric.null else None


def _value(kind: str, raw: Any, datatype: int, name: str, depth: int) -> Any:  # noqa: ANN401
    if not kind:
        return None
    if not datatype:
        datatype = _EVIDENT.get(kind, 0)
        if not datatype:
            raise DecodeError(
                "missing_field",
                f"nobody tells the datatype of {name!r}: neither the metric nor a birth before it",
            )
    fields, read = _DATATYPES.get(datatype, _UNKNOWN)
    if kind not in fields:
        raise DecodeError("wrong_type", f"{name!r} has datatype {datatype} and comes as {kind}")
    return read(raw, name, depth)


_Read = Callable[[Any, str, int], Any]


def _signed(bits: int) -> _Read:
    """Two's complement of so many bits, in a field that may be wider."""
    half = 1 << (bits - 1)

    def read(raw: int, name: str, _depth: int) -> int:
        if raw < half:
            return raw
        # Writers extend the sign to 32 bits or to 64, or leave it at the datatype's own width.
        for width in (bits, 32, 64):
            if (1 << width) - half <= raw < (1 << width):
                return raw - (1 << width)
        raise DecodeError("wrong_type", f"{name!r} is {raw}, beyond a number of {bits} bits")

    return read


def _unsigned(bits: int) -> _Read:
    def read(raw: int, name: str, _depth: int) -> int:
        if raw >> bits:
            raise DecodeError("wrong_type", f"{name!r} is {raw}, beyond a number of {bits} bits")
        return raw

    return read


def _signed32(raw: int) -> int:
    return raw - (1 << 32) if raw >> 31 else raw


def _float(raw: float, name: str, _depth: int) -> float | None:
    """IEEE 754: the shortest decimal that is this number in 32 bits; NaN is no value."""
    number = _double(raw, name, 0)
    if number is None:
        return None
    packed = struct.pack("<f", number)
    for digits in range(6, 10):
        text = float(f"{number:.{digits}g}")
        if abs(text) <= _MAX_FLOAT and struct.pack("<f", text) == packed:
            return text
    return number


_MAX_FLOAT: Final = 3.4028234663852886e38


def _double(raw: float, name: str, _depth: int) -> float | None:
    if math.isnan(raw):
        return None
    if math.isinf(raw):
        raise DecodeError("absurd_number", f"{name!r} is {raw}")
    return raw


def _same(raw: Any, _name: str, _depth: int) -> Any:  # noqa: ANN401
    return raw


def _string(raw: bytes, name: str, _depth: int) -> str:
    return _text(raw, repr(name))


def _bytes(raw: bytes, _name: str, _depth: int) -> str:
    return raw.hex()


def _data_set(raw: Any, name: str, _depth: int) -> list[dict[str, Any]]:  # noqa: ANN401
    """Rows as mappings by column."""
    columns = [_text(column, f"a column of {name!r}") for column in raw.columns]
    if len(raw.rows) * max(len(columns), 1) > MAX_CELLS:
        raise DecodeError("too_large", f"{name!r} has {len(raw.rows)} rows, too many")
    if len(raw.types) != len(columns) or len(set(columns)) < len(columns):
        raise DecodeError("wrong_type", f"{name!r}: a data set has a name and a type a column")
    rows = []
    for row in raw.rows:
        if len(row.elements) != len(columns):
            raise DecodeError(
                "wrong_type",
                f"{name!r}: a row has {len(row.elements)} elements for {len(columns)} columns",
            )
        cells = {}
        for column, datatype, cell in zip(columns, raw.types, row.elements, strict=True):
            kind = cell.WhichOneof("value") or ""
            raw_cell = getattr(cell, kind) if kind else None
            value = _value(kind, raw_cell, datatype, column[:_SHOWN], 0)
            if value is not None:
                cells[column] = value
        rows.append(cells)
    return rows


def _template(raw: Any, name: str, depth: int) -> dict[str, Any]:  # noqa: ANN401
    """The metrics of an instance by name."""
    if depth >= MAX_TEMPLATES:
        raise DecodeError("too_deep", f"{name!r}: templates stand {depth + 1} deep in one another")
    if len(raw.metrics) > MAX_METRICS:
        raise DecodeError("too_large", f"{name!r} has {len(raw.metrics)} metrics")
    found = {}
    for metric in map(_metric, raw.metrics):
        if metric.name is None or metric.null:
            continue
        if metric.name in found:
            twice = metric.name[:_SHOWN]
            raise DecodeError("duplicate_key", f"{name!r} has the metric {twice!r} twice")
        value = _value(metric.kind, metric.raw, metric.datatype, metric.name[:_SHOWN], depth + 1)
        if value is not None:
            found[metric.name] = value
    return found


def _array(form: str) -> _Read:
    size = struct.calcsize(form)
    shown = _float if form == "<f" else _double if form == "<d" else _same

    def read(raw: bytes, name: str, depth: int) -> list[Any]:
        if len(raw) % size or len(raw) // size > MAX_CELLS:
            raise DecodeError(
                "wrong_type", f"{name!r}: {len(raw)} bytes are no array of {size} bytes an item"
            )
        return [shown(item, name, depth) for (item,) in struct.iter_unpack(form, raw)]

    return read


def _truths(raw: bytes, name: str, _depth: int) -> list[bool]:
    """A count of 4 bytes, then bits, the highest of a byte first."""
    count = int.from_bytes(raw[:4], "little") if len(raw) >= 4 else -1
    if not 0 <= count <= MAX_CELLS or len(raw) - 4 != (count + 7) // 8:
        raise DecodeError("wrong_type", f"{name!r}: {raw[:8].hex(' ')} begins no array of booleans")
    return list(_bits(raw[4:], count))


def _bits(data: bytes, count: int) -> Iterator[bool]:
    return (bool(data[i >> 3] & (0x80 >> (i & 7))) for i in range(count))


def _strings(raw: bytes, name: str, _depth: int) -> list[str]:
    """Texts, each ended by a zero byte."""
    if raw and raw[-1]:
        raise DecodeError("wrong_type", f"{name!r}: the last text of the array has no end")
    parts = raw.split(b"\0")[:-1]
    if len(parts) > MAX_CELLS:
        raise DecodeError("too_large", f"{name!r} has {len(parts)} texts")
    return [_text(part, repr(name)) for part in parts]


_WHOLE: Final = frozenset({"int_value", "long_value"})
_REAL: Final = frozenset({"float_value", "double_value"})
_TEXT: Final = frozenset({"string_value"})
_OCTETS: Final = frozenset({"bytes_value"})
_UNKNOWN: Final[tuple[frozenset[str], _Read]] = (frozenset(), _same)
_DATATYPES: Final[dict[int, tuple[frozenset[str], _Read]]] = {
    1: (_WHOLE, _signed(8)), 2: (_WHOLE, _signed(16)), 3: (_WHOLE, _signed(32)),
    4: (_WHOLE, _signed(64)), 5: (_WHOLE, _unsigned(8)), 6: (_WHOLE, _unsigned(16)),
    7: (_WHOLE, _unsigned(32)), 8: (_WHOLE, _unsigned(64)),
    9: (frozenset({"float_value"}), _float), 10: (_REAL, _double),
    11: (frozenset({"boolean_value"}), _same), 12: (_TEXT, _string),
    13: (frozenset({"long_value"}), _same), 14: (_TEXT, _string), 15: (_TEXT, _string),
    16: (frozenset({"dataset_value"}), _data_set), 17: (_OCTETS, _bytes), 18: (_OCTETS, _bytes),
    19: (frozenset({"template_value"}), _template),
    22: (_OCTETS, _array("<b")), 23: (_OCTETS, _array("<h")), 24: (_OCTETS, _array("<i")),
    25: (_OCTETS, _array("<q")), 26: (_OCTETS, _array("<B")), 27: (_OCTETS, _array("<H")),
    28: (_OCTETS, _array("<I")), 29: (_OCTETS, _array("<Q")), 30: (_OCTETS, _array("<f")),
    31: (_OCTETS, _array("<d")), 32: (_OCTETS, _truths), 33: (_OCTETS, _strings),
    34: (_OCTETS, _array("<Q")),
}  # fmt: skip
# Where nobody tells the datatype, the field of the value does; whole numbers may be signed or not.
_EVIDENT: Final = {
    "float_value": 9, "double_value": 10, "boolean_value": 11, "string_value": 12,
    "bytes_value": 17, "dataset_value": 16, "template_value": 19,
}  # fmt: skip
