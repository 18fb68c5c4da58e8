"""What a report says, read back from its file."""

from __future__ import annotations

import html
import io
import re

from pypdf import PdfReader


def pdf_text(content: bytes) -> str:
    """The text of a PDF without blanks: lines are broken where the paper ends."""
    pages = PdfReader(io.BytesIO(content)).pages
    return squeezed("".join(page.extract_text() for page in pages))


def html_text(content: bytes) -> str:
    """The text of an HTML report without its markup and blanks."""
    body = content.decode().partition("<body>")[2]
    return squeezed(html.unescape(re.sub(r"<[^>]*>", "", body)))


def squeezed(text: str) -> str:
    return re.sub(r"[\s\u200b]", "", text)


def listings(content: bytes) -> list[str]:
    """The listings of an HTML report."""
    found = re.findall(r"<pre[^>]*>(.*?)</pre>", content.decode(), re.DOTALL)
    return [html.unescape(each) for each in found]
