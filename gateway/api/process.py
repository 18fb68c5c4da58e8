"""The API's process as the service sees it: begun beside the worker, begun again when it dies.

This module is light: the intake process imports it, not the API with all its weight.  What the two
say to each other goes through a pipe: the service tells its `Status` about once a second; the API
tells where it listens (`Listening`), the first account it has made (`FirstAccount`), and why it
cannot go on (`Refused`).
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec
import structlog

from gateway.child import Child
from gateway.errors import ConfigError
from gateway.status import Status

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from gateway.log import Format, Level

log = structlog.get_logger(__name__)

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


class ApiProcess(Child[Status, Word]):
    """Keeps the API running until `stop`.

    Args:
        spec: what it needs.
        told: called with what it says.

    Attributes:
        url: where it listens; None while it does not.
    """

    name: ClassVar[str] = "api"
    reap_s: ClassVar[float] = _END_S

    def __init__(self, spec: ApiSpec, told: Callable[[Word], None]) -> None:
        super().__init__(start_api, spec)
        self.url: str | None = None
        self._told = told
        self._refused: str | None = None

    async def run(self) -> None:
        """Begins it, and begins it again when it ends, waiting longer each time.

        Raises:
            ConfigError: its settings are wrong.
        """
        try:
            await self._keep()
        finally:
            self.kill()

    def tell(self, status: Status) -> None:
        """Tells it the gateway's state; one that cannot hear now hears the next."""
        self._order(status)

    async def stop(self) -> None:
        """Ends it: open requests have a moment, streams end."""
        self._stopping.set()
        process = self._process
        if process is None:
            return
        process.terminate()
        await asyncio.to_thread(process.join, _END_S)
        self.kill()

    def _closed(self) -> None:
        self.url = None

    def _died(self, code: int | None) -> str:
        if self._refused is not None:
            raise ConfigError(self._refused)
        return f"ended with status {code}"

    def _take(self, word: Word) -> None:
        if isinstance(word, Listening):
            self.url = word.url
            log.info("api", address=word.url)
        elif isinstance(word, Refused):
            self._refused = word.message
        self._told(word)
