"""Captures: what is written is read back, and a damaged line is named."""

import base64
import gzip
import json
import time

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from gateway.capture import CHUNK_BYTES, CaptureError, CaptureReader, CaptureWriter
from gateway.errors import ConfigError

AT = 1_772_323_200_123_456_789
GOOD = {"received_at": "2026-03-01T00:00:00.123456789Z", "topic": "a/b", "payload": "x"}


def lines(*records):
    return b"".join(
        (record if isinstance(record, bytes) else json.dumps(record).encode()) + b"\n"
        for record in records
    )


def read(path, **options):
    reader = CaptureReader(path, **options)
    messages = []
    for batch in reader.batches():
        messages += zip(batch.topics, batch.payloads, batch.received_at, strict=True)
    return messages, reader


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "jsonl.zst"])
def test_what_is_written_is_read_back(tmp_path, suffix):
    path = tmp_path / f"capture.{suffix}"
    messages = [("a/b", b'{"x": 1}', AT), ("c/\u8868", b"\xff\x00", AT + 1), ("d", b"", AT + 2)]
    with CaptureWriter(path) as writer:
        writer.write(*zip(*messages, strict=True))
    assert read(path)[0] == messages


@given(st.lists(st.tuples(st.text(), st.binary(), st.integers(0, 2**63 - 1))))
def test_any_message_survives_a_capture(tmp_path_factory, messages):
    path = tmp_path_factory.mktemp("capture") / "c.jsonl"
    with CaptureWriter(path) as writer:
        for topic, payload, at in messages:
            writer.write([topic], [payload], [at])
    assert read(path)[0] == messages


def test_the_three_ways_to_write_a_payload_are_read(tmp_path):
    path = tmp_path / "c.jsonl"
    base = {"received_at": "2026-03-01T08:00:00+08:00", "topic": "t"}
    path.write_bytes(
        lines(
            base | {"payload": "Ä"},
            base | {"payload_base64": base64.b64encode(b"\x00\xff").decode()},
            base | {"payload_hex": "00fF"},
            base | {"payload_hex": "", "comment": "other keys do not matter"},
        )
    )
    assert [payload for _, payload, _ in read(path)[0]] == [
        "Ä".encode(),
        b"\x00\xff",
        b"\x00\xff",
        b"",
    ]


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (b"{", "truncated"),
        (b"[]", "object"),
        ({"topic": "t", "payload": "x"}, "received_at"),
        (GOOD | {"received_at": "yesterday"}, "RFC 3339"),
        (GOOD | {"payload_hex": "00"}, "exactly one of"),
        ({key: GOOD[key] for key in ("received_at", "topic")}, "got none"),
        (GOOD | {"payload": None}, "got none"),
        ({"received_at": GOOD["received_at"], "topic": "t", "payload_hex": "0g"}, "hexadecimal"),
        ({"received_at": GOOD["received_at"], "topic": "t", "payload_base64": "?"}, "base64"),
        (b'{"received_at":"2026-03-01T00:00:00Z","topic":"t","payload":"\xff"}', "utf-8"),
    ],
)
def test_a_bad_line_stops_with_its_number_after_the_lines_before_it(tmp_path, bad, why):
    path = tmp_path / "c.jsonl"
    path.write_bytes(lines(GOOD, b"", GOOD, bad, GOOD))
    seen = []
    with pytest.raises(CaptureError) as caught:
        seen.extend(CaptureReader(path).batches())
    assert str(caught.value).startswith(f"{path}:4: ")
    assert why in str(caught.value)
    assert [len(batch) for batch in seen] == [2]
    messages, reader = read(path, skip_bad=True)
    assert (len(messages), reader.skipped) == (3, 1)
    assert reader.first_skipped.startswith(f"{path}:4: ")


def test_line_numbers_hold_behind_the_first_chunk(tmp_path):
    path = tmp_path / "c.jsonl"
    path.write_bytes(lines(*[GOOD | {"payload": "x" * 1000}] * 2000, b"nonsense"))
    with pytest.raises(CaptureError, match=r"c\.jsonl:2001: "):
        read(path)


def test_a_batch_holds_no_more_than_it_may(tmp_path):
    path = tmp_path / "c.jsonl"
    path.write_bytes(lines(*[GOOD] * 25))
    sizes = [len(batch) for batch in CaptureReader(path, batch_messages=10).batches()]
    assert sizes == [10, 10, 5]


def test_a_line_may_be_larger_than_a_chunk_but_not_than_the_bound(tmp_path):
    path = tmp_path / "c.jsonl"
    path.write_bytes(lines(GOOD | {"payload": "x" * 2 * CHUNK_BYTES}))
    assert len(read(path)[0][0][1]) == 2 * CHUNK_BYTES
    with pytest.raises(CaptureError, match="not a capture"):
        read(path, max_line_bytes=1_000_000)


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_a_file_that_was_cut_off_is_told(tmp_path, pack):
    path = tmp_path / f"c.jsonl.{'gz' if pack is gzip.compress else 'zst'}"
    whole = pack(lines(*[GOOD | {"payload": str(i) * 50} for i in range(5000)]))
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CaptureError, match=r"c\.jsonl"):
        read(path)


def test_a_last_line_without_its_end_is_read(tmp_path):
    path = tmp_path / "c.jsonl"
    path.write_bytes(lines(GOOD) + json.dumps(GOOD).encode())
    assert len(read(path)[0]) == 2


def test_a_missing_file_and_a_missing_folder_are_told(tmp_path):
    with pytest.raises(CaptureError, match="No such file"):
        read(tmp_path / "none.jsonl")
    with pytest.raises(ConfigError, match="cannot be written"):
        CaptureWriter(tmp_path / "none" / "c.jsonl")


def test_a_zstd_capture_that_was_cut_off_is_told_and_not_taken_for_a_short_one(tmp_path):
    path = tmp_path / "c.jsonl.zst"
    packed = zstandard.compress(b"".join(lines(GOOD) for _ in range(5_000)))
    for end in (10, len(packed) // 2, len(packed) - 1):
        path.write_bytes(packed[:end])
        with pytest.raises(CaptureError, match="cut off"):
            read(path)


def test_zstd_captures_put_one_behind_the_other_are_read_whole(tmp_path):
    path = tmp_path / "c.jsonl.zst"
    path.write_bytes(b"".join(zstandard.compress(lines(GOOD) * count) for count in (1, 700, 2)))
    assert len(read(path)[0]) == 703


def test_a_line_costs_little(tmp_path):
    """Against a slip by an order of magnitude, beside a plain reading of the same lines."""
    path = tmp_path / "c.jsonl"
    path.write_bytes(lines(*[GOOD | {"payload": "x" * 150}] * 50_000))
    began = time.process_time()
    assert sum(len(batch) for batch in CaptureReader(path).batches()) == 50_000
    read = time.process_time()
    assert sum(len(json.loads(line)) > 2 for line in path.read_bytes().splitlines()) == 50_000
    assert read - began < 2 * (time.process_time() - read)
