"""A cheaper variant beside the one that serves: which one it is, and where its bytes lie in the slot."""

from dataclasses import replace
from pathlib import Path

import pytest

from dunlin_contract.fit import DeviceDescription, RuntimeInfo, Tier
from dunlin_contract.manifest import Manifest, Variant
from fleet_agent.journal import Journal
from fleet_agent.paths import Paths
from fleet_agent.slots import Layout, Plan, Slot
from fleet_agent.supervisor.instance import DamagedError, read_layout
from fleet_agent.supervisor.planning import choose_lean
from fleet_agent.update.state import Copy
from tests.agent.fleet import Fleet, Release, adding

DEVICE = DeviceDescription(
    hardware_class="linux-x86_64",
    arch="x86_64",
    memory_bytes=1 << 32,
    runtimes=(RuntimeInfo(name="onnxruntime", version=(1, 20, 0)),),
    tier=Tier(keystore="file", model_store="no-swap"),
)
KIND = "onnx-lean"


@pytest.fixture(name="release", scope="module")
def _release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return Fleet(tmp_path_factory.mktemp("release")).release(1.0, lean=adding(2.0, ballast=9000))


@pytest.fixture(name="slot")
def _slot(tmp_path: Path) -> Slot:
    return Slot(Paths(tmp_path), Journal(tmp_path / "journal.db"), "adder", "a")


def lean_of(manifest: Manifest, variant: Variant) -> Variant | None:
    """What is chosen if this were the cheaper variant."""
    usual = manifest.variants[0]
    return choose_lean(replace(manifest, variants=(usual, variant)), DEVICE, usual)


def test_the_cheapest_variant_that_fits_and_that_apps_do_not_notice(release: Release) -> None:
    usual, lean = release.manifest.variants
    assert choose_lean(release.manifest, DEVICE, usual) == lean
    cheapest = replace(lean, kind="onnx-least", budget=replace(lean.budget, p95_us=1))
    every = replace(release.manifest, variants=(usual, lean, cheapest))
    assert choose_lean(every, DEVICE, usual) == cheapest
    assert choose_lean(release.manifest, DEVICE, lean) is None
    assert lean_of(release.manifest, replace(lean, budget=usual.budget)) is None
    assert lean_of(release.manifest, replace(lean, fit=replace(lean.fit, runtime="litert"))) is None
    output = replace(lean.io.outputs[0], name="z")
    assert lean_of(release.manifest, replace(lean, io=replace(lean.io, outputs=(output,)))) is None


def plan(release: Release, lean: str = KIND) -> Plan:
    layout = Layout(release.manifest, release.manifest.variants[0], release.leaves)
    if lean:
        layout.also(release.manifest.variants[1])
    return Plan(release.digest, release.envelope, b"".join(release.leaves), b"sealed", layout, lean)


def fill(slot: Slot, release: Release) -> None:
    layout = plan(release).layout
    for place, leaf in enumerate(layout.leaves):
        slot.put(layout, place, release.chunks[leaf])


def test_it_lies_behind_what_the_usual_variant_needs(slot: Slot, release: Release) -> None:
    usual = plan(release, "").layout
    layout = plan(release).layout
    assert layout.leaves[: len(usual.leaves)] == usual.leaves
    assert (layout.model, layout.golden) == (usual.model, usual.golden)
    slot.prepare(plan(release))
    copy = Copy(release=release.digest, version="1.0.0", variant="onnx", counter=1)
    with pytest.raises(DamagedError, match="the variant onnx-lean is not here as a whole"):
        read_layout(slot, copy, lean=True)
    fill(slot, release)
    seen = read_layout(slot, copy, lean=True)
    assert (seen.variant.kind, seen.golden) == (KIND, usual.golden)
    assert seen.model.offset == usual.size
    assert seen.chunk(seen.model.first_place) == (2, 0)
    assert read_layout(slot, copy).leaves == usual.leaves
    slot.erase()
    assert slot.lean == ""


def test_a_release_that_came_without_one_has_none(slot: Slot, release: Release) -> None:
    slot.prepare(plan(release, ""))
    copy = Copy(release=release.digest, version="1.0.0", variant="onnx", counter=1)
    with pytest.raises(DamagedError, match="no cheaper variant came"):
        read_layout(slot, copy, lean=True)


def test_what_is_there_stays_while_nobody_wants_it(slot: Slot, release: Release) -> None:
    slot.prepare(plan(release))
    fill(slot, release)
    whole = (slot.folder / "chunks").read_bytes()
    slot.prepare(plan(release, ""))
    assert (slot.folder / "chunks").read_bytes() == whole
    assert (slot.lean, len(slot.have())) == (KIND, len(plan(release).layout.leaves))
    for _ in slot.recheck(plan(release, "").layout):
        pass
    slot.prepare(plan(release))
    assert len(slot.have()) == len(plan(release).layout.leaves)
    # Another one would lie in the same place: what is there belongs to this one.
    slot.prepare(plan(release, "onnx-other"))
    assert (slot.lean, slot.have()) == ("onnx-other", set())
