"""The way of a message, from a ledger to a real store."""

import json
import shutil
from pathlib import Path

import pytest

from gateway.checks import read_tariffs
from gateway.deciding import Decided, Decider
from gateway.errors import StoreRefused, StoreUnavailable
from gateway.pipeline import Processor
from gateway.profiles import ProfileSet, load_profiles
from gateway.records import CLOCK_TOPIC, Batch, Counters, Device, Results
from gateway.store.duckdb import DuckDBStore
from gateway.testing import ListStore, MemoryLedger

PROFILES = Path(__file__).parents[1] / "device_profiles"
START = 1_767_225_600_000
SECOND = 10**9


@pytest.fixture(scope="module")
def profiles():
    return load_profiles([PROFILES])


@pytest.fixture(scope="module")
def tariffs():
    return read_tariffs((PROFILES / "reference" / "tariffs").glob("*.yaml"))


def water(device: int, number: int, **changes: object) -> tuple[str, bytes]:
    body = {
        "type": "periodic",
        "seq": number,
        "ts": START + number * 60_000,
        "volume": round(100 + number * 0.01, 3),
        **changes,
    }
    return f"meters/110000/water_meter/W-{device}/up", json.dumps(body).encode()


def fill(ledger: MemoryLedger, messages: list[tuple[str, bytes]]) -> None:
    for i, (topic, payload) in enumerate(messages):
        received = START * 10**6 + ledger.next_offset * SECOND + 3600 * SECOND * 24 + i
        ledger.append(Batch([topic], [payload], [received]))


def mixed() -> list[tuple[str, bytes]]:
    """A hundred honest messages with a gap, a fall, a redelivery and poison between them."""
    messages = [water(number % 3, number // 3) for number in range(100)]
    messages[50:50] = [
        water(0, 17),  # delivered again? no: number 17 of device 0 is still to come
        water(1, 10),  # a redelivery
        water(2, 400, volume=5000.0),
        water(2, 401, volume=3.0),
        ("meters/110000/water_meter/W-1/up", b"\xff\x00 not json"),
        ("nobody/knows/this", b"{}"),
        ("meters/110000/water_meter/W-1/up", b'{"type":"periodic","seq":1,"ts":1,"volume":1}'),
    ]
    return messages


def everything(store: DuckDBStore) -> tuple[list[object], list[object], list[object], Counters]:
    readings = sorted(store.readings(), key=lambda r: (r.ledger_offset, r.channel or ""))
    flags = sorted(store.flags(), key=lambda flag: flag.id)
    quarantine = sorted(store.quarantine(), key=lambda row: row.message.ledger_offset)
    return readings, flags, quarantine, store.checkpoint().counters


def to_the_end(processor: Processor) -> None:
    while processor.step():
        pass


def run(ledger, store, profiles, tariffs, **settings):
    devices = {f"W-{i}": Device(device_id=f"W-{i}") for i in range(3)}
    processor = Processor(ledger, store, Decider(profiles, devices, tariffs), **settings)
    to_the_end(processor)
    return processor


def test_every_message_is_decided_and_the_counters_balance(tmp_path, profiles, tariffs):
    ledger = MemoryLedger()
    fill(ledger, mixed())
    store = DuckDBStore(tmp_path / "store.duckdb")
    counters = run(ledger, store, profiles, tariffs).counters
    assert counters.decided == ledger.next_offset
    assert counters.quarantined == 3
    assert counters.duplicates == 2  # numbers 10 of device 1 and 17 of device 0 came twice
    reasons = {row.message.reason for row in store.quarantine()}
    assert reasons == {"unparseable", "no_profile", "bad_time"}
    assert {flag.code for flag in store.flags()} >= {"sequence_gap", "register_decrease"}
    store.close()


def test_the_same_ledger_gives_the_same_store_bit_for_bit(tmp_path, profiles, tariffs):
    ledger = MemoryLedger()
    fill(ledger, mixed())
    outcomes = []
    for name in ("one", "two"):
        store = DuckDBStore(tmp_path / f"{name}.duckdb")
        run(ledger, store, profiles, tariffs, commit_messages=7 if name == "one" else 5000)
        outcomes.append(everything(store))
        store.close()
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("end", ["step", "finish"])
def test_what_was_gathered_while_it_arrived_is_stored_like_what_was_read_later(
    tmp_path, profiles, tariffs, end
):
    later = MemoryLedger()
    fill(later, mixed())
    whole = DuckDBStore(tmp_path / "whole.duckdb")
    run(later, whole, profiles, tariffs)

    ledger, store = MemoryLedger(), DuckDBStore(tmp_path / "store.duckdb")
    devices = {f"W-{i}": Device(device_id=f"W-{i}") for i in range(3)}
    processor = Processor(ledger, store, Decider(profiles, devices, tariffs))
    for at in range(0, later.next_offset, 10):
        ledger.append(later.read(at, 10))
        assert processor.gather() == ledger.next_offset
    assert store.checkpoint().next_offset == 0
    if end == "step":
        assert processor.step() == ledger.next_offset
    else:
        processor.finish()
        assert store.checkpoint().snapshot_offset == ledger.next_offset
    assert everything(store) == everything(whole)
    store.close()
    whole.close()


@pytest.mark.parametrize("snapshot_messages", [1, 20, 1_000_000])
def test_a_restart_at_any_commit_neither_forgets_nor_repeats(
    tmp_path, profiles, tariffs, snapshot_messages
):
    # A start compiles all profiles, and there are many starts here.
    needed = {"water-meter-reference": profiles.profiles["water-meter-reference"]}
    profiles = ProfileSet(needed, profiles.bases)
    ledger = MemoryLedger()
    fill(ledger, mixed())
    whole = DuckDBStore(tmp_path / "whole.duckdb")
    run(ledger, whole, profiles, tariffs)
    expected = everything(whole)
    whole.close()

    store = DuckDBStore(tmp_path / "broken.duckdb")
    devices = {f"W-{i}": Device(device_id=f"W-{i}") for i in range(3)}
    while True:
        # Each step has a processor of its own: all it knows comes from store and ledger.
        processor = Processor(
            ledger,
            store,
            Decider(profiles, devices, tariffs),
            commit_messages=9,
            snapshot_messages=snapshot_messages,
        )
        if not processor.step():
            break
        processor.land()
    assert everything(store) == expected
    store.close()


def test_junk_does_not_hold_up_what_follows(tmp_path, profiles, tariffs):
    ledger = MemoryLedger()
    junk = [("meters/110000/water_meter/W-0/up", b"[" * 2000)] * 3000
    fill(ledger, [*junk, water(0, 1)])
    store = DuckDBStore(tmp_path / "store.duckdb")
    processor = run(ledger, store, profiles, tariffs, commit_messages=500)
    assert processor.counters.quarantined == 3000
    assert processor.counters.stored == 1
    store.close()


def test_a_message_is_stored_whole_or_not_at_all(tmp_path, profiles, tariffs):
    good = {
        "Type": "UploadPumpTransaction",
        "Data": {
            "DateTime": "2026-01-01T06:14:00", "Pump": 1, "Nozzle": 1, "Transaction": 1,
            "Volume": 20.5, "Price": 7.0, "Amount": 143.5,
        },
    }  # fmt: skip
    bad = {"Type": "UploadPumpTransaction", "Data": {**good["Data"], "Volume": "a lot"}}
    ledger = MemoryLedger()
    body = {"Protocol": "jsonPTS", "PtsId": "1", "Packets": [good, bad]}
    fill(ledger, [("pts/1/upload", json.dumps(body).encode())])
    store = DuckDBStore(tmp_path / "store.duckdb")
    counters = run(ledger, store, profiles, tariffs).counters
    assert (counters.stored, counters.quarantined) == (0, 1)
    assert list(store.readings()) == []
    store.close()


def test_quarantine_is_decided_again_after_the_profile_is_mended(tmp_path, profiles, tariffs):
    mended = tmp_path / "profiles"
    mended.mkdir()
    text = (PROFILES / "electricity_meter" / "tasmota-teleinfo.yaml").read_text()
    (mended / "tasmota-teleinfo.yaml").write_text(text)
    payload = b'{"Time":"2026-01-01T08:00:00","TIC":{"ADCO":"1","BASE":"000123456"}}'
    ledger = MemoryLedger()
    fill(ledger, [("elsewhere/tele/unit/SENSOR", payload), water(0, 1)])
    store = DuckDBStore(tmp_path / "store.duckdb")
    assert run(ledger, store, profiles, tariffs).counters.quarantined == 1

    (mended / "tasmota-teleinfo.yaml").write_text(
        text.replace('"{site}/tele/SENSOR"', '"{site}/tele/{unit}/SENSOR"')
    )
    after = load_profiles([PROFILES / "kinds", mended])
    assert Processor(ledger, store, Decider(after, {}, tariffs)).retry_quarantined() == 1
    assert list(store.quarantine()) == []
    counters = store.checkpoint().counters
    assert (counters.stored, counters.quarantined, counters.decided) == (2, 0, 2)
    assert [r.quantities["energy_import"] for r in store.readings(device_id="1")] == [123.456]
    store.close()


def test_a_topic_with_an_impossible_device_id_says_so(profiles, tariffs):
    decided = Decided()
    topic = "meters/110000/water_meter/" + "x" * 200 + "/up"
    Decider(profiles, {}, tariffs).decide(Batch([topic], [b"{}"], [1], 0), decided)
    assert [row.reason for row in decided.quarantined] == ["bad_device_id"]


def test_a_registered_devices_own_profile_goes_before_others(profiles, tariffs):
    devices = {"plug": Device(device_id="plug", profile="tasmota-sensor-energy")}
    decider = Decider(profiles, devices, tariffs)
    plans = decider.route("tele/plug/SENSOR")
    assert [plan.profile.name for plan, _ in plans] == ["tasmota-sensor-energy"]


def test_the_packaged_readings_of_two_profiles_on_one_topic_are_told_apart(profiles, tariffs):
    decider = Decider(profiles, {}, tariffs)
    body = {"src": "s", "method": "NotifyStatus", "params": {"ts": 1767225600}}
    em = {
        **body,
        "params": {**body["params"], "emdata:0": {"total_act": 1.0, "total_act_ret": 0.0}},
    }
    switch = {**body, "params": {**body["params"], "switch:0": {"aenergy": {"total": 1}}}}
    batch = Batch(
        ["s/events/rpc"] * 2, [json.dumps(em).encode(), json.dumps(switch).encode()], [1, 1], 0
    )
    decided = Decided()
    decider.decide(batch, decided)
    assert [r.profile.split("@")[0] for r in decided.readings] == [
        "shelly-pro-3em",
        "shelly-1pm-gen4",
    ]


class NarrowStore(DuckDBStore):
    """A real store whose table cannot hold one message's reading."""

    def prepare(self, readings, before):
        """Refuses the reading of offset 3 as a column would."""
        if any(reading.ledger_offset == 3 for reading in readings):
            raise StoreRefused("value out of range for column", 3)
        return super().prepare(readings, before)


def test_a_row_that_the_store_refuses_costs_its_message_and_no_other(tmp_path, profiles, tariffs):
    ledger = MemoryLedger()
    fill(ledger, [water(0, number) for number in range(10)])
    store = NarrowStore(tmp_path / "store.duckdb")
    counters = run(ledger, store, profiles, tariffs).counters
    assert (counters.stored, counters.quarantined, counters.decided) == (9, 1, 10)
    (row,) = store.quarantine()
    assert (row.message.ledger_offset, row.message.stage) == (3, "store")
    assert row.message.detail == "value out of range for column"
    assert len(list(store.readings())) == 9
    store.close()


@pytest.mark.parametrize("commit", [4, 5000])
def test_what_a_store_could_not_take_is_stored_once_when_it_can(profiles, tariffs, commit):
    ledger, store = MemoryLedger(), ListStore()
    fill(ledger, [water(0, number) for number in range(10)])
    processor = Processor(ledger, store, Decider(profiles, {}, tariffs), commit_messages=commit)
    store.failure = StoreUnavailable("the disk is full")
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            to_the_end(processor)
    store.failure = None
    to_the_end(processor)
    assert [reading.ledger_offset for reading in store.readings()] == list(range(10))
    assert processor.counters == store.counters()
    assert processor.counters.stored == processor.offset == 10


def test_profiles_are_switched_at_an_offset_and_nothing_is_lost(tmp_path, profiles, tariffs):
    ledger, store = MemoryLedger(), DuckDBStore(tmp_path / "store.duckdb")
    fill(ledger, [water(0, n) for n in range(10)])
    processor = Processor(ledger, store, Decider(profiles, {}, tariffs), commit_messages=5)
    processor.step()
    processor.gather()  # five more are decided and wait for their commit
    folder = tmp_path / "profiles"
    shutil.copytree(PROFILES, folder)
    file = folder / "water_meter" / "water-meter-reference.yaml"
    file.write_text(file.read_text().replace("version: 1.", "version: 9.", 1))
    assert processor.switch(Decider(load_profiles([folder]), {}, tariffs)) == 10
    # The switch is where the next snapshot begins: no restart judges older messages anew.
    assert store.checkpoint().snapshot_offset == store.checkpoint().next_offset == 10
    fill(ledger, [water(0, 9), water(0, 10), water(0, 12)])
    to_the_end(processor)
    readings, flags, quarantine, counters = everything(store)
    made_by = [reading.profile.split("@")[1][0] for reading in readings]
    assert made_by == ["1"] * 10 + ["9"] * 2
    # What the checks knew before the switch, they know after it: 9 came again, 11 is lacking.
    assert counters.duplicates == 1
    assert [flag.code for flag in flags] == ["sequence_gap"]
    assert not quarantine
    store.close()


def test_a_snapshot_of_another_version_is_rebuilt_from_the_ledger(tmp_path, profiles, tariffs):
    ledger, store = MemoryLedger(), DuckDBStore(tmp_path / "store.duckdb")
    fill(ledger, mixed())
    run(ledger, store, profiles, tariffs).finish()
    known = Decider(profiles, {}, tariffs).snapshot()
    before = store.checkpoint().counters.duplicates
    store.commit(
        Results(
            readings=[], flags=[], quarantined=[], next_offset=store.checkpoint().next_offset,
            counters=store.checkpoint().counters, snapshot=b"of another version",
        )
    )  # fmt: skip
    processor = run(ledger, store, profiles, tariffs)
    assert processor.decider.snapshot() != known
    fill(ledger, [water(1, 10)])
    processor.step()
    assert store.checkpoint().counters.duplicates == before + 1
    store.close()


def test_marks_of_the_clock_tell_silence_where_nothing_comes_and_are_no_messages(
    tmp_path, profiles, tariffs
):
    hour = 3600 * SECOND
    ledger = MemoryLedger()
    for number in range(5 * 24):
        topic, payload = water(0, number, ts=START + number * 3_600_000)
        ledger.append(Batch([topic], [payload], [START * 10**6 + number * hour + SECOND]))
    heard = ledger.messages[-1][2]
    for minute in range(8 * 60):
        ledger.append(Batch([CLOCK_TOPIC], [b""], [heard + minute * 60 * SECOND]))
    store = DuckDBStore(tmp_path / "store.duckdb")
    processor = run(ledger, store, profiles, tariffs)
    (flag,) = [flag for flag in store.flags() if flag.code == "silent_device"]
    assert (flag.device_id, flag.since, flag.status) == ("W-0", heard, "open")
    assert flag.ledger_offset == 5 * 24 - 1
    counters = processor.counters
    assert (counters.stored, counters.ignored, counters.quarantined) == (120, 480, 0)
    assert counters.decided == ledger.next_offset
    store.close()
