"""Settings: every fault at once, each with its place; the file in deploy/ tells all of them."""

import os
import pickle
import re
import tomllib
from pathlib import Path

import pytest

from gateway.config import Settings, SourceSettings, table
from gateway.config_api import MetricsSettings
from gateway.config_load import load
from gateway.errors import ConfigError

EXAMPLE = Path(__file__).parents[1] / "deploy" / "gateway.toml"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    for name in list(os.environ):
        if name.startswith("GATEWAY_"):
            monkeypatch.delenv(name)


def written(tmp_path, text):
    path = tmp_path / "gateway.toml"
    path.write_text(text, encoding="utf-8")
    return path


def faults(path, flags=None):
    with pytest.raises(ConfigError) as caught:
        load(path, flags)
    return str(caught.value).splitlines()


@pytest.mark.parametrize("wrong", ["a/##", "#/a", "a#", "a+/b", "", "a/#/#"])
def test_a_topic_filter_that_no_broker_takes_is_told(tmp_path, wrong):
    (told,) = faults(written(tmp_path, f'[[source]]\ntopics = ["meters/#", "{wrong}"]\n'))
    assert ":2: source[0].topics: " in told
    assert repr(wrong) in told


@pytest.mark.parametrize("right", ["#", "a/#", "+", "+/a/+", "/", "$SYS/#", "表/+/上"])
def test_topic_filters_of_every_form_are_taken(tmp_path, right):
    settings = load(written(tmp_path, f'[[source]]\ntopics = ["{right}"]\n'))
    assert settings.source[0].topics == (right,)


def test_every_fault_is_told_at_once_with_file_line_and_key(tmp_path):
    path = written(
        tmp_path,
        'name = "Gate Way"\n[ledger]\nbatch_wait_ms = -1\n[[source]]\nport = 70000\n'
        '[[source]]\nname = "b"\nqos = 3\n',
    )
    found = faults(path)
    assert [line.split(": ")[:2] for line in found] == [
        [f"{path}:1", "name"],
        [f"{path}:5", "source[0].port"],
        [f"{path}:8", "source[1].qos"],
        [f"{path}:3", "ledger.batch_wait_ms"],
    ]
    assert found[1].endswith("got 70000")


def test_an_unknown_key_is_a_fault_and_the_nearest_known_one_is_named(tmp_path):
    (fault,) = faults(written(tmp_path, "[ledger]\nbatch_mesages = 5\n"))
    assert fault.endswith("ledger.batch_mesages: unknown setting; did you mean batch_messages?")


def test_the_environment_wins_over_the_file_and_flags_over_both(tmp_path, monkeypatch):
    path = written(tmp_path, 'name = "file"\n[ledger]\nbatch_messages = 1\nkeep_days = 3\n')
    assert load(path).name == "file"
    monkeypatch.setenv("GATEWAY_NAME", "environment")
    monkeypatch.setenv("GATEWAY_LEDGER__BATCH_MESSAGES", "2")
    settings = load(path)
    assert (settings.name, settings.ledger.batch_messages) == ("environment", 2)
    assert settings.ledger.keep_days == 3
    assert load(path, {"name": "flag"}).name == "flag"


def test_a_fault_of_the_environment_names_the_variable(monkeypatch):
    monkeypatch.setenv("GATEWAY_PROCESSING__COMMIT_MESSAGES", "many")
    (fault,) = faults(None)
    assert fault.startswith("environment GATEWAY_PROCESSING__COMMIT_MESSAGES: processing.commit")


def test_a_misspelt_variable_is_a_fault_but_one_of_kubernetes_is_not(monkeypatch):
    monkeypatch.setenv("GATEWAY_PORT", "tcp://10.0.0.1:1883")
    monkeypatch.setenv("GATEWAY_SERVICE_HOST", "10.0.0.1")
    assert load(None).name == "gateway"
    monkeypatch.setenv("GATEWAY_LEDGER__KEEP_DAY", "3")
    monkeypatch.setenv("GATEWAY_LEGDER__KEEP_BYTES", "3")
    assert [fault.rpartition("; ")[2] for fault in faults(None)] == [
        "did you mean keep_days?",
        "did you mean GATEWAY_LEDGER__KEEP_BYTES?",
    ]


@pytest.mark.parametrize(
    "source",
    [
        '[[source]]\nport = 99999\npassword = "hunter22"\n',
        '[[source]]\npassword = ["hunter22"]\n',
        '[[source]]\npassword = "hunter22"\npassword_env = "X"\n',
        '[[source]]\npassword = "hunter22"\n[[source]]\nname = "main"\n',
        '[[sink]]\nurl = "http://user:hunter22@host"\n',
    ],
)
def test_no_fault_shows_a_secret(tmp_path, source):
    assert "hunter22" not in "\n".join(faults(written(tmp_path, source)))


def test_a_password_comes_from_a_file_or_a_variable_and_shows_nowhere(tmp_path, monkeypatch):
    (tmp_path / "secret").write_text("hunter22\n")
    monkeypatch.setenv("BROKER_PASSWORD", "other-secret")
    path = written(
        tmp_path,
        '[[source]]\npassword_file = "secret"\n'
        '[[source]]\nname = "b"\npassword_env = "BROKER_PASSWORD"\n',
    )
    settings = load(path)
    passwords = [source.broker(client_id="x").password for source in settings.source]
    assert passwords == ["hunter22", "other-secret"]
    assert settings.secrets() == ["hunter22", "other-secret"]
    assert "hunter22" not in repr(settings)


def test_relative_paths_of_a_file_count_from_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    path = written(tmp_path, 'data_dir = "here"\nprofiles = ["mine"]\n')
    settings = load(path)
    assert settings.data_dir == tmp_path / "here"
    assert settings.profiles == (tmp_path / "mine",)


def test_a_listener_for_other_machines_needs_a_token(tmp_path):
    (fault,) = faults(written(tmp_path, '[metrics]\nhost = "0.0.0.0"\n'))
    assert "token" in fault
    settings = load(written(tmp_path, '[metrics]\nhost = "0.0.0.0"\ntoken = "sesame-open"\n'))
    assert settings.metrics.secret() == "sesame-open"


def test_two_sources_of_one_name_are_refused(tmp_path):
    (fault,) = faults(written(tmp_path, "[[source]]\n[[source]]\n"))
    assert "used twice: main" in fault


def test_a_gateway_without_a_source_is_refused():
    (fault,) = faults(None, {"source": []})
    assert "at least one [[source]]" in fault


@pytest.mark.parametrize("text", ["name = ", "\xff\xfe"])
def test_a_file_that_is_no_toml_is_told_as_such(tmp_path, text):
    path = tmp_path / "gateway.toml"
    path.write_bytes(text.encode("latin-1"))
    (fault,) = faults(path)
    assert fault.startswith(f"{path}: not ")


def test_a_missing_file_is_told():
    (fault,) = faults(Path("/nowhere/gateway.toml"))
    assert fault == "/nowhere/gateway.toml: cannot be read: No such file or directory"


def test_the_port_follows_the_encryption(tmp_path):
    (tmp_path / "ca.pem").write_text("x")
    plain, encrypted = SourceSettings(), SourceSettings(ca_file=tmp_path / "ca.pem")
    assert plain.broker(client_id="x").port == 1883
    assert encrypted.broker(client_id="x").port == 8883


def test_settings_travel_to_another_process_whole():
    settings = load(None, {"metrics": {"token": "sesame-open"}})
    again = pickle.loads(pickle.dumps(settings))
    assert again == settings
    assert again.metrics.secret() == "sesame-open"


def test_every_setting_has_a_help_text():
    assert [row.key for row in table() if not row.help] == []


def uncommented():
    """The example with every setting switched on."""
    text = EXAMPLE.read_text(encoding="utf-8")
    return tomllib.loads(re.sub(r"(?m)^#(\w+ =|\[)", r"\1", text))


def keys(tree, above=""):
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from keys(value, f"{above}{key}.")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            yield from keys(value[0], f"{above}{key}[].")
        else:
            yield f"{above}{key}"


def test_the_example_file_tells_every_setting_and_no_other():
    assert sorted(keys(uncommented())) == sorted(row.key for row in table())


def test_the_example_file_is_valid_as_it_stands():
    assert load(EXAMPLE).model_dump(exclude={"data_dir"}) == Settings().model_dump(
        exclude={"data_dir"}
    )


def test_the_defaults_in_the_example_file_are_the_real_ones():
    tree = uncommented()
    for row in table():
        table_name, _, key = row.key.rpartition(".")
        place = tree
        for name in filter(None, table_name.split(".")):
            place = place[name.removesuffix("[]")]
            place = place[0] if isinstance(place, list) else place
        if row.default in ("-", ""):
            continue
        said = place[key]
        shown = ", ".join(said) if isinstance(said, list) else str(said)
        assert shown.lower() == row.default.lower(), row.key


def test_a_loopback_listener_needs_no_token():
    assert MetricsSettings().secret() is None


SECRET = "whsec_" + "c2VjcmV0IG9mIHR3ZW50eS1mb3VyIGJ5dGVzIQ=="
HOOK = (
    '[[alerts]]\nname = "duty"\n[alerts.webhook]\n'
    f'url = "https://h.example/x"\nsecret = "{SECRET}"\n'
)
MAIL = '[[alerts]]\n[alerts.email]\nsender = "g@b.example"\nrecipients = ["d@b.example"]\n'


def specs(path):
    return load(path).alert_specs(lambda name: f"id-{name}")


def test_alerts_of_each_kind_become_what_the_worker_takes(tmp_path):
    path = written(
        tmp_path,
        'name = "north"\n[[source]]\nname = "a"\n'
        '[[source]]\nname = "b"\nhost = "bee"\nshare = "g"\n'
        f'[[alerts]]\nname = "bus"\n[alerts.mqtt]\nsource = "b"\n{HOOK}{MAIL}'
        'daily_at = "07:30"\n',
    )
    bus, hook, mail = specs(path)
    assert (bus.type, bus.target.broker.host, bus.target.broker.share) == ("mqtt", "bee", None)
    assert bus.target.broker.client_id == "id-alert-bus"
    assert (hook.type, hook.gateway, hook.target.place) == ("webhook", "north", "https://h.example")
    assert (mail.type, mail.target.port, mail.target.daily_at) == ("email", 587, 450)


def test_an_alert_may_have_a_broker_of_its_own(tmp_path):
    (tmp_path / "ca.pem").write_text("x")
    path = written(
        tmp_path, '[[alerts]]\n[alerts.mqtt]\nhost = "bus"\nca_file = "ca.pem"\ntype = "mqtt311"\n'
    )
    (bus,) = specs(path)
    assert (bus.target.broker.host, bus.target.broker.port) == ("bus", 8883)
    assert (bus.target.broker.ca_file, bus.target.version) == (tmp_path / "ca.pem", "mqtt311")


@pytest.mark.parametrize(
    ("text", "place", "told"),
    [
        ("[[alerts]]\n", ":1: alerts[0]: ", "none of them is there"),
        (f"{HOOK}[alerts.mqtt]\n", ":1: alerts[0]: ", "[alerts.mqtt] and [alerts.webhook] is"),
        (f"{HOOK}{HOOK}", ":1: alerts: ", "used twice: duty"),
        (HOOK.replace("https", "http"), ":3: alerts[0].webhook: ", "plain_http"),
        (HOOK.replace("https://", "https://u:hunter22@"), ":3: alerts[0].webhook: ", "signed"),
        (HOOK.replace(SECRET, "whsec_hunter22"), ":3: alerts[0].webhook: ", "24 to 64 bytes"),
        (HOOK.replace(f'secret = "{SECRET}"', ""), ":3: alerts[0].webhook: ", "is needed"),
        (HOOK.replace("url", "urls"), ":4: alerts[0].webhook.urls: ", "did you mean url"),
        ("[[alerts]]\n[alerts.mqtt]\nsource = 'x'\n", "settings", "there is no source x"),
        (f"{MAIL}zone = 'Asia/Peking2'\n", ":5: alerts[0].email.zone: ", "no such time zone"),
        (f"{MAIL}daily_at = '24:00'\n", ":5: alerts[0].email.daily_at", "a time of the day"),
        (f"{MAIL}username = 'x'\n", ":2: alerts[0].email: ", "one is of no use"),
        (
            f"{MAIL}host = 'far'\nsecurity = 'none'\nusername = 'x'\npassword = 'hunter22'\n",
            ":2: alerts[0].email: ",
            "in the clear",
        ),
        (f"{MAIL}daily_at = false\nat_once = false\n", ":2: alerts[0].email: ", "ever be sent"),
        (MAIL.replace("d@b", "d b"), ":4: alerts[0].email.recipients: ", "no address"),
        (
            HOOK.replace("[alerts.", "codes = ['temper_alarm']\n[alerts."),
            ":3: alerts[0].codes: ",
            "did you mean tamper_alarm?",
        ),
        (HOOK.replace("[alerts.", "kinds = ['water']\n[alerts."), ":3: alerts[0].kinds: ", "known"),
        (HOOK.replace("[alerts.", "regions = ['x']\n[alerts."), ":3: alerts[0].regions", "pattern"),
    ],
)  # fmt: skip
def test_a_wrong_alert_is_told_with_its_place_and_without_its_secret(tmp_path, text, place, told):
    (fault,) = faults(written(tmp_path, text))
    if place != "settings":
        assert f"gateway.toml{place}" in fault
    assert told in fault
    assert "hunter22" not in fault


def test_the_secrets_of_alerts_are_masked_in_logs(tmp_path):
    (tmp_path / "url").write_text("https://h.example/hooks/s3cr3t-path?key=s3cr3t-query\n")
    text = HOOK.replace('url = "https://h.example/x"', 'url_file = "url"')
    settings = load(written(tmp_path, f"{text}{MAIL}username = 'g'\npassword = 'hunter22'\n"))
    assert settings.secrets() == [SECRET, "key=s3cr3t-query", "/hooks/s3cr3t-path", "hunter22"]
    assert "s3cr3t" not in repr(settings)
    assert "hunter22" not in repr(settings)
