"""What a block of ``read`` may read: the message, or each item of an array of records in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.drafting.fields import Field, fields_of, name_key, number_of
from gateway.drafting.groups import Group
from gateway.drafting.guess import identity_words, is_channel
from gateway.drafting.text import path_text

Path = tuple[Any, ...]


@dataclass
class Scope:
    """What one block reads: the message, or each item of an array in it.

    Attributes:
        each: the path of the array; None for the message itself.
        fields: its places, from the item where there is an array.
        outer: the message's own places, where there is an array.
        count: how many items (messages) there are.
    """

    each: Path | None
    fields: list[Field]
    outer: list[Field]
    count: int

    def place(self, found: Field) -> Any:  # noqa: ANN401 - text or list
        """Its path as the block says it."""
        outside = self.each is not None and any(found is each for each in self.outer)
        return path_text((("$",) if outside else ()) + found.path)


def scopes_of(group: Group, below: Path = ()) -> list[Scope]:
    """The message, and each array of records in it, as scopes of a block each."""
    documents = [(m.owner, m.received_at, _at(m.document, below)) for m in group.messages]
    arrays = _record_arrays([document for _, _, document in documents])
    plain = [
        (owner, received, _without(document, arrays)) for owner, received, document in documents
    ]
    outer = _below(fields_of(plain), below)
    for each in outer:
        each.context = str(group.when.get("{metric}", ""))
    scopes = [Scope(None, outer, [], len(plain))]
    for array in arrays:
        items = [
            (owner, received, item)
            for owner, received, document in documents
            for item in _items(document, array)
        ]
        place = ("$",) if array == () else (*below, *array)
        scopes.append(Scope(place, _by_channel(fields_of(items), items), outer, len(items)))
    return scopes


def _by_channel(fields: list[Field], items: list[tuple[int, int, Any]]) -> list[Field]:
    """The fields with an owner for each channel of a device: by that it grows."""
    telling = [each for each in fields if is_channel(each) or identity_words(each) is not None]
    whole = [each for each in telling if len(each.values) == len(items)]
    if not whole:
        return fields
    owners: dict[tuple[Any, ...], int] = {}
    parted = []
    for i, (owner, received, item) in enumerate(items):
        key = (owner, *(str(each.values[i]) for each in whole))
        parted.append((owners.setdefault(key, len(owners)), received, item))
    return fields_of(parted)


def _below(fields: list[Field], below: Path) -> list[Field]:
    for each in fields:
        each.path = (*below, *each.path)
    return fields


def _at(value: Any, path: Path) -> Any:  # noqa: ANN401 - any JSON
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _record_arrays(documents: Sequence[Any]) -> list[tuple[str, ...]]:
    """Paths of arrays whose items are objects that are no named values."""
    found: dict[tuple[str, ...], None] = {}
    for document in documents:
        for path, items in _arrays(document, ()):
            objects = [item for item in items if isinstance(item, Mapping)]
            numbers = any(number_of(v) is not None for item in objects for v in item.values())
            if objects and len(objects) == len(items) and numbers and name_key(items) is None:
                found[path] = None
    return list(found)


def _arrays(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], list[Any]]]:  # noqa: ANN401
    if isinstance(value, list) and value:
        yield path, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _arrays(inner, (*path, str(key)))


def _items(document: Any, path: tuple[str, ...]) -> list[Any]:  # noqa: ANN401 - any JSON
    found = _at(document, path)
    return found if isinstance(found, list) else []


def _without(document: Any, arrays: Sequence[tuple[str, ...]], at: tuple[str, ...] = ()) -> Any:  # noqa: ANN401
    if at in arrays:
        return None
    if isinstance(document, Mapping):
        return {key: _without(inner, arrays, (*at, str(key))) for key, inner in document.items()}
    return document
