"""What an operator of a gateway is told: each mistake by name, and what to do next."""

import signal
import subprocess
import threading

from dunlin_contract.enrolment import EnrolReply
from tests.agent.fleet import Agent, Fleet, until
from tests.agent.gateway_parts import Nursery, boards, command, enroll, gateway, status
from tests.support.board_pipes import Socket
from tests.support.fake_link import Memory


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
