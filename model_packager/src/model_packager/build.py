"""``packager build``: try every variant, then write one bundle and its sealed content key, whole or not at all."""

import platform
import secrets
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from dunlin_contract import bundle, cose, hpke, keys
from dunlin_contract.cose import Role
from dunlin_contract.errors import ContractError
from dunlin_contract.fit import Fit
from dunlin_contract.keys import PrivateKey
from dunlin_contract.limits import LIMITS
from dunlin_contract.manifest import Budget, GoldenCheck, Io, Manifest, Postprocess, Variant, release_digest
from dunlin_contract.root import Root
from model_packager import files, micro, pack
from model_packager.errors import ModelRefusedError, OutputError, PackagerError, RecipeError
from model_packager.pack import Packed, Source
from model_packager.progress import Progress, duration, size
from model_packager.recipe import Recipe, VariantRecipe
from model_packager.show import time_text
from model_packager.trial import parent
from model_packager.trial.parent import Trial

_DAY_S = 86400


@dataclass(frozen=True, slots=True)
class Signing:
    """Keys of a build: who signs, to whom the content key is sealed, and the root that names the signer."""

    root: Root
    release: PrivateKey
    packager: PrivateKey


@dataclass(frozen=True, slots=True)
class Result:
    """What was built. ``warnings`` are for people; ``variants`` as shown by ``--json``."""

    path: Path
    cek_path: Path
    digest: bytes
    size: int
    variants: list[dict[str, Any]]
    warnings: list[str]


@dataclass(frozen=True, slots=True)
class _Tried:
    recipe: VariantRecipe
    model: Source
    trial: Trial


def cek_path_of(path: Path) -> Path:
    """Where the sealed content key of a bundle lies: beside it."""
    return path.with_name(path.name + ".cek")


def build(recipe: Recipe, signing: Signing, out: Path, force: bool, timeout_s: float, progress: Progress) -> Result:
    """Build ``out`` and its ``.cek``.

    Raises:
        RecipeError, ModelRefusedError, SampleError: recipe, model and samples do not go together.
        OutputError: the bundle is there already, or cannot be written.
        PackagerError: this machine's clock is wrong.
    """
    cek_path = cek_path_of(out)
    for path in (out, cek_path):
        if path.exists() and not force:
            raise OutputError(f"{path} exists: give another --version or --out; --force replaces it for good")
    now = int(time.time())
    if now < signing.root.issued - _DAY_S:
        raise PackagerError(
            f"this machine's clock says {time_text(now)}, before the root was made: set it, or devices will take the "
            "release for expired"
        )
    tried = [_try(variant, timeout_s, progress) for variant in recipe.variants]
    labels = _labels(recipe.labels, tried)
    fits = [_fit(recipe, one, labels) for one in tried]
    cek = secrets.token_bytes(32)
    try:
        with tempfile.TemporaryFile(dir=out.parent) as spool:
            manifest, packed = _pack(recipe, list(zip(tried, fits, strict=True)), labels, cek, now, spool, progress)
            payload = manifest.to_bytes()
            digest = release_digest(payload)
            envelope = cose.sign(payload, [signing.release], Role.RELEASE)
            micro.check_manifest(manifest, len(envelope))
            _check_readable(payload)
            progress.step("writing the bundle")
            with files.whole(out) as file, files.whole(cek_path, 0o600) as cek_file:
                cek_file.write(hpke.seal_cek(cek, keys.spki(signing.packager), digest, hpke.PACKAGER))
                leaves = [leaf for one in packed for leaf in one.leaves]
                bundle.write(file, envelope, leaves, _parts(spool), manifest.chunks_length)
                file.flush()
                # What devices will check first holds, before the bundle appears.
                with bundle.BundleFile.open(Path(file.name), signing.root) as written:
                    assert written.manifest == manifest, "what was signed is what was written"
    except OSError as error:
        raise files.refused(out, error) from None
    shown = [_shown(one, variant) for one, variant in zip(tried, manifest.variants, strict=True)]
    warnings = [text for one in tried for text in _warnings(one)]
    return Result(out, cek_path, digest, out.stat().st_size, shown, warnings)


def _try(variant: VariantRecipe, timeout_s: float, progress: Progress) -> _Tried:
    progress.step(f"{variant.kind}: running {variant.model.name} in {variant.runtime}")
    form = variant.kind.partition("-")[0]
    model = pack.from_file("model", form, variant.model, variant.micro)
    trial = parent.run(variant, timeout_s)
    memory = f"arena {trial.arena_bytes} bytes" if variant.micro else f"peak memory {size(trial.memory_bytes)}"
    progress.step(
        f"{variant.kind}: {trial.samples} samples, p50 {duration(trial.p50_us)}, p95 {duration(trial.p95_us)}, "
        f"{memory}, tolerance {_tolerance(variant, trial):.3g}"
    )
    return _Tried(variant, model, trial)


def _labels(path: Path | None, tried: Sequence[_Tried]) -> bytes | None:
    """The labels, as many as the first output of each variant has values. Raises RecipeError."""
    if path is None:
        return None
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise RecipeError(f"{path}: not readable as UTF-8 text: write one label a line") from None
    content = "".join(f"{line}\n" for line in lines).encode()
    if len(content) > LIMITS.labels_bytes:
        raise RecipeError(f"{path}: {len(content)} bytes of labels; at most {LIMITS.labels_bytes} are allowed")
    for one in tried:
        output = one.trial.io.outputs[0]
        classes = output.shape[-1] if output.shape else 1
        if classes > 0 and len(lines) != classes:
            raise RecipeError(
                f"{path}: {len(lines)} labels, but {one.recipe.kind}'s {output.name!r} has {classes} values"
            )
    return content


def _fit(recipe: Recipe, one: _Tried, labels: bytes | None) -> Fit:
    """What the variant needs of a device. Raises ModelRefusedError, RecipeError: no device has it."""
    variant, trial = one.recipe, one.trial
    if len(trial.ops) > LIMITS.ops:
        raise ModelRefusedError(
            f"{variant.kind}: {len(trial.ops)} different operators; at most {LIMITS.ops} are allowed"
        )
    lengths = [
        one.model.length,
        len(trial.golden),
        *(len(more) for more in (labels, trial.baseline) if more is not None),
    ]
    needs = Fit(
        runtime=variant.runtime,
        min_version=trial.min_version,
        ops=trial.ops,
        arena_bytes=micro.arena_bytes(variant, trial),
        flash_bytes=micro.flash_bytes(lengths) if variant.micro else sum(lengths),
        memory_bytes=0 if variant.micro else trial.memory_bytes,
        hardware_classes=variant.hardware,
        stores=recipe.stores,
    )
    if variant.micro:
        micro.check_runs(variant, trial.io, needs)
    return needs


def _pack(
    recipe: Recipe,
    tried: Sequence[tuple[_Tried, Fit]],
    labels: bytes | None,
    cek: bytes,
    now: int,
    spool: BinaryIO,
    progress: Progress,
) -> tuple[Manifest, list[Packed]]:
    packed: list[Packed] = []

    def add(source: Source) -> int:
        progress.step(f"encrypting {source.name}")
        packed.append(pack.pack(source, cek, spool, lambda done, total: progress.advance(source.name, done, total)))
        return len(packed) - 1

    variants = []
    labels_at: dict[bool, int] = {}  # microcontrollers take their own
    for one, needs in tried:
        small = one.recipe.micro
        if labels is not None and small not in labels_at:
            labels_at[small] = add(pack.from_bytes("labels", "text", labels, small))
        indexes = [] if labels is None else [labels_at[small]]
        indexes.append(add(one.model))
        golden = add(pack.from_bytes("golden", "cbor", one.trial.golden, small))
        indexes.append(golden)
        if one.trial.baseline is not None:
            indexes.append(add(pack.from_bytes("baseline", "cbor", one.trial.baseline)))
        variants.append(_variant(recipe, one, needs, tuple(indexes), golden))
    try:
        manifest = Manifest(
            name=recipe.name,
            version=recipe.version,
            counter=recipe.counter,
            created=now,
            not_after=now + recipe.valid_days * _DAY_S,
            variants=tuple(variants),
            payloads=tuple(one.payload for one in packed),
        )
    except ContractError as error:
        raise RecipeError(f"the release cannot be described: {error}") from None
    return manifest, packed


def _variant(recipe: Recipe, one: _Tried, needs: Fit, indexes: tuple[int, ...], golden: int) -> Variant:
    variant, trial = one.recipe, one.trial
    post = recipe.postprocess
    if post is not None and recipe.labels is not None:
        post = Postprocess(softmax=post.softmax, top_k=post.top_k, labels=indexes[0])
    tolerance = _tolerance(variant, trial)
    top1 = variant.golden.top1_permille
    return Variant(
        kind=variant.kind,
        fit=needs,
        io=Io(inputs=trial.io.inputs, outputs=trial.io.outputs, preprocess=recipe.preprocess, postprocess=post),
        payloads=indexes,
        budget=Budget(
            p95_us=variant.p95_us,
            memory_bytes=variant.memory_bytes,
            measured_on="" if variant.micro else platform.machine(),  # this is no microcontroller
        ),
        golden=GoldenCheck(
            payload=golden, tolerance=tolerance, top1_permille=trial.top1_permille if top1 is None else top1
        ),
    )


def _tolerance(variant: VariantRecipe, trial: Trial) -> float:
    return trial.tolerance if variant.golden.tolerance is None else variant.golden.tolerance


def _check_readable(payload: bytes) -> None:
    """Whether the manifest's bytes survive its own rules. Raises RecipeError."""
    try:
        Manifest.from_bytes(payload)
    except ContractError as error:
        raise RecipeError(f"the release cannot be described: {error}") from None


def _parts(spool: BinaryIO) -> Iterator[bytes]:
    spool.flush()
    spool.seek(0)
    while part := spool.read(1 << pack.CHUNK_LOG2):
        yield part


def _warnings(one: _Tried) -> list[str]:
    variant, trial = one.recipe, one.trial
    found = []
    if trial.p95_us > variant.p95_us:
        found.append(
            f"{variant.kind}: p95 {duration(trial.p95_us)} here, over the promised {duration(variant.p95_us)}: "
            "devices will go back to the release before"
        )
    if 0 < variant.memory_bytes < trial.memory_bytes:
        promised = size(variant.memory_bytes)
        found.append(f"{variant.kind}: peak memory {size(trial.memory_bytes)} here, over the promised {promised}")
    if 0 < trial.given < 4:
        found.append(f"{variant.kind}: only {trial.given} golden sample(s): give at least 4")
    return found + [f"{variant.kind}: {note}" for note in trial.notes]


def _shown(one: _Tried, variant: Variant) -> dict[str, Any]:
    trial = one.trial
    return {
        "kind": variant.kind,
        "model_bytes": one.recipe.model.stat().st_size,
        "runtime": variant.fit.runtime,
        "runtime_version": trial.runtime_version,
        "min_version": ".".join(map(str, variant.fit.min_version)),
        "samples": trial.samples,
        "p50_us": trial.p50_us,
        "p95_us": trial.p95_us,
        "budget_p95_us": variant.budget.p95_us,
        "memory_bytes": variant.fit.memory_bytes,
        "arena_bytes": variant.fit.arena_bytes,
        "flash_bytes": variant.fit.flash_bytes,
        "spread": trial.spread,
        "tolerance": variant.golden.tolerance,
        "top1_permille": variant.golden.top1_permille,
        "baseline": trial.baseline is not None,
    }
