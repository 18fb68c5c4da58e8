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
    assert refusal(CBOR, b"\x81" * 100_000 + b"\x01").reason == "too_deep"
    assert refusal(PACK, b"\x91" * 100_000 + b"\x01").reason == "too_deep"
    assert refusal(CBOR, b"\x5b" + b"\x7f" * 8).reason == "unparseable"
    assert refusal(CBOR, b"\x9b\x00\x00\x00\x7f" + b"\xff" * 4).reason == "unparseable"
    assert refusal(PACK, b"\xdd\x7f\xff\xff\xff").reason == "unparseable"
    assert refusal(CBOR, b"\xa1" * 100 + b"\x01").reason == "too_deep"


def test_tags_in_tags_are_bounded_too():
    for tag in (b"\xc1", b"\xd9\xd9\xf7", b"\xd9\x01\x02\x81"):
        assert refusal(CBOR, tag * 100_000 + b"\x01").reason == "too_deep"


@pytest.mark.parametrize(
    "tag", [6, 25, 28, 29, 35, 36, 37, 52, 54, 256, 258, 260, 261, 43000, 2**64 - 1]
)
def test_tags_that_make_objects_are_refused_wherever_they_stand(tag):
    for document in (cbor2.CBORTag(tag, "x"), {"a": [{"b": cbor2.CBORTag(tag, [1])}]}):
        refused = refusal(CBOR, cbor2.dumps(document))
        assert refused.reason == "unparseable"
        assert refused.detail.startswith(f"CBOR tag {tag} ")


def test_shared_references_cannot_blow_up():
    # A list of two references to a list of two references to ...: 2^30 items in 200 bytes.
    nested: list[object] = []
    for _ in range(30):
        nested = [nested, nested]
    payload = cbor2.dumps(nested, value_sharing=True)
    assert len(payload) < 300
    assert refusal(CBOR, payload).detail.startswith("CBOR tag 28 ")


@pytest.mark.parametrize(
    ("item", "value"),
    [
        # RFC 8949, appendix A, by its text.
        ("c074323031332d30332d32315432303a30343a30305a", "2013-03-21T20:04:00+00:00"),
        ("c11a514b67b0", "2013-03-21T20:04:00+00:00"),
        ("c1fb41d452d9ec200000", "2013-03-21T20:04:00.500000+00:00"),
        ("d74401020304", "01020304"),
        ("d818456449455446", "6449455446"),
        ("d82076687474703a2f2f7777772e6578616d706c652e636f6d", "http://www.example.com"),
        ("c249000000000000000001", 1),
        ("3903e7", -1000),
        ("f93c00", 1.0),
        ("fa47c35000", 100000.0),
        ("f90001", 5.960464477539063e-08),
        ("5f42010243030405ff", "0102030405"),
        ("7f657374726561646d696e67ff", "streaming"),
        ("9f018202039f0405ffff", [1, [2, 3], [4, 5]]),
        ("bf61610161629f0203ffff", {"a": 1, "b": [2, 3]}),
        ("826161bf61626163ff", ["a", {"b": "c"}]),
        # RFC 8949 §3.4.4: 273.15 and 1.5; RFC 8943: 1940-10-09.
        ("c48221196ab3", 273.15),
        ("c5822003", 1.5),
        ("c4820205", 500),
        ("c482011a000f4240", 10_000_000),
        ("d81e820103", 1 / 3),
        ("d8643929b3", "1940-10-09"),
        ("d903ec6a313934302d31302d3039", "1940-10-09"),
        ("d9d9f7a10102", {"1": 2}),
        ("a3616101616" + "2f7616382f701", {"a": 1, "b": None, "c": [None, 1]}),
        ("a120f4", {"-1": False}),
        ("a14101f5", {"01": True}),
    ],
)
def test_items_of_the_standards_appendix(item, value):
    assert CBOR(bytes.fromhex(item), Context()) == value


@pytest.mark.parametrize(
    ("item", "reason", "detail"),
    [
        ("a201010102", "duplicate_key", "key 1 twice"),
        ("a2616101616102", "duplicate_key", "'a' twice"),
        ("a10182a0a2616101616102", "duplicate_key", "'a' twice"),
        ("c06161", "bad_time", "no RFC 3339 time"),
        ("c073323031332d30332d32315432303a30343a3030", "bad_time", "no RFC 3339 time"),
        ("c101f5"[:2] + "f5", "bad_time", "no time in seconds"),
        ("c11b7fffffffffffffff", "bad_time", "no time in seconds"),
        ("c1f97e00", "bad_time", "no time in seconds"),
        ("d8641b7fffffffffffffff", "bad_time", "no number of days"),
        ("d903ec6161", "bad_time", "no date"),
        ("c2490100000000000000" + "00", "absurd_number", "9 bytes"),
        ("c201", "unparseable", "no byte string"),
        ("c4821bffffffffffffffff01", "absurd_number", "exponent"),
        ("c4f4", "unparseable", "no pair"),
        ("c482f401", "unparseable", "no pair"),
        ("c5821bffffffffffffffff01", "absurd_number", "exponent"),
        ("d81e820100", "absurd_number", "denominator 0"),
        ("f820", "unparseable", "CBORSimpleValue"),
        ("a18201020" + "3", "unparseable", "no name"),
        ("a1f93c0001", "unparseable", "no name"),
        ("a1f601", "unparseable", "no name"),
        ("61ff", "unparseable", "utf-8"),
        ("83010203"[:6], "unparseable", "before byte 3 of 3"),
        ("ff", "unparseable", "break code"),
        ("1c", "unparseable", "subtype"),
        ("", "unparseable", "before byte 0 of 0"),
    ],
)
def test_a_refusal_says_why_and_where(item, reason, detail):
    refused = refusal(CBOR, bytes.fromhex(item))
    assert (refused.reason, detail in refused.detail) == (reason, True), refused


def test_bytes_behind_the_item_and_large_payloads_are_refused():
    assert "2 bytes stand behind the CBOR item" in refusal(CBOR, b"\x01\x02\x03").detail
    small = compile_cbor(Cbor(format="cbor", max_bytes=4))
    assert refusal(small, b"\x84\x01\x02\x03\x04").reason == "too_large"


def test_a_big_number_is_absurd():
    assert refusal(CBOR, cbor2.dumps({"v": 2**200})).reason == "absurd_number"
    assert refusal(CBOR, cbor2.dumps({2**20_000: 1})).reason == "absurd_number"


@pytest.mark.parametrize("item", [b"\x80", b"\xa0", b"\xf7", b"\x00"])
def test_a_million_items_are_no_measurement(item):
    payload = b"\x9f" + item * 200_000 + b"\xff"
    assert refusal(compile_cbor(Cbor(format="cbor")), payload).reason == "too_large"
