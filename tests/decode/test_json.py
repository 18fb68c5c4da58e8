"""JSON payloads: strict, bounded, and no key twice at any depth."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.decode.json import MAX_BYTES, compile_json
from gateway.errors import DecodeError
from gateway.profiles import load_profiles
from tests.compiled import PROFILES, Compiled, compiled

METER = Compiled(load_profiles([PROFILES]).profiles["electricity-meter-reference"])
CONTROLLER = Compiled(load_profiles([PROFILES]).profiles["jsonpts-pump-transaction"])
BASE = (
    '"type":"periodic","ts":1760000000123,"seq":12345,"energy":{"import":12345.67,"export":0.5},'
    '"voltage":{"L1":229.8,"L2":230.1},"status":3'
)
PLAIN = f"{{{BASE}}}".encode()


def reason(payload: bytes, plan: Compiled = METER) -> str:
    with pytest.raises(DecodeError) as refused:
        plan.decode(payload)
    return refused.value.reason


# -- documents that are read ---------------------------------------------------------------------


def test_a_whole_document_is_read():
    (total, _, _) = METER.read(PLAIN)
    assert total.quantities == {"energy_import": 12345.67, "energy_export": 0.5}
    assert total.sequence == 12345


@pytest.mark.parametrize(
    "extra",
    [
        '"x":1',
        '"x":null',
        '"x":"quotation \\" mark"',
        '"x":{"type":"periodic"}',
        '"x":[{"a":1},{"a":2}]',
        '"power":null',
        '"frequency":null',
        '"\\u0078":"escaped key"',
        '"x":"\\ud83d\\ude00 😀"',
        '"type2":""',
    ],
)
def test_what_nobody_reads_does_no_harm(extra):
    assert METER.read(f"{{{BASE},{extra}}}") == METER.read(PLAIN)


def test_white_space_and_order_do_not_matter():
    loose = json.dumps(dict(reversed(json.loads(PLAIN).items())), indent=3).encode()
    assert METER.read(b" \r\n\t" + loose + b"\n") == METER.read(PLAIN)


def test_null_is_as_good_as_absent():
    with_null = f'{{{BASE},"power":{{"active":null}},"battery_voltage":null}}'
    assert METER.read(with_null) == METER.read(PLAIN)


# -- documents that are refused ------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        "NaN",
        "Infinity",
        "-Infinity",
        "nan",
        "01",
        "+1",
        ".5",
        "1.",
        "0x1F",
        "1_000",
        "'a'",
        "//\n1",
    ],
)
@pytest.mark.parametrize("where", ['{{{base},"x":{value}}}', '{{"type":"periodic","ts":{value}}}'])
def test_what_json_does_not_have_is_unparseable(value, where):
    assert reason(where.format(base=BASE, value=value).encode()) == "unparseable"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b" ",
        b"{",
        PLAIN[:-1],
        PLAIN + b"x",
        PLAIN + PLAIN,
        PLAIN + b"\0",
        b"\xef\xbb\xbf" + PLAIN,
        PLAIN.decode().encode("utf-16"),
        PLAIN.replace(b"periodic", b"peri\xffodic"),
        PLAIN.replace(b"periodic", b"peri\xed\xa0\x80odic"),
        PLAIN.replace(b"periodic", b"peri\\ud800odic"),
        PLAIN.replace(b"periodic", b"peri\nodic"),
        PLAIN.replace(b'"seq":', b'"seq":,'),
        PLAIN.replace(b"}", b",}", 1),
        b"\x68\x11\x22\x33\x44\x55\x66\x68\x91\x08",
    ],
)
def test_what_is_no_json_is_unparseable(payload):
    assert reason(payload) == "unparseable"


@pytest.mark.parametrize("payload", [b"\xef\xbb\xbf" + PLAIN, PLAIN.decode().encode("utf-16")])
def test_a_byte_order_mark_is_called_by_its_name(payload):
    with pytest.raises(DecodeError, match="byte order mark"):
        METER.decode(payload)


def test_the_empty_payload_is_called_so():
    with pytest.raises(DecodeError, match="the payload is empty"):
        METER.decode(b"")


@pytest.mark.parametrize("payload", [b"null", b"[]", b"5", b'"text"', b"true", b"[" + PLAIN + b"]"])
def test_a_document_that_is_no_object_is_of_the_wrong_type(payload):
    assert reason(payload) == "wrong_type"


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ('"ts":1760000000123', '"tz":1760000000123', "missing_field"),
        ("1760000000123", '"1760000000123"', "wrong_type"),
        ("1760000000123", "true", "wrong_type"),
        ("1760000000123", "{}", "wrong_type"),
        ("12345.67", "true", "wrong_type"),
        ("12345.67", '"12345.67"', "wrong_type"),
        ("12345.67", "[1]", "wrong_type"),
        ("12345.67", "1e400", "absurd_number"),
        ("12345.67", "-1e15", "absurd_number"),
        ("12345.67", "1e15", "absurd_number"),
        ("12345.67", "9" * 60, "absurd_number"),
        ('"seq":12345', '"seq":-1', "absurd_number"),
        ('"seq":12345', '"seq":9223372036854775808', "absurd_number"),
        ('"seq":12345', '"seq":1e3', "wrong_type"),
        ('"seq":12345', '"seq":true', "wrong_type"),
        ('"status":3', '"status":"3"', "wrong_type"),
        ('{"import":12345.67,"export":0.5}', "7", "wrong_type"),
        ('{"import":12345.67,"export":0.5}', "[]", "wrong_type"),
    ],
)
def test_a_value_of_another_type_is_refused_with_its_place(old, new, code):
    payload = PLAIN.decode().replace(old, new)
    if code == "missing_field":
        refused = compiled(
            "read: {measured_at: {from: ts, time: epoch_ms}, "
            "energy_import: {from: energy.import, unit: kWh}}"
        ).refusal(payload)
        assert "`$.ts` is missing" in refused.detail
    else:
        refused = METER.refusal(payload)
        assert "`$." in refused.detail
    assert refused.reason == code


def test_a_number_as_text_is_refused_with_the_way_out():
    refused = METER.refusal(PLAIN.decode().replace("12345.67", '"12345.67"'))
    assert refused.detail == (
        "`$.energy.import` is a text, expected a number; "
        "'text: true' in the profile if the device sends its numbers as text"
    )


def test_a_payload_over_the_bound_is_not_even_parsed():
    assert reason(b'{"x":"' + b"a" * 10 * MAX_BYTES + b'"}') == "too_large"
    assert reason(b"{" * (MAX_BYTES + 1)) == "too_large"


def test_a_profile_may_set_the_bound():
    small = compile_json(METER.shape, len(PLAIN))
    assert small(PLAIN).f0 == "periodic"
    with pytest.raises(DecodeError, match="too_large") as refused:
        small(PLAIN + b" ")
    assert str(len(PLAIN) + 1) in refused.value.detail


@pytest.mark.parametrize("depth", [1_000, 100_000])
@pytest.mark.parametrize(
    "frame", ["{deep}", '{{"type":{deep}}}', '{{"energy":{deep}}}', '{{{base},"x":{deep}}}']
)
@pytest.mark.parametrize("marks", [("[", "", "]"), ('{"a":', "1", "}")], ids=["arrays", "objects"])
def test_deep_nesting_is_refused_not_followed(depth, frame, marks):
    opening, inside, closing = marks
    deep = opening * depth + inside + closing * depth
    assert reason(frame.format(deep=deep, base=BASE).encode()) == "too_deep"


def test_a_million_digits_take_no_more_than_text_of_their_length():
    def taken(value: str) -> float:
        payload = f'{{{BASE},"x":{value}}}'.encode()
        started = time.perf_counter()
        METER.decode(payload)
        return time.perf_counter() - started

    digits, text = "0." + "9" * 1_000_000, '"' + "9" * 1_000_001 + '"'
    # Reading digits into an integer of any size would be thousands of times a text's copy.
    assert min(taken(digits) for _ in range(5)) < 200 * min(taken(text) for _ in range(5))
    assert reason(f'{{{BASE},"x":{"9" * 1_000_000}}}'.encode()) == "absurd_number"


# -- no key twice --------------------------------------------------------------------------------

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
)
names = st.sampled_from(
    [
        "type",
        "ts",
        "seq",
        "energy",
        "import",
        "export",
        "voltage",
        "L1",
        "alarms",
        "status",
        "x",
        "",
    ]
) | st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=5),
    max_leaves=12,
)


def written(document, insert, counter, escape):
    """JSON text; into the object of number ``insert`` its first key goes a second time."""
    if isinstance(document, list):
        return "[" + ",".join(written(item, insert, counter, escape) for item in document) + "]"
    if not isinstance(document, dict):
        return json.dumps(document, ensure_ascii=False)
    pairs = []
    mine = counter["objects"]
    counter["objects"] += 1
    for key, value in document.items():
        pairs.append((json.dumps(key), written(value, insert, counter, escape)))
    if mine == insert["object"] and pairs:
        key = pairs[insert["key"] % len(pairs)][0]
        if escape and len(json.loads(key)) == 1 and ord(json.loads(key)) < 0x10000:
            key = f'"\\u{ord(json.loads(key)):04x}"'
        pairs.insert(insert["at"] % (len(pairs) + 1), (key, json.dumps(insert["value"])))
        counter["inserted"] = True
    return "{" + ",".join(f"{key}:{value}" for key, value in pairs) + "}"


@settings(max_examples=200)
@given(
    known=st.booleans(),
    document=st.dictionaries(names, documents, min_size=1, max_size=5),
    insert=st.fixed_dictionaries(
        {
            "object": st.integers(0, 6),
            "key": st.integers(0, 9),
            "at": st.integers(0, 9),
            "value": scalars,
        }
    ),
    escape=st.booleans(),
)
def test_a_key_that_stands_twice_at_any_depth_is_found(known, document, insert, escape):
    whole = {**json.loads(PLAIN), **document} if known else document
    counter = {"objects": 0, "inserted": False}
    text = written(whole, insert, counter, escape).encode()
    if counter["inserted"]:
        assert reason(text) == "duplicate_key"
        assert reason(text, CONTROLLER) == "duplicate_key"
    else:
        try:
            METER.decode(text)
        except DecodeError as error:
            assert error.reason != "duplicate_key"  # noqa: PT017 - both outcomes are allowed


@pytest.mark.parametrize(
    "payload",
    [
        f'{{{BASE},"seq":12346}}',
        f'{{{BASE},"seq":12345}}',
        f'{{{BASE},"energy":{{}}}}',
        f'{{{BASE},"energy":null}}',
        f'{{{BASE},"status":null}}',
        f'{{{BASE},"power":null,"power":{{"active":1}}}}',
        f'{{{BASE},"frequency":null,"frequency":50}}',
        f'{{{BASE},"frequency":50,"frequency":null}}',
        f'{{{BASE},"alarms":null,"alarms":null}}',
        f'{{{BASE},"s\\u0065q":12346}}',
        f'{{{BASE},"x":[{{"a":1}},{{"a":1,"a":2}}]}}',
        f'{{{BASE},"":1,"":2}}',
        f'{{"type":"alarm",{BASE}}}',
    ],
)
def test_the_proof_by_quotation_marks_lets_none_of_these_through(payload):
    assert reason(payload.encode()) == "duplicate_key"


@settings(max_examples=200)
@given(
    payload=st.binary(max_size=200)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=100).map(str.encode)
    | documents.map(lambda document: json.dumps(document).encode())
    | st.dictionaries(names, documents).map(
        lambda document: json.dumps({**json.loads(PLAIN), **document}).encode()
    )
)
def test_any_bytes_give_readings_or_a_decode_error(payload):
    for plan in (METER, CONTROLLER):
        try:
            plan.read(payload)
        except DecodeError as error:
            assert error.detail  # noqa: PT017 - both outcomes are allowed


@settings(max_examples=200)
@given(start=st.integers(0, len(PLAIN)), length=st.integers(0, 12), patch=st.binary(max_size=12))
def test_any_damage_to_a_good_message_gives_readings_or_a_decode_error(start, length, patch):
    payload = PLAIN[:start] + patch + PLAIN[start + length :]
    try:
        METER.read(payload)
    except DecodeError as error:
        assert error.detail  # noqa: PT017 - both outcomes are allowed
