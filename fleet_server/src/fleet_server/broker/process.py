"""Runs Mosquitto as a child process that ends when its parent does."""

import contextlib
import getpass
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from fleet_server.broker.config import BrokerSettings, access_list, configuration
from fleet_server.errors import ConfigError

START_S = 15.0
STOP_S = 5.0
PORT_TRIES = 5


def write(settings: BrokerSettings) -> Path:
    """Write the configuration and the access list into the broker's folder; return the configuration's path."""
    settings.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path, text in (
        (settings.access_file, access_list()),
        (settings.configuration_file, configuration(settings, getpass.getuser())),
    ):
        partial = path.with_suffix(".new")
        partial.write_text(text)
        partial.chmod(0o600)
        partial.replace(path)
    return settings.configuration_file


def free_port(host: str) -> int:
    """A TCP port that nothing listens on now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def program() -> str:
    """Path of the Mosquitto program, which Debian keeps outside an ordinary user's PATH.

    Raises:
        ConfigError: it is not installed.
    """
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    found = shutil.which("mosquitto", path=path)
    if found is None:
        raise ConfigError("Mosquitto is not installed: apt-get install mosquitto")
    return found


class Broker:
    """One Mosquitto, from :meth:`start` to :meth:`stop`; also a context manager.

    The kernel ends the broker when the thread that started it ends, so start it from one that lives as long as it
    is needed. ``settings.port`` tells the port that was chosen.
    """

    def __init__(self, settings: BrokerSettings) -> None:
        self.settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        return self.settings.port

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the broker and return once it answers with its certificate.

        Raises:
            ConfigError: Mosquitto is missing, the port is taken, or Mosquitto refuses its configuration.
        """
        if self.running:
            return
        if self.settings.port:
            self._start_once()
            return
        for left in reversed(range(PORT_TRIES)):
            # Between choosing a free port and listening on it another program may take it.
            self.settings = replace(self.settings, port=free_port(self.settings.host))
            try:
                self._start_once()
            except PortTakenError:
                if not left:
                    raise
            else:
                return

    def stop(self) -> None:
        """End the broker, which writes its retained messages to disk first."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def restart(self) -> None:
        """Stop and start again on the same port."""
        self.stop()
        self.start()

    def reload(self) -> None:
        """Have the running broker read its access list, limits and CRL again."""
        if self._process is not None:
            self._process.send_signal(signal.SIGHUP)

    def run(self, announce: Callable[[str], None]) -> None:
        """Start, announce the address, and stay until SIGTERM or SIGINT.

        Raises:
            ConfigError: as :meth:`start`; also when the broker ends by itself.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.default_int_handler)
        with contextlib.suppress(KeyboardInterrupt), self:
            announce(f"broker mqtts://{self.settings.host}:{self.port}")
            assert self._process is not None
            self._process.wait()
            raise ConfigError(f"the broker ended by itself: read {self.settings.log_file}")

    def __enter__(self) -> "Broker":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start_once(self) -> None:
        self._refuse_taken_port()
        mosquitto, setpriv = program(), shutil.which("setpriv")
        if setpriv is None:
            raise ConfigError("setpriv is not installed: apt-get install util-linux")
        configuration_file = write(self.settings)
        with open(self.settings.log_file, "ab") as log:
            log_start = log.tell()
            self._process = subprocess.Popen(
                [setpriv, "--pdeathsig", "TERM", mosquitto, "-c", str(configuration_file)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_S
        while not self._answers():
            if self._process.poll() is not None:
                self._process = None
                raise ConfigError(f"the broker did not start: {self._last_error(log_start)}")
            if time.monotonic() > deadline:
                self.stop()
                raise ConfigError(f"the broker does not answer: read {self.settings.log_file}")
            time.sleep(0.02)

    def _refuse_taken_port(self) -> None:
        with socket.socket(socket.AF_INET6 if ":" in self.settings.host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self.settings.host, self.settings.port))
            except OSError as error:
                address = f"{self.settings.host}:{self.settings.port}"
                raise PortTakenError(
                    f"the broker cannot listen on {address} ({error.strerror}): "
                    "stop what holds it, or choose another --broker-port"
                ) from error

    def _answers(self) -> bool:
        """Whether something on the port shows a certificate of our CA: so not another program that took the port."""
        context = ssl.create_default_context(cafile=self.settings.ca_file)
        context.check_hostname = False
        everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what it is when it is asked for
        host = everywhere.get(self.settings.host, self.settings.host)
        try:
            with (
                socket.create_connection((host, self.settings.port), timeout=2) as plain,
                context.wrap_socket(plain),
            ):
                return True
        except OSError:
            return False

    def _last_error(self, log_start: int) -> str:
        with open(self.settings.log_file, "rb") as log:
            log.seek(log_start)
            lines = log.read().decode(errors="replace").splitlines()
        errors = [line.partition(": ")[2] or line for line in lines if "Error" in line]
        return errors[0] if errors else f"read {self.settings.log_file}"


class PortTakenError(ConfigError):
    """Another program listens on the broker's port."""
