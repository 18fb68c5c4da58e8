"""M-Bus payloads as the decoder reads them, or refuses them."""

import pytest

from gateway.decode.document import Context
from gateway.decode.mbus import compile_mbus
from gateway.errors import DecodeError
from gateway.profiles.formats import Mbus
from tests.mbus_encoding import (
    answer,
    digits,
    minute,
    number,
    record,
)

REASONS = {
    "unparseable", "too_large", "bad_checksum", "missing_key", "no_reading", "no_payload",
}  # fmt: skip


PARSE = compile_mbus(Mbus(format="mbus"))


WHO = ("12345678", "XYZ", 3, 0x07)


VOLUME = digits("13", "00054321")


ANSWER = answer(
    *WHO, VOLUME, number("6D", 0, 4), record("6D", minute("2026-01-02T08:05")),
    digits("13", "00012000", storage=1), access=17, status=4,
)  # fmt: skip


def read(payload: bytes, context: Context | None = None):
    return PARSE(payload, context or Context())


def values(*records: bytes) -> dict[str, object]:
    return read(answer(*WHO, *records))["values"]


def refused(payload: bytes, context: Context | None = None) -> DecodeError:
    with pytest.raises(DecodeError) as error:
        read(payload, context)
    assert error.value.reason in REASONS
    return error.value


# -- documents -----------------------------------------------------------------------------------
