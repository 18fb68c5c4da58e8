"""Loading profiles: each mistake gives its one clear line, all of them at once."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.assembly import faults_of
from gateway.errors import ProfileError
from gateway.profiles import load_profiles
from gateway.profiles.source import MAX_BYTES, Source
from tests.compiled import HEAD, KINDS, PROFILES, Compiled

FAMILIES = PROFILES / "families"
CASES = Path(__file__).parents[1] / "cases" / "profiles"
SOUND = HEAD.format(kind="electricity-meter") + (
    "read: {measured_at: {from: ts, time: epoch_ms}, energy_import: {from: ep, unit: kWh}}\n"
)
SHIPPED = sorted(
    file for file in PROFILES.rglob("*.yaml") if "reference" not in file.relative_to(PROFILES).parts
)


def faults(*paths: Path) -> list[str]:
    with pytest.raises(ProfileError) as refused:
        load_profiles([KINDS, *paths])
    return str(refused.value).splitlines()


def write(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


# -- one folder a mistake ------------------------------------------------------------------------


@pytest.mark.parametrize("case", sorted(CASES.iterdir()), ids=lambda case: case.name)
def test_a_mistake_is_told_in_these_words(case):
    _, found = faults_of([case], bases=[KINDS, FAMILIES])
    said = [line.replace(f"{case}/", "") for line in found]
    assert said == (case / "expected.err").read_text().splitlines()


def test_every_mistake_is_told_with_its_place():
    for case in CASES.iterdir():
        for line in (case / "expected.err").read_text().splitlines():
            if line.startswith("codec.js: "):
                continue  # of the codec as a whole
            file, row, column, message = line.split(":", 3)
            assert file in {"profile.yaml", "codec.js"}
            written = (case / file).read_text().splitlines() or [""]
            assert 1 <= int(row) <= len(written), case.name
            assert 1 <= int(column) <= len(written[int(row) - 1]) + 1, case.name
            assert "pydantic" not in message
            assert "Traceback" not in message


# -- files and folders ---------------------------------------------------------------------------


def test_faults_of_all_files_come_at_once(tmp_path):
    write(tmp_path, "a.yaml", SOUND)
    write(tmp_path, "b.yaml", SOUND.replace("under-test", "b").replace("kWh", "kwh"))
    write(tmp_path, "c.yaml", "{")
    told = faults(tmp_path)
    assert [line.split(":")[0].removeprefix(f"{tmp_path}/") for line in told] == [
        "a.yaml", "b.yaml", "c.yaml",
    ]  # fmt: skip


def test_a_fault_of_a_base_profile_is_told_once_and_where_it_stands(tmp_path):
    write(tmp_path, "base.yaml", SOUND.replace("under-test", "base").replace("kWh", "kwh"))
    for name in ("one", "two"):
        text = SOUND.replace("under-test", name).replace("kinds/electricity-meter", "base")
        write(tmp_path, f"{name}.yaml", text[: text.index("read:")])
    (told,) = faults(tmp_path)
    assert told.startswith(f"{tmp_path}/base.yaml:6:")


def test_a_fault_in_an_overlay_is_told_where_the_overlay_stands(tmp_path):
    write(tmp_path, "base.yaml", SOUND.replace("under-test", "base"))
    overlay = SOUND[: SOUND.index("read:")].replace("kinds/electricity-meter", "base")
    write(
        tmp_path,
        "over.yaml",
        overlay.replace("under-test", "over") + "read: {energy_import: {unit: kwh}}\n",
    )
    (told,) = faults(tmp_path)
    assert told.startswith(f"{tmp_path}/over.yaml:6:24: read.energy_import.unit: 'kwh'")


def test_a_circle_of_bases_is_told(tmp_path):
    for name, base in (("a", "b"), ("b", "a")):
        text = SOUND.replace("under-test", name).replace("kinds/electricity-meter", base)
        write(tmp_path, f"{name}.yaml", text)
    assert [line.split(" ", 1)[1] for line in faults(tmp_path)] == [
        "extends: circle: b -> a -> b",
        "extends: circle: a -> b -> a",
    ]


def test_one_name_in_two_files_is_told(tmp_path):
    write(tmp_path, "x/under-test.yaml", SOUND)
    write(tmp_path, "y/under-test.yaml", SOUND)
    (told,) = faults(tmp_path)
    assert told.endswith(f"profile 'under-test' stands already in {tmp_path}/x/under-test.yaml")


def test_the_same_file_by_two_ways_is_read_once(tmp_path):
    file = write(tmp_path, "under-test.yaml", SOUND)
    assert list(load_profiles([KINDS, tmp_path, file]).profiles) == ["under-test"]


def test_a_folder_that_is_not_there_is_told(tmp_path):
    assert faults(tmp_path / "nothing") == [f"{tmp_path}/nothing: no such file or directory"]


def test_a_folder_named_like_a_profile_is_told(tmp_path):
    (tmp_path / "x.yaml").mkdir()
    assert faults(tmp_path) == [f"{tmp_path}/x.yaml:1:1: cannot be read: Is a directory"]


def test_a_file_that_ends_in_yml_is_not_passed_over(tmp_path):
    write(tmp_path, "under-test.yml", SOUND)
    assert faults(tmp_path) == [
        f"{tmp_path}/under-test.yml:1:1: a profile's file ends in .yaml: rename it"
    ]


def test_tariffs_and_other_reference_data_are_no_profiles(tmp_path):
    write(tmp_path, "reference/tariffs/beijing.yaml", "flagfall: 13\n")
    write(tmp_path, "under-test.yaml", SOUND)
    assert list(load_profiles([KINDS, tmp_path]).profiles) == ["under-test"]


def test_a_huge_file_is_told_and_not_parsed(tmp_path):
    file = write(tmp_path, "under-test.yaml", "#" * (MAX_BYTES + 1))
    assert faults(file) == [f"{file}:1:1: larger than {MAX_BYTES} bytes: split it"]


@pytest.mark.parametrize("text", ["[" * 100_000, "a: " + "{a: " * 100_000, "- " * 100_000])
def test_deep_nesting_is_told_and_not_followed(tmp_path, text):
    (told,) = faults(write(tmp_path, "under-test.yaml", text))
    assert "nested deeper than 32 levels" in told


def test_bytes_that_are_no_utf8_are_told_in_one_line(tmp_path):
    file = tmp_path / "under-test.yaml"
    file.write_bytes(SOUND.encode() + b"# \xff\n")
    (told,) = faults(file)
    assert "not YAML" in told


# -- scalars -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"), ("no", "no"), ("OFF", "OFF"), ("y", "y"), ("true", True), ("False", False),
        ("12:30:00", "12:30:00"), ("0123", "0123"), ("010.5", "010.5"), ("1_000", "1_000"),
        ("0x1F", "0x1F"), ("12", 12), ("-7", -7), ("1.5", 1.5), ("1e3", 1000.0), ("~", None),
        ("null", None), ("", None), ('"12"', "12"), ("'on'", "on"), (".inf", ".inf"),
        (".nan", ".nan"), ("1e999", "1e999"), ("=", "="), ("2026-01-01", "2026-01-01"),
        ("9" * 31, int("9" * 31)), ("9" * 5000, "9" * 5000),
    ],
)  # fmt: skip
def test_a_scalar_is_what_yaml_1_2_says(tmp_path, text, value):
    source = Source(write(tmp_path, "x.yaml", f"a: {text}\n"))
    assert source.faults == []
    assert source.data == {"a": value}
    assert type(source.data["a"]) is type(value)


def test_words_that_devices_send_are_keys_as_they_stand(tmp_path):
    source = Source(write(tmp_path, "x.yaml", "{on: 1, off: 2, true: 3, 0: 4, 0.5: 5, ~: 6}"))
    assert source.data == {"on": 1, "off": 2, True: 3, 0: 4, 0.5: 5, "~": 6}


# -- inheritance ---------------------------------------------------------------------------------


def test_a_base_gives_what_the_profile_does_not_say():
    profiles = load_profiles([PROFILES]).profiles
    model = profiles["shelly-1pm-gen4"].model
    assert model.kind == "electricity_meter"
    assert model.registers[0] == "energy_import"
    assert model.checks["value_out_of_range"]["frequency"] == {"low": "45 Hz", "high": "65 Hz"}
    assert model.abstract is False


def test_the_digest_is_of_the_content_not_of_its_order(tmp_path):
    lines = SOUND.splitlines(keepends=True)
    one = write(tmp_path, "a/under-test.yaml", "".join(lines))
    other = write(tmp_path, "b/under-test.yaml", "".join([lines[0], *reversed(lines[1:])]))
    changed = write(tmp_path, "c/under-test.yaml", SOUND.replace("1.0.0", "1.0.1"))
    digests = [
        load_profiles([KINDS, file]).profiles["under-test"].digest for file in (one, other, changed)
    ]
    assert digests[0] == digests[1] != digests[2]


def test_keys_of_several_types_do_not_hurt(tmp_path):
    text = SOUND.replace("}}", "}, power_factor: {from: f, map: {2: 0.1, on: 0.2, true: 0.3}}}")
    assert load_profiles([KINDS, write(tmp_path, "under-test.yaml", text)]).profiles


# -- whatever is written -------------------------------------------------------------------------

SCRAPS = st.sampled_from(
    ["", "{", "}", "[", "]", ":", "-", "~", "on", "0", "-1", "1e999", "true", '"', "{}", "[]", "x",
     "{from: a.b}", "{from: [a, 0]}", "{is: present}", "{each: a, channels: [L1]}", "$", "a.b[0]",
     "kWh", "Cel", "text: true", "optional: true", "absent: [0]", "map: {a: 1}", "time: iso",
     "when: {ts: 1}", "each: a", "\t", "%", "&a", "*a", "!x", "\u202e", "9" * 40, "<<"]
)  # fmt: skip


@settings(max_examples=150)
@given(file=st.sampled_from(SHIPPED), seed=st.randoms(use_true_random=False), scrap=SCRAPS)
def test_any_damage_gives_faults_with_places_or_a_profile_that_compiles(
    tmp_path_factory, file, seed: random.Random, scrap
):
    tokens = damaged(file.read_text(), seed, scrap)
    folder = tmp_path_factory.mktemp("damage")
    name = f"kinds/{file.name}" if file.parent.name == "kinds" else file.name
    target = write(folder, name, tokens)
    bases = [base for base in KINDS.glob("*.yaml") if base.name != file.name]
    try:
        found = load_profiles([*bases, target])
    except ProfileError as error:
        for line in str(error).splitlines():
            _, row, column, message = line.removeprefix(str(folder)).split(":", 3)
            assert int(row) >= 1
            assert int(column) >= 1
            assert message.strip()
    else:
        for profile in found.profiles.values():
            Compiled(profile)


def damaged(text: str, seed: random.Random, scrap: str) -> str:
    """The text with one word replaced, taken out or doubled, or one line moved."""
    words = text.split(" ")
    at = seed.randrange(len(words))
    match seed.randrange(5):
        case 0:
            words[at] = scrap
        case 1:
            del words[at]
        case 2:
            words.insert(at, words[seed.randrange(len(words))])
        case 3:
            words.insert(at, scrap)
        case _:
            lines = text.splitlines(keepends=True)
            lines.insert(seed.randrange(len(lines)), lines.pop(seed.randrange(len(lines))))
            return "".join(lines)
    return " ".join(words)
