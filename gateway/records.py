"""The whole vocabulary of records that go through the gateway, one a stage.

Times are integers: nanoseconds since 1970-01-01 UTC.  ``measured_at`` is the instrument's word,
``received_at`` the gateway's; they are never mixed.  Records are frozen and carry no behaviour.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

CLOCK_TOPIC: Final = "$gateway/clock"
"""Topic of the marks that a gateway itself writes into its ledger while nothing comes.

They carry nothing but their time of receipt: what is judged by the ledger's clock hangs on the
ledger alone, also where all devices are silent.  No broker passes a topic that begins with ``$`` on
to a subscription that does not name it.
"""


class RawMessage(msgspec.Struct, frozen=True, gc=False):
    """One message as it came: the evidence that everything else is derived from."""

    ledger_offset: int
    received_at: int
    topic: str
    payload: bytes


class Batch(msgspec.Struct, frozen=True, gc=False):
    """Messages in columns, in the order of receipt; the lists have equal length.

    ``first_offset`` is the ledger offset of the first message; message ``i`` has
    ``first_offset + i``.  A batch that is not yet in the ledger has ``first_offset`` -1.
    """

    topics: list[str]
    payloads: list[bytes]
    received_at: list[int]
    first_offset: int = -1

    def __len__(self) -> int:
        return len(self.topics)


Value = float | int | str | bool | None


class Reading(msgspec.Struct, frozen=True, gc=False):
    """One reading of one channel of one instrument, in canonical units.

    ``names`` and ``values`` have equal length; ``names`` is shared by all readings of one block
    of a profile.  Times among the values (``started_at``, ``ended_at``) are nanoseconds, numbers
    are floats, money is a float whose shortest decimal form is the amount that was sent.
    ``sequence`` is None where the instrument numbers nothing.  ``quality`` is one of ``raw``,
    ``valid``, ``questionable``, ``estimated``, ``derived``.
    """

    device_id: str
    kind: str
    event: str
    channel: str | None
    measured_at: int
    received_at: int
    sequence: int | None
    quality: str
    status: tuple[str, ...]
    currency: str | None
    profile: str
    ledger_offset: int
    names: tuple[str, ...]
    values: tuple[Value, ...]

    @property
    def quantities(self) -> dict[str, Value]:
        """The quantities that are present, by name."""
        return {n: v for n, v in zip(self.names, self.values, strict=True) if v is not None}


class Flag(msgspec.Struct, frozen=True, gc=False):
    """One finding of a check, with what a stranger needs to recompute it.

    ``id`` is derived from device, code, channel and the occasion, so that processing the same
    ledger again gives the same id; a later version of the same id replaces the earlier one (a
    lasting condition's ``until`` grows; a gap that late messages fill is ``withdrawn``).
    ``since``/``until`` are the ``from``/``to`` of the export.  ``status`` is what processing
    knows: ``open``, ``ended`` or ``withdrawn``; what people decide lives in the casebook.
    """

    id: str
    device_id: str
    kind: str
    channel: str | None
    code: str
    severity: str
    measured_at: int
    since: int
    until: int
    evidence: dict[str, Any]
    basis: str
    profile: str
    ledger_offset: int
    status: str = "open"


class Quarantined(msgspec.Struct, frozen=True, gc=False):
    """A message that gave no reading, or a reading that a sink refused: whole, with the reason.

    ``reason`` is a code (``no_profile``, ``unparseable``, ``missing_field``, ...), ``detail`` says
    where, which rule and what was got; ``stage`` is where it stopped (``decode``, ``normalise``,
    ``sink:NAME``).  ``profile`` is name@version, or None when no profile matched.
    """

    ledger_offset: int
    received_at: int
    topic: str
    payload: bytes
    stage: str
    reason: str
    detail: str
    profile: str | None = None
    device_id: str | None = None


class Counters(msgspec.Struct):
    """Messages by decision since the ledger began: ``received`` is the sum of the others.

    ``pending`` is not stored: it is the ledger's next offset minus the checkpoint.
    ``stored + quarantined + duplicates + ignored + pending == received``.
    """

    stored: int = 0
    quarantined: int = 0
    duplicates: int = 0
    ignored: int = 0
    readings: int = 0
    duplicate_readings: int = 0
    flags: int = 0

    @property
    def decided(self) -> int:
        """Messages that are no longer pending."""
        return self.stored + self.quarantined + self.duplicates + self.ignored


class Results(msgspec.Struct):
    """What processing hands to the store, committed in one transaction.

    ``next_offset`` is the checkpoint: every message below it has been decided.  ``counters`` are
    totals after these results.  ``prepared`` are readings that the store has taken over already
    (`Store.prepare`); they come before ``readings``.  ``snapshot`` is the checks' state at
    ``next_offset`` (opaque to the store) or None when this commit does not carry one.
    """

    readings: list[Reading]
    flags: list[Flag]
    quarantined: list[Quarantined]
    next_offset: int
    counters: Counters
    snapshot: bytes | None = None
    prepared: list[Any] = []


class Checkpoint(msgspec.Struct, frozen=True):
    """Where processing stands: next offset to decide, totals, and the last snapshot of state."""

    next_offset: int
    counters: Counters
    snapshot_offset: int
    snapshot: bytes | None


class Device(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One registered instrument, or one version of it: what is true of it beyond its model.

    ``valid_from`` is when this version begins, None since ever; it ends where the next one begins.
    ``verified_until`` and the other times are nanoseconds; ``parameters`` are what profile and
    checks may need of this one device (``time_zone``, ``currency``, ``k_factor``, ``tariff``,
    ``register_digits``, ...).
    """

    device_id: str
    kind: str | None = None
    profile: str | None = None
    vendor: str | None = None
    model: str | None = None
    serial_number: str | None = None
    owner: str | None = None
    site: str | None = None
    region: str | None = None
    longitude: float | None = None
    latitude: float | None = None
    commissioned_at: int | None = None
    verified_at: int | None = None
    verified_until: int | None = None
    certificate: str | None = None
    parameters: dict[str, Any] = {}
    valid_from: int | None = None


class Site(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where devices stand: a station, a building, a depot; or one version of what is true of it."""

    site: str
    name: str | None = None
    owner: str | None = None
    region: str | None = None
    address: str | None = None
    longitude: float | None = None
    latitude: float | None = None
    valid_from: int | None = None


class Owner(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Who answers for devices and sites; or one version of what is true of them.

    ``credit_code`` is the unified social credit code of GB 32100-2015.
    """

    owner: str
    name: str | None = None
    credit_code: str | None = None
    address: str | None = None
    valid_from: int | None = None


class Certificate(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A verification or calibration of one device, as its certificate says.

    ``verified_at`` is when the instrument was on the bench, ``issued_at`` when the certificate was
    signed, ``valid_until`` its last moment.  ``result`` is ``pass``, ``fail`` or absent.  Each of
    ``errors`` is one point of the curve: quantities by name, each ``{value, unit}`` and where known
    ``uncertainty`` and ``coverage_factor``; ``error`` is the error of indication, the others
    (``flow_rate``, ``reference_value``, ...) tell where it was found.  ``source`` names the
    document: ``file``, ``sha256``, ``schema_version``, ``signed`` (present, not checked).
    """

    device_id: str
    number: str
    verified_at: int | None = None
    issued_at: int | None = None
    valid_until: int | None = None
    laboratory: str | None = None
    result: str | None = None
    errors: list[dict[str, dict[str, Any]]] = []
    source: dict[str, Any] = {}
