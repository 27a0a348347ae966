"""Getting into the fleet: tokens are used once, requests prove their keys, refusals say what to do."""

import threading
from dataclasses import replace

import cbor2
import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from dunlin_contract import cbor, cose, envelopes, keys
from dunlin_contract.cose import Role
from dunlin_contract.enrolment import EnrolReply, EnrolRequest, Trust
from dunlin_contract.errors import ContractError
from fleet_server.errors import ConflictError, DeniedError, InvalidError, NotFoundError, ServerError
from fleet_server.services import enrolment
from tests.fleet_server.world import ACTOR, Device, World, refusal


def test_an_approved_token_gives_a_certificate_and_a_directive(world: World) -> None:
    device = Device(world, "cam-1")
    reply = device.enrol(world.token(tags={"site": "north"}))
    assert (reply.status, reply.broker_host, reply.broker_port) == ("issued", "localhost", 8883)
    certificate = x509.load_der_x509_certificate(reply.chain[0])
    assert certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "cam-1"
    assert certificate.public_key() == device.identity.public_key()
    certificate.verify_directly_issued_by(x509.load_der_x509_certificate(reply.chain[1]))
    lifetime = certificate.not_valid_after_utc.timestamp() - world.clock.now
    assert lifetime == pytest.approx(90 * 86400, abs=1)
    assert device.row().tags == {"site": "north"}
    directive = device.directive()
    assert (directive.device, directive.seq, dict(directive.desired)) == ("cam-1", 1, {})


def test_a_waiting_device_is_told_when_it_is_approved(world: World) -> None:
    device = Device(world, "cam-1")
    token = world.token(auto_approve=False)
    assert device.enrol(token).status == "pending"
    assert device.row().directive is None
    world.clock.now += 100 * 86400  # polling goes on, whatever the token's age
    assert device.enrol(token).status == "pending"
    with world.ctx.db.write() as session:
        enrolment.approve(session, world.ctx, "cam-1", ACTOR, world.clock.now)
    first = device.enrol(token)
    assert first.status == "issued"
    assert device.enrol(token).chain == first.chain  # a lost reply is repeated, not issued anew


def test_a_rejected_device_is_told_and_may_come_back_with_a_new_token(world: World) -> None:
    device = Device(world, "cam-1")
    token = world.token(auto_approve=False)
    device.enrol(token)
    with world.ctx.db.write() as session:
        enrolment.reject(session, world.ctx, "cam-1", ACTOR, world.clock.now)
    assert "rejected" in refusal(device.enrol, token).detail
    assert Device(world, "cam-1").enrol(world.token()).status == "issued"


def test_a_token_is_used_once(world: World) -> None:
    token = world.token()
    Device(world, "cam-1").enrol(token)
    error = refusal(Device(world, "cam-2").enrol, token)
    assert isinstance(error, DeniedError)
    assert "used already" in error.detail
    assert "new one" in error.detail


def test_of_concurrent_uses_of_a_token_one_wins(world: World) -> None:
    token = world.token()
    start = threading.Barrier(6)
    outcomes: list[str] = []

    def use(number: int) -> None:
        device = Device(world, f"cam-{number}")
        start.wait()
        try:
            outcomes.append(device.enrol(token).status)
        except ServerError as error:
            outcomes.append(type(error).__name__)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["DeniedError"] * 5 + ["issued"]


def test_an_expired_token_is_refused(world: World) -> None:
    token = world.token(lives_s=60)
    world.clock.now += 61
    error = refusal(Device(world, "cam-1").enrol, token)
    assert isinstance(error, DeniedError)
    assert "expired" in error.detail


def test_a_wrong_secret_tells_no_more_than_an_unknown_token(world: World) -> None:
    token = world.token()
    wrong = refusal(Device(world, "cam-1").enrol, replace(token, secret=bytes(16)))
    unknown = refusal(Device(world, "cam-1").enrol, replace(token, token_id=bytes(8)))
    assert wrong.detail == unknown.detail
    assert Device(world, "cam-1").enrol(token).status == "issued"  # and neither spent it


def test_a_device_id_is_taken_once(world: World) -> None:
    world.device("cam-1")
    token = world.token()
    assert isinstance(refusal(Device(world, "cam-1").enrol, token), ConflictError)
    assert Device(world, "cam-2").enrol(token).status == "issued"  # the refusal did not spend the token


@pytest.mark.parametrize("name", ["obj", "_server", "Cam", "a/b", "+", "", "x" * 37])
def test_names_that_are_no_device_ids_are_refused(sqlite_world: World, name: str) -> None:
    with pytest.raises(ContractError):
        Device(sqlite_world, name).enrol(sqlite_world.token())
    with pytest.raises(InvalidError):
        sqlite_world.ctx.keys.ca.issue_device(name, keys.generate().public_key(), 0.0)


def test_a_request_must_be_signed_by_the_key_it_wants_certified(sqlite_world: World) -> None:
    device, token = Device(sqlite_world, "cam-1"), sqlite_world.token()
    payload = cose.peek1(device.request(token), 16384)
    with pytest.raises(ContractError):
        enrolment.enrol(sqlite_world.ctx, cose.sign1(payload, keys.generate(), Role.ENROL))
    with pytest.raises(ContractError):  # nor may bytes signed for another purpose pass
        enrolment.enrol(sqlite_world.ctx, cose.sign1(payload, device.identity, Role.RENEW))


def test_a_key_that_is_none_is_refused(sqlite_world: World) -> None:
    device, token = Device(sqlite_world, "cam-1"), sqlite_world.token()
    request = EnrolRequest.from_bytes(cose.peek1(device.request(token), 16384))
    off_the_curve = replace(request, spki=request.spki[:-1] + bytes([request.spki[-1] ^ 1]))
    payload = off_the_curve.to_bytes()
    good = cbor2.loads(cose.sign1(payload, device.identity, Role.ENROL))
    header = cose.protected_header(cose.ESP256, keys.kid(off_the_curve.spki))
    envelope = cbor.encode(cbor2.CBORTag(18, [header, {}, payload, good.value[3]]))
    with pytest.raises(ContractError):
        enrolment.enrol(sqlite_world.ctx, envelope)


def test_an_expired_certificate_renews_by_proof_of_the_identity_key(world: World) -> None:
    device = world.device()
    world.clock.now += 400 * 86400
    reply = enrolment.renew(world.ctx, device.renewal())
    certificate = x509.load_der_x509_certificate(reply.chain[0])
    assert certificate.not_valid_after_utc.timestamp() > world.clock.now + 89 * 86400
    assert certificate.public_key() == device.identity.public_key()


def test_renewal_needs_the_known_key_and_an_active_device(sqlite_world: World) -> None:
    device = sqlite_world.device()
    other = keys.generate()
    with pytest.raises(ContractError):
        enrolment.renew(sqlite_world.ctx, device.renewal(key=other))
    assert isinstance(refusal(enrolment.renew, sqlite_world.ctx, device.renewal(other)), InvalidError)
    stranger = Device(sqlite_world, "cam-9")
    assert isinstance(refusal(enrolment.renew, sqlite_world.ctx, stranger.renewal()), DeniedError)
    with sqlite_world.ctx.db.write() as session:
        enrolment.reject(session, sqlite_world.ctx, "cam-1", ACTOR, 0.0)
    assert isinstance(refusal(enrolment.renew, sqlite_world.ctx, device.renewal()), DeniedError)


def test_trust_is_what_the_token_pins(sqlite_world: World) -> None:
    token = sqlite_world.token()
    with sqlite_world.ctx.db.read() as session:
        trust = Trust.from_bytes(enrolment.trust(session, sqlite_world.ctx, token.root_digest.hex()))
        with pytest.raises(NotFoundError):
            enrolment.trust(session, sqlite_world.ctx, "00" * 32)
    root = envelopes.open_first_root(trust.root, token.root_digest)
    certificate = x509.load_der_x509_certificate(trust.ca)
    public = certificate.public_key()
    assert isinstance(public, keys.PublicKey)
    assert keys.kid(keys.spki(public)) in root.signers("ca")


def test_replies_are_canonical(sqlite_world: World) -> None:
    reply = sqlite_world.device().reply
    assert reply is not None
    assert EnrolReply.from_bytes(reply.to_bytes()) == reply
