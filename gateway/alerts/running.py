"""All alerts of a gateway on an event loop of their own, beside processing."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from gateway.alerts.courier import Courier, Singly
from gateway.alerts.follower import Follower, begin
from gateway.alerts.outbox import FILE_NAME, Outbox
from gateway.alerts.spec import AlertSpec, AlertState, MailSpec, MqttSpec, WebhookSpec
from gateway.casebook import Casebook
from gateway.errors import GatewayError

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.alerts import Target
    from gateway.alerts.courier import Post
    from gateway.store import Store

log = structlog.get_logger(__name__)

_STOP_S: Final = 3.0
_COUNT_EVERY_S: Final = 1.0
_ANEW_S: Final = 30.0


def target_of(spec: AlertSpec, clock: Callable[[], int] = time.time_ns) -> Target:
    """The target of an alert.

    Each brings a stack of its own, which takes memory: only what is wanted is imported.
    """
    match spec.target:
        case MqttSpec():
            from gateway.alerts.mqtt import MqttTarget  # noqa: PLC0415 - see above

            return MqttTarget(spec.target)
        case WebhookSpec():
            from gateway.alerts.webhook import WebhookTarget  # noqa: PLC0415 - see above

            return WebhookTarget(spec.target)
        case MailSpec():
            from gateway.alerts.mail import MailTarget  # noqa: PLC0415 - see above

            return MailTarget(spec.target, spec.gateway, clock)


def _post_of(spec: AlertSpec, outbox: Outbox) -> Post:
    if isinstance(spec.target, MailSpec):
        from gateway.alerts.mail import Digests  # noqa: PLC0415 - see target_of

        return Digests(spec, spec.target, outbox)
    return Singly(spec.name, outbox)


class Alert:
    """One alert: its follower and its courier.

    Args:
        spec: what it is to do.
        store: what to follow.
        outbox: of all alerts; used on the event loop's thread only.
        casebook: of decisions and windows.
        titles: of flag codes, by language.
        clock: ns UTC.
        first_wait: seconds before the second attempt.
    """

    def __init__(
        self,
        spec: AlertSpec,
        store: Store,
        outbox: Outbox,
        casebook: Casebook,
        titles: Mapping[str, Mapping[str, str]],
        *,
        clock: Callable[[], int] = time.time_ns,
        first_wait: float = 1.0,
    ) -> None:
        self.spec = spec
        self._outbox = outbox
        self._courier = Courier(
            spec,
            outbox,
            target_of(spec, clock),
            _post_of(spec, outbox),
            clock=clock,
            random=random.Random(),  # noqa: S311 - a delay is no secret
            first_wait=first_wait,
            # MQTT has one connection, and a mail server wants one mail after another.
            parallel=spec.target.parallel if isinstance(spec.target, WebhookSpec) else 1,
        )
        self._follower = Follower(
            spec, store, outbox, casebook, titles, clock=clock, told=self._courier.wake
        )
        self._counted = AlertState(spec.name, spec.type)
        self.count()

    async def run(self) -> None:
        """Follows and sends until `close`."""
        counting = asyncio.create_task(self._keep_count())
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._follower.run())
                both.create_task(self._courier.run())
        finally:
            counting.cancel()
            await asyncio.gather(counting, return_exceptions=True)
            self.count()

    def close(self) -> None:
        """Ends `run` after what is under way."""
        self._follower.close()
        self._courier.close()

    async def _keep_count(self) -> None:
        while True:
            self.count()
            await asyncio.sleep(_COUNT_EVERY_S)

    def count(self) -> None:
        """Counts what waits; to be called on the event loop's thread."""
        spec, courier, follower = self.spec, self._courier, self._follower
        try:
            queued, dead, held = self._outbox.counts(spec.name)
            known = self._outbox.known(spec.name)
        except GatewayError as fault:
            self._counted = msgspec.structs.replace(self._counted, error=str(fault))
            return
        self._counted = AlertState(
            spec.name,
            spec.type,
            queued=queued,
            dead=dead,
            held=held,
            sent=0 if known is None else known.sent,
            failures=courier.failures,
            error=courier.last_error or follower.last_error,
        )

    @property
    def state(self) -> AlertState:
        """How it stands, as of the last count; from any thread."""
        return msgspec.structs.replace(self._counted, lag=self._follower.lag)


class AlertThread:
    """Runs the alerts of a gateway; what goes wrong in them stops neither store nor intake.

    Args:
        specs: at least one.
        store: what to follow.
        data: the data directory, for outbox and casebook.
        titles: of flag codes, by language.
    """

    def __init__(
        self,
        specs: Sequence[AlertSpec],
        store: Store,
        data: Path,
        titles: Mapping[str, Mapping[str, str]],
    ) -> None:
        self._specs = specs
        self._store = store
        self._data = data
        self._titles = titles
        self._alerts: dict[str, Alert] = {}
        self._errors: dict[str, str] = {}
        self._closing = asyncio.Event()
        self._begin()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)
        self._thread.start()

    def _begin(self) -> None:
        """Takes up what is there, before processing goes on and finds more."""
        try:
            outbox = Outbox(self._data / FILE_NAME)
            try:
                for spec in self._specs:
                    begin(spec, self._store, outbox, time.time_ns())
            finally:
                outbox.close()
        except GatewayError as error:
            # The thread meets it again, tells it, and tries on.
            log.warning("alerts cannot begin yet", error=str(error))

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._try_on())
        finally:
            self._loop.close()

    async def _try_on(self) -> None:
        """Serves until closed; alerts that cannot stop neither processing nor intake."""
        while not self._closing.is_set():
            try:
                await self._serve()
            except GatewayError as error:
                self._errors = {spec.name: str(error) for spec in self._specs}
                log.error("alerts do not work", error=str(error), again_after_s=_ANEW_S)  # noqa: TRY400
                if await self._waited(_ANEW_S):
                    self._errors.clear()

    async def _serve(self) -> None:
        outbox = Outbox(self._data / FILE_NAME)
        try:
            with Casebook(self._data) as casebook:
                await asyncio.gather(*(self._keep(spec, outbox, casebook) for spec in self._specs))
        finally:
            outbox.close()

    async def _keep(self, spec: AlertSpec, outbox: Outbox, casebook: Casebook) -> None:
        """Keeps an alert running: one that fails begins anew, and fails no other."""
        while not self._closing.is_set():
            alert = Alert(spec, self._store, outbox, casebook, self._titles)
            self._alerts[spec.name] = alert
            try:
                await alert.run()
            except Exception as error:
                first: BaseException = error
                while isinstance(first, BaseExceptionGroup):
                    first = first.exceptions[0]
                self._errors[spec.name] = f"{type(first).__name__}: {first}"
                log.exception("alert failed, it begins anew", alert=spec.name, after_s=_ANEW_S)
                if await self._waited(_ANEW_S):
                    self._errors.pop(spec.name)

    async def _waited(self, seconds: float) -> bool:
        """Waits; False where the end comes first."""
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return True
        return False

    @property
    def states(self) -> tuple[AlertState, ...]:
        """How each alert stands."""
        return tuple(self._state(spec) for spec in self._specs)

    def _state(self, spec: AlertSpec) -> AlertState:
        alert = self._alerts.get(spec.name)
        known = AlertState(spec.name, spec.type, lag=self._store.change)
        state = known if alert is None else alert.state
        error = self._errors.get(spec.name, state.error)
        return msgspec.structs.replace(state, error=error)

    def stop(self) -> None:
        """Ends the alerts; what is not told waits in the store and in the outbox."""
        if self._thread.is_alive() and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._close)
            self._thread.join(_STOP_S)

    def _close(self) -> None:
        self._closing.set()
        for alert in self._alerts.values():
            alert.close()
