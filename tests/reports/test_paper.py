"""Blocks as HTML and PDF: the same text, nothing taken for markup, no empty boxes."""

import pytest
from fontTools.ttLib import TTFont

from gateway.reports import pdf as pdf_module
from gateway.reports.form import accepted, made
from gateway.reports.html import content_policy
from gateway.reports.paper import (
    WIDTH,
    Facts,
    Heading,
    Listing,
    Notice,
    Paper,
    Table,
    Text,
    Tile,
    Tiles,
    wrapped,
)
from tests.reports.reading_back import html_text, pdf_text, squeezed

HOSTILE = "#eval(1) $x$ *b* _i_ <script>alert(1)</script> \\ `raw` @ref // & \" ' 龘䶮"


def paper(*blocks):
    return Paper(
        "zh", "标题", "副标题", "页眉", "制作", 10**18, "第 {page} 页，共 {pages} 页", list(blocks)
    )


@pytest.mark.parametrize("form", ["pdf", "html"])
def test_text_is_text_wherever_it_stands(form):
    content = made(
        paper(
            Heading(HOSTILE), Text(HOSTILE), Notice(HOSTILE, "bad"), Facts([(HOSTILE, HOSTILE)]),
            Tiles([Tile(HOSTILE, "1", HOSTILE)]), Table([HOSTILE], [[HOSTILE]]), Listing(HOSTILE),
        ),
        form,
    )  # fmt: skip
    text = (pdf_text if form == "pdf" else html_text)(content)
    assert text.count(squeezed(HOSTILE)) == 10
    assert b"<script" not in content


def test_what_the_font_does_not_have_is_named_and_not_an_empty_box():
    text = pdf_text(made(paper(Text("meter 😀 \x00\x1b\u202e ends")), "pdf"))
    assert squeezed("meter [U+1F600] [U+0000][U+001B][U+202E] ends") in text


def test_the_table_of_what_the_fonts_have_is_true():
    folder = pdf_module.__file__.rpartition("/")[0] + "/fonts/"
    regular, bold = (
        set(TTFont(f"{folder}NotoSansCJKsc-{weight}.otf").getBestCmap())
        for weight in ("Regular", "Bold")
    )
    assert pdf_module.covered() == regular
    every_hanzi = set(range(0x4E00, 0x9FFF)) | set(range(0x3400, 0x4DB5))
    assert len(every_hanzi - regular) < 30
    every = (bytes([row, cell]) for row in range(0xB0, 0xF8) for cell in range(0xA1, 0xFF))
    of_gb2312 = set(map(ord, "".join(each.decode("gb2312", "ignore") for each in every)))
    assert len(of_gb2312) == 6_763
    assert of_gb2312 <= regular & bold


@pytest.mark.parametrize("length", [0, 1, WIDTH, WIDTH + 1, 1000])
def test_a_listing_loses_nothing_and_is_never_too_wide(length):
    for char in "a中":
        lines = wrapped(char * length).text.split("\n")
        assert "".join(lines) == char * length
        assert all(len(line) * (1 + (char == "中")) <= WIDTH for line in lines)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", "html"), ("*/*", "html"), ("application/pdf", "pdf"), ("text/html", "html"),
        ("text/html, application/pdf;q=0.9", "html"), ("text/html;q=0.5,application/pdf", "pdf"),
        ("application/pdf;q=nonsense", "html"), (";;,,q=", "html"),
    ],
)  # fmt: skip
def test_the_form_is_what_the_reader_accepts(accept, form):
    assert accepted(accept) == form


def test_a_browser_may_use_the_papers_own_style_and_nothing_else():
    assert content_policy().startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in content_policy()
