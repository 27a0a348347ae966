"""A capture takes two people; the server can neither forge nor change an order; directives carry it to its end."""

import hashlib

import pytest
from sqlmodel import select

from dunlin_contract import cose, envelopes, keys
from dunlin_contract.capture import CaptureOrder, check_capture
from dunlin_contract.cose import Role
from dunlin_contract.errors import ContractError
from dunlin_contract.limits import LIMITS
from fleet_server.db.models import AuditRow, CaptureOrderRow
from fleet_server.errors import ConflictError, InvalidError, NotFoundError, ServerError
from fleet_server.services import captures, devices, directives, enrolment, roots, wipes
from fleet_server.ticker import upkeep
from tests.fleet_server.children import behind
from tests.fleet_server.rollouts.fleet import Fleet
from tests.fleet_server.test_directives import desire
from tests.fleet_server.test_results import Sender
from tests.fleet_server.world import ACTOR, NOW, Device, World, refusal

DAY_S = 86_400


def wanted(device: str = "cam-1", model: str = "digits", **values: object) -> CaptureOrder:
    chosen = {"not_after": int(NOW) + 7 * DAY_S, "per_day": 50, "margin_permille": 100} | values
    return CaptureOrder(device=device, order_id=bytes(16), model=model, issued=0, **chosen)  # type: ignore[arg-type]


def draft(world: World, order: CaptureOrder | None = None) -> CaptureOrderRow:
    with world.ctx.db.write() as session:
        return captures.draft(session, order or wanted(), ACTOR, world.clock.now)


def sign(world: World, row: CaptureOrderRow, key: keys.PrivateKey, payload: bytes | None = None) -> CaptureOrderRow:
    signature = cose.signature(payload or row.payload, key, Role.CAPTURE)
    with world.ctx.db.write() as session:
        return captures.add_signature(session, world.ctx, row.id, signature, ACTOR, world.clock.now)


def sent(world: World, order: CaptureOrder | None = None) -> CaptureOrderRow:
    row = draft(world, order)
    for key in world.ops:
        sign(world, row, key)
    return row


def cancel(world: World, row: CaptureOrderRow) -> CaptureOrderRow:
    with world.ctx.db.write() as session:
        return captures.cancel(session, world.ctx, row.id, ACTOR, world.clock.now)


def state(world: World, row: CaptureOrderRow) -> str:
    with world.ctx.db.read() as session:
        return captures.state_of(captures.get(session, row.id), world.clock.now)


def carried(device: Device) -> dict[str, CaptureOrder]:
    """The orders in a device's directive, verified as the device would."""
    found = {}
    for model, envelope in device.directive().captures.items():
        order = envelopes.open_capture(envelope, device.world.root)
        check_capture(order, device.name, model)
        found[model] = order
    return found


@pytest.fixture
def device(world: World) -> Device:
    """A device that runs two models."""
    made = world.device()
    for name in ("digits", "faces"):
        row, _ = world.push(world.build(name=name))
        desire(world, "cam-1", row.digest, model=name)
    return made


def test_two_signatures_put_the_order_into_the_devices_directive(world: World, device: Device) -> None:
    row = draft(world, wanted(classes=(3, 7), random_permille=10))
    assert hashlib.sha256(row.payload).hexdigest() == row.digest
    assert sign(world, row, world.ops[0]).state == "draft"
    assert carried(device) == {}
    done = sign(world, row, world.ops[1])
    assert (done.state, done.sent_at) == ("sent", world.clock.now)
    order = carried(device)["digits"]
    assert (order.order_id.hex(), order.issued) == (row.id, int(world.clock.now))
    assert (order.classes, order.random_permille, order.margin_permille, order.per_day) == ((3, 7), 10, 100, 50)
    assert set(device.directive().desired) == {"digits", "faces"}


def test_one_person_cannot_sign_twice(world: World, device: Device) -> None:
    row = draft(world)
    sign(world, row, world.ops[0])
    with pytest.raises(ConflictError, match="another person"):
        sign(world, row, world.ops[0])
    assert carried(device) == {}


def test_it_ends_by_its_time_without_anybody(world: World, device: Device) -> None:
    row = sent(world, wanted(not_after=int(NOW) + 3600))
    with world.ctx.db.write() as session:
        devices.get(session, "cam-1", lock=True).online = True
    world.clock.now += 3599
    assert (state(world, row), set(carried(device))) == ("sent", {"digits"})
    world.clock.now += 1
    with world.ctx.db.write() as session:
        upkeep(session, world.ctx, world.clock.now)
    assert (state(world, row), carried(device)) == ("ended", {})
    with pytest.raises(ConflictError, match="is ended"):
        cancel(world, row)


def test_cancelling_takes_it_out_of_the_directive(world: World, device: Device) -> None:
    row = sent(world)
    before = device.directive().seq
    assert cancel(world, row).state == "cancelled"
    assert (carried(device), device.directive().seq) == ({}, before + 1)
    with pytest.raises(ConflictError, match="nothing to cancel"):
        cancel(world, row)


def test_a_later_order_takes_the_place_of_the_one_before_and_others_stay(world: World, device: Device) -> None:
    first, faces = sent(world), sent(world, wanted(model="faces", disagreement=True))
    second = sent(world, wanted(per_day=5))
    assert [state(world, one) for one in (first, faces, second)] == ["superseded", "sent", "sent"]
    assert {model: order.order_id.hex() for model, order in carried(device).items()} == {
        "digits": second.id,
        "faces": faces.id,
    }


def test_a_model_that_is_not_desired_carries_none_until_it_is(world: World, device: Device) -> None:
    sent(world, wanted(model="later"))
    assert carried(device) == {}
    row, _ = world.push(world.build(name="later"))
    desire(world, "cam-1", row.digest, model="later")
    assert set(carried(device)) == {"later"}


def test_a_wipe_ends_the_orders_of_what_it_erases(world: World, device: Device) -> None:
    digits, faces, waiting = sent(world), sent(world, wanted(model="faces")), draft(world)
    with world.ctx.db.write() as session:
        wipe = wipes.draft(session, "cam-1", ["digits"], "sold", ACTOR, world.clock.now)
    for key in world.ops:
        with world.ctx.db.write() as session:
            signature = cose.signature(wipe.payload, key, Role.WIPE)
            wipes.add_signature(session, world.ctx, wipe.id, signature, ACTOR, world.clock.now)
    assert [state(world, one) for one in (digits, faces, waiting)] == ["cancelled", "sent", "cancelled"]
    assert set(carried(device)) == {"faces"}


def test_only_ops_keys_sign_and_only_this_order(sqlite_world: World) -> None:
    world = sqlite_world
    world.device()
    row = draft(world)
    for key in (keys.generate(), world.release_key):
        with pytest.raises(ContractError) as caught:
            sign(world, row, key)
        assert caught.value.rule == "signer-unknown"
    for payload, role in ((wanted().to_bytes(), Role.CAPTURE), (row.payload, Role.WIPE)):
        signature = cose.signature(payload, world.ops[0], role)
        with pytest.raises(ContractError) as caught, world.ctx.db.write() as session:
            captures.add_signature(session, world.ctx, row.id, signature, ACTOR, world.clock.now)
        assert caught.value.rule == "signature"
    with world.ctx.db.read() as session:
        assert captures.signatures(session, row.id) == []


def test_an_ops_key_that_lost_its_role_counts_no_more(sqlite_world: World) -> None:
    world = sqlite_world
    world.device()
    row = draft(world)
    sign(world, row, world.ops[0])
    fresh = [world.ops[1], keys.generate()]
    with world.ctx.db.write() as session:
        roots.install(session, world.ctx, world.sign_root(version=2, ops=fresh), ACTOR, world.clock.now)
    with pytest.raises(ContractError) as caught:
        sign(world, row, world.ops[1])
    assert caught.value.rule == "threshold"


def test_who_drafted_signed_and_cancelled_is_written_down(sqlite_world: World) -> None:
    world = sqlite_world
    world.device()
    cancel(world, draft(world))
    sent(world)
    with world.ctx.db.read() as session:
        actions = [row.action for row in session.exec(select(AuditRow)) if row.action.startswith("capture")]
    assert actions == ["capture.draft", "capture.cancel", "capture.draft", "capture.sign", "capture.sign"]


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"device": "nope"}, NotFoundError, "there is no device"),
        ({"not_after": int(NOW) - 1}, InvalidError, "not_after has passed"),
        ({"margin_permille": 0}, InvalidError, "picks no request"),
        ({"model": "No Such Name!"}, ContractError, "model"),
        ({"per_day": 0}, ContractError, "per_day"),
        ({"per_day": -1}, ContractError, "per_day"),
        ({"margin_permille": 1001}, ContractError, "margin_permille"),
        ({"not_after": LIMITS.time_s + 1}, ContractError, "not_after"),
        ({"classes": (1, 2**16)}, ContractError, "classes"),
        ({"classes": tuple(range(33))}, ContractError, "classes"),
        ({"classes": (2, 1)}, ContractError, "classes"),
    ],
)
def test_each_mistake_in_a_draft_is_named(
    sqlite_world: World, values: dict[str, object], error: type[Exception], message: str
) -> None:
    sqlite_world.device()
    with pytest.raises(error, match=message):
        draft(sqlite_world, wanted(**values))  # type: ignore[arg-type]


def test_there_is_one_draft_for_a_model_and_a_forgotten_one_stands_in_nobodys_way(sqlite_world: World) -> None:
    world = sqlite_world
    world.device()
    old = draft(world, wanted(not_after=int(NOW) + 100))
    assert "cancel it first" in refusal(draft, world).detail
    draft(world, wanted(model="faces"))
    world.clock.now += 100
    assert "past its not-after" in refusal(sign, world, old, world.ops[0]).detail
    draft(world)


def test_a_device_outside_the_fleet_captures_nothing(sqlite_world: World) -> None:
    world = sqlite_world
    world.device()
    row = draft(world)
    with world.ctx.db.write() as session:
        enrolment.reject(session, world.ctx, "cam-1", ACTOR, world.clock.now)
    assert "only an active device" in refusal(draft, world, wanted(model="faces")).detail
    sign(world, row, world.ops[0])
    assert "not active" in refusal(sign, world, row, world.ops[1]).detail
    assert state(world, row) == "draft"


def test_a_microcontroller_is_refused_and_carries_none(sqlite_world: World) -> None:
    fleet = Fleet(sqlite_world)
    (agent,) = behind(fleet, "gw-1", "mcu-1")
    error = refusal(draft, sqlite_world, wanted("mcu-1"))
    assert isinstance(error, ServerError)
    assert "behind gateway gw-1: microcontrollers capture nothing" in error.detail
    fleet.start(fleet.world.push(fleet.world.build(runtime="tflm"))[0].digest)
    row = sent(sqlite_world, wanted("gw-1"))
    with sqlite_world.ctx.db.write() as session:  # as if it had been drafted before the device came behind a gateway
        found = captures.get(session, row.id, lock=True)
        found.device = "mcu-1"
        session.flush()
        directives.issue(session, sqlite_world.ctx, "mcu-1", sqlite_world.clock.now)
    assert agent.desired() is not None
    assert not agent.device.directive().captures


def test_what_came_of_it_is_counted(sqlite_world: World) -> None:
    world = sqlite_world
    device = world.device()
    sender = Sender(world, device)
    sender.send(sender.result(1, 4, "capture"))
    world.clock.now += 10
    row = sent(world)
    sender.send(sender.result(2, 4, "capture"), sender.result(3), sender.result(4, 4, "capture", model="faces"))
    with world.ctx.db.read() as session:
        assert captures.captured(session, captures.get(session, row.id)) == 1
