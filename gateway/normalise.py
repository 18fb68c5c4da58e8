"""From a document to readings: each profile compiled once into one plain function.

The function is written as Python source and compiled when the profile is loaded, so that nothing
interprets YAML per message.  Only names that this module makes up stand in that source; every text
and number of the profile comes in by the function's namespace.  ``Normaliser.source`` shows it.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway import moments
from gateway.errors import ConfigError, DecodeError
from gateway.profiles import scalars
from gateway.profiles.layout import Layout
from gateway.profiles.layout import Register as RegisterFace
from gateway.profiles.models import (
    Block,
    Channel,
    DeviceId,
    MeasuredAt,
    Path,
    ProfileModel,
    Quantity,
    Scalar,
    When,
)
from gateway.profiles.models import Register as RegisterModel
from gateway.profiles.notation import parse_path
from gateway.profiles.paths import quantity_leaf, time_leaf
from gateway.profiles.scalars import MAX_MONEY
from gateway.profiles.shape import Node
from gateway.profiles.template import parse_template
from gateway.quantities import BY_NAME
from gateway.records import Device, Reading
from gateway.units import Conversion, conversion

_CURRENCY: Final = re.compile(r"[A-Z]{3}")
MAX_SEQUENCE_MODULUS: Final = 2**63

Emitted = tuple[int, Reading]
Read = Callable[[Any, Mapping[str, str], int, int, list[Emitted]], bool]


class Normaliser(NamedTuple):
    """A compiled profile.

    Attributes:
        accepts: whether the document is this profile's by ``match.when``.
        read: ``read(document, levels, received_at, ledger_offset, out)`` appends
            ``(index of layout, reading)`` pairs and returns whether the message belongs to a block
            (False: it is named by ``ignore``).  Raises DecodeError with reason ``no_reading``,
            ``missing_field``, ``wrong_type``, ``absurd_number``, ``bad_time``, ``unknown_word`` or
            ``bad_device_id``.
        layouts: what readings of each index look like.
        source: the generated Python source.
    """

    accepts: Callable[[Any], bool]
    read: Read
    layouts: tuple[Layout, ...]
    source: str


def compile_normaliser(
    model: ProfileModel, root: Node, levels: set[str], devices: Mapping[str, Device]
) -> Normaliser:
    """Compiles ``read`` and ``match.when`` of a profile against its shape."""
    writer = _Writer(model, root, levels, devices)
    writer.accepts()
    writer.read()
    source = "\n".join(writer.lines) + "\n"
    # See the module's docstring: the source holds only names made here.
    exec(compile(source, f"<{model.profile}>", "exec"), writer.namespace)  # noqa: S102
    return Normaliser(
        writer.namespace["accepts"], writer.namespace["read"], tuple(writer.layouts), source
    )


class _Writer:
    """Writes the source of one profile's functions, line by line."""

    def __init__(
        self, model: ProfileModel, root: Node, levels: set[str], devices: Mapping[str, Device]
    ) -> None:
        self.model = model
        self.root = root
        self.levels = levels
        self.known = BY_NAME[model.kind]
        self.layouts: list[Layout] = []
        self.lines: list[str] = []
        self.depth = 0
        self.scopes: dict[int, tuple[str, Node]] = {}
        self.seen: dict[tuple[str, str], str] = {}
        self.count = 0
        currencies, zones = _parameters(devices)
        self.namespace: dict[str, Any] = {
            "R": Reading, "float": float, "round": round, "len": len, "str": str,
            "IDENT": moments.Identities(), "CHANNEL": moments.Identities("channel"),
            "MISSING": scalars.missing, "FAIL": DecodeError,
            "CURRENCY": currencies.get, "ZONE": zones.get, "MOMENT": moments.moment,
            "PATTERN": moments.from_pattern, "NUMBER": scalars.number_text,
            "ABSURD": scalars.absurd, "REQUIRE": scalars.require, "MONEY": MAX_MONEY,
            "LOW": moments.EARLIEST, "HIGH": moments.LATEST, "BADTIME": moments.bad_time,
            "CLASS": scalars.wrong_length,
        }  # fmt: skip

    # -- small tools -----------------------------------------------------------------------------

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    def constant(self, value: object) -> str:
        for name, known in self.namespace.items():
            if name[0] == "K" and known is value:
                return name
        name = f"K{len(self.namespace)}"
        self.namespace[name] = value
        return name

    def fresh(self, stem: str) -> str:
        self.count += 1
        return f"{stem}{self.count}"

    def place(self, path: Path, scope: tuple[str, Node]) -> str:
        """An expression for the value at a path; None where it is absent."""
        variable, node = scope
        if path[:1] == ("$",):
            variable, node, path = "d", self.root, path[1:]
        for i, part in enumerate(path):
            last = i == len(path) - 1
            if isinstance(part, int):
                inner = self.fresh("i")
                node = node.items()
                self.line(
                    f"{inner} = {variable}[{part}] "
                    f"if {variable} is not None and len({variable}) > {part} else None"
                )
                if node.children:
                    self.line(f"if {inner} is None: {inner} = {self.constant(node.empty)}")
                variable = inner
                continue
            node = node.child(part)
            attribute = f"{variable}.{node.attribute}"
            if last and not isinstance(part, int):
                return attribute
            variable = self.container(variable, node)
        return variable

    def container(self, variable: str, node: Node) -> str:
        key = (variable, node.path)
        if key not in self.seen:
            name = self.fresh("n")
            text = f"{name} = {variable}.{node.attribute}"
            if node.children and not node.required:
                text += f" or {self.constant(node.empty)}"
            self.line(text)
            self.seen[key] = name
        return self.seen[key]

    def node(self, path: Path, scope: tuple[str, Node]) -> Node:
        node = scope[1]
        if path[:1] == ("$",):
            node, path = self.root, path[1:]
        for part in path:
            node = node.child(part)
        return node

    # -- functions -------------------------------------------------------------------------------

    def accepts(self) -> None:
        self.line("def accepts(d):")
        self.depth = 1
        when = self.model.match.when if self.model.match else {}
        self.line(f"return {self.condition(when, ('d', self.root))}")
        self.depth = 0
        self.seen.clear()

    def condition(self, when: When, scope: tuple[str, Node]) -> str:
        tests = []
        for path, condition in when.items():
            parts = parse_path(path)
            place = self.place(parts, scope)
            node = self.node(parts, scope)
            if condition.is_ is not None:
                test = f"{place} is not None"
                if node.children:
                    test += f" and {place} is not {self.constant(node.empty)}"
                tests.append(f"({test})" if condition.is_ == "present" else f"not ({test})")
            else:
                tests.append(self.among(place, condition.in_ or []))
        return " and ".join(tests) or "True"

    def among(self, place: str, values: list[Scalar]) -> str:
        if all(isinstance(value, str) for value in values):
            # Equality with a text is safe for any value, so no call is needed.
            if len(values) == 1:
                return f"{place} == {self.constant(values[0])}"
            return f"{place} in {self.constant(tuple(values))}"
        return f"{self.constant(scalars.Among(values))}({place})"

    def read(self) -> None:
        self.line("def read(d, levels, received, offset, out):")
        self.depth = 1
        self.line("matched = ignored = False")
        each: dict[Path, list[Block]] = {}
        for block in self.model.read:
            if block.each is not None:
                each.setdefault(block.each, []).append(block)
        for block in self.model.read:
            if block.each is None:
                self.guarded(block, ("d", self.root), "matched")
            elif each.get(block.each):
                self.items(block.each, each.pop(block.each))
        self.ignored()
        self.depth = 0

    def ignored(self) -> None:
        """What becomes of a message without a reading: left out on purpose, or refused."""
        self.line("if out: return True")
        self.line("if not matched:")
        self.depth += 1
        for ignore in self.model.ignore:
            if ignore.each is None:
                before = dict(self.seen)
                self.line(f"if {self.condition(ignore.when, ('d', self.root))}: return False")
                self.seen = before
        self.line("if ignored: return False")
        self.depth -= 1
        no_value, no_reading = self.constant(_NO_VALUE), self.constant(_NO_READING)
        self.line(f"raise FAIL('no_reading', {no_value} if matched else {no_reading})")

    def items(self, path: Path, blocks: list[Block]) -> None:
        array = self.place(path, ("d", self.root))
        item = self.fresh("item")
        node = self.node(path, ("d", self.root)).items()
        self.line(f"for {item} in {array} or ():")
        self.depth += 1
        no_item = self.constant(_NO_ITEM)
        self.line(f"if {item} is None: raise FAIL('no_reading', {no_item})")
        before = dict(self.seen)
        hit, length = self.fresh("hit"), self.fresh("length")
        self.line(f"{hit} = False; {length} = len(out)")
        for block in blocks:
            self.guarded(block, (item, node), hit)
        self.line(f"if len(out) == {length}:")
        self.depth += 1
        for ignore in self.model.ignore:
            if ignore.each == path:
                test = self.condition(ignore.when, (item, node))
                self.line(f"if not {hit} and {test}: ignored = True; continue")
        self.line(f"raise FAIL('no_reading', {self.constant(_NO_VALUE)} if {hit} else {no_item})")
        self.depth -= 1
        self.seen = before
        self.depth -= 1

    def guarded(self, block: Block, scope: tuple[str, Node], hit: str) -> None:
        before = dict(self.seen)
        if block.when:
            self.line(f"if {self.condition(block.when, scope)}:")
            self.depth += 1
        self.line(f"{hit} = True")
        inner = dict(self.seen)
        self.block(block, scope)
        self.seen = before if block.when else inner
        if block.when:
            self.depth -= 1

    # -- one block -------------------------------------------------------------------------------

    def block(self, block: Block, scope: tuple[str, Node]) -> None:
        device = self.device(block, scope)
        at, quality = self.measured(block, scope, device)
        sequence = "None"
        if block.sequence is not None:
            sequence = self.fresh("s")
            optional = block.sequence.optional
            self.value(sequence, block.sequence.from_, scope, optional=optional)
            node = self.node(block.sequence.from_, scope)
            self.narrow(sequence, "integer", node, optional=optional)
        status = self.status(block, scope)
        channel = self.channel(block, scope)
        # Quantities without a channel of their own share a reading with those that name it.
        own = None if isinstance(block.channel, Channel) else self.default_channel(block)
        groups: dict[str | None, list[tuple[str, str, Quantity]]] = {}
        for name, quantity in block.quantities.items():
            for word, variable in self.quantity(name, quantity, scope, device):
                groups.setdefault(word or own, []).append((name, variable, quantity))
        if not groups:
            groups[None] = []
        for word, members in groups.items():
            self.emit(
                block, members, device=device, at=at, quality=quality, sequence=sequence,
                status=status, channel=self.constant(word) if word is not None else channel,
            )  # fmt: skip

    def emit(
        self, block: Block, members: list[tuple[str, str, Quantity]], *, device: str, at: str,
        quality: str, sequence: str, status: str, channel: str,
    ) -> None:  # fmt: skip
        layout = self.layout(block, members)
        values = "".join(f"{variable}, " for _, variable, _ in members)
        money = any(self.known[name].type == "money" for name, _, _ in members)
        currency = "None"
        if money:
            currency = f"CURRENCY({device}, {self.constant(self.model.currency)})"
        constants = [self.constant(self.model.kind), self.constant(block.event)]
        reading = (
            f"R({device}, {constants[0]}, {constants[1]}, {channel}, {at}, received, {sequence}, "
            f"{quality}, {status}, {currency}, {self.constant(self.id)}, offset, "
            f"{self.constant(layout.names)}, ({values}))"
        )
        text = f"out.append(({len(self.layouts)}, {reading}))"
        self.layouts.append(layout)
        certain = not members or any(
            not q.optional and not q.absent and q.channels is None for _, _, q in members
        )
        if certain:
            self.line(text)
        else:
            present = " or ".join(f"{variable} is not None" for _, variable, _ in members)
            self.line(f"if {present}:")
            self.line(f"    {text}")

    @property
    def id(self) -> str:
        if "PROFILE" not in self.namespace:
            self.namespace["PROFILE"] = f"{self.model.profile}@{self.model.version}"
        return str(self.namespace["PROFILE"])

    def layout(self, block: Block, members: list[tuple[str, str, Quantity]]) -> Layout:
        sequence = block.sequence
        return Layout(
            kind=self.model.kind,
            event=block.event,
            profile=f"{self.model.profile}@{self.model.version}",
            names=tuple(name for name, _, _ in members),
            registers={
                name: self.face(name, quantity)
                for name, _, quantity in members
                if self.is_register(name, quantity)
            },
            sequence_modulus=(sequence.modulus or MAX_SEQUENCE_MODULUS) if sequence else None,
            sequence_per_channel=bool(sequence and sequence.scope == "channel"),
            measured=isinstance(block.measured_at, MeasuredAt),
        )

    def is_register(self, name: str, quantity: Quantity) -> bool:
        said = quantity.register_
        return name in self.model.registers if said is None else said is not False

    def face(self, name: str, quantity: Quantity) -> RegisterFace:
        model = quantity.register_
        if not isinstance(model, RegisterModel):
            return RegisterFace()
        convert = self.conversion(name, quantity)
        full = model.full_scale or (10.0**model.digits if model.digits is not None else None)
        step = 10.0**-model.decimals if model.decimals is not None else None
        return RegisterFace(
            full_scale=convert.apply(full) if full is not None else None,
            resolution=convert.apply(step) if step is not None else None,
        )

    def conversion(self, name: str, quantity: Quantity) -> Conversion:
        known = self.known[name]
        return conversion(quantity.unit or known.unit, known.unit, str(quantity.scale or 1))

    # -- parts of a reading ----------------------------------------------------------------------

    def value(self, name: str, path: Path, scope: tuple[str, Node], *, optional: bool) -> None:
        """Assigns the raw value at a path; None where it is absent and may be."""
        place = self.place(path, scope)
        self.line(f"{name} = {place}")
        node = self.node(path, scope)
        if not optional and not node.required:
            self.line(f"if {name} is None: raise MISSING({self.constant(node.path)})")

    def narrow(self, name: str, kind: str, node: Node, *, optional: bool = False) -> None:
        """Sees to the kind of a value where other parts of the profile let others through."""
        if not node.plain(kind):
            shown = self.constant(f"`$.{node.path}`")
            text = f"{name} = REQUIRE({self.constant(kind)}, {name}, {shown})"
            self.line(f"if {name} is not None: {text}" if optional else text)

    def device(self, block: Block, scope: tuple[str, Node]) -> str:
        spec = block.device_id if block.device_id is not None else "{device_id}"
        name = self.fresh("dev")
        if isinstance(spec, DeviceId):
            self.value(name, spec.from_, scope, optional=spec.otherwise is not None)
            if spec.otherwise is not None:
                unless = self.constant(scalars.Among([*spec.unless, None]))
                self.line(f"if {unless}({name}):")
                self.depth += 1
                before = dict(self.seen)
                self.line(f"{name} = {self.template(spec.otherwise, scope)}")
                self.seen = before
                self.depth -= 1
            self.narrow(name, "scalar", self.node(spec.from_, scope))
            self.line(f"{name} = IDENT({name})")
        elif spec == "{device_id}" and "device_id" in self.levels:
            key = ("levels", "device_id")
            if key in self.seen:
                return self.seen[key]
            self.line(f"{name} = levels['device_id']")
            self.seen[key] = name
        else:
            self.line(f"{name} = IDENT({self.template(spec, scope)})")
        return name

    def template(self, template: str, scope: tuple[str, Node]) -> str:
        parts = []
        for part in parse_template(template, self.levels):
            if part.literal is not None:
                parts.append(self.constant(part.literal))
            elif part.level is not None:
                parts.append(f"levels[{self.constant(part.level)}]")
            else:
                name = self.fresh("t")
                self.value(name, part.path or (), scope, optional=False)
                self.narrow(name, "scalar", self.node(part.path or (), scope))
                parts.append(f"str({name})")
        return " + ".join(parts)

    def measured(self, block: Block, scope: tuple[str, Node], device: str) -> tuple[str, str]:
        spec = block.measured_at
        if not isinstance(spec, MeasuredAt):
            # The time of receipt stands in: the profile says so, and the reading carries it.
            return "received", self.constant("questionable")
        name = self.fresh("at")
        self.value(name, spec.from_, scope, optional=spec.optional)
        zone = spec.zone or self.model.zone or "UTC"
        node = self.node(spec.from_, scope)
        if not spec.optional:
            self.narrow(name, time_leaf(spec.time), node)
            self.time(name, spec.time, zone, device)
            return name, self.constant("raw")
        quality = self.fresh("q")
        self.line(f"if {name} is None:")
        self.line(f"    {name} = received; {quality} = {self.constant('questionable')}")
        self.line("else:")
        self.depth += 1
        self.line(f"{quality} = {self.constant('raw')}")
        self.narrow(name, time_leaf(spec.time), node)
        self.time(name, spec.time, zone, device)
        self.depth -= 1
        return name, quality

    def time(self, name: str, form: str, zone: str, device: str) -> None:
        """Converts a raw time into nanoseconds since the epoch."""
        default = self.constant(dt.UTC if zone == "UTC" else ZoneInfo(zone))
        if form == "iso":
            self.line(f"{name} = MOMENT({name}, ZONE({device}, {default}))")
        elif "%" in form:
            pattern = self.constant(form)
            self.line(f"{name} = PATTERN({name}, {pattern}, ZONE({device}, {default}))")
        else:
            # To whole microseconds: finer than any clock here, and what a double holds exactly.
            per_second = {"epoch_s": 1, "epoch_ms": 10**3, "epoch_us": 10**6, "epoch_ns": 10**9}
            unit = 10**9 // per_second[form]
            if unit >= 1000:
                self.line(f"{name} = round({name} * {unit // 1000}) * 1000")
            else:
                self.line(f"{name} = round({name})")
            self.line(f"if not LOW <= {name} < HIGH: raise BADTIME({name})")

    def status(self, block: Block, scope: tuple[str, Node]) -> str:
        spec = block.status
        if spec is None:
            return "()"
        name = self.fresh("st")
        self.value(name, spec.from_, scope, optional=spec.optional)
        kind = "integer" if spec.bits is not None else "words" if spec.list_ else "text"
        self.narrow(name, kind, self.node(spec.from_, scope), optional=spec.optional)
        if spec.bits is not None:
            reader = self.constant(moments.StatusBits(spec.bits))
        elif spec.words is not None:
            reader = self.constant(moments.StatusWords(spec.words))
        else:
            reader = self.constant(moments.status_list)
        self.line(f"{name} = {reader}({name}) if {name} is not None else ()")
        return name

    def channel(self, block: Block, scope: tuple[str, Node]) -> str:
        spec = block.channel
        if isinstance(spec, Channel):
            name = self.fresh("ch")
            self.value(name, spec.from_, scope, optional=False)
            if spec.map is None:
                self.narrow(name, "scalar", self.node(spec.from_, scope))
                self.line(f"{name} = CHANNEL({name})")
            else:
                words = self.constant(scalars.Words(spec.map, "channel"))
                self.line(f"{name} = {words}({name})")
            return name
        return self.constant(self.default_channel(block))

    def default_channel(self, block: Block) -> str | None:
        named = block.channel if isinstance(block.channel, str) else None
        return named or self.model.default_channel

    def quantity(
        self, name: str, quantity: Quantity, scope: tuple[str, Node], device: str
    ) -> list[tuple[str | None, str]]:
        """Assigns the quantity's value or values; pairs of channel (None: the block's) and name."""
        if isinstance(quantity.channels, dict):
            named: list[tuple[str | None, str]] = []
            for channel, path in quantity.channels.items():
                variable = self.fresh("v")
                self.value(variable, path, scope, optional=True)
                node = self.node(path, scope)
                self.convert(variable, name, quantity, device, node=node, optional=True)
                named.append((channel, variable))
            places = [self.node(path, scope).path for path in quantity.channels.values()]
            self.any_of(named, quantity, "`, `$.".join(places))
            return named
        if quantity.each is not None and isinstance(quantity.channels, list):
            return self.array(name, quantity, scope, device)
        variable = self.fresh("v")
        optional = quantity.optional or bool(quantity.absent)
        path = quantity.from_ or ()
        self.value(variable, path, scope, optional=optional)
        node = self.node(path, scope)
        self.convert(variable, name, quantity, device, node=node, optional=optional)
        return [(None, variable)]

    def any_of(self, named: list[tuple[str | None, str]], quantity: Quantity, shown: str) -> None:
        """Some channel must be there, unless all of them are optional."""
        if not quantity.optional and not quantity.absent and len(named) > 1:
            none = " is ".join(variable for _, variable in named)
            self.line(f"if {none} is None: raise MISSING({self.constant(shown)})")

    def array(
        self, name: str, quantity: Quantity, scope: tuple[str, Node], device: str
    ) -> list[tuple[str | None, str]]:
        items = self.fresh("a")
        channels = quantity.channels or []
        self.value(items, quantity.each or (), scope, optional=quantity.optional)
        if quantity.optional:
            self.line(f"if {items} is None: {items} = ()")
        node = self.node(quantity.each or (), scope)
        shown = self.constant(node.path)
        fewest = 0 if quantity.optional else 1
        self.line(
            f"if not {fewest} <= len({items}) <= {len(channels)}: "
            f"raise CLASS({shown}, len({items}), {len(channels)})"
        )
        found: list[tuple[str | None, str]] = []
        for i, channel in enumerate(channels):
            variable = self.fresh("v")
            self.line(f"{variable} = {items}[{i}] if len({items}) > {i} else None")
            self.convert(variable, name, quantity, device, node=node.items(), optional=True)
            found.append((channel, variable))
        self.any_of(found, quantity, node.path)
        return found

    def convert(
        self, variable: str, name: str, quantity: Quantity, device: str, *, node: Node,
        optional: bool,
    ) -> None:  # fmt: skip
        """Turns the raw value into the canonical one, in place."""
        if quantity.absent:
            among = self.constant(scalars.Among([*quantity.absent, None]))
            self.line(f"if {among}({variable}): {variable} = None")
        start = len(self.lines)
        if optional:
            self.line(f"if {variable} is not None:")
            self.depth += 1
        known = self.known[name]
        kind = quantity_leaf(known, quantity)
        if kind != "any" and not quantity.text:
            self.narrow(variable, kind, node)
        if quantity.map is not None:
            words = self.constant(scalars.Words(quantity.map, name))
            self.line(f"{variable} = {words}({variable})")
        if known.type == "time":
            zone = quantity.zone or self.model.zone or "UTC"
            self.time(variable, quantity.time or "iso", zone, device)
        elif known.type in {"number", "money"}:
            self.arithmetic(variable, name, quantity)
        if optional:
            self.depth -= 1
            if len(self.lines) == start + 1:
                self.lines.pop()

    def arithmetic(self, variable: str, name: str, quantity: Quantity) -> None:
        shown = self.constant(name)
        money = self.known[name].type == "money"
        if quantity.text:
            self.line(f"{variable} = NUMBER({variable}, {shown})")
        if quantity.map is None:
            convert = self.conversion(name, quantity)
            if convert.numerator != 1:
                self.line(f"{variable} *= {convert.numerator}")
            if convert.denominator != 1:
                self.line(f"{variable} /= {convert.denominator}")
            if convert.offset:
                self.line(f"{variable} += {float(convert.offset)!r}")
            if (money or self.is_register(name, quantity)) and not convert.identity:
                # 131881.85 Wh is 131.88185 kWh to an instrument, not 131.88185000000001: fifteen
                # digits are what a double carries through a conversion, and more than a register
                # shows.
                self.line(f"{variable} = float('%.15g' % {variable})")
        if money:
            self.line(f"if not -MONEY < {variable} < MONEY: raise ABSURD({shown}, {variable})")


_NO_READING: Final = (
    "the message fits no block of the profile: add a block, or name it under 'ignore'"
)
_NO_VALUE: Final = "a block of the profile fits, but none of its quantities is there"
_NO_ITEM: Final = (
    "an item of the array fits no block of the profile: add a block, or name it under 'ignore'"
)


def _parameters(devices: Mapping[str, Device]) -> tuple[dict[str, str], dict[str, ZoneInfo]]:
    """Currency and time zone of the devices that have their own."""
    currencies, zones, faults = {}, {}, []
    for name, device in devices.items():
        if "currency" in device.parameters:
            currencies[name] = str(device.parameters["currency"])
            if _CURRENCY.fullmatch(currencies[name]) is None:
                faults.append(f"device {name}: currency {currencies[name]!r} is no code like CNY")
        if "time_zone" in device.parameters:
            zone = str(device.parameters["time_zone"])
            try:
                zones[name] = ZoneInfo(zone)
            except (ZoneInfoNotFoundError, ValueError, OSError):
                faults.append(f"device {name}: no time zone {zone!r}, such as Asia/Shanghai")
    if faults:
        raise ConfigError("\n".join(f"registry: {fault}" for fault in faults))
    return currencies, zones
