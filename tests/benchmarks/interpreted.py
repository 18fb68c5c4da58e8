"""The way of Telegraf and its like: every message is walked by a list of field rules.

Written as one would who takes care of speed but compiles nothing: rules are made once from what
a profile says, a message is parsed into dictionaries, and each rule finds its value by its keys,
looks at its type and converts it.  What comes out are the same readings.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from gateway.profiles.models import MeasuredAt
from gateway.quantities import BY_NAME
from gateway.records import Reading
from gateway.units import conversion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.profiles import Profile
    from gateway.profiles.models import Block

TIMES = {"epoch_s": 10**9, "epoch_ms": 10**6}
parse_json = msgspec.json.Decoder().decode


class Rule(NamedTuple):
    """One field: where it stands and what becomes of it."""

    name: str
    channel: str | None
    keys: tuple[str, ...]
    optional: bool
    words: Mapping[Any, Any] | None
    factor: float
    offset: float
    exact: bool


class Rules(NamedTuple):
    """What a block of a profile says, as a list of rules."""

    kind: str
    event: str
    profile: str
    when: list[tuple[tuple[str, ...], Any]]
    each: tuple[str, ...]
    device: tuple[str, ...]
    measured_at: tuple[str, ...]
    unit_of_time: int
    sequence: tuple[str, ...]
    status: list[tuple[tuple[str, ...], Mapping[int, str]]]
    fields: list[Rule]


def rules_of(profile: Profile) -> Rules:
    """The rules of a profile's first block, of what the benchmark's messages need."""
    model = profile.model
    block = model.read[0]
    at = block.measured_at if isinstance(block.measured_at, MeasuredAt) else None
    device: Any = block.device_id
    return Rules(
        kind=profile.kind,
        event=block.event,
        profile=profile.id,
        when=[(tuple(path.split(".")), _wanted(told)) for path, told in block.when.items()],
        each=_keys(block.each),
        device=_keys(getattr(device, "from_", None)),
        measured_at=_keys(at.from_ if at is not None else None),
        unit_of_time=TIMES.get(at.time, 1) if at is not None else 1,
        sequence=_keys(block.sequence.from_ if block.sequence is not None else None),
        status=[(_keys(one.from_), one.bits or {}) for one in block.status],
        fields=list(_fields(block, profile)),
    )


def _wanted(condition: Any) -> Any:
    return condition.in_[0] if condition.in_ is not None else condition.is_


def _keys(path: Any) -> tuple[str, ...]:
    return tuple(str(part) for part in path or ())


def _fields(block: Block, profile: Profile) -> Any:
    model = profile.model
    for name, quantity in block.quantities.items():
        known = BY_NAME[model.kind][name]
        said = quantity.unit if isinstance(quantity.unit, str) else known.unit
        number = known.type in {"number", "money"} and quantity.map is None
        how = conversion(said, known.unit, str(quantity.scale or 1)) if number else None
        register = quantity.register_
        exact = name in model.registers if register is None else register is not False
        paths = quantity.channels if isinstance(quantity.channels, dict) else None
        for channel, path in (paths or {model.default_channel: quantity.from_}).items():
            yield Rule(
                name, channel, _keys(path), quantity.optional or paths is not None, quantity.map,
                how.numerator / how.denominator if how is not None else 1.0,
                float(how.offset) if how is not None else 0.0, exact,
            )  # fmt: skip


def find(document: Any, keys: tuple[str, ...]) -> Any:
    """What stands at these keys, or None."""
    for key in keys:
        if not isinstance(document, dict):
            return None
        document = document.get(key)
        if document is None:
            return None
    return document


def interpret(
    rules: Rules, document: Any, device_id: str, received_at: int, offset: int
) -> list[Reading]:
    """The readings of a document."""
    items = find(document, rules.each) if rules.each else [document]
    found: list[Reading] = []
    for item in items:
        for keys, wanted in rules.when:
            got = find(item, keys)
            if got is None if wanted == "present" else got != wanted:
                break
        else:
            found += _readings(rules, item, device_id, received_at, offset)
    return found


def _readings(
    rules: Rules, item: Any, device_id: str, received_at: int, offset: int
) -> list[Reading]:
    if rules.device:
        device_id = find(item, rules.device)
    measured_at, quality = received_at, "questionable"
    if rules.measured_at:
        told = find(item, rules.measured_at)
        if told is not None:
            if isinstance(told, bool) or not isinstance(told, int | float):
                raise TypeError(rules.measured_at)
            measured_at, quality = int(told * rules.unit_of_time), "raw"
    sequence = find(item, rules.sequence) if rules.sequence else None
    words: list[str] = []
    for keys, bits in rules.status:
        value = find(item, keys)
        if value is not None:
            words += [word for bit, word in bits.items() if value >> bit & 1]
    groups: dict[str | None, tuple[list[str], list[Any]]] = {}
    for rule in rules.fields:
        value = _value(rule, item)
        if value is not None:
            names, values = groups.setdefault(rule.channel, ([], []))
            names.append(rule.name)
            values.append(value)
    return [
        Reading(
            device_id, rules.kind, rules.event, channel, measured_at, received_at, sequence,
            quality, tuple(words), None, rules.profile, offset, tuple(names), tuple(values),
        )
        for channel, (names, values) in groups.items()
    ]  # fmt: skip


def _value(rule: Rule, item: Any) -> Any:
    value = find(item, rule.keys)
    if value is None:
        if not rule.optional:
            raise KeyError(rule.keys)
        return None
    if rule.words is not None:
        return rule.words[value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(rule.keys)
    if not -1e15 < value < 1e15:
        raise ValueError(rule.keys)
    if rule.factor != 1.0 or rule.offset:
        value = value * rule.factor + rule.offset
        return round(value, 9) if rule.exact else value
    return float(value)


class BinaryRule(NamedTuple):
    """One field of bytes: its name, its form for `struct`, and its factor."""

    name: str
    form: str
    factor: float


def walk_fields(rules: list[BinaryRule], payload: bytes) -> dict[str, Any]:
    """A document of fields one after the other; the last byte is the sum of those before."""
    if sum(payload[:-1]) & 0xFF != payload[-1]:
        raise ValueError("checksum")
    found: dict[str, Any] = {}
    at = 0
    for name, form, factor in rules:
        (value,) = struct.unpack_from(form, payload, at)
        at += struct.calcsize(form)
        found[name] = value if factor == 1.0 else value / factor
    if at + 1 != len(payload):
        raise ValueError("trailing bytes")
    return found


def walk_channels(rules: Mapping[int, BinaryRule], payload: bytes) -> dict[str, Any]:
    """A document of fields that each have their channel and type before them."""
    found: dict[str, Any] = {}
    at = 0
    while at < len(payload):
        name, form, factor = rules[int.from_bytes(payload[at : at + 2], "big")]
        (value,) = struct.unpack_from(form, payload, at + 2)
        at += 2 + struct.calcsize(form)
        found[name] = value if factor == 1.0 else value / factor
    return found


def walk_dlt645(table: Mapping[str, tuple[int, int]], payload: bytes) -> dict[str, Any]:
    """A document of DL/T 645 frames, by a table of the bytes and decimals of each DI."""
    meters: list[dict[str, Any]] = []
    at = 0
    while at < len(payload):
        if payload[at] == 0xFE:
            at += 1
            continue
        length = payload[at + 9]
        frame = payload[at : at + 12 + length]
        if frame[0] != 0x68 or frame[7] != 0x68 or frame[-1] != 0x16:
            raise ValueError("no frame")
        if sum(frame[:-2]) & 0xFF != frame[-2]:
            raise ValueError("checksum")
        data = bytes((byte - 0x33) & 0xFF for byte in frame[10:-2])
        address = frame[6:0:-1].hex()
        di = data[3::-1].hex().upper()
        if not meters or meters[-1]["address"] != address:
            meters.append({"address": address, "values": {}})
        size, decimals = table[di]
        if len(data) != 4 + size:
            raise ValueError("length")
        meters[-1]["values"][di] = int(data[:3:-1].hex()) / 10**decimals
        at += len(frame)
    return {"meters": meters}
