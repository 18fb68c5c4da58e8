"""Raw scalars of a message under a profile's rule: enumerations, numbers as text, wrong kinds.

These are called by compiled normalisers; each is pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec
from msgspec import UNSET

from gateway.devices import valid_at
from gateway.errors import DecodeError
from gateway.profiles.shape import LEAVES, MAX_NUMBER
from gateway.records import Device
from gateway.units import Conversion, conversion, plain_conversions

MAX_MONEY: Final = 1e11
"""What a DECIMAL(18,6) holds."""

_DECIMAL: Final = re.compile(
    r"[ \t]*[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,4})?[ \t]*"
)


class Among:
    """Whether a value is one of a few; True and 1 are different, as they are in JSON."""

    def __init__(self, values: Sequence[Any]) -> None:
        self.values = {(value.__class__ is bool, value) for value in values}

    def __call__(self, value: object) -> bool:
        """Whether it is."""
        try:
            return (value.__class__ is bool, value) in self.values
        except TypeError:  # an object or array is no scalar, so it is none of them
            return False


class Words(dict[Any, Any]):
    """An enumeration: raw scalar to word, refusing what is not in it.

    By key the word of a text or whole number; by call that of any value, since true and 1 are one
    key, but different in JSON.
    """

    def __init__(self, words: Mapping[Any, Any], name: str) -> None:
        told = {raw: float(w) if w.__class__ is int else w for raw, w in words.items()}
        super().__init__({raw: w for raw, w in told.items() if raw.__class__ is not bool})
        self.all = {(raw.__class__ is bool, raw): w for raw, w in told.items()}
        self.name = name

    def __missing__(self, raw: object) -> Any:  # noqa: ANN401 - as the call
        """Refuses what has no word."""
        raise unknown_word(self.name, raw, [r for _, r in self.all])

    def __call__(self, raw: object) -> Any:  # noqa: ANN401 - words are text, numbers or truth
        """The word; raises DecodeError ``unknown_word``."""
        try:
            word = self.all.get((raw.__class__ is bool, raw), UNSET)
        except TypeError:
            word = UNSET
        return self.__missing__(raw) if word is UNSET else word


def unknown_word(name: str, raw: object, known: list[Any]) -> DecodeError:
    """The refusal of a word that an enumeration does not have."""
    shown = ", ".join(repr(word) for word in known[:12])
    return DecodeError("unknown_word", f"{name}: {str(raw)[:80]!r} is none of {shown}")


def missing(path: str) -> DecodeError:
    """The refusal of a message without a value that must be there."""
    return DecodeError("missing_field", f"`$.{path}` is missing ('optional: true' if it may be)")


def wrong_length(path: str, got: int, most: int) -> DecodeError:
    """The refusal of an array with more or fewer items than the profile has channels."""
    return DecodeError(
        "wrong_type", f"`$.{path}` has {got} items, the profile names {most} channels"
    )


def absurd(name: str, value: float) -> DecodeError:
    """The refusal of money that no till takes."""
    return DecodeError("absurd_number", f"{name}: {value!r} is beyond ±{MAX_MONEY:g}")


def number_text(raw: object, name: str) -> float:
    """A number that came as text (or as a number, where 'absent' allows one)."""
    if isinstance(raw, str):
        if _DECIMAL.fullmatch(raw) is None:
            raise DecodeError("wrong_type", f"{name}: {raw[:80]!r} is no number")
        value = float(raw)
        if not -MAX_NUMBER < value < MAX_NUMBER:
            raise DecodeError("absurd_number", f"{name}: {raw[:80]!r} is beyond ±{MAX_NUMBER:g}")
        return value
    return require("number", raw, name)  # type: ignore[no-any-return]


_HEX: Final = re.compile(r"(?:0[xX])?[0-9A-Fa-f]{1,16}")
_WHOLE: Final = {10: re.compile(r"[0-9]{1,19}", re.ASCII), 16: _HEX}
_EPOCH: Final = re.compile(r"([0-9]{1,19})(\.[0-9]{1,18})?", re.ASCII)


def hex_text(raw: object, name: str) -> float:
    """A number that came as hexadecimal digits, with or without ``0x``."""
    if not isinstance(raw, str):
        return require("number", raw, name)  # type: ignore[no-any-return]
    digits = raw.strip()  # which takes off more than `int` does
    if _HEX.fullmatch(digits) is None:
        raise DecodeError("wrong_type", f"{name}: {raw[:80]!r} is no hexadecimal number")
    value = float(int(digits, 16))
    if value >= MAX_NUMBER:
        raise DecodeError("absurd_number", f"{name}: {raw[:80]!r} is beyond ±{MAX_NUMBER:g}")
    return value


def whole_text(raw: str, base: int) -> int:
    """A whole number of a status or sequence that came as text, decimal or hexadecimal."""
    digits = raw.strip()
    if _WHOLE[base].fullmatch(digits) is None or int(digits, base) >= 2**63:
        what = "hexadecimal" if base == 16 else "whole"
        raise DecodeError("wrong_type", f"{raw[:80]!r} is no {what} number")
    return int(digits, base)


def epoch_text(raw: str) -> int | float:
    """A time since 1970 that came as text, for the number that it is."""
    digits = raw.strip()
    match = _EPOCH.fullmatch(digits)
    if match is None:
        raise DecodeError("bad_time", f"{raw[:80]!r} is no number of seconds since 1970")
    return float(digits) if match[2] else int(digits)


def require(kind: str, raw: object, name: str) -> Any:  # noqa: ANN401 - what the kind says
    """A value of this kind of leaf, where the decoder lets several kinds through.

    Raises:
        DecodeError: ``wrong_type``, or ``absurd_number`` out of the kind's range.
    """
    if kind == "moment" and isinstance(raw, str):
        return raw
    if kind == "integer" and isinstance(raw, float) and raw.is_integer():
        raw = int(raw)
    try:
        return msgspec.convert(raw, LEAVES[kind])
    except msgspec.ValidationError as error:
        bounds = isinstance(raw, int | float) and not isinstance(raw, bool) and kind != "text"
        reason = "absurd_number" if bounds and "got" not in str(error) else "wrong_type"
        raise DecodeError(reason, f"{name}: {str(raw)[:80]!r}: {error}") from None


def unique(words: tuple[str, ...]) -> tuple[str, ...]:
    """Status words of several places, each once."""
    return tuple(dict.fromkeys(words))


class DeviceFactor:
    """A factor that the registry knows of each device, as it was when the device measured."""

    def __init__(
        self, devices: Mapping[str, Device], parameter: str, default: Decimal | None
    ) -> None:
        self.devices = devices
        self.parameter = parameter
        self.default = default

    def __call__(self, device_id: str, value: float, measured_at: int) -> float:
        """The value times the device's factor; raises DecodeError ``missing_parameter``."""
        device = self.devices.get(device_id)
        if device is not None and device.valid_from is not None:
            device = valid_at(self.devices, device_id, measured_at)
        factor = self.default if device is None else device.parameters.get(self.parameter)
        if factor is None:
            factor = self.default
        if factor is None or isinstance(factor, bool):
            raise DecodeError(
                "missing_parameter",
                f"the registry has no parameter {self.parameter!r} of {device_id}: register it",
            )
        try:
            return float("%.15g" % (value * float(factor)))
        except (TypeError, ValueError):
            raise DecodeError(
                "missing_parameter",
                f"the registry's {self.parameter!r} of {device_id} is no number: {factor!r:.40}",
            ) from None


class ToldUnit:
    """Brings a number into the canonical unit from the unit that the message tells."""

    def __init__(
        self, name: str, canonical: str, scale: str, units: Mapping[str, str] | None,
        default: str | None,
    ) -> None:  # fmt: skip
        self.name = name
        self.default = conversion(default, canonical, scale) if default is not None else None
        self.known = (
            plain_conversions(canonical, scale)
            if units is None
            else {word: conversion(unit, canonical, scale) for word, unit in units.items()}
        )

    def __call__(self, unit: object, value: float) -> float:
        """The canonical value; raises DecodeError ``unknown_word`` for a unit that does not fit."""
        convert = self.default if unit is None else self._conversion(unit)
        if convert is None:
            raise DecodeError("missing_field", f"{self.name}: the message tells no unit")
        if convert.identity:
            return value
        return float("%.15g" % convert.apply(value))  # noqa: UP031 - as in normalise

    def _conversion(self, unit: object) -> Conversion:
        word = unit if isinstance(unit, str) else str(unit)
        found = self.known.get(word)
        if found is None:
            raise unknown_word(f"{self.name}: unit", word, list(self.known))
        return found
