"""What a block of ``read`` may read: the message, or each item of an array of records in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.drafting.fields import Field, fields_of, name_key, number_of, words_of
from gateway.drafting.groups import Group
from gateway.drafting.guess import identity_words, is_channel
from gateway.drafting.text import path_text
from gateway.profiles.notation import ABOVE, ITEMS, VALUES, levels_of

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
    telling = [
        each
        for each in fields
        if each.path == (VALUES,) or is_channel(each) or identity_words(each) is not None
    ]
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


def _record_arrays(documents: Sequence[Any]) -> list[Path]:
    """Paths of arrays whose items are objects that are no named values; in each other, too."""
    found: dict[Path, None] = {}
    for document in documents:
        for path, items in _arrays(document, ()):
            objects = [item for item in items if isinstance(item, Mapping)]
            numbers = any(_tells_numbers(item) for item in objects)
            if objects and len(objects) == len(items) and numbers and name_key(items) is None:
                found[path] = None
    return list(found)


def _tells_numbers(item: Mapping[str, Any]) -> bool:
    inner = [value for value in item.values() if isinstance(value, Mapping)]
    values = [*item.values(), *(value for each in inner for value in each.values())]
    return any(number_of(value) is not None for value in values)


def _arrays(value: Any, path: Path) -> Iterator[tuple[Path, list[Any]]]:  # noqa: ANN401
    """Arrays, and mappings that are known by any keys, with their items."""
    if isinstance(value, list) and value:
        yield path, value
        for item in value:
            if isinstance(item, Mapping):
                for key, inner in item.items():
                    yield from _arrays(inner, (*path, ITEMS, str(key)))
    elif isinstance(value, Mapping):
        if _of_any_keys(value):
            yield (*path, VALUES), list(value.values())
            return
        for key, inner in value.items():
            yield from _arrays(inner, (*path, str(key)))


def _of_any_keys(value: Mapping[str, Any]) -> bool:
    """Whether the keys are names of devices, and the values alike."""
    kinds = [set(each) for each in value.values() if isinstance(each, Mapping)]
    if len(kinds) < 2 or len(kinds) < len(value):
        return False
    if any(len(kinds[0] & other) * 5 < len(kinds[0] | other) * 3 for other in kinds[1:]):
        return False
    phases = {"phase", "line", "l", "l1", "l2", "l3", "channel", "ch"}
    return all(
        re.search(r"\d", str(key)) and len(str(key)) > 1 and not phases & set(words_of(str(key)))
        for key in value
    )


def _items(document: Any, array: Path) -> list[Any]:  # noqa: ANN401 - any JSON
    """The items of an array, each with the item around it below ``^``, and its key below ``*``."""
    walked: list[tuple[Any, Any]] = [(document, None)]  # items, each with what is around it
    for segment, mapping in levels_of(array) or [((), False)]:
        inner: list[tuple[Any, Any]] = []
        for item, _ in walked:
            found = _at(item, segment)
            if mapping and isinstance(found, dict):
                inner += [({**each, VALUES: key}, item) for key, each in found.items()]
            elif not mapping and isinstance(found, list):
                inner += [(each, item) for each in found]
        walked = inner
    nested = len(levels_of(array)) > 1
    return [
        {**_plain(item), ABOVE: _plain(around)}
        if nested and isinstance(item, dict)
        else _plain(item)
        for item, around in walked
    ]


def _plain(item: Any) -> Any:  # noqa: ANN401 - any JSON
    """An item without arrays of objects in it: they are scopes of their own."""
    if not isinstance(item, dict):
        return item
    return {key: value for key, value in item.items() if not _holds_objects(value)}


def _holds_objects(value: Any) -> bool:  # noqa: ANN401 - any JSON
    objects = isinstance(value, list) and any(isinstance(each, Mapping) for each in value)
    return objects and name_key(value) is None


def _without(document: Any, arrays: Sequence[Path], at: Path = ()) -> Any:  # noqa: ANN401
    if at in arrays or (*at, VALUES) in arrays:
        return None
    if isinstance(document, Mapping):
        return {key: _without(inner, arrays, (*at, str(key))) for key, inner in document.items()}
    return document
