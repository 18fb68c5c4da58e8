"""Readings and flags as InfluxDB line protocol.

A measurement a kind, a point a reading: its identity is measurement, tags and time in ns, so
writing it again changes nothing.  Two readings of one channel at one instant are one point there;
the store keeps both.

InfluxDB and VictoriaMetrics disagree about a backslash before a separator, so a backslash or a
control character in a name becomes %5C, %0A ...: no device can write beyond its own tag.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from gateway.quantities import BY_NAME, export_key

if TYPE_CHECKING:
    from gateway.records import Flag, Reading

_UNSAFE: Final = {code: f"%{code:02X}" for code in (*range(32), 0x5C, 0x7F, 0x85)}
_TAG: Final = str.maketrans(_UNSAFE | {ord(char): f"\\{char}" for char in ",= "})
_STRING: Final = str.maketrans(
    {code: sign for code, sign in _UNSAFE.items() if code != 0x5C} | {0x22: '\\"', 0x5C: "\\\\"}
)


def tag(text: str) -> str:
    """Text as a tag's key or value."""
    return text.translate(_TAG)


def string(text: str) -> str:
    """Text as a string field."""
    return f'"{text.translate(_STRING)}"'


def _integer(value: int) -> str:
    return f"{value}i"


# The rest by repr: of a float it is the shortest decimal form, of a bool True or False.
_WRITE: Final[dict[str, Callable[[Any], str]]] = {"time": _integer, "text": string}
_Field = tuple[str, "Callable[[Any], str]"]


class ReadingLines:
    """Serialises readings; remembers the heads and keys it has made, up to a bound."""

    _BOUND: Final = 200_000

    def __init__(self) -> None:
        self._heads: dict[tuple[str, str, str, str | None, str], str] = {}
        self._keys: dict[tuple[str, str | None, tuple[str, ...]], list[_Field]] = {}

    def line(self, reading: Reading) -> str:
        """One reading: tags device_id, event, channel, profile; fields with their unit.

        Times among the quantities are integers in ns.  ``ledger_offset`` is always a field, so
        that a point leads to its evidence and an alarm without quantities is a point too.
        """
        identity = (
            reading.kind, reading.device_id, reading.event, reading.channel, reading.profile,
        )  # fmt: skip
        head = self._heads.get(identity)
        if head is None:
            if len(self._heads) >= self._BOUND:
                self._heads.clear()
            head = self._heads[identity] = _head(*identity)
        layout = (reading.kind, reading.currency, reading.names)
        keys = self._keys.get(layout)
        if keys is None:
            if len(self._keys) >= self._BOUND:
                self._keys.clear()
            keys = self._keys[layout] = _field_keys(*layout)
        fields = [
            key + write(value)
            for (key, write), value in zip(keys, reading.values, strict=True)
            if value is not None
        ]
        if reading.sequence is not None:
            fields.append(f"sequence={reading.sequence}i")
        if reading.status:
            fields.append(f"status={string(','.join(reading.status))}")
        fields.append(f"quality={string(reading.quality)}")
        fields.append(f"received_at={reading.received_at}i")
        fields.append(f"ledger_offset={reading.ledger_offset}i")
        return f"{head} {','.join(fields)} {reading.measured_at}"


def _head(kind: str, device_id: str, event: str, channel: str | None, profile: str) -> str:
    tags = {"channel": channel, "device_id": device_id, "event": event, "profile": profile}
    return kind + "".join(f",{key}={tag(value)}" for key, value in tags.items() if value)


def _field_keys(kind: str, currency: str | None, names: tuple[str, ...]) -> list[_Field]:
    quantities = [BY_NAME[kind][name] for name in names]
    return [
        (tag(export_key(each, currency or "CNY")) + "=", _WRITE.get(each.type, repr))
        for each in quantities
    ]


def flag_line(flag: Flag) -> str:
    """One flag as a point of the measurement ``flag`` at ``measured_at``."""
    tags = {
        "channel": flag.channel,
        "code": flag.code,
        "device_id": flag.device_id,
        "kind": flag.kind,
        "severity": flag.severity,
    }
    head = "flag" + "".join(f",{key}={tag(value)}" for key, value in tags.items() if value)
    evidence = msgspec.json.encode(flag.evidence).decode()
    fields = [
        f"id={string(flag.id)}",
        f"status={string(flag.status)}",
        f"from={flag.since}i",
        f"to={flag.until}i",
        f"evidence={string(evidence)}",
        f"profile={string(flag.profile)}",
        f"ledger_offset={flag.ledger_offset}i",
    ]
    return f"{head} {','.join(fields)} {flag.measured_at}"
