"""From a profile to the shape of its documents: every path of every block in one tree."""

from __future__ import annotations

from gateway.profiles.models import (
    Block,
    Channel,
    Condition,
    DeviceId,
    MeasuredAt,
    Path,
    ProfileModel,
    QualityFrom,
    Quantity,
    Status,
    TimeWord,
    UnitFrom,
    When,
)
from gateway.profiles.notation import ABOVE, VALUES, levels_of, parse_path, topic_level
from gateway.profiles.shape import Node
from gateway.profiles.template import parse_template
from gateway.quantities import BY_NAME
from gateway.quantities import Quantity as Known


class ShapeError(ValueError):
    """A profile takes one place of the message for different things."""


def build_shape(model: ProfileModel, levels: set[str]) -> Node:
    """The tree of all places that the profile reads, with its struct types made.

    ``levels`` are the topic levels by name: what a template may take without the message.

    Raises:
        ShapeError: two parts of the profile take one place for different things.
    """
    root = Node("")
    _Paths(root, model, levels).enter_all()
    root.required = True
    conflicts = list(root.conflicts())
    if conflicts:
        raise ShapeError("; ".join(conflicts))
    root.build()
    return root


def envelope_conditions(model: ProfileModel) -> dict[Path, Condition]:
    """The conditions of ``match.when`` on the envelope, by their path below it."""
    if model.match is None or model.decode.envelope is None:
        return {}
    parsed = {parse_path(path): condition for path, condition in model.match.when.items()}
    return {path[1:]: found for path, found in parsed.items() if path[0] == "envelope"}


def message_conditions(model: ProfileModel) -> When:
    """The conditions of ``match.when`` on the message itself."""
    when = model.match.when if model.match else {}
    if model.decode.envelope is None:
        return when
    return {path: found for path, found in when.items() if parse_path(path)[0] != "envelope"}


def plain_conditions(model: ProfileModel) -> dict[Path, Condition]:
    """The conditions of ``match.when`` on the message that ask for keys only, by their path."""
    parsed = {parse_path(path): found for path, found in message_conditions(model).items()}
    return {
        path: found for path, found in parsed.items() if all(isinstance(part, str) for part in path)
    }


def quantity_leaf(known: Known, quantity: Quantity) -> str:
    """The leaf type that a quantity needs, after what it calls absent is taken away."""
    if quantity.map is not None:
        return "any"
    if known.type == "time":
        form = quantity.time or "iso"
        return "text" if quantity.then else time_leaf(form, text=bool(quantity.text))
    if known.type in {"number", "money"}:
        return "text" if quantity.text else "number"
    return {"text": "text", "flag": "bool"}[known.type]


def time_leaf(form: TimeWord, *, text: bool = False) -> str:
    """The leaf type of a time form."""
    if form == "iso":
        return "moment"
    return "text" if text or "%" in form else "epoch"


def status_leaf(status: Status) -> str:
    """The leaf type of a status with a place of its own."""
    if status.bits is not None:
        return "text" if status.text else "integer"
    return "words" if status.list_ else "any"


class _Paths:
    def __init__(self, root: Node, model: ProfileModel, levels: set[str]) -> None:
        self.root = root
        self.model = model
        self.levels = levels
        self.parents: dict[int, Node] = {}

    def enter_all(self) -> None:
        if self.model.match is not None:
            self.when(message_conditions(self.model), self.root)
        for ignore in self.model.ignore:
            self.when(ignore.when, self.scope(ignore.each))
        for block in self.model.read:
            self.block(block)

    def scope(self, each: Path | None) -> Node:
        scope = self.root
        for path, mapping in levels_of(each) if each is not None else ():
            array = self.place(path, scope, required=False)
            if mapping != (array.mapping if array.item is not None else mapping):
                raise ShapeError(
                    f"`$.{array.path}` is read as an array and as a mapping of any keys"
                )
            item = array.values() if mapping else array.items()
            self.parents[id(item)] = scope
            scope = item
        return scope

    def place(self, path: Path, scope: Node, *, required: bool) -> Node:
        if path[:1] == ("$",):
            scope, path = self.root, path[1:]
        while path[:1] == (ABOVE,):
            scope, path = self.parents.get(id(scope), self.root), path[1:]
        if path == (VALUES,):
            return scope.key if scope.key is not None else Node("*", {"raw"})
        node = scope
        for part in path:
            if required and isinstance(part, str):
                node.required = True
            node = node.child(part)
            if not isinstance(part, str):
                required = False
        node.required = node.required or required
        return node

    def leaf(self, path: Path, scope: Node, kind: str, *, required: bool) -> Node:
        node = self.place(path, scope, required=required)
        node.leaf.add(kind)
        return node

    def when(self, when: When, scope: Node) -> None:
        for path, condition in when.items():
            if topic_level(path) is not None:
                continue
            kind = "raw" if condition.is_ is not None else "any"
            self.leaf(parse_path(path), scope, kind, required=False)

    def block(self, block: Block) -> None:
        scope = self.scope(block.each)
        self.when(block.when, scope)
        # Inside an array or behind a condition a place may be absent from other items or messages.
        always = block.each is None and not block.when
        self.times(block, scope, always=always)
        self.identity(block.device_id, scope, always=always)
        if isinstance(block.channel, Channel):
            kind = "any" if block.channel.map else "scalar"
            self.leaf(block.channel.from_, scope, kind, required=always)
        elif isinstance(block.channel, str) and "{" in block.channel:
            self.template(block.channel, scope, required=always)
        for status in block.status:
            for flag in status.flags or ():
                self.leaf(parse_path(flag), scope, "any", required=False)
            if status.from_ is not None:
                required = always and not status.optional
                self.leaf(status.from_, scope, status_leaf(status), required=required)
        for name, quantity in block.quantities.items():
            self.quantity(name, quantity, scope, always=always)

    def times(self, block: Block, scope: Node, *, always: bool) -> None:
        """The places of the time, the quality and the number of a reading."""
        if isinstance(block.measured_at, MeasuredAt):
            at = block.measured_at
            kind = "text" if at.then else time_leaf(at.time, text=at.text)
            for path in (at.from_, at.then):
                if path is not None:
                    self.leaf(path, scope, kind, required=always and not at.optional)
        if isinstance(block.quality, QualityFrom):
            self.leaf(block.quality.from_, scope, "any", required=False)
        if block.sequence is not None:
            sequence = block.sequence
            kind = "text" if sequence.text else "integer"
            self.leaf(sequence.from_, scope, kind, required=always and not sequence.optional)

    def identity(self, device_id: str | DeviceId | None, scope: Node, *, always: bool) -> None:
        template = device_id
        if isinstance(device_id, DeviceId):
            required = always and device_id.otherwise is None
            self.leaf(device_id.from_, scope, "scalar", required=required)
            template = device_id.otherwise
        if isinstance(template, str):
            self.template(template, scope, required=always and not isinstance(device_id, DeviceId))

    def template(self, template: str, scope: Node, *, required: bool) -> None:
        for part in parse_template(template, self.levels):
            if part.path is not None:
                self.leaf(part.path, scope, "scalar", required=required)

    def quantity(self, name: str, quantity: Quantity, scope: Node, *, always: bool) -> None:
        required = always and not quantity.optional and not quantity.absent
        kinds = self.leaf_kinds(name, quantity)
        if isinstance(quantity.unit, UnitFrom):
            self.leaf(quantity.unit.from_, scope, "any", required=False)
        if quantity.each is not None:
            item = self.place(quantity.each, scope, required=required).items()
            item.leaf |= kinds
            return
        if quantity.derived is not None:
            for path in quantity.derived[1]:
                self.place(path, scope, required=required).leaf |= kinds
            return
        paths = (
            list(quantity.channels.values())
            if isinstance(quantity.channels, dict)
            else [quantity.from_ or ()]
        )
        several = len(paths) > 1
        if quantity.then is not None:
            paths.append(quantity.then)
        for path in paths:
            node = self.place(path, scope, required=required and not several)
            node.leaf |= kinds

    def leaf_kinds(self, name: str, quantity: Quantity) -> set[str]:
        kinds = {quantity_leaf(BY_NAME[self.model.kind][name], quantity)}
        for value in quantity.absent:
            if isinstance(value, str):
                kinds.add("text")
            elif isinstance(value, bool):
                kinds.add("bool")
            else:
                kinds.add("number")
        return kinds
