"""What devices choose to be called and to send, in its longest form, on a telephone."""

import time

from playwright.sync_api import Page

from dunlin_contract.golden import TensorData
from dunlin_contract.results import Result
from fleet_server.services import devices, results
from tests.browser.conftest import Site
from tests.fleet_server.rollouts.test_trials import compare, try_out

NAME, MODEL, TEXT = "w" * 36, "m" * 32, "W" * 64


def test_long_names_and_hostile_results_do_not_make_a_page_wider(site: Site, page: Page) -> None:
    site.life.asleep = True
    fleet = site.fleet
    fleet.add(NAME)
    agent = fleet.agents[NAME]
    first = fleet.start(fleet.push("1.0.0"))
    agent.follow()
    ctx = fleet.world.ctx
    tensor = TensorData(name="W" * 256, dtype="int64", shape=(1,) * 7 + (9,), data=b"\1\0\0\0\0\0\0\x80" * 9)
    markup = TensorData(name="<script>throw 1</script>", dtype="float32", shape=(1,), data=b"\0\0\xc0\x7f")
    sent = Result(
        stream=bytes(16),
        n=1,
        time_s=1,
        uptime_s=1,
        kind="capture",
        model=MODEL,
        release=bytes(32),
        source=TEXT,
        reason=TEXT,
        inputs=(tensor, markup),
        outputs=(tensor,),
    )
    gap = Result(stream=bytes(16), n=2**53 - 1, time_s=1, uptime_s=1, kind="gap", first=2)
    with ctx.db.write() as session:
        for one in (sent, gap):
            results.receive(session, ctx, devices.get(session, NAME, lock=True), one, ctx.clock())
    while fleet.state(first) != "completed":
        time.sleep(0.02)
    new = fleet.push("2.0.0", counter=2)
    rollout = fleet.start(new, mode="shadow", stages=[{"percent": 100, "soak_s": 3600}])
    try_out(agent)
    compare(agent, pairs=2**13, errors=1)
    page.set_viewport_size({"width": 390, "height": 844})
    for path in ("/results", f"/results?device={NAME}", f"/rollouts/{rollout}", f"/rollouts/new?release={new}"):
        page.goto(path)
        page.wait_for_load_state("load")
        over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert over == 0, f"{path} is {over} px too wide"
