"""Passwords: Argon2id (RFC 9106), by argon2-cffi with its defaults.

One costs about 50 ms and 64 MB, which strangers may ask for: so one is done at a time, and others
wait.  Callers ask in a thread.
"""

from __future__ import annotations

import secrets
import threading
from functools import cache
from typing import Final

import argon2

from gateway.errors import ConfigError

LEAST: Final = 12
MOST: Final = 256
_ALPHABET: Final = "abcdefghijkmnpqrstuvwxyz23456789"
"""Without letters that are taken for others when a person reads them off a screen."""


def one_time() -> str:
    """A password of 80 bits, to be typed once."""
    groups = ("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(4))
    return "-".join(groups)


def checked(password: str, name: str) -> str:
    """A password that may be set.

    Raises:
        ConfigError: it is too short, too long, or holds the name of who sets it.
    """
    if not LEAST <= len(password) <= MOST:
        raise ConfigError(f"a password has {LEAST} to {MOST} characters; a sentence is a good one")
    if name.casefold() in password.casefold() or len(set(password)) < 5:
        raise ConfigError("this password is easily guessed: it holds the name, or repeats itself")
    return password


class Hasher:
    """Makes and verifies hashes.

    Args:
        cost: rounds and memory (KiB) other than the library's defaults, for tests.
    """

    def __init__(self, cost: tuple[int, int] | None = None) -> None:
        self._one = threading.Lock()
        self._hasher = (
            argon2.PasswordHasher()
            if cost is None
            else argon2.PasswordHasher(time_cost=cost[0], memory_cost=cost[1], parallelism=1)
        )

    def hash(self, password: str) -> str:
        """The hash to keep, with its salt and parameters."""
        with self._one:
            return self._hasher.hash(password)

    def verify(self, kept: str | None, password: str) -> bool:
        """Whether a password is the one; without a hash it takes as long, and is not."""
        known = kept or self._nobody()
        try:
            with self._one:
                self._hasher.verify(known, password[: MOST + 1])
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False
        return kept is not None

    @cache  # noqa: B019 - a hasher lives as long as the process
    def _nobody(self) -> str:
        return self.hash(secrets.token_urlsafe(16))
