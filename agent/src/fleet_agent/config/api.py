"""``[api]``: the local API. Its numbers are the front's limits, under the same names."""

import hashlib
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from fleet_agent.config.file import File

_LEAST_TOKEN, _MOST_TOKEN = 20, 512
_BOUNDS = {"body_bytes": (65_536, 48 << 20), "queued_requests": (1, 1024)}


@dataclass(frozen=True, slots=True)
class Api:
    """``token_sha256``: digest of what every TCP request must bring; without one the API is for this machine alone.

    ``limits``: those of ``front.limits.Limits`` that the file changes.
    """

    token_sha256: bytes | None = None
    shared_memory: bool = True
    limits: dict[str, float] = field(default_factory=dict)


def read(file: File) -> Api:
    """What the file says. Raises ConfigError: a number is out of bounds, or the token's file is of no use."""
    table = file.table("api")
    bounds = {key: bounds for key, bounds in _BOUNDS.items() if key in table}
    limits: dict[str, float] = {key: file.check.number(table, key, *bound) for key, bound in bounds.items()}
    if "answer_s" in table:
        limits["answer_s"] = file.check.real(table, "answer_s", 0.1, 3600)
    token = _token(file, table["token_file"]) if "token_file" in table else None
    return Api(token, bool(table.get("shared_memory", True)), limits)


def _token(file: File, name: str) -> bytes:
    path = file.check.file(name, "token_file")
    text, mode = _read(file, path)
    if mode & 0o077:
        file.check.fail(f"{path} can be read by other users: chmod 600 {path}", "token_file")
    token = text.strip()
    if not _LEAST_TOKEN <= len(token) <= _MOST_TOKEN or not all(33 <= byte < 127 for byte in token):
        what = f"one word of {_LEAST_TOKEN} to {_MOST_TOKEN} letters, digits and signs"
        file.check.fail(f"{path} holds no token: write {what}, such as `openssl rand -hex 24` makes", "token_file")
    return hashlib.sha256(token).digest()


def _read(file: File, path: Path) -> tuple[bytes, int]:
    try:
        with path.open("rb") as opened:
            return opened.read(_MOST_TOKEN + 2), stat.S_IMODE(os.fstat(opened.fileno()).st_mode)
    except OSError as error:
        file.check.fail(f"{path}: {error.strerror}", "token_file")
