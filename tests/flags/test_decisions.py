"""Decisions in the casebook: kept, audited, one at a time, never lost."""

import itertools
import sqlite3
import threading

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway.casebook import FILE_NAME, Casebook
from gateway.errors import ConfigError
from gateway.flags import tables
from gateway.flags.decisions import decide, suppress, unsuppress
from gateway.flags.query import events, suppressions
from gateway.flags.states import ACTIONS, DecisionConflict, DecisionRefused
from tests.flags.conftest import NOW
from tests.flags.test_states import WAYS
from tests.store.made import flag

HOUR = 3_600_000_000_000


def cases(casebook, *ids):
    with casebook.transaction(reading=True) as connection:
        return tables.read_cases(connection, list(ids))


def test_a_flag_goes_through_its_life_with_who_when_and_why(casebook, clock):
    made = flag(1)
    for number, (action, reason) in enumerate(
        [("acknowledge", None), ("dismiss", "exchanged"), ("close", None), ("reopen", "again")], 1
    ):
        done = decide(casebook, action, [made], actor="li", reason=reason)
        (case,) = done.cases
        assert (case.version, case.actor, case.at, case.reason) == (
            number, "li", clock.now, reason,
        )  # fmt: skip
        assert cases(casebook, made.id) == {made.id: case}
        clock.advance(1)
    told = events(casebook, made.id)
    assert [(e.number, e.action, e.before, e.after, e.reason) for e in told] == [
        (1, "acknowledge", "open", "acknowledged", None),
        (2, "dismiss", "acknowledged", "dismissed", "exchanged"),
        (3, "close", "dismissed", "closed", None),
        (4, "reopen", "closed", "open", "again"),
    ]
    assert (told[0].severity, told[0].condition, told[0].until) == ("major", "open", made.until)
    newest, *_, oldest = casebook.audit()
    assert (oldest.action, oldest.actor, oldest.subject) == ("flag.acknowledge", "li", made.id)
    assert newest.detail == {
        "device_id": "w-1", "code": "register_decrease", "before": "closed", "after": "open",
        "version": 4, "condition": "open", "reason": "again",
    }  # fmt: skip


def test_a_dismissal_needs_its_reason(casebook):
    decide(casebook, "acknowledge", [flag(1)], actor="li")
    with pytest.raises(ConfigError, match="dismiss needs a reason"):
        decide(casebook, "dismiss", [flag(1)], actor="li", reason=" ")
    assert len(casebook.audit()) == 1


def test_what_a_state_does_not_allow_is_told_with_who_and_what_can_be_done(casebook):
    decide(casebook, "acknowledge", [flag(1)], actor="li", reason="on my way")
    with pytest.raises(DecisionRefused) as caught:
        decide(casebook, "acknowledge", [flag(1)], actor="wang")
    assert str(caught.value) == (
        "flag flag-1: is acknowledged by li at 2026-03-01T21:20:00Z (on my way); cannot "
        "acknowledge it now, allowed are dismiss, confirm, reopen"
    )
    with pytest.raises(DecisionRefused, match="is open, nobody has decided anything; cannot close"):
        decide(casebook, "close", [flag(2)], actor="wang")


def test_the_second_of_two_inspectors_gets_a_conflict(casebook):
    decide(casebook, "acknowledge", [flag(1)], actor="li")
    decide(casebook, "confirm", [flag(1)], actor="li", expected={"flag-1": 1})
    with pytest.raises(DecisionConflict, match=r"is confirmed by li .* version 1, this is 2"):
        decide(casebook, "dismiss", [flag(1)], actor="wang", reason="x", expected={"flag-1": 1})
    # Also where the state would allow it: he has not seen what the other decided.
    decide(casebook, "reopen", [flag(1)], actor="li")
    with pytest.raises(DecisionConflict):
        decide(casebook, "acknowledge", [flag(1)], actor="wang", expected={"flag-1": 0})
    assert cases(casebook, "flag-1")["flag-1"].version == 3


def test_of_many_at_the_same_moment_one_decides(tmp_path):
    Casebook(tmp_path).close()
    came: list[str] = []

    def inspector(name):
        with Casebook(tmp_path) as mine:
            try:
                decide(mine, "acknowledge", [flag(1)], actor=name, expected={"flag-1": 0})
                came.append("done")
            except DecisionConflict:
                came.append("conflict")

    threads = [threading.Thread(target=inspector, args=(f"i{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(came) == ["conflict"] * 5 + ["done"]
    with Casebook(tmp_path) as casebook:
        assert len(events(casebook, "flag-1")) == len(casebook.audit()) == 1


def test_a_decision_that_comes_between_reading_and_writing_is_a_conflict(casebook, tmp_path):
    decide(casebook, "acknowledge", [flag(1)], actor="li")
    file = sqlite3.connect(tmp_path / FILE_NAME)
    # What another sees on a database that does not lock before it reads.
    file.execute("UPDATE flag_state SET version = 0, state = 'open'")
    file.commit()
    file.close()
    with pytest.raises(DecisionConflict, match="look again"):
        decide(casebook, "acknowledge", [flag(1)], actor="wang")
    assert [event.actor for event in events(casebook, "flag-1")] == ["li"]
    assert len(casebook.audit()) == 1


def test_several_flags_are_decided_all_or_none(casebook):
    decide(casebook, "acknowledge", [flag(2)], actor="li")
    with pytest.raises(DecisionRefused) as caught:
        decide(casebook, "acknowledge", [flag(1), flag(2), flag(3)], actor="li")
    assert "flag flag-2" in str(caught.value)
    with pytest.raises(DecisionRefused, match="nothing was decided; --skip-refused"):
        decide(casebook, "close", [flag(1), flag(3)], actor="li")
    assert set(cases(casebook, "flag-1", "flag-2", "flag-3")) == {"flag-2"}
    done = decide(
        casebook, "acknowledge", [flag(1), flag(2), flag(3), flag(3)], actor="li",
        skip_refused=True,
    )  # fmt: skip
    assert [case.flag_id for case in done.cases] == ["flag-1", "flag-3"]
    assert [(each.flag_id, each.conflict) for each in done.refused] == [("flag-2", False)]
    with pytest.raises(ConfigError, match="no flag is named"):
        decide(casebook, "close", [], actor="li")
    with pytest.raises(ConfigError, match="no decision 'delete'"):
        decide(casebook, "delete", [flag(1)], actor="li")


def test_many_are_decided_at_once(casebook):
    many = [flag(number) for number in range(2_500)]
    assert len(decide(casebook, "acknowledge", many, actor="li").cases) == 2_500
    assert len(decide(casebook, "confirm", many, actor="li").cases) == 2_500
    assert len(casebook.audit(limit=10_000)) == 5_000


def test_events_can_be_neither_changed_nor_removed(casebook, tmp_path):
    decide(casebook, "acknowledge", [flag(1)], actor="li")
    file = sqlite3.connect(tmp_path / FILE_NAME)
    for statement in ("UPDATE flag_event SET actor = 'x'", "DELETE FROM flag_event"):
        with pytest.raises(sqlite3.IntegrityError, match="only added"):
            file.execute(statement)
    file.close()


def test_a_window_is_made_and_lifted_once_with_audit(casebook, clock):
    made = suppress(
        casebook, since=NOW, until=NOW + HOUR, reason="tank cleaning", actor="li", site="s-7",
        codes=["wet_stock_loss", "silent_device"],
    )  # fmt: skip
    assert suppressions(casebook) == [made]
    assert (made.id, made.codes, made.end) == (1, ("silent_device", "wet_stock_loss"), NOW + HOUR)
    clock.advance(60)
    lifted = unsuppress(casebook, 1, actor="wang", reason="done early", from_=NOW + HOUR // 2)
    assert suppressions(casebook) == [lifted]
    assert (lifted.end, lifted.lifted_by) == (NOW + HOUR // 2, "wang")
    with pytest.raises(DecisionConflict, match="lifted by wang"):
        unsuppress(casebook, 1, actor="li")
    second, first = casebook.audit()
    assert (first.action, first.actor, first.subject) == ("flag.suppress", "li", "suppression 1")
    assert first.detail["from"] == "2026-03-01T21:20:00Z"
    assert (second.action, second.actor) == ("flag.unsuppress", "wang")
    assert second.detail["lifted_from"] == "2026-03-01T21:50:00Z"


def test_a_window_of_everything_or_of_no_time_or_without_reason_is_refused(casebook):
    with pytest.raises(ConfigError, match="cannot suppress everything"):
        suppress(casebook, since=NOW, until=NOW + 1, reason="x", actor="li")
    with pytest.raises(ConfigError, match="ends at"):
        suppress(casebook, since=NOW, until=NOW, reason="x", actor="li", site="s")
    with pytest.raises(ConfigError, match="needs a reason"):
        suppress(casebook, since=NOW, until=NOW + 1, reason=None, actor="li", site="s")
    suppress(casebook, since=NOW, until=NOW + 9, reason="x", actor="li", site="s")
    with pytest.raises(ConfigError, match="no suppression 2"):
        unsuppress(casebook, 2, actor="li")
    with pytest.raises(ConfigError, match="is not in suppression 1"):
        unsuppress(casebook, 1, actor="li", from_=NOW + 9)


class Life(RuleBasedStateMachine):
    """Any decisions by any people, right or wrong, against a model of a few lines."""

    numbers = itertools.count()

    @initialize()
    def begin(self):
        self.casebook = Casebook(Life.folder / str(next(Life.numbers)))
        self.model: dict[str, tuple[str, int]] = {}
        self.done = 0

    @rule(
        action=st.sampled_from(sorted(ACTIONS)),
        number=st.integers(0, 3),
        actor=st.sampled_from(["li", "wang"]),
        seen=st.one_of(st.none(), st.integers(-1, 1)),
    )
    def decide(self, action, number, actor, seen):
        made = flag(number)
        state, version = self.model.get(made.id, ("open", 0))
        expected = None if seen is None else {made.id: version + seen}
        if seen:
            with pytest.raises(DecisionConflict):
                decide(self.casebook, action, [made], actor=actor, reason="r", expected=expected)
        elif (state, action) not in WAYS:
            with pytest.raises(DecisionRefused):
                decide(self.casebook, action, [made], actor=actor, reason="r", expected=expected)
        else:
            decide(self.casebook, action, [made], actor=actor, reason="r", expected=expected)
            self.model[made.id] = WAYS[state, action], version + 1
            self.done += 1

    @invariant()
    def the_casebook_is_as_the_model_and_every_event_follows_the_one_before(self):
        ids = [f"flag-{number}" for number in range(4)]
        found = cases(self.casebook, *ids)
        assert {i: (case.state, case.version) for i, case in found.items()} == self.model
        told = [events(self.casebook, i) for i in ids]
        for series in told:
            states = ["open", *(event.after for event in series)]
            assert [event.before for event in series] == states[:-1]
            assert [event.number for event in series] == list(range(1, len(series) + 1))
        assert sum(map(len, told)) == len(self.casebook.audit(limit=1000)) == self.done

    def teardown(self):
        self.casebook.close()


def test_any_decisions_by_any_people_keep_to_the_states(tmp_path):
    from hypothesis.stateful import run_state_machine_as_test  # noqa: PLC0415

    Life.folder = tmp_path
    run_state_machine_as_test(Life, settings=settings(max_examples=15, stateful_step_count=20))
