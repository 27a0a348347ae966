"""Orders to keep requests: who may give them, when they end, and what comes of what is kept."""

import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from dunlin_contract import cose, envelopes, keys
from dunlin_contract.capture import CaptureOrder
from dunlin_contract.console import UsageError
from dunlin_contract.cose import Role
from dunlin_contract.errors import ContractError
from dunlin_contract.root import Root
from fleet_agent import captured
from fleet_agent.clock import Clock, SignedTime
from fleet_agent.config import capture as config
from fleet_agent.config import file
from fleet_agent.config.capture import Capture
from fleet_agent.errors import StorageError
from fleet_agent.journal import Journal
from fleet_agent.results.store import Draft, Refused
from fleet_agent.supervisor.allowance import Allowance
from fleet_agent.supervisor.captures import Captures, Parts
from fleet_agent.supervisor.loop import Timer
from fleet_agent.supervisor.unlocking import Answer, blob
from tests.agent.fleet import Signers
from tests.agent.test_worker import tensor

NOW = 1_790_000_000
DAY = 86_400
SIGNERS = Signers()


def order(**changes: Any) -> CaptureOrder:
    usual: dict[str, Any] = {
        "device": "dev-1", "order_id": bytes(16), "model": "m", "issued": NOW, "not_after": NOW + DAY, "per_day": 3,
        "random_permille": 1000,
    }  # fmt: skip
    return CaptureOrder(**(usual | changes))


def signed(one: CaptureOrder | None = None, *, by: Any = None, role: Role = Role.CAPTURE, **changes: Any) -> bytes:
    one = one or order(**changes)
    return cose.sign(one.to_bytes(), list(by if by is not None else SIGNERS.ops), role)


@dataclass(eq=False)
class Worker:
    """A worker as captures see it."""

    model: str = "m"
    copy: Any = field(default_factory=lambda: SimpleNamespace(release=b"r" * 32))
    capturing: Mapping[str, object] | None = None
    room: int | None = None
    told: list[Mapping[str, object]] = field(default_factory=list)

    def capture(self, policy: Mapping[str, object] | None) -> None:
        self.capturing = policy
        self.room = None if policy is None else self.room or captured.room()

    def ask(self, body: Mapping[str, object]) -> None:
        self.told.append(body)

    def keeps(self, reason: str = "random", *, length: int | None = None) -> int:
        data = captured.pack(reason, [tensor("x", np.ones(4, "float32"))], [tensor("y", np.zeros(4, "float32"))])
        assert self.room is not None
        os.pwrite(self.room, data, 0)
        return len(data) if length is None else length


class Desk:
    """All that is around captures, by hand: ``later`` waits for a time, ``drafts`` for the disk."""

    def __init__(self, folder: Path, consent: Capture) -> None:
        self.run = 0.0
        self.clock = Clock(lambda: 0.0, lambda: self.run)
        self.later: list[tuple[float, Timer]] = []
        self.drafts: list[tuple[Draft, Callable[[int | Refused], None]]] = []
        self.events: list[tuple[str, str, str]] = []
        self.workers = [(Worker(), True), (Worker(), False)]
        self.rooms: dict[str, int | None] = {}
        self.freed: list[str] = []
        self.trial = True
        self.root_version = 1
        self.root = Root.from_bytes(cose.peek(SIGNERS.sign_root(keys.generate()), 16384))
        self.trouble = ""
        self.journal = Journal(folder / "journal.db")
        self.allowance = Allowance(self.journal, self.clock, SignedTime(self.clock, NOW))
        self.serving = SimpleNamespace(
            front=SimpleNamespace(capture=self.rooms.__setitem__, capture_again=self.freed.append),
            workers=lambda model: [one for one in self.workers if one[0].model == model],
        )
        hands = cast(Any, self)
        parts = Parts(
            hands, hands, cast(Any, self.serving), hands, self.allowance, "dev-1", lambda: self.root_version,
            lambda _: self.trial, lambda *one: self.events.append(one),
        )  # fmt: skip
        self.captures = Captures(parts, consent)
        self.captures.start()

    @property
    def worker(self) -> Worker:
        return self.workers[0][0]

    @property
    def codes(self) -> list[str]:
        return [code for code, _, _ in self.events]

    # The loop, the unlocker, serving and the results' store.

    def after(self, seconds: float, call: Callable[[], object]) -> Timer:
        self.later.append((self.run + seconds, Timer(call)))
        return self.later[-1][1]

    def pass_time(self, seconds: float) -> None:
        end = self.run + seconds
        while due := [one for one in self.later if one[0] <= end]:
            first = min(due, key=lambda one: one[0])
            self.later.remove(first)
            self.run = max(self.run, first[0])
            first[1].fire()
        self.run = end

    def ask(self, body: Mapping[str, object], done: Callable[[Answer], None], *, data: bytes) -> None:
        assert body == {"do": "verify", "what": "capture"}
        if self.trouble:
            done(Answer(ok=False, code="crash", text=self.trouble))
            return
        try:
            found = envelopes.open_capture(data, self.root)
        except ContractError as error:
            done(Answer(ok=False, refused=True, code=error.rule, text=error.detail))
            return
        fd = blob(found.to_bytes())
        done(Answer(ok=True, fds=[fd]))
        os.close(fd)

    def put(self, draft: Draft, told: Callable[[int | Refused], None]) -> None:
        self.drafts.append((draft, told))


@pytest.fixture(name="desk")
def _desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path, Capture(consent=True))
    yield made
    made.journal.close()


POLICY = {"random": 1000, "margin": 0, "classes": []}


def test_a_genuine_order_reaches_the_worker_that_answers(desk: Desk) -> None:
    desk.captures.follow({"m": signed(margin_permille=5, classes=(1, 2))})
    assert desk.worker.capturing == {"random": 1000, "margin": 5, "classes": [1, 2]}
    assert desk.workers[1][0].capturing is None
    assert desk.rooms == {}
    assert desk.events == []


@pytest.mark.parametrize(
    ("envelope", "says"),
    [
        (lambda: signed(by=SIGNERS.ops[:1]), "[threshold]"),
        (lambda: signed(by=[SIGNERS.ops[0], SIGNERS.ops[0]]), "[threshold]"),
        (lambda: signed(by=[keys.generate(), keys.generate()]), "[signer-unknown]"),
        (lambda: signed(by=[SIGNERS.director, SIGNERS.release]), "[signer-unknown]"),
        (lambda: signed(role=Role.WIPE), "[signature]"),
        (lambda: signed(device="dev-2"), "[device]"),
        (lambda: signed(model="other"), "[device]"),
        (lambda: signed(not_after=NOW), "has ended [expired]"),
        (lambda: signed()[:-1], "[encoding]"),
        (lambda: b"garbage", "["),
        (lambda: secrets.token_bytes(1024), "["),
    ],
)
def test_no_other_order_keeps_anything(desk: Desk, envelope: Callable[[], bytes], says: str) -> None:
    desk.captures.follow({"m": envelope()})
    assert desk.worker.capturing is None
    assert desk.codes == ["capture-refused"]
    assert says in desk.events[0][1]
    assert desk.events[0][2] == "m"
    assert desk.captures.status("m") == {}


def test_what_comes_again_is_told_once(desk: Desk) -> None:
    envelope = signed(device="dev-2")
    for _ in range(3):
        desk.captures.follow({"m": envelope})
    assert desk.codes == ["capture-refused"]


@pytest.mark.parametrize("consent", [Capture(), Capture(consent=True, models=("other",))])
def test_without_the_owners_word_nothing_is_kept_and_it_says_so(tmp_path: Path, consent: Capture) -> None:
    desk = Desk(tmp_path, consent)
    desk.captures.follow({"m": signed()})
    assert desk.worker.capturing is None
    assert desk.codes == ["capture-consent"]
    desk.captures.apply("m")
    desk.captures.worker_kept(cast(Any, desk.worker), 100)
    assert desk.drafts == []
    desk.journal.close()


def test_reasons_that_the_owner_left_out_are_not_asked_for(tmp_path: Path) -> None:
    desk = Desk(tmp_path, Capture(consent=True, kinds=("class",)))
    desk.captures.follow({"m": signed(margin_permille=5, classes=(1,), disagreement=True)})
    assert desk.worker.capturing == {"random": 0, "margin": 0, "classes": [1]}
    assert desk.rooms == {}
    desk.captures.worker_kept(cast(Any, desk.worker), desk.worker.keeps("random"))
    assert desk.drafts == []
    desk.journal.close()


def test_what_is_kept_goes_to_the_store_one_after_the_other_up_to_the_days_number(desk: Desk) -> None:
    desk.captures.follow({"m": signed()})
    for n in range(1, 4):
        desk.captures.worker_kept(cast(Any, desk.worker), desk.worker.keeps())
        draft, told = desk.drafts[-1]
        assert (draft.kind, draft.model, draft.release, draft.reason) == ("capture", "m", b"r" * 32, "random")
        assert (draft.inputs[0].name, draft.outputs[0].name) == ("x", "y")
        assert desk.worker.told == [{"do": "captured"}] * (n - 1)
        told(n)
    assert desk.worker.capturing is None  # three today
    assert desk.captures.kept == {"m": 3}
    assert desk.captures.status("m")["left_today"] == 0
    desk.pass_time(12 * 3600)
    assert desk.worker.capturing is None
    order_of_two_days = signed(not_after=NOW + 3 * DAY)
    desk.captures.follow({"m": order_of_two_days})
    assert desk.worker.capturing is None  # another order, the same day
    desk.pass_time(14 * 3600)
    assert desk.worker.capturing == POLICY


def test_the_owners_number_a_day_counts_too(tmp_path: Path) -> None:
    desk = Desk(tmp_path, Capture(consent=True, per_day=1))
    desk.captures.follow({"m": signed(per_day=100)})
    desk.captures.worker_kept(cast(Any, desk.worker), desk.worker.keeps())
    desk.drafts[0][1](1)
    assert desk.worker.capturing is None
    desk.journal.close()


def test_an_order_ends_when_no_directive_carries_it_or_another_one_does(desk: Desk) -> None:
    desk.captures.follow({"m": signed(disagreement=True)})
    assert desk.rooms["m"] is not None
    desk.captures.follow({"m": signed(random_permille=7)})
    assert desk.worker.capturing == POLICY | {"random": 7}
    assert desk.rooms["m"] is None
    desk.captures.follow({})
    assert desk.worker.capturing is None
    desk.captures.worker_kept(cast(Any, desk.worker), 100)
    assert desk.drafts == []
    assert desk.events == []


def test_an_order_ends_with_its_time_and_stays_ended(desk: Desk) -> None:
    envelope = signed(not_after=NOW + 1000)
    desk.captures.follow({"m": envelope})
    desk.pass_time(999)
    assert desk.worker.capturing == POLICY
    desk.pass_time(2)
    assert desk.worker.capturing is None
    assert desk.codes == ["capture-ended"]
    desk.captures.follow({"m": envelope})
    desk.captures.apply("m")
    assert desk.worker.capturing is None
    desk.captures.follow({})
    desk.captures.follow({"m": envelope})  # played again
    assert desk.worker.capturing is None
    assert desk.codes == ["capture-ended", "capture-refused"]


def test_it_stays_ended_past_a_restart(tmp_path: Path) -> None:
    desk = Desk(tmp_path, Capture(consent=True))
    envelope = signed(not_after=NOW + 1000)
    desk.captures.follow({"m": envelope})
    desk.pass_time(1001)
    desk.captures.close()
    desk.journal.close()
    again = Desk(tmp_path, Capture(consent=True))  # its signed time is where it was
    again.captures.follow({"m": envelope})
    assert again.worker.capturing is None
    assert again.codes == ["capture-refused"]
    again.journal.close()


def test_keys_that_a_new_root_does_not_name_end_their_orders(desk: Desk) -> None:
    desk.captures.follow({"m": signed(not_after=NOW + 3 * DAY)})
    desk.root = Root.from_bytes(cose.peek(Signers().sign_root(keys.generate(), version=2), 16384))
    desk.pass_time(700)
    assert desk.worker.capturing == POLICY
    desk.root_version = 2
    desk.pass_time(700)
    assert desk.worker.capturing is None
    assert desk.codes == ["capture-refused"]


def test_trouble_of_the_device_passes(desk: Desk) -> None:
    desk.trouble = "the unlocker died"
    desk.captures.follow({"m": signed()})
    assert desk.worker.capturing is None
    desk.trouble = ""
    desk.pass_time(20)
    assert desk.worker.capturing == POLICY
    assert desk.events == []


def test_another_worker_takes_over(desk: Desk) -> None:
    desk.captures.follow({"m": signed()})
    before = desk.worker
    desk.workers[:] = [(Worker(), True), (before, False)]
    desk.captures.apply("m")
    assert desk.worker.capturing == POLICY
    assert before.capturing is None


def test_disagreements_come_from_the_front_while_there_is_a_trial(desk: Desk) -> None:
    desk.captures.follow({"m": signed(random_permille=0, disagreement=True)})
    assert desk.worker.capturing is None
    room = desk.rooms["m"]
    assert room is not None
    maker = Worker(room=room)
    desk.trial = False
    desk.captures.front_kept(cast(Any, desk.worker), maker.keeps("disagreement"))
    assert desk.drafts == []
    desk.trial = True
    desk.captures.front_kept(cast(Any, desk.worker), maker.keeps("disagreement"))
    draft, told = desk.drafts[0]
    assert draft.reason == "disagreement"
    told(1)
    assert desk.freed == ["m"]


@pytest.mark.parametrize("length", [1, 7, 40, 1 << 40])
def test_a_worker_that_writes_nonsense_keeps_nothing(desk: Desk, length: int) -> None:
    desk.captures.follow({"m": signed()})
    desk.worker.keeps()
    desk.captures.worker_kept(cast(Any, desk.worker), length)
    assert desk.drafts == []
    assert desk.worker.told == []


def test_a_result_in_a_captures_place_is_not_kept(desk: Desk) -> None:
    desk.captures.follow({"m": signed()})
    desk.captures.worker_kept(cast(Any, desk.worker), desk.worker.keeps("because"))
    assert desk.drafts == []


def test_what_is_too_large_is_told_once(desk: Desk) -> None:
    desk.captures.follow({"m": signed()})
    for _ in range(2):
        desk.captures.worker_kept(cast(Any, desk.worker), 0)
    assert desk.codes == ["capture-too-large"]


def test_a_store_that_refuses_gets_time(desk: Desk) -> None:
    desk.captures.follow({"m": signed()})
    desk.captures.worker_kept(cast(Any, desk.worker), desk.worker.keeps())
    desk.drafts[0][1](Refused("disk-full", "no room"))
    assert (desk.worker.told, desk.codes) == ([], ["disk-full"])
    desk.pass_time(61)
    assert desk.worker.told == [{"do": "captured"}]


def test_a_journal_that_takes_no_more_ends_the_keeping_for_a_while(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.captures.follow({"m": signed()})

    def full(*_: object) -> bool:
        raise StorageError("disk-full", "no")

    monkeypatch.setattr(desk.allowance, "take", full)
    desk.captures.worker_kept(cast(Any, desk.worker), desk.worker.keeps())
    assert (desk.drafts, desk.worker.capturing) == ([], None)
    monkeypatch.undo()
    desk.pass_time(700)
    assert desk.worker.capturing == POLICY


def test_a_wipe_ends_the_order_and_forgets_the_count(desk: Desk) -> None:
    desk.captures.follow({"m": signed()})
    desk.captures.worker_kept(cast(Any, desk.worker), desk.worker.keeps())
    desk.captures.forget("m")
    assert desk.worker.capturing is None
    assert desk.allowance.left("m", 3) == 3


# agent.toml


def read(folder: Path, text: str) -> Capture:
    path = folder / "agent.toml"
    path.write_text(text)
    return config.read(file.read(path))


def test_consent_is_off_unless_the_owner_says_otherwise(tmp_path: Path) -> None:
    assert config.read(file.read(None)) == Capture()
    assert not Capture().allows("m")
    assert not read(tmp_path, "[capture]\nper_day = 5").allows("m")
    assert read(tmp_path, "[capture]\nconsent = true").allows("m")
    some = read(tmp_path, '[capture]\nconsent = true\nmodels = ["a", "b"]\nkinds = ["class"]\nper_day = 7\nmost_mb = 2')
    assert some == Capture(consent=True, models=("a", "b"), kinds=("class",), per_day=7, most_mb=2)
    assert some.allows("a")
    assert not some.allows("m")
    assert not replace(some, consent=False).allows("a")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('consent = "yes"', "capture.consent must be true/false"),
        ("consent = 1", "capture.consent must be true/false"),
        ('kinds = ["all"]', "kinds: 'all' is none of random, margin, disagreement, class"),
        ('models = ["A"]', "models: 'A' cannot be the name of a model"),
        ("models = [1]", "models: 1 cannot be"),
        ("per_day = 0", "per_day must be 1 to 100000"),
        ("most_mb = 0", "most_mb must be 1 to"),
        ("concent = true", "did you mean 'consent'"),
    ],
)
def test_a_consent_that_cannot_be_read_is_none(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        read(tmp_path, f"[capture]\n{text}")
