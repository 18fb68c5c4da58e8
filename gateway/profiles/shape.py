"""The shape of a document: the paths that a profile reads, as one tree of typed structs.

Every decoder makes an instance of the tree's root: JSON bytes are decoded straight into it, others
convert what they parsed.  So a value of the wrong type is refused by one mechanism, with its path,
and the compiled normaliser reads plain attributes.  What nobody reads is skipped.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from gateway.profiles.notation import ITEMS, VALUES, Select

MAX_NUMBER: Final = 1e15
"""Beyond this a double no longer holds a register's two decimals; such a number is refused."""

_NUMBER: Final = Annotated[float, Meta(gt=-MAX_NUMBER, lt=MAX_NUMBER)]
_TEXT: Final[Any] = Annotated[str, Meta(max_length=4096)]
_LIST_LIMIT: Final = 10_000

_CLASSES: Final[dict[str, set[Any]]] = {
    "number": {int, float}, "epoch": {int, float}, "integer": {int}, "scalar": {str, int},
    "text": {str}, "moment": {str}, "bool": {bool},
}  # fmt: skip

# Leaves by what the profile needs of them; a union is built when two blocks need different things.
LEAVES: Final[dict[str, Any]] = {
    "number": _NUMBER,
    "integer": Annotated[int, Meta(ge=0, le=2**63 - 1)],
    "scalar": Annotated[str, Meta(max_length=4096)]
    | Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)],
    "text": _TEXT,
    "bool": bool,
    "moment": dt.datetime,
    "epoch": Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
    | Annotated[float, Meta(gt=-(2.0**63), lt=2.0**63)],
    "any": Any,
    "raw": Any,  # only whether it is there counts
    "words": Annotated[list[_TEXT], Meta(max_length=64)],
}


@dataclass
class Node:
    """A place in the document: its own leaf types, its named children, or the item of its array.

    ``required`` places must be there in every message of the profile.  ``mapping``: the items are
    values of a mapping with any keys; ``key`` is the key that an item has there.
    """

    path: str
    leaf: set[str] = field(default_factory=set)
    children: dict[str, Node] = field(default_factory=dict)
    item: Node | None = None
    required: bool = False
    attribute: str = ""
    type: Any = None
    struct: Any = None
    empty: Any = None
    mapping: bool = False
    key: Node | None = None

    def child(self, part: str | int | Select) -> Node:
        """The place one step down, made when it is new; a position or selection is an item."""
        if isinstance(part, int):
            return self.items()
        if isinstance(part, Select):
            item = self.items()
            for key, _ in part.wanted:
                item.child(key).leaf.add("any")
            return item
        if part == ITEMS:
            return self.items()
        if part == VALUES:
            return self.values()
        if part not in self.children:
            self.children[part] = Node(f"{self.path}.{part}" if self.path else part)
        return self.children[part]

    def items(self) -> Node:
        """The item of this place's array."""
        if self.item is None:
            self.item = Node(f"{self.path}[]")
        return self.item

    def values(self) -> Node:
        """The value of this place's mapping, whatever its key."""
        if self.item is None:
            self.item = Node(f"{self.path}.*" if self.path else "*")
            self.item.key = Node(f"{self.item.path} (its key)", {"scalar"}, required=True)
            self.mapping = True
        return self.item

    def build(self) -> Any:  # noqa: ANN401 - a type made at run time
        """Makes the struct types bottom-up and returns this place's type."""
        kind: Any
        if self.item is not None:
            item = self.item.build()
            items = dict.__class_getitem__((str, item)) if self.mapping else list[item]  # type: ignore[valid-type]
            kind = Annotated[items, Meta(max_length=_LIST_LIMIT)]
        elif self.children:
            kind = self._struct()
        else:
            kind = self._leaf_type()
        if not self.required and kind is not Any:
            kind = kind | None
        self.type = kind
        return kind

    def conflicts(self) -> Iterator[str]:
        """Places that the profile reads in ways which exclude each other."""
        ways = {
            "an object": bool(self.children),
            "an array": (self.item is not None and not self.mapping) or "words" in self.leaf,
            "a mapping of any keys": self.mapping,
            "a plain value": bool(self.leaf - {"raw", "words"}),
        }
        if sum(ways.values()) > 1:
            both = " and as ".join(way for way, taken in ways.items() if taken)
            yield f"`$.{self.path}` of the message is read as {both}"
        for child in self.children.values():
            yield from child.conflicts()
        if self.item is not None:
            yield from self.item.conflicts()

    def plain(self, kind: str) -> bool:
        """Whether the decoder alone sees to it that a value here is of this kind of leaf."""
        return self.leaf - {"raw"} == {kind}

    def _leaf_type(self) -> Any:  # noqa: ANN401 - a type made at run time
        kinds = self.leaf - {"raw"}
        if len(kinds) == 1:
            return LEAVES[next(iter(kinds))]
        if "any" in kinds or not kinds:
            return Any
        # Blocks need different things of this place: any of them comes through, and the normaliser
        # looks whether it is what it needs.
        classes = sorted(set().union(*(_CLASSES[kind] for kind in kinds)), key=str)
        union = classes[0]
        for each in classes[1:]:
            union = union | each
        return union

    def _struct(self) -> Any:  # noqa: ANN401 - a type made at run time
        fields: list[Any] = []
        rename = {}
        names = sorted(self.children, key=lambda name: not self.children[name].required)
        for i, name in enumerate(names):
            child = self.children[name]
            child.attribute = f"f{i}"
            rename[child.attribute] = name
            kind = child.build()
            if child.required:
                fields.append((child.attribute, kind))
            elif child.children and child.empty is not None:
                fields.append((child.attribute, kind, child.empty))
            else:
                # Null and absent say the same: there is no value.
                fields.append((child.attribute, kind, None))
        struct = msgspec.defstruct("Document", fields, rename=rename, frozen=True, gc=False)
        self.struct = struct
        optional = all(not child.required for child in self.children.values())
        self.empty = struct() if optional else None
        return struct
