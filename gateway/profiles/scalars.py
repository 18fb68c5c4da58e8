"""Raw scalars of a message under a profile's rule: enumerations, numbers as text, wrong kinds.

These are called by compiled normalisers; each is pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import UNSET

from gateway.errors import DecodeError
from gateway.profiles.shape import LEAVES, MAX_NUMBER

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


class Words:
    """An enumeration: raw scalar to word, refusing what is not in it."""

    def __init__(self, words: Mapping[Any, Any], name: str) -> None:
        self.words = {(raw.__class__ is bool, raw): word for raw, word in words.items()}
        self.name = name

    def __call__(self, raw: object) -> Any:  # noqa: ANN401 - words are text, numbers or truth
        """The word; raises DecodeError ``unknown_word``."""
        try:
            word = self.words.get((raw.__class__ is bool, raw), UNSET)
        except TypeError:
            word = UNSET
        if word is UNSET:
            raise unknown_word(self.name, raw, [r for _, r in self.words])
        return float(word) if word.__class__ is int else word


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
