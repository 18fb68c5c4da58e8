"""Codecs that can be kept from one message to the next, as their text shows when they are loaded.

Running a file anew for each message costs little where it declares functions, and much where it
has tables.  It need not be run anew if nothing of it can change.  This module finds files of
which that is certain and says no to all others; what makes it certain is partly here, partly in
the host (``seal`` in ts013_closed.js):

* What decodes can name only variables of its file and what a codec finds around it: its text, and
  that of every function that it names in turn, has no ``eval``, ``exports``, ``globalThis``,
  ``require`` and their like (`_FORBIDDEN`), and names no variable of a block.
* None of these texts writes a variable of the file, and no text of the file at all writes the name
  of a function of it.
* All objects of those variables are frozen.  They are lists, plain objects, regular expressions and
  functions, for of others the engine has more than properties (a Map, a Date).  Each function is
  one that the file itself makes, not one that another function made: that one could have variables
  that nobody sees.  A function is known by its text, which no other function of the file has.
* What a codec finds around it is frozen, and nothing there makes functions of texts or disguises
  objects.

So no message can leave anything behind.  That a frozen object refuses to be written must not make
another document either.  The file is run in strict mode, where such a write throws, and the engine
tells each TypeError and ReferenceError, also one that the codec catches.  After one of those, and
after whatever is neither a document nor errors of the codec, the message is read again by a fresh
run of the file as it stands.  Words that mean something else in strict mode are forbidden, too.
"""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

from gateway.decode.ts013_tokens import BEFORE_BLOCK, DECLARING, Text, Unsure

_ASSIGNING: Final = frozenset(
    (
        "=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", ">>=", ">>>=", "<<=", "**=", "&&=",
        "||=", "??=", "++", "--",
    )
)  # fmt: skip
_FORBIDDEN: Final = frozenset(
    (
        "super", "arguments", "eval", "Function", "with", "class", "async", "await",
        "yield", "import", "exports", "module", "globalThis", "require", "context", "global",
        "window", "self", "constructor", "caller", "callee", "debugger", "stack", "Promise",
        "isFrozen", "isSealed", "isExtensible", "getOwnPropertyDescriptors",
    )
)  # fmt: skip
# By these what getOwnPropertyDescriptor says of a frozen object could matter.
_DESCRIBING: Final = frozenset(("writable", "configurable", "defineProperty", "defineProperties"))
_MOST: Final = 128 * 1024
_FORMS: Final = ("decodeUplink", "Decode", "Decoder")

_Range = tuple[int, int]
"""The first token and the one behind the last."""


class Kept(NamedTuple):
    """What a codec may keep.

    Attributes:
        functions: declared functions of the file that decoding reaches.
        variables: variables of the file that decoding reaches.
        texts: of the other functions that may be found among them.
    """

    functions: tuple[str, ...]
    variables: tuple[str, ...]
    texts: tuple[str, ...]


def kept(source: str) -> Kept | None:
    """What of a file can be kept from message to message; None if that is not certain."""
    if len(source) > _MOST:
        return None
    try:
        return _File(source).kept()
    except Unsure:
        return None


class _File(Text):
    """What a file declares, and what its functions name and write."""

    def __init__(self, source: str) -> None:
        super().__init__(source)
        self.declared: dict[str, _Range] = {}
        self.variables: dict[str, list[_Range]] = {}
        # Of blocks that are run at load: nothing else can see them.
        self.hidden: set[str] = set()
        self.others: list[_Range] = []
        for first, end in self.statements():
            if self.text(first) == "function":
                if self.text(first + 1) in self.declared or self.text(first + 2) != "(":
                    raise Unsure
                self.declared[self.text(first + 1)] = (first + 2, end)
            else:
                self._declares(first, end)
                if self.text(first) not in DECLARING:
                    self.others.append((first, end))
        self.every = {*self.declared, *self.variables}
        self.made = self._made()
        if set(self.declared) & {*self.variables, *self.hidden}:
            raise Unsure

    def _declares(self, first: int, end: int) -> None:
        at = first
        while at < end:
            word = self.text(at)
            if self.inside[at] or word not in {"function", "catch", *DECLARING}:
                at += 1
            elif word == "function":
                if self.text(at - 1) in {"{", "}", ";"}:
                    raise Unsure  # declared in a block
                at += 1
            elif word == "catch":
                if self.text(at + 1) == "(":
                    self.hidden |= self.names(at + 2, self.mate[at + 1])
                at += 1
            else:
                at = self._names_declared(at, first, end)

    def _names_declared(self, at: int, first: int, end: int) -> int:
        block = self.text(at) != "var" and at != first
        while True:
            at += 1
            if at >= end or self.tokens[at].kind != "name":
                raise Unsure
            if block:
                self.hidden.add(self.text(at))
            else:
                self.variables.setdefault(self.text(at), []).append((first, end))
            at += 1
            if self.text(at) == "=":
                at = self.expression(at + 1) + 1
            if at >= end or self.text(at) != ",":
                return at

    def names(self, first: int, end: int) -> set[str]:
        """What is named between two tokens, members behind a point left out."""
        return {token.text for token in self.tokens[first:end] if token.kind == "name"}

    # -- what is written --------------------------------------------------------------------------

    def written(self, first: int, end: int, *, when_loaded: bool = True) -> set[str]:
        """Which variables may be written, whatever their scope; most declarations do not count."""
        found: set[str] = set()
        for at in range(first, end):
            if not (when_loaded or self.inside[at]):
                continue
            token = self.tokens[at]
            before, after = self.text(at - 1), self.text(at + 1)
            if token.kind == "sign":
                found |= self._written_in_brackets(at, before, after)
            elif token.kind == "name" and before not in DECLARING:
                looped = before == "(" and self.text(at - 2) == "for" and after in {"in", "of"}
                if after in _ASSIGNING or before in {"++", "--"} or looped:
                    found.add(token.text)
        return found

    def _written_in_brackets(self, at: int, before: str, after: str) -> set[str]:
        """``[a] = ``, ``({a} = ...)``, ``for ([a] of ...)``, ``(a) = ``, ``++(a)``."""
        sign = self.text(at)
        pattern = sign in {"[", "{"} and before == "(" and self.text(at - 2) == "for"
        if pattern or (sign == "(" and before in {"++", "--"}):
            return self.names(at, self.mate[at])
        if sign == ")" and after in _ASSIGNING:
            return self.names(self.mate[at], at)
        if sign in {"]", "}"} and after == "=":
            opened = self.mate[at]
            if self.text(opened - 1) not in DECLARING and not self._member(opened):
                return self.names(opened, at)
        return set()

    def _member(self, at: int) -> bool:
        """Whether a ``[`` asks for a member, as in ``list[i]``."""
        behind = self.tokens[at - 1] if at else None
        if behind is None or behind.text == "}" or not behind.ends or self.text(at) == "{":
            return False
        control = behind.text == ")" and self.text(self.mate[at - 1] - 1) in BEFORE_BLOCK
        return not control

    def _local(self, first: int, end: int) -> set[str]:
        """What is declared between two tokens, in whatever function: variables, parameters."""
        found: set[str] = set()
        for at in range(first, end):
            word = self.text(at)
            if word in DECLARING:
                found |= self._declarators(at + 1, end)
            elif word in {"function", "catch"}:
                opened = at + 1 if self.text(at + 1) == "(" else at + 2
                found |= self.names(at, self.mate.get(opened, opened))
            elif word == "=>":
                found |= self.names(self.mate.get(at - 1, at - 1), at)
        return found | self.names(first, self.mate.get(first, first))

    def _declarators(self, at: int, end: int) -> set[str]:
        found: set[str] = set()
        while at < end:
            last = self.mate.get(at, at)
            found |= self.names(at, last + 1)
            at = last + 1
            if self.text(at) == "=":
                at = self.expression(at + 1) + 1
            if self.text(at) != ",":
                break
            at += 1
        return found

    # -- what is reached --------------------------------------------------------------------------

    def kept(self) -> Kept:
        """See `kept`.

        Raises:
            Unsure: it is not certain.
        """
        if self.written(0, len(self.tokens)) & set(self.declared):
            raise Unsure
        reached: set[str] = set()
        ranges: set[_Range] = set()
        left: list[str] = [name for name in _FORMS if name in self.every]
        if not left:
            ranges = {found for found in self.made if self._exported(found)}
            left = [name for found in ranges for name in self.names(*found) & self.every]
        while left:
            name = left.pop()
            if name in reached:
                continue
            reached.add(name)
            places = [self.declared[name]] if name in self.declared else self.variables[name]
            ranges.update(places)
            left.extend(named for place in places for named in self.names(*place) & self.every)
        if not ranges or not all(self._pure(*place) for place in ranges):
            raise Unsure
        covered = self._covered(ranges)
        for found in self.made:
            known = self.names(*found) & self.every <= reached
            if not covered[found[0]] and known and self._pure(*found):
                ranges.add(found)
        return Kept(
            tuple(sorted(reached & set(self.declared))),
            tuple(sorted(reached & set(self.variables))),
            tuple(self._texts(ranges)),
        )

    def _made(self) -> list[_Range]:
        """Functions that the file itself makes where it does not declare them."""
        declared, made, behind = set(self.declared.values()), [], 0
        for first, _, last in sorted(self.functions):
            if last >= behind:
                behind = last + 1
                if (first + 2, behind) not in declared:
                    made.append((first, behind))
        return made

    def _exported(self, found: _Range) -> bool:
        return any(
            first <= found[0] and found[1] <= end and self.text(first) in {"exports", "module"}
            for first, end in self.others
        )

    def _pure(self, first: int, end: int) -> bool:
        """Whether a text names and writes nothing that lasts."""
        words = {token.text for token in self.tokens[first:end] if token.kind in {"name", "member"}}
        if self._strictly(first, end):
            words.discard("arguments")
        if "getOwnPropertyDescriptor" in words and words & _DESCRIBING:
            return False
        if not self._unambiguous(first, end):
            return False
        # Of a plain call `this` is another in strict mode; it has no members there.
        if any(
            self.text(at) == "this" and self.text(at + 1) not in {".", "["}
            for at in range(first, end)
        ):
            return False
        written = self.written(first, end, when_loaded=False)
        if written - self._local(first, end) - self.every:
            return False  # of a variable that is not declared: strict mode has none
        return not (words & _FORBIDDEN or words & self.hidden or written & self.every)

    def _strictly(self, first: int, end: int) -> bool:
        """Whether a function is in strict mode by its own word."""
        if self.text(first) != "function" or self.text(end - 1) != "}":
            return False
        return self.tokens[self.mate[end - 1] + 1].text in {"'use strict'", '"use strict"'}

    def _covered(self, ranges: set[_Range]) -> list[bool]:
        covered = [False] * len(self.tokens)
        for first, end in ranges:
            covered[first:end] = [True] * (end - first)
        return covered

    def _texts(self, ranges: set[_Range]) -> list[str]:
        """Texts of functions that the file makes in these places, and no other function has."""
        alike = Counter(self._said(first, last + 1) for first, _, last in self.functions)
        covered = self._covered(ranges)
        texts = [self._said(*found) for found in self.made if covered[found[0]]]
        return [text for text in texts if alike[text] == 1]

    def _said(self, first: int, end: int) -> str:
        return self.source[self.tokens[first].start : self.tokens[end - 1].end]

    # -- strict mode ------------------------------------------------------------------------------

    def _unambiguous(self, first: int, end: int) -> bool:
        """Whether no function in a block could mean another one than in strict mode.

        There its name is the block's alone.  Outside of it the engine would say so, unless the name
        has another meaning there, or is asked for its type.
        """
        inner = {
            self.text(at + 1)
            for at in range(first, end - 1)
            if self.text(at) == "function"
            and self.text(at + 1) != "("
            and (self.text(at - 1) in {"{", "}", ";", ")"} or self.tokens[at].newline)
        }
        if inner & self.every:
            return False
        declared: set[str] = set()
        for at in range(first, end):
            name = self.text(at)
            if name not in inner:
                continue
            before, after = self.text(at - 1), self.text(at + 1)
            if before == "function" or before in DECLARING:
                if name in declared:
                    return False
                declared.add(name)
            elif before == "typeof" or (before in {"(", ","} and after != "("):
                return False
        return True
