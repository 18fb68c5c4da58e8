"""OCMF 1.2 (S.A.F.E. e.V., Open Charge Metering Format): a session as a signed record.

Signed with ECDSA over secp256r1 and SHA-256; the nonce is that of RFC 6979, so that the same seed
gives the same record.  The key is the charger's own, made of the run's seed; the registry knows the
public one.

The topic is a charging point's, so only connector 1 is sent: records of two under one name would
be two registers and overlapping charges.

What it can't carry: prices and amounts, other connectors, periodic readings, numbers of messages
(the page of a record counts records only).
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
from ecdsa import NIST256p, SigningKey
from ecdsa.util import sigencode_der

from simulators.protocols.packet import Encode, Packet

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simulators.instrument import Body, Setting

PROFILES: Final = {"ev_charger": "ocmf-record"}
CARRIES: Final = frozenset({"time", "signature"})

FORGED: Final = "forged_kwh"
"""Key of a session that is altered after it was signed: by so many kWh."""

CONNECTOR: Final = "1"


def _key(setting: Setting) -> SigningKey:
    secret = setting.random("ocmf key").randrange(1, NIST256p.order)
    return SigningKey.from_secret_exponent(secret, NIST256p, hashlib.sha256)


def parameters(setting: Setting) -> dict[str, Any]:
    """The public key, as subject public key info in hexadecimal."""
    return {"ocmf_public_key": _key(setting).verifying_key.to_der().hex()}


def encoder(kind: str, region: str, setting: Setting) -> Encode:
    """Records of one charger, one a session."""
    del kind, region
    topic = f"ocmf/{setting.device_id}/record"
    key, page = _key(setting), 0

    def encode(body: Body) -> Iterable[Packet]:
        nonlocal page
        if body["type"] != "session" or body["connector"] != CONNECTOR:
            return ()
        page += 1
        record = msgspec.json.encode(_record(body, setting, page))
        signature = key.sign_deterministic(record, hashlib.sha256, sigencode_der)
        if body.get(FORGED):
            # somebody wrote more into it on the way
            more = body | {"energy_end": round(body["energy_end"] + body[FORGED], 2)}
            record = msgspec.json.encode(_record(more, setting, page))
        signed = b'OCMF|%b|{"SD":"%b"}' % (record, signature.hex().encode())
        return (Packet(topic, signed),)

    return encode


def _record(body: Body, setting: Setting, page: int) -> dict[str, Any]:
    return {
        "FV": "1.2",
        "GI": "Simulated charger",
        "GS": setting.device_id,
        "GV": "1.0",
        "PG": f"T{page}",
        "MV": "Simulated",
        "MM": "EM-1",
        "MS": f"meter-{setting.device_id}-{body['connector']}",
        "MF": "1.0",
        "IS": False,
        "IF": [],
        "IT": "NONE",
        "ID": "",
        "CT": "EVSEID",
        "CI": f"{setting.device_id}-{body['connector']}",
        "RD": [
            _reading("B", body["started_at"], body["energy_start"]),
            _reading("E", body["ended_at"], body["energy_end"]),
        ],
    }


def _reading(sort: str, at: int, energy: float) -> dict[str, Any]:
    moment = datetime.fromtimestamp(at // 1000, UTC)
    return {
        "TM": f"{moment:%Y-%m-%dT%H:%M:%S},{at % 1000:03d}+0000 S",
        "TX": sort,
        "RV": energy,
        "RI": "1-b:1.8.0",
        "RU": "kWh",
        "RT": "AC",
        "EF": "",
        "ST": "G",
    }
