"""The text of the function that reads a binary layout, and every fault found while writing it.

One function a layout: runs of fields of fixed size are one `struct` call, sub-structures stand in
line, positions are constants as long as they are known.  Only names made here stand in the text;
texts and numbers of the profile are constants of its namespace.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from gateway.profiles.expressions import (
    UNBOUNDED,
    ExpressionError,
    Value,
    closed,
    emit,
    parse,
)

if TYPE_CHECKING:
    from gateway.profiles.binary import Binary, BinaryField, Structure, Switch

MAX_ITEMS: Final = 10_000
"""Items of all lists of one message together."""
MAX_NESTING: Final = 12
MAX_LOOPS: Final = 6
MAX_LINES: Final = 20_000

_INT: Final = re.compile(r"^([us])([1-8])(le|be)?$")
_FLOAT: Final = re.compile(r"^f([248])(le|be)?$")
_BITS: Final = re.compile(r"^b([1-9]|[1-5][0-9]|6[0-4])(le|be)?$")
_WIDE: Final = re.compile(r"^(bcd|hex|bytes|str|strz|skip|checksum)(le|be)?$")
_CODES: Final = {1: "b", 2: "h", 4: "i", 8: "q"}
_FLOATS: Final = {2: "e", 4: "f", 8: "d"}
ALGORITHMS: Final = {
    "sum8": 1, "xor8": 1, "sum16": 2, "crc8": 1, "crc16-modbus": 2, "crc16-ccitt": 2,
    "crc16-xmodem": 2, "crc16-en13757": 2, "crc32": 4,
}  # fmt: skip
"""Checksums by their width in bytes."""
PRIMITIVES: Final = (
    *(f"{sign}{width}" for width in range(1, 9) for sign in "us"), "f2", "f4", "f8", "b1",
    "bcd", "hex", "str", "strz", "skip", "checksum",
)  # fmt: skip
ENCODINGS: Final = ("ascii", "utf-8", "latin-1", "gbk", "gb18030", "utf-16le", "utf-16be")

Path = tuple[str | int, ...]


class Fault(Exception):  # noqa: N818 - a fault of a layout, collected and told together
    """Something is wrong at a key below the field being written."""

    def __init__(self, message: str, *key: str | int) -> None:
        super().__init__(message)
        self.message = message
        self.key = key


@dataclass
class Written:
    """A function's text, the constants it names, and the faults of its layout."""

    text: str
    constants: dict[str, Any]
    faults: list[tuple[Path, str]]


@dataclass
class Scope:
    """What a structure's expressions can name."""

    label: str
    parent: Scope | None = None
    values: dict[str, Value] = field(default_factory=dict)
    later: set[str] = field(default_factory=set)
    raw: Value | None = None
    index: str = ""
    previous: dict[str, str] | None = None

    def find(self, name: str) -> Value | None:
        """A field read before, here or in a structure around."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.values:
                return scope.values[name]
            scope = scope.parent
        return None

    def known(self) -> Iterator[str]:
        """Names that an expression here may use."""
        scope: Scope | None = self
        while scope is not None:
            yield from scope.values
            scope = scope.parent


@dataclass
class Sink:
    """A document being filled: written as one display at its end, or field by field."""

    entries: list[tuple[str, str]] = field(default_factory=list)
    variable: str = ""


@dataclass
class Pending:
    """A field of fixed size that is read with its neighbours."""

    label: str
    what: str
    size: int
    code: str
    variable: str
    then: Callable[[], None]


def write(layout: Binary) -> Written:
    """The function ``parse(data, context)`` of a layout; its text is empty when there are faults."""
    writer = _Writer(layout)
    writer.whole()
    text = "" if writer.faults else "\n".join(writer.lines)
    return Written(text, writer.constants, writer.faults)


def _near(word: str, choices: Iterable[str]) -> str:
    choices = list(dict.fromkeys(choices))
    near = difflib.get_close_matches(word, choices, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; one of {', '.join(choices)}" if 0 < len(choices) <= 40 else ""


class _Writer:
    def __init__(self, layout: Binary) -> None:
        self.layout = layout
        self.lines: list[str] = []
        self.constants: dict[str, Any] = {}
        self.faults: list[tuple[Path, str]] = []
        self.depth = 1
        self.count = 0
        self.loops = 0
        self.inside: list[str] = []
        self.nesting = 0
        self.base, self.offset, self.end = "", 0, "e"
        self.run: list[Pending] = []
        self.run_order = ""
        self.bits: list[tuple[int, str, Callable[[str], None]]] = []
        self.scope = Scope("")
        self.sink = Sink()
        self.uses: set[str] = set()
        self.path: Path = ()
        self.lacking: set[str] = set()

    # -- text

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)
        if len(self.lines) > MAX_LINES:
            raise Fault("the layout unfolds into too much: use fewer structures inside each other")

    def fresh(self, letter: str = "v") -> str:
        self.count += 1
        return f"{letter}{self.count}"

    def constant(self, value: object) -> str:
        """A name of ours for a constant of the profile."""
        name = f"K{len(self.constants)}"
        self.constants[name] = value
        return name

    @contextmanager
    def indented(self) -> Iterator[None]:
        self.depth += 1
        yield
        self.depth -= 1

    def at(self, extra: int = 0) -> str:
        """The present position."""
        offset = self.offset + extra
        if not self.base:
            return str(offset)
        return f"{self.base} + {offset}" if offset else self.base

    def settle(self) -> None:
        """Brings the position into the variable ``p``."""
        self.flush()
        if (self.base, self.offset) != ("p", 0):
            self.line(f"p = {self.at()}")
            self.base, self.offset = "p", 0

    # -- names of expressions

    def name(self, name: str) -> Value:
        """What a name means at this field."""
        special = self.special(name)
        if special is not None:
            return special
        found = self.scope.find(name)
        if found is not None:
            return found
        scope: Scope | None = self.scope
        while scope is not None:
            if name in scope.later:
                raise ExpressionError(f"{name!r} is read later: only fields before this are known")
            scope = scope.parent
        words = [*self.scope.known(), "_index", "_size", "_port", "_received", "_left", "_pos"]
        raise ExpressionError(f"there is no field {name!r}{_near(name, words)}")

    def special(self, name: str) -> Value | None:
        scope: Scope | None = self.scope
        if name == "_":
            if self.scope.raw is None:
                raise ExpressionError("'_' is the number that was read: this field reads none")
            return self.scope.raw
        if name == "_size":
            return Value("size", "int", bound=2.0**27)
        if name in ("_port", "_received"):
            self.uses.add(name)
            return Value(name[1:], "int", nullable=name == "_port", bound=2.0**40)
        if name in ("_pos", "_left"):
            code = self.at() if name == "_pos" else f"{self.end} - ({self.at()})"
            return Value(f"({code})", "int", bound=2.0**27)
        if name == "_index":
            while scope is not None and not scope.index:
                scope = scope.parent
            if scope is None:
                raise ExpressionError("'_index' is the position in a repeat: there is none here")
            return Value(scope.index, "int", bound=MAX_ITEMS)
        if name == "_prev":
            while scope is not None and scope.previous is None:
                scope = scope.parent
            if scope is None:
                raise ExpressionError("'_prev' is the item before in a repeat: there is none here")
            return Value("", "map", members=self.previous(scope))
        if name in ("_parent", "_root"):
            scope = self.scope.parent
            while name == "_root" and scope is not None and scope.parent is not None:
                scope = scope.parent
            return Value("", "map", members=self.members(scope or self.scope))
        return None

    def previous(self, scope: Scope) -> Callable[[str, str], Value]:
        def member(_: str, name: str) -> Value:
            assert scope.previous is not None
            variable = scope.previous.setdefault(name, self.fresh("o"))
            return Value(variable, "float", nullable=True, risky=True)

        return member

    def members(self, scope: Scope) -> Callable[[str, str], Value]:
        def member(_: str, name: str) -> Value:
            if name == "_parent" and scope.parent is not None:
                return Value("", "map", members=self.members(scope.parent))
            if name in scope.values:
                return scope.values[name]
            if name in scope.later:
                raise ExpressionError(f"{name!r} is read later: only fields before this are known")
            raise ExpressionError(f"there is no field {name!r}{_near(name, scope.values)}")

        return member

    def listed(self, scope: Scope) -> Callable[[str, str], Value]:
        """Fields of a structure that lies in a list: only what the document shows is there."""

        def member(code: str, name: str) -> Value:
            if name not in scope.values or name.startswith("_"):
                words = [word for word in scope.values if not word.startswith("_")]
                raise ExpressionError(f"an item has no field {name!r}{_near(name, words)}")
            return replace(scope.values[name], code=f"{code}[{self.constant(name)}]", nullable=True)

        return member

    # -- expressions

    def value(self, expression: str | float, *key: str | int) -> Value:
        try:
            return emit(parse(expression), self)
        except ExpressionError as error:
            raise Fault(str(error), *key) from error

    def assign(self, target: str, value: Value, label: str) -> Value:
        """Computes into a variable; what is absent gives None, what is absurd is refused."""
        value, code = closed(value), closed(value).code
        guarded = value.nullable or value.divides
        if guarded:
            self.line("try:")
            with self.indented():
                self.line(f"{target} = {code}")
            self.line("except ABSENT:")
            with self.indented():
                self.line(f"{target} = None")
        else:
            self.line(f"{target} = {code}")
        if value.divides:
            self.line("except ZeroDivisionError:")
            with self.indented():
                self.line(f"raise DIVIDED({self.constant(label)})")
        number = value.kind in ("int", "float")
        if number and (value.risky or value.bound > UNBOUNDED):
            maybe = f"{target} is not None and " if value.nullable else ""
            self.line(f"if {maybe}not -LIMIT < {target} < LIMIT:")
            with self.indented():
                self.line(f"raise BEYOND({self.constant(label)}, {target})")
        return Value(target, value.kind, value.nullable, min(value.bound, UNBOUNDED))

    def whole(self) -> None:
        """The whole function."""
        layout = self.layout
        try:
            self.fields(layout.seq, (), "seq")
            self.instances(layout.instances, ())
            self.flush()
        except Fault as fault:
            self.faults.append((fault.key, fault.message))
            return
        if layout.trailing == "refuse":
            self.line(f"if size != {self.at()}:")
            with self.indented():
                self.line(f"raise TRAILING(data, {self.at()})")
        document = self.document(self.sink)
        self.line(f"return {document}")
        head = ["def parse(data, context):", "    size = e = len(data)",
                "    if size > MAX_BYTES:", "        raise TOO_LARGE(size)"]  # fmt: skip
        if "_port" in self.uses:
            head.append("    port = PORT(context)")
        if "_received" in self.uses:
            head.append("    received = context.received_at // 1000000000")
        if "items" in self.uses:
            head.append("    items = 0")
        self.lines[:0] = head
        self.unused()

    def unused(self) -> None:
        """Structures that nothing uses are checked too: a fault in them is a fault."""
        for name in self.layout.types:
            if name not in self.uses:
                self.faults.append((("types", name), f"no field is of type {name!r}: remove it"))

    # -- structures

    def fields(self, seq: Iterable[BinaryField], path: Path, key: str) -> None:
        """The fields of a structure, in the present scope and sink."""
        seq = tuple(seq)
        self.scope.later |= {one.id for one in seq if one.id}
        seen: set[str] = set()
        for number, one in enumerate(seq):
            here = (*path, key, number) if key else (*path, number)
            self.path = here
            try:
                if one.id in seen:
                    raise Fault(f"two fields have the id {one.id!r}", "id")
                seen.add(one.id or "")
                self.field(one, here)
            except Fault as fault:
                self.faults.append(((*here, *fault.key), fault.message))
                self.recover(one)
        self.flush()

    def recover(self, one: BinaryField) -> None:
        """After a fault the fields behind it can still name this one."""
        self.run, self.bits = [], []
        if one.id:
            self.scope.values.setdefault(one.id, Value("0", "any", nullable=True))

    def instances(self, instances: dict[str, Any], path: Path) -> None:
        self.scope.later |= set(instances)
        for name, what in instances.items():
            here = (*path, "instances", name)
            try:
                if isinstance(what, str | int | float):
                    self.computed(name, what, "", here, ())
                elif what.type is not None or what.repeat is not None or what.value is None:
                    raise Fault("an instance is computed: it has 'value' (and 'if', 'enum')")
                else:
                    self.field(what.model_copy(update={"id": name}), here)
            except Fault as fault:
                self.faults.append(((*here, *fault.key), fault.message))

    def computed(self, name: str, expression: str | float, enum: str, _: Path, key: Path) -> None:
        self.flush()
        variable = self.fresh()
        value = self.assign(variable, self.value(expression, *key), self.label(name))
        if value.kind in ("list", "map"):
            raise Fault("a computed field is a number or text", *key)
        self.told(name, value, enum)

    def document(self, sink: Sink) -> str:
        """The expression of a finished document."""
        if sink.variable:
            return sink.variable
        self.start(sink)
        return sink.variable

    def start(self, sink: Sink) -> None:
        """From here on the sink's document is there, and takes fields as they come."""
        if sink.variable:
            return
        sure: list[str] = []
        rest = list(sink.entries)
        while rest and not self.may_lack(rest[0][1]):
            name, variable = rest.pop(0)
            sure.append(f"{self.constant(name)}: {variable}")
        sink.variable = self.fresh("d")
        self.line(f"{sink.variable} = {{{', '.join(sure)}}}")
        for name, variable in rest:
            self.add(sink, name, variable)

    def may_lack(self, variable: str) -> bool:
        return variable in self.lacking

    def add(self, sink: Sink, name: str, variable: str) -> None:
        key = self.constant(name)
        if self.may_lack(variable):
            self.line(f"if {variable} is not None:")
            with self.indented():
                self.line(f"{sink.variable}[{key}] = {variable}")
        else:
            self.line(f"{sink.variable}[{key}] = {variable}")

    def put(self, name: str | None, value: Value, *, collect: bool = False) -> None:
        """A value goes into the present document, unless its id is hidden."""
        if name is None or name.startswith("_"):
            return
        if value.nullable:
            self.lacking.add(value.code)
        if collect:
            self.start(self.sink)
            self.line(f"{self.sink.variable}.setdefault({self.constant(name)}, [])"
                      f".append({value.code})")  # fmt: skip
        elif self.sink.variable:
            self.add(self.sink, name, value.code)
        else:
            self.sink.entries.append((name, value.code))

    def told(self, name: str | None, value: Value, enum: str, *, collect: bool = False) -> None:
        """A number is known from here on; the document has its word, if it has words."""
        if name is not None:
            self.scope.values[name] = value
        if enum:
            value = self.worded(value, enum, self.label(name))
        self.put(name, value, collect=collect)

    def worded(self, value: Value, enum: str, label: str) -> Value:
        words = self.layout.enums.get(enum)
        if words is None:
            near = _near(enum, self.layout.enums)
            raise Fault(f"there is no enum {enum!r}{near}", "enum")
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
        return Value(variable, "text", value.nullable)

    def label(self, name: str | None) -> str:
        last = name or ".".join(str(part) for part in self.path)
        return f"{self.scope.label}{last}"

    # -- fields

    def field(self, one: BinaryField, path: Path) -> None:
        if one.type is None and one.contents is None:
            self.without_type(one, path)
            return
        if one.repeat is None and (one.repeat_expr is not None or one.repeat_until is not None):
            wanted = "expr" if one.repeat_expr is not None else "until"
            raise Fault(f"say 'repeat: {wanted}' too")
        joins = one.id is None and self.structured(one.type)
        if one.collect:
            self.flush()
            self.start(self.sink)
        if one.condition is None:
            if joins and (one.repeat is not None or self.is_switch(one.type)):
                self.flush()
                self.start(self.sink)
            self.unconditional(one, path, joins=joins)
            return
        self.flush()
        if isinstance(one.type, str) and _BITS.match(one.type):
            raise Fault("a bit field has no 'if': put the bits into a structure with one", "if")
        if joins:
            self.start(self.sink)
        self.conditional(one, lambda: self.unconditional(one, path, joins=joins), moves=True)

    def conditional(self, one: BinaryField, body: Callable[[], None], *, moves: bool) -> None:
        """Runs the body's text only if the condition holds; else its variables are None."""
        assert one.condition is not None
        condition = self.value(one.condition, "if")
        if condition.kind not in ("bool", "int"):
            raise Fault(f"{one.condition!r} is neither true nor false: compare it", "if")
        held = self.fresh("c")
        self.assign(held, condition, self.label(one.id))
        before, sink, count = (self.base, self.offset), self.sink, self.count
        self.line(f"if {held}:")
        self.sink = Sink([], sink.variable)
        entries = self.sink.entries
        with self.indented():
            body()
            self.flush()
            if moves:
                self.settle_branch()
            self.line("pass")
        self.sink = sink
        made = [f"v{n}" for n in range(count + 1, self.count + 1)]
        text = "\n".join(self.lines[-400:])
        made = [name for name in made if re.search(rf"\b{name}\b", text)]
        self.line("else:")
        with self.indented():
            if moves:
                self.line(f"p = {before[0] or 0} + {before[1]}")
            self.line(f"{' = '.join([*made, 'c0'])} = None")
        self.lacking.update(made)
        sink.entries.extend(entries)
        if one.id and one.id in self.scope.values:
            self.scope.values[one.id] = replace(self.scope.values[one.id], nullable=True)
        if moves:
            self.base, self.offset = "p", 0

    def settle_branch(self) -> None:
        self.line(f"p = {self.at()}")

    def without_type(self, one: BinaryField, path: Path) -> None:
        if one.value is None:
            raise Fault("a field has a 'type', 'contents' or 'value'")
        if one.id is None:
            raise Fault("a computed field needs an 'id'")
        for key in ("repeat", "size", "absent", "valid", "endian", "encoding", "digits"):
            if getattr(one, key) is not None and key not in ("repeat",):
                raise Fault(f"a computed field reads nothing: {key!r} has no meaning", key)
        if one.repeat is not None:
            raise Fault("to compute a list, repeat a structure of computed fields", "repeat")
        expression, name = one.value, one.id

        def body() -> None:
            self.computed(name, expression, one.enum or "", path, ("value",))

        self.flush()
        if one.condition is None:
            body()
        else:
            self.conditional(one, body, moves=False)

    def structured(self, kind: Any) -> bool:  # noqa: ANN401 - any type of a field
        if isinstance(kind, str):
            return kind in self.layout.types
        return kind is not None

    def is_switch(self, kind: Any) -> bool:  # noqa: ANN401
        if isinstance(kind, str):
            kind = self.layout.types.get(kind)
        return hasattr(kind, "cases")

    def unconditional(self, one: BinaryField, path: Path, *, joins: bool) -> None:
        if one.repeat is not None:
            self.repeated(one, path, joins=joins)
        elif self.structured(one.type):
            value = self.complex(one, path, joins=joins)
            if value is not None:
                self.told(one.id, value, "", collect=one.collect)
        else:
            self.primitive(one, lambda value: self.told(one.id, value, one.enum or "",
                                                        collect=one.collect))  # fmt: skip

    def complex(self, one: BinaryField, path: Path, *, joins: bool) -> Value | None:
        """A structure or switch; None when it joined the document around it."""
        for key in ("enum", "value", "absent", "valid", "contents", "encoding", "digits"):
            if getattr(one, key) is not None:
                raise Fault(f"{key!r} has no meaning for a structure", key)
        self.flush()
        if one.size is None:
            return self.inner(one.type, path, one.id, joins=joins)
        outer, after = self.end, self.fresh("e")
        if one.size == "eos":
            self.line(f"{after} = {self.end}")
        else:
            length = self.length(one, "size")
            self.settle()
            self.line(f"{after} = p + {length}")
        self.end = after
        value = self.inner(one.type, path, one.id, joins=joins)
        self.flush()
        self.line(f"p = {after}")
        self.base, self.offset, self.end = "p", 0, outer
        return value

    def length(self, one: BinaryField, key: str) -> str:
        """A variable with a length that fits into what is left."""
        expression = getattr(one, key)
        value = self.value(expression, key)
        if value.kind not in ("int", "bool"):
            raise Fault(f"{expression!r} is no whole number", key)
        variable = self.fresh("n")
        self.assign(variable, value, self.label(one.id))
        label = self.constant(self.label(one.id))
        missing = f"{variable} is None or " if value.nullable else ""
        self.line(f"if {missing}not 0 <= {variable} <= {self.end} - ({self.at()}):")
        with self.indented():
            self.line(f"raise LENGTH({label}, {variable}, {self.at()}, {self.end})")
        return variable

    def inner(self, kind: Any, path: Path, name: str | None, *, joins: bool) -> Value | None:  # noqa: ANN401
        where: Path = (*path, "type")
        named = ""
        if isinstance(kind, str):
            named, where = kind, ("types", kind)
            if kind in self.inside:
                raise Fault(f"type {kind!r} contains itself", "type")
            self.uses.add(kind)
            kind = self.layout.types[kind]
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            raise Fault(f"structures lie deeper than {MAX_NESTING} in each other", "type")
        if named:
            self.inside.append(named)
        try:
            if hasattr(kind, "cases"):
                return self.switch(kind, where, name, joins=joins)
            return self.structure(kind, where, name, joins=joins)
        finally:
            self.nesting -= 1
            if named:
                self.inside.pop()

    def structure(
        self, kind: Structure | tuple[BinaryField, ...], where: Path, name: str | None, *,
        joins: bool,
    ) -> Value | None:  # fmt: skip
        seq, key = (kind, "") if isinstance(kind, tuple) else (kind.seq, "seq")
        scope, sink = self.scope, self.sink
        label = f"{scope.label}{name}." if name else scope.label
        self.scope = Scope(label, scope)
        if not joins:
            self.sink = Sink()
        try:
            self.fields(seq, where, key)
            if not isinstance(kind, tuple):
                self.instances(kind.instances, where)
            self.flush()
            inner = self.scope
            if joins:
                scope.values.update(inner.values)
                return None
            document = self.document(self.sink)
            return Value(document, "map", members=self.members(inner))
        finally:
            self.scope, self.sink = scope, sink

    def switch(self, kind: Switch, where: Path, name: str | None, *, joins: bool) -> Value | None:
        chosen = self.fresh("s")
        on = self.value(kind.switch_on, "type", "switch-on")
        self.assign(chosen, on, self.label(name))
        state = (self.base, self.offset)
        target = self.fresh()
        kinds: list[Value] = []
        first, default = True, None
        for case, body in kind.cases.items():
            if case == "_":
                default = body
                continue
            self.line(f"{'if' if first else 'elif'} {self.matches(chosen, case, on, where)}:")
            first = False
            self.case(body, (*where, "cases", case), name, target, kinds, state, joins=joins)
        if default is None:
            if first:
                raise Fault("a switch has a case besides '_'", "type", "cases")
            self.base, self.offset = state
            self.line("else:")
            with self.indented():
                label = self.constant(self.label(name))
                self.line(f"raise CASE({label}, {chosen}, {self.at()})")
        else:
            self.line("if True:" if first else "else:")
            self.case(default, (*where, "cases", "_"), name, target, kinds, state, joins=joins)
        self.base, self.offset = "p", 0
        if joins:
            return None
        one = kinds[0] if len({value.kind for value in kinds}) == 1 else Value(target, "any")
        nullable = any(value.nullable for value in kinds)
        kind_of = "any" if one.kind in ("map", "list") else one.kind
        bound = max(value.bound for value in kinds)
        return Value(target, kind_of, nullable, bound, risky=any(v.risky for v in kinds))

    def matches(self, chosen: str, case: str | int, on: Value, where: Path) -> str:
        """The condition of a case."""
        if isinstance(case, str):
            low, dots, high = case.partition("..")
            if on.kind == "text" or case[:1] in "\"'":
                return f"{chosen} == {self.constant(case.strip(chr(34) + chr(39)))}"
            try:
                a = int(low, 0)
                b = int(high, 0) if dots else a
            except ValueError:
                raise Fault(f"{case!r} is no case: a whole number (0x10), a range (1..5), or _",
                            *where[len(self.path):], "cases", case) from None  # fmt: skip
            if dots:
                low_name, high_name = self.constant(a), self.constant(b)
                maybe = f"{chosen} is not None and " if on.nullable else ""
                return f"{maybe}{low_name} <= {chosen} <= {high_name}"
            case = a
        return f"{chosen} == {self.constant(case)}"

    def case(
        self, body: Any, path: Path, name: str | None, target: str,  # noqa: ANN401
        kinds: list[Value], state: tuple[str, int], *, joins: bool,
    ) -> None:  # fmt: skip
        self.base, self.offset = state
        with self.indented():
            if isinstance(body, tuple) or not isinstance(body, str) or body in self.layout.types:
                value = self.body(body, path, name, joins=joins)
            elif joins:
                raise Fault(f"a field that reads {body!r} needs an id", "id")
            else:
                value = self.plain(body)
            self.flush()
            if not joins and value is not None:
                self.line(f"{target} = {value.code}")
                kinds.append(value)
            self.settle_branch()

    def plain(self, kind: str) -> Value:
        from gateway.profiles.binary import BinaryField  # noqa: PLC0415 - it imports this module

        found: list[Value] = []
        self.primitive(BinaryField(type=kind), found.append)
        self.flush()
        return found[0] if found else Value("None", "any", nullable=True)

    def body(self, body: Any, path: Path, name: str | None, *, joins: bool) -> Value | None:  # noqa: ANN401
        if isinstance(body, str):
            return self.inner(body, path, name, joins=joins)
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            raise Fault(f"structures lie deeper than {MAX_NESTING} in each other", "type")
        try:
            if hasattr(body, "cases"):
                return self.switch(body, path, name, joins=joins)
            return self.structure(body, path, name, joins=joins)
        finally:
            self.nesting -= 1

    # -- repeats

    def repeated(self, one: BinaryField, path: Path, *, joins: bool) -> None:
        self.loops += 1
        if self.loops > MAX_LOOPS:
            raise Fault(f"repeats lie deeper than {MAX_LOOPS} in each other", "repeat")
        if isinstance(one.type, str) and _BITS.match(one.type):
            raise Fault("a bit field is not repeated: repeat a structure of it", "repeat")
        self.flush()
        self.uses.add("items")
        items, index = self.fresh(), self.fresh("i")
        label = self.constant(self.label(one.id))
        count = ""
        if one.repeat == "expr":
            if one.repeat_expr is None:
                raise Fault("'repeat: expr' needs 'repeat-expr', the number of items", "repeat")
            number = self.value(one.repeat_expr, "repeat-expr")
            if number.kind not in ("int", "bool"):
                raise Fault(f"{one.repeat_expr!r} is no whole number", "repeat-expr")
            count = self.fresh("n")
            self.assign(count, number, self.label(one.id))
            self.line(f"if {count} is None or not 0 <= {count} <= {MAX_ITEMS} - items:")
            with self.indented():
                self.line(f"raise MANY({label}, {count}, {self.at()})")
            self.line(f"items += {count}")
        elif one.repeat == "until" and one.repeat_until is None:
            raise Fault("'repeat: until' needs 'repeat-until', the condition to stop", "repeat")
        self.settle()
        head = len(self.lines)
        if not joins:
            self.line(f"{items} = []")
        start = self.fresh("q")
        if one.repeat == "expr":
            self.line(f"for {index} in range({count}):")
        else:
            self.line(f"{index} = -1")
            self.line(f"while {f'p < {self.end}' if one.repeat == 'eos' else 'True'}:")
        outer = self.scope
        # The items' own scope hangs on this one, which knows their number and their predecessor.
        loop = Scope(self.scope.label, outer, index=index)
        with self.indented():
            if one.repeat != "expr":
                self.line(f"{index} += 1")
                self.line("items += 1")
                self.line(f"if items > {MAX_ITEMS}:")
                with self.indented():
                    self.line(f"raise MANY({label}, items, p)")
                self.line(f"{start} = p")
            self.scope = loop
            value = self.item(one, path, items, head, joins=joins)
            self.flush()
            self.settle()
            if one.repeat != "expr":
                self.line(f"if p == {start}:")
                with self.indented():
                    self.line(f"raise STUCK({label}, p)")
            if one.repeat == "until":
                loop.raw = value
                stop = self.value(one.repeat_until or "", "repeat-until")
                held = self.fresh("c")
                self.assign(held, stop, self.label(one.id))
                self.line(f"if {held}:")
                with self.indented():
                    self.line("break")
        self.scope = outer
        self.loops -= 1
        if not joins and one.id is not None and value is not None:
            listed = replace(value, code="", nullable=False)
            self.told(one.id, Value(items, "list", item=listed), "", collect=one.collect)

    def item(
        self, one: BinaryField, path: Path, items: str, head: int, *, joins: bool
    ) -> Value | None:
        """One item of a list, and what the next may ask of it."""
        if not self.structured(one.type):
            found: list[Value] = []
            self.primitive(one, found.append)
            self.flush()
            if not found:
                return None
            value = self.worded(found[0], one.enum, self.label(one.id)) if one.enum else found[0]
            maybe = f"if {value.code} is not None: " if value.nullable else ""
            self.line(f"{maybe}{items}.append({value.code})")
            return value
        previous: dict[str, str] = {}
        self.scope.previous = previous
        value = self.complex(one, path, joins=joins)
        inner = value.members if value is not None else self.members(self.scope)
        for name, variable in previous.items():
            if inner is None:
                raise Fault("'_prev' needs items of one structure, not a switch", "type")
            last = inner("", name)
            if last.kind not in ("int", "float", "bool", "any"):
                raise Fault(f"'_prev.{name}' is no number", "type")
            self.line(f"{variable} = {last.code}")
            self.lines.insert(head, "    " * (self.depth - 1) + f"{variable} = None")
        if value is not None:
            self.line(f"{items}.append({value.code})")
        return value

    # -- primitives

    def primitive(self, one: BinaryField, then: Callable[[Value], None]) -> None:
        """A field of bytes or bits; ``then`` gets its value once the bytes are read."""
        kind = one.type
        if one.contents is not None:
            if kind is not None:
                raise Fault("'contents' has its own length: leave 'type' out", "type")
            self.fixed(one, "contents", len(one.contents), f"{len(one.contents)}s",
                       lambda variable: self.magic(one, variable))  # fmt: skip
            return
        assert isinstance(kind, str)
        if match := _BITS.match(kind):
            order = match[2] or self.layout.bit_endian
            self.bit_field(one, int(match[1]), order, then)
        elif match := _INT.match(kind):
            self.integer(one, match, then)
        elif match := _FLOAT.match(kind):
            order = match[2] or one.endian or self.layout.endian
            width = int(match[1])
            self.fixed(one, kind, width, _FLOATS[width],
                       lambda variable: self.float_read(one, variable, then), order)  # fmt: skip
        elif match := _WIDE.match(kind):
            order = match[2] or one.endian or ("be" if match[1] != "bcd" else self.layout.endian)
            if match[1] == "checksum" and not match[2]:
                order = one.endian or self.layout.endian
            getattr(self, f"read_{match[1]}")(one, order, then)
        else:
            near = _near(kind, [*self.layout.types, *PRIMITIVES])
            raise Fault(f"there is no type {kind!r}{near}", "type")

    def fixed(
        self, one: BinaryField, what: str, size: int, code: str,
        then: Callable[[str], None], order: str = "",
    ) -> None:  # fmt: skip
        """Lines a field of fixed size up with its neighbours."""
        self.end_bits()
        if order and size > 1 and self.run_order not in ("", order):
            self.flush()
        if order and size > 1:
            self.run_order = order
        variable = self.fresh()
        self.run.append(
            Pending(self.label(one.id), what, size, code, variable, self.later(one, variable, then))
        )

    def later(
        self, one: BinaryField, variable: str, then: Callable[[str], None]
    ) -> Callable[[], None]:
        path = self.path

        def run() -> None:
            now, self.path = self.path, path
            try:
                then(variable)
            except Fault as fault:
                self.faults.append(((*path, *fault.key), fault.message))
                if one.id:
                    self.scope.values.setdefault(one.id, Value("0", "any", nullable=True))
            self.path = now

        return run

    def flush(self) -> None:
        """Writes the reading of the fields that were lined up."""
        self.end_bits()
        run, order = self.run, self.run_order
        self.run, self.run_order = [], ""
        if not run:
            return
        total = sum(one.size for one in run)
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
            one.then()

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
        for value in one.absent or ():
            if raw.kind == "text":
                yield str(value)
                continue
            try:
                yield int(value, 0) if isinstance(value, str) else value
            except ValueError:
                raise Fault(f"{value!r} is no whole number", "absent") from None

    def refuse(self, one: BinaryField, *keys: str) -> None:
        for key in keys:
            if getattr(one, key) is not None:
                raise Fault(f"{key!r} has no meaning for {one.type!r}", key)

    def magic(self, one: BinaryField, variable: str) -> None:
        wanted = self.constant(one.contents)
        self.line(f"if {variable} != {wanted}:")
        with self.indented():
            self.line(f"raise MAGIC({self.constant(self.label(one.id))}, {variable}, {wanted})")

    def integer(
        self, one: BinaryField, match: re.Match[str], then: Callable[[Value], None]
    ) -> None:
        self.refuse(one, "size", "encoding", "digits", "sign", "algorithm", "over")
        width, signed = int(match[2]), match[1] == "s"
        order = match[3] or one.endian or self.layout.endian
        bound = 2.0 ** (8 * width)

        def read(variable: str) -> None:
            if width not in _CODES:
                word = "'big'" if order == "be" else "'little'"
                self.line(f"{variable} = INT({variable}, {word}{', signed=True' * signed})")
            self.finish(one, Value(variable, "int", bound=bound), then)

        if width in _CODES:
            code = _CODES[width] if signed else _CODES[width].upper()
            self.fixed(one, str(one.type), width, code, read, order)
        else:
            self.fixed(one, str(one.type), width, f"{width}s", read)

    def float_read(self, one: BinaryField, variable: str, then: Callable[[Value], None]) -> None:
        self.refuse(one, "size", "encoding", "digits", "sign", "algorithm", "over")
        # NaN and the infinities are how instruments say 'no value'.
        self.line(f"if not -HUGE < {variable} < HUGE: {variable} = None")
        self.finish(one, Value(variable, "float", nullable=True, risky=True), then)

    # -- bits

    def bit_field(
        self, one: BinaryField, width: int, order: str, then: Callable[[Value], None]
    ) -> None:
        self.refuse(one, "size", "encoding", "digits", "sign", "algorithm", "over", "endian")
        if self.bits and self.bits[0][1] != order:
            self.end_bits()
        variable = self.fresh()

        def read(code: str) -> None:
            if width == 1:
                self.line(f"{variable} = {code} == 1")
                self.finish(one, Value(variable, "bool", bound=1), then)
            else:
                self.line(f"{variable} = {code}")
                self.finish(one, Value(variable, "int", bound=2.0**width), then)

        self.bits.append((width, order, self.bound_to(self.path, one, read)))

    def bound_to(
        self, path: Path, one: BinaryField, read: Callable[[str], None]
    ) -> Callable[[str], None]:
        def run(code: str) -> None:
            before, self.path = self.path, path
            try:
                read(code)
            except Fault as fault:
                self.faults.append(((*path, *fault.key), fault.message))
                if one.id:
                    self.scope.values.setdefault(one.id, Value("0", "any", nullable=True))
            self.path = before

        return run

    def end_bits(self) -> None:
        """Bit fields end at a whole byte: bits left over in it are skipped."""
        bits, self.bits = self.bits, []
        if not bits:
            return
        total = sum(width for width, _, _ in bits)
        size = (total + 7) // 8
        order = bits[0][1]
        variable = self.fresh("w")

        def read() -> None:
            if size > 1:
                word = "'big'" if order == "be" else "'little'"
                self.line(f"{variable} = INT({variable}, {word})")
            done = 0
            for width, _, then in bits:
                shift = 8 * size - done - width if order == "be" else done
                done += width
                mask = f" & {(1 << width) - 1}" if done < 8 * size or order == "be" else ""
                then(f"({variable} >> {shift}{mask})" if shift else f"({variable}{mask})")

        code = "B" if size == 1 else f"{size}s"
        self.run.append(Pending(self.label(None), f"{total} bits", size, code, variable, read))

    # -- bytes

    def bytes_of(self, one: BinaryField, what: str, then: Callable[[str], None]) -> None:
        """Bytes of a fixed or computed size."""
        size = one.size
        if size is None:
            raise Fault(f"type {one.type!r} needs a 'size' in bytes, or 'size: eos'", "size")
        if isinstance(size, str) and re.fullmatch(r"0[xX][0-9a-fA-F]+|[0-9]+", size):
            size = int(size, 0)
        if isinstance(size, int) and not isinstance(size, bool):
            if not 0 < size <= 65536:
                raise Fault("a size is 1 to 65536 bytes", "size")
            self.fixed(one, what, size, f"{size}s", then)
            return
        self.flush()
        variable = self.fresh()
        if size == "eos":
            self.line(f"{variable} = data[{self.at()}:{self.end}]")
            self.line(f"p = {self.end}")
        else:
            length = self.length(one, "size")
            self.line(f"p = {self.at()} + {length}")
            self.line(f"{variable} = data[p - {length}:p]")
        self.base, self.offset = "p", 0
        then(variable)

    def read_skip(self, one: BinaryField, _: str, then: Callable[[Value], None]) -> None:
        self.refuse(one, "encoding", "digits", "sign", "algorithm", "over", "enum", "value")
        del then
        if isinstance(one.size, int) and not isinstance(one.size, bool) and 0 < one.size <= 65536:
            self.fixed(one, "skip", one.size, f"{one.size}x", lambda _: None)
        else:
            self.bytes_of(one, "skip", lambda _: None)

    def read_hex(self, one: BinaryField, order: str, then: Callable[[Value], None]) -> None:
        self.refuse(one, "encoding", "digits", "sign", "algorithm", "over", "enum")

        def read(variable: str) -> None:
            turned = "[::-1]" if order == "le" else ""
            self.line(f"{variable} = {variable}{turned}.hex()")
            self.finish(one, Value(variable, "text"), then)

        self.bytes_of(one, "hex", read)

    read_bytes = read_hex

    def encoding(self, one: BinaryField) -> str:
        name = one.encoding or "ascii"
        if name.lower() not in ENCODINGS:
            raise Fault(f"there is no encoding {name!r}{_near(name, ENCODINGS)}", "encoding")
        return name.lower()

    def read_str(self, one: BinaryField, _: str, then: Callable[[Value], None]) -> None:
        self.refuse(one, "digits", "sign", "algorithm", "over", "enum")
        encoding = self.constant(self.encoding(one))
        label = self.constant(self.label(one.id))

        def read(variable: str) -> None:
            self.line(f"{variable} = TEXT({variable}, {encoding}, {label})")
            self.finish(one, Value(variable, "text"), then)

        self.bytes_of(one, "str", read)

    def read_strz(self, one: BinaryField, _: str, then: Callable[[Value], None]) -> None:
        self.refuse(one, "size", "digits", "sign", "algorithm", "over", "enum")
        encoding, label = self.constant(self.encoding(one)), self.constant(self.label(one.id))
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
            self.finish(one, Value(variable, "int", nullable=True, bound=10.0**digits), then)

        self.fixed(one, "bcd", size, f"{size}s", read)

    def read_checksum(self, one: BinaryField, order: str, then: Callable[[Value], None]) -> None:
        self.refuse(one, "size", "encoding", "digits", "sign", "enum", "value", "absent", "valid")
        del then
        name = one.algorithm or ""
        if name not in ALGORITHMS:
            raise Fault(f"there is no algorithm {name!r}{_near(name, ALGORITHMS)}", "algorithm")
        width = ALGORITHMS[name]
        start, stop = one.over or (0, None)

        def read(variable: str) -> None:
            first = closed(self.value(start, "over", 0)).code
            last = closed(self.value(stop, "over", 1)).code if stop is not None else (
                self.at(-width))  # fmt: skip
            word = "'big'" if order == "be" else "'little'"
            label = self.constant(self.label(one.id))
            self.line(f"CHECK({label}, {self.constant(name)}, data, {first}, {last},"
                      f" INT({variable}, {word}))")  # fmt: skip

        self.fixed(one, f"checksum {name}", width, f"{width}s", read)
