"""Accounts: who may make and change which, and what the audit has of it."""

from __future__ import annotations

import pytest

from gateway.access.people import People, first_administrator, people, secret
from gateway.access.roles import ALLOWED, ROLES, AccessDenied, Scope, checked_region, checked_scope
from gateway.access.sessions import log_in
from gateway.errors import ConfigError


def test_an_account_is_made_with_a_password_that_must_be_changed(casebook, hasher, changes):
    password = changes.add("Zhang", "inspector", region="3301")
    (person,) = people(casebook)
    assert (person.name, person.role, person.scope) == ("zhang", "inspector", Scope("3301", None))
    assert person.must_change
    session = log_in(casebook, hasher, "zhang", password, address="::1")
    assert session.principal.must_change
    assert [entry.action for entry in casebook.audit()] == ["login", "user.add"]


def test_no_password_is_in_the_casebook(casebook, changes):
    password = changes.add("zhang", "viewer")
    assert password.encode() not in casebook.path.read_bytes()


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, "zhang\n", "-x", "张", "a/b", "a'--"])
def test_a_name_is_a_name(changes, name):
    with pytest.raises(ConfigError, match="name"):
        changes.add(name if name != "zhang\n" else "zh\nang", "viewer")


@pytest.mark.parametrize("region", ["3", "0133", "33010", "3301001", "33 ", "%", "３３"])
def test_a_region_is_the_beginning_of_a_code(region):
    with pytest.raises(ConfigError, match="GB/T 2260"):
        checked_region(region)


def test_a_vendor_has_a_vendor_and_nobody_else_has():
    assert checked_scope("vendor", "", "ACME") == Scope("", "ACME")
    with pytest.raises(ConfigError, match="vendor"):
        checked_scope("vendor", "", None)
    with pytest.raises(ConfigError, match="vendor"):
        checked_scope("viewer", "", "ACME")


def test_nobody_can_give_more_than_he_has(casebook, hasher, changes):
    changes.add("other", "viewer", region="3101")
    local = People(casebook, hasher, actor="li", scope=Scope("3301", None))
    local.add("zhang", "inspector", region="330106")
    assert [person.name for person in local.list()] == ["zhang"]
    for region in ("", "33", "3302"):
        with pytest.raises(AccessDenied):
            local.add("wang", "viewer", region=region)
    with pytest.raises(AccessDenied):
        local.change("zhang", region="33")
    for change in (local.reset, lambda name: local.change(name, role="viewer")):
        with pytest.raises(ConfigError, match="no account"):
            change("other")


def test_the_last_administrator_stays(casebook, hasher, changes):
    assert first_administrator(casebook, hasher) is not None
    assert first_administrator(casebook, hasher) is None
    for change in ({"role": "viewer"}, {"disabled": True}, {"region": "33"}):
        with pytest.raises(ConfigError, match="last administrator"):
            changes.change("administrator", **change)
    changes.change("administrator", role="administrator", region="")
    changes.add("second", "administrator")
    changes.change("administrator", disabled=True)


def test_a_change_is_in_the_audit_with_what_was_before(casebook, changes):
    changes.add("zhang", "inspector", region="3301")
    changes.change("zhang", role="auditor")
    entry = casebook.audit()[0]
    assert (entry.actor, entry.action, entry.subject) == ("root", "user.change", "zhang")
    assert entry.detail["before"] == {"role": "inspector", "region": "3301", "disabled": False}
    assert entry.detail["after"]["role"] == "auditor"


def test_a_secret_is_made_once(casebook):
    assert secret(casebook, "pseudonyms") == secret(casebook, "pseudonyms")
    assert secret(casebook, "pseudonyms") != secret(casebook, "other")


def test_only_administrators_change_people_and_only_they_and_inspectors_decide():
    assert {role for role in ROLES if "users" in ALLOWED[role]} == {"administrator"}
    assert {role for role in ROLES if "decide" in ALLOWED[role]} == {"inspector", "administrator"}
    assert {role for role in ROLES if "audit" in ALLOWED[role]} == {"auditor", "administrator"}
    assert not {"places", "exact", "readings", "evidence"} & ALLOWED["vendor"]


def test_a_scope_is_narrowed_only_inwards():
    city = Scope("3301", None)
    assert city.narrowed("330106").region == "330106"
    assert city.narrowed("33") == city
    assert city.narrowed(None) == city
    with pytest.raises(AccessDenied):
        city.narrowed("3302")
