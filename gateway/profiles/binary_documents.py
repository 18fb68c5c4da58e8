"""What a layout's function makes of the fields: a plain document, or a profile's struct at once.

A plain document has every field.  Where the profile's shape is known the struct that it reads is
made without a document between; whenever a value might not fit its place there, the function gives
None and the document's way tells what is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from gateway.profiles.binary_text import Fault, FunctionText, near
from gateway.profiles.expression_text import UNBOUNDED, Value

if TYPE_CHECKING:
    from gateway.profiles.binary import Binary
    from gateway.profiles.shape import Node

MAX_TEXT: Final = 4096
_INTEGER: Final = 2.0**63


class IndirectError(Exception):
    """No struct can be made without a document between."""


class _Nobody:
    """The place of a document that nobody reads."""


NOBODY: Final = _Nobody()


@dataclass
class Sink:
    """A document being filled: written as one display at its end, or field by field.

    Attributes:
        entries: fields by id, as long as nothing branches.
        variable: the document, once it takes fields as they come.
        place: where the profile reads it; None for a plain document.
        slots: variables of a struct's fields that come as they come.
        before: variables of the fields that were there when slots began.
        opening: the mark of the line where slots begin.
        fields: what is known of each field that it may have.
    """

    entries: list[tuple[str, str]] = field(default_factory=list)
    variable: str = ""
    place: Node | _Nobody | None = None
    slots: dict[str, str] = field(default_factory=dict)
    before: dict[str, str] = field(default_factory=dict)
    opening: str = ""
    fields: dict[str, Value] = field(default_factory=dict)


class DocumentText(FunctionText):
    """Writes fields into documents or structs."""

    def __init__(self, layout: Binary, root: Node | None = None) -> None:
        super().__init__(layout)
        self.sink = Sink(place=root)
        self.fields_put = 0
        self.collects = False
        self.openings: dict[str, list[str]] = {}

    # What is put where

    def told(self, name: str | None, value: Value, enum: str, *, collect: bool = False) -> None:
        """A number is known from here on; the document has its word, if it has words."""
        if name is not None:
            self.scope.values[name] = value
        if enum:
            value = self.worded(value, enum, self.label(name))
        self.put(name, value, collect=collect)

    def put(self, name: str | None, value: Value, *, collect: bool = False) -> None:
        """A value goes into the present document, unless its id is hidden."""
        if name is None or name.startswith("_"):
            return
        self.fields_put += 1
        sink = self.sink
        known = Value("", "list", item=replace(value, code="")) if collect else value
        sink.fields[name] = either([sink.fields[name], known]) if name in sink.fields else known
        if value.nullable:
            self.lacking.add(value.code)
        if sink.place is not None:
            self.put_into_struct(name, value, collect=collect)
        elif collect:
            maybe = f"if {value.code} is not None: " if value.nullable else ""
            self.line(f"{maybe}COLLECT({sink.variable}, {self.constant(name)}, {value.code})")
        elif sink.variable:
            self.add(sink, name, value.code)
        else:
            sink.entries.append((name, value.code))

    def worded(self, value: Value, enum: str, label: str) -> Value:
        """The word for a number."""
        words = self.layout.enums.get(enum)
        if words is None:
            raise Fault(f"there is no enum {enum!r}{near(enum, self.layout.enums)}", "enum")
        if value.kind not in ("int", "bool", "any"):
            raise Fault("an enum names whole numbers", "enum")
        table, variable = self.constant({k: w for k, w in words.items() if k != "_"}), self.fresh()
        default = self.constant(words.get("_"))
        self.line(f"{variable} = {table}.get({value.code}, {default})")
        if "_" not in words:
            maybe = f" and {value.code} is not None" if value.nullable else ""
            self.line(f"if {variable} is None{maybe}:")
            with self.indented():
                self.line(f"raise WORD({self.constant(label)}, {value.code}, {table})")
        elif value.nullable:
            self.line(f"if {value.code} is None: {variable} = None")
        return Value(variable, "text", value.nullable, max(map(len, words.values())))

    def enveloped(self) -> None:
        """Takes what the profile reads of the envelope."""
        root = self.sink.place
        place = None if root is None else root.children.get("envelope")  # type: ignore[union-attr]
        if place is not None:
            if "envelope" in self.sink.fields:
                raise IndirectError
            value = Value("context.envelope", "any", nullable=True)
            self.sink.entries.append(("envelope", self.converted(value, place)))

    def listed(self, value: Value, place: object, name: str | None) -> Value:
        """A list whose items were made as structs of a place."""
        if place is NOBODY or name is None or name.startswith("_"):
            return replace(value, place=NOBODY)
        found = self.sink.place.children.get(name)  # type: ignore[union-attr]
        if found is None or found.item is not place:
            raise IndirectError
        return replace(value, place=found)

    def inner_sink(self, name: str | None, *, listed: bool) -> Sink:
        """The document of a structure in the present one, or of an item of a list in it."""
        outer = self.sink.place
        if outer is None:
            return Sink()
        if outer is NOBODY or name is None or name.startswith("_"):
            return Sink(place=NOBODY)
        place = outer.children.get(name)  # type: ignore[union-attr]
        if place is None:
            return Sink(place=NOBODY)
        if listed:
            if place.item is None:
                return Sink()
            place = place.item
        return Sink(place=place if place.children and place.item is None else None)

    # Plain documents

    def document(self, sink: Sink) -> Value:
        """The finished document."""
        if sink.place is NOBODY:
            variable = self.fresh("d")
            self.line(f"{variable} = True")
            return Value(variable, "map", fields=sink.fields, place=NOBODY)
        if sink.place is not None:
            return self.struct(sink)
        self.start(sink)
        return Value(sink.variable, "map", fields=sink.fields)

    def start(self, sink: Sink) -> None:
        """From here on the sink's document is there, and takes fields as they come."""
        if sink.variable or sink.opening:
            return
        if sink.place is not None:
            sink.opening = f"#{len(self.openings)}"
            sink.before |= dict(sink.entries)
            self.openings[sink.opening] = []
            self.line(sink.opening)
            return
        sure: list[str] = []
        rest = list(sink.entries)
        while rest and rest[0][1] not in self.lacking:
            name, variable = rest.pop(0)
            sure.append(f"{self.constant(name)}: {variable}")
        sink.variable = self.fresh("d")
        self.line(f"{sink.variable} = {{{', '.join(sure)}}}")
        for name, variable in rest:
            self.add(sink, name, variable)

    def add(self, sink: Sink, name: str, variable: str) -> None:
        """A field goes into a document that is there."""
        key = self.constant(name)
        maybe = f"if {variable} is not None: " if variable in self.lacking else ""
        self.line(f"{maybe}{sink.variable}[{key}] = {variable}")

    # Structs

    def put_into_struct(self, name: str, value: Value, *, collect: bool) -> None:
        """Keeps a value that the profile reads for the struct at the end."""
        sink = self.sink
        place = None if sink.place is NOBODY else sink.place.children.get(name)  # type: ignore[union-attr]
        if place is None:
            return
        if collect:
            self.collect_into_struct(name, value, place)
            return
        code = self.fitted(value, place)
        if value.nullable:
            self.lacking.add(code)
        if not sink.opening:
            sink.entries.append((name, code))
            return
        maybe = f"if {code} is not None: " if value.nullable else ""
        self.line(f"{maybe}{self.slot(sink, name)} = {code}")

    def collect_into_struct(self, name: str, value: Value, place: Node) -> None:
        """Adds an item to a list of the struct."""
        plain = place.item is None and not place.children and not place.leaf - {"raw", "any"}
        if name in self.sink.before or (place.item is None and not plain):
            raise IndirectError
        code = value.code if place.item is None else self.fitted(value, place.item)
        slot = self.slot(self.sink, name)
        if value.nullable:
            self.line(f"if {code} is None: pass")
        self.line(f"{'el' * value.nullable}if {slot} is None: {slot} = [{code}]")
        self.line(f"else: {slot}.append({code})")

    def slot(self, sink: Sink, name: str) -> str:
        """The variable of a field that may come in several places."""
        if name not in sink.slots:
            self.count += 1
            slot = sink.slots[name] = f"t{self.count}"
            self.openings[sink.opening].append(f"{slot} = {sink.before.get(name)}")
            self.lacking.add(slot)
        return sink.slots[name]

    def struct(self, sink: Sink) -> Value:
        """The struct of a place, made of what is known by now; its missing parts by the shape."""
        place: Any = sink.place
        made: dict[str, str] = {}
        for name, variable in sink.entries:
            before = made.get(name)
            if before is None or variable not in self.lacking:
                made[name] = variable
            else:
                joint = self.fresh()
                self.line(f"{joint} = {before} if {variable} is None else {variable}")
                if before in self.lacking:
                    self.lacking.add(joint)
                made[name] = joint
        made |= sink.slots
        arguments = [
            self.argument(made.get(name), child)
            for name, child in sorted(place.children.items(), key=_position)
        ]
        variable = self.fresh("d")
        self.line(f"{variable} = {self.held(place.struct)}({', '.join(arguments)})")
        return Value(variable, "map", fields=sink.fields, place=place)

    def argument(self, variable: str | None, child: Node) -> str:
        """A field of a struct; None where it is absent."""
        if child.required:
            if variable is None:
                raise IndirectError
            if variable in self.lacking:
                self.line(f"if {variable} is None: return None")
            return variable
        empty = child.children and child.empty is not None and child.item is None
        absent = self.held(child.empty) if empty else "None"
        if variable is None or absent == "None" or variable not in self.lacking:
            return variable or absent
        return f"({absent} if {variable} is None else {variable})"

    def held(self, value: object) -> str:
        """A name of ours for a class or an object."""
        name = f"K{len(self.constants)}"
        self.constants[name] = value
        return name

    def fitted(self, value: Value, place: Node) -> str:
        """A variable with the value as its place has it."""
        leaf = place.leaf - {"raw"}
        if value.place is not None:
            unread = value.place is NOBODY and not (leaf or place.children or place.item)
            if value.place is not place and not unread:
                raise IndirectError
            return value.code
        if place.children or place.item is not None or len(leaf) > 1:
            return self.converted(value, place)
        kind = next(iter(leaf), "any")
        if kind == "any":
            return value.code
        if value.kind == "any" or kind not in _FITTING:
            return self.converted(value, place)
        if value.kind not in _FITTING[kind]:
            raise IndirectError
        if kind == "number" and value.kind == "int":
            none = f"None if {value.code} is None else " if value.nullable else ""
            code = self.fresh()
            self.line(f"{code} = {none}{value.code} + 0.0")
            value = replace(value, code=code)
        test = _test(kind, value)
        if test:
            maybe = f"{value.code} is not None and " if value.nullable else ""
            self.line(f"if {maybe}not {test.format(value.code)}: return None")
        return value.code

    def converted(self, value: Value, place: Node) -> str:
        """The value by the mechanism that converts documents."""
        variable = self.fresh()
        if value.nullable:
            self.line(f"{variable} = None")
            self.line(f"if {value.code} is not None:")
            self.depth += 1
        self.line("try:")
        self.line(f"    {variable} = CONVERT({value.code}, {self.held(place.type)})")
        self.line("except MISFIT:")
        self.line("    return None")
        if value.nullable:
            self.depth -= 1
        return variable


_FITTING: Final = {
    "number": ("int", "float"), "integer": ("int",), "scalar": ("int", "text"), "text": ("text",),
    "bool": ("bool",), "epoch": ("int", "float"),
}  # fmt: skip
"""Kinds of values that a leaf may take as they are."""


def _test(kind: str, value: Value) -> str:
    """What must hold of a value in such a leaf, where it is not certain; see `shape.LEAVES`."""
    if value.kind == "text":
        return f"len({{}}) <= {MAX_TEXT}" if value.bound > MAX_TEXT else ""
    if kind == "number":
        return "-1e15 < {} < 1e15" if value.risky or value.bound >= 1e15 else ""
    if kind == "integer":
        if value.natural and value.bound < _INTEGER:
            return ""
        return f"0 <= {{}} < {2**63}"
    if kind in {"scalar", "epoch"}:
        wide = value.risky or value.bound >= _INTEGER
        return f"-{2**63} < {{}} < {2**63}" if wide else ""
    return ""


def _position(named: tuple[str, Node]) -> int:
    return int(named[1].attribute[1:])


def either(values: list[Value]) -> Value:
    """What is known of a value that is one of several."""
    kinds = {value.kind for value in values}
    kind = kinds.pop() if len(kinds) == 1 else "any"
    fields: dict[str, Value] | None = None
    if kind == "map" and all(value.fields is not None for value in values):
        fields = {}
        for value in values:
            for name, one in (value.fields or {}).items():
                fields[name] = either([fields[name], one]) if name in fields else one
    item = None
    if kind == "list" and all(value.item is not None for value in values):
        item = either([value.item for value in values if value.item is not None])
    places = {id(value.place): value.place for value in values}
    return Value(
        values[0].code if values else "",
        kind,
        nullable=not values or any(value.nullable for value in values),
        bound=max((value.bound for value in values), default=UNBOUNDED),
        risky=any(value.risky for value in values),
        item=item,
        fields=fields,
        place=next(iter(places.values())) if len(places) == 1 else NOBODY if places else None,
    )
