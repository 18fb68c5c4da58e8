"""The signature of an OCMF record: keys, algorithms, and the verdict."""

import base64
import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from gateway.decode.document import Context
from gateway.decode.ocmf import compile_ocmf
from gateway.errors import DecodeError
from gateway.profiles.formats import Ocmf
from tests.decode.ocmf_verdicts import ORDER_256, parse, registered, signer, verdict
from tests.ocmf_records import ALGORITHMS, DEFAULT, Signer, joined, pair, payload, reading

# -- the signature -----------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_each_algorithm_of_the_standard(algorithm):
    meter, other = Signer(algorithm), Signer(algorithm)
    record = meter.record(payload())
    assert verdict(record, registered(meter.der.hex())) == "valid"
    assert verdict(record, registered(other.der.hex())) == "invalid"
    assert verdict(record.replace(b"1262.75", b"1262.74"), registered(meter.der.hex())) == "invalid"


def spaced(data: bytes) -> str:
    return " ".join(data[i : i + 2].hex().upper() for i in range(0, len(data), 2))


def pem(meter: Signer) -> str:
    return (
        "-----BEGIN PUBLIC KEY-----\n"
        f"{base64.encodebytes(meter.der).decode()}-----END PUBLIC KEY-----\n"
    )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_keys_in_each_way_they_are_handed_on(algorithm):
    meter = Signer(algorithm)
    record = meter.record(payload())
    der, point = meter.der, meter.point()
    oca = f"oca:base16:asn1:{der.hex()}"
    for text in (
        der.hex(), der.hex().upper(), spaced(der), base64.b64encode(der).decode(),
        base64.urlsafe_b64encode(der).decode().rstrip("="), pem(meter),
        point.hex(), point[1:].hex(), meter.point("compressed").hex(),
        base64.b64encode(point).decode(), oca, base64.b64encode(oca.encode()).decode(),
        base64.b64encode(der.hex().encode()).decode(),
        base64.b64encode(pem(meter).encode()).decode(),
        f"oca:base64:asn1:{base64.b64encode(der).decode()}",
    ):  # fmt: skip
        assert verdict(record, registered(text)) == "valid", text


def test_a_signature_in_base64():
    data = payload()
    signature = base64.b64encode(signer.sign(data)).decode()
    assert verdict(joined(data, {"SD": signature, "SE": "base64"})) == "valid"
    assert verdict(joined(data, {"SD": signature})) == "invalid"


def test_the_payload_written_again_is_another():
    data = json.dumps(json.loads(payload()), indent=2).encode()
    record = signer.record(data)
    assert verdict(record) == "valid"
    section = json.loads(record.split(b"|")[2])
    for other in (
        json.dumps(json.loads(data)).encode(),
        json.dumps(json.loads(data), separators=(",", ":")).encode(),
        data.replace(b"1262.75", b"1262.750"),
        data.replace(b'"kWh"', b'"k\\u0057h"', 1),
        data + b" ",
        data + b"\n",
        b"\n" + data,
    ):
        assert verdict(joined(other, section)) == "invalid"


def test_every_bit_of_the_payload_counts():
    record = signer.record(payload(reading()))
    end = record.rindex(b"|")
    judged = 0
    for i in range(5, end):
        changed = record[:i] + bytes([record[i] ^ 0x01]) + record[i + 1 :]
        try:
            assert verdict(changed) == "invalid"
            judged += 1
        except DecodeError:
            continue  # no longer a record
    assert judged > 100


def test_a_signature_of_another_record():
    other = signer.record(payload(PG="T18"))
    section = json.loads(other.split(b"|")[2])
    assert verdict(joined(payload(PG="T18"), section)) == "valid"
    assert verdict(joined(payload(), section)) == "invalid"


def test_what_is_no_pair_of_numbers():
    data = payload()
    der = signer.sign(data)
    r, s = decode_dss_signature(der)
    side_by_side = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    for sd in (
        der[:-1].hex(), der[:-9].hex(), der[:2].hex(), (der + b"\x00").hex(), side_by_side.hex(),
        "30", "zz", "3", " ".join(der.hex()),
        # The length in more bytes than need be: BER, not DER.
        (b"\x30\x81" + der[1:]).hex(),
    ):  # fmt: skip
        document = parse(joined(data, {"SD": sd}), registered(signer.der.hex()))
        assert document["signature"]["verdict"] == "invalid", sd
        assert "SD" in document["signature"]["reason"]
    for sd in ("", 17, None, [der.hex()], "00" * 3000):
        assert verdict(joined(data, {"SD": sd})) == "invalid"


@pytest.mark.parametrize("algorithm", [DEFAULT, "ECDSA-secp192k1-SHA256"])
def test_numbers_out_of_their_range(algorithm):
    meter, data = Signer(algorithm), payload()
    r, s = decode_dss_signature(meter.sign(data))
    order = (
        ORDER_256 if algorithm == DEFAULT else 0xFFFFFFFFFFFFFFFFFFFFFFFE26F2FC170F69466A74DEFD8D
    )
    for sd in (
        pair(0, s), pair(r, 0), pair(0, 0), pair(1, 1), pair(-r, s), pair(r, -s),
        pair(r + order, s), pair(r, s + order), pair(order, s), pair(r, order), pair(1 << 2000, s),
    ):  # fmt: skip
        record = joined(data, {"SD": sd, "SA": algorithm})
        assert verdict(record, registered(meter.der.hex())) == "invalid"
    # Its mirror image is a signature of the same bytes: ECDSA knows no difference.
    mirrored = joined(data, {"SD": pair(r, order - s), "SA": algorithm})
    assert verdict(mirrored, registered(meter.der.hex())) == "valid"


def test_a_key_of_another_curve_than_the_record_says():
    koblitz = Signer("ECDSA-secp256k1-SHA256")
    data = payload()
    record = joined(data, {"SD": koblitz.sign(data).hex()})
    assert verdict(record, registered(koblitz.der.hex())) == "invalid"
    assert verdict(joined(data, {"SD": koblitz.sign(data).hex(), "SA": DEFAULT})) == "invalid"
    document = parse(record, registered(koblitz.der.hex()))
    assert document["signature"]["reason"] == (
        "the key is one of secp256k1, the algorithm is of secp256r1"
    )


def test_algorithms_and_keys_that_cannot_be_judged():
    data = payload()
    sd = signer.sign(data).hex()
    for section in (
        {"SD": sd, "SA": "RSA-2048-SHA256"},
        {"SD": sd, "SA": 7},
        {"SD": sd, "SA": "ecdsa-secp256r1-sha256"},
        {"SD": sd, "SM": "application/pkcs7"},
        {"SD": sd, "SM": {}},
        {"SD": sd, "SE": "base58"},
    ):
        assert verdict(joined(data, section)) == "unverifiable", section
    private = rsa.generate_private_key(65537, 2048)
    der = private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    point = signer.point()
    off_curve = point[:-1] + bytes([point[-1] ^ 1])
    for key in (
        der.hex(), "no key", "", "ab", off_curve.hex(), signer.der[:-1].hex(), "00" * 65,
        "30" * 3000, 17, ["a"], (signer.der + b"\x00").hex(), "-----BEGIN PUBLIC KEY-----",
        "3046301006072a8648ce3d020106052b8104001f033200" + "04" * 49,
        "3046301006072a8648ce3d020106052b8104001f033200" + "04" * 48,
    ):  # fmt: skip
        document = parse(joined(data, {"SD": sd}), registered(key))
        assert document["signature"]["verdict"] == "unverifiable", key
        assert document["start"]["value"] == 1250.5


def test_no_key_at_all():
    document = parse(signer.record(payload()), Context())
    assert document["signature"] == {
        "verdict": "no_key",
        "algorithm": DEFAULT,
        "reason": "the registry has no parameter ocmf_public_key of this device",
    }


def test_keys_by_serial_number():
    record = signer.record(payload())
    keys = {"METER-0": Signer().der.hex(), "METER-1": signer.der.hex()}
    assert verdict(record, registered(keys)) == "valid"
    assert verdict(record, registered({"GW-1": signer.der.hex()})) == "valid"
    assert verdict(record, registered({"METER-2": signer.der.hex()})) == "no_key"
    # The meter's own key comes before that of the gateway.
    assert verdict(record, registered({"GW-1": signer.der.hex()} | {"METER-1": "x"})) != "valid"


def test_no_device_passes_on_the_records_of_another():
    record = signer.record(payload())
    assert verdict(record, registered(signer.der.hex(), "METER-1", topic=None)) == "valid"
    assert verdict(record, registered(signer.der.hex(), "METER-1", topic="CP-2")) == "no_key"


def test_profiles_of_one_topic_share_the_document_of_a_message_and_of_no_other():
    other = compile_ocmf(Ocmf(format="ocmf"))
    record = signer.record(payload())
    context = registered(signer.der.hex())
    context.offset = 7
    again = Context(devices=context.devices, levels=dict(context.levels), offset=7)
    assert parse(record, context) is other(record, again)
    # Another registry, another device or another message: judged anew, of the same bytes.
    assert verdict(record, registered(Signer().der.hex())) == "invalid"
    stranger = Context(devices=context.devices, levels={"device_id": "CP-2"}, offset=7)
    assert verdict(record, stranger) == "no_key"
    later = Context(devices=context.devices, levels=context.levels, offset=8)
    assert parse(record, later) is not parse(record, context)
    optional = compile_ocmf(Ocmf(format="ocmf", meter_serial="optional"))
    assert optional(record, later) is not parse(record, later)


def test_a_key_in_the_envelope_is_its_own_witness():
    enveloped = compile_ocmf(Ocmf(format="ocmf", public_key="meter.publicKey"))
    record = signer.record(payload())
    envelope = {"meter": {"publicKey": signer.der.hex()}}
    context = Context(envelope=envelope, levels={"device_id": "CP-1"})
    assert enveloped(record, context)["signature"] == {
        "verdict": "valid", "algorithm": DEFAULT, "key": "message", "self_attested": True,
    }  # fmt: skip
    known = registered(Signer().der.hex())
    known.envelope = envelope
    assert enveloped(record, known)["signature"]["verdict"] == "invalid"  # the registry wins
    for nothing in (None, {}, {"meter": [1]}, {"meter": {"publicKey": 5}}):
        context.envelope = nothing
        assert enveloped(record, context)["signature"]["verdict"] == "no_key"
