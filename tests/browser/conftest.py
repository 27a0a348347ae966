"""The dashboard in a real browser, over a real server whose devices live: they follow their directives."""

import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from fleet_server.api.app import create_app
from fleet_server.services import users
from tests.fleet_server.api.conftest import served
from tests.fleet_server.rollouts.fleet import Agent, Fleet
from tests.fleet_server.world import ACTOR, World

PASSWORD = "correct horse battery"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 60_000  # a busy machine is slow, not wrong
PULSE_S = 0.15


@dataclass
class Life:
    """Lets devices follow what they are told, one phase a pulse, and the server look at its rollouts."""

    fleet: Fleet
    bad: set[str] = field(default_factory=set)  # releases (hex) that devices roll back
    asleep: bool = False
    _stop: threading.Event = field(default_factory=threading.Event)
    _failure: BaseException | None = None

    def run(self) -> None:
        try:
            while not self._stop.wait(PULSE_S):
                if not self.asleep:
                    for agent in list(self.fleet.agents.values()):
                        self.pulse(agent)
                self.fleet.tick(PULSE_S)
        except BaseException as error:  # shown by the test, not by the thread
            self._failure = error

    def pulse(self, agent: Agent) -> None:
        """One step of one device towards what its directive says."""
        if agent.device.row().directive is None:
            return
        wanted, now = agent.desired(), agent.models.get("digits")
        active = now.active if now is not None else None
        if wanted == active and (now is None or now.phase in ("idle", "committed")):
            if now is None or agent.device.row().reported_seq != agent.device.row().seq:
                agent.report()
        elif wanted is None or (now is not None and now.previous == wanted):
            agent.follow()
        elif now is None or now.candidate != wanted or now.phase in ("idle", "committed"):
            agent.set(phase="downloading", active=active, candidate=wanted, chunks_have=1, chunks_need=2)
        elif now.phase == "downloading":
            agent.set(phase="probation", active=active, candidate=wanted)
        elif wanted.hex() in self.bad:
            if now.phase != "rolled-back":
                agent.refuse()
        else:
            agent.follow()

    def stop(self, thread: threading.Thread) -> None:
        self._stop.set()
        thread.join()
        if self._failure is not None:
            raise self._failure


@dataclass
class Site:
    """A served installation."""

    address: str
    fleet: Fleet
    life: Life


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A server with one operator, and nothing else yet."""
    world = World(tmp_path)
    fleet = Fleet(world)
    life = Life(fleet)
    with world.ctx.db.write() as session:
        users.add_user(session, "ada", PASSWORD, "operator", ACTOR, world.clock.now)
    world.ctx.link.connected = True
    thread = threading.Thread(target=life.run)
    with served(create_app(world.ctx)) as address:
        thread.start()
        try:
            yield Site(address, fleet, life)
        finally:
            life.stop(thread)
    world.close()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium."""
    program = shutil.which("chromium")
    assert program is not None, "Chromium is not installed: run make setup-dev"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser's console complained of. Must be empty in the end."""
    return []


@pytest.fixture
def window(chromium: Browser, site: Site, complaints: list[str]) -> Iterator[BrowserContext]:
    """A fresh browser profile whose pages must not complain: no script error, nothing blocked by the content policy."""
    context = chromium.new_context(base_url=site.address, viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE_MS)

    def heard(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    context.on("console", heard)
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    yield context
    context.close()
    assert complaints == []


@pytest.fixture
def page(window: BrowserContext) -> Page:
    """A page on which ada has signed in by the form."""
    page = window.new_page()
    page.goto("/")
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Fleet", level=1).wait_for()
    return page


def stays(page: Page) -> None:
    """Mark the loaded document, so that `stayed` can tell a live update from a reload."""
    page.evaluate("window.marked = true")


def stayed(page: Page) -> bool:
    """Whether the document is still the one that was marked."""
    return bool(page.evaluate("window.marked === true"))
