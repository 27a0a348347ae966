"""The fleet server as the packager sees it: a few requests, each failure one clear line."""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self
from urllib.parse import urlsplit

import httpx

from dunlin_contract.envelopes import open_next_root
from dunlin_contract.errors import ContractError
from dunlin_contract.limits import LIMITS
from dunlin_contract.root import Root
from model_packager.errors import ServerError
from model_packager.keyfolder import PinnedRoot

TOKEN_VARIABLE = "DUNLIN_TOKEN"  # noqa: S105 - the variable's name
_TIMEOUT = httpx.Timeout(30.0, read=300.0)
_PART = 262_144


def read_token(file: Path | None) -> str:
    """The API token from a file or the environment, never from the command line, where others could read it.

    Raises:
        ServerError: there is none.
    """
    if file is not None:
        try:
            token = file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            raise ServerError(f"token file {file} cannot be read: make one by `fleet-server token add NAME`") from None
    else:
        token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not token:
        raise ServerError(f"an API token is needed: set {TOKEN_VARIABLE}, or give --token-file FILE")
    if not (token.isascii() and token.isprintable()):
        raise ServerError("the API token is not one line of plain letters: copy what `fleet-server token add` printed")
    return token


class Server:
    """One server's REST API."""

    def __init__(self, url: str, token: str, ca: Path | None = None) -> None:
        try:
            parts = urlsplit(url)
            known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:  # a port beyond 65535, or half an IPv6 address
            known = False
        if not known:
            raise ServerError(f"{url!r} is not a server's address: give one such as https://fleet.example.org")
        self.url = f"{parts.scheme}://{parts.netloc}"
        verify = True if ca is None else _context(ca)
        headers = {"Authorization": f"Bearer {token}"}
        self._client = httpx.Client(base_url=self.url, headers=headers, timeout=_TIMEOUT, verify=verify)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def root(self, pinned: PinnedRoot) -> Root:
        """The server's root: the pinned one, or one that the pinned one's keys signed as the next.

        Raises:
            ServerError: any other root; then nothing that the server says may be used.
        """
        answer = self._json("GET", "/api/v1/server")
        try:
            envelope = bytes.fromhex(answer["root_hex"])
            if answer["root_digest"] == pinned.digest.hex():
                return pinned.root
            return open_next_root(envelope, pinned.root)
        except (KeyError, TypeError, ValueError):
            raise ServerError(
                f"{self.url} does not say which root it uses: is it a Dunlin server with a root?"
            ) from None
        except ContractError as error:
            raise ServerError(
                f"{self.url} uses another root than the one pinned here (version {pinned.root.version}): {error}; "
                "if the root was rotated, copy the new root.cose into the key folder from its owner"
            ) from None

    def upload(self, path: Path, sealed_cek: str, advance: Callable[[int, int], None]) -> dict[str, Any]:
        """Send a bundle. ``advance(sent, total)`` counts bytes. Raises ServerError."""
        total = path.stat().st_size

        def parts() -> Iterator[bytes]:
            sent = 0
            with path.open("rb") as file:
                while part := file.read(_PART):
                    yield part
                    sent += len(part)
                    advance(sent, total)

        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(total),
            "Dunlin-Sealed-Cek": sealed_cek,
        }
        return self._json("POST", "/api/v1/releases", content=parts(), headers=headers)

    def wipe_order(self, number: str) -> bytes:
        """The bytes of a drafted wipe order. Raises ServerError."""
        response = self._send("GET", f"/api/v1/wipes/{number}/order")
        if len(response.content) > LIMITS.wipe_bytes:
            raise ServerError(f"{self.url} sent {len(response.content)} bytes as a wipe order: that is none")
        return response.content

    def sign_wipe(self, number: str, signature: bytes) -> dict[str, Any]:
        """Hand in one signature of a wipe order. Raises ServerError."""
        headers = {"Content-Type": "application/cbor"}
        return self._json("POST", f"/api/v1/wipes/{number}/signatures", content=signature, headers=headers)

    def draft_capture(self, order: Mapping[str, object]) -> dict[str, Any]:
        """Have a capture order written down for its owners to sign. Raises ServerError."""
        return self._json("POST", "/api/v1/captures", json=order)

    def capture(self, number: str) -> dict[str, Any]:
        """A capture order and how it stands. Raises ServerError."""
        return self._json("GET", f"/api/v1/captures/{number}")

    def sign_capture(self, number: str, signature: bytes) -> dict[str, Any]:
        """Hand in one signature of a capture order. Raises ServerError."""
        headers = {"Content-Type": "application/cbor"}
        return self._json("POST", f"/api/v1/captures/{number}/signatures", content=signature, headers=headers)

    def cancel_capture(self, number: str) -> dict[str, Any]:
        """Drop a capture order, or end it. Raises ServerError."""
        return self._json("DELETE", f"/api/v1/captures/{number}")

    def _json(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        response = self._send(method, path, **options)
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise ServerError(f"{self.url} answered {path} with something else than JSON: is it a Dunlin server?")
        return answer

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            response = self._client.request(method, path, **options)
        except httpx.ConnectError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise ServerError(
                    f"{self.url} shows a certificate that is not trusted here ({_reason(error)}): give its CA by --ca"
                ) from None
            if "SSL" in str(error):
                raise ServerError(f"{self.url} does not speak TLS: is it http://{self.url[8:]}?") from None
            raise ServerError(f"{self.url} cannot be reached ({_reason(error)}): is the server running?") from None
        except httpx.TimeoutException:
            raise ServerError(f"{self.url} did not answer in time: try again") from None
        except httpx.HTTPError as error:
            raise ServerError(f"the connection to {self.url} broke ({_reason(error)}): try again") from None
        if not response.is_success:
            self._refused(response)
        return response

    def _refused(self, response: httpx.Response) -> NoReturn:
        try:
            problem = response.json()
            detail = str(problem.get("detail") or problem.get("title") or "")
            rule = problem.get("rule")
        except (ValueError, AttributeError):
            detail, rule = "", None
        status = response.status_code
        if status == httpx.codes.UNAUTHORIZED:
            raise ServerError(f"{self.url} does not accept the API token: make one by `fleet-server token add NAME`")
        text = " ".join(detail.split())[:400] or response.reason_phrase
        named = f" [{rule}]" if rule and f"[{rule}]" not in text else ""
        raise ServerError(f"{self.url} refused it ({status}): {text}{named}")


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _context(ca: Path) -> Any:
    import ssl

    try:
        return ssl.create_default_context(cafile=str(ca))
    except (OSError, ssl.SSLError):
        raise ServerError(f"{ca} is not a file of PEM certificates") from None
