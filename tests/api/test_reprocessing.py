"""Orders to decide quarantine again: who may give them, for what, and who is told of them."""

from __future__ import annotations

from typing import Any

import pytest

from gateway import orders
from gateway.access.roles import EVERYTHING
from gateway.store import Reprocessing
from tests.api.world import PEOPLE
from tests.store.made import results

ORDERS = "/api/v1/quarantine/reprocess"
IN_330106 = 5
EVERY_ROW = 15


@pytest.fixture(autouse=True)
def _nothing_waits(bureau):
    """What waits at the end of a test is done."""
    yield
    for order in orders.orders(bureau.casebook, EVERYTHING):
        orders.end(bureau.casebook, order, Reprocessing(order.number))


def latest(bureau: Any, name: str) -> dict[str, Any]:
    return bureau.client(name).get(ORDERS).json()["items"][0]


def test_an_order_is_for_what_is_seen_and_in_the_audit(bureau):
    given = bureau.client("zhang").post(ORDERS, json={"reason": "unparseable"})
    assert given.status_code == 202
    told = given.json()
    assert (told["state"], told["messages"], told["region"]) == ("waiting", IN_330106, "330106")
    assert (told["asked_by"], told["reason"], told["decided"]) == ("zhang", "unparseable", 0)
    entry = bureau.casebook.audit(limit=1)[0]
    assert (entry.actor, entry.action) == ("zhang", "quarantine.reprocess")
    assert entry.detail == {"reason": "unparseable", "region": "330106", "messages": IN_330106}
    again = bureau.client("zhang").post(ORDERS, json={"reason": "unparseable"})
    assert again.status_code == 409
    assert again.json()["type"].endswith(":refused")
    # The same for another scope is another order.
    assert bureau.client("root").post(ORDERS, json={}).json()["messages"] == EVERY_ROW


def test_a_choice_narrows(bureau):
    client = bureau.client("root")
    told = client.post(ORDERS, json={"profile": "water-meter-reference@9.9.9"}).json()
    assert (told["profile"], told["messages"]) == ("water-meter-reference", EVERY_ROW - 1)
    assert client.post(ORDERS, json={"reason": "nonsense"}).status_code == 409
    assert client.post(ORDERS, json={"reason": ""}).status_code == 422
    assert client.post(ORDERS, json={"device_id": "x"}).status_code == 422


@pytest.mark.parametrize("name", [n for n in PEOPLE if n not in {"root", "chief", "zhang", "wang"}])
def test_who_does_not_decide_gives_no_orders(bureau, name):
    before = len(bureau.casebook.audit(limit=10_000))
    assert bureau.client(name).post(ORDERS, json={}).status_code == 403
    assert len(bureau.casebook.audit(limit=10_000)) == before


def test_an_order_is_told_to_who_sees_all_that_it_is_for(bureau):
    bureau.client("zhang").post(ORDERS, json={})
    number = latest(bureau, "zhang")["number"]
    for name, sees in (
        ("root", True), ("chief", True), ("wang", False), ("auditor", False), ("acme", False),
    ):  # fmt: skip
        items = bureau.client(name).get(ORDERS).json()["items"]
        assert (number in {item["number"] for item in items}) is sees, name
    assert bureau.client("viewer").get(ORDERS).status_code == 403


def test_progress_is_told_while_it_is_worked_on_and_the_outcome_after(bureau):
    bureau.client("root").post(ORDERS, json={})
    order = orders.orders(bureau.casebook, EVERYTHING)[0]
    orders.take_up(bureau.casebook, below=3000, latest=None)
    assert latest(bureau, "root")["state"] == "running"
    assert latest(bureau, "root")["decided"] == 0
    progress = Reprocessing(order.number, 1003, decided=4, stored=3, refused=1, readings=5)
    bureau.store.replace_quarantined([], results(next_offset=3000), progress)
    told = latest(bureau, "root")
    assert (told["state"], told["decided"], told["stored"], told["refused"]) == ("running", 4, 3, 1)
    orders.end(bureau.casebook, order, progress)
    told = latest(bureau, "root")
    assert (told["state"], told["readings"], told["decided"]) == ("done", 5, 4)
    assert told["begun_at"] <= told["ended_at"]
    orders.end(bureau.casebook, order, progress, "twice")
    assert latest(bureau, "root") == told


def test_a_flag_is_shown_whole_when_its_readings_are_gone(bureau):
    client = bureau.client("root")
    address = "/api/v1/flags/flag-w-330106-acme"
    before = client.get(address).json()
    assert before["evidence"]
    for kind in ("water_meter", "taximeter"):
        assert bureau.store.remove(kind, 2**62, most=10_000) > 0
    assert client.get(address).json() == before
    series = client.get("/api/v1/devices/w-330106-acme/series")
    assert (series.status_code, series.json()["series"]) == (200, [])
    assert client.get("/api/v1/devices/w-330106-acme").status_code == 200
    report = client.get(f"{address}/report?format=html&language=zh")
    assert report.status_code == 200
