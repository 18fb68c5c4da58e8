"""Sources: where messages come from, and the one contract they all keep.

A source hands over messages in columns and is told, after the ledger's fsync, which of them may be
acknowledged to the broker.  It never looks inside a payload.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from gateway.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

DAY = 86_400
MIB = 1_048_576


@dataclass(slots=True)
class Arrivals:
    """Messages that came together, in columns of equal length, in the order of receipt.

    ``received_at`` is one time for all of them (ns UTC).  ``token`` belongs to the source: give
    the whole object back to `Source.acknowledge` once every message of it is on disk.
    """

    topics: list[str]
    payloads: list[bytes]
    received_at: int
    token: object = None

    def __len__(self) -> int:
        return len(self.topics)


class Source(Protocol):
    """One place that messages come from; all methods are called on the event loop's thread."""

    name: str

    @property
    def connected(self) -> bool:
        """Whether the broker is there and has accepted the subscriptions."""

    @property
    def reconnects(self) -> int:
        """How often the connection was made again."""

    @property
    def last_error(self) -> str | None:
        """What is wrong now; None when all is well."""

    async def run(self) -> None:
        """Connect, and reconnect for ever with jittered back-off, until `close`."""

    def arrivals(self) -> AsyncIterator[Arrivals]:
        """What came, in order; ends after `close`.  Not pulling it stops the reading."""

    def acknowledge(self, arrivals: Arrivals) -> None:
        """Tell the broker that these messages are safe; call it only after the fsync.

        Arrivals of a connection that has ended since are passed over: the broker sends those
        messages again.
        """

    async def publish(
        self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False
    ) -> None:
        """Send a message; returns when it is written (QoS 0) or acknowledged (QoS 1).

        Raises:
            SourceLost: there is no connection, or it ended before the acknowledgement.
        """

    async def close(self) -> None:
        """Disconnect cleanly and end `run` and `arrivals`."""


@dataclass(frozen=True, slots=True)
class Will:
    """The message that the broker publishes when this client vanishes without a farewell."""

    topic: str
    payload: bytes
    retain: bool = True


def filter_fault(topic: str) -> str:
    """What is wrong with a topic filter (MQTT 5, 4.7); empty when nothing is.

    A broker need not answer a wrong one: Mosquitto closes the connection, others are silent.
    """
    levels = topic.split("/")
    if not topic or "\0" in topic:
        return f"{topic!r} is no topic filter: it is empty, or has a NUL"
    if "#" in topic and (topic.count("#") > 1 or levels[-1] != "#"):
        return f"{topic!r}: '#' stands once, as the last level, alone: meters/#"
    if any("+" in level and level != "+" for level in levels):
        return f"{topic!r}: '+' is a whole level: tele/+/SENSOR"
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSettings:
    """One broker and what is wanted of it.

    Args:
        name: what logs and status call this source.
        host: name or address of the broker.
        port: TCP port.
        topics: topic filters, without ``$share``.
        client_id: chosen once and kept; the broker's session hangs on it.
        qos: the highest quality of service wanted of the broker.
        share: name of a shared subscription's group, or None.
        username: user name, or None.
        password: password; never shown.
        tls: encrypt; implied by ``ca_file`` or ``cert_file``.
        ca_file: certificates to trust, instead of the system's.
        cert_file: this client's certificate (mutual TLS).
        key_file: the key of ``cert_file``, when it is not in the same file.
        keep_alive: seconds; a silent broker is given up after at most this long.
        session_expiry: seconds for which the broker keeps session and queue (MQTT 5).
        receive_maximum: unacknowledged QoS 1 and 2 messages the broker may have in flight.
        topic_aliases: topic aliases the broker may use (MQTT 5). None by default: a broker was
            found that gives all topics of a wildcard subscription one alias, which would put
            readings down to the wrong instrument without any sign.
        max_packet_size: largest packet accepted, in bytes (MQTT 5 tells the broker).
        connect_timeout: seconds for TCP, TLS and the broker's first answer.
        reconnect_min: seconds before the first new attempt.
        reconnect_max: seconds between attempts at most, and always after a refusal.
        will: published by the broker when this client vanishes.

    Raises:
        ConfigError: all faults at once.
    """

    name: str
    host: str
    port: int = 1883
    topics: tuple[str, ...]
    client_id: str
    qos: int = 1
    share: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    keep_alive: int = 30
    session_expiry: int = 7 * DAY
    receive_maximum: int = 4096
    topic_aliases: int = 0
    max_packet_size: int = 16 * MIB
    connect_timeout: float = 10.0
    reconnect_min: float = 0.5
    reconnect_max: float = 30.0
    will: Will | None = None

    def __post_init__(self) -> None:
        rules = [
            (bool(self.topics), "topics: at least one topic filter is needed"),
            *((not fault, f"topics: {fault}") for fault in map(filter_fault, self.topics)),
            (
                bool(self.client_id),
                "client_id: a stable one is needed, or the broker keeps nothing while we are away",
            ),
            (self.qos in (0, 1, 2), f"qos: 0, 1 or 2, got {self.qos}"),
            (1 <= self.port <= 65535, f"port: 1 to 65535, got {self.port}"),
            (
                1 <= self.receive_maximum <= 65535,
                f"receive_maximum: 1 to 65535, got {self.receive_maximum}",
            ),
            (
                0 <= self.topic_aliases <= 65535,
                f"topic_aliases: 0 (none) to 65535, got {self.topic_aliases}",
            ),
            (
                0 <= self.keep_alive <= 65535,
                f"keep_alive: 0 (off) to 65535 seconds, got {self.keep_alive}",
            ),
            (
                self.max_packet_size >= 1024,
                f"max_packet_size: at least 1024 bytes, got {self.max_packet_size}",
            ),
            (
                0 < self.reconnect_min <= self.reconnect_max,
                f"reconnect_min: 0 < reconnect_min <= reconnect_max ({self.reconnect_max}), got "
                + str(self.reconnect_min),
            ),
            (
                self.key_file is None or self.cert_file is not None,
                "key_file: is of no use without cert_file",
            ),
        ]
        faults = [text for holds, text in rules if not holds]
        if faults:
            raise ConfigError(f"source {self.name!r}: " + "; ".join(faults))

    @property
    def filters(self) -> tuple[str, ...]:
        """The topic filters as the broker wants them, shared where a group is named."""
        if self.share is None:
            return self.topics
        return tuple(f"$share/{self.share}/{topic}" for topic in self.topics)

    @property
    def encrypted(self) -> bool:
        """Whether the connection uses TLS."""
        return self.tls or self.ca_file is not None or self.cert_file is not None
