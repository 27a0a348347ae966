"""What an operator does: sign in, start a rollout, watch it finish live, see a bad one come back, wipe a device."""

import httpx
from playwright.sync_api import Page, expect

from dunlin_contract import cose
from dunlin_contract.cose import Role
from fleet_server.services import users
from tests.browser.conftest import PATIENCE_MS, Site, stayed, stays
from tests.fleet_server.children import behind, hear
from tests.fleet_server.world import ACTOR

expect.set_options(timeout=PATIENCE_MS)


def start(page: Page, *stages: tuple[str, str, str]) -> None:
    """Fill in the new-rollout form, from the release's page, and start it."""
    page.get_by_role("link", name="Roll out").click()
    for place in range(1, 5):
        amount, unit, soak = stages[place - 1] if place <= len(stages) else ("", "percent", "")
        row = page.get_by_role("group", name=f"Stage {place}")
        row.get_by_label("Amount").fill(amount)
        row.get_by_label("Unit").select_option(unit)
        row.get_by_label("soak").fill(soak)
    page.get_by_label("Amount").first.blur()
    expect(page.locator("#forecast")).to_contain_text("Stage 2")
    page.get_by_role("button", name="Start rollout").click()
    page.get_by_role("heading", name="Stages").wait_for()


def open_release(page: Page, version: str) -> None:
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Releases").click()
    page.get_by_role("link", name=version).click()


def test_start_a_rollout_and_watch_it_finish_live(site: Site, page: Page) -> None:
    site.fleet.add("cam-1", "cam-2", "cam-3", tags={"site": "harbour"})
    site.fleet.push("1.0.0")
    site.life.asleep = True
    open_release(page, "digits 1.0.0")
    start(page, ("1", "count", "1 s"), ("100", "percent", ""))
    expect(page.locator("#state")).to_contain_text("running")
    expect(page.locator("#state")).to_contain_text("0 of 3 devices done")
    stays(page)
    site.life.asleep = False
    expect(page.locator("#state")).to_have_attribute("data-state", "completed")
    expect(page.locator("#state")).to_contain_text("3 of 3 devices done")
    expect(page.get_by_role("row").filter(has_text="cam-")).to_have_count(3)
    for row in page.get_by_role("row").filter(has_text="cam-").all():
        expect(row).to_contain_text("succeeded")
        expect(row).to_contain_text("committed")
    assert stayed(page), "it became so without a reload"
    expect(page.locator("#voice")).to_contain_text("completed")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Devices").click()
    expect(page.get_by_role("row").filter(has_text="cam-2")).to_contain_text("1.0.0")


def test_a_bad_release_comes_back_before_the_eyes_of_the_operator(site: Site, page: Page) -> None:
    site.fleet.add("cam-1", "cam-2", "cam-3")
    site.fleet.start(site.fleet.push("1.0.0"))
    site.life.bad.add(site.fleet.push("2.0.0", counter=2))
    page.goto("/rollouts/1")
    expect(page.locator("#state")).to_have_attribute("data-state", "completed")
    open_release(page, "digits 2.0.0")
    start(page, ("1", "count", "1 s"), ("100", "percent", ""))
    expect(page.locator("#state")).to_have_attribute("data-state", "reverted")
    expect(page.get_by_text("stage 1: 0 of 1 succeeded, the gate asks for 90 %").first).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="p95 12.4 ms is over the budget")).to_have_count(1)
    expect(page.get_by_role("row").filter(has_text="not reached")).to_have_count(2)
    page.goto("/")
    expect(page.get_by_text("digits").first).to_be_visible()
    expect(page.locator(".legend")).to_have_text("1.0.0 3", use_inner_text=True)


def test_wipe_a_device(site: Site, page: Page) -> None:
    (agent,) = site.fleet.add("cam-1")
    site.fleet.start(site.fleet.push("1.0.0"))
    page.goto("/rollouts/1")
    expect(page.locator("#state")).to_have_attribute("data-state", "completed")
    site.life.asleep = True
    page.get_by_role("link", name="cam-1").click()
    page.get_by_label("Reason, for those who sign").fill("Lost at the quay")
    page.get_by_role("button", name="Draft wipe order").click()
    expect(page.get_by_text("Signed: 0 of 2")).to_be_visible()
    command = page.locator("#cmd-sign").inner_text()
    address, wipe = command.split()[3].split("/wipes/")
    assert address == site.address
    stays(page)

    with site.fleet.world.ctx.db.write() as session:
        token = users.add_token(session, "ops", "viewer", ACTOR, site.fleet.world.clock.now)
    with httpx.Client(base_url=f"{address}/api/v1/wipes/{wipe}", headers={"Authorization": f"Bearer {token}"}) as owner:
        order = owner.get("/order").content
        for key, shown in zip(site.fleet.world.ops, ("Signed: 1 of 2", "Signed: 2 of 2"), strict=True):
            signature = cose.signature(order, key, Role.WIPE)
            answer = owner.post("/signatures", content=signature, headers={"Content-Type": "application/cbor"})
            assert answer.status_code == 201
            expect(page.get_by_text(shown)).to_be_visible()
    expect(page.get_by_text("The signed order stands in the device's directive")).to_be_visible()

    agent.models = {}
    agent.report()
    agent.tell("wiped", receipt=agent.device.receipt(order))
    expect(page.get_by_text("Receipt verified")).to_be_visible()
    expect(page.get_by_text("no longer decrypts")).to_be_visible()
    assert stayed(page), "it became so without a reload"
    page.get_by_role("link", name="cam-1", exact=True).click()
    expect(page.get_by_text("No model is on this device")).to_be_visible()


def test_a_microcontroller_is_watched_moved_and_its_alarm_seen_to(site: Site, page: Page) -> None:
    (agent,) = behind(site.fleet, "gw-1", "mcu-1")
    site.fleet.add("gw-2")
    release = site.fleet.world.push(built := site.fleet.world.build(runtime="tflm"))[0].digest
    site.life.asleep = True
    site.fleet.start(release, selector={"devices": ["mcu-1"]})
    page.goto("/devices")
    row = page.get_by_role("row").filter(has_text="mcu-1")
    expect(row).to_contain_text("behind gw-1")
    expect(page.get_by_role("row").filter(has_text="gateway of 1")).to_contain_text("gw-1")
    row.get_by_role("link", name="mcu-1").click()
    expect(page.get_by_text("flash, in the clear")).to_be_visible()
    expect(page.get_by_text("256 KiB for a slot")).to_be_visible()
    expect(page.get_by_text("64 KiB for tensors")).to_be_visible()
    stays(page)
    agent.set(phase="downloading", candidate=built.digest, chunks_have=2, chunks_need=4)
    expect(page.locator(".model-card")).to_contain_text("2 of 4 chunks")
    expect(page.locator(".model-card")).to_contain_text("on its way in")
    agent.follow()
    expect(page.locator(".model-card")).to_contain_text("12 KiB of 64 KiB")
    hear(site.fleet.world, agent.device.address, "reported", b"not signed")
    expect(page.get_by_role("alert")).to_contain_text("gateway gw-1 passed on reported that the device did not sign")
    assert stayed(page), "it became so without a reload"
    page.get_by_role("button", name="Dismiss").click()
    expect(page.get_by_role("heading", name="mcu-1")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)

    page.get_by_label("Id of the gateway it is behind").fill("gw-2")
    page.get_by_role("button", name="Move").click()
    expect(page.get_by_role("link", name="gw-2")).to_be_visible()
    page.get_by_role("link", name="gw-2").click()
    expect(page.get_by_role("heading", name="Behind this gateway")).to_be_visible()
    child = page.get_by_role("row").filter(has_text="mcu-1")
    expect(child).to_contain_text("offline")
    stays(page)
    agent.device.gateway = "gw-2"
    agent.connect()
    expect(child).to_contain_text("online")
    assert stayed(page), "it became so without a reload"


def test_everything_can_be_done_by_keyboard(site: Site, page: Page) -> None:
    site.fleet.add("cam-1", "cam-2")
    site.life.asleep = True
    site.fleet.start(site.fleet.push("1.0.0"), stages=[{"count": 1}, {"percent": 100}])
    page.goto("/rollouts/1")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "do-abort-open":
            break
    expect(page.locator("#do-abort-open")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Yes, abort")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Yes, abort")).to_be_hidden()
    expect(page.locator("#do-abort-open")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    # A live update meanwhile neither closes what is open nor takes the focus away.
    stays(page)
    site.fleet.agents["cam-1"].connect(False)
    expect(page.get_by_role("row").filter(has_text="cam-1")).to_contain_text("offline")
    expect(page.get_by_role("button", name="Yes, abort")).to_be_focused()
    assert stayed(page)
    page.keyboard.press("Enter")
    expect(page.locator("#state")).to_have_attribute("data-state", "aborted")


def test_no_page_is_wider_than_a_phone(site: Site, page: Page) -> None:
    site.fleet.add("a-device-with-a-very-long-name-00001", tags={"site": "x" * 64, "ring": "canary"})
    (micro,) = behind(site.fleet, "a-gateway-with-a-very-long-name-0001", "a-microcontroller-with-a-long-name-1")
    micro.set(phase="downloading", candidate=bytes(32), chunks_have=1_000_000, chunks_need=2_000_000)
    hear(site.fleet.world, micro.device.address, "reported", b"not signed")
    release = site.fleet.push("1.0.0")
    site.fleet.start(release, selector={"tags": {"site": "x" * 64}})
    site.fleet.agents["a-device-with-a-very-long-name-00001"].tell("note", text="w" * 200)
    page.set_viewport_size({"width": 390, "height": 844})
    site.fleet.world.device("cam-9", auto_approve=False)
    for path in (
        "/",
        "/devices",
        "/devices/a-device-with-a-very-long-name-00001",
        "/devices/a-gateway-with-a-very-long-name-0001",
        "/devices/a-microcontroller-with-a-long-name-1",
        "/releases",
        f"/releases/{release}",
        "/rollouts",
        "/rollouts/1",
        "/rollouts/new",
        "/enrol",
        "/activity",
    ):
        page.goto(path)
        page.wait_for_load_state("load")
        over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert over == 0, f"{path} is {over} px too wide"


def test_a_broken_connection_is_said_and_mended(site: Site, page: Page, complaints: list[str]) -> None:
    site.fleet.add("cam-1")
    page.goto("/devices")
    expect(page.get_by_role("row").filter(has_text="cam-1")).to_contain_text("online")
    assert complaints == []  # from here on the browser may complain of its network
    page.context.set_offline(True)
    site.fleet.world.ctx.notifier.close()
    expect(page.get_by_text("Live updates are interrupted")).to_be_visible()
    site.fleet.agents["cam-1"].connect(False)
    page.context.set_offline(False)
    expect(page.get_by_role("row").filter(has_text="cam-1")).to_contain_text("offline")
    expect(page.get_by_text("Live updates are interrupted")).to_be_hidden()
    complaints.clear()
