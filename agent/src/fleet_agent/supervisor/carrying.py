"""The device's carriers put together: its broker, its server's HTTPS listener, and a folder such as a USB stick's."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dunlin_contract.settings import Settings
from fleet_agent.carriers.base import Locate, Source
from fleet_agent.carriers.folder import FolderReader, Reader, Told
from fleet_agent.carriers.http import HttpCarrier
from fleet_agent.carriers.mixed import Mixed
from fleet_agent.carriers.mqtt import MqttCarrier, Subscriber
from fleet_agent.carriers.runs import Asked, Fetcher
from fleet_agent.carriers.usb import UsbCarrier
from fleet_agent.clock import SignedTime
from fleet_agent.config.carriers import Carriers
from fleet_agent.paths import Paths
from fleet_agent.supervisor.fetching import Fetching
from fleet_agent.supervisor.loop import Loop
from fleet_agent.tls import client_context


@dataclass(frozen=True, slots=True)
class Ways:
    """What carriers work with. ``url``: of the fleet's server; ``desired``: releases to have or to try, by the names of
    their manifests.
    """

    loop: Loop
    paths: Paths
    time: SignedTime
    url: str
    locate: Locate
    desired: Callable[[], Mapping[bytes, bytes]]


class Carrying:
    """All carriers, behind the one interface that ``fetching`` uses; a folder first, then the broker, then HTTP."""

    def __init__(
        self, ways: Ways, carriers: Carriers, link: Subscriber, fetching: Fetching, settings: Settings
    ) -> None:
        self._ways = ways
        self._mixed = mixed = Mixed(ways.loop, fetching, ways.locate)
        mqtt = MqttCarrier(ways.loop, link, mixed.part("mqtt"), settings.window, settings.object_timeout_s)
        self._mqtt = mqtt
        self._http = HttpCarrier(ways.loop, mixed.part("http"), ways.locate, self._fetcher) if carriers.http else None
        self._usb: UsbCarrier | None = None
        if carriers.usb is not None:
            folder = carriers.usb

            def make(told: Told) -> Reader:
                return FolderReader(folder, told)

            self._usb = UsbCarrier(ways.loop, mixed.part("usb"), ways.locate, ways.desired, make)
        sources: list[Source | None] = [self._usb, mqtt, self._http]
        mixed.join(*(source for source in sources if source is not None))
        fetching.carrier = mixed

    def start(self) -> None:
        """Begin looking for what was plugged in."""
        if self._usb is not None:
            self._usb.start()

    def followed(self) -> None:
        """There is a new directive."""
        if self._usb is not None:
            self._usb.look()

    def close(self) -> None:
        """End the carriers' threads."""
        if self._usb is not None:
            self._usb.close()
        if self._http is not None:
            self._http.close()

    def configure(self, settings: Settings) -> None:
        """New settings."""
        self._mqtt.configure(settings.window, settings.object_timeout_s)

    def online(self, there: bool) -> None:
        """The connection to the broker came or went."""
        self._mqtt.online(there)
        self._mixed.part("mqtt").changed(fresh=there)
        if there and self._http is not None:
            self._http.hurry()

    def message(self, name: bytes, data: bytes) -> None:
        """A message on an object's topic."""
        self._mqtt.message(name, data)

    def status(self) -> dict[str, object]:
        """Which carrier brings what."""
        return self._mixed.status()

    def _fetcher(self, asked: Asked) -> Fetcher:
        # http.client is some megabytes that most devices never need.
        from fleet_agent.carriers.https_fetcher import HttpsFetcher

        ways = self._ways
        return HttpsFetcher(ways.url, lambda: client_context(ways.paths), lambda: ways.time.now, asked)
