"""Signs and verifies with pycose, in an environment of its own: JSON in, JSON out, byte strings as hex.

It knows nothing of Dunlin: key coordinates, role and messages come in, verdicts and messages go out.
"""

import json
import sys

from pycose.algorithms import CoseAlgorithm, Es256
from pycose.headers import KID, Algorithm, ContentType
from pycose.keys import EC2Key
from pycose.messages import CoseMessage, Sign1Message, SignMessage
from pycose.messages.signer import CoseSignature


@CoseAlgorithm.register_attribute()
class Esp256(Es256):
    """RFC 9864's fully specified ECDSA with P-256 and SHA-256, which pycose 1.1 does not have yet."""

    identifier = -9
    fullname = "ESP256"


def _key(fields):
    coordinates = {name: bytes.fromhex(fields[name]) for name in ("x", "y", "d") if name in fields}
    return EC2Key(crv="P_256", **{"d": b"", **coordinates})


def _verify(task):
    message = CoseMessage.decode(bytes.fromhex(task["envelope"]))
    role = task["role"].encode()
    keys = {bytes.fromhex(kid): _key(fields) for kid, fields in task["keys"].items()}
    parts = message.signers if isinstance(message, SignMessage) else [message]
    verdicts = []
    for part in parts:
        assert part.phdr[Algorithm] is Esp256
        part.external_aad = role
        part.key = keys[part.phdr[KID]]
        verdicts.append(bool(part.verify_signature()))
    return {"kind": type(message).__name__, "payload": message.payload.hex(), "verdicts": verdicts}


def _sign(task):
    payload, role = bytes.fromhex(task["payload"]), task["role"].encode()
    signers = [(bytes.fromhex(kid), _key(fields)) for kid, fields in task["keys"].items()]
    if task["kind"] == "Sign1Message":
        ((kid, key),) = signers
        message = Sign1Message(phdr={Algorithm: Esp256, KID: kid}, payload=payload, external_aad=role, key=key)
        return {"envelope": message.encode().hex()}
    parts = []
    for kid, key in signers:
        part = CoseSignature(phdr={Algorithm: Esp256, KID: kid}, external_aad=role, key=key)
        parts.append(part)
    message = SignMessage(phdr={ContentType: "application/dnb+cbor"}, payload=payload, signers=parts)
    return {"envelope": message.encode().hex()}


if __name__ == "__main__":
    json.dump([{"verify": _verify, "sign": _sign}[task["do"]](task) for task in json.load(sys.stdin)], sys.stdout)
