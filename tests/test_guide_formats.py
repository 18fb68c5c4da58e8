"""The reference of formats says what is so: its settings, its profiles and its documents."""

import importlib
import json
import re

import pytest

from gateway.cases import default_topic, payload_of, run_cases
from gateway.deciding import Decider
from gateway.decode import plain
from gateway.decode.json import MAX_BYTES as MAX_JSON
from gateway.decode.json import parse_json
from gateway.explain import explain
from gateway.profiles import ProfileSet, formats, load_profiles
from gateway.profiles.models import FORMATS
from gateway.records import Device
from gateway.times import nanoseconds
from tests.compiled import PROFILES, ROOT

GUIDE = (PROFILES / "FORMATS.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", GUIDE, re.DOTALL | re.MULTILINE))
OF_FORMAT = {
    found[1]: text
    for title, text in SECTIONS.items()
    if (found := re.match(r"`(\w+)`: ", title)) is not None
}
EXAMPLES = [
    (text, json.loads(document))
    for text, document in re.findall(r"```yaml\n(.*?)```\n\n```json\n(.*?)```", GUIDE, re.DOTALL)
]
CODECS = dict(
    zip(
        re.findall(r"codec: ([\w-]+\.js)", GUIDE),
        re.findall(r"```js\n(.*?)```", GUIDE, re.DOTALL),
        strict=True,
    )
)
SHARED = set(formats.Format.model_fields) | {"format"}
REASONS = set(
    re.findall(r"^\| `(\w+)` \|", (PROFILES / "README.md").read_text("utf-8").split(
        "## When a message goes to quarantine")[1].split("\n## ")[0], re.MULTILINE)
)  # fmt: skip


def named(text: str) -> str:
    return text.split("\n", 1)[0].removeprefix("profile: ")


def table(text: str, head: str) -> list[list[str]]:
    """The rows of the table with this first column, each as its cells."""
    found = re.search(rf"^\| {head} \|.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    rows = found[1].splitlines() if found else []
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]


def settings(text: str) -> set[str]:
    return {row[0].strip("`") for row in table(text, "setting")}


def keys(model: type[formats.Settings]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


# -- completeness --------------------------------------------------------------------------------


def test_every_format_has_a_section_and_no_other_has():
    assert set(OF_FORMAT) == set(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_every_setting_is_named_and_none_that_does_not_exist(name):
    told = settings(OF_FORMAT[name])
    assert told == keys(FORMATS[name]) - SHARED
    assert bool(told) != ("No settings of its own." in OF_FORMAT[name])


def test_what_all_formats_share_and_the_envelope_are_named():
    assert settings(SECTIONS["What all formats share"]) == SHARED
    assert settings(SECTIONS["Envelopes"]) == keys(formats.Envelope)


WITH_WORDS = [(name, OF_FORMAT[name], model) for name, model in FORMATS.items()]
WITH_WORDS.append(("envelope", SECTIONS["Envelopes"], formats.Envelope))


@pytest.mark.parametrize(("name", "text", "model"), WITH_WORDS, ids=lambda value: str(value)[:20])
def test_every_word_that_a_setting_takes_is_named(name, text, model):
    own = {
        key: said
        for key, said in model.model_json_schema()["properties"].items()
        if name == "envelope" or key not in SHARED
    }
    words = {word for listed in re.findall(r'"enum": (\[.*?\])', json.dumps(own))
             for word in json.loads(listed)}  # fmt: skip
    spans = set(re.findall(r"`([^`]+)`", text))
    assert words <= spans | {part for span in spans for part in re.split(r"[^\w-]+", span)}


def test_every_parameter_of_the_registry_is_named():
    told = {row[0].strip("`") for row in table(SECTIONS["What all formats share"], "parameter")}
    asked = set()
    for file in (ROOT / "gateway" / "decode").glob("*.py"):
        asked |= set(re.findall(r'"((?:mbus|dlms|ocmf)_(?:\w+_)?key)"', file.read_text("utf-8")))
    assert told == asked


def test_the_table_of_first_bytes_leads_to_every_format():
    shown = " ".join(cell for row in table(SECTIONS["Which format is mine?"], "a payload.*?")
                     for cell in row)  # fmt: skip
    titles = {heading(title) for title in SECTIONS}
    links = set(re.findall(r"\]\(#([\w-]+)\)", shown))
    assert links <= titles
    for title in SECTIONS:
        if title.startswith("`"):
            assert heading(title) in links, title


def heading(title: str) -> str:
    """The anchor of a heading as hosts of Markdown make it."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def test_every_link_leads_somewhere():
    for target in re.findall(r"\]\(([^)]+)\)", GUIDE):
        file, _, anchor = target.partition("#")
        text = GUIDE if not file else (PROFILES / file).read_text(encoding="utf-8")
        titles = {heading(title) for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}
        assert not anchor or anchor in titles, target


# -- what is refused, and from which size on -------------------------------------------------------


def decoder(name: str):
    """The module of a format."""
    return importlib.import_module(f"gateway.decode.{'csv_text' if name == 'csv' else name}")


@pytest.mark.parametrize("name", FORMATS)
def test_reasons_of_refusal_are_those_of_the_decoder(name):
    paragraph = re.search(r"^\*\*Refused\*\*: (.*?)\n\n", OF_FORMAT[name], re.DOTALL | re.MULTILINE)
    assert paragraph is not None
    told = set(re.findall(r"`(\w+)`", paragraph[1])) & REASONS
    promised = set(re.findall(r"``(\w+)``", getattr(decoder(name), f"compile_{name}").__doc__))
    assert told == (promised & REASONS) - {"too_large"}


def test_the_default_sizes_are_those_of_the_decoders():
    units = {"MiB": 1024 * 1024, "KiB": 1024}
    told = {}
    for size, listed in table(SECTIONS["What all formats share"], "default of `max_bytes`"):
        number, unit = size.split()
        told |= dict.fromkeys(re.findall(r"`(\w+)`", listed), int(number) * units[unit])
    assert told == {
        name: MAX_JSON if name == "ocpp" else getattr(decoder(name), "MAX_BYTES", plain.MAX_BYTES)
        for name in FORMATS
    }


# -- examples ------------------------------------------------------------------------------------


def loaded(text: str, folder):
    """A profile of the guide with its codec beside it, as a set of its own."""
    name = named(text)
    (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    for codec, script in CODECS.items():
        (folder / codec).write_text(script, encoding="utf-8")
    bases = [PROFILES / "kinds", PROFILES / "families" / "lorawan.yaml"]
    found = load_profiles([*bases, folder / f"{name}.yaml"])
    return found.profiles[name], ProfileSet({name: found.profiles[name]}, found.bases)


def test_every_profile_has_its_document_and_every_format_an_example():
    assert GUIDE.count("```yaml") == len(EXAMPLES) == GUIDE.count("```json")
    for name, text in OF_FORMAT.items():
        assert "```yaml" in text, name


@pytest.mark.parametrize(("text", "_"), EXAMPLES, ids=[named(text) for text, _ in EXAMPLES])
def test_a_profile_loads_and_its_cases_hold(tmp_path, text, _):
    _, profiles = loaded(text, tmp_path)
    results = run_cases(profiles, {})
    assert results
    assert [result.differences for result in results] == [()] * len(results)


@pytest.mark.parametrize(
    ("text", "document"), EXAMPLES, ids=[named(text) for text, _ in EXAMPLES]
)  # fmt: skip
def test_the_document_of_a_profiles_first_message_is_the_one_shown(tmp_path, text, document):
    profile, profiles = loaded(text, tmp_path)
    case = profile.model.tests[0]
    devices = {
        each["device_id"]: Device(device_id=each["device_id"], parameters=case.parameters)
        for each in case.expect
        if "device_id" in each
    }
    decider = Decider(profiles, devices, {}, registry_known=False)
    topic, payload = case.topic or default_topic(profile), payload_of(profile, case)
    told = explain(decider, topic, payload, nanoseconds(case.received_at))
    assert told.quarantined is None
    if profile.model.decode.format == "json":  # read without a document between
        assert parse_json(payload) == document
    else:
        assert told.whole == document
