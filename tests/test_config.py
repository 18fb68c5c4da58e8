"""Settings: every fault at once, each with its place; the file in deploy/ tells all of them."""

import os
import pickle
import re
import tomllib
from pathlib import Path

import pytest

from gateway.config import MetricsSettings, Settings, SourceSettings, table
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
