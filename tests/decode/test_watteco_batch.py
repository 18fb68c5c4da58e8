"""Batch reports of Watteco sensors, against an encoder written from the format's description."""

import itertools
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.decode.binary import compile_binary
from gateway.decode.document import Context
from gateway.decode.watteco_batch import read_batch
from gateway.errors import DecodeError
from gateway.profiles.binary import Binary

RECEIVED = 1_767_225_600
TABLE = (
    3,
    {
        0: ("count", 32, "u", 1),
        1: ("battery", 16, "u", 100),
        2: ("temperature", 16, "s", 10),
        5: ("state", 1, "b", 1),
    },
)
# Lengths of the codes for 0 to 14 bits and 'in full', and the codes themselves, by table.
CODES = [
    [(2, 0), (2, 1), (2, 3), (3, 5), (4, 9), (5, 17), (6, 33), (7, 65), (8, 129), (10, 512),
     (11, 1026), (11, 1027), (11, 1028), (11, 1029), (11, 1030), (11, 1031)],
    [(7, 111), (5, 26), (4, 12), (3, 3), (3, 7), (2, 2), (2, 0), (3, 2), (6, 54), (9, 443),
     (9, 441), (10, 885), (10, 884), (10, 880), (11, 1763), (11, 1762)],
    [(4, 9), (3, 5), (2, 0), (2, 1), (2, 3), (5, 17), (6, 33), (7, 65), (8, 129), (10, 512),
     (11, 1026), (11, 1027), (11, 1028), (11, 1029), (11, 1030), (11, 1031)],
]  # fmt: skip
FULL = 15


class Writer:
    """Bits, the lowest of a byte first."""

    def __init__(self):
        self.bits = []

    def number(self, value, size):
        sizes = ([size % 8] if size % 8 else []) + [8] * (size // 8)
        left = size
        for group in sizes:
            left -= group
            part = value >> left & (1 << group) - 1
            self.bits += [part >> bit & 1 for bit in range(group)]

    def code(self, table, which):
        length, code = CODES[table][which]
        self.bits += [code >> bit & 1 for bit in range(length - 1, -1, -1)]

    def time(self, table, before, now):
        """A time after another: as many bits as the step needs, or in full."""
        step = now - before
        size = (step + 1).bit_length() - 1
        if step < 0 or size > 14:
            self.code(table, FULL)
            self.number(now, 32)
        else:
            self.code(table, size)
            self.number(step - (1 << size) + 1, size)

    def bytes(self):
        padded = self.bits + [0] * (-len(self.bits) % 8)
        return bytes(
            sum(bit << at for at, bit in enumerate(padded[start : start + 8]))
            for start in range(0, len(padded), 8)
        )


def raw(value, bits, sort):
    if sort == "f":
        return struct.unpack(">I", struct.pack(">f", value))[0]
    return value & (1 << bits) - 1


def differ(out, series, coding, table, values):
    """A value after another."""
    before, now = values
    _, bits, sort, step = series
    steps, rest = divmod(now - before, step)
    steps = int(steps)
    size = abs(steps).bit_length()
    upwards = coding == 1 and steps > 0
    downwards = coding == 2 and steps < 0
    if coding != 0:
        size = (abs(steps) + 1).bit_length() - 1
    if rest or size > 14 or not (steps == 0 or coding == 0 or upwards or downwards):
        out.code(table, FULL)
        out.number(raw(now, bits, sort), bits)
        return
    out.code(table, size if steps else 0)
    if not steps:
        return
    if coding == 0:
        out.number(steps if steps > 0 else steps + (1 << size) - 1, size)
    else:
        out.number(abs(steps) - (1 << size) + 1, size)


def head(out, batch, table, flags):
    out.number(len(batch) << 4 | flags, 8)
    out.number(5, 3)
    out.number(0, 1)
    last = 0
    for tag, (coding, codes, _, samples) in batch.items():
        out.number(tag, table[0])
        time, value = samples[0]
        if last:
            out.time(1, last, time)
        else:
            out.number(time, 32)
        last = time
        _, bits, sort, _ = table[1][tag]
        out.number(raw(value, bits, sort), bits)
        if not flags & 4:
            out.number(coding, 2)
            out.number(codes, 2)
    return last


def sending(out, last, sent):
    if last:
        out.time(1, last, sent)
    else:
        out.number(sent, 32)
    return out.bytes()


def separate(batch, sent, table=TABLE):
    """Each series with times of its own."""
    out = Writer()
    last = head(out, batch, table, 0)
    for tag, (coding, codes, times, samples) in batch.items():
        out.number(tag, table[0])
        out.number(len(samples) - 1, 8)
        if len(samples) > 1:
            out.number(times, 2)
        for (time, value), (now, new) in itertools.pairwise(samples):
            out.time(times, time, now)
            differ(out, table[1][tag], coding, codes, (value, new))
            last = max(last, now)
    return sending(out, last, sent)


def common(batch, sent, times_codes=0, table=TABLE):
    """All series on one list of times."""
    out = Writer()
    head(out, batch, table, 2)
    times = sorted({time for *_, samples in batch.values() for time, _ in samples})
    out.number(len(times), 8)
    out.number(times_codes, 2)
    out.code(times_codes, 0)
    for before, now in itertools.pairwise(times):
        out.time(times_codes, before, now)
    for tag, (coding, codes, _, samples) in batch.items():
        out.number(tag, table[0])
        there, before = dict(samples), samples[0][1]
        for time in times:
            out.number(time in there, 1)
            if time == samples[0][0]:
                out.code(codes, 0)
            elif time in there:
                differ(out, table[1][tag], coding, codes, (before, there[time]))
                before = there[time]
    return sending(out, times[-1], sent)


def told(batch, sent, table=TABLE):
    document = {"counter": 5}
    for tag, (*_, samples) in batch.items():
        document[table[1][tag][0]] = [
            {"time": RECEIVED - sent + time, "value": value} for time, value in samples
        ]
    return document


BATCH = {
    0: (1, 2, 1, [(3600, 100), (7200, 101), (10800, 101), (14400, 5000), (18000, 4_000_000_000)]),
    1: (2, 0, 0, [(3900, 3600), (10900, 3500), (17900, 3500)]),
    2: (0, 1, 2, [(4000, -50), (4010, -60), (4011, 200), (300_000, 197)]),
    5: (0, 0, 0, [(4000, 1), (4000, 0)]),
}


def test_series_with_times_of_their_own():
    payload = separate(BATCH, 300_100)
    assert read_batch(payload, TABLE, RECEIVED, "batch") == told(BATCH, 300_100)


def test_series_on_one_list_of_times():
    batch = {
        0: (1, 0, 0, [(3600, 7), (7200, 9), (10800, 9)]),
        2: (0, 2, 0, [(3600, 210), (10800, 190)]),
    }
    for codes in range(3):
        payload = common(batch, 10_805, codes)
        assert read_batch(payload, TABLE, RECEIVED, "batch") == told(batch, 10_805)


def test_first_values_alone():
    out = Writer()
    batch = {1: (0, 0, 0, [(60, 3600)]), 0: (0, 0, 0, [(70, 3)])}
    last = head(out, batch, TABLE, 4)
    assert read_batch(sending(out, last, 75), TABLE, RECEIVED, "batch") == told(batch, 75)


def test_floats():
    table = (1, {1: ("volts", 32, "f", 0.5)})
    batch = {1: (0, 0, 0, [(60, 12.25), (120, 13.75), (180, 12.75)])}
    payload = separate(batch, 181, table)
    assert read_batch(payload, table, RECEIVED, "batch") == told(batch, 181, table)


def counters(draw):
    times = draw(st.lists(st.integers(1, 2**31), min_size=1, max_size=12, unique=True))
    values = draw(st.lists(st.integers(0, 2**32 - 1), min_size=len(times), max_size=len(times)))
    return list(zip(sorted(times), values, strict=True))


@st.composite
def batches(draw):
    tags = draw(st.lists(st.sampled_from([0, 1, 2]), min_size=1, unique=True))
    batch = {}
    for tag in tags:
        _, bits, sort, _ = TABLE[1][tag]
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if sort == "s" else (0, (1 << bits) - 1)
        samples = [
            (time, min(max(value, low), high) if sort != "s" else value % (high + 1))
            for time, value in counters(draw)
        ]
        coding, codes, times = (draw(st.integers(0, 2)) for _ in range(3))
        batch[tag] = (coding, codes, times, samples)
    return batch


@given(batches(), st.booleans())
@settings(max_examples=200)
def test_whatever_is_sent_comes_back(batch, on_one_list):
    sent = max(time for *_, samples in batch.values() for time, _ in samples) + 9
    if on_one_list:
        first = {samples[0][0] for *_, samples in batch.values()}
        if len(first) > 1:  # the list begins with the first series' first time
            start = min(first)
            batch = {
                tag: (a, b, c, [(start, samples[0][1]), *samples[1:]])
                for tag, (a, b, c, samples) in batch.items()
            }
        payload = common(batch, sent)
    else:
        payload = separate(batch, sent)
    assert read_batch(payload, TABLE, RECEIVED, "batch") == told(batch, sent)


WHOLE = separate(BATCH, 300_100)


@given(
    st.binary(max_size=60)
    | st.builds(
        lambda at, bit: bytes(
            byte ^ (1 << bit if place == at else 0) for place, byte in enumerate(WHOLE)
        ),
        st.integers(0, len(WHOLE) - 1),
        st.integers(0, 7),
    )
)
@settings(max_examples=200)
def test_any_bytes_give_samples_or_a_refusal(payload):
    try:
        document = read_batch(payload, TABLE, RECEIVED, "batch")
    except DecodeError as error:
        refused = error
    else:
        refused = None
        assert document.pop("counter") < 8
        samples = itertools.chain.from_iterable(document.values())
        assert all(type(sample["time"]) is int for sample in samples)
    assert refused is None or refused.reason == "unparseable"


@pytest.mark.parametrize("end", range(len(WHOLE)))
def test_a_batch_that_is_cut_is_refused(end):
    with pytest.raises(DecodeError) as refused:
        read_batch(WHOLE[:end], TABLE, RECEIVED, "batch")
    assert refused.value.reason == "unparseable"


@pytest.mark.parametrize(
    ("payload", "detail"),
    [
        (WHOLE + b"\0", "bytes are left behind the last time"),
        ("1030", "tag 3 is none of 0: count, 1: battery, 2: temperature, 5: state"),
        ("", "8 bits are needed, 0 are left"),
    ],
)
def test_a_refusal_says_what_is_wrong(payload, detail):
    data = bytes.fromhex(payload) if isinstance(payload, str) else payload
    with pytest.raises(DecodeError, match=detail):
        read_batch(data, TABLE, RECEIVED, "batch")


SERIES = {
    0: {"id": "count", "type": "u4"},
    1: {"id": "battery", "type": "u2", "step": 100},
}
FIELD = {"id": "batch", "type": "batch", "size": "eos", "tag-bits": 3, "series": SERIES}
LAYOUT = {"format": "binary", "seq": [FIELD]}


def test_a_layout_reads_a_batch():
    parse = compile_binary(Binary.model_validate(LAYOUT))
    batch = {tag: BATCH[tag] for tag in (0, 1)}
    document = parse(separate(batch, 20_000), Context(received_at=RECEIVED * 10**9))
    assert document == {"batch": told(batch, 20_000)}


def test_a_layout_that_has_read_the_flags_hands_them_on():
    seq = [{"id": "_flags", "type": "u1"}, {**FIELD, "flags": "_flags"}]
    parse = compile_binary(Binary.model_validate({"format": "binary", "seq": seq}))
    batch = {tag: BATCH[tag] for tag in (0, 1)}
    document = parse(separate(batch, 20_000), Context(received_at=RECEIVED * 10**9))
    assert document == {"batch": told(batch, 20_000)}


@pytest.mark.parametrize(
    ("field", "detail"),
    [
        ({"id": "b", "type": "batch", "size": "eos"}, "'series' by tag, and 'tag-bits'"),
        ({key: FIELD[key] for key in FIELD if key != "size"}, "size"),
        ({"id": "b", "type": "u1", "tag-bits": 1}, "'tag_bits' has no meaning"),
        ({**FIELD, "tag-bits": 9}, "tag-bits"),
        ({**FIELD, "flags": "1.5"}, "no byte"),
        ({**FIELD, "series": {0: {"id": "count", "type": "u9"}}}, "type"),
        ({**FIELD, "series": {0: {"id": "count", "type": "u4", "step": 0}}}, "step"),
    ],
)
def test_a_mistaken_layout_is_told(field, detail):
    with pytest.raises(ValueError, match=detail):
        Binary.model_validate({"format": "binary", "seq": [field]})
