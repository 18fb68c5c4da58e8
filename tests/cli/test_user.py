"""`gateway user`: accounts from the machine itself."""

from __future__ import annotations

import json

import pytest

from gateway.access.passwords import Hasher
from gateway.access.sessions import log_in, of_token
from gateway.casebook import Casebook


@pytest.fixture
def user(gateway, tmp_path):
    return lambda *words: gateway("user", *words, "--data", tmp_path)


def _password(told):
    return json.loads(told.stdout)["one_time_password"]


def test_an_account_is_made_and_can_log_in(user, tmp_path):
    password = _password(user("add", "Zhang", "--role", "inspector", "--region", "3301", "--json"))
    with Casebook(tmp_path) as casebook:
        begun = log_in(casebook, Hasher(), "zhang", password, address="::1")
    assert begun.principal.must_change
    (told,) = [json.loads(line) for line in user("list", "--json").stdout.splitlines()]
    assert (told["name"], told["role"], told["region"]) == ("zhang", "inspector", "3301")
    assert told["seen_at"]


@pytest.mark.parametrize(("lang", "words"), [("en", "One-time password"), ("zh", "一次性口令")])
def test_it_speaks_both_languages(user, lang, words):
    assert words in user("add", "zhang", "--role", "viewer", "--lang", lang).stdout
    assert "zhang" in user("list", "--lang", lang).stdout


def test_a_role_changes_and_an_account_is_disabled(user):
    user("add", "zhang", "--role", "viewer")
    told = json.loads(user("role", "zhang", "auditor", "--region", "33").stdout)
    assert (told["role"], told["region"], told["disabled"]) == ("auditor", "33", False)
    assert json.loads(user("role", "zhang", "--disable").stdout)["disabled"]
    told = json.loads(user("role", "zhang", "vendor", "--vendor", "ACME", "--enable").stdout)
    assert (told["vendor"], told["disabled"]) == ("ACME", False)


def test_a_new_password_takes_the_place_of_the_old_one(user):
    first = _password(user("add", "zhang", "--role", "viewer", "--json"))
    assert _password(user("password", "zhang", "--json")) != first


def test_a_token_is_printed_alone_for_scripts(user, tmp_path):
    user("add", "zhang", "--role", "inspector")
    told = user("token", "zhang", "--title", "nightly", "--permission", "flags")
    with Casebook(tmp_path) as casebook:
        assert of_token(casebook, told.stdout.strip()).permissions == {"flags"}


def test_an_account_for_single_sign_on_has_no_password(user, tmp_path):
    assert user("add", "zhang", "--role", "viewer", "--single-sign-on").stdout == ""
    with Casebook(tmp_path) as casebook:
        assert [entry.action for entry in casebook.audit()] == ["user.add"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("add", "zhang", "--role", "god"), "known are viewer"),
        (("add", "zhang", "--role", "viewer", "--region", "x"), "GB/T 2260"),
        (("add", "zhang", "--role", "vendor"), "name of a vendor"),
        (("add", "a b", "--role", "viewer"), "small letters"),
        (("role", "nobody", "viewer"), "no account"),
        (("role", "nobody"), "name a role"),
        (("password", "nobody"), "no account"),
        (("token", "nobody", "--title", "x"), "no account"),
    ],
)
def test_what_is_wrong_is_told_and_ends_with_2(user, words, told):
    result = user(*words)
    assert result.exit_code == 2
    assert told in result.stderr
    assert "Traceback" not in result.stderr


def test_a_directory_that_is_not_there_is_not_made(gateway, tmp_path):
    result = gateway("user", "list", "--data", tmp_path / "nowhere")
    assert result.exit_code == 2
    assert not (tmp_path / "nowhere").exists()
