"""SPEC.md says what the codec does, where it can be compared."""

import dataclasses
import re

import cbor2

from contract.vectors import material as m
from dunlin_contract import link
from dunlin_contract.cose import Role
from dunlin_contract.fit import MODEL_STORES
from dunlin_contract.limits import LIMITS, MCU_LIMITS
from dunlin_contract.rules import Rule
from tests.contract import vectors

SPEC = (vectors.FOLDER.parent / "SPEC.md").read_text()


def _section(title: str) -> str:
    _, _, rest = SPEC.partition(f"\n## {title}\n")
    assert rest, title
    return rest.partition("\n## ")[0]


def _rows(text: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `")
    ]


def test_limits() -> None:
    table = {row[0].strip("`"): int(row[1]) for row in _rows(_section("13. Limits"))}
    assert table == dataclasses.asdict(LIMITS)


def test_limits_of_microcontrollers() -> None:
    table = {row[0].strip("`"): int(row[1]) for row in _rows(_section("16. Microcontrollers"))}
    assert table == dataclasses.asdict(MCU_LIMITS)
    both = table.keys() & dataclasses.asdict(LIMITS).keys()
    assert both == table.keys()
    assert all(table[name] <= getattr(LIMITS, name) for name in both)


def test_messages_of_the_link() -> None:
    lines = re.findall(r"^\| ([0-9a-f]{2}) ([a-z]+) \|", _section("15. Link"), re.MULTILINE)
    vectors_ok = [one for one in vectors.every() if one["kind"] == "link-message" and one["expect"] == "ok"]
    assert {(one["bytes"][:2], one["message"]) for one in vectors_ok} == set(lines)
    assert f"{link.BODY_BYTES} bytes, so that a\nframe takes at most {len(link.encode(bytes([7]) * 256))} bytes" in SPEC


def test_rules() -> None:
    rows = _rows(_section("14. Rules"))
    assert [row[0].strip("`") for row in rows] == [rule.value for rule in Rule]
    assert all(len(row[1]) > 10 for row in rows)


def test_roles() -> None:
    table = {row[0].strip("`"): row[1] for row in _rows(_section("2. Keys and signatures"))}
    assert set(table) == set(Role)
    kinds = {
        "directive": "directive",
        "manifest": "release",
        "wipe": "wipe",
        "capture": "capture",
        "receipt": "receipt",
    }
    for vector in vectors.every():
        if vector["kind"] in kinds and vector["expect"] == "ok":
            form = {18: "COSE_Sign1", 98: "COSE_Sign"}[cbor2.loads(vectors.octets(vector)).tag]
            assert table[f"dnb/v1/{kinds[vector['kind']]}"] == form


def _hex(text: str) -> bytes:
    return bytes.fromhex(text.replace(" ", ""))


def test_bytes_in_the_text() -> None:
    section = _section("2. Keys and signatures")
    (prefix,) = re.findall(r"^    (30 59 [0-9a-f ]+)$", section, re.MULTILINE)
    assert len(_hex(prefix)) == 27
    assert m.spki("device").startswith(_hex(prefix))
    assert m.header("device") == _hex("a2 01 28 04 48") + m.kid("device")
    assert "13 bytes: a2 01 28 04 48 ||" in section
    (body,) = re.findall(r"23 bytes: (a1 03 74 [0-9a-f]+)", section)
    assert _hex(body) == m.BODY
    assert len(m.BODY) == 23
    protected = cbor2.loads(m.GRANT)[0]
    (head,) = re.findall(r"17 bytes: ([0-9a-f ]+) \|\| kid", _section("6. Grant"))
    assert protected == _hex(head) + m.kid("device-kem")
    assert len(protected) == 17
    assert len(m.GRANT) == 138


def test_rules_named_in_the_text_exist() -> None:
    """A rule that is renamed must not live on in the prose."""
    prose = SPEC.replace(_section("13. Limits"), "")
    named = set(re.findall(r"`([a-z]+-[a-z]+)`", prose)) | {"size", "encoding", "canonical"}
    records = set(re.findall(r"^([a-z-]+) =", (vectors.FOLDER.parent / "dunlin.cddl").read_text(), re.MULTILINE))
    assert set(MODEL_STORES) <= set(re.findall(r"`([a-z-]+)`", _section("8. Reports, events, telemetry, results")))
    assert named <= {rule.value for rule in Rule} | records | set(MODEL_STORES), named - set(Rule) - records
