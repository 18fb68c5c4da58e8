"""Settings of alerts: which flags leave the gateway, and where to."""

# No "from __future__ import annotations": pydantic reads the annotations when the class is made.
import difflib
import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import Field, PrivateAttr, SecretStr, field_validator, model_validator

from gateway.alerts.signing import signing_keys
from gateway.alerts.spec import (
    HOUR,
    AlertSpec,
    Event,
    MailSpec,
    MqttSpec,
    Severity,
    WebhookSpec,
)
from gateway.config_tables import (
    LOOPBACK,
    Authorities,
    Name,
    Password,
    PasswordFile,
    PasswordVariable,
    Port,
    Table,
    secret_of,
)
from gateway.quantities import KINDS
from gateway.sources import BrokerSettings

if TYPE_CHECKING:
    from gateway.config import Settings

_ADDRESS: Final = re.compile(r"[^@\s<>,;]+@[^@\s<>,;]+|[^<>\r\n,;]* ?<[^@\s<>,;]+@[^@\s<>,;]+>")
_TIME: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")

Region = Annotated[str, Field(pattern=r"^\d{1,6}$")]


def _all_known(given: Iterable[str], known: Collection[str]) -> None:
    for each in given:
        if each not in known:
            close = difflib.get_close_matches(each, known, 1)
            hint = f"did you mean {close[0]}?" if close else "`gateway flag list` has some"
            raise ValueError(f"{each!r} is not known; {hint}")


class MqttAlertSettings(Table):
    """To MQTT: PREFIX/{region}/{kind}/{device_id}, QoS 1, not retained."""

    source: Name | None = Field(
        default=None, description="the [[source]] whose broker takes it; default: the first"
    )
    prefix: str = Field(
        default="supervision/flags",
        pattern=r"^[^+#\x00]+[^+#/\x00]$",
        description="what topics begin with",
    )
    host: str | None = Field(
        default=None, min_length=1, description="another broker than that of a source"
    )
    type: Literal["mqtt5", "mqtt311"] = Field(
        default="mqtt5", description="protocol of that other broker"
    )
    port: Port | None = Field(default=None, description="its TCP port; default 1883, with TLS 8883")
    username: str | None = Field(default=None, description="user name there")
    password: Password = None
    password_file: PasswordFile = None
    password_env: PasswordVariable = None
    tls: bool = Field(default=False, description="encrypt; implied by ca_file")
    ca_file: Authorities = None

    _password: str | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _hang_together(self) -> Self:
        self._password = secret_of("password", self.password, self.password_file, self.password_env)
        if self.host is not None and self.source is not None:
            raise ValueError("source and host: give one of them")
        if self.host is None and (self._password is not None or self.username is not None):
            raise ValueError("username and password are of another broker: give its host")
        return self

    def secrets(self) -> list[str | None]:
        """What logs must not show."""
        return [self._password]

    def spec(self, settings: "Settings", client_id: str) -> MqttSpec:
        """What the target takes; a source's broker without its topics."""
        if self.host is None:
            named = [s for s in settings.source if self.source in (None, s.name)]
            visit = named[0].model_copy(update={"share": None, "client_id": None})
            return MqttSpec(
                broker=visit.broker(client_id=client_id), version=visit.type, prefix=self.prefix
            )
        encrypted = self.tls or self.ca_file is not None
        broker = BrokerSettings(
            name=client_id,
            host=self.host,
            port=self.port or (8883 if encrypted else 1883),
            topics=("#",),
            client_id=client_id,
            username=self.username,
            password=self._password,
            tls=self.tls,
            ca_file=self.ca_file,
        )
        return MqttSpec(broker=broker, version=self.type, prefix=self.prefix)


class WebhookAlertSettings(Table):
    """To a webhook: POST of JSON, signed as Standard Webhooks has it."""

    url: SecretStr | None = Field(
        default=None, description="address; where it has a key in it, rather use the next two"
    )
    url_file: Path | None = Field(default=None, description="file that holds the address")
    url_env: str | None = Field(default=None, description="environment variable with the address")
    secret: SecretStr | None = Field(
        default=None,
        description="signing key, whsec_ and base64 of 24 to 64 bytes; after a blank the old one, "
        "while keys are changed; rather use the next two",
    )
    secret_file: Path | None = Field(default=None, description="file that holds the signing key")
    secret_env: str | None = Field(
        default=None, description="environment variable with the signing key"
    )
    ca_file: Authorities = None
    plain_http: bool = Field(
        default=False, description="allow http:// to another machine: flags travel readable"
    )
    timeout: float = Field(default=15.0, gt=0, le=120, description="seconds for one answer")
    parallel: int = Field(default=4, ge=1, le=64, description="most requests at a time")

    _url: str = PrivateAttr("")
    _keys: tuple[bytes, ...] = PrivateAttr(())
    _secret: str | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _hang_together(self) -> Self:
        self._secret = secret_of("secret", self.secret, self.secret_file, self.secret_env)
        if self._secret is None:
            raise ValueError("secret_file, secret_env or secret is needed: unsigned is not sent")
        try:
            self._keys = signing_keys(self._secret)
        except ValueError as error:
            raise ValueError(f"secret: {error}") from None
        url = secret_of("url", self.url, self.url_file, self.url_env)
        if url is None:
            raise ValueError("url, url_file or url_env is needed")
        self._url = url.strip()
        try:
            parts = urlsplit(self._url)
            _ = parts.port
        except ValueError:
            raise ValueError("url: not an address") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("url: should be https://HOST/PATH")
        if parts.username or parts.password:
            raise ValueError("url: may not carry a user or a password: letters are signed")
        if parts.scheme == "http" and parts.hostname not in LOOPBACK and not self.plain_http:
            raise ValueError("url: http:// to another machine: use https://, or set plain_http")
        return self

    def secrets(self) -> list[str | None]:
        """What logs must not show."""
        parts = urlsplit(self._url)
        path = parts.path if len(parts.path) > 8 else None
        return [*(self._secret or "").split(), parts.query or None, path]

    def spec(self, settings: "Settings", client_id: str) -> WebhookSpec:
        """What the target takes."""
        del settings, client_id
        return WebhookSpec(
            url=self._url,
            keys=self._keys,
            ca_file=self.ca_file,
            timeout=self.timeout,
            parallel=self.parallel,
        )


class EmailAlertSettings(Table):
    """By e-mail: a digest once a day, and at once what is grave."""

    host: str = Field(default="127.0.0.1", min_length=1, description="mail server")
    port: Port | None = Field(
        default=None, description="TCP port; default 587, with tls 465, with none 25"
    )
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="encryption: from the first byte (tls), or asked for"
    )
    username: str | None = Field(default=None, description="user name")
    password: Password = None
    password_file: PasswordFile = None
    password_env: PasswordVariable = None
    ca_file: Authorities = None
    sender: str = Field(description="who writes: an address, or Name <address>")
    recipients: tuple[str, ...] = Field(min_length=1, description="who gets it: addresses")
    language: Literal["zh", "en"] = Field(default="zh", description="of the mail")
    zone: str = Field(default="Asia/Shanghai", description="time zone of the mail, by IANA name")
    daily_at: str | Literal[False] = Field(
        default="08:00", description="time of the digest in that zone; false: none"
    )
    at_once: Severity | Literal[False] = Field(
        default="critical",
        description="least severity that does not wait for the digest; false: all wait",
    )
    gather_s: float = Field(
        default=30.0,
        ge=0,
        le=3600,
        description="seconds that grave flags wait for others, so that a storm makes one mail",
    )

    _password: str | None = PrivateAttr(None)

    @field_validator("zone")
    @classmethod
    def _is_a_zone(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError):
            raise ValueError("no such time zone; write it like Asia/Shanghai") from None
        return zone

    @field_validator("daily_at")
    @classmethod
    def _is_a_time(cls, text: str | Literal[False]) -> str | Literal[False]:
        if text is not False and not _TIME.fullmatch(text):
            raise ValueError("should be a time of the day, as 08:00, or false")
        return text

    @field_validator("sender", "recipients")
    @classmethod
    def _are_addresses(cls, given: str | tuple[str, ...]) -> str | tuple[str, ...]:
        each = (given,) if isinstance(given, str) else given
        if wrong := [text for text in each if not _ADDRESS.fullmatch(text)]:
            raise ValueError(f"no address: {', '.join(map(repr, wrong))}")
        return given

    @model_validator(mode="after")
    def _hang_together(self) -> Self:
        self._password = secret_of("password", self.password, self.password_file, self.password_env)
        if (self.username is None) != (self._password is None):
            raise ValueError("username and password: one is of no use without the other")
        if self._password is not None and self.security == "none" and self.host not in LOOPBACK:
            raise ValueError("security: a password is not sent to another machine in the clear")
        if self.daily_at is False and self.at_once is False:
            raise ValueError("daily_at and at_once are both false: nothing would ever be sent")
        return self

    def secrets(self) -> list[str | None]:
        """What logs must not show."""
        return [self._password]

    def spec(self, settings: "Settings", client_id: str) -> MailSpec:
        """What the target takes."""
        del settings, client_id
        daily = None
        if self.daily_at is not False:
            hours, minutes = self.daily_at.split(":")
            daily = int(hours) * 60 + int(minutes)
        return MailSpec(
            host=self.host,
            port=self.port or {"starttls": 587, "tls": 465, "none": 25}[self.security],
            security=self.security,
            username=self.username,
            password=self._password,
            ca_file=self.ca_file,
            sender=self.sender,
            recipients=self.recipients,
            language=self.language,
            zone=self.zone,
            daily_at=daily,
            at_once=None if self.at_once is False else self.at_once,
            gather=self.gather_s,
        )


class AlertSettings(Table):
    """Flags that leave the gateway: which, and where to (one of mqtt, webhook, email)."""

    name: Name = Field(
        default="alert", description="what logs, metrics and its memory call this alert; keep it"
    )
    severity: Severity = Field(default="info", description="least severity that is told")
    codes: tuple[str, ...] = Field(default=(), description="only these flag codes; default: all")
    kinds: tuple[str, ...] = Field(
        default=(), description="only these kinds of instrument; default: all"
    )
    regions: tuple[Region, ...] = Field(
        default=(), description="only regions that begin so (GB/T 2260); default: all"
    )
    vendors: tuple[str, ...] = Field(
        default=(), description="only devices registered as of these vendors; default: all"
    )
    suppressed: bool = Field(
        default=False, description="also tell what lies in a window of known maintenance"
    )
    events: tuple[Event, ...] = Field(
        default=(),
        description="only these: raised, severity_raised, prolonged, ended, withdrawn; default: "
        "all, by e-mail all but prolonged",
    )
    backlog: bool = Field(
        default=False,
        description="also tell what was there before the alert, and what a reprocess finds in it",
    )
    queue: int = Field(
        default=1000,
        ge=1,
        le=100_000,
        description="most letters that wait to be sent; the rest waits in the store",
    )
    give_up_hours: float = Field(
        default=72.0, gt=0, le=24 * 365, description="then a letter goes to the dead ones"
    )
    mqtt: MqttAlertSettings | None = Field(default=None, description="to MQTT")
    webhook: WebhookAlertSettings | None = Field(default=None, description="to a webhook")
    email: EmailAlertSettings | None = Field(default=None, description="by e-mail")

    @field_validator("codes")
    @classmethod
    def _are_codes(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        if given:
            # All checks come with it: the intake process has them only where codes are named.
            from gateway.checks import CATALOGUE  # noqa: PLC0415

            _all_known(given, CATALOGUE)
        return given

    @field_validator("kinds")
    @classmethod
    def _are_kinds(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        _all_known(given, KINDS)
        return given

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        given = [name for name in ("mqtt", "webhook", "email") if getattr(self, name) is not None]
        if len(given) != 1:
            told = "and ".join(f"[alerts.{name}] " for name in given) or "none of them "
            raise ValueError(
                f"one of [alerts.mqtt], [alerts.webhook], [alerts.email] is needed, {told}is there"
            )
        return self

    @property
    def target(self) -> MqttAlertSettings | WebhookAlertSettings | EmailAlertSettings:
        """The one target that is given."""
        found = self.mqtt or self.webhook or self.email
        if found is None:
            raise ValueError(f"alert {self.name}: no target")  # ruled out when it was made
        return found

    def spec(self, settings: "Settings", client_id: str) -> AlertSpec:
        """What the worker takes; ``client_id`` is for MQTT."""
        return AlertSpec(
            name=self.name,
            gateway=settings.name,
            target=self.target.spec(settings, client_id),
            severity=self.severity,
            codes=self.codes,
            kinds=self.kinds,
            regions=self.regions,
            vendors=self.vendors,
            suppressed=self.suppressed,
            events=self.events,
            backlog=self.backlog,
            queue=self.queue,
            give_up=self.give_up_hours * HOUR,
        )
