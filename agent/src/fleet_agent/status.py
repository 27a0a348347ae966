"""``fleet-agent status`` for people."""

from collections.abc import Iterator, Mapping
from typing import Any

_PHASES = {
    "idle": "nothing desired",
    "planned": "choosing a variant of",
    "downloading": "downloading",
    "verified": "decrypting",
    "staged": "loading",
    "loaded": "about to test",
    "testing": "testing",
    "trial": "trying beside it",
    "probation": "on probation",
}
"""What happens to a candidate, by the phase of its update; in the other phases nothing does."""

_POLICIES = {"reduced": "hot, so it does less", "paused": "hot, so trials and engines wait"}
_WAYS = {"lean": "its cheaper variant, while the device is hot", "engine": "the engine that was built here"}


def lines(status: Mapping[str, Any], rates: Mapping[str, float]) -> Iterator[str]:
    """What the running agent (or the journal) says, in lines. ``rates``: answers a second, by model."""
    yield ", ".join(_device(status))
    hardware = status.get("hardware", {})
    if hardware.get("why"):
        yield f"  {_POLICIES[hardware['policy']]}: {hardware['why']}"
    for name, why in hardware.get("lacking", {}).items():
        yield f"  {name} says nothing: {why}"
    for name, model in sorted(status["models"].items()):
        yield from _model(name, model, rates.get(name))
    if not status["models"]:
        yield "  no models: the fleet has not given this device any"
    carriers = status.get("carriers", {})
    for kind, carrier in carriers.get("of", {}).items():
        if carrier["objects"] or carrier["asked"] or (carrier["why"] and kind != "mqtt"):
            yield f"  {', '.join(_carrier(kind, carrier))}"
    if carriers.get("waiting"):
        yield f"  {carriers['waiting']} objects wait for a way to this device"
    results = status.get("results", {})
    if results.get("waiting") or results.get("trouble"):
        trouble = f": {results['trouble']}" if results["trouble"] else ""
        yield f"  results: {results['waiting']} wait for the server ({results['bytes'] >> 10} KiB){trouble}"
    for one in status.get("lines", []):
        yield f"  {_line(one)}"


def rates(first: Mapping[str, Any], second: Mapping[str, Any], seconds: float) -> dict[str, float]:
    """Answers a second between two statuses, of each model that one and the same release serves in both."""
    return {
        name: (model["served"] - before["served"]) / seconds
        for name, model in second["models"].items()
        if model["ready"]
        and (before := first["models"].get(name)) is not None
        and before.get("release") == model.get("release")
        and model["served"] >= before["served"]
    }


def _device(status: Mapping[str, Any]) -> Iterator[str]:
    running = "running" if status["running"] else "not running"
    yield f"{status['device']}: {running}"
    yield "connected" if status["connected"] else "not connected"
    if status.get("port"):
        yield f"local API on port {status['port']}"
    if status.get("temperature_c") is not None:
        yield f"{status['temperature_c']:.0f} °C"
    yield from _hardware(status.get("hardware", {}))
    yield f"directive {status.get('epoch', 0)}/{status.get('seq', 0)}"
    unacked = status.get("events_unacked", 0)
    if unacked:
        yield f"{unacked} events wait for the server"


def _hardware(hardware: Mapping[str, Any]) -> Iterator[str]:
    """What sensors say besides the temperature."""
    if "power_mw" in hardware:
        yield f"{hardware['power_mw'] / 1000:.1f} W"
    if "gpu_permille" in hardware:
        yield f"GPU {hardware['gpu_permille'] / 10:.0f} %"
    if "power_mode" in hardware:
        yield f"power mode {hardware['power_mode']}"


def _model(name: str, model: Mapping[str, Any], rate: float | None) -> Iterator[str]:
    release = model.get("release") or model["active"] or "nothing"
    active = f"{model.get('version') or ''} {release[:12]}".strip()
    yield f"  {name}: {active}, {'serves' if model['ready'] else 'does not serve'}, {model['phase']}"
    if model["ready"]:
        yield f"    {', '.join(_serving(model, rate))}"
    sandbox = model.get("sandbox")
    if sandbox:
        locked = ", locked into memory" if model.get("locked") else ""
        yield f"    sandbox {sandbox['tier']}{locked}"
    if model.get("note"):
        yield f"    {model['note']}"
    drift = [_drift(one) for one in model.get("drift", ()) if one["count"]]
    if drift:
        yield f"    drift (PSI): {', '.join(drift)}"
    if model.get("capture"):
        kept = model["capture"]
        yield f"    keeps requests for the fleet: {kept['kept']} kept, {kept['left_today']} more today"
    if model.get("way") or model.get("engine"):
        yield f"    {_WAYS.get(model.get('way', '')) or model['engine']}"
    doing = _PHASES.get(model["phase"])
    if model["candidate"] and doing:
        have, need = model["chunks_have"], model["chunks_need"]
        share = f", {have} of {need} chunks" if need and have < need else ""
        yield f"    {doing} {model['candidate'][:12]}{share}"
    if model["error_code"]:
        yield f"    {model['error_code']}: {model['error_text']}"


def _drift(one: Mapping[str, Any]) -> str:
    """A feature; what is no shift needs no word."""
    if one["shift"] == "unknown":
        return f"{one['feature']} (only {one['count']} counted)"
    word = {"none": "", "moderate": " (moderate)", "major": " (MAJOR)"}[one["shift"]]
    return f"{one['feature']} {one['psi']:.2f}{word}"


def _serving(model: Mapping[str, Any], rate: float | None) -> Iterator[str]:
    yield model["variant"]
    if "runs_on" in model:
        many = f"{model['workers']} workers of " if model["workers"] > 1 else ""
        batch = f", up to {model['batch']} rows together" if model["batch"] > 1 else ""
        yield f"{many}{model['threads']} threads on {model['runs_on']}{batch}"
    yield f"{model['served']} answers" + (f", {rate:.1f} a second" if rate is not None else "")
    if model.get("p95_us"):
        yield f"p50 {model['p50_us'] / 1000:.2g} ms, p95 {model['p95_us'] / 1000:.2g} ms in the model"
    if model.get("errors"):
        yield f"{model['errors']} failed"


def _carrier(kind: str, carrier: Mapping[str, Any]) -> Iterator[str]:
    """What one carrier has brought since the agent started, and what it is asked for now."""
    yield f"by {kind}: {carrier['objects']} objects ({carrier['bytes'] >> 10} KiB)"
    if carrier["asked"]:
        yield f"{carrier['asked']} asked for"
    if carrier["why"]:
        yield str(carrier["why"])


def _line(line: Mapping[str, Any]) -> str:
    """A serial line and its child."""
    parts = [f"{line['line']}: {'open' if line['open'] else line['why']}"]
    if line["child"]:
        parts.append(f"{line['child']} {'online' if line['online'] else 'silent'}")
    elif line["online"]:
        parts.append("a microcontroller without a name")
    elif line["open"]:
        parts.append(line["why"] or "nobody answers")
    if line["heard_s"] is not None:
        parts.append(f"heard {line['heard_s']:.0f} s ago")
    if line["frame_errors"]:
        parts.append(f"{line['frame_errors']} frame errors")
    return ", ".join([*parts, *line["carrying"]])
