"""The command ``packager``: words in, exit codes out. Everything it does is in the other modules."""

import argparse
import contextlib
import json
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from dunlin_contract.console import UsageError, run
from dunlin_contract.cose import Role
from dunlin_contract.errors import ContractError, SignatureError
from model_packager import ceremony, files, keyfolder, owners, recipe, show, wipes
from model_packager.errors import PackagerError
from model_packager.keyfolder import PACKAGER, RELEASE, ROOT_FILE, Passphrase
from model_packager.progress import Progress, size

_TRIAL_SECONDS = 300.0


def _print_json(value: dict[str, Any]) -> None:
    print(json.dumps(value, indent=2))


def _passphrase(arguments: argparse.Namespace) -> Passphrase:
    return Passphrase(arguments.passphrase_file)


def keys_init(arguments: argparse.Namespace) -> None:
    """``packager keys init``."""
    folder: Path = arguments.folder
    count, threshold = arguments.root_keys, arguments.root_threshold
    if not 1 <= threshold <= count <= 16:
        raise UsageError("--root-threshold must be at least 1 and at most --root-keys (16 at most)")
    server = ceremony.read_server_keys(arguments.server_keys)
    passphrase = None if arguments.no_passphrase else _passphrase(arguments).get("the new keys", new=True)
    digest = ceremony.init(folder, server, passphrase, count, threshold)
    if arguments.json:
        _print_json({"folder": str(folder), "root_digest": digest.hex(), "root_version": 1})
        return
    print(f"keys and {ROOT_FILE} are in {folder}; root digest {digest.hex()}")
    print(f"next: fleet-server root import {folder / ROOT_FILE}; then move root-*.pem offline,")
    print("      and give ops-1.pem and ops-2.pem to two different people")


def keys_show(arguments: argparse.Namespace) -> None:
    """``packager keys show``."""
    folder: Path = arguments.folder
    pinned = keyfolder.read_root(folder / ROOT_FILE)
    root = pinned.root
    roles = {
        name: {"threshold": role.threshold, "keys": [kid.hex() for kid in role.kids]}
        for name, role in root.roles.items()
    }
    found = {path.name: "encrypted" if b"ENCRYPTED" in path.read_bytes() else "plain" for path in folder.glob("*.pem")}
    if arguments.json:
        _print_json(
            {
                "root_digest": pinned.digest.hex(),
                "root_version": root.version,
                "epoch": root.epoch,
                "not_after": root.not_after,
                "roles": roles,
                "files": dict(sorted(found.items())),
            }
        )
        return
    print(f"root {root.version}, epoch {root.epoch}, valid until {show.time_text(root.not_after)}")
    print(f"digest {pinned.digest.hex()}")
    for name, role in root.roles.items():
        print(f"  {name:<9}{role.threshold} of {len(role.kids)}   {'  '.join(kid.hex() for kid in role.kids)}")
    for name, how in sorted(found.items()):
        print(f"  {name:<20}{how}")


def root_sign(arguments: argparse.Namespace) -> None:
    """``packager root sign``."""
    folder: Path = arguments.keys
    server = ceremony.read_server_keys(arguments.server_keys) if arguments.server_keys else None
    if server is None and not arguments.rotate and not arguments.raise_epoch:
        raise UsageError("nothing to change: give --server-keys, --rotate or --raise-epoch")
    pinned = keyfolder.read_root(folder / ROOT_FILE)
    change = ceremony.Change(server, tuple(dict.fromkeys(arguments.rotate)), arguments.raise_epoch)
    own = sorted(path for path in folder.glob("root-*.pem") if ".root" not in path.name)
    root = ceremony.next_root(folder, pinned, change, [*own, *arguments.root_key], _passphrase(arguments))
    digest = keyfolder.read_root(folder / ROOT_FILE).digest
    if arguments.json:
        _print_json({"root_version": root.version, "root_digest": digest.hex(), "epoch": root.epoch})
        return
    print(f"root {root.version} is in {folder / ROOT_FILE}; digest {digest.hex()}")
    print(f"next: fleet-server root import {folder / ROOT_FILE}")


def build(arguments: argparse.Namespace) -> None:
    """``packager build``."""
    from model_packager import build as building

    overrides = {
        name: getattr(arguments, name)
        for name in ("name", "version", "counter", "valid_days", "labels", "samples", "p95_ms")
    }
    wanted = recipe.load(arguments.recipe, overrides)
    root = keyfolder.read_root(arguments.keys / ROOT_FILE).root
    secret = _passphrase(arguments)
    signing = building.Signing(
        root=root,
        release=keyfolder.load_for_role(arguments.keys, RELEASE, "release", root, secret),
        packager=keyfolder.load_key(arguments.keys / PACKAGER, secret),
    )
    out: Path = arguments.out or Path(f"{wanted.name}-{wanted.version}.dnb")
    if out.is_dir():
        out /= f"{wanted.name}-{wanted.version}.dnb"
    made = building.build(wanted, signing, out, arguments.force, arguments.timeout, Progress())
    for warning in made.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if arguments.json:
        _print_json(
            {
                "bundle": str(made.path),
                "sealed_cek": str(made.cek_path),
                "name": wanted.name,
                "version": wanted.version,
                "counter": wanted.counter,
                "digest": made.digest.hex(),
                "bytes": made.size,
                "variants": made.variants,
                "warnings": made.warnings,
            }
        )
        return
    print(f"{made.path}: {wanted.name} {wanted.version}, {size(made.size)}, release {made.digest.hex()}")


def inspect(arguments: argparse.Namespace) -> None:
    """``packager inspect``."""
    root_file = _root_file(arguments)
    root = keyfolder.read_root(root_file).root if root_file else None
    with _named(arguments.bundle):
        manifest, digest, verified = show.read(arguments.bundle, root)
    if arguments.json:
        _print_json(show.as_json(manifest, digest, verified))
    else:
        print(show.as_text(manifest, digest, verified))


def verify(arguments: argparse.Namespace) -> None:
    """``packager verify``."""
    from model_packager import verify as verifying
    from model_packager.build import cek_path_of

    root_file = _root_file(arguments)
    if root_file is None:
        raise UsageError("verify needs --keys FOLDER or --root FILE: who may sign is what it checks")
    root = keyfolder.read_root(root_file).root
    cek_path = cek_path_of(arguments.bundle)
    packager = None
    if arguments.keys and (arguments.keys / PACKAGER).exists() and cek_path.exists():
        packager = keyfolder.load_key(arguments.keys / PACKAGER, _passphrase(arguments))
    with _named(arguments.bundle):
        found = verifying.verify(arguments.bundle, root, packager, cek_path, Progress())
    if found.expired:
        raise PackagerError(f"{found.name} {found.version} is whole, but it has expired: build and push a new release")
    if arguments.json:
        _print_json(
            {
                "name": found.name,
                "version": found.version,
                "digest": found.release_digest.hex(),
                "chunks": found.chunks,
                "opened": found.opened,
            }
        )
        return
    depth = (
        "decrypted and compared" if found.opened else "not decrypted: that needs the packager's key and the .cek file"
    )
    print(f"{found.name} {found.version}: signature and {found.chunks} chunks hold; contents {depth}")
    print(f"release {found.release_digest.hex()}")


def push(arguments: argparse.Namespace) -> None:
    """``packager push``."""
    from model_packager import push as pushing
    from model_packager.server import Server, read_token

    token = read_token(arguments.token_file)
    pinned = keyfolder.read_root(arguments.keys / ROOT_FILE)
    packager = keyfolder.load_key(arguments.keys / PACKAGER, _passphrase(arguments))
    with _named(arguments.bundle), Server(arguments.server, token, arguments.ca) as server:
        pushed = pushing.push(arguments.bundle, pinned, packager, server, Progress())
    if arguments.json:
        _print_json(pushed)
    else:
        print(f"{pushed['name']} {pushed['version']} is on {pushed['server']}; release {pushed['digest']}")


def usb(arguments: argparse.Namespace) -> None:
    """``packager usb``."""
    from model_packager import usb as copying

    root_file = _root_file(arguments)
    if root_file is None:
        raise UsageError("usb needs --keys FOLDER or --root FILE: only what was signed is worth carrying")
    root = keyfolder.read_root(root_file).root
    written = []
    for bundle in arguments.bundle:
        with _named(bundle):
            written.append(copying.copy(bundle, arguments.folder, root, Progress()))
    if arguments.json:
        _print_json({"folder": str(arguments.folder), "bundles": written})
        return
    for one in written:
        print(f"{one['file']}: {one['name']} {one['version']}, release {one['digest']}")
    print("next: unmount the stick; devices whose [carriers] usb names its folder take from it what they should run")


def wipe_sign(arguments: argparse.Namespace) -> None:
    """``packager wipe sign``."""
    from model_packager.server import Server, read_token

    number = wipes.number_in(arguments.order)
    if number is None:
        if arguments.out is None:
            raise UsageError("an order from a file is signed into a file: give --out FILE")
        draft = wipes.read(Path(arguments.order))
        files.write(arguments.out, _signed(draft, arguments))
        print(f"the signature is in {arguments.out}")
        return
    with Server(arguments.order, read_token(arguments.token_file), arguments.ca) as server:
        signature = _signed(wipes.parse(server.wipe_order(number)), arguments)
        if arguments.out is not None:
            files.write(arguments.out, signature)
            print(f"the signature is in {arguments.out}")
        else:
            server.sign_wipe(number, signature)
            print(f"the signature is on {server.url}")


def _signed(draft: wipes.Draft, arguments: argparse.Namespace) -> bytes:
    """The owner's signature, after they have seen what it is for and agreed."""
    return owners.signature(draft.payload, Role.WIPE, wipes.words(draft), draft.order.device, arguments)


def _capture(command: str) -> Callable[[argparse.Namespace], None]:
    """A ``packager capture`` command; what it needs is loaded when it runs."""

    def call(arguments: argparse.Namespace) -> None:
        from model_packager import captures

        {"draft": captures.draft, "sign": captures.sign, "show": captures.show, "cancel": captures.cancel}[command](
            arguments
        )

    return call


@contextlib.contextmanager
def _named(bundle: Path) -> Iterator[None]:
    """Say which file breaks a rule, and what helps."""
    try:
        yield
    except ContractError as error:
        helps = "ask whose keys signed it" if isinstance(error, SignatureError) else "copy it anew, or build it again"
        raise PackagerError(f"{bundle} is refused; {helps}: {error}") from error


def _root_file(arguments: argparse.Namespace) -> Path | None:
    if arguments.root:
        return Path(arguments.root)
    return Path(arguments.keys) / ROOT_FILE if arguments.keys else None


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < threading.TIMEOUT_MAX:
        raise argparse.ArgumentTypeError("give seconds above 0")
    return seconds


def _with_passphrase(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--passphrase-file", type=Path, metavar="FILE", help="passphrase of encrypted keys")


def _with_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output, for CI")


def _with_server(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="API token (else the variable DUNLIN_TOKEN)")
    parser.add_argument("--ca", type=Path, metavar="FILE", help="PEM certificates to trust instead of the system's")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="packager", description="Try, measure, encrypt and sign models, and push them to a fleet server."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_key_commands(commands)
    _add_bundle_commands(commands)
    wipe = commands.add_parser("wipe", help="sign a wipe order").add_subparsers(required=True, metavar="COMMAND")
    sign = wipe.add_parser("sign", help="say in words what an order erases, and sign it")
    _with_signing(sign, "wipes")
    sign.set_defaults(call=wipe_sign)
    _add_capture_commands(commands)
    return parser


def _with_signing(sign: argparse.ArgumentParser, what: str) -> None:
    sign.add_argument("order", metavar="ORDER", help=f"the order's address (https://SERVER/{what}/NUMBER) or a file")
    sign.add_argument("--key", type=Path, required=True, metavar="FILE", help="your ops key, such as ops-1.pem")
    sign.add_argument("--root", type=Path, metavar="FILE", help="root that names the ops keys (root.cose by the key)")
    sign.add_argument("--yes", action="store_true", help="do not ask")
    sign.add_argument("--out", type=Path, metavar="FILE", help="write the signature here instead of sending it")
    _with_passphrase(sign)
    _with_server(sign)


def _add_capture_commands(commands: Any) -> None:
    what = "order that a device keeps some requests of a model, and sends them"
    capture = commands.add_parser("capture", help=what).add_subparsers(required=True, metavar="COMMAND")
    draft = capture.add_parser("draft", help="have the server write an order down, for two owners to sign")
    draft.add_argument("--server", required=True, metavar="URL")
    draft.add_argument("--device", required=True, metavar="NAME")
    draft.add_argument("--model", required=True, metavar="NAME")
    draft.add_argument("--random", type=int, default=0, metavar="PERMILLE", help="of all requests, at random")
    close = "those whose two largest outputs are less apart, of the larger"
    draft.add_argument("--margin", type=int, default=0, metavar="PERMILLE", help=close)
    draft.add_argument("--disagreement", action="store_true", help="those that a candidate on trial answers otherwise")
    draft.add_argument(
        "--class", type=int, action="append", default=[], dest="classes", metavar="N", help="whose largest output is it"
    )
    draft.add_argument("--per-day", type=int, required=True, metavar="N", help="at most so many in 24 hours")
    draft.add_argument("--days", type=int, required=True, metavar="N", help="how long the order holds")
    _with_server(draft)
    draft.set_defaults(call=_capture("draft"))
    sign = capture.add_parser("sign", help="say in words what an order keeps, and sign it")
    _with_signing(sign, "captures")
    sign.set_defaults(call=_capture("sign"))
    for name, said in (
        ("show", "what an order keeps, and how it stands"),
        ("cancel", "drop a draft, or end what was sent"),
    ):
        parser = capture.add_parser(name, help=said)
        parser.add_argument("order", metavar="ADDRESS", help="https://SERVER/captures/NUMBER")
        _with_server(parser)
        parser.set_defaults(call=_capture(name))


def _add_key_commands(commands: Any) -> None:
    keys = commands.add_parser("keys", help="make or show keys").add_subparsers(required=True, metavar="COMMAND")
    init = keys.add_parser("init", help="make root, release, packager and ops keys, and the first root")
    init.add_argument("folder", type=Path, metavar="FOLDER", help="new folder for the keys")
    init.add_argument("--server-keys", type=Path, required=True, metavar="FILE", help="written by `fleet-server init`")
    secret = init.add_mutually_exclusive_group()
    _with_passphrase(secret)
    secret.add_argument("--no-passphrase", action="store_true", help="leave the key files unencrypted")
    init.add_argument("--root-keys", type=int, default=1, metavar="N", help="how many root keys to make (1)")
    init.add_argument("--root-threshold", type=int, default=1, metavar="K", help="how many must sign a root (1)")
    _with_json(init)
    init.set_defaults(call=keys_init)
    shown = keys.add_parser("show", help="the root, its digest, and which keys are here")
    shown.add_argument("folder", type=Path, metavar="FOLDER")
    _with_json(shown)
    shown.set_defaults(call=keys_show)
    root = commands.add_parser("root", help="sign the next root").add_subparsers(required=True, metavar="COMMAND")
    sign = root.add_parser("sign", help="make root N+1, signed by the thresholds of both")
    sign.add_argument("--keys", type=Path, required=True, metavar="FOLDER")
    sign.add_argument("--server-keys", type=Path, metavar="FILE", help="new director, vault and ca keys")
    sign.add_argument(
        "--rotate", action="append", default=[], choices=ceremony.ROTATABLE, help="make new keys for a role"
    )
    sign.add_argument("--raise-epoch", action="store_true", help="undo a fast-forward: directives start a new sequence")
    sign.add_argument(
        "--root-key", type=Path, action="append", default=[], metavar="FILE", help="a root key kept elsewhere"
    )
    _with_passphrase(sign)
    _with_json(sign)
    sign.set_defaults(call=root_sign)


def _add_bundle_commands(commands: Any) -> None:
    made = commands.add_parser("build", help="build a bundle from a recipe")
    made.add_argument("recipe", type=Path, metavar="RECIPE", help="model.toml")
    made.add_argument("--keys", type=Path, required=True, metavar="FOLDER")
    made.add_argument("--out", type=Path, metavar="FILE", help="bundle to write (NAME-VERSION.dnb), or a folder for it")
    for flag, kind in (("name", str), ("version", str), ("counter", int), ("valid-days", int), ("p95-ms", float)):
        made.add_argument(f"--{flag}", type=kind, metavar=flag.upper(), help="instead of the recipe's")
    for flag in ("labels", "samples"):
        made.add_argument(f"--{flag}", metavar="FILE", help="instead of the recipe's")
    made.add_argument("--force", action="store_true", help="replace a bundle that exists")
    made.add_argument(
        "--timeout", type=_seconds, default=_TRIAL_SECONDS, metavar="SECONDS", help="for trying one variant (300)"
    )
    shown = commands.add_parser("inspect", help="show what a bundle holds")
    checked = commands.add_parser("verify", help="check every byte of a bundle")
    for parser in (shown, checked):
        parser.add_argument("bundle", type=Path, metavar="BUNDLE")
        parser.add_argument("--keys", type=Path, metavar="FOLDER", help="key folder: its root, and its packager key")
        parser.add_argument("--root", type=Path, metavar="FILE", help="root.cose")
    pushed = commands.add_parser("push", help="re-seal the content key to the server's vault, and upload")
    pushed.add_argument("bundle", type=Path, metavar="BUNDLE")
    pushed.add_argument("--keys", type=Path, required=True, metavar="FOLDER")
    pushed.add_argument("--server", required=True, metavar="URL")
    _with_server(pushed)
    carried = commands.add_parser("usb", help="put bundles on a USB stick, for devices without a network")
    carried.add_argument("bundle", type=Path, nargs="+", metavar="BUNDLE")
    carried.add_argument("folder", type=Path, metavar="FOLDER", help="where the stick is mounted")
    carried.add_argument("--keys", type=Path, metavar="FOLDER", help="key folder: its root")
    carried.add_argument("--root", type=Path, metavar="FILE", help="root.cose")
    _with_json(carried)
    carried.set_defaults(call=usb)
    for parser, call in ((made, build), (shown, inspect), (checked, verify), (pushed, push)):
        _with_passphrase(parser)
        _with_json(parser)
        parser.set_defaults(call=call)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run(_parser(), argv, (ContractError,))


def entry() -> None:
    """The installed command."""
    sys.exit(main())
