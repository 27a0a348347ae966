"""Wipe: two people's order takes the model away for good; the device's files prove it, not only its receipt."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dunlin_contract import hpke, keys
from dunlin_contract.errors import ContractError
from dunlin_contract.event import Event
from dunlin_contract.wipe import Receipt
from fleet_agent.paths import Paths
from fleet_agent.unlocker.keystore import FileKeystore
from tests.agent.fleet import Agent, Fleet, Release, commit, flipped, until
from tests.agent.test_power import dying


def found_on_disk(fleet: Fleet, release: Release) -> list[str]:
    """Files of the device that hold any ciphertext chunk, the manifest, or 64 bytes of the plaintext model."""
    needles = [release.envelope, release.plaintext[200:264], release.cek]
    needles += [chunk[:64] for chunk in release.chunks.values()]
    files = [path for path in fleet.state.rglob("*") if path.is_file()]
    return [str(path) for path in files if any(needle in path.read_bytes() for needle in needles)]


def check_wiped(fleet: Fleet, release: Release, grant: bytes, event: Event) -> Receipt:
    receipt = fleet.receipt(event)
    assert receipt.canary_unreadable
    assert receipt.assurance == "clear"
    assert [one.model for one in receipt.erased] == ["adder"]
    assert receipt.erased[0].releases == (release.digest,)
    keystore = FileKeystore(Paths(fleet.state))
    assert receipt.kem == keys.spki(keystore.kem())
    assert not list(Paths(fleet.state).keystore.glob("adder.*"))
    assert not Paths(fleet.state).model("adder").exists()
    assert found_on_disk(fleet, release) == []
    with pytest.raises(ContractError, match="grant-open"):
        hpke.open_cek(grant, keystore.kem(), release.digest, fleet.device)
    return receipt


def test_a_wipe_leaves_nothing_and_says_so(fleet: Fleet) -> None:
    one = fleet.release(1.0)
    with Agent(fleet) as agent:
        commit(fleet, agent, one, 1.0)
        grant = fleet.grant(one)
        assert hpke.open_cek(grant, FileKeystore(Paths(fleet.state)).kem(), one.digest, fleet.device) == one.cek
        assert found_on_disk(fleet, one)
        (worker,) = agent.children()["worker"]
        fleet.acking = False
        order = fleet.wipe_order()
        fleet.desire(wipe=order)
        receipt = check_wiped(fleet, one, grant, fleet.until_event("wiped"))
        assert receipt.files >= 5
        assert receipt.bytes_erased > len(one.plaintext)
        assert agent.infer() is None
        until(lambda: "worker" not in agent.children(), "the worker is gone")
        assert not Path(f"/proc/{worker}/cmdline").exists()
        # The same order again brings the receipt of that time, and wipes nothing that came since.
        fleet.acking = True
        fleet.desire(one)
        agent.until_serves(1.0)
        fleet.desire(wipe=order)

        def receipts() -> list[bytes | None]:
            return [event.receipt for event in fleet.events if event.kind == "wiped"]

        first = receipts()[0]
        until(lambda: len(receipts()) > 1 and fleet.events[-1].kind != "boot", "the receipt again")
        assert set(receipts()) == {first}


def test_a_wipe_ordered_while_the_device_is_off_is_carried_out_when_it_returns(fleet: Fleet) -> None:
    one = fleet.release(1.0)
    with Agent(fleet) as agent:
        commit(fleet, agent, one, 1.0)
    grant = fleet.grant(one)
    fleet.desire(wipe=fleet.wipe_order("adder"))
    with Agent(fleet):
        check_wiped(fleet, one, grant, fleet.until_event("wiped"))


def test_one_person_cannot_wipe_and_an_order_against_its_own_directive_is_refused(fleet: Fleet) -> None:
    one = fleet.release(1.0)
    first, second = fleet.signers.ops
    with Agent(fleet) as agent:
        commit(fleet, agent, one, 1.0)
        fleet.desire(one, wipe=fleet.wipe_order("adder", signers=[first]))
        fleet.until_event("wipe-refused", "threshold")
        fleet.desire(one, wipe=fleet.wipe_order("adder", signers=[first, first]))
        until(lambda: len([e for e in fleet.events if e.kind == "wipe-refused"]) == 2, "one key twice is one key")
        fleet.desire(one, wipe=fleet.wipe_order("adder", signers=[first, second]))
        fleet.until_event("wipe-refused", "wipe-desired")
        assert agent.infer() == 1.0


def test_another_model_stays(fleet: Fleet) -> None:
    one, other = fleet.release(1.0), fleet.release(7.0, name="other")
    with Agent(fleet) as agent:
        fleet.offer(one, other)
        fleet.desire(one, other)
        agent.until_serves(1.0)
        agent.until_serves(7.0, "other")
        fleet.desire(other, wipe=fleet.wipe_order("adder"))
        fleet.until_event("wiped")
        assert agent.infer(0.0, "other") == 7.0
        assert found_on_disk(fleet, one) == []
    with Agent(fleet) as agent:
        agent.until_serves(7.0, "other")


@pytest.fixture(name="ordered", scope="module")
def _ordered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Fleet, Release, bytes, Path]]:
    """A device that has a release, and an order that waits for it."""
    fleet = Fleet(tmp_path_factory.mktemp("wipe"))
    fleet.start()
    fleet.enrol()
    one = fleet.release(1.0)
    with Agent(fleet) as agent:
        commit(fleet, agent, one, 1.0)
    grant = fleet.grant(one)
    fleet.desire(wipe=fleet.wipe_order())
    saved = fleet.folder / "saved"
    shutil.copytree(fleet.state, saved)
    yield fleet, one, grant, saved
    fleet.stop()


@pytest.mark.parametrize("number", range(3, 13))
def test_killed_while_wiping(ordered: tuple[Fleet, Release, bytes, Path], number: int) -> None:
    """From the directive's transaction to the receipt's, whichever the power cut hits."""
    fleet, one, grant, saved = ordered
    shutil.rmtree(fleet.state)
    shutil.copytree(saved, fleet.state)
    fleet.events.clear()
    with Agent(fleet, hook=dying(number, before=number % 2 == 0)) as agent:
        until(lambda: agent.process.poll() is not None or _wiped(fleet), "killed, or done")
        agent.stop()
    with Agent(fleet) as agent:
        until(lambda: _wiped(fleet), lambda: f"wiped:\n{agent.text()[-2000:]}")
        assert agent.infer() is None
        check_wiped(fleet, one, grant, fleet.until_event("wiped"))


def _wiped(fleet: Fleet) -> bool:
    return any(event.kind == "wiped" for event in list(fleet.events))


def failing_writes(number: int) -> str:
    """Hook: the ``number``-th thing that the journal is told of a wipe does not fit on the disk."""
    return f"""
import sqlite3
import fleet_agent.journal as journal, fleet_agent.supervisor.wiping as wiping
wiping._RETRY_S = 0.2
told, fact = 0, journal.Write.fact
def full(self, name, value):
    global told
    told += name == "wipe"
    if name == "wipe" and told == {number}:
        raise sqlite3.OperationalError("database or disk is full")
    fact(self, name, value)
journal.Write.fact = full
"""


@pytest.mark.parametrize("number", range(1, 6), ids=["intent", "key", "slot-a", "slot-b", "end"])
def test_a_disk_that_is_full_for_a_while_does_not_end_a_wipe(fleet: Fleet, number: int) -> None:
    one = fleet.release(1.0)
    grant = fleet.grant(one)
    with Agent(fleet, hook=failing_writes(number)) as agent:
        commit(fleet, agent, one, 1.0)
        fleet.desire(wipe=fleet.wipe_order("adder"))
        check_wiped(fleet, one, grant, fleet.until_event("wiped"))
        assert "disk is full" in agent.text()
        commit(fleet, agent, fleet.release(2.0), 2.0)


def test_a_storage_key_that_does_not_open_is_wiped_too(fleet: Fleet) -> None:
    one = fleet.release(1.0)
    grant = fleet.grant(one)
    with Agent(fleet) as agent:
        commit(fleet, agent, one, 1.0)
        path = Paths(fleet.state).keystore / "adder.storage"
        path.write_bytes(flipped(path.read_bytes()))
        fleet.desire(wipe=fleet.wipe_order("adder"))
        check_wiped(fleet, one, grant, fleet.until_event("wiped"))


def unlocker_failing_at(what: str) -> str:
    """Hook: the unlocker cannot answer, once."""
    return f"""
import fleet_agent.supervisor.unlocking as unlocking, fleet_agent.supervisor.wiping as wiping
import fleet_agent.supervisor.directives as directives
wiping._RETRY_S = directives._RETRY_S = 0.2
failed, ask = [], unlocking.Unlocker.ask
def flaky(self, body, done, **more):
    if body.get("what") == "{what}" and not failed:
        failed.append(1)
        self._loop.post(lambda: done(unlocking.Answer(ok=False, code="unlocker", text="the unlocker was killed")))
    else:
        ask(self, body, done, **more)
unlocking.Unlocker.ask = flaky
"""


@pytest.mark.parametrize("what", ["directive", "wipe"])
def test_what_the_unlocker_could_not_look_at_is_looked_at_again(fleet: Fleet, what: str) -> None:
    one = fleet.release(1.0)
    grant = fleet.grant(one)
    with Agent(fleet, hook=unlocker_failing_at(what)) as agent:
        commit(fleet, agent, one, 1.0)
        fleet.desire(wipe=fleet.wipe_order("adder"))
        check_wiped(fleet, one, grant, fleet.until_event("wiped"))
        assert "the unlocker was killed" in agent.text()
        assert [e.kind for e in fleet.events if "refused" in e.kind] == []


_NEVER_DRAINED = """
import fleet_agent.supervisor.front as front
front.Front.detach = lambda self, number, drained: self._attached.pop(number, None)
"""


def test_a_worker_that_was_still_to_finish_ends_with_the_wipe(fleet: Fleet) -> None:
    with Agent(fleet, hook=_NEVER_DRAINED) as agent:
        commit(fleet, agent, fleet.release(1.0), 1.0)
        commit(fleet, agent, fleet.release(2.0, version="2.0.0"), 2.0)
        assert len(agent.children()["worker"]) == 2
        fleet.desire(wipe=fleet.wipe_order("adder"))
        fleet.until_event("wiped")
        until(lambda: "worker" not in agent.children(), "no process holds the model")
