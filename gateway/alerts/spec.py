"""What an alert is to do, as the settings say it; travels to the worker by pickle.

No secret is ever part of a ``repr``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

import msgspec

from gateway.sources import BrokerSettings

EVENTS: Final = ("raised", "severity_raised", "prolonged", "ended", "withdrawn")
"""What can be told of a flag, in the order in which it may happen."""

Event = Literal["raised", "severity_raised", "prolonged", "ended", "withdrawn"]
Severity = Literal["info", "minor", "major", "critical"]
Language = Literal["en", "zh"]
HOUR: Final = 3600.0


class MqttSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A broker, and the topic that the topics of flags begin with."""

    broker: BrokerSettings
    version: Literal["mqtt5", "mqtt311"] = "mqtt5"
    prefix: str = "supervision/flags"

    @property
    def place(self) -> str:
        """Where letters go, as people may see it."""
        return f"{self.broker.host}:{self.broker.port}"


class WebhookSpec(msgspec.Struct, frozen=True, kw_only=True):
    """An address that takes POST, and the keys that sign (the present one, and old ones)."""

    url: str
    keys: tuple[bytes, ...]
    ca_file: Path | None = None
    timeout: float = 15.0
    parallel: int = 4

    @property
    def place(self) -> str:
        """Where letters go, as people may see it: paths and queries of webhooks are secrets."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")

    def __repr__(self) -> str:
        return f"WebhookSpec(place={self.place!r})"


class MailSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A mail server, who writes to whom, and when.

    ``daily_at`` are minutes after midnight in ``zone``, None for no daily digest; ``at_once`` is
    the least severity that does not wait for it, None where all do.
    """

    host: str
    port: int
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str | None = None
    password: str | None = None
    ca_file: Path | None = None
    sender: str
    recipients: tuple[str, ...]
    language: Language = "zh"
    zone: str = "Asia/Shanghai"
    daily_at: int | None = 8 * 60
    at_once: Severity | None = "critical"
    gather: float = 30.0
    timeout: float = 20.0

    @property
    def place(self) -> str:
        """Where letters go, as people may see it."""
        return f"{self.host}:{self.port}"

    def __repr__(self) -> str:
        return f"MailSpec(place={self.place!r})"


class AlertSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One alert: which flags, and where to.

    Attributes:
        name: names its memory; keep it stable.
        gateway: name of the gateway, for people.
        severity: the least one that is told.
        codes: only these; empty is all.  So for kinds, vendors, and regions, which are beginnings
            of GB/T 2260 codes.
        suppressed: also tell what lies in a window of known maintenance.
        events: only these; empty is all.
        backlog: also tell what was there before the alert, and what a reprocess finds in messages
            that were decided before it.
        queue: most letters that wait; while there are as many, the rest waits in the store.
        give_up: seconds after which a letter that is not taken goes to the dead ones.
    """

    name: str
    gateway: str = "gateway"
    target: MqttSpec | WebhookSpec | MailSpec
    severity: Severity = "info"
    codes: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    vendors: tuple[str, ...] = ()
    suppressed: bool = False
    events: tuple[Event, ...] = ()
    backlog: bool = False
    queue: int = 1000
    give_up: float = 72 * HOUR

    @property
    def type(self) -> str:
        """``mqtt``, ``webhook`` or ``email``."""
        if isinstance(self.target, MqttSpec):
            return "mqtt"
        return "webhook" if isinstance(self.target, WebhookSpec) else "email"

    def wants(self, event: str) -> bool:
        """Whether this is told; a digest by e-mail leaves out what only goes on."""
        if self.events:
            return event in self.events
        return event != "prolonged" or not isinstance(self.target, MailSpec)


class AlertState(msgspec.Struct, frozen=True):
    """How an alert stands.

    ``lag`` counts changes of flags that it has not looked at, ``queued`` letters that wait,
    ``dead`` those that were given up, ``held`` flags in windows of known maintenance, ``sent``
    letters ever taken, ``failures`` attempts that failed since the start.
    """

    name: str
    type: str
    lag: int = 0
    queued: int = 0
    dead: int = 0
    held: int = 0
    sent: int = 0
    failures: int = 0
    error: str | None = None
