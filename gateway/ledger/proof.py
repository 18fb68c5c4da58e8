"""One message with its place in the chain, so that a stranger can compute the hashes anew.

What is hashed is in DECISIONS.md, 2: the content of a batch before compression, and a header with
the chain hash before it.  ``preimage`` and ``content`` are those very bytes, so `sha256sum` alone
checks them.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import msgspec

from gateway.errors import LedgerError
from gateway.ledger.batch import KIND_BATCH, Row, Unpacker, chain_hash, chain_preimage
from gateway.ledger.reader import LedgerReader
from gateway.records import RawMessage

if TYPE_CHECKING:
    from pathlib import Path

_PAYLOADS: Final = 3
"""Which field of the content the payloads are."""


class Proof(msgspec.Struct, frozen=True):
    """A message and the batch that holds it.

    ``content`` is the batch before compression: its SHA-256 is the batch's content hash, and the
    payload's bytes begin at ``payload_at``.  ``preimage`` is what the chain hash is made of.
    ``fault`` is what is wrong with the chain here, None when nothing.
    """

    message: RawMessage
    row: Row
    content: bytes
    payload_at: int
    preimage: bytes
    fault: str | None

    @property
    def payload_sha256(self) -> str:
        """SHA-256 of the payload."""
        return hashlib.sha256(self.message.payload).hexdigest()

    @property
    def last_offset(self) -> int:
        """The offset of the last message of the batch."""
        return self.row.first_offset + self.row.count - 1


def prove(directory: Path, offset: int) -> Proof:
    """The message of an offset, its batch read from disk and hashed anew.

    Raises:
        LedgerError: there is no such message (any more), or the batch is damaged.
    """
    # A reader of its own: these are for one thread, and opening one takes a millisecond.
    reader = LedgerReader(directory)
    try:
        row = reader.holding(offset)
        if row is None or not row.first_offset <= offset < row.first_offset + row.count:
            raise LedgerError(f"no message {offset}: none yet, or pruned")
        before = reader.holding(row.first_offset - 1) if row.first_offset else None
    finally:
        reader.close()
    unpacker = Unpacker()
    batch, content = unpacker.batch(row), unpacker.content(row)
    index = offset - row.first_offset
    message = RawMessage(
        offset, batch.received_at[index], batch.topics[index], batch.payloads[index]
    )
    at = _payload_at(content, batch.payloads, index)
    return Proof(message, row, content, at, chain_preimage(KIND_BATCH, row), _fault(row, before))


def _payload_at(content: bytes, payloads: list[bytes], index: int) -> int:
    """Where a payload begins in the content, by the lengths of what stands before it."""
    fields = msgspec.msgpack.decode(content, type=list[msgspec.Raw])
    sizes = [len(msgspec.msgpack.encode(each)) for each in payloads]
    begin = len(content) - sum(sizes) - sum(map(len, fields[_PAYLOADS + 1 :]))
    at = begin + sum(sizes[: index + 1]) - len(payloads[index])
    if content[at : at + len(payloads[index])] != payloads[index]:
        raise LedgerError(f"message {index} of the batch does not stand where it should")
    return at


def _fault(row: Row, before: Row | None) -> str | None:
    if chain_hash(KIND_BATCH, row) != row.chain:
        return "the header is not what the chain's hash says"
    if before is not None and before.batch + 1 == row.batch and before.chain != row.previous:
        return "the link to the batch before is broken"
    return None
