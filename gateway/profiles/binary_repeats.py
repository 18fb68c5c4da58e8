"""Lists of a binary layout: to the end, a number of times, or until a condition holds."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from gateway.profiles.binary_bytes import ByteFields
from gateway.profiles.binary_documents import IndirectError
from gateway.profiles.binary_primitives import bits_of, is_bits
from gateway.profiles.binary_text import MAX_ITEMS, Fault, Scope
from gateway.profiles.expression_text import Value

if TYPE_CHECKING:
    from gateway.profiles.binary import BinaryField

MAX_LOOPS: Final = 6
FIELDS_OF_AN_ITEM: Final = 16
"""An item of a list with more fields counts as several items."""


@dataclass(frozen=True)
class Loop:
    """Names of a loop: its field's label, the position, what an item counts, and the list."""

    label: str
    index: str
    cost: str
    items: str


class Repeats(ByteFields):
    """Writes the loops of repeated fields."""

    bit_items = ""

    @abstractmethod
    def structured(self, kind: Any) -> bool:  # noqa: ANN401 - any form of a type
        """Whether a type is a structure or switch."""

    @abstractmethod
    def complex(self, one: BinaryField, *, joins: bool) -> Value | None:
        """A structure or switch; None when it joined the document around it."""

    def repeated(self, one: BinaryField, *, joins: bool) -> None:
        """A list of items, or structures that join one after the other."""
        if self.loops == MAX_LOOPS:
            raise Fault(f"repeats lie deeper than {MAX_LOOPS} in each other", "repeat")
        self.flush()
        self.loops += 1
        self.uses.add("items")
        fields = self.fields_put
        loop = Loop(
            self.constant(self.label(one.id)), self.fresh("i"), f"C{len(self.constants)}",
            self.fresh(),
        )  # fmt: skip
        self.unused.add(loop.index)
        self.constants[loop.cost] = 1
        bits = is_bits(one.type)
        opening = self.bits_opening(one, loop) if bits else self.opening(one, loop)
        self.settle()
        head = len(self.lines)
        if not joins:
            self.line(f"{loop.items} = []")
        for text in opening:
            self.line(text)
        outer = self.scope
        self.scope = Scope(outer.label, outer, index=loop.index)
        with self.indented():
            if bits:
                value: Value | None = self.bits_item(one, loop)
            else:
                value = self.one_item(one, loop, head, joins=joins)
        self.scope = outer
        self.loops -= 1
        # Computed fields cost a payload no bytes: an item of many counts as several.
        self.constants[loop.cost] = max(1, (self.fields_put - fields) // FIELDS_OF_AN_ITEM)
        if not joins and value is not None:
            told = Value(loop.items, "list", item=replace(value, code=""))
            if value.kind == "map" and value.fields is not None:
                told = replace(told, item=self.in_list(value))
            if value.place is not None:
                told = self.listed(told, value.place, one.id)
            self.told(one.id, told, "", collect=one.collect)

    def counted(self, one: BinaryField) -> str:
        """A variable with the number of items of ``repeat: expr``, or None."""
        if one.repeat_expr is None:
            raise Fault("'repeat: expr' needs 'repeat-expr', the number of items", "repeat")
        number, count = self.value(one.repeat_expr, "repeat-expr"), self.fresh("n")
        if number.kind not in {"int", "bool"}:
            raise Fault(f"{one.repeat_expr!r} is no whole number", "repeat-expr")
        self.assign(count, number, self.label(one.id))
        return count

    def bounded(self, loop: Loop, count: str) -> None:
        """Refuses more items than a message may have."""
        counts = f"{count} * {loop.cost}"
        self.line(f"if {count} is None or not 0 <= {counts} <= {MAX_ITEMS} - items:")
        with self.indented():
            self.line(f"raise MANY({loop.label}, {count}, {self.at()})")
        self.line(f"items += {counts}")

    def opening(self, one: BinaryField, loop: Loop) -> list[str]:
        """The line that begins the loop, and what stands before it."""
        if one.repeat == "eos":
            return [f"{loop.index} = -1", f"while p < {self.end}:"]
        if one.repeat == "until":
            if one.repeat_until is None:
                raise Fault("'repeat: until' needs 'repeat-until', the condition to stop", "repeat")
            return [f"{loop.index} = -1", "while True:"]
        count = self.counted(one)
        self.bounded(loop, count)
        return [f"for {loop.index} in range({count}):"]

    def one_item(self, one: BinaryField, loop: Loop, head: int, *, joins: bool) -> Value | None:
        """What the loop does; an item that takes no bytes would go on for ever."""
        start = self.fresh("q")
        if one.repeat != "expr":
            self.line(f"{loop.index} += 1")
            self.line(f"items += {loop.cost}")
            self.line(f"if items > {MAX_ITEMS}:")
            with self.indented():
                self.line(f"raise MANY({loop.label}, items, p)")
            self.line(f"{start} = p")
        outer = self.steady, self.advances
        self.steady, self.advances = self.depth, False
        value = self.item(one, loop.items, joins=joins)
        advances = self.advances
        self.steady, self.advances = outer
        self.settle()
        if one.repeat != "expr" and not advances:
            self.line(f"if p == {start}:")
            with self.indented():
                self.line(f"raise STUCK({loop.label}, p)")
        elif one.repeat != "expr":
            self.unused.add(start)
        if one.repeat == "until":
            self.stop(one, value)
        self.keep(value, head)
        return value

    def item(self, one: BinaryField, items: str, *, joins: bool) -> Value | None:
        """One item; what is absent keeps its place as None."""
        if self.structured(one.type):
            value = self.complex(one, joins=joins)
        else:
            found: list[Value] = []
            self.primitive(one, found.append)
            self.flush()
            value = found[0] if found else None
            if value is not None and one.enum:
                value = self.worded(value, one.enum, self.label(one.id))
        if value is not None:
            self.line(f"{items}.append({value.code})")
        return value

    def bits_opening(self, one: BinaryField, loop: Loop) -> list[str]:
        """Items of bits stand one after the other without a gap; their bytes are one number."""
        width, order = bits_of(str(one.type), self.layout.bit_endian)
        if one.repeat == "until":
            raise Fault("bits are repeated 'eos' or 'expr' times", "repeat")
        size = self.fresh("n")
        if one.repeat == "eos":
            count = self.fresh("n")
            self.line(f"{size} = {self.end} - ({self.at()})")
            self.line(f"{count} = {size} * 8 // {width}")
            self.bounded(loop, count)
        else:
            count = self.counted(one)
            self.bounded(loop, count)
            self.line(f"{size} = ({count} * {width} + 7) // 8")
            self.line(f"if {size} > {self.end} - ({self.at()}):")
            with self.indented():
                self.line(f"raise LENGTH({loop.label}, {size}, {self.at()}, {self.end})")
        self.line(f"p = {self.at()} + {size}")
        word, whole = "'big'" if order == "be" else "'little'", self.fresh("w")
        self.line(f"{whole} = INT(data[p - {size}:p], {word})")
        self.base, self.offset = "p", 0
        if order == "be":
            self.line(f"{whole} >>= 8 * {size} - {width} * {count}")
            first = f"({count} - 1 - {loop.index})"
        else:
            first = loop.index
        self.bit_items = f"{whole} >> {width} * {first}"
        return [f"for {loop.index} in range({count}):"]

    def bits_item(self, one: BinaryField, loop: Loop) -> Value:
        """One item of bits."""
        width, _ = bits_of(str(one.type), "")
        item, bit = self.fresh(), " == 1" * (width == 1)
        self.unused.discard(loop.index)
        self.line(f"{item} = ({self.bit_items} & {(1 << width) - 1}){bit}")
        found: list[Value] = []
        read = Value(item, "bool" if width == 1 else "int", bound=2.0**width, natural=True)
        self.finish(one, read, found.append)
        value = self.worded(found[0], one.enum, self.label(one.id)) if one.enum else found[0]
        self.line(f"{loop.items}.append({value.code})")
        return value

    def keep(self, value: Value | None, head: int) -> None:
        """Keeps what the next item asks of this one."""
        for name, (variable, path) in self.scope.previous.items():
            known = value.members if value is not None else self.members(self.scope)
            if known is None:
                raise Fault("'_prev' needs items of one structure, not of a switch", "type")
            try:
                last = known("", name)
            except ValueError as error:
                raise Fault(f"'_prev.{name}': {error}", *path, absolute=True) from error
            if last.kind not in {"int", "float", "bool", "any"}:
                raise Fault(f"'_prev.{name}' is no number", *path, absolute=True)
            self.line(f"{variable} = {last.code}")
            self.lines.insert(head, f"{'    ' * (self.depth - 1)}{variable} = None")

    def stop(self, one: BinaryField, value: Value | None) -> None:
        """Ends the loop of ``repeat: until``."""
        self.scope.raw = value
        condition, held = self.value(one.repeat_until or "", "repeat-until"), self.fresh("c")
        if condition.kind not in {"bool", "int"}:
            raise Fault(f"{one.repeat_until!r} is neither true nor false", "repeat-until")
        self.assign(held, condition, self.label(one.id))
        self.line(f"if {held}:")
        with self.indented():
            self.line("break")

    def in_list(self, value: Value) -> Value:
        """A structure in a list: its fields are looked up in its document."""
        fields = value.fields or {}

        def member(code: str, name: str) -> Value:
            if value.place is not None:
                raise IndirectError
            if name not in fields:
                raise Fault(f"'{name}' is not in the document: an id without '_' is", "value")
            return replace(fields[name], code=f"{code}[{self.constant(name)}]", nullable=True)

        return Value("", "map", members=member, fields=value.fields)
