"""Every route as every account: nothing of another district or vendor is ever in an answer.

The requests are made from the API's own description, so that a route that is added without a word
here fails the first test.
"""

from __future__ import annotations

import io
import json
from typing import Any

import pyarrow.parquet as pq
import pytest
from pypdf import PdfReader

from gateway.access.roles import ALLOWED, EVERYTHING
from gateway.assembly import read_profiles
from gateway.cases import cases_of, payload_of
from gateway.ledger.sqlite import SqliteLedger
from gateway.queries.privacy import EXACT
from gateway.queries.readings import is_personal
from gateway.queries.seen import Seen
from gateway.records import Batch, Device
from tests.api.world import (
    EACH,
    KIND_OF,
    PEOPLE,
    REGIONS,
    VENDORS,
    Bureau,
    devices,
    firmware,
)
from tests.compiled import PROFILES
from tests.store.made import START, flag, reading, results

pytestmark = pytest.mark.xdist_group("api-matrix")
V1 = "/api/v1"
CONTROLLER = PROFILES / "fuel_dispenser" / "jsonpts-pump-transaction.yaml"
DEVICES = {device.device_id: device for device in devices()}
EVERY_DEVICE = [*DEVICES, "stranger"]
SAMPLE = (
    "w-330106-acme", "t-330106-borg", "t-330108-acme", "w-330108-borg", "w-310101-acme",
    "t-310101-borg", "stranger",
)  # fmt: skip
"""One device of each district and vendor: of both kinds that tell of people."""
FORMATS = ("jsonl", "csv", "parquet")
WHAT = ("readings", "flags", "quarantine", "devices")
PERMISSION = {
    "devices": "devices",
    "devices/{device_id}": "devices",
    "devices/{device_id}/readings": "readings",
    "devices/{device_id}/series": "readings",
    "devices/{device_id}/balance": "readings",
    "sites/{site}/balance": "readings",
    "overview": "devices",
    "flags": "flags",
    "flags/{flag_id}": "flags",
    "flags/{flag_id}/events": "flags",
    "flags/{flag_id}/report": "flags",
    "report": "places",
    "quarantine": "quarantine",
    "quarantine/counts": "quarantine",
    "quarantine/reprocess": "quarantine",
    "evidence/{offset}": "evidence",
    "audit": "audit",
    "audit/verification": "audit",
    "quality": "quality",
    "profiles": "profiles",
    "profiles/{name}": "profiles",
    "profiles/{name}/vectors": "profiles",
    "vocabulary": "devices",
    "map": "places",
    "sites": "places",
    "evidence/{offset}/stages": "evidence",
    "ingest": "ingest",
    "users": "users",
}
"""What it takes to read each route; `session` and `tokens` are everybody's."""
OWN = {"session", "tokens", "export/{what}", "live"}
BEFORE = {"session/oidc", "session/oidc/callback"}
"""The way to become somebody: tests/api/test_single_sign_on.py."""
CHANGES = {
    "post session", "delete session", "put session/password", "post users", "patch users/{name}",
    "post users/{name}/password", "post tokens", "delete tokens/{number}",
    "post flags/{flag_id}/events", "post flags/events", "post profiles/{name}/trial",
    "post quarantine/reprocess",
}  # fmt: skip


def seen_by(name: str) -> set[str]:
    """The devices that an account may see, by the table of accounts alone."""
    _, region, vendor = PEOPLE[name]
    if not region and vendor is None:
        return set(EVERY_DEVICE)
    return {
        each.device_id
        for each in DEVICES.values()
        if str(each.region).startswith(region) and vendor in (None, each.vendor)
    }


def marks(device_id: str) -> list[str]:
    """What would give a device away."""
    found = [device_id]
    if device_id in DEVICES:
        found.append(str(DEVICES[device_id].serial_number))
    return found


def hidden_marks(name: str) -> list[str]:
    """What must be in no answer to an account: other devices, and what is told of other places."""
    seen = seen_by(name)
    found = [mark for other in EVERY_DEVICE if other not in seen for mark in marks(other)]
    _, region, vendor = PEOPLE[name]
    for place in REGIONS:
        if vendor is not None or not place.startswith(region):
            found += [f"owner of {place}", f"site {place}", f"in {place}", f"tariff of {place}"]
    if vendor is not None:
        for other in set(VENDORS) - {vendor}:
            found += [firmware(other), *(f"{other}-{letter}" for letter in KIND_OF)]
    return found


def requests(path: str) -> list[str]:  # noqa: C901, PLR0911, PLR0912 - a table
    """The addresses to ask for a route: with the id of every device, flag and message there is."""
    match path:
        case (
            "devices/{device_id}" | "devices/{device_id}/readings" | "devices/{device_id}/series"
            | "devices/{device_id}/balance"
        ):  # fmt: skip
            return [path.replace("{device_id}", each) for each in SAMPLE]
        case "sites/{site}/balance":
            return [f"sites/site {place}/balance?days=31" for place in REGIONS]
        case "flags/{flag_id}":
            return [f"flags/flag-{each}" for each in SAMPLE]
        case "flags/{flag_id}/events":
            return [f"flags/flag-{each}/events" for each in SAMPLE]
        case "evidence/{offset}" | "evidence/{offset}/stages":
            offsets = [EVERY_DEVICE.index(each) * EACH for each in SAMPLE]
            every = (*offsets, 1000, 1009, 2000, 5000)
            return [path.replace("{offset}", str(offset)) for offset in every]
        case "profiles/{name}" | "profiles/{name}/vectors":
            return [path.replace("{name}", each) for each in ("water-meter-reference", "none")]
        case "flags/{flag_id}/report":
            paths = [f"flags/flag-{each}/report" for each in SAMPLE]
            return [*paths, *(f"{each}?format=pdf&language=zh" for each in paths[::3])]
        case "report":
            more = ["", *(f"&region={place}" for place in (*REGIONS, "31"))]
            return [
                *(f"report?week=2023-W46{each}" for each in more),
                "report?week=2023-W46&format=pdf",
            ]
        case "quality":
            days = "quality?since=2023-11-14&until=2023-11-15&limit=1000"
            groups = ("device", "region", "model", "firmware", "vendor&total=true")
            return [f"{days}&by={each}" for each in groups]
        case "export/{what}":
            return [
                *(f"export/{what}?format=jsonl" for what in WHAT),
                "export/flags?format=csv",
                "export/readings?format=parquet&kind=taximeter",
                *(f"export/readings?device={each}" for each in SAMPLE[::3]),
                *(f"export/flags?region={place}" for place in REGIONS[1:]),
            ]
        case "devices" | "flags":
            more = [f"region={place}" for place in (*REGIONS, "31")]
            more += [f"site=site {place}" for place in REGIONS] + ["vendor=ACME", "vendor=Borg"]
            if path == "flags":
                more += [f"device_id={each}" for each in SAMPLE[::2]]
            else:
                more += ["text=310101", "text=SN31", "text=borg"]
            return [f"{path}?limit=1000", *(f"{path}?limit=1000&{each}" for each in more)]
        case "quarantine":
            more = [f"device_id={each}" for each in SAMPLE[::2]]
            return ["quarantine?limit=1000", *(f"quarantine?{each}" for each in more)]
        case "overview" | "map" | "sites":
            return [path, f"{path}?region=3101", f"{path}?region=3301"]
        case "audit":
            return ["audit?limit=1000", "audit?subject=w-310101-acme", "audit?action=look"]
        case _:
            return [path]


def text_of(response: Any) -> str:
    """An answer as text, whatever its form."""
    if response.headers.get("content-type", "").startswith("application/vnd.apache.parquet"):
        table = pq.read_table(io.BytesIO(response.content))
        return json.dumps(table.to_pylist(), default=str)
    if response.headers.get("content-type") == "application/pdf":
        pages = PdfReader(io.BytesIO(response.content)).pages
        # A long name goes on in the next line, where a space without width stands.
        return (
            "".join(page.extract_text() for page in pages).replace("\u200b", "").replace("\n", "")
        )
    return response.text


def routes(bureau: Any, method: str = "get") -> list[str]:
    document = bureau.app.openapi()
    return [path.removeprefix(f"{V1}/") for path, of in document["paths"].items() if method in of]


def test_every_route_is_in_this_matrix(bureau):
    assert set(routes(bureau)) == set(PERMISSION) | OWN | BEFORE
    changes = {
        f"{method} {path}"
        for method in ("post", "put", "patch", "delete")
        for path in routes(bureau, method)
    }
    assert changes == CHANGES


@pytest.fixture(scope="module")
def looked(bureau):
    """Entries of the audit about devices of every district."""
    client = bureau.client("root")
    for device_id in EVERY_DEVICE:
        client.get(f"{V1}/devices/{device_id}/readings?limit=1")
        body = {"action": "acknowledge", "reason": f"seen at {device_id}"}
        assert client.post(f"{V1}/flags/flag-{device_id}/events", json=body).status_code == 201


@pytest.mark.usefixtures("looked")
@pytest.mark.parametrize("name", [name for name in PEOPLE if set(EVERY_DEVICE) - seen_by(name)])
@pytest.mark.parametrize("path", [*PERMISSION, "export/{what}"])
def test_nothing_of_another_district_or_vendor_is_in_an_answer(bureau, name, path):
    client = bureau.client(name)
    hidden = hidden_marks(name)
    for address in requests(path):
        response = client.get(f"{V1}/{address}")
        told = text_of(response)
        # What was asked for may be named in what says that it is not there.
        asked = address.partition("?")[2] + address
        for mark in hidden:
            assert mark not in told or (mark in asked and response.status_code in {403, 404}), (
                f"{name}: {address} tells of {mark}"
            )


@pytest.mark.parametrize("name", PEOPLE)
def test_a_role_reads_what_it_may_and_nothing_else(bureau, name):
    client = bureau.client(name)
    may = ALLOWED[PEOPLE[name][0]]
    mine = min(seen_by(name) - {"stranger"})
    for path, permission in PERMISSION.items():
        address = (
            path.replace("{device_id}", mine)
            .replace("{flag_id}", f"flag-{mine}")
            .replace("{offset}", str(EVERY_DEVICE.index(mine) * EACH))
            .replace("{name}", "water-meter-reference")
            .replace("{site}", f"site {mine.split('-')[1]}")
        )
        if path == "quality":
            address += "?since=2023-11-14"
        if path == "report":
            address += "?week=2023-W46"
        status = client.get(f"{V1}/{address}").status_code
        if permission not in may:
            assert status == 403, f"{name}: {path}"
        elif path == "ingest":
            assert status == 503, "the service has told nothing yet"
        elif path.startswith("profiles/{name}") and PEOPLE[name][2] is not None:
            assert status == 404, "not a profile of this vendor"
        else:
            assert status == 200, f"{name}: {path}"


@pytest.mark.parametrize("name", PEOPLE)
def test_lists_have_every_device_of_the_scope(bureau, name):
    """The other half of the matrix: what is hidden is not hidden by showing nothing."""
    client = bureau.client(name)
    listed = client.get(f"{V1}/devices?limit=1000").json()["items"]
    assert {each["device_id"] for each in listed} == seen_by(name)
    flags = client.get(f"{V1}/flags?limit=1000").json()["items"]
    assert {each["device_id"] for each in flags} == seen_by(name)
    exported = client.get(f"{V1}/export/flags").text.splitlines()
    assert len(exported) == len(seen_by(name))


@pytest.mark.parametrize("name", PEOPLE)
def test_nobody_decides_about_what_he_does_not_see(bureau, name):
    client = bureau.client(name)
    before = len(bureau.casebook.audit(limit=10_000))
    others = sorted(set(EVERY_DEVICE) - seen_by(name))
    for device_id in set(SAMPLE) - seen_by(name):
        body = {"action": "acknowledge"}
        assert client.post(f"{V1}/flags/flag-{device_id}/events", json=body).status_code in {
            403,
            404,
        }
    if others:
        body = {"action": "acknowledge", "flags": [f"flag-{each}" for each in others]}
        assert client.post(f"{V1}/flags/events", json=body).status_code in {403, 404}
        mixed = {
            "action": "acknowledge",
            "skip_refused": True,
            "flags": [f"flag-{each}" for each in (min(seen_by(name)), others[0])],
        }
        assert client.post(f"{V1}/flags/events", json=mixed).status_code in {403, 404}
    assert len(bureau.casebook.audit(limit=10_000)) == before


def test_without_showing_who_one_is_there_is_nothing(bureau):
    client = bureau.client()
    for path in (*PERMISSION, *OWN):
        for address in requests(path)[:1]:
            response = client.get(f"{V1}/{address}")
            assert response.status_code == 401
            assert response.headers["content-type"] == "application/problem+json"
    for change in CHANGES - {"post session"}:
        method, _, path = change.partition(" ")
        address = path.replace("{flag_id}", "flag-stranger").replace("{number}", "1")
        assert client.request(method.upper(), f"{V1}/{address}", json={}).status_code in {401, 422}


@pytest.mark.parametrize("name", ["viewer", "looker"])
@pytest.mark.parametrize("what", ["readings", "flags", "devices"])
@pytest.mark.parametrize("form", FORMATS)
def test_exports_of_a_viewer_name_no_device(bureau, name, what, form):
    told = text_of(bureau.client(name).get(f"{V1}/export/{what}?format={form}"))
    assert "p-" in told
    for device_id in EVERY_DEVICE:
        for mark in marks(device_id):
            assert mark not in told
    assert "120.123456" not in told
    assert "ledger_offset" not in told


def test_pseudonyms_are_the_same_in_every_export_and_differ_between_devices(bureau):
    client = bureau.client("looker")
    names = [
        {json.loads(line)["device_id"] for line in client.get(f"{V1}/export/{what}").text.split()}
        if what == "readings"
        else {
            json.loads(line)["device_id"]
            for line in client.get(f"{V1}/export/{what}").text.splitlines()
        }
        for what in ("readings", "devices", "flags")
    ]
    assert names[0] == names[1] == names[2]
    assert len(names[0]) == len(EVERY_DEVICE)


def test_positions_are_coarse_for_who_has_no_need_and_absent_for_a_vendor(bureau):
    address = f"{V1}/devices/t-330106-acme"
    exact = bureau.client("zhang").get(f"{address}/readings").json()["items"][0]
    coarse = bureau.client("viewer").get(f"{address}/readings").json()["items"][0]
    assert exact["longitude_deg"] == 131.123456
    assert coarse["longitude_deg"] == 131.12
    assert bureau.client("viewer").get(address).json()["longitude"] == round(
        bureau.client("zhang").get(address).json()["longitude"], 2
    )
    told = bureau.client("acme").get(address).json()
    assert not {"longitude", "region", "site", "owner", "parameters"} & set(told)
    assert "longitude" not in json.dumps(told)
    series = bureau.client("viewer").get(f"{address}/series").json()["series"]
    assert {each["quantity"] for each in series} == {"speed"}
    flag = bureau.client("viewer").get(f"{V1}/flags/flag-t-330106-acme").json()
    assert flag["evidence"]["longitude"] == 120.12


def test_keys_of_devices_are_shown_to_nobody(bureau):
    told = bureau.client("root").get(f"{V1}/devices/w-330106-acme").text
    assert "00112233" not in told
    assert "(secret)" in told


def test_every_look_at_what_tells_of_people_is_in_the_audit(bureau):
    def looks() -> list[tuple[str, str, str]]:
        entries = bureau.casebook.audit(limit=10_000)
        return [(e.actor, e.action, e.subject) for e in entries if e.action.startswith("look.")]

    client = bureau.client("zhang")
    for address, expected in (
        ("devices/t-330106-acme/readings", ("look.readings", "t-330106-acme")),
        ("devices/w-330106-acme/series", ("look.readings", "w-330106-acme")),
        ("evidence/0", ("look.evidence", "w-330106-acme")),
        ("quarantine?device_id=w-330106-acme", ("look.quarantine", "w-330106-acme")),
        ("quarantine", ("look.quarantine", "quarantine")),
        ("quarantine?reason=none", None),
        ("quarantine/counts", None),
        ("export/readings", ("look.export.readings", "export")),
        ("export/flags?device=t-330106-acme", ("look.export.flags", "t-330106-acme")),
        ("devices/f-330106-acme/readings", None),
        ("devices/t-310101-acme/readings", None),
        ("flags", None),
    ):
        before = looks()
        client.get(f"{V1}/{address}")
        new = looks()[: len(looks()) - len(before)]
        assert new == ([] if expected is None else [("zhang", *expected)]), address
    before = looks()
    client.get(f"{V1}/sites/site 330106/balance")
    assert set(looks()[: len(looks()) - len(before)]) == {
        ("zhang", "look.balance", "w-330106-acme"),
        ("zhang", "look.balance", "w-330106-borg"),
    }


def test_a_look_at_a_message_of_nobody_known_is_in_the_audit(bureau):
    client = bureau.client("root")
    ledger = SqliteLedger(bureau.folder / "ledger")
    ledger.append(Batch(["meters/x"], [b"of somebody"], [START]))
    ledger.close()
    offset = len(EVERY_DEVICE) * EACH
    for address in (f"evidence/{offset}", f"evidence/{offset}/stages"):
        before = bureau.casebook.audit(limit=1)[0].id
        assert client.get(f"{V1}/{address}").status_code == 200
        entry = bureau.casebook.audit(limit=1)[0]
        assert (entry.id, entry.action) == (before + 1, "look.evidence"), address
        assert entry.subject == f"message {offset}"


def test_what_comes_of_a_device_of_no_known_kind_may_tell_of_people(bureau):
    seen = Seen(bureau.api.world, EVERYTHING, EXACT)
    assert is_personal(seen, "nobody")
    assert is_personal(seen, "w-330106-acme")
    assert not is_personal(seen, "f-330106-acme")


@pytest.mark.parametrize(("name", "status"), [("zhang", 404), ("chief", 404), ("root", 200)])
def test_a_message_that_tells_of_another_districts_device_is_not_shown(own, name, status):
    """What it says of the other one had come before, so that the store has it by another offset."""
    bureau = Bureau(own)
    bureau.add_people()
    bureau.api.world.profiles = read_profiles([CONTROLLER])
    (case, *_) = cases_of(bureau.api.world.profiles.profiles["jsonpts-pump-transaction"])
    both = payload_of(bureau.api.world.profiles.profiles["jsonpts-pump-transaction"], case[1])
    registered = [
        Device(device_id="0001-1-2", kind="fuel_dispenser", region="330106"),
        Device(device_id="0001-T3", kind="fuel_dispenser", region="310101"),
    ]
    bureau.casebook.import_devices(registered, source="registry.csv", actor="root")
    ledger = SqliteLedger(bureau.folder / "ledger")
    ledger.append(Batch(["pts/0001/upload"], [both], [START]))
    ledger.close()
    offset = len(EVERY_DEVICE) * EACH
    mine = reading(
        offset, device_id="0001-1-2", kind="fuel_dispenser", quantities={"volume": 20.5},
        profile="jsonpts-pump-transaction@1.0.0",
    )  # fmt: skip
    bureau.store.commit(results([mine], next_offset=3001))
    for address in (f"evidence/{offset}", f"evidence/{offset}/stages"):
        told = bureau.client(name).get(f"{V1}/{address}")
        assert told.status_code == status, address
        assert ("0001-T3" in told.text or "Tank" in told.text) == (status == 200)
    assert bureau.client("zhang").get(f"{V1}/evidence/0").status_code == 200
    bureau.close()


def test_a_look_at_many_is_told_to_no_district_that_has_a_device_of_that_name(own):
    bureau = Bureau(own)
    bureau.add_people()
    named = [Device(device_id=name, region="330108") for name in ("export", "quarantine")]
    bureau.casebook.import_devices(named, source="registry.csv", actor="root")
    for address in ("export/readings", "quarantine", "quarantine?device_id=w-330108-acme"):
        assert bureau.client("root").get(f"{V1}/{address}").status_code == 200
    told = bureau.client("auditor").get(f"{V1}/audit?action=look.").json()["items"]
    assert [each["subject"] for each in told] == ["w-330108-acme"]
    bureau.close()


@pytest.mark.parametrize(
    ("name", "shown"),
    [("viewer", set()), ("acme", {"SN-7"}), ("zhang", {"SN-7", "C-7", "somebody"})],
)
def test_evidence_names_no_paper_and_no_person_to_who_may_not_see_them(own, name, shown):
    bureau = Bureau(own)
    bureau.add_people()
    names = ("C-7", "SN-7", "somebody")
    inputs = dict(zip(("certificate", "serial_number", "owner"), names, strict=True))
    found = flag(
        1, id="new", device_id="w-330106-acme", kind="water_meter", evidence={"inputs": inputs}
    )
    bureau.store.commit(results(flags=[found], next_offset=3001))
    client = bureau.client(name)
    for address in ("flags/new", "flags?limit=1000", "export/flags", "flags/new/report"):
        told = client.get(f"{V1}/{address}")
        assert told.status_code == 200, address
        assert {each for each in names if each in told.text} == shown, address
    bureau.close()
