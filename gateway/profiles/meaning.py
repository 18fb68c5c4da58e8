"""What a well-formed profile must also mean: quantities of its kind, units that fit, zones."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway import quantities
from gateway.profiles.binary_paths import check_paths
from gateway.profiles.models import (
    BLOCK_KEYS,
    Block,
    DeviceId,
    MeasuredAt,
    ProfileModel,
    Quantity,
    UnitFrom,
)
from gateway.profiles.notation import topic_level
from gateway.profiles.paths import ShapeError, build_shape
from gateway.profiles.template import TemplateError, parse_template
from gateway.profiles.topics import topic_levels
from gateway.quantities import BY_NAME
from gateway.units import UnitError, conversion, parse_value

Key = tuple[str | float, ...]
_SYNONYMS: Final = {
    "current": "amperage",
    "power": "power_active",
    "energy_total": "energy_import",
    "flow": "flow_rate",
    "price": "unit_price",
    "quantity": "volume",
    "mileage": "distance",
    "soc": "state_of_charge",
}
_NO_DEVICE: Final = (
    "not every topic of 'match' names {device_id}: say 'device_id: {from: path}' or a template "
    "such as '{site}-{data.no}'"
)
Found = tuple[Key, str]


def check_meaning(model: ProfileModel) -> Iterator[Found]:
    """Yields key path and message of each fault."""
    known = BY_NAME[model.kind]
    yield from _zone(("zone",), model.zone)
    for i, name in enumerate(model.registers):
        if name not in known:
            yield ("registers", i), _unknown(name, model.kind)
        elif known[name].type not in {"number", "money"}:
            yield ("registers", i), f"{name} is a {known[name].type}; it cannot be a register"
    wrong = False
    for i, block in enumerate(model.read):
        for found in _block(("read", i), block, model):
            wrong = True
            yield found
    if not wrong:
        yield from _shape(model)
    yield from _levels_in_conditions(model)
    yield from _ignored(model)
    yield from _ratings(model)
    if not wrong:
        yield from check_paths(model)
    limits = model.checks.get("value_out_of_range")
    if isinstance(limits, dict):
        yield from _limits(limits, model.kind)


def _levels(model: ProfileModel) -> set[str]:
    """Names that every topic gives; a base profile leaves the topic to those that extend it."""
    return topic_levels(model) if model.match is not None else {"device_id"}


def _levels_in_conditions(model: ProfileModel) -> Iterator[Found]:
    """Conditions on levels of the topic: of a block only, and on levels that every topic has."""
    for path in model.match.when if model.match else ():
        if topic_level(path) is not None:
            yield (
                ("match", "when", path),
                "which topics are this profile's, 'topic' says; put the condition into a block",
            )
    levels = _levels(model)
    conditions = [("read", i, block.when) for i, block in enumerate(model.read)]
    conditions += [("ignore", i, ignore.when) for i, ignore in enumerate(model.ignore)]
    for word, i, when in conditions:
        for path, condition in when.items():
            level = topic_level(path)
            if level is None:
                continue
            if level not in levels:
                known = ", ".join(sorted(f"{{{name}}}" for name in levels))
                yield (
                    (word, i, "when", path),
                    f"not every topic of 'match' has a level {path}; they have {known or 'none'}",
                )
            elif condition.is_ is not None:
                yield (word, i, "when", path), "a level of the topic is always there"


def _shape(model: ProfileModel) -> Iterator[Found]:
    try:
        build_shape(model, _levels(model))
    except ShapeError as error:
        yield ("read",), str(error)


def _ignored(model: ProfileModel) -> Iterator[Found]:
    arrays = {block.each for block in model.read if block.each is not None}
    for i, ignore in enumerate(model.ignore):
        if ignore.each is not None and ignore.each not in arrays:
            yield ("ignore", i, "each"), "no block of 'read' has this 'each': nothing is left out"
        elif not ignore.when:
            yield ("ignore", i), "say which messages carry no reading: 'when: {type: heartbeat}'"


def limits_in_canonical_units(model: ProfileModel) -> dict[str, dict[str, float]]:
    """``checks.value_out_of_range`` with ``"198 V"`` read into the canonical unit."""
    limits = model.checks.get("value_out_of_range")
    if not isinstance(limits, dict):
        return {}
    known = BY_NAME[model.kind]
    found = {
        name: {
            edge: parse_value(value, known[name].unit) if isinstance(value, str) else float(value)
            for edge, value in edges.items()
        }
        for name, edges in limits.items()
        if edges
    }
    for rating, name in _RATED.items():
        said = getattr(model.instrument.ratings, rating)
        if said is not None and name in known and limits.get(name, {}) is not None:
            edges = found.setdefault(name, {})
            edges["high"] = min(edges.get("high", math.inf), parse_value(said, known[name].unit))
    return found


# What an instrument never shows while it works as its plate says.
_RATED: Final = {
    "q4": "flow_rate",
    "q_max": "flow_rate",
    "i_max": "amperage",
    "p_max": "power_active",
}
_RATING_UNITS: Final = {"q": ("flow_rate",), "i": ("amperage",), "p": ("power_active", "power")}


def _ratings(model: ProfileModel) -> Iterator[Found]:
    known = BY_NAME[model.kind]
    for rating, said in model.instrument.ratings.model_dump(exclude_none=True).items():
        key: Key = ("instrument", "ratings", rating)
        names = [name for name in _RATING_UNITS[rating[0]] if name in known]
        if not names:
            yield key, f"a {model.kind} has no quantity that {rating} limits"
            continue
        try:
            parse_value(said, known[names[0]].unit)
        except UnitError as error:
            yield key, str(error)


def _limits(limits: dict[str, object], kind: str) -> Iterator[Found]:
    known = BY_NAME[kind]
    for name, edges in limits.items():
        key = ("checks", "value_out_of_range", name)
        if name not in known:
            yield key, _unknown(name, kind)
        elif edges is None or edges is False:
            continue
        elif known[name].type not in {"number", "money"}:
            yield key, f"{name} is a {known[name].type}; it has no limits"
        elif not isinstance(edges, dict):
            yield key, f"expected limits such as {{low: 0 V, high: 480 V}}, got {edges!r}"
        else:
            yield from _edges(key, edges, known[name].unit)


def _edges(key: Key, edges: dict[str, object], unit: str) -> Iterator[Found]:
    read: dict[str, float] = {}
    for edge, value in edges.items():
        if edge not in {"low", "high"}:
            yield (*key, edge), f"unknown key {edge!r}; one of low, high"
        elif isinstance(value, str):
            try:
                read[edge] = parse_value(value, unit)
            except UnitError as error:
                yield (*key, edge), str(error)
        elif isinstance(value, bool) or not isinstance(value, int | float):
            yield (*key, edge), f"expected a number or text such as '198 V', got {value!r}"
        else:
            read[edge] = float(value)
    if "low" in read and "high" in read and read["low"] >= read["high"]:
        yield key, f"low ({edges['low']}) must be below high ({edges['high']})"


def _block(key: Key, block: Block, model: ProfileModel) -> Iterator[Found]:
    if not block.quantities and block.event != "alarm":
        yield key, "a block needs at least one quantity (or 'event: alarm')"
    if block.event == "alarm" and not block.status:
        yield key, "an alarm needs 'status'"
    yield from _identity((*key, "device_id"), block.device_id, _levels(model))
    if isinstance(block.channel, str) and "{" in block.channel:
        yield from _identity((*key, "channel"), block.channel, _levels(model))
    if isinstance(block.measured_at, MeasuredAt):
        yield from _zone((*key, "measured_at", "zone"), block.measured_at.zone)
    for name, quantity in block.quantities.items():
        yield from _quantity((*key, name), name, quantity, model.kind)


def _identity(key: Key, spec: str | DeviceId | None, levels: set[str]) -> Iterator[Found]:
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
    if any(part.path == ("device_id",) for part in parts) and "device_id" not in levels:
        yield key, _NO_DEVICE


def _quantity(key: Key, name: str, quantity: Quantity, kind: str) -> Iterator[Found]:
    known = BY_NAME[kind].get(name)
    if known is None:
        yield key, _unknown(name, kind)
        return
    if known.type in {"number", "money"}:
        yield from _numeric(key, quantity, known)
    else:
        yield from _not_numeric(key, quantity, known)
    if known.type == "time" and quantity.time is None:
        yield key, "say the form of the time, e.g. 'time: iso' or 'time: epoch_ms'"
    if known.type != "time" and quantity.time is not None:
        yield (*key, "time"), f"{name} is no time"
    yield from _zone((*key, "zone"), quantity.zone)


def _numeric(key: Key, quantity: Quantity, known: quantities.Quantity) -> Iterator[Found]:
    if (
        quantity.map is None
        and quantity.unit is None
        and known.unit != "1"
        and known.type == "number"
    ):
        yield key, f"say the unit the device sends, e.g. 'unit: {known.unit}' (UCUM)"
        return
    for raw, word in (quantity.map or {}).items():
        if isinstance(word, str | bool):
            yield (*key, "map", raw), f"{known.name} is a number, got {word!r}"
    if quantity.map is not None and (quantity.text or quantity.unit or quantity.scale):
        yield (
            (*key, "map"),
            "with 'map' the numbers are final: no 'text', 'unit' or 'scale'",
        )
    scale = str(quantity.scale) if isinstance(quantity.scale, Decimal) else "1"
    for where, unit in _units(quantity, known):
        try:
            conversion(unit, known.unit, scale)
        except UnitError as error:
            yield (*key, *where), str(error)


def _units(quantity: Quantity, known: quantities.Quantity) -> Iterator[tuple[Key, str]]:
    """The units that a quantity may come in, by their key."""
    if not isinstance(quantity.unit, UnitFrom):
        yield ("unit",), quantity.unit or known.unit
        return
    if quantity.unit.default is not None:
        yield ("unit", "default"), quantity.unit.default
    for word, unit in (quantity.unit.units or {}).items():
        yield ("unit", "units", word), unit


def _not_numeric(key: Key, quantity: Quantity, known: quantities.Quantity) -> Iterator[Found]:
    said = {
        "unit": quantity.unit is not None,
        "scale": quantity.scale is not None,
        "text": quantity.text,
        "register": quantity.register_ not in {None, False},
        "map": known.type == "time" and quantity.map is not None,
    }
    for said_key, there in said.items():
        if there:
            yield (*key, said_key), f"{known.name} is a {known.type}; it has no {said_key!r}"
    for raw, word in (quantity.map or {}).items():
        if known.type == "flag" and not isinstance(word, bool):
            yield (*key, "map", raw), f"expected true or false, got {word!r}"
        elif known.type == "text" and not isinstance(word, str):
            yield (*key, "map", raw), f"expected a text, got {word!r}: quote it"


def _zone(key: Key, zone: str | None) -> Iterator[Found]:
    if zone is None:
        return
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield key, f"no time zone {zone!r}; a name such as 'Asia/Shanghai' or 'UTC'"


def _unknown(name: str, kind: str) -> str:
    words = {word: word for word in (*BY_NAME[kind], *BLOCK_KEYS)}
    words |= {word: meant for word, meant in _SYNONYMS.items() if meant in BY_NAME[kind]}
    near = difflib.get_close_matches(name, words, n=1, cutoff=0.6)
    hint = f"; did you mean {words[near[0]]!r}?" if near else f"; one of {', '.join(BY_NAME[kind])}"
    return f"{kind} has no quantity {name!r}{hint}"
