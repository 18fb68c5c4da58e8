"""Whether a profile reads what its binary layout has: a mistaken path is told when it is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from gateway.profiles.binary import Binary
from gateway.profiles.binary_text import near
from gateway.profiles.expression_text import Value
from gateway.profiles.models import (
    Block,
    Channel,
    DeviceId,
    MeasuredAt,
    Path,
    ProfileModel,
    QualityFrom,
    Quantity,
    Status,
    UnitFrom,
    When,
)
from gateway.profiles.notation import Select, parse_path, topic_level
from gateway.profiles.paths import quantity_leaf, time_leaf
from gateway.quantities import BY_NAME

if TYPE_CHECKING:
    from gateway.profiles.meaning import Found, Key

Place = tuple["Key", Path, str]
"""Where the profile says it, the path, and the leaf that it reads there (empty: of any kind)."""

_KINDS: Final = {
    "number": ("int", "float"), "integer": ("int",), "text": ("text",), "moment": ("text",),
    "epoch": ("int", "float"), "bool": ("bool",), "words": ("list",),
}  # fmt: skip
_SHOWN: Final = {
    "int": "a whole number", "float": "a number", "text": "a text", "bool": "a truth value",
    "list": "a list", "map": "a structure",
}  # fmt: skip
_WANTED: Final = {
    "number": "a number", "integer": "a whole number", "text": "a text", "bool": "true or false",
    "moment": "a time as text (local_time() makes one)", "words": "a list of status words",
    "epoch": "a time as number; 'time: iso' reads what local_time() makes",
}  # fmt: skip


def check_paths(model: ProfileModel) -> Iterator[Found]:
    """Paths that the layout's document does not have, or not of this kind."""
    if not isinstance(model.decode, Binary):
        return
    fields = model.decode.written.fields
    skipped = "envelope" if model.decode.envelope is not None else ""
    items: dict[Path, Mapping[str, Value] | None] = {}
    for key, each in _arrays(model):
        try:
            items[each] = _items(fields, each) if each[:1] != (skipped,) else None
        except ValueError as error:
            items[each] = None
            yield key, str(error)
    for scope, places in _scopes(model):
        inner = fields if scope is None else items[scope]
        for key, path, leaf in places:
            root = path[:1] == ("$",)
            here, parts = (fields, path[1:]) if root else (inner, path)
            if parts and parts[0] != skipped:
                try:
                    _look(here, parts, leaf)
                except ValueError as error:
                    yield key, str(error)


def _arrays(model: ProfileModel) -> Iterator[tuple[Key, Path]]:
    for number, block in enumerate(model.read):
        if block.each is not None:
            yield ("read", number, "each"), block.each
    for number, ignore in enumerate(model.ignore):
        if ignore.each is not None:
            yield ("ignore", number, "each"), ignore.each


def _scopes(model: ProfileModel) -> Iterator[tuple[Path | None, Iterator[Place]]]:
    """Places by the array in whose items they are; None at the root."""
    if model.match is not None:
        yield None, _when(("match", "when"), model.match.when)
    for number, ignore in enumerate(model.ignore):
        yield ignore.each, _when(("ignore", number, "when"), ignore.when)
    for number, block in enumerate(model.read):
        yield block.each, _block(("read", number), block, model.kind)


def _when(key: Key, when: When) -> Iterator[Place]:
    for path in when:
        if topic_level(path) is None:
            yield (*key, path), parse_path(path), ""


def _block(key: Key, block: Block, kind: str) -> Iterator[Place]:
    yield from _when((*key, "when"), block.when)
    for name, part in (
        ("device_id", block.device_id), ("channel", block.channel), ("quality", block.quality),
    ):  # fmt: skip
        if isinstance(part, DeviceId | Channel | QualityFrom):
            yield (*key, name, "from"), part.from_, ""
    at = block.measured_at
    if isinstance(at, MeasuredAt):
        leaf = "text" if at.then else time_leaf(at.time, text=at.text)
        yield (*key, "measured_at", "from"), at.from_, leaf
        if at.then is not None:
            yield (*key, "measured_at", "then"), at.then, "text"
    if block.sequence is not None:
        leaf = "text" if block.sequence.text else "integer"
        yield (*key, "sequence", "from"), block.sequence.from_, leaf
    for number, status in enumerate(block.status):
        yield from _status((*key, "status", number), status)
    for name, quantity in block.quantities.items():
        yield from _quantity((*key, name), quantity, quantity_leaf(BY_NAME[kind][name], quantity))


def _status(key: Key, status: Status) -> Iterator[Place]:
    for path in status.flags or ():
        yield (*key, "flags", path), parse_path(path), ""
    if status.from_ is not None:
        leaf = "words" if status.list_ else "integer" if status.bits and not status.text else ""
        yield (*key, "from"), status.from_, leaf


def _quantity(key: Key, quantity: Quantity, leaf: str) -> Iterator[Place]:
    if quantity.from_ is not None:
        yield (*key, "from"), quantity.from_, leaf
    if quantity.then is not None:
        yield (*key, "then"), quantity.then, "text"
    if quantity.each is not None:
        yield (*key, "each"), (*quantity.each, 0), leaf
    if isinstance(quantity.channels, dict):
        for channel, path in quantity.channels.items():
            yield (*key, "channels", channel), path, leaf
    if quantity.derived is not None:
        word, paths = quantity.derived
        for number, path in enumerate(paths):
            yield (*key, word, number), path, leaf
    if isinstance(quantity.unit, UnitFrom):
        yield (*key, "unit", "from"), quantity.unit.from_, ""


def _items(fields: Mapping[str, Value], path: Path) -> Mapping[str, Value] | None:
    """What the items of a list have; None where that is not known before a message comes."""
    found = _look(fields, (*path, 0), "")
    if found is not None and found.kind not in {"map", "any"}:
        raise ValueError(f"the items of {path[-1]!r} are {_SHOWN[found.kind]} each: no fields")
    return None if found is None else found.fields


def _look(fields: Mapping[str, Value] | None, path: Path, leaf: str) -> Value | None:
    """What stands at a path; None where that is not known before a message comes."""
    here: Value | None = Value("", "map", fields=dict(fields) if fields is not None else None)
    shown = ""
    for part in path:
        if here is None or here.kind == "any":
            return None
        if isinstance(part, int | Select):
            if here.kind != "list":
                raise ValueError(f"{shown!r} is {_SHOWN[here.kind]} in the layout, no list")
            here = here.item
            continue
        if here.kind != "map":
            raise ValueError(f"{shown!r} is {_SHOWN[here.kind]} in the layout: it has no {part!r}")
        if here.fields is None:
            return None
        if part not in here.fields:
            inside = f"{shown!r} of the layout" if shown else "the layout"
            raise ValueError(f"{inside} has no field {part!r}{near(part, here.fields)}")
        here, shown = here.fields[part], f"{shown}.{part}" if shown else part
    if here is not None and here.kind != "any" and here.kind not in _KINDS.get(leaf, (here.kind,)):
        raise ValueError(
            f"{shown!r} is {_SHOWN[here.kind]} in the layout; what is read here is {_WANTED[leaf]}"
        )
    return here
