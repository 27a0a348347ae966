"""Drift, heat and capture orders as an operator sees them: words and bars, and an order that two people sign."""

import base64

from playwright.sync_api import Page, expect

from dunlin_contract.cose import Role, signature
from fleet_server.services import captures
from tests.browser.conftest import PATIENCE_MS, Site
from tests.fleet_server.field import say
from tests.fleet_server.world import ACTOR

expect.set_options(timeout=PATIENCE_MS)


def test_drift_and_heat_are_said_in_words_and_a_capture_is_ordered(site: Site, page: Page) -> None:
    world = site.fleet.world
    site.fleet.add("cam-1")
    release = site.fleet.push("1.0.0")
    rollout = site.fleet.start(release)
    page.goto(f"/rollouts/{rollout}")
    expect(page.locator("#state")).to_have_attribute("data-state", "completed")
    say(world, "cam-1", release, 900, 100, confidence=(1,) * 20, celsius=83.5, throttled=1, policy="reduced")
    page.goto("/devices/cam-1")
    expect(page.get_by_role("img", name="input x mean: drifted, PSI 0.88")).to_be_visible()
    expect(page.get_by_role("img", name="Answers by confidence, 0 to 100 %")).to_be_visible()
    expect(page.get_by_text("slowed now")).to_be_visible()
    expect(page.get_by_text("83.5 °C")).to_be_visible()
    say(world, "cam-1", release, 900, 100, count=1001, celsius=61)
    expect(page.get_by_text("61.0 °C")).to_be_visible()  # without a reload
    page.get_by_role("link", name="digits 1.0.0").first.click()
    expect(page.get_by_text("1 device together")).to_be_visible()

    page.goto("/devices/cam-1")
    page.get_by_label("Two best answers within, %").fill("10")
    page.get_by_role("button", name="Draft capture order").click()
    page.get_by_role("heading", name="Capture of digits").wait_for()
    expect(page.get_by_text("Signed: 0 of 2")).to_be_visible()
    made = page.request.get(page.url + ".json").json()
    assert made["margin_permille"] == 100
    for key in world.ops:
        signed = signature(base64.b64decode(made["payload"]), key, Role.CAPTURE)
        with world.ctx.db.write() as session:
            captures.add_signature(session, world.ctx, made["id"], signed, ACTOR, world.clock.now)
    expect(page.get_by_text("Signed: 2 of 2")).to_be_visible()  # without a reload
    assert set(site.fleet.agents["cam-1"].device.directive().captures) == {"digits"}
    page.locator("#cancel-open").click()
    page.locator("#cancel-yes").click()
    expect(page.get_by_text("cancelled").first).to_be_visible()
    assert not site.fleet.agents["cam-1"].device.directive().captures
