"""Vectors of trials, captures, results, drift and sensors."""  # noqa: INP001 - run from the repository's root; the folder holds data, not a package

from typing import Any

from contract.vectors import material as m
from contract.vectors.material import DROP, Collector, Map, edited, enc

Edit = tuple[tuple[Any, ...], Any]


def trials(out: Collector) -> None:
    on_trial = {**m.DIRECTIVE, 11: {"digits": m.TRIAL}}

    def add(name: str, expect: str, *edits: Edit) -> None:
        envelope = m.signed1(enc(edited(on_trial, *edits)), "director", "dnb/v1/directive")
        out.add("directive", f"directive-{name}", expect, bytes=envelope, root="root-1")

    add("trial", "ok")
    add("trial-of-all-requests", "ok", ((11, "digits", 2), DROP))
    add("trial-split", "ok", ((11, "digits", 1), "split"))
    add("trial-standby", "ok", ((11, "digits", 1), "standby"), ((11, "digits", 2), DROP))
    add("trial-of-what-is-desired", "trial", ((11, "digits", 0, 0), m.RELEASE))
    add("trial-beside-nothing", "trial", ((11,), {"letters": m.TRIAL}))
    add("trial-mode-unknown", "value", ((11, "digits", 1), "canary"))
    add("trial-share-of-nothing", "range", ((11, "digits", 2), 0))
    add("trial-share-over-all", "range", ((11, "digits", 2), 1001))
    add("trial-share-of-all-written", "canonical", ((11, "digits", 2), 1000))
    add("trial-candidate-missing", "field-missing", ((11, "digits", 0), DROP))
    add("trial-field-unknown", "field-unknown", ((11, "digits", 3), 1))
    add("trial-name-path", "value", ((11,), {"../x": m.TRIAL}))
    add("trials-none-written", "canonical", ((11,), {}))
    add("trials-seventeen", "count", ((11,), {f"m{n:02}": m.TRIAL for n in range(17)}))


def captures(out: Collector) -> None:
    def carried(name: str, expect: str, value: Any) -> None:
        envelope = m.signed1(enc({**m.DIRECTIVE, 12: value}), "director", "dnb/v1/directive")
        out.add("directive", f"directive-{name}", expect, bytes=envelope, root="root-1")

    carried("capture", "ok", {"digits": m.CAPTURE_ENVELOPE})
    carried("capture-of-another-model", "ok", {"letters": m.CAPTURE_ENVELOPE})
    carried("captures-none-written", "canonical", {})
    carried("captures-a-list", "type", [m.CAPTURE_ENVELOPE])
    carried("captures-seventeen", "count", {f"m{n:02}": b"order" for n in range(17)})
    carried("capture-empty", "range", {"digits": b""})
    carried("capture-over-the-cap", "range", {"digits": bytes(1025)})
    carried("capture-as-text", "type", {"digits": "order"})

    def order(name: str, expect: str, envelope: bytes, device: str = "pi-1", model: str = "digits") -> None:
        out.add("capture", f"capture-{name}", expect, bytes=envelope, root="root-1", device=device, model=model)

    def signed(*edits: Edit, names: tuple[str, ...] = ("ops-1", "ops-2"), role: str = "dnb/v1/capture") -> bytes:
        return m.signed(enc(edited(m.CAPTURE, *edits)), list(names), role)

    order("two-owners", "ok", m.CAPTURE_ENVELOPE)
    bare: tuple[Edit, ...] = tuple(((key,), DROP) for key in (8, 9, 10))
    order("at-random-alone", "ok", signed(*bare))
    order("one-owner", "threshold", signed(names=("ops-1",)))
    one = m.signature(enc(m.CAPTURE), "ops-1", "dnb/v1/capture")
    order("one-owner-twice", "threshold", m.reshaped(m.CAPTURE_ENVELOPE, ((3,), [one, one])))
    order("director-alone", "signer-unknown", signed(names=("director",)))
    order("signed-as-wipe", "signature", signed(role="dnb/v1/wipe"))
    order("of-another-device", "device", m.CAPTURE_ENVELOPE, device="pi-2")
    order("of-another-model", "device", m.CAPTURE_ENVELOPE, model="letters")
    order("classes-descend", "order", signed(((10,), [8, 3])))
    order("class-twice", "order", signed(((10,), [3, 3])))
    order("classes-none-written", "canonical", signed(((10,), [])))
    order("classes-thirty-three", "count", signed(((10,), list(range(33)))))
    order("disagreement-one", "type", signed(((9,), 1)))
    order("none-a-day", "range", signed(((6,), 0)))
    order("random-over-all", "range", signed(((7,), 1001)))
    order("without-an-end", "field-missing", signed(((5,), DROP)))
    order("over-the-cap", "size", m.signed(bytes(1024), ["ops-1", "ops-2"], "dnb/v1/capture"))


def results(out: Collector) -> None:
    def add(name: str, expect: str, value: Map, *edits: Edit) -> None:
        out.add("result", f"result-{name}", expect, bytes=enc(edited(value, *edits)))

    add("of-a-camera", "ok", m.RESULT)
    add("without-a-source", "ok", m.RESULT, ((8,), DROP))
    add("captured", "ok", m.CAPTURED)
    add("gap", "ok", m.GAP)
    add("gap-of-one", "ok", m.GAP, ((12,), 7))
    add("gap-without-its-first", "result-kind", m.GAP, ((12,), DROP))
    add("gap-backwards", "result-kind", m.GAP, ((12,), 8))
    add("gap-of-a-model", "result-kind", m.GAP, ((6,), "digits"))
    add("gap-of-a-release", "result-kind", m.GAP, ((7,), m.RELEASE))
    add("gap-of-a-source", "result-kind", m.GAP, ((8,), "camera"))
    add("gap-with-a-reason", "result-kind", m.GAP, ((9,), "full"))
    add("gap-with-inputs", "result-kind", m.GAP, ((10,), m.CAPTURED[10]))
    add("gap-with-outputs", "result-kind", m.GAP, ((11,), m.RESULT[11]))
    add("of-no-model", "result-kind", m.RESULT, ((6,), DROP))
    add("of-no-release", "result-kind", m.RESULT, ((7,), DROP))
    add("without-outputs", "result-kind", m.RESULT, ((11,), DROP))
    add("with-a-first", "result-kind", m.RESULT, ((12,), 7))
    add("with-inputs", "result-kind", m.RESULT, ((10,), m.CAPTURED[10]))
    add("captured-without-inputs", "result-kind", m.CAPTURED, ((10,), DROP))
    add("kind-unknown", "value", m.RESULT, ((5,), "alarm"))
    add("number-zero", "range", m.RESULT, ((2,), 0))
    add("first-zero", "range", m.GAP, ((12,), 0))
    add("stream-short", "range", m.RESULT, ((1,), bytes(15)))
    add("source-with-escape", "value", m.RESULT, ((8,), "\x1b[2J"))
    add("outputs-none-written", "canonical", m.RESULT, ((11,), []))
    add("source-empty-written", "canonical", m.RESULT, ((8,), ""))
    add("data-of-another-length", "payload-length", m.RESULT, ((11, 0, 3), bytes(11)))
    out.add("result", "result-over-the-cap", "size", bytes=bytes(262_145))


def drift(out: Collector) -> None:
    def add(name: str, expect: str, *edits: Edit) -> None:
        out.add("baseline", f"baseline-{name}", expect, bytes=enc(edited(m.BASELINE, *edits)))

    add("two-features", "ok")
    add("no-features", "count", ((1,), []))
    add("features-seventeen", "count", ((1,), [m.FEATURE] * 17))
    add("edges-fall", "baseline", ((1, 0, 3), [0.5, 0.0, -0.5]))
    add("edge-twice", "baseline", ((1, 0, 3), [-0.5, 0.0, 0.0]))
    add("edge-zero-twice", "baseline", ((1, 0, 3), [-0.0, 0.0, 0.5]))
    add("share-missing", "baseline", ((1, 0, 4), [30_000, 30_000, 5535]))
    add("shares-not-whole", "baseline", ((1, 0, 4), [6000, 20_000, 30_000, 9534]))
    add("shares-of-nothing", "baseline", ((1, 0, 4), [0, 0, 0, 0]))
    add("share-over-all", "range", ((1, 0, 4, 0), 65_536))
    add("edge-infinite", "range", ((1, 0, 3, 2), float("inf")))
    add("edge-nan", "range", ((1, 0, 3, 1), float("nan")))
    add("edge-integer", "type", ((1, 0, 3, 1), 0))
    add("edges-none", "count", ((1, 0, 3), []))
    add("bins-thirty-three", "count", ((1, 0, 4), [0] * 32 + [65_535]))
    add("side-unknown", "value", ((1, 0, 0), "hidden"))
    add("number-unknown", "value", ((1, 0, 2), "median"))
    add("tensor-empty", "range", ((1, 0, 1), ""))
    add("of-version-2", "version", ((0,), 2))
    out.add("baseline", "baseline-over-the-cap", "size", bytes=bytes(65_537))


def telemetry(out: Collector) -> None:
    def add(name: str, expect: str, *edits: Edit) -> None:
        out.add("telemetry", f"telemetry-{name}", expect, bytes=enc(edited(m.TRIED, *edits)))

    model = (1, "digits")
    add("trial-drift-and-sensors", "ok")
    add("no-trial", "ok", ((*model, 4), DROP), ((*model, 5), DROP), ((*model, 6), DROP), ((4,), {}))
    add("below-zero", "ok", ((4, 0), -400))
    add("trial-of-a-standby", "value", ((*model, 4, 1), "standby"))
    add("trial-without-pairs", "field-missing", ((*model, 4, 2), DROP))
    add("trial-bucket-513", "range", ((*model, 4, 7), {513: 1}))
    add("drift-bins-differ", "baseline", ((*model, 5, 0, 1), [1, 20, 79]))
    add("drift-one-bin", "count", ((*model, 5, 0, 1), [1]), ((*model, 5, 0, 2), [65_535]))
    add("drift-none-written", "canonical", ((*model, 5), []))
    add("drift-feature-without-a-name", "range", ((*model, 5, 0, 0), ""))
    add("drift-count-negative", "range", ((*model, 5, 0, 1, 0), -1))
    add("confidence-of-nineteen", "count", ((*model, 6), [1] * 19))
    add("hotter-than-300", "range", ((4, 0), 3001))
    add("throttled-zero-written", "canonical", ((4, 1), 0))
    add("power-mode-empty-written", "canonical", ((4, 4), ""))
    add("policy-unknown", "value", ((4, 5), "off"))
    add("sensor-unknown", "field-unknown", ((4, 6), 1))


def manifest(out: Collector) -> None:
    baseline = enc(m.BASELINE)
    payloads = m.Content("drift", (("baseline", "cbor", 0, baseline, baseline),)).payloads
    listed = {**m.MANIFEST, 6: [{**m.VARIANT, 3: [0, 1, 2, 3]}], 7: [*m.CONTENT.payloads, *payloads]}

    def add(name: str, expect: str, *edits: Edit) -> None:
        envelope = m.signed(enc(edited(listed, *edits)), ["release-1"], "dnb/v1/release")
        out.add("manifest", f"manifest-{name}", expect, bytes=envelope, root="root-1")

    add("baseline", "ok")
    add("baseline-at-the-cap", "ok", ((7, 3, 3), 1), ((7, 3, 5), 65_536))
    add("baseline-over-the-cap", "size", ((7, 3, 3), 1), ((7, 3, 5), 65_537))
    add("baseline-as-text", "payload-role", ((7, 3, 2), "text"))
    second = {**payloads[0], 0: m.fill("second baseline", 16)}
    add("baseline-twice", "payload-role", ((6, 0, 3), [0, 1, 2, 3, 4]), ((7,), [*listed[7], second]))


KINDS = (trials, captures, results, drift, telemetry, manifest)
