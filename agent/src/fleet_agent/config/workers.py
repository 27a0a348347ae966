"""``[worker]`` and ``[[model]]``: how models run on this device."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dunlin_contract import ids
from fleet_agent.config.file import File
from fleet_agent.sandbox import accounts
from fleet_agent.sandbox.privileges import Account

ENGINE = "engine"
"""The delegate that is built on the device."""
DELEGATES = ("cpu", "cuda", "tensorrt", ENGINE)
MOST_WORKERS = 8
MOST_BATCH = 64
MOST_THREADS = 64
_MOST_CPU = 1023
_MOST_MB = 1 << 20
_MODELS = 64


@dataclass(frozen=True, slots=True)
class Settings:
    """How one model runs. ``threads`` 0: as many as its processors, up to four. ``cpus`` empty: any processor.

    ``batch``: requests that wait run together, up to so many rows, where the model can; 1 is off. ``memory_mb`` 0: no
    limit but the device's own. ``delegate``: what computes; where that is missing, or the ``engine`` is
    not built yet, the CPU does. ``account``: whom workers run as, None: the agent's own user.
    """

    workers: int = 1
    batch: int = 16
    threads: int = 0
    cpus: tuple[int, ...] = ()
    memory_mb: int = 0
    delegate: str = "cpu"
    account: Account | None = None


@dataclass(frozen=True, slots=True)
class Workers:
    """Settings of each model that has its own, and of all others."""

    others: Settings = Settings()
    models: Mapping[str, Settings] = field(default_factory=dict)

    def of(self, model: str) -> Settings:
        """The settings of a model."""
        return self.models.get(model, self.others)


def read(file: File) -> Workers:
    """What the file says of workers.

    Raises:
        ConfigError: a value that cannot be, a user that is not there, or a model that is named twice.
    """
    table = file.table("worker")
    try:
        account = accounts.find(table.get("user"))
    except accounts.AccountError as error:
        file.check.fail(str(error), "user")
    others = _settings(file, table, Settings(account=account))
    models: dict[str, Settings] = {}
    for one in file.tables_of("model"):
        name = one.get("name")
        if name is None or not ids.is_model(name):
            file.check.fail("a [[model]] needs the name of a model", "model" if name is None else str(name))
        if name in models:
            file.check.fail(f"model {name!r} is there twice", str(name))
        if len(models) == _MODELS:
            file.check.fail(f"more than {_MODELS} models", str(name))
        models[name] = _settings(file, one, others)
    return Workers(others, models)


def _settings(file: File, table: Mapping[str, Any], base: Settings) -> Settings:
    changes: dict[str, Any] = {}
    bounds = (
        ("workers", 1, MOST_WORKERS),
        ("batch", 1, MOST_BATCH),
        ("threads", 1, MOST_THREADS),
        ("memory_mb", 16, _MOST_MB),
    )
    for key, least, most in bounds:
        if key in table:
            changes[key] = file.check.number(table, key, least, most)
    if "cpus" in table:
        cpus = table["cpus"]
        right = all(type(cpu) is int and 0 <= cpu <= _MOST_CPU for cpu in cpus) and len(set(cpus)) == len(cpus)
        if not right or not cpus:
            file.check.fail("cpus must be a list of processors' numbers, such as [2, 3]", "cpus")
        changes["cpus"] = tuple(cpus)
    if "delegate" in table:
        if table["delegate"] not in DELEGATES:
            file.check.fail(f"delegate must be one of {', '.join(DELEGATES)}", "delegate")
        changes["delegate"] = table["delegate"]
    return replace(base, **changes)
