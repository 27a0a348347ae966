"""``fleet-agent status`` as people read it."""

from typing import Any

from fleet_agent import status

MODEL: dict[str, Any] = {
    "phase": "committed",
    "active": "ab" * 32,
    "previous": None,
    "candidate": None,
    "error_code": "",
    "error_text": "",
    "variant": "int8",
    "served": 120,
    "chunks_have": 0,
    "chunks_need": 0,
    "ready": True,
    "version": "1.2.0",
    "release": "ab" * 32,
    "errors": 2,
    "p50_us": 16,
    "p95_us": 2_100,
    "workers": 2,
    "batch": 16,
    "threads": 4,
    "runs_on": "cpu",
    "note": "",
    "locked": True,
    "sandbox": {"tier": "user+landlock+seccomp"},
}
DEVICE: dict[str, Any] = {
    "device": "kitchen-7",
    "running": True,
    "connected": True,
    "port": 8100,
    "epoch": 1,
    "seq": 12,
}


def shown(model: dict[str, Any], **device: Any) -> list[str]:
    return list(status.lines({**DEVICE, **device, "models": {"digits": {**MODEL, **model}}}, {"digits": 12.34}))


def test_a_model_that_serves() -> None:
    assert shown({}, temperature_c=48.3, events_unacked=3) == [
        "kitchen-7: running, connected, local API on port 8100, 48 °C, directive 1/12, 3 events wait for the server",
        "  digits: 1.2.0 abababababab, serves, committed",
        (
            "    int8, 2 workers of 4 threads on cpu, up to 16 rows together, 120 answers, 12.3 a second, "
            "p50 0.016 ms, p95 2.1 ms in the model, 2 failed"
        ),
        "    sandbox user+landlock+seccomp, locked into memory",
    ]


def test_an_update_on_its_way_and_one_that_was_refused() -> None:
    lines = shown({"phase": "downloading", "candidate": "cd" * 32, "chunks_have": 3, "chunks_need": 12})
    assert lines[-1] == "    downloading cdcdcdcdcdcd, 3 of 12 chunks"
    refused = {"phase": "refused", "candidate": "cd" * 32, "error_code": "self-test", "error_text": "it differs"}
    assert shown(refused)[-1] == "    self-test: it differs"


def test_a_device_that_is_down_or_has_nothing() -> None:
    down = {key: MODEL[key] for key in ("phase", "active", "candidate", "variant", "served", "error_code")}
    told = {"device": "kitchen-7", "running": False, "connected": False, "models": {"digits": {**down, "ready": False}}}
    assert list(status.lines(told, {})) == [
        "kitchen-7: not running, not connected, directive 0/0",
        "  digits: abababababab, does not serve, committed",
    ]
    assert list(status.lines({**told, "models": {}}, {}))[1] == "  no models: the fleet has not given this device any"


def test_results_that_wait() -> None:
    waiting = {"waiting": 7, "bytes": 9_000, "trouble": "disk-full"}
    lines = list(status.lines({**DEVICE, "models": {}, "results": waiting}, {}))
    assert lines[-1] == "  results: 7 wait for the server (8 KiB): disk-full"


def test_a_rate_is_of_one_release_only() -> None:
    def at(served: int, release: str = "ab") -> dict[str, Any]:
        return {"models": {"digits": {**MODEL, "served": served, "release": release}}}

    assert status.rates(at(100), at(150), 2.0) == {"digits": 25.0}
    assert status.rates(at(100), at(150, "cd"), 2.0) == {}
    assert status.rates(at(100), at(3), 2.0) == {}, "its front began to count anew"
    assert status.rates({"models": {}}, at(3), 2.0) == {}


def test_how_requests_were_and_what_is_kept_of_them() -> None:
    def feature(name: str, psi: float, count: int, shift: str) -> dict[str, Any]:
        return {"feature": name, "psi": psi, "ks": 0.0, "count": count, "shift": shift}

    drift = [
        feature("input image mean", 0.012, 900, "none"),
        feature("input image deviation", 0.17, 900, "moderate"),
        feature("output scores class", 1.234, 900, "major"),
        feature("output scores confidence", 3.0, 7, "unknown"),
        feature("input other mean", 0.0, 0, "unknown"),
    ]
    capture = {"order": "ab" * 16, "not_after": 1, "kept": 3, "left_today": 97}
    assert shown({"drift": drift, "capture": capture})[-2:] == [
        (
            "    drift (PSI): input image mean 0.01, input image deviation 0.17 (moderate), "
            "output scores class 1.23 (MAJOR), output scores confidence (only 7 counted)"
        ),
        "    keeps requests for the fleet: 3 kept, 97 more today",
    ]
    assert not any("drift" in line for line in shown({"drift": drift[4:]}))


def test_sensors_and_what_is_done_about_heat() -> None:
    hardware = {"power_mw": 6573, "gpu_permille": 374, "power_mode": "MODE_15W", "policy": "reduced"}
    hot = {"why": "85 °C, hot from 80 on", "lacking": {"jtop": "The jtop.service is not active."}}
    lines = shown({"way": "lean"}, temperature_c=85.0, hardware=hardware | hot)
    assert lines[0].startswith(
        "kitchen-7: running, connected, local API on port 8100, 85 °C, 6.6 W, GPU 37 %, power mode MODE_15W, "
    )
    assert lines[1:3] == [
        "  hot, so it does less: 85 °C, hot from 80 on",
        "  jtop says nothing: The jtop.service is not active.",
    ]
    assert lines[-1] == "    its cheaper variant, while the device is hot"
    assert shown({"way": "engine"})[-1] == "    the engine that was built here"
    assert shown({"way": "", "engine": "an engine is being built: Tactics 12 %"})[-1].endswith("Tactics 12 %")
