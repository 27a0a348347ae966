"""Making a new installation, and opening one that is there."""

import ipaddress
import logging
import os
import secrets
import shutil
import time
from dataclasses import replace

from dunlin_contract.root import ServerKeys
from fleet_server import config as config_file
from fleet_server.config import Config
from fleet_server.context import Context
from fleet_server.db import migrate
from fleet_server.db.engine import Database
from fleet_server.errors import ConfigError
from fleet_server.keys import files, store

SERVER_KEYS = "server-keys.cbor"
_SURELY_PAST_S = 1_735_689_600  # 2025-01-01: a clock before it was never set

log = logging.getLogger(__name__)


def init(config: Config) -> None:
    """Create `config.dir` with settings, keys, certificates and an empty database; all of it, or nothing.

    Raises: ConfigError if the directory or the database is not empty, or the clock is wrong.
    """
    if time.time() < _SURELY_PAST_S:
        raise ConfigError("this machine's clock is years behind: set it, or every certificate made now is long over")
    directory = config.dir
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise ConfigError(f"{directory} is not empty: choose a new directory")
    work = directory.with_name(f".{directory.name}.init-{secrets.token_hex(4)}")
    try:
        work.mkdir(mode=0o700, parents=True)
        _fill(replace(config, dir=work))
        work.rename(directory)
        files.sync_dir(directory.parent)
    except OSError as error:
        raise ConfigError(f"cannot create {directory}: {error.strerror}") from None
    finally:
        shutil.rmtree(work, ignore_errors=True)


def open_context(directory: str | os.PathLike[str]) -> Context:
    """An installation, ready for use: keys loaded, own certificates current, database at this version's tables.

    Raises: ConfigError (no installation, or not usable), BusyError (the database is away or locked).
    """
    config = config_file.load(directory)
    for path in (config.bundles_dir, config.temp_dir):
        path.mkdir(mode=0o700, exist_ok=True)
    keys = store.Keys(store.Paths(config.keys_dir))
    issued = store.ensure_certificates(keys, _hosts(config), time.time())
    if issued:
        log.info("certificates issued: %s", ", ".join(issued))
    database = Database(config.database_url)
    migrate.upgrade(database)
    return Context(config, database, keys)


def bind_address(host: str) -> str:
    """Where to listen so that `host` reaches it: loopback names stay on this machine."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "127.0.0.1" if host == "localhost" else "0.0.0.0"  # noqa: S104 - devices come from outside
    if address.is_loopback:
        return host
    return "::" if address.version == 6 else "0.0.0.0"  # noqa: S104 - devices come from outside


def _fill(config: Config) -> None:
    now = time.time()
    paths = store.Paths(config.keys_dir)
    store.create(paths, now)
    keys = store.Keys(paths)
    store.ensure_certificates(keys, _hosts(config), now)
    for path in (config.bundles_dir, config.temp_dir):
        path.mkdir(mode=0o700)
    public = ServerKeys(director=keys.director_spki, vault=keys.vault_spki, ca=keys.ca.spki)
    files.write(config.dir / SERVER_KEYS, public.to_bytes(), 0o644)
    config.save()
    database = Database(config.database_url)
    try:
        if not migrate.is_empty(database):
            raise ConfigError("the database is not empty: give this server a database of its own")
        migrate.upgrade(database)
    finally:
        database.close()


def _hosts(config: Config) -> list[str]:
    return [config.host, config.broker_host]
