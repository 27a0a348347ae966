"""What the supervisor makes of its workers' counts: added up, judged, and not believed further than they can be."""

from collections.abc import Callable

import pytest

from dunlin_contract.drift import SHARES, Feature
from dunlin_contract.limits import LIMITS
from dunlin_contract.telemetry import DriftCounts, ModelTelemetry, Telemetry
from fleet_agent import ipc
from fleet_agent.supervisor import quality, reporting
from fleet_agent.supervisor.loop import Loop, Timer
from fleet_agent.supervisor.quality import Questions, Watch

MEAN = Feature(side="input", tensor="image", what="mean", edges=(1.0, 2.0), expected=(20000, 20000, 25535))
CLASS = Feature(side="output", tensor="scores", what="class", edges=(0.5,), expected=(30000, 35535))


def watch(*features: Feature, confident: bool = False) -> Watch:
    return Watch(features or (MEAN, CLASS), confident)


def said(drift: object, confidence: object = ()) -> dict[str, object]:
    return {"is": "counts", "drift": drift, "confidence": list(confidence) if confidence == () else confidence}


def test_before_a_worker_has_said_anything_there_are_zeros() -> None:
    one = watch(confident=True)
    assert [(each.feature, each.counts) for each in quality.drift_of([one])] == [
        ("input image mean", (0, 0, 0)),
        ("output scores class", (0, 0)),
    ]
    assert quality.confidence_of([one]) == (0,) * 20
    assert quality.confidence_of([watch()]) == ()
    assert quality.drift_of([]) == ()
    assert quality.confidence_of([]) == ()


def test_copies_add_up_and_the_dead_are_not_forgotten() -> None:
    first, copy, other = watch(confident=True), watch(confident=True), watch(confident=True)
    first.heard(said([[1, 2, 3], [4, 5]], [1] * 20))
    copy.heard(said([[10, 0, 0], [0, 10]], [2] * 20))
    first.inherit(copy)
    other.heard(said([[0, 0, 100], [100, 0]], [0] * 20))
    assert [each.counts for each in quality.drift_of([first, other])] == [(11, 2, 103), (104, 15)]
    assert quality.confidence_of([first, other]) == (3,) * 20
    first.heard(said([[2, 2, 3], [5, 5]], [1] * 20))
    assert [each.counts for each in quality.drift_of([first])] == [(12, 2, 3), (5, 15)]


def test_another_variants_bins_are_not_added() -> None:
    usual, lean = watch(MEAN), watch(CLASS)
    usual.heard(said([[1, 2, 3]]))
    lean.heard(said([[7, 7]]))
    assert [each.counts for each in quality.drift_of([usual, lean])] == [(1, 2, 3)]


@pytest.mark.parametrize(
    "body",
    [
        said([[1, 2], [3, 4]]),
        said([[1, 2, 3]]),
        said([[1, 2, 3], [4, 5], [6]]),
        said([[1, 2, 3], [4, -5]]),
        said([[1, 2, 3], [4, 2**63]]),
        said([[1, 2, 3], [4, 5.0]]),
        said([[1, 2, 3], [4, True]]),
        said([[1, 2, 3], "ab"]),
        said("nonsense"),
        said(None),
        said([[1, 2, 3], [4, 5]], [1] * 20),
        {"is": "counts"},
    ],
)
def test_what_cannot_be_counts_is_left_out(body: dict[str, object]) -> None:
    one = watch()
    one.heard(said([[1, 1, 1], [1, 1]]))
    one.heard(body)
    assert [each.counts for each in quality.drift_of([one])] == [(1, 1, 1), (1, 1)]


def test_sums_stop_at_what_telemetry_can_say() -> None:
    one, other = watch(CLASS), watch(CLASS)
    one.heard(said([[LIMITS.sequence, 1]]))
    other.heard(said([[LIMITS.sequence, 1]]))
    (both,) = quality.drift_of([one, other])
    assert both.counts == (LIMITS.sequence, 2)
    assert DriftCounts.from_cbor(both.to_cbor()) == both


@pytest.mark.parametrize("tensor", ["x" * 256, "ü" * 128, "a" + "ü" * 127])
def test_a_long_name_is_cut_where_a_letter_ends(tensor: str) -> None:
    named = quality.name(Feature(side="output", tensor=tensor, what="confidence", edges=(1.0,), expected=(1, 65534)))
    assert named.startswith("output " + tensor[:5])
    assert named.endswith(" confidence")
    assert 63 <= len(named.encode()) <= 64


def test_shifts_are_named_once_there_is_enough_to_tell() -> None:
    def shift(*counts: int) -> tuple[object, object]:
        (one,) = quality.shifts([DriftCounts(feature="f", counts=counts, expected=(16384, 16384, 16384, 16383))])
        assert one["count"] == sum(counts)
        return one["shift"], one["psi"]

    assert shift(0, 0, 0, 0) == ("unknown", 0.0)
    assert shift(20, 0, 0, 0)[0] == "unknown"
    assert shift(79, 0, 0, 0)[0] == "unknown"
    assert shift(80, 0, 0, 0)[0] == "major"
    assert shift(26, 25, 25, 24)[0] == "none"
    moderate, index = shift(180, 110, 75, 60)
    assert moderate == "moderate"
    assert isinstance(index, float)
    assert 0.1 <= index < 0.25


class Hands(Loop):
    """A loop by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.timers: list[Timer] = []

    def post(self, call: Callable[[], object]) -> None:
        call()

    def after(self, _: float, call: Callable[[], object]) -> Timer:
        self.timers.append(Timer(call))
        return self.timers[-1]


def counts_message(drift: object) -> ipc.Message:
    return ipc.Message({**said(drift)}, [])


def test_an_answer_waits_for_every_worker_and_no_longer_than_it_must() -> None:
    hands, done, orders = Hands(), [], []
    questions = Questions(hands)
    one, other, silent = watch(), watch(), Watch()
    workers = [(each, orders.append) for each in (one, other, silent)]
    questions.ask(workers, lambda: done.append("first"))
    assert orders == [{"do": "counts"}] * 2
    assert questions.said(one, counts_message([[1, 1, 1], [1, 1]]))
    assert done == []
    assert questions.said(other, counts_message([[1, 1, 1], [1, 1]]))
    assert done == ["first"]
    questions.ask(workers, lambda: done.append("second"))
    hands.timers[0].fire()  # the first one's, which is over
    assert done == ["first"]
    hands.timers[1].fire()
    assert done == ["first", "second"]
    assert questions.said(one, counts_message([[2, 2, 2], [2, 2]]))
    assert done == ["first", "second"]
    assert not questions.said(one, ipc.Message({"is": "golden"}, []))


def test_nobody_to_ask_is_an_answer() -> None:
    done: list[int] = []
    questions = Questions(Hands())
    questions.ask([], lambda: done.append(1))
    questions.ask([(Watch(), lambda _: None)], lambda: done.append(2))
    assert done == [1, 2]


def test_counts_that_nobody_asked_for_change_nothing() -> None:
    questions, one = Questions(Hands()), watch()
    assert questions.said(one, counts_message([[9, 9, 9], [9, 9]]))
    assert quality.drift_of([one])[0].counts == (0, 0, 0)


def test_telemetry_of_many_models_leaves_the_bins_out_where_they_do_not_fit() -> None:
    most = LIMITS.sequence
    wide = DriftCounts(feature="f" * 64, counts=(most,) * 32, expected=(2048,) * 31 + (SHARES - 31 * 2048,))

    def whole(features: int) -> Telemetry:
        one = ModelTelemetry(
            release=bytes(32), count=1, errors=0, latency_us=dict.fromkeys(range(40), most), drift=(wide,) * features,
            confidence=(most,) * 20,
        )  # fmt: skip
        return Telemetry(models={f"m-{n}": one for n in range(16)}, memory_bytes=1, load_permille=1)

    few = reporting.telemetry_bytes(whole(4))
    assert len(Telemetry.from_bytes(few).models["m-3"].drift) == 4
    many = reporting.telemetry_bytes(whole(16))
    assert len(many) <= LIMITS.telemetry_bytes
    kept = Telemetry.from_bytes(many).models["m-3"]
    assert (kept.drift, kept.confidence) == ((), (most,) * 20)
