"""Quarantine decided again while the gateway runs: orders, and what became of them."""

# No "from __future__ import annotations" in modules of routes: FastAPI reads the annotations.
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from gateway import orders
from gateway.api import models
from gateway.api.context import Api, Caller, Context, answer, seen_by
from gateway.orders import Order
from gateway.queries import quarantine
from gateway.queries.quarantine import QuarantineChoice
from gateway.store import Reprocessing
from gateway.store.rows import REPROCESSING
from gateway.times import rfc3339

router: Final = APIRouter()


@router.get("/quarantine/reprocess", tags=["quarantine"], response_model=models.Records)
def list_orders(request: Request, api: Context, caller: Caller) -> Response:
    """The latest orders to decide quarantine again, the newest first, with what came of each.

    `state` is `waiting`, `running`, `done` or `failed`; `decided` messages are `stored`,
    `duplicates`, `ignored` on purpose, or `refused`: in quarantine still. An order is seen by who
    sees all that it is for.
    """
    seen = seen_by(api, caller, "quarantine")
    found = orders.orders(api.casebook, seen.scope)
    running = _running(api) if any(order.state == "running" for order in found) else None
    return answer(request, {"items": [_order(order, running) for order in found]})


@router.post(
    "/quarantine/reprocess", tags=["quarantine"], status_code=202, response_model=models.Anything
)
def order_reprocess(
    request: Request, api: Context, caller: Caller, body: models.Reprocess
) -> Response:
    """Has messages in quarantine decided again, with the profiles and the registry of now.

    Of a reason, of a profile, or all; never more than the caller sees. They are judged as late
    messages; what is still refused stays in quarantine with its present reason. It is done beside
    the messages that come in, and survives a restart; `GET` tells how far it is. 409 where there is
    nothing to do, or the same is being done.
    """
    caller.need("decide")
    seen = seen_by(api, caller, "quarantine")
    profile = body.profile and body.profile.partition("@")[0]
    choice = QuarantineChoice(reason=body.reason, profile=profile)
    order = orders.give(
        api.casebook,
        actor=caller.name,
        scope=seen.scope,
        messages=quarantine.retriable(seen, choice),
        reason=body.reason,
        profile=profile,
    )
    return answer(request, _order(order, None), status=202)


def _running(api: Api) -> Reprocessing | None:
    """How far processing has come with the order that it works on."""
    found = api.world.store.ask(REPROCESSING)
    return Reprocessing(*found[0]) if found else None


def _order(order: Order, running: Reprocessing | None) -> dict[str, Any]:
    told: dict[str, Any] = {
        "number": order.number,
        "state": order.state,
        "asked_by": order.actor,
        "asked_at": rfc3339(order.at),
        "messages": order.messages,
    }
    for name in ("reason", "profile", "region", "vendor", "fault"):
        if value := getattr(order, name):
            told[name] = value
    for name in ("begun_at", "ended_at"):
        if (at := getattr(order, name)) is not None:
            told[name] = rfc3339(at)
    progress = order.outcome or Reprocessing(order.number)
    if order.outcome is None and running is not None and running.number == order.number:
        progress = running
    if order.state == "failed":
        told["next_offset"] = progress.reached + 1
    names = ("decided", "stored", "duplicates", "ignored", "refused", "readings")
    return told | {name: getattr(progress, name) for name in names}
