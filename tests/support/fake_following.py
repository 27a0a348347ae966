"""A board made of Python that follows directives: it installs releases, wipes, and signs what it says of that."""

import hashlib
import time
from collections import deque

from dunlin_contract import bundle, cose, envelopes, hpke, keys, link
from dunlin_contract.cose import Role
from dunlin_contract.directive import Desired, Directive, check_release
from dunlin_contract.errors import ContractError
from dunlin_contract.event import Event
from dunlin_contract.fit import DeviceDescription, RuntimeInfo, Tier, fit
from dunlin_contract.reported import ModelState, Reported
from dunlin_contract.stream import ChunkCipher
from dunlin_contract.wipe import Erased, Receipt, check_order
from tests.support.board_pipes import Pipe
from tests.support.fake_link import LinkedBoard, Memory

DESCRIPTION = DeviceDescription(
    hardware_class="cortex-m4",
    arch="armv7e-m",
    memory_bytes=262_144,
    flash_bytes=1 << 20,
    arena_bytes=131_072,
    runtimes=(RuntimeInfo(name="tflm", version=(1, 0, 0)),),
    tier=Tier(keystore="flash", model_store="plain-flash"),
)


class FollowingBoard(LinkedBoard):
    """Verifies what it installs with real keys; ``say`` is what it will say next."""

    def __init__(self, pipe: Pipe, memory: Memory | None = None, description: DeviceDescription = DESCRIPTION) -> None:
        super().__init__(pipe, memory)
        self.description = description
        self.say: deque[tuple[link.UpKind, bytes]] = deque()
        """What it will say next, besides what it says by itself."""
        self.refusals: list[ContractError] = []
        self.plaintexts: dict[str, bytes] = {}
        self.following = True
        """Whether it acts on a directive by itself."""

    # Saying things.

    def event(self, kind: str, code: str = "", text: str = "", receipt: bytes | None = None) -> None:
        """Number and sign an event; it goes up until it is acknowledged."""
        memory = self.memory
        memory.event_number += 1
        event = Event(
            stream=memory.stream,
            n=memory.event_number,
            kind=kind,
            time_s=int(time.time()),
            uptime_s=1,
            code=code,
            text=text,
            receipt=receipt,
        )
        envelope = cose.sign1(event.to_bytes(), memory.identity, Role.EVENT)
        memory.events[event.n] = envelope
        self.say.append((link.UpKind.EVENTS, envelope))

    def report(self) -> None:
        """Sign a report of everything."""
        memory = self.memory
        memory.report_number += 1
        report = Reported(
            epoch=memory.root.epoch if memory.root else 0,
            seq=memory.seq,
            boot_nonce=self._nonce,
            missing=tuple(self.missing)[:64],
            models=dict(memory.models),
            device=self.description,
            number=memory.report_number,
            uptime_s=1,
            time_s=0,
            agent_version="0.1.0",
            root_version=memory.root.version if memory.root else 1,
        )
        self.say.append((link.UpKind.REPORTED, cose.sign1(report.to_bytes(), memory.identity, Role.REPORTED)))

    # Following a directive.

    def _follow(self, directive: Directive) -> None:
        if not self.following:
            return
        if directive.wipe is not None:
            try:
                self._wipe(directive, directive.wipe)
            except ContractError as error:
                self.refusals.append(error)
        for name in self.memory.models.keys() - directive.desired.keys():
            del self.memory.models[name]
        for name, desired in directive.desired.items():
            self.memory.models[name] = ModelState(phase="downloading", candidate=desired.release)
            self.report()
            try:
                self.memory.models[name] = self._install(name, desired)
            except ContractError as error:
                self.refusals.append(error)
                state = ModelState(phase="refused", candidate=desired.release, error_code=error.rule)
                self.memory.models[name] = state
            self.report()

    def _install(self, name: str, desired: Desired) -> ModelState:
        root = self.memory.root
        assert root is not None
        release = envelopes.open_manifest(self.object(desired.manifest), root)
        manifest = release.manifest
        check_release(desired, name, manifest_name=manifest.name, counter=manifest.counter, digest=release.digest)
        cek = hpke.open_cek(desired.grant, self.memory.kem, release.digest, self.memory.device)
        leaves = manifest.checked_leaves(b"".join(self.object(page) for page in desired.index))
        variant = next((one for one in manifest.variants if not fit(one.fit, self.description)), None)
        if variant is None:
            return ModelState(phase="refused", candidate=desired.release, error_code="no-variant")
        ranges = list(manifest.leaf_ranges())
        for index in variant.payloads:
            payload = manifest.payloads[index]
            cipher = ChunkCipher(cek, payload.id, payload.chunk_log2)
            plain = b""
            for place, at in enumerate(ranges[index]):
                chunk = self.object(leaves[at], payload.chunk_length(place), chunk=True)
                bundle.check_chunk(chunk, leaves[at])
                plain += cipher.open(place, place == payload.chunk_count - 1, chunk)
            if hashlib.sha256(plain).digest() != payload.installed_sha256:
                return ModelState(phase="refused", candidate=desired.release, error_code="installed")
            if payload.role == "model":
                self.plaintexts[name] = plain
        chunks = sum(manifest.payloads[index].chunk_count for index in variant.payloads)
        return ModelState(
            phase="committed",
            active=desired.release,
            variant=variant.kind,
            chunks_have=chunks,
            chunks_need=chunks,
        )

    def _wipe(self, directive: Directive, envelope: bytes) -> None:
        memory = self.memory
        assert memory.root is not None
        order, digest = envelopes.open_wipe(envelope, memory.root)
        check_order(order, memory.device, frozenset(directive.desired))
        gone = sorted(order.models or memory.models.keys())
        erased = tuple(
            Erased(model=name, releases=(state.active,))
            for name in gone
            if (state := memory.models.pop(name, None)) is not None and state.active is not None
        )
        memory.kem = keys.generate()
        receipt = Receipt(
            device=memory.device,
            order_digest=digest,
            erased=erased,
            method="sectors erased",
            assurance="clear",
            canary_unreadable=True,
            files=0,
            bytes_erased=sum(len(self.plaintexts.pop(name, b"")) for name in gone),
            time_s=int(time.time()),
            kem=keys.spki(memory.kem),
        )
        self.event("wiped", receipt=cose.sign1(receipt.to_bytes(), memory.identity, Role.RECEIPT))
