"""Arithmetic of a profile: a small expression language, parsed here and emitted as Python.

``(raw & 0x7fff) * 0.001``, ``_index == 0 ? total : _prev.volume - delta``.  Operators by rising
precedence: ``?:``, ``or``, ``and``, ``not``, comparisons (not chained), ``|``, ``^``, ``&``,
``<< >>``, ``+ -``, ``* / // %``, ``- ~``.  Nothing of the text is ever evaluated: it becomes a tree
of bounded size, every name in it is resolved by the caller, and what is emitted has only names of
ours; literals travel as constants.

Whole numbers stay exact: a decimal literal is a fraction, and an expression of whole numbers and
decimals ends in one division, so that ``raw * 0.1 - 40`` of 653 is 25.3 and not 25.299999999999997.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

MAX_LENGTH: Final = 500
MAX_NODES: Final = 200
MAX_DEPTH: Final = 40


class ExpressionError(ValueError):
    """An expression is wrong; the message says where and what."""


@dataclass(frozen=True, slots=True)
class Node:
    """One operation: ``number``, ``text``, ``name``, ``member``, ``item``, ``call`` or an operator.

    Attributes:
        op: the operator, or what kind of leaf it is.
        at: position in the text, from 0.
        args: its operands.
        value: a leaf's: a Fraction, a text, a name, or a truth value.
        depth: of the tree below it.
    """

    op: str
    at: int
    args: tuple[Node, ...] = ()
    value: Any = None
    depth: int = 1


_TOKEN: Final = re.compile(
    r"\s*(?:(?P<number>0[xX][0-9a-fA-F_]+|0[bB][01_]+|\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d{1,3})?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<text>\"[^\"]*\"|'[^']*')"
    r"|(?P<op><<|>>|<=|>=|==|!=|//|[-+*/%&|^~<>?:().,\[\]]))"
)
_BINARY: Final = (
    ("or",), ("and",), ("not",), ("==", "!=", "<", "<=", ">", ">="), ("|",), ("^",), ("&",),
    ("<<", ">>"), ("+", "-"), ("*", "/", "//", "%"),
)  # fmt: skip
_WORDS: Final = {"and", "or", "not", "true", "false"}


def parse(text: str | float) -> Node:
    """The tree of an expression; a number or truth value stands for itself.

    Raises:
        ExpressionError: with the position, counted from 1.
    """
    if isinstance(text, bool):
        return Node("truth", 0, value=text)
    if isinstance(text, int | float):
        return Node("number", 0, value=Fraction(str(text)))
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"an expression has at most {MAX_LENGTH} characters: split it")
    return _Parser(text).whole()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str, int]] = []
        at, end = 0, len(text.rstrip())
        while at < end:
            match = _TOKEN.match(text, at)
            if match is None:
                start = at + len(text[at:]) - len(text[at:].lstrip())
                raise self.fault(start, f"{text[start]!r} has no meaning in an expression")
            kind = match.lastgroup or ""
            self.tokens.append((kind, match[kind], match.start(kind)))
            at = match.end()
        self.next = 0
        self.depth = 0
        self.nodes = 0

    def fault(self, at: int, problem: str) -> ExpressionError:
        return ExpressionError(f"{self.text!r}, column {at + 1}: {problem}")

    def peek(self) -> str:
        if self.next >= len(self.tokens):
            return ""
        kind, word, _ = self.tokens[self.next]
        return word if kind == "op" or word in _WORDS else kind

    def take(self) -> tuple[str, int]:
        if self.next >= len(self.tokens):
            raise self.fault(len(self.text), "the expression ends too early")
        _, word, at = self.tokens[self.next]
        self.next += 1
        return word, at

    def expect(self, word: str) -> None:
        if self.peek() != word:
            at = self.tokens[self.next][2] if self.next < len(self.tokens) else len(self.text)
            raise self.fault(at, f"here {word!r} is needed")
        self.next += 1

    def node(self, op: str, at: int, *args: Node, value: object = None) -> Node:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise self.fault(at, f"more than {MAX_NODES} operations: split it into fields")
        depth = 1 + max((arg.depth for arg in args), default=0)
        if depth > MAX_DEPTH:
            raise self.fault(at, f"nested deeper than {MAX_DEPTH}: split it into fields")
        return Node(op, at, args, value, depth)

    def whole(self) -> Node:
        node = self.choice()
        if self.next < len(self.tokens):
            _, word, at = self.tokens[self.next]
            raise self.fault(at, f"{word!r} is left over")
        return node

    def choice(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.fault(0, f"nested deeper than {MAX_DEPTH}: split it into fields")
        node = self.level(0)
        if self.peek() == "?":
            _, at = self.take()
            first = self.choice()
            self.expect(":")
            node = self.node("?", at, node, first, self.choice())
        self.depth -= 1
        return node

    def level(self, index: int) -> Node:
        if index == len(_BINARY):
            return self.unary()
        operators = _BINARY[index]
        if operators == ("not",):
            if self.peek() != "not":
                return self.level(index + 1)
            _, at = self.take()
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise self.fault(at, f"nested deeper than {MAX_DEPTH}: split it into fields")
            node = self.node("not", at, self.level(index))
            self.depth -= 1
            return node
        node = self.level(index + 1)
        while self.peek() in operators:
            op, at = self.take()
            node = self.node(op, at, node, self.level(index + 1))
            if operators[0] == "==" and self.peek() in operators:
                raise self.fault(at, "comparisons are not chained: write 'a < b and b < c'")
        return node

    def unary(self) -> Node:
        if self.peek() in ("-", "~"):
            op, at = self.take()
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise self.fault(at, f"nested deeper than {MAX_DEPTH}: split it into fields")
            node = self.node(f"{op}1", at, self.unary())
            self.depth -= 1
            return node
        node = self.leaf()
        while self.peek() in (".", "["):
            op, at = self.take()
            if op == "[":
                node = self.node("item", at, node, self.choice())
                self.expect("]")
            else:
                if self.peek() != "name":
                    raise self.fault(at, "after '.' the id of a field is needed")
                node = self.node("member", at, node, value=self.take()[0])
        return node

    def leaf(self) -> Node:
        kind = self.peek()
        word, at = self.take()
        if kind == "number":
            return self.node("number", at, value=_number(word))
        if kind == "text":
            return self.node("text", at, value=word[1:-1])
        if kind in ("true", "false"):
            return self.node("truth", at, value=kind == "true")
        if kind == "(":
            node = self.choice()
            self.expect(")")
            return node
        if kind != "name":
            raise self.fault(at, f"{word!r} cannot stand here")
        if self.peek() != "(":
            return self.node("name", at, value=word)
        self.take()
        args = []
        while self.peek() != ")":
            args.append(self.choice())
            if self.peek() != ")":
                self.expect(",")
        self.take()
        return self.node("call", at, *args, value=word)


def _number(word: str) -> Fraction:
    plain = word.replace("_", "")
    if plain[:2].lower() in ("0x", "0b"):
        return Fraction(int(plain, 0))
    return Fraction(plain)
