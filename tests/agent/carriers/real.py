"""The real carriers as their tests make them: over HTTPS with certificates of their own, and from a folder."""

import ssl
from pathlib import Path
from typing import Any

from fleet_agent.carriers.folder import FolderReader
from fleet_agent.carriers.http import HttpCarrier
from fleet_agent.carriers.https_fetcher import HttpsFetcher
from fleet_agent.carriers.runs import Asked, Fetcher
from fleet_agent.carriers.usb import UsbCarrier
from tests.agent.carrier_parts import Material, Taker
from tests.agent.fleet import Authority


class Pki:
    """The CA, the server's files and the device's context."""

    def __init__(self, directory: Path) -> None:
        self.ca = directory / "ca.crt"
        self.authority = Authority()
        self.ca.write_bytes(self.authority.pem)
        self.server = self.authority.files(directory, "server")
        self.device = self.authority.files(directory, "dev-1")

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.ca)
        context.load_cert_chain(*self.device)
        return context


def over_https(taker: Taker, material: Material, pki: Pki, url: str) -> HttpCarrier:
    def make(asked: Asked) -> Fetcher:
        return HttpsFetcher(url, pki.context, lambda: 0, asked)

    carrier = HttpCarrier(taker.loop, taker, material.places.get, make)
    taker.carrier = carrier
    return carrier


def from_folder(taker: Taker, material: Material, path: Path) -> UsbCarrier:
    def make(told: Any) -> FolderReader:
        return FolderReader(path, told)

    carrier = UsbCarrier(taker.loop, taker, material.places.get, lambda: material.desired, make)
    taker.carrier = carrier
    taker.do(carrier.start)
    return carrier
