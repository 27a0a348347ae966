"""A Linux machine with fleet-agent, reached over SSH, which also carries the server's ports there.

Each device has a folder of its own below the entry's ``state_dir``, and all of them are removed at the end.
"""

import json
import shlex
from collections.abc import Sequence
from typing import Any

from demo.fleet import Fleet, free_ports
from demo.programs import Program, run
from hil.inventory import Ssh

COMMAND_S = 120.0
BATCH = ("-o", "BatchMode=yes", "-o", "ConnectTimeout=15")


class LinuxTarget:
    """One machine."""

    def __init__(self, name: str, entry: Ssh) -> None:
        self.name = name
        self.entry = entry

    def device(self, device: str, fleet: Fleet, runtimes: Sequence[str]) -> "LinuxDevice":
        """A device on it that was never enrolled, off."""
        return LinuxDevice(self.entry, device, fleet, runtimes)

    def has(self, path: str) -> bool:
        """Whether a file is there."""
        line = f"[ -e {path} ] && echo yes || echo no"
        return run([*shlex.split(self.entry.ssh), *BATCH, self.entry.host, line], timeout_s=COMMAND_S).strip() == "yes"


class LinuxDevice:
    """An agent there."""

    def __init__(self, entry: Ssh, device: str, fleet: Fleet, runtimes: Sequence[str]) -> None:
        self.name = device
        self._entry = entry
        self._fleet = fleet
        self._runtimes = runtimes
        self._folder = f"{entry.state_dir}/{device}"
        self._ssh = [*shlex.split(entry.ssh), *BATCH]
        (self._port,) = free_ports(1)
        self.address = f"127.0.0.1:{self._port}"
        """Where its local API is reached from here."""
        ports = ["-L", f"{self._port}:127.0.0.1:{self._port}"]
        ports += [value for port in fleet.device_ports for value in ("-R", f"127.0.0.1:{port}:127.0.0.1:{port}")]
        tunnel = [*self._ssh, "-N", "-o", "ExitOnForwardFailure=yes", *ports, entry.host]
        self._tunnel = Program(f"tunnel of {device}", tunnel, fleet.directory / "logs" / f"{device}-tunnel.log")
        self._tunnel.start()

    def enrol(self) -> None:
        """With a fresh claim token, which goes in by standard input."""
        self._there(f"mkdir -p {self._folder}")
        options = f"--state-dir {self._folder} --id {self.name} --token-file -"
        self._there(f"{self._entry.agent} enroll {options}", stdin=self._fleet.claim_token())

    def configure(self, text: str) -> None:
        """Its owner's decisions, from the next start on."""
        self._there(f"cat >{self._folder}/agent.toml", stdin=text)

    def start(self) -> None:
        """Start the agent in a session of its own, so that nothing of it outlives a kill of that."""
        runtimes = " ".join(f"--runtime {one}" for one in self._runtimes)
        agent = f"{self._entry.agent} run --state-dir {self._folder} --listen 127.0.0.1:{self._port} {runtimes}"
        log = f"</dev/null >>{self._folder}/log 2>&1"
        pid = f"{self._folder}/pid"
        begin = f"setsid sh -c 'echo $$ >{pid}.new; mv {pid}.new {pid}; exec {agent}' {log} &"
        self._there(f"rm -f {pid}; {begin} while [ ! -f {pid} ]; do sleep 0.1; done")

    def power_cut(self) -> None:
        """By the entry's commands, or SIGKILL to all processes of the agent at once."""
        if self._entry.power_off:
            run(shlex.split(self._entry.power_off), timeout_s=COMMAND_S)
            run(shlex.split(self._entry.power_on), timeout_s=COMMAND_S)
            self._tunnel.stop()
            self._tunnel.start()
        else:
            self._there(f"kill -s KILL -- -$(cat {self._folder}/pid)")

    def stop(self) -> None:
        """SIGTERM, and wait for the end."""
        self._there(f"kill $(cat {self._folder}/pid) && tail --pid=$(cat {self._folder}/pid) -f /dev/null")

    def status(self) -> dict[str, Any]:
        """What `fleet-agent status` says there."""
        return dict(json.loads(self._there(f"{self._entry.agent} status --state-dir {self._folder} --json")))

    def files_with(self, needle: bytes) -> list[str]:
        """Files of the device that hold these bytes."""
        pattern = "".join(f"\\x{byte:02x}" for byte in needle)
        found = self._there(f"LC_ALL=C grep -rlaP '{pattern}' {self._folder} || [ $? = 1 ]")
        return found.splitlines()

    def close(self) -> None:
        """End all of it there and remove its files."""
        group = f"-$(cat {self._folder}/pid)"
        kill = f"kill -s KILL -- {group} 2>/dev/null; while kill -s 0 -- {group} 2>/dev/null; do sleep 0.1; done"
        try:
            self._there(f"[ ! -f {self._folder}/pid ] || {{ {kill}; }}; rm -rf {self._folder}")
        finally:
            self._tunnel.stop()

    def _there(self, line: str, stdin: str = "") -> str:
        return run([*self._ssh, self._entry.host, line], timeout_s=COMMAND_S, stdin=stdin)
