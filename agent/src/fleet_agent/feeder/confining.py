"""What a feeder may still reach once it feeds: pictures and messages come from strangers, and decoders have bugs.

A rule hangs on the file or folder that was there when the sandbox was entered. One that came or was replaced since, as
a camera that was plugged in again or the name servers of another network, can be reached by a new process only.
"""

from collections.abc import Sequence
from pathlib import Path

from fleet_agent.config.sources import Source
from fleet_agent.sandbox import enter, profiles
from fleet_agent.sandbox.landlock import DEVICE, PUT, READ, TAKE, WRITE_NEW, Right, Rule
from fleet_agent.sandbox.record import Record

# Names of hosts and certificates of authorities.
_OF_NETWORKS = (
    "/etc/hosts", "/etc/host.conf", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/services",
    "/run/systemd/resolve", "/run/NetworkManager", "/run/resolvconf", "/etc/ssl/certs", "/etc/ssl/openssl.cnf",
    "/usr/share/ca-certificates", "/usr/local/share/ca-certificates", "/etc/pki/tls", "/etc/pki/ca-trust",
)  # fmt: skip
_Node = tuple[int, int, int] | None


class Confinement:
    """Enters the sandbox, at once; afterwards it knows whether another one would be of more use."""

    def __init__(self, sources: Sequence[Source], parent: int) -> None:
        """Confine this process, which has one thread, to what ``sources`` need; ``parent`` is its supervisor's process.

        Raises:
            SandboxError: it did not work. The process must end.
        """
        own = rules(sources)
        self._nodes = {rule.path: _node(rule.path) for rule in own}
        network = any(map(_network, sources))
        self.record: Record = enter.enter(profiles.feeder(own, network=network), parent)

    @property
    def stale(self) -> bool:
        """Something that the sources need is there that was not, or is another."""
        now = ((before, _node(path)) for path, before in self._nodes.items())
        return any(node is not None and node != before for before, node in now)


def rules(sources: Sequence[Source]) -> tuple[Rule, ...]:
    """The files, folders and devices that sources and their sinks name, and what their networks need."""
    found: dict[str, Rule] = {}

    def add(path: Path | str, rights: Right) -> None:
        rule = found.get(str(path))
        found[str(path)] = Rule(str(path), rights if rule is None else rule.rights | rights)

    for source in sources:
        if source.folder is not None:
            add(source.folder, READ if source.done == "keep" else TAKE)
        if source.done_folder is not None:
            add(source.done_folder, PUT)
        if source.device:
            add(source.device, DEVICE)
        for sink in source.sinks:
            if sink.path is not None:
                add(sink.path.parent, WRITE_NEW)
        if _network(source):
            for path in _OF_NETWORKS:
                add(path, READ)
    return tuple(found.values())


def _network(source: Source) -> bool:
    return bool(source.url) or any(sink.url for sink in source.sinks)


def _node(path: str) -> _Node:
    try:
        about = Path(path).stat()
    except OSError:
        return None
    return about.st_dev, about.st_ino, about.st_rdev
