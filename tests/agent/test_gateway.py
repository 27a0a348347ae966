"""The gateway with a real broker, the real agent in a process of its own, and boards on its lines."""

import json
import random
import signal
import subprocess
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from dunlin_contract import envelopes, link, topics
from dunlin_contract.enrolment import EnrolReply
from tests.agent.fleet import Agent, Fleet, commit, flipped, sha256, until
from tests.agent.gateway_parts import Nursery, boards, command, gateway
from tests.support.fake_child import FakeChild, Memory, Socket, Terminal

QUICK = "import fleet_agent.gateway.line as line, fleet_agent.gateway.gateway as gateway\n"
QUICK += "line.SILENCE_S = gateway.SILENCE_S = 3.0\n"
"""Silence is judged sooner; the boards below say hello more often to match."""


@pytest.fixture(name="nursery")
def _nursery(fleet: Fleet) -> Nursery:
    return Nursery(fleet)


def enroll(fleet: Fleet, line: str, name: str, token: str) -> tuple[int, str, list[str]]:
    """Run ``fleet-agent child enroll`` to its end: exit code, what it printed, and its lines for people."""
    words = ("child", "enroll", "--line", line, "--id", name, "--token-file", "-")
    process = command(fleet, *words, stdin=token)
    out, err = process.communicate(timeout=90)
    assert "Traceback" not in err
    return process.returncode, out.strip(), err.splitlines()


def status(fleet: Fleet) -> list[dict[str, object]]:
    """The lines as ``fleet-agent status --json`` shows them."""
    out, err = command(fleet, "status", "--json").communicate(timeout=60)
    lines = json.loads(out)["lines"]
    assert isinstance(lines, list), err
    return lines


# Everything as it should be.


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


# What breaks.


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


# Who lies.


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


# What an operator is told.


def test_mistakes_of_an_operator(fleet: Fleet, nursery: Nursery) -> None:
    token = nursery.token().to_text()

    def refused(line: str, name: str = "mcu-2", text: str = token, exits: int = 1) -> str:
        code, out, said = enroll(fleet, line, name, text)
        assert (code, out) == (exits, ""), said
        return said[-1]

    assert f"fleet-agent run --state-dir {fleet.state} --line /dev/ttyACM0" in refused("/dev/ttyACM0")
    assert "copy the whole of it" in refused("/dev/ttyACM0", text="dunlin1-AAAA")
    assert "write DEVICE[@BAUD]" in refused("ttyACM0", exits=2)
    with Agent(fleet):
        until(fleet.state.joinpath("control.sock").exists, "it runs")
        assert "this agent has no serial lines: run it with --line" in refused("/dev/ttyACM0")
    closed = Socket()
    closed.close()
    with boards(nursery.admit("mcu-1"), Memory()) as [child, fresh], gateway(fleet, child.pipe, fresh.pipe, closed):
        until(lambda: status(fleet)[0]["online"], "the child is there")
        assert f"is not a line of this agent, which has {child.pipe.name}" in refused("/dev/ttyACM0")
        assert "nobody listens there: start the port server" in refused(closed.name)
        assert "is enrolled already as mcu-1: wipe it first" in refused(child.pipe.name)
        assert "cannot name a device: choose another --id" in refused(fresh.pipe.name, "Mcu 2")
        assert f"{fleet.device} is this gateway's own id" in refused(fresh.pipe.name, fleet.device)
        assert f"mcu-1 is alive on {child.pipe.name}" in refused(fresh.pipe.name, "mcu-1")
        nursery.replies = [EnrolReply(status="refused", reason="the claim token was used: make another")]
        assert refused(fresh.pipe.name) == "fleet-agent: the server refused: the claim token was used: make another"
        nursery.replies = [EnrolReply(status="pending", poll_s=1)] * 100
        words = ("child", "enroll", "--line", fresh.pipe.name, "--id", "mcu-2", "--token-file", "-")

        def waiting() -> subprocess.Popen[str]:
            # A child of a shell's background job would inherit that Ctrl-C is ignored.
            before = signal.signal(signal.SIGINT, signal.default_int_handler)
            process = command(fleet, *words, stdin=token)
            signal.signal(signal.SIGINT, before)
            assert process.stderr is not None
            said = [process.stderr.readline()]
            while said[-1] and not said[-1].startswith("waiting for approval"):
                said.append(process.stderr.readline())
            assert said[-1], said
            return process

        one = waiting()
        assert "another child enroll is busy" in refused(fresh.pipe.name)
        one.send_signal(signal.SIGINT)
        one.communicate(timeout=60)
        assert one.returncode == 130
        two = waiting()
        nursery.replies.clear()
        out, err = two.communicate(timeout=60)
        assert (two.returncode, out.strip()) == (0, "enrolled as mcu-2"), err


def test_a_silent_line_is_said_to_be_silent(fleet: Fleet, nursery: Nursery) -> None:
    hook = "import fleet_agent.gateway.claiming as claiming\nclaiming._Stage.ANSWERING._value_ = 1.0\n"
    silent = Socket()
    stop = threading.Event()

    def accept() -> None:
        while not stop.is_set():
            silent.read(0.1)

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        with gateway(fleet, silent, hook=hook):
            until(lambda: status(fleet)[0]["open"], "it is open")
            code, _, said = enroll(fleet, silent.name, "mcu-1", nursery.token().to_text())
            assert (code, said) == (
                1,
                [f"fleet-agent: nobody answers on {silent.name}: is the board on, with its firmware, at 115200 Bd?"],
            )
    finally:
        stop.set()
        thread.join()
        silent.close()


def test_mistakes_on_the_command_line(fleet: Fleet) -> None:
    for words, code, says in (
        (("--line", "ttyACM0"), 2, "write DEVICE[@BAUD], such as /dev/ttyACM0@115200"),
        (("--line", "/dev/ttyACM0", "--line", "/dev/ttyACM0@9600"), 2, "--line /dev/ttyACM0 is given twice"),
    ):
        process = command(fleet, "run", "--listen", "127.0.0.1:0", *words)
        _, err = process.communicate(timeout=60)
        assert (process.returncode, says in err) == (code, True), err


def test_without_pyserial_the_agent_says_what_to_install(fleet: Fleet) -> None:
    hook = "import importlib.util as u\nfound = u.find_spec\n"
    hook += "u.find_spec = lambda name, *rest: None if name == 'serial' else found(name, *rest)\n"
    with Agent(fleet, hook=hook + "sys.argv.remove('--debug')", arguments=["--line", "/dev/ttyACM0"]) as agent:
        assert agent.ended() == 1
        assert "pip install 'dunlin-agent[gateway]'" in agent.text()


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
