"""What operators are told is true: the broker's lines, the links, the settings that are named."""

import re
import time
import tomllib
from pathlib import Path

import pytest
import yaml
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from gateway.config import table
from gateway.config_api import MetricsSettings
from gateway.config_load import load
from tests.brokers import Publisher

ROOT = Path(__file__).parents[1]
FOLDERS = (
    ".",
    "deploy",
    "device_profiles",
    "gateway",
    "gateway/alerts",
    "gateway/checks",
    "simulators",
)
READMES = [Path(folder, "README.md") for folder in FOLDERS]
QUEUED = 1_500  # more than Mosquitto keeps by default


def away(host, port):
    """A client with a session of its own that is not there."""
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="gateway", clean_session=False)
    heard = []
    client.on_message = lambda _client, _data, message: heard.append(message.payload)
    client.on_connect = lambda *_: client.subscribe("meters/#", 1)
    client.on_subscribe = lambda *_: client.disconnect()
    client.connect(host, port)
    client.loop_forever()
    client.on_connect = client.on_subscribe = None
    return client, heard


def test_with_our_lines_mosquitto_keeps_a_long_queue_over_a_restart(start_mosquitto):
    lines = (ROOT / "deploy" / "mosquitto.conf").read_text().replace("persistence true\n", "")
    broker = start_mosquitto(extra=lines, persistence=True)
    client, heard = away(broker.host, broker.port)
    with Publisher(broker.host, broker.port) as device:
        device.send("meters/1", [b"%d" % number for number in range(QUEUED)])
    broker.restart()
    client.connect(broker.host, broker.port)
    client.loop_start()
    try:
        deadline = time.monotonic() + 30
        while len(heard) < QUEUED and time.monotonic() < deadline:
            time.sleep(0.02)
    finally:
        client.loop_stop()
    assert sorted(map(int, heard)) == list(range(QUEUED))


@pytest.mark.parametrize("readme", READMES, ids=str)
def test_every_link_inside_the_repository_leads_somewhere(readme):
    text = (ROOT / readme).read_text(encoding="utf-8")
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text)]
    here = [link for link in links if link and "://" not in link]
    assert [link for link in here if not (ROOT / readme.parent / link).exists()] == []


def test_the_settings_that_operators_are_told_of_exist():
    text = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")
    example, *_ = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    known = {row.key.replace("[]", "") for row in table()}
    given = tomllib.loads(example)
    keys = {key for key in given if key != "source"} | {
        f"source.{key}" for key in given["source"][0]
    }
    keys |= set(re.findall(r"`(ledger\.\w+)`", text))
    assert len(keys) > 8
    assert keys - known == set()


def test_the_alerts_that_operators_are_shown_are_valid(tmp_path):
    text = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    (example,) = [block for block in blocks if "[[alerts]]" in block]
    for name, content in (
        ("hook-url", "https://duty.example/hook"),
        ("hook-secret", "whsec_" + "QUJD" * 10),
        ("mail-password", "x"),
    ):
        (tmp_path / name).write_text(content)
    path = tmp_path / "gateway.toml"
    path.write_text(example.replace("/etc/gateway/", ""), encoding="utf-8")
    specs = load(path).alert_specs(lambda name: name)
    assert [spec.type for spec in specs] == ["mqtt", "webhook", "email"]


def test_grafanas_provisioning_names_what_is_there():
    folder = ROOT / "deploy" / "grafana"
    for file in folder.rglob("*.y*ml"):
        assert yaml.safe_load(file.read_text(encoding="utf-8"))
    text = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")
    (named,) = re.findall(r"METERING_DASHBOARDS=/opt/gateway/(\S+)", text)
    assert list((ROOT / named).glob("*.json"))
    sources = yaml.safe_load((folder / "provisioning/datasources/metering.yaml").read_text())
    wanted = set(re.findall(r"\$\{(\w+)\}", str(sources)))
    assert all(name in text for name in wanted)
    scrape = yaml.safe_load((folder / "scrape.yml").read_text())
    assert str(MetricsSettings().port) in str(scrape)
