"""Devices, readings, flags, quarantine, audit, quality, profiles."""

# No "from __future__ import annotations" in modules of routes: FastAPI reads the annotations.
import datetime as dt
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import APIRouter, Header, Path, Query, Request, Response

from gateway.api import models
from gateway.api.context import Api, Caller, Context, answer, moment, seen_by
from gateway.audit import Head
from gateway.errors import ConfigError
from gateway.flags.decisions import decide
from gateway.profiles.doc import instruments_of, models_of, protocol_of, quantities_of
from gateway.profiles.load import Profile
from gateway.quality.assess import By
from gateway.queries import devices as device_queries
from gateway.queries import flags as flag_queries
from gateway.queries import quality as quality_queries
from gateway.queries import quarantine as quarantine_queries
from gateway.queries import readings as reading_queries
from gateway.queries import trail
from gateway.queries.devices import DeviceChoice
from gateway.queries.flags import FlagChoice
from gateway.queries.paging import MOST, Page
from gateway.queries.quality import QualityChoice
from gateway.queries.quarantine import QuarantineChoice
from gateway.queries.readings import MOST_POINTS, ReadingChoice
from gateway.queries.seen import NotFound, Seen
from gateway.queries.trail import AuditChoice

router: Final = APIRouter()

Cursor = Annotated[
    str | None, Query(max_length=1024, description="`next_cursor` of the page before")
]
Limit = Annotated[int, Query(ge=1, le=MOST, description="rows of a page, at most")]
Since = Annotated[
    str | None,
    Query(max_length=40, description="RFC 3339 or a date (UTC); included", examples=["2026-03-01"]),
]
Until = Annotated[
    str | None, Query(max_length=40, description="RFC 3339 or a date (UTC); not included")
]
Word = Annotated[str | None, Query(max_length=256)]
DeviceId = Annotated[str, Path(max_length=256)]


def _paged(request: Request, page: Page) -> Response:
    told: dict[str, Any] = {"items": page.items}
    if page.next_cursor is not None:
        told["next_cursor"] = page.next_cursor
    return answer(request, told)


# --- devices


@router.get("/devices", tags=["devices"], response_model=models.Devices)
def list_devices(
    request: Request,
    *,
    api: Context,
    caller: Caller,
    kind: Word = None,
    vendor: Word = None,
    model: Word = None,
    region: Word = None,
    site: Word = None,
    state: Literal["reporting", "silent", "never"] | None = None,
    text: Annotated[str | None, Query(max_length=100, description="looked for in names")] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """Devices by id, those registered and those that only send."""
    seen = seen_by(api, caller, "devices")
    choice = DeviceChoice(
        kind=kind, vendor=vendor, model=model, region=region, site=site, state=state, text=text
    )
    return _paged(request, device_queries.page(seen, choice, cursor=cursor, limit=limit))


@router.get("/overview", tags=["devices"], response_model=models.Anything)
def overview(
    request: Request, api: Context, caller: Caller, region: Word = None, since: Since = None
) -> Response:
    """Devices by kind, state and region, and flags by code, severity and day."""
    seen = seen_by(api, caller, "devices")
    told = {"devices": device_queries.overview(seen, region)}
    if caller.may("flags"):
        told["flags"] = flag_queries.counts(seen, region=region, since=moment(since, "since"))
    return answer(request, told)


@router.get("/devices/{device_id}", tags=["devices"], response_model=models.Device)
def get_device(request: Request, api: Context, caller: Caller, device_id: DeviceId) -> Response:
    """A device with the history of what is registered of it."""
    return answer(request, device_queries.one(seen_by(api, caller, "devices"), device_id))


@router.get("/devices/{device_id}/readings", tags=["devices"], response_model=models.Readings)
def list_readings(
    request: Request,
    *,
    api: Context,
    caller: Caller,
    device_id: DeviceId,
    kind: Word = None,
    event: Word = None,
    channel: Word = None,
    since: Since = None,
    until: Until = None,
    order: Literal["newest", "oldest"] = "newest",
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """Readings as they are. A look at what tells of people is in the audit."""
    seen = seen_by(api, caller, "readings")
    choice = ReadingChoice(
        kind=kind, event=event, channel=channel,
        since=moment(since, "since"), until=moment(until, "until"),
    )  # fmt: skip
    page = reading_queries.page(seen, device_id, choice, order=order, cursor=cursor, limit=limit)
    _looked(api, caller, seen, device_id, since=since, until=until)
    return _paged(request, page)


@router.get("/devices/{device_id}/series", tags=["devices"], response_model=models.Anything)
def get_series(
    request: Request,
    *,
    api: Context,
    caller: Caller,
    device_id: DeviceId,
    quantity: Annotated[
        list[str] | None, Query(max_length=50, description="may be repeated; default: all")
    ] = None,
    kind: Word = None,
    event: Word = None,
    channel: Word = None,
    since: Since = None,
    until: Until = None,
    points: Annotated[int, Query(ge=1, le=MOST_POINTS, description="of a line, at most")] = 1000,
) -> Response:
    """Minimum, maximum, mean and last value by time, for a plot of any span."""
    seen = seen_by(api, caller, "readings")
    choice = ReadingChoice(
        kind=kind, event=event, channel=channel,
        since=moment(since, "since"), until=moment(until, "until"),
    )  # fmt: skip
    series = reading_queries.series(
        seen, device_id, choice, quantities=tuple(quantity or ()), points=points
    )
    _looked(api, caller, seen, device_id, since=since, until=until)
    return answer(request, series)


def _looked(
    api: Api, caller: Caller, seen: Seen, device_id: str, *, since: str | None, until: str | None
) -> None:
    if reading_queries.is_personal(seen, device_id):
        api.looked(caller, "readings", device_id, device_id=device_id, since=since, until=until)


# --- flags


@router.get("/flags", tags=["flags"], response_model=models.Flags)
def list_flags(
    request: Request,
    *,
    api: Context,
    caller: Caller,
    code: Word = None,
    kind: Word = None,
    device_id: Word = None,
    region: Word = None,
    site: Word = None,
    vendor: Word = None,
    severity: Literal["info", "minor", "major", "critical"] | None = None,
    status: Annotated[
        list[str] | None,
        Query(max_length=10, description="may be repeated; default: all but `withdrawn`"),
    ] = None,
    since: Since = None,
    until: Until = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """Flags, those that began last first; a page may be shorter than asked for and go on."""
    choice = FlagChoice(
        code=code, kind=kind, device_id=device_id, region=region, site=site, vendor=vendor,
        severity=severity, statuses=tuple(status or ()),
        since=moment(since, "since"), until=moment(until, "until"),
    )  # fmt: skip
    seen = seen_by(api, caller, "flags")
    return _paged(request, flag_queries.page(seen, choice, cursor=cursor, limit=limit))


FlagId = Annotated[str, Path(max_length=256)]


@router.get("/flags/{flag_id}", tags=["flags"], response_model=models.Flag)
def get_flag(request: Request, api: Context, caller: Caller, flag_id: FlagId) -> Response:
    """A flag with what happened to it."""
    return answer(request, flag_queries.one(seen_by(api, caller, "flags"), flag_id))


@router.get("/flags/{flag_id}/events", tags=["flags"], response_model=models.Records)
def list_events(request: Request, api: Context, caller: Caller, flag_id: FlagId) -> Response:
    """What happened to a flag: decisions in their order, and beside them what processing tells."""
    seen = seen_by(api, caller, "flags")
    (view,) = flag_queries.look(seen, [flag_id])
    return answer(request, {"items": flag_queries.happened(seen, view)})


@router.post("/flags/{flag_id}/events", tags=["flags"], status_code=201, response_model=models.Flag)
def decide_flag(
    request: Request,
    *,
    api: Context,
    caller: Caller,
    flag_id: FlagId,
    body: models.Decision,
    if_match: Annotated[
        str | None, Header(max_length=40, description="the version looked at, quoted")
    ] = None,
) -> Response:
    """Decides about a flag: acknowledge, dismiss (with a reason), confirm, close, reopen.

    Where somebody has decided since the version given (in the body or as `If-Match`), nothing is
    decided, and the answer is 412.
    """
    caller.need("decide")
    seen = seen_by(api, caller, "flags")
    (view,) = flag_queries.look(seen, [flag_id])
    version = body.version if if_match is None else _version(if_match)
    decide(
        api.casebook, body.action, [view.flag], actor=caller.name, reason=body.reason,
        expected={} if version is None else {flag_id: version},
    )  # fmt: skip
    return answer(request, flag_queries.one(seen, flag_id), status=201)


@router.post("/flags/events", tags=["flags"], response_model=models.Anything)
def decide_flags(
    request: Request, api: Context, caller: Caller, body: models.Decisions
) -> Response:
    """Takes one decision about several flags: all or none, or, if told so, those that can be."""
    caller.need("decide")
    seen = seen_by(api, caller, "flags")
    views = flag_queries.look(seen, body.flags)
    made = decide(
        api.casebook, body.action, [view.flag for view in views], actor=caller.name,
        reason=body.reason, skip_refused=body.skip_refused,
    )  # fmt: skip
    refused = [{"id": each.flag_id, "detail": each.detail} for each in made.refused]
    return answer(
        request,
        {"decided": [case.flag_id for case in made.cases], "refused": refused},
    )


def _version(header: str) -> int:
    text = header.strip().strip('"')
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise ConfigError('If-Match: the version that was looked at, as "3"')
    return int(text)


# --- quarantine, evidence


@router.get("/quarantine", tags=["quarantine"], response_model=models.Records)
def list_quarantine(
    request: Request,
    *,
    api: Context,
    caller: Caller,
    reason: Word = None,
    stage: Word = None,
    device_id: Word = None,
    profile: Word = None,
    since: Since = None,
    until: Until = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """Messages that gave no reading, the latest first, with the reason and their bytes.

    A look at bytes that may tell of people is in the audit.
    """
    seen = seen_by(api, caller, "quarantine")
    choice = QuarantineChoice(
        reason=reason, stage=stage, device_id=device_id, profile=profile,
        since=moment(since, "since"), until=moment(until, "until"),
    )  # fmt: skip
    page = quarantine_queries.page(seen, choice, cursor=cursor, limit=limit)
    if quarantine_queries.tells_of_people(seen, page.items):
        devices = {each.get("device_id") for each in page.items}
        (one,) = devices if len(devices) == 1 else (None,)
        offsets = [each["ledger_offset"] for each in page.items]
        api.looked(
            caller, "quarantine", one or "quarantine", device_id=one, messages=len(offsets),
            first_offset=min(offsets), last_offset=max(offsets),
        )  # fmt: skip
    return _paged(request, page)


@router.get("/quarantine/counts", tags=["quarantine"], response_model=models.Records)
def count_quarantine(
    request: Request, api: Context, caller: Caller, since: Since = None, until: Until = None
) -> Response:
    """How many messages are in quarantine, by reason and profile."""
    seen = seen_by(api, caller, "quarantine")
    choice = QuarantineChoice(since=moment(since, "since"), until=moment(until, "until"))
    return answer(request, {"items": quarantine_queries.counts(seen, choice)})


# --- audit


@router.get("/audit", tags=["audit"], response_model=models.Records)
def list_audit(
    request: Request,
    *,
    api: Context,
    caller: Caller,
    actor: Word = None,
    action: Annotated[
        str | None, Query(max_length=64, description="a beginning, such as `flag.`")
    ] = None,
    subject: Word = None,
    since: Since = None,
    until: Until = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """What people did and looked at, the latest first."""
    seen = seen_by(api, caller, "audit")
    choice = AuditChoice(
        actor=actor, action=action, subject=subject,
        since=moment(since, "since"), until=moment(until, "until"),
    )  # fmt: skip
    return _paged(request, trail.page(seen, choice, cursor=cursor, limit=limit))


@router.get("/audit/verification", tags=["audit"], response_model=models.Anything)
def verify_audit(
    request: Request,
    *,
    api: Context,
    caller: Caller,
    kept_id: Annotated[int | None, Query(ge=0, le=2**62)] = None,
    kept_hash: Annotated[str | None, Query(max_length=64, pattern="^[0-9a-f]{64}$")] = None,
) -> Response:
    """Computes the chain of the whole audit anew.

    The head that it tells is to be kept elsewhere; given again as `kept_id` and `kept_hash`, it
    shows whether the audit of then has been cut off or written anew since.
    """
    caller.need("audit")
    kept = None if kept_id is None or kept_hash is None else Head(kept_id, kept_hash)
    verdict = api.casebook.verify_audit(kept)
    told = {"entries": verdict.entries, "ok": not verdict.faults, "faults": verdict.faults}
    return answer(request, told | {"head": {"id": verdict.head.id, "hash": verdict.head.hash}})


# --- quality


@router.get("/quality", tags=["quality"], response_model=models.Records)
def list_quality(
    request: Request,
    *,
    api: Context,
    caller: Caller,
    since: Annotated[dt.date, Query(description="the first day")],
    until: Annotated[dt.date | None, Query(description="the last day, included")] = None,
    by: By = "model",
    zone: Annotated[str, Query(max_length=64, description="in which days begin")] = "Asia/Shanghai",
    region: Word = None,
    device_id: Word = None,
    model: Annotated[str | None, Query(max_length=256, description="empty: not known")] = None,
    firmware: Annotated[str | None, Query(max_length=256, description="empty: not known")] = None,
    total: bool = False,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """How good the data are, by the terms of GB/T 36344-2018, with the counts behind it."""
    seen = seen_by(api, caller, "quality")
    try:
        where = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError("zone: no such time zone; one is Asia/Shanghai") from None
    choice = QualityChoice(
        first=since, last=until or since, zone=where, by=by, region=region, device_id=device_id,
        model=model, firmware=firmware, total=total,
    )  # fmt: skip
    page = quality_queries.page(seen, api.quality, choice, cursor=cursor, limit=limit)
    return _paged(request, page)


# --- profiles


@router.get("/profiles", tags=["profiles"], response_model=models.Records)
def list_profiles(request: Request, api: Context, caller: Caller) -> Response:
    """The device profiles that messages are read by; a vendor sees his own."""
    caller.need("profiles")
    found = [_profile(each) for each in shown_profiles(api, caller)]
    return answer(request, {"items": found})


@router.get("/profiles/{name}", tags=["profiles"], response_model=models.Anything)
def get_profile(
    request: Request, api: Context, caller: Caller, name: Annotated[str, Path(max_length=256)]
) -> Response:
    """A profile: what it reads, its caveats, and its source."""
    caller.need("profiles")
    found = next((each for each in shown_profiles(api, caller) if each.name == name), None)
    if found is None:
        raise NotFound(f"no profile {name!r:.128}")
    told = _profile(found)
    told["quantities"] = quantities_of(found)
    told["source"] = found.file.read_text("utf-8")
    return answer(request, told)


def shown_profiles(api: Api, caller: Caller) -> list[Profile]:
    """The profiles that somebody sees: a vendor those of his own instruments."""
    vendor = caller.scope.vendor
    every = sorted(api.world.profiles.profiles.values(), key=lambda each: each.name)
    return [each for each in every if vendor in {None, each.model.instrument.vendor}]


def _profile(profile: Profile) -> dict[str, Any]:
    return {
        "name": profile.name,
        "id": profile.id,
        "kind": profile.kind,
        "title": {"en": profile.model.title.en, "zh": profile.model.title.zh},
        "instruments": instruments_of(profile),
        "models": [{"vendor": vendor, "model": model} for vendor, model in models_of(profile)],
        "protocol": protocol_of(profile),
        "sha256": profile.digest,
    }
