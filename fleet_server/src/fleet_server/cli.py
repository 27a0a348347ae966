"""The command `fleet-server`."""

import argparse
import getpass
import logging
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dunlin_contract import console
from dunlin_contract.errors import ContractError
from fleet_server import setup
from fleet_server.config import Config
from fleet_server.context import Context
from fleet_server.errors import InvalidError, ServerError
from fleet_server.services import audit, backup, roots, settings, users

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,200}[A-Za-z0-9])?|[0-9A-Fa-f:.]{2,45}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit code: 0 done, 1 failed with one line on stderr, 2 wrong usage."""
    return console.run(parser(), argv, (ServerError, ContractError))


def parser() -> argparse.ArgumentParser:
    """Every command and option."""
    top = argparse.ArgumentParser(prog="fleet-server", description="Dunlin's fleet server.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    _add_init(commands)
    _add(commands, "serve", _serve, "run the server: dashboard, API, devices' listener, broker bridge")

    user = commands.add_parser("user", help="people who may sign in").add_subparsers(required=True, metavar="ACTION")
    user_add = _add(user, "add", _user_add, "add a user; asks for the password")
    user_add.add_argument("name")
    user_add.add_argument("--role", choices=users.ROLES, default="operator", help="default: operator")
    user_add.add_argument("--password-file", type=Path, metavar="FILE", help="read the password from a file")

    token = commands.add_parser("token", help="API tokens for CI").add_subparsers(required=True, metavar="ACTION")
    token_add = _add(token, "add", _token_add, "add a token and print it, once")
    token_add.add_argument("name")
    token_add.add_argument("--role", choices=users.ROLES, default="operator", help="default: operator")
    _add(token, "remove", _token_remove, "take a token back").add_argument("name")

    root = commands.add_parser("root", help="the root metadata").add_subparsers(required=True, metavar="ACTION")
    _add(root, "import", _root_import, "install a signed root").add_argument("file", type=Path)

    shown = _add(commands, "settings", _settings, "show the settings all devices are told, or change some")
    shown.add_argument("changes", nargs="*", metavar="NAME=NUMBER")

    broker = commands.add_parser("broker", help="a Mosquitto set up for this server")
    actions = broker.add_subparsers(required=True, metavar="ACTION")
    _add(actions, "run", _broker_run, "run it until a signal")
    _add(actions, "config", _broker_config, "write its configuration and print where")

    _add(commands, "backup", _backup, "write database, keys and bundles to one file").add_argument("file", type=Path)
    restoring = _add(commands, "restore", _restore, "bring a backup back into a new directory")
    restoring.add_argument("file", type=Path)
    restoring.add_argument(
        "--database", type=_database, metavar="URL", help="restore into this database; default: as it was"
    )
    return top


def _add(commands: Any, name: str, call: Any, text: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=text, description=f"{text}.")
    command.add_argument("--data", required=True, metavar="DIR", help="the server's directory")
    command.set_defaults(call=call)
    return command


def _add_init(commands: Any) -> None:
    text = "make a new server: settings, keys, certificates, database"
    command = commands.add_parser("init", help=text, description=f"{text}.")
    command.add_argument("dir", type=Path, metavar="DIR")
    command.add_argument("--host", type=_host, default="localhost", help="the name devices reach this server by")
    command.add_argument(
        "--address", type=_host, default="127.0.0.1", help="where dashboard and API listen; default: loopback only"
    )
    command.add_argument("--port", type=_port, default=8080, help="of dashboard and API")
    command.add_argument("--device-port", type=_port, default=8443, help="of the devices' https listener")
    command.add_argument("--broker-host", type=_host, help="default: the same as --host")
    command.add_argument("--broker-port", type=_port, default=8883)
    command.add_argument(
        "--database", type=_database, default="", metavar="URL", help="postgresql+psycopg://...; default: SQLite in DIR"
    )
    command.set_defaults(call=_init)


def _database(text: str) -> str:
    """A database URL without a password: the command line is open to everybody on the machine."""
    if "@" in text and ":" in text.partition("://")[2].rpartition("@")[0]:
        raise argparse.ArgumentTypeError("no password on the command line: put it into ~/.pgpass, or use server.toml")
    return text


def _host(text: str) -> str:
    """A name that can stand in a certificate and in a device's claim token."""
    if not _HOST.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is no host name or IP address")
    return text


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:6]) < 65536):
        raise argparse.ArgumentTypeError("a port is a number from 1 to 65535")
    return int(text)


def _init(arguments: argparse.Namespace) -> None:
    ports = {arguments.port, arguments.device_port, arguments.broker_port}
    if len(ports) < 3:
        raise console.UsageError("--port, --device-port and --broker-port must be three different ports")
    config = Config(
        dir=arguments.dir.absolute(),
        host=arguments.host,
        device_address=setup.bind_address(arguments.host),
        device_port=arguments.device_port,
        operator_address=arguments.address,
        operator_port=arguments.port,
        broker_host=arguments.broker_host or arguments.host,
        broker_port=arguments.broker_port,
        database=arguments.database,
    )
    setup.init(config)
    print(f"{config.dir} is ready. Next: sign a root over {config.dir / setup.SERVER_KEYS} with `packager keys init`,")
    print("then `fleet-server root import`, `fleet-server user add` and `fleet-server serve`.")


def _open(arguments: argparse.Namespace) -> Context:
    return setup.open_context(arguments.data)


def _serve(arguments: argparse.Namespace) -> None:
    from fleet_server.serve import serve

    logging.basicConfig(
        level=logging.DEBUG if arguments.debug else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    for chatty in ("alembic", "uvicorn"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    serve(_open(arguments), lambda line: print(line, flush=True))


def _user_add(arguments: argparse.Namespace) -> None:
    ctx = _open(arguments)
    password = _password(arguments.password_file)
    with ctx.db.write() as session:
        users.add_user(session, arguments.name, password, arguments.role, audit.CLI, ctx.clock())
    print(f"user {arguments.name} may sign in as {arguments.role}")


def _password(file: Path | None) -> str:
    if file is not None:
        try:
            return file.read_text(encoding="utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            raise InvalidError(f"{file} is not UTF-8 text: write the password into a file of its own") from None
    if not sys.stdin.isatty():
        raise InvalidError("there is no terminal to ask for the password: give --password-file")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != password:
        raise InvalidError("the two passwords differ: try again")
    return password


def _token_add(arguments: argparse.Namespace) -> None:
    ctx = _open(arguments)
    with ctx.db.write() as session:
        token = users.add_token(session, arguments.name, arguments.role, audit.CLI, ctx.clock())
    print(token)


def _token_remove(arguments: argparse.Namespace) -> None:
    ctx = _open(arguments)
    with ctx.db.write() as session:
        users.remove_token(session, arguments.name, audit.CLI, ctx.clock())


def _root_import(arguments: argparse.Namespace) -> None:
    ctx = _open(arguments)
    envelope = arguments.file.read_bytes()
    try:
        with ctx.db.write() as session:
            row = roots.install(session, ctx, envelope, audit.CLI, ctx.clock())
    except ContractError as error:
        raise InvalidError(f"{arguments.file} is no root that can be installed: {error}") from error
    print(f"root {row.version} is installed; its digest is {row.digest}")


def _settings(arguments: argparse.Namespace) -> None:
    ctx = _open(arguments)
    changes: dict[str, int] = {}
    for change in arguments.changes:
        name, _, value = change.partition("=")
        if not value.isdecimal():
            raise InvalidError(f"{change!r}: write NAME=NUMBER")
        changes[name] = int(value)
    if changes:
        with ctx.db.write() as session:
            settings.change(session, changes, audit.CLI, ctx.clock())
    with ctx.db.read() as session:
        for name, number in settings.as_json(settings.get(session)).items():
            print(f"{name} = {number}")


def _broker_run(arguments: argparse.Namespace) -> None:
    from fleet_server.broker import Broker

    Broker(_broker_settings(_open(arguments))).run(lambda line: print(line, flush=True))


def _broker_config(arguments: argparse.Namespace) -> None:
    from fleet_server.broker import write

    print(write(_broker_settings(_open(arguments))))


def _broker_settings(ctx: Context) -> Any:
    from fleet_server.broker import BrokerSettings

    paths = ctx.keys.paths
    return BrokerSettings(
        directory=ctx.config.dir / "broker",
        ca_file=paths.ca_certificate,
        certificate_file=paths.certificate("broker"),
        key_file=paths.key("broker"),
        host=setup.bind_address(ctx.config.broker_host),
        port=ctx.config.broker_port,
    )


def _backup(arguments: argparse.Namespace) -> None:
    size = backup.backup(_open(arguments), arguments.file)
    print(f"{arguments.file}: {size} bytes. It holds every key of this server: keep it as safe as the server itself.")


def _restore(arguments: argparse.Namespace) -> None:
    config = backup.restore(arguments.file, Path(arguments.data), arguments.database)
    print(f"{config.dir} is restored; `fleet-server serve --data {config.dir}` goes on from there")


if __name__ == "__main__":
    sys.exit(main())
