"""Parts of the gateway's tests: a fleet whose device is a gateway, the server's side of its children, boards."""

import json
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from dunlin_contract import cose, envelopes, hpke, keys, topics
from dunlin_contract.cose import Role
from dunlin_contract.directive import Desired, Directive, Lease
from dunlin_contract.enrolment import ClaimToken, EnrolReply, EnrolRequest
from dunlin_contract.event import Ack, Event
from dunlin_contract.reported import Reported
from tests.agent.fleet import DAY_S, Agent, Fleet, Release, sha256, until
from tests.support.board_pipes import Pipe, Socket
from tests.support.fake_child import FakeChild
from tests.support.fake_link import Memory

QUICK = "import fleet_agent.gateway.line as line, fleet_agent.gateway.gateway as gateway\n"
QUICK += "line.SILENCE_S = gateway.SILENCE_S = 3.0\n"
"""Silence is judged sooner; boards say hello more often to match."""


@dataclass
class Child:
    """What the server knows of one child, and what it heard from it."""

    spki: bytes = b""
    kem: bytes = b""
    seq: int = 0
    requests: list[EnrolRequest] = field(default_factory=list)
    reported: list[Reported] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    statuses: list[bytes] = field(default_factory=list)
    unsigned: int = 0


class Nursery:
    """The server's side of a gateway's children: enrols them, believes their signatures, acknowledges, directs."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.children: dict[str, Child] = {}
        self.replies: list[EnrolReply] = []
        """What the next enrolment requests are told, before one is issued."""
        self.acking = True
        fleet.from_child = self._heard

    def child(self, name: str) -> Child:
        """One child's record."""
        return self.children.setdefault(name, Child())

    def address(self, name: str) -> topics.Address:
        """Its topics."""
        return topics.Address(name, self.fleet.device)

    def token(self) -> ClaimToken:
        """A claim token of this fleet."""
        return ClaimToken(
            url="https://127.0.0.1:9",
            root_digest=envelopes.root_digest(self.fleet.root_envelope),
            token_id=secrets.token_bytes(8),
            secret=secrets.token_bytes(16),
            expires=int(time.time()) + 600,
        )

    def admit(self, name: str) -> Memory:
        """A child that was enrolled before, as its board and the server remember it."""
        memory = Memory(
            device=name,
            root=envelopes.open_first_root(self.fleet.root_envelope, envelopes.root_digest(self.fleet.root_envelope)),
        )
        child = self.child(name)
        child.spki, child.kem = keys.spki(memory.identity), keys.spki(memory.kem)
        return memory

    def desire(self, name: str, *releases: Release, wipe: bytes | None = None) -> bytes:
        """Publish a child's directive, retained; returns its envelope."""
        child = self.child(name)
        child.seq += 1
        now = int(time.time())
        directive = Directive(
            device=name,
            epoch=0,
            seq=child.seq,
            issued=now,
            expires=now + DAY_S,
            desired={
                release.name: Desired(
                    release=release.digest,
                    floor=0,
                    grant=hpke.seal_cek(release.cek, child.kem, release.digest, name),
                    lease=Lease(seconds=DAY_S, action="warn"),
                    manifest=sha256(release.envelope),
                    index=tuple(sha256(page) for page in release.pages),
                )
                for release in releases
            },
            wipe=wipe,
        )
        envelope = cose.sign1(directive.to_bytes(), self.fleet.signers.director, Role.DIRECTIVE)
        self.fleet.publish(self.address(name).down("desired"), envelope)
        return envelope

    def until_status(self, name: str, status: bytes) -> None:
        """Wait until the gateway's latest word of a child is this."""
        until(lambda: self.child(name).statuses[-1:] == [status], lambda: f"{name} {status!r}: {self.child(name)}")

    def until_committed(self, name: str, release: Release) -> None:
        """Wait until a child says that it runs a release."""

        def there() -> bool:
            last = self.child(name).reported[-1:]
            return bool(last) and any(state.active == release.digest for state in last[0].models.values())

        until(there, lambda: f"{name} runs {release.manifest.version}; last {self.child(name).reported[-1:]}")

    def _heard(self, address: topics.Address, kind: str, payload: bytes) -> None:
        child = self.child(address.device)
        if kind == "status":
            child.statuses.append(payload)
        elif kind == "enrol":
            self._enrol(address, envelopes.open_enrol(payload))
        elif not child.spki:
            child.unsigned += 1
        elif kind == "reported":
            child.reported.append(envelopes.open_reported(payload, child.spki))
        elif kind == "events":
            event = envelopes.open_event(payload, child.spki)
            child.events.append(event)
            if self.acking:
                ack = Ack(device=address.device, stream=event.stream, n=event.n)
                envelope = cose.sign1(ack.to_bytes(), self.fleet.signers.director, Role.ACK)
                self.fleet.publish(address.down("ack"), envelope, retain=False)

    def _enrol(self, address: topics.Address, request: EnrolRequest) -> None:
        child = self.child(address.device)
        child.requests.append(request)
        child.spki, child.kem = request.spki, request.kem
        reply = self.replies.pop(0) if self.replies else EnrolReply(status="issued", root=self.fleet.root_envelope)
        self.fleet.publish(address.down("enrol"), reply.to_bytes(), retain=False)


@contextmanager
def gateway(fleet: Fleet, *pipes: Pipe, hook: str = "") -> Iterator[Agent]:
    """The agent with its lines; it is connected to the broker."""
    arguments = [word for pipe in pipes for word in ("--line", pipe.name)]
    started = (fleet.folder / "agent.log").read_text() if (fleet.folder / "agent.log").exists() else ""
    with Agent(fleet, hook=hook, arguments=arguments) as agent:
        until(lambda: "connected to the broker" in agent.text()[len(started) :], lambda: f"it starts: {agent.text()}")
        yield agent


@contextmanager
def boards(*memories: Memory) -> Iterator[list[FakeChild]]:
    """Boards on TCP lines, switched on."""
    with ExitStack() as stack:
        yield [stack.enter_context(FakeChild(Socket(), memory)) for memory in memories]


def command(fleet: Fleet, *words: str, stdin: str = "") -> subprocess.Popen[str]:
    """``fleet-agent``, running."""
    process = subprocess.Popen(
        [sys.executable, "-m", "fleet_agent.cli", *words, "--state-dir", str(fleet.state)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(stdin)
    process.stdin.close()
    process.stdin = None
    return process


def enroll(fleet: Fleet, line: str, name: str, token: str) -> tuple[int, str, list[str]]:
    """Run ``fleet-agent child enroll`` to its end: exit code, what it printed, and its lines for people."""
    words = ("child", "enroll", "--line", line, "--id", name, "--token-file", "-")
    process = command(fleet, *words, stdin=token)
    out, err = process.communicate(timeout=90)
    assert "Traceback" not in err
    return process.returncode, out.strip(), err.splitlines()


def status(fleet: Fleet) -> list[dict[str, object]]:
    """The lines as ``fleet-agent status --json`` shows them."""
    out, err = command(fleet, "status", "--json").communicate(timeout=60)
    lines = json.loads(out)["lines"]
    assert isinstance(lines, list), err
    return lines
