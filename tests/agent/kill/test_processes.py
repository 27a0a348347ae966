"""Real processes, killed at each journal write: all of a device's at once, by SIGKILL or by what a power cut leaves.

A real server and a real broker, digits on LiteRT in a real worker. The writes are counted by running into them: a
scenario is repeated, killed one write later each time, until it comes to its end unharmed. The scenarios go on beside
each other, each on devices of its own.
"""

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from demo.device import Device
from tests.agent.kill.site import HOWS, Killing, Site

SOAK = "DUNLIN_SOAK" in os.environ
FIRST, STRIDE = (1, 1) if SOAK else (4, 14)
"""Each write in the soak, in each way; two or three of a scenario else, in one."""
MOST = 120
GOOD, SLOW = ("1.0.0", "2.0.0", "2.0.1"), ("3.0.0", "3.0.1")

pytestmark = pytest.mark.timeout(4 * 3600 if SOAK else 600)

Make = Callable[[], Killing]
"""A scenario, ready to be killed once more."""


@pytest.fixture(name="site")
def _site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"))
    try:
        site.start(GOOD + SLOW)
        yield site
    finally:
        site.stop()


def committed(site: Site, version: str) -> Callable[[dict[str, Any]], bool]:
    """It runs ``version``, or the kill was in its probation, and it does not."""

    def done(view: dict[str, Any]) -> bool:
        wanted = site.releases[version]
        restarted = (view.get("phase"), view.get("error_code"), view.get("candidate")) == (
            "rolled-back",
            "restarted",
            wanted,
        )
        return restarted or (view.get("phase"), view.get("active")) == ("committed", wanted)

    return done


def installing(site: Site, device: Device) -> Killing:
    part = lambda: site.roll_out(GOOD[0], device), committed(site, GOOD[0])
    return Killing(site, device, [part], serves=False)


def installed(site: Site) -> Device:
    device = site.enrol()
    installing(site, device).run(0, "")
    return device


def a_first_install(site: Site) -> Make:
    return lambda: installing(site, site.enrol())


def an_update(site: Site) -> Make:
    device, versions = installed(site), itertools.cycle([*GOOD[1:], GOOD[0]])

    def make() -> Killing:
        version = next(versions)
        return Killing(site, device, [(lambda: site.roll_out(version, device), committed(site, version))])

    return make


def a_rollback_in_probation(site: Site) -> Make:
    device, versions = installed(site), itertools.cycle(SLOW)

    def make() -> Killing:
        version = next(versions)

        def done(view: dict[str, Any]) -> bool:
            return view.get("phase") == "rolled-back" and view.get("candidate") == site.releases[version]

        return Killing(site, device, [(lambda: site.roll_out(version, device), done)])

    return make


def a_trial_and_its_end(site: Site) -> Make:
    device, versions = installed(site), itertools.cycle(GOOD[1:])
    options: dict[str, Any] = {"mode": "shadow", "stages": [{"percent": 100, "soak_s": 3600}]}

    def make() -> Killing:
        version, rollouts = next(versions), []

        def ended(view: dict[str, Any]) -> bool:
            return view.get("phase") == "committed" and view.get("active") == site.releases[GOOD[0]]

        return Killing(
            site,
            device,
            [
                (
                    lambda: rollouts.append(site.roll_out(version, device, **options)),
                    lambda v: v.get("phase") == "trial",
                ),
                (lambda: site.fleet.api.post(f"/rollouts/{rollouts[0]}/abort", {}), ended),
            ],
        )

    return make


SCENARIOS: Sequence[Callable[[Site], Make]] = (
    a_first_install, an_update, a_rollback_in_probation, a_trial_and_its_end,
)  # fmt: skip


def at_each_write(site: Site, scenario: Callable[[Site], Make]) -> int:
    """Kill a scenario at each of its writes; how often it was."""
    make, killed = scenario(site), 0
    for turn in range(len(HOWS) if SOAK else 1):
        for at in range(FIRST, MOST, STRIDE):
            how = HOWS[(at + turn) % len(HOWS)]
            try:
                reached = make().run(at, how)
            except Exception as error:
                site.say(f"{scenario.__name__}, {how} write {at}: {error}")
                raise AssertionError(f"{scenario.__name__}, killed {how} write {at}: {error}") from error
            site.say(f"{scenario.__name__}, {how} write {at}: {'killed' if reached else 'there is none'}")
            if not reached:
                break
            killed += 1
    return killed


def test_killed_at_each_write_a_model_serves_again_and_the_server_knows(site: Site, record_property: Any) -> None:
    with ThreadPoolExecutor(len(SCENARIOS)) as pool:
        killed = [pool.submit(at_each_write, site, scenario) for scenario in SCENARIOS]
        counts = [one.result() for one in killed]
    assert all(counts)
    record_property("killed: real processes at each journal write", sum(counts))
