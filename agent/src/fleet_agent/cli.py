"""The command ``fleet-agent``: enroll, run, status, child enroll."""

import argparse
import importlib.util
import json
import socket
import sys
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

    for command in (enroll, run, enroll_child, status):
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


def _check_listen(host: str, port: int, path: str | None) -> None:
    """Say at once that the local API cannot be had: the front that will bind it starts with the first model."""
    from fleet_agent.front.listen import ListenError, bind_tcp, bind_unix

    try:
        bind_tcp(host, port).close()
        if path is not None:
            bind_unix(path).close()
            Path(path).unlink()
    except ListenError as error:
        raise SetupError(f"no local API: {error} (--listen, --socket)") from None


def _run(arguments: argparse.Namespace) -> None:
    from fleet_agent.clock import Clock
    from fleet_agent.supervisor.agent import Agent, Configuration
    from fleet_agent.supervisor.front import Listen

    host, port = _address(arguments.listen, "--listen", "127.0.0.1:8100", 0)
    broker = None
    if arguments.broker is not None:
        broker = _address(arguments.broker, "--broker", "fleet.example.org:8883")
    where = Paths(arguments.state_dir.absolute())
    enrolment = enrolled(where)
    gateway = _gateway(arguments.line, enrolment.device)
    with paths.lock(where):
        _check_listen(host, port, arguments.socket)
        listen = Listen(host, port, arguments.socket)
        configuration = Configuration(listen, tuple(arguments.runtime), broker, gateway)
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
    from fleet_agent.journal import Journal
    from fleet_agent.supervisor.status import from_journal

    where = Paths(arguments.state_dir.absolute())
    enrolment = enrolled(where)
    status = next(control.ask(where.control, {"do": "status"}, _STATUS_S), None)
    if status is None:
        if where.journal.exists():
            status = from_journal(enrolment, Journal.glance(where.journal))
        else:
            status = {"running": False, "connected": False, "device": enrolment.device, "models": {}}
    if arguments.json:
        print(json.dumps(status, indent=2))
    else:
        _show(status)


def _show(status: dict[str, object]) -> None:
    running = "running" if status["running"] else "not running"
    connected = "connected" if status["connected"] else "not connected"
    print(f"{status['device']}: {running}, {connected}, directive {status.get('epoch', 0)}/{status.get('seq', 0)}, "
          f"{status.get('events_unacked', 0)} events to be acknowledged")  # fmt: skip
    models = status["models"]
    assert isinstance(models, dict)
    for name, model in models.items():
        active = (model["active"] or "nothing")[:12]
        ready = "ready" if model["ready"] else "not ready"
        print(f"  {name}: {active} {ready}, {model['phase']} {model['variant']}")
        if model["error_code"]:
            print(f"    {model['error_code']}: {model['error_text']}")
    if not models:
        print("  no models")
    lines = status.get("lines", [])
    assert isinstance(lines, list)
    for line in lines:
        print(f"  {_line(line)}")


def _line(line: dict[str, Any]) -> str:
    """A serial line and its child, for people."""
    parts = [f"{line['line']}: {'open' if line['open'] else line['why']}"]
    if line["child"]:
        parts.append(f"{line['child']} {'online' if line['online'] else 'silent'}")
    elif line["online"]:
        parts.append("a microcontroller without a name")
    elif line["open"]:
        parts.append(line["why"] or "nobody answers")
    if line["heard_s"] is not None:
        parts.append(f"heard {line['heard_s']:.0f} s ago")
    if line["frame_errors"]:
        parts.append(f"{line['frame_errors']} frame errors")
    return ", ".join([*parts, *line["carrying"]])


if __name__ == "__main__":
    sys.exit(entry())
