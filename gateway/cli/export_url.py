"""Exports from the API of a gateway elsewhere."""

import http.client
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import IO, Final

from gateway.errors import ConfigError, GatewayError

VARIABLE: Final = "GATEWAY_TOKEN"
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
_CHUNK: Final = 1 << 16
_TIMEOUT_S: Final = 60.0


def fetch(
    url: str, what: str, file_format: str, given: Mapping[str, str | None], out: IO[bytes]
) -> int:
    """Writes an export of the API; returns how many bytes it has.

    Args:
        url: of the gateway, such as ``https://gateway.example``.
        what: readings, flags, quarantine or devices.
        file_format: jsonl, csv or parquet.
        given: what of it; what is None does not narrow.
        out: where to.

    Raises:
        ConfigError: the address is none, it would send the token in clear, or there is no token.
        GatewayError: the API refuses, or the connection breaks off: what was written is not whole.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise ConfigError(f"--url {url}: an address such as https://gateway.example")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ConfigError(f"--url {url}: beyond this machine a token goes over https only")
    token = os.environ.get(VARIABLE)
    if not token:
        raise ConfigError(f"--url: put a token into {VARIABLE} (`gateway user token` makes one)")
    chosen = {name: value for name, value in given.items() if value is not None}
    query = urllib.parse.urlencode({"format": file_format, **chosen})
    request = urllib.request.Request(  # noqa: S310 - the scheme is one of two
        f"{url.rstrip('/')}/api/v1/export/{what}?{query}",
        headers={"Authorization": f"Bearer {token}"},
    )
    written = 0
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=_TIMEOUT_S) as answer:
            while chunk := answer.read(_CHUNK):
                out.write(chunk)
                written += len(chunk)
    except urllib.error.HTTPError as error:
        raise GatewayError(f"{url}: {error.code}: {_told(error)}") from None
    except (OSError, http.client.HTTPException) as error:
        raise GatewayError(
            f"{url}: broke off after {written:,} bytes, what was written is not whole: {error}"
        ) from None
    return written


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirection would take the token along, wherever it leads."""

    def redirect_request(self, *_told: object) -> None:
        """Follows none: the answer is then an error that names its status."""


def _told(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read(_CHUNK)).get("detail") or error.reason)
    except (ValueError, AttributeError, OSError):
        return str(error.reason)
