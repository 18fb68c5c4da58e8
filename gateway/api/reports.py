"""Reports on paper: the evidence of a flag, a district's week or month."""

# No "from __future__ import annotations" in modules of routes: FastAPI reads the annotations.
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Header, Query, Response

from gateway.access.sessions import Principal
from gateway.api.context import Api, Caller, Context, export_cost, seen_by
from gateway.api.lists import FlagId, Word
from gateway.messages import Language, Texts
from gateway.queries import flags as flag_queries
from gateway.queries import readings as reading_queries
from gateway.queries.seen import Seen
from gateway.reports import evidence
from gateway.reports.district_paper import district_report
from gateway.reports.form import MEDIA, Form, accepted, made
from gateway.reports.html import content_policy
from gateway.reports.paper import Paper
from gateway.reports.periods import checked

router: Final = APIRouter(tags=["reports"])

_FORMS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The report: HTML, or PDF where `Accept` or `format` asks for it",
        "content": {
            MEDIA[form].partition(";")[0]: {"schema": {"type": "string", "format": "binary"}}
            for form in ("html", "pdf")
        },
    }
}
Format = Annotated[
    Form | None, Query(alias="format", description="default: what `Accept` asks for")
]
Spoken = Annotated[
    Literal["en", "zh"] | None,
    Query(description="default: what `Accept-Language` asks for, else English"),
]
Accept = Annotated[str, Header(max_length=1024)]
AcceptLanguage = Annotated[str, Header(max_length=1024)]


@router.get("/flags/{flag_id}/report", response_class=Response, responses=_FORMS)
def report_flag(
    *,
    api: Context,
    caller: Caller,
    flag_id: FlagId,
    form: Format = None,
    language: Spoken = None,
    accept: Accept = "",
    accept_language: AcceptLanguage = "",
) -> Response:
    """The evidence of a flag for who has nothing but the paper, as far as this account sees it.

    It counts as an export. A look at what tells of people is in the audit.
    """
    seen = seen_by(api, caller, "flags")
    (view,) = flag_queries.look(seen, [flag_id])
    export_cost(api, caller)
    device_id = view.flag.device_id
    if reading_queries.is_personal(seen, device_id):
        api.looked(caller, "report", device_id, device_id=device_id, flag=flag_id)
    texts = Texts(_language(language, accept_language))
    paper = evidence.evidence_report(_request(api, caller, seen), flag_id, texts)
    return _answer(paper, form, accept, f"flag-{view.flag.id}")


@router.get("/report", response_class=Response, responses=_FORMS)
def report_district(
    *,
    api: Context,
    caller: Caller,
    region: Word = None,
    month: Annotated[str | None, Query(max_length=10, examples=["2026-11"])] = None,
    week: Annotated[str | None, Query(max_length=10, examples=["2026-W47"])] = None,
    form: Format = None,
    language: Spoken = None,
    accept: Accept = "",
    accept_language: AcceptLanguage = "",
) -> Response:
    """A district's week or month: instruments, flags, data quality, verifications falling due.

    Without a region: all that this account sees. It counts as an export.
    """
    period = checked(month, week)
    for permission in ("places", "flags", "quality"):
        caller.need(permission)
    seen = seen_by(api, caller, "devices")
    seen.narrowed(region)
    export_cost(api, caller)
    texts = Texts(_language(language, accept_language))
    paper = district_report(_request(api, caller, seen), api.quality, region, period, texts)
    return _answer(paper, form, accept, f"report-{region or 'all'}-{period.name}")


def _request(api: Api, caller: Principal, seen: Seen) -> evidence.Request:
    return evidence.Request(
        seen=seen, permissions=caller.permissions, by=caller.name, made_at=api.casebook.now()
    )


def _language(asked: Language | None, accept: str) -> Language:
    if asked is not None:
        return asked
    return "zh" if accept.strip().lower().startswith("zh") else "en"


def _answer(paper: Paper, form: Form | None, accept: str, name: str) -> Response:
    chosen = form or accepted(accept)
    return Response(
        made(paper, chosen),
        media_type=MEDIA[chosen],
        headers={
            "Content-Disposition": f'inline; filename="{name}.{chosen}"',
            "Content-Security-Policy": content_policy(),
            "Cache-Control": "no-store",
            "Vary": "Accept, Accept-Language, Cookie, Authorization",
        },
    )
