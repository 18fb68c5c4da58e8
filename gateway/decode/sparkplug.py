"""Sparkplug B (Eclipse Sparkplug 3.0.0) over MQTT: birth, data and death of edge nodes and devices.

Topics are ``spBv1.0/GROUP/TYPE/NODE[/DEVICE]``, maybe below a prefix of a bridge.  A birth names
all metrics; a data message may name them by the aliases of the birth before it.  What births said
is remembered (`gateway.decode.sparkplug_births`) by the ledger's offset, so that a message is
always read by the birth that was before it, also when it is read again.
"""

from __future__ import annotations

from typing import Any, Final

from gateway.decode.document import NO_PAYLOAD, Context, Document, Parse
from gateway.decode.plain import bounded
from gateway.decode.sparkplug_births import Birth, Births
from gateway.decode.sparkplug_wire import GOOD, Metric, Payload, read_payload, value_of
from gateway.errors import DecodeError
from gateway.profiles.formats import Sparkplug

MAX_BYTES: Final = 256 * 1024
"""Of a payload, where the profile says nothing: a metric of two bytes takes a hundred in memory."""

_CONTROL: Final = ("Node Control/", "Device Control/", "Node Info/", "Device Info/")
"""Metrics of the node itself (§6.4.20): what it can be told to do, and what it is."""

_TYPES: Final = frozenset(
    {"NBIRTH", "NDATA", "NDEATH", "NCMD", "DBIRTH", "DDATA", "DDEATH", "DCMD"}
)


def compile_sparkplug(settings: Sparkplug) -> Parse:
    """A parser of Sparkplug B.

    Returns:
        A function from bytes to a document, of type `SparkplugParser`:

        ``type``: ``NBIRTH``, ``NDATA``, ``DBIRTH`` or ``DDATA``; ``group``, ``node``; ``device``:
        the device's name, of messages of a node the node's; ``time``: ms since 1970 UTC; ``seq``,
        ``bd_seq``.

        ``metrics``: values by name, the last of each.  ``samples``: the same by time and quality,
        each ``{time, quality, historical, metrics, folders}``, in the order of the message;
        ``quality`` is ``good`` or, where the property says other than 192, ``questionable``;
        ``folders`` has the first parts of names with ``/``, each true, so that a profile can tell
        whether anything of its own is there.  Metrics that are
        null are absent, as are NaN.  A data set is a list of rows, a template a mapping.

        ``known``: the datatypes of all metrics that the birth named, by name: a profile can tell
        models apart by it also in messages that have few of them.

        It raises DecodeError ``no_payload`` (a command, a death, a node's birth that tells nothing
        but itself: no fault, so it is counted as ignored), ``unparseable``, ``too_large``,
        ``missing_field`` (an alias whose birth was not seen), ``duplicate_key``, ``wrong_type``,
        ``absurd_number`` or ``too_deep`` (templates in one another).
    """
    return SparkplugParser(settings.max_bytes or MAX_BYTES)


class SparkplugParser:
    """A parser that remembers births; see `compile_sparkplug`.

    Attributes:
        memory: what it remembers; processing gives all parsers one.
    """

    def __init__(self, max_bytes: int) -> None:
        self.memory = Births()
        self._limit = max_bytes

    def __call__(self, payload: bytes, context: Context) -> Document:
        """The document of a message."""
        group, kind, node, device = _levels(context.topic)
        whole = f"{group}/{node}", device
        try:
            bounded(payload, self._limit)
            wire = read_payload(payload)
            birth = self._birth(kind, whole, wire, context.offset)
        except DecodeError:
            if kind.endswith("BIRTH"):
                # The birth before it does not hold any more, and what this one says is not known.
                self.memory.put(*whole, Birth(context.offset))
            raise
        if not _measures(kind, wire, birth):
            raise DecodeError(NO_PAYLOAD, f"{kind} carries no measurement")
        document: Document = {
            "type": kind, "group": group, "node": node, "device": device or node,
        }  # fmt: skip
        if wire.time is not None:
            document["time"] = wire.time
        if wire.seq is not None:
            document["seq"] = wire.seq
        values = _named(wire.metrics, birth, "/".join(filter(None, whole)))
        bd_seq = next((value for name, _, value in values if name == "bdSeq"), None)
        if isinstance(bd_seq, int):
            document["bd_seq"] = bd_seq
        document["known"] = birth.types
        document["metrics"] = {name: value for name, _, value in values if value is not None}
        document["samples"] = _samples(values, wire.time)
        return document

    def _birth(self, kind: str, whole: tuple[str, str], wire: Payload, offset: int) -> Birth:
        """The birth that a message is read by; births and deaths are remembered."""
        if kind.endswith("BIRTH"):
            birth = _said(wire, offset)
            self.memory.put(*whole, birth)
            return birth
        before = self.memory.before(*whole, offset)
        if kind.endswith("DATA") and before is not None:
            return before
        if kind.endswith("DEATH") and (before is None or not _late(wire, before)):
            self.memory.end(*whole, offset)
        return Birth(offset)


def _measures(kind: str, wire: Payload, birth: Birth) -> bool:
    """Whether a message may tell a measurement: no command, no death, no node that tells itself."""
    if not kind.endswith(("BIRTH", "DATA")):
        return False
    names = birth.names or {}
    for metric in wire.metrics:
        name = metric.name
        if name is None:
            name = names.get(metric.alias, "") if metric.alias is not None else ""
        if name != "bdSeq" and not name.startswith(_CONTROL):
            return True
    return False


def _said(wire: Payload, offset: int) -> Birth:
    """What a birth says: all names, with their aliases and datatypes (§6.4.19, §6.4.21)."""
    names: dict[int, str] = {}
    types: dict[str, int] = {}
    for metric in wire.metrics:
        if metric.name is None:
            raise DecodeError("missing_field", "a birth has a metric without a name (§6.4.6)")
        alias = metric.alias
        if alias is not None and names.setdefault(alias, metric.name) != metric.name:
            raise DecodeError(
                "duplicate_key",
                f"the alias {alias} stands for {names[alias][:60]!r} and {metric.name[:60]!r}",
            )
        types[metric.name] = metric.datatype
    return Birth(offset, _bd_seq(wire), names, types)


def _late(wire: Payload, before: Birth) -> bool:
    """Whether a death is the will of a session that another birth followed already."""
    said = _bd_seq(wire)
    return said is not None and before.bd_seq is not None and said != before.bd_seq


def _bd_seq(wire: Payload) -> int | None:
    for metric in wire.metrics:
        if metric.name == "bdSeq" and metric.kind in {"int_value", "long_value"}:
            return int(metric.raw)
    return None


def _levels(topic: str) -> tuple[str, str, str, str]:
    """Group, type, node and device (empty for a node's own) of a topic."""
    _, found, rest = ("/" + topic).rpartition("/spBv1.0/")
    levels = rest.split("/")
    if found and len(levels) in {3, 4} and levels[1] in _TYPES and all(levels):
        device = levels[3] if len(levels) == 4 else ""
        if levels[1].startswith("D") == bool(device):
            return levels[0], levels[1], levels[2], device
    raise DecodeError(
        "missing_field",
        f"the topic {topic[:100]!r} is none of Sparkplug B: spBv1.0/GROUP/TYPE/NODE[/DEVICE]",
    )


_Value = tuple[str, Metric, Any]


def _named(metrics: list[Metric], birth: Birth, entity: str) -> list[_Value]:
    """Each metric with its name and value."""
    found = []
    names, types = birth.names, birth.types
    for metric in metrics:
        name = metric.name
        if name is None:
            if metric.alias is None:
                raise DecodeError("missing_field", "a metric has neither name nor alias")
            name = names.get(metric.alias) if names is not None else None
            if name is None:
                raise DecodeError("missing_field", _unborn(metric.alias, entity, names))
        found.append((name, metric, value_of(metric, name, metric.datatype or types.get(name, 0))))
    return found


def _unborn(alias: int, entity: str, names: dict[int, str] | None) -> str:
    entity = entity[:100]
    if names is None:
        return (
            f"no birth of {entity} was seen before this message, so nobody knows what alias "
            f"{alias} is; ask the node for a rebirth"
        )
    return f"the birth of {entity} before this message does not name alias {alias}"


def _samples(values: list[_Value], sent: int | None) -> list[Document]:
    """The values by time and quality; one that comes again at the same time begins another."""
    samples: list[Document] = []
    opened: dict[tuple[int | None, bool, bool], Document] = {}
    for name, metric, value in values:
        if value is None:
            continue
        time = metric.time if metric.time is not None else sent
        good = metric.quality in {None, GOOD}
        key = (time, good, metric.historical)
        sample = opened.get(key)
        if sample is None or name in sample["metrics"]:
            sample = opened[key] = {
                "quality": "good" if good else "questionable",
                "historical": metric.historical,
                "metrics": {},
                "folders": {},
            }
            if time is not None:
                sample["time"] = time
            samples.append(sample)
        sample["metrics"][name] = value
        folder, inside, _ = name.partition("/")
        if inside:
            sample["folders"][folder] = True
    return samples
