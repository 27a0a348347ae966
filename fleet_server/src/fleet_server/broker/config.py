"""What the broker's configuration and access list say. Pure: settings in, text out.

A client is who its certificate says: ``use_identity_as_username`` takes the CN as user name, and
``use_username_as_clientid`` makes it the client id as well, without which any certificate could take over another
device's session. The access list gives a device its own subtree and nothing else; what it does not name is denied.
"""

from dataclasses import dataclass
from pathlib import Path

from dunlin_contract import topics
from dunlin_contract.limits import LIMITS
from fleet_server.errors import ConfigError

SERVER_NAME = topics.SERVER_CLIENT
"""CN and client id of the server itself. No device id holds an underscore, so no device can have it."""

QUEUED_MESSAGES = 100_000
QUEUED_BYTES = 64 * 1024 * 1024
"""Queue of one client. Mosquitto has one limit for all and drops silently beyond it (with its default of 1,000
messages, within seconds of a busy fleet's events), so it is set to what the server's own consumer needs. A device
pulls a few retained objects at a time and never gets near it."""

PACKET_MARGIN_BYTES = 1024
"""Topic and properties of the largest message."""


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """Where the broker listens, lives and finds its certificates. Port 0 asks for any free one."""

    directory: Path
    ca_file: Path
    certificate_file: Path
    key_file: Path
    host: str = "127.0.0.1"
    port: int = 0
    crl_file: Path | None = None

    @property
    def configuration_file(self) -> Path:
        return self.directory / "mosquitto.conf"

    @property
    def access_file(self) -> Path:
        return self.directory / "acl"

    @property
    def log_file(self) -> Path:
        return self.directory / "mosquitto.log"


def access_list() -> str:
    """The ``acl_file``. ``%u`` is the CN. Mosquitto never matches a CN that holds ``+`` or ``#``; one that holds ``/``
    would gain topics inside another device's subtree, so the CA refuses every CN that is not a device id."""
    rules = [
        f"user {SERVER_NAME}",
        "topic readwrite dunlin/v1/#",
        "",
        "# Every device: speak below its own up/, hear its own dn/ and the shared objects;",
        "# a gateway the same for the children that the server pinned to it.",
        "pattern write dunlin/v1/%u/up/#",
        "pattern write dunlin/v1/%u/c/+/up/#",
        "pattern read dunlin/v1/%u/dn/#",
        "pattern read dunlin/v1/%u/c/+/dn/#",
        "pattern read dunlin/v1/obj/+",
    ]
    return "\n".join(rules) + "\n"


def configuration(settings: BrokerSettings, user: str) -> str:
    """The ``mosquitto.conf``; ``user`` is the account that the broker keeps when it is started by root.

    Raises:
        ConfigError: a path that cannot stand on one line of the file, or no port.
    """
    if not 0 < settings.port < 65536:
        raise ConfigError(f"broker port {settings.port} is not a TCP port: choose one from 1 to 65535")
    options: list[tuple[str, str | int | Path]] = [
        ("user", user),
        ("log_dest", "stdout"),
        ("log_type", "error"),
        ("log_type", "warning"),
        ("log_type", "notice"),
        ("log_timestamp_format", "%Y-%m-%dT%H:%M:%S"),
        ("per_listener_settings", "false"),
        ("allow_anonymous", "false"),
        ("allow_zero_length_clientid", "false"),
        ("acl_file", settings.access_file),
        ("persistence", "true"),
        ("persistence_location", f"{settings.directory}/"),
        ("autosave_interval", 30),
        ("persistent_client_expiration", "14d"),
        ("max_packet_size", LIMITS.object_bytes + PACKET_MARGIN_BYTES),
        ("max_queued_messages", QUEUED_MESSAGES),
        ("max_queued_bytes", QUEUED_BYTES),
        ("max_inflight_messages", 64),
        ("max_keepalive", 300),
        ("set_tcp_nodelay", "true"),
        ("listener", f"{settings.port} {settings.host}"),
        ("max_qos", 1),
        ("cafile", settings.ca_file),
        ("certfile", settings.certificate_file),
        ("keyfile", settings.key_file),
        ("tls_version", "tlsv1.3"),
        ("require_certificate", "true"),
        ("use_identity_as_username", "true"),
        ("use_username_as_clientid", "true"),
    ]
    if settings.crl_file is not None:
        options.append(("crlfile", settings.crl_file))
    for _, value in options:
        if any(ord(char) < 32 for char in str(value)):
            raise ConfigError(f"{str(value)!r} holds a control character: move the installation to another folder")
    return "".join(f"{name} {value}\n" for name, value in options)
