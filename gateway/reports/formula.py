"""A check's formula with the numbers put in, computed again from what the paper shows.

What can be computed is arithmetic: names, numbers, ``+ - * / **``, comparisons and a few
functions.  A formula that is a sentence stays one, and only its numbers are shown.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from decimal import Decimal, DivisionByZero, InvalidOperation, Overflow
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gateway.times import SECOND, nanoseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_TIMES: Final = re.compile(r"(?<=[\w)]) x (?=[\w(])")
_SUM_OF_TARIFFS: Final = "sum of the tariffs"
_TARIFF: Final = re.compile(r"T\d+")
_LONGEST: Final = 300
_NANOSECONDS: Final = 10**15
"""A time that is a number larger than this is nanoseconds; formulas go by seconds."""

_BINARY: Final[dict[type[ast.operator], Callable[[Decimal, Decimal], Decimal]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_COMPARED: Final[dict[type[ast.cmpop], Callable[[Decimal, Decimal], bool]]] = {
    ast.LtE: operator.le,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.Gt: operator.gt,
}
_SIGNS: Final[dict[type[ast.AST], str]] = {
    ast.Add: "+", ast.Sub: "−", ast.Mult: "×", ast.Div: "÷",
    ast.LtE: "≤", ast.GtE: "≥", ast.Lt: "<", ast.Gt: ">",
}  # fmt: skip
_FUNCTIONS: Final[dict[str, Callable[..., Decimal]]] = {
    "min": min,
    "max": max,
    "abs": abs,
    "ln": lambda value: value.ln(),
}


class Unknown(Exception):
    """Not arithmetic, or a number is missing."""


class Computed(NamedTuple):
    """A formula with its numbers; ``value`` a number, or whether a condition holds."""

    put_in: str
    value: Decimal | bool


def decimal(value: object) -> Decimal | None:
    """A number as the shortest decimal that says it; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    found = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    return found if found.is_finite() else None


def told(value: Decimal) -> str:
    """A number for a person: plain, with at most twelve significant digits."""
    rounded = +value if len(value.as_tuple().digits) <= 12 else Decimal(f"{value:.12g}")
    text = f"{rounded:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def compute(formula: str, numbers: Mapping[str, Any]) -> Computed | None:
    """The formula with its numbers, and what comes out; None where it is not arithmetic.

    Args:
        formula: as the evidence has it, such as ``amount = unit_price x volume``.
        numbers: by name, those of other records nested; times (``…_at``) as ns or RFC 3339.
    """
    _, equals, right = formula.partition(" = ")
    text = _TIMES.sub(" * ", right if equals else formula)
    if _SUM_OF_TARIFFS in text:
        tariffs = [name for name in numbers if _TARIFF.fullmatch(name)]
        text = text.replace(_SUM_OF_TARIFFS, f"({' + '.join(tariffs)})")
    if len(text) > _LONGEST:
        return None
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        walk = _Walk(numbers)
        value = walk.of(tree)
        put_in = walk.written(tree)
    except (SyntaxError, Unknown, InvalidOperation, DivisionByZero, Overflow, RecursionError):
        return None
    finite = isinstance(value, bool) or value.is_finite()
    return Computed(put_in, value) if walk.names and finite else None


class _Walk:
    def __init__(self, numbers: Mapping[str, Any]) -> None:
        self._numbers = numbers
        self.names: set[str] = set()

    def of(self, node: ast.expr) -> Decimal | bool:
        if isinstance(node, ast.Compare):
            values = [self.number(each) for each in (node.left, *node.comparators)]
            pairs = zip(node.ops, values, values[1:], strict=False)
            return all(_known(_COMPARED, op)(one, other) for op, one, other in pairs)
        return self.number(node)

    def number(self, node: ast.expr) -> Decimal:
        match node:
            case ast.BinOp():
                return _operate(node.op, self.number(node.left), self.number(node.right))
            case ast.UnaryOp(op=ast.USub()):
                return -self.number(node.operand)
            case ast.Constant(value=int() | float()):
                found = decimal(node.value)
            case ast.Call(func=ast.Name(id=name), args=[_, *_], keywords=[]) if name in _FUNCTIONS:
                found = _FUNCTIONS[name](*map(self.number, node.args))
            case ast.Name() | ast.Attribute():
                found = self._named(node)
            case _:
                raise Unknown
        if found is None:
            raise Unknown
        return found

    def _named(self, node: ast.expr) -> Decimal | None:
        path = ast.unparse(node).split(".")
        value: Any = self._numbers
        for part in path:
            if not isinstance(value, dict) or part not in value:
                raise Unknown
            value = value[part]
        self.names.add(path[-1])
        if path[-1].endswith(("_at", "from", "to")):
            return _seconds(value)
        return decimal(value)

    def written(self, node: ast.expr) -> str:
        """The same with numbers in place of names."""
        match node:
            case ast.Compare():
                parts = [self.written(node.left)]
                for op, other in zip(node.ops, node.comparators, strict=True):
                    parts += [_SIGNS[type(op)], self.written(other)]
                return " ".join(parts)
            case ast.BinOp():
                tight = isinstance(node.op, ast.Mult | ast.Div)
                left = self._within(node.left, tight=tight, right=False)
                right = self._within(node.right, tight=tight, right=True)
                return f"{left} {_SIGNS[type(node.op)]} {right}"
            case ast.UnaryOp():
                return f"−{self._within(node.operand, tight=True, right=True)}"
            case ast.Call(func=ast.Name(id=name)):
                return f"{name}({', '.join(map(self.written, node.args))})"
            case _:
                return told(self.number(node))

    def _within(self, node: ast.expr, *, tight: bool, right: bool) -> str:
        text = self.written(node)
        if not isinstance(node, ast.BinOp):
            return text
        loose = isinstance(node.op, ast.Add | ast.Sub)
        return f"({text})" if right or (tight and loose) else text


def _operate(op: ast.operator, left: Decimal, right: Decimal) -> Decimal:
    made: Decimal = _known(_BINARY, op)(left, right)
    return made


def _known(table: Mapping[Any, Any], op: object) -> Any:  # noqa: ANN401 - a function
    try:
        return table[type(op)]
    except KeyError:
        raise Unknown from None


def _seconds(value: object) -> Decimal | None:
    """A time as seconds, where it is one."""
    if isinstance(value, str):
        try:
            return Decimal(nanoseconds(value)) / SECOND
        except ValueError:
            return None
    found = decimal(value)
    if found is not None and math.fabs(found) > _NANOSECONDS:
        return found / SECOND
    return found
