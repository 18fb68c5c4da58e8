"""What is remembered of Sparkplug births: names, aliases and datatypes, by the ledger's offset."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any, Final

import msgspec

MAX_BIRTHS: Final = 16
"""Of one node or device that are remembered, for messages that are read again."""

MAX_NODES: Final = 10_000
MAX_NAMES: Final = 1_000_000
"""Of metrics, over all births.  Beyond these, the nodes that were born first are forgotten: their
data goes to quarantine until they are born again."""


class Birth(msgspec.Struct):
    """What a birth said; or without names, that what was said before holds no more.

    Attributes:
        offset: of its message in the ledger.
        bd_seq: the node's number of this birth; None where it tells none.
        names: metrics' names by their aliases; None after a death.
        types: datatypes of all metrics by name.
    """

    offset: int
    bd_seq: int | None = None
    names: dict[int, str] | None = None
    types: dict[str, int] = {}


class Births:
    """The last births of each node and device, in the ledger's order.

    Attributes:
        name: what snapshots call it.
    """

    name = "sparkplug"

    def __init__(self) -> None:
        # By node and device; the node's own under the empty name.
        self._nodes: dict[str, dict[str, list[Birth]]] = {}
        self._size = 0

    def put(self, node: str, device: str, birth: Birth) -> None:
        """Remembers a birth or a death.

        One of a node ends what its devices said: they are born again after it.

        Args:
            node: group and node, ``group/node``.
            device: its device, empty for the node itself.
            birth: what it said.
        """
        known = self._nodes.setdefault(node, {})
        self._insert(known.setdefault(device, []), birth)
        if not device:
            for other, births in known.items():
                if other:
                    self._insert(births, Birth(birth.offset))
        while self._size > MAX_NAMES or len(self._nodes) > MAX_NODES:
            forgotten = self._nodes.pop(next(iter(self._nodes)))
            self._size -= sum(map(_weight, forgotten.values()))

    def end(self, node: str, device: str, offset: int) -> None:
        """Remembers a death of a node that is known."""
        if node in self._nodes:
            self.put(node, device, Birth(offset))

    def _insert(self, births: list[Birth], birth: Birth) -> None:
        before = _weight(births)
        at = bisect_right(births, birth.offset, key=_offset)
        if at and births[at - 1].offset == birth.offset:
            births.pop(at - 1)  # the same message once more
            at -= 1
        births.insert(at, birth)
        for same in births[max(0, at - 2) : at] + births[at + 1 : at + 3]:
            # Nearly every birth says what the one before the last death said: one copy of it.
            if same.types == birth.types and same.names == birth.names:
                birth.names, birth.types = same.names, same.types
        del births[:-MAX_BIRTHS]
        self._size += _weight(births) - before

    def before(self, node: str, device: str, offset: int) -> Birth | None:
        """The last birth up to this offset; None where none is remembered, or a death followed."""
        births = self._nodes.get(node, {}).get(device, ())
        at = bisect_right(births, offset, key=_offset)
        if not at or births[at - 1].names is None:
            return None
        return births[at - 1]

    def kept(self) -> Any:  # noqa: ANN401 - plain data
        """All of it, for a snapshot: the same messages give the same."""
        return [
            [node, [[device, _packed(births)] for device, births in known.items()]]
            for node, known in self._nodes.items()
        ]

    def take(self, kept: Any) -> None:  # noqa: ANN401 - plain data
        """What a snapshot kept, in the place of what is remembered.

        Raises:
            ValueError: it is none that `kept` made.
        """
        try:
            nodes = msgspec.convert(kept, _Kept)
        except msgspec.ValidationError as error:
            raise ValueError(f"births of Sparkplug nodes: {error}") from error
        self._nodes, self._size = {}, 0
        for node, devices in nodes:
            known = self._nodes[node] = {}
            for device, births in devices:
                known[device] = _unpacked(births)
                self._size += _weight(known[device])


_Packed = list[tuple[int, int | None, int | None, list[tuple[str, int, int | None]]]]
"""Births in order: offset, bdSeq, the index of the birth that said the same (itself where none did,
None after a death), and metrics as name, datatype, alias."""
_Kept = list[tuple[str, list[tuple[str, _Packed]]]]


def _offset(birth: Birth) -> int:
    return birth.offset


def _weight(births: list[Birth]) -> int:
    """How many names the births take, each copy once; one more each for itself."""
    return sum({id(birth.types): len(birth.types) for birth in births}.values()) + len(births)


def _packed(births: list[Birth]) -> _Packed:
    packed: _Packed = []
    first: dict[int, int] = {}
    for index, birth in enumerate(births):
        if birth.names is None:
            packed.append((birth.offset, birth.bd_seq, None, []))
            continue
        same = first.setdefault(id(birth.types), index)
        metrics = []
        if same == index:
            aliases = {name: alias for alias, name in birth.names.items()}
            metrics = [(name, kind, aliases.get(name)) for name, kind in birth.types.items()]
        packed.append((birth.offset, birth.bd_seq, same, metrics))
    return packed


def _unpacked(packed: _Packed) -> list[Birth]:
    births: list[Birth] = []
    for index, (offset, bd_seq, same, metrics) in enumerate(packed):
        if same is None:
            births.append(Birth(offset, bd_seq))
        elif same == index:
            names = {alias: name for name, _, alias in metrics if alias is not None}
            births.append(Birth(offset, bd_seq, names, {name: kind for name, kind, _ in metrics}))
        elif same < index:
            births.append(Birth(offset, bd_seq, births[same].names, births[same].types))
        else:
            raise ValueError("births of Sparkplug nodes: one refers to a later one")
    return births
