"""Signatures against pycose 1.1, which needs a cbor2 of its own and so runs in an environment of its own."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dunlin_contract import cose, keys
from dunlin_contract.cose import Role
from dunlin_contract.errors import ContractError

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".tools" / "pycose" / "bin" / "python"
CAP = 4096


def oracle(*tasks: dict[str, Any]) -> list[Any]:
    assert PYTHON.exists(), f"{PYTHON} is missing: run `make setup-dev`, which makes pycose's own environment"
    run = subprocess.run(
        [PYTHON, "-I", Path(__file__).with_name("pycose_oracle.py")],
        input=json.dumps(tasks),
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    answers: list[Any] = json.loads(run.stdout)
    return answers


def named(*private: keys.PrivateKey) -> dict[str, dict[str, str]]:
    """Coordinates by key id, as the oracle takes them."""
    result = {}
    for key in private:
        numbers = key.private_numbers()
        public = numbers.public_numbers
        values = {"x": public.x, "y": public.y, "d": numbers.private_value}
        result[keys.kid(keys.spki(key)).hex()] = {name: one.to_bytes(32, "big").hex() for name, one in values.items()}
    return result


def signers(*private: keys.PrivateKey) -> dict[bytes, bytes]:
    return {keys.kid(keys.spki(key)): keys.spki(key) for key in private}


SINGLE = (Role.DIRECTIVE, Role.ACK, Role.ENROL, Role.RENEW, Role.RECEIPT, Role.REPORTED, Role.EVENT)
SEVERAL = (Role.ROOT, Role.RELEASE, Role.WIPE, Role.CAPTURE)


def test_every_role_is_tried() -> None:
    assert {*SINGLE, *SEVERAL} == set(Role)


def test_pycose_verifies_what_we_sign() -> None:
    one, two = keys.generate(), keys.generate()
    tasks = [
        {"do": "verify", "envelope": cose.sign1(b"payload", one, role).hex(), "role": role, "keys": named(one)}
        for role in SINGLE
    ] + [
        {
            "do": "verify",
            "envelope": cose.sign(b"payload", [one, two], role).hex(),
            "role": role,
            "keys": named(one, two),
        }
        for role in SEVERAL
    ]
    wrong = {**tasks[0], "role": Role.ACK}
    *answers, refused = oracle(*tasks, wrong)
    assert [answer["payload"] for answer in answers] == [b"payload".hex()] * len(tasks)
    assert [answer["kind"] for answer in answers] == ["Sign1Message"] * len(SINGLE) + ["SignMessage"] * len(SEVERAL)
    assert [answer["verdicts"] for answer in answers] == [[True]] * len(SINGLE) + [[True, True]] * len(SEVERAL)
    assert refused["verdicts"] == [False]


def test_we_verify_what_pycose_signs() -> None:
    one, two = keys.generate(), keys.generate()
    tasks = [
        {"do": "sign", "kind": "Sign1Message", "payload": b"payload".hex(), "role": role, "keys": named(one)}
        for role in SINGLE
    ] + [
        {"do": "sign", "kind": "SignMessage", "payload": b"payload".hex(), "role": role, "keys": named(one, two)}
        for role in SEVERAL
    ]
    envelopes = [bytes.fromhex(answer["envelope"]) for answer in oracle(*tasks)]
    for role, envelope in zip(SINGLE, envelopes, strict=False):
        assert cose.verify1(envelope, role, signers(one), CAP) == b"payload"
        with pytest.raises(ContractError) as refused:
            cose.verify1(envelope, Role.ENROL if role != Role.ENROL else Role.RENEW, signers(one), CAP)
        assert refused.value.rule == "signature"
    for role, envelope in zip(SEVERAL, envelopes[len(SINGLE) :], strict=True):
        assert cose.verify(envelope, role, signers(one, two), 2, CAP) == b"payload"
        with pytest.raises(ContractError) as refused:
            cose.verify(envelope, role, signers(one), 2, CAP)
        assert refused.value.rule == "threshold"
