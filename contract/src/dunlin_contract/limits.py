"""Every limit of the contract, with its unit in its name. Parsers refuse what exceeds them before doing any work."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds; SPEC.md shows the same table, and a test compares the two."""

    # envelopes and messages, bytes as they lie on the wire
    manifest_bytes: int = 8192
    manifest_tflm_bytes: int = 4096
    root_bytes: int = 16384
    directive_bytes: int = 65536
    grant_bytes: int = 512
    settings_bytes: int = 1024
    reported_bytes: int = 32768
    event_bytes: int = 8192
    ack_bytes: int = 512
    telemetry_bytes: int = 65536
    result_bytes: int = 262_144
    baseline_bytes: int = 65536
    capture_bytes: int = 1024
    enrolment_bytes: int = 16384
    wipe_bytes: int = 4096
    receipt_bytes: int = 4096
    claim_token_chars: int = 512
    labels_bytes: int = 262_144
    golden_bytes: int = 67_108_864
    # counts
    variants: int = 8
    payloads: int = 32
    variant_payloads: int = 16
    ops: int = 256
    hardware_classes: int = 32
    tensors: int = 32
    dimensions: int = 8
    models: int = 16
    trials: int = 16
    root_keys: int = 64
    role_keys: int = 16
    signatures: int = 16
    runtimes: int = 8
    missing_objects: int = 64
    rejected_reasons: int = 16
    sketch_buckets: int = 512
    features: int = 16
    bins: int = 32
    index_pages: int = 64
    golden_samples: int = 256
    nesting: int = 16
    # sizes of things carried
    chunk_log2_min: int = 12
    chunk_log2_max: int = 20
    chunk_log2_linux: int = 17
    chunk_log2_mcu: int = 12
    page_leaves: int = 4096
    payload_bytes: int = 17_179_869_184
    object_bytes: int = 1_048_592
    broker_payload_bytes: int = 67_108_864
    # text, UTF-8 bytes
    name_bytes: int = 32
    device_bytes: int = 36
    version_bytes: int = 64
    text_bytes: int = 256
    url_bytes: int = 256
    # numbers
    counter: int = 4_294_967_295
    sequence: int = 9_007_199_254_740_991
    time_s: int = 253_402_300_799


@dataclass(frozen=True, slots=True)
class MicrocontrollerLimits:
    """Where a microcontroller may stop earlier than :class:`Limits` says; what goes to one must keep to these."""

    manifest_bytes: int = 4096
    root_bytes: int = 4096
    directive_bytes: int = 4096
    ack_bytes: int = 512
    wipe_bytes: int = 1024
    settings_bytes: int = 1024
    enrolment_bytes: int = 4352
    models: int = 1
    variants: int = 8
    variant_payloads: int = 4
    ops: int = 64
    tensors: int = 4
    index_pages: int = 4
    trials: int = 0


LIMITS = Limits()
MCU_LIMITS = MicrocontrollerLimits()
