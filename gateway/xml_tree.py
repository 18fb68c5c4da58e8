"""XML of strangers as a tree: bounded, without entities, and without a look at anything outside.

Expat of the standard library with handlers of our own.  defusedxml sets the same handlers on the
same parser to forbid entities, and stops there: it bounds neither nesting nor the number of
elements.  A document type is refused whole, and with it every way to declare an entity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from xml.parsers import expat

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES: Final = 32 * 1024**2
MAX_DEPTH: Final = 64
MAX_ELEMENTS: Final = 200_000


class XmlError(Exception):
    """A document that is no XML, or more of it than is read; ``line`` counts from 1."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line = line


class Element(msgspec.Struct, gc=True):
    """One element: its namespace and name, its attributes without a namespace, its own text."""

    space: str
    name: str
    line: int
    attributes: dict[str, str] = {}
    text: str = ""
    children: list[Element] = []

    def all(self, *path: str) -> Iterator[Element]:
        """The elements at a path of names, in the namespace of this one, in document order."""
        if not path:
            yield self
            return
        for child in self.children:
            if child.name == path[0] and child.space == self.space:
                yield from child.all(*path[1:])

    def first(self, *path: str) -> Element | None:
        """The first element at a path."""
        return next(self.all(*path), None)

    def value(self, *path: str) -> str | None:
        """The text of the first element at a path, without blanks around it; None without any."""
        found = self.first(*path)
        return (found.text.strip() or None) if found is not None else None

    def walk(self) -> Iterator[Element]:
        """This element and all below it, in document order."""
        yield self
        for child in self.children:
            yield from child.walk()


def parse(data: bytes) -> Element:
    """The root element.

    Raises:
        XmlError: not well-formed, with a document type, or beyond the bounds.
    """
    if len(data) > MAX_BYTES:
        raise XmlError(1, f"{len(data):,} bytes, at most {MAX_BYTES:,} are read")
    builder = _Builder()
    try:
        builder.parser.Parse(data, True)
    except expat.ExpatError as error:
        raise XmlError(error.lineno, f"not XML: {expat.ErrorString(error.code)}") from None
    except (LookupError, ValueError) as error:
        # An encoding that nobody knows, or that expat cannot take.
        raise XmlError(1, f"not XML: {error}") from None
    if builder.root is None:
        raise XmlError(1, "not XML: no element")
    return builder.root


class _Builder:
    """Makes the tree out of what the parser calls."""

    def __init__(self) -> None:
        self.root: Element | None = None
        self._open: list[Element] = []
        self._texts: list[list[str]] = []
        self._count = 0
        self.parser = parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters

    def _doctype(self, *_declaration: Any) -> None:  # noqa: ANN401 - whatever it declares
        raise XmlError(
            self.parser.CurrentLineNumber,
            "a document type is not allowed: it could define entities",
        )

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        line = self.parser.CurrentLineNumber
        self._count += 1
        if self._count > MAX_ELEMENTS:
            raise XmlError(line, f"more than {MAX_ELEMENTS:,} elements")
        if len(self._open) >= MAX_DEPTH:
            raise XmlError(line, f"nested deeper than {MAX_DEPTH} elements")
        space, _, local = name.rpartition(" ")
        plain = {key: value for key, value in attributes.items() if " " not in key}
        element = Element(space, local, line, plain, "", [])
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)
        self._texts.append([])

    def _end(self, _name: str) -> None:
        self._open.pop().text = "".join(self._texts.pop())

    def _characters(self, text: str) -> None:
        self._texts[-1].append(text)
