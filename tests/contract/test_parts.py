"""The smaller parts: keys, names, topics, sketches, verdicts, commands, and a bundle written and read."""

import argparse
import dataclasses
import io
import math
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from contract.vectors import material as m
from dunlin_contract import bundle, console, cose, envelopes, fit, ids, keys, link, topics
from dunlin_contract.cose import Role
from dunlin_contract.enrolment import ClaimToken
from dunlin_contract.errors import ContractError
from dunlin_contract.limits import LIMITS
from dunlin_contract.reported import Rejected
from dunlin_contract.sketch import GAMMA, Sketch, bucket
from tests.contract import vectors
from tests.contract.strategies import values

# ---- keys and signatures


def test_pem_round_trip() -> None:
    key = keys.generate()
    for passphrase in (None, b"correct horse"):
        again = keys.load_pem(keys.dump_pem(key, passphrase), passphrase)
        assert keys.spki(again) == keys.spki(key)


@pytest.mark.parametrize(
    ("made_with", "given_", "says"),
    [
        (b"one", None, "give its passphrase"),
        (b"one", b"two", "passphrase is wrong"),
        (None, b"two", "give no passphrase"),
    ],
)
def test_pem_says_what_is_wrong(made_with: bytes | None, given_: bytes | None, says: str) -> None:
    pem = keys.dump_pem(keys.generate(), made_with)
    with pytest.raises(ValueError, match=says):
        keys.load_pem(pem, given_)


def test_pem_of_other_keys() -> None:
    with pytest.raises(ValueError, match="P-256"):
        keys.load_pem(keys.dump_pem(ec.generate_private_key(ec.SECP384R1()), None))
    with pytest.raises(ValueError, match="not a PEM private key"):
        keys.load_pem(b"nothing of the kind")


def test_signatures_made_apart_are_assembled_in_one_order() -> None:
    one, two = keys.generate(), keys.generate()
    parts = [cose.signature(b"payload", key, Role.WIPE) for key in (one, two)]
    envelope = cose.assemble(b"payload", parts)
    assert envelope == cose.assemble(b"payload", parts[::-1])
    signers = {keys.kid(keys.spki(key)): keys.spki(key) for key in (one, two)}
    assert cose.verify(envelope, Role.WIPE, signers, 2, LIMITS.wipe_bytes) == b"payload"
    assert cose.peek(envelope, LIMITS.wipe_bytes) == b"payload"
    assert [cose.signer_of(part) for part in parts] == list(signers)


def test_two_ids_of_one_key_count_once() -> None:
    """A root cannot list one key twice; should a caller's list do so all the same, the threshold still counts keys."""
    key, other = keys.generate(), keys.generate()
    envelope = cose.sign(b"payload", [key, other], Role.WIPE)
    same = keys.spki(key)
    with pytest.raises(ContractError) as refused:
        cose.verify(envelope, Role.WIPE, {keys.kid(same): same, b"another!": same}, 2, LIMITS.wipe_bytes)
    assert refused.value.rule == "threshold"


def test_a_wipe_takes_two_whatever_the_root_says() -> None:
    root = vectors.root_named("root-1")
    one_of_two = dataclasses.replace(root.roles["ops"], threshold=1)
    careless = dataclasses.replace(root, roles={**root.roles, "ops": one_of_two})
    with pytest.raises(ContractError) as refused:
        envelopes.open_wipe(m.signed(m.enc(m.WIPE), ["ops-1"], "dnb/v1/wipe"), careless)
    assert refused.value.rule == "threshold"


# ---- names and topics


def test_semantic_version_precedence() -> None:
    """The order that semver.org, section 11, gives as its example."""
    ordered = [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "1.0.1",
    ]
    assert all(map(ids.is_version, ordered))
    backwards = ordered[::-1]
    assert sorted(backwards, key=ids.version_key) == ordered


@given(values.version, values.version)
def test_versions_that_sort_alike_are_alike(one: str, other: str) -> None:
    assert (ids.version_key(one) == ids.version_key(other)) == (one == other)


def test_topics_of_a_device_and_of_a_child() -> None:
    device, child = topics.Address("pi-1"), topics.Address("mcu-7", "gw-1")
    assert device.up("status") == "dunlin/v1/pi-1/up/status"
    assert device.down("desired") == "dunlin/v1/pi-1/dn/desired"
    assert child.down("ack") == "dunlin/v1/gw-1/c/mcu-7/dn/ack"
    assert topics.parse_up(child.up("events")) == (child, "events")
    assert topics.parse_down(child.down("enrol")) == (child, "enrol")
    assert topics.child_filter("gw-1") == "dunlin/v1/gw-1/c/+/dn/+"
    assert topics.obj(bytes(32)) == "dunlin/v1/obj/" + "00" * 32
    assert topics.parse_object(topics.obj(b"\xab" * 32)) == b"\xab" * 32
    for other in ("dunlin/v1/obj/" + "AB" * 32, "dunlin/v1/obj/ab", "dunlin/v1/obj/" + "00" * 32 + "\n"):
        assert topics.parse_object(other) is None


def test_no_device_can_take_the_server_s_name() -> None:
    assert not ids.is_device(topics.SERVER_CLIENT)
    assert not ids.is_device("obj")


def test_an_offered_claim_is_not_shown() -> None:
    assert "secret" not in repr(link.Claim("mcu-7", "secret"))


def test_a_refused_claim_token_is_not_repeated() -> None:
    text = m.token_text(m.TOKEN)
    for wrong in (text[:-6], text + "!", "x" + text, text.replace("d", "e", 1)):
        with pytest.raises(ContractError) as refused:
            ClaimToken.from_text(wrong)
        assert wrong[12:24] not in str(refused.value)


# ---- sketches


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=200), st.floats(0, 1))
def test_quantiles_are_within_five_percent(values: list[int], q: float) -> None:
    sketch = Sketch()
    for value in values:
        sketch.add(value)
    exact = sorted(values)[int(q * (len(values) - 1))]
    assert abs(sketch.quantile(q) - exact) <= (GAMMA - 1) / (GAMMA + 1) * exact * (1 + 1e-9)


@given(st.lists(st.integers(0, 10**9)), st.lists(st.integers(0, 10**9)))
def test_merging_is_counting_both(some: list[int], others: list[int]) -> None:
    one, two, both = Sketch(), Sketch(), Sketch()
    for value in some:
        one.add(value)
        both.add(value)
    for value in others:
        two.add(value)
        both.add(value)
    one.merge(two)
    assert one.counts == both.counts
    assert one.count == len(some) + len(others)


def test_buckets() -> None:
    assert [bucket(value) for value in (0, 1, 1.05, 1.1, 1.11, 1000)] == [0, 0, 1, 1, 2, 73]
    assert bucket(2**53) <= LIMITS.sketch_buckets
    assert Sketch().quantile(0.5) == 0.0
    assert math.isclose(Sketch({73: 1}).quantile(0.5), 1000, rel_tol=0.05)


# ---- fit


def test_reasons_can_be_reported() -> None:
    """However long a device's words are, the reasons built of them are within the bounds of a report."""
    words = tuple("é" * 31 + chr(ord("a") + n) for n in range(20))
    needs = fit.Fit(
        runtime="litert",
        min_version=(1, 0, 0),
        ops=tuple(fit.Op(opcode=word, version=1) for word in words),
        hardware_classes=words,
    )
    some = (fit.Op(opcode="other", version=1),)
    device = fit.DeviceDescription(
        hardware_class="pi",
        arch="arm",
        memory_bytes=1,
        runtimes=(fit.RuntimeInfo(name="litert", version=(1, 0, 0), ops=some),),
        tier=fit.Tier(keystore="file", model_store="no-swap"),
    )
    reasons = fit.fit(needs, device)
    assert len(reasons) == 2
    rejected = Rejected(kind="v", reasons=tuple(reasons))
    assert Rejected.from_cbor(rejected.to_cbor()) == rejected


# ---- the file


def test_bundle_is_written_as_it_is_read(tmp_path: Path) -> None:
    file = io.BytesIO()
    chunks = [chunk for part in m.CONTENT.chunks for chunk in part]
    bundle.write(file, m.MANIFEST_ENVELOPE, m.CONTENT.leaves, chunks, sum(map(len, chunks)))
    assert file.getvalue() == m.bundle()
    path = tmp_path / "digits.dnb"
    path.write_bytes(file.getvalue())
    with bundle.BundleFile.open(path, vectors.root_named("root-1")) as opened:
        assert opened.envelope == m.MANIFEST_ENVELOPE
        assert opened.release.digest == m.RELEASE
        assert [list(opened.chunks(payload)) for payload in range(3)] == m.CONTENT.chunks
        whole = path.read_bytes()
        assert [whole[at : at + length] for at, length in opened.places()] == chunks


def test_a_bundle_changed_after_it_was_verified_is_noticed(tmp_path: Path) -> None:
    """Time of check, time of use: a chunk that is handed out is the very one whose hash was checked."""
    path = tmp_path / "digits.dnb"
    path.write_bytes(m.bundle())
    with bundle.BundleFile.open(path, vectors.root_named("root-1")) as opened:
        at, _ = next(iter(opened.places()))
        with path.open("r+b") as file:
            file.seek(at + 5)
            file.write(b"\x00")
        with pytest.raises(ContractError) as refused:
            list(opened.chunks(0))
        assert refused.value.rule == "leaf"
        with path.open("r+b") as file:
            file.truncate(at + 10)
        with pytest.raises(ContractError) as refused:
            list(opened.chunks(2))
        assert refused.value.rule == "leaf"


def test_a_missing_bundle_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        bundle.BundleFile.open(tmp_path / "none.dnb", vectors.root_named("root-1"))


# ---- commands


def _run(error: Exception | None, *argv: str) -> int:
    parser = argparse.ArgumentParser(prog="tool")
    commands = parser.add_subparsers(required=True)

    def call(_arguments: argparse.Namespace) -> None:
        if error is not None:
            raise error

    commands.add_parser("go").set_defaults(call=call)
    return console.run(parser, argv or ["go"], expected=(ContractError,))


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (None, 0, ""),
        (console.CommandError("port 80 is in use:\n  choose another"), 1, "tool: port 80 is in use: choose another\n"),
        (console.UsageError("unknown key"), 2, "tool: unknown key\n"),
        (ContractError("leaf", "a chunk is damaged"), 1, "tool: a chunk is damaged [leaf]\n"),
        (FileNotFoundError(2, "No such file or directory", "a.dnb"), 1, "tool: a.dnb: No such file or directory\n"),
        (RuntimeError("secret"), 1, "tool: unexpected RuntimeError: run again with --debug and report what it shows\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_commands_end_with_one_line(
    error: Exception | None, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(error) == code
    assert capsys.readouterr().err == line


def test_commands_show_tracebacks_only_when_asked() -> None:
    with pytest.raises(RuntimeError):
        _run(RuntimeError("why"), "--debug", "go")
