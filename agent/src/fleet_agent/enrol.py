"""``fleet-agent enroll``: from a claim token to a certificate, trusting nothing but the root digest in the token.

The server's TLS certificate cannot be checked before the CA is known, so the first request is not verified by TLS but
by what it brings: a root whose digest the token pins, naming the CA that every later connection must come from. All
keys are made here and stay here.
"""

import ssl
import time
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from dunlin_contract import cose, envelopes, ids, keys
from dunlin_contract.cose import Role
from dunlin_contract.enrolment import ClaimToken, EnrolReply, EnrolRequest, Trust
from dunlin_contract.errors import ContractError
from dunlin_contract.root import Root
from fleet_agent import device, files, paths
from fleet_agent.errors import EnrolmentError, SetupError
from fleet_agent.https import ServerDownError, exchange
from fleet_agent.identity import Enrolment
from fleet_agent.paths import Paths
from fleet_agent.tls import server_context
from fleet_agent.unlocker.keystore import FileKeystore
from fleet_agent.unlocker.requests import check_chain

_DOWN_S = 5.0
_DOWN_TIMES = 3
_LONGEST_POLL_S = 60


def read_token(text: str) -> ClaimToken:
    """The token. Raises SetupError: it is damaged."""
    try:
        return ClaimToken.from_text(text)
    except ContractError as error:
        why = error.detail.partition(":")[0]
        raise SetupError(
            f"the claim token cannot be used ({why}): copy the whole of it, or ask an operator for a new one"
        ) from None


def fetch_trust(token: ClaimToken) -> tuple[Trust, Root]:
    """The pinned root and its CA.

    Raises:
        EnrolmentError: the server is not the one the token was made by, or cannot be reached.
    """
    blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    blind.check_hostname = False
    blind.verify_mode = ssl.CERT_NONE  # what comes is checked against the token below
    data = exchange(token.url, f"/device/v1/trust?root={token.root_digest.hex()}", None, blind, 0)
    try:
        trust = Trust.from_bytes(data)
        root = envelopes.open_first_root(trust.root, token.root_digest)
        public = x509.load_der_x509_certificate(trust.ca).public_key()
        named = isinstance(public, keys.PublicKey) and keys.spki(public) in root.signers("ca").values()
    except ContractError as error:
        raise EnrolmentError(f"{token.url} is not the server that made this token: {error.detail}") from None
    except ValueError:
        raise EnrolmentError(f"{token.url} sent a damaged CA certificate") from None
    if not named:
        raise EnrolmentError(f"{token.url} sent a CA that the fleet's root does not name")
    return trust, root


def enrol(base: Path, token: ClaimToken, name: str, say: Callable[[str], None]) -> Enrolment:
    """Enrol this device under ``name`` into the state folder ``base``, waiting while a person must approve it.

    An interrupted enrolment goes on with the keys it made. Nothing marks the device as enrolled before all of it is on
    the disk.

    Raises:
        SetupError, EnrolmentError, StorageError: one line that says what to do next.
    """
    where = Paths(base)
    if not ids.is_device(name):
        raise SetupError(f"{name[:40]!r} cannot name a device: use 1 to 36 of a-z, 0-9 and -, with --id")
    if where.enrolment.exists():
        raise SetupError(f"{base} holds an enrolled device already: use another --state-dir, or delete it first")
    if base.exists() and not base.is_dir():
        raise SetupError(f"{base} is no folder: choose another --state-dir")
    with files.disk_errors(f"the state folder {base}"):
        files.make_folder(base)
    held = paths.lock(where)
    trust, root = fetch_trust(token)
    identity, kem = FileKeystore(where).create()
    ca = x509.load_der_x509_certificate(trust.ca)
    ca_pem = ca.public_bytes(serialization.Encoding.PEM)
    request = EnrolRequest(
        device=name,
        token_id=token.token_id,
        secret=token.secret,
        spki=keys.spki(identity),
        kem=keys.spki(kem),
        description=device.describe(base),
    )
    envelope = cose.sign1(request.to_bytes(), identity, Role.ENROL)
    reply = _until_issued(token, envelope, server_context(ca_pem.decode("ascii")), root.issued, say)
    try:
        certified = check_chain(reply.chain, trust.ca, name, identity)
    except ContractError as error:
        raise EnrolmentError(f"the server issued a wrong certificate: {error.detail}") from None
    enrolment = Enrolment(
        device=name,
        url=token.url,
        broker_host=reply.broker_host,
        broker_port=reply.broker_port,
        certified=certified.begins,
        certificate_ends=certified.ends,
    )
    files.write_whole(where.root, trust.root)
    files.write_whole(where.ca, ca_pem)
    files.write_whole(where.certificate, certified.pem)
    files.write_whole(where.enrolment, enrolment.to_bytes())
    held.close()
    return enrolment


def _until_issued(
    token: ClaimToken, envelope: bytes, context: ssl.SSLContext, at_least: int, say: Callable[[str], None]
) -> EnrolReply:
    waiting, down = False, 0
    while True:
        try:
            reply = EnrolReply.from_bytes(exchange(token.url, "/device/v1/enrol", envelope, context, at_least))
        except ServerDownError:
            # A server that restarts while a person decides is no reason to give up.
            down += 1
            if not waiting and down > _DOWN_TIMES:
                raise
            time.sleep(_DOWN_S)
            continue
        except ContractError as error:
            raise EnrolmentError(f"the server's answer cannot be read ({error.detail}): update this program") from None
        if reply.status == "issued":
            return reply
        if reply.status == "refused":
            raise EnrolmentError(f"the server refused: {reply.reason}")
        down = 0
        if not waiting:
            say("waiting for approval: an operator must accept this device on the server's devices page")
            waiting = True
        time.sleep(max(1, min(_LONGEST_POLL_S, reply.poll_s)))
