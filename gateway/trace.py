"""Each output of a message traced to its place, its raw value, and the rule in between.

For a person (``gateway profile explain``): the message is decided as in service, then its document
is walked again by the profile's paths.  An item of an array is traced by deciding it alone.  What
bytes a place comes from, `gateway.spans` finds out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from gateway.decode.compile import compile_parser
from gateway.decode.document import Context
from gateway.decode.json import parse_json, refusal
from gateway.errors import DecodeError
from gateway.normalise import Emitted, compile_normaliser
from gateway.plans import Plan
from gateway.profiles.binary import Binary
from gateway.profiles.doc import told_path
from gateway.profiles.models import (
    Block,
    Channel,
    DeviceId,
    MeasuredAt,
    QualityFrom,
    Quantity,
    ScaleFrom,
    UnitFrom,
)
from gateway.profiles.notation import (
    ABOVE,
    VALUES,
    Path,
    Select,
    levels_of,
    parse_path,
    topic_level,
)
from gateway.profiles.paths import build_shape
from gateway.profiles.scalars import Among
from gateway.profiles.shape import Node
from gateway.profiles.topics import topic_levels
from gateway.quantities import BY_NAME
from gateway.records import Reading, Value
from gateway.spans import TRACED, Span, seals_of, spans_of, unsealed


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
    inner = payload_in(plan, payload, context)
    document = plan.parse(inner, context)
    if context.envelope is None:
        return document
    named = document if isinstance(document, dict) else {"items": document}
    return {**named, "envelope": context.envelope}


def payload_in(plan: Plan, payload: bytes, context: Context) -> bytes:
    """The payload without the envelope, whose document goes into the context.

    Raises:
        DecodeError: it is no such envelope.
    """
    settings = plan.profile.model.decode
    if settings.envelope is None:
        return payload
    from gateway.decode.envelope import open_envelope  # noqa: PLC0415 - where it is needed only

    context.envelope, inner = open_envelope(settings.envelope)(payload)
    return inner


def bytes_of(plan: Plan, payload: bytes, context: Context) -> list[Span]:
    """What each byte of the payload is for; empty where the format's paths tell enough.

    Raises:
        DecodeError: the payload is not of the profile's format.
    """
    settings = plan.profile.model.decode
    name = str(getattr(settings, "format", "json"))
    if plan.parse is None or name not in TRACED:
        return []
    inner, parse = payload_in(plan, payload, context), plan.parse
    if isinstance(settings, Binary):
        parse = compile_parser(unsealed(settings), plan.profile.file)
    return spans_of(inner, lambda changed: parse(changed, context), seals_of(name, inner))


def unread_of(plan: Plan, document: Any) -> list[tuple[str, Any]]:  # noqa: ANN401 - any document
    """Values of the document that no rule of the profile reads, with their paths."""
    root = build_shape(plan.profile.model, topic_levels(plan.profile.model))
    return list(_unread(document, root, ""))


def _unread(value: Any, node: Node | None, path: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    if node is not None and node.leaf - {"raw"}:
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            child = node.children.get(str(key)) if node is not None else None
            if node is not None and node.mapping:
                child = node.item
            yield from _unread(inner, child, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _unread(inner, node.item if node is not None else None, f"{path}[{number}]")
    elif value is not None and (node is None or not node.leaf):
        yield path or "$", value


def trace(plan: Plan, document: Any, levels: Mapping[str, str], received_at: int) -> list[Traced]:  # noqa: ANN401
    """The readings of a document, each output with its origin, block by block.

    Raises:
        DecodeError: the document is not what the profile says.
    """
    struct = _struct(document, plan.kind)
    plan.read(struct, levels, received_at, 0, [])
    found = []
    for block in plan.profile.model.read:
        alone = _Alone(plan, block)
        for single, item in _singles(block, document):
            readings = alone.readings(single, levels, received_at)
            found += [
                Traced(each, list(_origins(block, each, document, item))) for each in readings
            ]
    return found


class Item(NamedTuple):
    """Where an item stands in the whole document, and the items around it."""

    place: Path
    around: tuple[Path, ...]


class _Alone:
    """One block of a profile, compiled as if it were the only one."""

    def __init__(self, plan: Plan, block: Block) -> None:
        levels = topic_levels(plan.profile.model)
        model = plan.profile.model.model_copy(update={"read": [block], "ignore": []})
        shape = build_shape(model, levels)
        self.kind = shape.type
        self.read = compile_normaliser(model, shape, levels, plan.devices).read

    def readings(
        self,
        document: Any,  # noqa: ANN401 - any document
        levels: Mapping[str, str],
        received_at: int,
    ) -> list[Reading]:
        """What the block makes of a document; nothing where it does not fit."""
        out: list[Emitted] = []
        try:
            self.read(_struct(document, self.kind), levels, received_at, 0, out)
        except DecodeError as error:
            if error.reason != "no_reading":
                raise
        return [reading for _, reading in out]


def _struct(document: Any, kind: Any) -> Any:  # noqa: ANN401 - a struct made at run time
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise refusal(error) from error


def _singles(block: Block, document: Any) -> Iterator[tuple[Any, Item | None]]:  # noqa: ANN401
    """The document with one item of the block's arrays at a time; whole where it has none."""
    if block.each is None:
        yield document, None
        return
    for item in _items(document, levels_of(block.each), (), ()):
        single = document
        for place in reversed([*item.around, item.place]):
            single = _only(single, place)
        yield single, item


def _items(
    document: Any,  # noqa: ANN401 - any document
    levels: Sequence[tuple[Path, bool]],
    at: Path,
    around: tuple[Path, ...],
) -> Iterator[Item]:
    """Every item that the loops go through, by its place."""
    (segment, _), *rest = levels
    place = (*at, *(part for part in segment if part != "$"))
    found = _at(document, place)
    keys: list[Any] = list(found) if isinstance(found, dict) else []
    if isinstance(found, list):
        keys = list(range(len(found)))
    for key in keys:
        item = (*place, key)
        if rest:
            yield from _items(document, rest, item, (*around, item))
        else:
            yield Item(item, around)


def _only(value: Any, place: Path) -> Any:  # noqa: ANN401 - any document
    """A copy in which the array (mapping) around a place has nothing but what stands there."""
    if not place:
        return value
    part, rest = place[0], place[1:]
    if not rest and isinstance(value, list) and isinstance(part, int):
        return [value[part]]
    if not rest and isinstance(value, dict):
        return {part: value[part]}
    if isinstance(value, list) and isinstance(part, int):
        return [*value[:part], _only(value[part], rest), *value[part + 1 :]]
    return {**value, part: _only(value[part], rest)}


def _origins(block: Block, reading: Reading, document: Any, item: Item | None) -> Iterator[Origin]:  # noqa: ANN401
    told = _Teller(document, item)
    yield told.identity(block, reading)
    if reading.channel is not None:
        yield told.channel(block, reading)
    at = block.measured_at
    if isinstance(at, MeasuredAt):
        paths = [at.from_] if at.then is None else [at.from_, at.then]
        yield told.origin("measured_at", reading.measured_at, paths, f"time: {at.time}")
    else:
        yield Origin("measured_at", reading.measured_at, "", "time of receipt", None, "")
    if block.sequence is not None and reading.sequence is not None:
        yield told.origin("sequence", reading.sequence, [block.sequence.from_], "own numbering")
    if isinstance(block.quality, QualityFrom):
        yield told.origin("quality", reading.quality, [block.quality.from_], "by map")
    for name, value in reading.quantities.items():
        quantity = block.quantities[name]
        known = BY_NAME[reading.kind][name]
        unit = "" if known.unit == "1" or known.type in {"text", "flag", "time"} else known.unit
        paths = _paths(quantity, reading.channel)
        yield told.origin(name, value, paths, rule_of(quantity, unit), unit)
    for status in block.status:
        paths = (
            [status.from_]
            if status.from_ is not None
            else list(map(parse_path, status.flags or ()))
        )
        mapping: dict[Any, str | None] = dict(status.bits or status.words or status.flags or {})
        words = mapping.values()
        said = [word for word in reading.status if status.list_ or word in words]
        if said:
            yield told.origin("status", ", ".join(said), paths, "status words")


class _Teller:
    """Tells places of the whole document, where a block reads one item of an array."""

    def __init__(self, document: Any, item: Item | None) -> None:  # noqa: ANN401 - any document
        self.document = document
        self.item = item

    def origin(
        self, name: str, value: Value, paths: list[Path], rule: str, unit: str = ""
    ) -> Origin:
        """An output with the places it is made of."""
        told = [_told(path, self.document, self.item) for path in paths]
        raws = [raw for _, raw in told]
        raw = raws[0] if len(raws) == 1 else raws
        return Origin(name, value, unit, ", ".join(place for place, _ in told), raw, rule)

    def identity(self, block: Block, reading: Reading) -> Origin:
        """Whose reading it is."""
        spec = block.device_id
        if isinstance(spec, DeviceId):
            return self.origin("device_id", reading.device_id, [spec.from_], "")
        place = spec or "{device_id}"
        rule = "level of the topic" if topic_level(place) else "template"
        return Origin("device_id", reading.device_id, "", place, None, rule)

    def channel(self, block: Block, reading: Reading) -> Origin:
        """Of which channel it is."""
        spec = block.channel
        if isinstance(spec, Channel):
            rule = "by map" if spec.map else ""
            return self.origin("channel", reading.channel, [spec.from_], rule)
        place = spec if isinstance(spec, str) and "{" in spec else "the profile"
        return Origin("channel", reading.channel, "", place, None, "")


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
    place = quantity.from_ or ()
    return [place] if quantity.then is None else [place, quantity.then]


def _told(path: Path, document: Any, item: Item | None) -> tuple[str, Any]:  # noqa: ANN401
    """The place of a value in the whole document, and what stands there."""
    if path[:1] == ("$",):
        return told_path(path[1:]), _at(document, path[1:])
    if item is None:
        return told_path(path), _at(document, path)
    around = [*item.around, item.place]
    while path[:1] == (ABOVE,):
        path, around = path[1:], around[:-1]
    base = around[-1] if around else ()
    if path == (VALUES,):
        return f"the key {told_path(base)}", base[-1] if base else None
    return told_path((*base, *path)), _at(document, (*base, *path))


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
