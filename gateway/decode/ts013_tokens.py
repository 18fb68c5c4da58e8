"""The text of a codec in tokens: which brackets belong together, where its functions are.

It reads as much of JavaScript as is needed to tell what a file runs when it is loaded and what its
functions name.  What it is not sure to read as the engine does, it refuses (`Unsure`): then nothing
is told of that file.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_SPACE: Final = re.compile(r"(?:\s+|//[^\n]*|/\*[\s\S]*?\*/)+")
_TOKEN: Final = re.compile(
    r"""(?P<name>[A-Za-z_$][\w$]*)
    |(?P<number>0[xXbBoO][\da-fA-F_]+n?|(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?n?)
    |(?P<string>"(?:[^"\\\n]|\\[\s\S])*"|'(?:[^'\\\n]|\\[\s\S])*')
    |(?P<sign>=>|\.\.\.|\?\.(?!\d)|\+\+|--|[=!]==?|>>>=|>>=|<<=|\*\*=|&&=|\|\|=|\?\?=|[-+*/%&|^]=
        |<=|>=|>>>|>>|<<|\*\*|&&|\|\||\?\?|[-+*/%&|^~!?:;,.<>=(){}\[\]])""",
    re.VERBOSE,
)
_REGEX: Final = re.compile(r"/(?:[^/\\\n\[]|\\.|\[(?:[^\]\[\\\n]|\\.)*\])+/[a-z]*")
# Where JavaScript ends a line, or a comment, otherwise than is expected here.
_ODD: Final = re.compile(r"\r(?!\n)|[\u2028\u2029]|<!--|-->")
_TEMPLATE: Final = re.compile(r"(?:[^`\\$]|\\[\s\S]|\$(?!\{))*")

DECLARING: Final = frozenset(("var", "let", "const"))
BEFORE_BLOCK: Final = frozenset(("if", "for", "while", "switch", "catch", "with"))
_KEYWORDS: Final = BEFORE_BLOCK | DECLARING | frozenset(
    (
        "break", "case", "continue", "debugger", "default", "delete", "do", "else", "finally",
        "function", "in", "instanceof", "new", "of", "return", "throw", "try", "typeof", "void",
    )
)  # fmt: skip


_MOST_STEPS: Final = 1_000_000
_BEGINNING: Final = frozenset(("{", "!", "~", "++", "--"))
# A regular expression or a division may follow.
_BEFORE_EITHER: Final = frozenset(("}", "++", "--", "yield", "await", "of", "let", "async"))


class Unsure(Exception):
    """The text cannot be read with certainty, or does not show what is asked."""


class Token(NamedTuple):
    """A word, number, text, sign ... of a file.

    Attributes:
        kind: ``name``, ``member`` (a name behind a point), ``number``, ``string``, ``template`` (a
            part of one, up to ``${`` or from ``}``), ``regex`` or ``sign``.
        text: as it stands.
        start: its place in the file.
        end: the place behind it.
        newline: a line ends before it.
    """

    kind: str
    text: str
    start: int
    end: int
    newline: bool

    @property
    def ends(self) -> bool:
        """Whether an expression may end here, so that what follows is no beginning of one."""
        if self.kind == "name":
            return self.text not in _KEYWORDS
        if self.kind == "template":
            return self.text.endswith("`")
        return self.kind != "sign" or self.text in {")", "]", "}"}


class _Reader:
    """Goes through a file token by token."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.tokens: list[Token] = []
        # What is open: "{", "`" for ${ in a template, "(" and, of a condition or loop, "if".
        self.within: list[str] = []
        self.closed = ""

    def read(self) -> list[Token]:
        if _ODD.search(self.source):
            raise Unsure
        at = 0
        while True:
            space = _SPACE.match(self.source, at)
            at = space.end() if space is not None else at
            if at >= len(self.source):
                return self.tokens
            kind, end = self.next(at)
            newline = space is not None and "\n" in space[0]
            self.tokens.append(Token(kind, self.source[at:end], at, end, newline))
            at = end

    def next(self, at: int) -> tuple[str, int]:
        """The kind and the end of the token that begins at ``at``."""
        sign = self.source[at]
        before = self.tokens[-1] if self.tokens else None
        if sign == "`" or (sign == "}" and self.within[-1:] == ["`"]):
            return "template", self.template(at, sign)
        if sign == "/" and self.regex_begins(before):
            found = _REGEX.match(self.source, at)
            if found is None:
                raise Unsure
            return "regex", found.end()
        found = _TOKEN.match(self.source, at)
        if found is None or found.lastgroup is None:
            raise Unsure
        if found[0] in {"{", "("}:
            control = before is not None and before.kind == "name" and before.text in BEFORE_BLOCK
            self.within.append("if" if control and sign == "(" else sign)
        elif found[0] in {"}", ")"}:
            if not self.within:
                raise Unsure
            self.closed = self.within.pop()
        behind_point = before is not None and before.kind == "sign" and before.text in {".", "?."}
        kind = found.lastgroup
        return "member" if kind == "name" and behind_point else kind, found.end()

    def template(self, at: int, sign: str) -> int:
        if sign == "}":
            self.within.pop()
        found = _TEMPLATE.match(self.source, at + 1)
        at = found.end() if found is not None else len(self.source)
        if self.source.startswith("`", at):
            return at + 1
        if self.source.startswith("${", at):
            self.within.append("`")
            return at + 2
        raise Unsure

    def regex_begins(self, before: Token | None) -> bool:
        if before is None:
            return True
        if before.kind in {"name", "sign"} and before.text in _BEFORE_EITHER:
            raise Unsure
        if before.text == ")" and self.closed == "if":
            raise Unsure
        return not before.ends


class Text:
    """A file's tokens, with the bracket that each opens or closes, and its functions.

    Attributes:
        source: the file.
        tokens: of it, in order.
        mate: of each bracket's token the other one's.
        functions: (first token, first of the parameters, last), by where they begin to be told.
        inside: whether a token is in a function, its parameters included.
    """

    def __init__(self, source: str) -> None:
        """Raises Unsure where the file cannot be read with certainty."""
        self.source = source
        self.tokens = _Reader(source).read()
        self.mate = self._mates()
        self._steps = 0
        self.functions = self._functions()
        self.inside = [False] * len(self.tokens)
        for _, body, last in self.functions:
            for at in range(body, last + 1):
                self.inside[at] = True

    def _mates(self) -> dict[int, int]:
        mate: dict[int, int] = {}
        left: list[int] = []
        pairs = {")": "(", "]": "[", "}": "{"}
        for at, token in enumerate(self.tokens):
            opens = token.kind == "sign" and token.text in {"(", "[", "{"}
            if token.kind == "template":
                # Its first and last part belong together.
                opens = token.text.startswith("`") and not token.ends
                closes = "`" if token.text.startswith("}") and token.ends else ""
            else:
                closes = pairs.get(token.text, "") if token.kind == "sign" else ""
            if opens:
                left.append(at)
            elif closes:
                if not left or self.tokens[left[-1]].text[0] != closes:
                    raise Unsure
                begun = left.pop()
                mate[begun], mate[at] = at, begun
        if left:
            raise Unsure
        return mate

    def text(self, at: int) -> str:
        """The word or sign at a place; empty for anything else."""
        token = self.tokens[at] if 0 <= at < len(self.tokens) else None
        return token.text if token is not None and token.kind in {"sign", "name"} else ""

    def _functions(self) -> list[tuple[int, int, int]]:
        found: list[tuple[int, int, int]] = []
        for at, token in enumerate(self.tokens):
            if token.kind != "sign":
                continue
            if token.text == "=>" and at > 0:
                first = self.mate.get(at - 1, at - 1)
                block = self.text(at + 1) == "{"
                found.append(
                    (first, first, self.mate[at + 1] if block else self.expression(at + 1))
                )
                self._paid(found[-1])
            elif token.text == "{" and self.text(at - 1) == ")":
                opened = self.mate[at - 1]
                named = self.text(opened - 1) != "function"
                first = opened - 2 if named else opened - 1
                if self.text(first) == "function":
                    found.append((first, opened, self.mate[at]))
                    self._paid(found[-1])
                elif self.text(opened - 1) not in BEFORE_BLOCK:
                    raise Unsure  # a method, or a block behind a call
        return found

    def _paid(self, function: tuple[int, int, int]) -> None:
        """Functions in functions are gone through again and again, but not without end."""
        self._steps += function[2] - function[0]
        if self._steps > _MOST_STEPS:
            raise Unsure

    def expression(self, at: int) -> int:
        """The last token of an expression that begins at ``at``."""
        if at >= len(self.tokens):
            raise Unsure
        last = at
        while at < len(self.tokens):
            token = self.tokens[at]
            if token.kind == "sign" and token.text in {",", ";", ")", "]", "}"}:
                break
            if token.kind == "template" and token.text.startswith("}"):
                break
            if at > last and token.newline and self.begins(at):
                break
            last = self.mate.get(at, at)
            at = last + 1
        return last

    def begins(self, at: int) -> bool:
        """Whether a statement begins with a token that is the first of its line."""
        token = self.tokens[at]
        if not self.tokens[at - 1].ends or token.text in {"in", "instanceof"}:
            return False
        return token.kind in {"name", "string", "number"} or token.text in _BEGINNING

    def statements(self) -> list[tuple[int, int]]:
        """The statements of the file: (first token, past the last)."""
        found: list[tuple[int, int]] = []
        begun = at = 0
        while at < len(self.tokens):
            text = self.text(at)
            if at > begun and self.tokens[at].newline and self.begins(at):
                found.append((begun, at))
                begun = at
            if at == begun and text == "function":
                last = at
                while self.text(last) != "{":
                    last = self.mate.get(last, last) + 1
                    if last >= len(self.tokens):
                        raise Unsure
                at = self.mate[last] + 1
                found.append((begun, at))
                begun = at
                continue
            at = self.mate.get(at, at) + 1
            if text == ";":
                found.append((begun, at))
                begun = at
        if begun < len(self.tokens):
            found.append((begun, len(self.tokens)))
        return found
