"""Server-sent events over a real socket."""

import json
from collections.abc import Iterator

import httpx
from fastapi import FastAPI

from tests.fleet_server.rollouts.fleet import Fleet


def changes(lines: Iterator[str]) -> Iterator[set[str]]:
    """Topics of each `change` event."""
    kind = ""
    for line in lines:
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: ") and kind == "change":
            yield set(json.loads(line.removeprefix("data: "))["topics"])


def test_a_listener_hears_of_what_it_asked_for(viewer: httpx.Client, fleet: Fleet) -> None:
    fleet.add("cam-1", "cam-2")
    with viewer.stream("GET", "/api/v1/stream", params={"topics": "device:cam-2,rollout:"}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        heard = changes(answer.iter_lines())
        assert next(heard) == {"fleet"}, "the first comes at once: what changed before it was subscribed is not lost"
        fleet.agents["cam-1"].connect(False)
        fleet.agents["cam-2"].connect(False)
        assert next(heard) == {"device:cam-2"}
        rollout = fleet.start(fleet.push("1.0.0"))
        topics: set[str] = set()
        while f"rollout:{rollout}" not in topics:
            topics |= next(heard)
        assert "device:cam-1" not in topics


def test_open_streams_end_with_the_server(viewer: httpx.Client, app: FastAPI) -> None:
    with viewer.stream("GET", "/api/v1/stream") as answer:
        lines = answer.iter_lines()
        assert next(lines) == "retry: 2000"
        app.state.context.notifier.close()
        assert "event: change" in list(lines)
