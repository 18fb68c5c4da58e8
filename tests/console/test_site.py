"""What is sent to a browser: one page, files to be kept for ever, and nothing from elsewhere."""

from __future__ import annotations

import re

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from gateway.api.app import make_app
from gateway.console import site


@pytest.fixture(scope="module")
def client():
    app = FastAPI()
    app.include_router(site.router)
    with TestClient(app) as opened:
        yield opened


@pytest.mark.parametrize(
    "address", ["/", *(f"/{name}" for name in site.PAGES), "/flags/abc", "/devices/a%2Fb"]
)
def test_every_address_of_a_page_is_the_page(client, address):
    answer = client.get(address)
    assert answer.status_code == 200
    assert answer.content == site.page()
    assert "script-src 'self';" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]


def test_the_page_says_whether_there_is_single_sign_on():
    assert b"data-single-sign-on" not in site.page()
    assert b'<html lang="en" data-single-sign-on>' in site.page(single_sign_on=True)


def test_the_page_names_only_files_that_there_are(client):
    named = re.findall(r'(?:src|href)="(/[^"]+)"', site.page().decode())
    assert len(named) > 15
    for address in named:
        answer = client.get(address)
        assert answer.status_code == 200, address
        assert "immutable" in answer.headers["cache-control"]
    assert all(site.version() in address for address in named)


def test_a_module_imports_only_modules_that_there_are():
    files = site.assets()
    for name, (content, _) in files.items():
        folder = name.rpartition("/")[0]
        for to in re.findall(rb'(?:from|import\()\s*"(\.[^"]+)"', content):
            parts = [part for part in folder.split("/") if part]
            for part in to.decode().split("/"):
                if part == "..":
                    parts.pop()
                elif part != ".":
                    parts.append(part)
            assert "/".join(parts) in files, f"{name} imports {to.decode()}"


def test_nothing_is_loaded_from_elsewhere_and_nothing_becomes_markup():
    for name, (content, _) in site.assets().items():
        if name.startswith("uplot"):
            continue
        text = content.decode()
        for address in re.findall(r"https?://[^\s\"'<)]+", text):
            assert address == "http://www.w3.org/2000/svg", f"{name}: {address}"
        for danger in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
            assert danger not in text, f"{name}: {danger}"


@pytest.mark.parametrize("name", ["none.js", "../site.py", "%2e%2e/site.py", "index.html", ""])
def test_what_is_no_file_of_the_page_is_not_there(client, name):
    assert client.get(f"/console/{site.version()}/{name}").status_code == 404


def test_a_file_of_another_version_is_not_kept(client):
    answer = client.get("/console/0123/app.js")
    assert answer.headers["cache-control"] == "no-store"


def test_the_api_serves_the_console_beside_itself():
    assert make_app.__module__ == "gateway.api.app"
    paths = {getattr(route, "path", "") for route in site.router.routes}
    assert {"/", "/flags/{rest:path}", "/console/{_version}/{name:path}"} <= paths
    assert not any(path.startswith("/api") for path in paths)
