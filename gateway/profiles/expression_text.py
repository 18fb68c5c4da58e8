"""Python for the expressions of a profile, with what is known of each result.

What may be absent, how large a number can grow and whether it is whole is known before anything
runs; so a mistaken operation is told when the profile is loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final, Protocol

from gateway.profiles.expressions import ExpressionError, Node

MAX_BITS: Final = 512
"""No intermediate number may grow beyond this many bits; told when the profile is loaded."""
MAX_BELOW: Final = 2**128
"""A divisor beyond this is divided by at once: a fraction that long is not shown by anything."""
UNBOUNDED: Final = float(2**64)
"""Magnitude assumed of what is known only at run time; such values are checked there."""


@dataclass(frozen=True, slots=True)
class Value:
    """Something emitted: Python text and what is known of its result.

    Attributes:
        code: an expression; for a fraction, its numerator.
        kind: ``int``, ``float``, ``bool``, ``text``, ``list``, ``map`` or ``any``.
        nullable: it may be None, or raise TypeError or IndexError because something is absent.
        bound: the greatest magnitude of the code's number.
        below: the whole number that the code is still to be divided by.
        literal: the number, when it is one.
        risky: its result must be checked at run time: it may be beyond any bound.
        natural: it is never below 0.
        divides: it may raise ZeroDivisionError.
        item: what an item of a list is.
        members: what stands in a map, by its code and a name.
        fields: of a map: what is known of each field that its document may have.
        place: where a profile reads a map that was made as its struct.
    """

    code: str
    kind: str
    nullable: bool = False
    bound: float = UNBOUNDED
    below: int = 1
    literal: Fraction | None = None
    risky: bool = False
    natural: bool = False
    divides: bool = False
    item: Value | None = None
    members: Callable[[str, str], Value] | None = None
    fields: dict[str, Value] | None = None
    place: object = None


class Names(Protocol):
    """Who knows what the names of an expression mean."""

    def name(self, name: str) -> Value:
        """The value that goes by this name; raises ExpressionError when there is none."""

    def constant(self, value: object) -> str:
        """A name of ours for a constant."""


_ARITHMETIC: Final = {"+", "-", "*", "/", "//", "%"}
_BITWISE: Final = {"&", "|", "^", "<<", ">>"}
_FORMS: Final = {
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), "comparison"),
    **dict.fromkeys(_ARITHMETIC, "arithmetic"), **dict.fromkeys(_BITWISE, "bitwise"),
    **dict.fromkeys(("and", "or", "not"), "logic"), **dict.fromkeys(("-1", "~1"), "unary"),
    "member": "member", "item": "item", "call": "call", "?": "choice",
}  # fmt: skip
_ORDER: Final = {"<", "<=", ">", ">="}
FUNCTIONS: Final[dict[str, tuple[int, int]]] = {
    "min": (2, 8), "max": (2, 8), "abs": (1, 1), "round": (1, 2), "int": (1, 1), "has": (1, 1),
    "size": (1, 1), "sum": (1, 1), "local_time": (3, 6), "epoch": (3, 6), "number": (1, 1),
}  # fmt: skip
"""Functions by the least and greatest number of arguments."""


def emit(node: Node, names: Names) -> Value:
    """Python for a tree.

    The names in it that are not the caller's are those of `RUN_TIME`.

    Raises:
        ExpressionError: an unknown name, or an operation on what is no number.
    """
    return closed(_Emitter(names).emit(node))


def closed(value: Value) -> Value:
    """The value with its division done."""
    if value.below == 1:
        return value
    return replace(
        value, code=f"({value.code} / {value.below})", kind="float", below=1, literal=None,
        bound=value.bound / value.below,
    )  # fmt: skip


class _Emitter:
    def __init__(self, names: Names) -> None:
        self.names = names

    def emit(self, node: Node) -> Value:
        if node.op in _FORMS:
            return getattr(self, _FORMS[node.op])(node)  # type: ignore[no-any-return]
        if node.op == "number":
            return self.number(node.value)
        if node.op == "text":
            return Value(self.names.constant(node.value), "text")
        if node.op == "truth":
            return Value(str(node.value), "bool", bound=1)
        return self.names.name(node.value)

    def number(self, value: Fraction) -> Value:
        if max(abs(value.numerator), value.denominator) >= 2**64:
            raise ExpressionError("a number has at most 64 bits")
        return Value(
            self.names.constant(value.numerator), "int", bound=float(abs(value.numerator)),
            below=value.denominator, literal=value,
        )  # fmt: skip

    def member(self, node: Node) -> Value:
        base = self.emit(node.args[0])
        if base.members is None:
            raise ExpressionError(f"{_shown(node.args[0])} has no fields: '.{node.value}'")
        value = base.members(base.code, node.value)
        return replace(value, nullable=True) if base.nullable else value

    def item(self, node: Node) -> Value:
        base, index = self.emit(node.args[0]), self.whole(node.args[1])
        if base.kind != "list" or base.item is None:
            raise ExpressionError(f"{_shown(node.args[0])} is no list")
        return replace(base.item, code=f"ITEM({base.code}, {index.code})", nullable=True)

    def operand(self, node: Node) -> Value:
        """A number, not yet divided."""
        value = self.emit(node)
        if value.kind == "any":
            return replace(
                value,
                code=f"NUMBER({value.code})",
                kind="float",
                nullable=True,
                bound=UNBOUNDED,
                risky=True,
            )
        if value.kind == "bool":
            return replace(value, kind="int", bound=1)
        if value.kind not in ("int", "float"):
            kind = {"map": "a structure"}.get(value.kind, f"a {value.kind}")
            raise ExpressionError(f"{_shown(node)} is {kind}, no number")
        return value

    def whole(self, node: Node) -> Value:
        value = self.emit(node)
        if value.kind == "any":
            return replace(
                value, code=f"WHOLE({value.code})", kind="int", nullable=True, bound=UNBOUNDED
            )
        value = closed(self.operand(node))
        if value.kind != "int":
            raise ExpressionError(
                f"{_shown(node)} is no whole number; '//' divides without a rest, int() cuts one"
            )
        return value

    def unary(self, node: Node) -> Value:
        if node.op == "~1":
            value = self.whole(node.args[0])
            return _combined(f"(~{value.code})", "int", value.bound + 1, value)
        value = self.operand(node.args[0])
        if value.literal is not None:
            return self.number(-value.literal)
        return replace(
            _combined(f"(-{value.code})", value.kind, value.bound, value), below=value.below
        )

    def bitwise(self, node: Node) -> Value:
        a, b = (self.whole(arg) for arg in node.args)
        if node.op in ("<<", ">>"):
            if b.literal is None:
                bound = a.bound * 2.0**64 if node.op == "<<" else a.bound
                name = "LEFT" if node.op == "<<" else "RIGHT"
                return _combined(f"{name}({a.code}, {b.code})", "int", bound, a, b)
            if not 0 <= b.literal <= 64:
                raise ExpressionError("a shift is by 0 to 64 bits")
            factor = 2.0 ** float(b.literal)
            bound = a.bound * factor if node.op == "<<" else a.bound
            return _combined(f"({a.code} {node.op} {b.code})", "int", bound, a, b)
        bound = 2 * max(a.bound, b.bound) + 1
        return _combined(f"({a.code} {node.op} {b.code})", "int", bound, a, b)

    def arithmetic(self, node: Node) -> Value:
        a, b = (self.operand(arg) for arg in node.args)
        if a.literal is not None and b.literal is not None:
            return self.folded(node.op, a.literal, b.literal)
        if node.op in ("+", "-"):
            return self.sum(node.op, a, b)
        if node.op == "*":
            kind = "int" if a.kind == b.kind == "int" else "float"
            if a.below * b.below > MAX_BELOW:
                a, b = closed(a), closed(b)
                kind = "float"
            below = a.below * b.below
            code = f"({a.code} * {b.code})"
            if a.literal is not None and abs(a.literal.numerator) == a.literal.numerator == 1:
                code = b.code
            if b.literal is not None and abs(b.literal.numerator) == b.literal.numerator == 1:
                code = a.code
            return replace(_combined(code, kind, a.bound * b.bound, a, b), below=below)
        return self.division(node, a, b)

    def folded(self, op: str, a: Fraction, b: Fraction) -> Value:
        if op in ("/", "//", "%") and b == 0:
            raise ExpressionError("division by zero")
        results: dict[str, Callable[[], Fraction]] = {
            "+": lambda: a + b, "-": lambda: a - b, "*": lambda: a * b, "/": lambda: a / b,
            "//": lambda: Fraction(a // b), "%": lambda: a % b,
        }  # fmt: skip
        return self.number(results[op]())

    def sum(self, op: str, a: Value, b: Value) -> Value:
        if a.below == b.below == 1 or "float" in (a.kind, b.kind):
            a, b = self.float_of(a, b), self.float_of(b, a)
            kind = "int" if a.kind == b.kind == "int" else "float"
            return _combined(f"({a.code} {op} {b.code})", kind, a.bound + b.bound, a, b)
        below = a.below * b.below // _gcd(a.below, b.below)
        if below > MAX_BELOW:
            return self.sum(op, closed(a), closed(b))
        a, b = self.raised(a, below), self.raised(b, below)
        value = _combined(f"({a.code} {op} {b.code})", "int", a.bound + b.bound, a, b)
        return replace(value, below=below)

    def float_of(self, value: Value, other: Value) -> Value:
        """A fraction beside a float is a float itself."""
        if value.literal is not None and value.below != 1 and other.kind == "float":
            number = float(value.literal)
            return Value(self.names.constant(number), "float", bound=abs(number))
        return closed(value)

    def raised(self, value: Value, below: int) -> Value:
        factor = below // value.below
        if factor == 1:
            return value
        if value.literal is not None:
            number = value.literal * below
            return replace(value, code=self.names.constant(int(number)), bound=abs(float(number)))
        return replace(value, code=f"({value.code} * {factor})", bound=value.bound * factor)

    def division(self, node: Node, a: Value, b: Value) -> Value:
        if b.literal == 0:
            raise ExpressionError("division by zero")
        if node.op == "/" and b.literal is not None:
            inverse = self.number(1 / b.literal)
            code = a.code if inverse.literal and inverse.literal.numerator == 1 else ""
            code = code or f"({a.code} * {inverse.code})"
            value = _combined(code, a.kind, a.bound * inverse.bound, a)
            if a.below * inverse.below > MAX_BELOW:
                return replace(closed(replace(value, below=a.below)), below=inverse.below)
            return replace(value, below=a.below * inverse.below)
        exact = a.below == b.below == 1 and a.kind == b.kind == "int"
        a, b = closed(a), closed(b)
        kind = "int" if exact and node.op != "/" else "float"
        bound = max(a.bound, b.bound) if b.kind == "int" or node.op == "%" else UNBOUNDED
        value = _combined(f"({a.code} {node.op} {b.code})", kind, bound, a, b)
        return replace(
            value, divides=value.divides or b.literal is None,
            risky=value.risky or b.kind == "float",
        )  # fmt: skip

    def comparison(self, node: Node) -> Value:
        if node.op in _ORDER:
            a, b = (closed(self.operand(arg)) for arg in node.args)
            return _combined(f"({a.code} {node.op} {b.code})", "bool", 1, a, b)
        a, b = (closed(self.emit(arg)) for arg in node.args)
        kinds = {"text" if v.kind == "text" else "any" if v.kind == "any" else "n" for v in (a, b)}
        if {"list", "map"} & {a.kind, b.kind}:
            raise ExpressionError("a list or structure cannot be compared")
        if kinds == {"text", "n"}:
            raise ExpressionError("a text is compared with a number: one of them is mistaken")
        return _combined(f"({a.code} {node.op} {b.code})", "bool", 1, a, b)

    def truth(self, node: Node) -> Value:
        value = closed(self.emit(node))
        if value.kind not in ("bool", "int", "float"):
            raise ExpressionError(f"{_shown(node)} is neither true nor false; compare it")
        return value

    def logic(self, node: Node) -> Value:
        values = [self.truth(arg) for arg in node.args]
        codes = [value.code for value in values]
        code = f"not {codes[0]}" if node.op == "not" else f" {node.op} ".join(codes)
        if node.op != "not" and any(value.kind != "bool" or value.nullable for value in values):
            code = f"True if {code} else False"
        return _combined(f"({code})", "bool", 1, *values)

    def choice(self, node: Node) -> Value:
        condition = self.truth(node.args[0])
        a, b = (closed(self.emit(arg)) for arg in node.args[1:])
        kinds = {a.kind, b.kind}
        if len(kinds) > 1 and not kinds <= {"int", "float", "bool", "any"}:
            raise ExpressionError(f"one side of '?:' is a {a.kind}, the other a {b.kind}")
        kind = a.kind if len(kinds) == 1 else "any" if "any" in kinds else "float"
        if kind in ("list", "map"):
            raise ExpressionError("'?:' chooses between numbers or texts")
        code = f"({a.code} if {condition.code} else {b.code})"
        return _combined(code, kind, max(a.bound, b.bound), condition, a, b)

    def call(self, node: Node) -> Value:
        name: str = node.value
        if name not in FUNCTIONS:
            raise ExpressionError(f"there is no function {name!r}; one of {', '.join(FUNCTIONS)}")
        least, most = FUNCTIONS[name]
        if not least <= len(node.args) <= most:
            raise ExpressionError(f"{name}() takes {least} to {most} arguments")
        if name in ("has", "size", "sum", "number"):
            return self.about(name, node.args[0])
        if name in ("local_time", "epoch"):
            values = [self.whole(arg) for arg in node.args]
            codes = ", ".join(value.code for value in values)
            kind, bound = ("text", 0.0) if name == "local_time" else ("int", 2.0**40)
            value = _combined(f"{name.upper()}({codes})", kind, bound, *values)
            return replace(value, nullable=True)
        values = [closed(self.operand(arg)) for arg in node.args]
        if name == "round" and len(values) == 2 and values[1].literal not in range(13):
            raise ExpressionError("round() is to 0 to 12 digits, told as a number")
        codes = ", ".join(value.code for value in values)
        kind = "int" if all(value.kind == "int" for value in values) else "float"
        if name == "int" or (name == "round" and len(values) == 1):
            kind = "int"
        bound = max(value.bound for value in values) + 1
        return _combined(f"{name}({codes})", kind, bound, *values)

    def about(self, name: str, arg: Node) -> Value:
        value = self.emit(arg)
        if name == "has" and value.kind == "map" and not value.code:
            raise ExpressionError(f"{_shown(arg)} is always there: ask for a field of it")
        if name == "has" and not value.nullable:
            return Value("True", "bool", bound=1)
        if name == "has":
            # A member of what is absent is absent too.
            return Value(f"({closed(value).code} is not None)", "bool", nullable=True, bound=1)
        if name == "number":
            if value.kind != "text":
                raise ExpressionError("number() reads a text of digits")
            return Value(f"DIGITS({value.code})", "int", nullable=True, bound=1e18)
        if value.kind != "list" or value.item is None:
            raise ExpressionError(f"{name}() is of a list")
        if name == "size":
            return _combined(f"len({value.code})", "int", 1e5, value)
        if value.item.kind not in ("int", "float", "bool"):
            raise ExpressionError("sum() is of a list of numbers")
        kind = "float" if value.item.kind == "float" else "int"
        return _combined(f"sum({value.code})", kind, value.item.bound * 1e4, value)


def _combined(code: str, kind: str, bound: float, *of: Value) -> Value:
    if bound >= 2.0**MAX_BITS:
        raise ExpressionError(f"numbers of this expression may grow beyond {MAX_BITS} bits")
    return Value(
        code, kind, any(v.nullable for v in of), bound,
        risky=any(v.risky for v in of), divides=any(v.divides for v in of),
    )  # fmt: skip


def _shown(node: Node) -> str:
    return repr(node.value) if node.op in ("name", "text") else "what stands here"


def _gcd(a: int, b: int) -> int:
    while b:
        a, b = b, a % b
    return a
