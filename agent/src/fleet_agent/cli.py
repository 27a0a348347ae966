"""The command ``fleet-agent``: enroll, run, status, doctor, install, child enroll."""

import argparse
import importlib.util
import json
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dunlin_contract import console
from fleet_agent import __version__, control, paths
from fleet_agent.errors import SetupError
from fleet_agent.identity import enrolled
from fleet_agent.paths import Paths

if TYPE_CHECKING:
    from fleet_agent.supervisor.gateway import MakeGateway

_TOKEN_CHARS = 4096
_STATUS_S = 15.0
_RATE_S = 1.0
"""How long answers are counted for the rates that ``status`` shows."""


def entry() -> int:
    """Entry point of the installed command."""
    return main(None)


def main(argv: Sequence[str] | None) -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="fleet-agent", description="Keeps the models of this device right.")
    parser.add_argument("--version", action="version", version=f"fleet-agent {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    enroll = commands.add_parser("enroll", help="make this machine a device of a fleet")
    enroll.add_argument("--token-file", required=True, metavar="FILE", help="claim token; - reads standard input")
    enroll.add_argument("--id", metavar="NAME", help="the device's name (default: this machine's host name)")
    enroll.set_defaults(call=_enroll)

    run = commands.add_parser("run", help="serve the fleet's models on this device")
    what = "what this device's owner decides (default: agent.toml in the state folder, if it is there)"
    run.add_argument("--config", type=Path, metavar="FILE", help=what)
    run.add_argument("--listen", default="127.0.0.1:8100", metavar="HOST:PORT", help="local API (default: %(default)s)")
    run.add_argument("--socket", metavar="PATH", help="local API on this Unix socket too")
    run.add_argument("--broker", metavar="HOST:PORT", help="reach the broker here instead of where enrolment said")
    run.add_argument("--runtime", action="append", default=[], metavar="NAME", help="offer only this runtime; repeat")
    run.set_defaults(call=_run)

    line = "DEVICE[@BAUD]"
    what = "a serial line with a microcontroller, such as /dev/ttyACM0@115200 or socket://HOST:PORT; repeat"
    run.add_argument("--line", action="append", default=[], metavar=line, help=what)

    child = commands.add_parser("child", help="the microcontrollers on this device's serial lines")
    children = child.add_subparsers(required=True, metavar="COMMAND")
    enroll_child = children.add_parser("enroll", help="make the microcontroller on a line a device of the fleet")
    enroll_child.add_argument("--line", required=True, metavar=line, help="the running agent's line that it is on")
    enroll_child.add_argument("--id", required=True, metavar="NAME", help="the microcontroller's name")
    enroll_child.add_argument("--token-file", required=True, metavar="FILE", help="claim token; - reads standard input")
    enroll_child.set_defaults(call=_enroll_child)

    status = commands.add_parser("status", help="show what this device runs")
    status.add_argument("--json", action="store_true", help="for programs")
    status.set_defaults(call=_status)

    doctor = commands.add_parser("doctor", help="say what runs here, what does not, why, and what to do")
    doctor.add_argument("--json", action="store_true", help="for programs")
    doctor.set_defaults(call=_doctor)

    install = commands.add_parser("install", help="make the agent a service of this machine (as root)")
    install.add_argument("--dry-run", action="store_true", help="only say what would be done")
    install.set_defaults(call=_install)

    for command in (enroll, run, enroll_child, status, doctor):
        what = "the device's state (default: %(default)s)"
        command.add_argument("--state-dir", type=Path, default=paths.DEFAULT, metavar="DIR", help=what)
    return console.run(parser, argv)


def _enroll(arguments: argparse.Namespace) -> None:
    from fleet_agent import enrol

    token = enrol.read_token(_token_text(arguments.token_file))
    name = socket.gethostname().partition(".")[0].lower() if arguments.id is None else arguments.id
    enrolment = enrol.enrol(arguments.state_dir, token, name, lambda line: print(line, file=sys.stderr, flush=True))
    print(f"enrolled as {enrolment.device}: start it with fleet-agent run --state-dir {arguments.state_dir}")


def _token_text(file: str) -> str:
    if file == "-":
        return sys.stdin.read(_TOKEN_CHARS)
    return Path(file).read_text("utf-8", "replace")[:_TOKEN_CHARS]


def _enroll_child(arguments: argparse.Namespace) -> None:
    from fleet_agent import enrol
    from fleet_agent.gateway import port

    where = Paths(arguments.state_dir.absolute())
    enrolled(where)
    line = port.parse(arguments.line).device
    token = enrol.read_token(_token_text(arguments.token_file))
    request = {"do": "enroll-child", "line": line, "device": arguments.id, "token": token.to_text()}
    running = False
    for answer in control.ask(where.control, request, None):
        running = True
        if "error" in answer:
            raise SetupError(str(answer["error"]))
        print(answer.get("say") or answer["done"], file=sys.stdout if "done" in answer else sys.stderr, flush=True)
    if not running:
        there = f"--state-dir {where.base} " if arguments.state_dir != paths.DEFAULT else ""
        raise SetupError(f"no agent runs in {where.base}: start it with fleet-agent run {there}--line {line}")


def _address(text: str, option: str, example: str, least: int = 1) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdecimal() or not least <= int(port) <= 65535:
        raise console.UsageError(f"{option} {text}: write HOST:PORT, such as {example}")
    return host, int(port)


def _check_listen(host: str, port: int, path: str | None, *, wide: bool) -> None:
    """Say at once that the local API cannot be had: the front that will bind it starts with the first model."""
    from fleet_agent.front.listen import ListenError, bind_tcp, bind_unix

    try:
        bind_tcp(host, port, wide=wide).close()
        if path is not None:
            bind_unix(path).close()
            Path(path).unlink()
    except ListenError as error:
        raise SetupError(f"no local API: {error} (--listen, --socket)") from None


def _run(arguments: argparse.Namespace) -> None:
    from fleet_agent.clock import Clock
    from fleet_agent.config import api, capture, carriers, file, power, results, sinks, sources, workers
    from fleet_agent.sandbox import privileges
    from fleet_agent.supervisor.agent import Agent, Configuration
    from fleet_agent.supervisor.front import Listen

    # Models in the clear pass through this process as memory files.
    privileges.unreadable()
    host, port = _address(arguments.listen, "--listen", "127.0.0.1:8100", 0)
    broker = None
    if arguments.broker is not None:
        broker = _address(arguments.broker, "--broker", "fleet.example.org:8883")
    where = Paths(arguments.state_dir.absolute())
    enrolment = enrolled(where)
    gateway = _gateway(arguments.line, enrolment.device)
    words = file.read(arguments.config or (where.config if where.config.exists() else None))
    local = api.read(words)
    feed = sources.read(words, sinks.read(words))
    # Sources are apps of this device: they come by the Unix socket.
    unix = arguments.socket or (str(where.api) if feed else None)
    with paths.lock(where):
        _check_listen(host, port, unix, wide=local.token_sha256 is not None)
        listen = Listen(host, port, unix, local)
        configuration = Configuration(
            listen,
            tuple(arguments.runtime),
            broker,
            gateway,
            workers=workers.read(words),
            results=results.read(words),
            sources=feed,
            carriers=carriers.read(words),
            power=power.read(words),
            capture=capture.read(words),
        )
        agent = Agent(where, enrolment, configuration, Clock())
        print(
            f"fleet-agent: device {enrolment.device}, local API on http://{host}:{port} (when a model serves)",
            flush=True,
        )
        agent.run()


def _gateway(lines: Sequence[str], device: str) -> "MakeGateway | None":
    """Makes the gateway; nothing of it is loaded without a line."""
    if not lines:
        return None
    if importlib.util.find_spec("serial") is None:
        raise SetupError("serial lines need pyserial: pip install 'dunlin-agent[gateway]'")
    from fleet_agent.gateway import port
    from fleet_agent.gateway.gateway import Gateway

    wheres = [port.parse(line) for line in lines]
    for where in wheres:
        if sum(where.device == other.device for other in wheres) > 1:
            raise console.UsageError(f"--line {where.device} is given twice")
    return lambda loop, link, timeout_s, corrupted: Gateway(loop, link, device, wheres, timeout_s, corrupted)


def _status(arguments: argparse.Namespace) -> None:
    where = Paths(arguments.state_dir.absolute())
    first = _ask_status(where)
    if arguments.json:
        print(json.dumps(first, indent=2))
        return
    from fleet_agent import status

    rates: dict[str, float] = {}
    second = first
    if first["running"] and any(model["ready"] for model in first["models"].values()):
        begin = time.monotonic()
        time.sleep(_RATE_S)
        second = _ask_status(where)
        rates = status.rates(first, second, time.monotonic() - begin)
    for line in status.lines(second, rates):
        print(line)


def _ask_status(where: Paths) -> dict[str, Any]:
    """The running agent's, or out of the journal of one that is down."""
    from fleet_agent.journal import Journal
    from fleet_agent.supervisor.status import from_journal

    enrolment = enrolled(where)
    status = next(control.ask(where.control, {"do": "status"}, _STATUS_S), None)
    if status is not None:
        return status
    if where.journal.exists():
        return from_journal(enrolment, Journal.glance(where.journal))
    return {"running": False, "connected": False, "device": enrolment.device, "models": {}}


def _doctor(arguments: argparse.Namespace) -> int:
    from fleet_agent.doctor import examine

    where = Paths(arguments.state_dir.absolute())
    examine.as_owner(where)
    found = examine.examine(where)
    if arguments.json:
        print(json.dumps(examine.for_programs(found), indent=2))
    else:
        for line in examine.for_people(found):
            print(line)
    return 1 if examine.counts(found)[0] else 0


def _install(arguments: argparse.Namespace) -> None:
    from fleet_agent.install import install

    install(dry=arguments.dry_run, say=lambda line: print(line, flush=True))


if __name__ == "__main__":
    sys.exit(entry())
