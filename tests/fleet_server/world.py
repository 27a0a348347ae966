"""A real installation with a root of its own, devices that hold real keys, and bundles that really decrypt."""

import dataclasses
import hashlib
import secrets
import shutil
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dunlin_contract import bundle, cose, envelopes, hpke, keys, merkle
from dunlin_contract.cose import Role
from dunlin_contract.directive import Directive
from dunlin_contract.enrolment import ClaimToken, EnrolReply, EnrolRequest, RenewRequest
from dunlin_contract.event import Event
from dunlin_contract.fit import DeviceDescription, Fit, RuntimeInfo, Tier
from dunlin_contract.limits import LIMITS
from dunlin_contract.manifest import (
    AEAD_CHACHA20_POLY1305,
    MICRO_RUNTIME,
    STORED,
    TAG_BYTES,
    Budget,
    GoldenCheck,
    Io,
    Manifest,
    Payload,
    Tensor,
    Variant,
    chunk_count,
)
from dunlin_contract.reported import ModelState, Reported
from dunlin_contract.root import ROLE_NAMES, RoleKeys, Root
from dunlin_contract.slot import slot_bytes
from dunlin_contract.stream import ChunkCipher
from dunlin_contract.wipe import Erased, Receipt, WipeOrder, order_digest
from fleet_server import config, setup
from fleet_server.config import Config
from fleet_server.context import Context
from fleet_server.db.models import DeviceRow, ReleaseRow
from fleet_server.errors import ServerError
from fleet_server.services import enrolment, releases, roots

NOW = float(int(time.time()))  # certificates are shown to real TLS stacks, which look at the real clock
ACTOR = "user:test"
DESCRIPTION = DeviceDescription(
    hardware_class="test-board",
    arch="x86_64",
    memory_bytes=1 << 30,
    runtimes=(RuntimeInfo(name="onnxruntime", version=(1, 20, 0)),),
    tier=Tier(keystore="file", model_store="no-swap"),
)


VARIANTS = {  # runtime -> format of its models, kind of the variant, oldest version that will do
    "onnxruntime": ("onnx", "onnx-int8", (1, 0, 0)),
    MICRO_RUNTIME: (MICRO_RUNTIME, "tflm-int8", (2, 0, 0)),
}


class Clock:
    """Stands still until it is moved."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@dataclass
class Bundle:
    """A bundle file and what is needed to push it."""

    path: Path
    manifest: Manifest
    digest: bytes
    cek: bytes
    chunks: list[bytes]

    def sealed(self, world: "World") -> bytes:
        """The CEK as `packager push` seals it."""
        return hpke.seal_cek(self.cek, world.ctx.keys.vault_spki, self.digest, hpke.VAULT)


class World:
    """An installation, its offline keys, and the people who hold them."""

    def __init__(self, directory: Path, database: str = "", made: Path | None = None) -> None:
        """`made` is an installation to copy, in a third of the time; its tables are in `database`, if that is named."""
        self.clock = Clock()
        if made is None:
            setup.init(Config(dir=directory / "server", database=database))
        else:
            shutil.copytree(made, directory / "server")
            dataclasses.replace(config.load(directory / "server"), database=database).save()
        opened = setup.open_context(directory / "server")
        self.ctx = Context(opened.config, opened.db, opened.keys, self.clock)
        self.directory = directory
        self.root_key = keys.generate()
        self.release_key = keys.generate()
        self.ops = [keys.generate(), keys.generate()]
        with self.ctx.db.write() as session:
            roots.install(session, self.ctx, self.sign_root(), ACTOR, self.clock.now)

    def close(self) -> None:
        self.ctx.db.close()

    @property
    def root(self) -> Root:
        with self.ctx.db.read() as session:
            return roots.current(session)[0]

    def sign_root(
        self,
        version: int = 1,
        epoch: int = 1,
        ops: Sequence[keys.PrivateKey] | None = None,
        release: Sequence[keys.PrivateKey] = (),
    ) -> bytes:
        """A root that names this server's keys, by the root key."""
        server = self.ctx.keys
        parts: dict[str, list[bytes]] = {
            "root": [keys.spki(self.root_key)],
            "release": [keys.spki(key) for key in (release or [self.release_key])],
            "director": [server.director_spki],
            "ops": [keys.spki(key) for key in (ops or self.ops)],
            "ca": [server.ca.spki],
            "vault": [server.vault_spki],
        }
        listed = {keys.kid(spki): spki for spkis in parts.values() for spki in spkis}
        thresholds = dict.fromkeys(ROLE_NAMES, 1) | {"ops": 2}
        root = Root(
            version=version,
            issued=int(NOW) - 100,
            not_after=int(NOW) + 10**8,
            epoch=epoch,
            keys=listed,
            roles={
                name: RoleKeys(threshold=thresholds[name], kids=tuple(sorted(keys.kid(spki) for spki in spkis)))
                for name, spkis in parts.items()
            },
        )
        return cose.sign(root.to_bytes(), [self.root_key], Role.ROOT)

    def build(
        self,
        name: str = "digits",
        version: str = "1.0.0",
        counter: int = 1,
        size: int = 10_000,
        signer: keys.PrivateKey | None = None,
        not_after: int | None = None,
        cek: bytes | None = None,
        runtime: str = "onnxruntime",
        baseline: bytes | None = None,
        **demands: object,
    ) -> Bundle:
        """A signed and encrypted bundle of one random model of `size` bytes, a golden payload, and perhaps a baseline.

        `demands` are more fields of its fit.
        """
        cek = cek or secrets.token_bytes(32)
        form, kind, oldest = VARIANTS[runtime]
        contents = [("model", form, secrets.token_bytes(size)), ("golden", "cbor", zlib.compress(b"golden"))]
        if baseline is not None:
            contents.append(("baseline", "cbor", baseline))
        payloads, chunks = [], []
        for role, coding, content in contents:
            payload, sealed = _seal(role, coding, content, cek)
            payloads.append(payload)
            chunks += sealed
        tensor = Tensor(name="x", dtype="float32", shape=(1, 4))
        if runtime == MICRO_RUNTIME:
            needed = slot_bytes([one.installed_length for one in payloads], sum(one.chunk_count for one in payloads))
            demands = {"arena_bytes": 12_000, "flash_bytes": needed, **demands}
        variant = Variant(
            kind=kind,
            fit=Fit(runtime=runtime, min_version=oldest, ops=(), **demands),  # type: ignore[arg-type]
            io=Io(inputs=(tensor,), outputs=(tensor,)),
            payloads=tuple(range(len(contents))),
            budget=Budget(p95_us=1000),
            golden=GoldenCheck(payload=1, tolerance=0.1, top1_permille=900),
        )
        manifest = Manifest(
            name=name,
            version=version,
            counter=counter,
            created=int(NOW) - 1000,
            not_after=not_after or int(NOW) + 10**7,
            variants=(variant,),
            payloads=tuple(payloads),
        )
        envelope = cose.sign(manifest.to_bytes(), [signer or self.release_key], Role.RELEASE)
        path = self.directory / f"{name}-{version}-{secrets.token_hex(3)}.dnb"
        leaves = [merkle.leaf(chunk) for chunk in chunks]
        with open(path, "wb") as file:
            bundle.write(file, envelope, leaves, chunks, manifest.chunks_length)
        return Bundle(path, manifest, hashlib.sha256(manifest.to_bytes()).digest(), cek, chunks)

    def push(self, built: Bundle, sealed: bytes | None = None) -> tuple[ReleaseRow, bool]:
        """Upload a bundle in pieces, as the API does."""
        data = built.path.read_bytes()
        with releases.Upload(self.ctx) as upload:
            for at in range(0, len(data), 4096):
                upload.write(data[at : at + 4096])
            return upload.finish(sealed or built.sealed(self), ACTOR)

    def token(
        self, *, auto_approve: bool = True, tags: dict[str, str] | None = None, lives_s: int = 3600
    ) -> ClaimToken:
        with self.ctx.db.write() as session:
            text = enrolment.create_token(session, self.ctx, tags or {}, auto_approve, lives_s, ACTOR, self.clock.now)
        return ClaimToken.from_text(text)

    def device(self, name: str = "cam-1", *, auto_approve: bool = True) -> "Device":
        """A device that is enrolled (or waits for approval)."""
        device = Device(self, name)
        device.enrol(self.token(auto_approve=auto_approve))
        return device


@dataclass
class Device:
    """A device's own side: its keys, and what it signs."""

    world: World
    name: str
    identity: keys.PrivateKey = field(default_factory=keys.generate)
    kem: keys.PrivateKey = field(default_factory=keys.generate)
    boot_nonce: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    stream: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    reply: EnrolReply | None = None
    description: DeviceDescription = DESCRIPTION

    def request(self, token: ClaimToken) -> bytes:
        request = EnrolRequest(
            device=self.name,
            token_id=token.token_id,
            secret=token.secret,
            spki=keys.spki(self.identity),
            kem=keys.spki(self.kem),
            description=self.description,
        )
        return cose.sign1(request.to_bytes(), self.identity, Role.ENROL)

    def enrol(self, token: ClaimToken) -> EnrolReply:
        self.reply = enrolment.enrol(self.world.ctx, self.request(token))
        return self.reply

    def renewal(self, wanted: keys.PrivateKey | None = None, key: keys.PrivateKey | None = None) -> bytes:
        request = RenewRequest(device=self.name, spki=keys.spki(wanted or self.identity))
        return cose.sign1(request.to_bytes(), key or self.identity, Role.RENEW)

    def row(self) -> DeviceRow:
        with self.world.ctx.db.read() as session:
            row = session.get(DeviceRow, self.name)
        assert row is not None
        return row

    def directive(self) -> Directive:
        """The directive the server last made for it, verified as the device would."""
        envelope = self.row().directive
        assert envelope is not None
        return envelopes.open_directive(envelope, self.world.root)[0]

    def report(
        self, seq: int | None = None, *, epoch: int = 1, missing: tuple[bytes, ...] = (), **more: object
    ) -> Reported:
        values: dict[str, object] = {
            "epoch": epoch,
            "seq": self.row().seq if seq is None else seq,
            "boot_nonce": self.boot_nonce,
            "missing": missing,
            "models": {},
            "device": self.description,
            "uptime_s": 10,
            "time_s": 5,
            "agent_version": "0.1.0",
            "root_version": 1,
        }
        return Reported(**(values | more))  # type: ignore[arg-type]

    def event(self, n: int, kind: str = "note", **more: object) -> Event:
        values: dict[str, object] = {"stream": self.stream, "n": n, "kind": kind, "time_s": 5, "uptime_s": 10}
        return Event(**(values | more))  # type: ignore[arg-type]

    def receipt(self, order: bytes, *, key: keys.PrivateKey | None = None, canary: bool = True) -> bytes:
        """Wipe as `order` (payload bytes) says: a new KEM key, and a signed receipt."""
        self.kem = keys.generate()
        models = WipeOrder.from_bytes(order).models
        receipt = Receipt(
            device=self.name,
            order_digest=order_digest(order),
            erased=tuple(Erased(model=model, releases=(), storage_key=bytes(16)) for model in models),
            method="storage key destroyed",
            assurance="clear",
            canary_unreadable=canary,
            files=3,
            bytes_erased=100,
            time_s=6,
            kem=keys.spki(self.kem),
        )
        return cose.sign1(receipt.to_bytes(), key or self.identity, Role.RECEIPT)


def committed(release: bytes, served: int = 5) -> ModelState:
    """What a device says of a model that runs."""
    return ModelState(phase="committed", active=release, variant="onnx-int8", served=served)


def refusal(call: object, *arguments: object) -> ServerError:
    """The refusal that `call` raises."""
    try:
        call(*arguments)  # type: ignore[operator]
    except ServerError as error:
        return error
    raise AssertionError("it was not refused")


def _seal(role: str, kind: str, content: bytes, cek: bytes) -> tuple[Payload, list[bytes]]:
    payload_id, log2 = secrets.token_bytes(16), LIMITS.chunk_log2_min
    count = chunk_count(len(content), log2)
    cipher = ChunkCipher(cek, payload_id, log2)
    step = 1 << log2
    chunks = [
        cipher.seal(place, place == count - 1, content[place * step : (place + 1) * step]) for place in range(count)
    ]
    payload = Payload(
        id=payload_id,
        role=role,
        format=kind,
        compression=STORED,
        installed_length=len(content),
        installed_sha256=hashlib.sha256(content).digest(),
        plaintext_length=len(content),
        ciphertext_length=len(content) + TAG_BYTES * count,
        chunk_log2=log2,
        chunk_count=count,
        merkle_root=merkle.root([merkle.leaf(chunk) for chunk in chunks]),
        aead=AEAD_CHACHA20_POLY1305,
    )
    return payload, chunks
