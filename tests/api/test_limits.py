"""What one request, or one account, can take of the gateway."""

from __future__ import annotations

import pytest

from gateway.api.guard import Slots
from gateway.api.problems import Busy
from gateway.queries.quality import QualityCounts
from tests.api.world import Bureau

V1 = "/api/v1"
DAYS = f"{V1}/quality?since=2023-11-15&until=2023-11-17&by=device"


@pytest.mark.parametrize("device_id", ["nobody", "w-330106-acme", "w-330106-borg"])
def test_of_a_device_that_is_not_seen_nothing_is_counted(bureau, device_id):
    before = len(bureau.api.quality._recent._kept)
    told = bureau.client("borg").get(f"{DAYS}&device_id={device_id}")
    assert (told.status_code, told.json()) == (200, {"items": []})
    assert len(bureau.api.quality._recent._kept) == before


def test_an_answer_that_is_made_as_a_whole_has_only_so_many_rows(tmp_path):
    bureau = Bureau(tmp_path)
    bureau.add_people()
    bureau.api.quality = QualityCounts(bureau.api.world, most_assessed=5)
    told = bureau.client("looker").get(DAYS)
    assert told.status_code == 400
    assert "fewer days, or total" in told.json()["detail"]
    for address in (f"{DAYS}&total=true", f"{V1}/quality?since=2023-11-15&by=device"):
        told = bureau.client("looker").get(address)
        assert (told.status_code, len(told.json()["items"]) > 5) == (200, True), address
    bureau.close()


def test_one_account_does_not_take_every_place_of_an_export(bureau):
    slots: Slots = bureau.app.state.exports
    for _ in range(2):
        slots.take("wang")
    told = bureau.client("wang").get(f"{V1}/export/flags")
    assert (told.status_code, told.headers["retry-after"]) == (503, "5")
    for _ in range(3):
        assert bureau.client("zhang").get(f"{V1}/export/flags").status_code == 200
    for _ in range(2):
        slots.take("root")
    assert bureau.client("zhang").get(f"{V1}/export/flags").status_code == 503
    for name in ("wang", "wang", "root", "root"):
        slots.give_back(name)
    assert bureau.client("wang").get(f"{V1}/export/flags").status_code == 200
    with pytest.raises(Busy):
        Slots(1, 0).take("anybody")
