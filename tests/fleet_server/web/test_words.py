"""Numbers, times and states as people read them."""

import pytest

from dunlin_contract.fit import KEYSTORES, MODEL_STORES
from dunlin_contract.reported import PHASES
from fleet_server.rollouts.terms import Part, State
from fleet_server.web import words


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (26_000, "26 kB"), (4_200_000, "4.2 MB")],
)
def test_size(value: float | None, text: str) -> None:
    assert words.size(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (262_144, "256 KiB"), (1 << 30, "1 GiB")],
)
def test_binary(value: float | None, text: str) -> None:
    assert words.binary(value) == text


@pytest.mark.parametrize(("value", "text"), [(None, "–"), (615, "61.5 °C"), (-40, "-4.0 °C"), (0, "0.0 °C")])
def test_celsius(value: int | None, text: str) -> None:
    assert words.celsius(value) == text


@pytest.mark.parametrize(("value", "text"), [(None, "–"), (0, "0 W"), (5200, "5.2 W"), (48_700, "49 W")])
def test_watts(value: int | None, text: str) -> None:
    assert words.watts(value) == text


def test_every_place_of_keys_and_models_has_words() -> None:
    assert words.KEYSTORES.keys() == set(KEYSTORES)
    assert words.MODEL_STORES.keys() == set(MODEL_STORES)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (45, "45 s"), (60, "1 min"), (90, "1.5 min"), (9000, "2.5 h"), (259_200, "3 d")]
)
def test_span(seconds: float, text: str) -> None:
    assert words.span(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "just now"),
        (-4, "just now"),
        (-30, "30 s ago"),
        (-600, "10 min ago"),
        (7200, "in 2 h"),
        (-200_000, "2 d ago"),
    ],
)
def test_relative(seconds: float, text: str) -> None:
    assert words.relative(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "–"), (None, "–"), (13.9, "14 µs"), (5900, "5.9 ms"), (2_000_000, "2 s")]
)
def test_micros(value: float | None, text: str) -> None:
    assert words.micros(value) == text


def test_a_time_says_its_moment_in_the_title() -> None:
    shown = words.ago(86_400.0, 86_460.0)
    assert shown == '<time datetime="1970-01-02T00:00:00+00:00" title="1970-01-02 00:00:00 UTC">60 s ago</time>'


def test_every_state_has_a_tone() -> None:
    """A state added later must not fall through to grey unnoticed."""
    known = {
        *PHASES,
        *map(str, State),
        *map(str, Part),
        "draft",
        "sent",
        "done",
        "cancelled",
        "active",
        "pending",
        "rejected",
        "ended",
        "stable",
        "watch",
        "drifted",
        "too few",
        "normal",
        "reduced",
    }
    assert known <= words.TONES.keys()
    assert words.tone("never heard of") == "mute"


def test_who_and_what_in_the_activity() -> None:
    assert words.actor("user:ada") == "ada"
    assert words.actor("token:ci") == "token ci"
    assert words.actor("server") == "server"
    detail = {"tags": {"a": "b"}, "auto_approve": False, "expires": 0.0, "release": "f" * 64, "scope": [], "text": "so"}
    assert words.facts(detail) == "tags a=b, auto approve no, expires 1970-01-01 00:00 UTC, release ffffffffffff, so"
