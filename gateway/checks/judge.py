"""The judge of readings: what a pipeline binds to each profile and asks about each reading."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from gateway.checks import registers
from gateway.checks import state as memory
from gateway.checks.bound import Bound, Track, compile_run
from gateway.checks.clock_drift import model_of
from gateway.checks.findings import finding
from gateway.checks.order import HOLD, Held, Line, Order
from gateway.checks.overrides import Overrides
from gateway.checks.registers import Dial
from gateway.checks.replacements import replacements, resetting
from gateway.checks.rhythm import adopt
from gateway.checks.series import known_of, memory_of
from gateway.checks.settings import CheckSettings, parse
from gateway.checks.silence import Silence
from gateway.checks.state import ChannelState, Numbering, RegisterState
from gateway.checks.window import Window
from gateway.devices import LATEST, since, versions_of
from gateway.errors import ProfileError
from gateway.profiles.layout import Register

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gateway.checks.overrides import Override, Region
    from gateway.checks.series import SeriesCheck
    from gateway.checks.tariffs import Tariff
    from gateway.profiles.layout import Layout
    from gateway.records import Device, Flag, Reading

    Run = Callable[[Reading, list[Flag]], bool]

CHECK_FAILED: Final = "a check failed"
"""How the reason begins that is counted for a fault of ours."""
MOST_AWAKE: Final = 20_000
CLOCK_STEP: Final = 10 * 10**9
"""Nanoseconds by which the ledger's clock goes on."""


class BoundChecks:
    """The checks of one layout, bound to one judge.

    ``run(reading, flags)`` is ``Judge.judge`` without the detour, for the hot loop.
    """

    __slots__ = ("bound", "layout", "run", "settings", "tracks")

    def __init__(
        self,
        judge: Judge,
        layout: Layout,
        settings: CheckSettings,
        elsewhere: Callable[[Reading], Run | None] | None = None,
    ) -> None:
        self.layout = layout
        self.settings = settings
        self.tracks: dict[str | tuple[str, str], Track] = {}
        bound = Bound(
            layout,
            settings,
            state=judge.state,
            devices=judge.devices,
            tariffs=judge.tariffs,
            order=judge.order,
        )

        def open_track(reading: Reading, flags: list[Flag]) -> Track:
            track = judge.open_track(bound, reading, flags)
            # Where another version of the device is judged otherwise, each reading is asked.
            if elsewhere is None or not judge.overrides.any_of(reading.device_id, layout.kind):
                name, channel = reading.device_id, reading.channel
                key = name if channel is None else (name, channel)
                self.tracks[key] = track
                track.device.tracks.append((self.tracks, key))
            return track

        def trim(window: Window, newest: int) -> None:
            judge.state().memory.trim(window, newest)

        self.bound = bound
        self.run = compile_run(
            bound, self.tracks, open_track, trim,
            order=judge.order, hear=judge.silence.hear, elsewhere=elsewhere,
        )  # fmt: skip


class Variants:
    """The checks of one layout: as its profile sets them, and as regions or devices differ."""

    def __init__(
        self,
        judge: Judge,
        layout: Layout,
        settings: Mapping[str, Mapping[str, Any] | bool],
        where: str,
    ) -> None:
        self._judge = judge
        self._layout = layout
        self._settings = settings
        self._where = where
        self._others: dict[str, BoundChecks] = {}
        self.usual = BoundChecks(
            judge, layout, parse(layout.kind, settings, where), self._elsewhere
        )

    def of(self, reading: Reading) -> BoundChecks:
        """Those that a reading is judged by."""
        told = self._judge.overrides.of(reading)
        return self.usual if told is None else self._other(told)

    def forget(self) -> None:
        """Forgets the tracks: the memory has been replaced."""
        for bound in (self.usual, *self._others.values()):
            bound.tracks.clear()

    def _elsewhere(self, reading: Reading) -> Run | None:
        told = self._judge.overrides.of(reading)
        return None if told is None else self._other(told).run

    def _other(self, told: Override) -> BoundChecks:
        found = self._others.get(told.key)
        if found is None:
            try:
                settings = parse(self._layout.kind, told.over(self._settings), self._where)
            except ProfileError as error:
                # A registry is mended while the gateway runs; the profile's own settings stand.
                reason = f"{told.source} sets what cannot be: {str(error).splitlines()[0]}"
                self.usual.bound.not_judged("*", reason)
                settings = self.usual.settings
            found = BoundChecks(self._judge, self._layout, settings)
            self._others[told.key] = found
        return found


class Judge:
    """Judges readings in ledger order.

    Pure: no I/O, and no clock but the ``received_at`` of the readings.  The same readings in the
    same order give the same flags and the same snapshot, whether or not it was restored between.

    Args:
        devices: the registry by device id.
        tariffs: taxi tariffs by name.
        regions: what regions set otherwise than the profiles.
        registry_known: whether a registry was given, so that a device missing from it is a
            finding; None means whether ``devices`` has any.
        bind: called with the profile of readings that waited when a snapshot was taken, before
            their layouts are sought: it may bind them first.
        most_awake: of how many devices the whole memory is at hand.
    """

    def __init__(
        self,
        devices: Mapping[str, Device],
        tariffs: Mapping[str, Tariff],
        *,
        regions: Sequence[Region] = (),
        registry_known: bool | None = None,
        bind: Callable[[str], None] | None = None,
        most_awake: int = MOST_AWAKE,
    ) -> None:
        self.devices = devices
        self._bind_profile = bind
        self._most_awake = most_awake
        self.tariffs = tariffs
        self.overrides = Overrides(devices, regions)
        self._registry_known = bool(devices) if registry_known is None else registry_known
        self._state = memory.State()
        self._bound: list[BoundChecks] = []
        self._variants: list[Variants] = []
        self.order = Order(_judge_series)
        self.silence = Silence(self.state)

    def state(self) -> memory.State:
        """What is remembered now."""
        return self._state

    @property
    def not_judged(self) -> Mapping[tuple[str, str], int]:
        """How often a check could not judge, by code and reason."""
        return self._state.not_judged

    def bind(
        self, layout: Layout, settings: Mapping[str, Mapping[str, Any] | bool], where: str
    ) -> BoundChecks:
        """Compiles the checks of one layout.

        Args:
            layout: the fixed part of the readings.
            settings: the profile's ``checks`` section: parameters, or false to switch one off.
            where: the file, for messages.

        Raises:
            ProfileError: every fault of the settings with its key path.
        """
        variants = Variants(self, layout, settings, where)
        self._variants.append(variants)
        self._bound.append(variants.usual)
        return variants.usual

    def judge(self, bound: BoundChecks, reading: Reading, flags: list[Flag]) -> bool:
        """Appends what is found to ``flags``: new flags, and later versions of earlier ones.

        Returns:
            True for a new reading, False for a redelivered one, which is not stored again and is
            no anomaly.
        """
        return bound.run(reading, flags)

    def advance(self, received_at: int, flags: list[Flag]) -> int:
        """Lets the ledger's clock go on: readings that waited for others have their turn.

        It goes in whole steps, so that what is found depends on no batch.

        Args:
            received_at: of a message, before it is judged.
            flags: what is found is added to it.

        Returns:
            The time of receipt from which on it must be called again.
        """
        clock = received_at // CLOCK_STEP * CLOCK_STEP
        self.order.advance(clock, flags)
        self.silence.advance(self.order.clock, flags)
        if len(self._state.awake) > self._most_awake:
            self._state.let_sleep(self._most_awake * 3 // 4)
        return self.order.clock + CLOCK_STEP

    @property
    def next_advance(self) -> int:
        """The time of receipt from which on `advance` must be called."""
        return self.order.clock + CLOCK_STEP

    def foresee(self, flags: list[Flag]) -> None:
        """What would be found if nothing more came; the memory stays as it is.

        When more comes, the readings that wait are judged in their turn, and the same findings
        have the same ids.
        """
        if not self.order.waiting and not self.silence.waiting:
            return
        before = self.snapshot()
        self.advance(self.order.clock + HOLD + CLOCK_STEP, flags)
        self.restore(before)

    def snapshot(self) -> bytes:
        """The memory as bytes, for the checkpoint; changes nothing."""
        self._state.clock = self.order.clock
        self._state.arrivals = self.order.arrivals
        return memory.pack(self._state)

    def restore(self, blob: bytes) -> None:
        """Takes the memory of a snapshot.

        Raises:
            ValueError: not a snapshot of a version that this program reads.
        """
        self._state = memory.unpack(blob)
        for variants in self._variants:
            variants.forget()
        self.order.begin(self._state.clock, self._state.arrivals)
        self.silence.restore()
        if self._bind_profile is not None:
            for profile in self._waiting_profiles():
                self._bind_profile(profile)
        by_block = {
            (v.usual.layout.profile, v.usual.layout.event, v.usual.layout.names): v
            for v in self._variants
        }
        for device in self._state.awake.values():
            for line in device.lines.values():
                self._wait_on(line, by_block)

    def _waiting_profiles(self) -> list[str]:
        waiting = (line for each in self._state.awake.values() for line in each.lines.values())
        return list(dict.fromkeys(held.reading.profile for line in waiting for held in line.held))

    def _wait_on(
        self, line: Line, by_block: Mapping[tuple[str, str, tuple[str, ...]], Variants]
    ) -> None:
        """Gives the readings of a restored line their tracks; a profile may be gone."""
        found: list[Held] = []
        for held in line.held:
            reading = held.reading
            variants = by_block.get((reading.profile, reading.event, reading.names))
            if variants is None:
                key = ("*", "its profile changed while the reading waited for others")
                self._state.not_judged[key] = self._state.not_judged.get(key, 0) + 1
            else:
                bound = variants.of(reading).bound
                found.append(held._replace(track=self.open_track(bound, reading, [])))
        line.held = found
        self.order.restore(line)

    def open_track(self, bound: Bound, reading: Reading, flags: list[Flag]) -> Track:
        """Finds or makes the memory of a channel; the first sight of a device is judged here."""
        device = self._state.device(reading.device_id)
        known = self.devices.get(reading.device_id)
        if self._registry_known and known is None and not device.unregistered:
            device.unregistered = True
            bound.emit(_unregistered(reading), flags)
        if not device.rhythm.profile:
            model_of(bound, reading.profile).devices += 1
        adopt(device.rhythm, bound.pace, reading)
        versions = versions_of(self.devices, reading.device_id)
        name = "" if reading.channel is None else reading.channel
        channel = device.channels.setdefault(name, ChannelState())
        counted = name if bound.layout.sequence_per_channel else ""
        # Messages without numbers have an order of their own: they would make the others uncertain.
        line = counted if bound.modulus else f"- {counted}"
        checks = [c for c in bound.series if c.wants is None or c.wants(name)]
        series = [
            (c.run, memory_of(device, c, name))
            for c in checks
            if c.stands is None and c.quiet is None
        ]
        track = Track(
            bound,
            device,
            numbering=device.numberings.setdefault(counted, Numbering()),
            window=channel.windows.setdefault(bound.layout.event, Window()),
            dials=tuple(
                _dial(bound, quantity, register, channel, versions)
                for quantity, register in bound.layout.registers.items()
                if quantity in bound.layout.names
            ),
            conditions=channel.conditions,
            line=device.lines.setdefault(line, Line()) if checks else None,
            series=tuple(series),
            worded=tuple(c for c in checks if c.stands is not None),
            sleeping=tuple(c for c in checks if c.quiet is not None),
            versions=versions,
        )
        _let_sleep(track, name)
        return track


def _judge_series(track: Track, reading: Reading, at: int, late: bool, flags: list[Flag]) -> None:
    if track.line is not None and track.line.doubted(reading.received_at):
        registers.judge(track, reading, at, flags)
    for run, state in track.series:
        try:
            run(state, track, reading, at, late, flags)
        except Exception as error:  # noqa: BLE001 - no reading may hold up what follows
            reason = f"{CHECK_FAILED}: {type(error).__name__} in {run.__module__}"
            track.bound.not_judged("*", reason)
    if reading.status or track.rhythm.words:
        states = _judge_also(track.worded, track, reading, at, late, flags)
        track.rhythm.words = any(
            check.stands is not None and check.stands(state)
            for check, state in zip(track.worded, states, strict=True)
        )
    if at > track.wake:
        _judge_also(track.sleeping, track, reading, at, late, flags)
        _let_sleep(track, reading.channel or "")


def _judge_also(  # noqa: PLR0917 - as of every check
    checks: tuple[SeriesCheck, ...], track: Track, reading: Reading, at: int, late: bool,
    flags: list[Flag],
) -> list[Any]:  # fmt: skip
    """Has a reading judged by checks that few readings matter to; gives their memories."""
    states = [memory_of(track.device, check, reading.channel or "") for check in checks]
    for check, state in zip(checks, states, strict=True):
        try:
            check.run(state, track, reading, at, late, flags)
        except Exception as error:  # noqa: BLE001 - no reading may hold up what follows
            reason = f"{CHECK_FAILED}: {type(error).__name__} in {check.run.__module__}"
            track.bound.not_judged("*", reason)
    return states


def _let_sleep(track: Track, channel: str) -> None:
    """Sets when the sleeping checks must be asked next."""
    track.wake = min(
        (
            check.quiet(known_of(track.device, check, channel), track.versions)
            for check in track.sleeping
            if check.quiet is not None
        ),
        default=LATEST,
    )


def _dial(
    bound: Bound,
    quantity: str,
    register: Register,
    channel: ChannelState,
    versions: Sequence[Device],
) -> Dial:
    """A register with its present face, and the faces of earlier versions where they differ."""
    settings = bound.settings
    steps = settings.decrease.resolution_steps * (register.resolution or 0.0)
    full_scale = _full_scale(quantity, register, versions[-1] if versions else None)
    earlier = []
    decrease = settings.decrease
    design = resetting(versions[-1] if versions else None, decrease.resets, decrease.time_zone)
    for before, after in pairwise(versions):
        size = _full_scale(quantity, register, before)
        earlier.append((since(after), size, size * settings.rollover.span))
    if all(size == full_scale for _, size, _ in earlier):
        earlier = []
    return Dial(
        bound.layout.names.index(quantity),
        quantity,
        channel.registers.setdefault(quantity, RegisterState()),
        settings.decrease.tolerance.get(quantity, steps),
        full_scale,
        full_scale * settings.rollover.span,
        tuple(reversed(earlier)),
        replacements(versions),
        design,
    )


def _full_scale(quantity: str, register: Register, known: Device | None) -> float:
    """The device's own digits (registry) before those of its profile; 0 where not known."""
    digits = known.parameters.get("register_digits") if known else None
    if isinstance(digits, dict):
        digits = digits.get(quantity)
    if isinstance(digits, int) and not isinstance(digits, bool) and 1 <= digits <= 15:
        return 10.0**digits
    return register.full_scale or 0.0


def _unregistered(reading: Reading) -> Flag:
    return finding(
        reading,
        "unregistered_device",
        {
            "observed": reading.device_id,
            "expected": "a device of the registry",
            "tolerance": 0,
            "unit": "1",
        },
        occasion="",
        channel=None,
    )
