"""What breaks around a gateway: it is killed, boards are unplugged and reset, the broker is away."""

import random
import signal
from collections.abc import Callable
from pathlib import Path

from dunlin_contract import link, topics
from tests.agent.fleet import Fleet, sha256, until
from tests.agent.gateway_parts import QUICK, Nursery, boards, gateway, status
from tests.support.board_pipes import Socket, Terminal
from tests.support.fake_child import FakeChild


def interrupted(child: FakeChild, release_chunks: dict[bytes, bytes]) -> Callable[[], bool]:
    """Whether the child has some of the chunks and lacks others."""
    return lambda: 5 <= len(child.memory.objects.keys() & release_chunks.keys()) < len(release_chunks) - 5


def test_a_gateway_killed_in_mid_transfer_goes_on_where_the_child_stands(fleet: Fleet, nursery: Nursery) -> None:
    release = fleet.release(1.0, runtime="tflm", ballast=400_000)
    fleet.offer(release)
    with boards(nursery.admit("mcu-1")) as [child]:
        with gateway(fleet, child.pipe) as agent:
            nursery.desire("mcu-1", release)
            until(interrupted(child, release.chunks), "some chunks are there")
            agent.stop(signal.SIGKILL)
        have = set(child.memory.objects)
        asked: list[bytes] = []
        fetch = child.fetch
        child.fetch = lambda name, length=None: asked.append(name) or fetch(name, length)  # type: ignore[assignment,func-returns-value]
        with gateway(fleet, child.pipe):
            nursery.until_committed("mcu-1", release)
        assert not have & set(asked)
        assert child.boots == 1


def test_a_board_unplugged_in_mid_transfer_is_offline_and_goes_on_when_it_is_back(
    fleet: Fleet, nursery: Nursery
) -> None:
    release = fleet.release(1.0, runtime="tflm", ballast=400_000)
    fleet.offer(release)
    with boards(nursery.admit("mcu-1")) as [child], gateway(fleet, child.pipe) as agent:
        nursery.desire("mcu-1", release)
        until(interrupted(child, release.chunks), "some chunks are there")
        pipe = child.pipe
        assert isinstance(pipe, Socket)
        pipe.plugged = False
        nursery.until_status("mcu-1", topics.OFFLINE)
        assert "; trying again" in agent.text()
        [line] = status(fleet)
        assert (line["open"], line["child"]) == (False, "")
        pipe.plugged = True
        nursery.until_status("mcu-1", topics.ONLINE)
        nursery.until_committed("mcu-1", release)


def test_a_device_file_that_goes_and_comes_back(fleet: Fleet, nursery: Nursery, tmp_path: Path) -> None:
    name = tmp_path / "ttyACM0"
    one = Terminal()
    one.name, real = str(name), one.name
    with gateway(fleet, one) as agent:
        until(lambda: f"{name}: it is not there: plug it in" in agent.text(), "said once")
        memory = nursery.admit("mcu-1")
        name.symlink_to(real)
        with FakeChild(one, memory):
            until(lambda: status(fleet)[0]["online"], "it is there")
            name.unlink()
        until(lambda: not status(fleet)[0]["open"], "its end was noticed")
        two = Terminal()
        name.symlink_to(two.name)
        with FakeChild(two, memory):
            until(lambda: status(fleet)[0]["online"], "it is back")


def test_what_a_child_says_while_the_broker_is_away_arrives_and_is_confirmed_only_then(
    fleet: Fleet, nursery: Nursery
) -> None:
    nursery.acking = False
    with boards(nursery.admit("mcu-1")) as [child], gateway(fleet, child.pipe) as agent:
        until(lambda: nursery.child("mcu-1").reported, "it reported")
        until(lambda: child.said, "and knows it")
        fleet.broker.stop()
        until(lambda: "not connected to the broker" in agent.text(), "the gateway noticed")
        said = len(child.said)
        child.event("note", text="said in the dark")
        until(lambda: any("waiting to publish events" in one for one in status(fleet)[0]["carrying"]), "it is held")  # type: ignore[attr-defined]
        assert len(child.said) == said
        fleet.broker.start()
        until(lambda: nursery.child("mcu-1").events, "it arrived")
        until(lambda: len(child.said) > said, "and the child knows")


def test_a_restarted_gateway_corrects_what_it_said_of_a_child_that_is_gone(fleet: Fleet, nursery: Nursery) -> None:
    with boards(nursery.admit("mcu-1")) as [child], gateway(fleet, child.pipe) as agent:
        nursery.desire("mcu-1")
        nursery.until_status("mcu-1", topics.ONLINE)
        agent.stop(signal.SIGKILL)
    with gateway(fleet, child.pipe, hook=QUICK):
        nursery.until_status("mcu-1", topics.OFFLINE)


def test_a_silent_child_is_offline_and_a_reset_one_is_back_with_its_retained_directive(
    fleet: Fleet, nursery: Nursery
) -> None:
    release = fleet.release(1.0, runtime="tflm")
    fleet.offer(release)
    with boards(nursery.admit("mcu-1")) as [child], gateway(fleet, child.pipe, hook=QUICK):
        nursery.desire("mcu-1")
        nursery.until_status("mcu-1", topics.ONLINE)
        child.to_gateway = lambda _: b""
        nursery.until_status("mcu-1", topics.OFFLINE)
        nursery.desire("mcu-1", release)
        child.to_gateway = lambda data: data
        child.reset()
        nursery.until_committed("mcu-1", release)


def test_a_child_that_moves_to_another_line_is_found_there(fleet: Fleet, nursery: Nursery) -> None:
    release = fleet.release(1.0, runtime="tflm", ballast=2_000)
    fleet.offer(release)
    memory = nursery.admit("mcu-1")
    one, two = Terminal(), Terminal()
    with gateway(fleet, one, two, hook=QUICK):
        nursery.desire("mcu-1")
        with FakeChild(one, memory) as child:
            nursery.until_status("mcu-1", topics.ONLINE)
            child.to_gateway = lambda _: b""
            nursery.until_status("mcu-1", topics.OFFLINE)
            with FakeChild(two, memory):
                nursery.until_status("mcu-1", topics.ONLINE)
                nursery.desire("mcu-1", release)
                nursery.until_committed("mcu-1", release)


def test_a_board_that_does_not_read_only_loses_frames(fleet: Fleet) -> None:
    """A line whose other side hangs: what does not fit is dropped, and nothing waits for it."""
    pipe = Socket()
    data = random.Random(1).randbytes(65_000)
    fleet.publish(topics.Address("mcu-1", fleet.device).down("desired"), data)
    ask = b"".join(link.encode(link.Get(sha256(data), at, 1024).to_body()) for at in range(0, 64_000, 1024))
    with gateway(fleet, pipe):
        pipe.read(60)
        pipe.write(link.encode(link.Hello(True, bytes(16), "mcu-1").to_body()))
        until(lambda: pipe.write(ask) or status(fleet)[0]["frames_dropped"], "frames were dropped")  # type: ignore[func-returns-value]
        assert status(fleet)[0]["online"]
    pipe.close()
