"""Settings: a typed tree with a default and a help text each; ``config_load.load`` fills it."""

# No "from __future__ import annotations": pydantic reads the annotations when the class is made.
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Literal, Self, get_args

from pydantic import (
    BaseModel,
    ByteSize,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings, SettingsConfigDict

from gateway.alerts.spec import AlertSpec
from gateway.config_alerts import AlertSettings
from gateway.config_api import ApiSettings, MetricsSettings, ReportSettings
from gateway.config_retention import RetentionSettings
from gateway.config_tables import (
    Authorities,
    Name,
    Password,
    PasswordFile,
    PasswordVariable,
    Port,
    Table,
    TokenFile,
    TokenVariable,
    secret_of,
    table_in,
)
from gateway.sources import BrokerSettings, Will, filter_fault

PREFIX: Final = "GATEWAY_"


class SourceSettings(Table):
    """One broker that messages come from."""

    name: Name = Field(default="main", description="what logs, metrics and status call this source")
    type: Literal["mqtt5", "mqtt311"] = Field(
        default="mqtt5",
        description="protocol: MQTT 5, or MQTT 3.1.1 for a broker that speaks nothing else",
    )
    host: str = Field(
        default="127.0.0.1", min_length=1, description="name or address of the broker"
    )
    port: Port | None = Field(default=None, description="TCP port; default 1883, with TLS 8883")
    topics: tuple[str, ...] = Field(
        default=("meters/#",), min_length=1, description="topic filters, without $share"
    )
    qos: Literal[0, 1, 2] = Field(default=1, description="highest quality of service wanted")
    share: Name | None = Field(default=None, description="group of a shared subscription ($share)")
    client_id: str | None = Field(
        default=None, min_length=1, description="default: made once and kept in the data directory"
    )
    username: str | None = Field(default=None, description="user name")
    password: Password = None
    password_file: PasswordFile = None
    password_env: PasswordVariable = None
    tls: bool = Field(default=False, description="encrypt; implied by ca_file and cert_file")
    ca_file: Authorities = None
    cert_file: Path | None = Field(
        default=None, description="certificate of this client (mutual TLS)"
    )
    key_file: Path | None = Field(
        default=None, description="key of cert_file, if not in the same file"
    )
    keep_alive: int = Field(
        default=30,
        ge=0,
        le=65535,
        description="seconds; a silent broker is given up after this long",
    )
    session_expiry: int = Field(
        default=604_800,
        ge=0,
        le=2**32 - 1,
        description="seconds the broker keeps our queue (MQTT 5)",
    )
    receive_maximum: int = Field(
        default=4096,
        ge=1,
        le=65535,
        description="unacknowledged messages the broker may have in flight",
    )
    topic_aliases: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="topic aliases the broker may use; only for brokers known to do it right",
    )
    max_packet_size: ByteSize = Field(
        default=ByteSize(16 * 1024 * 1024),
        ge=1024,
        description="largest MQTT packet that is accepted",
    )

    _password: str | None = PrivateAttr(None)

    @field_validator("topics")
    @classmethod
    def _are_filters(cls, topics: tuple[str, ...]) -> tuple[str, ...]:
        if faults := [fault for fault in map(filter_fault, topics) if fault]:
            raise ValueError("; ".join(faults))
        return topics

    @model_validator(mode="after")
    def _hang_together(self) -> Self:
        self._password = secret_of("password", self.password, self.password_file, self.password_env)
        if self.key_file is not None and self.cert_file is None:
            raise ValueError("key_file is of no use without cert_file")
        missing = [
            f"{file} is not there"
            for file in (self.ca_file, self.cert_file, self.key_file)
            if file is not None and not file.is_file()
        ]
        if missing:
            raise ValueError("; ".join(missing))
        return self

    def broker(self, *, client_id: str, will: Will | None = None) -> BrokerSettings:
        """The settings that the source takes; ``client_id`` is used where none is set."""
        encrypted = self.tls or self.ca_file is not None or self.cert_file is not None
        return BrokerSettings(
            name=self.name,
            host=self.host,
            port=self.port or (8883 if encrypted else 1883),
            topics=self.topics,
            client_id=self.client_id or client_id,
            qos=self.qos,
            share=self.share,
            username=self.username,
            password=self._password,
            tls=self.tls,
            ca_file=self.ca_file,
            cert_file=self.cert_file,
            key_file=self.key_file,
            keep_alive=self.keep_alive,
            session_expiry=self.session_expiry,
            receive_maximum=self.receive_maximum,
            topic_aliases=self.topic_aliases,
            max_packet_size=int(self.max_packet_size),
            will=will,
        )


class LedgerSettings(Table):
    """The ledger: how messages are gathered, and how long they are kept."""

    batch_messages: int = Field(
        default=1000, ge=1, le=100_000, description="most messages that share one fsync"
    )
    batch_wait_ms: float = Field(
        default=10.0,
        ge=0,
        le=10_000,
        description="longest wait for company before an fsync, milliseconds",
    )
    keep_days: float | None = Field(
        default=None,
        gt=0,
        description="days after which processed messages are pruned; default: never",
    )
    keep_bytes: ByteSize | None = Field(
        default=None, ge=1024 * 1024, description="size, as 20GB, above which the oldest are pruned"
    )


class ProcessingSettings(Table):
    """Decode, normalise, check and store."""

    commit_messages: int = Field(
        default=10_000,
        ge=1,
        le=100_000,
        description="most messages in one transaction of the store",
    )
    commit_interval_ms: float = Field(
        default=100.0,
        ge=0,
        le=60_000,
        description="shortest time between two transactions, milliseconds",
    )
    snapshot_messages: int = Field(
        default=200_000, ge=1, description="messages between two snapshots of the checks' state"
    )


class SinkSettings(Table):
    """A database that follows the store: InfluxDB 2 or 3, or VictoriaMetrics by the same call."""

    name: Name = Field(default="influx", description="what logs, metrics and status call this sink")
    type: Literal["influx"] = Field(default="influx", description="the kind of database")
    url: str = Field(
        default="http://127.0.0.1:8086", pattern=r"^https?://[^\s@]+$", description="address"
    )
    org: str = Field(default="", description="organisation (InfluxDB)")
    bucket: str = Field(default="metering", min_length=1, description="bucket or database")
    token: SecretStr | None = Field(default=None, description="token; rather use the next two")
    token_file: TokenFile = None
    token_env: TokenVariable = None

    _token: str | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _hang_together(self) -> Self:
        self._token = secret_of("token", self.token, self.token_file, self.token_env)
        return self

    def secret(self) -> str | None:
        """The token, from whichever way it was given."""
        return self._token


class StatusSettings(Table):
    """The status message on ``supervision/gateway/{name}/status``."""

    enabled: bool = Field(default=True, description="publish the gateway's own state")
    interval: float = Field(
        default=5.0, ge=0.2, le=3600, description="seconds between two messages"
    )


class LogSettings(Table):
    """Logs, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="lowest level that is written"
    )
    format: Literal["auto", "console", "json"] = Field(
        default="auto", description="auto: console on a terminal, JSON elsewhere"
    )


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    name: Name = Field(
        default="gateway", description="name of this gateway, in topics and client ids"
    )
    data_dir: Path = Field(default=Path("data"), description="ledger, store, casebook and identity")
    profiles: tuple[Path, ...] = Field(
        default=(),
        description="directories of device profiles; default: those that come with the gateway",
    )
    registry: Path | None = Field(
        default=None, description="registry file (JSONL, CSV) taken into the casebook at the start"
    )
    source: tuple[SourceSettings, ...] = Field(default=(SourceSettings(),), description="brokers")
    ledger: LedgerSettings = Field(default=LedgerSettings(), description="the ledger")
    processing: ProcessingSettings = Field(default=ProcessingSettings(), description="processing")
    retention: RetentionSettings = Field(
        default=RetentionSettings(), description="how long readings are kept"
    )
    sink: tuple[SinkSettings, ...] = Field(
        default=(), description="databases that follow the store"
    )
    alerts: tuple[AlertSettings, ...] = Field(
        default=(), description="flags that leave the gateway"
    )
    metrics: MetricsSettings = Field(default=MetricsSettings(), description="Prometheus listener")
    api: ApiSettings | None = Field(default=None, description="HTTP API; default: none")
    reports: tuple[ReportSettings, ...] = Field(
        default=(), description="district reports on a schedule"
    )
    status: StatusSettings = Field(default=StatusSettings(), description="status message")
    log: LogSettings = Field(default=LogSettings(), description="logs")

    @field_validator("source", "sink", "alerts")
    @classmethod
    def _own_names(cls, tables: Sequence[Any], info: ValidationInfo) -> Sequence[Any]:
        if not tables and info.field_name == "source":
            raise ValueError("at least one [[source]] is needed")
        names = [table.name for table in tables]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"each needs a name of its own; used twice: {', '.join(twice)}")
        return tables

    @model_validator(mode="after")
    def _sources_of_alerts(self) -> Self:
        names = {source.name for source in self.source}
        for alert in self.alerts:
            if alert.mqtt is not None and alert.mqtt.source not in {None, *names}:
                raise ValueError(f"alerts: {alert.name}: there is no source {alert.mqtt.source}")
        return self

    @model_validator(mode="after")
    def _kept_for_reports(self) -> Self:
        shortest = min(self.retention.days().values(), default=None)
        for report in self.reports:
            needed = {"week": 7, "month": 31}[report.period] + math.ceil(report.after_hours / 24)
            if shortest is not None and shortest < needed:
                raise ValueError(
                    f"retention: {shortest} days, but the report of a {report.period} reads what "
                    f"is up to {needed} days old: keep that long, or make no such report"
                )
        return self

    def alert_specs(self, client_id: Callable[[str], str]) -> tuple[AlertSpec, ...]:
        """What the worker is to do about alerts; ``client_id`` makes one for MQTT of a name."""
        return tuple(alert.spec(self, client_id(f"alert-{alert.name}")) for alert in self.alerts)

    def secrets(self) -> list[str]:
        """Every secret in here, for the mask of the logs."""
        found = [source._password for source in self.source]  # noqa: SLF001 - same module
        found += [sink.secret() for sink in self.sink]
        found += [secret for alert in self.alerts for secret in alert.target.secrets()]
        found.append(self.metrics.secret())
        if self.api is not None and self.api.oidc is not None:
            found.append(self.api.oidc.secret())
        return [secret for secret in found if secret]


def packaged_profiles() -> Path:
    """The device profiles that come with the gateway: of the wheel, or of the source tree."""
    here = Path(__file__).parent
    packaged = here / "_device_profiles"
    return packaged if packaged.is_dir() else here.parent / "device_profiles"


class Row(BaseModel):
    """One setting of the table that ``--help`` and the documentation show."""

    key: str
    type: str
    default: str
    help: str
    variable: str | None


LISTS: Final[dict[str, type[Table]]] = {
    "source": SourceSettings,
    "sink": SinkSettings,
    "alerts": AlertSettings,
    "reports": ReportSettings,
}


def table() -> list[Row]:
    """Every setting with type, default, help and, outside lists, its environment variable."""
    return _rows(Settings, "", variables=True)


def _rows(model: type[BaseModel], above: str, *, variables: bool) -> list[Row]:
    rows: list[Row] = []
    for name, field in model.model_fields.items():
        key = f"{above}{name}"
        if name in LISTS and not above:
            rows += _rows(LISTS[name], f"{name}[].", variables=False)
        elif (held := table_in(field.annotation)) is not None:
            rows += _rows(held, f"{key}.", variables=variables)
        else:
            variable = PREFIX + key.upper().replace(".", "__") if variables else None
            rows.append(
                Row(
                    key=key,
                    type=_type_name(field.annotation),
                    default=_default(field.default),
                    help=field.description or "",
                    variable=variable,
                )
            )
    return rows


def _type_name(annotation: object) -> str:
    options = [option for option in get_args(annotation) if option is not type(None)]
    if options and not any(isinstance(option, type) or get_args(option) for option in options):
        return " | ".join(str(option) for option in options)
    text = str(annotation)
    for pattern, name in (
        (r"tuple\[", "list"),
        ("SecretStr", "secret"),
        ("ByteSize", "size"),
        ("Path", "path"),
        ("bool", "bool"),
        ("float", "number"),
        ("int", "integer"),
    ):
        if re.search(pattern, text):
            return name
    return "text"


def _default(value: object) -> str:
    if value is None or value == () or value is PydanticUndefined:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(str(item) for item in value)
    if isinstance(value, ByteSize):
        return value.human_readable().replace(".0", "")
    return f"{value:g}" if isinstance(value, float) else str(value)
