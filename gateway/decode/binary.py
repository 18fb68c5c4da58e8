"""Binary payloads by a declarative layout: one generated function a layout.

What the function calls at run time stands here: faults with the byte offset, the field and what was
needed; BCD, texts, dates and checksums.
"""

from __future__ import annotations

import calendar
import datetime as dt
import math
import struct
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from gateway.decode.checksums import CHECKSUMS
from gateway.decode.document import Context, Parse
from gateway.decode.watteco_batch import read_batch
from gateway.errors import DecodeError
from gateway.profiles.binary import Binary
from gateway.profiles.binary_bytes import SUMS
from gateway.profiles.binary_structures import Written, write_direct
from gateway.profiles.shape import Node

MAX_BYTES: Final = 1024 * 1024
"""Default bound of a payload."""

LIMIT: Final = 1e18
"""Computed numbers beyond this are refused."""

CHECKED: Final = 16 * 1024 * 1024
"""Bytes that all checksums of one message may be of."""


def compile_binary(settings: Binary) -> Parse:
    """A parser of payloads of this layout.

    Returns:
        ``parse(payload, context)``: the fields by their ids.  It raises DecodeError with reason
        ``too_large``, ``unparseable``, ``bad_checksum``, ``absurd_number`` or ``unknown_word``.
    """
    written = settings.written
    if written.faults:
        raise ValueError("; ".join(message for _, message in written.faults))
    return _compiled(written, settings)


def compile_direct(settings: Binary, root: Node) -> Parse | None:
    """A parser of payloads straight into the struct of a profile's shape.

    Returns:
        ``parse(payload, context)``: the struct, or None where a value may not fit: then the
        document of `compile_binary` is converted, which tells what is wrong.  It raises what
        `compile_binary` does.  No function at all where the layout needs a document between.
    """
    written = write_direct(settings, root)
    return None if written is None else _compiled(written, settings)


def _compiled(written: Written, settings: Binary) -> Parse:
    limit = settings.max_bytes or MAX_BYTES
    namespace: dict[str, Any] = {**_RUN_TIME, "MAX_BYTES": limit, "TOO_LARGE": _too_large(limit)}
    for name, value in written.constants.items():
        form = name.startswith("U")
        namespace[name] = struct.Struct(value).unpack_from if form else value
    # The text has only names and numbers that `write` made; texts of a profile are constants.
    exec(compile(written.text, "<binary>", "exec"), namespace)  # noqa: S102
    parse: Parse = namespace["parse"]
    return parse


def _too_large(limit: int) -> Callable[[int], DecodeError]:
    def too_large(size: int) -> DecodeError:
        return DecodeError("too_large", f"payload of {size} bytes, at most {limit}")

    return too_large


def _short(fields: tuple[tuple[str, str, int], ...], at: int, end: int) -> DecodeError:
    for label, what, size in fields:
        if at + size > end:
            left = max(end - at, 0)
            return DecodeError(
                "unparseable",
                f"offset {at}: field {label} ({what}) needs {size} bytes, {left} are left",
            )
        at += size
    raise AssertionError("a field does not fit, or the fault was none")


def _trailing(data: bytes, at: int) -> DecodeError:
    rest = data[at:]
    shown = rest[:16].hex() + ("…" if len(rest) > 16 else "")
    return DecodeError(
        "unparseable",
        f"offset {at}: {len(rest)} bytes are left after the last field: {shown}; "
        "'trailing: ignore' in the layout if they are of no interest",
    )


def _length(label: str, length: int | None, at: int, end: int) -> DecodeError:
    needed = "an unknown number of" if length is None else length
    return DecodeError(
        "unparseable", f"offset {at}: field {label} needs {needed} bytes, {end - at} are left"
    )


def _many(label: str, count: int | None, at: int) -> DecodeError:
    shown = "an absent number of" if count is None else count
    return DecodeError(
        "unparseable", f"offset {at}: field {label}: {shown} items; a message has 0 to 10000"
    )


def _stuck(label: str, at: int) -> DecodeError:
    return DecodeError("unparseable", f"offset {at}: an item of {label} takes no bytes")


def _endless(label: str, at: int, end: int) -> DecodeError:
    return DecodeError(
        "unparseable", f"offset {at}: field {label} (strz) has no 0 byte in the {end - at} left"
    )


def _magic(label: str, got: bytes, wanted: bytes) -> DecodeError:
    return DecodeError("unparseable", f"{label}: expected {wanted.hex()}, got {got.hex()}")


def _case(label: str, got: object, at: int) -> DecodeError:
    shown = f"{got} (0x{got:x})" if type(got) is int and got >= 0 else repr(got)
    return DecodeError("unparseable", f"offset {at}: {label}: the layout has no case for {shown}")


def _word(label: str, got: object, words: Mapping[int, str]) -> DecodeError:
    known = ", ".join(f"{number}: {word}" for number, word in list(words.items())[:12])
    return DecodeError("unknown_word", f"{label}: {got} is none of {known}")


def _invalid(label: str, got: float, low: float, high: float) -> DecodeError:
    return DecodeError("absurd_number", f"{label}: {got} is not in {low:g} to {high:g}")


def _beyond(label: str, got: float) -> DecodeError:
    return DecodeError("absurd_number", f"{label}: computed {got:g}, beyond ±{LIMIT:g}")


def _divided(label: str) -> DecodeError:
    return DecodeError("unparseable", f"{label}: its expression divides by zero")


def _check(  # noqa: PLR0917 - called by generated text
    label: str, name: str, data: bytes, start: int | None, stop: int | None, got: int
) -> None:
    if start is None or stop is None:
        raise DecodeError("bad_checksum", f"{label}: what {name} is over is absent")
    wanted = CHECKSUMS[name](data[max(start, 0) : max(stop, 0)])
    if wanted != got:
        raise DecodeError(
            "bad_checksum",
            f"{label}: {name} of bytes {start} to {stop} is 0x{wanted:x}, "
            f"the payload says 0x{got:x}",
        )


def _often(label: str, at: int) -> DecodeError:
    return DecodeError(
        "unparseable", f"offset {at}: {label}: checksums of more than {CHECKED} bytes in a message"
    )


def _text(data: bytes, encoding: str, label: str) -> str:
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise DecodeError(
            "unparseable", f"{label}: {data[:24].hex()} is no {encoding} text: {error.reason}"
        ) from error
    return text.rstrip("\0")


def _number(value: object) -> float:
    if isinstance(value, int | float):
        return value if -LIMIT < value < LIMIT else _absent()
    raise TypeError


def _absent() -> float:
    raise TypeError


def _whole(value: object) -> int:
    if isinstance(value, int) and -LIMIT < value < LIMIT:
        return value
    raise TypeError


def _left(value: int, by: int) -> int:
    if 0 <= by <= 64:
        return value << by
    raise DecodeError("absurd_number", f"a shift by {by} bits, at most 64")


def _right(value: int, by: int) -> int:
    if 0 <= by <= 64:
        return value >> by
    raise DecodeError("absurd_number", f"a shift by {by} bits, at most 64")


def _item(items: list[Any], index: int) -> Any:  # noqa: ANN401 - an item of any type
    if 0 <= index < len(items):
        return items[index]
    raise IndexError


def _collect(document: dict[str, Any], key: str, value: object) -> None:
    found = document.setdefault(key, [])
    if type(found) is not list:
        found = document[key] = [found]
    found.append(value)


def _digits(text: str | None) -> int | None:
    if text is None:
        return None
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else None


def _bcd_digit(text: str) -> int | None:
    """BCD whose first digit is 0xF when the number is negative (EN 13757-3, type A)."""
    sign, digits = (-1, text[1:]) if text[0] == "f" else (1, text)
    return sign * int(digits) if digits.isdecimal() else None


def _bcd_bit(text: str) -> int | None:
    """BCD whose first bit is set when the number is negative."""
    first = int(text[0], 16)
    sign, digits = (-1 if first & 8 else 1), f"{first & 7}{text[1:]}"
    return sign * int(digits) if digits.isdecimal() else None


def _local_time(  # noqa: PLR0917 - as a date is written
    year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0
) -> str | None:
    """A local time without a zone, or None where no clock shows it."""
    if (
        1 <= year <= 9999 and 1 <= month <= 12 and 0 <= hour < 24 and 0 <= minute < 60
        and 0 <= second < 60 and 1 <= day <= calendar.monthrange(year, month)[1]
    ):  # fmt: skip
        return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
    return None


def _epoch(  # noqa: PLR0917 - as a date is written
    year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0
) -> int | None:
    """Seconds since 1970 of a UTC time, or None where no clock shows it."""
    if _local_time(year, month, day, hour, minute, second) is None:
        return None
    return calendar.timegm((year, month, day, hour, minute, second))


def _port(context: Context) -> int | None:
    port = (context.envelope or {}).get("f_port")
    return port if type(port) is int and 0 <= port < 2**31 else None


def _received(context: Context) -> int:
    """Seconds since 1970 of the network's receipt; a message may wait before it comes to us."""
    told = (context.envelope or {}).get("received_at")
    try:
        when = msgspec.convert(told, dt.datetime)
    except msgspec.ValidationError:
        return context.received_at // 10**9
    return context.received_at // 10**9 if when.tzinfo is None else int(when.timestamp() // 1)


_RUN_TIME: Final[dict[str, Any]] = {
    "__builtins__": {}, "len": len, "range": range, "int": int, "min": min, "max": max, "abs": abs,
    "round": round, "sum": sum, "bool": bool, "TypeError": TypeError,
    "ZeroDivisionError": ZeroDivisionError, "ABSENT": (TypeError, LookupError),
    "INT": int.from_bytes, "SHORT": _short, "TRAILING": _trailing, "LENGTH": _length,
    "MANY": _many, "STUCK": _stuck, "ENDLESS": _endless, "MAGIC": _magic, "CASE": _case,
    "WORD": _word, "INVALID": _invalid, "BEYOND": _beyond, "DIVIDED": _divided, "CHECK": _check,
    "TEXT": _text, "NUMBER": _number, "WHOLE": _whole, "LEFT": _left, "RIGHT": _right,
    "ITEM": _item, "DIGITS": _digits, "BCD_DIGIT": _bcd_digit, "BCD_BIT": _bcd_bit,
    "OverflowError": OverflowError, "COLLECT": _collect, "LIMIT": LIMIT, "HUGE": 1e300,
    "BATCH": read_batch,
    "CHECKED": CHECKED, "OFTEN": _often, "CONVERT": msgspec.convert,
    "MISFIT": msgspec.ValidationError,
    "LOCAL_TIME": _local_time, "EPOCH": _epoch, "PORT": _port, "RECEIVED": _received,
    "isfinite": math.isfinite, **{SUMS[name]: check for name, check in CHECKSUMS.items()},
}  # fmt: skip
