"""SenML: the examples of RFC 8428, base fields, times, groups, refusals, and any bytes."""

import contextlib
import json

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.decode.document import Context
from gateway.decode.senml import compile_senml
from gateway.errors import DecodeError
from gateway.profiles.formats import Senml
from tests.corpora import corpora

FOLDER = corpora()
CASES = [
    json.loads(line)
    for line in (
        (FOLDER / "senml" / "cases.jsonl").read_text("utf-8").splitlines() if FOLDER else []
    )
]
LABELS = {
    "bver": -1, "bn": -2, "bt": -3, "bu": -4, "bv": -5, "bs": -6, "n": 0, "u": 1, "v": 2, "vs": 3,
    "vb": 4, "s": 5, "t": 6, "ut": 7, "vd": 8,
}  # fmt: skip
NOW = 1_780_000_000
CONTEXT = Context(received_at=NOW * 10**9 + 250_000_000)

parse = compile_senml(Senml(format="senml"))


def in_json(records) -> bytes:
    return json.dumps(records).encode()


def in_cbor(records) -> bytes:
    return cbor2.dumps(
        [{LABELS.get(label, label): value for label, value in record.items()} for record in records]
    )


BOTH = pytest.mark.parametrize("encode", [in_json, in_cbor])


def refusal(payload: bytes) -> DecodeError:
    with pytest.raises(DecodeError) as refused:
        parse(payload, CONTEXT)
    return refused.value


def payload_of(case) -> bytes:
    if "payload_hex" in case:
        return bytes.fromhex(case["payload_hex"])
    return case["payload_text"].encode()


@pytest.mark.corpora
@pytest.mark.skipif(not CASES, reason="corpora not here")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_published_pack_resolves_as_by_hand(case):
    records = parse(payload_of(case), CONTEXT)["records"]
    expected = [
        {key: value for key, value in record.items() if value is not None}
        for record in case["expected"]
    ]
    assert records == expected


@pytest.mark.corpora
@pytest.mark.skipif(not CASES, reason="corpora not here")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
@given(at=st.integers(0, 2**16), flip=st.integers(1, 255), cut=st.booleans())
def test_a_damaged_published_pack_gives_a_document_or_a_refusal(case, at, flip, cut):
    payload = bytearray(payload_of(case))
    at %= len(payload)
    payload[at] ^= flip
    with contextlib.suppress(DecodeError):
        parse(bytes(payload[:at] if cut else payload), CONTEXT)


@BOTH
def test_packs_hold_the_records_of_one_device_and_time(encode):
    pack = [
        {"bn": "meter-1:", "bt": NOW, "n": "voltage", "u": "V", "v": 230.1},
        {"n": "state", "vs": "ok"},
        {"n": "closed", "vb": True, "t": -60},
        {"n": "voltage", "u": "V", "v": 229, "t": -60},
        {"n": "energy", "u": "W", "s": 12.5},
        {"bn": "meter-2:", "n": "voltage", "u": "V", "v": 231},
    ]
    assert parse(encode(pack), CONTEXT)["packs"] == [
        {
            "device": "meter-1", "time": NOW, "units": {"voltage": "V", "energy": "W"},
            "by_unit": {"V": 230.1},
            "values": {"voltage": 230.1, "state": "ok"}, "sums": {"energy": 12.5},
        },
        {
            "device": "meter-1", "time": NOW - 60, "units": {"voltage": "V"},
            "by_unit": {"V": 229},
            "values": {"closed": True, "voltage": 229},
        },
        {
            "device": "meter-2", "time": NOW, "units": {"voltage": "V"}, "by_unit": {"V": 231},
            "values": {"voltage": 231},
        },
    ]  # fmt: skip


@BOTH
def test_a_name_that_comes_again_opens_another_pack(encode):
    pack = [{"n": "a", "v": 1}, {"n": "b", "v": 2}, {"n": "a", "v": 3}, {"n": "b", "v": 4}]
    assert [group["values"] for group in parse(encode(pack), CONTEXT)["packs"]] == [
        {"a": 1, "b": 2}, {"a": 3, "b": 4},
    ]  # fmt: skip


@BOTH
@pytest.mark.parametrize(
    ("times", "resolved"),
    [
        ({}, None),
        ({"t": 0}, NOW + 0.25),
        ({"t": -10}, NOW - 9.75),
        ({"t": -0.1}, NOW + 0.15),
        ({"bt": 0}, NOW + 0.25),
        ({"bt": -100, "t": 40.5}, NOW - 59.25),
        ({"bt": 2**28 - 1}, NOW + 2**28 - 0.75),
        ({"bt": 2**28}, 2**28),
        ({"bt": 2**28, "t": -1}, NOW + 2**28 - 0.75),
        ({"bt": NOW, "t": -3600}, NOW - 3600),
        ({"bt": NOW + 0.1, "t": 0.2}, NOW + 0.3),
        ({"t": NOW + 0.123456}, NOW + 0.123456),
    ],
)
def test_times_are_absolute_from_2_to_the_28_on_and_else_relative_to_now(encode, times, resolved):
    (record,) = parse(encode([{"n": "a", "v": 1, **times}]), CONTEXT)["records"]
    assert record.get("time") == resolved


@BOTH
def test_base_values_sums_and_units_hold_until_the_next(encode):
    pack = [
        {"bn": "m/", "bv": 20.1, "bu": "Cel", "n": "a", "v": 0.2},
        {"n": "b"},
        {"n": "c", "u": "V", "v": 1},
        {"n": "d", "vs": "x"},
        {"bs": 100, "bv": 0, "n": "e", "v": 3},
        {"n": "f", "s": 11},
    ]
    assert parse(encode(pack), CONTEXT)["records"] == [
        {"name": "m/a", "unit": "Cel", "value": 20.3},
        {"name": "m/b", "unit": "Cel", "value": 20.1},
        {"name": "m/c", "unit": "V", "value": 21.1},
        {"name": "m/d", "unit": "Cel", "text": "x"},
        {"name": "m/e", "unit": "Cel", "value": 3, "sum": 100},
        {"name": "m/f", "unit": "Cel", "sum": 111},
    ]


def test_data_is_hexadecimal_from_either_form():
    (record,) = parse(in_json([{"n": "a", "vd": "_-8B"}]), CONTEXT)["records"]
    assert record == {"name": "a", "data": "ffef01"}
    (record,) = parse(in_cbor([{"n": "a", "vd": b"\xff\xef\x01"}]), CONTEXT)["records"]
    assert record == {"name": "a", "data": "ffef01"}


def test_decimal_fractions_tags_and_indefinite_lengths_of_cbor():
    pack = [{-2: "m:", -3: NOW, 0: "volume", 1: "m3", 2: cbor2.CBORTag(4, [-2, 2634])}]
    payload = b"\xd9\xd9\xf7\x9f" + cbor2.dumps(pack)[1:] + b"\xff"
    assert parse(payload, CONTEXT)["packs"] == [
        {
            "device": "m", "time": NOW, "values": {"volume": 26.34}, "units": {"volume": "m3"},
            "by_unit": {"m3": 26.34},
        }
    ]  # fmt: skip


@BOTH
def test_a_unit_that_several_records_have_names_none_of_them(encode):
    pack = [
        {"n": "a", "u": "V", "v": 1}, {"n": "b", "u": "V", "v": 2}, {"n": "c", "u": "V", "v": 3},
        {"n": "d", "u": "A", "v": 4}, {"n": "e", "u": "W", "vs": "x"}, {"n": "f", "v": 5},
    ]  # fmt: skip
    (group,) = parse(encode(pack), CONTEXT)["packs"]
    assert group["by_unit"] == {"A": 4}


@BOTH
def test_a_record_without_a_base_name_is_the_device_where_its_name_is_a_urn(encode):
    pack = [
        {"n": "urn:dev:mac:0024befffe804ff1", "u": "m3", "v": 1.5},
        {"n": "urn:dev:mac:0024befffe804ff2", "u": "m3", "v": 2.5},
        {"n": "flow", "u": "m3/s", "v": 0.5},
    ]
    assert [
        (group.get("device"), group["by_unit"]) for group in parse(encode(pack), CONTEXT)["packs"]
    ] == [
        ("urn:dev:mac:0024befffe804ff1", {"m3": 1.5}),
        ("urn:dev:mac:0024befffe804ff2", {"m3": 2.5}),
        (None, {"m3/s": 0.5}),
    ]


@BOTH
@pytest.mark.parametrize("version", [1, 5, 10, 26])
def test_versions_with_units_that_rfc_8798_adds_are_read(encode, version):
    pack = [{"bver": version, "n": "energy", "u": "kWh", "v": 12.5}]
    assert parse(encode(pack), CONTEXT)["records"] == [
        {"name": "energy", "unit": "kWh", "value": 12.5}
    ]


@BOTH
def test_what_nobody_knows_is_left_out(encode):
    (record,) = parse(encode([{"n": "a", "v": 1, "ct": "60", "ut": 5, "u": None}]), CONTEXT)[
        "records"
    ]
    assert record == {"name": "a", "value": 1}


def test_numbers_are_labels_in_cbor_alone():
    assert parse(b'[{"n":"a","v":1,"-2":"x","0":"y"}]', CONTEXT)["records"][0]["name"] == "a"
    assert parse(cbor2.dumps([{0: "a", 2: 1, 99: 5, -99: 6}]), CONTEXT)["records"][0] == {
        "name": "a", "value": 1,
    }  # fmt: skip


@BOTH
@pytest.mark.parametrize(
    ("records", "reason", "detail"),
    [
        ([], "unparseable", "at least one record"),
        ([{"v": 1}], "missing_field", "record 0 has no name"),
        ([{"n": "a", "v": 1}, {"v": 1}], "missing_field", "record 1 has no name"),
        ([{"n": "a"}], "missing_field", "record 0 (a) has no value"),
        ([{"n": "a", "v": None}], "missing_field", "no value"),
        ([{"n": "a", "v": 1, "ct_": 60}], "unparseable", "'ct_' must be understood"),
        ([{"n": "a", "v": 1, "bver": 11}], "unparseable", "bver 11"),
        ([{"n": "a", "v": 1, "bver": 0}], "unparseable", "bver 0"),
        ([{"n": "a", "v": 1, "bver": 27}], "unparseable", "bver 27"),
        ([{"n": "a", "v": 1, "bver": 42}], "unparseable", "bver 42"),
        ([{"n": "a", "v": 1, "bver": 5.5}], "wrong_type", "'bver' is a whole number"),
        ([{"n": "a", "v": 1, "vs": "x"}], "unparseable", "v and vs"),
        ([{"n": "a b", "v": 1}], "unparseable", "4.5.1"),
        ([{"n": "_a", "v": 1}], "unparseable", "4.5.1"),
        ([{"n": "a\n", "v": 1}], "unparseable", "4.5.1"),
        ([{"n": 5, "v": 1}], "wrong_type", "'n' is a text, got '5'"),
        ([{"n": "a", "v": "1"}], "wrong_type", "'v' is a number, got '1'"),
        ([{"n": "a", "v": True}], "wrong_type", "'v' is a number, got 'True'"),
        ([{"n": "a", "vb": 1}], "wrong_type", "'vb' is true or false"),
        ([{"n": "a", "vd": "???"}], "wrong_type", "base64"),
        ([{"n": "a", "vd": "é"}], "wrong_type", "base64"),
        ([{"n": "a", "v": 10**25}], "absurd_number", ""),
        ([{"n": "a", "v": 1, "t": "now"}], "wrong_type", "'t' is a number"),
    ],
)
def test_a_refusal_says_which_record_and_rule(encode, records, reason, detail):
    refused = refusal(encode(records))
    assert (refused.reason, detail in refused.detail) == (reason, True), refused


@BOTH
@pytest.mark.parametrize("record", [{"n": "n" * 5000}, {"n": "n" * 5000 + "!", "v": 1}])
def test_a_refusal_never_tells_a_long_name_whole(encode, record):
    assert len(refusal(encode([record])).detail) < 300


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "unparseable"),
        (b'{"n":"a","v":1}', "unparseable"),
        (b"[1]", "unparseable"),
        (b'[{"n":"a","v":NaN}]', "unparseable"),
        (b'[{"n":"a","v":1,"v":2}]', "duplicate_key"),
        (b"\xa1\x00\x61a", "unparseable"),
        (cbor2.dumps([{0: "a", 2: float("nan")}]), "absurd_number"),
        (cbor2.dumps([{0: "a", 2: float("inf")}]), "absurd_number"),
        (cbor2.dumps([{0: "a", 2: 1, "v": 2}]), "duplicate_key"),
        (b"\x81\xa3\x00\x61a\x02\x01\x02\x02", "duplicate_key"),
        (cbor2.dumps([{0: "a", True: "V"}]), "missing_field"),
        (cbor2.dumps([{0: "a", 2.0: 1}]), "missing_field"),
        (b"\x81" * 100, "too_deep"),
        (b"[" * 5000, "too_deep"),
        (in_json([{"n": "a", "v": 1}] * 10_001), "too_large"),
    ],
)
def test_what_is_no_pack_is_refused(payload, reason):
    assert refusal(payload).reason == reason


def test_the_bound_of_the_profile():
    small = compile_senml(Senml(format="senml", max_bytes=10))
    with pytest.raises(DecodeError, match="too_large"):
        small(b'[{"n":"a","v":1}]', CONTEXT)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
records = st.lists(
    st.dictionaries(st.sampled_from([*LABELS, "x", "x_"]), anything, max_size=6), max_size=5
)


@given(pack=records | anything, context=st.sampled_from([CONTEXT, Context()]))
@BOTH
def test_any_pack_gives_a_document_or_a_refusal(encode, pack, context):
    with contextlib.suppress(DecodeError):
        shaped = isinstance(pack, list) and all(isinstance(each, dict) for each in pack)
        parse(encode(pack) if shaped else json.dumps(pack).encode(), context)


@given(payload=st.binary(max_size=100), first=st.sampled_from([b"", b"[", b"\x81", b"\x9f\xa2"]))
def test_any_bytes_give_a_document_or_a_refusal(payload, first):
    with contextlib.suppress(DecodeError):
        parse(first + payload, CONTEXT)
