"""The shapes that the API takes and gives, for its description; answers are encoded by msgspec."""

# No "from __future__ import annotations": pydantic reads the annotations when the class is made.
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Taken(BaseModel):
    """A body; unknown keys are faults."""

    model_config = ConfigDict(extra="forbid", str_max_length=4_000)


class Login(Taken):
    """Name and password of an account."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"name": "zhang", "password": "correct horse battery"}},
    )

    name: str = Field(max_length=64)
    password: str = Field(max_length=256)


class NewPassword(Taken):
    """The password that holds until now, and the one that shall."""

    old: str = Field(max_length=256)
    new: str = Field(min_length=12, max_length=256)


class NewUser(Taken):
    """An account to be made."""

    name: str = Field(min_length=1, max_length=64, examples=["zhang"])
    role: Literal["viewer", "inspector", "administrator", "vendor", "auditor"]
    region: str = Field(default="", max_length=6, examples=["3301"])
    vendor: str | None = Field(default=None, max_length=200)
    single_sign_on: bool = Field(default=False, description="without a password of its own")


class UserChange(Taken):
    """What is to change of an account; what is left out stays."""

    role: Literal["viewer", "inspector", "administrator", "vendor", "auditor"] | None = None
    region: str | None = Field(default=None, max_length=6)
    vendor: str | None = Field(default=None, max_length=200)
    disabled: bool | None = None


class NewToken(Taken):
    """A token to be made for oneself."""

    title: str = Field(min_length=1, max_length=100, examples=["nightly export"])
    permissions: list[str] | None = Field(
        default=None, max_length=50, examples=[["flags", "export"]]
    )
    days: float = Field(default=90, gt=0, le=366)


class Decision(Taken):
    """A decision about one flag; ``version`` is the one that was looked at."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"action": "acknowledge", "version": 0}},
    )

    action: Literal["acknowledge", "dismiss", "confirm", "close", "reopen"]
    reason: str | None = Field(default=None, max_length=2_000)
    version: int | None = Field(default=None, ge=0, le=2**31)


class Decisions(Taken):
    """One decision about several flags, all or none, or those that can be decided."""

    flags: list[str] = Field(min_length=1, max_length=1_000)
    action: Literal["acknowledge", "dismiss", "confirm", "close", "reopen"]
    reason: str | None = Field(default=None, max_length=2_000)
    skip_refused: bool = False


class Reprocess(Taken):
    """Which messages in quarantine are to be decided again; all that are seen, without either."""

    model_config = ConfigDict(
        extra="forbid",
        str_max_length=256,
        json_schema_extra={"example": {"reason": "missing_field", "profile": "acme-water@1.0.0"}},
    )

    reason: str | None = Field(default=None, min_length=1)
    profile: str | None = Field(
        default=None, min_length=1, description="its name; a version is not looked at"
    )


class Trial(BaseModel):
    """A message to be tried on a profile: as text, or in hexadecimal."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"topic": "meters/w1/up", "payload": "{}"}},
    )

    topic: str | None = Field(default=None, min_length=1, max_length=1_024)
    payload: str | None = Field(default=None, max_length=64_000)
    payload_hex: str | None = Field(default=None, max_length=128_000)
    port: int = Field(default=1, ge=0, le=255)


class Given(BaseModel):
    """Something the API gives; keys that are absent have no value, and more may come."""

    model_config = ConfigDict(extra="allow")


class Device(Given):
    """A device, with the keys of the devices export."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "example": {
                "device_id": "em-330106-00001",
                "kind": "electricity_meter",
                "profile": "electricity-meter-reference@1.0.0",
                "vendor": "ACME",
                "region": "330106",
                "registered": True,
                "state": "reporting",
                "readings": 2976,
                "flags": 1,
                "last_measured_at": "2026-03-01T08:00:00.000Z",
            }
        },
    )

    device_id: str
    kind: str
    registered: bool
    state: Literal["reporting", "silent", "never"]
    readings: int
    flags: int


class Reading(Given):
    """A reading, with the keys of the readings export: ``energy_import_kwh`` and so on."""

    device_id: str
    kind: str
    event: str
    measured_at: str
    received_at: str
    quality: str
    ledger_offset: int


class Flag(Given):
    """A flag, with the keys of the flags export, and what people have said of it."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "example": {
                "id": "f3b1c7…",
                "device_id": "fd-330106-00001",
                "kind": "fuel_dispenser",
                "code": "amount_mismatch",
                "severity": "major",
                "measured_at": "2026-03-01T08:00:00.000Z",
                "from": "2026-03-01T08:00:00.000Z",
                "to": "2026-03-01T08:00:00.000Z",
                "evidence": {"observed": 305.2, "expected": 300.0, "tolerance": 0.01},
                "basis": "JJG 443-2023",
                "status": "open",
                "version": 0,
                "allowed": ["acknowledge"],
            }
        },
    )

    id: str
    device_id: str
    kind: str
    code: str
    severity: Literal["info", "minor", "major", "critical"]
    evidence: dict[str, Any]
    status: str
    version: int
    allowed: list[str]


class Page(Given):
    """A page; ``next_cursor`` is given where there are more, for the parameter ``cursor``."""

    next_cursor: str | None = None


class Devices(Page):
    """Devices by id."""

    items: list[Device]


class Readings(Page):
    """Readings of one device by time of measurement."""

    items: list[Reading]


class Flags(Page):
    """Flags, those that began last first."""

    items: list[Flag]


class Records(Page):
    """Records of another kind."""

    items: list[dict[str, Any]]


class Account(Given):
    """Who is logged in, what he may, and what his page sends back with each change."""

    name: str
    role: str
    permissions: list[str]
    must_change: bool


class OneTime(Given):
    """An account with the password that its owner has to change; none for single sign-on."""

    name: str
    one_time_password: str | None = None


class Anything(Given):
    """An object whose keys depend on the matter."""
