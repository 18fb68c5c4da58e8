"""The command as people use it: files, a real broker, signals, and wrong use."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import zstandard
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from rich.cells import cell_len
from typer.testing import CliRunner

from simulators.catalogue import KINDS
from simulators.cli import app
from simulators.texts import LANGUAGES, Texts, language
from tests.brokers import PASSWORD, USERNAME

ROOT = Path(__file__).parents[2]


def command(*words):
    return [sys.executable, "-m", "simulators", *map(str, words)]


def environment(**more):
    return {**os.environ, "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8", "LC_ALL": "", **more}


def simulate(*words, cwd=None, code=0, **more):
    done = subprocess.run(
        command(*words),
        cwd=cwd,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done


def lines(path):
    data = Path(path).read_bytes()
    if str(path).endswith(".gz"):
        data = gzip.decompress(data)
    elif str(path).endswith(".zst"):
        data = zstandard.ZstdDecompressor().decompressobj().decompress(data)
    return [json.loads(line) for line in data.splitlines()]


class Listener:
    """Hears everything at a broker, even what was sent while the broker or it was away."""

    def __init__(self, port):
        self.heard = []
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id="listener", clean_session=False
        )
        self._client.reconnect_delay_set(1, 1)
        self._client.on_message = lambda _c, _u, m: self.heard.append((m.topic, m.payload))
        self._client.on_connect = lambda client, *_: client.subscribe("meters/#", 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def __enter__(self):
        deadline = time.monotonic() + 30
        while not self._client.is_connected() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.1)
        return self

    def __exit__(self, *_):
        self._client.disconnect()
        self._client.loop_stop()

    def wait(self, count):
        deadline = time.monotonic() + 30
        while len(self.heard) < count and time.monotonic() < deadline:
            time.sleep(0.02)
        return self.heard


@contextmanager
def started(*words, cwd=None):
    """A running simulator that does not outlive its test."""
    process = subprocess.Popen(
        command(*words),
        cwd=cwd,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(condition, seconds=15):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("name", ["c.jsonl", "c.jsonl.gz", "c.jsonl.zst"])
def test_a_capture_is_what_the_interface_says(tmp_path, name):
    simulate("run", "all", "--devices", 5, "--hours", 3, "-o", name, cwd=tmp_path)
    found = lines(tmp_path / name)
    assert len(found) > 100
    for line in found:
        assert set(line) == {"received_at", "topic", "payload"}
        assert re.fullmatch(r"2026-01-0[45]T\d\d:\d\d:\d\d\.\d{3}Z", line["received_at"])
        assert re.fullmatch(r"meters/110000/[a-z_]+/[a-z]{2}-110000-\d{5}/up", line["topic"])
        body = json.loads(line["payload"])
        assert {"type", "seq", "ts"} <= set(body)
    assert [line["received_at"] for line in found] == sorted(line["received_at"] for line in found)


def test_the_same_seed_writes_the_same_bytes(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        simulate(
            "run", "all", "--hours", 6, "--cheat", "all:0.1", "-o", "c.jsonl.zst", "--truth",
            "t.jsonl", "--registry", "r.jsonl", cwd=tmp_path / folder,
        )  # fmt: skip
    for name in ("c.jsonl.zst", "t.jsonl", "r.jsonl"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_capture_can_go_to_standard_output():
    done = simulate("run", "water_meter", "--devices", 2, "--hours", 3, "-o", "-")
    assert len([json.loads(line) for line in done.stdout.splitlines()]) == 6
    assert "6 messages, 2 devices, 0.25 device-days" in done.stderr


def test_truth_lines_have_the_shape_of_the_interface_and_score_reads_them(tmp_path):
    simulate(
        "run", "taximeter", "--cheat", "overcharge:0.2", "-o", "c.jsonl", "--truth", "t.jsonl",
        cwd=tmp_path,
    )  # fmt: skip
    truth = lines(tmp_path / "t.jsonl")
    assert {"device_id", "code", "from", "to"} <= set(truth[0])
    flags = [line | {"measured_at": line["to"], "severity": "critical"} for line in truth]
    (tmp_path / "f.jsonl").write_text("\n".join(map(json.dumps, flags[:-1])))
    done = simulate("score", "f.jsonl", "t.jsonl", "--json", "--device-days", 10, cwd=tmp_path)
    overall = json.loads(done.stdout)["overall"]
    assert overall["events"] == len(truth)
    assert overall["found"] == len(truth) - 1
    assert overall["false"] == 0
    table = simulate("score", "f.jsonl", "t.jsonl", cwd=tmp_path).stdout
    assert "fare_mismatch" in table
    simulate("score", "f.jsonl", "t.jsonl", "--min-recall", 1, cwd=tmp_path, code=1)
    simulate("score", "f.jsonl", "t.jsonl", "--min-recall", 0.5, "--max-false", 0, cwd=tmp_path)


def test_messages_reach_a_broker_each_once_and_in_order(mosquitto, tmp_path):
    words = ("run", "all", "--devices", 10, "--hours", 6, "--cheat", "all:0.05")
    start = ("--start", "2026-01-05T00:00:00+08:00")
    simulate(*words, *start, "-o", "c.jsonl", cwd=tmp_path)
    expected = [(line["topic"], line["payload"].encode()) for line in lines(tmp_path / "c.jsonl")]
    with Listener(mosquitto.port) as listener:
        url = f"mqtt://127.0.0.1:{mosquitto.port}"
        simulate(
            *words, *start, "--broker", url, "--speed", "max", "--truth", "t.jsonl", cwd=tmp_path
        )
        heard = listener.wait(len(expected))
    # a clock that is ahead is ahead of the wall clock, which a capture does not know
    ahead = {t["device_id"] for t in lines(tmp_path / "t.jsonl") if t["cheat"] == "clock_ahead"}
    assert len(heard) == len(expected)
    honest = [each for each in heard if each[0].split("/")[3] not in ahead]
    assert honest == [each for each in expected if each[0].split("/")[3] not in ahead]


def test_a_broker_that_restarts_misses_nothing(start_mosquitto):
    broker = start_mosquitto(persistence=True)
    words = (
        "run", "taximeter", "--devices", 20, "--hours", 1, "--speed", "x900", "--seed", 3,
        "--broker", f"mqtt://127.0.0.1:{broker.port}",
    )  # fmt: skip
    with Listener(broker.port) as listener, started(*words) as process:
        wait_for(lambda: len(listener.heard) > 200)
        broker.restart()
        _, told = process.communicate(timeout=40)
        done = re.search(r"(\d+) messages", told)
        assert done is not None, told
        listener.wait(int(done[1]))
    assert process.returncode == 0
    assert "broker lost" in told
    assert "Traceback" not in told
    sequences = {}
    for topic, payload in listener.heard:
        # one device's numbers begin again after 4294967295: seen from half way, they don't
        number = (json.loads(payload)["seq"] + 2**31) % 2**32
        sequences.setdefault(topic, set()).add(number)
    assert len(sequences) == 20
    for topic, seen in sequences.items():
        assert max(seen) - min(seen) + 1 == len(seen), topic


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_endless_run_ends_cleanly_by_signal(mosquitto, tmp_path, how):
    words = (
        "run", "all", "--devices", 30, "--interval", "10s", "--speed", "x60", "--cheat", "all:0.05",
        "--cheats-after", "10s", "--truth", "t.jsonl",
        "--broker", f"mqtt://127.0.0.1:{mosquitto.port}",
    )  # fmt: skip
    with Listener(mosquitto.port) as listener, started(*words, cwd=tmp_path) as process:
        wait_for(lambda: len(listener.heard) > 300)
        process.send_signal(how)
        _, told = process.communicate(timeout=10)
        count = int(re.search(r"signal: (\d+) messages", told)[1])
        heard = listener.wait(count)
    assert process.returncode == 0
    assert "Traceback" not in told
    assert len(heard) == count
    # what was still under way is in the truth
    assert "unregistered_device" in {line["code"] for line in lines(tmp_path / "t.jsonl")}
    # only clocks that are ahead speak of the future
    now = time.time() * 1000
    claimed = [json.loads(payload)["ts"] for _, payload in heard]
    assert any(ts > now + 3_600_000 for ts in claimed)
    assert sum(ts > now for ts in claimed) < len(claimed) / 2


def test_a_capture_ended_by_signal_is_whole(tmp_path):
    path = tmp_path / "c.jsonl.zst"
    words = ("run", "all", "--devices", 200, "--days", 9999, "-o", path)
    with started(*words) as process:
        wait_for(lambda: path.exists() and path.stat().st_size > 0)
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=10)
    assert process.returncode == 0
    count = int(re.search(r"signal: (\d+) messages", told)[1])
    assert len(lines(path)) == count


def test_a_password_comes_from_the_environment_and_is_never_shown(start_mosquitto, password_file):
    broker = start_mosquitto(f"allow_anonymous false\npassword_file {password_file}")
    words = (
        "run", "water_meter", "--devices", 2, "--hours", 2, "--speed", "max",
        "--username", USERNAME, "--password-env", "BROKER_PASSWORD", "--broker", f"mqtt://127.0.0.1:{broker.port}",
    )  # fmt: skip
    good = simulate(*words, BROKER_PASSWORD=PASSWORD)
    assert "4 messages" in good.stderr
    bad = simulate(*words, code=2, BROKER_PASSWORD="not this one")
    assert "can't reach the broker" in bad.stderr
    assert "not this one" not in bad.stderr
    assert "no variable 'BROKER_PASSWORD'" in simulate(*words, code=2).stderr


_TOO_MANY = ("--cheat", "overcharge:0.6", "--cheat", "trips_hidden:0.6")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run", "clocks", "-o", "-"], "'clocks'"),
        (["run", "taximeter"], "--broker mqtt://"),
        (["run", "taximeter", "-o", "-", "--broker", "mqtt://x"], "--broker mqtt://"),
        (["run", "taximeter", "-o", "-", "--cheat", "nope"], "'nope'"),
        (["run", "taximeter", "-o", "-", "--cheat", "overcharge:2"], "'overcharge:2'"),
        (["run", "taximeter", "-o", "-", *_TOO_MANY], "taximeter"),
        (["run", "taximeter", "-o", "-", "--speed", "x60"], "--speed"),
        (["run", "taximeter", "--broker", "mqtt://x", "--speed", "fast"], "'fast'"),
        (["run", "taximeter", "--broker", "http://x"], "mqtt://host:port"),
        (["run", "taximeter", "--broker", "mqtt://u:p@x"], "--password-env"),
        (["run", "taximeter", "-o", "-", "--region", "Beijing"], "'Beijing'"),
        (["run", "taximeter", "-o", "-", "--start", "2026-01-05"], "with its zone"),
        (["run", "taximeter", "-o", "-", "--interval", "soon"], "like 30s"),
        (["run", "taximeter", "-o", "no/such/folder/c"], "no/such/folder"),
        (["score", "/dev/null", "no-such-file"], "no-such-file"),
        (["recorded", "tides", "x", "-o", "-"], "'tides'"),
        (["list", "--lang", "fr"], "'fr'"),
    ],
)
def test_wrong_use_says_what_to_do_and_exits_2(words, told):
    # in this process: the fragments are the same in every language
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert told in done.stderr
    assert done.stdout == ""


def test_a_run_towards_a_broker_cannot_start_in_the_future(mosquitto):
    url = f"mqtt://127.0.0.1:{mosquitto.port}"
    start = "2999-01-01T00:00:00Z"
    done = simulate("run", "taximeter", "--broker", url, "--start", start, code=2)
    assert "in the future" in done.stderr


def test_the_list_speaks_both_languages_and_machines():
    english = simulate("list", COLUMNS="200").stdout
    chinese = simulate("list", "--lang", "zh", COLUMNS="200").stdout
    by_environment = simulate("list", LANG="zh_CN.UTF-8", COLUMNS="200").stdout
    assert "amount_mismatch" in english
    assert "Fuel dispenser" in english
    assert "加油机" in chinese
    assert by_environment == chinese
    kinds = json.loads(simulate("list", "--json").stdout)
    assert list(kinds) == list(KINDS)
    for kind in kinds.values():
        assert len(kind["cheats"]) >= 3
        assert all(cheat["what"] for cheat in kind["cheats"].values())
        assert sum(bool(cheat["code"]) for cheat in kind["cheats"].values()) >= 3


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_list_on_a_narrow_terminal_cuts_nothing_off(lang):
    text = simulate("list", "--lang", lang, COLUMNS="80").stdout
    assert "…" not in text
    assert all(cell_len(line) <= 80 for line in text.splitlines()[:-1])
    joined = "".join(
        line.split("│")[2].strip() for line in text.splitlines() if line.startswith("│")
    )
    assert Texts(lang)("cheat.double_booking").replace(" ", "") in joined.replace(" ", "")


def test_chinese_text_has_chinese_punctuation():
    say = Texts("zh")
    # the ratio of a cheat and an address are written as they are typed
    known = re.compile(r"NAME:比例|主机:端口")
    half = [
        key
        for key in say.keys
        if re.search(r"[一-龥][,;:?(]|[,;)][一-龥]", known.sub("", say(key)))
    ]
    assert half == []


def test_a_file_that_is_not_there_is_told_without_the_systems_number(tmp_path):
    done = simulate("score", tmp_path / "none.jsonl", tmp_path / "none.jsonl", code=2)
    assert done.stderr == f"error: {tmp_path}/none.jsonl: No such file or directory\n"


def test_both_languages_have_the_same_texts_with_the_same_places():
    english, chinese = (Texts(lang) for lang in LANGUAGES)
    assert english.keys == chinese.keys
    for key in english.keys:
        places = [sorted(re.findall(r"\{(\w+)", say(key))) for say in (english, chinese)]
        assert places[0] == places[1], key


def test_the_language_is_the_one_asked_for_else_the_terminals():
    assert language("en", {"LANG": "zh_CN.UTF-8"}) == "en"
    assert language(None, {"LANG": "zh_CN.UTF-8"}) == "zh"
    assert language(None, {"LC_ALL": "de_DE", "LANG": "zh_CN"}) == "en"
    assert language(None, {}) == "en"


@pytest.mark.parametrize("words", [[], ["run"]])
def test_help_is_in_the_language_of_the_terminal(words):
    english = simulate(*words, "--help").stdout
    chinese = simulate(*words, "--help", LANG="zh_CN.UTF-8").stdout
    assert english != chinese
    assert re.search(r"[\u4e00-\u9fff]", chinese)
    assert not re.search(r"[\u4e00-\u9fff]", english)


def test_the_simulators_import_nothing_of_the_gateway():
    sources = list((ROOT / "simulators").rglob("*.py"))
    assert len(sources) > 15
    for source in sources:
        assert not re.search(r"^\s*(from|import) gateway\b", source.read_text(), re.MULTILINE), (
            source
        )
