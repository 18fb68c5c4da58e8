"""Binary payloads by a layout: what each part of the notation reads, and what it refuses."""

import binascii
import struct

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.decode.binary import compile_binary
from gateway.decode.checksums import CHECKSUMS
from gateway.decode.document import Context
from gateway.errors import DecodeError
from gateway.profiles.binary import Binary

UPLINK = Context(received_at=1_700_000_000_999_999_999, envelope={"f_port": 2})


def parser(text, **more):
    return compile_binary(
        Binary.model_validate({"format": "binary", **yaml.safe_load(text), **more})
    )


def read(text, payload, context=UPLINK, **more):
    return parser(text, **more)(bytes.fromhex(payload), context)


def refused(text, payload, context=UPLINK, **more):
    with pytest.raises(DecodeError) as caught:
        read(text, payload, context, **more)
    return caught.value.reason, caught.value.detail


@pytest.mark.parametrize(
    ("field", "payload", "expected"),
    [
        ("type: u1", "ff", 255),
        ("type: s1", "ff", -1),
        ("type: u2", "0102", 258),
        ("type: u2le", "0102", 513),
        ("type: u2, endian: le", "0102", 513),
        ("type: u3", "010203", 0x010203),
        ("type: s3le", "feffff", -2),
        ("type: s4", "ffffff85", -123),
        ("type: u6le", "010000000001", 2**40 + 1),
        ("type: u8", "ffffffffffffffff", 2**64 - 1),
        ("type: f2", "3c00", 1.0),
        ("type: f4le", "0000803f", 1.0),
        ("type: f8", "3ff8000000000000", 1.5),
        ("type: b1", "80", True),
        ("type: b12", "abc0", 0xABC),
        ("type: b12le", "bc0a", 0xABC),
        ("type: bcd, digits: 8", "00012345", 12345),
        ("type: bcdle, size: 4", "45230100", 12345),
        ("type: bcd, digits: 3", "9123", 123),
        ("type: bcd, digits: 4, sign: digit", "f123", -123),
        ("type: bcd, digits: 4, sign: bit", "8123", -123),
        ("type: str, size: 4", "41420000", "AB"),
        ("type: str, size: eos, encoding: gbk", "cbae", "水"),
        ("type: strz", "414200", "AB"),
        ("type: hex, size: 2", "AB01", "ab01"),
        ("type: hexle, size: 2", "AB01", "01ab"),
        ("type: u1, value: _ / 10", "fd", 25.3),
        ("type: u2, value: _ * 0.1 - 40", "028d", 25.3),
        ("type: u1, value: '(_ ^ 0x80) - 0x80'", "ff", -1),
        ("type: u1, enum: valve", "01", "closed"),
        ("type: u1, repeat: eos", "0102", [1, 2]),
        ("type: u1, repeat: until, repeat-until: _ == 0", "010200", [1, 2, 0]),
        ("type: u2, repeat: expr, repeat-expr: 2", "00010002", [1, 2]),
        ("type: u1, value: _port", "09", 2),
        ("type: u1, value: _received - _", "09", 1_699_999_991),
        ("type: u1, value: _size + _pos + _left", "09", 2),
        ("type: [{id: a, type: u1}, {id: _b, type: u1}]", "0102", {"a": 1}),
        ("type: {switch-on: _port, cases: {1: u1, 2..3: u2}}", "0102", 258),
        ("type: {switch-on: _port, cases: {1: u1, _: u2}}", "0102", 258),
        ("type: u1, repeat: eos, absent: 0xff", "01ff02", [1, None, 2]),
    ],
)
def test_a_field_is_read_by_its_type(field, payload, expected):
    layout = f"{{seq: [{{id: x, {field}}}], enums: {{valve: {{0: open, 0x01: closed}}}}}}"
    assert read(layout, payload) == {"x": expected}


@pytest.mark.parametrize(
    ("field", "payload"),
    [
        ("type: u1, absent: [0xfe, 0xff]", "ff"),
        ("type: f4", "7fc00000"),
        ("type: f4", "7f800000"),
        ("type: bcd, digits: 2", "a0"),
        ("type: bcd, digits: 4, sign: digit", "fa00"),
        ("type: u1, absent: 0xff, value: _ / 10", "ff"),
        ("type: u1, absent: 0xff, enum: valve", "ff"),
        ("type: u1, value: 'local_time(2000 + _, 13, 1)'", "01"),
        ("type: u1, if: _size > 1", ""),
    ],
)
def test_what_is_not_there_is_absent(field, payload):
    assert read(f"{{seq: [{{id: x, {field}}}], enums: {{valve: {{0: open}}}}}}", payload) == {}


BITS = "{id: a, type: b3}, {id: b, type: b1}, {id: _pad, type: b4}, {id: c, type: b16}"


def test_bits_fill_a_byte_from_either_end():
    assert read(f"{{seq: [{BITS}]}}", "b0 0102") == {"a": 5, "b": True, "c": 0x0102}
    lowest = read(f"{{bit-endian: le, seq: [{BITS}]}}", "0d 0201")
    assert lowest == {"a": 5, "b": True, "c": 0x0102}


@pytest.mark.parametrize(
    ("field", "payload", "expected"),
    [
        ("type: b12, repeat: eos", "123 456 789", [0x123, 0x456, 0x789]),
        ("type: b12, repeat: eos", "123 456", [0x123, 0x456]),
        ("type: b12le, repeat: eos", "6145 23", [0x561, 0x234]),
        ("type: b4, repeat: expr, repeat-expr: 3", "1230", [1, 2, 3]),
        ("type: b4, repeat: expr, repeat-expr: 0", "", []),
        ("type: b3le, repeat: expr, repeat-expr: 5", "d158", [1, 2, 3, 4, 5]),
        ("type: b1, repeat: eos", "a5", [True, False, True, False, False, True, False, True]),
        ("type: b4, repeat: eos, absent: 15, value: _ / 10", "1f", [0.1, None]),
        ("type: b2, repeat: eos, enum: valve", "44", ["closed", "open", "closed", "open"]),
        ("type: b4, repeat: eos, value: _ + _index", "11", [1, 2]),
    ],
)
def test_bits_are_repeated_without_a_gap(field, payload, expected):
    payload = payload.replace(" ", "")
    layout = f"{{seq: [{{id: x, {field}}}], enums: {{valve: {{0: open, 1: closed}}}}}}"
    assert read(layout, payload + "0" * (len(payload) % 2)) == {"x": expected}


def test_bits_that_are_not_there_are_refused():
    text = "{seq: [{id: n, type: u1}, {id: x, type: b12, repeat: expr, repeat-expr: n}]}"
    assert read(text, "01 abc0") == {"n": 1, "x": [0xABC]}
    assert refused(text, "02 abc0") == (
        "unparseable", "offset 1: field x needs 3 bytes, 2 are left",
    )  # fmt: skip
    long = "{seq: [{id: n, type: u2}, {id: x, type: b1, repeat: expr, repeat-expr: n}]}"
    assert "10001 items" in refused(long, "2711" + "00" * 1251)[1]


TLV = """
endian: le
seq:
  - repeat: eos
    type:
      - {id: _tag, type: u2be}
      - type:
          switch-on: _tag
          cases:
            0x0175: [{id: battery, type: u1}]
            0x0367: [{id: temperature, type: s2, value: _ / 10}]
            0x20ce: [{id: history, type: record, collect: true}]
            0x1000..0x1fff: []
types:
  record: [{id: time, type: u4}, {id: count, type: u2}]
"""


def test_structures_without_an_id_join_the_document_around_them():
    payload = "017564 036701ff 1234 20ce010000000200 20ce030000000400"
    assert read(TLV, payload) == {
        "battery": 100,
        "temperature": -25.5,
        "history": [{"time": 1, "count": 2}, {"time": 3, "count": 4}],
    }


def test_an_item_counts_from_the_one_before():
    layout = """
    seq:
      - {id: _total, type: u4}
      - {id: _step, type: u1}
      - id: history
        repeat: eos
        type:
          - {id: _delta, type: u1}
          - {id: _raw, value: "(_index == 0 ? _total : _prev._raw) - _delta"}
          - {id: volume, value: _raw / 1000}
          - {id: time, value: _received - 60 * _step * (_index + 1)}
    instances:
      total: {value: _total * 0.001}
      first: "history[0].volume"
      second: {value: "history[1].volume", if: size(history) > 1}
      third: "history[2].volume"
    """
    assert read(layout, "000003e8 0f 01 02") == {
        "history": [
            {"volume": 0.999, "time": 1_699_999_100},
            {"volume": 0.997, "time": 1_699_998_200},
        ],
        "total": 1.0,
        "first": 0.999,
        "second": 0.997,
    }


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("2023-11-14T22:13:00.900Z", 1_699_999_980),
        ("2023-11-14T22:13:00.900+00:00", 1_699_999_980),
        ("a while ago", 1_700_000_000),
        (1_699_999_980, 1_700_000_000),
        (None, 1_700_000_000),
    ],
)
def test_times_count_back_from_the_networks_receipt_or_else_from_ours(told, seconds):
    context = Context(received_at=UPLINK.received_at, envelope={"received_at": told})
    layout = "seq: [{id: x, type: u1, value: _received - _}]"
    assert read(layout, "01", context) == {"x": seconds - 1}


def test_conditions_and_structures_of_a_told_size():
    layout = """
    seq:
      - {id: _flags, type: u1}
      - {id: pair, if: _flags & 1, type: [{id: a, type: u1}, {id: b, type: u2}]}
      - {id: _n, type: u1, if: _flags & 2 != 0}
      - {id: block, if: has(_n), size: _n, type: [{id: c, type: u1}, {id: left, value: _left}]}
      - {id: end, type: u1}
    instances: {both: pair.a + block.c}
    """
    assert read(layout, "03 010002 03 05ffff 09") == {
        "pair": {"a": 1, "b": 2}, "block": {"c": 5, "left": 2}, "end": 9, "both": 6,
    }  # fmt: skip
    assert read(layout, "00 09") == {"end": 9}
    assert read(layout, "02 01 05 09") == {"block": {"c": 5, "left": 0}, "end": 9}


@pytest.mark.parametrize(
    ("layout", "payload", "reason", "detail"),
    [
        ("{seq: [{id: a, type: u1}, {id: b, type: u4}]}", "010203", "unparseable",
         "offset 1: field b (u4) needs 4 bytes, 2 are left"),
        ("{seq: [{id: a, type: u1}]}", "010203", "unparseable", "offset 1: 2 bytes are left after"),
        ("{seq: [{id: a, contents: [0x68]}]}", "69", "unparseable", "a: expected 68, got 69"),
        ("{seq: [{id: a, type: u1, enum: e}], enums: {e: {0: x}}}", "05", "unknown_word",
         "a: 5 is none of 0: x"),
        ("{seq: [{id: a, type: u1, valid: [0, 100]}]}", "65", "absurd_number",
         "a: 101 is not in 0 to 100"),
        ("{seq: [{id: a, type: str, size: 2}]}", "ff41", "unparseable", "a: ff41 is no ascii text"),
        ("{seq: [{id: a, type: strz}]}", "4141", "unparseable", "no 0 byte in the 2 left"),
        ("{seq: [{id: n, type: s1}, {id: a, type: hex, size: n}]}", "ff", "unparseable",
         "offset 1: field a needs -1 bytes, 0 are left"),
        ("{seq: [{id: n, type: s2}, {id: a, type: u1, repeat: expr, repeat-expr: n}]}", "7fff",
         "unparseable", "field a: 32767 items"),
        ("{seq: [{id: a, repeat: eos, type: [{id: b, type: u1, if: _index == 0}]}]}", "0102",
         "unparseable", "offset 1: an item of a takes no bytes"),
        ("{seq: [{id: n, type: u1}, {id: a, value: 1 / n}]}", "00", "unparseable",
         "a: its expression divides by zero"),
        ("{seq: [{id: a, type: f8, value: _ * _}]}", "6974e718d7d7625a", "absurd_number",
         "a: computed"),
        (TLV, "0175640999", "unparseable", "has no case for 2457 (0x999)"),
        ("{seq: [{id: a, type: u1}, {id: s, type: checksum, algorithm: sum8}]}", "0102",
         "bad_checksum", "s: sum8 of bytes 0 to 1 is 0x1, the payload says 0x2"),
        ("{max_bytes: 1, seq: [{id: a, type: u2}]}", "0001", "too_large", "at most 1"),
    ],
)  # fmt: skip
def test_a_payload_that_is_not_what_the_layout_says_is_refused(layout, payload, reason, detail):
    got, said = refused(layout, payload)
    assert (got, detail in said) == (reason, True), said


def test_bytes_left_over_may_be_of_no_interest():
    assert read("{trailing: ignore, seq: [{id: a, type: u1}]}", "010203") == {"a": 1}


@pytest.mark.parametrize(
    ("algorithm", "check"),
    [
        ("sum8", 0xDD), ("sum16", 0x01DD), ("xor8", 0x31), ("crc8", 0xF4),
        ("crc16-modbus", 0x4B37), ("crc16-ccitt", 0x29B1), ("crc16-xmodem", 0x31C3),
        ("crc16-en13757", 0xC2B7), ("crc32", 0xCBF43926),
    ],
)  # fmt: skip
def test_checksums_have_the_check_values_of_the_catalogue(algorithm, check):
    # The check value of a CRC is that of the nine digits (RevEng's catalogue).
    digits = b"123456789"
    assert CHECKSUMS[algorithm](digits) == check
    size = {"sum8": 1, "xor8": 1, "crc8": 1, "crc32": 4}.get(algorithm, 2)
    layout = (
        f"{{seq: [{{id: _h, type: u1}}, {{id: a, type: str, size: 9}}, "
        f"{{type: checksum, algorithm: {algorithm}, over: [1, _size - {size}]}}]}}"
    )
    payload = b"\x68" + digits + check.to_bytes(size, "big")
    assert read(layout, payload.hex()) == {"a": "123456789"}
    assert refused(layout, payload.replace(b"9", b"8").hex())[0] == "bad_checksum"


def test_crc16_xmodem_is_that_of_the_standard_library():
    data = bytes(range(200))
    assert CHECKSUMS["crc16-xmodem"](data) == binascii.crc_hqx(data, 0)


def test_items_of_all_lists_together_are_bounded():
    layout = """
    seq:
      - id: outer
        repeat: eos
        type:
          - {id: n, type: u2}
          - {id: inner, repeat: expr, repeat-expr: n, type: [{id: x, value: _index}]}
    """
    assert len(read(layout, "2000")["outer"][0]["inner"]) == 0x2000
    assert refused(layout, "2000 2000")[0] == "unparseable"


# Layouts made at random, with an encoder of their own.

NUMBERS = {
    "u1": "B", "s1": "b", "u2be": ">H", "u2le": "<H", "s2le": "<h", "u4be": ">I", "s4le": "<i",
    "u8be": ">Q", "s8le": "<q",
}  # fmt: skip


@st.composite
def flat(draw):
    """A layout of numbers and bits, a payload for it, and what must come out."""
    seq, payload, expected = [], b"", {}
    for index in range(draw(st.integers(1, 12))):
        name = f"f{index}"
        kind = draw(st.sampled_from([*NUMBERS, "u3le", "s6be", "bits", "bcd", "hex"]))
        if kind in NUMBERS:
            size = struct.calcsize(NUMBERS[kind])
            data = draw(st.binary(min_size=size, max_size=size))
            (value,) = struct.unpack(NUMBERS[kind], data)
        elif kind in {"u3le", "s6be"}:
            size, order = int(kind[1]), "little" if kind.endswith("le") else "big"
            data = draw(st.binary(min_size=size, max_size=size))
            value = int.from_bytes(data, order, signed=kind[0] == "s")
        elif kind == "bits":
            value = draw(st.integers(0, 15))
            rest = draw(st.integers(0, 15))
            data = bytes([value << 4 | rest])
            seq.append({"id": name, "type": "b4"})
            seq.append({"id": f"_{name}", "type": "b4"})
        elif kind == "bcd":
            value = draw(st.integers(0, 999999))
            data = bytes.fromhex(f"{value:06}")
            seq.append({"id": name, "type": "bcd", "digits": 6})
        else:
            data = draw(st.binary(min_size=3, max_size=3))
            value = data.hex()
            seq.append({"id": name, "type": "hex", "size": 3})
        if kind not in {"bits", "bcd", "hex"}:
            seq.append({"id": name, "type": kind})
        payload += data
        expected[name] = value
    return seq, payload, expected


@given(flat())
def test_what_an_encoder_wrote_is_read_again(made):
    seq, payload, expected = made
    parse = compile_binary(Binary.model_validate({"format": "binary", "seq": seq}))
    assert parse(payload, UPLINK) == expected
    for end in range(len(payload)):
        with pytest.raises(DecodeError):
            parse(payload[:end], UPLINK)


KITCHEN = """
endian: le
seq:
  - {id: kind, type: u1}
  - {id: n, type: s1, absent: 0}
  - {id: ratio, value: "kind / n"}
  - {id: f, type: f4, value: _ * _}
  - {id: list, type: s2, repeat: expr, repeat-expr: n}
  - {id: total, value: "sum(list) * 0.1"}
  - {id: word, type: u1, enum: e}
  - id: body
    size: "kind & 15"
    type:
      switch-on: kind >> 4
      cases:
        0: [{id: t, type: strz, encoding: utf-8}]
        1..3: [{id: b, type: b7}, {id: g, type: b9}]
        4: u4
        5: inner
        _: []
  - {id: rest, type: inner, repeat: until, repeat-until: "_.x > 3 or _left < 2"}
  - {id: shifted, value: "1 << rest[0].x % 8", if: has(n)}
  - {id: back, value: "local_time(2000 + kind, word, 31)"}
types:
  inner:
    - {id: x, type: u1}
    - {id: y, value: "_prev.y + x"}
    - {id: z, type: bcd, digits: 2, if: "x & 1"}
enums: {e: {1: a, 2: b, _: c}}
trailing: ignore
"""
# `inner` is also read outside of a repeat, where nothing comes before it.
KITCHEN_PARSE = parser(KITCHEN.replace("5: inner", "5: u2"))


def read_or_refused(parse, payload):
    """The document, or None where the payload is refused with a reason and a place."""
    refusal = None
    try:
        document = parse(payload, UPLINK)
    except DecodeError as error:
        document, refusal = None, error
    if refusal is not None:
        assert refusal.reason in REASONS
        assert refusal.detail
    return document


REASONS = {"unparseable", "bad_checksum", "absurd_number", "unknown_word"}


@given(st.binary(max_size=64))
@settings(max_examples=200)
def test_any_bytes_give_a_document_or_a_refusal(payload):
    document = read_or_refused(KITCHEN_PARSE, payload)
    if document is not None:
        assert document["kind"] == payload[0]
        assert all(value is not None for value in document.values())


@given(st.binary(max_size=80))
@settings(max_examples=120)
def test_any_bytes_give_a_document_or_a_refusal_of_tagged_values_too(payload):
    parse = parser(TLV)
    mutated = bytes.fromhex("017564036701ff20ce0100000002001234")[: len(payload)] + payload
    document = read_or_refused(parse, mutated)
    assert document is None or isinstance(document, dict)


def test_a_message_without_a_port_fits_no_case():
    layout = "{seq: [{id: x, type: {switch-on: _port, cases: {1: u1}}}]}"
    assert "no case for None" in refused(layout, "01", Context())[1]
