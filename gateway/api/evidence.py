"""A message of the ledger: as it came, with its proof, and decoded stage by stage."""

# No "from __future__ import annotations" in modules of routes: FastAPI reads the annotations.
import base64
from collections.abc import Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Path, Request, Response

from gateway.api import models, stages
from gateway.api.context import Api, Caller, Context, answer, seen_by
from gateway.queries import evidence as evidence_queries
from gateway.queries import readings as reading_queries
from gateway.queries.seen import Seen
from gateway.times import nanoseconds

router: Final = APIRouter()
Offset = Annotated[int, Path(ge=0, le=2**62)]


@router.get("/evidence/{offset}", tags=["evidence"], response_model=models.Anything)
def get_evidence(
    request: Request,
    *,
    api: Context,
    caller: Caller,
    offset: Offset,
) -> Response:
    """The message of a ledger offset as it came, verified against the ledger's chain of hashes.

    A look at the message of a device whose readings tell of people is in the audit.
    """
    seen = seen_by(api, caller, "evidence")
    caller.need("exact")
    record, devices = evidence_queries.evidence(seen, offset)
    _looked_at(api, caller, seen, devices, offset)
    return answer(request, record)


@router.get("/evidence/{offset}/stages", tags=["evidence"], response_model=models.Anything)
def get_stages(
    request: Request,
    *,
    api: Context,
    caller: Caller,
    offset: Offset,
) -> Response:
    """The message of a ledger offset, decoded stage by stage by the profiles of today."""
    seen = seen_by(api, caller, "evidence")
    caller.need("exact")
    record, devices = evidence_queries.evidence(seen, offset)
    _looked_at(api, caller, seen, devices, offset)
    payload = (
        base64.b64decode(record["payload_base64"])
        if "payload_base64" in record
        else record["payload"].encode()
    )
    told = stages.of_message(
        api.world.profiles,
        api.world.directory.registry,
        record["topic"],
        payload,
        nanoseconds(record["received_at"]),
        seen=seen,
    )
    return answer(request, told)


def _looked_at(api: Api, caller: Caller, seen: Seen, devices: Sequence[str], offset: int) -> None:
    """Has the audit say that somebody looked at a message that may tell of people.

    One of no known device may be anybody's.
    """
    for device_id in devices:
        if reading_queries.is_personal(seen, device_id):
            api.looked(caller, "evidence", device_id, device_id=device_id, ledger_offset=offset)
    if not devices:
        api.looked(caller, "evidence", f"message {offset}", ledger_offset=offset)
