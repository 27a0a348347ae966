"""``packager inspect``: a manifest as JSON and in words."""

import datetime
from pathlib import Path
from typing import Any

from dunlin_contract import cose
from dunlin_contract.bundle import BundleFile
from dunlin_contract.header import HEADER_BYTES, Header
from dunlin_contract.limits import LIMITS
from dunlin_contract.manifest import MICRO_RUNTIME, STORED, Manifest, Payload, Tensor, Variant, release_digest
from dunlin_contract.root import Root
from dunlin_contract.rules import Rule, require
from model_packager.progress import duration, size


def read(path: Path, root: Root | None) -> tuple[Manifest, bytes, bool]:
    """Manifest, release digest and whether its signature was checked (which needs ``root``).

    Raises:
        OSError: the file cannot be read.
        ContractError: not a bundle, or not signed by a release key of ``root``.
    """
    if root is not None:
        with BundleFile.open(path, root) as opened:
            return opened.manifest, opened.release.digest, True
    with path.open("rb") as file:
        header = Header.unpack(file.read(HEADER_BYTES))
        envelope = file.read(header.manifest_length)
        require(Rule.LENGTHS, len(envelope) == header.manifest_length, "the bundle ends inside its manifest")
        payload = cose.peek(envelope, LIMITS.manifest_bytes)
    return Manifest.from_bytes(payload), release_digest(payload), False


def time_text(seconds: int) -> str:
    """Unix seconds as UTC."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


def as_json(manifest: Manifest, digest: bytes, verified: bool) -> dict[str, Any]:
    """Everything that ``inspect --json`` prints."""
    return {
        "name": manifest.name,
        "version": manifest.version,
        "counter": manifest.counter,
        "digest": digest.hex(),
        "signature_verified": verified,
        "created": manifest.created,
        "not_after": manifest.not_after,
        "variants": [_variant_json(variant) for variant in manifest.variants],
        "payloads": [_payload_json(payload) for payload in manifest.payloads],
    }


def _tensor_json(tensor: Tensor) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": tensor.name, "dtype": tensor.dtype, "shape": list(tensor.shape)}
    if tensor.quantization is not None:
        shown |= {"scale": tensor.quantization.scale, "zero_point": tensor.quantization.zero_point}
    return shown


def _variant_json(variant: Variant) -> dict[str, Any]:
    fit = variant.fit
    return {
        "kind": variant.kind,
        "payloads": list(variant.payloads),
        "inputs": [_tensor_json(tensor) for tensor in variant.io.inputs],
        "outputs": [_tensor_json(tensor) for tensor in variant.io.outputs],
        "fit": {
            "runtime": fit.runtime,
            "min_version": ".".join(map(str, fit.min_version)),
            "ops": [[op.opcode, op.version] for op in fit.ops],
            "arena_bytes": fit.arena_bytes,
            "flash_bytes": fit.flash_bytes,
            "memory_bytes": fit.memory_bytes,
            "hardware_classes": list(fit.hardware_classes),
            "stores": list(fit.stores),
        },
        "budget": {"p95_us": variant.budget.p95_us, "memory_bytes": variant.budget.memory_bytes},
        "golden": {
            "payload": variant.golden.payload,
            "tolerance": variant.golden.tolerance,
            "top1_permille": variant.golden.top1_permille,
        },
    }


def _payload_json(payload: Payload) -> dict[str, Any]:
    return {
        "role": payload.role,
        "format": payload.format,
        "installed_length": payload.installed_length,
        "installed_sha256": payload.installed_sha256.hex(),
        "ciphertext_length": payload.ciphertext_length,
        "chunks": payload.chunk_count,
        "chunk_bytes": 1 << payload.chunk_log2,
        "compressed": payload.compression != STORED,
        "merkle_root": payload.merkle_root.hex(),
    }


def as_text(manifest: Manifest, digest: bytes, verified: bool) -> str:
    """The same for people."""
    signature = "verified" if verified else "NOT CHECKED (give --keys or --root)"
    lines = [
        f"{manifest.name} {manifest.version}   security counter {manifest.counter}",
        f"release    {digest.hex()}",
        f"signature  {signature}",
        f"created    {time_text(manifest.created)}, valid until {time_text(manifest.not_after)}",
    ]
    for variant in manifest.variants:
        lines += ["", *_variant_lines(variant)]
    lines += ["", f"{'payload':<14}{'format':<9}{'installed':>11}{'carried':>11}{'chunks':>8}"]
    for index, payload in enumerate(manifest.payloads):
        lines.append(
            f"{index:>2} {payload.role:<11}{payload.format:<9}{size(payload.installed_length):>11}"
            f"{size(payload.ciphertext_length):>11}{payload.chunk_count:>8}"
        )
    return "\n".join(lines)


def _variant_lines(variant: Variant) -> list[str]:
    fit, golden = variant.fit, variant.golden
    hardware = ", ".join(fit.hardware_classes) or "any hardware"
    version = f"{'.'.join(map(str, fit.min_version))} or newer" if any(fit.min_version) else "of any version"
    ops = ", ".join(f"{op.opcode} v{op.version}" for op in fit.ops)
    if fit.runtime == MICRO_RUNTIME:
        needs = f"arena {fit.arena_bytes} bytes, slot {fit.flash_bytes} bytes"
    else:
        needs = f"memory {size(fit.memory_bytes)}, storage {size(fit.flash_bytes)}"
    return [
        f"{variant.kind}   {fit.runtime} {version}, {hardware}",
        *(f"  input    {_tensor_text(tensor)}" for tensor in variant.io.inputs),
        *(f"  output   {_tensor_text(tensor)}" for tensor in variant.io.outputs),
        f"  promise  p95 {duration(variant.budget.p95_us)}"
        + (f", memory {size(variant.budget.memory_bytes)}" if variant.budget.memory_bytes else ""),
        f"  needs    {needs}" + (f", a model only in {' or '.join(fit.stores)}" if fit.stores else ""),
        f"  golden   tolerance {golden.tolerance:.3g}, top-1 {golden.top1_permille / 10:g} %",
        f"  ops      {ops}",
    ]


def _tensor_text(tensor: Tensor) -> str:
    shape = ", ".join("?" if length < 0 else str(length) for length in tensor.shape)
    steps = tensor.quantization
    quantized = f"   scale {steps.scale:.6g}, zero point {steps.zero_point}" if steps else ""
    return f"{tensor.name}  {tensor.dtype} [{shape}]{quantized}"
