"""Every code of the public surface is described, and what is judged is documented."""

import re
import tomllib
from pathlib import Path

import pytest

from gateway.checks import CATALOGUE
from gateway.checks.catalogue.spoken import clause, meaning
from gateway.checks.findings import SEVERITIES
from gateway.checks.settings import MODELS
from gateway.quantities import KINDS

PAGES = Path(__file__).parents[2] / "gateway" / "checks" / "codes"
PUBLIC = [
    "unregistered_device",
    "verification_expired",
    "identity_clash",
    "firmware_changed",
    "constant_changed",
    "tamper_alarm",
    "device_fault",
    "clock_drift",
    "future_timestamp",
    "sequence_gap",
    "conflicting_duplicate",
    "silent_device",
    "burst_after_silence",
    "register_decrease",
    "register_rollover",
    "register_stuck",
    "register_spike",
    "value_out_of_range",
    "amount_mismatch",
    "totaliser_mismatch",
    "unbilled_delivery",
    "flow_rate_out_of_range",
    "below_minimum_quantity",
    "price_mismatch",
    "delivery_factor_shift",
    "wet_stock_surplus",
    "wet_stock_loss",
    "round_amount_shortfall",
    "fare_mismatch",
    "distance_mismatch",
    "waiting_time_mismatch",
    "trip_overlap",
    "impossible_speed",
    "distance_factor_shift",
    "tariff_sum_mismatch",
    "voltage_out_of_limits",
    "frequency_out_of_limits",
    "phase_loss",
    "reverse_energy",
    "leak_suspected",
    "burst_suspected",
    "backflow",
    "consumption_drop",
    "zero_consumption",
    "energy_balance_mismatch",
    "conversion_mismatch",
    "heat_balance_mismatch",
    "power_energy_mismatch",
    "session_energy_mismatch",
    "signature_invalid",
    "session_overlap",
]


def test_the_codes_are_those_of_the_public_surface():
    assert sorted(CATALOGUE) == sorted(PUBLIC)


@pytest.mark.parametrize("code", PUBLIC)
def test_a_code_is_described_in_both_languages_with_severity_and_basis(code):
    info = CATALOGUE[code]
    assert info.code == code
    assert info.title["en"].isascii()
    assert re.search("[一-鿿]", info.title["zh"])
    assert info.severity in SEVERITIES
    assert set(info.kinds) <= KINDS.keys()
    assert all(info.basis_for(kind) for kind in KINDS)


@pytest.mark.parametrize("code", PUBLIC)
def test_what_a_code_means_is_said_in_both_languages(code):
    info = CATALOGUE[code]
    english, chinese = meaning(info, "en"), meaning(info, "zh")
    assert (english.doc, english.tolerance) == (info.doc, info.tolerance)
    assert chinese.evidence.keys() == english.evidence.keys()
    for ours, theirs in [
        (chinese.doc, english.doc),
        (chinese.tolerance, english.tolerance),
        *((text, english.evidence[key]) for key, text in chinese.evidence.items()),
    ]:
        assert re.search("[一-鿿]", ours), theirs
        assert numbers(ours) == numbers(theirs), ours
        assert "(?)" not in ours + theirs
    for basis in info.basis.values():
        told = clause(basis, "zh")
        # What is left of English are names of documents and terms that have no Chinese one.
        assert not re.search(r"\b(?:and|art\.|the|of|in)\b", told), told
        assert "(?)" not in basis
        assert numbers(told) == numbers(re.sub(r"art\. [\d and]+", "", basis)), told


def numbers(text):
    """The figures of a text, in their order of size; a year of a law's edition is none."""
    plain = re.sub(r"(?<=\d),(?=\d{3})|2018", "", text).replace("²", "^2").replace("³", "3")
    return sorted(re.findall(r"\d+(?:\.\d+)?", plain))


def test_the_chinese_catalogue_says_nothing_that_the_english_does_not():
    chinese = tomllib.loads((PAGES.parent / "catalogue" / "zh.toml").read_text("utf-8"))
    infos = CATALOGUE.values()
    assert set(chinese["codes"]) == set(CATALOGUE)
    assert set(chinese["clauses"]) == {
        each for info in infos for basis in info.basis.values() for each in basis.split("; ")
    }
    assert set(chinese["evidence"]) == {each for info in infos for each in info.evidence.values()}


def test_a_clause_that_the_catalogue_does_not_have_any_more_is_shown_as_it_was_written():
    assert clause("JJG 1; GB/T 6968", "zh") == "JJG 1；GB/T 6968"
    assert clause("JJG 1; GB/T 6968", "en") == "JJG 1; GB/T 6968"


def test_judged_codes_have_parameters_evidence_and_tolerance():
    assert set(CATALOGUE) == set(MODELS)
    assert all(info.tolerance and info.doc for info in CATALOGUE.values())


def test_every_judged_code_has_a_page_and_no_other():
    pages = {file.stem for file in PAGES.glob("*.md")}
    assert pages == set(CATALOGUE)


@pytest.mark.parametrize("code", MODELS)
def test_a_page_names_every_parameter_and_every_key_of_the_evidence(code):
    page = (PAGES / f"{code}.md").read_text(encoding="utf-8")
    assert page.startswith(f"# `{code}`\n\n")
    named = set(re.findall(r"`(\w+)`", page))
    parameters = {name for name in MODELS[code].model_fields if name != "root"}
    assert parameters <= named, sorted(parameters - named)
    keys = {"observed", "expected", "tolerance", "unit", *CATALOGUE[code].evidence}
    assert keys <= named, sorted(keys - named)
