"""The ceremony of a capture order, against an HTTP server of our own that says what the fleet server says."""

import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from dunlin_contract import cbor, cose
from dunlin_contract.capture import CaptureOrder
from dunlin_contract.cose import Role
from dunlin_contract.envelopes import open_capture
from model_packager import cli, keyfolder
from tests.model_packager.conftest import Fleet

TOKEN = "t0ken"
ORDER = CaptureOrder(
    device="dev-7",
    order_id=bytes(range(16)),
    model="digits",
    issued=1_790_000_000,
    not_after=1_790_600_000,
    per_day=50,
    random_permille=5,
    margin_permille=100,
    disagreement=True,
    classes=(3, 8),
)


class Stub(ThreadingHTTPServer):
    """Answers as a fleet server that has one order, c9; ``changes`` are made to what it drafts."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.payload = ORDER.to_bytes()
        self.changes: dict[str, Any] = {}
        self.asked: dict[str, Any] = {}
        self.signatures: list[bytes] = []
        self.cancelled = False
        self.answer: dict[str, Any] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def draft(self, asked: dict[str, Any]) -> None:
        self.asked = asked
        values = asked | {"order_id": bytes(16), "issued": 1_790_000_000, "classes": tuple(asked["classes"])}
        self.payload = CaptureOrder(**(values | self.changes)).to_bytes()

    def shown(self) -> dict[str, Any]:
        state = "cancelled" if self.cancelled else "draft" if len(self.signatures) < 2 else "sent"
        signatures = [{"kid": "00", "at": 1}] * len(self.signatures)
        usual = {"id": "c9", "state": state, "payload": base64.b64encode(self.payload).decode(), "needed": 2}
        return usual | {"signatures": signatures} | self.answer


class _Handler(BaseHTTPRequestHandler):
    server: Stub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Quiet."""

    def _answer(self, status: int) -> None:
        body = json.dumps(self.server.shown() if status < 400 else {"detail": "there is no such order"}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        assert self.headers["Authorization"] == f"Bearer {TOKEN}"
        match self.command, self.path:
            case "POST", "/api/v1/captures":
                self.server.draft(json.loads(body))
                self._answer(201)
            case "GET", "/api/v1/captures/c9":
                self._answer(200)
            case "POST", "/api/v1/captures/c9/signatures":
                assert self.headers["Content-Type"] == "application/cbor"
                self.server.signatures.append(body)
                self._answer(201)
            case "DELETE", "/api/v1/captures/c9":
                self.server.cancelled = True
                self._answer(200)
            case _:
                self._answer(404)

    do_GET = do_POST = do_DELETE = _serve


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    monkeypatch.setenv("DUNLIN_TOKEN", TOKEN)
    stub = Stub()
    thread = threading.Thread(target=stub.serve_forever, daemon=True)
    thread.start()
    yield stub
    stub.shutdown()
    stub.server_close()
    thread.join()


def run(*options: object) -> int:
    return cli.main(["capture", *(str(option) for option in options)])


def sign(fleet: Fleet, number: int, target: object, *more: object) -> int:
    return run("sign", target, "--key", fleet.folder / f"ops-{number}.pem", "--yes", *more)


ASKED = ("--device", "dev-7", "--model", "digits", "--per-day", 50, "--days", 7)


def test_a_draft_is_what_was_asked_for_and_says_what_comes_next(
    server: Stub, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = ("--random", 5, "--margin", 100, "--disagreement", "--class", 8, "--class", 3)
    assert run("draft", "--server", server.url, *ASKED, *policy) == 0
    assert server.asked["classes"] == [3, 8]
    assert server.asked.keys() == {
        "device", "model", "not_after", "per_day", "random_permille", "margin_permille", "disagreement", "classes",
    }  # fmt: skip
    said = capsys.readouterr().out
    for part in (
        "device   dev-7", "of digits", "in the clear", "0.5 % of all", "less than 10 % apart",
        "a candidate on trial answers otherwise", "largest output is 3 or 8", "50 in 24 hours",
        f"next: packager capture sign {server.url}/captures/c9 --key ops-1.pem",
    ):  # fmt: skip
        assert part in said


@pytest.mark.parametrize(
    "changes",
    [
        {"device": "dev-8"},
        {"per_day": 51},
        {"random_permille": 1000},
        {"not_after": 1_890_000_000},
        {"classes": (1,)},
        {"disagreement": True},
    ],
)
def test_a_server_that_drafts_something_else_is_caught(
    server: Stub, capsys: pytest.CaptureFixture[str], changes: dict[str, Any]
) -> None:
    server.changes = changes
    assert run("draft", "--server", server.url, *ASKED, "--random", 5) == 1
    caught = capsys.readouterr()
    assert "drafted another order than was asked for" in caught.err
    assert "next:" not in caught.out


def test_a_draft_that_keeps_nothing_is_not_made(server: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("draft", "--server", server.url, *ASKED) == 2
    assert "say which requests are to be kept" in capsys.readouterr().err
    assert server.asked == {}


def test_two_owners_signatures_make_an_order(fleet: Fleet, server: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    assert sign(fleet, 1, f"{server.url}/captures/c9") == 0
    assert "draft, 1 of 2 signatures" in capsys.readouterr().out
    assert sign(fleet, 2, f"{server.url}/api/v1/captures/c9") == 0
    assert capsys.readouterr().out.rstrip().endswith("sent")
    root = keyfolder.read_root(fleet.folder / "root.cose").root
    assert open_capture(cose.assemble(server.payload, server.signatures), root) == ORDER


def test_an_order_from_a_file_is_signed_into_a_file(fleet: Fleet, tmp_path: Path) -> None:
    order, out = tmp_path / "order.cbor", tmp_path / "signature.cbor"
    order.write_bytes(ORDER.to_bytes())
    assert sign(fleet, 1, order) == 2
    assert sign(fleet, 1, order, "--out", out) == 0
    root = keyfolder.read_root(fleet.folder / "root.cose").root
    envelope = cose.assemble(ORDER.to_bytes(), [out.read_bytes()])
    assert cose.verify(envelope, Role.CAPTURE, root.signers("ops"), 1, 1024) == ORDER.to_bytes()


@pytest.mark.parametrize(
    "payload",
    [
        ORDER.to_bytes() + b"\x00",
        cbor.encode({**replace(ORDER, disagreement=False).to_cbor(), 9: False}),
        cbor.encode({**ORDER.to_cbor(), 11: 1}),
        b"hello",
        b"\x00" * 2000,
    ],
    ids=["trailing", "default written out", "extra field", "no order", "too long"],
)
def test_an_order_that_hides_something_is_not_signed(
    fleet: Fleet, server: Stub, tmp_path: Path, payload: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    order, out = tmp_path / "order.cbor", tmp_path / "signature.cbor"
    order.write_bytes(payload)
    assert sign(fleet, 1, order, "--out", out) == 1
    assert "do not sign it" in capsys.readouterr().err
    assert not out.exists()
    server.payload = payload
    assert sign(fleet, 1, f"{server.url}/captures/c9") == 1
    assert server.signatures == []


@pytest.mark.parametrize("payload", ["", "not base64!", "A" * 100_000, None])
def test_a_server_without_an_orders_bytes_is_told(
    fleet: Fleet, server: Stub, capsys: pytest.CaptureFixture[str], payload: str | None
) -> None:
    server.answer = {"payload": payload}
    assert sign(fleet, 1, f"{server.url}/captures/c9") == 1
    said = capsys.readouterr().err
    assert "sent no order's bytes" in said or "is not a capture order" in said
    assert server.signatures == []


def test_a_key_that_is_no_ops_key_signs_none(fleet: Fleet, server: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("sign", f"{server.url}/captures/c9", "--key", fleet.folder / "release.pem", "--yes") == 1
    assert "is not among the ops keys" in capsys.readouterr().err
    assert server.signatures == []


def test_nobody_there_to_confirm_signs_nothing(
    fleet: Fleet, server: Stub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with open("/dev/null") as nobody:
        monkeypatch.setattr("sys.stdin", nobody)
        assert run("sign", f"{server.url}/captures/c9", "--key", fleet.folder / "ops-1.pem") == 1
    assert "nobody is here to confirm" in capsys.readouterr().err
    assert server.signatures == []


def test_an_order_is_shown_and_ended(server: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", f"{server.url}/captures/c9") == 0
    said = capsys.readouterr().out
    assert "Capture order 000102" in said
    assert "state    draft, 0 of 2 signatures" in said
    assert run("cancel", f"{server.url}/captures/c9") == 0
    assert capsys.readouterr().out.strip() == "cancelled"


@pytest.mark.parametrize(("target", "code"), [("{url}/wipes/c9", 1), ("c9", 2), ("{url}/captures/c9/more", 1)])
def test_an_address_that_is_no_capture_order(server: Stub, target: str, code: int) -> None:
    assert run("show", target.format(url=server.url)) == code
    assert run("cancel", target.format(url=server.url)) == code
    assert not server.cancelled
