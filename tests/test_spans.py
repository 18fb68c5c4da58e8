"""What each byte of a payload is for: told by changing it, whatever decoder reads it."""

import pytest

from gateway.cases import default_topic, payload_of
from gateway.deciding import Decider
from gateway.decode.compile import compile_parser
from gateway.decode.document import Context
from gateway.errors import DecodeError
from gateway.profiles import ProfileSet, load_profiles
from gateway.profiles.binary import Binary
from gateway.spans import TRACED, Seal, Span, leaves, seals_of, spans_of, unsealed
from gateway.times import nanoseconds
from gateway.trace import bytes_of, document_of, trace
from tests.compiled import PROFILES

LAYOUT = Binary.model_validate(
    {
        "format": "binary",
        "seq": [
            {"contents": [0x68]},
            {"id": "count", "type": "u1"},
            {"id": "volumes", "type": "u2", "repeat": "expr", "repeat-expr": "count"},
            {"type": "skip", "size": 2},
            {"id": "flags", "type": "b4"},
            {"id": "level", "type": "b4"},
            {"type": "checksum", "algorithm": "crc16-modbus", "endian": "le"},
        ],
    }
)
FRAME = bytes.fromhex("6802 0010 0020 ffff a5")


def sealed(frame: bytes) -> bytes:
    from gateway.decode.checksums import CHECKSUMS  # noqa: PLC0415 - of this one test

    return frame + CHECKSUMS["crc16-modbus"](frame).to_bytes(2, "little")


def test_every_byte_of_a_layout_is_told_its_purpose():
    parse = compile_parser(unsealed(LAYOUT), PROFILES)
    spans = spans_of(sealed(FRAME), lambda payload: parse(payload, Context()))
    assert [(span.start, len(span.data), span.what, span.places) for span in spans] == [
        (0, 2, "structure", ()),
        (2, 2, "value", ("volumes[0]",)),
        (4, 2, "value", ("volumes[1]",)),
        (6, 2, "unread", ()),
        (8, 1, "value", ("flags", "level")),
        (9, 2, "checksum", ()),
    ]


def test_a_checksum_that_the_decoder_judges_is_made_anew():
    def parse(payload: bytes) -> dict[str, int]:
        if payload[2] != (payload[0] + payload[1]) & 0xFF:
            raise DecodeError("bad_checksum", "")
        return {"a": payload[0]}

    seal = Seal(0, 2, 2, 1, lambda data: sum(data) & 0xFF)
    assert spans_of(b"\x01\x02\x03", parse, [seal]) == [
        Span(0, b"\x01", "value", ("a",)),
        Span(1, b"\x02", "unread", ()),
        Span(2, b"\x03", "checksum", ()),
    ]
    assert {span.what for span in spans_of(b"\x01\x02\x03", parse)} == {"structure"}


def test_an_echo_of_the_payload_tells_nothing_of_a_byte():
    spans = spans_of(bytes(100), lambda payload: {"raw": payload.hex(), "a": payload[7]})
    assert [(span.start, span.what) for span in spans] == [
        (0, "unread"), (7, "value"), (8, "unread"),
    ]  # fmt: skip


def test_leaves_are_named_as_a_profile_names_them():
    document = {"a": {"b": [1, {"c": None, "d": "x"}]}, "e": False}
    assert dict(leaves(document)) == {"a.b[0]": 1, "a.b[1].d": "x", "e": False}
    assert dict(leaves(5)) == {"$": 5}


def cases():
    found = load_profiles([PROFILES])
    for profile in found.profiles.values():
        name = getattr(profile.model.decode, "format", "json")
        if name not in TRACED:
            continue
        case = next((c for c in profile.model.tests if c.quarantine is None), None)
        if case is not None and not case.parameters:
            yield pytest.param(
                ProfileSet({profile.name: profile}, found.bases), case, id=profile.name
            )


@pytest.mark.parametrize(("profiles", "case"), list(cases()))
def test_of_each_profile_of_bytes_every_quantity_is_traced_to_its_bytes(profiles, case):
    (profile,) = profiles.profiles.values()
    decider = Decider(profiles, {}, {}, registry_known=False)
    topic, payload = case.topic or default_topic(profile), payload_of(profile, case)
    plan, levels = decider.route(topic)[0]
    received = nanoseconds(case.received_at)
    context = Context(topic, received, levels)
    traced = trace(plan, document_of(plan, payload, context), levels, received)
    spans = bytes_of(plan, payload, context)
    at = 0
    for span in spans:
        assert span.start == at
        at += len(span.data)
    known = {
        place for span in spans if span.what in {"value", "structure"} for place in span.places
    }
    assert traced
    for each in traced:
        for origin in each.origins:
            if origin.name in each.reading.quantities:
                assert known & set(origin.place.split(", ")), origin


@pytest.mark.parametrize(
    ("name", "frame", "at"),
    [
        ("dlt645", "fefe6861010000000068910833333433593333338a16", [(20, 1)]),
        ("dlt645", "6861010000000068910833333433593333338a", []),
        ("mbus", "6803036808057285ff16", []),
        ("mbus", "680303680805727f16", [(7, 1)]),
        ("cjt188", "68107833001122334481 03 1f9000 0016".replace(" ", ""), [(14, 1)]),
        ("dsmr", b"/X\r\n\r\n!ABCD\r\n".hex(), [(7, 4)]),
        ("dsmr", b"/X\r\n\r\n!\r\n".hex(), []),
        ("wmbus", "00" * 30, []),
        ("json", "7b7d", []),
    ],
)
def test_checksums_are_found_where_the_frame_has_them(name, frame, at):
    assert [(seal.at, seal.width) for seal in seals_of(name, bytes.fromhex(frame))] == at


@pytest.mark.parametrize("size", [1, 2_048, 4_096, 65_536, 4_000_000])
def test_what_is_tried_of_a_long_payload_costs_no_more_than_of_a_short_one(size):
    decoded = []

    def parse(payload):
        decoded.append(len(payload))
        return {"first": payload[0]}

    spans = spans_of(bytes(size), parse)
    assert sum(decoded) <= 10 * 1_024 * 2_048 + size
    assert [span.start for span in spans] == ([] if size > 2_097_152 else [0, 1][: len(spans)])
    assert sum(len(span.data) for span in spans) == min(size, 1_024, 1_024 * 2_048 // size)
