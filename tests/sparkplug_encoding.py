"""Sparkplug B payloads, built field by field from the protobuf encoding and `sparkplug_b.proto`.

It shares nothing with the decoder, which builds a schema and leaves the rest to a library.
"""

import struct

INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64 = range(1, 9)
FLOAT, DOUBLE, BOOLEAN, STRING, DATETIME, TEXT, UUID, DATASET, BYTES, FILE, TEMPLATE = range(9, 20)


def varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; the top bit says that more follow."""
    out = bytearray()
    while True:
        out.append(number % 128 + (128 if number >= 128 else 0))
        number //= 128
        if not number:
            return bytes(out)


def number(field: int, value: int) -> bytes:
    return varint(field * 8) + varint(value % 2**64)


def octets(field: int, data: bytes) -> bytes:
    return varint(field * 8 + 2) + varint(len(data)) + data


def text(field: int, said: str) -> bytes:
    return octets(field, said.encode())


# By datatype: which field of the oneof, counted from its first (§6.4.16).
_FIELDS = {
    **dict.fromkeys((INT8, INT16, INT32, UINT8, UINT16, UINT32), 0),
    **dict.fromkeys((INT64, UINT64, DATETIME), 1),
    FLOAT: 2,
    DOUBLE: 3,
    BOOLEAN: 4,
    STRING: 5,
    TEXT: 5,
    UUID: 5,
    DATASET: 7,
    TEMPLATE: 8,
}


def _value(first: int, datatype: int, value) -> bytes:
    """The value's field; any other datatype comes as bytes."""
    if value is None:
        return b""
    which = _FIELDS.get(datatype, 6)
    field = first + which
    if which < 2:
        return number(field, value % (2**32, 2**64)[which])
    if which < 4:
        return varint(field * 8 + (5, 1)[which - 2]) + struct.pack(("<f", "<d")[which - 2], value)
    if which == 4:
        return number(field, int(value))
    return octets(field, value.encode() if which == 5 else value)


def metric(
    name=None, datatype=None, value=None, *, alias=None, time=None, historical=False, null=False,
    quality=None, shown=True,
) -> bytes:  # fmt: skip
    """One metric; ``shown`` False leaves the datatype out, as data messages may."""
    out = b""
    if name is not None:
        out += text(1, name)
    if alias is not None:
        out += number(2, alias)
    if time is not None:
        out += number(3, time)
    if datatype is not None and shown:
        out += number(4, datatype)
    if historical:
        out += number(5, 1)
    if null:
        out += number(7, 1)
    if quality is not None:
        said = number(1, INT32) + number(3, quality % 2**32)
        out += octets(9, text(1, "Quality") + octets(2, said))
    return out + (b"" if datatype is None else _value(10, datatype, value))


def payload(*metrics: bytes, time=None, seq=None) -> bytes:
    out = b"" if time is None else number(1, time)
    out += b"".join(octets(2, each) for each in metrics)
    return out + (b"" if seq is None else number(3, seq))


def data_set(columns: dict[str, int], *rows) -> bytes:
    out = number(1, len(columns))
    out += b"".join(text(2, name) for name in columns)
    out += b"".join(number(3, datatype) for datatype in columns.values())
    for row in rows:
        cells = [octets(1, _value(1, kind, cell)) for kind, cell in zip(columns.values(), row)]  # noqa: B905 - a row may be too short on purpose
        out += octets(4, b"".join(cells))
    return out


def template(*metrics: bytes, reference="Meter") -> bytes:
    return octets(1, b"1") + b"".join(octets(2, each) for each in metrics) + text(4, reference)
