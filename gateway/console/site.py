"""What a browser loads: one page, its modules, styles and texts.

The pages have no data of their own and no way to any: they ask ``/api/v1`` as the person who has
logged in.  So what is true of the API is true of the console, and this module imports nothing that
could answer more.  A test holds it to that.
"""

# No "from __future__ import annotations" in modules of routes: FastAPI reads the annotations.
import hashlib
import tomllib
from functools import cache
from importlib.metadata import distribution
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from gateway.messages import Texts

router: Final = APIRouter(include_in_schema=False)

LANGUAGES: Final = ("en", "zh")
PAGES: Final = (
    "flags", "devices", "sites", "quarantine", "quality", "reports", "profiles", "ingest", "audit",
    "users", "account",
)  # fmt: skip
"""The first word of each address that the page takes apart by itself."""
_ROOT: Final = files("gateway.console")
_TYPES: Final = {
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "json": "application/json",
}
_VENDORED: Final = {
    "uplot.js": "youplot/vendor/uplot.iife.min.js",
    "uplot.css": "youplot/vendor/uplot.min.css",
}
"""uPlot as the wheel of youplot brings it; that package itself is never imported."""
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_NAMES: Final = ("kind.", "quantity.")
"""Families of the gateway's own catalogue that stand alone on a page, so with a capital letter."""
_WORDS: Final = ("status.", "severity.", "role.")
"""Families of it that stand on a page as they are."""
_FOR_EVER: Final = {"Cache-Control": "public, max-age=31536000, immutable"}


@cache
def assets() -> dict[str, tuple[bytes, str]]:
    """Content and type of every file, by its name below the version."""
    found = {name: (content, _TYPES[name.rpartition(".")[2]]) for name, content in _own()}
    wheel = distribution("youplot")
    for name, place in _VENDORED.items():
        with open(str(wheel.locate_file(place)), "rb") as file:  # noqa: PTH123 - any file system
            found[name] = file.read(), _TYPES[name.rpartition(".")[2]]
    for language in LANGUAGES:
        found[f"texts/{language}.json"] = msgspec.json.encode(texts(language)), _TYPES["json"]
    return found


def _own(folder: Traversable | None = None, prefix: str = "") -> list[tuple[str, bytes]]:
    made: list[tuple[str, bytes]] = []
    for each in (folder or _ROOT.joinpath("assets")).iterdir():
        if each.is_dir():
            made += _own(each, f"{prefix}{each.name}/")
        elif each.name.rpartition(".")[2] in _TYPES:
            made.append((prefix + each.name, each.read_bytes()))
    return made


@cache
def texts(language: str) -> dict[str, str]:
    """Every text of a language, by dotted key: the pages' own, and the words of the gateway."""
    catalogue = tomllib.loads(_ROOT.joinpath("texts", f"{language}.toml").read_text("utf-8"))
    own = {
        f"{family}.{key}": text for family, part in catalogue.items() for key, text in part.items()
    }
    words = Texts("zh" if language == "zh" else "en")
    return own | {
        key: f"{text[0].upper()}{text[1:]}" if key.startswith(_NAMES) else text
        for key in words.keys()  # noqa: SIM118 - no mapping
        if key.startswith((*_NAMES, *_WORDS))
        for text in (words(key),)
    }


@cache
def version() -> str:
    """What changes when any file does, so that browsers may keep them for ever."""
    digest = hashlib.blake2b(digest_size=6)
    for name, (content, _) in sorted(assets().items()):
        digest.update(name.encode() + b"\0" + content)
    return digest.hexdigest()


@cache
def page(*, single_sign_on: bool = False) -> bytes:
    """The one page, with the addresses of this version in it, and whether one can log in by it."""
    modules = sorted(name for name in assets() if name.endswith(".js") and name != "uplot.js")
    preloads = "\n".join(f'<link rel="modulepreload" href="/console/@/{each}">' for each in modules)
    template = _ROOT.joinpath("assets", "index.html").read_text("utf-8")
    if single_sign_on:
        template = template.replace('<html lang="en">', '<html lang="en" data-single-sign-on>')
    return template.replace("<!-- modules -->", preloads).replace("@/", f"{version()}/").encode()


@router.get("/console/{_version}/{name:path}")
def asset(_version: str, name: str) -> Response:
    """A file of the page."""
    found = assets().get(name)
    if found is None:
        return Response(status_code=404)
    content, media = found
    kept = _FOR_EVER if _version == version() else {"Cache-Control": "no-store"}
    return Response(content, media_type=media, headers=kept)


@router.get("/favicon.ico")
async def icon() -> Response:
    """What browsers ask for unasked."""
    return RedirectResponse(f"/console/{version()}/icon.svg")


@router.get("/")
async def start(request: Request) -> Response:
    """The overview."""
    return await _page(request)


async def _page(request: Request) -> Response:
    api = getattr(request.app.state, "api", None)
    return Response(
        page(single_sign_on=getattr(api, "single_sign_on", None) is not None),
        media_type="text/html; charset=utf-8",
        headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"},
    )


def _serve(name: str) -> None:
    router.add_api_route(f"/{name}", _page, methods=["GET"], include_in_schema=False)
    router.add_api_route(f"/{name}/{{rest:path}}", _page, methods=["GET"], include_in_schema=False)


for _name in PAGES:
    _serve(_name)
