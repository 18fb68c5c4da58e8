"""The states of a flag: every way through them, and what is shown."""

import pytest

from gateway.errors import ConfigError
from gateway.flags.states import (
    ACTIONS,
    CONDITIONS,
    STATES,
    STATUSES,
    DecisionRefused,
    allowed,
    checked_actor,
    checked_reason,
    decided,
    merged,
)

WAYS = {
    ("open", "acknowledge"): "acknowledged",
    ("acknowledged", "dismiss"): "dismissed",
    ("acknowledged", "confirm"): "confirmed",
    ("acknowledged", "reopen"): "open",
    ("dismissed", "close"): "closed",
    ("dismissed", "reopen"): "open",
    ("confirmed", "close"): "closed",
    ("confirmed", "reopen"): "open",
    ("closed", "reopen"): "open",
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("action", ACTIONS)
def test_a_decision_leads_where_it_should_or_says_what_can_be_decided(state, action):
    if (state, action) in WAYS:
        assert decided(action, state) == WAYS[state, action]
        assert action in allowed(state)
        return
    with pytest.raises(DecisionRefused) as caught:
        decided(action, state)
    assert str(caught.value) == (
        f"cannot {action} a flag that is {state}: allowed are {', '.join(allowed(state))}"
    )
    assert allowed(state)


def test_people_come_before_suppression_and_that_before_what_processing_knows():
    for condition in CONDITIONS:
        for state in STATES:
            for suppressed in (False, True):
                assert merged(state, condition, suppressed=suppressed) == state
        assert merged(None, condition) == condition
    assert merged(None, "open", suppressed=True) == "suppressed"
    assert merged(None, "ended", suppressed=True) == "suppressed"
    assert merged(None, "withdrawn", suppressed=True) == "withdrawn"
    assert set(STATUSES) == {*STATES, *CONDITIONS, "suppressed"}


def test_a_reason_is_asked_for_where_it_is_needed_and_is_plain_text():
    assert checked_reason("  why\nnot ", needed=True, what="dismiss") == "why\nnot"
    assert checked_reason(" ", needed=False, what="close") is None
    for wrong in (None, "  ", "x\x1b[31m", "x" * 2001):
        with pytest.raises(ConfigError):
            checked_reason(wrong, needed=True, what="dismiss")


def test_who_decides_is_named_in_one_line():
    assert checked_actor(" 李伟 ") == "李伟"
    for wrong in ("", " ", "a\nb", "x" * 129):
        with pytest.raises(ConfigError, match="--actor"):
            checked_actor(wrong)
