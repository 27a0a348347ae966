"""The numbers and words that C sources repeat are the contract's."""

import dataclasses
import re
from pathlib import Path

import pytest

from dunlin_contract import ids, reported, root, slot, stream
from dunlin_contract import link as line
from dunlin_contract.cose import Role
from dunlin_contract.enrolment import ClaimToken
from dunlin_contract.event import KINDS
from dunlin_contract.limits import LIMITS, MCU_LIMITS
from dunlin_contract.manifest import DTYPES, ROLES, TAG_BYTES
from dunlin_contract.rules import Rule
from dunlin_contract.settings import Settings

FIRMWARE = Path(__file__).parents[2] / "firmware_tflm"
CONTRACT = FIRMWARE / "src" / "contract"
LEAVES = LIMITS.page_leaves * LIMITS.index_pages
SPKI_PREFIX = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
"""SPEC.md, section 2."""
CDDL = (FIRMWARE.parent / "contract" / "dunlin.cddl").read_text()


def _size(rule: str) -> int:
    """Of a byte string of fixed length, as the schema has it."""
    found = re.search(rf"^{rule} = bytes \.size (\d+)\b", CDDL, re.MULTILINE)
    assert found is not None, rule
    return int(found[1])


HEADER = {
    "DUNLIN_MANIFEST_BYTES": MCU_LIMITS.manifest_bytes,
    "DUNLIN_DIRECTIVE_BYTES": MCU_LIMITS.directive_bytes,
    "DUNLIN_ROOT_BYTES": MCU_LIMITS.root_bytes,
    "DUNLIN_WIPE_BYTES": MCU_LIMITS.wipe_bytes,
    "DUNLIN_ENROL_BYTES": MCU_LIMITS.enrolment_bytes,
    "DUNLIN_SETTINGS_BYTES": MCU_LIMITS.settings_bytes,
    "DUNLIN_ACK_BYTES": MCU_LIMITS.ack_bytes,
    "DUNLIN_GRANT_BYTES": LIMITS.grant_bytes,
    "DUNLIN_PAYLOADS": MCU_LIMITS.variant_payloads,
    "DUNLIN_INDEX_PAGES": MCU_LIMITS.index_pages,
    "DUNLIN_TENSORS": MCU_LIMITS.tensors,
    "DUNLIN_DIGEST": ids.DIGEST_BYTES,
    "DUNLIN_ID": _size("id16"),
    "DUNLIN_SPKI": _size("spki"),
    "DUNLIN_SIGNATURE": _size("signature64"),
    "DUNLIN_POINT": _size("spki") - len(SPKI_PREFIX) + 1,  # the prefix ends with the point's 04
    "DUNLIN_KID": ids.KID_BYTES,
    "DUNLIN_TAG": TAG_BYTES,
    "DUNLIN_CEK": stream.CEK_BYTES,
    "DUNLIN_CHUNK": 1 << LIMITS.chunk_log2_mcu,
    "DUNLIN_PAGE_LEAVES": LIMITS.page_leaves,
    "DUNLIN_NAME": LIMITS.name_bytes,
    "DUNLIN_DEVICE": LIMITS.device_bytes,
    "DUNLIN_LINK_VERSION": line.VERSION,
    "DUNLIN_LINK_BODY": line.BODY_BYTES,
    "DUNLIN_LINK_LINE": len(line.encode(b"x" * line.BODY_BYTES)),
    "DUNLIN_LINK_DATA": line.PIECE_BYTES,
    "DUNLIN_LINK_WINDOW": line.WINDOW_BYTES,
}
SOURCES = {
    ("cbor.c", "NESTING"): LIMITS.nesting,
    ("chunk.c", "LEAVES"): LEAVES,
    ("cose.c", "SIGNATURES"): LIMITS.signatures,
    ("enrol.c", "TOKEN_CHARS"): LIMITS.claim_token_chars,
    ("enrol.c", "RECORD_BYTES"): ClaimToken.CAP_BYTES,
    ("manifest.c", "LEAVES"): LEAVES,
    ("manifest.c", "LABELS_BYTES"): LIMITS.labels_bytes,
    ("manifest.c", "GOLDEN_BYTES"): LIMITS.golden_bytes,
    ("manifest.c", "BASELINE_BYTES"): LIMITS.baseline_bytes,
    ("manifest.c", "MICRO_BYTES"): LIMITS.manifest_tflm_bytes,
    ("manifest.c", "CHUNK_LOG2"): LIMITS.chunk_log2_mcu,
    ("manifest.c", "SECTOR"): slot.SECTOR_BYTES,
    ("root.c", "ROLE_COUNT"): len(root.ROLE_NAMES),
}


def _defines(path: Path) -> dict[str, int]:
    """Plain numbers by their macro's name."""
    found = re.findall(r"^#define (\w+) \(?(\d+)u?(?: << (\d+)\))?(?=$| /\*)", path.read_text(), re.MULTILINE)
    return {name: int(number) << int(shift or 0) for name, number, shift in found}


def test_public_header() -> None:
    defines = _defines(FIRMWARE / "include" / "dunlin" / "contract.h")
    assert defines == HEADER


@pytest.mark.parametrize(("file", "name"), SOURCES)
def test_sources(file: str, name: str) -> None:
    assert _defines(CONTRACT / file).get(name) == SOURCES[file, name]


def _list(path: Path, name: str) -> tuple[str, ...]:
    """Strings of a C table."""
    table = re.search(rf"\b{name}\[\w*\] = \{{(.*?)\}};", path.read_text(), re.DOTALL)
    assert table is not None, name
    return tuple(re.findall(r'"([^"]*)"', table[1]))


def test_lists() -> None:
    """Whose order is that of the contract: places in them are compared, or sent."""
    assert _list(CONTRACT / "records.c", "event_kinds") == KINDS


def _enumerated(text: str, first: str) -> list[str]:
    names = re.search(rf"enum \w+ \{{(?:[^}}]*\*/)?\s*({first}\b[^}}]*)\}}", text)
    assert names is not None, first
    return re.findall(r"\bDL_\w+", names[1])


def test_enumerations() -> None:
    """Numbered as the contract lists them."""

    def named(prefix: str, words: tuple[str, ...]) -> list[str]:
        return [prefix + word.upper().replace("-", "_") for word in words]

    verify = (CONTRACT / "verify.h").read_text()
    assert _enumerated((CONTRACT / "records.h").read_text(), "DL_EVENT_BOOT") == named("DL_EVENT_", KINDS)
    assert _enumerated(verify, "DL_ROLE_ROOT") == named("DL_ROLE_", root.ROLE_NAMES)
    assert _enumerated(verify, "DL_MODEL") == named("DL_", ROLES)
    assert _enumerated(verify, "DL_BOOL") == named("DL_", DTYPES)
    phases = re.search(r"enum dunlin_phase \{[^\n]*\n([^}]*)\}", (FIRMWARE / "include/dunlin/dunlin.h").read_text())
    assert phases is not None
    assert re.findall(r"\bDUNLIN_\w+", phases[1]) == named("DUNLIN_", reported.PHASES)


def test_table_is_numbered_as_the_enumerations_are() -> None:
    """Places in the table's closed lists are taken for those enumerations."""
    header = (FIRMWARE / "src" / "generated" / "dunlin_schema.h").read_text()
    for prefix, words in (("ROLE_NAME", root.ROLE_NAMES), ("PAYLOAD_ROLE", ROLES), ("DTYPE", DTYPES)):
        names = ", ".join(f"DL_{prefix}_{word.upper().replace('-', '_')}" for word in words)
        assert f"enum {{{names}}};" in header


def test_settings_keep_their_defaults() -> None:
    defaults = re.search(r"normal\[\] = \{([^}]*)\}", (CONTRACT / "messages.c").read_text())
    assert defaults is not None
    fields = dataclasses.fields(Settings)[1:]
    assert [int(one) for one in defaults[1].split(",")] == [field.default for field in fields]


def test_reasons() -> None:
    """Every rule of the contract has a code, under its own name."""
    text = (FIRMWARE / "include" / "dunlin" / "error.h").read_text()
    codes = dict(re.findall(r'X\((\w+), "([^"]+)"\)', text))
    assert {rule.value for rule in Rule} <= set(codes.values())
    assert {name: text for name, text in codes.items() if name.lower().replace("_", "-") != text} == {}


def test_purposes() -> None:
    """What is said into signatures: each role's text, and no other."""
    used = {role for path in CONTRACT.glob("*.c") for role in re.findall(r'"(dnb/v1/\w+)"', path.read_text())}
    assert used == {role.value for role in Role} - {Role.RENEW.value, Role.CAPTURE.value}
