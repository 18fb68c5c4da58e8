"""Signatures of OCMF records: ECDSA over the payload's bytes as they were received.

OCMF names seven algorithms (table 22), all with SHA-256.  Six of their curves are OpenSSL's and
verified by `cryptography`.  secp192k1 is not among its curves; `ecdsa` (MIT, pure Python) verifies
it, about 1.5 ms a record.  That library is not hardened against timing, which only a secret could
suffer from: here are public keys, signatures and messages.

A verdict is one of

* ``valid``: the signature fits the bytes and the key;
* ``invalid``: it does not, or is none (no DER, no hexadecimal text, a key of another curve);
* ``unverifiable``: no verdict is possible (an algorithm that OCMF does not name, a key that cannot
  be read);
* ``no_key``: neither the registry nor the message has a key.

``self_attested`` is true where the key came with the message: the record is unchanged since it was
signed with that key, but nobody outside the message says whose key it is.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key

from gateway.decode.document import Context, Document

PARAMETER: Final = "ocmf_public_key"
"""The registry's parameter: one key as text, or keys by the serial number of meter or gateway."""

DEFAULT_ALGORITHM: Final = "ECDSA-secp256r1-SHA256"
"""What a record without SA is signed with (OCMF table 22)."""

MAX_KEY: Final = 4096
MAX_SIGNATURE: Final = 4096

_KOBLITZ_192: Final = "secp192k1"
_CURVES: Final[dict[str, type[ec.EllipticCurve]]] = {
    "secp256r1": ec.SECP256R1,
    "secp256k1": ec.SECP256K1,
    "secp192r1": ec.SECP192R1,
    "secp384r1": ec.SECP384R1,
    "brainpoolP256r1": ec.BrainpoolP256R1,
    "brainpoolP384r1": ec.BrainpoolP384R1,
}
_ALGORITHMS: Final = {
    "ECDSA-secp192k1-SHA256": _KOBLITZ_192,
    "ECDSA-secp256k1-SHA256": "secp256k1",
    "ECDSA-secp192r1-SHA256": "secp192r1",
    "ECDSA-secp256r1-SHA256": "secp256r1",
    "ECDSA-brainpool256r1-SHA256": "brainpoolP256r1",
    "ECDSA-secp384r1-SHA256": "secp384r1",
    "ECDSA-brainpool384r1-SHA256": "brainpoolP384r1",
}
"""Table 22 of OCMF: the algorithm's name, and its curve by the name of `cryptography`."""

_COORDINATE: Final = {
    name: 48 if "384" in name else 24 if "192" in name else 32
    for name in (*_CURVES, _KOBLITZ_192)
}  # fmt: skip
"""Bytes of one coordinate of a point."""

# SubjectPublicKeyInfo (RFC 5480) of a key of secp192k1 (1.3.132.0.31) up to its point: the only one
# whose wrapping `cryptography` does not open.
_SPKI_192K1: Final = {
    bytes.fromhex("3046301006072a8648ce3d020106052b8104001f033200"): 49,
    bytes.fromhex("302e301006072a8648ce3d020106052b8104001f031a00"): 25,
}

_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2})+", re.ASCII)
_BLANKS: Final = re.compile(r"[\s:]+")
_TEXT: Final = re.compile(rb"[ -~\r\n]+")
_PEM: Final = re.compile(r"-----BEGIN PUBLIC KEY-----([^-]*)-----END PUBLIC KEY-----\s*")
_OCA: Final = re.compile(r"oca:(base16|base64):(asn1|raw):(.*)", re.DOTALL)


class Key(NamedTuple):
    """A public key that can be used: its curve, and what verifies with it."""

    curve: str
    verifier: Any


class UnreadableKey(ValueError):
    """A text that is no public key of one of OCMF's curves; the message says why."""


# -- one record --------------------------------------------------------------------------------


def judge(
    payload: bytes, section: Document, serials: tuple[str, ...], offered: str, context: Context
) -> Document:
    """What is to be thought of a record's signature.

    Args:
        payload: the bytes between the bars, exactly as received.
        section: the signature section.
        serials: serial numbers of meter and gateway, as the record says them.
        offered: the key that came with the message, or an empty text; the registry's comes first.
        context: for the registry.

    Returns:
        ``verdict``, ``algorithm``, and as far as they apply ``reason``, ``key`` (``registry`` or
        ``message``) and ``self_attested``.  See the module.
    """
    told = section.get("SA")
    algorithm = DEFAULT_ALGORITHM if told is None else str(told)[:80]
    found: Document = {"algorithm": algorithm}
    try:
        curve = _curve(algorithm, section.get("SM"))
        signature = _signature(section)
        text, found["key"] = _key_text(serials, offered, context)
        if found["key"] == "message":
            found["self_attested"] = True
        _compare(text, curve, signature, payload)
    except _Doubt as doubt:
        return found | {"verdict": doubt.verdict, "reason": doubt.reason}
    return found | {"verdict": "valid"}


class _Doubt(Exception):
    """Why a signature is not valid."""

    def __init__(self, verdict: str, reason: str) -> None:
        super().__init__(reason)
        self.verdict = verdict
        self.reason = reason


def _curve(algorithm: str, mime: object) -> str:
    """The curve of an algorithm; others than those of OCMF cannot be judged."""
    if mime not in (None, "application/x-der"):
        raise _Doubt("unverifiable", f"SM {str(mime)[:80]!r} is none that OCMF names (table 8)")
    if algorithm not in _ALGORITHMS:
        raise _Doubt("unverifiable", f"SA {algorithm!r} is none that OCMF names (table 22)")
    return _ALGORITHMS[algorithm]


def _signature(section: Document) -> bytes:
    """The signature's DER bytes (OCMF table 8)."""
    text, encoding = section.get("SD"), section.get("SE")
    if not isinstance(text, str) or not 0 < len(text) <= MAX_SIGNATURE:
        raise _Doubt("invalid", f"SD is no text of 1 to {MAX_SIGNATURE} signs")
    if encoding in (None, "hex"):
        if _HEX.fullmatch(text) is None:
            raise _Doubt("invalid", "SD is no hexadecimal text")
        raw = bytes.fromhex(text)
    elif encoding == "base64":
        try:
            raw = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise _Doubt("invalid", "SD is no base64 text") from None
    else:
        raise _Doubt("unverifiable", f"SE {str(encoding)[:80]!r} is neither hex nor base64")
    try:
        decode_dss_signature(raw)
    except ValueError:
        raise _Doubt(
            "invalid",
            f"SD of {len(raw)} bytes is no DER sequence of r and s (table 8, SM): cut off, or the "
            "two side by side",
        ) from None
    return raw


def _key_text(serials: tuple[str, ...], offered: str, context: Context) -> tuple[str, str]:
    """The key's text, and where it came from: ``registry`` or ``message``.

    A topic that names a device is bound to it: a key that another device has, whose serial number
    the record says, would let any device pass on the other's records as its own.
    """
    device_id = context.levels.get("device_id")
    for name in (device_id,) if device_id else serials:
        device = context.device(name)
        if device is not None and PARAMETER in device.parameters:
            text = device.parameters[PARAMETER]
            if isinstance(text, dict):
                text = next((text[serial] for serial in serials if serial in text), None)
                if text is None:
                    raise _Doubt("no_key", f"{PARAMETER} of {name} has no key of this meter")
            if not isinstance(text, str):
                raise _Doubt("unverifiable", f"{PARAMETER} of {name} is no text")
            return text, "registry"
    if not offered:
        raise _Doubt("no_key", f"the registry has no parameter {PARAMETER} of this device")
    return offered, "message"


def _compare(text: str, curve: str, signature: bytes, payload: bytes) -> None:
    try:
        key = load_key(text, curve)
    except UnreadableKey as error:
        raise _Doubt("unverifiable", f"the public key cannot be used: {error}") from None
    if key.curve != curve:
        raise _Doubt("invalid", f"the key is one of {key.curve}, the algorithm is of {curve}")
    if not _fits(text, curve, signature, payload):
        raise _Doubt("invalid", "the signature does not fit the payload and the key")


# -- keys --------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def load_key(text: str, curve: str) -> Key:
    """A public key from the ways in which keys are handed on.

    Args:
        text: SubjectPublicKeyInfo (RFC 5480) or a point of SEC 1 (uncompressed, compressed, or its
            coordinates side by side), in hexadecimal, base64 or PEM, or as OCPP messages have it
            (base64 of ``oca:base16:asn1:...`` or of the key).
        curve: for points, which do not say theirs.

    Raises:
        UnreadableKey: it is none.
    """
    if len(text) > MAX_KEY:
        raise UnreadableKey(f"longer than {MAX_KEY} signs")
    raw = _key_bytes(text, 3)
    prefix = next((p for p, size in _SPKI_192K1.items() if raw.startswith(p)), None)
    if prefix is not None:
        point = raw[len(prefix) :]
        if len(point) != _SPKI_192K1[prefix]:
            raise UnreadableKey(f"a point of {len(point)} bytes, too many or too few")
        return Key(_KOBLITZ_192, _koblitz_key(point))
    if raw[:1] == b"\x30" and raw[1:2] == bytes([len(raw) - 2 & 0xFF]):
        try:
            return _wrapped_key(raw)
        except UnreadableKey:
            if len(raw) != 2 * _COORDINATE[curve]:
                raise
    return _point(raw, curve)


def _key_bytes(text: str, rounds: int) -> bytes:
    """The key's bytes: one layer of text after another is taken off."""
    oca = _OCA.fullmatch(text.strip())
    if oca is not None:
        text = oca[3]
    pem = _PEM.fullmatch(text.strip())
    if pem is not None:
        text = pem[1]
    plain = _BLANKS.sub("", text)
    if _HEX.fullmatch(plain) is not None:
        return bytes.fromhex(plain)
    try:
        raw = base64.b64decode(
            plain.replace("-", "+").replace("_", "/") + "=" * (-len(plain) % 4), validate=True
        )
    except (binascii.Error, ValueError):
        raise UnreadableKey("neither hexadecimal nor base64 text") from None
    # Base64 of a text is what OCPP's field publicKey has.
    if rounds and _TEXT.fullmatch(raw) is not None:
        return _key_bytes(raw.decode("ascii"), rounds - 1)
    return raw


def _wrapped_key(raw: bytes) -> Key:
    try:
        key = load_der_public_key(raw)
    except (ValueError, UnsupportedAlgorithm):
        raise UnreadableKey("no SubjectPublicKeyInfo of a curve that OCMF names") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _CURVES:
        raise UnreadableKey("a key of another sort than OCMF's elliptic curves")
    return Key(key.curve.name, key)


def _point(raw: bytes, curve: str) -> Key:
    if len(raw) == 2 * _COORDINATE[curve]:
        raw = b"\x04" + raw
    if curve == _KOBLITZ_192:
        return Key(curve, _koblitz_key(raw))
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[curve](), raw)
    except ValueError:
        raise UnreadableKey(f"{len(raw)} bytes that are no point of {curve}") from None
    return Key(curve, key)


@cache
def _koblitz() -> Any:  # noqa: ANN401 - the library has no types
    """The curve secp192k1 by SEC 2, chapter 2.2.1."""
    from ecdsa import curves, ellipticcurve  # noqa: PLC0415 - no record needs it but of this curve

    field = ellipticcurve.CurveFp(0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEFFFFEE37, 0, 3, 1)
    generator = ellipticcurve.PointJacobi(
        field,
        0xDB4FF10EC057E9AE26B07D0280B7F4341DA5D1B1EAE06C7D,
        0x9B2F2F6D9C5628A7844163D015BE86344082AA88D95E2F9D,
        1,
        0xFFFFFFFFFFFFFFFFFFFFFFFE26F2FC170F69466A74DEFD8D,
        generator=True,
    )
    return curves.Curve("SECP192k1", field, generator, (1, 3, 132, 0, 31))


def _koblitz_key(point: bytes) -> Any:  # noqa: ANN401 - the library has no types
    from ecdsa import VerifyingKey, errors  # noqa: PLC0415 - see _koblitz

    try:
        return VerifyingKey.from_string(
            point, _koblitz(), hashlib.sha256, valid_encodings=("uncompressed", "compressed")
        )
    except (errors.MalformedPointError, ValueError):
        raise UnreadableKey(f"{len(point)} bytes that are no point of {_KOBLITZ_192}") from None


# -- verification ------------------------------------------------------------------------------

_SHA256: Final = ec.ECDSA(hashes.SHA256())


@lru_cache(maxsize=16)
def _fits(text: str, curve: str, signature: bytes, payload: bytes) -> bool:
    """As `verify`, remembered: profiles that share a topic ask for the same record in turn."""
    return verify(load_key(text, curve), signature, payload)


def verify(key: Key, signature: bytes, payload: bytes) -> bool:
    """Whether a DER signature is this key's over these bytes."""
    if key.curve != _KOBLITZ_192:
        try:
            key.verifier.verify(signature, payload, _SHA256)
        except InvalidSignature:
            return False
        return True
    from ecdsa import BadSignatureError  # noqa: PLC0415 - see _koblitz
    from ecdsa.util import sigdecode_strings  # noqa: PLC0415 - see _koblitz

    r, s = decode_dss_signature(signature)
    try:
        pair = [number.to_bytes(24, "big") for number in (r, s)]
    except OverflowError:  # negative, or beyond the curve's order
        return False
    try:
        return bool(key.verifier.verify(pair, payload, sigdecode=sigdecode_strings))
    except BadSignatureError:
        return False
