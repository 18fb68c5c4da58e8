"""The process of the API: it opens the casebook, asks the worker for the rest, and serves."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import signal
import socket
import ssl
from typing import TYPE_CHECKING, Final

import msgspec
import structlog
import uvicorn

from gateway import log as logs
from gateway.access.passwords import Hasher
from gateway.access.people import FIRST, first_administrator
from gateway.access.roles import EVERYTHING
from gateway.access.single_sign_on import Provider, SingleSignOn
from gateway.api.app import make_app
from gateway.api.context import Api
from gateway.api.guard import Rates
from gateway.api.process import FirstAccount, Listening, Refused
from gateway.assembly import all_regions, read_profiles
from gateway.casebook import Casebook
from gateway.errors import ConfigError, GatewayError, StoreError
from gateway.queries import devices
from gateway.queries.directory import Directory
from gateway.queries.privacy import EXACT
from gateway.queries.recent import Recent, beside
from gateway.queries.seen import Seen, World
from gateway.reports.periods import ZONE
from gateway.store.asked import AskedStore
from gateway.store.wire import SOCKET

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

    from gateway.api.process import ApiSpec, OidcSpec, Word
    from gateway.status import Status

log = structlog.get_logger(__name__)

_BURST_S: Final = 4
_SECONDS: Final = 10.0
_ROWS: Final = 1_000_000
_GRACE_S: Final = 1
_WARM_S: Final = 1.0
_KEEP_ALIVE_S: Final = 20
_MOST_CONNECTIONS: Final = 500
_WAITING: Final = 128


class Told:
    """The gateway's state as the service told it last."""

    def __init__(self) -> None:
        self.status: Status | None = None


class _Server(uvicorn.Server):
    """A server whose signals are the process' own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing: `main` has done it."""
        yield


def main(pipe: Connection[Word, Status], spec: ApiSpec) -> None:
    """The process: serves until it is told to end, or its parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a Ctrl-C the parent decides
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT,))  # blocked since the start
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    logs.configure(spec.log_level, spec.log_format, secrets=spec.secrets)
    try:
        listener = listen(spec)
        profiles = read_profiles(spec.profiles)
        regions = all_regions([path for path in spec.profiles if path.is_dir()])
        casebook = Casebook(spec.data)
    except GatewayError as error:
        _say(pipe, Refused(str(error)))
        raise SystemExit(1) from None
    with casebook, contextlib.suppress(KeyboardInterrupt):
        store = AskedStore(spec.data / SOCKET, seconds=_SECONDS, rows=_ROWS)
        told = Told()
        directory = Directory(store, casebook)
        recent = Recent(beside=beside)
        world = World(
            store, casebook, directory, profiles, spec.data / "ledger", recent=recent,
            regions=regions,
        )  # fmt: skip
        api = Api(
            world,
            status=lambda: told.status,
            hasher=Hasher(),
            rates=Rates(spec.requests_per_second, round(spec.requests_per_second * _BURST_S)),
            secure=spec.cert_file is not None,
            single_sign_on=None if spec.oidc is None else _single_sign_on(spec.oidc),
        )
        app = make_app(api, recent=store.recent_flags, hosts=spec.names)
        password = first_administrator(casebook, api.hasher)
        if password is not None:
            _say(pipe, FirstAccount(FIRST, password))
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_MOST_CONNECTIONS,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_GRACE_S,
            ssl_certfile=spec.cert_file,
            ssl_keyfile=spec.key_file,
        )
        with asyncio.Runner() as runner:
            runner.run(_serve(_Server(config), listener, (pipe, spec, told, api)))


def _single_sign_on(spec: OidcSpec) -> SingleSignOn:
    return SingleSignOn(Provider(**msgspec.structs.asdict(spec)))


def listen(spec: ApiSpec) -> socket.socket:
    """The socket, bound.

    Raises:
        ConfigError: the port cannot be had, or the certificate is none.
    """
    if spec.cert_file is not None:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(spec.cert_file, spec.key_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"api.cert_file {spec.cert_file}: {error}") from None
    family = socket.AF_INET6 if ":" in spec.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((spec.host, spec.port))
        # Whoever is told the address can connect from now on, and waits until we serve.
        listener.listen(_WAITING)
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"api: cannot listen on {spec.host}:{spec.port}: {error.strerror}; set api.port to a "
            "free one"
        ) from None
    return listener


async def _serve(
    server: _Server,
    listener: socket.socket,
    shared: tuple[Connection[Word, Status], ApiSpec, Told, Api],
) -> None:
    pipe, spec, told, api = shared
    loop = asyncio.get_running_loop()

    def end() -> None:
        server.should_exit = True

    def hear() -> None:
        try:
            while pipe.poll():
                told.status = pipe.recv()
        except (EOFError, OSError):
            loop.remove_reader(pipe.fileno())
            end()  # the parent is gone

    loop.add_signal_handler(signal.SIGTERM, end)
    loop.add_reader(pipe.fileno(), hear)
    warming = asyncio.create_task(_warm(api))
    scheme = "http" if spec.cert_file is None else "https"
    host = f"[{spec.host}]" if ":" in spec.host else spec.host
    _say(pipe, Listening(f"{scheme}://{host}:{listener.getsockname()[1]}"))
    try:
        await server.serve(sockets=[listener])
    finally:
        warming.cancel()
        listener.close()


async def _warm(api: Api) -> None:
    """Counts what is there before the first one asks, as soon as processing answers."""
    while True:
        try:
            await asyncio.to_thread(_first_look, api)
        except StoreError as error:
            log.debug("processing does not answer yet", error=str(error))
            await asyncio.sleep(_WARM_S)
        else:
            return


def _first_look(api: Api) -> None:
    """What the overview and the pages about quality begin with."""
    api.world.directory.refresh()
    told = devices.overview(Seen(api.world, EVERYTHING, EXACT))
    if "measured_until" in told:
        until = dt.datetime.fromisoformat(told["measured_until"])
        api.quality.day(until.astimezone(ZONE).date(), ZONE)


def _say(pipe: Connection[Word, Status], word: Word) -> None:
    try:
        pipe.send(word)
    except OSError:
        log.warning("parent process is gone")
