"""The API's process as the service sees it: begun beside the worker, begun again when it dies.

This module is light: the intake process imports it, not the API with all its weight.  What the two
say to each other goes through a pipe: the service tells its `Status` about once a second; the API
tells where it listens (`Listening`), the first account it has made (`FirstAccount`), and why it
cannot go on (`Refused`).
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from gateway.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from gateway.log import Format, Level
    from gateway.status import Status

log = structlog.get_logger(__name__)

RESTART_MIN_S: Final = 0.5
RESTART_MAX_S: Final = 30.0
_STABLE_S: Final = 60.0
_END_S: Final = 2.0


class OidcSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The provider of single sign-on; see `gateway.access.single_sign_on.Provider`."""

    issuer: str
    client_id: str
    client_secret: str | None
    redirect_uri: str
    name_claim: str

    def __repr__(self) -> str:
        return f"OidcSpec(issuer={self.issuer!r})"


class ApiSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What the API needs to know; travels to it by pickle."""

    data: Path
    profiles: tuple[Path, ...]
    host: str
    port: int
    names: tuple[str, ...]
    cert_file: Path | None = None
    key_file: Path | None = None
    requests_per_second: float = 50.0
    oidc: OidcSpec | None = None
    log_level: Level = "info"
    log_format: Format = "auto"
    secrets: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"ApiSpec(data={str(self.data)!r}, host={self.host!r}, port={self.port})"


class Listening(msgspec.Struct, frozen=True):
    """Where the API answers, such as ``http://127.0.0.1:8080``."""

    url: str


class FirstAccount(msgspec.Struct, frozen=True):
    """The account that the first start has made, with its one-time password."""

    name: str
    password: str

    def __repr__(self) -> str:
        return f"FirstAccount(name={self.name!r})"


class Refused(msgspec.Struct, frozen=True):
    """Settings are wrong: trying again will not help."""

    message: str


Word = Listening | FirstAccount | Refused


def start_api(pipe: Connection[Word, Status], spec: ApiSpec) -> None:
    """What the new process calls; only there is the API imported."""
    from gateway.api import server  # noqa: PLC0415

    server.main(pipe, spec)


class ApiProcess:
    """Keeps the API running until `stop`.

    Args:
        spec: what it needs.
        told: called with what it says.

    Attributes:
        url: where it listens; None while it does not.
        restarts: how often it had to be begun again.
    """

    def __init__(self, spec: ApiSpec, told: Callable[[Word], None]) -> None:
        self.url: str | None = None
        self.restarts = 0
        self._spec = spec
        self._told = told
        self._process: SpawnProcess | None = None
        self._pipe: Connection[Status, Word] | None = None
        self._gone = asyncio.Event()
        self._stopping = asyncio.Event()
        self._refused: str | None = None

    @property
    def pid(self) -> int | None:
        """Its process id while it lives."""
        return self._process.pid if self._process is not None else None

    async def run(self) -> None:
        """Begins it, and begins it again when it ends, waiting longer each time.

        Raises:
            ConfigError: its settings are wrong.
        """
        delay = RESTART_MIN_S
        try:
            while not self._stopping.is_set():
                began = time.monotonic()
                self._start()
                await self._gone.wait()
                code = await self._reap()
                if self._refused is not None:
                    raise ConfigError(self._refused)
                if self._stopping.is_set():
                    return
                self.restarts += 1
                if time.monotonic() - began > _STABLE_S:
                    delay = RESTART_MIN_S
                log.error("api died, will restart", status=code, after_s=delay)
                try:
                    await asyncio.wait_for(self._stopping.wait(), delay)
                except TimeoutError:
                    delay = min(delay * 2, RESTART_MAX_S)
        finally:
            self.kill()

    def tell(self, status: Status) -> None:
        """Tells it the gateway's state; one that cannot hear now hears the next."""
        if self._pipe is None or self._gone.is_set():
            return
        try:
            self._pipe.send(status)
        except OSError as error:
            log.debug("api does not hear", error=str(error))

    async def stop(self) -> None:
        """Ends it: open requests have a moment, streams end."""
        self._stopping.set()
        process = self._process
        if process is None:
            return
        process.terminate()
        await asyncio.to_thread(process.join, _END_S)
        self.kill()

    def kill(self) -> None:
        """Ends it now."""
        self._stopping.set()
        if self._process is not None:
            self._process.kill()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self._gone.clear()
        self._pipe = ours
        self._process = context.Process(
            target=start_api, args=(theirs, self._spec), name="gateway-api", daemon=True
        )
        self._process.start()
        theirs.close()
        asyncio.get_running_loop().add_reader(ours.fileno(), self._hear, ours)

    def _hear(self, pipe: Connection[Status, Word]) -> None:
        try:
            while pipe.poll():
                self._take(pipe.recv())
        except (EOFError, OSError):
            asyncio.get_running_loop().remove_reader(pipe.fileno())
            pipe.close()
            self._pipe, self.url = None, None
            self._gone.set()

    def _take(self, word: Word) -> None:
        if isinstance(word, Listening):
            self.url = word.url
            log.info("api", address=word.url)
        elif isinstance(word, Refused):
            self._refused = word.message
        self._told(word)

    async def _reap(self) -> int | None:
        process = self._process
        if process is None:
            return None
        await asyncio.to_thread(process.join, _END_S)
        if process.exitcode is None:
            process.kill()
            await asyncio.to_thread(process.join, _END_S)
        code = process.exitcode
        self._process = None
        return code
