"""The few kinds of names: devices, models, versions. One place says what each may look like."""

import re

DEVICE_PATTERN = r"[a-z0-9-]{1,36}"
MODEL_PATTERN = r"[a-z0-9][a-z0-9-]{0,31}"
_NUMBER = "(0|[1-9][0-9]{0,8})"
_FIELD = "(0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
VERSION_PATTERN = rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(-{_FIELD}(\.{_FIELD})*)?"
"""Semantic Versioning 2.0.0 without build metadata: two releases that differ only there would be equal."""
VERSION_CHARS = 64

RESERVED_DEVICES = frozenset({"obj"})
"""Would stand where ``dunlin/v1/obj/`` stands."""

_DEVICE = re.compile(DEVICE_PATTERN)
_MODEL = re.compile(MODEL_PATTERN)
_VERSION = re.compile(VERSION_PATTERN)


def is_device(text: str) -> bool:
    """Whether ``text`` may name a device: also its certificate's CN, its MQTT client id and its topic."""
    return _DEVICE.fullmatch(text) is not None and text not in RESERVED_DEVICES


def is_model(text: str) -> bool:
    """Whether ``text`` may name a model."""
    return _MODEL.fullmatch(text) is not None


def is_version(text: str) -> bool:
    """Whether ``text`` is a semantic version."""
    return len(text) <= VERSION_CHARS and _VERSION.fullmatch(text) is not None


def version_key(text: str) -> tuple[tuple[int, int, int], int, tuple[tuple[int, int, str], ...]]:
    """Sort key by semantic-version precedence (semver.org section 11)."""
    core, _, pre = text.partition("-")
    major, minor, patch = (int(part) for part in core.split("."))
    fields = tuple((0, int(f), "") if f.isdigit() else (1, 0, f) for f in pre.split(".")) if pre else ()
    return (major, minor, patch), 0 if pre else 1, fields


KID_BYTES = 8
DIGEST_BYTES = 32
