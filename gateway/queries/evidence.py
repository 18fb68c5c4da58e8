"""The evidence behind a reading, a flag or a row of quarantine: the message as it came."""
# ruff: noqa: S608 - the only names in these statements are our own tables

from __future__ import annotations

import base64
import codecs
from typing import TYPE_CHECKING, Any, Final

from gateway.errors import LedgerError
from gateway.ledger.batch import GENESIS
from gateway.ledger.proof import Proof, prove
from gateway.quantities import KINDS
from gateway.queries.seen import NotFound
from gateway.store.schema import table
from gateway.times import rfc3339

if TYPE_CHECKING:
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
    proof = _proof(seen, offset)
    message, row, fault = proof.message, proof.row, proof.fault
    record: dict[str, Any] = {
        "ledger_offset": offset,
        "received_at": rfc3339(message.received_at),
        "topic": message.topic,
        **_payload(message.payload),
        "payload_size": len(message.payload),
        "payload_sha256": proof.payload_sha256,
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


def _proof(seen: Seen, offset: int) -> Proof:
    try:
        return prove(seen.world.ledger, offset)
    except LedgerError as error:
        raise NotFound(f"message {offset} cannot be read: {error}") from None


def _payload(payload: bytes) -> dict[str, str]:
    shown = payload[:_LARGEST]
    try:
        return {"payload": codecs.decode(shown, "utf-8")}
    except UnicodeDecodeError:
        return {"payload_base64": base64.b64encode(shown).decode()}
