"""A release on trial, as an operator sees it: asked for by the form, compared on the page, promoted by a button."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import PATIENCE_MS, Site
from tests.fleet_server.rollouts.test_trials import compare, try_out

expect.set_options(timeout=PATIENCE_MS)


def test_an_ab_test_is_asked_for_compared_and_promoted(site: Site, page: Page) -> None:
    site.fleet.add("cam-1", "cam-2")
    first = site.fleet.start(site.fleet.push("1.0.0"))
    page.goto(f"/rollouts/{first}")
    expect(page.locator("#state")).to_have_attribute("data-state", "completed")
    site.life.asleep = True
    new = site.fleet.push("2.0.0", counter=2)
    page.goto(f"/rollouts/new?release={new}")
    page.get_by_label("A/B.").check()
    page.get_by_label("Share of the requests, %").fill("25")
    page.get_by_label("Requests to compare").fill("100")
    for place in (1, 2, 3):
        row = page.get_by_role("group", name=f"Stage {place}")
        row.get_by_label("Amount").fill("100" if place == 1 else "")
        row.get_by_label("Unit").select_option("percent")
        row.get_by_label("soak").fill("1 s" if place == 1 else "")
    page.get_by_role("button", name="Start rollout").click()
    page.get_by_role("heading", name="Stages").wait_for()
    rollout = int(page.url.rsplit("/", 1)[1])
    for agent in site.fleet.having(rollout, "trying"):
        try_out(agent)
        compare(agent, slower=1.3, errors=1)
    expect(page.locator("#state")).to_have_attribute("data-state", "paused")
    expect(page.get_by_text("promote the release, or abort").first).to_be_visible()
    compared = page.get_by_label("Compared with the release that serves")
    expect(compared).to_contain_text("Answered200")
    expect(compared).to_contain_text("1.3 ms against 1.0 ms")
    expect(page.get_by_text("A/B, answers 25 % of the requests")).to_be_visible()
    page.locator("#do-promote-open").click()
    page.locator("#do-promote-yes").click()
    site.life.asleep = False
    expect(page.locator("#state")).to_have_attribute("data-state", "completed")
    # What it was decided by stays on the page.
    expect(compared).to_contain_text("Answered200")
