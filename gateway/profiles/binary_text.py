"""Text of a generated function: its lines, constants, positions, and what its expressions name.

Only names made here stand in the text; texts and numbers of a profile are constants of its
namespace, so nothing that a profile says can become code.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from gateway.profiles.expression_text import UNBOUNDED, Value, closed, emit
from gateway.profiles.expressions import ExpressionError, parse

if TYPE_CHECKING:
    from gateway.profiles.binary import Binary

MAX_ITEMS: Final = 10_000
"""Items of all lists of one message together."""
MAX_LINES: Final = 20_000
MAX_FIELDS: Final = 20_000
"""Fields of a layout, those of a structure counted wherever it is used."""
MAX_FAULTS: Final = 50

Path = tuple[str | int, ...]

_SPECIAL: Final = {
    "_": "", "_size": "size", "_port": "port", "_received": "received", "_pos": "pos",
    "_left": "left", "_index": "index", "_prev": "prev", "_parent": "parent", "_root": "root",
}  # fmt: skip
RESERVED: Final = frozenset(_SPECIAL)
"""Ids that a field cannot have: they mean something else in an expression."""


class EndlessLayoutError(Exception):
    """The layout unfolds into more than any payload needs; nothing more is looked at."""


class Fault(Exception):
    """Something is wrong at a key below the field being written, or at an absolute key path."""

    def __init__(self, message: str, *key: str | int, absolute: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.key = key
        self.absolute = absolute


@dataclass
class Scope:
    """What a structure's expressions can name.

    A repeat has a scope of its own around its items', with their number and the item before.
    """

    label: str
    parent: Scope | None = None
    values: dict[str, Value] = field(default_factory=dict)
    later: set[str] = field(default_factory=set)
    raw: Value | None = None
    index: str = ""
    previous: dict[str, tuple[str, Path]] = field(default_factory=dict)
    elsewhere: set[str] = field(default_factory=set)

    def outward(self) -> Iterator[Scope]:
        """This scope and those around it."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

    def find(self, name: str) -> Value | None:
        """A field read before, here or in a structure around."""
        return next((one.values[name] for one in self.outward() if name in one.values), None)

    def around(self) -> Scope:
        """The structure around this one."""
        scope = self.parent
        while scope is not None and scope.index:
            scope = scope.parent
        return scope or self


def near(word: str, choices: Iterable[str]) -> str:
    """``; did you mean 'volume'?``, or the choices when none is near."""
    known = list(dict.fromkeys(choices))
    longer = [choice for choice in known if word and choice.startswith(word)]
    if len(longer) > 1:
        return f"; one of {', '.join(longer)}"
    matcher = difflib.SequenceMatcher(b=word)
    best, found = 0.5 if len(word) < 3 else 0.6, None
    for choice in known:
        matcher.set_seq1(choice)
        ratio = matcher.ratio() if matcher.real_quick_ratio() >= best else 0.0
        # Of equally near choices the first is meant: they come in the order of their use.
        if ratio >= best and (found is None or ratio > best):
            best, found = ratio, choice
    if found is not None:
        return f"; did you mean {found!r}?"
    return f"; one of {', '.join(known)}" if 0 < len(known) <= 40 else ""


class FunctionText:
    """Lines of the function and the names that stand for fields."""

    def __init__(self, layout: Binary) -> None:
        self.layout = layout
        self.lines: list[str] = []
        self.constants: dict[str, Any] = {}
        self.faults: dict[tuple[Path, str], None] = {}
        self.depth = 1
        self.count = 0
        self.unused: set[str] = set()
        self.visited = 0
        self.made: list[str] = []
        self.lacking: set[str] = set()
        self.base, self.offset, self.end = "", 0, "e"
        self.scope = Scope("")
        self.uses: set[str] = set()
        self.path: Path = ()

    def fault(self, fault: Fault, path: Path) -> None:
        """Notes a fault; a structure that is used twice has it once."""
        if len(self.faults) < MAX_FAULTS:
            at = fault.key if fault.absolute else (*path, *fault.key)
            self.faults[at, fault.message] = None

    def line(self, text: str) -> None:
        """Writes one line at the present depth."""
        self.lines.append("    " * self.depth + text)
        if len(self.lines) > MAX_LINES:
            raise EndlessLayoutError

    def fresh(self, letter: str = "v") -> str:
        """A variable; those of values are None where what they are of is not there."""
        self.count += 1
        variable = f"{letter}{self.count}"
        if letter in "vd":
            self.made.append(variable)
        return variable

    def constant(self, value: object) -> str:
        """A number as it is written, or a name of ours for another constant of the profile."""
        if value is None or isinstance(value, bool):
            return str(value)
        if isinstance(value, int | float):
            return repr(value) if value >= 0 else f"({value!r})"
        name = f"K{len(self.constants)}"
        self.constants[name] = value
        return name

    @contextmanager
    def indented(self) -> Iterator[None]:
        """A block; it is never empty."""
        self.depth += 1
        length = len(self.lines)
        try:
            yield
            if len(self.lines) == length:
                self.line("pass")
        finally:
            self.depth -= 1

    def at(self, extra: int = 0) -> str:
        """The present position, and some bytes on."""
        offset = self.offset + extra
        if not self.base:
            return str(offset)
        return f"{self.base} {'+' if offset > 0 else '-'} {abs(offset)}" if offset else self.base

    def settle(self) -> None:
        """Brings the position into the variable ``p``."""
        if (self.base, self.offset) != ("p", 0):
            self.line(f"p = {self.at()}")
            self.base, self.offset = "p", 0

    def label(self, name: str | None) -> str:
        """How faults of a payload call a field."""
        return self.scope.label + (name or ".".join(str(part) for part in self.path))

    def name(self, name: str) -> Value:
        """What a name means at this field."""
        if name in _SPECIAL:
            return getattr(self, f"name{name}")()  # type: ignore[no-any-return]
        found = self.scope.find(name)
        if found is not None:
            return found
        if any(name in scope.later for scope in self.scope.outward()):
            raise ExpressionError(f"{name!r} is read later: only fields before this are known")
        if any(name in scope.elsewhere for scope in self.scope.outward()):
            raise ExpressionError(
                f"{name!r} is read in some cases of a switch: compute with it there, or in the "
                "profile ('sum', 'product' of a quantity)"
            )
        words = [
            word for scope in self.scope.outward() for word in (*scope.values, *sorted(scope.later))
        ]
        words += [f"_{word}" for word in _SPECIAL.values() if word]
        raise ExpressionError(f"there is no field {name!r}{near(name, words)}")

    def name_(self) -> Value:
        """The number that was read."""
        if self.scope.raw is None:
            raise ExpressionError("'_' is the number that was read: this field reads none")
        return self.scope.raw

    def name_size(self) -> Value:
        """The length of the payload."""
        return Value("size", "int", bound=2.0**27)

    def name_port(self) -> Value:
        """The port of the envelope."""
        self.uses.add("port")
        return Value("port", "int", nullable=True, bound=2.0**31)

    def name_received(self) -> Value:
        """When the network or, without one, the gateway received it, in seconds since 1970."""
        self.uses.add("received")
        return Value("received", "int", bound=2.0**40)

    def name_pos(self) -> Value:
        """The present position."""
        return Value(f"({self.at()})", "int", bound=2.0**27)

    def name_left(self) -> Value:
        """Bytes left in the structure."""
        return Value(f"({self.end} - ({self.at()}))", "int", bound=2.0**27)

    def name_index(self) -> Value:
        """The position of the item in its list."""
        for scope in self.scope.outward():
            if scope.index:
                self.unused.discard(scope.index)
                return Value(scope.index, "int", bound=MAX_ITEMS, natural=True)
        raise ExpressionError("'_index' is the position in a repeat: there is none here")

    def name_prev(self) -> Value:
        """The item before."""
        for scope in self.scope.outward():
            if scope.index:
                return Value("", "map", members=self.previous(scope))
        raise ExpressionError("'_prev' is the item before in a repeat: there is none here")

    def name_parent(self) -> Value:
        """The structure around."""
        return Value("", "map", members=self.members(self.scope.around()))

    def name_root(self) -> Value:
        """The outermost structure."""
        *_, root = self.scope.outward()
        return Value("", "map", members=self.members(root))

    def previous(self, scope: Scope) -> Callable[[str, str], Value]:
        """Fields of the item before: what is kept is known when the item is written."""

        def member(_: str, name: str) -> Value:
            kept = scope.previous.setdefault(name, (self.fresh("o"), self.path))
            return Value(kept[0], "float", nullable=True, risky=True)

        return member

    def members(self, scope: Scope) -> Callable[[str, str], Value]:
        """Fields of a structure around, or of one that was read."""

        def member(_: str, name: str) -> Value:
            if name == "_parent":
                return Value("", "map", members=self.members(scope.around()))
            if name in scope.values:
                return scope.values[name]
            if name in scope.later:
                raise ExpressionError(f"{name!r} is read later: only fields before this are known")
            raise ExpressionError(f"there is no field {name!r}{near(name, scope.values)}")

        return member

    def value(self, expression: str | float, *key: str | int, at: Path | None = None) -> Value:
        """What an expression of the layout comes to."""
        try:
            return emit(parse(expression), self)
        except ExpressionError as error:
            raise Fault(str(error), *(at or ()), *key, absolute=at is not None) from error

    def once(self, value: Value, label: str) -> str:
        """A variable with what an expression comes to; a field that was read is one already."""
        if value.code.isidentifier() and not (value.nullable or value.risky or value.divides):
            return value.code
        target = self.fresh("s")
        self.assign(target, value, label)
        return target

    def assign(self, target: str, value: Value, label: str) -> Value:
        """Computes into a variable; what is absent gives None, what is absurd is refused."""
        value = closed(value)
        risky = value.kind in ("int", "float") and (value.risky or value.bound > UNBOUNDED)
        if not (value.nullable or value.divides or risky):
            self.line(f"{target} = {value.code}")
            return replace(value, code=target, literal=None)
        self.line("try:")
        with self.indented():
            self.line(f"{target} = {value.code}")
        self.line("except ABSENT:")
        with self.indented():
            self.line(f"{target} = None")
        name = self.constant(label)
        if value.divides:
            self.line("except ZeroDivisionError:")
            with self.indented():
                self.line(f"raise DIVIDED({name}) from None")
        if risky:
            self.line("except OverflowError:")
            with self.indented():
                self.line(f"raise BEYOND({name}, HUGE) from None")
            maybe = f"{target} is not None and " if value.nullable else ""
            self.line(f"if {maybe}not -LIMIT < {target} < LIMIT:")
            with self.indented():
                self.line(f"raise BEYOND({name}, {target})")
        return Value(target, value.kind, value.nullable, min(value.bound, UNBOUNDED))
