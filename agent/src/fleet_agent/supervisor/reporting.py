"""What goes up: the whole reported state, numbered events until they are acknowledged, telemetry."""

import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from dunlin_contract.event import Ack
from dunlin_contract.fit import DeviceDescription
from dunlin_contract.limits import LIMITS
from dunlin_contract.reported import ModelState, Reported
from dunlin_contract.settings import Settings
from dunlin_contract.telemetry import Comparison, ModelTelemetry, Telemetry
from fleet_agent import __version__, device
from fleet_agent.clock import Clock
from fleet_agent.journal import Journal
from fleet_agent.supervisor.directives import Directives
from fleet_agent.supervisor.downloads import Downloads
from fleet_agent.supervisor.fetching import Fetching
from fleet_agent.supervisor.front import Compared
from fleet_agent.supervisor.link import Link
from fleet_agent.supervisor.log import log
from fleet_agent.supervisor.loop import Loop, Timer
from fleet_agent.supervisor.planning import Planning
from fleet_agent.supervisor.sensing import Sensing
from fleet_agent.supervisor.serving import Serving
from fleet_agent.supervisor.status import model_state
from fleet_agent.supervisor.updates import Updates
from fleet_agent.update.state import Phase, State

_COALESCE_S = 0.2
_PROGRESS_S = 5.0
_EVENTS_AT_A_TIME = 16
_EVENTS_AGAIN_S = 60.0


@dataclass(slots=True)
class Sources:
    """Where the reported state is read from."""

    clock: Clock
    journal: Journal
    fetching: Fetching
    planning: Planning
    downloads: Downloads
    serving: Serving
    updates: Updates
    directives: Directives
    sensing: Sensing
    description: DeviceDescription
    boot_nonce: bytes


def _live_state(sources: Sources, name: str, state: State) -> ModelState:
    """One model with the numbers of this moment."""
    have, need = sources.downloads.progress(name)
    slot = state.trial if state.phase in (Phase.TRIAL, Phase.PROBATION) else state.active
    return replace(
        model_state(state),
        served=sources.serving.numbers(name, slot).count,
        chunks_have=have,
        chunks_need=need,
        rejected=sources.planning.rejected.get(name, ()),
    )


def model_states(sources: Sources) -> Mapping[str, ModelState]:
    """All models, as many as a report holds."""
    states = sorted(sources.updates.states.items())[: LIMITS.models]
    return {name: _live_state(sources, name, state) for name, state in states}


def reported(sources: Sources) -> Reported:
    """The whole reported state."""
    memory = sources.directives.memory
    return Reported(
        epoch=memory.seq_epoch,
        seq=memory.seq,
        boot_nonce=sources.boot_nonce,
        missing=sources.fetching.missing,
        models=model_states(sources),
        device=replace(sources.description, tier=device.tier()),
        uptime_s=int(sources.clock.since_boot()),
        time_s=max(0, min(LIMITS.time_s, int(sources.clock.wall()))),
        agent_version=__version__,
        temperature_dc=sources.sensing.reading.temperature_dc,
        root_version=memory.root_version,
    )


def report(sources: Sources) -> bytes:
    """The reported state as it goes over the wire; reasons are left out where all of them would not fit."""
    whole = reported(sources)
    data = whole.to_bytes()
    if len(data) > LIMITS.reported_bytes:
        models = {name: replace(model, rejected=()) for name, model in whole.models.items()}
        data = replace(whole, models=models).to_bytes()
    return data


def _comparison(sources: Sources, name: str, state: State) -> Comparison | None:
    """How the candidate on trial does beside the release that serves."""
    if state.phase != Phase.TRIAL or state.mode == "standby" or state.candidate is None:
        return None
    compared = sources.serving.numbers(name, state.trial).compared or Compared()
    return Comparison(
        candidate=state.candidate,
        mode=state.mode,
        pairs=compared.pairs,
        agreed=compared.agreed,
        errors=compared.errors,
        shed=compared.shed,
        latency_us=compared.latency_us,
        distance=compared.distance,
        memory_bytes=sources.serving.memory_bytes(name, state.trial),
    )


def telemetry(sources: Sources) -> Telemetry:
    """Counters since each worker was loaded."""
    models = {}
    for name, state in sources.updates.states.items():
        slot = state.serving
        copy = state.copy(slot)
        if copy is not None and sources.serving.ready(name):
            numbers = sources.serving.numbers(name, slot)
            models[name] = ModelTelemetry(
                release=copy.release,
                count=numbers.count,
                errors=numbers.errors,
                latency_us=numbers.sketch,
                comparison=_comparison(sources, name, state),
                drift=sources.serving.drift(name, slot),
                confidence=sources.serving.confidence(name, slot),
            )
    load = int(os.getloadavg()[0] * 1000)
    return Telemetry(
        models=models,
        memory_bytes=device.used_memory(),
        load_permille=min(load, 1_000_000),
        hardware=sources.sensing.hardware(),
    )


def telemetry_bytes(whole: Telemetry) -> bytes:
    """Telemetry as it goes over the wire; what baselines' bins hold is left out where all of it would not fit."""
    data = whole.to_bytes()
    if len(data) > LIMITS.telemetry_bytes:
        data = replace(whole, models={name: replace(one, drift=()) for name, one in whole.models.items()}).to_bytes()
    return data


class Reporting:
    """Publishes; everything unacknowledged goes up again, from the oldest on."""

    def __init__(self, loop: Loop, link: Link, sources: Sources, settings: Callable[[], Settings]) -> None:
        self._loop = loop
        self._link = link
        self._sources = sources
        self._settings = settings
        self.connected = False
        self._sent_event = 0
        self._soon: Timer | None = None
        self._regular: Timer | None = None
        self._numbers: Timer | None = None
        self._again: Timer | None = None
        self._progress_due = False

    def online(self) -> None:
        """Connected: everything is said anew."""
        self.connected = True
        self._report()
        self._send_events_again()
        self._telemetry_later()

    def offline(self) -> None:
        """Not connected."""
        self.connected = False
        for timer in (self._soon, self._regular, self._numbers, self._again):
            if timer is not None:
                timer.cancel()
        self._soon = self._again = None

    def changed(self) -> None:
        """Something changed that the server should see soon; many changes make one report."""
        if self.connected and self._soon is None:
            self._soon = self._loop.after(_COALESCE_S, self._report_soon)

    def progress(self) -> None:
        """A chunk more is there: worth a report now and then."""
        if self.connected and not self._progress_due:
            self._progress_due = True
            self._loop.after(_PROGRESS_S, self._report_progress)

    def settings_changed(self) -> None:
        """Intervals may be new."""
        if self.connected:
            self._report()
            self._telemetry_later()

    def acknowledged(self, ack: Ack) -> None:
        """The server has committed events up to ``ack.n``."""
        with self._sources.journal.transaction() as write:
            write.acknowledged(ack.stream, ack.n)
        if self._again is not None:
            self._again.cancel()
            self._again = None
        self._send_events()

    def _report_soon(self) -> None:
        self._soon = None
        self._report()
        self._send_events()

    def _report_progress(self) -> None:
        self._progress_due = False
        if self.connected:
            self._report()

    def _report(self) -> None:
        self._link.publish("reported", report(self._sources), 1)
        if self._regular is not None:
            self._regular.cancel()
        settings = self._settings()
        jitter = random.uniform(-settings.report_jitter_s, settings.report_jitter_s)
        self._regular = self._loop.after(max(1.0, settings.report_interval_s + jitter), self._report)

    def _send_events_again(self) -> None:
        self._again = None
        self._sent_event = 0
        self._send_events()

    def _send_events(self) -> None:
        if not self.connected:
            return
        # A server that was restored from a backup acknowledges past a gap only when it sees our oldest again.
        waiting = self._sources.journal.events(0, _EVENTS_AT_A_TIME)
        for n, record in waiting:
            if n > self._sent_event:
                self._link.publish("events", record, 1)
                self._sent_event = n
        if waiting and self._again is None:
            self._again = self._loop.after(_EVENTS_AGAIN_S, self._send_events_again)

    def _telemetry_later(self) -> None:
        if self._numbers is not None:
            self._numbers.cancel()
        self._numbers = self._loop.after(self._settings().telemetry_interval_s, self._send_telemetry)

    def _send_telemetry(self) -> None:
        self._sources.serving.count(self._send_counts)

    def _send_counts(self) -> None:
        if not self.connected:
            return
        data = telemetry_bytes(telemetry(self._sources))
        if len(data) <= LIMITS.telemetry_bytes:
            self._link.publish("telemetry", data, 0)
        else:
            log("telemetry is too large to be sent")
        self._telemetry_later()
