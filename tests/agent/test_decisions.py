"""Small pure decisions: which objects to ask for, whether a trial has passed, which variant fits, what time it is."""

import random
import subprocess
import sys
from dataclasses import replace

import pytest

from dunlin_contract.errors import ContractError
from dunlin_contract.fit import DeviceDescription, Fit, RuntimeInfo, Tier
from dunlin_contract.settings import Settings
from dunlin_contract.sketch import Sketch
from fleet_agent.carriers.window import FIRST_PAUSE_S, LONGEST_PAUSE_S, Window
from fleet_agent.clock import Clock, SignedTime
from fleet_agent.supervisor.fetching import Fetching
from fleet_agent.supervisor.front import Numbers
from fleet_agent.supervisor.instance import since
from fleet_agent.supervisor.planning import check_index, choose
from fleet_agent.update.probation import Observed, judge, judge_answers
from tests.agent.fleet import Fleet, Release, flipped, sha256

NAMES = [bytes([n]) * 32 for n in range(10)]


@pytest.fixture(name="window")
def _window() -> Window:
    window = Window(3, 10.0, random.Random(1))
    window.want(NAMES)
    window.online(True)
    return window


def test_a_window_asks_for_a_few_in_order_and_for_the_next_as_they_come(window: Window) -> None:
    assert window.moves(0).ask == NAMES[:3]
    assert window.moves(1).ask == []
    window.arrived(NAMES[1])
    moves = window.moves(2)
    assert (moves.drop, moves.ask) == ([NAMES[1]], [NAMES[3]])


def test_silence_makes_room_for_others_and_is_asked_again_after_growing_pauses(window: Window) -> None:
    window.moves(0)
    moves = window.moves(10)
    assert (moves.silent, moves.drop, moves.ask) == (NAMES[:3], NAMES[:3], NAMES[3:6])
    window.want(NAMES[:1])
    window.moves(10)
    times = []
    now = 10.0
    for _ in range(10):
        due = window.next_at()
        assert due is not None
        if window.moves(due).ask:
            times.append(due - now)
            now = due
    assert FIRST_PAUSE_S <= times[0] <= 2 * FIRST_PAUSE_S
    assert times[1] > times[0]
    assert max(times) <= LONGEST_PAUSE_S * 1.25 + 10


def test_a_lost_connection_asks_for_everything_again_at_once(window: Window) -> None:
    window.moves(0)
    window.online(False)
    assert window.moves(1).ask == []
    assert window.next_at() is None
    window.online(True)
    assert window.moves(2).ask == NAMES[:3]


def test_what_was_not_asked_for_is_not_taken(window: Window) -> None:
    window.moves(0)
    assert window.wants(NAMES[0])
    assert not window.wants(NAMES[5])
    window.want([])
    assert not window.wants(NAMES[0])
    assert set(window.moves(1).drop) == set(NAMES[:3])


class _Carrier:
    def __init__(self) -> None:
        self.wanted: list[bytes] = []
        self.bad: list[bytes] = []

    def want(self, names: list[bytes]) -> None:
        self.wanted = list(names)

    def corrupt(self, name: bytes) -> None:
        self.bad.append(name)


def test_fetching_hands_on_only_what_its_name_says() -> None:
    carrier, bad, taken = _Carrier(), [], []
    fetching = Fetching(bad.append, lambda: None, carrier)
    good = sha256(b"data")
    fetching.want("one", [good], lambda name, data: taken.append((name, data)))
    fetching.want("two", [good, NAMES[0]], lambda name, data: taken.append((name, data)))
    assert carrier.wanted == [good, NAMES[0]]
    fetching.arrived(good, b"other")
    assert (bad, carrier.bad, taken) == ([good], [good], [])
    fetching.gave_up(good)
    assert fetching.missing == (good,)
    fetching.arrived(good, b"data")
    assert (taken, fetching.missing) == ([(good, b"data")] * 2, ())
    fetching.forget("two")
    assert carrier.wanted == []


SETTINGS = Settings(probation_s=100, probation_requests=20, probation_max_s=1000)


def seen(
    elapsed: float, count: int, *, errors: int = 0, nonfinite: int = 0, us: float = 100, pairs: int = 0, agreed: int = 0
) -> Observed:
    sketch = Sketch()
    for _ in range(count - errors):
        sketch.add(us)
    return Observed(elapsed, count, errors, nonfinite, sketch, pairs, agreed)


@pytest.mark.parametrize(
    ("observed", "passed", "code"),
    [
        (seen(0, 0), None, ""),
        (seen(99, 1000), None, ""),
        (seen(100, 19), None, ""),
        (seen(100, 20), True, ""),
        (seen(1000, 0), True, ""),
        (seen(1, 1, us=900), None, ""),
        (seen(1, 20, us=900), False, "latency"),
        (seen(1, 2, errors=2), None, ""),
        (seen(1, 3, errors=3), False, "errors"),
        (seen(500, 100, errors=5), True, ""),
        (seen(1, 100, errors=6), False, "errors"),
        (seen(1, 1, nonfinite=1), False, "nonfinite"),
        (seen(500, 1000, nonfinite=10), True, ""),
        (seen(1, 19, pairs=19, agreed=0), None, ""),
        (seen(1, 20, pairs=20, agreed=9), False, "disagreement"),
        (seen(1, 20, pairs=20, agreed=10), None, ""),
    ],
)
def test_a_trial_is_judged_by_its_requests(observed: Observed, passed: bool | None, code: str) -> None:
    verdict = judge(observed, 200, SETTINGS)
    assert (verdict.passed, verdict.code) == (passed, code)


def test_on_trial_a_candidate_is_judged_by_its_answers_alone() -> None:
    assert judge_answers(seen(1, 20, us=10**9, pairs=20)).passed is None
    assert judge_answers(seen(1, 3, errors=3)).code == "errors"
    assert judge_answers(seen(1, 1, nonfinite=1)).code == "nonfinite"


def test_a_probation_counts_from_its_own_start() -> None:
    shadow = Numbers(1000, 2, 1, {5: 990, 7: 8})
    assert since(shadow, Numbers(1003, 3, 1, {5: 990, 7: 9, 9: 1})) == Numbers(3, 1, 0, {5: 0, 7: 1, 9: 1})
    assert since(shadow, Numbers(2, 0, 0, {5: 2})) == Numbers(2, 0, 0, {5: 2}), "another worker counts from zero"


@pytest.fixture(name="release", scope="module")
def _release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return Fleet(tmp_path_factory.mktemp("release")).release(1.0)


def test_the_first_variant_that_fits_is_taken_and_the_others_are_explained(release: Release) -> None:
    one = release.manifest.variants[0]
    far = replace(one, kind="far", fit=Fit(runtime="litert", min_version=(9, 0, 0), ops=()))
    big = replace(one, kind="big", fit=replace(one.fit, memory_bytes=2**40))
    manifest = replace(release.manifest, variants=(far, big, one))
    litert, onnx = (RuntimeInfo(name=name, version=(2, 0, 0)) for name in ("litert", "onnxruntime"))
    device = DeviceDescription(
        hardware_class="x",
        arch="x86_64",
        memory_bytes=2**30,
        runtimes=(litert, onnx),
        tier=Tier(keystore="file", model_store="swappable"),
    )
    variant, rejected = choose(manifest, device)
    assert variant == one
    assert [(one.kind, one.reasons) for one in rejected] == [
        ("far", ("runtime litert 2.0.0 is older than 9.0.0",)),
        ("big", (f"memory: {2**40} bytes are needed, the device has {2**30}",)),
    ]
    assert choose(manifest, replace(device, runtimes=()))[0] is None
    unswapped = replace(one, fit=replace(one.fit, stores=("locked", "no-swap")))
    assert choose(replace(manifest, variants=(unswapped,)), device)[0] is None


def test_an_index_must_be_the_signed_one(release: Release) -> None:
    index = b"".join(release.leaves)
    assert check_index(release.manifest, index) == release.leaves
    for wrong, rule in ((flipped(index), "merkle"), (index[:-32], "lengths"), (index[32:] + index[:32], "merkle")):
        with pytest.raises(ContractError) as raised:
            check_index(release.manifest, wrong)
        assert raised.value.rule == rule


def test_signed_time_only_rises_and_the_wall_clock_cannot_move_it() -> None:
    wall, boot = [1_000_000_000.0], [50.0]
    time = SignedTime(Clock(lambda: wall[0], lambda: boot[0]), 2_000)
    boot[0] = 60
    assert (time.now, time.uptime_s) == (2_010, 10)
    assert not time.raise_to(1_999)
    assert not time.raise_to(2_005), "known to be past"
    assert time.raise_to(5_000)
    boot[0] = 61
    assert time.now == 5_001
    assert time.best() == 1_000_000_000
    wall[0] = 0
    assert time.best() == 5_001


def test_the_supervisor_does_not_import_what_would_make_it_heavy() -> None:
    heavy = "numpy,cryptography,pydantic,asyncio,uvicorn,onnxruntime,ai_edge_litert,multiprocessing,subprocess"
    code = (
        "import sys, fleet_agent.cli, fleet_agent.supervisor.agent\n"
        f"print([name for name in {heavy.split(',')!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
