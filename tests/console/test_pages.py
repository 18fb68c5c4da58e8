"""What the console asks beyond the lists: map, sites, stages, trial, vocabulary."""

from __future__ import annotations

import pytest

from gateway.checks.catalogue import CATALOGUE
from gateway.quantities import KINDS
from tests.api.world import EACH, REGIONS, Bureau, devices
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


def test_the_vocabulary_is_that_of_the_gateway(bureau):
    told = bureau.client("acme").get(f"{V1}/vocabulary").json()
    assert set(told["codes"]) == set(CATALOGUE)
    for code, each in told["codes"].items():
        info = CATALOGUE[code]
        assert each["doc"]["en"] == info.doc != each["doc"]["zh"]
        assert each["tolerance"]["en"] == info.tolerance != each["tolerance"]["zh"]
        assert {kind: both["en"] for kind, both in each["basis"].items()} == info.basis
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
