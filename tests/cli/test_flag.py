"""Flags on the command line: what inspectors decide, suppress and see together."""

import json
import shutil

import pytest
import structlog
from typer.testing import CliRunner

from gateway.cli import app
from tests.cli.conftest import capture, reading


def lines(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    """A data directory with a register that fell in each of three meters, and a registry."""
    tmp_path = tmp_path_factory.mktemp("flags")
    records = [reading(i, device=device) for i in range(5) for device in ("e1", "e2", "e3")]
    records += [
        reading(5, device=device, energy=energy) for device, energy in (("e1", 3), ("e2", 4))
    ]
    records.append(reading(90, device="e3", energy=5) | {"received_at": "2026-03-02T00:00:00Z"})
    file = capture(tmp_path / "c.jsonl", records)
    (tmp_path / "r.jsonl").write_text(
        '{"device_id": "e1", "region": "110105", "site": "a"}\n'
        '{"device_id": "e2", "region": "110105", "site": "a"}\n'
        '{"device_id": "e3", "region": "310115", "site": "b"}\n'
    )
    data = tmp_path / "data"
    for words in (["replay", file], ["device", "import", tmp_path / "r.jsonl"]):
        done = CliRunner().invoke(app, [*map(str, words), "--data", str(data)])
        assert done.exit_code == 0
    structlog.reset_defaults()
    return data


@pytest.fixture
def flagged(tmp_path, made_once):
    """A copy of it for one test."""
    return shutil.copytree(made_once, tmp_path / "data")


@pytest.fixture
def flag(gateway, flagged):
    """``flag("list", …)``: the command over the data; English unless told."""

    def run(command, *words, stdin=None):
        return gateway("flag", command, *words, "--data", flagged, stdin=stdin)

    return run


def ids(flag, *options):
    return [each["id"] for each in lines(flag("list", "--json", *options))]


def falls(flag, *options):
    return ids(flag, "--code", "register_decrease", *options)


def test_a_list_can_be_narrowed_and_tells_what_can_be_decided(flag):
    found = lines(flag("list", "--json", "--code", "register_decrease"))
    assert {each["device_id"] for each in found} == {"e1", "e2", "e3"}
    assert [each["from"] for each in found] == sorted((f["from"] for f in found), reverse=True)
    first = found[-1]
    assert (first["status"], first["condition"], first["version"]) == ("open", "open", 0)
    assert first["allowed"] == ["acknowledge"]
    assert first["title"]["zh"] == "累计量倒走"
    assert (found[0]["site"], found[0]["region"]) == ("b", "310115")
    assert len(falls(flag, "--region", "11")) == 2
    assert len(falls(flag, "--site", "b")) == 1
    assert len(falls(flag, "--device", "e1")) == 1
    assert len(falls(flag, "--severity", "major", "--since", "2026-03-01T12:00:00Z")) == 1
    assert len(falls(flag, "--status", "open", "--status", "ended")) == 3
    assert falls(flag, "--status", "closed") == []
    assert len(falls(flag, "--limit", "2")) == 2


def test_a_table_is_in_the_language_of_the_reader(flag):
    assert "Register went backwards" in flag("list", "--lang", "en").stdout
    zh = flag("list", "--lang", "zh").stdout
    assert "累计量倒走" in zh
    assert "待处理" in zh
    assert "and more; --limit" in flag("list", "--lang", "en", "--limit", "1").stdout
    assert "no flag" in flag("list", "--lang", "en", "--status", "closed").stdout


def test_a_flag_goes_through_its_life_and_is_shown_with_it(flag):
    one = falls(flag, "--device", "e1")[0]
    done = flag("acknowledge", one, "--actor", "li", "--json")
    assert done.exit_code == 0
    assert [(d["id"], d["state"], d["version"]) for d in json.loads(done.stdout)["decided"]] == [
        (one, "acknowledged", 1)
    ]
    missing = flag("dismiss", one, "--actor", "li")
    assert missing.exit_code == 2
    assert "needs a reason" in missing.stderr
    assert flag("dismiss", one, "--actor", "li", "--reason", "表计更换").exit_code == 0
    assert flag("close", one, "--actor", "wang", "--lang", "en").exit_code == 0
    told = json.loads(flag("show", one, "--json").stdout)
    assert (told["status"], told["version"], told["allowed"]) == ("closed", 3, ["reopen"])
    assert told["decision"]["actor"] == "wang"
    assert [each["action"] for each in told["history"]] == [
        "raised", "acknowledge", "dismiss", "close",
    ]  # fmt: skip
    assert told["history"][2]["reason"] == "表计更换"
    shown = flag("show", one, "--lang", "zh").stdout
    for part in ("已办结", "表计更换", "evidence.observed", "wang", "经过", "只增不减", "第十六条"):
        assert part in shown
    assert flag("reopen", one).exit_code == 0
    assert falls(flag, "--status", "open", "--device", "e1") == [one]


def test_what_a_state_does_not_allow_ends_with_1_and_what_is_used_wrongly_with_2(flag):
    one = falls(flag)[0]
    refused = flag("close", one)
    assert refused.exit_code == 1
    assert "cannot close it now, allowed are acknowledge" in refused.stderr
    assert flag("acknowledge", "nobody").exit_code == 2
    assert flag("show", "nobody").exit_code == 2
    assert flag("list", "--code", "nonsense").exit_code == 2
    assert flag("list", "--status", "nonsense").exit_code == 2
    assert flag("acknowledge", one, "-").exit_code == 2
    assert flag("acknowledge", one, one + "x", "--seen", "0").exit_code == 2
    assert flag("acknowledge", "-", stdin=b'{"no": 1}\n').exit_code == 2
    assert flag("acknowledge", one, "--actor", " ").exit_code == 2
    assert flag("list", "--json", "--limit", "0").exit_code == 2


def test_the_second_inspector_is_told_who_was_quicker(flag):
    one = falls(flag)[0]
    listed = flag("list", "--json").stdout.encode()
    assert flag("acknowledge", one, "--actor", "li").exit_code == 0
    late = flag("acknowledge", one, "--actor", "wang", "--seen", "0")
    assert late.exit_code == 1
    assert "is acknowledged by li" in late.stderr
    # A list that was looked at brings its versions along.
    late = flag("acknowledge", "-", "--actor", "wang", stdin=listed)
    assert late.exit_code == 1
    assert "look at it again" in late.stderr
    assert falls(flag, "--status", "acknowledged") == [one]
    most = flag("acknowledge", "-", "--skip-refused", "--json", stdin=listed)
    assert most.exit_code == 1
    told = json.loads(most.stdout)
    assert [(each["flag_id"], each["conflict"]) for each in told["refused"]] == [(one, True)]
    assert falls(flag, "--status", "open") == []


def test_flags_are_decided_in_bulk_by_a_pipe(flag):
    listed = flag("list", "--json", "--region", "11").stdout.encode()
    done = flag("acknowledge", "-", "--lang", "en", stdin=listed)
    assert f"{len(listed.splitlines())} flags acknowledged" in done.stdout
    assert len(falls(flag, "--status", "acknowledged")) == 2
    nothing = flag("confirm", "-", "--lang", "en", stdin=b"")
    assert (nothing.exit_code, nothing.stdout) == (0, "0 flags confirmed\n")
    plain = "\n".join(falls(flag, "--status", "acknowledged")).encode()
    assert flag("confirm", "-", "--lang", "en", stdin=plain).exit_code == 0
    assert len(falls(flag, "--status", "confirmed")) == 2


def test_an_export_has_the_status_that_people_decided(flag, gateway, flagged):
    one, two, three = falls(flag)
    before = {each["id"]: each for each in lines(gateway("export", "flags", "--data", flagged))}
    assert flag("acknowledge", one, two).exit_code == 0
    assert flag("confirm", two).exit_code == 0
    after = {each["id"]: each for each in lines(gateway("export", "flags", "--data", flagged))}
    told = [after[each]["status"] for each in (one, two, three)]
    assert told == ["acknowledged", "confirmed", "open"]
    assert {i: {**each, "status": ""} for i, each in after.items()} == {
        i: {**each, "status": ""} for i, each in before.items()
    }
    table = gateway("export", "flags", "--data", flagged, "--format", "csv").stdout
    assert table.count("confirmed") == 1


def test_reprocessing_loses_no_decision(flag, gateway, flagged):
    one = falls(flag)[0]
    flag("acknowledge", one, "--actor", "li")
    flag("confirm", one, "--actor", "li")
    before = json.loads(flag("show", one, "--json").stdout)
    assert gateway("reprocess", "--data", flagged).exit_code == 0
    assert json.loads(flag("show", one, "--json").stdout) == before


def test_a_window_of_maintenance_suppresses_and_is_lifted(flag, gateway, flagged):
    words = ("--site", "a", "--from", "2026-03-01", "--to", "2026-03-02", "--actor", "li")
    assert flag("suppress", *words).exit_code == 2  # no reason
    made = flag("suppress", *words, "--reason", "visit", "--lang", "en")
    assert "suppression 1 made" in made.stdout
    suppressed = falls(flag, "--status", "suppressed")
    assert len(suppressed) == 2
    exported = lines(gateway("export", "flags", "--data", flagged))
    assert {e["id"] for e in exported if e["status"] == "suppressed"} >= set(suppressed)
    (window,) = lines(flag("suppressions", "--json"))
    assert (window["id"], window["site"], window["reason"]) == (1, "a", "visit")
    assert (window["from"], window["to"]) == ("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z")
    assert "site=a" in flag("suppressions", "--lang", "zh").stdout
    lifted = flag("unsuppress", "1", "--reason", "wrong site", "--lang", "en")
    assert "suppression 1 lifted" in lifted.stdout
    assert falls(flag, "--status", "suppressed") == []
    assert flag("unsuppress", "1").exit_code == 1
    assert flag("unsuppress", "2").exit_code == 2
    assert "lifted from" in flag("suppressions", "--lang", "en").stdout


def test_a_window_that_is_wrong_is_refused(flag):
    time = ("--from", "2026-03-01", "--to", "2026-03-02", "--reason", "x")
    assert flag("suppress", *time).exit_code == 2
    assert flag("suppress", *time, "--region", "Beijing").exit_code == 2
    assert flag("suppress", *time, "--kind", "clock").exit_code == 2
    assert flag("suppress", *time, "--site", "a", "--code", "nonsense").exit_code == 2
    later = ("--from", "2026-03-02", "--to", "2026-03-01", "--reason", "x", "--site", "a")
    assert flag("suppress", *later).exit_code == 2
    made = flag("suppress", *time, "--device", "e1", "--code", "register_decrease", "--json")
    assert json.loads(made.stdout)["codes"] == ["register_decrease"]


def test_incidents_are_listed_and_decided_as_one(flag):
    found = lines(flag("incidents", "--json", "--code", "register_decrease"))
    sizes = {tuple(each["devices"]): each for each in found}
    assert set(sizes) == {("e1", "e2"), ("e3",)}
    both = sizes["e1", "e2"]
    assert both["device_count"] == 2
    assert both["codes"]["register_decrease"] == 2
    assert both["sites"] == ["a"]
    assert lines(flag("incidents", "--json", "--site", "b"))[0]["devices"] == ["e3"]
    table = flag("incidents", "--lang", "zh").stdout
    assert both["id"] in table
    members = lines(flag("incidents", both["id"], "--json"))
    assert [each["id"] for each in members] == both["flags"]
    assert "e2" in flag("incidents", both["id"], "--lang", "en").stdout
    assert flag("acknowledge", both["id"]).exit_code == 0
    assert set(ids(flag, "--status", "acknowledged")) == set(both["flags"])
    assert flag("incidents", "inc-nobody").exit_code == 2
    listed = flag("incidents", "--json", "--site", "b").stdout.encode()
    assert flag("acknowledge", "-", stdin=listed).exit_code == 0
    assert len(falls(flag, "--status", "acknowledged")) == 3


def test_a_list_of_no_data_is_wrong_use(gateway, tmp_path):
    assert gateway("flag", "list", "--data", tmp_path).exit_code == 2
    assert gateway("flag", "suppressions", "--data", tmp_path).exit_code == 2
    assert list(tmp_path.iterdir()) == []
