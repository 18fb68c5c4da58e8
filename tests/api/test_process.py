"""The API beside a gateway that runs: its own process, asked while messages come in."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import os
import re
import signal
import ssl
import urllib.error
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from typer.testing import CliRunner

from gateway.api.process import ApiSpec, FirstAccount
from gateway.api.server import listen
from gateway.casebook import Casebook
from gateway.cli import app
from gateway.config_load import load
from gateway.errors import ConfigError
from gateway.sources.embedded import free_port
from tests.brokers import Mosquitto, Publisher
from tests.cli.conftest import reading
from tests.test_service import PROFILE, Running

if TYPE_CHECKING:
    from collections.abc import Iterator


pytestmark = pytest.mark.xdist_group("api-process")
PASSWORD = re.compile(r"\b[a-z2-9]{4}(?:-[a-z2-9]{4}){3}\b")
OWN = "a sentence of my own"
TOPIC = reading(0)["topic"]


class Api:
    """What a person does with a browser."""

    def __init__(self, port: int, certificate: Path) -> None:
        self.base = f"https://127.0.0.1:{port}"
        self.csrf = ""
        context = ssl.create_default_context(cafile=certificate)
        self._open = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=context),
            urllib.request.HTTPCookieProcessor(CookieJar()),
        ).open

    def ask(self, path: str, body: Any = None, method: str | None = None) -> tuple[int, str]:
        request = urllib.request.Request(
            self.base + path,
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={"Content-Type": "application/json", "X-CSRF-Token": self.csrf},
        )
        try:
            with self._open(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def get(self, path: str) -> Any:
        status, text = self.ask(f"/api/v1/{path}")
        return json.loads(text) if status == 200 else None

    def log_in(self, password: str) -> int:
        given = {"name": "administrator", "password": password}
        status, text = self.ask("/api/v1/session", given)
        if status == 201:
            self.csrf = json.loads(text)["csrf"]
        return status

    def events(self, until: str) -> list[str]:
        request = urllib.request.Request(f"{self.base}/api/v1/live")
        found = []
        with self._open(request, timeout=10) as answer:
            for line in answer:
                if line.startswith(b"event: "):
                    found.append(line.decode().removeprefix("event: ").strip())
                    if found[-1] == until:
                        return found
        return found


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    started = Mosquitto(tmp_path_factory.mktemp("broker"), "", persistence=False)
    yield started.start()
    started.stop()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, broker: Mosquitto) -> Iterator[Running]:
    """A gateway with an API, logged in to; at its end what has to hold in any case is held to."""
    port = free_port()
    folder = tmp_path_factory.mktemp("gateway")
    certificate = _certificate(folder)
    table = f'profiles = ["{PROFILE}"]\n[api]\nport = {port}\ncert_file = "{certificate}"\n'
    running = Running(folder, broker.port, table)
    running.api, running.certificate = Api(port, certificate), certificate
    running.start()
    running.until(lambda: running.api.ask("/healthz")[0] == 200)
    running.until(lambda: PASSWORD.search(running.log))
    (running.password,) = PASSWORD.findall(running.log)
    assert running.api.log_in(running.password) == 201
    change = {"old": running.password, "new": OWN}
    assert running.api.ask("/api/v1/session/password", change, "PUT")[0] == 204
    yield running
    try:
        assert running.stop() == 0
    finally:
        running.process.kill()
    assert not (running.data / "store.sock").exists()
    assert PASSWORD.findall(running.log) == [running.password], "told once"
    for file in running.data.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert running.password.encode() not in content, file
            assert OWN.encode() not in content, file
    with Casebook(running.data) as casebook:
        assert casebook.verify_audit().faults == []


def _children(running: Running, name: bytes) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text()
            maps = (status.parent / "maps").read_bytes()
        except OSError:
            continue
        if f"\nPPid:\t{running.process.pid}\n" in text and name in maps:
            found.append(int(status.parent.name))
    return found


def test_what_comes_in_is_seen_while_it_comes_in(gateway, broker):
    api = gateway.api
    with Publisher(broker.host, broker.port) as device:
        device.send(TOPIC, [reading(number)["payload"].encode() for number in range(20)])
    gateway.until(lambda: gateway.decided() == 20)
    gateway.until(lambda: (api.get("devices") or {}).get("items"))
    (found,) = api.get("devices")["items"]
    gateway.until(lambda: len(api.get(f"devices/{found['device_id']}/readings")["items"]) == 20)
    gateway.until(lambda: api.get("ingest")["messages"]["stored"] == 20)
    told = api.get("evidence/0")
    assert told["verified"]
    assert told["payload"] == reading(0)["payload"]
    assert api.ask("/readyz")[1] == "ready\n"


@pytest.mark.parametrize(
    "command", [("export", "devices"), ("flag", "list", "--json"), ("quality", "--json")]
)
def test_commands_ask_the_gateway_that_runs(gateway, command):
    done = CliRunner().invoke(app, [*command, "--data", str(gateway.data)])
    # Without a reading yet, `quality` has no day to tell of.
    assert done.exit_code == 0 or "no readings" in done.stderr, done.output


def test_an_export_comes_from_elsewhere_too(gateway, monkeypatch, tmp_path):
    told = gateway.api.ask("/api/v1/tokens", {"title": "export", "days": 1})[1]
    monkeypatch.setenv("SSL_CERT_FILE", str(gateway.certificate))
    monkeypatch.delenv("GATEWAY_TOKEN", raising=False)
    target = tmp_path / "devices.csv"
    words = ["export", "devices", "--url", gateway.api.base, "-o", str(target)]
    assert "GATEWAY_TOKEN" in CliRunner().invoke(app, words).stderr
    monkeypatch.setenv("GATEWAY_TOKEN", json.loads(told)["token"])
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.stderr
    assert target.read_text().startswith("device_id,kind,profile")
    monkeypatch.setenv("GATEWAY_TOKEN", "mgw_1_wrong")
    refused = CliRunner().invoke(app, words)
    assert refused.exit_code == 1
    assert "401" in refused.stderr
    plain = [word.replace("https://127.0.0.1", "http://192.0.2.1") for word in words]
    assert "over https only" in CliRunner().invoke(app, plain).stderr


def test_it_speaks_tls_and_cookies_go_over_nothing_else(gateway):
    port = gateway.api.base.rpartition(":")[2]
    with pytest.raises(OSError, match=r"."):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5)
    request = urllib.request.Request(f"{gateway.api.base}/healthz")
    with gateway.api._open(request, timeout=5) as answer:
        assert answer.headers["Strict-Transport-Security"].startswith("max-age")


def test_the_state_comes_by_itself(gateway):
    assert gateway.api.events("status")[-1] == "status"


def test_an_api_that_dies_begins_again_and_intake_does_not_notice(gateway):
    before = gateway.metrics()["gateway_processing_restarts_total"]
    (api,) = _children(gateway, b"_argon2")
    os.kill(api, signal.SIGKILL)
    gateway.until(lambda: "api died" in gateway.log)
    gateway.until(lambda: gateway.api.get("session") is not None)
    assert _children(gateway, b"_argon2") != [api]
    assert gateway.metrics()["gateway_processing_restarts_total"] == before
    assert gateway.api.log_in(gateway.password) == 401


def test_while_processing_is_away_the_api_says_so_and_then_goes_on(gateway):
    before = gateway.api.get("flags")
    assert before is not None
    others = set(_children(gateway, b"_argon2"))
    (worker,) = set(_children(gateway, b"_duckdb")) - others
    os.kill(worker, signal.SIGKILL)
    gateway.until(lambda: gateway.api.ask("/api/v1/flags")[0] == 503)
    gateway.until(lambda: gateway.api.get("flags") is not None)


def test_a_port_that_is_taken_or_a_certificate_that_is_none_is_told(gateway, tmp_path):
    spec = ApiSpec(
        data=tmp_path, profiles=(), host="127.0.0.1", port=gateway.metrics_port, names=()
    )
    with pytest.raises(ConfigError, match=r"set api\.port to a free one"):
        listen(spec)
    with pytest.raises(ConfigError, match=r"api\.cert_file"):
        listen(msgspec.structs.replace(spec, port=0, cert_file=PROFILE))


def test_a_password_is_not_shown_by_what_carries_it():
    assert "sesame" not in repr(FirstAccount("administrator", "sesame"))


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::"])
def test_beyond_the_machine_it_speaks_tls_or_not_at_all(host):
    with pytest.raises(ConfigError, match="cert_file"):
        load(None, {"api": {"host": host}})


def test_without_the_table_there_is_no_api():
    assert load(None).api is None
    assert load(None, {"api": {}}).api.known_as() == ("127.0.0.1", "::1", "localhost")


def _certificate(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    file = folder / "gateway.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file
