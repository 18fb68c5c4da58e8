"""The guide for field staff is true: its commands run as written, and its flags are there."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections import defaultdict
from itertools import chain
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from gateway.cli import app as gateway_app
from simulators.catalogue import KINDS
from simulators.cli import app
from simulators.fleet_file import CheatOf, FleetOf, GroupOf, TroublesOf, read_fleet
from simulators.protocols.catalogue import PROTOCOLS
from simulators.score import read_flags, read_truth, score
from simulators.texts import LANGUAGES, Texts

ROOT = Path(__file__).parents[2]
README = (ROOT / "simulators" / "README.md").read_text(encoding="utf-8")
CHAPTERS = {
    name: README.split(f"\n## {name}\n")[1].split("\n## ")[0] for name in ("English", "中文")
}


def table(chapter, heading):
    """The rows of the table whose head begins so, each as its cells."""
    found = re.search(
        rf"^\| {heading} \|.*\n\|[-|]+\n((?:\|.*\n)+)", CHAPTERS[chapter], re.MULTILINE
    )
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in found[1].splitlines()]


def scenarios(chapter):
    rows = table(chapter, "what is wrong" if chapter == "English" else "问题")
    return [(flag.strip("`"), words.strip("`")) for *_, flag, words in rows]


def blocks(chapter, language):
    return re.findall(rf"```{language}\n(.*?)```", CHAPTERS[chapter], re.DOTALL)


SCENARIOS = scenarios("English")


def test_both_languages_tell_the_same():
    assert scenarios("中文") == SCENARIOS
    for language in ("sh", "yaml", "toml"):
        assert blocks("English", language) == blocks("中文", language)
    for heading, chinese in (("name", "名称"),):
        assert len(table("English", heading)) == len(table("中文", chinese))


@pytest.mark.parametrize(("flag", "words"), SCENARIOS, ids=[words for _, words in SCENARIOS])
def test_the_words_of_a_scenario_mean_its_flag(flag, words):
    kind, option, cheat, *_ = shlex.split(words)
    assert option == "--cheat"
    assert KINDS[kind].cheats[cheat.split(":")[0]].code == flag


def as_typed(folder, number, words):
    """Capture, truth and registry of a scenario; its devices are then told apart by its number."""
    files = [folder / f"{name}-{number}.jsonl" for name in ("capture", "truth", "registry")]
    options = zip(("-o", "--truth", "--registry"), map(str, files), strict=True)
    done = CliRunner().invoke(app, ["run", *shlex.split(words), *chain(*options)])
    assert done.exit_code == 0, done.output
    texts = [file.read_text(encoding="utf-8") for file in files]
    return [text.replace("-110000-", f"-11{number:04d}-").splitlines() for text in texts]


@pytest.mark.timeout(900)
def test_every_scenario_has_its_flag(tmp_path):
    """All scenarios as they are typed, side by side through one gateway."""
    made = [as_typed(tmp_path, n, words) for n, (_, words) in enumerate(SCENARIOS)]
    # a line begins with its time of receipt
    captures, truths, registries = (sorted(chain(*files)) for files in zip(*made, strict=True))
    (tmp_path / "c.jsonl").write_text("\n".join(captures), encoding="utf-8")
    (tmp_path / "r.jsonl").write_text("\n".join(registries), encoding="utf-8")
    gateway("replay", tmp_path / "c.jsonl", "--registry", tmp_path / "r.jsonl", "--data", tmp_path)
    lines = gateway("export", "flags", "--data", tmp_path).splitlines()
    flags = read_flags("flags", enumerate(map(json.loads, lines), 1))
    truth = read_truth("truth", enumerate(map(json.loads, truths), 1))
    missed = []
    for number, (code, words) in enumerate(SCENARIOS):
        mine = [
            [each for each in of if f"-11{number:04d}-" in each.device_id] for of in (flags, truth)
        ]
        tally = score(*mine).codes.get(code)
        if tally is None or not tally.found:
            missed.append(words)
    assert missed == []


def gateway(*words):
    result = CliRunner().invoke(gateway_app, [str(word) for word in words], env={"COLUMNS": None})
    structlog.reset_defaults()
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_honest_troubles_of_the_guide_are_those_of_electricity_meters():
    honest = {name for name, made in KINDS["electricity_meter"].cheats.items() if not made.code}
    for chapter, heading in (("English", "name"), ("中文", "名称")):
        rows = table(chapter, f"{heading} \\| {'what happens' if heading == 'name' else '情况'}")
        told = {word for row in rows for word in re.findall(r"`(\w+)`", row[0])}
        assert told == honest


def test_the_table_of_protocols_names_each_with_what_reads_it():
    for chapter, heading in (("English", "name \\| standard"), ("中文", "名称 \\| 标准")):
        rows = {row[0].strip("`"): row[3].strip("`") for row in table(chapter, heading)}
        assert set(rows) == set(PROTOCOLS)
        for name, reader in rows.items():
            pattern = re.escape(reader).replace(r"\*", "[a-z-]+")
            for profile in PROTOCOLS[name].profiles.values():
                assert re.fullmatch(pattern, profile), (name, profile)


def test_every_key_of_a_fleets_file_is_told():
    for chapter, heading in (("English", "key"), ("中文", "键")):
        told = set(
            re.findall(r"\w+", " ".join(cell for row in table(chapter, heading) for cell in row))
        )
        for model in (FleetOf, GroupOf, CheatOf, TroublesOf):
            assert set(model.model_fields) <= told


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_fleet_of_the_guide_is_read(tmp_path, chapter):
    (tmp_path / "fleet.yaml").write_text(blocks(chapter, "yaml")[0], encoding="utf-8")
    assert len(read_fleet(str(tmp_path / "fleet.yaml"), Texts("en")).file.devices) == 3


def series(folder):
    """Small files of the shape of the recorded series."""
    head = "pickup,dropoff,passengers,distance,fare,tip,tolls,total,color,payment,pickup_zone"
    trip = "2019-03-23 20:21:09,2019-03-23 20:27:24,1,1.6,7.0,2.15,0.0,12.95,yellow,cash,A,B"
    (folder / "nyc-taxi-trips.csv").write_text(f"{head},dropoff_zone\n{trip}\n")
    flow = "Time,Water flow [l/s]\n2022-03-20T11:00:00+01:00,100.59\n"
    (folder / "water-flow.csv").write_text(flow)


class Shell:
    """Runs the guide's lines in one folder with the commands of this environment."""

    def __init__(self, folder):
        self.folder = folder
        self.background = []
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environment = {**os.environ, "PATH": path, "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)}

    def do(self, line):
        done = subprocess.run(
            line, shell=True, cwd=self.folder, env=self.environment, text=True,
            capture_output=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def begin(self, line):
        with (self.folder / "gateway.log").open("wb") as log:
            process = subprocess.Popen(
                shlex.split(line), cwd=self.folder, env=self.environment, stdout=log, stderr=log
            )
        self.background.append(process)
        return process


@pytest.fixture
def shell(tmp_path):
    """One that leaves nothing running behind it."""
    made = Shell(tmp_path)
    yield made
    for process in made.background:
        process.kill()
        process.wait()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("chapter", ["English"])
def test_the_commands_of_the_guide_run(chapter, shell, mosquitto, tmp_path):
    """The other language has the same lines (see above)."""
    series(tmp_path)
    (tmp_path / "simulators").symlink_to(ROOT / "simulators")
    (tmp_path / "fleet.yaml").write_text(blocks(chapter, "yaml")[0], encoding="utf-8")
    settings = blocks(chapter, "toml")[0]
    (tmp_path / "gateway.toml").write_text(
        settings.replace('host = "127.0.0.1"', f'host = "127.0.0.1"\nport = {mosquitto.port}')
    )
    lines = [line for block in blocks(chapter, "sh") for line in block.strip().splitlines()]
    assert len(lines) == 13
    start, told = "", defaultdict(str)
    for line in lines:
        words = line.replace("$START", start)
        if line == "gateway demo --seconds 10":
            continue  # tests/cli/test_demo.py runs it, with an eye on the machine's load
        if line.startswith("START="):
            start = shell.do(f"{line}; echo $START").strip()
        elif line.startswith("gateway run"):
            running = shell.begin(line)
            wait_for(lambda: "Sending SUBACK" in mosquitto.log, running)
        else:
            if "--broker" in line:
                # as fast as it goes, and not all of it
                words = words.replace("--speed x600", "--speed max")
                words = words.replace("--days 2", "--hours 1")
                words = words.replace("localhost:1883", f"127.0.0.1:{mosquitto.port}")
            told[line.split()[1]] += shell.do(words)
    assert "fare_mismatch" in told["score"]
    count = int(re.search(r"(\d+) messages", told["fleet"].splitlines()[-1])[1])
    running.send_signal(signal.SIGINT)
    assert running.wait(timeout=30) == 0
    kept = json.loads(shell.do("gateway ledger show --data live --json"))["messages"]
    assert kept == count
    assert lines[-1].startswith("simulate recorded")
    assert (tmp_path / "fares.jsonl").read_bytes().count(b"\n") > 3


def wait_for(condition, process, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_list_is_shown_in_the_language_of_the_chapter(lang):
    done = CliRunner().invoke(app, ["list", "--lang", lang], env={"COLUMNS": "200"})
    assert done.exit_code == 0
    assert Texts(lang)("kind.fuel_station.name") in done.stdout
