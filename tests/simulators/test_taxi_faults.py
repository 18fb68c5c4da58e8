"""Cheats of taxis: each does what it says, tells the truth about it, and the messages show it."""

from __future__ import annotations

from itertools import pairwise

import pytest

from simulators import tariffs
from simulators.clock import HOUR
from tests.simulators.fleets import START, bodies, fleet

BEGIN = START + 2 * HOUR


class Cheated:
    """One taxi that cheats from two hours on."""

    def __init__(self, cheat, days=3.0):
        made, self.events = fleet("taximeter", devices=1, days=days, cheats=((cheat, 1.0),))
        found = bodies(list(made.messages()))
        made.finish(made.order.until)
        [line, *_] = made.registry()
        self.certified = line["parameters"]["k_constant"]
        self.required = [event for event in self.events if event.required]
        self.trips = [body for _, body in found if body["type"] == "trip"]
        self.trips.sort(key=lambda body: body["ts"])
        self.track = [body for _, body in found if body["type"] == "periodic"]
        self.track.sort(key=lambda body: body["ts"])

    def spans(self):
        return {(event.since, event.until) for event in self.required}

    def used_constant(self):
        """Pulses a km by the odometer, over the last day."""
        first, last = self.track[-1440], self.track[-1]
        road = (last["total_distance"] - first["total_distance"]) % 10**7
        return (last["pulses"] - first["pulses"]) / road


def span(trip):
    return trip["started_at"], trip["ended_at"]


def ratio(trip):
    return trip["distance"] / trip["gps_distance"]


def by_tariff(trip):
    """The least and the most that the tariff allows, were all waiting at one rate or the other."""
    units = (round(trip["distance"] * 100), trip["waiting_time"] * 1000)
    fares = [
        tariffs.whole_trip(*units, at, night=tariffs.is_night(at))
        for at in (*span(trip), (trip["started_at"] + trip["ended_at"]) // 2)
    ]
    return min(fares), max(fares)


def plain(trip):
    rates = {(tariffs.is_night(at), tariffs.is_peak(at)) for at in span(trip)}
    return len(rates) == 1 and trip["ended_at"] - trip["started_at"] < 2 * HOUR


def test_a_told_constant_is_lower_and_distance_and_fare_rise_by_the_tariff():
    cheated = Cheated("constant_lowered")
    [event] = cheated.required
    assert event.code == "constant_changed"
    after = [trip for trip in cheated.trips if trip["started_at"] >= BEGIN]
    for trip in cheated.trips:
        share = trip["k_constant"] / cheated.certified
        if trip in after:
            assert 0.895 < share < 0.955
            assert 1.02 < ratio(trip) < 1.18
        else:
            assert share == 1
        if plain(trip):
            assert trip["fare"] == by_tariff(trip)[0]
    assert (event.since, event.until) == (after[0]["started_at"], after[-1]["ended_at"])
    assert cheated.used_constant() == pytest.approx(after[0]["k_constant"], rel=0.003)


def test_a_secret_constant_shows_in_pulses_and_track_only():
    cheated = Cheated("constant_lowered_secretly")
    [event] = cheated.required
    assert event.code == "distance_factor_shift"
    assert {trip["k_constant"] for trip in cheated.trips} == {cheated.certified}
    assert 0.915 < cheated.used_constant() / cheated.certified < 0.955
    after = [ratio(trip) for trip in cheated.trips if trip["started_at"] >= BEGIN]
    assert 1.05 < sum(after) / len(after) < 1.11


def test_trips_with_injected_pulses_are_those_that_the_track_contradicts():
    cheated = Cheated("distance_inflated")
    wrong = [trip for trip in cheated.trips if ratio(trip) > 1.12]
    assert len(wrong) > 5
    assert {span(trip) for trip in wrong} == cheated.spans()
    assert {event.code for event in cheated.events} == {"distance_mismatch"}
    assert all(plain(trip) is False or trip["fare"] == by_tariff(trip)[0] for trip in wrong)
    # pulses, odometer and K agree all along
    assert cheated.used_constant() == pytest.approx(cheated.certified, rel=0.003)


def test_a_trip_with_more_waiting_than_time_is_charged_for_it():
    cheated = Cheated("waiting_inflated")
    wrong = [
        trip
        for trip in cheated.trips
        if trip["waiting_time"] * 1000 > trip["ended_at"] - trip["started_at"]
    ]
    assert len(wrong) > 5
    assert {span(trip) for trip in wrong} == cheated.spans()
    assert {event.code for event in cheated.events} == {"waiting_time_mismatch"}
    checked = [trip for trip in wrong if plain(trip)]
    assert checked
    assert all(trip["fare"] == by_tariff(trip)[0] for trip in checked)


def test_an_absurd_speed_is_told_of_the_trips_in_the_truth():
    cheated = Cheated("speed_absurd")
    wrong = [trip for trip in cheated.trips if trip["max_speed"] >= 180]
    assert wrong
    assert {span(trip) for trip in wrong} == cheated.spans()


def test_overlapping_trips_are_those_of_the_truth():
    cheated = Cheated("trips_overlapping")
    wrong = {span(b) for a, b in pairwise(cheated.trips) if b["started_at"] < a["ended_at"]}
    assert wrong == cheated.spans()
    assert len(wrong) > 2


def test_a_second_flagfall_is_thirteen_yuan_more():
    cheated = Cheated("flagfall_twice")
    wrong = [trip for trip in cheated.trips if plain(trip) and trip["fare"] != by_tariff(trip)[0]]
    assert wrong
    assert {trip["fare"] - by_tariff(trip)[0] for trip in wrong} == {13.0}
    assert {span(trip) for trip in wrong} <= cheated.spans()
