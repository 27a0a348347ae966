"""Reading ``agent.toml``."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dunlin_contract.console import UsageError
from dunlin_contract.vocabulary import Checks
from fleet_agent.config.words import WORDS

MOST_BYTES = 65_536


class ConfigError(UsageError):
    """The file says something that cannot be: a typo, a wrong type, a value out of bounds."""


@dataclass(frozen=True, slots=True)
class File:
    """The tables of a file whose words are known and of the right type; ``check`` names its lines in errors."""

    check: Checks
    tables: Mapping[str, Any] = field(default_factory=dict)

    def table(self, name: str) -> Mapping[str, Any]:
        """One table, empty where the file has none."""
        table: Mapping[str, Any] = self.tables.get(name, {})
        return table

    def tables_of(self, name: str) -> list[Mapping[str, Any]]:
        """All tables of a list, ``[[name]]``. Raises ConfigError: one is no table or has unknown words."""
        tables: list[Mapping[str, Any]] = self.tables.get(name, [])
        for table in tables:
            if not isinstance(table, Mapping):
                self.check.fail(f"{name} must be tables: write [[{name}]]", name)
            self.check.words(name, table)
        return tables


def read(path: Path | None) -> File:
    """What the file at ``path`` says; without one, nothing.

    Raises:
        ConfigError: it is not there, too long, not TOML, or has words that are not known.
    """
    if path is None:
        return File(Checks(Path("agent.toml"), "", WORDS, ConfigError))
    try:
        with path.open("rb") as opened:
            raw = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; name the agent's configuration, or leave --config out") from None
    if len(raw) > MOST_BYTES:
        raise ConfigError(f"{path} has more than {MOST_BYTES} bytes: it is no configuration of an agent")
    try:
        source = raw.decode()
        tables = tomllib.loads(source)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
    check = Checks(path, source, WORDS, ConfigError)
    check.words("", tables)
    return File(check, tables)
