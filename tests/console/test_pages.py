"""What the console asks beyond the lists: map, sites, stages, trial, words, a vendor's view."""

from __future__ import annotations

import pytest

from gateway.checks.catalogue import CATALOGUE
from gateway.quantities import KINDS
from tests.api.world import EACH, REGIONS, Bureau, devices, firmware
from tests.api.world import PEOPLE as ACCOUNTS

V1 = "/api/v1"
VECTORS = f"{V1}/profiles/water-meter-reference/vectors"
TRIAL = f"{V1}/profiles/water-meter-reference/trial"


@pytest.fixture(scope="module")
def bureau(tmp_path_factory):
    made = Bureau(tmp_path_factory.mktemp("pages"))
    made.add_people()
    yield made
    made.close()


def _in(region):
    return [each for each in devices() if str(each.region).startswith(region)]


@pytest.mark.parametrize("name", ["root", "chief", "zhang", "wang", "looker"])
def test_a_map_has_each_device_of_the_district_once(bureau, name):
    told = bureau.client(name).get(f"{V1}/map").json()
    region = ACCOUNTS[name][1]
    strangers = 1 if not region else 0
    assert sum(each["devices"] for each in told["clusters"]) == len(_in(region))
    assert told["unplaced"] == strangers
    assert sum(each["flagged"] for each in told["clusters"]) == len(_in(region))


def test_a_map_goes_nearer_and_tells_single_devices(bureau):
    client = bureau.client("root")
    far = client.get(f"{V1}/map?cells=1").json()
    assert len(far["clusters"]) <= 2
    bounds = "west=100&east=101&south=30&north=31"
    near = client.get(f"{V1}/map?{bounds}").json()
    assert [each["device_id"] for each in near["clusters"]] == [devices()[0].device_id]
    assert near["clusters"][0]["longitude"] == devices()[0].longitude


def test_a_map_is_as_coarse_as_its_reader_may_see(bureau):
    told = bureau.client("looker").get(f"{V1}/map").json()
    assert told["cell_deg"] >= 0.01
    for each in told["clusters"]:
        assert round(each["longitude"], 2) == each["longitude"]


def test_sites_are_those_of_the_district(bureau):
    told = bureau.client("zhang").get(f"{V1}/sites").json()["items"]
    assert [each["site"] for each in told] == [f"site {REGIONS[0]}"]
    assert sum(told[0]["kinds"].values()) == len(_in(REGIONS[0])) == told[0]["flags"]
    every = bureau.client("root").get(f"{V1}/sites").json()["items"]
    assert {each["site"] for each in every} == {f"site {region}" for region in REGIONS}


def test_sites_say_what_they_are_and_whether_a_balance_is_off(bureau):
    told = {each["site"]: each for each in bureau.client("root").get(f"{V1}/sites").json()["items"]}
    assert sorted(told[f"site {REGIONS[0]}"]["heads"]) == ["district", "station"]
    assert told[f"site {REGIONS[1]}"]["heads"] == ["district"]
    assert told[f"site {REGIONS[2]}"]["heads"] == []
    assert not any(each["unbalanced"] for each in told.values())


def test_a_balance_adds_up_what_is_below_and_is_told_to_who_sees_all_of_it(bureau):
    root = bureau.client("root")
    (told,) = root.get(f"{V1}/devices/w-330108-borg/balance").json()["feeders"]
    # Each meter counts 4 m3 an hour, and two are below; one whole hour is known.
    assert (told["unit"], told["judged"], told["verdict"]) == ("m3", False, "unknown")
    assert [day["hours"] for day in told["days"]] == [1.0]
    assert told["supplied"] == pytest.approx(4.0)
    assert told["used"] == pytest.approx(8.0)
    assert told["loss_percent"] == pytest.approx(-100.0)
    assert {each["device_id"] for each in told["members"]} == {"w-310101-acme", "w-310101-borg"}
    chief = bureau.client("chief").get(f"{V1}/devices/w-330108-borg/balance").json()
    assert chief["feeders"] == []
    assert chief["left_out"] == [{"device_id": "w-330108-borg", "reason": "outside"}]
    assert bureau.client("wang").get(f"{V1}/devices/w-330108-borg/balance").status_code == 404
    assert root.get(f"{V1}/sites/no/such/balance").status_code == 404
    assert root.get(f"{V1}/sites/site {REGIONS[0]}/balance?days=32").status_code == 422


def test_a_site_without_a_balance_tells_how_its_registers_grew(bureau):
    told = bureau.client("wang").get(f"{V1}/sites/site {REGIONS[2]}/balance").json()
    assert told["tanks"] == told["feeders"] == []
    assert {each["device_id"] for each in told["levels"]} == {"w-310101-acme", "w-310101-borg"}
    assert all(each["max"][-1] - each["min"][0] == EACH - 1 for each in told["levels"])


def test_a_device_says_what_it_heads_and_what_is_above(bureau):
    client = bureau.client("zhang")
    assert client.get(f"{V1}/devices/w-330106-acme").json()["members"] == 1
    assert client.get(f"{V1}/devices/w-330106-borg").json()["parent"] == "w-330106-acme"
    assert client.get(f"{V1}/devices/f-330106-acme").json()["tanks"] == 1
    elsewhere = bureau.client("wang").get(f"{V1}/devices/w-310101-acme").json()
    assert "parent" not in elsewhere
    assert elsewhere["parameters"]["parent"] == "(elsewhere)"


def test_the_vocabulary_is_that_of_the_gateway(bureau):
    told = bureau.client("acme").get(f"{V1}/vocabulary").json()
    assert set(told["codes"]) == set(CATALOGUE)
    for code, each in told["codes"].items():
        info = CATALOGUE[code]
        assert each["doc"]["en"] == info.doc != each["doc"]["zh"]
        assert each["tolerance"]["en"] == info.tolerance != each["tolerance"]["zh"]
        for basis in info.basis.values():
            assert all(told["clauses"][clause]["en"] == clause for clause in basis.split("; "))
    assert set(told["kinds"]) == set(KINDS)
    assert told["decisions"]["dismiss"]["reason"] is True
    (volume,) = (each for each in told["kinds"]["water_meter"] if each["name"] == "volume")
    assert volume["key"] == "volume_m3"


def test_every_vector_of_a_profile_is_read_by_its_trial(bureau):
    client = bureau.client("zhang")
    vectors = client.get(VECTORS).json()["items"]
    assert vectors
    read = 0
    for vector in vectors:
        body = {key: vector[key] for key in ("topic", "payload", "payload_hex") if key in vector}
        told = client.post(TRIAL, json=body).json()
        verdicts = [each["verdict"] for each in told["candidates"]]
        assert told["readings"] or told["ignored"] or told["quarantined"], vector
        read += "reads it" in verdicts
    assert read > 0


def test_a_trial_says_what_is_wrong(bureau):
    client = bureau.client("zhang")
    told = client.post(TRIAL, json={"payload": "{nonsense"}).json()
    assert told["quarantined"]["reason"] == "unparseable"
    assert client.post(TRIAL, json={"payload": "{}", "topic": "other/x"}).status_code == 400
    assert client.post(TRIAL, json={}).status_code == 400
    assert client.post(TRIAL, json={"payload_hex": "xyz"}).status_code == 400
    assert client.post(f"{V1}/profiles/none/trial", json={"payload": "{}"}).status_code == 404


def test_a_trial_keeps_nothing_and_knows_no_device(bureau):
    client = bureau.client("zhang")
    before = bureau.store.checkpoint()
    body = client.get(VECTORS).json()["items"][0]
    told = client.post(TRIAL, json={"topic": body["topic"], "payload": body["payload"]}).json()
    assert told["readings"]
    assert bureau.store.checkpoint() == before


def test_another_vendors_profile_cannot_be_tried(bureau):
    assert bureau.client("acme").post(TRIAL, json={"payload": "{}"}).status_code == 404
    assert bureau.client("acme").get(VECTORS).status_code == 404


def test_the_stages_of_a_message_are_told_to_who_may_see_it(bureau):
    # The ledger's messages of this world are of no profile: the stages say so.
    told = bureau.client("root").get(f"{V1}/evidence/0/stages").json()
    assert told["candidates"] == []
    assert told["quarantined"]["reason"] == "no_profile"
    other = [each.device_id for each in devices()].index("w-310101-acme") * EACH
    assert bureau.client("zhang").get(f"{V1}/evidence/{other}/stages").status_code == 404
    assert bureau.client("looker").get(f"{V1}/evidence/0/stages").status_code == 403


def test_a_look_at_stages_is_in_the_audit(bureau):
    bureau.client("zhang").get(f"{V1}/evidence/0/stages")
    entry = bureau.casebook.audit(limit=1)[0]
    assert (entry.actor, entry.action) == ("zhang", "look.evidence")


QUALITY = f"{V1}/quality?since=2023-11-15&total=true"


def test_a_vendor_has_the_quality_of_its_models_by_firmware(bureau):
    def groups(name, more=""):
        items = bureau.client(name).get(f"{QUALITY}&by=firmware{more}").json()["items"]
        return {(each.get("model"), each["firmware"]): each["devices"] for each in items}

    acme = {(f"ACME-{letter}", firmware("ACME")): count for letter, count in (("w", 3), ("t", 3))}
    acme["ACME-f", firmware("ACME")] = 1
    borg = {(f"Borg-{letter}", firmware("Borg")): 3 for letter in "wt"}
    assert groups("acme") == acme
    assert groups("borg") == dict.fromkeys(borg, 1), "of its district"
    assert groups("looker").items() >= (acme | borg).items()
    assert groups("acme", "&model=ACME-w") == {("ACME-w", firmware("ACME")): 3}
    assert groups("acme", "&firmware=other") == groups("acme", "&model=Borg-w") == {}


def test_a_group_leads_to_its_devices(bureau):
    asked = f"{QUALITY}&by=device&model=ACME-w&firmware={firmware('ACME')}"
    items = bureau.client("looker").get(asked).json()["items"]
    assert {each["device"] for each in items} == {f"w-{region}-acme" for region in REGIONS}
    unknown = bureau.client("looker").get(f"{QUALITY}&by=device&firmware=").json()["items"]
    assert {each["device"] for each in unknown} == {"stranger"}


def test_the_pages_of_a_quality_by_firmware_have_each_group_once(bureau):
    client, found, cursor = bureau.client("looker"), [], ""
    while cursor is not None:
        page = client.get(f"{QUALITY}&by=firmware&limit=2{cursor}").json()
        found += [(each.get("model"), each["firmware"]) for each in page["items"]]
        cursor = f"&cursor={page['next_cursor']}" if "next_cursor" in page else None
    assert len(found) == len(set(found)) >= 5


def test_an_overview_counts_the_models_that_are_seen(bureau):
    told = bureau.client("acme").get(f"{V1}/overview").json()["devices"]["models"]
    assert [(each["model"], each["kind"]) for each in told] == [
        ("ACME-t", "taximeter"), ("ACME-w", "water_meter"), ("ACME-f", "fuel_dispenser"),
    ]  # fmt: skip
    assert [each["reporting"] + each["silent"] + each["never"] for each in told] == [3, 3, 1]


def test_a_vendor_is_not_told_by_which_citys_tariff_a_fare_was_judged(bureau):
    address = f"{V1}/flags/flag-t-330106-acme"
    assert bureau.client("viewer").get(address).json()["evidence"]["tariff"]
    assert not {"tariff", "source"} & set(bureau.client("acme").get(address).json()["evidence"])
