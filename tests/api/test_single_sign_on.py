"""Single sign-on at a real provider on this machine, honest and otherwise."""

from __future__ import annotations

import shutil
import time

import pytest
from joserfc import jwk

from gateway.access.single_sign_on import Provider, SingleSignOn
from gateway.config_load import load
from gateway.errors import ConfigError
from tests.access.provider import CLIENT, SECRET, LocalProvider
from tests.api.world import Bureau

V1 = "/api/v1"
BACK = "https://gateway.example/api/v1/session/oidc/callback"


pytestmark = pytest.mark.xdist_group("api-single-sign-on")


@pytest.fixture(scope="module")
def local():
    made = LocalProvider()
    yield made
    made.close()


@pytest.fixture
def provider(local):
    """Honest again, whatever it was before."""
    local.be_honest()
    return local


@pytest.fixture(scope="module")
def made(template, tmp_path_factory):
    bureau = Bureau(shutil.copytree(template, tmp_path_factory.mktemp("sso") / "own"))
    bureau.people.add("zhang", "inspector", region="3301", single_sign_on=True)
    yield bureau
    bureau.close()


@pytest.fixture
def bureau(made, provider):
    made.now = time.time
    made.people.change("zhang", disabled=False)
    made.api.single_sign_on = SingleSignOn(
        Provider(
            issuer=provider.address, client_id=CLIENT, client_secret=SECRET, redirect_uri=BACK
        ),
        clock=lambda: made.now(),  # noqa: PLW0108 - a test sets another one
        patience=60.0,
    )
    return made


def _begin(bureau, back_to="/"):
    browser = bureau.browser()
    sent = browser.get(f"{V1}/session/oidc", params={"back_to": back_to}, follow_redirects=False)
    return browser, sent


def _log_in(bureau, provider, **more):
    browser, sent = _begin(bureau, **more)
    assert sent.status_code == 303
    brought = provider.authorize(sent.headers["location"])
    return browser, browser.get(f"{V1}/session/oidc/callback", params=brought)


def test_who_has_logged_in_there_is_logged_in_here(bureau, provider):
    browser, done = _log_in(bureau, provider, back_to="/flags?code=x")
    assert done.status_code == 200
    assert 'content="0;url=/flags?code=x"' in done.text
    assert "samesite=strict" in done.headers["set-cookie"].lower()
    me = browser.get(f"{V1}/session").json()
    assert (me["name"], me["role"], me["region"]) == ("zhang", "inspector", "3301")
    assert not me["must_change"]
    assert browser.get(f"{V1}/devices").status_code == 200
    entry = bureau.casebook.audit(limit=1)[0]
    assert (entry.action, entry.actor, entry.detail["by"]) == ("login", "zhang", "oidc")


def test_an_account_for_single_sign_on_has_no_password(bureau):
    for password in ("", "x", "None"):
        told = bureau.browser().post(f"{V1}/session", json={"name": "zhang", "password": password})
        assert told.status_code == 401


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "another"},
        {"iss": "https://evil.example"},
        {"exp": 1_000_000_000},
        {"exp": None},
        {"preferred_username": None},
        {"preferred_username": 7},
        {"preferred_username": "nobody"},
        {"preferred_username": "' OR 1=1 --"},
    ],
)
def test_what_does_not_hold_logs_nobody_in(bureau, provider, claims):
    provider.claims = claims
    browser, done = _log_in(bureau, provider)
    assert done.status_code == 401, done.text
    assert browser.get(f"{V1}/session").status_code == 401


def test_a_signature_by_another_key_or_a_shared_secret_is_none(bureau, provider):
    provider.key = jwk.ECKey.generate_key("P-256", {"kid": "one"})
    assert _log_in(bureau, provider)[1].status_code == 401
    provider.key, provider.algorithm = jwk.OctKey.import_key(SECRET.encode()), "HS256"
    assert _log_in(bureau, provider)[1].status_code == 401


def test_new_keys_of_the_provider_are_taken(bureau, provider):
    assert _log_in(bureau, provider)[1].status_code == 200
    provider.key = jwk.ECKey.generate_key("P-256", {"kid": "one"})
    provider.published = [provider.key]
    assert _log_in(bureau, provider)[1].status_code == 200


def test_a_login_is_finished_once_and_by_the_browser_that_began_it(bureau, provider):
    browser, sent = _begin(bureau)
    brought = provider.authorize(sent.headers["location"])
    stranger = bureau.browser()
    assert stranger.get(f"{V1}/session/oidc/callback", params=brought).status_code == 401
    other, _ = _begin(bureau)
    assert other.get(f"{V1}/session/oidc/callback", params=brought).status_code == 401
    cookie = {"gateway-oidc": brought["state"]}
    assert browser.get(f"{V1}/session/oidc/callback", params=brought).status_code == 200
    again = bureau.browser()
    again.cookies.update(cookie)
    assert again.get(f"{V1}/session/oidc/callback", params=brought).status_code == 401


def test_a_login_that_takes_too_long_is_begun_again(bureau, provider):
    browser, sent = _begin(bureau)
    brought = provider.authorize(sent.headers["location"])
    bureau.now = lambda: time.time() + 601
    assert browser.get(f"{V1}/session/oidc/callback", params=brought).status_code == 401


def test_a_disabled_account_stays_out(bureau, provider):
    bureau.people.change("zhang", disabled=True)
    assert _log_in(bureau, provider)[1].status_code == 401


def test_a_provider_that_is_down_or_is_another_one_is_told(bureau, provider):
    provider.down = True
    assert _begin(bureau)[1].status_code == 503
    provider.down, provider.issuer = False, "https://evil.example"
    assert _begin(bureau)[1].status_code == 503


@pytest.mark.parametrize(
    "back_to", ["//evil.example", "https://evil.example", "/\\evil", "javascript:x", "", '/"><x']
)
def test_it_goes_on_to_pages_of_ours_only(bureau, back_to):
    assert _begin(bureau, back_to)[1].status_code == 422


def test_without_a_provider_there_is_no_such_way(bureau):
    bureau.api.single_sign_on = None
    for path in ("session/oidc", "session/oidc/callback?code=x&state=y"):
        assert bureau.browser().get(f"{V1}/{path}").status_code == 404


def test_its_secret_is_shown_nowhere(monkeypatch):
    monkeypatch.setenv("OIDC", "sesame-open")
    oidc = {
        "issuer": "https://login.example", "client_id": "gateway", "client_secret_env": "OIDC",
        "redirect_uri": BACK,
    }  # fmt: skip
    settings = load(None, {"api": {"oidc": oidc}})
    assert "sesame-open" in settings.secrets()
    assert "sesame-open" not in repr(settings)
    for wrong in ({"issuer": "http://login.example"}, {"redirect_uri": "https://x.example/"}):
        with pytest.raises(ConfigError):
            load(None, {"api": {"oidc": oidc | wrong}})
