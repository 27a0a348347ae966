"""The command ``fleet-agent``: enroll, run, status."""

import argparse
import json
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from dunlin_contract import console
from fleet_agent import __version__, paths
from fleet_agent.errors import SetupError
from fleet_agent.identity import enrolled
from fleet_agent.paths import Paths

_TOKEN_CHARS = 4096


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

    status = commands.add_parser("status", help="show what this device runs")
    status.add_argument("--json", action="store_true", help="for programs")
    status.set_defaults(call=_status)

    for command in (enroll, run, status):
        what = "the device's state (default: %(default)s)"
        command.add_argument("--state-dir", type=Path, default=paths.DEFAULT, metavar="DIR", help=what)
    return console.run(parser, argv)


def _enroll(arguments: argparse.Namespace) -> None:
    from fleet_agent import enrol

    if arguments.token_file == "-":  # noqa: S105 - a file name
        text = sys.stdin.read(_TOKEN_CHARS)
    else:
        text = Path(arguments.token_file).read_text("utf-8", "replace")[:_TOKEN_CHARS]
    token = enrol.read_token(text)
    name = socket.gethostname().partition(".")[0].lower() if arguments.id is None else arguments.id
    enrolment = enrol.enrol(arguments.state_dir, token, name, lambda line: print(line, file=sys.stderr, flush=True))
    print(f"enrolled as {enrolment.device}: start it with fleet-agent run --state-dir {arguments.state_dir}")


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
    with paths.lock(where):
        _check_listen(host, port, arguments.socket)
        configuration = Configuration(Listen(host, port, arguments.socket), tuple(arguments.runtime), broker)
        agent = Agent(where, enrolment, configuration, Clock())
        print(
            f"fleet-agent: device {enrolment.device}, local API on http://{host}:{port} (when a model serves)",
            flush=True,
        )
        agent.run()


def _status(arguments: argparse.Namespace) -> None:
    from fleet_agent.journal import Journal
    from fleet_agent.supervisor.status import from_journal

    where = Paths(arguments.state_dir.absolute())
    enrolment = enrolled(where)
    status = _ask(where)
    if status is None:
        if where.journal.exists():
            status = from_journal(enrolment, Journal.glance(where.journal))
        else:
            status = {"running": False, "connected": False, "device": enrolment.device, "models": {}}
    if arguments.json:
        print(json.dumps(status, indent=2))
    else:
        _show(status)


def _ask(where: Paths) -> dict[str, object] | None:
    """Status of the running agent, None when there is none."""
    from fleet_agent.supervisor.control import short

    if not where.control.exists():
        return None
    address, folder = short(where.control)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(15)
        try:
            sock.connect(address)
            parts = []
            while part := sock.recv(65536):
                parts.append(part)
        except (ConnectionRefusedError, FileNotFoundError):
            return None
        finally:
            os.close(folder)
    answer: dict[str, object] = json.loads(b"".join(parts))
    return answer


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


if __name__ == "__main__":
    sys.exit(entry())
