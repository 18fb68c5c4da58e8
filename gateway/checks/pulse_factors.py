"""Pulses a litre of each sale against the certified constant.

Where the registry has none, the constant that the instrument tells stands in, and where it tells
none, its own first sales under the present certificate.
What a board shows is ``pulses / K`` rounded, so the pulses of a sale and the shown volume tell the
K that was really used, to within the rounding of both: ``ln(K_used / K)`` has the standard
deviation of a uniform rounding, ``1 / sqrt(12)`` of a pulse and of a scale interval.
"""

from __future__ import annotations

from math import log, sqrt
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from gateway.checks.order import NEVER
from gateway.checks.registered import VISIT, beginnings, number_of, numbers

if TYPE_CHECKING:
    from gateway.checks.bound import Bound
    from gateway.records import Reading

LEAST_VOLUME: Final = 1.0
"""L; of less nothing is learned."""
_UNIFORM: Final = 1 / sqrt(12)
_ABSURD: Final = 0.5
"""A factor that is off by so much (natural logarithm) is counted in another unit."""


class Learned(msgspec.Struct, array_like=True):
    """The first sales under the version of the device that began at ``version``."""

    version: int = NEVER
    sales: int = 0
    pulses: float = 0.0
    volume: float = 0.0


class Factor(NamedTuple):
    """One sale: pulses, shown volume, and the constant that it is judged by, with its source.

    ``shift`` is ``ln(pulses / volume / K)``, ``sigma`` its standard deviation by rounding alone;
    ``rounding`` is how many pulses the rounding can make at most.
    """

    pulses: float
    volume: float
    k: float
    source: str
    shift: float
    sigma: float
    rounding: float


class Factors:
    """Reads the factor of each sale of one layout.

    Args:
        bound: of the layout; it has ``pulses`` and ``volume``.
        code: for what cannot be judged.
        interval: L, scale interval of the shown volume.
        learn: how many first sales stand in for a certified constant.
    """

    def __init__(self, bound: Bound, code: str, interval: float, learn: int) -> None:
        names = bound.layout.names
        self._bound, self._code = bound, code
        self._at_pulses, self._at_volume = names.index("pulses"), names.index("volume")
        self._at_k = names.index("k_factor") if "k_factor" in names else -1
        self._interval = interval
        self._learn = learn
        self._known = numbers(bound.devices, "k_factor", VISIT)
        self._versions = beginnings(bound.devices, VISIT)

    def agrees(self, reading: Reading, at: int, allowance: float) -> bool:
        """Whether a sale is within a share of the registered constant, or tells no pulses."""
        pulses: Any = reading.values[self._at_pulses]
        volume: Any = reading.values[self._at_volume]
        if pulses is None or volume is None:
            return True
        known = self._known.of(reading.device_id, at, reading.channel)
        if len(known) != 1:
            return False
        due = known[0] * volume
        return bool(-allowance * due <= pulses - due <= allowance * due)

    def of(self, learned: dict[str, Learned], reading: Reading, at: int) -> Factor | None:
        """The factor of a sale; None where it cannot be judged.

        ``learned`` is by nozzle, and stays empty where no constant has to be learned.
        """
        pulses, volume = reading.values[self._at_pulses], reading.values[self._at_volume]
        if not isinstance(pulses, (int, float)) or not isinstance(volume, (int, float)):
            return None
        if pulses <= 0 or volume < LEAST_VOLUME:
            return None
        shown = pulses / volume
        ks = self._known.of(reading.device_id, at, reading.channel)
        if ks:
            k = min(ks, key=lambda each: abs(each - shown)) if len(ks) > 1 else ks[0]
            source = "registered"
        else:
            own, source = self._unregistered(learned, reading, at, shown)
            if own is None:
                return None
            k = own
        shift = log(shown / k)
        if not -_ABSURD < shift < _ABSURD:
            self._bound.not_judged(self._code, "pulses are not in the unit of the constant")
            return None
        sigma = _UNIFORM * sqrt(pulses**-2 + (self._interval / volume) ** 2)
        rounding = 0.5 + k * self._interval / 2
        return Factor(pulses, volume, k, source, shift, sigma, rounding)

    def _unregistered(
        self, learned: dict[str, Learned], reading: Reading, at: int, shown: float
    ) -> tuple[float | None, str]:
        """What stands in for the registry's constant, and where it is from."""
        told = number_of(reading.values[self._at_k], None) if self._at_k >= 0 else None
        if told is not None:
            return told, "told by the instrument"
        volume = reading.values[self._at_volume]
        if not isinstance(volume, (int, float)):
            return None, ""
        own = learned.setdefault(reading.channel or "", Learned())
        return self._own(own, reading.device_id, at, shown, volume), "of its own first sales"

    def _own(
        self, learned: Learned, device_id: str, at: int, shown: float, volume: float
    ) -> float | None:
        """The constant of the first sales under this certificate, None while they are counted."""
        versions = self._versions.of(device_id, at)
        if len(versions) != 1:
            reason = "it is being renewed" if versions else "the device is not registered"
            self._bound.not_judged(self._code, f"no constant is known, and {reason}")
            return None
        if versions[0] != learned.version:
            learned.version, learned.sales = versions[0], 0
            learned.pulses = learned.volume = 0.0
        if learned.sales < self._learn:
            learned.sales += 1
            learned.pulses += shown * volume
            learned.volume += volume
            self._bound.not_judged(self._code, "no constant is known, its own is being learned")
            return None
        return learned.pulses / learned.volume
