"""A report as one HTML file that needs nothing else: no script, no address, styles within."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, assert_never

from gateway.reports.paper import Facts, Figure, Heading, Listing, Notice, Table, Text, Tiles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.reports.paper import Block, Paper


def html(paper: Paper) -> bytes:
    """The report as HTML."""
    language = "zh-CN" if paper.language == "zh" else "en"
    body = "\n".join(part for block in paper.blocks for part in _block(block))
    return (
        f'<!DOCTYPE html>\n<html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="robots" content="noindex"><title>{escape(paper.title)}</title>'
        f"<style>{_style()}</style></head><body><main><header>"
        f'<p class="faint">{escape(paper.running)}</p><h1>{escape(paper.title)}</h1>'
        f'<p class="subtitle">{escape(paper.subtitle)}</p></header>\n'
        f'{body}\n<footer class="faint">{escape(paper.made)}</footer></main></body></html>\n'
    ).encode()


@cache
def content_policy() -> str:
    """The policy under which a browser may show it: its own styles and drawings, nothing else."""
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'none'"


@cache
def _style() -> str:
    return files(__package__).joinpath("paper.css").read_text("utf-8")


def _block(block: Block) -> Iterator[str]:
    match block:
        case Heading():
            yield f"<h2>{escape(block.text)}</h2>"
        case Text():
            yield f"<p>{escape(block.text)}</p>"
        case Notice():
            yield f'<p class="notice {block.tone}">{escape(block.text)}</p>'
        case Facts():
            rows = (f"<dt>{escape(n)}</dt><dd>{escape(v)}</dd>" for n, v in block.rows)
            yield f"<dl>{''.join(rows)}</dl>"
        case Tiles():
            yield f'<div class="tiles">{"".join(_tiles(block))}</div>'
        case Table():
            yield from _table(block)
        case Figure():
            caption = escape(block.caption)
            yield (
                f'<figure role="img" aria-label="{caption}">{block.svg}'
                f"<figcaption>{caption}</figcaption></figure>"
            )
        case Listing():
            yield f'<pre tabindex="0">{escape(block.text)}</pre>'
        case _:
            assert_never(block)


def _tiles(block: Tiles) -> Iterator[str]:
    for item in block.items:
        note = f"<small>{escape(item.note)}</small>" if item.note else ""
        yield (
            f'<div class="tile {item.tone}"><span>{escape(item.label)}</span>'
            f"<strong>{escape(item.value)}</strong>{note}</div>"
        )


def _table(block: Table) -> Iterator[str]:
    def kind(column: int) -> str:
        return ' class="number"' if column in block.numeric else ""

    heads = "".join(f"<th{kind(n)}>{escape(c)}</th>" for n, c in enumerate(block.columns))
    yield f'<div class="scroll" tabindex="0"><table><thead><tr>{heads}</tr></thead><tbody>'
    for number, row in enumerate(block.rows):
        cells = "".join(f"<td{kind(n)}>{escape(c)}</td>" for n, c in enumerate(row))
        marked = ' class="marked"' if number == block.marked else ""
        yield f"<tr{marked}>{cells}</tr>"
    yield "</tbody></table></div>"
