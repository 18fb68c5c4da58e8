"""What one request, or one account, can take of the gateway."""

from __future__ import annotations

import pytest

from gateway.queries import quality

V1 = "/api/v1"
DAYS = f"{V1}/quality?since=2023-11-15&until=2023-11-17&by=device"


@pytest.mark.parametrize("device_id", ["nobody", "w-330106-acme", "w-330106-borg"])
def test_of_a_device_that_is_not_seen_nothing_is_counted(bureau, device_id):
    before = len(bureau.api.quality._recent._kept)
    told = bureau.client("borg").get(f"{DAYS}&device_id={device_id}")
    assert (told.status_code, told.json()) == (200, {"items": []})
    assert len(bureau.api.quality._recent._kept) == before


def test_an_answer_that_is_made_as_a_whole_has_only_so_many_rows(bureau, monkeypatch):
    monkeypatch.setattr(quality, "_MOST_ASSESSED", 5)
    told = bureau.client("looker").get(DAYS)
    assert told.status_code == 400
    assert "fewer days, or total" in told.json()["detail"]
    for address in (f"{DAYS}&total=true", f"{V1}/quality?since=2023-11-15&by=device"):
        told = bureau.client("looker").get(address)
        assert (told.status_code, len(told.json()["items"]) > 5) == (200, True), address
