"""Structures, conditions, switches and repeats of a binary layout: the whole function's text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, cast

from gateway.profiles.binary_documents import IndirectError
from gateway.profiles.binary_primitives import is_bits, is_primitive
from gateway.profiles.binary_switches import Switches
from gateway.profiles.binary_text import (
    MAX_FIELDS,
    RESERVED,
    EndlessLayoutError,
    Fault,
    Path,
    Scope,
)
from gateway.profiles.expression_text import Value

if TYPE_CHECKING:
    from gateway.profiles.binary import Binary, BinaryField, Structure, Switch
    from gateway.profiles.binary_switches import Kind
    from gateway.profiles.shape import Node


MAX_NESTING: Final = 12


@dataclass
class Written:
    """A function's text, the constants it names, and the faults of its layout.

    ``fields`` are those that a document may have, with what is known of each.
    """

    text: str
    constants: dict[str, Any]
    faults: list[tuple[Path, str]]
    fields: dict[str, Value]


def write(layout: Binary) -> Written:
    """The function ``parse(data, context)`` of a layout; its text is empty when there are faults.

    Its names in capitals are those of `gateway.decode.binary`; constants are ``K`` with a number,
    and ``U`` with a number for forms of `struct`.
    """
    writer = _Layouts(layout)
    try:
        writer.whole()
    except EndlessLayoutError:
        fault = Fault("the layout unfolds into too much: nest fewer structures", "seq")
        writer.fault(fault, ())
    text = "" if writer.faults else writer.text()
    return Written(text, writer.constants, list(writer.faults), writer.sink.fields)


def write_direct(layout: Binary, root: Node) -> Written | None:
    """The same, but for the struct of a profile's shape; None where it needs a document between.

    The function gives None where a value may not fit its place: then the document is converted,
    which tells what does not.
    """
    writer = _Layouts(layout, root)
    try:
        writer.whole()
    except (IndirectError, EndlessLayoutError):
        return None
    return Written(writer.text(), writer.constants, list(writer.faults), writer.sink.fields)


class _Layouts(Switches):
    """Writes structures into each other, in line."""

    def __init__(self, layout: Binary, root: Node | None = None) -> None:
        super().__init__(layout, root)
        self.nesting = 0
        self.used: set[str] = set()

    def whole(self) -> None:
        layout = self.layout
        for name in layout.types:
            if is_primitive(name) or name == "eos":
                self.fault(Fault(f"{name!r} is a type already: call it otherwise"), ("types", name))
        self.fields(layout.seq, ("seq",))
        self.instances(layout.instances, ("instances",))
        if layout.trailing == "refuse":
            self.line(f"if size != {self.at()}:")
            with self.indented():
                self.line(f"raise TRAILING(data, {self.at()})")
        if layout.envelope is not None:
            self.enveloped()
        self.line(f"return {self.document(self.sink).code}")
        head = ["def parse(data, context):", "    size = e = len(data)",
                "    if size > MAX_BYTES:", "        raise TOO_LARGE(size)"]  # fmt: skip
        if "port" in self.uses:
            head.append("    port = PORT(context)")
        if "received" in self.uses:
            head.append("    received = RECEIVED(context)")
        if "items" in self.uses:
            head.append("    items = 0")
        if "checked" in self.uses:
            head.append("    checked = 0")
        self.lines[:0] = head
        for name in () if self.faults else layout.types.keys() - self.used:
            self.fault(Fault(f"no field is of type {name!r}: remove it"), ("types", name))

    def text(self) -> str:
        """The function as it stands now."""
        lines = []
        for line in self.lines:
            if line.split(maxsplit=1)[0] in self.unused:
                continue
            slots = self.openings.get(line.strip())
            if slots is not None:
                line = line.replace(line.strip(), "; ".join(slots) or "pass")  # noqa: PLW2901
            lines.append(line)
        return "\n".join(lines)

    # Fields

    def fields(self, seq: Iterable[BinaryField], path: Path) -> None:
        """The fields of a structure, in the present scope and sink."""
        seq = tuple(seq)
        self.scope.later |= {one.id for one in seq if one.id}
        seen: set[str] = set()
        for number, one in enumerate(seq):
            self.path = (*path, number)
            self.safely(one, self.path, seen)
        self.path = path
        self.flush()

    def safely(self, one: BinaryField, path: Path, seen: set[str]) -> None:
        """One field; after a fault the rest is still looked at."""
        self.visited += 1
        if self.visited > MAX_FIELDS:
            raise EndlessLayoutError
        if one.id in RESERVED:
            self.fault(Fault(f"{one.id!r} means something else in an expression", "id"), path)
        if one.id is not None and one.id in seen:
            self.fault(Fault(f"two fields have the id {one.id!r}", "id"), path)
        seen.add(one.id or "")
        if not self.attempt(path, lambda: self.field(one)):
            self.assume(one)

    def instances(self, instances: Mapping[str, Any], path: Path) -> None:
        """Values computed after the fields."""
        from gateway.profiles.binary import BinaryField  # noqa: PLC0415 - it imports this module

        seen = set(self.scope.later)
        self.scope.later |= set(instances)
        for name, what in instances.items():
            self.path = (*path, name)
            one = what if isinstance(what, BinaryField) else BinaryField(value=what)
            if one.type is not None or one.contents is not None:
                fault = Fault("an instance is computed: it has 'value' (and 'if', 'enum')", "type")
                self.fault(fault, self.path)
                continue
            self.safely(one.model_copy(update={"id": name}), self.path, seen)

    def field(self, one: BinaryField) -> None:
        if one.repeat is None:
            for kind, key in (("expr", "repeat-expr"), ("until", "repeat-until")):
                if getattr(one, key.replace("-", "_")) is not None:
                    raise Fault(f"say 'repeat: {kind}' too", key)
        computed = one.type is None and one.contents is None
        joins = one.id is None and self.structured(one.type)
        branches = one.condition is not None or one.repeat is not None or self.switches(one.type)
        if computed or joins or one.collect or one.condition is not None:
            self.flush()
        if one.collect or (joins and branches):
            self.start(self.sink)
        if one.condition is None:
            self.unconditional(one, computed=computed, joins=joins)
            return
        if is_bits(one.type):
            raise Fault("a bit field has no 'if': put the bits into a structure with one", "if")
        self.conditional(one, lambda: self.unconditional(one, computed=computed, joins=joins))

    def conditional(self, one: BinaryField, body: Callable[[], None]) -> None:
        """Reads the field only if its condition holds; else what it makes is None."""
        condition = self.value("" if one.condition is None else one.condition, "if")
        if condition.kind not in {"bool", "int"}:
            raise Fault(f"{one.condition!r} is neither true nor false: compare it", "if")
        held = self.fresh("c")
        self.assign(held, condition, self.label(one.id))
        before, made, known = self.at(), len(self.made), set(self.scope.values)
        sink, self.sink = self.sink, replace(self.sink, entries=[])
        self.line(f"if {held}:")
        with self.indented():
            body()
            self.flush()
            moved = self.at() != before
            if moved:
                self.line(f"p = {self.at()}")
        self.line("else:")
        with self.indented():
            if moved:
                self.line(f"p = {before}")
            names = self.made[made:]
            if names:
                self.line(f"{' = '.join(names)} = None")
        self.lacking.update(names)
        sink.entries.extend(self.sink.entries)
        self.sink = sink
        for name in self.scope.values.keys() - known:
            self.scope.values[name] = replace(self.scope.values[name], nullable=True)
        if moved:
            self.base, self.offset = "p", 0

    def unconditional(self, one: BinaryField, *, computed: bool, joins: bool) -> None:
        def told(value: Value) -> None:
            self.told(one.id, value, one.enum or "", collect=one.collect)

        if computed:
            self.computed(one)
        elif one.repeat is not None:
            self.repeated(one, joins=joins)
        elif self.structured(one.type):
            value = self.complex(one, joins=joins)
            if value is not None:
                told(value)
        else:
            self.primitive(one, told)

    def computed(self, one: BinaryField) -> None:
        """A field that reads nothing."""
        if one.value is None:
            raise Fault("a field has a 'type', 'contents' or 'value'")
        if one.id is None:
            raise Fault("a computed field needs an 'id'")
        if one.repeat is not None:
            raise Fault("to compute a list, repeat a structure of computed fields", "repeat")
        for key in ("size", "absent", "valid", "endian", "encoding", "digits"):
            if getattr(one, key) is not None:
                raise Fault(f"a computed field reads nothing: {key!r} has no meaning", key)
        label = self.label(one.id)
        value = self.assign(self.fresh(), self.value(one.value, "value"), label)
        if value.kind in {"list", "map"}:
            raise Fault("a computed field is a number or text", "value")
        self.told(one.id, value, one.enum or "", collect=one.collect)

    # Structures

    def named(self, kind: Kind) -> Kind:
        return self.layout.types.get(kind, kind) if isinstance(kind, str) else kind

    def structured(self, kind: Kind) -> bool:
        return kind is not None and not isinstance(self.named(kind), str)

    def switches(self, kind: Kind) -> bool:
        return hasattr(self.named(kind), "cases")

    def complex(self, one: BinaryField, *, joins: bool) -> Value | None:
        """A structure or switch; None when it joined the document around it."""
        for key in ("enum", "value", "absent", "valid", "contents", "encoding", "digits"):
            if getattr(one, key) is not None:
                raise Fault(f"{key!r} has no meaning for a structure", key)
        self.flush()
        path = (*self.path, "type")
        self.collects = one.collect
        if one.size is None:
            return self.inner(one.type, path, one.id, joins=joins)
        outer, end = self.end, self.fresh("e")
        if one.size == "eos":
            self.line(f"{end} = {self.end}")
        else:
            length = self.length(one)
            self.line(f"{end} = {self.at()} + {length}")
        self.end = end
        value = self.inner(one.type, path, one.id, joins=joins)
        self.line(f"p = {end}")
        self.base, self.offset, self.end = "p", 0, outer
        return value

    def inner(self, kind: Kind, path: Path, name: str | None, *, joins: bool) -> Value | None:
        """A structure or switch in place of its field."""
        named = kind if isinstance(kind, str) else ""
        if named in self.inside and named:
            raise Fault(f"type {named!r} contains itself", *path, absolute=True)
        if named:
            path, kind = ("types", named), self.layout.types[named]
            self.used.add(named)
        if self.nesting == MAX_NESTING:
            raise Fault(f"structures lie deeper than {MAX_NESTING} in each other")
        at, self.path = self.path, path
        self.nesting += 1
        self.inside.append(named)
        if hasattr(kind, "cases"):
            value = self.switch(cast("Switch", kind), path, name, joins=joins)
        else:
            fields = cast("Structure | tuple[BinaryField, ...]", kind)
            value = self.structure(fields, path, name, joins=joins)
        self.inside.pop()
        self.nesting -= 1
        self.path = at
        return value

    def structure(
        self,
        kind: Structure | tuple[BinaryField, ...],
        path: Path,
        name: str | None,
        *,
        joins: bool,
    ) -> Value | None:
        scope, sink = self.scope, self.sink
        self.scope = Scope(f"{scope.label}{name}." if name else scope.label, scope)
        if not joins:
            # Right in a repeat the structure is an item.
            self.sink = self.inner_sink(name, listed=bool(scope.index) or self.collects)
        self.collects = False
        if isinstance(kind, tuple):
            self.fields(kind, path)
        else:
            self.fields(kind.seq, (*path, "seq"))
            self.instances(kind.instances, (*path, "instances"))
        value = None
        if joins:
            scope.values.update(self.scope.values)
        else:
            value = replace(self.document(self.sink), members=self.members(self.scope))
        self.scope, self.sink = scope, sink
        return value
