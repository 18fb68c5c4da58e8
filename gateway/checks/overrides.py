"""What a region or one device sets otherwise than its profile.

A bureau's own limits stand in ``reference/regions/*.yaml`` beside the profiles, by region code
(GB/T 2260: the longest prefix counts most) and kind; those of one device stand in the registry, as
its parameter ``checks``.  A device's go over its region's, and those over the profile's, parameter
by parameter.  The version of the device counts that was valid when the reading was measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.devices import Registry, valid_at, versions_of
from gateway.errors import ProfileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from gateway.records import Device, Reading

Checks = dict[str, "dict[str, Any] | bool"]
PARAMETER: Final = "checks"
_MOST_BYTES: Final = 1_000_000


class Region(BaseModel):
    """One file of ``reference/regions``.

    Attributes:
        region: the code or its first digits.
        source: where the limits are published.
        checks: by kind of instrument, as the ``checks`` of a profile, in canonical units.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    region: str = Field(pattern=r"^[0-9]{1,12}$")
    source: str
    checks: dict[str, Checks]


class Override(msgspec.Struct, frozen=True):
    """What is set otherwise; ``key`` is the same for the same settings, ``source`` says where."""

    key: str
    source: str
    layers: tuple[Checks, ...]

    def over(self, settings: Mapping[str, Mapping[str, Any] | bool]) -> Checks:
        """The settings with these over them."""
        merged: Checks = {c: v if isinstance(v, bool) else dict(v) for c, v in settings.items()}
        for layer in self.layers:
            for code, told in layer.items():
                before = merged.get(code)
                if isinstance(told, dict) and isinstance(before, dict):
                    merged[code] = _merged(before, told)
                else:
                    merged[code] = told
        return merged


class Overrides:
    """Who is judged otherwise.

    Args:
        devices: the registry.
        regions: of the profiles' folder.
    """

    def __init__(self, devices: Mapping[str, Device], regions: Sequence[Region]) -> None:
        self._devices = devices
        self._regions = sorted(regions, key=lambda region: len(region.region))
        self._known: dict[tuple[str, int | None, str], Override | None] = {}
        versions = devices.history() if isinstance(devices, Registry) else devices.values()
        self._any = bool(regions) or any(PARAMETER in v.parameters for v in versions)

    def of(self, reading: Reading) -> Override | None:
        """What is set otherwise for a reading; None where its profile stands."""
        if not self._any:
            return None
        device = valid_at(self._devices, reading.device_id, reading.measured_at)
        if device is None:
            return None
        return self._of(device, reading.kind)

    def _of(self, device: Device, kind: str) -> Override | None:
        key = (device.device_id, device.valid_from, kind)
        if key not in self._known:
            self._known[key] = self._found(device, kind)
        return self._known[key]

    def any_of(self, device_id: str, kind: str) -> bool:
        """Whether some version of a device is judged otherwise."""
        return self._any and any(
            self._of(version, kind) is not None for version in versions_of(self._devices, device_id)
        )

    def _found(self, device: Device, kind: str) -> Override | None:
        layers: list[Checks] = []
        sources = []
        for region in self._regions:
            told = region.checks.get(kind)
            if told and device.region is not None and device.region.startswith(region.region):
                layers.append(told)
                sources.append(f"region {region.region}")
        own = device.parameters.get(PARAMETER)
        if own:
            wrong = not isinstance(own, dict)
            layers.append({f"parameters.{PARAMETER}": True} if wrong else own)
            sources.append(f"device {device.device_id}")
        if not layers:
            return None
        key = msgspec.json.encode(layers, order="deterministic").decode()
        return Override(key, ", ".join(sources), tuple(layers))


def read_regions(files: Iterable[Path]) -> list[Region]:
    """Reads region files.

    Raises:
        ProfileError: every fault of every file with its key path.
    """
    found: list[Region] = []
    faults: list[str] = []
    for file in sorted(files):
        try:
            text = file.read_bytes()
            if len(text) > _MOST_BYTES:
                faults.append(f"{file}: larger than {_MOST_BYTES} bytes")
                continue
            found.append(Region.model_validate(yaml.safe_load(text)))
        except OSError as error:
            faults.append(f"{file}: cannot be read: {error.strerror}")
        except yaml.YAMLError as error:
            faults.append(f"{file}: not YAML: {error}")
        except ValidationError as error:
            faults += [
                f"{file}: {'.'.join(map(str, e['loc'])) or '(file)'}: {e['msg']}, "
                f"got {e['input']!r:.80}"
                for e in error.errors()
            ]
    if faults:
        raise ProfileError("\n".join(faults))
    return found


def _merged(before: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    """Parameter by parameter, and where a parameter is a mapping, key by key."""
    merged = dict(before)
    for name, value in told.items():
        old = merged.get(name)
        merged[name] = (
            _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
        )
    return merged
