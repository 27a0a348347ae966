"""Vectors of everything but the bundle: encodings, keys, roots, messages, decisions, texts."""  # noqa: INP001 - run from the repository's root; the folder holds data, not a package

from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from contract.vectors import material as m
from contract.vectors.material import DROP, ROOTS, Collector, Map, edited, enc, sha


def cbor(out: Collector) -> None:
    def add(name: str, expect: str, data: str, cap: int = 64) -> None:
        out.add("cbor", f"cbor-{name}", expect, bytes=bytes.fromhex(data), cap_bytes=cap)

    add("map", "ok", "a2000101614c")
    add("keys-of-two-types", "ok", "a2190100006130f6")
    add("keys-of-both-signs", "ok", "a2190100002000")
    add("key-true-alone", "ok", "a1f500")
    add("key-true-alone-in-a-tag", "ok", "d2a1f500")
    add("nested-16-deep", "ok", "81" * 16 + "00")
    add("nested-16-deep-around-an-empty-one", "ok", "81" * 16 + "a0")
    add("half-float", "ok", "f93e00")
    add("at-the-cap", "ok", "00", 1)
    add("over-the-cap", "size", "1818", 1)
    add("empty", "encoding", "")
    add("cut-short", "encoding", "a200")
    add("huge-length", "encoding", "5bffffffffffffffff")
    add("huge-array", "encoding", "9bffffffffffffffff")
    add("nested-17-deep", "encoding", "81" * 17 + "00")
    add("nested-tags", "encoding", "c1" * 40 + "00")
    add("invalid-utf-8", "encoding", "61ff")
    add("surrogate", "encoding", "63eda080")
    add("reserved-info", "encoding", "1c")
    add("break-alone", "encoding", "ff")
    add("simple-value-below-32", "encoding", "f818")
    # Tags that a general decoder would turn into dates, bignums, shared references, regular expressions.
    add("tag-date", "encoding", "c11a6b49d200")
    add("tag-bignum", "encoding", "c249010000000000000000")
    add("tag-bignum-small", "encoding", "c24101")
    add("tag-decimal", "encoding", "c48221196ab3")
    add("tag-shared-cycle", "encoding", "d81c81d81d00")
    add("tag-string-reference", "encoding", "d9010082616ad81900")
    add("tag-regular-expression", "encoding", "d8236561".removesuffix("6561") + "652861292b24")
    add("tag-set", "encoding", "d90102820102")
    add("tag-self-described", "encoding", "d9d9f700")
    add("tag-unknown", "encoding", "d9fffe00")
    add("trailing-byte", "canonical", "0000")
    add("integer-not-minimal", "canonical", "1817")
    add("length-not-minimal", "canonical", "580161")
    add("indefinite-array", "canonical", "9f00ff")
    add("indefinite-bytes", "canonical", "5f4161ff")
    add("indefinite-map", "canonical", "bf0000ff")
    add("keys-not-sorted", "canonical", "a201000000")
    add("shorter-key-first", "canonical", "a26130f619010000")
    add("shorter-key-first-in-a-tag", "canonical", "d2a26130f619010000")
    add("negative-key-first", "canonical", "a2200019010000")
    add("key-is-an-array", "canonical", "a18000")
    add("key-is-a-map", "canonical", "a1a000")
    add("key-is-tagged", "canonical", "a1d20000")
    add("key-is-an-array-in-a-tag", "canonical", "d2a18000")
    add("keys-false-and-true", "canonical", "a2f400f500")
    add("keys-are-floats", "canonical", "a2f93e0000f93f0000")
    add("key-null-after-a-number", "canonical", "a20000f600")
    add("duplicate-key", "canonical", "a200000001")
    add("duplicate-key-as-float", "canonical", "a20100f93c0001")
    add("duplicate-key-as-boolean", "canonical", "a20100f501")
    add("float-not-shortest-32", "canonical", "fa3fc00000")
    add("float-not-shortest-64", "canonical", "fb3ff8000000000000")
    add("nan-with-payload", "canonical", "f97e01")
    add("tag-not-minimal", "canonical", "d81280")


def keys(out: Collector) -> None:
    def add(name: str, expect: str, data: bytes) -> None:
        out.add("spki", f"spki-{name}", expect, bytes=data)

    def der(key: Any, form: serialization.PublicFormat = serialization.PublicFormat.SubjectPublicKeyInfo) -> bytes:
        return bytes(key.public_bytes(serialization.Encoding.DER, form))

    good = m.spki("device")
    out.add("spki", "spki-p256", "ok", bytes=good, kid=sha(good)[:8])
    add("cut-short", "root-key", good[:-1])
    add("trailing-byte", "root-key", good + b"\x00")
    add("not-on-curve", "root-key", m.flipped(good, 90))
    compressed = (
        m.private("device")
        .public_key()
        .public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)
    )
    # The same key in its other encoding would have a second key id.
    add("compressed-point", "root-key", bytes([0x30, 0x39]) + good[2:24] + b"\x22\x00" + compressed)
    p384 = ec.derive_private_key(7, ec.SECP384R1()).public_key()
    add("p384", "root-key", der(p384))
    add("ed25519", "root-key", der(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()))


def root(out: Collector) -> None:
    def first(name: str, expect: str, value: Map | None = None, envelope: bytes = b"", digest: bytes = b"") -> None:
        payload = enc(value if value is not None else m.ROOT)
        envelope = envelope or m.signed(payload, ["root-1"], "dnb/v1/root")
        out.add("root-first", f"root-{name}", expect, bytes=envelope, digest=digest or sha(payload))

    first("first", "ok")
    first("2-of-2-release", "ok", m.ROOT_2OF2)
    first("other-than-pinned", "root-key", digest=bytes(32))
    first("signed-by-stranger", "signer-unknown", envelope=m.signed(enc(m.ROOT), ["stranger"], "dnb/v1/root"))
    first("signed-as-release", "signature", envelope=m.signed(enc(m.ROOT), ["root-1"], "dnb/v1/release"))
    two = edited(m.ROOT, ((6,), m.roles(root=(2, ["root-1", "ca"]))))
    first("one-of-two-signed", "threshold", two)
    double = m.reshaped(ROOTS["root-1"], ((2,), enc(two)), ((3,), [m.signature(enc(two), "root-1", "dnb/v1/root")] * 2))
    first("one-key-signed-twice", "threshold", two, envelope=double)
    first("version-of-format", "version", edited(m.ROOT, ((0,), 2)))
    first("version-zero", "range", edited(m.ROOT, ((1,), 0)))
    first("role-missing", "root-role", edited(m.ROOT, ((6, "vault"), DROP)))
    first("role-unknown", "value", edited(m.ROOT, ((6, "vault"), DROP), ((6, "admin"), {0: 1, 1: [m.kid("ca")]})))
    first("role-more", "count", edited(m.ROOT, ((6, "admin"), {0: 1, 1: [m.kid("ca")]})))
    first("role-without-keys", "count", edited(m.ROOT, ((6, "ca", 1), [])))
    first("key-unlisted", "root-key", edited(m.ROOT, ((5, m.kid("vault")), DROP)))
    swapped = edited(m.ROOT, ((5, m.kid("vault")), m.spki("stranger")))
    first("key-under-another-id", "root-key", swapped)
    first("key-not-on-curve", "root-key", edited(m.ROOT, ((5, m.kid("vault")), m.flipped(m.spki("vault"), 90))))
    first("key-wrong-length", "range", edited(m.ROOT, ((5, m.kid("vault")), m.spki("vault")[:-1])))
    first("kids-descend", "order", edited(m.ROOT, ((6, "ops", 1), sorted((m.kid("ops-1"), m.kid("ops-2")))[::-1])))
    first("kid-twice", "order", edited(m.ROOT, ((6, "ops", 1), [m.kid("ops-1")] * 2)))
    first("threshold-out-of-reach", "threshold", edited(m.ROOT, ((6, "ca", 0), 2)))
    first("ops-threshold-of-one", "threshold", edited(m.ROOT, ((6, "ops", 0), 1)))

    def following(name: str, expect: str, value: Map, signers: list[str], current: str = "root-1") -> None:
        envelope = m.signed(enc(value), signers, "dnb/v1/root")
        out.add("root-next", f"root-{name}", expect, bytes=envelope, current=current)

    both = ["root-1", "root-2"]
    following("next", "ok", m.ROOT_2, both)
    following("next-raises-epoch", "ok", edited(m.ROOT_2, ((4,), 2)), both)
    following("next-without-old-keys", "signer-unknown", m.ROOT_2, ["root-2"])
    following("next-without-new-keys", "signer-unknown", m.ROOT_2, ["root-1"])
    following("next-skips-a-version", "root-version", edited(m.ROOT_2, ((1,), 3)), both)
    following("next-is-older", "root-version", m.ROOT, both, "root-2")
    following("next-is-the-same", "root-version", m.ROOT, ["root-1"])
    following("next-lowers-epoch", "root-epoch", edited(m.ROOT_2, ((4,), 0)), both)

    def server(name: str, expect: str, value: Map) -> None:
        out.add("server-keys", f"server-keys-{name}", expect, bytes=enc(value))

    server("three", "ok", m.SERVER_KEYS)
    server("without-vault", "field-missing", edited(m.SERVER_KEYS, ((2,), DROP)))


def directive(out: Collector) -> None:
    def raw(name: str, expect: str, envelope: bytes, **more: Any) -> None:
        out.add("directive", f"directive-{name}", expect, bytes=envelope, root="root-1", **more)

    def add(name: str, expect: str, *edits: tuple[tuple[Any, ...], Any]) -> None:
        raw(name, expect, m.signed1(enc(edited(m.DIRECTIVE, *edits)), "director", "dnb/v1/directive"))

    payload = enc(m.DIRECTIVE)
    good = m.signed1(payload, "director", "dnb/v1/directive")
    raw("good", "ok", good, digest=sha(payload))
    add("nothing-desired", "ok", ((6,), {}))
    add("with-wipe", "ok", ((6,), {}), ((8,), m.WIPE_ENVELOPE))
    raw("signed-by-release-key", "signer-unknown", m.signed1(payload, "release-1", "dnb/v1/directive"))
    raw("signed-as-ack", "signature", m.signed1(payload, "director", "dnb/v1/ack"))
    raw(
        "signed-under-the-director-s-id",
        "signature",
        m.signed1(payload, "stranger", "dnb/v1/directive", m.header("director")),
    )
    raw("seq-changed", "signature", m.reshaped(good, ((2,), enc(edited(m.DIRECTIVE, ((3,), 9))))))
    raw("signature-not-bytes", "cose-shape", m.reshaped(good, ((3,), None)))
    raw("signed-as-cose-sign", "cose-shape", m.signed(payload, ["director"], "dnb/v1/directive"))
    raw("header-key-true", "cose-header", m.reshaped(good, ((0,), bytes.fromhex("a2f5280448") + m.kid("director"))))
    raw("header-not-bytes", "cose-shape", m.reshaped(good, ((0,), {1: -9, 4: m.kid("director")})))
    raw("unprotected-header", "cose-header", m.reshaped(good, ((1,), {1: -9})))
    add("key-extra", "field-unknown", ((13,), True))
    add("device-reserved", "value", ((1,), "obj"))
    add("device-wildcard", "value", ((1,), "+"))
    add("device-slash", "value", ((1,), "a/b"))
    add("seq-zero", "range", ((3,), 0))
    add("seq-over-2-53", "range", ((3,), 2**53))
    add("expires-before-issued", "directive-time", ((5,), m.NOW))
    add("lease-erase", "value", ((6, "digits", 3, 1), "erase"))
    add("lease-of-a-second", "range", ((6, "digits", 3, 0), 1))
    add("desired-is-a-list", "type", ((6,), [m.DESIRED]))
    add("desired-name-uppercase", "value", ((6,), {"Digits": m.DESIRED}))
    add("desired-seventeen", "count", ((6,), {f"m{n:02}": m.DESIRED for n in range(17)}))
    add("index-of-no-pages", "count", ((6, "digits", 5), []))
    add("nonce-short", "range", ((9,), bytes(15)))


def decisions(out: Collector) -> None:
    fresh = {
        "device": "pi-1",
        "epoch": 1,
        "seq": 7,
        "digest": bytes(32),
        "boot_nonce": bytes(16),
        "time_floor": m.NOW,
    }

    def add(name: str, expect: str, memory: Map, uptime_s: int = 60, news: bool | None = None, **edit: Any) -> None:
        payload = enc(edited(m.DIRECTIVE, *(((int(key[1:]),), value) for key, value in edit.items())))
        more = {} if news is None else {"news": news}
        out.add(
            "directive-decide",
            f"decide-{name}",
            expect,
            bytes=payload,
            memory={**fresh, **memory},
            uptime_s=uptime_s,
            **more,
        )

    same = sha(enc(m.DIRECTIVE))
    add("newer", "ok", {}, news=True)
    add("repeated", "ok", {"seq": 8, "digest": same}, news=False)
    add("repeated-long-after-it-expired", "ok", {"seq": 8, "digest": same, "time_floor": m.LATER}, news=False)
    add("expired-but-answers-this-boot", "ok", {"boot_nonce": m.NONCE, "time_floor": m.LATER}, news=True)
    add("in-1970-by-the-wall-clock", "ok", {"time_floor": 0}, uptime_s=5, news=True)
    add("last-second", "ok", {}, uptime_s=3599, news=True)
    add("for-another-device", "device", {"device": "pi-2"})
    add("of-an-older-epoch", "epoch", {"epoch": 2})
    add("of-a-newer-epoch", "epoch", {"epoch": 0})
    add("older", "sequence", {"seq": 9})
    add("older-though-it-answers-this-boot", "sequence", {"seq": 9, "boot_nonce": m.NONCE})
    add("second-with-the-same-number", "equivocation", {"seq": 8, "digest": bytes(32)})
    add("expired", "freshness", {}, uptime_s=3600)
    add("expired-answers-another-boot", "freshness", {"boot_nonce": bytes(15) + b"\x01", "time_floor": m.LATER})
    add("expired-without-a-nonce", "freshness", {"time_floor": m.LATER}, k9=DROP)

    def check(name: str, expect: str, **changes: Any) -> None:
        fields = {"name_desired": "digits", "name_found": "digits", "counter": 7, "digest": m.RELEASE, **changes}
        out.add("check-release", f"check-release-{name}", expect, desired=enc(m.DESIRED), **fields)

    check("desired", "ok")
    check("at-the-floor", "ok", counter=5)
    check("below-the-floor", "floor", counter=4)
    check("another-digest", "release", digest=bytes(32))
    check("another-name", "release", name_found="letters")


def plain_records(out: Collector) -> None:
    def add(kind: str, name: str, expect: str, value: Any, *edits: tuple[tuple[Any, ...], Any]) -> None:
        out.add(kind, f"{kind}-{name}", expect, bytes=enc(edited(value, *edits)))

    add("settings", "some", "ok", m.SETTINGS)
    add("settings", "all-default", "ok", {0: 1})
    add("settings", "default-written", "canonical", m.SETTINGS, ((1,), 900))
    add("settings", "unknown", "field-unknown", m.SETTINGS, ((9,), 1))
    add("settings", "window-of-zero", "range", m.SETTINGS, ((3,), 0))
    add("settings", "interval-as-text", "type", m.SETTINGS, ((1,), "60"))
    # Of another type, however much its length or its number looks like the default's.
    add("settings", "interval-as-900-bytes-of-text", "type", m.SETTINGS, ((1,), "x" * 900))
    out.add("settings", "settings-over-the-cap", "size", bytes=enc({0: 1, 1: bytes(1024)}))

    add("golden", "one-sample", "ok", m.GOLDEN)
    add("golden", "data-of-another-length", "payload-length", m.GOLDEN, ((1, 0, 0, 0, 3), bytes(3)))
    add("golden", "free-dimension", "range", m.GOLDEN, ((1, 0, 0, 0, 2), [-1, 2, 2, 1]))
    add("golden", "no-samples", "count", m.GOLDEN, ((1,), []))


def device_records(out: Collector) -> None:
    def add(kind: str, name: str, expect: str, value: Any, *edits: tuple[tuple[Any, ...], Any]) -> None:
        out.add(kind, f"{kind}-{name}", expect, bytes=enc(edited(value, *edits)))

    add("reported", "downloading", "ok", m.REPORTED)
    add("reported", "fresh-device", "ok", m.REPORTED, ((2,), 0), ((4,), DROP), ((5,), {}), ((11,), DROP))
    add("reported", "phase-unknown", "value", m.REPORTED, ((5, "digits", 0), "installed"))
    add("reported", "model-name-path", "value", m.REPORTED, ((5,), {"../x": {0: "idle"}}))
    add("reported", "model-name-is-a-number", "type", m.REPORTED, ((5,), {1: {0: "idle"}}))
    add("reported", "missing-65", "count", m.REPORTED, ((4,), [bytes(32)] * 65))
    add("reported", "error-with-escape", "value", m.REPORTED, ((5, "digits", 5), "\x1b[2J"))
    add("reported", "reason-of-257-bytes", "range", m.REPORTED, ((5, "digits", 10, 0, 1, 0), "é" * 128 + "x"))
    add("reported", "temperature-of-301", "range", m.REPORTED, ((11,), 3001))
    add("reported", "boot-nonce-missing", "field-missing", m.REPORTED, ((3,), DROP))
    add("reported", "tier-unknown", "value", m.REPORTED, ((6, 6, 0), "hsm"))
    add("reported", "tier-missing", "field-missing", m.REPORTED, ((6, 6), DROP))
    add("reported", "model-store-unknown", "value", m.REPORTED, ((6, 6, 1), "tape"))
    add("reported", "on-trial", "ok", m.REPORTED, ((5, "digits", 0), "trial"))
    add("reported", "of-a-microcontroller", "ok", m.REPORTED_BY_MICRO)
    add("reported", "number-zero-written", "canonical", m.REPORTED_BY_MICRO, ((7,), 0))
    add("reported", "number-as-empty-text", "type", m.REPORTED_BY_MICRO, ((7,), ""))
    add("reported", "missing-as-zero", "type", m.REPORTED, ((4,), 0))
    add("reported", "missing-as-empty-text", "type", m.REPORTED, ((4,), ""))
    add("reported", "missing-as-empty-map", "type", m.REPORTED, ((4,), {}))

    add("event", "rolled-back", "ok", m.EVENT)
    add("event", "plain", "ok", m.EVENT, ((3,), "boot"), *(((key,), DROP) for key in (6, 7, 8, 9)))
    add("event", "device-fault", "ok", m.EVENT, ((3,), "device-fault"), ((8,), "flash"), ((6,), DROP), ((7,), DROP))
    add("event", "kind-unknown", "value", m.EVENT, ((3,), "exploded"))
    add("event", "number-zero", "range", m.EVENT, ((2,), 0))
    add("event", "text-with-line-end", "value", m.EVENT, ((9,), "one\ntwo"))
    add("event", "empty-text-written", "canonical", m.EVENT, ((9,), ""))
    add("event", "text-as-zero", "type", m.EVENT, ((9,), 0))
    add("event", "text-as-empty-list", "type", m.EVENT, ((9,), []))
    add("event", "text-as-false", "type", m.EVENT, ((9,), False))

    add("telemetry", "one-model", "ok", m.TELEMETRY)
    add("telemetry", "bucket-513", "range", m.TELEMETRY, ((1, "digits", 3), {513: 1}))
    add("telemetry", "bucket-negative", "range", m.TELEMETRY, ((1, "digits", 3), {-1: 1}))
    add("telemetry", "bucket-as-float", "type", m.TELEMETRY, ((1, "digits", 3), {1.0: 1}))
    add("telemetry", "bucket-true", "type", m.TELEMETRY, ((1, "digits", 3), {True: 1}))


def enrol_replies(out: Collector) -> None:
    def add(kind: str, name: str, expect: str, value: Any, *edits: tuple[tuple[Any, ...], Any]) -> None:
        out.add(kind, f"{kind}-{name}", expect, bytes=enc(edited(value, *edits)))

    add("enrol-reply", "issued", "ok", m.REPLY)
    add("enrol-reply", "pending", "ok", {0: 1, 1: "pending", 5: 10})
    add("enrol-reply", "issued-behind-a-gateway", "ok", {0: 1, 1: "issued", 6: ROOTS["root-1"]})
    add("enrol-reply", "refused", "ok", {0: 1, 1: "refused", 7: "this claim token has expired: ask for a new one"})
    add("enrol-reply", "issued-with-nothing", "reply-status", {0: 1, 1: "issued"})
    add("enrol-reply", "issued-without-a-broker", "reply-status", m.REPLY, ((3,), DROP))
    add("enrol-reply", "issued-both-ways", "reply-status", m.REPLY, ((6,), ROOTS["root-1"]))
    add("enrol-reply", "pending-with-a-reason", "reply-status", {0: 1, 1: "pending", 5: 10, 7: "wait"})
    add("enrol-reply", "pending-for-ever", "reply-status", {0: 1, 1: "pending"})
    add("enrol-reply", "refused-without-a-reason", "reply-status", {0: 1, 1: "refused"})
    add("enrol-reply", "refused-with-a-root", "reply-status", {0: 1, 1: "refused", 6: ROOTS["root-1"], 7: "no"})
    add("enrol-reply", "root-empty", "range", {0: 1, 1: "issued", 6: b""})
    add("enrol-reply", "status-unknown", "value", m.REPLY, ((1,), "denied"))
    add("enrol-reply", "port-65536", "range", m.REPLY, ((4,), 65536))
    add("trust", "root-and-ca", "ok", {0: 1, 1: ROOTS["root-1"], 2: m.fill("ca certificate", 64)})
    add("trust", "without-ca", "field-missing", {0: 1, 1: ROOTS["root-1"]})


def signed_records(out: Collector) -> None:
    def ack(name: str, expect: str, envelope: bytes) -> None:
        out.add("ack", f"ack-{name}", expect, bytes=envelope, root="root-1")

    ack("good", "ok", m.signed1(enc(m.ACK), "director", "dnb/v1/ack"))
    ack("signed-as-directive", "signature", m.signed1(enc(m.ACK), "director", "dnb/v1/directive"))
    ack("signed-by-device", "signer-unknown", m.signed1(enc(m.ACK), "device", "dnb/v1/ack"))
    ack("over-the-cap", "size", m.signed1(bytes(512), "director", "dnb/v1/ack"))
    ack("number-missing", "field-missing", m.signed1(enc(edited(m.ACK, ((3,), DROP))), "director", "dnb/v1/ack"))

    def by_device(kind: str, name: str, expect: str, envelope: bytes, key: str = "device") -> None:
        out.add(kind, f"{kind}-{name}", expect, bytes=envelope, key=key)

    renew, receipt = enc(m.RENEW), enc(m.RECEIPT)

    by_device("renew", "good", "ok", m.signed1(renew, "device", "dnb/v1/renew"))
    by_device("renew", "signed-as-enrol", "signature", m.signed1(renew, "device", "dnb/v1/enrol"))
    by_device("renew", "signed-by-another", "signer-unknown", m.signed1(renew, "stranger", "dnb/v1/renew"))
    by_device("receipt", "good", "ok", m.signed1(receipt, "device", "dnb/v1/receipt"))
    by_device("receipt", "signed-by-another", "signer-unknown", m.signed1(receipt, "stranger", "dnb/v1/receipt"))
    by_device(
        "receipt",
        "under-the-device-s-id",
        "signature",
        m.signed1(receipt, "stranger", "dnb/v1/receipt", m.header("device")),
    )
    destroy = m.signed1(enc(edited(m.RECEIPT, ((5,), "destroy"))), "device", "dnb/v1/receipt")
    by_device("receipt", "assurance-unknown", "value", destroy)
    canary = m.signed1(enc(edited(m.RECEIPT, ((6,), 1))), "device", "dnb/v1/receipt")
    by_device("receipt", "canary-one", "type", canary)
    in_the_clear = m.signed1(enc(edited(m.RECEIPT, ((3, 0, 2), DROP))), "device", "dnb/v1/receipt")
    by_device("receipt", "of-a-model-in-the-clear", "ok", in_the_clear)

    def wipe(name: str, expect: str, envelope: bytes) -> None:
        out.add("wipe", f"wipe-{name}", expect, bytes=envelope, root="root-1")

    def wiped(value: Map, names: list[str] | None = None, role: str = "dnb/v1/wipe") -> bytes:
        return m.signed(enc(value), names or ["ops-1", "ops-2"], role)

    wipe("two-owners", "ok", m.WIPE_ENVELOPE)
    wipe("whole-device", "ok", wiped(m.WIPE_ALL))
    wipe("one-owner", "threshold", wiped(m.WIPE, ["ops-1"]))
    one = m.signature(enc(m.WIPE), "ops-1", "dnb/v1/wipe")
    wipe("one-owner-twice", "threshold", m.reshaped(m.WIPE_ENVELOPE, ((3,), [one, one])))
    wipe("owner-and-director", "threshold", wiped(m.WIPE, ["ops-1", "director"]))
    wipe("director-alone", "signer-unknown", wiped(m.WIPE, ["director"]))
    wipe("signed-as-release", "signature", wiped(m.WIPE, role="dnb/v1/release"))
    wipe("models-descend", "order", wiped(edited(m.WIPE, ((3,), ["letters", "digits"]))))
    wipe("model-twice", "order", wiped(edited(m.WIPE, ((3,), ["digits", "digits"]))))
    wipe("empty-list-written", "canonical", wiped(edited(m.WIPE, ((3,), []))))

    def decide(name: str, expect: str, order: Map, desired: list[str], device: str = "pi-1") -> None:
        out.add("wipe-decide", f"wipe-decide-{name}", expect, bytes=enc(order), device=device, desired=desired)

    decide("other-model-desired", "ok", m.WIPE, ["letters"])
    decide("whole-device", "ok", m.WIPE_ALL, [])
    decide("another-device", "device", m.WIPE, [], "pi-2")
    decide("desires-what-it-wipes", "wipe-desired", m.WIPE, ["digits", "letters"])
    decide("whole-device-desires-a-model", "wipe-desired", m.WIPE_ALL, ["letters"])


def enrol_requests(out: Collector) -> None:
    enrol = enc(m.ENROL)

    def enrolment(name: str, expect: str, envelope: bytes) -> None:
        out.add("enrol-request", f"enrol-request-{name}", expect, bytes=envelope)

    enrolment("good", "ok", m.signed1(enrol, "device", "dnb/v1/enrol"))
    micro = enc(edited(m.ENROL, ((6,), m.MICRO)))
    enrolment("of-a-microcontroller", "ok", m.signed1(micro, "device", "dnb/v1/enrol"))
    enrolment("signed-by-another", "signer-unknown", m.signed1(enrol, "stranger", "dnb/v1/enrol"))
    enrolment("signed-as-renew", "signature", m.signed1(enrol, "device", "dnb/v1/renew"))
    enrolment("under-its-key-s-id", "signature", m.signed1(enrol, "stranger", "dnb/v1/enrol", m.header("device")))
    enrolment("device-slash", "value", m.signed1(enc(edited(m.ENROL, ((1,), "a/b"))), "device", "dnb/v1/enrol"))
    off_the_curve = m.flipped(m.spki("device"), 90)
    header = enc({1: -9, 4: sha(off_the_curve)[:8]})
    wrong = m.signed1(enc(edited(m.ENROL, ((4,), off_the_curve))), "device", "dnb/v1/enrol", header)
    enrolment("key-not-on-curve", "root-key", wrong)
    enrolment("key-short", "range", m.signed1(enc(edited(m.ENROL, ((4,), bytes(90)))), "device", "dnb/v1/enrol"))


def signed_reports(out: Collector) -> None:
    def by_device(kind: str, name: str, expect: str, envelope: bytes) -> None:
        out.add(kind, f"{kind}-{name}", expect, bytes=envelope, key="device")

    reported, event = enc(m.REPORTED_BY_MICRO), enc(m.EVENT)
    by_device("signed-reported", "good", "ok", m.signed1(reported, "device", "dnb/v1/reported"))
    by_device("signed-reported", "signed-as-event", "signature", m.signed1(reported, "device", "dnb/v1/event"))
    by_device("signed-reported", "by-another", "signer-unknown", m.signed1(reported, "stranger", "dnb/v1/reported"))
    edges = m.signed1(reported, "device", "dnb/v1/reported")
    later = enc(edited(m.REPORTED_BY_MICRO, ((7,), 42)))
    by_device("signed-reported", "number-raised-by-a-gateway", "signature", m.reshaped(edges, ((2,), later)))
    # Without a number nobody could tell an old report from a new one.
    unnumbered = m.signed1(enc(edited(m.REPORTED_BY_MICRO, ((7,), DROP))), "device", "dnb/v1/reported")
    by_device("signed-reported", "without-a-number", "field-missing", unnumbered)
    by_device("signed-reported", "unsigned", "cose-shape", reported)
    over = m.signed1(bytes(32_768), "device", "dnb/v1/reported")
    by_device("signed-reported", "over-the-cap", "size", over)
    by_device("signed-event", "good", "ok", m.signed1(event, "device", "dnb/v1/event"))
    by_device("signed-event", "signed-as-reported", "signature", m.signed1(event, "device", "dnb/v1/reported"))
    by_device("signed-event", "by-another", "signer-unknown", m.signed1(event, "stranger", "dnb/v1/event"))
    by_device("signed-event", "unsigned", "cose-shape", event)
    by_device("signed-event", "over-the-cap", "size", m.signed1(bytes(8192), "device", "dnb/v1/event"))
    exploded = m.signed1(enc(edited(m.EVENT, ((3,), "exploded"))), "device", "dnb/v1/event")
    by_device("signed-event", "kind-unknown", "value", exploded)


def texts(out: Collector) -> None:
    text = m.token_text(m.TOKEN)

    def token(name: str, expect: str, value: str) -> None:
        out.add("claim-token", f"claim-token-{name}", expect, text=value)

    token("good", "ok", text)
    token("spaces-around", "ok", f"  {text}\n")
    token("every-blank-around", "ok", f" \t\n\v\f\r{text}\r\f\v\n\t ")
    token("blank-between", "claim-token", f"{text[:20]} {text[20:]}")
    token("no-break-space-behind", "claim-token", f"{text}\u00a0")
    token("record-separator-before", "claim-token", f"\x1e{text}")
    token("prefix-missing", "claim-token", text.removeprefix("dunlin1-"))
    token("prefix-other", "claim-token", text.replace("dunlin1-", "dunlin2-"))
    token("characters-lost", "claim-token", text[:-6])
    token("end-lost", "encoding", text[:-8])
    token("not-base64", "claim-token", text[:20] + "!" + text[21:])
    token("length-impossible", "claim-token", text + "A" * (1 + (-len(text.removeprefix("dunlin1-")) % 4)))
    token("not-ascii", "claim-token", text[:20] + "é" + text[21:])
    padded = m.token_text(edited(m.TOKEN, ((1,), "https://fleet.example:84")))
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for tail in range(3):
        longer = m.token_text(edited(m.TOKEN, ((1,), "https://fleet.example/" + "x" * tail)))
        if len(longer.removeprefix("dunlin1-")) % 4:
            padded = longer
    token("unused-bits-set", "claim-token", padded[:-1] + alphabet[alphabet.index(padded[-1]) + 1])
    token("padding-written", "claim-token", padded + "=" * (-len(padded.removeprefix("dunlin1-")) % 4))
    token("too-long", "size", "dunlin1-" + "A" * 505)
    token("http", "value", m.token_text(edited(m.TOKEN, ((1,), "http://fleet.example"))))
    token("url-with-space", "value", m.token_text(edited(m.TOKEN, ((1,), "https://fleet.example /"))))
    token("secret-short", "range", m.token_text(edited(m.TOKEN, ((4,), bytes(15)))))

    def topic(name: str, expect: str, value: str, **more: Any) -> None:
        out.add("topic", f"topic-{name}", expect, topic=value, **more)

    topic("device", "ok", "dunlin/v1/pi-1/up/reported", device="pi-1", gateway=None, message="reported")
    topic("child", "ok", "dunlin/v1/gw-1/c/mcu-7/up/events", device="mcu-7", gateway="gw-1", message="events")
    topic("child-enrols", "ok", "dunlin/v1/gw-1/c/mcu-7/up/enrol", device="mcu-7", gateway="gw-1", message="enrol")
    topic("direct-device-enrols", "topic", "dunlin/v1/pi-1/up/enrol")
    topic("child-sends-telemetry", "topic", "dunlin/v1/gw-1/c/mcu-7/up/telemetry")
    topic("other-version", "topic", "dunlin/v2/pi-1/up/reported")
    topic("without-prefix", "topic", "pi-1/up/reported")
    topic("up-kind-sent-down", "topic", "dunlin/v1/pi-1/dn/reported")
    topic("down", "topic", "dunlin/v1/pi-1/dn/desired")
    topic("kind-unknown", "topic", "dunlin/v1/pi-1/up/cmd")
    topic("level-more", "topic", "dunlin/v1/pi-1/up/reported/x")
    topic("device-reserved", "topic", "dunlin/v1/obj/up/reported")
    topic("device-empty", "topic", "dunlin/v1//up/reported")
    topic("device-uppercase", "topic", "dunlin/v1/Pi-1/up/reported")
    topic("gateway-wildcard", "topic", "dunlin/v1/+/c/mcu-7/up/events")
    topic("too-long", "topic", "dunlin/v1/" + "a" * 160 + "/up/reported")

    def down(name: str, expect: str, value: str, **more: Any) -> None:
        out.add("topic-down", f"topic-down-{name}", expect, topic=value, **more)

    down("device", "ok", "dunlin/v1/pi-1/dn/desired", device="pi-1", gateway=None, message="desired")
    down("child", "ok", "dunlin/v1/gw-1/c/mcu-7/dn/ack", device="mcu-7", gateway="gw-1", message="ack")
    down("child-enrolled", "ok", "dunlin/v1/gw-1/c/mcu-7/dn/enrol", device="mcu-7", gateway="gw-1", message="enrol")
    down("direct-device-enrolled", "topic", "dunlin/v1/pi-1/dn/enrol")
    down("up", "topic", "dunlin/v1/pi-1/up/reported")
    down("kind-unknown", "topic", "dunlin/v1/gw-1/c/mcu-7/dn/cmd")
    down("child-wildcard", "topic", "dunlin/v1/gw-1/c/+/dn/desired")


def fit(out: Collector) -> None:
    def add(name: str, needs: Map, device: Map, *reasons: str) -> None:
        verdict = "does-not-fit" if reasons else "fits"
        out.add(
            "fit", f"fit-{name}", "ok", needs=enc(needs), device=enc(device), verdict=verdict, reasons=list(reasons)
        )

    bare: Map = {0: "litert", 1: [2, 0, 0], 2: []}
    add("pi4", m.FIT, m.DEVICE)
    add("no-demands", bare, m.DEVICE)
    add("hardware-class", edited(m.FIT, ((6,), ["jetson"])), m.DEVICE, "hardware class pi4 is not one of jetson")
    add("runtime", edited(bare, ((0,), "tensorrt")), m.DEVICE, "runtime tensorrt is not installed")
    add("runtime-version", edited(bare, ((1,), [2, 10, 0])), m.DEVICE, "runtime litert 2.3.0 is older than 2.10.0")
    onnx: Map = {0: "onnxruntime", 1: [1, 0, 0], 2: [{0: "Conv", 1: 11}]}
    add("ops-offered", onnx, m.DEVICE)
    newer = edited(onnx, ((2,), [{0: "Conv", 1: 12}, {0: "Relu", 1: 1}]))
    add("ops-missing", newer, m.DEVICE, "operators missing: Conv version 12, Relu version 1")
    add(
        "memory",
        edited(bare, ((5,), 5_000_000_000)),
        m.DEVICE,
        "memory: 5000000000 bytes are needed, the device has 4000000000",
    )
    add("flash-unlimited", edited(bare, ((4,), 5_000_000_000)), m.DEVICE)
    guarded = edited(bare, ((7,), ["locked", "no-swap"]))
    add("stores", guarded, m.DEVICE)
    add(
        "stores-refuse-plain-flash",
        {**m.MICRO_FIT, 7: ["locked", "no-swap"]},
        m.MICRO,
        "the release accepts no model in plain-flash, only in locked, no-swap",
    )
    add(
        "stores-refuse-swap",
        guarded,
        edited(m.DEVICE, ((6, 1), "swappable")),
        "the release accepts no model in swappable, only in locked, no-swap",
    )
    add("stores-accept-plain-flash", {**m.MICRO_FIT, 7: ["plain-flash"]}, m.MICRO)
    micro: Map = {0: "tflm", 1: [0, 0, 0], 2: [{0: "CONV_2D", 1: 3}], 3: 65_536, 4: 1_048_576}
    add("micro", micro, m.MICRO)
    add(
        "micro-all-too-large",
        edited(micro, ((3,), 65_537), ((4,), 1_048_577), ((5,), 4_194_305)),
        m.MICRO,
        "memory: 4194305 bytes are needed, the device has 4194304",
        "flash: 1048577 bytes are needed, the device has 1048576",
        "arena: 65537 bytes are needed, the device has 65536",
    )


KINDS = (
    cbor,
    keys,
    root,
    directive,
    decisions,
    plain_records,
    device_records,
    enrol_replies,
    signed_records,
    enrol_requests,
    signed_reports,
    texts,
    fit,
)
