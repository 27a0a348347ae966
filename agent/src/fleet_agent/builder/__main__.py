"""``python -m fleet_agent.builder``: one order, progress, one engine or a reason."""

import os
import socket
import threading
from typing import Any

from dunlin_contract.manifest import Io
from fleet_agent import ipc, locking
from fleet_agent.runtimes import installed
from fleet_agent.runtimes.errors import ModelError, RuntimeMissingError, runtime_call, scrub
from fleet_agent.sandbox import enter, profiles
from fleet_agent.sandbox.kernel import SandboxError
from fleet_agent.sandbox.privileges import Account
from fleet_agent.sealed import Sealed


def serve() -> None:
    """Build what the first order says."""
    control, parent = ipc.enter_child(), os.getppid()
    message = ipc.recv(control)
    if message is None:
        return
    order, (model_fd,) = message.body, message.fds
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        # What TensorRT prints may hold parts of the model.
        os.dup2(null, stream)
    locked = locking.lock_process()
    try:
        installed.engine_version()
        with runtime_call(RuntimeMissingError, "TensorRT does not start"):
            from fleet_agent.runtimes import tensorrt_build
        account = Account(*order["account"]) if order.get("account") else None
        enter.enter(profiles.builder(), parent, account)
        with open(model_fd, "rb", buffering=0) as file:
            file.seek(0)  # whoever wrote it left it at its end
            model = file.read()
        telling = _Telling(control)
        built = tensorrt_build.build(model, Io.from_cbor(order["io"]), order["rows"], order["workspace"], telling.tell)
        engine = Sealed("engine", iter([bytes(built.plan)]), built.plan.nbytes, locked=locked)
    except ModelError as error:
        ipc.send(control, {"is": "failed", "code": error.code, "text": str(error)})
        return
    except SandboxError as error:
        ipc.send(control, {"is": "failed", "code": "sandbox", "text": f"the builder's sandbox does not work: {error}"})
        return
    except Exception as error:  # noqa: BLE001 - the supervisor is to know why there is no engine
        ipc.send(control, {"is": "failed", "code": "build", "text": f"the engine cannot be built: {scrub(error)}"})
        return
    body: dict[str, Any] = {"is": "built", "compute": built.compute, "bytes": built.plan.nbytes}
    ipc.send(control, body, [engine.fd])
    # Its pages are locked for as long as this process lives: until the supervisor has it encrypted.
    ipc.recv(control)


class _Telling:
    """Tells of progress, once a percent, from whichever thread TensorRT calls in."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._lock = threading.Lock()
        self._told = ("", -1)

    def tell(self, phase: str, done: int, of: int) -> bool:
        percent = min(100, 100 * done // max(1, of))
        with self._lock:
            if (phase, percent) != self._told:
                self._told = (phase, percent)
                try:
                    ipc.send(self._control, {"is": "progress", "phase": phase[:64], "percent": percent})
                except OSError:
                    return False  # nobody waits for the engine any more
        return True


if __name__ == "__main__":
    serve()
    os._exit(0)
