"""The page that a device's local API has for people, in a real browser: a call made with it, and a stream read."""

from pathlib import Path

from playwright.sync_api import Browser, Page

from tests.agent import local_api_models as models
from tests.agent.local_api_models import ADD_IO
from tests.agent.local_api_parts import device

BODY = '{"inputs":[{"name":"x","datatype":"FP32","shape":[1,4],"data":[1,2,3,4]}]}'


def test_a_model_is_called_from_the_page(chromium: Browser, tmp_path: Path) -> None:
    complaints: list[str] = []
    with device(tmp_path) as parts:
        parts.serve(parts.worker(models.add(tmp_path / "add", 1), ADD_IO), "add", "1.0.0", ADD_IO)
        page: Page = chromium.new_page()
        page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"http://{parts.front.url}/docs")
        stream = page.locator("details", has_text="Results of every request")
        stream.locator("summary").click()
        stream.get_by_label("model").fill("add")
        stream.get_by_role("button").click()
        stream.locator("pre", has_text="200 OK").wait_for()
        infer = page.locator("details", has_text="Run the model on tensors").first
        infer.locator("summary").click()
        infer.get_by_label("model").fill("add")
        infer.get_by_label("body").fill(BODY)
        infer.get_by_role("button").click()
        infer.locator("pre", has_text='"data":[2.0,3.0,4.0,5.0]').wait_for()
        stream.locator("pre", has_text='"data":[2.0,3.0,4.0,5.0]').wait_for()
        page.close()
    assert complaints == []
