"""What a director asks of a device, step by step; a device that was killed in one step goes on from there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dunlin_contract import hpke, keys
from dunlin_contract.directive import Lease
from fleet_agent.supervisor.status import model_state
from fleet_agent.update.state import UNDERWAY, Phase
from tests.agent.fleet import Signers, sha256
from tests.agent.kill.device import Director, Life

_STAYS = UNDERWAY - {Phase.TRIAL}
_LEASE_S = 1000


def astray(life: Life) -> str:
    """What is not yet as the director wants it, or not yet known to it; empty: nothing. This is convergence."""
    agent, director = life.agent, life.director
    journal, memory = agent._journal, agent._directives.memory
    if not life.link.online:
        return "the device is not connected"
    if (memory.seq_epoch, memory.seq) != (director.epoch, director.seq):
        return f"the device follows directive {memory.seq_epoch}/{memory.seq}, not {director.epoch}/{director.seq}"
    if journal.fact("wipe") is not None or agent._busy:
        return "a wipe goes on"
    if set(life.states) != set(director.wanted):
        return f"the device has {sorted(life.states)}"
    for name, state in life.states.items():
        if state.phase in _STAYS and not state.halted:
            return f"{name} is {state.phase}"
        active = state.copy(state.active)
        serves = active is not None and active.release == director.wanted[name]
        if not serves and state.failed != director.wanted[name]:
            return f"{name} neither serves nor failed"
        tried = director.tried.get(name)
        if serves and tried not in (None, state.failed) and (state.phase, state.candidate) != (Phase.TRIAL, tried):
            return f"{name} is not on trial"
        slot = state.copy(state.serving)
        if life.serving.answers(name) != (slot.release if slot is not None else None):
            return f"{name} does not serve what it should"
    return _unheard(life)


def _unheard(life: Life) -> str:
    director, states = life.director, life.states
    if not director.reported:
        return "nothing was reported"
    last = director.reported[-1]
    known = {
        name: (one.phase, one.active, one.previous, one.candidate, one.error_code, one.error_text)
        for name, one in last.models.items()
    }
    true = {
        name: (one.phase, one.active, one.previous, one.candidate, one.error_code, one.error_text)
        for name, one in ((name, model_state(state)) for name, state in states.items())
    }
    if known != true or (last.epoch, last.seq) != (director.epoch, director.seq):
        return f"the server believes {known}, it is {true}"
    if life.agent._journal.event_count():
        return "the server has not acknowledged all events"
    numbers = {event.n for event in director.events}
    return "" if numbers == set(range(1, len(numbers) + 1)) else f"the server has events {sorted(numbers)}"


@dataclass(frozen=True)
class Step:
    """What is said or done, and what is waited for then. ``setting``: it sets the stage, nothing is killed in it."""

    say: Callable[[], object]
    astray: Callable[[Life], str] = astray
    seconds: float = 1800.0
    setting: bool = False


Scenario = Callable[[Director], Sequence[Step]]
"""Once the stage is set the device starts again, and from there on it is killed."""


def install(director: Director) -> Sequence[Step]:
    one = director.made("1.0.0")
    return [Step(director.want, setting=True), Step(lambda: director.want(one))]


def update(director: Director) -> Sequence[Step]:
    one, two = director.made("1.0.0"), director.made("2.0.0")
    return [Step(lambda: director.want(one), setting=True), Step(lambda: director.want(two))]


def there_and_back(director: Director) -> Sequence[Step]:
    one, two = director.made("1.0.0"), director.made("2.0.0")
    return [
        Step(lambda: director.want(one), setting=True),
        Step(lambda: director.want(two)),
        Step(lambda: director.want(one)),
    ]


def refused_by_the_self_test(director: Director) -> Sequence[Step]:
    one, two = director.made("1.0.0"), director.made("2.0.0")
    director.behaviour.untrue.add(two.digest)
    return [Step(lambda: director.want(one), setting=True), Step(lambda: director.want(two))]


def rolled_back_in_probation(director: Director) -> Sequence[Step]:
    one, two = director.made("1.0.0"), director.made("2.0.0")
    director.behaviour.sick.add(two.digest)
    return [Step(lambda: director.want(one), setting=True), Step(lambda: director.want(two))]


def no_room_for_both(director: Director) -> Sequence[Step]:
    one, two = director.made("1.0.0"), director.made("2.0.0")
    director.behaviour.large.add(two.digest)
    return [Step(lambda: director.want(one), setting=True), Step(lambda: director.want(two))]


def trial_promoted(director: Director) -> Sequence[Step]:
    one, two = director.made("1.0.0"), director.made("2.0.0")
    return [
        Step(lambda: director.want(one), setting=True),
        Step(lambda: director.want(one, trials={two: ("shadow", 1000)})),
        Step(lambda: director.want(two)),
    ]


def trial_aborted(director: Director) -> Sequence[Step]:
    one, two = director.made("1.0.0"), director.made("2.0.0")
    return [
        Step(lambda: director.want(one), setting=True),
        Step(lambda: director.want(one, trials={two: ("split", 100)})),
        Step(lambda: director.want(one, trials={two: ("split", 500)})),
        Step(lambda: director.want(one)),
    ]


def trial_on_standby_that_fails(director: Director) -> Sequence[Step]:
    one, two = director.made("1.0.0"), director.made("2.0.0")
    director.behaviour.sick.add(two.digest)
    return [
        Step(lambda: director.want(one), setting=True),
        Step(lambda: director.want(one, trials={two: ("standby", 1000)})),
    ]


def trial_of_a_device_that_is_switched_off(director: Director) -> Sequence[Step]:
    """The restart is held against the candidate, until it has been on trial for a while."""
    one, two = director.made("1.0.0"), director.made("2.0.0")

    def stable(life: Life) -> str:
        return astray(life) or ("the restart still counts" if life.states["adder"].restarts else "")

    return [
        Step(lambda: director.want(one), setting=True),
        Step(lambda: director.want(one, trials={two: ("standby", 1000)}), setting=True),
        Step(lambda: None, stable),
    ]


def removed_and_back(director: Director) -> Sequence[Step]:
    one, other = director.made("1.0.0"), director.made("1.0.0", name="other")
    return [
        Step(lambda: director.want(one, other), setting=True),
        Step(lambda: director.want(other)),
        Step(lambda: director.want(one, other)),
    ]


def floor_raised(director: Director) -> Sequence[Step]:
    one, two = director.made("1.0.0", counter=1), director.made("2.0.0", counter=2)
    return [
        Step(lambda: director.want(one), setting=True),
        Step(lambda: director.want(two, floor=2)),
        Step(lambda: director.want(one, floor=2)),
    ]


def wiped_and_installed_again(director: Director) -> Sequence[Step]:
    one, other = director.made("1.0.0"), director.made("1.0.0", name="other")
    return [
        Step(lambda: director.want(one, other), setting=True),
        Step(lambda: director.want(other, wipe=director.wipe_order("adder"))),
        Step(lambda: director.want(one, other)),
    ]


def all_wiped(director: Director) -> Sequence[Step]:
    one = director.made("1.0.0")
    return [Step(lambda: director.want(one), setting=True), Step(lambda: director.want(wipe=director.wipe_order()))]


def root_rotated(director: Director) -> Sequence[Step]:
    """A stolen director key raised the floor out of reach; the rotation that ends it undoes that."""
    one, two = director.made("1.0.0"), director.made("2.0.0")

    def rotate() -> None:
        """New keys but the release signer's; the old director names the root that ends it."""
        old = director.signers
        new = Signers(release=old.release)
        envelope = new.sign_root(director.ca.key, version=2, epoch=1, also=[old.root])
        director.publish_object(sha256(envelope), envelope)
        director.want(one, root=envelope)
        director.signers, director.root_envelope, director.epoch, director.seq = new, envelope, 1, 0
        director.want(two, root=envelope)

    return [Step(lambda: director.want(one, floor=9), setting=True), Step(rotate)]


def another_grant(director: Director) -> Sequence[Step]:
    """The first grant was sealed to a key that the device does not have, as after a wipe."""
    one, two = director.made("1.0.0"), director.made("2.0.0")

    def stale() -> None:
        kem = keys.spki(keys.generate())
        director.want(two, grants={"adder": hpke.seal_cek(two.cek, kem, two.digest, director.device)})

    return [Step(lambda: director.want(one), setting=True), Step(stale), Step(lambda: director.want(two))]


def lease_ended_and_renewed(director: Director) -> Sequence[Step]:
    one = director.made("1.0.0")
    lease = Lease(seconds=_LEASE_S, action="stop")

    def halted(life: Life) -> str:
        return astray(life) or ("" if life.states["adder"].halted else "the lease has not ended")

    def serves(life: Life) -> str:
        return astray(life) or ("the lease is not renewed" if life.states["adder"].halted else "")

    return [
        Step(lambda: director.want(one, lease=lease), setting=True),
        Step(lambda: None, halted, 3.0 * _LEASE_S),
        Step(lambda: director.want(one, lease=lease), serves, _LEASE_S / 2),
    ]


def no_room_on_the_disk(director: Director) -> Sequence[Step]:
    one, two = director.made("1.0.0"), director.made("2.0.0")

    def fill() -> None:
        director.behaviour.full = True
        director.want(two)

    return [Step(lambda: director.want(one), setting=True), Step(fill)]


def _rot(director: Director, slot: str) -> None:
    """Flip a bit of what lies in a slot; nobody touches it before the device starts again."""
    chunks = director.state / "models" / "adder" / slot / "chunks"
    data = bytearray(chunks.read_bytes())
    data[100] ^= 1
    chunks.write_bytes(data)
    director.behaviour.rotten = True


def damaged_and_fetched_again(director: Director) -> Sequence[Step]:
    one = director.made("1.0.0")
    return [Step(lambda: director.want(one), setting=True), Step(lambda: _rot(director, "a"))]


def damaged_with_another_to_go_back_to(director: Director) -> Sequence[Step]:
    one, two = director.made("1.0.0"), director.made("2.0.0")
    return [
        Step(lambda: director.want(one), setting=True),
        Step(lambda: director.want(two), setting=True),
        Step(lambda: _rot(director, "b")),
    ]


def damaged_for_good(director: Director) -> Sequence[Step]:
    """What is desired failed here, and what served cannot be had any more: idle, until another is desired."""
    one, two, three = director.made("1.0.0"), director.made("2.0.0"), director.made("3.0.0")
    director.behaviour.untrue.add(two.digest)
    return [
        Step(lambda: director.want(one), setting=True),
        Step(lambda: director.want(two), setting=True),
        Step(lambda: _rot(director, "a")),
        Step(lambda: director.want(three)),
    ]


ALL: Sequence[Scenario] = (
    install, update, there_and_back, refused_by_the_self_test, rolled_back_in_probation, no_room_for_both,
    trial_promoted, trial_aborted, trial_on_standby_that_fails, trial_of_a_device_that_is_switched_off,
    removed_and_back, floor_raised, wiped_and_installed_again, all_wiped, root_rotated, another_grant,
    lease_ended_and_renewed, no_room_on_the_disk, damaged_and_fetched_again, damaged_with_another_to_go_back_to,
    damaged_for_good,
)  # fmt: skip
