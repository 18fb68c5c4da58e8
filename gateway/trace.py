"""Each output of a message traced to its place, its raw value, and the rule in between.

For a person (``gateway profile explain``): the message is decided as in service, then its document
is walked again by the profile's paths.  An item of an array is traced by deciding it alone.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.decode.document import Context
from gateway.decode.json import parse_json, refusal
from gateway.errors import DecodeError
from gateway.normalise import Emitted
from gateway.pipeline import Plan
from gateway.profiles.doc import told_path
from gateway.profiles.models import Block, MeasuredAt, Quantity, ScaleFrom, UnitFrom
from gateway.profiles.notation import Path, Select
from gateway.profiles.scalars import Among
from gateway.quantities import BY_NAME
from gateway.records import Reading, Value


@dataclass(frozen=True, slots=True)
class Origin:
    """Where one output comes from.

    Attributes:
        name: the quantity or field.
        value: the output, canonical.
        unit: its canonical unit, empty where it has none.
        place: the path in the document, items by their number; or the words of another source.
        raw: what stands there; None where it is absent.
        rule: what is done with it.
    """

    name: str
    value: Value
    unit: str
    place: str
    raw: Any
    rule: str


@dataclass(frozen=True, slots=True)
class Traced:
    """One reading with the origins of its parts."""

    reading: Reading
    origins: list[Origin]


def document_of(plan: Plan, payload: bytes, context: Context) -> Any:  # noqa: ANN401 - any document
    """The whole plain document of a message, its envelope included.

    Raises:
        DecodeError: the payload is not of the profile's format.
    """
    settings = plan.profile.model.decode
    if plan.parse is None:
        return parse_json(payload, settings.max_bytes)
    if settings.envelope is None:
        return plan.parse(payload, context)
    from gateway.decode.envelope import open_envelope  # noqa: PLC0415 - where it is needed only

    envelope, inner = open_envelope(settings.envelope)(payload)
    context.envelope = envelope
    document = plan.parse(inner, context)
    named = document if isinstance(document, dict) else {"items": document}
    return {**named, "envelope": envelope}


def trace(plan: Plan, document: Any, levels: Mapping[str, str], received_at: int) -> list[Traced]:  # noqa: ANN401
    """The readings of a document, each output with its origin.

    Raises:
        DecodeError: the document is not what the profile says.
    """
    found = []
    for single, item in _singles(plan.profile.model.read, document):
        for reading in _readings(plan, single, levels, received_at):
            block = _block(plan.profile.model.read, reading, item)
            if block is not None:
                found.append(Traced(reading, list(_origins(block, reading, single, item))))
    return found


Item = tuple[Path, int] | None
"""The array and the number of the item in the whole document."""


def _singles(blocks: list[Block], document: Any) -> Iterator[tuple[Any, Item]]:  # noqa: ANN401
    """The document with one item of one array at a time, and the document without any."""
    arrays = list(dict.fromkeys(block.each for block in blocks if block.each is not None))
    for path in arrays:
        for number in range(len(_at(document, path) or ())):
            single = document
            for other in arrays:
                items = _at(document, other) or []
                single = _replaced(single, other, [items[number]] if other == path else [])
            yield single, (path, number)
    if any(block.each is None for block in blocks):
        for path in arrays:
            document = _replaced(document, path, [])
        yield document, None


def _readings(
    plan: Plan,
    document: Any,  # noqa: ANN401 - any document
    levels: Mapping[str, str],
    received_at: int,
) -> list[Reading]:
    try:
        struct = msgspec.convert(document, plan.kind)
    except msgspec.ValidationError as error:
        raise refusal(error) from error
    out: list[Emitted] = []
    try:
        plan.read(struct, levels, received_at, 0, out)
    except DecodeError as error:
        if error.reason != "no_reading":
            raise
    return [reading for _, reading in out]


def _block(blocks: list[Block], reading: Reading, item: Item) -> Block | None:
    """The block that made a reading: of its event and array, with all its quantities."""
    each = item[0] if item is not None else None
    for block in blocks:
        names = set(block.quantities)
        if block.each == each and block.event == reading.event and set(reading.names) <= names:
            return block
    return None


def _origins(block: Block, reading: Reading, document: Any, item: Item) -> Iterator[Origin]:  # noqa: ANN401
    scope = _at(document, item[0])[0] if item is not None else document
    at = block.measured_at
    if isinstance(at, MeasuredAt):
        place, raw = _told(at.from_, scope, document, item)
        yield Origin("measured_at", reading.measured_at, "", place, raw, f"time: {at.time}")
    else:
        yield Origin("measured_at", reading.measured_at, "", "time of receipt", None, "")
    for name, value in reading.quantities.items():
        quantity = block.quantities[name]
        known = BY_NAME[reading.kind][name]
        unit = "" if known.unit == "1" or known.type in {"text", "flag", "time"} else known.unit
        places, raws = [], []
        for path in _paths(quantity, reading.channel):
            place, raw = _told(path, scope, document, item)
            places.append(place)
            raws.append(raw)
        raw = raws[0] if len(raws) == 1 else raws
        yield Origin(name, value, unit, ", ".join(places), raw, rule_of(quantity, unit))
    for status in block.status:
        if status.from_ is not None and reading.status:
            place, raw = _told(status.from_, scope, document, item)
            yield Origin("status", ", ".join(reading.status), "", place, raw, "status words")


def rule_of(quantity: Quantity, canonical: str) -> str:
    """What is done with the raw value, in words."""
    parts = []
    if quantity.derived is not None:
        parts.append(quantity.derived[0])
    if quantity.text:
        parts.append("text to number")
    if quantity.map is not None:
        parts.append("by map")
    if isinstance(quantity.scale, ScaleFrom):
        parts.append(f"× registry's {quantity.scale.parameter}")
    elif quantity.scale is not None:
        parts.append(f"× {quantity.scale}")
    unit = quantity.unit
    if isinstance(unit, UnitFrom):
        parts.append(f"unit told by {told_path(unit.from_)}, to {canonical}")
    elif unit is not None and unit != canonical:
        parts.append(f"{unit} to {canonical}")
    elif unit is not None:
        parts.append(f"in {unit}")
    return ", ".join(parts) or "as it stands"


def _paths(quantity: Quantity, channel: str | None) -> list[Path]:
    if quantity.derived is not None:
        return quantity.derived[1]
    if isinstance(quantity.channels, dict):
        return [quantity.channels[channel]] if channel in quantity.channels else []
    if quantity.each is not None and isinstance(quantity.channels, list):
        number = quantity.channels.index(channel) if channel in quantity.channels else 0
        return [(*quantity.each, number)]
    return [quantity.from_ or ()]


def _told(path: Path, scope: Any, document: Any, item: Item) -> tuple[str, Any]:  # noqa: ANN401
    """The place of a value in the whole document, and what stands there."""
    if path[:1] == ("$",):
        return told_path(path[1:]), _at(document, path[1:])
    if item is None:
        return told_path(path), _at(document, path)
    array, number = item
    whole = (*(() if array == ("$",) else array), number, *path)
    return told_path(whole), _at(scope, path)


def _at(value: Any, path: Path) -> Any:  # noqa: ANN401 - any document
    """What stands at a path; None where nothing does."""
    for part in path:
        if part == "$":
            continue
        if isinstance(part, Select):
            value = next((item for item in value or () if _fits(item, part)), None)
        elif isinstance(part, int):
            inside = isinstance(value, list) and part < len(value)
            value = value[part] if inside else None
        else:
            value = value.get(part) if isinstance(value, dict) else None
    return value


def _fits(item: Any, select: Select) -> bool:  # noqa: ANN401 - any document
    return isinstance(item, dict) and all(
        Among(choices)(item.get(key)) for key, choices in select.wanted
    )


def _replaced(document: Any, path: Path, items: list[Any]) -> Any:  # noqa: ANN401 - any document
    """A copy of the document with other items at the path."""
    if path == ("$",) or not path:
        return items
    copied = copy.copy(document)
    part = path[0]
    if isinstance(part, str) and isinstance(copied, dict) and part in copied:
        copied[part] = _replaced(copied[part], path[1:], items)
    return copied
