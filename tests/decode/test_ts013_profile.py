"""A codec in a profile: the example of the guide, faults, changes, and what a bad message costs."""

import base64
import json
import shutil
from pathlib import Path

import pytest

from gateway.assembly import checked_profiles, profile_changes, read_profiles
from gateway.cases import run_cases
from gateway.deciding import Decided, Decider
from gateway.errors import ProfileError
from gateway.records import Batch

EXAMPLE = Path(__file__).parents[1] / "cases" / "vendor_guide" / "ts013"
TOPIC = "application/7/device/0102030405060708/event/up"


@pytest.fixture
def folder(tmp_path):
    """A vendor's folder with the example in it."""
    made = tmp_path / "vendor" / "profiles"
    shutil.copytree(EXAMPLE, made)
    return made


def edited(folder: Path, old: str, new: str, name: str = "acme-p10.js") -> None:
    file = folder / name
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new), "utf-8")


def uplink(payload: bytes, f_cnt: int = 1) -> bytes:
    said = {
        "time": "2026-01-01T08:00:00Z",
        "deviceInfo": {"devEui": "0102030405060708", "deviceProfileName": "acme-p10"},
        "fCnt": f_cnt,
        "fPort": 10,
        "data": base64.b64encode(payload).decode(),
    }
    return json.dumps(said).encode()


def decided(folder: Path, *payloads: bytes) -> Decided:
    found = Decided()
    decider = Decider(read_profiles([folder]), {}, {}, registry_known=False)
    now = 1_767_254_400_000_000_000
    uplinks = [uplink(payload, i) for i, payload in enumerate(payloads)]
    times = [now + i * 60_000_000_000 for i in range(len(uplinks))]
    decider.decide(Batch([TOPIC] * len(uplinks), uplinks, times, 0), found)
    return found


def test_the_example_of_the_guide_holds_its_cases():
    results = run_cases(read_profiles([EXAMPLE]), {}, ["acme-p10"])
    assert [result.differences for result in results] == [()] * 3


def test_the_messages_file_of_the_example_is_its_first_case():
    (profile,) = read_profiles([EXAMPLE]).profiles.values()
    assert (EXAMPLE / "message.json").read_text("utf-8") == profile.model.tests[0].payload


def test_a_changed_codec_is_a_changed_profile(folder):
    before = checked_profiles([folder])
    assert profile_changes(before, checked_profiles([folder])) == []
    edited(folder, "* 10,", "* 100,")
    edited(folder, "321.05 m3", "3210.5 m3", "acme-p10.yaml")
    edited(folder, "321050 L", "3210500 L", "acme-p10.yaml")
    assert profile_changes(before, checked_profiles([folder])) == ["acme-p10@1.0.0"]


def test_a_codec_whose_own_cases_fail_is_refused_as_a_whole(folder):
    edited(folder, "* 10,", "* 100,")
    with pytest.raises(ProfileError, match="acme-p10"):
        checked_profiles([folder])


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("return {\n", "return {{\n", "acme-p10.js:12:11: SyntaxError: invalid property name"),
        (
            "function decodeUplink",
            "function decode",
            "acme-p10.js: has none of decodeUplink(input)",
        ),
        ("\nfunction", "\nthrow new Error('no');\nfunction", "acme-p10.js:7:11: Error: no"),
    ],
)
def test_a_fault_of_a_codec_is_told_with_its_file_and_line(folder, old, new, told):
    edited(folder, old, new)
    with pytest.raises(ProfileError) as refused:
        Decider(read_profiles([folder]), {}, {})
    assert str(refused.value).startswith(f"{folder}/{told}")
    assert str(refused.value).endswith(f"(decode.codec of {folder / 'acme-p10.yaml'})")


def test_a_codec_that_is_not_there_is_told(folder):
    (folder / "acme-p10.js").unlink()
    with pytest.raises(ProfileError, match=r"acme-p10\.yaml:8:25: decode\.codec: cannot be read"):
        read_profiles([folder])


@pytest.mark.parametrize("codec", ["../outside.js", "deeper/../../outside.js", "link.js"])
def test_a_codec_beside_the_profile_is_the_only_one(folder, codec):
    outside = folder.parent / "outside.js"
    shutil.copy(folder / "acme-p10.js", outside)
    (folder / "link.js").symlink_to(outside)
    edited(folder, "codec: acme-p10.js", f"codec: {codec}", "acme-p10.yaml")
    with pytest.raises(ProfileError, match=r"decode\.codec: the codec must stand beside"):
        read_profiles([folder])


@pytest.mark.parametrize("codec", ["/etc/passwd", "../../etc/passwd", "/etc/x.js", "codec.py"])
def test_a_codec_is_a_script_in_the_folder(folder, codec):
    edited(folder, "codec: acme-p10.js", f"codec: {codec}", "acme-p10.yaml")
    with pytest.raises(ProfileError, match=r"yaml:8:25: decode\.codec: '\S+' is no script"):
        read_profiles([folder])


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("for (;;);", "codec_stopped"),
        ("new ArrayBuffer(1e9);", "codec_stopped"),
        ("/^(a+)+$/.test('a'.repeat(60) + 'b');", "codec_stopped"),
        ("(function f() { f(); })();", "codec_stopped"),
        ("throw new Error('x');", "codec_failed"),
        ("return {data: {volume: 'x'.repeat(3e5)}};", "too_large"),
        ("return {data: {volume: 'ten'}};", "wrong_type"),
        ("return {data: {}};", "missing_field"),
    ],
)
def test_a_bad_message_is_quarantined_and_the_next_is_read(folder, body, reason):
    edited(folder, "  if (b[0] !== 1)", f"  if (b[0] === 2) {{ {body} }}\n  if (b[0] !== 1)")
    good, bad = bytes.fromhex("0100007d6904b40005"), b"\x02"
    found = decided(folder, good, bad, good, bad, good)
    assert [row.reason for row in found.quarantined] == [reason, reason]
    assert [row.ledger_offset for row in found.quarantined] == [1, 3]
    assert [reading.ledger_offset for reading in found.readings] == [0, 2, 4]
    assert {reading.quantities["volume"] for reading in found.readings} == {321.05}
    assert found.counters.stored + found.counters.quarantined == 5
