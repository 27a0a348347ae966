"""Memory for models, and whether plaintext of one could end on a swap disk."""

from fleet_agent import device
from fleet_agent.doctor.check import About, Check, ok, warn

_LEAST_BYTES = 128 << 20


def look(about: About) -> list[Check]:
    """Free memory, swap."""
    return [_free(device.available_memory()), _swap(about, device.tier().model_store)]


def _free(available: int) -> Check:
    what = f"{available >> 20} MiB of memory free"
    if available < _LEAST_BYTES:
        why = "a worker takes about 64 MiB beside its model; a model that does not fit is refused"
        return warn(what, why, "end other programs, or send this device smaller variants")
    return ok(what)


def _swap(about: About, store: str) -> Check:
    models = (about.running or {}).get("models", {})
    if store == "no-swap":
        return ok("no swap: models stay in memory")
    if store == "locked" or (models and all(model.get("locked") for model in models.values())):
        return ok("there is swap, and models are locked into memory")
    why = "pages of a model in the clear can be written there"
    return warn("models can be swapped to disk", why, "LimitMEMLOCK=infinity (the unit has it), or sudo swapoff --all")
