"""Single sign-on: OpenID Connect, the authorization code flow with PKCE (OpenID Connect Core 1.0).

The provider says who somebody is; what he may is in the account of that name, which must be there.
By authlib (flow, claims) and joserfc (signatures).
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

import httpx2
import msgspec
import structlog
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc import jwk, jwt
from joserfc.errors import JoseError

from gateway.access.sessions import LoginRefused
from gateway.errors import GatewayError

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)

LASTS_S: Final = 600.0
"""How long somebody may take to log in at the provider."""
_KNOWN_S: Final = 3600.0
_TIMEOUT_S: Final = 5.0
_MOST: Final = 1_000
_LEEWAY_S: Final = 60
_ALGORITHMS: Final = ["RS256", "PS256", "ES256", "EdDSA", "RS384", "RS512", "ES384", "ES512"]
"""Only signatures by a key pair: never ``none``, never a shared secret."""


class ProviderUnavailable(GatewayError):
    """The provider does not answer, or not as the standard says."""

    retry = True


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """The provider, and what this gateway is to it."""

    issuer: str
    client_id: str
    client_secret: str | None
    redirect_uri: str
    name_claim: str = "preferred_username"

    def __repr__(self) -> str:
        return f"Provider(issuer={self.issuer!r}, client_id={self.client_id!r})"


class _Pending(msgspec.Struct, frozen=True):
    nonce: str
    verifier: str
    back_to: str
    until: float


class SingleSignOn:
    """Logins at one provider; used by several threads.

    Args:
        provider: where.
        clock: seconds since 1970, for what expires.
        patience: seconds that the provider has for an answer.
    """

    def __init__(
        self,
        provider: Provider,
        *,
        clock: Callable[[], float] = time.time,
        patience: float = _TIMEOUT_S,
    ) -> None:
        self._patience = patience
        self._provider = provider
        self._clock = clock
        self._lock = threading.Lock()
        self._pending: OrderedDict[str, _Pending] = OrderedDict()
        self._known: tuple[float, dict[str, Any], jwk.KeySet] | None = None

    def begin(self, back_to: str) -> tuple[str, str]:
        """Begins a login; gives where to send the browser, and the state that it has to bring back.

        Args:
            back_to: the page to go on with.

        Raises:
            ProviderUnavailable: see there.
        """
        document, _ = self._discovered()
        state = secrets.token_urlsafe(32)
        pending = _Pending(
            secrets.token_urlsafe(32), secrets.token_urlsafe(48), back_to,
            self._clock() + LASTS_S,
        )  # fmt: skip
        with self._client() as client:
            url, _ = client.create_authorization_url(
                document["authorization_endpoint"], state=state, nonce=pending.nonce,
                code_verifier=pending.verifier,
            )  # fmt: skip
        with self._lock:
            self._pending[state] = pending
            while len(self._pending) > _MOST:
                self._pending.popitem(last=False)
        return str(url), state

    def finish(self, code: str, state: str) -> tuple[str, str]:
        """Ends a login; gives the name of who has logged in, and the page to go on with.

        Raises:
            LoginRefused: the state is none of ours, or what the provider says does not hold.
            ProviderUnavailable: see there.
        """
        with self._lock:
            pending = self._pending.pop(state, None)
        if pending is None or self._clock() > pending.until:
            raise LoginRefused("this login was not begun here, or took too long: begin again")
        document, keys = self._discovered()
        try:
            with self._client() as client:
                told = client.fetch_token(
                    document["token_endpoint"], code=code, code_verifier=pending.verifier,
                    grant_type="authorization_code",
                )  # fmt: skip
        except OAuthError as error:
            raise LoginRefused(f"the provider refuses: {error.error}") from None
        except (httpx2.HTTPError, ValueError) as error:
            raise ProviderUnavailable(f"single sign-on: no answer: {error}") from None
        claims = self._claims(told.get("id_token"), keys, pending.nonce)
        name = claims.get(self._provider.name_claim)
        if not isinstance(name, str) or not name:
            raise LoginRefused(f"the provider tells no {self._provider.name_claim}")
        return name, pending.back_to

    def _client(self) -> OAuth2Client:
        provider = self._provider
        return OAuth2Client(
            client_id=provider.client_id,
            client_secret=provider.client_secret,
            token_endpoint_auth_method="client_secret_basic" if provider.client_secret else "none",
            scope="openid profile",
            redirect_uri=provider.redirect_uri,
            code_challenge_method="S256",
            timeout=self._patience,
        )

    def _claims(self, token: object, keys: jwk.KeySet, nonce: str) -> dict[str, Any]:
        """What a token of identity says, after everything about it has been verified.

        Raises:
            LoginRefused: its signature, issuer, audience, nonce or time is wrong.
        """
        if not isinstance(token, str):
            raise LoginRefused("the provider gives no token of identity")
        try:
            decoded = self._decoded(token, keys)
            claims = CodeIDToken(
                decoded.claims,
                decoded.header,
                {
                    "iss": {"essential": True, "value": self._provider.issuer},
                    "aud": {"essential": True, "value": self._provider.client_id},
                    "nonce": {"essential": True, "value": nonce},
                },
                {"nonce": nonce, "client_id": self._provider.client_id},
            )
            claims.validate(now=round(self._clock()), leeway=_LEEWAY_S)
        except (JoseError, ValueError) as error:
            log.warning("single sign-on refused", error=str(error))
            raise LoginRefused("what the provider says of this login does not hold") from None
        return dict(decoded.claims)

    def _decoded(self, token: str, keys: jwk.KeySet) -> jwt.Token:
        try:
            return jwt.decode(token, keys, algorithms=_ALGORITHMS)
        except (JoseError, ValueError):
            # The provider may have new keys since.
            self._known = None
            _, fresh = self._discovered()
            return jwt.decode(token, fresh, algorithms=_ALGORITHMS)

    def _discovered(self) -> tuple[dict[str, Any], jwk.KeySet]:
        """What the provider says of itself, and its keys; asked anew every hour."""
        known = self._known
        if known is not None and self._clock() < known[0]:
            return known[1], known[2]
        issuer = self._provider.issuer
        try:
            with httpx2.Client(timeout=self._patience) as client:
                found = client.get(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
                document = found.raise_for_status().json()
                keys = client.get(document["jwks_uri"]).raise_for_status().json()
            told = jwk.KeySet.import_key_set(keys)
            endpoints = (document["authorization_endpoint"], document["token_endpoint"])
        except (httpx2.HTTPError, JoseError, ValueError, KeyError, TypeError) as error:
            raise ProviderUnavailable(
                f"single sign-on: {issuer} does not answer: {error}"
            ) from None
        if document.get("issuer") != issuer or not all(isinstance(e, str) for e in endpoints):
            raise ProviderUnavailable(f"single sign-on: {issuer} says that it is another one")
        self._known = self._clock() + _KNOWN_S, document, told
        return document, told
