"""Every table of the server.

Conventions, the same in each table:
- Times are float unix seconds (UTC) by the *server's* clock unless the comment says `device clock`.
- SHA-256 digests and random ids are lower-case hex text; signed or sealed byte strings stay bytes.
- JSON columns are replaced, never mutated in place: SQLAlchemy sees only assignment.
- Row classes end in `Row`, so that no name is shared with the contract's records.
"""

from typing import Any

from sqlalchemy import JSON, BigInteger, Index, Integer, UniqueConstraint
from sqlmodel import Field, SQLModel

# SQLite gives out row ids only for INTEGER; PostgreSQL's INTEGER has 32 bits, too few for counters from outside.
Big = BigInteger().with_variant(Integer, "sqlite")

BROKER_MARK = "broker-mark"  # key in `meta`: the mark the broker is known to hold; empty: unknown

DEVICE_PENDING = "pending"  # enrolled with a valid token, waiting for an operator
DEVICE_ACTIVE = "active"  # holds a certificate
DEVICE_REJECTED = "rejected"  # an operator said no, or took the device out of the fleet


class MetaRow(SQLModel, table=True):
    """One named fact about this installation, such as the fleet's settings."""

    __tablename__ = "meta"

    key: str = Field(primary_key=True, max_length=64)
    value: str = ""


class RootRow(SQLModel, table=True):
    """One version of the root. All are kept: a device that slept walks them one by one."""

    __tablename__ = "root"

    version: int = Field(primary_key=True, sa_type=Big)
    envelope: bytes  # COSE_Sign
    digest: str = Field(max_length=64, unique=True)  # SHA-256 of its payload: what claim tokens pin
    sha: str = Field(max_length=64)  # SHA-256 of the envelope: its object's name
    installed: float


class DeviceRow(SQLModel, table=True):
    """One device: who it is, what it last said of itself, and the directive it was last given."""

    __tablename__ = "device"
    __table_args__ = (
        Index("ix_device_state_id", "state", "id"),
        Index("ix_device_online_last_seen", "online", "last_seen"),
    )

    id: str = Field(primary_key=True, max_length=36)
    state: str = Field(default=DEVICE_PENDING, max_length=16)
    tags: dict[str, str] = Field(default_factory=dict, sa_type=JSON)
    created: float
    claim_token: str | None = Field(default=None, max_length=32)  # id of the token it came with
    gateway: str | None = Field(default=None, max_length=36, index=True)  # id of the device it is pinned to, if any

    # The certificate is kept so that a lost reply can be repeated.
    identity_spki: bytes = Field(index=True, unique=True)  # DER SubjectPublicKeyInfo, P-256
    kem_spki: bytes  # DER SubjectPublicKeyInfo, P-256; replaced by a wipe receipt
    certificate: bytes | None = None  # PEM chain
    certificate_serial: str | None = Field(default=None, max_length=40, index=True)  # hex
    certificate_not_after: float | None = None

    # What it says of itself. Claims, bounded by the contract, never used to decide about another device.
    hardware_class: str = Field(default="", max_length=64, index=True)
    arch: str = Field(default="", max_length=64)
    description: bytes  # contract DeviceDescription, CBOR: `devices.description_of(row)` reads it
    agent_version: str = Field(default="", max_length=64)
    root_version: int = Field(default=1, sa_type=Big)  # of the root it trusts
    uptime_s: int = Field(default=0, sa_type=Big)
    device_time: float | None = None  # device clock
    temperature_dc: int | None = None  # tenths of a degree Celsius
    temperature_at: float | None = None  # when it last said one
    hardware: dict[str, Any] | None = Field(default=None, sa_type=JSON)  # contract Hardware, of the last telemetry
    hardware_at: float | None = None
    load_permille: int | None = Field(default=None, sa_type=Big)
    memory_bytes: int | None = Field(default=None, sa_type=Big)  # used by the agent

    online: bool = False
    said_online: bool = False  # behind a gateway: what that said last; it counts while the gateway itself is online
    status_at: float | None = None  # when `online` last changed
    last_seen: float | None = None
    reported_at: float | None = None
    report_number: int = Field(default=0, sa_type=Big)  # behind a gateway: of the last `reported` that was believed
    boot_nonce: bytes | None = None  # of the last `reported`; echoed in the next directive
    reported_epoch: int = Field(default=0, sa_type=Big)
    reported_seq: int = Field(default=0, sa_type=Big)

    # What it was told. `directive` is the envelope as published, kept to republish when the broker lost it.
    epoch: int = Field(default=0, sa_type=Big)
    seq: int = Field(default=0, sa_type=Big)
    directive: bytes | None = None
    directive_digest: str | None = Field(default=None, max_length=64)
    directive_issued: float | None = None
    directive_expires: float | None = None
    directive_refresh: float = Field(default=0.0, index=True)  # when it is to be issued again, for lease and expiry
    directive_base: str = Field(default="", max_length=64, index=True)  # fleet-wide inputs it was made from
    directive_nonce: bytes | None = None  # the boot nonce it echoes


class DeviceAlarmRow(SQLModel, table=True):
    """Something about a device that wants a person: one row a kind, however often it happens, until it is dismissed."""

    __tablename__ = "device_alarm"

    device: str = Field(primary_key=True, max_length=36, foreign_key="device.id")
    kind: str = Field(primary_key=True, max_length=16)  # services/alarms.py lists them
    text: str = Field(max_length=256)  # of the last time
    count: int = Field(default=0, sa_type=Big)
    first_at: float
    last_at: float


class DeviceModelRow(SQLModel, table=True):
    """One model on one device: what is desired (set by us) beside what is reported (said by the device)."""

    __tablename__ = "device_model"

    device: str = Field(primary_key=True, max_length=36, foreign_key="device.id")
    model: str = Field(primary_key=True, max_length=64)

    desired: str | None = Field(default=None, max_length=64, foreign_key="release.digest", index=True)  # None: absent
    floor: int = Field(default=0, sa_type=Big)  # security counter below which no release may run
    lease_s: int | None = None  # None: no lease
    lease_action: str = Field(default="warn", max_length=8)  # warn | stop
    assigned_by: int | None = Field(default=None, foreign_key="rollout.id")
    assigned_at: float | None = None
    grant: bytes | None = None  # CEK of `grant_release` sealed to the device's KEM key, made once and reused
    grant_release: str | None = Field(default=None, max_length=64)
    trial: str | None = Field(default=None, max_length=64, foreign_key="release.digest", index=True)  # beside `desired`
    trial_mode: str = Field(default="shadow", max_length=16)  # contract Trial
    trial_permille: int = 1000  # share of the requests
    trial_grant: bytes | None = None  # as `grant`, of `trial_grant_release`
    trial_grant_release: str | None = Field(default=None, max_length=64)

    active: str | None = Field(default=None, max_length=64)  # release digest it serves
    previous: str | None = Field(default=None, max_length=64)  # release digest in its other slot
    candidate: str | None = Field(default=None, max_length=64)  # release digest on its way in
    phase: str = Field(default="idle", max_length=16)  # contract PHASES
    error_code: str = Field(default="", max_length=64)
    error_text: str = Field(default="", max_length=256)
    variant: str = Field(default="", max_length=24)  # kind
    served: int = Field(default=0, sa_type=Big)  # inferences by the newest release shown
    chunks_have: int = Field(default=0, sa_type=Big)
    chunks_need: int = Field(default=0, sa_type=Big)
    rejected: list[Any] = Field(default_factory=list, sa_type=JSON)  # [{kind, reasons}]: variants that do not fit
    reported_at: float | None = None  # None: the device never spoke of this model, or no longer does


class ModelTelemetryRow(SQLModel, table=True):
    """Numbers of one release on one device since its worker started: what the last telemetry said."""

    __tablename__ = "model_telemetry"

    device: str = Field(primary_key=True, max_length=36, foreign_key="device.id")
    model: str = Field(primary_key=True, max_length=64)
    release: str = Field(primary_key=True, max_length=64)  # as the device claims it; may be unknown here
    count: int = Field(default=0, sa_type=Big)  # inferences
    errors: int = Field(default=0, sa_type=Big)
    latency_us: dict[str, int] = Field(default_factory=dict, sa_type=JSON)  # contract Sketch: bucket -> count
    compared_with: str | None = Field(default=None, max_length=64)  # release that was last on trial beside it
    compared_at: float | None = None
    comparison: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)  # of contract Comparison
    drift: list[Any] = Field(default_factory=list, sa_type=JSON)  # [{feature, expected, counts}], as last sent
    confidence: list[int] = Field(default_factory=list, sa_type=JSON)  # 20 counts or none, as last sent
    at: float


class QualityWindowRow(SQLModel, table=True):
    """What one release on one device counted for drift in one window of time, over all its workers in it."""

    __tablename__ = "quality_window"
    __table_args__ = (Index("ix_quality_window_release_at", "release", "at"),)

    device: str = Field(primary_key=True, max_length=36, foreign_key="device.id")
    model: str = Field(primary_key=True, max_length=64)
    release: str = Field(primary_key=True, max_length=64)  # as the device claims it; may be unknown here
    start: int = Field(primary_key=True, sa_type=Big)  # of the window, services/quality.py WINDOW_S long
    at: float  # of the last telemetry in it
    drift: list[Any] = Field(default_factory=list, sa_type=JSON)  # [{feature, expected, counts}]
    confidence: list[int] = Field(default_factory=list, sa_type=JSON)  # 20 counts or none


class HardwareWindowRow(SQLModel, table=True):
    """The highest that one device's sensors said in one window of time."""

    __tablename__ = "hardware_window"

    device: str = Field(primary_key=True, max_length=36, foreign_key="device.id")
    start: int = Field(primary_key=True, sa_type=Big)  # of the window, services/hardware.py WINDOW_S long
    temperature_dc: int | None = None
    power_mw: int | None = Field(default=None, sa_type=Big)
    gpu_permille: int | None = None
    slowed: bool = False  # by heat or a weak supply


class ClaimTokenRow(SQLModel, table=True):
    """A one-use enrolment token. Only the hash of its secret is kept."""

    __tablename__ = "claim_token"

    id: str = Field(primary_key=True, max_length=32)  # hex
    secret_hash: str = Field(max_length=64)  # hex, contract ClaimToken.secret_hash
    tags: dict[str, str] = Field(default_factory=dict, sa_type=JSON)  # given to the device that uses it
    auto_approve: bool = False
    root: str = Field(max_length=64)  # digest of the root that it pins
    created: float
    created_by: str = Field(max_length=80)
    expires: float
    used_at: float | None = None
    used_by: str | None = Field(default=None, max_length=36)  # device id


class ReleaseRow(SQLModel, table=True):
    """A verified bundle stored at DIR/bundles/<digest>.dnb."""

    __tablename__ = "release"
    __table_args__ = (UniqueConstraint("name", "version"),)

    digest: str = Field(primary_key=True, max_length=64)  # SHA-256 of the manifest's payload bytes
    name: str = Field(max_length=64, index=True)  # the model's name
    version: str = Field(max_length=64)
    counter: int = Field(sa_type=Big)  # security counter
    created: float  # signed, packager's clock
    not_after: float  # signed; no new rollouts after it
    manifest: bytes  # envelope, COSE_Sign
    manifest_sha: str = Field(max_length=64)  # name of the manifest object
    index_shas: list[str] = Field(default_factory=list, sa_type=JSON)  # names of the index page objects, in order
    sealed_cek: bytes  # sealed to the vault key
    bundle_bytes: int = Field(sa_type=Big)
    uploaded: float = Field(index=True)
    uploaded_by: str = Field(max_length=80)
    wanted: bool = Field(default=False, index=True)  # some device's desired state names it: its objects are published


class ObjectRow(SQLModel, table=True):
    """A content-addressed object devices may ask for on `obj/<sha>`, and whether the broker holds it."""

    __tablename__ = "object"

    sha: str = Field(primary_key=True, max_length=64)
    kind: str = Field(max_length=16)  # manifest | index | chunk | settings | root
    length: int  # bytes
    data: bytes | None = None  # settings and root; the rest is read out of the bundle
    release: str | None = Field(default=None, max_length=64, foreign_key="release.digest")  # the bundle that has it
    offset: int = Field(default=0, sa_type=Big)  # bytes from the start of that bundle file
    queued_at: float | None = None  # handed to the outbox; None: not on the broker and not meant to be
    published_at: float | None = None  # acknowledged by the broker


class ReleaseObjectRow(SQLModel, table=True):
    """Which objects a release consists of; two releases may share some."""

    __tablename__ = "release_object"

    release: str = Field(primary_key=True, max_length=64, foreign_key="release.digest")
    sha: str = Field(primary_key=True, max_length=64, foreign_key="object.sha", index=True)


class RolloutRow(SQLModel, table=True):
    """One release on its way to a selection of devices, stage by stage. The engine alone changes `state`."""

    __tablename__ = "rollout"

    id: int | None = Field(default=None, primary_key=True)
    release: str = Field(max_length=64, foreign_key="release.digest", index=True)
    model: str = Field(max_length=64, index=True)  # the release's name
    state: str = Field(default="running", max_length=16, index=True)
    # running | soaking | paused | reverting | reverted | aborted | completed
    reason: str = Field(default="", max_length=512)  # why it is paused, aborted or reverting
    selector: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)  # {tags, hardware, devices}
    stages: list[Any] = Field(default_factory=list, sa_type=JSON)  # [{percent|count|selector, soak_s}]
    gate: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)  # as rollouts/spec.py Gate
    on_breach: str = Field(default="pause", max_length=8)  # pause | abort | revert
    device_deadline_s: float = 600.0
    lease_s: int | None = None  # given to each device it assigns
    lease_action: str = Field(default="warn", max_length=8)
    mode: str = Field(default="rolling", max_length=8)  # rolling | shadow | canary | ab
    share: float = 1.0  # of the requests, for a release on trial
    compared: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)  # stage -> what its trials came to
    stage: int = 0  # index of the current stage
    since: float  # when the present state, or its stage, began; every deadline derives from it
    created: float
    created_by: str = Field(max_length=80)
    finished: float | None = None


class RolloutDeviceRow(SQLModel, table=True):
    """One device's part in one rollout: where it stands and where it goes back to."""

    __tablename__ = "rollout_device"
    __table_args__ = (Index("ix_rollout_device_device", "device"), Index("ix_rollout_device_state", "rollout", "state"))

    rollout: int = Field(primary_key=True, foreign_key="rollout.id")
    device: str = Field(primary_key=True, max_length=36, foreign_key="device.id")
    stage: int | None = None  # index of the stage that assigned it; None until then
    state: str = Field(default="waiting", max_length=16)
    # waiting | offline | trying | comparing | assigned |
    # succeeded | failed | reverting | reverted | dropped (wiped or removed meanwhile)
    reason: str = Field(default="", max_length=512)  # of a failure: code and text
    excused: bool = False  # a failure the operator accepted by resuming
    assigned_at: float | None = None
    deadline: float | None = None  # when an assigned device counts as failed
    seq: int | None = Field(default=None, sa_type=Big)  # of the directive that assigned it; older reports prove nothing
    settled_at: float | None = None  # when it succeeded, failed or was reverted
    previous: str | None = Field(default=None, max_length=64)  # release desired before; None: the model was absent


class EventRow(SQLModel, table=True):
    """One numbered event of a device, stored once however often it is sent."""

    __tablename__ = "event"
    __table_args__ = (
        UniqueConstraint("device", "stream", "n"),
        Index("ix_event_device_id", "device", "id"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=Big)
    device: str = Field(max_length=36, foreign_key="device.id")
    stream: str = Field(max_length=32)  # hex of the device's random stream id
    n: int = Field(sa_type=Big)  # number within the stream, from 1
    kind: str = Field(max_length=32)  # contract KINDS
    time: float  # device clock
    uptime_s: int = Field(sa_type=Big)
    received: float = Field(index=True)
    model: str | None = Field(default=None, max_length=64)
    release: str | None = Field(default=None, max_length=64)
    code: str = Field(default="", max_length=64)
    text: str = Field(default="", max_length=256)


class EventStreamRow(SQLModel, table=True):
    """How far a device's stream of events or results is committed: what the next ack says."""

    __tablename__ = "event_stream"

    device: str = Field(primary_key=True, max_length=36, foreign_key="device.id")
    stream: str = Field(primary_key=True, max_length=32)
    n: int = Field(default=0, sa_type=Big)  # every one up to this is stored
    highest: int = Field(default=0, sa_type=Big)  # the highest one stored; above `n` only while some are missing
    updated: float


class ResultRow(SQLModel, table=True):
    """One numbered result or capture of a device, or the word that some were pushed out before they could be sent."""

    __tablename__ = "result"
    __table_args__ = (
        UniqueConstraint("device", "stream", "n", "kind"),
        Index("ix_result_device_id", "device", "id"),
        Index("ix_result_model_id", "model", "id"),
        Index("ix_result_kind_id", "kind", "id"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=Big)
    device: str = Field(max_length=36, foreign_key="device.id")
    stream: str = Field(max_length=32)  # hex of the device's random stream id
    n: int = Field(sa_type=Big)  # number within the stream, from 1
    first: int | None = Field(default=None, sa_type=Big)  # of a gap: numbers from here to `n` are gone
    kind: str = Field(max_length=16)  # result | capture | gap
    time: float  # device clock
    uptime_s: int = Field(sa_type=Big)
    received: float
    model: str | None = Field(default=None, max_length=64)
    release: str | None = Field(default=None, max_length=64)
    source: str = Field(default="", max_length=64)
    reason: str = Field(default="", max_length=64)
    size: int  # bytes of `record`
    record: bytes  # contract Result, as it came


class OutboxRow(SQLModel, table=True):
    """A message owed to the broker, written in the transaction that caused it, deleted on the broker's PUBACK.

    A topic has at most one row: what is retained on a topic is its latest value, so a newer one replaces the row.
    `body` None with `object` None clears the retained message.
    """

    __tablename__ = "outbox"
    __table_args__ = {"sqlite_autoincrement": True}  # an id in flight must never name a later row

    id: int | None = Field(default=None, primary_key=True, sa_type=Big)
    topic: str = Field(max_length=160, unique=True)
    body: bytes | None = None
    object: str | None = Field(default=None, max_length=64)  # sha; the body is read from the bundle when sent
    retain: bool = True
    created: float


class WipeOrderRow(SQLModel, table=True):
    """A wipe: drafted, signed by two ops keys, sent in directives, proven by the device's receipt."""

    __tablename__ = "wipe_order"

    id: str = Field(primary_key=True, max_length=32)  # hex of the order id, 16 bytes
    device: str = Field(max_length=36, foreign_key="device.id", index=True)
    state: str = Field(default="draft", max_length=16, index=True)  # draft | sent | done | cancelled | superseded
    scope: list[str] = Field(default_factory=list, sa_type=JSON)  # model names; empty: the whole device
    reason: str = Field(default="", max_length=256)
    payload: bytes  # the order's canonical bytes: what the ops keys sign
    digest: str = Field(max_length=64, index=True)  # SHA-256 of `payload`
    envelope: bytes | None = None  # assembled COSE_Sign, from 2 of 2 on
    created: float
    created_by: str = Field(max_length=80)
    sent_at: float | None = None
    receipt: bytes | None = None  # envelope, COSE_Sign1 by the device
    receipt_ok: bool | None = None  # verified against the device's identity key and this order
    receipt_summary: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    receipt_at: float | None = None


class WipeSignatureRow(SQLModel, table=True):
    """One ops owner's verified signature under a wipe order; one row a key."""

    __tablename__ = "wipe_signature"

    wipe: str = Field(primary_key=True, max_length=32, foreign_key="wipe_order.id")
    kid: str = Field(primary_key=True, max_length=16)  # hex
    signature: bytes  # one COSE_Signature
    at: float


class CaptureOrderRow(SQLModel, table=True):
    """An order to keep some of a model's requests: drafted, signed by two ops keys, carried by directives."""

    __tablename__ = "capture_order"
    __table_args__ = (Index("ix_capture_order_device_created", "device", "created"),)

    id: str = Field(primary_key=True, max_length=32)  # hex of the order id, 16 bytes
    device: str = Field(max_length=36, foreign_key="device.id")
    model: str = Field(max_length=64)
    state: str = Field(default="draft", max_length=16, index=True)  # draft | sent | cancelled | superseded
    payload: bytes  # the order's canonical bytes: what the ops keys sign
    digest: str = Field(max_length=64)  # SHA-256 of `payload`
    not_after: float  # of the order; over then, whatever the state
    envelope: bytes | None = None  # assembled COSE_Sign, from 2 of 2 on
    created: float
    created_by: str = Field(max_length=80)
    sent_at: float | None = None


class CaptureSignatureRow(SQLModel, table=True):
    """One ops owner's verified signature under a capture order; one row a key."""

    __tablename__ = "capture_signature"

    capture: str = Field(primary_key=True, max_length=32, foreign_key="capture_order.id")
    kid: str = Field(primary_key=True, max_length=16)  # hex
    signature: bytes  # one COSE_Signature
    at: float


class UserRow(SQLModel, table=True):
    """A person who may sign in."""

    __tablename__ = "user"

    name: str = Field(primary_key=True, max_length=64)
    password_hash: str = Field(max_length=256)  # "scrypt$n$r$p$salt$hash"
    role: str = Field(max_length=16)  # viewer | operator | admin
    disabled: bool = False
    created: float


class SessionRow(SQLModel, table=True):
    """A signed-in browser. The cookie's value is kept only as a hash."""

    __tablename__ = "session"

    token_hash: str = Field(primary_key=True, max_length=64)  # SHA-256 hex
    user: str = Field(max_length=64, foreign_key="user.name", index=True)
    csrf: str = Field(max_length=64)  # sent back by every form
    created: float
    expires: float


class ApiTokenRow(SQLModel, table=True):
    """A bearer token for CI. Shown once, kept as a hash."""

    __tablename__ = "api_token"

    name: str = Field(primary_key=True, max_length=64)
    token_hash: str = Field(max_length=64, unique=True)  # SHA-256 hex
    role: str = Field(max_length=16)
    created: float
    created_by: str = Field(max_length=80)


class LoginThrottleRow(SQLModel, table=True):
    """Failed sign-ins of one name or address, so that guessing slows down on every replica alike."""

    __tablename__ = "login_throttle"

    key: str = Field(primary_key=True, max_length=128)  # "user:NAME" or "addr:ADDRESS"
    failures: int = 0
    until: float = 0.0  # no attempt is looked at before


class AuditRow(SQLModel, table=True):
    """Who did what: one row for every action of an operator, written with the change itself."""

    __tablename__ = "audit"

    id: int | None = Field(default=None, primary_key=True, sa_type=Big)
    at: float = Field(index=True)
    actor: str = Field(max_length=80)  # "user:NAME", "token:NAME", "cli", "server"
    action: str = Field(max_length=64)  # e.g. "rollout.start"
    target: str = Field(default="", max_length=128, index=True)  # e.g. "rollout:3", "device:cam-1"
    detail: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
