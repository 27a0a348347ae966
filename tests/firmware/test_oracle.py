"""The core's table of the schema, held against zcbor's decoders of the same CDDL: a second opinion on every record."""

import cbor2
import pytest

from contract.vectors import material as m
from tests.firmware.mutations import RECORDS, each_change
from tests.firmware.runner import Runner

SAID = frozenset({"type", "field-missing", "field-unknown", "count", "version"})
"""Rules that zcbor knows in full. Of others it knows a part: no pattern, no bound of a floating number, no default."""


@pytest.mark.parametrize("record", RECORDS)
def test_record(runner: Runner, record: str) -> None:
    asked = 0
    for data in (m.enc(RECORDS[record]), *each_change(RECORDS[record])):
        answer = runner.ask("oracle", {"record": record, "bytes": data})
        rule, taken = answer.values["rule"][0].decode(), answer.number("zcbor") == 1
        assert taken or rule != "ok", f"zcbor refuses what the table takes: {cbor2.loads(data)}"
        assert not taken or rule not in SAID, f"zcbor takes what the table refuses ({rule}): {cbor2.loads(data)}"
        asked += 1
    assert asked > 100
