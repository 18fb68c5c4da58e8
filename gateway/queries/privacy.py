"""What of an answer a person gets to see: less of places, names and payloads, for lack of need.

Three degrees: ``exact`` has everything; without it, positions are rounded to a hundredth of a
degree (about a kilometre) and owners, serial numbers and certificates are left out; without
``places``, a vendor's view, there is no region, site or position at all.  Exports without ``exact``
carry pseudonyms: the first 64 bits of an HMAC-SHA256 by a key of this casebook, the same for one
device in every export.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any, Final

import msgspec

from gateway.access.roles import Permission

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Mapping

    from gateway.records import Reading

HOUSEHOLD: Final = frozenset(("electricity_meter", "water_meter", "gas_meter", "heat_meter"))
TRACKED: Final = frozenset(("taximeter",))
PERSONAL: Final = HOUSEHOLD | TRACKED
"""Kinds whose readings tell of people: where a taxi went, when a household was at home."""

_DIGITS: Final = 2
_POSITION: Final = ("longitude", "latitude")
_NAMES: Final = frozenset(("owner", "serial_number", "certificate", "parameters"))
_PLACES: Final = frozenset(("region", "site", "longitude", "latitude", "owner", "parameters"))
_OF_TARIFF: Final = frozenset(("tariff", "tariff_named", "source"))
"""What the evidence of a fare is judged by: the tariff of a city, which is a place."""
_HEX: Final = 16


ELSEWHERE: Final = "(elsewhere)"
"""What stands for a device that is not within the scope, where evidence names one."""


class Privacy(msgspec.Struct, frozen=True):
    """What somebody may see of places and names."""

    places: bool
    exact: bool

    @property
    def _hidden(self) -> frozenset[str]:
        """Names that lead to a person or a paper; a vendor knows the numbers of his instruments."""
        if self.exact:
            return frozenset()
        return _NAMES - (frozenset() if self.places else frozenset(("serial_number",)))

    def device(self, record: dict[str, Any]) -> dict[str, Any]:
        """A device's record without what is not for these eyes."""
        hidden = self._hidden | (frozenset() if self.places else _PLACES)
        return {k: self._coarse(k, v) for k, v in record.items() if k not in hidden}

    def reading(self, reading: Reading) -> Reading:
        """A reading whose position is as exact as it may be."""
        if self.exact or not any(name in reading.names for name in _POSITION):
            return reading
        values = tuple(map(self._coarse, reading.names, reading.values))
        return msgspec.structs.replace(reading, values=values)

    def flag(self, record: dict[str, Any]) -> dict[str, Any]:
        """A flag's record; its evidence may tell where something happened, and of what paper."""
        if self.exact:
            return record
        shown = {k: v for k, v in record.items() if self.places or k not in _PLACES | {"decision"}}
        if "evidence" in shown:
            shown["evidence"] = self._evidence(shown["evidence"])
        return shown

    def payload(self, kind: str | None) -> bool:
        """Whether the payload of a message of this kind may be seen; it may hold anything."""
        return self.exact or (kind is not None and kind not in TRACKED)

    def _evidence(self, value: Any) -> Any:  # noqa: ANN401 - any JSON
        if isinstance(value, dict):
            hidden = self._hidden
            if not self.places and "tariff" in value:
                hidden |= _OF_TARIFF
            return {
                key: self._evidence(self._coarse(key, each))
                for key, each in value.items()
                if key not in hidden and (self.places or not _is_position(key))
            }
        if isinstance(value, list):
            return [self._evidence(each) for each in value]
        return value

    def _coarse(self, key: str, value: Any) -> Any:  # noqa: ANN401 - any value of a record
        if self.exact or not isinstance(value, float) or not _is_position(key):
            return value
        return round(value, _DIGITS)


EXACT: Final = Privacy(places=True, exact=True)


def privacy_of(permissions: Container[Permission]) -> Privacy:
    """The privacy that goes with permissions."""
    return Privacy(places="places" in permissions, exact="exact" in permissions)


def without_others(value: Any, sees: Callable[[str], bool], known: Container[str]) -> Any:  # noqa: ANN401 - any JSON
    """JSON in which no device is named that is not within the scope.

    Args:
        value: such as the evidence of a flag.
        sees: whether a device is within the scope.
        known: the ids of all devices.
    """
    if isinstance(value, str):
        return ELSEWHERE if value in known and not sees(value) else value
    if isinstance(value, dict):
        return {
            without_others(key, sees, known): without_others(each, sees, known)
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [without_others(each, sees, known) for each in value]
    return value


def _is_position(key: str) -> bool:
    return key.endswith(_POSITION)


class Pseudonyms:
    """Names that stand for devices.

    Args:
        key: of this casebook.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._known: dict[str, str] = {}

    def of(self, name: str) -> str:
        """The pseudonym of a name."""
        found = self._known.get(name)
        if found is None:
            digest = hmac.new(self._key, name.encode(), hashlib.sha256).hexdigest()
            found = self._known[name] = f"p-{digest[:_HEX]}"
        return found

    def record(
        self, record: Mapping[str, Any], devices: Container[str], left_out: Collection[str]
    ) -> dict[str, Any]:
        """A record of an export in which nothing names a device.

        Args:
            record: flat, or with JSON in it.
            devices: the ids that there are, wherever in the record they stand.
            left_out: keys that would lead back, as the ledger offset does.
        """
        shown = {key: self._of(value, devices) for key, value in record.items()}
        if "device_id" in shown:
            shown["device_id"] = self.of(str(record["device_id"]))
        return {key: value for key, value in shown.items() if key not in left_out}

    def _of(self, value: Any, devices: Container[str]) -> Any:  # noqa: ANN401 - any JSON
        if isinstance(value, str):
            return self.of(value) if value in devices else value
        if isinstance(value, dict):
            return {self._of(k, devices): self._of(v, devices) for k, v in value.items()}
        if isinstance(value, list):
            return [self._of(each, devices) for each in value]
        return value
