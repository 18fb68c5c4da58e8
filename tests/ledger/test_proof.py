"""A message proved: the bytes that were hashed, and where the payload stands in them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.errors import LedgerError
from gateway.ledger.proof import prove
from gateway.ledger.sqlite import SqliteLedger
from gateway.records import Batch
from tests.ledger.support import START

if TYPE_CHECKING:
    from pathlib import Path

MESSAGES = st.lists(
    st.tuples(st.text(min_size=1, max_size=40), st.binary(max_size=300)), min_size=1, max_size=20
)


@given(batches=st.lists(MESSAGES, min_size=1, max_size=3))
@settings(max_examples=15, suppress_health_check=list(HealthCheck))
def test_every_message_stands_where_it_is_said_and_the_hashes_follow(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[tuple[str, bytes]]]
):
    directory = tmp_path_factory.mktemp("ledger")
    with SqliteLedger(directory) as ledger:
        for messages in batches:
            topics, payloads = (list(column) for column in zip(*messages, strict=True))
            ledger.append(Batch(topics, payloads, [START] * len(topics)))
    offset, before = 0, bytes(32)
    for messages in batches:
        for topic, payload in messages:
            proof = prove(directory, offset)
            assert (proof.message.topic, proof.message.payload) == (topic, payload)
            assert proof.content[proof.payload_at :].startswith(payload)
            assert hashlib.sha256(proof.content).digest() == proof.row.content_hash
            assert hashlib.sha256(proof.preimage).digest() == proof.row.chain
            assert proof.preimage.startswith(before)
            assert proof.preimage.endswith(proof.row.content_hash)
            assert proof.fault is None
            offset += 1
        before = proof.row.chain


@pytest.mark.parametrize("payload", [b"", b"a", b"a" * 255, b"a" * 256, b"a" * 70_000])
def test_a_payload_that_is_there_twice_is_told_by_its_own_place(tmp_path: Path, payload: bytes):
    with SqliteLedger(tmp_path) as ledger:
        ledger.append(Batch(["t"] * 3, [payload, payload, payload], [START] * 3))
    places = [prove(tmp_path, offset).payload_at for offset in range(3)]
    head = {0: 2, 1: 2, 255: 2, 256: 3, 70_000: 5}[len(payload)]
    assert places == [places[0] + number * (len(payload) + head) for number in range(3)]


@pytest.mark.parametrize("offset", [3, 10**9, 2**62])
def test_a_message_that_is_not_there_has_no_proof(tmp_path: Path, offset: int):
    with SqliteLedger(tmp_path) as ledger:
        ledger.append(Batch(["t"] * 3, [b"x"] * 3, [START] * 3))
    with pytest.raises(LedgerError, match="none yet, or pruned"):
        prove(tmp_path, offset)
