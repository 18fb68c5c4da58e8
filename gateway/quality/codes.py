"""The gateway's words for the quality of a reading, in the codes of other systems.

Sources: ESPI / NAESB REQ.21 ``QualityOfReading``; IEC 61968-9, reading quality codes
``system.category.index`` with system 2, the data collection (the head-end).  The numbers of
categories are those of the standard's table; an index that could not be checked against its text is
the generic 0 of its category.

``raw`` has no code of IEC 61968-9: a reading that nobody has judged yet comes without one there.
``estimated`` does not say by what, so it is the estimate of ESPI whose method is the least special.
"""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.errors import ConfigError


class QualityCode(msgspec.Struct, frozen=True):
    """One word with its codes; ``iec`` is None where the standard has none."""

    word: str
    espi: int
    iec: str | None
    meaning: str


QUALITY_CODES: Final = {
    code.word: code
    for code in (
        QualityCode("raw", 14, None, "as the device sent it, judged by nobody"),
        QualityCode(
            "valid", 0, "2.0.0", "the device, or a system before us, says that it is valid"
        ),
        QualityCode("questionable", 10, "2.5.258", "suspect, by the device or by its profile"),
        QualityCode("estimated", 8, "2.8.0", "not measured: estimated by the device or its system"),
        QualityCode("derived", 11, "2.11.0", "computed from other readings"),
    )
}
SCHEMES: Final = ("espi", "iec61968-9")


def code_of(word: str, scheme: str) -> int | str | None:
    """The code of a word of ours.

    Args:
        word: of `Reading.quality`.
        scheme: one of `SCHEMES`.

    Raises:
        ConfigError: no such scheme.
    """
    if scheme not in SCHEMES:
        raise ConfigError(f"no quality codes {scheme!r}; known are {', '.join(SCHEMES)}")
    code = QUALITY_CODES.get(word)
    if code is None:
        return None
    return code.espi if scheme == "espi" else code.iec
