"""Hypothesis strategies: any record that a program may write."""

from typing import Any

from hypothesis import strategies as st

from dunlin_contract import (
    capture,
    drift,
    enrolment,
    event,
    golden,
    manifest,
    reported,
    results,
    root,
    settings,
    telemetry,
    wipe,
)
from dunlin_contract.directive import Directive
from dunlin_contract.golden import Golden
from dunlin_contract.limits import LIMITS
from dunlin_contract.schema import Record
from tests.contract.strategies.devices import (
    comparisons,
    directives,
    drift_counts,
    features,
    hardware,
    result_records,
    samples,
    sketch,
    states,
)
from tests.contract.strategies.releases import descriptions, manifests
from tests.contract.strategies.values import (
    ascending,
    der,
    device,
    digest,
    id16,
    kid,
    maybe,
    name,
    sequence,
    spki,
    table,
    text,
    tuples,
    u32,
    uint,
    unix_time,
)


@st.composite
def roots(draw: st.DrawFn) -> root.Root:
    listed = draw(st.dictionaries(kid, spki, min_size=2, max_size=8))
    roles = {}
    for role in root.ROLE_NAMES:
        kids = tuple(sorted(draw(st.sets(st.sampled_from(sorted(listed)), min_size=2))))
        roles[role] = root.RoleKeys(threshold=draw(uint(len(kids), 2 if role == "ops" else 1)), kids=kids)
    return root.Root(
        version=draw(uint(LIMITS.counter, 1)),
        issued=draw(unix_time),
        not_after=draw(unix_time),
        epoch=draw(u32),
        keys=listed,
        roles=roles,
    )


RECORDS: dict[type[Record], st.SearchStrategy[Any]] = {
    root.Root: roots(),
    root.ServerKeys: st.builds(root.ServerKeys, director=spki, vault=spki, ca=spki),
    manifest.Manifest: manifests(),
    Directive: directives(),
    settings.Settings: st.builds(
        settings.Settings,
        report_interval_s=uint(86_400, 1),
        report_jitter_s=uint(3_600),
        window=uint(32, 1),
        object_timeout_s=uint(3_600, 1),
        probation_s=uint(604_800),
        probation_requests=uint(1_000_000),
        probation_max_s=uint(2_592_000, 1),
        telemetry_interval_s=uint(86_400, 1),
    ),
    reported.Reported: st.builds(
        reported.Reported,
        epoch=u32,
        seq=sequence,
        boot_nonce=id16,
        missing=tuples(digest, 3),
        models=table(name, states),
        device=descriptions,
        number=sequence,
        uptime_s=sequence,
        time_s=unix_time,
        agent_version=text(64),
        temperature_dc=maybe(uint(3000, -1000)),
        root_version=uint(LIMITS.counter, 1),
    ),
    event.Event: st.builds(
        event.Event,
        stream=id16,
        n=uint(LIMITS.sequence, 1),
        kind=st.sampled_from(event.KINDS),
        time_s=unix_time,
        uptime_s=sequence,
        model=maybe(name),
        release=maybe(digest),
        code=text(64),
        text=text(256),
        receipt=maybe(st.binary(min_size=1, max_size=64)),
    ),
    event.Ack: st.builds(event.Ack, device=device, stream=id16, n=uint(LIMITS.sequence, 1)),
    telemetry.Telemetry: st.builds(
        telemetry.Telemetry,
        models=table(
            name,
            st.builds(
                telemetry.ModelTelemetry,
                release=digest,
                count=sequence,
                errors=sequence,
                latency_us=sketch,
                comparison=maybe(comparisons),
                drift=tuples(drift_counts, 3),
                confidence=st.just(()) | tuples(sequence, 20, 20),
            ),
        ),
        memory_bytes=uint(2**48),
        load_permille=uint(1_000_000),
        hardware=maybe(hardware),
    ),
    results.Result: result_records(),
    drift.Baseline: st.builds(drift.Baseline, features=tuples(features(), 3, 1)),
    capture.CaptureOrder: st.builds(
        capture.CaptureOrder,
        device=device,
        order_id=id16,
        model=name,
        issued=unix_time,
        not_after=unix_time,
        per_day=uint(100_000, 1),
        random_permille=uint(1000),
        margin_permille=uint(1000),
        disagreement=st.booleans(),
        classes=ascending(uint(65_535), 5),
    ),
    enrolment.ClaimToken: st.builds(
        enrolment.ClaimToken,
        url=st.from_regex(r"\Ahttps://[!-~]{1,100}\Z"),
        root_digest=digest,
        token_id=kid,
        secret=id16,
        expires=unix_time,
    ),
    enrolment.Trust: st.builds(enrolment.Trust, root=der, ca=der),
    enrolment.EnrolRequest: st.builds(
        enrolment.EnrolRequest, device=device, token_id=kid, secret=id16, spki=spki, kem=spki, description=descriptions
    ),
    enrolment.EnrolReply: st.one_of(
        st.builds(
            enrolment.EnrolReply,
            status=st.just("issued"),
            chain=tuples(der, 4, 1),
            broker_host=text(256, 1),
            broker_port=uint(65535, 1),
        ),
        st.builds(enrolment.EnrolReply, status=st.just("issued"), root=der),
        st.builds(enrolment.EnrolReply, status=st.just("pending"), poll_s=uint(3600, 1)),
        st.builds(enrolment.EnrolReply, status=st.just("refused"), reason=text(256, 1)),
    ),
    enrolment.RenewRequest: st.builds(enrolment.RenewRequest, device=device, spki=spki),
    wipe.WipeOrder: st.builds(
        wipe.WipeOrder,
        device=device,
        order_id=id16,
        models=ascending(name, 4),
        issued=unix_time,
        reason=text(256),
    ),
    wipe.Receipt: st.builds(
        wipe.Receipt,
        device=device,
        order_digest=digest,
        erased=tuples(st.builds(wipe.Erased, model=name, releases=tuples(digest, 4), storage_key=maybe(id16)), 3),
        method=text(256),
        assurance=st.sampled_from(["clear", "purge"]),
        canary_unreadable=st.booleans(),
        files=sequence,
        bytes_erased=sequence,
        time_s=unix_time,
        kem=spki,
    ),
    golden.Golden: st.builds(Golden, samples=tuples(samples, 2, 1)),
}
