"""Push and wipe signatures, against an HTTP server of our own that says what the fleet server says."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from dunlin_contract import cbor, cose, hpke, keys
from dunlin_contract.cose import Role
from dunlin_contract.envelopes import open_wipe
from dunlin_contract.manifest import release_digest
from dunlin_contract.wipe import WipeOrder
from model_packager import cli, keyfolder
from tests.model_packager.conftest import Fleet, make_fleet

TOKEN = "t0ken"
ORDER = WipeOrder(device="dev-7", order_id=bytes(range(16)), models=("digits",), issued=1_790_000_000, reason="stolen")


class Stub(ThreadingHTTPServer):
    """Answers as a fleet server with one root; keeps what it was sent."""

    def __init__(self, root: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root = root
        self.refusal: tuple[int, dict[str, object]] | None = None
        self.order = ORDER.to_bytes()
        self.bundle = b""
        self.sealed = b""
        self.signatures: list[bytes] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Stub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Quiet."""

    def _answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _refused(self) -> bool:
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            self._answer(401, b'{"title": "sign in"}')
            return True
        return False

    def do_GET(self) -> None:
        if self._refused():
            return
        if self.path == "/api/v1/server":
            digest = release_digest(cose.peek(self.server.root, 16384))
            self._answer(200, json.dumps({"root_hex": self.server.root.hex(), "root_digest": digest.hex()}).encode())
        elif self.path == "/api/v1/wipes/w9/order":
            self._answer(200, self.server.order, "application/cbor")
        else:
            self._answer(404, b'{"title": "Not found", "detail": "there is no such page"}')

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self._refused():
            return
        if self.server.refusal is not None:
            status, problem = self.server.refusal
            self._answer(status, json.dumps(problem).encode(), "application/problem+json")
        elif self.path == "/api/v1/releases":
            self.server.bundle = body
            self.server.sealed = base64.b64decode(self.headers["Dunlin-Sealed-Cek"])
            self._answer(201, b"{}")
        elif self.path == "/api/v1/wipes/w9/signatures":
            self.server.signatures.append(body)
            self._answer(200, b"{}")


@pytest.fixture
def server(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    monkeypatch.setenv("DUNLIN_TOKEN", TOKEN)
    stub = Stub((fleet.folder / "root.cose").read_bytes())
    thread = threading.Thread(target=stub.serve_forever, daemon=True)
    thread.start()
    yield stub
    stub.shutdown()
    stub.server_close()
    thread.join()


def run(*words: object) -> int:
    return cli.main([str(word) for word in words])


def push(fleet: Fleet, bundle: Path, url: str, *more: object) -> int:
    return run("push", bundle, "--keys", fleet.folder, "--server", url, *more)


def test_push_seals_the_content_key_to_the_vault(fleet: Fleet, digits_v1: Path, server: Stub) -> None:
    assert push(fleet, digits_v1, server.url) == 0
    assert server.bundle == digits_v1.read_bytes()
    length = int.from_bytes(server.bundle[12:16], "big")
    digest = release_digest(cose.peek(server.bundle[28 : 28 + length], 8192))
    packager = keys.load_pem((fleet.folder / "packager.pem").read_bytes())
    ours = hpke.open_cek(Path(f"{digits_v1}.cek").read_bytes(), packager, digest, hpke.PACKAGER)
    assert hpke.open_cek(server.sealed, fleet.vault, digest, hpke.VAULT) == ours


def test_a_server_of_another_root_is_sent_nothing(
    fleet: Fleet, digits_v1: Path, server: Stub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.root = (make_fleet(tmp_path).folder / "root.cose").read_bytes()
    assert push(fleet, digits_v1, server.url) == 1
    assert "uses another root than the one pinned here" in capsys.readouterr().err
    assert server.bundle == b""


def test_a_root_digest_that_lies_about_its_root_gains_nothing(fleet: Fleet, digits_v1: Path, server: Stub) -> None:
    """The vault key comes from the pinned root, whatever envelope the server shows beside the right digest."""
    assert push(fleet, digits_v1, server.url) == 0
    with pytest.raises(Exception, match="grant"):
        hpke.open_cek(server.sealed, keys.generate(), bytes(32), hpke.VAULT)


def test_a_rotated_root_signed_by_ours_is_followed(digits_v1: Path, fleet: Fleet, server: Stub, tmp_path: Path) -> None:
    rotated = make_fleet(tmp_path)  # new server keys, to be named by the next root
    folder = tmp_path / "copy"
    folder.mkdir()
    for path in fleet.folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
        (folder / path.name).chmod(0o600)
    assert run("root", "sign", "--keys", folder, "--server-keys", rotated.server_keys) == 0
    server.root = (folder / "root.cose").read_bytes()
    assert push(fleet, digits_v1, server.url) == 0
    length = int.from_bytes(server.bundle[12:16], "big")
    digest = release_digest(cose.peek(server.bundle[28 : 28 + length], 8192))
    assert len(hpke.open_cek(server.sealed, rotated.vault, digest, hpke.VAULT)) == 32


@pytest.mark.parametrize(
    ("refusal", "says"),
    [
        (
            (409, {"title": "Conflict", "detail": "digits 1.0.0 exists with other contents"}),
            "(409): digits 1.0.0 exists",
        ),
        ((422, {"title": "x", "detail": "the counter fell", "rule": "floor"}), "(422): the counter fell [floor]"),
        ((500, {}), "(500): Internal Server Error"),
    ],
)
def test_a_servers_refusal_is_told(
    fleet: Fleet, digits_v1: Path, server: Stub, refusal: tuple[int, dict[str, object]], says: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    server.refusal = refusal
    assert push(fleet, digits_v1, server.url) == 1
    assert says in capsys.readouterr().err


def test_tokens_are_needed_and_must_be_right(
    fleet: Fleet, digits_v1: Path, server: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.delenv("DUNLIN_TOKEN")
    assert push(fleet, digits_v1, server.url) == 1
    assert "an API token is needed: set DUNLIN_TOKEN" in capsys.readouterr().err
    file = tmp_path / "token"
    file.write_text("wrong\n")
    assert push(fleet, digits_v1, server.url, "--token-file", file) == 1
    assert "does not accept the API token" in capsys.readouterr().err
    file.write_text(f"{TOKEN}\n")
    assert push(fleet, digits_v1, server.url, "--token-file", file) == 0


def test_a_server_that_is_not_there(
    fleet: Fleet, digits_v1: Path, server: Stub, capsys: pytest.CaptureFixture[str]
) -> None:
    url = server.url
    server.shutdown()
    server.server_close()
    assert push(fleet, digits_v1, url) == 1
    assert "cannot be reached" in capsys.readouterr().err
    assert push(fleet, digits_v1, "fleet.example.org") == 1
    assert "is not a server's address" in capsys.readouterr().err


def test_a_bundle_without_its_key_is_not_pushed(
    fleet: Fleet, digits_v1: Path, server: Stub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = tmp_path / "alone.dnb"
    alone.write_bytes(digits_v1.read_bytes())
    assert push(fleet, alone, server.url) == 1
    assert "it lies beside the bundle" in capsys.readouterr().err
    damaged = bytearray(digits_v1.read_bytes())
    damaged[-1] ^= 1
    alone.write_bytes(damaged)
    Path(f"{alone}.cek").write_bytes(Path(f"{digits_v1}.cek").read_bytes())
    assert push(fleet, alone, server.url) == 1
    assert server.bundle == b""


def sign(fleet: Fleet, number: int, *more: object) -> int:
    return run("wipe", "sign", *more, "--key", fleet.folder / f"ops-{number}.pem", "--yes")


def test_two_owners_signatures_make_an_order(fleet: Fleet, server: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    assert sign(fleet, 1, f"{server.url}/wipes/w9") == 0
    shown = capsys.readouterr().out
    for words in ("device   dev-7", "the models digits", "reason   stolen", "never expires"):
        assert words in shown
    assert sign(fleet, 2, f"{server.url}/api/v1/wipes/w9") == 0
    root = keyfolder.read_root(fleet.folder / "root.cose").root
    order, _ = open_wipe(cose.assemble(server.order, server.signatures), root)
    assert order == ORDER


def test_an_order_from_a_file_is_signed_into_a_file(fleet: Fleet, tmp_path: Path) -> None:
    order, out = tmp_path / "order.cbor", tmp_path / "signature.cbor"
    order.write_bytes(ORDER.to_bytes())
    assert sign(fleet, 1, order) == 2
    assert sign(fleet, 1, order, "--out", out) == 0
    root = keyfolder.read_root(fleet.folder / "root.cose").root
    envelope = cose.assemble(ORDER.to_bytes(), [out.read_bytes()])
    assert cose.verify(envelope, Role.WIPE, root.signers("ops"), 1, 4096) == ORDER.to_bytes()


@pytest.mark.parametrize(
    "payload",
    [
        ORDER.to_bytes() + b"\x00",
        b"\xb8\x06" + ORDER.to_bytes()[1:],
        ORDER.to_bytes().replace(b"\xa6", b"\xa7", 1) + b"\x06\x01",
        cbor.encode({**WipeOrder(device="dev-7", order_id=bytes(16), issued=1).to_cbor(), 5: ""}),
        b"hello",
        b"\x00" * 5000,
    ],
    ids=["trailing", "non-minimal", "extra field", "default written out", "no order", "too long"],
)
def test_an_order_that_hides_something_is_not_signed(
    fleet: Fleet, tmp_path: Path, payload: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    order, out = tmp_path / "order.cbor", tmp_path / "signature.cbor"
    order.write_bytes(payload)
    assert sign(fleet, 1, order, "--out", out) == 1
    assert "do not sign it" in capsys.readouterr().err
    assert not out.exists()


def test_a_key_that_is_no_ops_key_signs_no_wipe(fleet: Fleet, server: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("wipe", "sign", f"{server.url}/wipes/w9", "--key", fleet.folder / "release.pem", "--yes") == 1
    assert "is not among the ops keys" in capsys.readouterr().err
    assert server.signatures == []


def test_nobody_there_to_confirm_signs_nothing(
    fleet: Fleet, server: Stub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with open("/dev/null") as nobody:
        monkeypatch.setattr("sys.stdin", nobody)
        assert run("wipe", "sign", f"{server.url}/wipes/w9", "--key", fleet.folder / "ops-1.pem") == 1
    assert "nobody is here to confirm" in capsys.readouterr().err
    assert server.signatures == []


def test_an_address_that_is_no_wipe(fleet: Fleet, server: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    assert sign(fleet, 1, f"{server.url}/devices/dev-7") == 1
    assert "is not a wipe order's address" in capsys.readouterr().err
