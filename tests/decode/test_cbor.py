"""CBOR and MessagePack: plain documents, refusals in words, and nothing else for any bytes."""

import contextlib
import datetime as dt
import math

import cbor2
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.decode.cbor import compile_cbor
from gateway.decode.document import Context
from gateway.decode.msgpack import compile_msgpack
from gateway.errors import DecodeError
from gateway.profiles.formats import Cbor, MessagePack

CBOR = compile_cbor(Cbor(format="cbor"))
PACK = compile_msgpack(MessagePack(format="msgpack"))
BOTH = pytest.mark.parametrize(
    ("parse", "dumps"),
    [(CBOR, cbor2.dumps), (PACK, msgspec.msgpack.encode)],
    ids=["cbor", "msgpack"],
)
NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


def refusal(parse, payload: bytes) -> DecodeError:
    with pytest.raises(DecodeError) as refused:
        parse(payload, Context())
    return refused.value


@BOTH
def test_a_document_comes_with_text_keys_hex_bytes_and_rfc3339_times(parse, dumps):
    document = {1: 2.5, "at": NOON, "raw": b"\x01\xff", "list": [None, True, "x"]}
    assert parse(dumps(document), Context()) == {
        "1": 2.5, "at": "2026-01-01T12:00:00+00:00", "raw": "01ff", "list": [None, True, "x"],
    }  # fmt: skip


@BOTH
@given(document=plain)
def test_what_json_can_say_comes_back_the_same(parse, dumps, document):
    assert parse(dumps(document), Context()) == document


@BOTH
@given(payload=st.binary(max_size=200))
def test_any_bytes_give_a_document_or_a_refusal(parse, dumps, payload):  # noqa: ARG001
    with contextlib.suppress(DecodeError):
        parse(payload, Context())


@BOTH
@given(document=plain, at=st.integers(0, 200), flip=st.integers(0, 255))
def test_a_damaged_document_gives_a_document_or_a_refusal(parse, dumps, document, at, flip):
    payload = bytearray(dumps(document))
    payload[at % len(payload)] ^= flip
    with contextlib.suppress(DecodeError):
        parse(bytes(payload), Context())


@BOTH
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_no_number_is_refused(parse, dumps, number):
    assert refusal(parse, dumps({"v": number})).reason == "absurd_number"


@BOTH
def test_a_cut_document_is_refused_with_its_beginning(parse, dumps):
    refused = refusal(parse, dumps({"volume": 12.5})[:-3])
    assert refused.reason == "unparseable"
    assert "begins" in refused.detail


@BOTH
def test_two_keys_that_are_one_as_text_are_refused(parse, dumps):
    assert refusal(parse, dumps({1: 1, "1": 2})).reason == "duplicate_key"


def test_deep_nesting_and_promised_lengths_take_no_memory():
    assert refusal(CBOR, b"\x81" * 100_000 + b"\x01").reason in {"too_deep", "unparseable"}
    assert refusal(PACK, b"\x91" * 100_000 + b"\x01").reason == "too_deep"
    assert refusal(CBOR, b"\x5b" + b"\x7f" * 8).reason == "unparseable"
    assert refusal(CBOR, b"\x9b\x00\x00\x00\x7f" + b"\xff" * 4).reason == "unparseable"
    assert refusal(PACK, b"\xdd\x7f\xff\xff\xff").reason == "unparseable"
    assert refusal(CBOR, b"\xa1" * 100 + b"\x01").reason == "unparseable"


@pytest.mark.parametrize("tag", [25, 28, 29, 35, 37, 258, 260, 43000, 55799])
def test_tags_that_make_objects_are_no_data(tag):
    with contextlib.suppress(DecodeError):
        assert isinstance(CBOR(cbor2.dumps(cbor2.CBORTag(tag, "x")), Context()), str)


def test_bytes_behind_the_item_and_large_payloads_are_refused():
    assert "2 bytes stand behind" in refusal(CBOR, b"\x01\x02\x03").detail
    small = compile_cbor(Cbor(format="cbor", max_bytes=4))
    assert refusal(small, b"\x84\x01\x02\x03\x04").reason == "too_large"
    assert refusal(PACK, b"\xc7\x01\x05\x00").detail.startswith("MessagePack extension 5")


def test_a_big_number_is_absurd():
    assert refusal(CBOR, cbor2.dumps({"v": 2**200})).reason == "absurd_number"
