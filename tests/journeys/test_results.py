"""Results of a device's own source on their way to the server: through outages, once each, and onto its page."""

import json
import math
import urllib.request
from pathlib import Path
from typing import Any

from demo.api import Api
from demo.fleet import wait_until
from tests.journeys.world import V1, World


def drop(spool: Path, name: str, spec: dict[str, Any]) -> None:
    """A request for the model, put in place whole."""
    shape = [max(1, size) for size in spec["shape"]]
    tensor = {"name": spec["name"], "datatype": spec["datatype"], "shape": shape, "data": [0.5] * math.prod(shape)}
    (spool / f".{name}").write_text(json.dumps({"inputs": [tensor]}))
    (spool / f".{name}").rename(spool / name)


def results(api: Api, device: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = api.get("/results", device=device, limit=100)["items"]
    return sorted(items, key=lambda one: int(one["n"]))


def test_results_wait_out_a_killed_server_and_a_killed_device(world: World) -> None:
    device = world.fleet.enrol(world.fresh_name(), runtimes=["onnxruntime"])
    spool = device.directory / "spool"
    spool.mkdir()
    (device.directory / "agent.toml").write_text(f"""
[[sink]]
name = "fleet"
kind = "fleet"
[[source]]
name = "spool"
kind = "folder"
model = "digits"
folder = "{spool}"
done = "delete"
sinks = ["fleet"]
""")
    device.start()
    watched = world.watch(device)
    with urllib.request.urlopen(f"http://{device.address}/v2/models/digits") as answer:
        (spec,) = json.loads(answer.read())["inputs"]
    drop(spool, "first", spec)
    (first,) = wait_until("the result is on the server", lambda: results(world.fleet.api, device.name) or None)
    assert (first["n"], first["kind"], first["model"], first["source"]) == (1, "result", "digits", "spool")
    assert first["release"] == world.releases[V1]
    assert first["outputs"][0]["dtype"] == "float32"
    world.fleet.server.kill()
    for n in range(20):
        drop(spool, f"away-{n}", spec)
    wait_until("all are answered", lambda: not list(spool.iterdir()))
    watched.stop_traffic()
    device.kill()
    device.start()
    world.fleet.start_server()
    found = wait_until("all come", lambda: all_ if len(all_ := results(world.fleet.api, device.name)) == 21 else None)
    assert [one["n"] for one in found] == list(range(1, 22))
    wait_until("all are acknowledged", lambda: device.status()["results"]["waiting"] == 0)
    assert device.status()["sources"]["spool"]["trouble"] == ""
