"""Sparkplug B: values by datatype, aliases by their births, deaths, refusals, and any bytes."""

import contextlib
import math
import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.decode.document import NO_PAYLOAD, Context
from gateway.decode.sparkplug import compile_sparkplug
from gateway.decode.sparkplug_births import MAX_BIRTHS, Birth, Births
from gateway.errors import DecodeError
from gateway.profiles.formats import Sparkplug
from tests import sparkplug_encoding as wire
from tests.sparkplug_encoding import metric, payload

NOW = 1_780_000_000_000
SETTINGS = Sparkplug(format="sparkplug")


class Line:
    """Messages of one ledger, one after another."""

    def __init__(self):
        self.parse = compile_sparkplug(SETTINGS)
        self.offset = 0

    def __call__(self, topic: str, said: bytes, offset=None):
        self.offset += 1
        at = self.offset if offset is None else offset
        return self.parse(said, Context(topic=topic, offset=at))

    def refused(self, topic: str, said: bytes, offset=None) -> DecodeError:
        with pytest.raises(DecodeError) as refused:
            self(topic, said, offset)
        return refused.value


@pytest.fixture
def line() -> Line:
    return Line()


def topic(kind: str, device="M7", node="edge") -> str:
    return f"spBv1.0/plant/{kind}/{node}" + (f"/{device}" if kind[0] == "D" else "")


def value_of(datatype: int, value, **more):
    said = payload(metric("x", datatype, value, **more), time=NOW)
    return Line()(topic("DBIRTH"), said)["metrics"].get("x")


# -- the document ----------------------------------------------------------------------------------


def test_a_birth_names_its_metrics_and_data_refers_to_them_by_alias(line):
    birth = line(
        topic("DBIRTH"),
        payload(
            metric("Energy/Import", wire.DOUBLE, 1234.5, alias=11, time=NOW - 5),
            metric("Voltage", wire.FLOAT, 230.1, alias=12, time=NOW),
            metric("Model", wire.STRING, "E7"),
            time=NOW,
            seq=1,
        ),
    )
    known = {"Energy/Import": wire.DOUBLE, "Voltage": wire.FLOAT, "Model": wire.STRING}
    assert birth == {
        "type": "DBIRTH", "group": "plant", "node": "edge", "device": "M7", "time": NOW, "seq": 1,
        "known": known,
        "metrics": {"Energy/Import": 1234.5, "Voltage": 230.1, "Model": "E7"},
        "samples": [
            {"time": NOW - 5, "quality": "good", "historical": False,
             "metrics": {"Energy/Import": 1234.5}, "folders": {"Energy": True}},
            {"time": NOW, "quality": "good", "historical": False,
             "metrics": {"Voltage": 230.1, "Model": "E7"}, "folders": {}},
        ],
    }  # fmt: skip
    data = line(
        topic("DDATA"),
        payload(metric(None, wire.FLOAT, 231.4, alias=12, shown=False), time=NOW + 60_000, seq=2),
    )
    assert data == {
        "type": "DDATA", "group": "plant", "node": "edge", "device": "M7", "time": NOW + 60_000,
        "seq": 2, "known": known, "metrics": {"Voltage": 231.4},
        "samples": [{"time": NOW + 60_000, "quality": "good", "historical": False,
                     "metrics": {"Voltage": 231.4}, "folders": {}}],
    }  # fmt: skip


def test_a_nodes_own_messages_have_its_name_for_the_device(line):
    said = payload(metric("bdSeq", wire.INT64, 7), metric("Power", wire.INT32, -5), time=NOW, seq=0)
    birth = line(topic("NBIRTH"), said)
    assert birth["device"] == birth["node"] == "edge"
    assert birth["bd_seq"] == 7
    assert birth["metrics"] == {"bdSeq": 7, "Power": -5}


@pytest.mark.parametrize(
    ("kind", "metrics"),
    [
        ("NDEATH", [metric("bdSeq", wire.INT64, 7)]),
        ("DDEATH", []),
        ("NCMD", [metric("Node Control/Rebirth", wire.BOOLEAN, True)]),
        ("DCMD", [metric("Valve", wire.BOOLEAN, True)]),
        ("NBIRTH", [metric("bdSeq", wire.INT64, 7),
                    metric("Node Control/Rebirth", wire.BOOLEAN, False, alias=1)]),
        ("NDATA", [metric(None, wire.BOOLEAN, False, alias=1)]),
        ("DDATA", []),
    ],
)  # fmt: skip
def test_what_measures_nothing_is_left_out(line, kind, metrics):
    line.refused(
        topic("NBIRTH"), payload(metric("Node Control/Rebirth", wire.BOOLEAN, False, alias=1))
    )
    assert line.refused(topic(kind), payload(*metrics, time=NOW)).reason == NO_PAYLOAD


def test_history_and_quality_stand_in_samples_of_their_own(line):
    line(topic("DBIRTH"), payload(metric("a", wire.INT32, 1), metric("b", wire.INT32, 2), time=NOW))
    data = line(
        topic("DDATA"),
        payload(
            metric("a", wire.INT32, 10, time=NOW - 2000, historical=True),
            metric("a", wire.INT32, 11, time=NOW - 1000, historical=True),
            metric("a", wire.INT32, 12),
            metric("b", wire.INT32, 20, quality=192),
            metric("c", wire.INT32, 30, quality=500),
            metric("d", wire.INT32, 40, quality=0),
            metric("a", wire.INT32, 13),
            metric("e", wire.INT32, null=True),
            metric("f", wire.FLOAT, math.nan),
            time=NOW,
        ),
    )
    assert data["metrics"] == {"a": 13, "b": 20, "c": 30, "d": 40}
    good = {"quality": "good", "folders": {}}
    bad = {"quality": "questionable", "folders": {}}
    assert data["samples"] == [
        {**good, "time": NOW - 2000, "historical": True, "metrics": {"a": 10}},
        {**good, "time": NOW - 1000, "historical": True, "metrics": {"a": 11}},
        {**good, "time": NOW, "historical": False, "metrics": {"a": 12, "b": 20}},
        {**bad, "time": NOW, "historical": False, "metrics": {"c": 30, "d": 40}},
        {**good, "time": NOW, "historical": False, "metrics": {"a": 13}},
    ]


# -- values ----------------------------------------------------------------------------------------

RANGES = {
    wire.INT8: (-(2**7), 2**7 - 1), wire.INT16: (-(2**15), 2**15 - 1),
    wire.INT32: (-(2**31), 2**31 - 1), wire.INT64: (-(2**63), 2**63 - 1), wire.UINT8: (0, 2**8 - 1),
    wire.UINT16: (0, 2**16 - 1), wire.UINT32: (0, 2**32 - 1), wire.UINT64: (0, 2**64 - 1),
    wire.DATETIME: (0, 2**63),
}  # fmt: skip


@pytest.mark.parametrize(("datatype", "bounds"), RANGES.items())
def test_whole_numbers_are_read_by_their_datatype(datatype, bounds):
    @given(number=st.integers(*bounds))
    def reads(number):
        assert value_of(datatype, number) == number

    reads()
    assert value_of(datatype, bounds[0]) == bounds[0]
    assert value_of(datatype, bounds[1]) == bounds[1]


@pytest.mark.parametrize(
    ("datatype", "raw", "told"),
    [
        (wire.INT8, 0xFF, -1),
        (wire.INT8, 0xFFFFFF80, -128),
        (wire.INT16, 0xFFFF, -1),
        (wire.INT16, 0xFFFF8000, -32768),
        (wire.INT32, 0x80000000, -(2**31)),
    ],
)
def test_a_sign_is_extended_or_not(datatype, raw, told):
    said = wire.text(1, "x") + wire.number(4, datatype) + wire.number(10, raw)
    assert Line()(topic("DBIRTH"), payload(said))["metrics"] == {"x": told}


def test_a_sign_is_extended_to_64_bits_too():
    said = wire.text(1, "x") + wire.number(4, wire.INT32) + wire.number(11, -5)
    assert Line()(topic("DBIRTH"), payload(said))["metrics"] == {"x": -5}


@given(number=st.floats(-(2.0**100), 2.0**100, width=32))
def test_floats_are_the_shortest_decimals_that_are_they(number):
    got = value_of(wire.FLOAT, number)
    assert struct.pack("<f", got) == struct.pack("<f", number)
    assert len(repr(abs(got)).replace(".", "").strip("0").split("e")[0]) <= 9


@pytest.mark.parametrize("shown", [0.1, 230.1, 12.3, 1e-3, 99999.9, 16777216.0])
def test_a_decimal_that_was_shown_is_read_again(shown):
    assert value_of(wire.FLOAT, shown) == shown


@given(number=st.floats(allow_nan=False, allow_infinity=False))
def test_doubles_are_as_they_were(number):
    assert value_of(wire.DOUBLE, number) == number


@pytest.mark.parametrize(
    ("datatype", "value", "told"),
    [
        (wire.BOOLEAN, True, True),
        (wire.BOOLEAN, False, False),
        (wire.STRING, "水 é", "水 é"),
        (wire.STRING, "", ""),
        (wire.TEXT, "a", "a"),
        (wire.UUID, "5c3a", "5c3a"),
        (wire.BYTES, b"\x00\xff", "00ff"),
        (wire.FILE, b"", ""),
        (wire.DOUBLE, math.nan, None),
        (22, struct.pack("<3b", 1, -1, -128), [1, -1, -128]),
        (23, struct.pack("<2h", 1, -300), [1, -300]),
        (24, struct.pack("<i", -70000), [-70000]),
        (25, struct.pack("<q", -(2**40)), [-(2**40)]),
        (26, b"\x00\xff", [0, 255]),
        (27, struct.pack("<H", 65535), [65535]),
        (28, struct.pack("<I", 2**31), [2**31]),
        (29, struct.pack("<Q", 2**64 - 1), [2**64 - 1]),
        (30, struct.pack("<2f", 230.1, math.nan), [230.1, None]),
        (31, struct.pack("<d", 0.1), [0.1]),
        (32, b"\x0c\x00\x00\x00\x81\xf0", [True] + [False] * 6 + [True] * 5),
        (32, b"\x00\x00\x00\x00", []),
        (33, b"ab\x00\x00", ["ab", ""]),
        (34, struct.pack("<Q", NOW), [NOW]),
    ],
)
def test_other_datatypes(datatype, value, told):
    assert value_of(datatype, value) == told


def test_a_data_set_is_a_list_of_rows():
    columns = {"name": wire.STRING, "kWh": wire.DOUBLE, "count": wire.INT8}
    said = wire.data_set(columns, ("L1", 1.5, -1), ("L2", None, 2))
    assert value_of(wire.DATASET, said) == [
        {"name": "L1", "kWh": 1.5, "count": -1}, {"name": "L2", "count": 2},
    ]  # fmt: skip


def test_a_template_is_a_mapping():
    phase = wire.template(metric("U", wire.FLOAT, 230.5), metric("I", wire.FLOAT, null=True))
    meter = wire.template(metric("Energy", wire.INT64, 5), metric("L1", wire.TEMPLATE, phase))
    assert value_of(wire.TEMPLATE, meter) == {"Energy": 5, "L1": {"U": 230.5}}


# -- births ----------------------------------------------------------------------------------------


def birth_of(**aliases) -> bytes:
    return payload(*(metric(name, wire.INT32, 0, alias=n) for name, n in aliases.items()), time=NOW)


def data_by(alias: int, value=5) -> bytes:
    return payload(metric(None, wire.INT32, value, alias=alias, shown=False), time=NOW)


def test_data_without_a_birth_before_it_is_refused(line):
    refused = line.refused(topic("DDATA"), data_by(3))
    assert refused.reason == "missing_field"
    assert refused.detail == (
        "no birth of plant/edge/M7 was seen before this message, so nobody knows what alias 3 is; "
        "ask the node for a rebirth"
    )


def test_data_by_name_and_datatype_needs_no_birth(line):
    data = line(topic("DDATA"), payload(metric("a", wire.INT32, -5), time=NOW))
    assert data["metrics"] == {"a": -5}
    assert data["known"] == {}


def test_a_whole_number_whose_datatype_nobody_tells_is_refused(line):
    refused = line.refused(topic("DDATA"), payload(metric("a", wire.INT32, -5, shown=False)))
    assert refused.reason == "missing_field"
    assert refused.detail.startswith("nobody tells the datatype of 'a'")
    told = line(topic("DDATA"), payload(metric("a", wire.FLOAT, 1.5, shown=False)))
    assert told["metrics"] == {"a": 1.5}


def test_an_alias_that_the_birth_does_not_name_is_refused(line):
    line(topic("DBIRTH"), birth_of(a=3))
    refused = line.refused(topic("DDATA"), data_by(4))
    assert refused.reason == "missing_field"
    assert refused.detail == "the birth of plant/edge/M7 before this message does not name alias 4"


def test_each_node_and_device_has_aliases_of_its_own(line):
    line(topic("NBIRTH"), birth_of(node=1))
    line(topic("DBIRTH", "A"), birth_of(a=1))
    line(topic("DBIRTH", "B"), birth_of(b=1))
    line(topic("NBIRTH", node="other"), birth_of(other=1))
    assert line(topic("NDATA"), data_by(1))["metrics"] == {"node": 5}
    assert line(topic("DDATA", "A"), data_by(1))["metrics"] == {"a": 5}
    assert line(topic("DDATA", "B"), data_by(1))["metrics"] == {"b": 5}
    assert line(topic("NDATA", node="other"), data_by(1))["metrics"] == {"other": 5}


def test_a_new_birth_changes_what_an_alias_is(line):
    line(topic("DBIRTH"), birth_of(a=1, b=2))
    line(topic("DBIRTH"), birth_of(b=1, a=2))
    assert line(topic("DDATA"), data_by(1))["metrics"] == {"b": 5}


def test_a_nodes_birth_ends_its_devices_until_they_are_born_again(line):
    line(topic("NBIRTH"), birth_of(node=1))
    line(topic("DBIRTH"), birth_of(a=1))
    line(topic("NBIRTH"), birth_of(node=1))
    assert line.refused(topic("DDATA"), data_by(1)).reason == "missing_field"
    line(topic("DBIRTH"), birth_of(a=1))
    assert line(topic("DDATA"), data_by(1))["metrics"] == {"a": 5}


@pytest.mark.parametrize("kind", ["DDEATH", "NDEATH"])
def test_after_a_death_there_is_no_birth(line, kind):
    line(topic("NBIRTH"), birth_of(node=1))
    line(topic("DBIRTH"), birth_of(a=1))
    line.refused(topic(kind), payload(time=NOW))
    assert line.refused(topic("DDATA"), data_by(1)).reason == "missing_field"
    if kind == "NDEATH":
        assert line.refused(topic("NDATA"), data_by(1)).reason == "missing_field"
    else:
        assert line(topic("NDATA"), data_by(1))["metrics"] == {"node": 5}


def test_the_late_will_of_a_session_before_ends_nothing(line):
    def born(bd_seq):
        return payload(metric("bdSeq", wire.INT64, bd_seq), metric("p", wire.INT32, 0, alias=1))

    def will(bd_seq):
        return payload(metric("bdSeq", wire.INT64, bd_seq))

    line(topic("NBIRTH"), born(4))
    line(topic("NBIRTH"), born(5))
    line.refused(topic("NDEATH"), will(4))
    assert line(topic("NDATA"), data_by(1))["metrics"] == {"p": 5}
    line.refused(topic("NDEATH"), will(5))
    assert line.refused(topic("NDATA"), data_by(1)).reason == "missing_field"


def test_a_birth_that_cannot_be_read_ends_the_one_before(line):
    line(topic("DBIRTH"), birth_of(a=1))
    assert line.refused(topic("DBIRTH"), birth_of(b=1)[:-1]).reason == "unparseable"
    assert line.refused(topic("DDATA"), data_by(1)).reason == "missing_field"


def test_a_birth_with_one_wrong_value_still_names_its_metrics(line):
    wrong = metric("a", wire.FLOAT, math.inf, alias=1), metric("b", wire.INT32, 0, alias=2)
    assert line.refused(topic("DBIRTH"), payload(*wrong)).reason == "absurd_number"
    assert line(topic("DDATA"), data_by(2))["metrics"] == {"b": 5}


def test_a_message_read_again_is_read_by_the_birth_before_it(line):
    line(topic("DBIRTH"), birth_of(a=1), offset=10)
    line(topic("DBIRTH"), birth_of(b=1), offset=20)
    assert line(topic("DDATA"), data_by(1), offset=15)["metrics"] == {"a": 5}
    assert line(topic("DDATA"), data_by(1), offset=25)["metrics"] == {"b": 5}
    assert line.refused(topic("DDATA"), data_by(1), offset=5).reason == "missing_field"


def test_an_older_birth_read_again_does_not_hide_the_newer(line):
    line(topic("DBIRTH"), birth_of(b=1), offset=20)
    line(topic("DBIRTH"), birth_of(a=1), offset=10)
    assert line(topic("DDATA"), data_by(1), offset=25)["metrics"] == {"b": 5}
    assert line(topic("DDATA"), data_by(1), offset=15)["metrics"] == {"a": 5}


def test_births_beyond_what_is_remembered_are_refused_and_never_guessed(line):
    for n in range(1, MAX_BIRTHS + 3):
        line(topic("DBIRTH"), birth_of(**{f"m{n}": 1}), offset=10 * n)
    assert line.refused(topic("DDATA"), data_by(1), offset=15).reason == "missing_field"
    assert line(topic("DDATA"), data_by(1), offset=999)["metrics"] == {f"m{MAX_BIRTHS + 2}": 5}


NAMES = st.sampled_from(["a", "b", "c"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("NBIRTH"), st.dictionaries(NAMES, st.integers(0, 4))),
        st.tuples(st.just("DBIRTH"), st.dictionaries(NAMES, st.integers(0, 4))),
        st.tuples(st.just("NDEATH"), st.just({})),
        st.tuples(st.just("DDEATH"), st.just({})),
    ),
    max_size=12,
)


def run(steps, line):
    for kind, aliases in steps:
        said = birth_of(**aliases) if kind.endswith("BIRTH") else payload(time=NOW)
        with contextlib.suppress(DecodeError):
            line(topic(kind), said)


def answers(line):
    found = []
    for kind in ("NDATA", "DDATA"):
        for alias in range(5):
            try:
                found.append(line(topic(kind), data_by(alias), offset=10_000)["metrics"])
            except DecodeError as refused:
                found.append(refused.detail)
    return found


@given(steps=STEPS, cut=st.integers(0, 12))
def test_a_snapshot_and_the_messages_after_it_give_what_all_messages_give(steps, cut):
    whole, first, second = Line(), Line(), Line()
    run(steps, whole)
    run(steps[:cut], first)
    kept = msgspec.msgpack.decode(msgspec.msgpack.encode(first.parse.memory.kept()))
    second.parse.memory.take(kept)
    second.offset = first.offset
    assert second.parse.memory.kept() == first.parse.memory.kept()
    run(steps[cut:], second)
    assert answers(second) == answers(whole)
    assert second.parse.memory.kept() == whole.parse.memory.kept()


@pytest.mark.parametrize(
    "kept", [5, [[1]], [["n", [["", [[1, 2]]]]]], [["n", [["", [[1, None, 3, []]]]]]]]
)
def test_what_no_snapshot_kept_is_refused(kept):
    with pytest.raises(ValueError, match="births of Sparkplug nodes"):
        Births().take(kept)


def test_equal_births_are_kept_once():
    births = Births()
    for n in range(10):
        births.put("g/n", "", Birth(2 * n, n, {}, {}))
        births.put("g/n", "d", Birth(2 * n + 1, None, {1: "a"}, {"a": 3}))
    packed = msgspec.msgpack.encode(births.kept())
    assert packed.count(b"\xa1a") == 1


# -- refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        "spBv1.0/plant/NDATA", "spBv1.0/plant/NDATA/edge/M7", "spBv1.0/plant/DDATA/edge",
        "spBv1.0/plant/XDATA/edge", "spBv1.0/STATE/host", "spBv1.0//NDATA/edge", "a/b",
        "spAv1.0/plant/NDATA/edge", "spBv1.0/plant/DDATA/edge/M7/x", "",
    ],
)  # fmt: skip
def test_topics_of_something_else_are_refused(line, wrong):
    assert line.refused(wrong, payload()).reason == "missing_field"


def test_a_bridge_may_put_levels_before(line):
    said = payload(metric("a", wire.INT32, 1))
    assert line("site/7/spBv1.0/plant/NDATA/edge", said)["group"] == "plant"


def data_set_of(columns, *rows):
    return metric("x", wire.DATASET, wire.data_set(columns, *rows))


def nested(depth: int) -> bytes:
    said = wire.template(metric("U", wire.INT8, 1))
    for _ in range(depth):
        said = wire.template(metric("x", wire.TEMPLATE, said))
    return metric("x", wire.TEMPLATE, said)


@pytest.mark.parametrize(
    ("said", "reason", "words"),
    [
        (b"\x08", "unparseable", "no Sparkplug B payload (protobuf)"),
        (b"\x12\xff\xff\xff\xff\x0f", "unparseable", "no Sparkplug B payload (protobuf)"),
        (b"{}", "unparseable", "no Sparkplug B payload (protobuf)"),
        (payload(metric(alias=1)), "missing_field", "a birth has a metric without a name"),
        (payload(metric("a", 3, 1, alias=1), metric("b", 3, 1, alias=1)), "duplicate_key",
         "the alias 1 stands for 'a' and 'b'"),
        (payload(metric("x", 99, b"")), "wrong_type", "'x' has datatype 99 and comes as"),
        (payload(wire.text(1, "x") + wire.number(4, 9) + wire.number(10, 5)), "wrong_type",
         "'x' has datatype 9 and comes as int_value"),
        (payload(wire.text(1, "x") + wire.number(4, wire.UINT8) + wire.number(10, 256)),
         "wrong_type", "'x' is 256, beyond a number of 8 bits"),
        (payload(wire.text(1, "x") + wire.number(4, wire.INT8) + wire.number(10, 300)),
         "wrong_type", "'x' is 300, beyond a number of 8 bits"),
        (payload(metric("x", wire.FLOAT, math.inf)), "absurd_number", "'x' is inf"),
        (payload(wire.octets(1, b"\xff")), "unparseable", "a metric's name is no UTF-8"),
        (payload(wire.text(1, "x") + wire.number(4, 12) + wire.octets(15, b"\xff")), "unparseable",
         "'x' is no UTF-8"),
        (payload(metric("x", 23, b"\0")), "wrong_type", "'x': 1 bytes are no array of 2 bytes"),
        (payload(metric("x", 32, b"\x09\0\0\0\0")), "wrong_type", "'x': 09 00 00 00 00 begins no"),
        (payload(metric("x", 32, b"\xff\xff\xff\xff")), "wrong_type", "'x': ff ff ff ff begins no"),
        (payload(metric("x", 33, b"a")), "wrong_type", "'x': the last text of the array"),
        (payload(data_set_of({"a": 3, "b": 3}, (1,))), "wrong_type", "'x': a row has 1 elements"),
        (payload(data_set_of({"a": 3}, *[(1,)] * 10_001)), "too_large", "'x' has 10001 rows"),
        (payload(nested(5)), "too_deep", "'x': templates stand 5 deep"),
        (payload(metric("x", wire.TEMPLATE,
                        wire.template(metric("a", 3, 1), metric("a", 3, 2)))),
         "duplicate_key", "'x' has the metric 'a' twice"),
        (payload(*[b""] * 5001), "too_large", "5001 metrics, at most 5000"),
        (b"\0" * 300_000, "too_large", "payload of 300000 bytes"),
    ],
)  # fmt: skip
def test_a_refusal_says_where_and_what(line, said, reason, words):
    refused = line.refused(topic("DBIRTH"), said)
    assert refused.reason == reason
    assert refused.detail.startswith(words)
    assert len(refused.detail) < 300


LONG = "n" * 50_000


@pytest.mark.parametrize(
    "said",
    [
        payload(metric(LONG, wire.FLOAT, math.inf)),
        payload(metric(LONG, 3, 1, alias=1), metric(LONG + "x", 3, 1, alias=1)),
        payload(metric("x", wire.TEMPLATE, wire.template(*[metric(LONG, 3, 1)] * 2))),
        payload(metric("x", wire.DATASET, wire.data_set({LONG: wire.FLOAT}, (math.inf,)))),
    ],
)
def test_a_refusal_never_tells_a_long_name_whole(line, said):
    assert len(line.refused(topic("DBIRTH"), said).detail) < 300


def test_nor_a_long_topic(line):
    refused = line.refused(topic("NDATA", node=LONG), data_by(1))
    assert len(refused.detail) < 300


# -- any bytes -------------------------------------------------------------------------------------

KINDS = st.sampled_from(["NBIRTH", "NDATA", "NDEATH", "NCMD", "DBIRTH", "DDATA", "DDEATH"])
VALID = payload(
    metric("Energy", wire.DOUBLE, 5.5, alias=1, quality=192, time=NOW),
    metric("n", wire.INT16, -5, alias=2, historical=True),
    metric("s", wire.STRING, "é", null=True),
    metric("t", wire.TEMPLATE, wire.template(metric("U", wire.FLOAT, 1.5))),
    metric("d", wire.DATASET, wire.data_set({"a": 3, "b": 12}, (1, "x"), (2, "y"))),
    metric("f", 30, struct.pack("<2f", 1, 2)),
    metric("b", 32, b"\x03\0\0\0\xa0"),
    time=NOW,
    seq=5,
)
MUTATED = st.builds(
    lambda at, flip, cut: bytes(
        byte ^ (flip if i == at % len(VALID) else 0) for i, byte in enumerate(VALID[: cut or None])
    ),
    st.integers(0, 400), st.integers(1, 255), st.integers(0, len(VALID)),
)  # fmt: skip


@given(messages=st.lists(st.tuples(KINDS, st.one_of(MUTATED, st.binary(max_size=60))), max_size=4))
def test_any_bytes_give_a_document_or_a_refusal(messages):
    line = Line()
    for kind, said in messages:
        with contextlib.suppress(DecodeError):
            document = line(topic(kind), said)
            msgspec.json.encode(document)
    msgspec.msgpack.encode(line.parse.memory.kept())
