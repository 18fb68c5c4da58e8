"""Every error the gateway raises on purpose.

    GatewayError
    ├── ConfigError            settings are wrong: all faults at once        exit 2
    ├── ProfileError           a profile is wrong: file, line, key path      exit 2
    ├── DecodeError            a payload is not what its profile says        quarantine
    ├── SourceError
    │   ├── SourceRefused      broker says no: password, certificate         tell, retry slowly
    │   └── SourceLost         link gone                                     retry
    ├── LedgerError
    │   ├── LedgerLocked       another writer has it                         exit 2
    │   ├── LedgerFull         no room on disk                               stop acks, retry
    │   └── LedgerCorrupt      content does not match its hash               say which batch
    └── StoreError
        ├── StoreLocked        another process has it                        exit 2
        ├── StoreUnavailable   down or slow                                  retry
        └── StoreRefused       the database refused a row, in its own words  quarantine

A message says where, which rule, what was got, and what to do.  The type says whether to retry.
"""

from __future__ import annotations


class GatewayError(Exception):
    """Base of all errors that the gateway raises on purpose."""

    retry: bool = False


class ConfigError(GatewayError):
    """Settings are wrong; the message lists every fault with file and key."""


class ProfileError(GatewayError):
    """A profile is wrong; the message lists every fault with file, line and key path."""


class DecodeError(GatewayError):
    """A payload is not what its profile says.

    Args:
        reason: the quarantine code, e.g. ``missing_field``.
        detail: where, which rule, what was got.

    Attributes:
        stage: ``decode`` or ``normalise``, set by the pipeline.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.stage = "decode"


class SourceError(GatewayError):
    """A message source failed."""

    retry = True


class SourceRefused(SourceError):
    """The broker refused the connection: password, certificate, authorisation."""


class SourceLost(SourceError):
    """The link to the broker is gone or silent."""


class LedgerError(GatewayError):
    """The ledger failed."""


class LedgerLocked(LedgerError):
    """Another process writes this ledger."""


class LedgerFull(LedgerError):
    """No room on the disk, or the disk refuses to write; nothing may be acknowledged."""

    retry = True


class LedgerCorrupt(LedgerError):
    """A batch does not match its hash or its chain."""


class StoreError(GatewayError):
    """A store or sink failed."""


class StoreLocked(StoreError):
    """Another process has the store open."""


class StoreUnavailable(StoreError):
    """The store is down or too slow; the same write may succeed later."""

    retry = True


class StoreRefused(StoreError):
    """The database refused a row for what it is; trying again will not help.

    Args:
        message: the database's own words.
        ledger_offset: the message that the row came from, where one is to blame.
    """

    def __init__(self, message: str, ledger_offset: int | None = None) -> None:
        super().__init__(message)
        self.ledger_offset = ledger_offset
