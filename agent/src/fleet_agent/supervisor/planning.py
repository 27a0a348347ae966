"""From a directive's few digests to a plan: manifest and index genuine, a variant that fits, the grant open."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from dunlin_contract import merkle
from dunlin_contract.directive import Desired, check_release
from dunlin_contract.errors import ContractError
from dunlin_contract.fit import DeviceDescription, fit
from dunlin_contract.limits import LIMITS
from dunlin_contract.manifest import Manifest, Variant
from dunlin_contract.reported import Rejected
from dunlin_contract.rules import Rule, require
from fleet_agent import device
from fleet_agent.errors import line
from fleet_agent.slots import Layout, Plan, Slot
from fleet_agent.supervisor.fetching import Fetching
from fleet_agent.supervisor.loop import Loop
from fleet_agent.supervisor.unlocking import Answer, Unlocker

_RETRY_S = (5.0, 30.0, 120.0)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a release cannot be had here; ``code`` is a rule's name or the device's own reason."""

    code: str
    text: str


Done = Callable[[Plan | Refusal], None]


def choose(manifest: Manifest, device: DeviceDescription) -> tuple[Variant | None, tuple[Rejected, ...]]:
    """The first variant that fits, in the packager's order of preference, and why each one before it does not."""
    rejected: list[Rejected] = []
    for variant in manifest.variants:
        reasons = [line(reason) for reason in fit(variant.fit, device)]
        if manifest.payloads[manifest.model_payload(variant)].delta_base is not None:
            reasons.append("it comes only as a delta")
        if not reasons:
            return variant, tuple(rejected)
        rejected.append(Rejected(kind=variant.kind, reasons=tuple(reasons[: LIMITS.rejected_reasons])))
    return None, tuple(rejected)


def choose_lean(manifest: Manifest, device: DeviceDescription, chosen: Variant) -> Variant | None:
    """The variant that fits and is promised to compute least, if that is less than the chosen one.

    Apps must not notice: its inputs, outputs and what is done to images before and after are the same.
    """
    cheaper = [
        one
        for one in manifest.variants
        if one.budget.p95_us < chosen.budget.p95_us
        and one.io == chosen.io
        and not fit(one.fit, device)
        and manifest.payloads[manifest.model_payload(one)].delta_base is None
    ]
    return min(cheaper, key=lambda one: one.budget.p95_us, default=None)


def check_index(manifest: Manifest, index: bytes) -> list[bytes]:
    """Leaf hashes of an index that the signed Merkle roots confirm. Raises MismatchError ``merkle``, ``lengths``."""
    require(Rule.LENGTHS, len(index) == manifest.index_length, "the index is not as long as the manifest implies")
    leaves = merkle.split(index)
    for payload, places in zip(manifest.payloads, manifest.leaf_ranges(), strict=True):
        holds = merkle.root([leaves[place] for place in places]) == payload.merkle_root
        require(Rule.MERKLE, holds, "the index is not the signed one")
    return leaves


@dataclass(slots=True)
class _Job:
    model: str
    desired: Desired
    slots: Sequence[Slot]
    done: Done
    objects: dict[bytes, bytes] = field(default_factory=dict)
    tries: int = 0


class Planning:
    """One plan a model at a time. ``lean``: a cheaper variant, where a release has one, is to be brought, too."""

    def __init__(
        self,
        loop: Loop,
        fetching: Fetching,
        unlocker: Unlocker,
        device: str,
        description: DeviceDescription,
        signed_now: Callable[[], int],
        *,
        lean: bool = False,
    ) -> None:
        self._loop = loop
        self._fetching = fetching
        self._unlocker = unlocker
        self._device = device
        self._description = description
        self._signed_now = signed_now
        self._lean = lean
        self._jobs: dict[str, _Job] = {}
        self.rejected: dict[str, tuple[Rejected, ...]] = {}
        """Per model, the variants that did not fit when its release was last planned."""

    def begin(self, model: str, desired: Desired, slots: Sequence[Slot], done: Done) -> None:
        """Plan ``desired``; whatever was being planned for the model is dropped."""
        job = _Job(model, desired, slots, done)
        self._jobs[model] = job
        self._collect(job)

    def cancel(self, model: str) -> None:
        """Stop planning for the model."""
        if self._jobs.pop(model, None) is not None:
            self._fetching.forget(f"plan/{model}")

    def _collect(self, job: _Job) -> None:
        """Take from the slots what lies there already, and fetch the rest."""
        names = [job.desired.manifest, *job.desired.index]
        for slot in job.slots:
            for data in (slot.envelope(), *_pages(slot.index())):
                name = hashlib.sha256(data or b"").digest()
                if data is not None and name in names:
                    job.objects[name] = data
        lacking = [name for name in names if name not in job.objects]
        if lacking:
            self._fetching.want(f"plan/{job.model}", lacking, lambda name, data: self._arrived(job, name, data))
        else:
            self._verify(job)

    def _arrived(self, job: _Job, name: bytes, data: bytes) -> None:
        if self._jobs.get(job.model) is not job:
            return
        job.objects[name] = data
        if all(name in job.objects for name in (job.desired.manifest, *job.desired.index)):
            self._fetching.forget(f"plan/{job.model}")
            self._verify(job)

    def _verify(self, job: _Job) -> None:
        envelope = job.objects[job.desired.manifest]
        body: dict[str, object] = {"do": "verify", "what": "manifest"}
        self._unlocker.ask(body, lambda answer: self._verified(job, answer), data=envelope)

    def _verified(self, job: _Job, answer: Answer) -> None:
        if not self._goes_on(job, answer):
            return
        payload = answer.blob()
        try:
            manifest = Manifest.from_bytes(payload)
            digest = hashlib.sha256(payload).digest()
            counter = manifest.counter
            check_release(job.desired, job.model, manifest_name=manifest.name, counter=counter, digest=digest)
            late = self._signed_now() > manifest.not_after
            require(Rule.MANIFEST_TIME, not late, "the release has expired: build and sign it anew")
            index = b"".join(job.objects[name] for name in job.desired.index)
            leaves = check_index(manifest, index)
        except ContractError as error:
            self._finish(job, Refusal(error.rule, line(error.detail)))
            return
        description = replace(self._description, tier=device.tier())
        variant, rejected = choose(manifest, description)
        self.rejected[job.model] = rejected
        if variant is None:
            reasons = "; ".join(f"{one.kind}: {one.reasons[0]}" for one in rejected)
            self._finish(job, Refusal("no-variant", line(f"no variant fits this device: {reasons}")))
            return
        layout = Layout(manifest, variant, leaves)
        lean = choose_lean(manifest, description, variant) if self._lean else None
        if lean is not None:
            layout.also(lean)
        self._open_grant(job, layout, index, lean.kind if lean is not None else "")

    def _open_grant(self, job: _Job, layout: Layout, index: bytes, lean: str) -> None:
        body: dict[str, object] = {
            "do": "grant",
            "model": job.model,
            "release": job.desired.release,
            "grant": job.desired.grant,
            "device": self._device,
        }
        self._unlocker.ask(body, lambda answer: self._opened(job, layout, index, lean, answer))

    def _opened(self, job: _Job, layout: Layout, index: bytes, lean: str, answer: Answer) -> None:
        if not self._goes_on(job, answer):
            return
        cek = answer.body.get("cek")
        assert isinstance(cek, bytes)
        self._finish(job, Plan(job.desired.release, job.objects[job.desired.manifest], index, cek, layout, lean))

    def _goes_on(self, job: _Job, answer: Answer) -> bool:
        if self._jobs.get(job.model) is not job:
            return False
        if answer.ok:
            return True
        if answer.refused or job.tries >= len(_RETRY_S):
            self._finish(job, Refusal(answer.code, answer.text))
        else:
            # The device's own trouble, not the release's: it may pass.
            self._loop.after(_RETRY_S[job.tries], lambda: self._retry(job))
            job.tries += 1
        return False

    def _retry(self, job: _Job) -> None:
        if self._jobs.get(job.model) is job:
            self._verify(job)

    def _finish(self, job: _Job, result: Plan | Refusal) -> None:
        del self._jobs[job.model]
        job.done(result)


def _pages(index: bytes | None) -> list[bytes]:
    """An index as the objects it came in."""
    size = LIMITS.page_leaves * merkle.LEAF_BYTES
    return [index[at : at + size] for at in range(0, len(index), size)] if index else []
