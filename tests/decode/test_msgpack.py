"""MessagePack's own points, to a hand-written encoder; what it shares with CBOR is in test_cbor."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.decode.document import Context
from gateway.decode.msgpack import compile_msgpack
from gateway.errors import DecodeError
from gateway.profiles.formats import MessagePack

parse = compile_msgpack(MessagePack(format="msgpack"))


def refusal(payload: bytes) -> DecodeError:
    with pytest.raises(DecodeError) as refused:
        parse(payload, Context())
    return refused.value


class Pairs(list):
    """A map by its pairs, so that a key can stand in it twice."""


def headed(first: int, room: int, long: int, size: int, longest: bool) -> bytes:
    """A head with a length: in the first byte where there is room, else in four bytes."""
    if size < room and not longest:
        return bytes([first | size])
    return struct.pack(">BI", long, size)


def packed(value, longest: bool) -> bytes:
    """MessagePack by its specification, in the shortest or in the longest form of each object."""
    form = next(write for kind, write in FORMS.items() if isinstance(value, kind))
    return form(value, longest)


def packed_int(value: int, longest: bool) -> bytes:
    if -32 <= value < 128 and not longest:
        return struct.pack("b", value)
    return struct.pack(">Bq", 0xD3, value)


def packed_text(value: str, longest: bool) -> bytes:
    text = value.encode()
    return headed(0xA0, 32, 0xDB, len(text), longest) + text


def packed_map(value: Pairs, longest: bool) -> bytes:
    parts = [packed(part, longest) for pair in value for part in pair]
    return headed(0x80, 16, 0xDF, len(value), longest) + b"".join(parts)


def packed_array(value: list, longest: bool) -> bytes:
    parts = [packed(item, longest) for item in value]
    return headed(0x90, 16, 0xDD, len(value), longest) + b"".join(parts)


FORMS = {
    type(None): lambda _value, _longest: b"\xc0",
    bool: lambda value, _: b"\xc3" if value else b"\xc2",
    int: packed_int,
    float: lambda value, _: struct.pack(">Bd", 0xCB, value),
    str: packed_text,
    bytes: lambda value, _: struct.pack(">BI", 0xC6, len(value)) + value,
    Pairs: packed_map,
    list: packed_array,
}


def expected(value):
    """The plain document of such a value; raises KeyError where a key stands twice."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Pairs):
        found = {}
        for key, inner in value:
            if str(key) in found:
                raise KeyError(key)
            found[str(key)] = expected(inner)
        return found
    return [expected(item) for item in value] if isinstance(value, list) else value


keys = st.sampled_from(["a", "b", "c"]) | st.integers(0, 3)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=40)
    | st.binary(max_size=40) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=20)
    | st.lists(st.tuples(keys, inner), max_size=4).map(Pairs),
    max_leaves=40,
)  # fmt: skip


@given(value=values, longest=st.booleans())
def test_what_an_independent_encoder_says_comes_back_or_is_a_duplicate_key(value, longest):
    payload = packed(value, longest)
    try:
        document = expected(value)
    except KeyError:
        assert refusal(payload).reason == "duplicate_key"
    else:
        assert parse(payload, Context()) == document


@given(value=values, at=st.integers(0, 2**16), flip=st.integers(1, 255), cut=st.booleans())
def test_a_damaged_payload_gives_a_document_or_a_refusal(value, at, flip, cut):
    payload = bytearray(packed(value, longest=False))
    at %= len(payload)
    payload[at] ^= flip
    with contextlib.suppress(DecodeError):
        parse(bytes(payload[:at] if cut else payload), Context())


@pytest.mark.parametrize(
    ("payload", "document"),
    [
        ("d6ff695633c0", "2026-01-01T08:43:44+00:00"),
        ("d7ff00000004695633c0", "2026-01-01T08:43:44+00:00"),
        ("c70cff1dcd6500ffffffffffffffff", "1969-12-31T23:59:59.500000+00:00"),
        ("81a176ca3fc00000", {"v": 1.5}),
        ("81cc05a178", {"5": "x"}),
        ("c403010203", "010203"),
    ],
)
def test_timestamps_single_floats_integer_keys_and_bytes(payload, document):
    assert parse(bytes.fromhex(payload), Context()) == document


def test_an_equal_key_in_another_form_is_a_duplicate():
    assert refusal(bytes.fromhex("82a161ca3f800000a16102")).reason == "duplicate_key"
    assert refusal(bytes.fromhex("820501cc0502")).reason == "duplicate_key"
    assert refusal(bytes.fromhex("8205c4010005c0")).reason == "duplicate_key"


@pytest.mark.parametrize(
    ("payload", "reason", "detail"),
    [
        ("d405aa", "unparseable", "extension 5 is the maker's own"),
        ("d7ffffffffff00000000", "bad_time", "nanoseconds"),
        ("c70cff000000007fffffffffffffff", "bad_time", "out of range"),
        ("81c001", "unparseable", "no name"),
        ("819001c0"[:6], "unparseable", "no name"),
        ("8180c0", "unparseable", "byte 3"),
        ("c1", "unparseable", "byte 0"),
        ("a1ff", "unparseable", "utf-8"),
        ("0102", "unparseable", "begins 01 02"),
        ("", "unparseable", "0 bytes"),
    ],
)
def test_a_refusal_says_why_and_where(payload, reason, detail):
    refused = refusal(bytes.fromhex(payload))
    assert (refused.reason, detail in refused.detail) == (reason, True), refused


def test_maps_nested_to_any_depth_are_refused_not_followed():
    for depth in (70, 500, 900, 100_000):
        assert refusal(b"\x81\xcc\x01" * depth + b"\x01").reason == "too_deep"


def test_the_bound_of_the_profile():
    small = compile_msgpack(MessagePack(format="msgpack", max_bytes=3))
    with pytest.raises(DecodeError, match="too_large: payload of 4 bytes, at most 3"):
        small(b"\x93\x01\x02\x03", Context())


@pytest.mark.parametrize("item", [b"\x90", b"\x80", b"\xc0", b"\x00"])
def test_a_million_items_are_no_measurement(item):
    payload = b"\xdd" + (200_000).to_bytes(4, "big") + item * 200_000
    assert refusal(payload).reason == "too_large"
