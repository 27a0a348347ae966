"""The gateway with a real broker, the real agent in a process of its own, and boards on its lines."""

import random

from dunlin_contract import envelopes, link, topics
from dunlin_contract.enrolment import EnrolReply
from tests.agent.fleet import Fleet, commit, sha256, until
from tests.agent.gateway_parts import Nursery, boards, command, enroll, gateway, status
from tests.support.board_pipes import Terminal
from tests.support.fake_child import FakeChild
from tests.support.fake_link import Memory


def test_a_child_enrols_through_its_gateway_follows_a_directive_and_its_events_are_acknowledged(
    fleet: Fleet, nursery: Nursery
) -> None:
    nursery.replies = [EnrolReply(status="pending", poll_s=1)]
    release = fleet.release(1.0, runtime="tflm", ballast=300_000)
    assert len(release.pages[0]) > 2 * link.GET_BYTES, "the index comes in slices"
    fleet.offer(release)
    token = nursery.token()
    with boards(Memory()) as [child], gateway(fleet, child.pipe) as agent:
        code, out, said = enroll(fleet, child.pipe.name, "mcu-1", token.to_text())
        assert (code, out) == (0, "enrolled as mcu-1"), said
        assert [line.split(":")[0] for line in said] == [
            "the child answers",
            "the child has the claim token and makes its keys",
            "the child's request is on its way to the server",
            "waiting for approval",
            "the server has accepted the child",
        ]
        assert len({request.to_bytes() for request in nursery.child("mcu-1").requests}) == 1
        nursery.desire("mcu-1", release)
        nursery.until_committed("mcu-1", release)
        assert child.plaintexts["adder"] == release.plaintext
        child.event("note", text="hello")
        until(lambda: not child.memory.events and nursery.child("mcu-1").events, "the event was acknowledged")
        nursery.until_status("mcu-1", topics.ONLINE)
        [line] = status(fleet)
        assert (line["child"], line["online"], line["enrolled"], line["frame_errors"]) == ("mcu-1", True, True, 0)
        out, _ = command(fleet, "status").communicate(timeout=60)
        assert f"{child.pipe.name}: open, mcu-1 online, heard" in out
        secrets = [token.secret, token.secret.hex().encode(), token.to_text().encode()]
        kept = [path.read_bytes() for path in [*fleet.state.rglob("*"), fleet.folder / "agent.log"] if path.is_file()]
        assert not [secret for secret in secrets for data in kept if secret in data]
        assert agent.stop() == 0
    assert nursery.child("mcu-1").unsigned == 0


def test_a_wipe_order_reaches_a_child_and_its_receipt_the_server(fleet: Fleet, nursery: Nursery) -> None:
    release = fleet.release(1.0, runtime="tflm")
    fleet.offer(release)
    with boards(nursery.admit("mcu-1")) as [child], gateway(fleet, child.pipe):
        nursery.desire("mcu-1", release)
        nursery.until_committed("mcu-1", release)
        fleet.device, device = "mcu-1", fleet.device
        order = fleet.wipe_order("adder")
        fleet.device = device
        nursery.desire("mcu-1", wipe=order)
        events = nursery.child("mcu-1").events
        until(lambda: [event for event in events if event.kind == "wiped"], "the receipt came")
        receipt = events[-1].receipt
        assert receipt is not None
        opened = envelopes.open_receipt(receipt, nursery.child("mcu-1").spki)
        assert [(one.model, one.releases) for one in opened.erased] == [("adder", (release.digest,))]


def test_a_pseudo_terminal_that_damages_bytes_both_ways_only_costs_time(fleet: Fleet, nursery: Nursery) -> None:
    chance = random.Random(7)
    damages = iter(range(100))  # some cost a time-out, and a busy machine has time for so many

    def noisy(data: bytes) -> bytes:
        changed = bytearray(data)
        if changed and chance.random() < 0.08 and next(damages, None) is not None:
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        if chance.random() < 0.03 and next(damages, None) is not None:
            changed += bytes(chance.randrange(256) for _ in range(chance.randrange(20)))
        return bytes(changed)

    release = fleet.release(1.0, runtime="tflm", ballast=2_000)
    fleet.offer(release)
    with FakeChild(Terminal(), nursery.admit("mcu-1")) as child, gateway(fleet, child.pipe):
        child.to_gateway = child.from_gateway = noisy
        nursery.desire("mcu-1", release)
        nursery.until_committed("mcu-1", release)
        assert child.plaintexts["adder"] == release.plaintext
        until(lambda: int(str(status(fleet)[0]["frame_errors"])) > 0, "damaged frames are counted")


def test_two_children_and_their_gateway_want_the_same_objects_which_come_later(fleet: Fleet, nursery: Nursery) -> None:
    release = fleet.release(1.0, runtime="tflm")
    memories = nursery.admit("mcu-1"), nursery.admit("mcu-2")
    with boards(*memories) as children, gateway(fleet, *(child.pipe for child in children)):
        for name in ("mcu-1", "mcu-2"):
            nursery.desire(name, release)
        fleet.desire(release)
        fleet.until_reported("the gateway misses the manifest", lambda one: sha256(release.envelope) in one.missing)
        until(lambda: all(child.nones for child in children), "the children were told NONE")
        fleet.offer(release)
        for name in ("mcu-1", "mcu-2"):
            nursery.until_committed(name, release)
        # The gateway itself has no runtime for this model: it must have had manifest and index to say so.
        model = fleet.until_phase("refused", release)
        assert model.error_code == "no-variant"


def test_the_agents_own_download_goes_on_beside_a_childs(fleet: Fleet, nursery: Nursery) -> None:
    own = fleet.release(1.0, ballast=200_000)
    other = fleet.release(2.0, name="other", runtime="tflm", ballast=100_000)
    fleet.offer(other)
    with boards(nursery.admit("mcu-1")) as [child], gateway(fleet, child.pipe) as agent:
        nursery.desire("mcu-1", other)
        commit(fleet, agent, own, 1.0)
        nursery.until_committed("mcu-1", other)
