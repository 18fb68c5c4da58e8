"""What the console asks beyond the lists: map, sites, vocabulary, a profile tried."""

# No "from __future__ import annotations" in modules of routes: FastAPI reads the annotations.
import time
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request, Response

from gateway.api import models, stages
from gateway.api.context import Caller, Context, answer, export_cost, moment, seen_by
from gateway.api.lists import DeviceId, Until, Word, shown_profiles
from gateway.checks.catalogue import CATALOGUE, CheckInfo
from gateway.checks.catalogue.spoken import LANGUAGES, clause, clauses, meaning
from gateway.errors import ConfigError
from gateway.flags.states import ACTIONS, STATUSES
from gateway.profiles.doc import page as documented
from gateway.quantities import EVENTS, KINDS, export_key
from gateway.queries import balances, places
from gateway.queries.seen import NotFound

router: Final = APIRouter()
_CURRENCY: Final = "CNY"


@router.get("/vocabulary", tags=["system"], response_model=models.Anything)
def vocabulary(request: Request, caller: Caller) -> Response:
    """Kinds with their quantities, flag codes with what they mean, statuses and decisions.

    ``clauses`` are those that the basis of a flag is made of, between semicolons.
    """
    caller.need("devices")
    kinds = {
        kind: [
            {"name": each.name, "unit": each.unit, "type": each.type,
             "key": export_key(each, _CURRENCY)}
            for each in quantities
        ]
        for kind, quantities in KINDS.items()
    }  # fmt: skip
    codes = {info.code: _code(info) for info in CATALOGUE.values()}
    decisions = {
        each.name: {"before": list(each.before), "after": each.after, "reason": each.needs_reason}
        for each in ACTIONS.values()
    }
    told: dict[str, Any] = {"kinds": kinds, "codes": codes, "clauses": _clauses()}
    told |= {"statuses": list(STATUSES), "events": list(EVENTS)}
    return answer(request, told | {"decisions": decisions})


def _code(info: CheckInfo) -> dict[str, Any]:
    return {
        "title": info.title,
        "severity": info.severity,
        "tolerance": {language: meaning(info, language).tolerance for language in LANGUAGES},
        "kinds": list(info.kinds),
        "doc": {language: meaning(info, language).doc for language in LANGUAGES},
    }


def _clauses() -> dict[str, dict[str, str]]:
    bases = {basis for info in CATALOGUE.values() for basis in info.basis.values()}
    every = sorted({each for basis in bases for each in clauses(basis)})
    return {each: {language: clause(each, language) for language in LANGUAGES} for each in every}


Degrees = Annotated[float | None, Query(ge=-180, le=180)]


@router.get("/map", tags=["devices"], response_model=models.Anything)
def get_map(
    request: Request,
    *,
    api: Context,
    caller: Caller,
    region: Word = None,
    kind: Word = None,
    west: Degrees = None,
    south: Degrees = None,
    east: Degrees = None,
    north: Degrees = None,
    cells: Annotated[int, Query(ge=1, le=places.MOST_CELLS)] = 40,
) -> Response:
    """Devices gathered on a grid, with those that are silent or have a flag that stands."""
    seen = seen_by(api, caller, "devices")
    bounds = None
    if west is not None and south is not None and east is not None and north is not None:
        bounds = places.Bounds(west, south, east, north)
    return answer(
        request, places.clusters(seen, region=region, kind=kind, bounds=bounds, cells=cells)
    )


@router.get("/sites", tags=["devices"], response_model=models.Records)
def list_sites(request: Request, api: Context, caller: Caller, region: Word = None) -> Response:
    """Sites with their devices by kind; those with most flags first."""
    seen = seen_by(api, caller, "devices")
    return answer(request, {"items": places.sites(seen, region=region)})


Days = Annotated[int, Query(ge=1, le=balances.MOST_DAYS, description="of midnight to midnight UTC")]


# A site's name may have a slash in it.
@router.get("/sites/{site:path}/balance", tags=["devices"], response_model=models.Anything)
def get_site_balance(
    request: Request,
    *,
    api: Context,
    caller: Caller,
    site: Annotated[str, Path(max_length=256)],
    days: Days = 7,
    until: Until = None,
) -> Response:
    """Tanks against what was sold from them, feeders against their meters, by day.

    As the checks of wet stock and of feeders strike them, in litres at 20 °C and in kWh. A look at
    meters of households is in the audit.
    """
    seen = seen_by(api, caller, "readings")
    made = balances.of_site(
        seen, site, days=days, until=moment(until, "until"), flags=caller.may("flags")
    )
    api.looked_at_all(caller, "balance", made.personal, days=days, until=until)
    return answer(request, made.told)


@router.get("/devices/{device_id}/balance", tags=["devices"], response_model=models.Anything)
def get_device_balance(
    request: Request,
    *,
    api: Context,
    caller: Caller,
    device_id: DeviceId,
    days: Days = 7,
    until: Until = None,
) -> Response:
    """The same of the tanks that a device gauges, and of the meters below it."""
    seen = seen_by(api, caller, "readings")
    made = balances.of_device(
        seen, device_id, days=days, until=moment(until, "until"), flags=caller.may("flags")
    )
    api.looked_at_all(caller, "balance", made.personal, days=days, until=until)
    return answer(request, made.told)


Name = Annotated[str, Path(max_length=256)]


@router.get("/profiles/{name}/vectors", tags=["profiles"], response_model=models.Records)
def list_vectors(request: Request, api: Context, caller: Caller, name: Name) -> Response:
    """The test messages of a profile, and what it says of itself as Markdown."""
    caller.need("profiles")
    found = next((each for each in shown_profiles(api, caller) if each.name == name), None)
    if found is None:
        raise NotFound(f"no profile {name!r:.128}")
    return answer(request, {"items": stages.vectors(found), "page": documented(found)})


@router.post("/profiles/{name}/trial", tags=["profiles"], response_model=models.Anything)
def try_profile(
    request: Request, *, api: Context, caller: Caller, name: Name, body: models.Trial
) -> Response:
    """What a profile makes of a message, stage by stage. Nothing is kept, no device is known."""
    caller.need("profiles")
    export_cost(api, caller)
    found = next((each for each in shown_profiles(api, caller) if each.name == name), None)
    if found is None:
        raise NotFound(f"no profile {name!r:.128}")
    if (body.payload is None) == (body.payload_hex is None):
        raise ConfigError("payload or payload_hex: one of the two")
    try:
        payload = (
            body.payload.encode()
            if body.payload is not None
            else bytes.fromhex(body.payload_hex or "")
        )
    except ValueError as error:
        raise ConfigError(f"payload_hex: not hexadecimal: {error}") from None
    told = stages.trial(
        api.world.profiles, found, topic=body.topic, payload=payload, port=body.port,
        received_at=time.time_ns(), raw=body.payload_hex is not None and payload[:1] != b"{",
    )  # fmt: skip
    return answer(request, told)
