"""Every published OCMF record through the catalogue: by the profile of its maker, to the letter."""

import json
from decimal import Decimal

import pytest

from gateway.deciding import Decided, Decider
from gateway.decode.ocmf_signature import PARAMETER
from gateway.profiles import ProfileSet, load_profiles
from gateway.records import Batch, Device
from gateway.times import nanoseconds
from tests.compiled import PROFILES
from tests.corpora import corpora

_FOLDER = corpora()
CASES = [
    json.loads(line)
    for line in (
        (_FOLDER / "ocmf" / "cases.jsonl").read_text("utf-8").splitlines() if _FOLDER else []
    )
]
pytestmark = [
    pytest.mark.corpora,
    pytest.mark.skipif(not CASES, reason="the corpora are not here"),
]
RECEIVED = nanoseconds("2026-03-02T08:31:00Z")
MAKERS = {
    "0.5.15-1 DZG DVH4013": "dzg-dvh4013",
    "v017 DZG DVH4013": "dzg-dvh4013",
    "1.6.0 DZG DVH4013": "dzg-dvh4013",
    "V4711 Isabellenhuette Heusler 1234567890": "isabellenhuette-iem-dcc",
    "1.0.0.0 NZR EcoCount SL": "nzr-ecocount-sl",
    "1.8:23DB:9D6A, 08d1aa3 BAUER Electronic BSM-WS36A-H01-1311-0000": "bauer-bsm-ws36a",
    "2.8.5": "keba-kcp30",
    "0.0.1 HTB HTB": "ocmf-record",
}
ENDS = "ELRAP"


@pytest.fixture(scope="module")
def profiles() -> ProfileSet:
    return load_profiles([PROFILES / "ev_charger"], [PROFILES])


def decided(profiles: ProfileSet, case) -> Decided:
    parameters = {PARAMETER: case["public_key"]} if case["public_key"] else {}
    devices = {"CP-1": Device(device_id="CP-1", parameters=parameters)}
    found = Decided()
    Decider(profiles, devices, {}, registry_known=False).decide(
        Batch(["ocmf/CP-1/record"], [case["payload_text"].encode()], [RECEIVED], 0), found
    )
    return found


def kilowatt_hours(value, unit: str) -> float:
    number = Decimal(str(value).strip())
    return float(number / 1000 if unit == "Wh" else number)


def moment(time: str) -> int:
    date, _ = time.split(" ")
    return nanoseconds(f"{date[:-2]}:{date[-2:]}".replace(",", "."))


def test_every_model_of_the_corpus_is_named():
    assert {case["model"] for case in CASES} == set(MAKERS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_record_is_read_by_its_makers_profile_as_its_readings_say(profiles, case):
    found = decided(profiles, case)
    assert found.quarantined == []
    sessions = [reading for reading in found.readings if reading.event == "session"]
    (session,) = sessions
    assert session.profile.startswith(MAKERS[case["model"]] + "@")
    assert session.sequence == int(case["expected"]["pagination"][1:])
    said = case["expected"]["readings"]
    energies = [r for r in said if r["RU"] in {"Wh", "kWh"}]
    total, unit = ("XV", "XU") if "XV" in said[0] else ("RV", "RU")
    wanted = {}
    for start in (r for r in energies if r["TX"] == "B"):
        wanted["energy_start"] = kilowatt_hours(start[total], start[unit])
        wanted["started_at"] = moment(start["TM"])
    for end in (r for r in energies if r["TX"] in ENDS):
        wanted["energy_end"] = kilowatt_hours(end[total], end[unit])
        wanted["ended_at"] = moment(end["TM"])
        if total == "XV":  # its own register begins at zero with each charge
            wanted["energy"] = kilowatt_hours(end["RV"], end["RU"])
    usable = not any("E" in r.get("EF", "") or r["TX"] == "X" for r in energies)
    if {"energy_start", "energy_end"} <= wanted.keys() and usable:
        first, last = (Decimal(repr(wanted[name])) for name in ("energy_start", "energy_end"))
        wanted["energy"] = float(last - first)
    assert session.quantities == wanted
    between = [r for r in energies if r["TX"] not in "B" + ENDS]
    readings = [reading for reading in found.readings if reading.event == "periodic"]
    assert [reading.quantities for reading in readings] == [
        {"energy_import": kilowatt_hours(r["RV"], r["RU"])} for r in between
    ]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_reading_tells_what_is_thought_of_its_signature(profiles, case):
    found = decided(profiles, case)
    valid = case["expected"]["signature_valid"]
    if valid is None and case["public_key"]:
        valid = True  # secp192k1, which the corpus left open: the signatures fit
    words = {True: set(), False: {"signature_invalid"}, None: {"signature_unverified"}}[valid]
    for reading in found.readings:
        assert {word for word in reading.status if word.startswith("signature")} == words
        assert reading.quality == ("questionable" if valid is False else "raw")
