"""A fleet around one agent, made of the contract alone: real keys, a real CA, a real broker over mTLS, real releases.

It plays the director and the objects' publisher; what a device says is collected in :attr:`Fleet.reported` and
:attr:`Fleet.events`. The agent under test is the installed command in a process of its own.
"""

import datetime
import http.client
import ipaddress
import json
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import paho.mqtt.client as paho
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from dunlin_contract import cose, envelopes, hpke, keys, merkle, topics
from dunlin_contract.capture import CaptureOrder
from dunlin_contract.cose import Role
from dunlin_contract.directive import Desired, Directive, Lease, Trial
from dunlin_contract.event import Ack, Event
from dunlin_contract.fit import Fit
from dunlin_contract.golden import Golden, Sample, TensorData
from dunlin_contract.manifest import (
    STORED,
    Budget,
    GoldenCheck,
    Io,
    Manifest,
    Payload,
    Postprocess,
    Tensor,
    Variant,
    chunk_count,
    release_digest,
)
from dunlin_contract.reported import ModelState, Reported
from dunlin_contract.results import Result
from dunlin_contract.root import RoleKeys, Root
from dunlin_contract.schema import NO_ENTRIES
from dunlin_contract.settings import Settings
from dunlin_contract.slot import slot_bytes
from dunlin_contract.stream import ChunkCipher
from dunlin_contract.telemetry import Telemetry
from dunlin_contract.wipe import Receipt, WipeOrder
from fleet_agent import files
from fleet_agent.identity import Enrolment
from fleet_agent.paths import Paths
from fleet_agent.unlocker.keystore import FileKeystore
from fleet_server.broker import Broker, BrokerSettings
from tests.agent import local_api_models

PATIENCE_S = 60.0
QUICK = Settings(
    report_interval_s=3600,
    report_jitter_s=0,
    window=6,
    object_timeout_s=2,
    probation_s=0,
    probation_requests=5,
    probation_max_s=3600,
)
"""Probation lasts as long as five requests take: no test waits for a clock."""
DAY_S = 86_400
CHUNK_LOG2 = 12
_FORMATS = {"onnxruntime": "onnx", "tensorrt": "onnx", "litert": "tflite", "tflm": "tflm"}


def sha256(data: bytes) -> bytes:
    digest = hashes.Hash(hashes.SHA256())
    digest.update(data)
    return digest.finalize()


def until(condition: Callable[[], Any], what: str | Callable[[], str], seconds: float = PATIENCE_S) -> Any:
    """Wait for something to become true; the deadline is there to end a broken test, not to time a good one."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"never happened: {what() if callable(what) else what}")


@dataclass(frozen=True, eq=False)
class Release:
    """A built release: what the server would store."""

    name: str
    manifest: Manifest
    envelope: bytes
    digest: bytes
    cek: bytes
    leaves: list[bytes]
    chunks: dict[bytes, bytes]
    plaintext: bytes

    @property
    def pages(self) -> list[bytes]:
        return [b"".join(self.leaves[at : at + 4096]) for at in range(0, len(self.leaves), 4096)]

    @property
    def objects(self) -> dict[bytes, bytes]:
        return {sha256(self.envelope): self.envelope, **{sha256(page): page for page in self.pages}, **self.chunks}


class Authority:
    """The device CA."""

    def __init__(self) -> None:
        self.key = keys.generate()
        self.certificate = self.issue("dunlin test CA", self.key.public_key(), ca=True)
        self.der = self.certificate.public_bytes(serialization.Encoding.DER)
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(
        self,
        name: str,
        public: keys.PublicKey,
        *,
        begins_s: float = -3600,
        ends_s: float = 90 * DAY_S,
        ca: bool = False,
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        issuer = "dunlin test CA"
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + datetime.timedelta(seconds=begins_s))
            .not_valid_after(now + datetime.timedelta(seconds=ends_s))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        )
        if not ca:
            names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            ours = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
            builder = builder.add_extension(ours, critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def files(self, folder: Path, name: str, **times: float) -> tuple[Path, Path]:
        """Certificate and key files of a new identity."""
        key = keys.generate()
        certificate, key_file = folder / f"{name}.crt", folder / f"{name}.key"
        issued = self.issue(name, key.public_key(), **times)
        certificate.write_bytes(issued.public_bytes(serialization.Encoding.PEM))
        key_file.write_bytes(keys.dump_pem(key, None))
        return certificate, key_file


@dataclass
class Signers:
    """One private key a role, two for ops."""

    root: keys.PrivateKey = field(default_factory=keys.generate)
    release: keys.PrivateKey = field(default_factory=keys.generate)
    director: keys.PrivateKey = field(default_factory=keys.generate)
    ops: tuple[keys.PrivateKey, keys.PrivateKey] = field(default_factory=lambda: (keys.generate(), keys.generate()))
    vault: keys.PrivateKey = field(default_factory=keys.generate)

    def sign_root(
        self, ca: keys.PrivateKey, *, version: int = 1, epoch: int = 0, also: Sequence[keys.PrivateKey] = ()
    ) -> bytes:
        """Envelope of the root that names these keys, signed by its root key and by ``also``."""
        named = {
            "root": [self.root],
            "release": [self.release],
            "director": [self.director],
            "ops": list(self.ops),
            "ca": [ca],
            "vault": [self.vault],
        }
        spkis = {keys.kid(keys.spki(key)): keys.spki(key) for some in named.values() for key in some}
        roles = {
            name: RoleKeys(
                threshold=2 if name == "ops" else 1, kids=tuple(sorted(keys.kid(keys.spki(k)) for k in some))
            )
            for name, some in named.items()
        }
        now = int(time.time())
        root = Root(
            version=version, issued=now - DAY_S, not_after=now + 3650 * DAY_S, epoch=epoch, keys=spkis, roles=roles
        )
        return cose.sign(root.to_bytes(), [self.root, *also], Role.ROOT)


def adding(amount: float, *, ballast: int = 0) -> bytes:
    """An ONNX model, y = x + amount; ``ballast`` random bytes make it as large as a test wants."""
    path = Path(f"/tmp/{secrets.token_hex(8)}.onnx")
    try:
        local_api_models.add(path, amount)
        model = onnx.load(path)
    finally:
        path.unlink(missing_ok=True)
    model.doc_string = secrets.token_hex(ballast // 2)
    return model.SerializeToString()


def samples(model: bytes, rows: Sequence[Sequence[float]]) -> Golden:
    """Golden samples of a float32 x -> y model, made by running it."""
    session = onnxruntime.InferenceSession(model)
    made = []
    for row in rows:
        x = np.array([row], dtype=np.float32)
        (y,) = session.run(None, {"x": x})
        made.append(
            Sample(
                inputs=(TensorData(name="x", dtype="float32", shape=x.shape, data=x.tobytes()),),
                outputs=(TensorData(name="y", dtype="float32", shape=y.shape, data=y.tobytes()),),
            )
        )
    return Golden(samples=tuple(made))


class Fleet:
    """Keys, CA, broker, director; one device's state folder under ``folder``."""

    def __init__(self, folder: Path, device: str = "dev-1", **broker_times: float) -> None:
        self.folder = folder
        self.device = device
        self.ca = Authority()
        self.signers = Signers()
        self.root_envelope = self.signers.sign_root(self.ca.key)
        self.address = topics.Address(device)
        certificates = folder / "pki"
        certificates.mkdir()
        (certificates / "ca.crt").write_bytes(self.ca.pem)
        broker, server = self.ca.files(certificates, "broker", **broker_times), self.ca.files(certificates, "_server")
        self.broker = Broker(BrokerSettings(folder / "broker", certificates / "ca.crt", *broker))
        if broker_times:
            # It waits for a certificate that it believes itself, by the clock.
            self.broker._answers = self._listens  # type: ignore[method-assign]
        self._server_files = server
        self.reported: list[Reported] = []
        self.events: list[Event] = []
        self.results: list[Result] = []
        self.statuses: list[bytes] = []
        self.telemetry: list[Telemetry] = []
        self.acking = True
        self.seq = 0
        self.epoch = 0
        self.from_child: Callable[[topics.Address, str, bytes], None] = lambda *_: None
        self.mangle: Callable[[bytes, bytes], bytes] = lambda _, data: data
        self.published: dict[bytes, int] = {}
        self._new = threading.Condition()
        self.client: paho.Client | None = None
        self.state = folder / "state"

    # The broker's side.

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.broker.port)) == 0

    def start(self) -> None:
        self.broker.start()
        context = ssl.create_default_context(cafile=self._server_files[0].parent / "ca.crt")
        context.verify_flags |= 0x200000
        context.load_cert_chain(*self._server_files)
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id="_server", protocol=paho.MQTTv5)
        client.tls_set_context(context)
        client.max_inflight_messages_set(200)
        connected = threading.Event()

        def on_connect(*_: Any) -> None:
            client.subscribe([(one, 1) for one in topics.SERVER_FILTERS])
            connected.set()

        client.on_connect = on_connect
        client.on_message = lambda _c, _u, message: self._heard(message.topic, bytes(message.payload))
        client.reconnect_delay_set(1, 1)
        # As the real server's: the broker keeps what devices say while the server is away.
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = DAY_S
        client.connect("127.0.0.1", self.broker.port, 30, clean_start=False, properties=properties)
        client.loop_start()
        assert connected.wait(PATIENCE_S)
        self.client = client

    def stop(self) -> None:
        if self.client is not None:
            self.client.disconnect()
            self.client.loop_stop()
        self.broker.stop()

    def _heard(self, topic: str, payload: bytes) -> None:
        address, kind = topics.parse_up(topic)
        if address.gateway is not None:
            self.from_child(address, kind, payload)
            return
        assert address == self.address
        with self._new:
            if kind == "reported":
                self.reported.append(Reported.from_bytes(payload))
            elif kind == "events":
                event = Event.from_bytes(payload)
                self.events.append(event)
                if self.acking:
                    self.ack(event)
            elif kind == "results":
                result = Result.from_bytes(payload)
                self.results.append(result)
                if self.acking:
                    self.ack(result)
            elif kind == "status":
                self.statuses.append(payload)
            elif kind == "telemetry":
                self.telemetry.append(Telemetry.from_bytes(payload))

    def ack(self, event: Event | Result, signer: keys.PrivateKey | None = None) -> None:
        ack = Ack(device=self.device, stream=event.stream, n=event.n)
        envelope = cose.sign1(ack.to_bytes(), signer or self.signers.director, Role.ACK)
        self.publish(self.address.down("ack"), envelope, retain=False)

    def publish(self, topic: str, payload: bytes, *, retain: bool = True) -> None:
        assert self.client is not None
        self.client.publish(topic, payload, 1, retain=retain)

    def publish_object(self, name: bytes, data: bytes) -> None:
        self.publish(topics.obj(name), self.mangle(name, data))

    def offer(self, *releases: Release) -> None:
        """Publish a release's objects, as the server does once for the whole fleet."""
        for release in releases:
            for name, data in release.objects.items():
                self.publish_object(name, data)

    # The packager's side.

    def release(
        self,
        amount: float,
        *,
        name: str = "adder",
        version: str = "1.0.0",
        counter: int = 1,
        model: bytes | None = None,
        golden: Golden | None = None,
        ballast: int = 20_000,
        budget_us: int = 1_000_000_000,
        signer: keys.PrivateKey | None = None,
        runtime: str = "onnxruntime",
        not_after: int | None = None,
        memory_bytes: int = 0,
        labels: bytes | None = None,
        lean: bytes | None = None,
        baseline: bytes | None = None,
    ) -> Release:
        """Build and sign a release whose model adds ``amount``; ``lean``: the model of a variant that is cheaper."""
        model = model or adding(amount, ballast=ballast)
        golden_bytes = (golden or samples(model, [[1, 2, 3, 4], [0, 0, 0, 0]])).to_bytes()
        cek = secrets.token_bytes(32)
        payloads, leaves, chunks = [], [], {}
        micro = runtime == "tflm"
        contents = [("model", _FORMATS[runtime], model), ("golden", "cbor", golden_bytes)]
        contents += [] if labels is None else [("labels", "text", labels)]
        contents += [] if baseline is None else [("baseline", "cbor", baseline)]
        own_payloads = tuple(range(len(contents)))
        contents += [] if lean is None else [("model", "onnx", lean)]
        for role, fmt, data in contents:
            payload_id = secrets.token_bytes(16)
            cipher = ChunkCipher(cek, payload_id, CHUNK_LOG2)
            count = chunk_count(len(data), CHUNK_LOG2)
            size = 1 << CHUNK_LOG2
            made = [cipher.seal(i, i == count - 1, data[i * size : (i + 1) * size]) for i in range(count)]
            own = [merkle.leaf(chunk) for chunk in made]
            chunks.update(zip(own, made, strict=True))
            leaves.extend(own)
            payloads.append(
                Payload(
                    id=payload_id,
                    role=role,
                    format=fmt,
                    compression=STORED,
                    installed_length=len(data),
                    installed_sha256=sha256(data),
                    plaintext_length=len(data),
                    ciphertext_length=len(data) + 16 * count,
                    chunk_log2=CHUNK_LOG2,
                    chunk_count=count,
                    merkle_root=merkle.root(own),
                    aead=24,
                )
            )
        tensor = {"dtype": "float32", "shape": (-1, local_api_models.WIDTH)}
        variant = Variant(
            kind="tflm-int8" if micro else "onnx",
            fit=Fit(
                runtime=runtime,
                min_version=(1, 0, 0),
                ops=(),
                memory_bytes=memory_bytes,
                flash_bytes=slot_bytes([len(model), len(golden_bytes)], len(leaves)) if micro else 0,
            ),
            io=Io(
                inputs=(Tensor(name="x", **tensor),),
                outputs=(Tensor(name="y", **tensor),),
                postprocess=None if labels is None else Postprocess(softmax=False, top_k=1, labels=2),
            ),
            payloads=own_payloads,
            budget=Budget(p95_us=budget_us),
            golden=GoldenCheck(payload=1, tolerance=1e-5, top1_permille=0),
        )
        variants = [variant]
        if lean is not None:
            cheap = Budget(p95_us=budget_us // 2)
            others = (*own_payloads[1:], len(payloads) - 1)
            variants.append(replace(variant, kind="onnx-lean", payloads=others, budget=cheap))
        now = int(time.time())
        manifest = Manifest(
            name=name,
            version=version,
            counter=counter,
            created=now - 2 * DAY_S,
            not_after=not_after or now + 365 * DAY_S,
            variants=tuple(variants),
            payloads=tuple(payloads),
        )
        data = manifest.to_bytes()
        envelope = cose.sign(data, [signer or self.signers.release], Role.RELEASE)
        return Release(name, manifest, envelope, release_digest(data), cek, leaves, chunks, model)

    # The director's side.

    def desire(
        self,
        *releases: Release,
        floor: int = 0,
        lease: Lease | None = None,
        settings: Settings | None = QUICK,
        wipe: bytes | None = None,
        seq: int | None = None,
        issued: int | None = None,
        lifetime: int = DAY_S,
        nonce: bytes | None = None,
        root: bytes | None = None,
        signer: keys.PrivateKey | None = None,
        grants: Mapping[str, bytes] | None = None,
        trials: Mapping[Release, tuple[str, int]] | None = None,
        captures: Mapping[str, bytes] | None = None,
        publish: bool = True,
    ) -> bytes:
        """Make a directive and publish it; returns its envelope."""
        self.seq = seq if seq is not None else self.seq + 1
        if settings is not None:
            self.publish_object(sha256(settings.to_bytes()), settings.to_bytes())
        issued = issued if issued is not None else int(time.time())

        def wanted(release: Release) -> Desired:
            return Desired(
                release=release.digest,
                floor=floor,
                grant=(grants or {}).get(release.name) or self.grant(release),
                lease=lease or Lease(seconds=30 * DAY_S, action="warn"),
                manifest=sha256(release.envelope),
                index=tuple(sha256(page) for page in release.pages),
            )

        directive = Directive(
            device=self.device,
            epoch=self.epoch,
            seq=self.seq,
            issued=issued,
            expires=issued + lifetime,
            desired={release.name: wanted(release) for release in releases},
            settings=sha256(settings.to_bytes()) if settings is not None else None,
            wipe=wipe,
            nonce=nonce,
            root=sha256(root) if root is not None else None,
            trials={
                release.name: Trial(candidate=wanted(release), mode=mode, share=share)
                for release, (mode, share) in (trials or {}).items()
            }
            or NO_ENTRIES,
            captures=captures or NO_ENTRIES,
        )
        envelope = cose.sign1(directive.to_bytes(), signer or self.signers.director, Role.DIRECTIVE)
        if publish:
            self.publish(self.address.down("desired"), envelope)
        return envelope

    def grant(self, release: Release) -> bytes:
        kem = keys.spki(FileKeystore(Paths(self.state)).kem())
        return hpke.seal_cek(release.cek, kem, release.digest, self.device)

    def capture_order(
        self, model: str = "adder", *, signers: Sequence[keys.PrivateKey] | None = None, **policy: Any
    ) -> bytes:
        now = int(time.time())
        usual = {"device": self.device, "issued": now, "not_after": now + DAY_S, "per_day": 100}
        order = CaptureOrder(order_id=secrets.token_bytes(16), model=model, **(usual | policy))
        return cose.sign(order.to_bytes(), list(signers if signers is not None else self.signers.ops), Role.CAPTURE)

    def wipe_order(self, *models: str, signers: Sequence[keys.PrivateKey] | None = None) -> bytes:
        order = WipeOrder(
            device=self.device, order_id=secrets.token_bytes(16), models=tuple(sorted(models)), issued=int(time.time())
        )
        return cose.sign(order.to_bytes(), list(signers if signers is not None else self.signers.ops), Role.WIPE)

    # The device's side.

    def enrol(self, *, begins_s: float = -3600, ends_s: float = 90 * DAY_S, url: str = "https://127.0.0.1:9") -> Paths:
        """What an enrolment leaves in the state folder, without the server."""
        paths = Paths(self.state)
        files.make_folder(self.state)
        identity, _ = FileKeystore(paths).create()
        certificate = self.ca.issue(self.device, identity.public_key(), begins_s=begins_s, ends_s=ends_s)
        files.write_whole(paths.root, self.root_envelope)
        files.write_whole(paths.ca, self.ca.pem)
        files.write_whole(paths.certificate, certificate.public_bytes(serialization.Encoding.PEM))
        now = int(time.time())
        enrolment = Enrolment(
            device=self.device,
            url=url,
            broker_host="127.0.0.1",
            broker_port=self.broker.port or 1,
            certified=now + int(begins_s),
            certificate_ends=now + int(ends_s),
        )
        files.write_whole(paths.enrolment, enrolment.to_bytes())
        return paths

    def receipt(self, event: Event) -> Receipt:
        assert event.receipt is not None
        return envelopes.open_receipt(event.receipt, keys.spki(FileKeystore(Paths(self.state)).identity()))

    # What was heard.

    def model(self, name: str = "adder") -> ModelState | None:
        return self.reported[-1].models.get(name) if self.reported else None

    def until_reported(self, what: str | Callable[[], str], holds: Callable[[Reported], Any]) -> Reported:
        return until(lambda: next((one for one in self.reported[-1:] if holds(one)), None), what)

    def until_phase(self, phase: str, release: Release, name: str = "adder") -> ModelState:
        def there(reported: Reported) -> bool:
            model = reported.models.get(name)
            named = model and (model.active if phase == "committed" else model.candidate)
            return model is not None and model.phase == phase and named == release.digest

        return self.until_reported(lambda: f"{name} {phase}, last {self.model(name)}", there).models[name]

    def until_event(self, kind: str, code: str | None = None) -> Event:
        def found() -> Event | None:
            return next((e for e in self.events if e.kind == kind and code in {None, e.code}), None)

        return until(found, lambda: f"event {kind} {code} of {[(e.kind, e.code, e.text) for e in self.events]}")


class Agent:
    """The agent as a process; ``hook`` is Python run in it before it starts, for faults that no option makes."""

    def __init__(self, fleet: Fleet, *, hook: str = "", arguments: Sequence[str] = ()) -> None:
        self.fleet = fleet
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        code = f"import sys\n{hook}\nfrom fleet_agent.cli import main\nsys.exit(main(sys.argv[1:]))"
        options = ["--listen", f"127.0.0.1:{self.port}", "--state-dir", str(fleet.state), *arguments]
        self.log = (fleet.folder / "agent.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, "--debug", "run", *options], stdout=self.log, stderr=self.log
        )

    def __enter__(self) -> "Agent":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(PATIENCE_S)
        self.log.close()
        return code

    def ended(self) -> int:
        """Wait for the agent to end by itself."""
        code = self.process.wait(PATIENCE_S)
        self.log.close()
        return code

    def text(self) -> str:
        return (self.fleet.folder / "agent.log").read_text()

    def infer(self, x: float = 0.0, model: str = "adder") -> float | None:
        """The model's answer to a row of ``x``, None while it does not serve."""
        data = self._ask([x] * 4, model)
        if data is None:
            return None
        return float("nan") if data[0] is None else float(data[0])

    def _ask(self, row: list[float], model: str) -> list[Any] | None:
        body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": row}]}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("POST", f"/v2/models/{model}/infer", json.dumps(body))
            answer = connection.getresponse()
            data = json.loads(answer.read())
        except OSError:
            return None
        finally:
            connection.close()
        return list(data["outputs"][0]["data"]) if answer.status == 200 else None

    def rank(self, model: str = "adder") -> int | None:
        """Place of the largest number of the model's answer to 1, 2, 3, 4; None while it does not serve."""
        data = self._ask([1.0, 2.0, 3.0, 4.0], model)
        return None if data is None else max(range(4), key=data.__getitem__)

    def until_serves(self, amount: float, model: str = "adder") -> None:
        what = f"{model} adds {amount}"
        until(lambda: self.infer(0.0, model) == amount, lambda: f"{what}; agent says:\n{self.text()[-3000:]}")

    def work(self, requests: int = 8, model: str = "adder") -> None:
        """Real requests, for a probation to judge."""
        for _ in range(requests):
            self.infer(1.0, model)

    def children(self) -> dict[str, list[int]]:
        """Processes of the agent by what they are."""
        found: dict[str, list[int]] = {}
        for entry in Path("/proc").iterdir():
            try:
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
                line = (entry / "cmdline").read_bytes().split(b"\0")
            except (OSError, IndexError):
                continue
            if int(stat[1]) == self.process.pid and stat[0] != "Z" and len(line) > 2:
                found.setdefault(line[-2].decode().rpartition(".")[2], []).append(int(entry.name))
        return found


def commit(fleet: Fleet, agent: Agent, release: Release, amount: float) -> None:
    """Bring a release all the way, with requests for its probation."""
    fleet.offer(release)
    fleet.desire(release)
    agent.until_serves(amount)
    until(lambda: agent.work() or (fleet.model() or ModelState(phase="idle")).phase == "committed", "committed")
    fleet.until_phase("committed", release)


def flipped(data: bytes, place: int = -1) -> bytes:
    """``data`` with one bit changed."""
    changed = bytearray(data)
    changed[place] ^= 1
    return bytes(changed)
