"""``gateway alert`` and what ``gateway doctor`` says of alerts, against real servers."""

from __future__ import annotations

import json
import time

import pytest

from gateway.alerts.events import Told
from gateway.alerts.outbox import FILE_NAME, Draft, Outbox
from tests.alerts.servers import SECRET, MailServer, Receiver, text_of
from tests.brokers import Publisher
from tests.compiled import PROFILES
from tests.databases import free_port

PROFILE = PROFILES / "electricity_meter" / "electricity-meter-reference.yaml"
SETTINGS = """
name = "north"
data_dir = "data"
profiles = ["{profile}"]
[[source]]
port = {broker}
[[alerts]]
name = "bus"
[alerts.mqtt]
[[alerts]]
name = "hook"
[alerts.webhook]
url = "{hook}"
secret = "{secret}"
timeout = 2
[[alerts]]
name = "mail"
[alerts.email]
port = {mail}
security = "none"
sender = "gateway@bureau.example"
recipients = ["duty@bureau.example"]
[metrics]
enabled = false
"""


@pytest.fixture
def hook():
    started = Receiver().start()
    yield started
    started.stop()


@pytest.fixture
def mail():
    started = MailServer().start()
    yield started
    started.stop()


@pytest.fixture
def config(tmp_path, hook, mail, mosquitto):
    path = tmp_path / "gateway.toml"
    path.write_text(
        SETTINGS.format(
            profile=PROFILE, broker=mosquitto.port, hook=hook.url, mail=mail.port, secret=SECRET
        )
    )
    return path


@pytest.fixture
def dead(tmp_path):
    """A data directory with two dead letters."""
    (tmp_path / "data").mkdir()
    outbox = Outbox(tmp_path / "data" / FILE_NAME)
    outbox.begin("hook", at=1, offset=0, flags=())
    told = [Told(f"f{n}", 1, f"f{n}-abc", "major", "open") for n in range(2)]
    outbox.take("hook", [Draft(each, "raised", b'{"id":"f"}') for each in told], at=time.time_ns())
    letters = outbox.due("hook", time.time_ns(), 9)
    outbox.settle("hook", buried=[(letters, "host answers 422: no [such] code")])
    outbox.close()
    return tmp_path / "data"


def test_a_test_arrives_at_each_target_and_says_that_it_is_one(
    gateway, config, hook, mail, mosquitto
):
    with Publisher(mosquitto.host, mosquitto.port) as inspector:
        inspector.listen("supervision/flags/#")
        for name in ("bus", "hook", "mail"):
            result = gateway("alert", "test", name, "--config", config, "--lang", "en")
            assert result.exit_code == 0, result.stderr
            assert "has taken the test alert" in result.stdout
            assert "s3cr3t" not in result.stdout
        deadline = time.monotonic() + 30
        while not inspector.heard:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    ((topic, payload, _),) = inspector.heard
    assert topic == "supervision/flags/unknown/test/north"
    assert json.loads(payload)["event"] == "test"
    assert hook.taken[0]["type"] == "test"
    assert "north" in mail.mails[0]["Subject"]
    assert "测试" in text_of(mail.mails[0], "plain")


def test_a_test_that_is_not_taken_ends_with_1_and_says_why(gateway, config, hook):
    hook.answer, hook.text = 403, b"not you"
    result = gateway("alert", "test", "hook", "--config", config)
    assert result.exit_code == 1
    assert "answers 403: not you" in result.stderr
    assert "s3cr3t" not in result.stderr
    result = gateway("alert", "test", "hook", "--config", config, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["taken"] is False
    result = gateway("alert", "test", "nobody", "--config", config)
    assert result.exit_code == 2
    assert "bus, hook, mail" in result.stderr


def test_dead_letters_are_shown_sent_again_or_discarded(gateway, config, dead):
    shown = gateway("alert", "dead", "hook", "--config", config, "--lang", "en")
    assert shown.exit_code == 0
    assert "host answers 422: no [such] code" in shown.stdout
    lines = gateway("alert", "dead", "--data", dead, "--json").stdout.splitlines()
    assert [json.loads(line)["key"] for line in lines] == ["f0-abc", "f1-abc"]
    again = gateway("alert", "resend", "--data", dead, "--key", "f0-abc", "--lang", "en")
    assert again.stdout.startswith("1 letters queued again")
    gone = gateway("alert", "discard", "hook", "--data", dead, "--lang", "en")
    assert gone.stdout.startswith("1 letters discarded")
    assert "no dead letter" in gateway("alert", "dead", "--data", dead, "--lang", "en").stdout
    wrong = gateway("alert", "dead", "nobody", "--data", dead)
    assert (wrong.exit_code, "known are hook" in wrong.stderr) == (2, True)
    assert gateway("alert", "dead", "--data", dead.parent).exit_code == 2


@pytest.mark.usefixtures("dead")
def test_a_list_tells_how_each_stands(gateway, config):
    result = gateway("alert", "list", "--config", config, "--json")
    rows = {row["name"]: row for row in map(json.loads, result.stdout.splitlines())}
    assert list(rows) == ["bus", "hook", "mail"]
    assert (rows["hook"]["dead"], rows["bus"]["dead"]) == (2, 0)
    assert "s3cr3t" not in result.stdout
    assert "hook" in gateway("alert", "list", "--config", config).stdout


@pytest.mark.usefixtures("dead")
def test_the_doctor_tries_the_targets_and_tells_nobody_anything(
    gateway, config, hook, mail, mosquitto
):
    def findings():
        result = gateway("doctor", "--config", config, "--json")
        rows = [row for row in json.loads(result.stdout) if row["what"].startswith("alert ")]
        assert SECRET not in result.stdout
        assert "s3cr3t" not in result.stdout
        return [(row["what"], row["state"]) for row in rows]

    well = [("alert bus", "ok"), ("alert hook", "ok"), ("alert mail", "ok")]
    assert findings() == [*well, ("alert hook", "warn")]  # the last one for the dead letters
    assert hook.taken == []
    assert mail.mails == []
    hook.stop()
    text = config.read_text().replace(f"port = {mail.port}", f"port = {free_port()}")
    config.write_text(text)
    mosquitto.stop()
    assert [state for _, state in findings()] == ["bad", "bad", "bad", "warn"]
