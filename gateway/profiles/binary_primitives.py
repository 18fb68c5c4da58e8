"""Fields of bytes and bits: runs of fixed size are read by one `struct` call.

What follows from a field's value is written after its whole run is read.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from gateway.profiles.binary_documents import DocumentText
from gateway.profiles.binary_text import Fault, near
from gateway.profiles.expression_text import Value

if TYPE_CHECKING:
    from gateway.profiles.binary import Binary, BinaryField
    from gateway.profiles.shape import Node

_INT: Final = re.compile(r"^([us])([1-8])(le|be)?$")
_FLOAT: Final = re.compile(r"^f([248])(le|be)?$")
_BITS: Final = re.compile(r"^b([1-9]|[1-5][0-9]|6[0-4])(le|be)?$")
_WIDE: Final = re.compile(r"^(bcd|hex|checksum)(le|be)?$")
_BYTES: Final = ("str", "strz", "skip", "batch")
_CODES: Final = {1: "b", 2: "h", 4: "i", 8: "q"}
_FLOATS: Final = {"2": "e", "4": "f", "8": "d"}
_FOREIGN: Final = re.compile(
    r"^(?:(?P<unsigned>uint|unsigned|u)|(?P<float>float|real|f)|int|signed|i|s)_?"
    r"(?P<bits>8|16|24|32|40|48|56|64)_?(?P<order>le|be)?(?:_t)?$"
)
_FOREIGN_WORDS: Final = {
    "byte": "u1", "char": "u1", "uint": "u4", "int": "s4", "short": "s2", "word": "u2",
    "dword": "u4", "long": "s8", "float": "f4", "double": "f8", "bool": "b1", "boolean": "b1",
    "bit": "b1", "string": "str", "text": "str", "ascii": "str", "bytes": "hex", "raw": "hex",
    "padding": "skip", "pad": "skip", "reserved": "skip", "crc": "checksum",
}  # fmt: skip
"""Words of other languages for our types."""
ALGORITHMS: Final = {
    "sum8": 1, "xor8": 1, "sum16": 2, "crc8": 1, "crc16-modbus": 2, "crc16-ccitt": 2,
    "crc16-xmodem": 2, "crc16-en13757": 2, "crc32": 4,
}  # fmt: skip
"""Checksums by their width in bytes."""
PRIMITIVES: Final = (
    *(f"{sign}{width}" for sign in "us" for width in range(1, 9)), "f2", "f4", "f8", "b1",
    "bcd", "hex", "str", "strz", "skip", "checksum", "batch",
)  # fmt: skip
ENCODINGS: Final = ("ascii", "utf-8", "latin-1", "gbk", "gb18030", "utf-16le", "utf-16be")


def is_bits(kind: object) -> bool:
    """Whether a type is a bit field's."""
    return isinstance(kind, str) and _BITS.match(kind) is not None


def bits_of(kind: str, usual: str) -> tuple[int, str]:
    """Width and order of a bit field's type."""
    match = _BITS.match(kind)
    return (int(match[1]), match[2] or usual) if match else (0, usual)


def is_primitive(kind: str) -> bool:
    """Whether a type is one of bytes or bits, so that no structure can have its name."""
    return kind in _BYTES or any(form.match(kind) for form in (_INT, _FLOAT, _BITS, _WIDE))


@dataclass
class Pending:
    """A field of fixed size that is read with its neighbours."""

    label: str
    what: str
    size: int
    code: str
    variable: str
    then: Callable[[str], None]


@dataclass
class Bits:
    """A bit field that is read with its neighbours; ``then`` gets its number's code."""

    label: str
    width: int
    order: str
    then: Callable[[str], None]


class Primitives(DocumentText):
    """Reads fields of bytes and bits."""

    def __init__(self, layout: Binary, root: Node | None = None) -> None:
        super().__init__(layout, root)
        self.run: list[Pending] = []
        self.run_order = ""
        self.bits: list[Bits] = []
        self.loops = 0
        self.steady, self.advances = 0, False

    def primitive(self, one: BinaryField, then: Callable[[Value], None]) -> None:
        """A field of bytes or bits; ``then`` gets its value once the bytes are read."""
        kind = one.type
        if kind != "batch":
            self.refuse(one, "series", "tag_bits", "flags")
        if one.contents is not None:
            if kind is not None:
                raise Fault("'contents' has its own length: leave 'type' out", "type")
            self.refuse(one, "size", "enum", "value", "absent", "valid")
            size = len(one.contents)
            self.fixed(one, "contents", f"{size}s", lambda variable: self.magic(one, variable))
        elif not isinstance(kind, str):
            raise Fault("a field has a 'type', 'contents' or 'value'")
        elif match := _BITS.match(kind):
            self.bit_field(one, int(match[1]), match[2] or self.layout.bit_endian, then)
        elif match := _INT.match(kind):
            self.integer(one, match, then)
        elif match := _FLOAT.match(kind):
            order = match[2] or one.endian or self.layout.endian
            code = _FLOATS[match[1]]
            self.fixed(one, kind, code, lambda name: self.float_read(one, name, then), order)
        elif match := _WIDE.match(kind):
            # Bytes stand as they come; only numbers have the layout's order.
            usual = "be" if match[1] == "hex" else self.layout.endian
            getattr(self, f"read_{match[1]}")(one, match[2] or one.endian or usual, then)
        elif kind in _BYTES:
            getattr(self, f"read_{kind}")(one, then)
        else:
            raise Fault(f"there is no type {kind!r}{self.meant(kind)}", "type")

    def meant(self, kind: str) -> str:
        """The type that was meant by a word of another language, or that is near."""
        if kind.lower() in _FOREIGN_WORDS:
            return f"; did you mean {_FOREIGN_WORDS[kind.lower()]!r}?"
        match = _FOREIGN.match(kind.lower())
        if match is None:
            return near(kind, [*self.layout.types, *PRIMITIVES])
        letter = "f" if match["float"] else "u" if match["unsigned"] else "s"
        return f"; did you mean '{letter}{int(match['bits']) // 8}{match['order'] or ''}'?"

    def later(self, one: BinaryField, then: Callable[[str], None]) -> Callable[[str], None]:
        """What is done once the bytes are read; its faults are this field's."""
        path = self.path

        def run(code: str) -> None:
            now, self.path = self.path, path
            try:
                then(code)
            except Fault as fault:
                self.fault(fault, path)
                self.assume(one)
            finally:
                self.path = now

        return run

    def assume(self, one: BinaryField) -> None:
        """After a fault the fields behind it can still name this one."""
        if one.id:
            self.scope.values.setdefault(one.id, Value("None", "any", nullable=True))

    def fixed(
        self,
        one: BinaryField,
        what: str,
        code: str,
        then: Callable[[str], None],
        order: str = "",
    ) -> None:
        """Lines a field of fixed size up with its neighbours."""
        self.end_bits()
        size = struct.calcsize(f"<{code}")
        if order and size > 1:
            if self.run_order not in {"", order}:
                self.flush()
            self.run_order = order
        self.run.append(
            Pending(self.label(one.id), what, size, code, self.fresh(), self.later(one, then))
        )

    def flush(self) -> None:
        """Writes the reading of the fields that were lined up."""
        self.end_bits()
        run, order = self.run, self.run_order
        self.run, self.run_order = [], ""
        if not run:
            return
        total = sum(one.size for one in run)
        # At the depth of a loop itself these bytes are read by every item.
        self.advances = self.advances or (total > 0 and self.depth == self.steady)
        table = self.constant(tuple((one.label, one.what, one.size) for one in run))
        self.line(f"if {self.end} < {self.at(total)}:")
        with self.indented():
            self.line(f"raise SHORT({table}, {self.at()}, {self.end})")
        named = [one for one in run if not one.code.endswith("x")]
        if len(named) == 1 and named[0].code == "B":
            before = sum(one.size for one in run[: run.index(named[0])])
            self.line(f"{named[0].variable} = data[{self.at(before)}]")
        elif named:
            form = (">" if order == "be" else "<") + "".join(one.code for one in run)
            unpack = f"U{len(self.constants)}"
            self.constants[unpack] = form
            targets = ", ".join(one.variable for one in named)
            self.line(f"{targets}, = {unpack}(data, {self.at()})")
        for one in run:
            self.offset += one.size
            one.then(one.variable)

    def finish(self, one: BinaryField, raw: Value, then: Callable[[Value], None]) -> None:
        """What is told of a number that was read: absent, valid, computed."""
        label = self.label(one.id)
        if one.absent is not None:
            values = frozenset(self.absents(one, raw))
            self.line(f"if {raw.code} in {self.constant(values)}: {raw.code} = None")
            raw = replace(raw, nullable=True)
        if one.valid is not None:
            if raw.kind not in ("int", "float"):
                raise Fault("'valid' is the least and greatest of a number", "valid")
            low, high = (self.constant(bound) for bound in one.valid)
            maybe = f"{raw.code} is not None and " if raw.nullable else ""
            self.line(f"if {maybe}not {low} <= {raw.code} <= {high}:")
            with self.indented():
                self.line(f"raise INVALID({self.constant(label)}, {raw.code}, {low}, {high})")
        if one.value is not None:
            outer, self.scope.raw = self.scope.raw, raw
            try:
                value = self.value(one.value, "value")
            finally:
                self.scope.raw = outer
            if value.kind in ("list", "map"):
                raise Fault("'value' is a number or text", "value")
            raw = self.assign(self.fresh(), value, label)
        then(raw)

    def absents(self, one: BinaryField, raw: Value) -> Iterator[int | str]:
        """The numbers that mean absent."""
        for value in one.absent or ():
            if raw.kind == "text":
                yield str(value)
                continue
            try:
                yield int(value, 0) if isinstance(value, str) else value
            except ValueError:
                raise Fault(f"{value!r} is no whole number", "absent") from None

    def refuse(self, one: BinaryField, *keys: str) -> None:
        """Keys without a meaning for the type are faults."""
        for key in keys:
            if getattr(one, key) is not None:
                raise Fault(f"{key!r} has no meaning for {one.type!r}", key)

    def magic(self, one: BinaryField, variable: str) -> None:
        """Bytes that must be these."""
        wanted = self.constant(one.contents)
        self.line(f"if {variable} != {wanted}:")
        with self.indented():
            self.line(f"raise MAGIC({self.constant(self.label(one.id))}, {variable}, {wanted})")

    def integer(
        self, one: BinaryField, match: re.Match[str], then: Callable[[Value], None]
    ) -> None:
        """A whole number of 1 to 8 bytes."""
        self.refuse(one, "size", "encoding", "digits", "sign", "algorithm", "over")
        width, signed = int(match[2]), match[1] == "s"
        order = match[3] or one.endian or self.layout.endian

        def read(variable: str) -> None:
            if width not in _CODES:
                word = "'big'" if order == "be" else "'little'"
                self.line(f"{variable} = INT({variable}, {word}{', signed=True' * signed})")
            value = Value(variable, "int", bound=2.0 ** (8 * width), natural=not signed)
            self.finish(one, value, then)

        code = _CODES.get(width, f"{width}s")
        code = code.upper() if width in _CODES and not signed else code
        self.fixed(one, str(one.type), code, read, order)

    def float_read(self, one: BinaryField, variable: str, then: Callable[[Value], None]) -> None:
        """A float; what is not finite is absent."""
        self.refuse(one, "size", "encoding", "digits", "sign", "algorithm", "over")
        # NaN and the infinities are how instruments say 'no value'.
        self.line(f"if not -HUGE < {variable} < HUGE: {variable} = None")
        self.finish(one, Value(variable, "float", nullable=True, risky=True), then)

    def bit_field(
        self, one: BinaryField, width: int, order: str, then: Callable[[Value], None]
    ) -> None:
        """Bits line up until something else comes; their bytes are read together."""
        self.refuse(one, "size", "encoding", "digits", "sign", "algorithm", "over", "endian")
        if self.bits and self.bits[0].order != order:
            self.end_bits()
        variable = self.fresh()

        def read(code: str) -> None:
            self.line(f"{variable} = {code}{' == 1' * (width == 1)}")
            kind = "bool" if width == 1 else "int"
            self.finish(one, Value(variable, kind, bound=2.0**width, natural=True), then)

        self.bits.append(Bits(self.label(one.id), width, order, self.later(one, read)))

    def end_bits(self) -> None:
        """Bit fields end at a whole byte: bits left over in it are skipped."""
        bits, self.bits = self.bits, []
        if not bits:
            return
        total = sum(one.width for one in bits)
        size = (total + 7) // 8
        order = bits[0].order

        def read(variable: str) -> None:
            if size > 1:
                word = "'big'" if order == "be" else "'little'"
                self.line(f"{variable} = INT({variable}, {word})")
            done = 0
            for one in bits:
                shift = 8 * size - done - one.width if order == "be" else done
                done += one.width
                moved = f"{variable} >> {shift}" if shift else variable
                one.then(f"({moved} & {(1 << one.width) - 1})")

        what = f"{total} bits"
        code = "B" if size == 1 else f"{size}s"
        self.run.append(Pending(bits[0].label, what, size, code, self.fresh("w"), read))
