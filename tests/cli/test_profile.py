"""Profile and decode commands: what the gateway reads, and how it comes to that."""

import json

import pytest

from gateway.key_reference import key_reference
from tests.cli.conftest import reading

GOOD = """\
profile: acme-m1
version: 1.0.0
extends: kinds/electricity-meter
title: {en: ACME M1, zh: 甲表}
instrument: {vendor: ACME, model: M1}
match: {topic: "acme/{device_id}"}
read:
  measured_at: {from: t, time: epoch_s}
  energy_import: {from: e, unit: kWh}
tests:
  - {payload: '{"t": 1735689600, "e": 5}', expect: {energy_import: 5 kWh}, flags: []}
"""


@pytest.fixture
def profile(tmp_path):
    path = tmp_path / "profiles" / "acme-m1.yaml"
    path.parent.mkdir()
    path.write_text(GOOD, encoding="utf-8")
    return path


def test_the_packaged_profiles_hold_what_they_say(gateway):
    result = gateway("profile", "test", "--json")
    told = json.loads(result.stdout)
    assert result.exit_code == 0
    assert told["failed"] == []
    assert list(told) == ["profiles", "models", "cases", "failed"]
    assert told["cases"] >= told["profiles"] >= 7
    assert len(gateway("profile", "list", "--json").stdout.splitlines()) == told["profiles"]


def test_a_profile_of_ones_own_extends_a_packaged_base(gateway, profile):
    result = gateway("profile", "test", "--profiles", profile.parent, "--json")
    assert json.loads(result.stdout) == {"profiles": 1, "models": 1, "cases": 1, "failed": []}


def test_a_case_that_fails_is_told_and_ends_with_1(gateway, profile):
    profile.write_text(GOOD.replace("import: 5 kWh", "import: 6 kWh"), encoding="utf-8")
    result = gateway("profile", "test", "--profiles", profile.parent)
    assert result.exit_code == 1
    assert result.stdout.splitlines()[:4] == [
        "acme-m1 case 0:",
        f"  {profile}:11",
        "  topic acme/device_id",
        "  expect[0].energy_import  expected '6 kWh'  got 5.0 kWh",
    ]


def test_a_case_that_fails_is_told_with_its_note(gateway, profile):
    wrong = GOOD.replace("import: 5 kWh", "import: 6 kWh")
    noted = wrong.replace(", flags: []}", ", flags: [], note: Chapter 5.}")
    profile.write_text(noted, encoding="utf-8")
    result = gateway("profile", "test", "--profiles", profile.parent)
    assert result.stdout.splitlines()[0] == "acme-m1 case 0: Chapter 5."


def test_a_profile_without_a_case_is_a_failure(gateway, profile):
    profile.write_text(GOOD.partition("tests:")[0], encoding="utf-8")
    result = gateway("profile", "test", "--profiles", profile.parent, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["failed"][0]["profile"] == "acme-m1"


def test_a_profile_that_is_not_there_is_wrong_use(gateway):
    result = gateway("profile", "test", "acme-m0")
    assert result.exit_code == 2
    assert "no profile 'acme-m0'" in result.stderr


def test_a_faulty_profile_is_told_with_file_and_line(gateway, profile):
    profile.write_text(GOOD.replace("unit: kWh", "unit: kWhh"), encoding="utf-8")
    result = gateway("profile", "check", profile)
    assert result.exit_code == 1
    assert f"{profile}:9:" in result.stdout
    told = json.loads(gateway("profile", "check", profile, "--json").stdout)
    assert told["faults"][0].startswith(f"{profile}:9:")


def test_a_file_that_is_not_there_is_wrong_use_and_has_no_line(gateway, profile):
    missing = gateway("profile", "check", profile.with_name("none.yaml"))
    assert missing.exit_code == 2
    assert missing.stderr.endswith("none.yaml: no such file or directory\n")


def test_a_good_profile_is_told_as_such(gateway, profile):
    assert gateway("profile", "check", profile).stdout == "1 profile, no fault\n"
    assert gateway("profile", "check").exit_code == 0


TOPIC = reading(0)["topic"]


def test_a_message_is_shown_stage_by_stage(gateway):
    payload = reading(3)["payload"].encode()
    result = gateway("decode", "--topic", TOPIC, "-", stdin=payload)
    assert result.exit_code == 0
    for part in ("electricity-meter-reference", "reads it", "device_id = e1", "energy_import_kwh"):
        assert part in result.stdout


def test_the_machine_form_has_every_stage(gateway, tmp_path):
    file = tmp_path / "message.json"
    file.write_text(reading(3)["payload"])
    at = "2026-03-01T01:00:00Z"
    told = json.loads(
        gateway("decode", "--topic", TOPIC, file, "--json", "--received-at", at).stdout
    )
    assert told["readings"][0]["energy_import_kwh"] == 103
    assert told["readings"][0]["received_at"].startswith("2026-03-01T01:00:00")
    assert told["quarantined"] is None
    assert (told["flags"], told["ignored"]) == ([], False)


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [(TOPIC, b"{", "unparseable"), ("no/such", b"{}", "no_profile")],
)
def test_what_would_go_to_quarantine_is_told_with_1(gateway, topic, payload, reason):
    result = gateway("decode", "--topic", topic, "--json", stdin=payload)
    assert result.exit_code == 1
    assert json.loads(result.stdout)["quarantined"]["reason"] == reason
    assert reason in gateway("decode", "--topic", topic, stdin=payload).stdout


def test_a_topic_that_no_profile_has_is_told_with_the_most_like_it(gateway):
    told = gateway("decode", "--topic", "cjt188/gw1/up", stdin=b"{}").stdout
    assert "the most like it: cjt188/{gateway}/" in told


FRAME = bytes.fromhex("6861010000000068910833333433593333338a16")


def test_the_bytes_of_a_frame_are_told_their_purpose(gateway, tmp_path):
    file = tmp_path / "frame"
    file.write_bytes(FRAME)
    told = gateway("decode", "--topic", "dlt645-2007/gw/up", file).stdout
    assert "20 bytes, each of them is read" in told
    assert "14-17  59 33 33 33               meters[0].values.00010000" in told
    machine = json.loads(gateway("decode", "--topic", "dlt645-2007/gw/up", file, "--json").stdout)
    assert {"from": 18, "to": 18, "hex": "8a", "what": "checksum", "places": []} in machine["bytes"]


def test_the_own_bytes_of_a_lorawan_device_can_be_given(gateway):
    told = json.loads(
        gateway(
            *("decode", "--topic", "v3/app/devices/w1/up", "--profile", "axioma-qalcosonic-w1"),
            *("--hex", "--port", "100", "--received-at", "2026-01-01T01:00:00Z", "--json"),
            stdin=b"08c05569 30 40e20100 b0905569 00e20100 0a00 1400 1e00",
        ).stdout
    )
    assert (told["quarantined"], len(told["readings"])) == (None, 5)
    assert sum(1 + span["to"] - span["from"] for span in told["bytes"]) == 23


def test_bytes_can_be_given_as_hexadecimal(gateway):
    payload = reading(3)["payload"].encode().hex().encode()
    assert gateway("decode", "--topic", TOPIC, "--hex", stdin=payload).exit_code == 0
    assert gateway("decode", "--topic", TOPIC, "--hex", stdin=b"zz").exit_code == 2


def test_only_the_profile_asked_for_is_tried(gateway):
    result = gateway(
        *("decode", "--topic", TOPIC, "--profile", "water-meter-reference", "--json"),
        stdin=reading(3)["payload"].encode(),
    )
    assert result.exit_code == 1
    assert json.loads(result.stdout)["candidates"] == []
    assert gateway("decode", "--topic", TOPIC, "--profile", "x", stdin=b"").exit_code == 2


HEARTBEAT = GOOD.replace("read:", "read:\n  when: {e: {is: present}}").replace(
    "tests:", "ignore: {when: {cmd: hello}}\ntests:"
)
MESSAGE = '\'{"t": 1735689600, "e": 5}\''
HELLO = '\'{"cmd": "hello"}\''


@pytest.mark.parametrize(
    ("case", "said"),
    [
        (f"{{payload: {HELLO}, expect: []}}", None),
        (f"{{payload: {MESSAGE}, expect: []}}", "expect  expected to be ignored  got 1 reading"),
        (
            f"{{payload: {HELLO}, expect: {{energy_import: 5 kWh}}}}",
            "expect  expected 1 reading  got a message that 'ignore' of the profile names",
        ),
        (
            f"{{payload: {HELLO}, quarantine: bad_time}}",
            "quarantine  expected bad_time  got a message that 'ignore' of the profile names",
        ),
        (
            f"{{payload: {MESSAGE}, quarantine: bad_time}}",
            "quarantine  expected bad_time  got 1 reading",
        ),
        (
            f"{{payload: {MESSAGE}, expect: {{energy_import: 5000 Wh, voltage: 230 V}}}}",
            "expect[0].voltage  expected '230 V'  got nothing",
        ),
        (
            f"{{payload: {MESSAGE}, expect: {{energy_import: 5001 Wh}}}}",
            "expect[0].energy_import  expected '5001 Wh'  got 5000.0 Wh",
        ),
        (
            f"{{payload: {MESSAGE}, expect: {{measured_at: 2025-01-01T08:00:00Z}}}}",
            "expect[0].measured_at  expected '2025-01-01T08:00:00Z'  got 2025-01-01T00:00:00Z",
        ),
        (
            f"{{payload: {MESSAGE}, expect: {{energy_imported: 5}}}}",
            (
                "expect[0].energy_imported  electricity_meter has no such quantity or field; "
                "did you mean 'energy_import'?"
            ),
        ),
        (
            f"{{payload: {MESSAGE}, expect: [{{energy_import: 5}}, {{energy_import: 6}}]}}",
            "expect[1]  no reading is left for it",
        ),
        (
            f"{{payload: {MESSAGE}, expect: {{energy_import: 5}}, flags: [sequence_gap]}}",
            "flags  expected ['sequence_gap']  got []",
        ),
        (
            '{payload: \'{"t": 1, "e": 5}\', expect: {energy_import: 5}}',
            (
                "quarantined  bad_time: 1 s since 1970 is not between 2000 and 2100: is the clock "
                "set, and is 'time' the form that the device sends?"
            ),
        ),
    ],
)
def test_what_differs_is_told_place_by_place(gateway, profile, case, said):
    text = HEARTBEAT[: HEARTBEAT.index("  - {payload")] + f"  - {case}\n"
    profile.write_text(text, encoding="utf-8")
    result = gateway("profile", "test", "--profiles", profile.parent)
    assert result.exit_code == (0 if said is None else 1), result.stdout
    if said is not None:
        assert f"  {said}" in result.stdout.splitlines()


def test_the_reference_of_keys_is_printed(gateway):
    assert gateway("profile", "doc", "--reference").stdout == key_reference()
