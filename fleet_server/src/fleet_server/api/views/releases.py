"""Releases, as their signed manifests have them."""

from collections.abc import Iterable

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, func, select

from dunlin_contract import cbor, cose
from dunlin_contract.limits import LIMITS
from dunlin_contract.manifest import Manifest, Payload, Tensor, Variant
from fleet_server.api.views import quality
from fleet_server.api.views.shape import Json
from fleet_server.db.models import DeviceModelRow, ReleaseRow
from fleet_server.services import releases


def versions(session: Session, digests: Iterable[str | None]) -> dict[str, str]:
    """Digest -> "name version" of those releases that are known here."""
    wanted = sorted({digest for digest in digests if digest is not None})
    rows = session.exec(select(ReleaseRow).where(col(ReleaseRow.digest).in_(wanted))) if wanted else ()
    return {row.digest: f"{row.name} {row.version}" for row in rows}


def release_line(row: ReleaseRow) -> Json:
    """A release in a list."""
    manifest = releases.manifest_of(row)
    return {
        "digest": row.digest,
        "name": row.name,
        "version": row.version,
        "counter": row.counter,
        "created": row.created,
        "not_after": row.not_after,
        "uploaded": row.uploaded,
        "uploaded_by": row.uploaded_by,
        "bundle_bytes": row.bundle_bytes,
        "variants": [variant.kind for variant in manifest.variants],
    }


def release(session: Session, row: ReleaseRow, now: float) -> Json:
    """One release as its signed manifest has it, on how many devices it is desired and active, and how it does."""
    manifest = releases.manifest_of(row)
    return release_line(row) | {
        "variants": [_variant(manifest, variant) for variant in manifest.variants],
        "payloads": [_payload(payload) for payload in manifest.payloads],
        "signers": _signers(row.manifest),
        "manifest_sha": row.manifest_sha,
        "devices": in_use(session, row.digest),
        "baseline": any(manifest.baseline_payload(variant) is not None for variant in manifest.variants),
        "quality": quality.of_release(session, row.digest, now),
    }


def in_use(session: Session, digest: str) -> Json:
    """On how many devices a release is desired, and on how many it is active."""
    return {
        "desired": _count(session, col(DeviceModelRow.desired) == digest),
        "active": _count(session, col(DeviceModelRow.active) == digest),
    }


def _count(session: Session, condition: ColumnElement[bool]) -> int:
    return session.exec(select(func.count()).select_from(DeviceModelRow).where(condition)).one()


def _signers(envelope: bytes) -> list[str]:
    signatures = cbor.decode(envelope, LIMITS.manifest_bytes).value[3]
    return [cose.signer_of(cbor.encode(signature)).hex() for signature in signatures]


def _variant(manifest: Manifest, variant: Variant) -> Json:
    needs, model = variant.fit, manifest.payloads[manifest.model_payload(variant)]
    return {
        "kind": variant.kind,
        "runtime": needs.runtime,
        "min_version": ".".join(map(str, needs.min_version)),
        "hardware_classes": list(needs.hardware_classes),
        "memory_bytes": needs.memory_bytes,
        "flash_bytes": needs.flash_bytes,
        "arena_bytes": needs.arena_bytes,
        "stores": list(needs.stores),
        "ops": [f"{op.opcode} {op.version}" for op in needs.ops],
        "inputs": [_tensor(tensor) for tensor in variant.io.inputs],
        "outputs": [_tensor(tensor) for tensor in variant.io.outputs],
        "model_bytes": model.installed_length,
        "download_bytes": sum(manifest.payloads[index].ciphertext_length for index in variant.payloads),
        "payloads": list(variant.payloads),
        "budget": {
            "p95_us": variant.budget.p95_us,
            "memory_bytes": variant.budget.memory_bytes,
            "measured_on": variant.budget.measured_on,
        },
        "golden": {"tolerance": variant.golden.tolerance, "top1_permille": variant.golden.top1_permille},
    }


def _tensor(tensor: Tensor) -> Json:
    quantization = tensor.quantization
    affine = None if quantization is None else {"scale": quantization.scale, "zero_point": quantization.zero_point}
    return {"name": tensor.name, "dtype": tensor.dtype, "shape": list(tensor.shape), "quantization": affine}


def _payload(payload: Payload) -> Json:
    return {
        "id": payload.id.hex(),
        "role": payload.role,
        "format": payload.format,
        "compression": payload.compression,
        "delta_base": payload.delta_base.hex() if payload.delta_base is not None else None,
        "installed_bytes": payload.installed_length,
        "installed_sha256": payload.installed_sha256.hex(),
        "ciphertext_bytes": payload.ciphertext_length,
        "chunks": payload.chunk_count,
        "merkle_root": payload.merkle_root.hex(),
    }
