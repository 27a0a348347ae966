"""A real server, broker and gateway agent, with lines that boards are put on; and one board under test."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from demo.board import Simulated
from demo.device import Device
from demo.fleet import MODEL, Fleet, wait_until
from dunlin_contract import cose, hpke, keys
from dunlin_contract.bundle import BundleFile
from dunlin_contract.directive import Desired, Directive
from dunlin_contract.envelopes import open_first_root, root_digest
from dunlin_contract.limits import LIMITS
from dunlin_contract.link import OfferKind
from dunlin_contract.root import Root
from fleet_server.keys.store import Keys, Paths
from hil import releases
from hil.liar import Liar
from hil.targets.base import Board

T = TypeVar("T")
Build = Callable[[Path, Path, Path], None]
"""Recipe, keys and bundle."""
GATEWAY = "gateway"
LINES = 3
AHEAD = 10
"""How far a forged directive's number is ahead: the server's own next ones, on their way already, are older."""
V1, V2 = "1.0.0", "2.0.0"
SETTINGS = {
    "probation_s": 0,
    "probation_requests": 3,
    "probation_max_s": 60,
    "report_interval_s": 5,
    "report_jitter_s": 0,
    "object_timeout_s": 2,
}
"""A scenario's patience: the real default is minutes, not seconds."""


class World:
    """One installation whose gateway has a few serial lines."""

    def __init__(self, directory: Path, hardware: Sequence[str]) -> None:
        self.fleet = Fleet(directory)
        self.hardware = hardware
        self.digests: dict[str, str] = {}
        self.bundles: dict[str, Path] = {}
        self._lines = [Liar() for _ in range(LINES)]
        self._free = list(self._lines)
        self._names = 0
        self.gateway: Device

    def start(self) -> None:
        """Server, broker, gateway, and the two releases that every scenario knows."""
        self.fleet.init()
        self.fleet.start()
        self.fleet.api.patch("/settings", SETTINGS)
        lines = [line.address for line in self._lines]
        self.gateway = self.fleet.enrol(GATEWAY, runtimes=["litert"], lines=lines)
        self.gateway.start()
        self.release(releases.digits(V1, 1, self.hardware))
        self.release(releases.digits(V2, 2, self.hardware))

    def stop(self) -> None:
        """End everything."""
        self.fleet.stop()
        for line in self._lines:
            line.close()

    def release(self, release: releases.Release, build: Build | None = None) -> str:
        """Build a release, by the packager's command unless told otherwise, and push it, once; its digest."""
        key = self.key(release)
        if key not in self.digests:
            recipe = releases.recipe(release, self.fleet.directory / "recipes")
            bundle = recipe.with_suffix(".dnb")
            if build is None:
                bundle = self.fleet.build(recipe)
            else:
                build(recipe, self.fleet.keys_dir, bundle)
            self.bundles[key] = bundle
            self.digests[key] = self.fleet.push(bundle)
        return self.digests[key]

    @staticmethod
    def key(release: releases.Release) -> str:
        """What a release goes by in ``bundles`` and ``digests``."""
        return release.version if release.name == MODEL else f"{release.name} {release.version}"

    def root(self) -> Root:
        """The fleet's root."""
        envelope = (self.fleet.keys_dir / "root.cose").read_bytes()
        return open_first_root(envelope, root_digest(envelope))

    @contextmanager
    def bundle(self, version: str) -> Iterator[BundleFile]:
        """A release's bundle, open."""
        with BundleFile.open(self.bundles[version], self.root()) as bundle:
            yield bundle

    def fresh_name(self, target: str) -> str:
        """A device id that no scenario had yet."""
        self._names += 1
        return f"{target}-{self._names}"

    @contextmanager
    def rig(self, board: Board) -> Iterator["Rig"]:
        """Put a board that is off on a line of the gateway. At the end it is off, and the line is free again."""
        line = self._free.pop()
        try:
            line.connect(board.address)
            yield Rig(self, board, line, self.fresh_name(board.name))
        finally:
            board.stop()
            line.connect("")
            self._free.append(line)


class Rig:
    """One board on one line, known to the server as ``device``."""

    def __init__(self, world: World, board: Board, line: Liar, device: str) -> None:
        self.world = world
        self.fleet = world.fleet
        self.board = board
        self.line = line
        self.device = device
        self.model = MODEL
        self._forged = 0

    @property
    def simulated(self) -> Simulated:
        """The board, which must be a simulated one."""
        assert isinstance(self.board, Simulated)
        return self.board

    # Doing things to it.

    def enrol(self, *, tags: dict[str, str] | None = None) -> None:
        """By the gateway's command and a fresh claim token, as an operator does it."""
        there = self.line.wait(lambda heard: any(not one.enrolled for one in heard.hellos), 60 * self.board.patience)
        assert there, "no board that is not enrolled says hello"
        if not self.line.heard.hellos[-1].enrolled:
            # The gateway may still believe in the board that was on this line before.
            self.wait("the gateway hears it, too", lambda: not self._line()["enrolled"])
        self.fleet.enrol_child(
            self.world.gateway, self.line.address, self.device, tags=tags, timeout_s=120 * self.board.patience
        )

    def roll_out(self, release: str) -> str:
        """Start a rollout to this board alone; its id."""
        # The server's next directive must be newer than a forged one, which it learns of from the board's report.
        self.wait("the server has heard of the forged directive", lambda: self.known()["heard"]["seq"] >= self._forged)
        return self.fleet.roll_out(release, selector={"devices": [self.device]})

    def _line(self) -> dict[str, Any]:
        """What the gateway says of the board's line."""
        return next(one for one in self.world.gateway.status()["lines"] if one["line"] == self.line.address)

    def abort(self, rollout: str) -> None:
        """End a rollout that failed."""
        self.fleet.wait_rollout(rollout, "paused", timeout_s=120 * self.board.patience)
        self.fleet.api.post(f"/rollouts/{rollout}/abort")

    def update(self, version: str) -> None:
        """Roll a release out and see it serve."""
        rollout = self.roll_out(self.world.digests[version])
        self.settles(self.world.digests[version])
        self.fleet.wait_rollout(rollout, "completed", timeout_s=120 * self.board.patience)

    # Seeing what became of it.

    def settles(self, release: str, phase: str = "committed") -> None:
        """The board says that it serves ``release``, and the server has it signed from the board."""
        if isinstance(self.board, Simulated):
            self.board.wait(
                f"{release[:8]} {phase}",
                lambda seen: seen.status.phase == phase and same(seen.status.serving, release),
            )
        self.wait(f"the server knows {release[:8]} {phase}", lambda: self._known(release, phase))

    def _known(self, release: str, phase: str) -> bool:
        believed = self.believed()
        return bool(believed.get("active") == release and believed.get("phase") == phase)

    def believed(self) -> dict[str, Any]:
        """What the server knows of the board's model."""
        found: dict[str, Any] = self.known()["models"].get(self.model, {})
        return found

    def known(self) -> dict[str, Any]:
        """What the server knows of the board."""
        found: dict[str, Any] = self.fleet.api.get(f"/devices/{self.device}")
        return found

    def events(self, kind: str = "") -> list[dict[str, Any]]:
        """What the server has committed of the board's events, oldest first."""
        items = self.fleet.api.get("/events", device=self.device, limit=500)["items"]
        return sorted((one for one in items if kind in ("", one["kind"])), key=lambda one: int(one["n"]))

    def wait_event(self, kind: str, *codes: str) -> dict[str, Any]:
        """The newest event of a kind, with one of ``codes`` if any are given."""

        def look() -> dict[str, Any] | None:
            found = [one for one in self.events(kind) if not codes or one["code"] in codes]
            return found[-1] if found else None

        return self.wait(f"event {kind} {' or '.join(codes)} of {self.device}; it has {self._told()}", look)

    def _told(self) -> str:
        return ", ".join(f"{one['kind']} {one['code']}".strip() for one in self.events()) or "none"

    def wait(self, what: str, look: Callable[[], T | None], timeout_s: float = 90.0) -> T:
        """See :func:`demo.fleet.wait_until`; as patient as the board needs it."""
        return wait_until(what, look, timeout_s * self.board.patience)

    def goes_on(self, release: str, inferences: int = 5) -> None:
        """The application gets so many more answers, all by ``release``. Of simulated boards."""
        before = self.simulated.seen.status.served
        self.simulated.wait(
            f"{inferences} more inferences by {release[:8]}",
            lambda seen: same(seen.status.serving, release) and seen.status.served >= before + inferences,
        )

    def online(self) -> None:
        """The server sees the board."""
        self.wait("it is online", lambda: self.known()["online"])

    def nothing_lost(self) -> None:
        """The server has every event of the board, without a gap."""
        numbers = [event["n"] for event in self.events()]
        assert numbers == list(range(1, len(numbers) + 1))

    # Being somebody who has the director's key and the server's database, and holds the line.

    def directive(self) -> tuple[bytes, Directive]:
        """The newest directive that the board took: its envelope, and what it says."""
        envelope = self.line.said(OfferKind.DESIRED)
        return envelope, Directive.from_bytes(cose.peek1(envelope, LIMITS.directive_bytes))

    def grant(self, cek: bytes, release: bytes) -> bytes:
        """A true grant of a content key to this board."""
        with closing(sqlite3.connect(self.fleet.server_dir / "dunlin.db")) as db:
            (spki,) = db.execute("SELECT kem_spki FROM device WHERE id = ?", (self.device,)).fetchone()
        return hpke.seal_cek(cek, spki, release, self.device)

    def desired(self, bundle: Path, root: Root, keys_dir: Path) -> Desired:
        """What a directive would say to bring a bundle onto this board; its objects are on the line from now on."""
        packager = keys.load_pem((keys_dir / "packager.pem").read_bytes())
        _, now = self.directive()
        with BundleFile.open(bundle, root) as opened:
            release = opened.release.digest
            sealed = bundle.with_name(f"{bundle.name}.cek").read_bytes()
            cek = hpke.open_cek(sealed, packager, release, hpke.PACKAGER)
            manifest = self.line.plant(opened.envelope)
            # Nobody's directive names them, so the broker may have none.
            chunks = (chunk for payload in range(len(opened.manifest.payloads)) for chunk in opened.chunks(payload))
            for leaf, chunk in zip(opened.leaves, chunks, strict=True):
                self.line.plant_as(leaf, chunk)
            page = LIMITS.page_leaves
            index = [b"".join(opened.leaves[at : at + page]) for at in range(0, len(opened.leaves), page)]
            return replace(
                now.desired[MODEL],
                release=release,
                manifest=manifest,
                index=tuple(self.line.plant(one) for one in index),
                grant=self.grant(cek, release),
            )

    def forge(self, **changes: Any) -> None:
        """Offer a directive that differs from the present one, with a higher number, signed by the director's key."""
        _, now = self.directive()
        forged = replace(now, **{"seq": now.seq + AHEAD, **changes})
        signed = Keys(Paths(self.fleet.server_dir / "keys")).sign_directive(forged.to_bytes())
        assert self.line.offer(OfferKind.DESIRED, signed, 60 * self.board.patience), "the board did not take it"
        self._forged = forged.seq


def same(said: str, release: str) -> bool:
    """Whether a digest, or the beginning of one, is that of a release."""
    return bool(said) and release.startswith(said)
