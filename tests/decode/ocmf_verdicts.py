"""The verdict on OCMF records, for the tests."""

import json

import pytest

from gateway.decode.document import Context
from gateway.decode.ocmf import compile_ocmf
from gateway.decode.ocmf_signature import PARAMETER
from gateway.errors import DecodeError
from gateway.profiles.formats import Ocmf
from gateway.records import Device
from tests.corpora import corpora
from tests.ocmf_records import Signer

FOLDER = corpora()
CASES = [
    json.loads(line)
    for line in (
        (FOLDER / "ocmf" / "cases.jsonl").read_text("utf-8").splitlines() if FOLDER else []
    )
]
ORDER_256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

parse = compile_ocmf(Ocmf(format="ocmf"))
signer = Signer()


def registered(key: object, device_id: str = "CP-1", topic: str | None = "CP-1") -> Context:
    """A context whose registry has this parameter, of a message on the topic of this device."""
    device = Device(device_id=device_id, parameters={PARAMETER: key})
    return Context(devices={device_id: device}, levels={"device_id": topic} if topic else {})


def verdict(record: bytes, context: Context | None = None) -> str:
    if context is None:
        context = registered(signer.der.hex())
    return parse(record, context)["signature"]["verdict"]


def refused(record: bytes) -> DecodeError:
    with pytest.raises(DecodeError) as error:
        parse(record, Context())
    return error.value
