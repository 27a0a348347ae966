"""Heat: when a device is hot, what is done then, and that it does not flap. Time is the test's."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fleet_agent.clock import Clock
from fleet_agent.config import file, power
from fleet_agent.config.file import ConfigError
from fleet_agent.config.power import Power
from fleet_agent.front.errors import HttpError
from fleet_agent.front.rate import Rate
from fleet_agent.hardware import policy
from fleet_agent.hardware.policy import CALM_S, HOT_S, MOST_CALM_S, SOON_S, Verdict, judge
from fleet_agent.hardware.reading import Reading
from fleet_agent.supervisor.loop import Loop
from fleet_agent.supervisor.sensing import Hearers, Sensing

POWER = Power(800, 700, frozenset({"rate", "defer"}), 2.0)
HOT, WARM, COOL, SILENT = (Reading(temperature_dc=dc) for dc in (850, 750, 650, None))


def after(verdict: Verdict, reading: Reading, seconds: float, now: float, step: float = 1.0) -> tuple[Verdict, float]:
    """The verdict when sensors have said the same for a while."""
    end = now + seconds
    while now < end:
        now += step
        verdict = judge(verdict, reading, POWER, now)
    return verdict, now


def test_heat_must_last_and_coolness_longer() -> None:
    verdict, now = after(Verdict(), HOT, HOT_S - 1, 0.0)
    assert not verdict.hot
    verdict, now = after(verdict, HOT, 2, now)
    assert verdict.hot
    assert verdict.why == "85 °C, hot from 80 on"
    verdict, now = after(verdict, COOL, CALM_S - 1, now)
    assert verdict.hot
    verdict, now = after(verdict, COOL, 2, now)
    assert not verdict.hot


def test_between_the_two_temperatures_nothing_changes() -> None:
    verdict, now = after(Verdict(), WARM, 1000, 0.0)
    assert not verdict.hot
    verdict, now = after(verdict, HOT, 10, now)
    verdict, now = after(verdict, COOL, CALM_S - 1, now)
    verdict, now = after(verdict, WARM, 2, now)  # coolness has to last anew
    verdict, now = after(verdict, COOL, CALM_S - 1, now)
    assert verdict.hot


def test_sensors_that_say_nothing_change_nothing() -> None:
    verdict, now = after(Verdict(), SILENT, 1000, 0.0)
    assert not verdict.hot
    verdict, now = after(verdict, HOT, 10, now)
    assert after(verdict, SILENT, 10_000, now, 10.0)[0].hot


@pytest.mark.parametrize(("bits", "why"), [(0x1, "the power supply is too weak"), (0x8, "its firmware slows it down")])
def test_a_firmware_that_slows_the_device_down_counts_at_any_temperature(bits: int, why: str) -> None:
    strained = Reading(temperature_dc=500, throttled=bits)
    verdict, now = after(Verdict(), strained, 10, 0.0)
    assert verdict.hot
    assert verdict.why.startswith(why)
    assert after(verdict, strained, CALM_S + 2, now)[0].hot
    # What was so once since the start is no strain of now.
    assert not after(verdict, Reading(temperature_dc=500, throttled=bits << 16), CALM_S + 2, now)[0].hot
    assert not after(Verdict(), Reading(throttled=bits << 16), 1000, 0.0)[0].hot


def test_who_is_hot_again_soon_must_be_cool_for_longer() -> None:
    verdict, now, waits = Verdict(), 0.0, []
    for _ in range(8):
        verdict, now = after(verdict, HOT, HOT_S + 2, now)
        assert verdict.hot
        began = now
        while verdict.hot:
            verdict, now = after(verdict, COOL, 1, now)
        waits.append(round(now - began))
    assert [wait // int(CALM_S) for wait in waits] == [1, 2, 4, 8, 16, 16, 16, 16]
    assert max(waits) <= MOST_CALM_S + 2
    verdict, now = after(verdict, COOL, SOON_S + 1, now)
    verdict, now = after(verdict, HOT, HOT_S + 2, now)
    assert verdict.calm_s == CALM_S


def read(tmp_path: Path, text: str) -> Power | None:
    path = tmp_path / "agent.toml"
    path.write_text(text)
    return power.read(file.read(path))


def test_the_table(tmp_path: Path) -> None:
    assert read(tmp_path, "") is None
    assert read(tmp_path, "[power]") == Power(800, 700, frozenset({"defer"}))
    text = '[power]\nhot_c = 75\ncool_c = 68.5\nactions = ["rate", "variant"]\nper_s = 2'
    assert read(tmp_path, text) == Power(750, 685, frozenset({"rate", "variant"}), 2.0)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("hot_c = 300", "agent.toml:2: hot_c must be 20 to 150"),
        ("hot_c = 70\ncool_c = 69.5", "agent.toml:3: cool_c must be 1 degree below hot_c, 70, or more"),
        ('actions = ["sleep"]', "agent.toml:2: actions must be some of rate, variant, defer"),
        ("actions = []", "agent.toml:2: actions must be some of"),
        ('actions = ["rate"]', 'the action "rate" and per_s, the most requests a second, go together'),
        ("per_s = 2", 'the action "rate" and per_s'),
        ("hot = 5", "agent.toml:2: unknown key 'power.hot'"),
    ],
)
def test_a_table_that_cannot_be(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(ConfigError) as error:
        read(tmp_path, f"[power]\n{text}")
    assert why in str(error.value)


def test_a_rate_is_kept_and_says_when_to_come_again() -> None:
    now = 0.0
    rate = Rate(lambda: now)
    for _ in range(1000):
        rate.admit("digits")
    rate.limit(0.25)
    rate.admit("digits")
    with pytest.raises(HttpError) as error:
        rate.admit("digits")
    assert (error.value.status, error.value.headers) == (503, b"retry-after: 4\r\n")
    assert error.value.text == "this device is hot: each model answers 0.25 requests a second until it is cool again"
    rate.admit("other")
    answered = 0
    for _ in range(320):
        now += 0.125
        try:
            rate.admit("digits")
        except HttpError:
            continue
        answered += 1
    assert answered == 10
    rate.limit(None)
    rate.admit("digits")


def test_heat_is_told_once_and_acted_on_until_it_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, told, heated = 0.0, list[tuple[str, str]](), list[bool]()
    zone = tmp_path / "sys/class/thermal/thermal_zone0/temp"
    zone.parent.mkdir(parents=True)
    looks: list[Callable[[], object]] = []
    loop = Loop()
    monkeypatch.setattr(loop, "after", lambda _, call: looks.append(call))
    hearers = Hearers(lambda _, code, text: told.append((code, text)), heated.append)
    sensing = Sensing(loop, Clock(since_boot=lambda: now), POWER, hearers, tmp_path)
    sensing.start()

    def live(millidegrees: str, seconds: float) -> None:
        nonlocal now
        zone.write_text(millidegrees)
        end = now + seconds
        while now < end:
            now += 2.5
            sensing._look()

    live("85000", 60)
    assert told == [("hot", "the device is hot: 85 °C, hot from 80 on; in force: defer, rate")]
    assert heated == [True]
    assert sensing.policy == "reduced"
    live("75000", 600)
    assert len(told) == 1
    live("60000", CALM_S + 5)
    assert told[1:] == [("cool", "the device is cool again: everything is as usual")]
    assert heated == [True, False]
    assert sensing.policy == "normal"


def test_what_only_waits_is_paused(tmp_path: Path) -> None:
    hearers = Hearers(lambda *_: None, lambda _: None)
    sensing = Sensing(Loop(), Clock(), Power(800, 700, frozenset({"defer"})), hearers, tmp_path)
    sensing._verdict = policy.Verdict(hot=True)
    assert sensing.policy == "paused"
    hardware = sensing.hardware()
    assert hardware is not None
    assert hardware.policy == "paused"
