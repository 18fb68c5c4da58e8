"""OCMF records made for tests, written from the specification and signed with keys made here."""

import hashlib
import json

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from ecdsa import SigningKey
from ecdsa.util import sigencode_der

from gateway.decode.ocmf_signature import _koblitz

ALGORITHMS = {
    "ECDSA-secp192k1-SHA256": None,
    "ECDSA-secp256k1-SHA256": ec.SECP256K1(),
    "ECDSA-secp192r1-SHA256": ec.SECP192R1(),
    "ECDSA-secp256r1-SHA256": ec.SECP256R1(),
    "ECDSA-brainpool256r1-SHA256": ec.BrainpoolP256R1(),
    "ECDSA-secp384r1-SHA256": ec.SECP384R1(),
    "ECDSA-brainpool384r1-SHA256": ec.BrainpoolP384R1(),
}
DEFAULT = "ECDSA-secp256r1-SHA256"


class Signer:
    """A meter with a key pair of its own."""

    def __init__(self, algorithm: str = DEFAULT) -> None:
        self.algorithm = algorithm
        curve = ALGORITHMS[algorithm]
        self.key = (
            SigningKey.generate(_koblitz()) if curve is None else ec.generate_private_key(curve)
        )

    def sign(self, data: bytes) -> bytes:
        if isinstance(self.key, SigningKey):
            return self.key.sign(data, hashfunc=hashlib.sha256, sigencode=sigencode_der)
        return self.key.sign(data, ec.ECDSA(hashes.SHA256()))

    @property
    def der(self) -> bytes:
        """SubjectPublicKeyInfo."""
        if isinstance(self.key, SigningKey):
            return self.key.verifying_key.to_der()
        return self.key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def point(self, form: str = "uncompressed") -> bytes:
        """The bare point of SEC 1."""
        if isinstance(self.key, SigningKey):
            return self.key.verifying_key.to_string(form)
        wanted = {
            "uncompressed": serialization.PublicFormat.UncompressedPoint,
            "compressed": serialization.PublicFormat.CompressedPoint,
        }[form]
        return self.key.public_key().public_bytes(serialization.Encoding.X962, wanted)

    def record(self, payload: bytes, **section: str) -> bytes:
        """A whole record; further fields of the signature section by keyword."""
        said = {"SD": self.sign(payload).hex()}
        if self.algorithm != DEFAULT:
            said["SA"] = self.algorithm
        return joined(payload, said | section)


def joined(payload: bytes, section: dict) -> bytes:
    return b"OCMF|" + payload + b"|" + json.dumps(section).encode()


def reading(**fields) -> dict:
    """A reading as of table 7; a field that is None is left out."""
    said = {
        "TM": "2026-03-02T08:00:00,000+0100 S", "TX": "B", "RV": 1250.5, "RI": "1-b:1.8.0",
        "RU": "kWh", "RT": "AC", "EF": "", "ST": "G",
    } | fields  # fmt: skip
    return {key: value for key, value in said.items() if value is not None}


END = {"TM": "2026-03-02T09:30:00,000+0100 R", "TX": "E", "RV": 1262.75}


def payload(*readings: dict, **fields) -> bytes:
    """A payload section; a field that is None is left out."""
    said = {
        "FV": "1.2", "GI": "ACME CU-7", "GS": "GW-1", "GV": "2.1", "PG": "T17", "MV": "ACME",
        "MM": "EM-3", "MS": "METER-1", "MF": "1.0", "IS": True, "IL": "VERIFIED", "IF": [],
        "IT": "ISO14443", "ID": "0123456789ABCD", "CT": "EVSEID", "CI": "DE*ACM*E1",
    } | fields  # fmt: skip
    said["RD"] = list(readings) or [reading(), reading(**END)]
    return json.dumps({key: value for key, value in said.items() if value is not None}).encode()


def pair(r: int, s: int) -> str:
    """SD of a pair of numbers, negative ones too: DER (X.690)."""

    def tagged(tag: int, body: bytes) -> bytes:
        size = len(body)
        length = bytes([size]) if size < 128 else b"\x82" + size.to_bytes(2, "big")
        return bytes([tag]) + length + body

    def integer(number: int) -> bytes:
        size = (number if number >= 0 else ~number).bit_length() // 8 + 1
        return tagged(0x02, number.to_bytes(size, "big", signed=True))

    return tagged(0x30, integer(r) + integer(s)).hex()
