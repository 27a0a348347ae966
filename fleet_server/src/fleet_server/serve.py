"""`fleet-server serve`: both listeners in one asyncio loop, the bridge and the ticker beside it, until a signal."""

import asyncio
import contextlib
import errno
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from fleet_server.api.app import create_app as create_operators_app
from fleet_server.context import Context
from fleet_server.device_api.app import create_app as create_devices_app
from fleet_server.device_api.callers import listener_options
from fleet_server.errors import ConfigError
from fleet_server.ingest.bridge import Bridge
from fleet_server.rollouts import service as rollouts
from fleet_server.services import releases
from fleet_server.ticker import Ticker, upkeep

log = logging.getLogger(__name__)

GRACE_S = 5  # open requests get this long to end


def serve(ctx: Context, announce: Callable[[str], None]) -> None:
    """Run until SIGTERM or SIGINT. `announce` gets one line for each listener once it answers.

    A broker that is down is no reason to stop: the bridge goes on trying, and the pages show it.
    Raises: ConfigError if a port is taken.
    """
    config = ctx.config
    with (
        _listen(config.operator_address, config.operator_port, "operator_port") as operators,
        _listen(config.device_address, config.device_port, "device_port") as devices,
    ):
        removed = releases.sweep(ctx)
        if removed:
            log.info("%d files of unfinished uploads are removed", removed)
        servers = {
            f"operators http://{_shown(operators)}": (_server(create_operators_app(ctx)), operators),
            f"devices {config.device_url} (bound to {_shown(devices)})": (
                _server(create_devices_app(ctx), **listener_options(ctx.keys.paths)),
                devices,
            ),
        }
        bridge = Bridge(ctx)
        ticker = Ticker(ctx, [rollouts.tick, upkeep])
        bridge.start()
        ticker.start()
        try:
            asyncio.run(_run(ctx, servers, announce))
        finally:
            ticker.stop()
            bridge.stop()
            ctx.db.close()


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: two servers share one loop, and one handler stops both."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _server(app: ASGIApp, **options: Any) -> _Server:
    config = uvicorn.Config(
        app,
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
        **({"http": "httptools"} | options),
    )
    return _Server(config)


async def _run(
    ctx: Context, servers: dict[str, tuple[_Server, socket.socket]], announce: Callable[[str], None]
) -> None:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        ctx.notifier.close()  # open event streams end, so that their requests do
        for server, _ in servers.values():
            server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    running = [asyncio.create_task(server.serve(sockets=[sock])) for server, sock in servers.values()]
    for line, (server, _) in servers.items():
        while not server.started and not server.should_exit:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        announce(line)
    done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    stop()
    await asyncio.gather(*running)
    for task in done:
        task.result()


@contextlib.contextmanager
def _listen(address: str, port: int, setting: str) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((address, port))
        except OSError as error:
            helps = "stop what holds it, or change" if error.errno == errno.EADDRINUSE else "change the address of"
            raise ConfigError(f"cannot listen on {address}:{port} ({error.strerror}): {helps} {setting}") from None
        yield sock


def _shown(sock: socket.socket) -> str:
    address, port = sock.getsockname()[:2]
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
