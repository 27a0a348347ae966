"""Rollouts to devices behind gateways: who can hold a release is said before it starts; the rest goes as anywhere."""

from dataclasses import replace

import pytest

from dunlin_contract import hpke
from dunlin_contract.fit import Op
from dunlin_contract.limits import LIMITS, MCU_LIMITS
from dunlin_contract.manifest import Manifest
from dunlin_contract.topics import Address
from fleet_server.rollouts.eligible import Target
from fleet_server.rollouts.preview import Preview, preview
from fleet_server.rollouts.spec import RolloutSpec
from tests.fleet_server.children import MICRO, Child, behind, connect
from tests.fleet_server.rollouts.fleet import Fleet
from tests.fleet_server.world import DESCRIPTION, World


def forecast(fleet: Fleet, release: str, **body: object) -> Preview:
    ctx = fleet.world.ctx
    with ctx.db.read() as session:
        return preview(session, RolloutSpec.parse({"release": release, **body}), ctx.clock())


def test_a_release_goes_to_microcontrollers_stage_by_stage(fleet: Fleet) -> None:
    agents = behind(fleet, "gw-1", "mcu-1", "mcu-2", "mcu-3")
    built = fleet.world.build(runtime="tflm")
    release = fleet.world.push(built)[0].digest
    rollout = fleet.start(release, stages=[{"count": 1, "soak_s": 30}, {"percent": 100}])
    assert fleet.parts(rollout).keys() == {"mcu-1", "mcu-2", "mcu-3"}, "the gateway itself runs no such runtime"
    (first,) = fleet.having(rollout, "assigned")
    wanted = first.device.directive().desired["digits"]
    assert hpke.open_cek(wanted.grant, first.device.kem, built.digest, first.name) == built.cek
    first.follow()
    fleet.tick(1)
    fleet.tick(30)
    others = fleet.having(rollout, "assigned")
    others[0].follow()
    others[1].refuse(code="golden")
    fleet.tick(1)
    assert fleet.state(rollout) == "paused"
    assert sorted(fleet.parts(rollout).values()) == ["failed", "succeeded", "succeeded"]
    fleet.order(rollout, "revert")
    for agent in agents:
        agent.follow()
    fleet.tick(1)
    assert fleet.state(rollout) == "reverted"


def test_a_device_whose_gateway_is_away_waits_in_the_bucket_of_those_offline(fleet: Fleet) -> None:
    (near,) = behind(fleet, "gw-1", "mcu-1")
    (far,) = behind(fleet, "gw-2", "mcu-2")
    connect(fleet.world, Address("gw-2"), online=False)
    release = fleet.world.push(fleet.world.build(runtime="tflm"))[0].digest
    assert forecast(fleet, release).offline == ("mcu-2",)
    rollout = fleet.start(release)
    near.follow()
    fleet.tick(1)
    assert fleet.parts(rollout) == {"mcu-1": "succeeded", "mcu-2": "offline"}
    assert far.desired() is None


@pytest.mark.parametrize(
    ("demands", "why"),
    [
        ({"stores": ("locked", "no-swap")}, "the release accepts no model in plain-flash, only in locked, no-swap"),
        ({"flash_bytes": 10**6}, "flash: 1000000 bytes are needed, the device has 262144"),
        ({"arena_bytes": 10**5}, "arena: 100000 bytes are needed, the device has 65536"),
        ({"hardware_classes": ("cortex-m55",)}, "hardware class cortex-m4 is not one of cortex-m55"),
    ],
)
def test_a_release_that_a_microcontroller_cannot_hold_is_refused_before_it_starts(
    fleet: Fleet, demands: dict[str, object], why: str
) -> None:
    behind(fleet, "gw-1", "mcu-1")
    release = fleet.world.push(fleet.world.build(runtime="tflm", **demands))[0].digest
    plan = forecast(fleet, release, selector={"devices": ["mcu-1"]})
    assert [(one.device, str(one.why), one.reasons) for one in plan.excluded] == [
        ("mcu-1", "unfit", (f"tflm-int8: {why}",))
    ]
    assert plan.eligible == 0
    assert why in plan.blockers[0]


def test_a_release_that_accepts_plain_flash_goes_there(fleet: Fleet) -> None:
    behind(fleet, "gw-1", "mcu-1")
    release = fleet.world.push(fleet.world.build(runtime="tflm", stores=("locked", "no-swap", "plain-flash")))[0].digest
    plan = forecast(fleet, release)
    assert (plan.matched, plan.eligible, plan.variants) == (2, 1, {"tflm-int8": 1})


def test_a_microcontroller_holds_one_model(fleet: Fleet) -> None:
    (agent,) = behind(fleet, "gw-1", "mcu-1")
    fleet.start(fleet.world.push(fleet.world.build("digits", runtime="tflm"))[0].digest)
    agent.follow()
    fleet.tick(1)
    other = fleet.world.push(fleet.world.build("gestures", runtime="tflm"))[0].digest
    (left_out,) = forecast(fleet, other, selector={"devices": ["mcu-1"]}).excluded
    assert (str(left_out.why), left_out.reasons) == (
        "full",
        ("it should run another model, and holds no more: wipe one of it first",),
    )


def too_large(world: World, **changes: object) -> tuple[str, ...]:
    manifest: Manifest = replace(world.build(runtime="tflm").manifest, **changes)  # type: ignore[arg-type]
    child = Child(world, "mcu-1")
    world.device("gw-1")
    child.enrol(world.token())
    return Target("", manifest).choice(child.row()).rejected


def test_what_no_microcontroller_need_be_able_to_hold_is_refused(fleet: Fleet) -> None:
    manifest = fleet.world.build(runtime="tflm").manifest
    (variant,), (payload, golden) = manifest.variants, manifest.payloads
    ops = tuple(Op(opcode=f"OP_{place:03}", version=1) for place in range(MCU_LIMITS.ops + 1))
    wide = replace(variant.io, inputs=variant.io.inputs * (MCU_LIMITS.tensors + 1))
    many = LIMITS.page_leaves * MCU_LIMITS.index_pages + 1
    (rejected,) = too_large(
        fleet.world,
        variants=(
            replace(
                variant,
                fit=replace(variant.fit, ops=ops),
                io=wide,
                payloads=tuple(range(MCU_LIMITS.variant_payloads + 1)),
            ),
        ),
        payloads=(replace(payload, chunk_count=many), golden),
    )
    assert rejected == (
        f"tflm-int8: {MCU_LIMITS.index_pages + 1} index pages, of all variants together: "
        f"a microcontroller takes {MCU_LIMITS.index_pages}; "
        f"{MCU_LIMITS.variant_payloads + 1} payloads: a microcontroller takes {MCU_LIMITS.variant_payloads}; "
        f"{MCU_LIMITS.ops + 1} operators: a microcontroller takes {MCU_LIMITS.ops}; "
        f"{MCU_LIMITS.tensors + 1} inputs: a microcontroller takes {MCU_LIMITS.tensors}"
    )


def test_what_microcontrollers_say_they_are_fits_no_release_for_computers(fleet: Fleet) -> None:
    assert MICRO.tier != DESCRIPTION.tier
    behind(fleet, "gw-1", "mcu-1")
    plan = forecast(fleet, fleet.push("1.0.0"), selector={"devices": ["mcu-1"]})
    assert plan.excluded[0].reasons == ("onnx-int8: runtime onnxruntime is not installed",)
