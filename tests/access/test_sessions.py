"""Logins, sessions and tokens: they begin, end and expire; guessing is slowed down."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa

from gateway.access import sessions
from gateway.access.people import people, set_own_password
from gateway.access.roles import AccessDenied
from gateway.access.sessions import (
    IDLE_S,
    LONGEST_S,
    LoginRefused,
    NotKnown,
    log_in,
    log_in_as,
    log_out,
    make_token,
    of_session,
    of_token,
    revoke,
    tokens,
)
from gateway.access.tables import FAILURE
from gateway.access.throttle import FREE, Throttled
from gateway.errors import ConfigError

HERE = "192.0.2.1"
LONG = "correct horse battery"


@pytest.fixture
def zhang(casebook, changes):
    password = changes.add("zhang", "inspector", region="3301")
    return people(casebook)[0], password


def test_a_session_is_who_began_it_until_it_ends(casebook, hasher, zhang):
    begun = log_in(casebook, hasher, "ZHANG ", zhang[1], address=HERE)
    principal = of_session(casebook, begun.key)
    assert principal.name == "zhang"
    log_out(casebook, principal)
    with pytest.raises(NotKnown):
        of_session(casebook, begun.key)


@pytest.mark.parametrize("name", ["zhang", "nobody", ""])
def test_a_refusal_does_not_say_what_was_wrong(casebook, hasher, zhang, name):
    del zhang
    with pytest.raises(LoginRefused, match="name or password is wrong"):
        log_in(casebook, hasher, name, "x" * 20, address=HERE)
    assert casebook.audit()[0].action == "login.refused"
    assert casebook.audit()[0].subject in {"zhang", "unknown account"}


def test_a_session_ends_when_it_is_idle_and_in_any_case_after_half_a_day(
    casebook, clock, hasher, zhang
):
    begun = log_in(casebook, hasher, "zhang", zhang[1], address=HERE)
    clock.advance(IDLE_S - 1)
    of_session(casebook, begun.key)
    clock.advance(IDLE_S - 1)
    of_session(casebook, begun.key)
    clock.advance(IDLE_S)
    with pytest.raises(NotKnown):
        of_session(casebook, begun.key)
    begun = log_in(casebook, hasher, "zhang", zhang[1], address=HERE)
    for _ in range(LONGEST_S // 1000):
        of_session(casebook, begun.key)
        clock.advance(1000)
    clock.advance(1000)
    with pytest.raises(NotKnown):
        of_session(casebook, begun.key)


def test_a_change_of_role_holds_in_the_next_request(casebook, hasher, changes, zhang):
    begun = log_in(casebook, hasher, "zhang", zhang[1], address=HERE)
    changes.change("zhang", role="viewer", region="3302")
    principal = of_session(casebook, begun.key)
    assert not principal.may("decide")
    assert principal.scope.region == "3302"
    changes.change("zhang", disabled=True)
    with pytest.raises(NotKnown):
        of_session(casebook, begun.key)
    with pytest.raises(LoginRefused):
        log_in(casebook, hasher, "zhang", zhang[1], address=HERE)


def test_a_new_password_ends_the_other_sessions(casebook, hasher, zhang):
    one, other = (log_in(casebook, hasher, "zhang", zhang[1], address=HERE) for _ in range(2))
    principal = one.principal
    set_own_password(casebook, hasher, principal.person, LONG, session=principal.key)
    assert not of_session(casebook, one.key).must_change
    with pytest.raises(NotKnown):
        of_session(casebook, other.key)
    with pytest.raises(LoginRefused):
        log_in(casebook, hasher, "zhang", zhang[1], address=HERE)
    log_in(casebook, hasher, "zhang", LONG, address=HERE)


@pytest.mark.parametrize("password", ["short", "x" * 300, "aaaaaaaaaaaaaaaa", "my zhang password"])
def test_a_password_that_is_easily_guessed_is_refused(casebook, hasher, zhang, password):
    with pytest.raises(ConfigError, match="password"):
        set_own_password(casebook, hasher, zhang[0], password, session="x")


def _fail(casebook, hasher, name="zhang", address=HERE):
    with pytest.raises(LoginRefused):
        log_in(casebook, hasher, name, "wrong password", address=address)


def test_an_account_is_slowed_down_and_the_right_password_clears_it(casebook, clock, hasher, zhang):
    for _ in range(FREE):
        _fail(casebook, hasher)
    with pytest.raises(Throttled) as told:
        log_in(casebook, hasher, "zhang", zhang[1], address="192.0.2.77")
    clock.advance(told.value.wait)
    _fail(casebook, hasher)
    with pytest.raises(Throttled) as later:
        log_in(casebook, hasher, "zhang", zhang[1], address=HERE)
    assert later.value.wait > told.value.wait
    clock.advance(60)
    log_in(casebook, hasher, "zhang", zhang[1], address=HERE)
    _fail(casebook, hasher)
    log_in(casebook, hasher, "zhang", zhang[1], address=HERE)


def test_an_address_is_slowed_down_whatever_names_it_tries(casebook, hasher, zhang):
    for number in range(20):
        _fail(casebook, hasher, f"name{number}", "2001:db8::1")
    with pytest.raises(Throttled):
        log_in(casebook, hasher, "zhang", zhang[1], address="2001:db8::ffff")
    log_in(casebook, hasher, "zhang", zhang[1], address="2001:db8:1::1")


@pytest.mark.usefixtures("zhang")
def test_many_attempts_at_once_gain_nothing(casebook, hasher):
    looked_at = []

    def guess():
        try:
            log_in(casebook, hasher, "zhang", "wrong password", address=HERE)
        except Throttled:
            return
        except LoginRefused:
            looked_at.append(1)

    guesses = [threading.Thread(target=guess) for _ in range(12)]
    for each in guesses:
        each.start()
    for each in guesses:
        each.join()
    assert len(looked_at) == FREE


def test_failures_are_forgotten_after_a_day(casebook, clock, hasher, zhang):
    _fail(casebook, hasher)
    clock.advance(25 * 3600)
    log_in(casebook, hasher, "zhang", zhang[1], address=HERE)
    with casebook.transaction(reading=True) as connection:
        assert connection.scalar(sa.select(sa.func.sum(FAILURE.c.failures))) in {0, None}


def _token(casebook, owner, **more):
    given = {"title": "nightly", "permissions": None, "days": 1, "actor": "zhang"} | more
    return make_token(casebook, owner, **given)


def test_a_token_is_its_owner_with_what_it_was_given(casebook, zhang):
    made, text = _token(casebook, zhang[0], permissions=["flags", "export"])
    principal = of_token(casebook, text)
    assert principal.permissions == {"flags", "export"}
    assert principal.scope.region == "3301"
    assert text.encode() not in casebook.path.read_bytes()
    assert [each.id for each in tokens(casebook)] == [made.id]


def test_a_token_loses_what_its_owner_loses(casebook, changes, zhang):
    _, text = _token(casebook, zhang[0])
    assert of_token(casebook, text).may("decide")
    changes.change("zhang", role="viewer")
    assert not of_token(casebook, text).may("decide")
    changes.change("zhang", disabled=True)
    with pytest.raises(NotKnown):
        of_token(casebook, text)


def test_a_token_expires_and_is_revoked(casebook, clock, zhang):
    made, text = _token(casebook, zhang[0])
    _, other = _token(casebook, zhang[0], days=2)
    revoke(casebook, made.id, owner=zhang[0], actor="zhang")
    with pytest.raises(NotKnown):
        of_token(casebook, text)
    with pytest.raises(ConfigError, match="no token"):
        revoke(casebook, made.id, owner=zhang[0], actor="zhang")
    clock.advance(2 * 86_400)
    with pytest.raises(NotKnown):
        of_token(casebook, other)


def test_a_token_cannot_be_more_than_its_owner_nor_last_for_ever(casebook, zhang):
    with pytest.raises(AccessDenied):
        _token(casebook, zhang[0], permissions=["users"])
    with pytest.raises(ConfigError, match="no permission"):
        _token(casebook, zhang[0], permissions=["everything"])
    with pytest.raises(ConfigError, match="days"):
        _token(casebook, zhang[0], days=1000)


@pytest.mark.parametrize(
    "text", ["", "mgw", "mgw_1", "mgw_1_", "mgw_x_y", "mgw_٣_x", "abc_1_x", "mgw_999_x", "_" * 99]
)
def test_what_is_no_token_is_refused(casebook, zhang, text):
    _token(casebook, zhang[0])
    with pytest.raises(NotKnown):
        of_token(casebook, text)


def test_the_same_key_has_the_same_answer_to_csrf_and_another_key_another():
    assert sessions.csrf_of("a") == sessions.csrf_of("a") != sessions.csrf_of("b")


@pytest.mark.parametrize("name", ["\u212aim", " kim", "kim\u2003", "kım", "", "kim\n"])
def test_single_sign_on_takes_no_other_persons_name(casebook, changes, name):
    changes.add("kim", "administrator", single_sign_on=True)
    with pytest.raises(LoginRefused):
        log_in_as(casebook, name, address="::1", by="oidc")
    assert log_in_as(casebook, "Kim", address="::1", by="oidc").principal.name == "kim"
