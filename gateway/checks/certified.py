"""What only a verification may change: ``constant_changed``, ``firmware_changed``.

The constant of a fuel dispenser or taximeter and the checksum of a program are sealed.  What the
instrument tells must be what the registry has; where the registry does not say, it must not change
unless a new version of the device stands there (a certificate, a repair, a replacement).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from pydantic import Field

from gateway.checks.episodes import Episode, over, right, wrong
from gateway.checks.findings import finding, occasion_of, unit_of
from gateway.checks.order import NEVER
from gateway.checks.parameters import NotNegative, Settings
from gateway.checks.registered import VISIT, Registered, beginnings, number_of
from gateway.checks.series import Series, SeriesCheck
from gateway.times import rfc3339

if TYPE_CHECKING:
    from gateway.checks.bound import Bound, Track
    from gateway.records import Device, Flag, Reading

_QUANTITIES: Final = ("k_factor", "k_constant")
_TEXT: Final = "firmware_checksum"
_WORD: Final = "program_changed"
_SAME: Final = 1e-9


class ConstantSettings(Settings):
    """Share by which a told constant may differ from the registry's, and when it is right again.

    ``settle_after`` readings in a row with the right constant end the condition.
    """

    tolerance: NotNegative = 0.0005
    settle_after: Annotated[int, Field(ge=1)] = 10


class FirmwareSettings(Settings):
    """How many readings in a row with the registered program end the condition."""

    settle_after: Annotated[int, Field(ge=1)] = 10


class Told(msgspec.Struct, array_like=True):
    """What was told under the certificate of ``version``, when first, and what is wrong now."""

    value: float | str | None = None
    version: int = NEVER
    since: int = 0
    episode: Episode = msgspec.field(default_factory=Episode)


def _constant(bound: Bound) -> SeriesCheck | None:
    quantity = next((name for name in _QUANTITIES if name in bound.layout.names), None)
    if quantity is None:
        return None
    settings = bound.settings.of("constant_changed", ConstantSettings)

    def differs(told: Any, known: Any) -> bool:  # noqa: ANN401 - constants
        return bool(abs(told - known) > settings.tolerance * known)

    def usable(told: Any) -> bool:  # noqa: ANN401 - a quantity of a reading
        return isinstance(told, float) and told > 0

    judge = _Certified(bound, "constant_changed", quantity, settings.settle_after)
    return judge.check(number_of, usable, differs, settings.tolerance)


def _firmware(bound: Bound) -> SeriesCheck | None:
    if _TEXT not in bound.layout.names:
        return None
    settings = bound.settings.of("firmware_changed", FirmwareSettings)

    def differs(told: Any, known: Any) -> bool:  # noqa: ANN401 - checksums
        return bool(told.lower() != known.lower())

    def usable(told: Any) -> bool:  # noqa: ANN401 - a quantity of a reading
        return isinstance(told, str) and bool(told)

    judge = _Certified(bound, "firmware_changed", _TEXT, settings.settle_after)
    return judge.check(_text_of, usable, differs, 0)


def _text_of(told: Any, channel: str | None) -> str | None:  # noqa: ANN401 - of the registry
    if isinstance(told, dict):
        told = told.get(channel or "")
    if isinstance(told, int) and not isinstance(told, bool):
        # a cell of a table that has digits only
        told = str(told)
    return told if isinstance(told, str) and told else None


class _Certified:
    """One quantity that only a new version of the device may change."""

    def __init__(self, bound: Bound, code: str, quantity: str, settle_after: int) -> None:
        self._bound = bound
        self._code = code
        self._quantity = quantity
        self._settle_after = settle_after
        self._versions = beginnings(bound.devices, VISIT)

    def check(self, read: Any, usable: Any, differs: Any, tolerance: float) -> SeriesCheck:  # noqa: ANN401 - of numbers or of texts
        """The check, by how its quantity is read, recognised and compared."""
        quantity, settle_after = self._quantity, self._settle_after
        index = self._bound.layout.names.index(quantity)

        def registered(device: Device, channel: str | None) -> Any:  # noqa: ANN401 - a number or a text
            return read(device.parameters.get(quantity), channel)

        known = Registered(self._bound.devices, registered, VISIT)

        def run(
            memory: Told, _track: Track, reading: Reading, at: int, late: bool, flags: list[Flag]
        ) -> None:
            told = reading.values[index]
            if told is None:
                return
            facts = known.of(reading.device_id, at, reading.channel)
            if memory.episode.now is None and len(facts) == 1 and told == facts[0]:
                return
            if not usable(told):
                return
            if facts:
                other = all(differs(told, fact) for fact in facts)
                expected = facts[-1] if other else None
            else:
                expected = None if late else self._before(memory, told, reading, at, flags)
            if expected is not None:
                found = self._flag(reading, (told, expected, tolerance), memory, facts, late=late)
                wrong(memory.episode, reading, found, flags, late=late)
            elif memory.episode.now is not None and not late:
                right(memory.episode, reading, settle_after, flags)

        return SeriesCheck(self._code, Told, True, run)

    def _before(
        self,
        memory: Told,
        told: Any,  # noqa: ANN401 - a number or a text
        reading: Reading,
        at: int,
        flags: list[Flag],
    ) -> float | str | None:
        """What was told before under the same certificate, where it was something else."""
        valid = self._versions.of(reading.device_id, at)
        if not valid:
            self._bound.not_judged(self._code, "the device is not registered")
            return None
        return _renewed(memory, told, at, valid, flags)

    def _flag(
        self,
        reading: Reading,
        compared: tuple[Any, Any, float],
        memory: Told,
        facts: tuple[Any, ...],
        *,
        late: bool,
    ) -> Flag:
        told, expected, tolerance = compared
        number = isinstance(told, float)
        evidence: dict[str, Any] = {
            "observed": told,
            "expected": expected,
            "tolerance": tolerance * expected if number else 0,
            "unit": unit_of(reading, self._quantity),
            "formula": "what the instrument tells = what the registry has"
            if facts
            else "what the instrument tells = what it told before under the same certificate",
            "inputs": {
                "registered": list(facts),
                "told_before": memory.value,
                "told_since": rfc3339(memory.since) if memory.value is not None else None,
            },
            "judged_late": late,
        }
        if number:
            evidence["difference"] = told - expected
        return finding(
            reading,
            self._code,
            evidence,
            occasion=occasion_of(reading),
            quantity=self._quantity,
            channel=reading.channel,
        )


def _renewed(
    memory: Told,
    told: Any,  # noqa: ANN401 - a number or a text
    at: int,
    valid: tuple[int, ...],
    flags: list[Flag],
) -> float | str | None:
    """What was told before under the same certificate, where it was something else.

    ``valid`` are the beginnings of the versions that count now: one, or two around a change.
    """
    changed = memory.value is not None and not _same(told, memory.value)
    renewed = changed and valid[-1] > memory.version
    if renewed:
        over(memory.episode, flags)
        memory.version = valid[-1]
    if renewed or memory.value is None:
        memory.value, memory.since = told, at
    memory.version = max(memory.version, valid[0])
    return memory.value if changed and not renewed else None


def _same(told: Any, before: Any) -> bool:  # noqa: ANN401 - numbers or texts
    if isinstance(told, float):
        return bool(abs(told - before) <= _SAME * before)
    return bool(told == before)


def _alarm(bound: Bound) -> SeriesCheck:
    """An instrument that tells by itself that its program was changed."""
    settings = bound.settings.of("firmware_changed", FirmwareSettings)
    versions = beginnings(bound.devices, VISIT)

    def run(
        memory: Episode, _track: Track, reading: Reading, at: int, late: bool, flags: list[Flag]
    ) -> None:
        if reading.status and _WORD in reading.status:
            if len(versions.of(reading.device_id, at)) > 1:
                return
            found = finding(
                reading,
                "firmware_changed",
                {
                    "observed": _WORD,
                    "expected": "no such alarm but around a new certificate",
                    "tolerance": 0,
                    "unit": "1",
                    "formula": "the instrument's own alarm",
                    "inputs": {"status": list(reading.status)},
                    "judged_late": late,
                },
                occasion=occasion_of(reading),
                quantity="",
                channel=None,
            )
            wrong(memory, reading, found, flags, late=late)
        elif memory.now is not None and not late:
            right(memory, reading, settings.settle_after, flags)

    return SeriesCheck(
        "firmware_changed status", Episode, False, run, stands=lambda memory: memory.now is not None
    )


CONSTANT_CHANGED: Final = Series("constant_changed", ConstantSettings, _constant)
FIRMWARE_CHANGED: Final = Series("firmware_changed", FirmwareSettings, _firmware)
PROGRAM_ALARM: Final = Series("firmware_changed", FirmwareSettings, _alarm)
