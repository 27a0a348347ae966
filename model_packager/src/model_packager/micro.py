"""What a microcontroller's variant needs, and whether the boards that it is for have it. Pure."""

from collections.abc import Sequence

from dunlin_contract.fit import DeviceDescription, Fit, RuntimeInfo, Tier, fit
from dunlin_contract.limits import LIMITS, MCU_LIMITS
from dunlin_contract.manifest import Io, Manifest, chunk_count
from dunlin_contract.slot import slot_bytes
from model_packager.boards import MICRO_STORE, Board
from model_packager.errors import ModelRefusedError, RecipeError
from model_packager.recipe import VariantRecipe
from model_packager.trial.parent import Trial


def arena_bytes(variant: VariantRecipe, trial: Trial) -> int:
    """What to set aside for the model: as measured, or more where the recipe asks for it. Raises RecipeError."""
    if 0 < variant.arena_bytes < trial.arena_bytes:
        raise RecipeError(
            f"{variant.kind}: arena_kib allows {variant.arena_bytes} bytes, but {variant.model.name} needs "
            f"{trial.arena_bytes}: raise it to {-(-trial.arena_bytes // 1024)}, or leave it out"
        )
    return max(variant.arena_bytes, trial.arena_bytes)


def flash_bytes(lengths: Sequence[int]) -> int:
    """Flash of a slot that holds payloads of these lengths."""
    return slot_bytes(lengths, sum(chunk_count(length, LIMITS.chunk_log2_mcu) for length in lengths))


def check_runs(variant: VariantRecipe, io: Io, needs: Fit) -> None:
    """Whether every board that the variant is for takes it, by the rules that the boards themselves go by.

    Raises:
        ModelRefusedError: naming each board that does not, and why.
    """
    counts = (
        (len(needs.ops), MCU_LIMITS.ops, "different operators"),
        (len(io.inputs), MCU_LIMITS.tensors, "inputs"),
        (len(io.outputs), MCU_LIMITS.tensors, "outputs"),
    )
    for count, most, word in counts:
        if count > most:
            raise ModelRefusedError(
                f"{variant.kind}: {variant.model.name} has {count} {word}, and a microcontroller takes {most}: "
                "use a simpler model"
            )
    against = [
        f"{board.hardware}: {'; '.join(why)}"
        for board in variant.boards
        if (why := fit(needs, _described(board, needs)))
    ]
    if against:
        raise ModelRefusedError(
            f"{variant.kind}: {variant.model.name} cannot run on {', nor on '.join(against)}: use a smaller model or "
            "fewer golden samples, or leave such boards out"
        )


def _described(board: Board, needs: Fit) -> DeviceDescription:
    return DeviceDescription(
        hardware_class=board.hardware,
        arch="any",
        memory_bytes=board.arena_bytes,
        flash_bytes=board.slot_bytes,
        arena_bytes=board.arena_bytes,
        runtimes=(RuntimeInfo(name=needs.runtime, version=needs.min_version),),
        tier=Tier(keystore="flash", model_store=MICRO_STORE),
    )


def check_manifest(manifest: Manifest, envelope_bytes: int) -> None:
    """Whether the signed manifest is one that devices read; a microcontroller keeps it in RAM.

    Raises:
        RecipeError: saying what to make smaller.
    """
    if not manifest.for_microcontrollers:
        most, advice = LIMITS.manifest_bytes, "build fewer variants in one bundle"
    else:
        most, advice = LIMITS.manifest_tflm_bytes, _advice(manifest)
        chunks, most_chunks = manifest.index_length // 32, MCU_LIMITS.index_pages * LIMITS.page_leaves
        if chunks > most_chunks:
            raise RecipeError(
                f"the bundle has {chunks} chunks, and one with a microcontroller's variant {most_chunks} at most: "
                "build that variant in a bundle of its own"
            )
    if envelope_bytes > most:
        raise RecipeError(f"the signed manifest has {envelope_bytes} bytes, {most} are allowed: {advice}")


def _advice(manifest: Manifest) -> str:
    if len(manifest.variants) > 1:
        return "build the microcontroller's variant in a bundle of its own, or leave other variants out"
    return "declare fewer boards, shorten the names of inputs and outputs, or use a model with fewer operators"
