"""What a well-formed profile must also mean: quantities of its kind, units that fit, zones."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway import quantities
from gateway.profiles.models import Block, DeviceId, MeasuredAt, ProfileModel, Quantity, Scalar
from gateway.profiles.template import TemplateError, parse_template
from gateway.quantities import BY_NAME
from gateway.units import UnitError, conversion, parse_value

Found = tuple[tuple[str | int, ...], str]


def check_meaning(model: ProfileModel) -> Iterator[Found]:
    """Yields key path and message of each fault."""
    known = BY_NAME[model.kind]
    yield from _zone(("zone",), model.zone)
    for i, name in enumerate(model.registers):
        if name not in known:
            yield ("registers", i), _unknown(name, model.kind)
    for i, block in enumerate(model.read):
        yield from _block(("read", i), block, model)
    limits = model.checks.get("value_out_of_range")
    if isinstance(limits, dict):
        yield from _limits(limits, model.kind)


def limits_in_canonical_units(model: ProfileModel) -> dict[str, dict[str, float]]:
    """``checks.value_out_of_range`` with ``"198 V"`` read into the canonical unit."""
    limits = model.checks.get("value_out_of_range")
    if not isinstance(limits, dict):
        return {}
    known = BY_NAME[model.kind]
    return {
        name: {
            edge: parse_value(value, known[name].unit) if isinstance(value, str) else float(value)
            for edge, value in edges.items()
        }
        for name, edges in limits.items()
        if edges
    }


def _limits(limits: dict[str, object], kind: str) -> Iterator[Found]:
    known = BY_NAME[kind]
    for name, edges in limits.items():
        key = ("checks", "value_out_of_range", name)
        if name not in known:
            yield key, _unknown(name, kind)
        elif edges is None or edges is False:
            continue
        elif not isinstance(edges, dict) or not set(edges) <= {"low", "high"}:
            yield key, f"expected {{low: ..., high: ...}}, got {edges!r}"
        else:
            for edge, value in edges.items():
                if isinstance(value, str):
                    try:
                        parse_value(value, known[name].unit)
                    except UnitError as error:
                        yield (*key, edge), str(error)
                elif isinstance(value, bool) or not isinstance(value, int | float):
                    yield (*key, edge), f"expected a number or '198 V', got {value!r}"


def _block(key: tuple[str | int, ...], block: Block, model: ProfileModel) -> Iterator[Found]:
    if not block.quantities and block.event != "alarm":
        yield key, "a block needs at least one quantity (or 'event: alarm')"
    if block.event == "alarm" and block.status is None:
        yield key, "an alarm needs 'status'"
    yield from _identity((*key, "device_id"), block.device_id, _levels(model))
    if isinstance(block.measured_at, MeasuredAt):
        yield from _zone((*key, "measured_at", "zone"), block.measured_at.zone)
    for name, quantity in block.quantities.items():
        yield from _quantity((*key, name), name, quantity, model.kind)


def _identity(
    key: tuple[str | int, ...], spec: str | DeviceId | None, levels: set[str]
) -> Iterator[Found]:
    if isinstance(spec, DeviceId):
        template, key = spec.otherwise, (*key, "otherwise")
    else:
        template = spec or "{device_id}"
    if template is None:
        return
    try:
        parts = parse_template(template, levels)
    except TemplateError as error:
        yield key, str(error)
        return
    if spec is None and not any(part.level for part in parts):
        yield (
            key,
            "the topic names no {device_id}: say 'device_id: {from: path}' or a template",
        )


def _quantity(
    key: tuple[str | int, ...], name: str, quantity: Quantity, kind: str
) -> Iterator[Found]:
    known = BY_NAME[kind].get(name)
    if known is None:
        yield key, _unknown(name, kind)
        return
    if known.type in {"number", "money"}:
        yield from _numeric(key, quantity, known)
    elif quantity.unit is not None:
        yield (*key, "unit"), f"{name} is a {known.type}; it has no unit"
    if known.type == "time" and quantity.time is None:
        yield key, "say the form of the time, e.g. 'time: iso' or 'time: epoch_ms'"
    if known.type != "time" and quantity.time is not None:
        yield (*key, "time"), f"{name} is no time"
    if known.type == "flag" and quantity.map is not None:
        yield from _flag_map(key, quantity.map)
    yield from _zone((*key, "zone"), quantity.zone)


def _numeric(
    key: tuple[str | int, ...], quantity: Quantity, known: quantities.Quantity
) -> Iterator[Found]:
    if quantity.unit is None and known.unit != "1" and known.type == "number":
        yield key, f"say the unit the device sends, e.g. 'unit: {known.unit}' (UCUM)"
        return
    for raw, word in (quantity.map or {}).items():
        if isinstance(word, str):
            yield (*key, "map", str(raw)), f"{known.name} is a number, got {word!r}"
    try:
        conversion(quantity.unit or known.unit, known.unit, str(quantity.scale or 1))
    except UnitError as error:
        yield (*key, "unit"), str(error)


def _flag_map(key: tuple[str | int, ...], words: dict[Scalar, Scalar]) -> Iterator[Found]:
    for raw, word in words.items():
        if not isinstance(word, bool):
            yield (*key, "map", str(raw)), f"expected true or false, got {word!r}"


def _levels(model: ProfileModel) -> set[str]:
    """Names that every topic of the profile captures."""
    if model.match is None:
        return {"device_id"}
    captured = [
        {level[1:-1] for level in topic.split("/") if level.startswith("{")}
        for topic in model.match.topic
    ]
    return set.intersection(*captured)


def _zone(key: tuple[str | int, ...], zone: str | None) -> Iterator[Found]:
    if zone is None:
        return
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        yield key, f"no time zone {zone!r}; a name such as 'Asia/Shanghai' or 'UTC'"


def _unknown(name: str, kind: str) -> str:
    near = difflib.get_close_matches(name, BY_NAME[kind], n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else f"; one of {', '.join(BY_NAME[kind])}"
    return f"{kind} has no quantity {name!r}{hint}"
