"""A provider of OpenID Connect on this machine: discovery, keys, authorization, tokens."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from joserfc import jwk, jwt

CLIENT = "gateway"
SECRET = "a secret between the two"


class LocalProvider:
    """Logs everybody in as `name` without asking; says what `claims` and `header` change.

    Attributes:
        name: who logs in.
        claims: over those of an honest token.
        key: that signs; `published` are the keys it says it has.
        algorithm: of the signature.
        issuer: as it says it.
        down: whether it answers at all.
    """

    def __init__(self) -> None:
        self._codes: dict[str, dict[str, str]] = {}
        self._server = HTTPServer(("127.0.0.1", 0), self._handler())
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.be_honest()
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def be_honest(self) -> None:
        self.name = "zhang"
        self.claims: dict[str, Any] = {}
        self.key: Any = jwk.ECKey.generate_key("P-256", {"kid": "one"})
        self.published = [self.key]
        self.algorithm = "ES256"
        self.issuer = self.address
        self.down = False

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def authorize(self, url: str) -> dict[str, str]:
        """What a browser brings back that was sent to `url`."""
        asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))
        assert asked["client_id"] == CLIENT
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        code = f"code-{secrets.token_hex(8)}"
        self._codes[code] = asked
        return {"code": code, "state": asked["state"]}

    def _token(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        expected = base64.b64encode(f"{CLIENT}:{urllib.parse.quote_plus(SECRET)}".encode())
        plain = base64.b64encode(f"{CLIENT}:{SECRET}".encode())
        if authorization.removeprefix("Basic ").encode() not in {expected, plain}:
            return 401, {"error": "invalid_client"}
        asked = self._codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if asked is None or asked["code_challenge"] != challenge:
            return 400, {"error": "invalid_grant"}
        if form.get("redirect_uri") != asked["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {
            "iss": self.address, "aud": CLIENT, "sub": "1", "iat": now, "exp": now + 60,
            "nonce": asked["nonce"], "preferred_username": self.name,
        } | self.claims  # fmt: skip
        claims = {key: value for key, value in claims.items() if value is not None}
        header = {"alg": self.algorithm, "kid": "one"}
        token = jwt.encode(header, claims, self.key, algorithms=[self.algorithm])
        return 200, {"access_token": "x", "token_type": "Bearer", "id_token": token}

    def _document(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.address}/authorize",
            "token_endpoint": f"{self.address}/token",
            "jwks_uri": f"{self.address}/keys",
        }

    def _handler(provider) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - the handler's own is self
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                keys = {"keys": [key.as_dict(private=False) for key in provider.published]}
                told = {"/.well-known/openid-configuration": provider._document(), "/keys": keys}
                self._say(200 if self.path in told else 404, told.get(self.path, {}))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                form = dict(urllib.parse.parse_qsl(body))
                self._say(*provider._token(form, self.headers.get("Authorization", "")))

            def _say(self, status: int, told: dict[str, Any]) -> None:
                if provider.down:
                    status, told = 500, {}
                content = json.dumps(told).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_parts: object) -> None:
                pass

        return Handler
