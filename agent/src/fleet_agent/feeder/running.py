"""The feeder's process: a thread for each source, and the control socket on which the supervisor hears of them."""

import os
import queue
import random
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dunlin_contract.results import Result
from fleet_agent import ipc
from fleet_agent.config import sources as config
from fleet_agent.config.sources import Source
from fleet_agent.errors import line
from fleet_agent.feeder.calling import Answer, Model
from fleet_agent.feeder.camera import Camera
from fleet_agent.feeder.confining import Confinement
from fleet_agent.feeder.errors import FeederError, LaterError, NeverError, SourceError
from fleet_agent.feeder.files import Folder, Schedule
from fleet_agent.feeder.inputs import Input, Inputs
from fleet_agent.feeder.sinks import Open, open_all
from fleet_agent.sandbox.enter import EXIT_REFUSED
from fleet_agent.sandbox.kernel import SandboxError

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 2.0, 300.0
_PATIENCE_S = 30.0
"""A model that is being replaced is no news."""
_ALIVE_S = 5.0
_KEPT_S = 30.0


class Talk:
    """The supervisor, from any thread."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._lock = threading.Lock()
        self._answers: dict[int, queue.SimpleQueue[dict[str, object]]] = {}
        self._number = 0

    def say(self, body: dict[str, object], fds: Sequence[int] = ()) -> None:
        """Send a message. Without a supervisor there is nobody to feed for."""
        try:
            with self._lock:
                ipc.send(self._control, body, fds)
        except OSError:
            os._exit(0)

    def keep(self, result: Result, priority: int) -> None:
        """See ``sinks.Keep``."""
        with self._lock:
            self._number += 1
            number = self._number
        answers = self._answers[number] = queue.SimpleQueue()
        try:
            fd = os.memfd_create("result", os.MFD_CLOEXEC)
            try:
                data = memoryview(result.to_bytes())
                while data:
                    data = data[os.write(fd, data) :]
                self.say({"is": "result", "id": number, "priority": priority}, [fd])
            finally:
                os.close(fd)
            try:
                answer = answers.get(timeout=_KEPT_S)
            except queue.Empty:
                raise LaterError("results are not kept: the disk does not answer") from None
        finally:
            del self._answers[number]
        code = answer.get("code")
        if code is not None:
            text = f"results are not kept: {answer.get('text')}"
            raise (NeverError if code in {"too-large", "malformed"} else LaterError)(text)

    def listen(self) -> None:
        """Hand answers to those who wait, until the supervisor is gone."""
        while (message := ipc.recv(self._control)) is not None:
            ipc.close_all(message.fds)
            waiting = self._answers.get(int(message.body["id"]))
            if waiting is not None:
                waiting.put(message.body)


@dataclass(slots=True)
class _Counts:
    answered: int = 0
    lost: int = 0


@dataclass(slots=True)
class Runner:
    """One source, its model and its sinks. ``say`` takes messages for the supervisor; ``renew`` is called in trouble,
    and does not return where a new process would be better off. ``troubled``: the one before told of trouble, and this
    one is to tell of its end.
    """

    source: Source
    inputs: Inputs
    model: Model
    sinks: Sequence[Open]
    say: Callable[[dict[str, object]], object]
    wait: Callable[[float], object] = time.sleep
    now: Callable[[], float] = time.monotonic
    renew: Callable[[], object] = lambda: None
    troubled: bool = False
    counts: _Counts = field(default_factory=_Counts)
    _pause: float = _FIRST_PAUSE_S
    _trouble_since: float | None = None
    _of_source: bool = False
    _told: bool = False
    _said: float = float("-inf")
    _due: float = float("-inf")

    def __post_init__(self) -> None:
        self._told = self._of_source = self.troubled

    def run(self) -> None:
        """Feed for ever."""
        while True:
            self.round()

    def round(self) -> None:
        """Feed until the source gives nothing for now, and wait a little, longer each time."""
        try:
            for one in self.inputs.inputs():
                self._alive()
                if self._of_source:
                    self._fine()
                if one is not None:
                    began = self.now()
                    self._feed(one)
                    self._pace(began)
        except SourceError as error:
            self._no_source(str(error))
        except Exception as error:  # noqa: BLE001 - one source's fault must not end it, nor the others
            self._no_source(f"unexpected {type(error).__name__}")
        self._rest()

    def _no_source(self, text: str) -> None:
        self._of_source = True
        self._trouble(SourceError(text), at_once=True)

    def _feed(self, one: Input) -> None:
        """Ask the model and hand on what it says. What can be tried again is, until it is taken; the rest is lost."""
        left = list(self.sinks)
        answer = None
        data: bytes | None = None
        while True:
            try:
                data = one.data() if data is None else data
                answer = self.model.ask(data) if answer is None else answer
                self._hand_on(one, answer, left)
            except NeverError as error:
                self.counts.lost += 1
                self._bad(one, error)
                return
            except LaterError as error:
                self._trouble(error, at_once=False)
                if not self.inputs.durable:
                    self.counts.lost += 1
                    return
                self._rest()
                continue
            self.counts.answered += 1
            self._fine()
            try:
                one.done()
            except NeverError as error:
                self._bad(one, error)
            return

    def _hand_on(self, one: Input, answer: Answer, left: list[Open]) -> None:
        later: LaterError | None = None
        for sink in list(left):
            try:
                sink.put(self.source.name, one.name, answer)
            except LaterError as error:
                later = error
                continue
            except NeverError as error:
                self._bad(one, error)
            left.remove(sink)
        if later is not None:
            raise later

    def _bad(self, one: Input, error: NeverError) -> None:
        self.renew()
        text = str(error) if one.name in str(error) else f"{one.name}: {error}"
        self.say({"is": "bad", "source": self.source.name, "text": line(text)})

    def _trouble(self, error: FeederError, *, at_once: bool) -> None:
        self.renew()
        if self._trouble_since is None:
            self._trouble_since = self.now()
        if not self._told and (at_once or self.now() - self._trouble_since >= _PATIENCE_S):
            self._told = True
            self.say({"is": "trouble", "source": self.source.name, "text": line(str(error))})

    def _fine(self) -> None:
        self._trouble_since = None
        self._of_source = False
        self._pause = _FIRST_PAUSE_S
        if self._told:
            self._told = False
            self.say({"is": "fine", "source": self.source.name})

    def _rest(self) -> None:
        # Half to all of it: several sources that wait for one thing do not come in step.
        self._wait(self._pause * (0.5 + random.random() / 2))
        self._pause = min(_LONGEST_PAUSE_S, self._pause * 2)

    def _pace(self, began: float) -> None:
        """A camera reads on meanwhile, so that no old picture waits."""
        if self.source.per_s and self.source.kind != "camera":
            self._due = max(self._due, began) + 1 / self.source.per_s
            self._wait(self._due - self.now())

    def _wait(self, seconds: float) -> None:
        until = self.now() + seconds
        while (left := until - self.now()) > 0:
            self._alive()
            self.wait(min(left, _ALIVE_S))

    def _alive(self) -> None:
        now = self.now()
        if now - self._said >= _ALIVE_S:
            self._said = now
            counts = {"answered": self.counts.answered, "lost": self.counts.lost}
            self.say({"is": "alive", "source": self.source.name, **counts})


def opened(source: Source) -> Inputs:
    """The source, with no more modules than it needs: MQTT and TLS take megabytes."""
    match source.kind:
        case "camera":
            return Camera(source)
        case "folder":
            return Folder(source)
        case "schedule":
            return Schedule(source)
    from fleet_agent.feeder.network import Pull, Topic

    return Pull(source) if source.kind == "http" else Topic(source)


def serve(control: socket.socket, parent: int) -> None:
    """What ``parent``, the supervisor, says first is what to feed; then feed until it is gone."""
    first = ipc.recv(control)
    if first is None:
        return
    talk = Talk(control)
    sources = [config.from_body(body) for body in first.body["sources"]]
    try:
        confined = Confinement(sources, parent)
    except SandboxError as error:
        for source in sources:
            talk.say({"is": "trouble", "source": source.name, "text": line(f"the sandbox does not work: {error}")})
        os._exit(EXIT_REFUSED)
    talk.say({"is": "confined", "tier": confined.record.tier})

    def renew() -> None:
        if confined.stale:
            talk.say({"is": "again"})
            os._exit(0)

    for source in sources:
        model = Model(Path(first.body["api"]), source.model)
        troubled = source.name in first.body["troubled"]
        sinks = open_all(source.sinks, talk.keep)
        runner = Runner(source, opened(source), model, sinks, talk.say, renew=renew, troubled=troubled)
        threading.Thread(target=runner.run, name=source.name, daemon=True).start()
    talk.listen()
