"""The evidence behind a reading, a flag or a row of quarantine: the message as it came."""
# ruff: noqa: S608 - the only names in these statements are our own tables

from __future__ import annotations

import base64
import codecs
from typing import TYPE_CHECKING, Any, Final

from gateway.deciding import Decided, Decider
from gateway.errors import LedgerError
from gateway.ledger.batch import GENESIS
from gateway.ledger.proof import Proof, prove
from gateway.profiles import ProfileSet
from gateway.quantities import KINDS
from gateway.queries.seen import NotFound
from gateway.records import Batch
from gateway.store.schema import table
from gateway.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.queries.seen import Seen
    from gateway.records import RawMessage

_OF_OFFSET: Final = (
    " UNION ".join(
        f"SELECT device_id, profile FROM {table(kind)} WHERE ledger_offset = $1" for kind in KINDS
    )
    + " UNION SELECT device_id, profile FROM flags WHERE ledger_offset = $1"
    " UNION SELECT device_id, profile FROM quarantine WHERE ledger_offset = $1"
)
_LARGEST: Final = 1 << 20


def evidence(seen: Seen, offset: int) -> tuple[dict[str, Any], list[str]]:
    """A message of the ledger with its place in the chain, and the devices that it is of.

    The batch that holds it is read from disk and hashed anew; ``verified`` says whether content,
    header and the link to the batch before are what the ledger's hashes say.

    Raises:
        NotFound: there is no such message (any more), or it is not all within the scope.
    """
    devices, profiles = _devices(seen, offset)
    proof = _proof(seen, offset)
    message, row, fault = proof.message, proof.row, proof.fault
    if not seen.scope.everything:
        devices = sorted({*devices, *_told(seen, message, devices, profiles)})
        _need_all(seen, offset, devices)
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


def _devices(seen: Seen, offset: int) -> tuple[list[str], list[str]]:
    """The devices of which the store has something by a message, all of them seen; and profiles."""
    rows = seen.world.store.ask(_OF_OFFSET, [offset])
    found = sorted({row[0] for row in rows if row[0]})
    _need_all(seen, offset, found)
    return found, sorted({row[1].partition("@")[0] for row in rows if row[1]})


def _need_all(seen: Seen, offset: int, devices: list[str]) -> None:
    if not seen.scope.everything and not (devices and all(map(seen.sees, devices))):
        raise NotFound(f"no message {offset}")


def _told(
    seen: Seen, message: RawMessage, devices: Sequence[str], names: Sequence[str]
) -> set[str]:
    """The devices that a message tells of when it is read alone by the profiles that have read it.

    The store does not know of them all: a reading that had come before, inside another message, is
    a duplicate, and retention removes one kind before another.
    """
    known, registry = seen.world.profiles, seen.world.directory.registry
    registered = {name: device for name in devices if (device := registry.get(name)) is not None}
    batch = Batch([message.topic], [message.payload], [message.received_at], message.ledger_offset)
    found: set[str] = set()
    for name in names:
        if name not in known.profiles:
            continue
        alone = ProfileSet({name: known.profiles[name]}, known.bases)
        decided = Decided()
        decider = Decider(alone, registered, {}, registry_known=False, proven=True)
        decider.decide(batch, decided)
        found |= {reading.device_id for reading in decided.readings}
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
