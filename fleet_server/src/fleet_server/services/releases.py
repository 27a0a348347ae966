"""Releases: a bundle comes in as a stream, everything about it is verified again, and then it is stored as a whole."""

import contextlib
import hashlib
import os
import secrets
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from dunlin_contract import cose
from dunlin_contract.bundle import BundleFile
from dunlin_contract.limits import LIMITS
from dunlin_contract.manifest import Manifest
from dunlin_contract.stream import ChunkCipher
from fleet_server.context import Context
from fleet_server.db.engine import touch
from fleet_server.db.models import ObjectRow, ReleaseObjectRow, ReleaseRow
from fleet_server.errors import ConflictError, InvalidError, NotFoundError, ServerError, TooLargeError
from fleet_server.keys.files import sync_dir
from fleet_server.services import audit, roots

_BATCH = 1000  # rows an INSERT
_AHEAD_S = 86400.0  # how far a packager's clock may be ahead of ours
_STRAY_S = 3600.0  # a bundle file without a row is left alone this long: its upload may be about to commit


class Upload:
    """One bundle on its way in. Use as a context manager: whatever does not reach `finish` leaves nothing behind."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._path = ctx.config.temp_dir / f"{secrets.token_hex(8)}.upload"
        self._size = 0
        self._file = os.fdopen(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
        self._path.unlink(missing_ok=True)

    def write(self, data: bytes) -> None:
        """Append to the bundle. Raises: TooLargeError; ServerError when the disk is full."""
        self._size += len(data)
        if self._size > self._ctx.config.upload_bytes:
            raise TooLargeError(f"the bundle is over {self._ctx.config.upload_bytes} bytes: raise `upload_bytes`")
        with _disk_errors():
            self._file.write(data)

    def finish(self, sealed_cek: bytes, actor: str) -> tuple[ReleaseRow, bool]:
        """Verify and store. `sealed_cek`: the CEK sealed to the vault key. Returns (release, whether it is new).

        Raises: ContractError (the rule that the bundle breaks), ConflictError (this version exists with other
        content), InvalidError (past its not-after, from the future, or no root is installed), ServerError (disk full).
        """
        with _disk_errors():
            self._file.flush()
            os.fsync(self._file.fileno())
        now = self._ctx.clock()
        with self._ctx.db.read() as session:
            root, _ = roots.current(session)
        with BundleFile.open(self._path, root) as bundle:
            row = _describe(bundle, sealed_cek, self._size, actor, now)
            with self._ctx.db.read() as session:
                known = _known(session, row)
            if known is not None:
                return known, False
            if row.created > now + _AHEAD_S:
                raise InvalidError(
                    "this release is from the future: set the clock where it was built, or this server's"
                )
            if row.not_after <= now:
                raise InvalidError("this release is past its not-after time: build it again with a later one")
            cek = self._ctx.keys.open_cek(sealed_cek, bundle.release.digest)
            _check_chunks(bundle, cek)
            listed = _objects(bundle, row)
        return self._store(row, listed, actor, now)

    def _store(self, row: ReleaseRow, listed: list[dict[str, Any]], actor: str, now: float) -> tuple[ReleaseRow, bool]:
        target = self._ctx.config.bundles_dir / f"{row.digest}.dnb"
        try:
            with self._ctx.db.write() as session:
                known = _known(session, row)
                if known is not None:
                    return known, False
                _insert(session, row, listed)
                audit.record(
                    session,
                    actor,
                    "release.add",
                    f"release:{row.digest}",
                    {"name": row.name, "version": row.version},
                    now,
                )
                touch(session, f"release:{row.digest}")
                # In place before the commit: a row must never name a file that a power cut took away.
                with _disk_errors():
                    self._path.replace(target)
                    sync_dir(target.parent)
        except IntegrityError:  # PostgreSQL: another upload of this version was committed meanwhile
            with self._ctx.db.read() as session:
                known = _known(session, row)
            if known is None:
                raise
            return known, False
        except BaseException:
            self._remove_unless_stored(row.digest, target)
            raise
        return row, True

    def _remove_unless_stored(self, digest: str, target: Path) -> None:
        with self._ctx.db.read() as session:
            if session.get(ReleaseRow, digest) is None:
                target.unlink(missing_ok=True)


def get(session: Session, digest: str) -> ReleaseRow:
    """One release. Raises: NotFoundError."""
    row = session.get(ReleaseRow, digest)
    if row is None:
        raise NotFoundError(f"there is no release {digest[:64]!r}: check its digest")
    return row


def page(session: Session, limit: int = 100, before: float | None = None) -> list[ReleaseRow]:
    """Up to `limit` releases, newest upload first, uploaded before `before`."""
    query = select(ReleaseRow).order_by(col(ReleaseRow.uploaded).desc()).limit(limit)
    if before is not None:
        query = query.where(col(ReleaseRow.uploaded) < before)
    return list(session.exec(query))


def manifest_of(row: ReleaseRow) -> Manifest:
    """The manifest of a stored release, which was verified when it came in."""
    return Manifest.from_bytes(cose.peek(row.manifest, LIMITS.manifest_bytes))


def sweep(ctx: Context) -> int:
    """Remove what a crash left: unfinished uploads, and bundle files that no row names. Returns how many."""
    removed = 0
    for path in ctx.config.temp_dir.glob("*.upload"):
        path.unlink(missing_ok=True)
        removed += 1
    with ctx.db.read() as session:
        known = set(session.exec(select(ReleaseRow.digest)))
    for path in ctx.config.bundles_dir.glob("*.dnb"):
        if path.stem not in known and time.time() - path.stat().st_mtime > _STRAY_S:
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def _describe(bundle: BundleFile, sealed_cek: bytes, size: int, actor: str, now: float) -> ReleaseRow:
    manifest = bundle.manifest
    return ReleaseRow(
        digest=bundle.release.digest.hex(),
        name=manifest.name,
        version=manifest.version,
        counter=manifest.counter,
        created=float(manifest.created),
        not_after=float(manifest.not_after),
        manifest=bundle.envelope,
        manifest_sha=hashlib.sha256(bundle.envelope).hexdigest(),
        index_shas=[hashlib.sha256(page).hexdigest() for page in index_pages(bundle)],
        sealed_cek=sealed_cek,
        bundle_bytes=size,
        uploaded=now,
        uploaded_by=actor,
    )


def index_pages(bundle: BundleFile) -> list[bytes]:
    """The leaf hashes of a bundle in pages, as devices fetch them. Raises: InvalidError if there are too many."""
    step = LIMITS.page_leaves
    pages = [b"".join(bundle.leaves[at : at + step]) for at in range(0, len(bundle.leaves), step)]
    if len(pages) > LIMITS.index_pages:
        raise InvalidError(f"the bundle has over {LIMITS.index_pages * step} chunks: build it with larger ones")
    return pages


def _known(session: Session, row: ReleaseRow) -> ReleaseRow | None:
    """The same release, if it is stored already. Raises: ConflictError if its version means another content."""
    known = session.get(ReleaseRow, row.digest)
    if known is not None:
        return known
    same_version = select(ReleaseRow).where(ReleaseRow.name == row.name, ReleaseRow.version == row.version)
    if session.exec(same_version).first() is not None:
        raise ConflictError(f"{row.name} {row.version} is here already with other content: choose a higher version")
    return None


def _check_chunks(bundle: BundleFile, cek: bytes) -> None:
    """Every chunk matches its signed leaf; the first and the last of each payload really decrypt with this CEK."""
    for index, payload in enumerate(bundle.manifest.payloads):
        cipher = ChunkCipher(cek, payload.id, payload.chunk_log2, payload.aead)
        last = payload.chunk_count - 1
        for place, chunk in enumerate(bundle.chunks(index)):
            if place in {0, last}:
                cipher.open(place, place == last, chunk)


def _objects(bundle: BundleFile, row: ReleaseRow) -> list[dict[str, Any]]:
    """Column values of a release's objects, as the broker is to hold them, manifest first: devices need it first."""

    def one(kind: str, sha: str, length: int, offset: int) -> dict[str, Any]:
        return {"sha": sha, "kind": kind, "length": length, "release": row.digest, "offset": offset}

    listed = [one("manifest", row.manifest_sha, len(bundle.envelope), 0)]
    places = list(bundle.places())
    at = places[0][0] - 32 * len(bundle.leaves)
    for sha, page in zip(row.index_shas, index_pages(bundle), strict=True):
        listed.append(one("index", sha, len(page), at))
        at += len(page)
    for payload, ranks in zip(bundle.manifest.payloads, bundle.manifest.leaf_ranges(), strict=True):
        if payload.ciphertext_length > LIMITS.broker_payload_bytes:
            continue  # too much for the broker: devices ask for it by HTTP range
        listed += [one("chunk", bundle.leaves[rank].hex(), places[rank][1], places[rank][0]) for rank in ranks]
    return list({entry["sha"]: entry for entry in listed}.values())


def _insert(session: Session, row: ReleaseRow, listed: list[dict[str, Any]]) -> None:
    session.add(row)
    session.flush()
    for start in range(0, len(listed), _BATCH):
        part = listed[start : start + _BATCH]
        names = [entry["sha"] for entry in part]
        known = set(session.exec(select(ObjectRow.sha).where(col(ObjectRow.sha).in_(names))))
        fresh = [entry for entry in part if entry["sha"] not in known]
        connection = session.connection()
        if fresh:
            connection.execute(insert(ObjectRow), fresh)
        connection.execute(insert(ReleaseObjectRow), [{"release": row.digest, "sha": sha} for sha in names])


@contextlib.contextmanager
def _disk_errors() -> Any:
    try:
        yield
    except OSError as error:
        raise ServerError(f"cannot store the bundle ({error.strerror}): free some space and push again") from error
