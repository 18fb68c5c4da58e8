"""The tables of what others ask of a gateway: metrics, the HTTP API, reports on paper."""

# No "from __future__ import annotations": pydantic reads the annotations when the class is made.
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, PrivateAttr, SecretStr, model_validator

from gateway.config_tables import LOOPBACK, Table, TokenFile, TokenVariable, secret_of


class MetricsSettings(Table):
    """The Prometheus listener: ``/metrics``, ``/healthz``, ``/readyz``."""

    enabled: bool = Field(default=True, description="listen at all")
    host: str = Field(default="127.0.0.1", description="address to listen on; others need a token")
    port: int = Field(default=9464, ge=0, le=65535, description="TCP port; 0 takes a free one")
    token: SecretStr | None = Field(default=None, description="bearer token that callers must show")
    token_file: TokenFile = None
    token_env: TokenVariable = None

    _token: str | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _hang_together(self) -> Self:
        self._token = secret_of("token", self.token, self.token_file, self.token_env)
        if self.enabled and self.host not in LOOPBACK and not self._token:
            raise ValueError(
                f"host {self.host!r} can be reached from outside: set token_file, token_env or "
                "token, or listen on 127.0.0.1"
            )
        return self

    def secret(self) -> str | None:
        """The token, from whichever way it was given."""
        return self._token


class OidcSettings(Table):
    """Single sign-on by OpenID Connect; the accounts must be there, under the names it tells."""

    issuer: str = Field(
        pattern=r"^(https://[^\s@?#]+|http://(127\.0\.0\.1|localhost)[^\s@?#]*)$",
        description="address of the provider, as it says it itself",
    )
    client_id: str = Field(min_length=1, description="what this gateway is called there")
    client_secret: SecretStr | None = Field(
        default=None, description="secret there; rather use the next two"
    )
    client_secret_file: Path | None = Field(default=None, description="file that holds the secret")
    client_secret_env: str | None = Field(
        default=None, description="environment variable with the secret"
    )
    redirect_uri: str = Field(
        pattern=r"^https?://[^\s@?#]+/api/v1/session/oidc/callback$",
        description="where it sends browsers back to: this gateway's /api/v1/session/oidc/callback",
    )
    name_claim: str = Field(
        default="preferred_username", min_length=1, description="the claim that names the account"
    )

    _secret: str | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _hang_together(self) -> Self:
        self._secret = secret_of(
            "client_secret", self.client_secret, self.client_secret_file, self.client_secret_env
        )
        return self

    def secret(self) -> str | None:
        """The secret, from whichever way it was given."""
        return self._secret


class ApiSettings(Table):
    """The HTTP API; it runs where the table ``[api]`` is there, were it empty."""

    host: str = Field(
        default="127.0.0.1", description="address to listen on; others than loopback need TLS"
    )
    port: int = Field(default=8080, ge=0, le=65535, description="TCP port; 0 takes a free one")
    names: tuple[str, ...] = Field(
        default=(),
        description="names that browsers may call it by; default on loopback: localhost and its "
        "addresses, else any",
    )
    cert_file: Path | None = Field(default=None, description="certificate chain (TLS), PEM")
    key_file: Path | None = Field(
        default=None, description="key of cert_file, if not in the same file"
    )
    requests_per_second: float = Field(
        default=50.0, gt=0, description="requests of one account a second, after a burst of four"
    )
    oidc: OidcSettings | None = Field(default=None, description="single sign-on; default: none")

    @model_validator(mode="after")
    def _hang_together(self) -> Self:
        if self.key_file is not None and self.cert_file is None:
            raise ValueError("key_file is of no use without cert_file")
        if self.host not in LOOPBACK and self.cert_file is None:
            raise ValueError(
                f"host {self.host!r} can be reached from outside: set cert_file (TLS), or listen "
                "on 127.0.0.1 behind a proxy that speaks TLS"
            )
        missing = [
            f"{file} is not there"
            for file in (self.cert_file, self.key_file)
            if file is not None and not file.is_file()
        ]
        if missing:
            raise ValueError("; ".join(missing))
        return self

    def known_as(self) -> tuple[str, ...]:
        """The names that it may be called by; none for any."""
        if self.names or self.host not in LOOPBACK:
            return self.names
        return LOOPBACK


class ReportSettings(Table):
    """A district's report, written each week or month by the gateway that runs."""

    region: str = Field(
        default="",
        pattern=r"^([1-9]\d(\d\d){0,2})?$",
        description="district, a beginning of a GB/T 2260 code; default: all",
    )
    period: Literal["week", "month"] = Field(default="month", description="how often")
    folder: Path = Field(default=Path("reports"), description="where the files go")
    language: Literal["zh", "en"] = Field(default="zh", description="language of the report")
    form: Literal["pdf", "html"] = Field(default="pdf", description="form of the file")
    after_hours: float = Field(
        default=6.0,
        ge=0,
        le=240,
        description="hours after the end of the period, for data that come late",
    )
