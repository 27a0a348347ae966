"""Results over the API: tensors as numbers and as bytes, never as pictures."""

import httpx

from dunlin_contract.golden import TensorData
from tests.fleet_server.rollouts.fleet import Fleet
from tests.fleet_server.test_results import Sender


def test_the_api_gives_tensors_and_nothing_to_look_at(fleet: Fleet, viewer: httpx.Client) -> None:
    fleet.add("cam-1", "cam-2")
    one, two = (Sender(fleet.world, fleet.agents[name].device) for name in ("cam-1", "cam-2"))
    one.send(1, one.result(2, 20, "capture", reason="margin", source="door"), one.gap(3, 9))
    two.send(two.result(1, model="faces"))
    items = viewer.get("/api/v1/results?device=cam-1").json()["items"]
    assert [(row["kind"], row["n"], row["first"]) for row in items] == [("gap", 9, 3), ("capture", 2, None),
                                                                       ("result", 1, None)]  # fmt: skip
    assert items[1]["outputs"] == [
        {"name": "scores", "dtype": "float32", "shape": [20], "first": [1.0] * 8, "more": 12}
    ]
    assert (items[1]["reason"], items[1]["source"]) == ("margin", "door")
    whole = viewer.get(f"/api/v1/results/{items[1]['id']}").json()
    assert whole["inputs"] == [{"name": "scores", "dtype": "float32", "shape": [1], "data": "AACAPw=="}]
    assert [row["device"] for row in viewer.get("/api/v1/results?model=faces").json()["items"]] == ["cam-2"]
    assert [row["n"] for row in viewer.get("/api/v1/results?kind=capture").json()["items"]] == [2]
    first = viewer.get("/api/v1/results?limit=1").json()
    assert len(viewer.get(f"/api/v1/results?before={first['next']}").json()["items"]) == 3
    assert viewer.get("/api/v1/results/999").status_code == 404
    assert viewer.get("/api/v1/results?kind=picture").status_code == 422


def test_nan_is_no_trouble(fleet: Fleet, viewer: httpx.Client) -> None:
    fleet.add("cam-1")
    sender = Sender(fleet.world, fleet.agents["cam-1"].device)
    nan = TensorData(name="y", dtype="float16", shape=(), data=b"\xff\x7f")
    sender.send(sender.result(1, outputs=(nan,)))
    assert viewer.get("/api/v1/results").json()["items"][0]["outputs"][0]["first"] == ["nan"]
