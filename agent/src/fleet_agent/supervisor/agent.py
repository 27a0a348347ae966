"""The agent put together: what starts, in which order, and who tells whom."""

import os
import signal
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from dunlin_contract import topics
from dunlin_contract.directive import Directive
from dunlin_contract.event import Ack
from dunlin_contract.root import Root
from dunlin_contract.settings import Settings
from fleet_agent import device
from fleet_agent.clock import Clock, SignedTime
from fleet_agent.config.capture import Capture
from fleet_agent.config.carriers import Carriers
from fleet_agent.config.power import Power
from fleet_agent.config.sources import Source
from fleet_agent.config.workers import Workers
from fleet_agent.identity import Enrolment
from fleet_agent.journal import Journal
from fleet_agent.paths import Paths
from fleet_agent.results.policy import Caps
from fleet_agent.slots import Slot
from fleet_agent.supervisor import captures, carrying, choosing, directives, engines, renewal, reporting, wiping
from fleet_agent.supervisor.allowance import Allowance
from fleet_agent.supervisor.control import Caller, Control
from fleet_agent.supervisor.downloads import Downloads
from fleet_agent.supervisor.feeding import Feeding
from fleet_agent.supervisor.fetching import Fetching
from fleet_agent.supervisor.front import Listen
from fleet_agent.supervisor.gateway import MakeGateway
from fleet_agent.supervisor.heat import Heat
from fleet_agent.supervisor.instance import Instance, Outcome
from fleet_agent.supervisor.leases import Leases
from fleet_agent.supervisor.link import Link
from fleet_agent.supervisor.log import log
from fleet_agent.supervisor.loop import Loop
from fleet_agent.supervisor.notify import Notify
from fleet_agent.supervisor.planning import Planning
from fleet_agent.supervisor.results import Results
from fleet_agent.supervisor.sensing import Hearers, Sensing
from fleet_agent.supervisor.serving import Serving
from fleet_agent.supervisor.status import basics, last_directive, last_remembered, shown
from fleet_agent.supervisor.unlocking import Answer, Unlocker
from fleet_agent.supervisor.updates import Tools, Updates
from fleet_agent.update import events as on
from fleet_agent.update.state import Phase

_ROOT_RETRY_S = 30.0
_DENIED_TOLD = 16


@dataclass(frozen=True, slots=True)
class Configuration:
    """What the command line says. ``runtimes``: offer only these; ``broker``: reach it there instead.

    ``gateway``: makes the gateway of an agent that has serial lines.
    """

    listen: Listen
    runtimes: tuple[str, ...]
    broker: tuple[str, int] | None
    gateway: MakeGateway | None = None
    workers: Workers = field(default_factory=Workers)
    results: Caps = field(default_factory=Caps)
    sources: tuple[Source, ...] = ()
    carriers: Carriers = field(default_factory=Carriers)
    power: Power | None = None
    capture: Capture = field(default_factory=Capture)


class Agent:
    """The supervisor. It hears of everything and hands each thing to the part that decides it."""

    def __init__(self, paths: Paths, enrolment: Enrolment, configuration: Configuration, clock: Clock) -> None:
        self._enrolment = enrolment
        self._broker = configuration.broker or (enrolment.broker_host, enrolment.broker_port)
        self._loop = loop = Loop()
        self._journal = journal = Journal(paths.journal)
        self._clock = clock
        remembered = last_remembered(journal, enrolment)
        self._time = time = SignedTime(clock, remembered.time_floor)
        boot_nonce = os.urandom(16)
        description = device.describe(paths.base, configuration.runtimes)
        self._unlocker = unlocker = Unlocker(loop, paths)
        fetching = Fetching(self._corrupted, self._changed)
        power = configuration.power
        lean = power is not None and "variant" in power.actions
        planning = Planning(loop, fetching, unlocker, enrolment.device, description, lambda: time.now, lean=lean)
        downloads = Downloads(loop, fetching, self._progress)
        self._serving = serving = Serving(
            loop, unlocker, configuration.listen, device.available_memory, self, configuration.workers
        )
        tools = Tools(loop, paths, journal, clock, time, unlocker, planning, downloads, serving)
        self._updates = Updates(tools, lambda: self._directives.settings, self._changed)
        parts = directives.Parts(loop, paths, journal, time, unlocker, fetching, enrolment.device, boot_nonce)
        self._directives = directives.Directives(parts, remembered, last_directive(journal), self)
        self._leases = Leases(loop, journal, clock, self._lease_ended)
        self._link = Link(loop, paths, topics.Address(enrolment.device), time, self)
        caps = replace(configuration.results, capture_bytes=configuration.capture.most_mb << 20)
        self._results = Results(loop, self._link, paths.results, caps, clock, self.tell)
        keeping = captures.Parts(
            loop, unlocker, serving, self._results, Allowance(journal, clock, time), enrolment.device,
            lambda: self._directives.memory.root_version, self._trying, self._captured,
        )  # fmt: skip
        self._captures = captures.Captures(keeping, configuration.capture)
        self._wiping = wiping.Wiping(
            wiping.Parts(
                loop, paths, journal, clock, time, unlocker, self._updates, enrolment.device, self._changed, self.tell,
                self._forget,
            )
        )  # fmt: skip
        settings = self._directives.settings
        ways = carrying.Ways(loop, paths, time, enrolment.url, downloads.locate, self._releases)
        self._carrying = carrying.Carrying(ways, configuration.carriers, self._link, fetching, settings)
        heat = Heat(power, serving.front.limit, self._updates.defer_trials, self._look_at_ways)
        self._sensing = Sensing(loop, clock, power, Hearers(self.tell, heat.turned))
        self._engines = engines.Engines(
            engines.Parts(
                loop, unlocker, serving.unlock, configuration.workers, device.available_memory,
                lambda: self._sensing.reading, lambda: heat.waiting, self._updates.note, self._look_at_ways,
            )
        )  # fmt: skip
        self._choosing = choosing.Choosing(
            choosing.Parts(
                self._updates.states, partial(Slot, paths, journal), serving.alternates, self._engines,
                lambda: heat.cooling, self._updates.note,
            )
        )  # fmt: skip
        self._sources = reporting.Sources(
            clock, journal, fetching, planning, downloads, serving, self._updates, self._directives, self._sensing,
            description,
            boot_nonce,
        )  # fmt: skip
        self._reporting = reporting.Reporting(loop, self._link, self._sources, self._settings)
        self._renewal = renewal.Renewal(renewal.Parts(loop, paths, time, unlocker, self._link.reconnect), enrolment)
        make = configuration.gateway
        self._gateway = make(loop, self._link, settings.object_timeout_s, self._corrupted) if make is not None else None
        self._control = Control(loop, paths.control, {"status": self._tell_status, "enroll-child": self._enroll_child})
        self._feeding: Feeding | None = None
        if configuration.sources and configuration.listen.socket is not None:
            api = Path(configuration.listen.socket)
            self._feeding = Feeding(loop, configuration.sources, api, self._results, self._holds, self.tell)
        self._following: Directive | None = None
        self._busy = False
        self._denied: set[str] = set()

    def run(self) -> None:
        """Serve and follow until a signal says to stop."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._loop.stop())
        notify = Notify(self._loop)
        self._loop.post(self._boot)
        self._loop.post(lambda: notify.ready(f"device {self._enrolment.device}"))
        self._loop.post(self._results.start)
        self._loop.post(self._captures.start)
        self._loop.post(self._carrying.start)
        self._loop.post(self._sensing.start)
        self._loop.post(self._engines.start)
        if self._feeding is not None:
            self._loop.post(self._feeding.start)
        if self._gateway is not None:
            self._gateway.start()
        self._loop.run()
        notify.stopping()
        if self._gateway is not None:
            self._gateway.close()
        if self._feeding is not None:
            self._feeding.close()
        self._link.stop()
        self._carrying.close()
        self._sensing.close()
        self._engines.close()
        self._captures.close()
        self._serving.close()
        self._unlocker.close()
        self._results.close()
        self._control.close()
        self._journal.close()

    # Starting: what was being wiped stays gone, what served serves again, and only then the network.

    def _boot(self) -> None:
        self.tell("boot", "", "the agent started")
        self._wiping.resume(self._boot_order)

    def _boot_order(self) -> None:
        directive = self._directives.directive
        if directive is None:
            self._boot_models()
        else:
            self._wiping.follow(directive, self._boot_models)

    def _boot_models(self) -> None:
        directive = self._directives.directive
        desired = directive.desired if directive is not None else {}
        trials = directive.trials if directive is not None else {}
        self._updates.boot(desired, trials)
        if directive is not None:
            # The power may have gone between the journal's word of a directive and its being followed.
            self._updates.follow(desired, trials, renewed=self._leases.holding(desired))
            self._captures.follow(directive.captures)
            self._directives.resume()
        self._leases.start(desired)
        self._ask_root()

    def _ask_root(self) -> None:
        self._unlocker.ask({"do": "root"}, self._root_known)

    def _root_known(self, answer: Answer) -> None:
        if not answer.ok:
            log(f"the root metadata cannot be read ({answer.text}): restore root.cose, or enrol this device anew")
            self._loop.after(_ROOT_RETRY_S, self._ask_root)
            return
        self._directives.root_is(Root.from_bytes(answer.blob()))
        self._renewal.start()
        self._link.start(*self._broker)

    # The connection tells.

    def online(self) -> None:
        log("connected to the broker")
        self._denied.clear()
        address = topics.Address(self._enrolment.device)
        self._link.subscribe([address.down("desired"), address.down("ack")])
        self._carrying.online(True)
        self._reporting.online()
        self._results.online()
        if self._gateway is not None:
            self._gateway.online()

    def offline(self, _: str) -> None:
        self._carrying.online(False)
        self._reporting.offline()
        self._results.offline()
        if self._gateway is not None:
            self._gateway.offline()

    def message(self, topic: str, payload: bytes) -> None:
        name = topics.parse_object(topic)
        address = topics.Address(self._enrolment.device)
        if name is not None:
            self._carrying.message(name, payload)
            if self._gateway is not None:
                self._gateway.object_came(name, payload)
        elif topic == address.down("desired"):
            self._directives.message(payload)
        elif topic == address.down("ack"):
            self._directives.ack(payload)
        elif self._gateway is not None:
            self._gateway.message(topic, payload)

    def denied(self, what: str, topic: str) -> None:
        if topic in self._denied or len(self._denied) >= _DENIED_TOLD:
            return
        # Once a connection: the event that tells of it may be denied too.
        self._denied.add(topic)
        log(f"the broker does not let this device {what} {topic}: check its access list")
        self.tell("note", "denied", f"the broker does not let this device {what} {topic}")

    def certificate_expired(self) -> None:
        self._renewal.now()

    # Directives tell.

    def follow(self, directive: Directive) -> None:
        self._leases.renewed(directive.desired)
        self._carrying.followed()
        self._following = directive
        self._changed()
        self._go_on()

    def _go_on(self) -> None:
        """A wipe comes before everything else of its directive; meanwhile a newer directive waits."""
        directive = self._following
        if directive is not None and not self._busy:
            self._busy, self._following = True, None
            self._wiping.follow(directive, lambda: self._apply(directive))

    def _apply(self, directive: Directive) -> None:
        self._busy = False
        if self._following is None:
            self._updates.follow(directive.desired, directive.trials, renewed=directive.desired.keys())
            self._captures.follow(directive.captures)
        self._go_on()

    def tell(self, kind: str, code: str, text: str) -> None:
        self._updates.note(kind, code, text)

    def acknowledged(self, ack: Ack) -> None:
        if ack.stream == self._journal.stream:
            self._reporting.acknowledged(ack)
        else:
            self._results.acknowledged(ack)

    def settings_changed(self) -> None:
        settings = self._settings()
        self._carrying.configure(settings)
        if self._gateway is not None:
            self._gateway.configure(settings.object_timeout_s)
        self._reporting.settings_changed()

    # Serving tells.

    def worker_died(self, model: str, slot: str, text: str) -> bool:
        return self._updates.worker_died(model, slot, text)

    def start_failed(self, model: str, slot: str, outcome: Outcome) -> bool:
        return self._updates.start_failed(model, slot, outcome)

    def stood_in(self, model: str, way: str, why: str) -> None:
        self._choosing.lost(model, way, why)

    def ended(self, model: str) -> None:
        self._engines.cancel(model)

    def serves(self) -> None:
        self._choosing.look()

    def front_failed(self, code: str, text: str) -> None:
        self._updates.front_failed(code, text)

    def routed(self, model: str) -> None:
        self._captures.apply(model)

    def worker_kept(self, worker: Instance, length: int) -> None:
        self._captures.worker_kept(worker, length)

    def front_kept(self, worker: Instance, length: int) -> None:
        self._captures.front_kept(worker, length)

    # Others tell.

    def _look_at_ways(self) -> None:
        self._choosing.look()

    def _trying(self, model: str) -> bool:
        state = self._updates.states.get(model)
        return state is not None and state.phase == Phase.TRIAL

    def _captured(self, code: str, text: str, model: str) -> None:
        self._updates.note("note", code, text, model)

    def _forget(self, model: str) -> None:
        """Raises StorageError."""
        self._captures.forget(model)
        self._results.forget(model)

    def _settings(self) -> Settings:
        return self._directives.settings

    def _holds(self, model: str, release: bytes) -> bool:
        state = self._updates.states.get(model)
        copies = (state.a, state.b) if state is not None else ()
        return any(copy is not None and copy.release == release for copy in copies)

    def _releases(self) -> dict[bytes, bytes]:
        """Releases to have or to try, by the names of their manifests."""
        directive = self._directives.directive
        if directive is None:
            return {}
        tried = [trial.candidate for trial in directive.trials.values()]
        return {one.manifest: one.release for one in [*directive.desired.values(), *tried]}

    def _changed(self) -> None:
        self._reporting.changed()
        self._choosing.look()

    def _progress(self) -> None:
        self._reporting.progress()

    def _corrupted(self, name: bytes) -> None:
        self.tell("object-corrupt", "leaf", f"object {name.hex()} came damaged and is asked for again")

    def _lease_ended(self, model: str, action: str) -> None:
        if action == "stop":
            self._updates.feed(model, on.LeaseEnded())
        else:
            self._updates.note("lease-expired", "warn", "no directive came in time", model)

    def _tell_status(self, _: dict[str, object], caller: Caller) -> None:
        def tell() -> None:
            caller.say(self.status())
            caller.end()

        self._serving.count(tell)

    def _enroll_child(self, request: dict[str, object], caller: Caller) -> None:
        if self._gateway is None:
            caller.say({"error": "this agent has no serial lines: run it with --line DEVICE"})
            caller.end()
        else:
            self._gateway.enroll(request, caller)

    def _about(self, model: str) -> dict[str, object]:
        capture, engine = self._captures.status(model), self._engines.status(model)
        return (
            self._serving.about(model)
            | ({"capture": capture} if capture else {})
            | ({"engine": engine} if engine else {})
        )

    def status(self) -> dict[str, object]:
        """What ``fleet-agent status`` shows; digests in hex."""
        lines = {"lines": self._gateway.status()} if self._gateway is not None else {}
        temperature = self._sensing.reading.temperature_dc
        return {
            "running": True,
            "connected": self._reporting.connected,
            "port": self._serving.front.port,
            "pid": os.getpid(),
            "temperature_c": None if temperature is None else temperature / 10,
            "hardware": self._sensing.status(),
            "corrupt_objects": self._sources.fetching.corrupt_count,
            "carriers": self._carrying.status(),
            "results": self._results.status(),
            "sources": self._feeding.states if self._feeding is not None else {},
            **basics(self._enrolment, self._journal, self._directives.memory),
            **lines,
            "models": {
                name: shown(state) | {"ready": self._serving.ready(name)} | self._about(name)
                for name, state in reporting.model_states(self._sources).items()
            },
        }
