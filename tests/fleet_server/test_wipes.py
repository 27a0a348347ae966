"""A wipe takes two people; the server can neither forge nor change an order, and believes only the device's receipt."""

import pytest
from sqlmodel import select

from dunlin_contract import cose, envelopes, hpke, keys
from dunlin_contract.cose import Role
from dunlin_contract.errors import ContractError
from dunlin_contract.wipe import WipeOrder
from fleet_server.db.models import AuditRow, DeviceModelRow, WipeOrderRow
from fleet_server.errors import ConflictError
from fleet_server.services import devices, enrolment, events, roots, wipes
from tests.fleet_server.test_directives import desire
from tests.fleet_server.world import ACTOR, Device, World


def draft(world: World, scope: list[str] | None = None) -> WipeOrderRow:
    with world.ctx.db.write() as session:
        return wipes.draft(session, "cam-1", scope, "stolen", ACTOR, world.clock.now)


def sign(world: World, wipe: WipeOrderRow, key: keys.PrivateKey, payload: bytes | None = None) -> WipeOrderRow:
    signature = cose.signature(payload or wipe.payload, key, Role.WIPE)
    with world.ctx.db.write() as session:
        return wipes.add_signature(session, world.ctx, wipe.id, signature, ACTOR, world.clock.now)


def send_receipt(world: World, device: Device, receipt: bytes, n: int = 1) -> WipeOrderRow:
    with world.ctx.db.write() as session:
        row = devices.get(session, device.name, lock=True)
        events.receive(session, world.ctx, row, device.event(n, "wiped", receipt=receipt), world.clock.now)
    with world.ctx.db.read() as session:
        return wipes.of_device(session, device.name)[0]


@pytest.fixture
def device(world: World) -> Device:
    """A device that runs two models."""
    made = world.device()
    for name in ("digits", "faces"):
        row, _ = world.push(world.build(name=name))
        desire(world, "cam-1", row.digest, model=name)
    return made


def test_two_signatures_send_the_order_and_take_its_scope_out_of_desired(world: World, device: Device) -> None:
    wipe = draft(world, ["digits"])
    assert sign(world, wipe, world.ops[0]).state == "draft"
    assert device.directive().wipe is None
    sent = sign(world, wipe, world.ops[1])
    assert (sent.state, sent.sent_at) == ("sent", world.clock.now)
    directive = device.directive()
    assert set(directive.desired) == {"faces"}
    assert directive.wipe is not None
    order, _ = envelopes.open_wipe(directive.wipe, world.root)
    assert (order.device, order.models, order.reason) == ("cam-1", ("digits",), "stolen")


def test_a_model_assigned_meanwhile_waits_for_the_receipt(world: World, device: Device) -> None:
    wipe = draft(world)
    for key in world.ops:
        sign(world, wipe, key)
    assert dict(device.directive().desired) == {}
    with world.ctx.db.read() as session:
        release = session.exec(select(DeviceModelRow)).first()
        assert release is not None
        assert release.desired is None
    row, _ = world.push(world.build(version="2.0.0"))
    desire(world, "cam-1", row.digest)
    directive = device.directive()
    assert dict(directive.desired) == {}
    assert directive.wipe is not None
    assert send_receipt(world, device, device.receipt(wipe.payload)).state == "done"
    directive = device.directive()
    assert directive.wipe is None
    # The grant is for the new KEM key; one made before the wipe opens nothing.
    grant = directive.desired["digits"].grant
    assert len(hpke.open_cek(grant, device.kem, bytes.fromhex(row.digest), "cam-1")) == 32


def test_a_good_receipt_is_kept_and_shown(world: World, device: Device) -> None:
    wipe = draft(world, ["digits"])
    for key in world.ops:
        sign(world, wipe, key)
    receipt = device.receipt(wipe.payload)
    done = send_receipt(world, device, receipt)
    assert (done.state, done.receipt_ok, done.receipt) == ("done", True, receipt)
    assert done.receipt_summary is not None
    assert done.receipt_summary["assurance"] == "clear"
    assert device.row().kem_spki == keys.spki(device.kem)
    seq = device.row().seq
    send_receipt(world, device, receipt, n=2)  # repeated: nothing new
    assert device.row().seq == seq


@pytest.mark.parametrize("fault", ["key", "order", "canary", "bytes"])
def test_a_bad_receipt_is_shown_as_bad_and_ends_nothing(world: World, device: Device, fault: str) -> None:
    wipe = draft(world, ["digits"])
    for key in world.ops:
        sign(world, wipe, key)
    old = keys.spki(device.kem)
    other = WipeOrder(device="cam-1", order_id=bytes(16), issued=1).to_bytes()
    receipts = {
        "key": lambda: device.receipt(wipe.payload, key=keys.generate()),
        "order": lambda: device.receipt(other),
        "canary": lambda: device.receipt(wipe.payload, canary=False),
        "bytes": lambda: b"no receipt",
    }
    after = send_receipt(world, device, receipts[fault]())
    assert after.state == "sent"
    assert not after.receipt_ok
    assert device.row().kem_spki == old
    assert device.directive().wipe is not None
    assert send_receipt(world, device, device.receipt(wipe.payload), n=2).state == "done"


def test_one_person_cannot_sign_twice(world: World, device: Device) -> None:
    wipe = draft(world)
    sign(world, wipe, world.ops[0])
    with pytest.raises(ConflictError, match="another person"):
        sign(world, wipe, world.ops[0])
    assert device.directive().wipe is None


def test_only_ops_keys_sign_and_only_this_order(sqlite_world: World) -> None:
    world = sqlite_world
    world.device()
    wipe = draft(world)
    for key in (keys.generate(), world.release_key):
        with pytest.raises(ContractError) as caught:
            sign(world, wipe, key)
        assert caught.value.rule == "signer-unknown"
    other = WipeOrder(device="cam-1", order_id=bytes(16), issued=1).to_bytes()
    with pytest.raises(ContractError) as caught:
        sign(world, wipe, world.ops[0], other)
    assert caught.value.rule == "signature"
    with world.ctx.db.read() as session:
        assert wipes.signatures(session, wipe.id) == []


def test_an_ops_key_that_lost_its_role_counts_no_more(sqlite_world: World) -> None:
    world = sqlite_world
    world.device()
    wipe = draft(world)
    sign(world, wipe, world.ops[0])
    fresh = [world.ops[1], keys.generate()]
    with world.ctx.db.write() as session:
        roots.install(session, world.ctx, world.sign_root(version=2, ops=fresh), ACTOR, world.clock.now)
    with pytest.raises(ContractError) as caught:
        sign(world, wipe, world.ops[1])
    assert caught.value.rule == "threshold"


def test_a_draft_can_be_cancelled_and_a_sent_order_cannot(sqlite_world: World) -> None:
    world = sqlite_world
    world.device()
    first = draft(world)
    with pytest.raises(ConflictError, match="cancel it first"):
        draft(world)
    with world.ctx.db.write() as session:
        assert wipes.cancel(session, world.ctx, first.id, ACTOR, 0.0).state == "cancelled"
    second = draft(world)
    for key in world.ops:
        sign(world, second, key)
    with world.ctx.db.write() as session, pytest.raises(ConflictError):
        wipes.cancel(session, world.ctx, second.id, ACTOR, 0.0)
    with world.ctx.db.read() as session:
        actions = [row.action for row in session.exec(select(AuditRow)) if row.action.startswith("wipe")]
    assert actions == ["wipe.draft", "wipe.cancel", "wipe.draft", "wipe.sign", "wipe.sign"]


def test_a_wider_order_may_follow_one_that_is_not_answered(world: World, device: Device) -> None:
    first = draft(world, ["digits"])
    for key in world.ops:
        sign(world, first, key)
    with pytest.raises(ConflictError, match="only one that covers digits"):
        draft(world, ["faces"])
    second = draft(world)
    for key in world.ops:
        sign(world, second, key)
    with world.ctx.db.read() as session:
        assert [wipes.get(session, one.id).state for one in (first, second)] == ["superseded", "sent"]
    carried = device.directive().wipe
    assert carried is not None
    assert envelopes.open_wipe(carried, world.root)[0].order_id.hex() == second.id
    send_receipt(world, device, device.receipt(first.payload))
    with world.ctx.db.read() as session:
        assert [wipes.get(session, one.id).state for one in (first, second)] == ["done", "sent"]


def test_a_wipe_needs_an_active_device_and_a_valid_scope(sqlite_world: World) -> None:
    world = sqlite_world
    world.device()
    with pytest.raises(ContractError):
        draft(world, ["No Such Name!"])
    with world.ctx.db.write() as session:
        enrolment.reject(session, world.ctx, "cam-1", ACTOR, 0.0)
    with pytest.raises(ConflictError, match="only an active device"):
        draft(world)
