"""What stands around the quantities of a reading: whose, when, how good, its status and channel."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from gateway import moments
from gateway.normalise.text import FunctionText
from gateway.profiles import scalars
from gateway.profiles.models import (
    Block,
    Channel,
    DeviceId,
    MeasuredAt,
    Path,
    QualityFrom,
    Status,
    TextForm,
)
from gateway.profiles.notation import parse_path
from gateway.profiles.paths import status_leaf, time_leaf
from gateway.profiles.shape import Node
from gateway.profiles.template import parse_template


def told_channel(block: Block) -> bool:
    """Whether the channel is read from the message or the topic, so that only a message knows."""
    channel = block.channel
    return isinstance(channel, Channel) or (isinstance(channel, str) and "{" in channel)


class CircumstancesText(FunctionText):
    """Writes the lines that take from the document what every reading of a block shares."""

    def device(self, block: Block, scope: tuple[str, Node]) -> str:
        """Assigns the identity of the device; returns its variable."""
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
        """An expression that joins the parts of an identity."""
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
        """Assigns the time of measurement; returns its variable and the quality's expression."""
        spec = block.measured_at
        if not isinstance(spec, MeasuredAt):
            # The time of receipt stands in: the profile says so, and the reading carries it.
            return "received", self.constant("questionable")
        name = self.fresh("at")
        self.moment_value(name, spec.from_, spec.then, scope, optional=spec.optional)
        said = self.quality(block, scope)
        zone = spec.zone or self.model.zone or "UTC"
        node = self.node(spec.from_, scope)
        if not spec.optional:
            self.told_moment(name, spec, zone, device, node)
            return name, said
        quality = self.fresh("q")
        self.line(f"if {name} is None:")
        self.line(f"    {name} = received; {quality} = {self.constant('questionable')}")
        self.line("else:")
        self.depth += 1
        self.line(f"{quality} = {said}")
        self.told_moment(name, spec, zone, device, node)
        self.depth -= 1
        return name, quality

    def told_moment(self, name: str, spec: MeasuredAt, zone: str, device: str, node: Node) -> None:
        """Turns the instrument's word for a time into nanoseconds."""
        joined = spec.then is not None
        if not joined:
            self.narrow(name, time_leaf(spec.time, text=spec.text), node)
        self.time(name, spec.time, zone, device, text=spec.text)

    def moment_value(
        self, name: str, path: Path, then: Path | None, scope: tuple[str, Node], *, optional: bool
    ) -> None:
        """Assigns a raw time; where date and time of day are two texts, both of them."""
        self.value(name, path, scope, optional=optional)
        if then is None:
            return
        second = self.fresh("at")
        self.value(second, then, scope, optional=optional)
        if optional:
            self.line(f"if {name} is None or {second} is None: {name} = None")
            self.line("else:")
            self.depth += 1
        self.narrow(name, "text", self.node(path, scope))
        self.narrow(second, "text", self.node(then, scope))
        self.line(f"{name} = {name} + {self.constant(' ')} + {second}")
        if optional:
            self.depth -= 1

    def quality(self, block: Block, scope: tuple[str, Node]) -> str:
        """The expression of the quality of readings that have a time of the instrument."""
        spec = block.quality
        if not isinstance(spec, QualityFrom):
            return self.constant(spec)
        name = self.fresh("q")
        self.value(name, spec.from_, scope, optional=True)
        word = self.worded(name, scalars.Words(spec.map, "quality"))
        default = self.constant(spec.default)
        self.line(f"{name} = {word} if {name} is not None else {default}")
        return name

    def time(self, name: str, form: str, zone: str, device: str, *, text: bool = False) -> None:
        """Converts a raw time into nanoseconds since the epoch."""
        default = self.constant(dt.UTC if zone == "UTC" else ZoneInfo(zone))
        if form == "iso":
            self.line(f"{name} = MOMENT({name}, ZONE({device}, {default}))")
        elif "%" in form:
            pattern = self.constant(form)
            self.line(f"{name} = PATTERN({name}, {pattern}, ZONE({device}, {default}))")
        else:
            if text:
                self.line(f"{name} = EPOCH({name})")
            # To whole microseconds: finer than any clock here, and what a double holds exactly.
            per_second = {"epoch_s": 1, "epoch_ms": 10**3, "epoch_us": 10**6, "epoch_ns": 10**9}
            unit = 10**9 // per_second[form]
            if unit >= 1000:
                exact = f"{name} * {unit} if {name}.__class__ is int else "
                self.line(f"{name} = {exact}round({name} * {unit // 1000}) * 1000")
            else:
                self.line(f"{name} = round({name})")
            self.line(f"if not LOW <= {name} < HIGH: raise BADTIME({name})")

    def status(self, block: Block, scope: tuple[str, Node]) -> str:
        """Assigns the status words; returns their expression."""
        found = [self.status_words(spec, scope) for spec in block.status]
        if len(found) == 1:
            return found[0]
        if not found:
            return "()"
        words = self.fresh("st")
        self.line(f"{words} = {' + '.join(found)}")
        self.line(f"if {words}: {words} = UNIQUE({words})")
        return words

    def status_words(self, spec: Status, scope: tuple[str, Node]) -> str:
        """Assigns the words of one place; returns their variable."""
        name = self.fresh("st")
        if spec.from_ is None:
            parts = []
            for path, word in (spec.flags or {}).items():
                place = self.place(parse_path(path), scope)
                # Equal to 1 are 1 and true, and nothing else that a message can hold but 1.0.
                parts.append(f"(({self.constant(word)},) if {place} == 1 else ())")
            self.line(f"{name} = {' + '.join(parts)}")
            return name
        self.value(name, spec.from_, scope, optional=spec.optional)
        kind = status_leaf(spec)
        self.narrow(name, kind, self.node(spec.from_, scope), optional=spec.optional)
        if spec.bits is not None:
            if spec.text:
                self.whole(name, spec.text, optional=spec.optional)
            words = self.constant(moments.StatusBits(spec.bits))
            self.line(f"{name} = {words}[{name}] if {name} is not None else ()")
            return name
        if spec.words is not None:
            reader = self.constant(moments.StatusWords(spec.words))
        else:
            reader = self.constant(moments.status_list)
        self.line(f"{name} = {reader}({name}) if {name} is not None else ()")
        return name

    def worded(self, name: str, words: scalars.Words) -> str:
        """The expression of the word for a value; a text's or number's is found without a call."""
        table = self.constant(words)
        plain = f"{name}.__class__ is str or {name}.__class__ is int"
        return f"({table}[{name}] if {plain} else {table}({name}))"

    def channel(self, block: Block, scope: tuple[str, Node]) -> str:
        """The expression of the channel of quantities that name none."""
        spec = block.channel
        if isinstance(spec, Channel):
            name = self.fresh("ch")
            self.value(name, spec.from_, scope, optional=False)
            if spec.map is None:
                self.narrow(name, "scalar", self.node(spec.from_, scope))
                self.line(f"{name} = CHANNEL({name})")
            else:
                self.line(f"{name} = {self.worded(name, scalars.Words(spec.map, 'channel'))}")
            return name
        if isinstance(spec, str) and told_channel(block):
            name = self.fresh("ch")
            self.line(f"{name} = CHANNEL({self.template(spec, scope)})")
            return name
        return self.constant(self.default_channel(block))

    def whole(self, name: str, text: TextForm, *, optional: bool) -> None:
        """Reads a whole number that came as text, in place."""
        base = 16 if text == "hex" else 10
        maybe = f" if {name} is not None else None" if optional else ""
        self.line(f"{name} = WHOLE({name}, {base}){maybe}")

    def default_channel(self, block: Block) -> str | None:
        """The channel that the block or the profile names, if any."""
        named = block.channel if isinstance(block.channel, str) else None
        return named or self.model.default_channel
