"""Words of quality in the codes of other systems, and which flag counts in which dimension."""

import re
import typing
from pathlib import Path

import pytest

from gateway.checks import CATALOGUE
from gateway.errors import ConfigError
from gateway.quality.codes import QUALITY_CODES, SCHEMES, code_of
from gateway.quality.counts import WORDS
from gateway.quality.dimensions import DIMENSIONS, LASTING, OF_CODE

# ESPI, QualityOfReading, as published by NAESB.
ESPI = {0, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19}


def test_every_word_that_a_reading_can_have_has_its_codes():
    from gateway.profiles.models import Quality  # noqa: PLC0415

    assert set(QUALITY_CODES) == set(WORDS) == set(typing.get_args(Quality))
    assert {code.espi for code in QUALITY_CODES.values()} <= ESPI
    assert len({code.espi for code in QUALITY_CODES.values()}) == len(QUALITY_CODES)
    for code in QUALITY_CODES.values():
        assert code.iec is None or re.fullmatch(r"2\.\d{1,2}\.\d{1,3}", code.iec)


def test_a_code_is_asked_for_by_its_scheme():
    assert [code_of("questionable", scheme) for scheme in SCHEMES] == [10, "2.5.258"]
    assert [code_of("raw", scheme) for scheme in SCHEMES] == [14, None]
    assert code_of("nonsense", "espi") is None
    with pytest.raises(ConfigError, match="known are espi, iec61968-9"):
        code_of("raw", "nonsense")


def test_what_counts_are_codes_of_the_catalogue_in_dimensions_that_there_are():
    assert OF_CODE.keys() <= CATALOGUE.keys()
    assert OF_CODE.keys() >= LASTING
    assert set(OF_CODE.values()) <= set(DIMENSIONS)


def test_the_page_has_every_word_code_and_formula():
    page = (Path(__file__).parents[2] / "gateway" / "quality" / "README.md").read_text("utf-8")
    for code in QUALITY_CODES.values():
        assert f"| `{code.word}` | {code.espi} | {code.iec or 'none'} |" in page
    for dimension in DIMENSIONS:
        assert f"| {dimension} |" in page
    for code in OF_CODE:
        assert f"`{code}`" in page
