"""Children, brokers and lines that lie to a gateway: they are not served, and nobody else waits for them."""

import random
import threading
from contextlib import ExitStack

from dunlin_contract import link, topics
from tests.agent.fleet import Fleet, commit, flipped, sha256, until
from tests.agent.gateway_parts import Nursery, boards, gateway, status
from tests.support.board_pipes import Socket
from tests.support.fake_child import FakeChild
from tests.support.fake_link import Memory


def test_a_child_that_uses_the_id_of_another_line_or_of_its_gateway_is_not_served(
    fleet: Fleet, nursery: Nursery
) -> None:
    honest = nursery.admit("mcu-1")
    pipes = Socket(), Socket()
    with boards(honest) as [child], gateway(fleet, child.pipe, *pipes) as agent:
        until(lambda: child.gateway, "the honest one was first")
        with ExitStack() as stack:
            liars = [
                stack.enter_context(FakeChild(pipe, Memory(device=device, root=honest.root)))
                for pipe, device in zip(pipes, ("mcu-1", fleet.device), strict=True)
            ]
            for pipe, why in zip(
                pipes, (f"mcu-1 is alive on {child.pipe.name}", f"{fleet.device} is this gateway's own id"), strict=True
            ):
                said = f"whoever is on the line is not served: {why}"
                until(lambda line=f"{pipe.name}: {said}": line in agent.text(), lambda: f"in the log: {agent.text()}")
                assert [line["why"] for line in status(fleet) if line["line"] == pipe.name] == [said]
            nursery.desire("mcu-1")
            nursery.until_status("mcu-1", topics.ONLINE)
            until(lambda: child.directives, "the honest one gets what is for it")
            assert not any(liar.gateway or liar.directives for liar in liars)


def test_objects_that_come_damaged_are_not_passed_on_and_are_brought_again(fleet: Fleet, nursery: Nursery) -> None:
    release = fleet.release(1.0, runtime="tflm")
    bad = sha256(release.envelope)
    fleet.mangle = lambda name, data: flipped(data) if name == bad else data
    fleet.offer(release)
    with boards(nursery.admit("mcu-1")) as [child], gateway(fleet, child.pipe):
        nursery.desire("mcu-1", release)
        fleet.until_event("object-corrupt")
        until(lambda: child.nones, "the child was told NONE")
        fleet.mangle = lambda _, data: data
        fleet.offer(release)
        nursery.until_committed("mcu-1", release)
        assert not child.refusals


def test_a_line_that_babbles_holds_up_neither_the_agent_nor_another_child(fleet: Fleet, nursery: Nursery) -> None:
    own, other = fleet.release(1.0), fleet.release(2.0, name="other", runtime="tflm")
    fleet.offer(other)
    babbler = Socket()
    over = threading.Event()

    def babble() -> None:
        chance = random.Random(3)
        nonce = bytes(16)
        while not over.is_set():
            babbler.read(0)
            say = [link.Hello(True, nonce, f"mcu-{chance.randrange(10**6)}").to_body()]
            say += [link.Get(chance.randbytes(32), 0, 1024).to_body() for _ in range(20)]
            say += [link.Up(link.UpKind.EVENTS, chance.randrange(65536), 0, 1, b"x").to_body() for _ in range(20)]
            babbler.write(b"".join(map(link.encode, say)) + chance.randbytes(2000))

    thread = threading.Thread(target=babble)
    thread.start()
    try:
        with boards(nursery.admit("mcu-good")) as [child], gateway(fleet, child.pipe, babbler) as agent:
            nursery.desire("mcu-good", other)
            commit(fleet, agent, own, 1.0)
            nursery.until_committed("mcu-good", other)
            junk = sum(one.unsigned for name, one in nursery.children.items())
            assert junk < 200
            assert not [name for name, one in nursery.children.items() if one.statuses and name != "mcu-good"]
            assert len(agent.text()) < 20_000
    finally:
        over.set()
        thread.join()
        babbler.close()
