"""What an import would change: each entry against what the casebook knows, without the casebook.

* A record that is new is added; it holds since ever unless it says ``valid_from``.
* A record without ``valid_from`` that differs from what holds now begins a new version at the
  moment of the import.  What held before is kept and goes on judging what was measured before.
* A record with a ``valid_from`` that no version has becomes one more version.
* What a version says is replaced on the word ``correct`` only: it changes how the past is judged.
* A certificate is kept for ever; one that was passed begins a version of its device, on the day of
  the verification, with the number and validity of the certificate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from gateway.devices import EVER, HIDDEN, is_secret
from gateway.records import Certificate, Device, Owner, Site
from gateway.registry.entries import TIMES, Entry, Key, Record, key_of
from gateway.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

Action = Literal["add", "change", "correct"]
Versioned = Device | Site | Owner

VERIFICATION: Final = ("certificate", "verified_at", "verified_until")


class Change(msgspec.Struct, frozen=True):
    """One record of the casebook that is written.

    ``add`` is the first of its name; ``change`` is a further version; ``correct`` takes the place
    of ``before``, which began at the same time.  ``before`` is what held until then, if anything.
    ``place`` is where the file says so.
    """

    action: Action
    before: Record | None
    after: Record
    place: str
    implied: bool = False
    """Whether another entry brought it along: the certificate that a row of a device names."""

    @property
    def key(self) -> Key:
        """Kind and name of the record."""
        return key_of(self.after)

    @property
    def name(self) -> str:
        """What names the record, as one text."""
        return " ".join(self.key[1:])

    @property
    def fields(self) -> dict[str, dict[str, Any]]:
        """What differs, ``{field: {before, after}}``, parameters one by one, times as RFC 3339.

        Of a key or password it is told that it differs, not what it is.
        """
        before = _flat(self.before) if self.before is not None else {}
        after = _flat(self.after)
        return {
            name: {"before": _shown(name, before), "after": _shown(name, after)}
            for name in dict.fromkeys((*before, *after))
            if before.get(name) != after.get(name)
        }


class Plan(msgspec.Struct):
    """What an import would do, in the order of the entries."""

    changes: list[Change] = []
    unchanged: int = 0
    faults: list[str] = []
    warnings: list[str] = []


class Known:
    """The versions of some records by kind and name, the oldest first; changes are played in."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._versions: dict[Key, list[Record]] = {}
        for record in records:
            self.put(record)

    def versions(self, key: Key) -> Sequence[Record]:
        """Every version of a record, the oldest first."""
        return self._versions.get(key, ())

    def devices(self, device_id: str) -> Sequence[Device]:
        """Every version of a device, the oldest first."""
        # What is under the key of a device is a device.
        return self._versions.get(("device", device_id), ())  # type: ignore[return-value]

    def names(self, kind: str) -> set[str]:
        """What the records of a kind are named."""
        return {key[1] for key in self._versions if key[0] == kind}

    def at(self, key: Key, moment: int) -> Record | None:
        """The version that holds at a time."""
        return next(
            (version for version in reversed(self.versions(key)) if _begin(version) <= moment), None
        )

    def put(self, record: Record) -> None:
        """Adds a version, or replaces the one that begins at the same time."""
        versions = self._versions.setdefault(key_of(record), [])
        if not versions or _begin(versions[-1]) < _begin(record):
            versions.append(record)
            return
        versions[:] = [v for v in versions if _begin(v) != _begin(record)] + [record]
        versions.sort(key=_begin)


def plan(entries: Sequence[Entry], known: Known, *, now: int, correct: bool = False) -> Plan:
    """What the import of entries would do.

    Args:
        entries: of one or several files.
        known: the versions of their records; the changes are played into it.
        now: the moment of the import, ns UTC.
        correct: whether what versions say may be replaced.
    """
    planner = _Planner(known, now, correct=correct)
    counts: dict[Key, int] = {}
    for each in entries:
        key = key_of(each.record)
        counts[key] = counts.get(key, 0) + 1
    certificates: list[tuple[Certificate, str]] = []
    for place, record in entries:
        if isinstance(record, Certificate):
            certificates.append((record, place))
        else:
            alone = counts[key_of(record)] == 1
            planner.counted(planner.version, record, place, alone)
    # Certificates begin versions of devices, which the same files may bring.
    for record, place in certificates:
        planner.counted(planner.certificate, record, place)
    for place, record in entries:
        if isinstance(record, Device) and record.certificate is not None:
            planner.implied(record, place)
    return planner.made


class _Planner:
    """Goes through entries, playing what each changes into what is known for the next."""

    def __init__(self, known: Known, now: int, *, correct: bool) -> None:
        self.known = known
        self.now = now
        self.correct = correct
        self.made = Plan()

    def counted(self, judge: Callable[..., None], *entry: object) -> None:
        """Judges an entry; one that changes nothing and is not wrong is unchanged."""
        before = len(self.made.changes), len(self.made.faults)
        judge(*entry)
        if before == (len(self.made.changes), len(self.made.faults)):
            self.made.unchanged += 1

    def version(self, record: Versioned, place: str, alone: bool) -> None:
        """One row of a device, site or owner; ``alone`` where no other row is of the same."""
        key = key_of(record)
        if not self.known.versions(key):
            self._write("add", None, record, place)
            return
        open_begin = record.valid_from is None and alone
        base = self.known.at(key, self.now if open_begin else _begin(record))
        if base is None or isinstance(base, Certificate):
            # All that is known begins later: this is one more version before it.
            self._write("change", None, record, place)
            return
        same = _same(record, base)
        if not same and isinstance(record, Device) and isinstance(base, Device):
            record = record if self.correct else self._verification_kept(record, base, place)
            same = _same(record, base)
        if open_begin:
            if same:
                return
            begin = base.valid_from if self.correct else max(self.now, _begin(base) + 1)
            after = msgspec.structs.replace(record, valid_from=begin)
            self._write("correct" if self.correct else "change", base, after, place)
        elif _begin(base) != _begin(record):
            self._write("change", base, record, place)
        elif not same and self.correct:
            self._write("correct", base, record, place)
        elif not same:
            self.made.faults.append(_contradiction(Change("correct", base, record, place)))

    def _verification_kept(self, record: Device, base: Device, place: str) -> Device:
        """The row with the verification of the version before, where it says none or an older one.

        Certificates come by a way of their own: a list of devices that is silent of them, or was
        written before the latest one, takes none away.
        """
        said, held = _verification(record), _verification(base)
        if not any(value is not None for value in said.values()):
            return msgspec.structs.replace(record, **held)
        for name in ("verified_at", "verified_until"):
            old, new = held[name], said[name]
            if old is None or new is None or old == new:
                continue
            if new > old:
                break
            self.made.warnings.append(
                f"{place}: device {record.device_id}: {name} {rfc3339(new)} is before "
                f"{rfc3339(old)} of certificate {base.certificate}, which is kept; --correct "
                "replaces it"
            )
            return msgspec.structs.replace(record, **held)
        return record

    def certificate(self, record: Certificate, place: str) -> None:
        """A certificate, and the version of its device that it begins."""
        if not self.known.devices(record.device_id):
            self.made.faults.append(
                f"{place}: certificate {record.number}: no device {record.device_id!r} is "
                "registered; register it first, or in the same import"
            )
            return
        held = next(iter(self.known.versions(key_of(record))), None)
        if isinstance(held, Certificate):
            record = _completed(record, held)
            change = Change("correct", held, record, place)
            lost = [
                name
                for name, pair in change.fields.items()
                if pair["before"] is not None and name != "source"
            ]
            if lost and not self.correct and not _bare(held):
                self.made.faults.append(_contradiction(change))
                return
            if record != held:
                self._write("correct", held, record, place)
        else:
            self._write("add", None, record, place)
        if record.result != "fail":
            self._begin_verification(record, place)

    def _begin_verification(self, record: Certificate, place: str) -> None:
        """The version of the device from the verification on, and those that follow it."""
        if record.valid_until is None:
            self._odd(record, place, "it says no validity (--valid-for sets one)")
        begin = record.verified_at if record.verified_at is not None else record.issued_at
        if begin is None:
            self._odd(record, place, "it says no time: no version of the device begins with it")
            return
        base = next(
            (v for v in reversed(self.known.devices(record.device_id)) if _begin(v) <= begin), None
        )
        if base is None:
            self._odd(
                record, place, f"the device was not registered at {rfc3339(begin)}: no version of "
                "it begins with the certificate",
            )  # fmt: skip
            return
        old = _verification(base)
        if base.verified_at is not None and base.verified_at > begin:
            return  # an older certificate than the one that the version names
        told = {
            "certificate": record.number,
            "verified_at": begin,
            "verified_until": record.valid_until,
        }
        if old == told:
            return
        following = [v for v in self.known.devices(record.device_id) if _begin(v) > _begin(base)]
        if base.certificate == record.number or _begin(base) == begin:
            self._write("correct", base, msgspec.structs.replace(base, **told), place)
        else:
            after = msgspec.structs.replace(base, **told, valid_from=begin)
            self._write("change", base, after, place)
        for version in following:
            if _verification(version) != old:
                break
            self._write("correct", version, msgspec.structs.replace(version, **told), place)

    def implied(self, record: Device, place: str) -> None:
        """The certificate that a row of a device names, where nothing more is known of it."""
        certificate = Certificate(
            device_id=record.device_id,
            number=str(record.certificate),
            verified_at=record.verified_at,
            valid_until=record.verified_until,
        )
        if not self.known.versions(key_of(certificate)):
            self._write("add", None, certificate, place, implied=True)

    def _odd(self, record: Certificate, place: str, what: str) -> None:
        self.made.warnings.append(
            f"{place}: certificate {record.number} of {record.device_id}: {what}"
        )

    def _write(
        self, action: Action, before: Record | None, after: Record, place: str, *,
        implied: bool = False,
    ) -> None:  # fmt: skip
        self.known.put(after)
        self.made.changes.append(Change(action, before, after, place, implied))


def _same(one: Versioned, other: Versioned) -> bool:
    """Whether two versions say the same, whenever they begin."""
    if one.valid_from != other.valid_from:
        other = msgspec.structs.replace(other, valid_from=one.valid_from)
    return one == other


def _contradiction(change: Change) -> str:
    """What to say of a record that would replace what is known without being told to."""
    kind, name = change.key[0], change.name
    told = "; ".join(
        f"{field} is {_told(pair['before'])}, here {_told(pair['after'])}"
        for field, pair in change.fields.items()
    )
    if isinstance(change.after, Certificate):
        return f"{change.place}: {kind} {name}: {told}; say --correct to replace what is known"
    begin = _begin(change.after)
    when = "since ever" if begin == EVER else f"from {rfc3339(begin)} on"
    return (
        f"{change.place}: {kind} {name}: {told}, in the version that holds {when}; say --correct "
        "to replace it, or another valid_from to begin a new one"
    )


def _verification(device: Device) -> dict[str, Any]:
    """What a version says of its verification."""
    return {name: getattr(device, name) for name in VERIFICATION}


def _completed(record: Certificate, held: Certificate) -> Certificate:
    """A certificate with what was known of it before and it does not say itself."""
    kept = {
        name: value
        for name, value in msgspec.structs.asdict(held).items()
        if getattr(record, name) in (None, [], {})
    }
    if record.source.get("sha256") == held.source.get("sha256"):
        kept["source"] = held.source  # the same document, from another place
    return msgspec.structs.replace(record, **kept)


def _bare(held: Certificate) -> bool:
    """Whether a certificate is known from the row of its device alone."""
    return held == Certificate(
        device_id=held.device_id, number=held.number, verified_at=held.verified_at,
        valid_until=held.valid_until,
    )  # fmt: skip


def _begin(record: Record) -> int:
    begin: int | None = getattr(record, "valid_from", None)
    return EVER if begin is None else begin


def _flat(record: Record) -> dict[str, Any]:
    """Field by field, parameters one by one, times as RFC 3339; nothing absent."""
    told: dict[str, Any] = {}
    for name, value in msgspec.structs.asdict(record).items():
        if value is None or value in ({}, []):
            continue
        if name == "parameters":
            told |= {f"parameters.{key}": item for key, item in value.items()}
        else:
            told[name] = rfc3339(value) if name in TIMES else value
    return told


def _shown(name: str, values: dict[str, Any]) -> Any:  # noqa: ANN401 - any field's value
    kind, _, parameter = name.partition(".")
    secret = kind == "parameters" and name in values and is_secret(parameter)
    return HIDDEN if secret else values.get(name)


def _told(value: object) -> str:
    return "absent" if value is None else f"{value!r:.60}"


def as_report(changes: Iterable[Change]) -> list[Mapping[str, Any]]:
    """Changes as JSON, for a report: what differs, field by field."""
    return [
        {
            "record": change.key[0],
            "name": change.name,
            "action": change.action,
            "place": change.place,
            "fields": change.fields,
        }
        for change in changes
    ]


def beginning(record: Record) -> dict[str, str]:
    """When a version begins, for the audit; nothing for one that holds since ever."""
    begin = _begin(record)
    return {} if begin == EVER else {"valid_from": rfc3339(begin)}
