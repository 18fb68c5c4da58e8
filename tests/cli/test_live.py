"""Commands that talk to a broker: capture and doctor, against real ones."""

import json
import subprocess
import sys
import time

import pytest

from gateway.ledger.sqlite import SqliteLedger
from gateway.sources.embedded import free_port
from tests.brokers import PASSWORD, USERNAME, Publisher
from tests.cli.conftest import capture, reading


def captured(broker, *options):
    """Starts `gateway capture` and returns it when the broker knows of its subscription."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway", "capture", "t/#", "--port", str(broker.port), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 20
    while "Sending SUBACK" not in broker.log:
        assert time.monotonic() < deadline, broker.log
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    return process


@pytest.mark.parametrize("protocol", ["mqtt5", "mqtt311"])
def test_live_messages_become_a_capture(mosquitto, tmp_path, protocol):
    out = tmp_path / "c.jsonl.zst"
    process = captured(mosquitto, "-o", str(out), "--count", "3", "--protocol", protocol)
    with Publisher(mosquitto.host, mosquitto.port) as device:
        device.send("t/1", [b"a", b"\xff", b"c", b"d"])
    _, said = process.communicate(timeout=20)
    assert process.returncode == 0, said
    assert b"3 messages captured" in said
    from gateway.capture import CaptureReader  # noqa: PLC0415 - beside its one use

    batches = list(CaptureReader(out).batches())
    assert [payload for batch in batches for payload in batch.payloads] == [b"a", b"\xff", b"c"]


def test_a_capture_on_standard_output_ends_with_its_time(mosquitto):
    process = captured(mosquitto, "-o", "-", "--seconds", "2")
    with Publisher(mosquitto.host, mosquitto.port) as device:
        device.send("t/1", [b"x"])
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert [json.loads(line)["payload"] for line in out.splitlines()] == ["x"]


def test_a_capture_that_is_not_let_in_says_why(gateway, start_mosquitto, password_file, tmp_path):
    broker = start_mosquitto(f"allow_anonymous false\npassword_file {password_file}")
    result = gateway("capture", "t/#", "-o", tmp_path / "c.jsonl", "--port", broker.port)
    assert result.exit_code == 1
    assert "refused" in result.stderr
    secret = tmp_path / "secret"
    secret.write_text(PASSWORD)
    good = gateway(
        *("capture", "t/#", "-o", tmp_path / "c.jsonl", "--port", broker.port, "--seconds", "0.5"),
        *("--username", USERNAME, "--password-file", secret),
    )
    assert good.exit_code == 0, good.stderr


def settings(tmp_path, port, more=""):
    path = tmp_path / "gateway.toml"
    path.write_text(
        f'data_dir = "data"\n[metrics]\nport = {free_port()}\n[[source]]\nport = {port}\n{more}'
    )
    return path


def examined(result):
    return {finding["what"]: finding for finding in json.loads(result.stdout)}


def test_the_doctor_finds_nothing_wrong_with_what_is_right(gateway, mosquitto, tmp_path):
    records = [reading(i) for i in range(200)]
    gateway("replay", capture(tmp_path / "c.jsonl", records), "--data", tmp_path / "data")
    result = gateway("doctor", "--config", settings(tmp_path, mosquitto.port), "--json")
    found = examined(result)
    assert result.exit_code == 0, result.stdout
    assert {finding["state"] for finding in found.values()} <= {"ok", "warn"}
    assert "hours at the present rate" in found["disk"]["detail"]
    assert "200 readings" in found["store"]["detail"]
    assert found["broker main"]["state"] == "ok"


def test_the_doctor_says_what_is_wrong_and_how_to_mend_it(gateway, tmp_path):
    registry = tmp_path / "devices.csv"
    registry.write_text("device_id,profile\na,no-such-profile\n")
    config = settings(tmp_path, free_port(), f'[[sink]]\nurl = "http://127.0.0.1:{free_port()}"\n')
    config.write_text('registry = "devices.csv"\n' + config.read_text())
    result = gateway("doctor", "--config", config, "--json")
    found = examined(result)
    assert result.exit_code == 1
    bad = {what for what, finding in found.items() if finding["state"] == "bad"}
    assert bad == {"broker main", "sink influx", "registry"}
    assert all(found[what]["mend"] for what in bad)
    shown = gateway("doctor", "--config", config).stdout
    assert "to mend: " in shown
    assert not (tmp_path / "data").exists()


def test_the_doctor_tells_every_fault_of_the_settings(gateway, tmp_path):
    config = tmp_path / "gateway.toml"
    config.write_text('name = "A"\n[log]\nlevel = "loud"\n')
    result = gateway("doctor", "--config", config)
    assert result.exit_code == 1
    assert result.stdout.count("BAD") == 2


def test_the_doctor_sees_a_gateway_that_is_running(gateway, mosquitto, tmp_path):
    config = settings(tmp_path, mosquitto.port)
    with SqliteLedger(tmp_path / "data" / "ledger"):
        found = examined(gateway("doctor", "--config", config, "--json"))
    assert found["gateway"]["detail"].startswith("running")
    assert "stop that process" not in found["gateway"]["detail"], "nothing is wrong"


def test_the_doctor_sees_a_clock_that_was_set_back(gateway, mosquitto, tmp_path):
    late = reading(0) | {"received_at": "2199-01-01T00:00:00Z"}
    gateway("replay", capture(tmp_path / "c.jsonl", [late]), "--data", tmp_path / "data")
    result = gateway("doctor", "--config", settings(tmp_path, mosquitto.port), "--json")
    assert examined(result)["clock"]["state"] == "bad"
