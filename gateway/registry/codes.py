"""Codes of China that a registry holds: regions (GB/T 2260) and organisations (GB 32100).

The names of regions are bundled for the first level only, which has not changed since 1997: below
it codes are revised every year, and a table of yesterday would call a county wrong that is right.
"""

from __future__ import annotations

import re
from typing import Final

REGION: Final = re.compile(r"[1-9]\d{5}", re.ASCII)

PROVINCES: Final[dict[str, tuple[str, str]]] = {
    "11": ("北京市", "Beijing"),
    "12": ("天津市", "Tianjin"),
    "13": ("河北省", "Hebei"),
    "14": ("山西省", "Shanxi"),
    "15": ("内蒙古自治区", "Inner Mongolia"),
    "21": ("辽宁省", "Liaoning"),
    "22": ("吉林省", "Jilin"),
    "23": ("黑龙江省", "Heilongjiang"),
    "31": ("上海市", "Shanghai"),
    "32": ("江苏省", "Jiangsu"),
    "33": ("浙江省", "Zhejiang"),
    "34": ("安徽省", "Anhui"),
    "35": ("福建省", "Fujian"),
    "36": ("江西省", "Jiangxi"),
    "37": ("山东省", "Shandong"),
    "41": ("河南省", "Henan"),
    "42": ("湖北省", "Hubei"),
    "43": ("湖南省", "Hunan"),
    "44": ("广东省", "Guangdong"),
    "45": ("广西壮族自治区", "Guangxi"),
    "46": ("海南省", "Hainan"),
    "50": ("重庆市", "Chongqing"),
    "51": ("四川省", "Sichuan"),
    "52": ("贵州省", "Guizhou"),
    "53": ("云南省", "Yunnan"),
    "54": ("西藏自治区", "Tibet"),
    "61": ("陕西省", "Shaanxi"),
    "62": ("甘肃省", "Gansu"),
    "63": ("青海省", "Qinghai"),
    "64": ("宁夏回族自治区", "Ningxia"),
    "65": ("新疆维吾尔自治区", "Xinjiang"),
    "71": ("台湾省", "Taiwan"),
    "81": ("香港特别行政区", "Hong Kong"),
    "82": ("澳门特别行政区", "Macao"),
}
"""Two digits to (zh, en); GB/T 2260-2007, the codes of ISO 3166-2:CN before 2017."""

_CREDIT: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"  # GB 32100-2015, table 1: without I O S V Z
_VALUES: Final = {character: value for value, character in enumerate(_CREDIT)}
_WEIGHTS: Final = tuple(pow(3, place, 31) for place in range(17))


def province(region: str) -> tuple[str, str] | None:
    """The name (zh, en) of the province that a region code is of; None for one that is none."""
    return PROVINCES.get(region[:2])


def looks_like_credit_code(text: str) -> bool:
    """Whether a text has the shape of a unified social credit code: 18 of its characters."""
    return len(text) == 18 and all(character in _VALUES for character in text)


def credit_code_fault(code: str) -> str | None:
    """Why a text is no unified social credit code (GB 32100-2015, 4 and appendix A), or None.

    The last character is the one that brings the weighted sum of all to a multiple of 31; the
    weights are 3 to the power of the place.
    """
    if len(code) != 18:
        return f"a unified social credit code has 18 characters, {code[:60]!r} has {len(code)}"
    strange = sorted({character for character in code if character not in _VALUES})
    if strange:
        return (
            f"a unified social credit code is digits and capital letters without I, O, S, V, Z; "
            f"{code!r} has {' '.join(strange)}"
        )
    if not code[2:8].isdigit():
        return (
            f"the third to eighth character of a unified social credit code is a region: {code!r}"
        )
    total = sum(
        _VALUES[character] * weight for character, weight in zip(code, _WEIGHTS, strict=False)
    )
    expected = _CREDIT[-total % 31]
    if code[17] != expected:
        return (
            f"{code!r}: the check character of {code[:17]} is {expected}, not {code[17]}: "
            "one character is wrong, or two are exchanged"
        )
    return None
