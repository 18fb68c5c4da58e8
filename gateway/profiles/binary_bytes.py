"""Fields of bytes: texts, digits, hexadecimal, checksums, and what is skipped."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

from gateway.profiles.binary_primitives import ALGORITHMS, ENCODINGS, Primitives
from gateway.profiles.binary_text import Fault, near
from gateway.profiles.expression_text import Value, closed

if TYPE_CHECKING:
    from gateway.profiles.binary import BinaryField

MAX_SIZE: Final = 65_536
SUMS: Final = {name: f"SUM_{name.upper().replace('-', '_')}" for name in ALGORITHMS}
"""Names of the functions of checksums in the text."""
_WHOLE: Final = {1: "B", 2: "H", 4: "I"}


class ByteFields(Primitives):
    """Reads fields of bytes; `Primitives.primitive` calls them by the name of the type."""

    def length(self, one: BinaryField) -> str:
        """A variable with a length that fits into what is left."""
        expression = "" if one.size is None else one.size
        value = self.value(expression, "size")
        if value.kind not in ("int", "bool"):
            raise Fault(f"{expression!r} is no whole number", "size")
        variable = self.fresh("n")
        self.assign(variable, value, self.label(one.id))
        label = self.constant(self.label(one.id))
        missing = f"{variable} is None or " if value.nullable else ""
        self.line(f"if {missing}not 0 <= {variable} <= {self.end} - ({self.at()}):")
        with self.indented():
            self.line(f"raise LENGTH({label}, {variable}, {self.at()}, {self.end})")
        return variable

    def bytes_of(self, one: BinaryField, then: Callable[[str], None], code: str = "s") -> None:
        """Bytes of a fixed or computed size."""
        size, what = one.size, str(one.type)
        if size is None:
            raise Fault(f"type {what!r} needs a 'size' in bytes, or 'size: eos'", "size")
        if isinstance(size, str) and re.fullmatch(r"0[xX][0-9a-fA-F]+|[0-9]+", size):
            size = int(size, 0)
        if isinstance(size, int):
            if not 0 < size <= MAX_SIZE:
                raise Fault(f"a size is 1 to {MAX_SIZE} bytes", "size")
            self.fixed(one, what, f"{size}{code}", then)
            return
        self.flush()
        variable = self.fresh()
        if size == "eos":
            self.line(f"{variable} = data[{self.at()}:{self.end}]")
            self.line(f"p = {self.end}")
        else:
            length = self.length(one)
            self.line(f"p = {self.at()} + {length}")
            self.line(f"{variable} = data[p - {length}:p]")
        self.base, self.offset = "p", 0
        then(variable)

    def read_skip(self, one: BinaryField, _: Callable[[Value], None]) -> None:
        """Bytes of no interest."""
        self.refuse(one, "encoding", "digits", "sign", "algorithm", "over", "enum", "value")
        self.refuse(one, "absent", "valid", "endian")
        self.bytes_of(one, lambda _: None, "x")

    def read_batch(self, one: BinaryField, then: Callable[[Value], None]) -> None:
        """Samples of several series in the coding of Watteco's batch reports."""
        self.refuse(one, "encoding", "digits", "sign", "algorithm", "over", "enum", "value")
        self.refuse(one, "absent", "valid", "endian")
        if one.series is None or one.tag_bits is None:
            raise Fault("a batch has 'series' by tag, and 'tag-bits'", "series")
        self.uses.add("received")
        sorts = {
            tag: (
                of.id,
                int(of.type[1:]) * (1 if of.type[0] == "b" else 8),
                of.type[0],
                # A whole step keeps counters whole.
                int(of.step) if of.step.is_integer() else of.step,
            )
            for tag, of in one.series.items()
        }
        table = self.constant((one.tag_bits, sorts))
        label = self.constant(self.label(one.id))

        def read(variable: str) -> None:
            if one.flags is not None:
                flags = closed(self.value(one.flags, "flags"))
                if flags.kind != "int" or flags.nullable:
                    raise Fault(f"{one.flags!r} is no byte that was read", "flags")
                first = f"({flags.code} & 255).to_bytes(1, 'big')"
                self.line(f"{variable} = {first} + {variable}")
            self.line(f"{variable} = BATCH({variable}, {table}, received, {label})")
            then(Value(variable, "map"))

        self.bytes_of(one, read)

    def read_hex(self, one: BinaryField, order: str, then: Callable[[Value], None]) -> None:
        """Bytes as hexadecimal text, in their order or turned round."""
        self.refuse(one, "encoding", "digits", "sign", "algorithm", "over", "enum")

        def read(variable: str) -> None:
            turned = "[::-1]" if order == "le" else ""
            self.line(f"{variable} = {variable}{turned}.hex()")
            self.finish(one, Value(variable, "text"), then)

        self.bytes_of(one, read)

    def encoding(self, one: BinaryField) -> str:
        """The encoding of a text."""
        name = one.encoding or "ascii"
        if name.lower() not in ENCODINGS:
            raise Fault(f"there is no encoding {name!r}{near(name, ENCODINGS)}", "encoding")
        return name.lower()

    def read_str(self, one: BinaryField, then: Callable[[Value], None]) -> None:
        """A text of a size in bytes."""
        self.refuse(one, "endian", "digits", "sign", "algorithm", "over", "enum")
        encoding = self.constant(self.encoding(one))
        label = self.constant(self.label(one.id))

        def read(variable: str) -> None:
            self.line(f"{variable} = TEXT({variable}, {encoding}, {label})")
            self.finish(one, Value(variable, "text"), then)

        self.bytes_of(one, read)

    def read_strz(self, one: BinaryField, then: Callable[[Value], None]) -> None:
        """A text up to a 0 byte."""
        self.refuse(one, "endian", "size", "digits", "sign", "algorithm", "over", "enum")
        encoding, label = self.constant(self.encoding(one)), self.constant(self.label(one.id))
        if self.encoding(one).startswith("utf-16"):
            raise Fault("a 0 byte ends no UTF-16 text: use 'str' with a 'size'", "encoding")
        self.flush()
        variable, end = self.fresh(), self.fresh("n")
        self.line(f"{end} = data.find(0, {self.at()}, {self.end})")
        self.line(f"if {end} < 0:")
        with self.indented():
            self.line(f"raise ENDLESS({label}, {self.at()}, {self.end})")
        self.line(f"{variable} = TEXT(data[{self.at()}:{end}], {encoding}, {label})")
        self.line(f"p = {end} + 1")
        self.base, self.offset = "p", 0
        self.finish(one, Value(variable, "text"), then)

    def read_bcd(self, one: BinaryField, order: str, then: Callable[[Value], None]) -> None:
        """Decimal digits, two a byte; what is no digit makes the number absent."""
        self.refuse(one, "encoding", "algorithm", "over")
        digits = one.digits
        if digits is None and isinstance(one.size, int):
            digits = 2 * one.size
        if digits is None or not 1 <= digits <= 32:
            raise Fault("type 'bcd' needs its 'digits', or its 'size' in bytes", "digits")
        size = (digits + 1) // 2
        if one.size not in (None, size):
            raise Fault(f"{digits} digits are {size} bytes, not {one.size}", "size")
        turned = "[::-1]" if order == "le" else ""
        odd = digits % 2

        def read(variable: str) -> None:
            self.line(f"{variable} = {variable}{turned}.hex()")
            if one.sign:
                self.line(f"{variable} = BCD_{one.sign.upper()}({variable})")
            elif odd:
                self.line(f"{variable} = {variable}[1:]")
            if not one.sign:
                self.line(f"{variable} = int({variable}) if {variable}.isdecimal() else None")
            natural = one.sign is None
            value = Value(variable, "int", nullable=True, bound=10.0**digits, natural=natural)
            self.finish(one, value, then)

        self.fixed(one, "bcd", f"{size}s", read)

    def read_checksum(self, one: BinaryField, order: str, _: Callable[[Value], None]) -> None:
        """A checksum of the bytes before it, or of those that ``over`` names."""
        self.refuse(one, "size", "encoding", "digits", "sign", "enum", "value", "absent", "valid")
        name = one.algorithm or ""
        if name not in ALGORITHMS:
            raise Fault(f"there is no algorithm {name!r}{near(name, ALGORITHMS)}", "algorithm")
        width = ALGORITHMS[name]

        def read(variable: str) -> None:
            first, last, judged = "0", self.at(-width), False
            if one.over is not None:
                judged = True
                first, last = self.fresh(), self.fresh()
                for number, target in enumerate((first, last)):
                    value = closed(self.value(one.over[number], "over", number))
                    if value.kind != "int":
                        raise Fault("a position is a whole number", "over", number)
                    self.assign(target, value, self.label(one.id))
            label = self.label(one.id)
            if self.loops:
                self.uses.add("checked")
                self.line(f"checked += {last} - {first}" if one.over is None else "checked += size")
                self.line("if checked > CHECKED:")
                with self.indented():
                    self.line(f"raise OFTEN({self.constant(label)}, {last})")
            what = f"{self.constant(label)}, {self.constant(name)}, data, {first}, {last}"
            if not judged:
                # The sum is the call that most frames need, so it stands here itself.
                sums = f"data[{first}:{last}]"
                found = "sum({}) & 255" if name == "sum8" else f"{SUMS[name]}({{}})"
                self.line(f"if {found.format(sums)} != {variable}:")
            with self.indented() if not judged else nullcontext():
                self.line(f"CHECK({what}, {variable})")

        self.fixed(one, f"checksum {name}", _WHOLE[width], read, order)
