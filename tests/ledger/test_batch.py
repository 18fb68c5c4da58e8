from __future__ import annotations

import hashlib
import itertools

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import LedgerError
from gateway.ledger import LedgerNote, UnreadableBatch
from gateway.ledger.batch import (
    GENESIS,
    KIND_BATCH,
    MAX_CONTENT,
    MAX_PAYLOAD,
    Packer,
    Position,
    Row,
    Unpacker,
    chain_hash,
)
from gateway.records import Batch
from tests.ledger.support import START, batch

ORIGIN = Position(0, 0, GENESIS)
TIMES = st.integers(-(1 << 63), (1 << 63) - 1)
MESSAGES = st.lists(st.tuples(st.text(max_size=40), st.binary(max_size=200), TIMES), min_size=1)


def columns(messages: list[tuple[str, bytes, int]]) -> Batch:
    return Batch(
        [topic for topic, _, _ in messages],
        [payload for _, payload, _ in messages],
        [received_at for _, _, received_at in messages],
    )


@given(messages=MESSAGES, first=st.integers(0, 1 << 60), max_batch=st.integers(1, 10))
def test_messages_come_back_as_they_went_in(
    messages: list[tuple[str, bytes, int]], first: int, max_batch: int
):
    rows = Packer(max_batch).batch(columns(messages), Position(7, first, GENESIS))
    back = [Unpacker().batch(row) for row in rows]
    assert all(len(part) <= max_batch for part in back)
    assert [t for part in back for t in part.topics] == [m[0] for m in messages]
    assert [p for part in back for p in part.payloads] == [m[1] for m in messages]
    assert [r for part in back for r in part.received_at] == [m[2] for m in messages]
    assert [row.batch for row in rows] == list(range(7, 7 + len(rows)))
    assert back[0].first_offset == first
    for before, after in itertools.pairwise(rows):
        assert after.previous == before.chain
        assert after.first_offset == before.first_offset + before.count


@pytest.mark.parametrize(
    "field",
    ["first_offset", "batch", "count", "first_received_at", "last_received_at", "content_size"],
)
def test_a_changed_header_field_is_found_by_the_chain_hash(field: str):
    (row,) = Packer(100).batch(batch(0, 10), ORIGIN)
    changed = msgspec.structs.replace(row, **{field: getattr(row, field) + 1})
    with pytest.raises(UnreadableBatch) as caught:
        Unpacker().batch(changed)
    assert caught.value.fault.what == "header"


@pytest.mark.parametrize("field", ["content_hash", "previous", "chain"])
def test_a_changed_hash_is_found(field: str):
    (row,) = Packer(100).batch(batch(0, 10), ORIGIN)
    changed = msgspec.structs.replace(row, **{field: bytes(31) + b"x"})
    with pytest.raises(UnreadableBatch):
        Unpacker().batch(changed)


@given(position=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_flipped_bit_of_stored_content_never_changes_a_message(position: int, bit: int):
    original = batch(0, 10)
    (row,) = Packer(100).batch(original, ORIGIN)
    content = bytearray(row.content)
    content[position % len(content)] ^= 1 << bit
    try:
        back = Unpacker().batch(msgspec.structs.replace(row, content=bytes(content)))
    except UnreadableBatch as error:
        assert error.fault.first_offset == 0  # noqa: PT017 - either outcome is right
        assert error.fault.last_offset == 9  # noqa: PT017
    else:  # a bit of the frame that carries no meaning
        assert back.payloads == original.payloads


def test_a_recompressed_batch_keeps_its_evidence():
    original = batch(0, 50)
    (row,) = Packer(100).batch(original, ORIGIN)
    content = zstandard.decompress(row.content)
    smaller = msgspec.structs.replace(row, content=zstandard.compress(content, 19))
    assert Unpacker().batch(smaller).payloads == original.payloads


def test_a_decompression_bomb_is_refused_before_it_is_unpacked():
    bomb = zstandard.compress(bytes(MAX_CONTENT + 1))
    assert len(bomb) < 20_000
    (row,) = Packer(100).batch(batch(0, 1), ORIGIN)
    with pytest.raises(UnreadableBatch, match=f"a frame of {MAX_CONTENT + 1} bytes"):
        Unpacker().batch(msgspec.structs.replace(row, content=bomb))


def test_a_note_cannot_pass_for_a_batch_nor_a_batch_for_a_note():
    note = Packer(100).note(LedgerNote("pruned", START, {}), ORIGIN)
    (row,) = Packer(100).batch(batch(0, 1), ORIGIN)
    assert Unpacker().note(note) == LedgerNote("pruned", START, {})
    with pytest.raises(UnreadableBatch):
        Unpacker().batch(note)
    with pytest.raises(UnreadableBatch):
        Unpacker().note(row)


def test_content_with_fields_of_a_later_version_is_read():
    (row,) = Packer(100).batch(batch(0, 3), ORIGIN)
    fields = msgspec.msgpack.decode(zstandard.decompress(row.content))
    later = msgspec.msgpack.encode([2, *fields[1:], ["qos", 1, 1, 0]])
    back = Unpacker().batch(_resealed(row, later))
    assert back.payloads == batch(0, 3).payloads


def _resealed(row: Row, content: bytes) -> Row:

    changed = msgspec.structs.replace(
        row,
        content=zstandard.compress(content),
        content_size=len(content),
        content_hash=hashlib.sha256(content).digest(),
    )
    return msgspec.structs.replace(changed, chain=chain_hash(KIND_BATCH, changed))


def test_large_payloads_are_spread_over_rows_that_stay_small():
    payload = bytes(6 << 20)
    messages = Batch(["t"] * 8, [payload] * 8, [START] * 8)
    rows = Packer(1000).batch(messages, ORIGIN)
    assert [row.count for row in rows] == [3, 3, 2]


def test_a_payload_at_the_bound_goes_in_and_one_byte_more_does_not():
    rows = Packer(1000).batch(Batch(["t"], [bytes(MAX_PAYLOAD)], [START]), ORIGIN)
    assert len(Unpacker().batch(rows[0]).payloads[0]) == MAX_PAYLOAD
    with pytest.raises(LedgerError, match="lower the source's maximum packet size"):
        Packer(1000).batch(Batch(["a"], [bytes(MAX_PAYLOAD + 1)], [START]), ORIGIN)


def test_a_topic_beyond_what_mqtt_allows_is_refused():
    with pytest.raises(LedgerError, match="65535"):
        Packer(1000).batch(Batch(["表" * 30_000], [b""], [START]), ORIGIN)


def test_columns_of_unequal_length_are_refused():
    with pytest.raises(LedgerError, match="2 topics, 1 payloads, 2 times"):
        Packer(1000).batch(Batch(["a", "b"], [b""], [START, START]), ORIGIN)
