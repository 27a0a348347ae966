"""The same operator before a real fleet: broker, server, agents, a microcontroller behind one of them, and a model."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from demo import firmware
from demo.fleet import DIGITS, Fleet, wait_until
from demo.micro import Microcontroller
from demo.programs import command, run
from tests.browser.conftest import PATIENCE_MS, stayed, stays
from tests.browser.test_dashboard import open_release, start


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """Server and broker."""
    fleet = Fleet(tmp_path)
    try:
        fleet.init()
        fleet.start()
        fleet.api.patch("/settings", {"probation_s": 1, "probation_requests": 0, "probation_max_s": 30})
        yield fleet
    finally:
        fleet.stop()


@pytest.fixture
def micro(tmp_path: Path, fleet: Fleet) -> Iterator[Microcontroller]:
    """A release, two devices that run nothing yet, and a microcontroller on a serial line of the first."""
    if why := firmware.no_tflm():
        pytest.skip(why)
    releases = {"1.0.0": fleet.push(fleet.build(DIGITS / "v1.toml"))}
    preset = firmware.best_preset()
    micro = Microcontroller("lamp-3", tmp_path / "devices" / "lamp-3", preset, firmware.build(preset), releases)
    try:
        fleet.enrol("lamp-1", runtimes=["litert"], lines=[micro.address]).start()
        fleet.enrol("lamp-2", runtimes=["onnxruntime"]).start()
        micro.start()
        wait_until("lamp-1 online", lambda: fleet.api.get("/devices/lamp-1")["online"])
        fleet.enrol_child(fleet.devices["lamp-1"], micro.address, "lamp-3")
        yield micro
    finally:
        micro.stop()


@pytest.fixture
def page(chromium: Browser, fleet: Fleet) -> Iterator[Page]:
    """A page on which the demo's operator has signed in."""
    context = chromium.new_context(base_url=fleet.url, viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto("/")
    page.get_by_label("Name").fill("demo")
    page.get_by_label("Password").fill(fleet.password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Fleet", level=1).wait_for()
    yield page
    context.close()


@pytest.mark.timeout(300)
def test_roll_out_and_wipe_before_real_devices(fleet: Fleet, micro: Microcontroller, page: Page) -> None:
    expect(page.locator("#live")).to_contain_text("3 of 3 devices online")
    open_release(page, "digits 1.0.0")
    start(page, ("1", "count", "1 s"), ("100", "percent", ""))
    stays(page)
    expect(page.locator("#state")).to_have_attribute("data-state", "completed")
    expect(page.get_by_role("row").filter(has_text="succeeded")).to_have_count(3)
    assert stayed(page), "it became so without a reload"
    assert all(device.ready() for device in fleet.devices.values())
    assert micro.version() == "1.0.0"

    page.get_by_role("link", name="lamp-3").click()
    expect(page.get_by_text("behind gateway lamp-1")).to_be_visible()
    page.get_by_role("link", name="lamp-1").first.click()
    expect(page.get_by_role("heading", name="Behind this gateway")).to_be_visible()
    page.go_back()
    page.go_back()

    page.get_by_role("link", name="lamp-2").click()
    page.get_by_label("Reason, for those who sign").fill("Stolen from the pier")
    page.get_by_role("button", name="Draft wipe order").click()
    expect(page.get_by_text("Signed: 0 of 2")).to_be_visible()
    stays(page)
    # What the page tells the owners to run, on their machines, where the key and the token lie elsewhere.
    words = shlex.split(page.locator("#cmd-sign").inner_text())
    for owner, shown in (("ops-1", "Signed: 1 of 2"), ("ops-2", "Signed: 2 of 2")):
        paths = {"ops-1.pem": fleet.keys_dir / f"{owner}.pem", "TOKEN": fleet.token_file}
        run(command(words[0], *(paths.get(word, word) for word in words[1:]), "--yes"))
        expect(page.get_by_text(shown)).to_be_visible()
    expect(page.get_by_text("Receipt verified")).to_be_visible()
    assert stayed(page), "it became so without a reload"
    assert fleet.devices["lamp-1"].ready()
    assert not fleet.devices["lamp-2"].ready()
