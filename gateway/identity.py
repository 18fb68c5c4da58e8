"""The gateway's identity: made once, kept in the data directory.

The broker's session, and with it every message it keeps for us while we are away, hangs on the
client id.  One that changes at each start loses the queue at each start.
"""

from __future__ import annotations

import os
import re
import secrets
from typing import TYPE_CHECKING, Final

import msgspec

from gateway.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

FILE_NAME: Final = "identity.json"


class Identity(msgspec.Struct, frozen=True):
    """Who this gateway is: a random id of 16 hexadecimal digits."""

    id: str

    def client_id(self, source: str) -> str:
        """The MQTT client id for a source: 23 characters or more are for brokers since 3.1.1."""
        return f"gateway-{self.id}-{source}"


def identity(data: Path) -> Identity:
    """The identity kept in a data directory, made and kept when there is none.

    Raises:
        ConfigError: it cannot be kept, so QoS 1 could not be promised; or the file is damaged.
    """
    path = data / FILE_NAME
    try:
        data.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _keep(path, Identity(secrets.token_hex(8)))
        found = msgspec.json.decode(path.read_bytes(), type=Identity)
    except OSError as error:
        raise ConfigError(
            f"data_dir {data}: {error.strerror}; the client id must be kept there, without it the "
            "broker keeps nothing for us while we are away: make the directory writable"
        ) from None
    except msgspec.MsgspecError as error:
        raise ConfigError(f"{path}: damaged: {error}; put it back from a backup") from None
    if not re.fullmatch(r"[0-9a-f]{16}", found.id):
        raise ConfigError(f"{path}: id must be 16 hexadecimal digits, got {found.id[:40]!r}")
    return found


def _keep(path: Path, made: Identity) -> None:
    fresh = path.with_suffix(".tmp")
    with fresh.open("wb") as file:
        file.write(msgspec.json.encode(made) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
