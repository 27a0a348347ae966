"""``[capture]``: whether the fleet may ask for this device's inputs. Without the owner's word it may not."""

from dataclasses import dataclass

from dunlin_contract import ids
from fleet_agent.config.file import File

KINDS = ("random", "margin", "disagreement", "class")
_MOST_MB = 1 << 20
_MOST_PER_DAY = 100_000
_MOST_MODELS = 64


@dataclass(frozen=True, slots=True)
class Capture:
    """``consent``: inputs may be kept and sent, in the clear, where an order that two people signed asks for it.

    ``models``: of these only; empty: of any. ``kinds``: for these reasons only. ``per_day``: at most so many of a model
    in 24 hours, whatever the order says. ``most_mb``: of them on the disk.
    """

    consent: bool = False
    models: tuple[str, ...] = ()
    kinds: tuple[str, ...] = KINDS
    per_day: int = 1000
    most_mb: int = 32

    def allows(self, model: str) -> bool:
        """Whether inputs of this model may be kept."""
        return self.consent and (not self.models or model in self.models)


def read(file: File) -> Capture:
    """What the file says of captures.

    Raises:
        ConfigError: a number is out of bounds, or no such kind or model can be.
    """
    table, usual = file.table("capture"), Capture()
    models, kinds = table.get("models", []), table.get("kinds", list(KINDS))
    for model in models:
        if not isinstance(model, str) or not ids.is_model(model):
            file.check.fail(f"models: {model!r} cannot be the name of a model", "models")
    if len(models) > _MOST_MODELS:
        file.check.fail(f"more than {_MOST_MODELS} models", "models")
    for kind in kinds:
        if kind not in KINDS:
            file.check.fail(f"kinds: {kind!r} is none of {', '.join(KINDS)}", "kinds")
    number = file.check.number
    return Capture(
        consent=table.get("consent", usual.consent),
        models=tuple(models),
        kinds=tuple(kinds),
        per_day=number(table, "per_day", 1, _MOST_PER_DAY) if "per_day" in table else usual.per_day,
        most_mb=number(table, "most_mb", 1, _MOST_MB) if "most_mb" in table else usual.most_mb,
    )
