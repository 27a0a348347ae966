"""The devices' listener as `fleet-server serve` runs it, without the rest of that."""

import asyncio
import socket
import ssl
import threading

import httpx
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from dunlin_contract import keys
from fleet_server.db.models import DeviceModelRow
from fleet_server.device_api.app import create_app
from fleet_server.device_api.callers import listener_options
from fleet_server.services import directives
from tests.fleet_server.world import Bundle, Device, World


class Listener:
    """The devices' listener over real TLS."""

    def __init__(self, world: World, port: int = 0) -> None:
        self.world = world
        self.paths = world.ctx.keys.paths
        options = listener_options(self.paths)
        self._server = uvicorn.Server(uvicorn.Config(create_app(world.ctx), lifespan="off", log_config=None, **options))
        self._sock = socket.socket()
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._sock.bind(("127.0.0.1", port))
        self.port = int(self._sock.getsockname()[1])
        self._sock.listen()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._server.serve(sockets=[self._sock])))
        self._thread.start()

    def context(self, device: Device | None) -> ssl.SSLContext:
        """Trusts the device CA, and shows the device's certificate."""
        context = ssl.create_default_context(cafile=str(self.paths.ca_certificate))
        if device is not None:
            assert device.reply is not None
            chain = [x509.load_der_x509_certificate(one) for one in device.reply.chain]
            pem = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain)
            certificate, key = self.world.directory / f"{device.name}.crt", self.world.directory / f"{device.name}.pem"
            certificate.write_bytes(pem)
            key.write_bytes(keys.dump_pem(device.identity, None))
            context.load_cert_chain(certificate, key)
        return context

    def client(self, device: Device | None) -> httpx.Client:
        return httpx.Client(base_url=f"https://localhost:{self.port}", verify=self.context(device), trust_env=False)

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._sock.close()


def told(world: World, device: Device, built: Bundle) -> str:
    """Push a bundle and tell the device to have it; returns the path of its first payload there."""
    world.push(built)
    release = built.digest.hex()
    with world.ctx.db.write() as session:
        row = session.get(DeviceModelRow, (device.name, built.manifest.name))
        row = row or DeviceModelRow(device=device.name, model=built.manifest.name)
        row.desired = release
        session.add(row)
        session.flush()
        directives.issue(session, world.ctx, device.name, world.clock.now)
    return f"/device/v1/payloads/{release}/0"
