"""The whole supervisor in this process, with a director that hears it; time goes as fast as it is asked to.

Journal, slots, keys, signatures, directives, planning, downloads, updates, wipes and leases are the agent's own. Only
the broker's connection, the carriers and the workers are stand-ins, and "to serve" means here: the release's plaintext
comes out of the slot by the unlocker's own hand.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dunlin_contract.errors import ContractError
from dunlin_contract.event import Event
from dunlin_contract.golden import Golden, Sample, TensorData
from dunlin_contract.reported import Reported
from dunlin_contract.settings import Settings
from fleet_agent import device as real_device
from fleet_agent import ipc
from fleet_agent.config.api import Api
from fleet_agent.errors import StorageError, line
from fleet_agent.identity import Enrolment
from fleet_agent.paths import Paths
from fleet_agent.slots import Slot
from fleet_agent.supervisor import agent as assembly
from fleet_agent.supervisor.front import Listen, Numbers
from fleet_agent.supervisor.instance import GOOD, DamagedError, Outcome, read_layout
from fleet_agent.supervisor.unlocking import Answer, blob
from fleet_agent.unlocker.keystore import FileKeystore, KeystoreError
from fleet_agent.unlocker.requests import Requests
from fleet_agent.update.state import Copy
from tests.agent.fleet import Fleet, Release
from tests.agent.kill.simulated import SimulatedLoop

QUICK = Settings(
    report_interval_s=3600, report_jitter_s=0, probation_s=0, probation_requests=5, probation_max_s=60,
    telemetry_interval_s=600,
)  # fmt: skip

_SAID = ("step", "retained", "seq", "epoch", "signers", "root_envelope", "wanted", "tried")


@dataclass(frozen=True)
class Moment:
    """How much a director has said and heard. ``mark`` tells moments apart that matter for what comes next."""

    mark: tuple[object, ...]
    said: dict[str, Any]
    reported: Sequence[Reported]
    events: Sequence[Event]


@dataclass
class Behaviour:
    """What releases do once they run, by digest. ``rotten``: what is known to be good is not there any more.

    ``full``: so is the disk.
    """

    untrue: set[bytes] = field(default_factory=set)
    sick: set[bytes] = field(default_factory=set)
    large: set[bytes] = field(default_factory=set)
    rotten: bool = False
    full: bool = False


class Director(Fleet):
    """A fleet without a broker: what it publishes is there at once, what the device says it hears at once."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.objects: dict[bytes, bytes] = {}
        self.retained = b""
        self.listener: Callable[[str, bytes], None] | None = None
        self.behaviour = Behaviour()
        self.releases: dict[bytes, Release] = {}
        self.step = 0
        self.wanted: dict[str, bytes] = {}
        self.tried: dict[str, bytes] = {}

    def publish_object(self, name: bytes, data: bytes) -> None:
        self.objects[name] = data

    def publish(self, topic: str, payload: bytes, *, retain: bool = True) -> None:
        if retain:
            self.retained = payload
        if self.listener is not None:
            self.listener(topic, payload)

    def made(self, version: str, counter: int = 1, name: str = "adder") -> Release:
        """A release of random bytes, whose self-test is not run here but acted."""
        x, y = (TensorData(name=name, dtype="float32", shape=(1, 4), data=bytes(16)) for name in "xy")
        golden = Golden(samples=(Sample(inputs=(x,), outputs=(y,)),))
        release = self.release(0, name=name, version=version, counter=counter, model=os.urandom(6000), golden=golden)
        self.releases[release.digest] = release
        self.offer(release)
        return release

    def room(self, path: Any) -> Any:
        """What the device is told of its disk."""
        found = _statvfs(path)
        return SimpleNamespace(f_bavail=0, f_frsize=found.f_frsize, f_blocks=1) if self.behaviour.full else found

    def want(self, *releases: Release, **more: Any) -> None:
        """A new directive, retained by the broker."""
        self.wanted = {release.name: release.digest for release in releases}
        self.tried = {release.name: release.digest for release in more.get("trials", {})}
        self.desire(*releases, settings=QUICK, **more)

    def moment(self) -> Moment:
        """Now."""
        said = {name: getattr(self, name) for name in _SAID}
        return Moment((self.step, self.seq, len(self.events)), said, self.reported[-1:], list(self.events))

    def back_to(self, moment: Moment) -> None:
        """Forget what was said and heard since."""
        for name, value in moment.said.items():
            setattr(self, name, value)
        self.reported[:], self.events[:] = moment.reported, moment.events


_describe, _statvfs = real_device.describe, os.statvfs


@cache
def _description() -> Any:
    return _describe(Path("/"), ["onnxruntime"])


class _Nothing:
    """A part that is not needed here."""

    port = 1

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __getattr__(self, _: str) -> Callable[..., Any]:
        return lambda *_, **__: {}


class _Unlocker:
    """The unlocker's own answers, given in this process."""

    def __init__(self, loop: SimulatedLoop, paths: Paths) -> None:
        self._loop = loop
        self._requests = Requests(paths, FileKeystore(paths), locked=False)

    def ask(
        self, body: dict[str, object], done: Callable[[Answer], None], *, data: bytes | None = None,
        fds: Sequence[int] = (),
    ) -> None:  # fmt: skip
        files = [*([blob(data)] if data is not None else []), *fds]
        self._loop.post(lambda: self._answer(body, files, done))

    def _answer(self, body: dict[str, object], files: list[int], done: Callable[[Answer], None]) -> None:
        out: list[int] = []
        try:
            answer = Answer(ok=True, body=self._requests.answer(body, files, out), fds=out)
        except ContractError as error:
            answer = Answer(ok=False, refused=True, code=error.rule, text=line(error.detail))
        except (KeystoreError, StorageError) as error:
            answer = Answer(ok=False, code=error.code, text=str(error))
        finally:
            ipc.close_all(files)
        try:
            done(answer)
        finally:
            ipc.close_all(answer.fds)

    def close(self) -> None:
        pass


class _Link(_Nothing):
    """The connection to the director, from when it is plugged in."""

    def __init__(self, loop: SimulatedLoop, director: Director, handler: Any) -> None:
        super().__init__()
        self._loop = loop
        self._director = director
        self._handler = handler
        self.wanted = self.plugged = self.online = False

    def start(self, *_: Any) -> None:
        self.wanted = True
        self._go()

    def plug(self) -> None:
        self.plugged = True
        self._go()

    def _go(self) -> None:
        if self.wanted and self.plugged and not self.online:
            self.online = True
            self._director.listener = self._hear
            self._loop.post(self._handler.online)

    def _hear(self, topic: str, payload: bytes) -> None:
        self._loop.post(lambda: self._handler.message(topic, payload))

    def subscribe(self, names: Sequence[str]) -> None:
        if self._director.address.down("desired") in names and self._director.retained:
            self._hear(self._director.address.down("desired"), self._director.retained)

    def publish(self, kind: str, payload: bytes, qos: int) -> None:
        if self.online and kind in {"reported", "events"}:
            self._director._heard(self._director.address.up(kind), payload)

    def stop(self) -> None:
        self._director.listener = None


class _Carrying(_Nothing):
    """Brings what the director has, while there is a connection."""

    def __init__(self, loop: SimulatedLoop, director: Director, fetching: Any) -> None:
        super().__init__()
        self._loop = loop
        self._director = director
        self._fetching = fetching
        self._names: list[bytes] = []
        self._there = False
        fetching.carrier = self

    def want(self, names: Sequence[bytes]) -> None:
        self._names = list(names)
        self._loop.post(self._bring)

    def corrupt(self, name: bytes) -> None:
        raise AssertionError(f"object {name.hex()} was not what it should be")

    def online(self, there: bool) -> None:
        self._there = there
        self._loop.post(self._bring)

    def _bring(self) -> None:
        for name in list(self._names) if self._there else []:
            if name in self._names and name in self._director.objects:
                self._names.remove(name)
                self._fetching.arrived(name, self._director.objects[name])


class _Serving(_Nothing):
    """Workers that are acted: a release runs if its plaintext comes out of its slot."""

    def __init__(self, loop: SimulatedLoop, director: Director, unlocker: _Unlocker, listener: Any) -> None:
        super().__init__()
        self.front = self.alternates = _Nothing()
        self._loop = loop
        self._director = director
        self._unlocker = unlocker
        self._listener = listener
        self.loaded: dict[tuple[str, str], Copy] = {}
        self.routes: dict[str, str] = {}
        self._steps: dict[tuple[str, str], int] = {}
        self._staged: dict[tuple[str, str], Copy] = {}
        self._asked = 0
        self.first: dict[str, bytes] = {}
        """By model, the release that answered first in this life."""

    def answers(self, model: str) -> bytes | None:
        """Digest of the release that answers."""
        copy = self.loaded.get((model, self.routes.get(model, "")))
        return copy.release if copy is not None else None

    def _unlock(self, slot: Slot, copy: Copy, done: Callable[[Outcome], None]) -> None:
        key = slot.model, slot.name
        self._steps[key] = step = self._steps.get(key, 0) + 1

        def unlocked(answer: Answer) -> None:
            if self._steps.get(key) != step:
                return
            if answer.ok:
                assert answer.blob() == self._director.releases[copy.release].plaintext
                done(GOOD)
            else:
                damaged = answer.refused or answer.code == "keystore"
                done(Outcome(False, answer.code, answer.text, damaged))

        try:
            layout = read_layout(slot, copy)
            body: dict[str, object] = {
                "do": "unlock",
                "model": slot.model,
                "release": copy.release,
                "cek": slot.sealed_cek() or b"",
                "payload": layout.manifest.payloads[layout.model.payload].to_cbor(),
                "offset": layout.model.offset,
            }
            fds = [slot.open_chunks()]
        except (DamagedError, StorageError) as error:
            self._loop.post(partial(done, Outcome(False, "damaged", str(error), damaged=True)))
            return
        self._unlocker.ask(body, unlocked, fds=fds)

    def stage(self, slot: Slot, copy: Copy, done: Callable[[Outcome], None]) -> None:
        self.loaded.pop((slot.model, slot.name), None)
        self._staged[slot.model, slot.name] = copy
        self._unlock(slot, copy, done)

    def load(self, model: str, slot: str, done: Callable[[Outcome], None]) -> None:
        copy = self._staged[model, slot]
        others = [key for key in self.loaded if key[0] == model and key[1] != slot]
        if copy.release in self._director.behaviour.large and others:
            self._loop.post(partial(done, Outcome(False, "no-room", "too large for both")))
            return
        self.loaded[model, slot] = copy
        self._loop.post(partial(done, GOOD))

    def test(self, model: str, slot: str, started: Callable[[], None], done: Callable[[Outcome], None]) -> None:
        release = self.loaded[model, slot].release
        untrue = release in self._director.behaviour.untrue
        self._loop.post(started)
        self._loop.post(partial(done, Outcome(False, "self-test", "other outputs") if untrue else GOOD))

    def serve(self, slot: Slot, copy: Copy) -> None:
        self.routes[slot.model] = slot.name
        if (slot.model, slot.name) in self.loaded:
            self.first.setdefault(slot.model, copy.release)
            return

        def ended(outcome: Outcome) -> None:
            if self.routes.get(slot.model) != slot.name:
                return
            if outcome.ok:
                self.loaded[slot.model, slot.name] = copy
                self.first.setdefault(slot.model, copy.release)
            elif self._listener.start_failed(slot.model, slot.name, outcome):
                self._loop.after(1.0, lambda: self.serve(slot, copy))

        self._unlock(slot, copy, ended)

    def try_beside(self, model: str, slot: str, mode: str, share: int) -> None:
        assert (model, slot) in self.loaded

    def unserve(self, model: str) -> None:
        self.routes.pop(model, None)

    def retire(self, model: str, slot: str) -> None:
        self.loaded.pop((model, slot), None)
        self._steps.pop((model, slot), None)

    def kill(self, model: str) -> None:
        self.unserve(model)
        for slot in ("a", "b"):
            self.retire(model, slot)

    def numbers(self, model: str, slot: str | None) -> Numbers:
        copy = self.loaded.get((model, slot or ""))
        sick = copy is not None and copy.release in self._director.behaviour.sick
        self._asked += 10
        return Numbers(count=self._asked, errors=self._asked if sick else 0, sketch={10: self._asked})

    def budget_us(self, *_: str) -> int:
        return 1_000_000_000

    def runs(self, model: str, slot: str | None) -> bool:
        return (model, slot or "") in self.loaded

    def ready(self, model: str) -> bool:
        return self.answers(model) is not None

    def about(self, _: str) -> dict[str, object]:
        return {}

    def memory_bytes(self, *_: Any) -> int:
        return 0

    def close(self) -> None:
        pass


class Life:
    """One life of a device, from its start until its power goes."""

    def __init__(self, director: Director, state: Path) -> None:
        self.director = director
        self.loop = loop = SimulatedLoop()
        director.state = state
        director.listener = None
        paths = Paths(state)
        with pytest.MonkeyPatch.context() as patch:
            for name, part in {
                "Loop": lambda: loop,
                "Unlocker": _Unlocker,
                "Serving": lambda _, unlocker, *rest, **__: _Serving(loop, director, unlocker, rest[2]),
                "Link": lambda *rest: _Link(loop, director, rest[-1]),
                "Control": _Nothing,
            }.items():
                patch.setattr(assembly, name, part)
            patch.setattr(
                assembly.carrying, "Carrying", lambda _ways, _c, _l, fetching, _s: _Carrying(loop, director, fetching)
            )
            patch.setattr(assembly.choosing, "Choosing", _Nothing)
            patch.setattr(assembly.engines, "Engines", _Nothing)
            patch.setattr(real_device, "describe", lambda *_: _description())
            listen = Listen("127.0.0.1", 0, None, Api())
            configuration = assembly.Configuration(listen, (), None)
            enrolment = Enrolment.from_bytes(paths.enrolment.read_bytes())
            self.agent: Any = assembly.Agent(paths, enrolment, configuration, loop.clock(time.time()))
        self.serving: _Serving = self.agent._serving
        self.link: _Link = self.agent._link
        loop.post(self.agent._boot)

    @property
    def states(self) -> dict[str, Any]:
        return self.agent._updates.states

    def close(self) -> None:
        self.link.stop()
        self.agent._journal.close()
