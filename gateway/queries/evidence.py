"""The evidence behind a reading, a flag or a row of quarantine: the message as it came."""
# ruff: noqa: S608 - the only names in these statements are our own tables

from __future__ import annotations

import base64
import codecs
import hashlib
from typing import TYPE_CHECKING, Any, Final

from gateway.errors import LedgerError
from gateway.ledger.batch import GENESIS, KIND_BATCH, chain_hash
from gateway.ledger.reader import LedgerReader
from gateway.quantities import KINDS
from gateway.queries.seen import NotFound
from gateway.records import RawMessage
from gateway.store.schema import table
from gateway.times import rfc3339

if TYPE_CHECKING:
    from gateway.ledger.batch import Row
    from gateway.queries.seen import Seen

_OF_OFFSET: Final = (
    " UNION ".join(
        f"SELECT device_id, '{kind}' FROM {table(kind)} WHERE ledger_offset = $1" for kind in KINDS
    )
    + " UNION SELECT device_id, kind FROM flags WHERE ledger_offset = $1"
    " UNION SELECT device_id, '' FROM quarantine WHERE ledger_offset = $1"
)
_LARGEST: Final = 1 << 20


def evidence(seen: Seen, offset: int) -> tuple[dict[str, Any], list[str]]:
    """A message of the ledger with its place in the chain, and the devices that it is of.

    The batch that holds it is read from disk and hashed anew; ``verified`` says whether content,
    header and the link to the batch before are what the ledger's hashes say.

    Raises:
        NotFound: there is no such message (any more), or it is not all within the scope.
    """
    devices = _devices(seen, offset)
    message, row, fault = _stored(seen, offset)
    record: dict[str, Any] = {
        "ledger_offset": offset,
        "received_at": rfc3339(message.received_at),
        "topic": message.topic,
        **_payload(message.payload),
        "payload_size": len(message.payload),
        "payload_sha256": hashlib.sha256(message.payload).hexdigest(),
        "devices": devices,
        "batch": {
            "number": row.batch,
            "first_offset": row.first_offset,
            "messages": row.count,
            "content_sha256": row.content_hash.hex(),
            "previous": row.previous.hex(),
            "chain": row.chain.hex(),
            "first_of_all": row.previous == GENESIS,
        },
        "verified": fault is None,
    }
    if fault is not None:
        record["fault"] = fault
    return record, devices


def _devices(seen: Seen, offset: int) -> list[str]:
    """The devices of a message, all of them seen."""
    found = sorted({row[0] for row in seen.world.store.ask(_OF_OFFSET, [offset]) if row[0]})
    if not seen.scope.everything and not (found and all(map(seen.sees, found))):
        raise NotFound(f"no message {offset}")
    return found


def _stored(seen: Seen, offset: int) -> tuple[RawMessage, Row, str | None]:
    # A reader of its own: these are for one thread, and opening one takes a millisecond.
    reader = LedgerReader(seen.world.ledger)
    try:
        message = next(iter(reader.messages(offset, offset)), None)
        row = reader.holding(offset)
        if message is None or row is None or message.ledger_offset != offset:
            raise NotFound(f"no message {offset}: none yet, or pruned")
        before = reader.holding(row.first_offset - 1) if row.first_offset else None
        return message, row, _fault(row, before)
    except LedgerError as error:
        raise NotFound(f"message {offset} cannot be read: {error}") from None
    finally:
        reader.close()


def _fault(row: Row, before: Row | None) -> str | None:
    """What is wrong with a batch whose content has just been read and hashed; None when nothing."""
    if chain_hash(KIND_BATCH, row) != row.chain:
        return "the header is not what the chain's hash says"
    if before is not None and before.batch + 1 == row.batch and before.chain != row.previous:
        return "the link to the batch before is broken"
    return None


def _payload(payload: bytes) -> dict[str, str]:
    shown = payload[:_LARGEST]
    try:
        return {"payload": codecs.decode(shown, "utf-8")}
    except UnicodeDecodeError:
        return {"payload_base64": base64.b64encode(shown).decode()}
