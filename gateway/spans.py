"""Which bytes of a payload each place of its document comes from, for a person.

Found by trying: each byte is changed in a few ways and decoded again; the places whose values
change come from it.  So it is true of any decoder, a vendor's codec included, without the decoder
knowing of it.  Checksums are made anew after each change (`seals`), else nothing could be told.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from gateway.decode.checksums import CHECKSUMS, crc
from gateway.decode.dlt698 import crc_x25
from gateway.errors import DecodeError
from gateway.profiles.binary import Binary
from gateway.profiles.binary_primitives import ALGORITHMS

What = Literal["value", "structure", "checksum", "unread"]
MOST: Final = 1024
"""Bytes that are tried; a longer payload is looked at up to here."""
_WHOLE: Final = 2048
"""A payload longer than this is looked at less far: each try decodes all of it, and nine a byte of
sixty kilobytes took a core for most of a minute."""

_CHANGES: Final = (0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xFF)


class Span(NamedTuple):
    """Neighbouring bytes that mean the same.

    Attributes:
        start: offset of the first.
        data: the bytes.
        what: ``value`` (of the places), ``structure`` (how others are read: lengths, tags, numbers
            of items, what must stand there), ``checksum``, or ``unread``: no place depends on them.
        places: paths in the document.
    """

    start: int
    data: bytes
    what: What
    places: tuple[str, ...]


class Seal(NamedTuple):
    """A checksum in the payload: over ``first`` to before ``last``, its bytes at ``at``."""

    first: int
    last: int
    at: int
    width: int
    make: Callable[[bytes], int]
    order: Literal["big", "little"] = "little"


@dataclass
class _Byte:
    changed: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    otherwise: bool = False


def spans_of(
    payload: bytes, parse: Callable[[bytes], Any], seals: Iterable[Seal] = ()
) -> list[Span]:
    """The payload in spans, in their order, without a gap, as far as it is looked at.

    Args:
        payload: bytes that can be decoded.
        parse: from bytes to a plain document; raises DecodeError.
        seals: the payload's checksums.
    """
    found = list(seals)
    sealed = {at for seal in found for at in range(seal.at, seal.at + seal.width)}
    base = dict(leaves(parse(payload)))
    looked = [_Byte() for _ in payload[: min(MOST, MOST * _WHOLE // max(len(payload), 1))]]
    for at, byte in enumerate(looked):
        if at in sealed:
            continue
        for change in _CHANGES:
            changed = bytearray(payload)
            changed[at] ^= change
            _try(byte, base, parse, _seal(changed, found))
    wide = _wide(looked)
    kinds = [_kind(byte, wide, checksum=at in sealed) for at, byte in enumerate(looked)]
    return list(_joined(payload, kinds))


def _try(
    byte: _Byte, base: Mapping[str, Any], parse: Callable[[bytes], Any], payload: bytes
) -> None:
    try:
        other = dict(leaves(parse(payload)))
    except DecodeError:
        byte.otherwise = True
        return
    if other.keys() - base.keys():
        byte.otherwise = True
        return
    byte.gone |= base.keys() - other.keys()
    byte.changed |= {place for place, value in other.items() if value != base[place]}


def _wide(looked: list[_Byte]) -> set[str]:
    """Places that come from most of the payload, as an echo of it: they tell nothing of a byte."""
    counts: dict[str, int] = {}
    for byte in looked:
        for place in byte.changed:
            counts[place] = counts.get(place, 0) + 1
    return {place for place, count in counts.items() if count > max(32, len(looked) // 2)}


def _kind(byte: _Byte, wide: set[str], *, checksum: bool) -> tuple[What, tuple[str, ...]]:
    told = byte.changed - wide
    if checksum or (told and all(_SEALED_ID in place for place in told)):
        return "checksum", ()
    if told:
        return "value", tuple(sorted(told))
    if byte.gone or byte.otherwise:
        return "structure", tuple(sorted(byte.gone - wide))
    return "unread", tuple(sorted(byte.changed))


def _joined(payload: bytes, kinds: list[tuple[What, tuple[str, ...]]]) -> Iterator[Span]:
    start = 0
    for at in range(1, len(kinds) + 1):
        if at == len(kinds) or kinds[at] != kinds[start]:
            what, places = kinds[start]
            yield Span(start, payload[start:at], what, places)
            start = at


def _seal(payload: bytearray, seals: Iterable[Seal]) -> bytes:
    for seal in seals:
        number = seal.make(bytes(payload[seal.first : seal.last]))
        payload[seal.at : seal.at + seal.width] = number.to_bytes(seal.width, seal.order)
    return bytes(payload)


def leaves(document: Any, path: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - any document
    """Every plain value of a document by its path, as a profile writes it."""
    if isinstance(document, dict):
        for key, inner in document.items():
            yield from leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(document, list):
        for number, inner in enumerate(document):
            yield from leaves(inner, f"{path}[{number}]")
    elif document is not None:
        yield path or "$", document


_SEALED_ID: Final = "checksum_"


def unsealed(layout: Binary) -> Binary:
    """The layout with each checksum read as bytes that may be anything."""
    number = itertools.count()

    def opened(value: Any) -> Any:  # noqa: ANN401 - a layout as data
        if isinstance(value, list | tuple):
            return [opened(item) for item in value]
        if not isinstance(value, dict):
            return value
        if value.get("type") == "checksum":
            size = ALGORITHMS[value["algorithm"]]
            return {"id": f"{_SEALED_ID}{next(number)}", "type": "hex", "size": size}
        return {key: opened(inner) for key, inner in value.items()}

    return Binary.model_validate(opened(layout.model_dump(by_alias=True, exclude_unset=True)))


def seals_of(name: str, payload: bytes) -> list[Seal]:
    """The checksums of a payload of this format; none where they are not known."""
    find = _SEALS.get(name)
    return list(find(payload)) if find is not None else []


def _dlt645(payload: bytes) -> Iterator[Seal]:
    """``68 A0..A5 68 C L DATA CS 16``."""
    yield from _summed(payload, lambda at: payload[at + 7 : at + 8] == b"\x68", length=9, head=10)


def _cjt188(payload: bytes) -> Iterator[Seal]:
    """``68 T A0..A6 C L DATA CS 16``."""
    yield from _summed(payload, lambda _: True, length=10, head=11)


def _summed(
    payload: bytes, begins: Callable[[int], bool], *, length: int, head: int
) -> Iterator[Seal]:
    at = payload.find(0x68)
    while 0 <= at < len(payload) - head:
        end = at + head + payload[at + length]
        if begins(at) and payload[end + 1 : end + 2] == b"\x16":
            yield Seal(at, end, end, 1, CHECKSUMS["sum8"])
            at = payload.find(0x68, end)
        else:
            at = payload.find(0x68, at + 1)


def _dlt698(payload: bytes) -> Iterator[Seal]:
    """``68 L L C SA.. CA HCS HCS user data FCS FCS 16``."""
    at = payload.find(0x68)
    while 0 <= at < len(payload) - 12:
        size = int.from_bytes(payload[at + 1 : at + 3], "little") & 0x3FFF
        end = at + 1 + size
        if payload[end : end + 1] == b"\x16":
            head = at + 7 + (payload[at + 4] & 0x0F)
            yield Seal(at + 1, head, head, 2, crc_x25)
            yield Seal(at + 1, end - 2, end - 2, 2, crc_x25)
            at = payload.find(0x68, end)
        else:
            at = payload.find(0x68, at + 1)


def _mbus(payload: bytes) -> Iterator[Seal]:
    """``68 L L 68 C A CI DATA CS 16``, once or several times."""
    at = 0
    while at + 6 <= len(payload) and payload[at] == payload[at + 3] == 0x68:
        end = at + 4 + payload[at + 1]
        if payload[end + 1 : end + 2] != b"\x16":
            return
        yield Seal(at + 4, end, end, 1, CHECKSUMS["sum8"])
        at = end + 2


def _dlms(payload: bytes) -> Iterator[Seal]:
    """HDLC frames ``7E format destination source control HCS data FCS 7E``; or those of M-Bus."""
    yield from _mbus(payload)
    at = payload.find(0x7E)
    while 0 <= at < len(payload) - 9:
        end = at + 1 + ((payload[at + 1] & 0x07) << 8 | payload[at + 2])
        if payload[end : end + 1] != b"\x7e":
            return
        head = at + 3
        for _ in range(2):  # an address goes on while its lowest bit is 0
            while head < end and not payload[head] & 1:
                head += 1
            head += 1
        head += 1
        if head + 2 < end - 2:
            yield Seal(at + 1, head, head, 2, crc_x25)
        yield Seal(at + 1, end - 2, end - 2, 2, crc_x25)
        at = end if payload[end + 1 : end + 2] != b"\x7e" else end + 1


def _wmbus(payload: bytes) -> Iterator[Seal]:
    """Format A: a CRC after ten bytes and after each sixteen; only where all of them are right."""
    found = []
    at = 0
    while at < len(payload):
        end = min(at + (16 if at else 10), len(payload) - 2)
        seal = Seal(at, end, end, 2, CHECKSUMS["crc16-en13757"], "big")
        if end <= at or seal.make(payload[at:end]) != int.from_bytes(payload[end : end + 2], "big"):
            return
        found.append(seal)
        at = end + 2
    yield from found


def _dsmr(payload: bytes) -> Iterator[Seal]:
    """``/ ... ! CRC``: four hexadecimal digits, which are ASCII."""
    first, last = payload.find(b"/"), payload.rfind(b"!")
    digits = payload[last + 1 : last + 5]
    if 0 <= first < last and len(digits) == 4 and digits.strip():
        yield Seal(first, last + 1, last + 1, 4, _arc_digits, "big")


_ARC: Final = crc(0xA001, 16, 0, reflected=True)


def _arc_digits(data: bytes) -> int:
    return int.from_bytes(f"{_ARC(data):04X}".encode(), "big")


_SEALS: Final[dict[str, Callable[[bytes], Iterator[Seal]]]] = {
    "cjt188": _cjt188,
    "dlms": _dlms,
    "dlt645": _dlt645,
    "dlt698": _dlt698,
    "dsmr": _dsmr,
    "mbus": _mbus,
    "wmbus": _wmbus,
}
TRACED: Final = frozenset({*_SEALS, "binary", "ts013"})
"""Formats whose bytes are told; of the others the path says where a value stands."""
