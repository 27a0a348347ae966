"""Where an installation lives and how it is set: DIR/server.toml, written by `init`, read by everything else."""

import dataclasses
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleet_server.db.engine import sqlite_url
from fleet_server.errors import ConfigError, suggest

FILE = "server.toml"
_WORDS: dict[Any, str] = {str: "text", int: "a whole number", float: "a number"}
_LIMITS: dict[str, tuple[float, float]] = {
    "tick_s": (0.05, 60),
    "directive_s": (60, 365 * 86400),
    "upload_bytes": (1024, 2**50),
    "results_bytes": (2**20, 2**50),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings of one server. Ports are TCP ports; durations are seconds."""

    dir: Path  # the data directory; not in the file
    host: str = "localhost"  # the name devices reach the https listener by; in its certificate
    device_address: str = "127.0.0.1"  # the https listener for devices binds here
    device_port: int = 8443
    operator_address: str = "127.0.0.1"  # dashboard and /api/v1, http
    operator_port: int = 8080
    broker_host: str = "localhost"  # where the server and the devices connect
    broker_port: int = 8883
    database: str = ""  # SQLAlchemy URL; empty: SQLite in DIR
    tick_s: float = 1.0  # how often rollouts are looked at
    directive_s: float = 7 * 86400.0  # how long a directive is valid; reissued when a third of it has passed
    upload_bytes: int = 4 * 1024**3  # the largest bundle taken
    results_bytes: int = 16 * 1024**2  # results and captures kept per device; the oldest go

    @property
    def database_url(self) -> str:
        """The SQLAlchemy URL in force."""
        return self.database or sqlite_url(self.dir / "dunlin.db")

    @property
    def keys_dir(self) -> Path:
        """Private keys and certificates, 0700."""
        return self.dir / "keys"

    @property
    def bundles_dir(self) -> Path:
        """Verified bundles, <release digest>.dnb."""
        return self.dir / "bundles"

    @property
    def temp_dir(self) -> Path:
        """Uploads on their way in; emptied at start."""
        return self.dir / "tmp"

    @property
    def device_url(self) -> str:
        """What claim tokens carry."""
        return f"https://{self.host}:{self.device_port}"

    def save(self) -> None:
        """Write DIR/server.toml (0600: the database URL may hold a password) with every setting in it."""
        lines = [f"{name} = {_toml(value)}\n" for name, value in dataclasses.asdict(self).items() if name != "dir"]
        path = self.dir / FILE
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write("".join(lines))


def load(directory: str | os.PathLike[str]) -> Config:
    """Read an installation's settings.

    Raises: ConfigError if there is none, or a setting is unknown or of the wrong type.
    """
    root = Path(directory).absolute()
    path = root / FILE
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"no server in {root}: run `fleet-server init {root}` first") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"cannot read {path}: {why}") from None
    kinds = {field.name: field.type for field in dataclasses.fields(Config) if field.name != "dir"}
    for name, value in values.items():
        kind = kinds.get(name)
        if kind is None:
            raise ConfigError(f"{path}: no setting {name!r}: {suggest(name, kinds)}")
        if kind is float and type(value) is int:
            values[name] = float(value)
        elif type(value) is not kind:
            raise ConfigError(f"{path}: {name} must be {_WORDS[kind]}")
        least, most = (1, 65535) if name.endswith("_port") else _LIMITS.get(name, (None, None))
        if least is not None and not least <= values[name] <= most:
            raise ConfigError(f"{path}: {name} must be from {least:g} to {most:g}")
    return Config(dir=root, **values)


def _toml(value: object) -> str:
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return repr(value)
