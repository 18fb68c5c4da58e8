"""Which registered device each item of a calibration certificate is.

A certificate names instruments by numbers that manufacturer, owner and laboratory gave them.  One
of these is the device's id, or its serial number; where several devices have the same number,
manufacturer and model must tell them apart.  In doubt nothing is bound: a certificate of another
instrument is worse than none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.records import Certificate
from gateway.registry.entries import Entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gateway.certificates import Document, Item
    from gateway.devices import Registry
    from gateway.records import Device


def numbers_in(documents: Iterable[Document]) -> set[str]:
    """Every number by which the certificates name an instrument."""
    return {
        each.value
        for document in documents
        for item in document.items
        for each in item.identifications
    }


def bind(
    documents: Sequence[Document],
    registry: Registry,
    faults: list[str],
    warnings: list[str],
    *,
    device_id: str | None = None,
) -> list[Entry]:
    """The certificates of devices that documents are; items of one device are one certificate.

    Args:
        documents: what was read.
        registry: the devices that the documents may mean; what they were at the time of the
            verification counts.
        faults: items that are no device, or may be several, are added here.
        warnings: what does not agree, but does not forbid.
        device_id: the device that the only item of the only document is, whatever its numbers.
    """
    if device_id is not None and (len(documents) != 1 or len(documents[0].items) != 1):
        faults.append("--device is for a single certificate of a single item")
        return []
    entries = []
    for document in documents:
        then = [registry.at(name, document.verified_at) or registry[name] for name in registry]
        entries += _Binder(then, faults, warnings, device_id).entries(document)
    return entries


class _Binder:
    def __init__(
        self,
        devices: Sequence[Device],
        faults: list[str],
        warnings: list[str],
        device_id: str | None,
    ) -> None:
        self.by_id = {device.device_id: device for device in devices}
        self.by_serial: dict[str, list[Device]] = {}
        for device in devices:
            if device.serial_number is not None:
                self.by_serial.setdefault(device.serial_number, []).append(device)
        self.faults = faults
        self.warnings = warnings
        self.device_id = device_id

    def entries(self, document: Document) -> list[Entry]:
        """A certificate for each device of a document."""
        file = document.place.rpartition(":")[0]
        found: dict[str, Certificate] = {}
        for item in document.items:
            place = f"{file}:{item.line}"
            device = self.device(item, place)
            if device is None:
                continue
            earlier = found.get(device.device_id)
            errors = item.errors if earlier is None else [*earlier.errors, *item.errors]
            found[device.device_id] = Certificate(
                device_id=device.device_id,
                number=document.number,
                verified_at=document.verified_at,
                issued_at=document.issued_at,
                valid_until=document.valid_until,
                laboratory=document.laboratory,
                result=document.result,
                errors=errors,
                source=document.source,
            )
            self._compare(device, item, place)
        return [Entry(document.place, certificate) for certificate in found.values()]

    def device(self, item: Item, place: str) -> Device | None:
        """The device that an item is; None with a fault."""
        if self.device_id is not None:
            device = self.by_id.get(self.device_id)
            if device is None:
                self.faults.append(f"{place}: no device {self.device_id!r} is registered")
            return device
        numbers = [each.value for each in item.identifications]
        named = {number: self.by_id[number] for number in numbers if number in self.by_id}
        if not named:
            return self._by_serial(item, numbers, place)
        if len(named) > 1:
            self.faults.append(
                f"{place}: the item names several devices, {', '.join(named)}; say --device"
            )
            return None
        (device,) = named.values()
        serial = device.serial_number
        told = [each.value for each in item.identifications if each.issuer == "manufacturer"]
        if serial is not None and told and serial not in numbers:
            self.faults.append(
                f"{place}: the item is device {device.device_id!r} by its number, but its serial "
                f"number is {told[0]!r}, the registry has {serial!r}: is it the certificate of "
                "another instrument? mend the registry, or say --device"
            )
            return None
        return device

    def _by_serial(self, item: Item, numbers: list[str], place: str) -> Device | None:
        found = {
            device.device_id: device
            for number in numbers
            for device in self.by_serial.get(number, ())
        }
        shown = ", ".join(map(repr, numbers)) or "no number at all"
        if not found:
            self.faults.append(
                f"{place}: no device has {shown} as device_id or serial_number; register it first, "
                "or say --device"
            )
            return None
        fitting = [
            device
            for device in found.values()
            if len(found) == 1
            or (_alike(device.vendor, item.manufacturer) and _alike(device.model, item.model))
        ]
        if len(fitting) == 1:
            return fitting[0]
        self.faults.append(
            f"{place}: {shown} is the serial number of several devices, "
            f"{', '.join(sorted(found))}, and manufacturer and model do not tell which; say "
            "--device"
        )
        return None

    def _compare(self, device: Device, item: Item, place: str) -> None:
        """Says where the certificate describes another instrument than the registry."""
        for word, ours, theirs in (
            ("vendor", device.vendor, item.manufacturer),
            ("model", device.model, item.model),
        ):
            if not _alike(ours, theirs):
                self.warnings.append(
                    f"{place}: the certificate says {word} {theirs!r}, the registry {ours!r} for "
                    f"device {device.device_id}"
                )


def _alike(ours: str | None, theirs: str | None) -> bool:
    """Whether two names do not contradict each other: ACME and 'Acme Instruments Ltd' do not."""
    if ours is None or theirs is None:
        return True
    one, other = ours.casefold(), theirs.casefold()
    return one in other or other in one
