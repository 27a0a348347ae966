"""``python -m fleet_agent.unlocker``: one request, one answer, until the supervisor closes the socket."""

import os
import sys
from pathlib import Path

from dunlin_contract.errors import ContractError
from fleet_agent import ipc, locking
from fleet_agent.errors import StorageError, line
from fleet_agent.paths import Paths
from fleet_agent.sandbox import enter, profiles
from fleet_agent.sandbox.kernel import SandboxError
from fleet_agent.unlocker.keystore import FileKeystore, KeystoreError
from fleet_agent.unlocker.requests import Requests


def serve() -> None:
    """Answer until the supervisor is gone."""
    control, parent = ipc.enter_child(), os.getppid()
    first = ipc.recv(control)
    if first is None:
        return
    paths = Paths(Path(str(first.body["state"])))
    requests = Requests(paths, FileKeystore(paths), locked=locking.lock_process())
    try:
        enter.enter(profiles.unlocker(paths.base), parent)
    except SandboxError as error:
        print(f"fleet-agent: the unlocker's sandbox does not work: {error}", file=sys.stderr)
        sys.exit(enter.EXIT_REFUSED)
    while (message := ipc.recv(control)) is not None:
        out: list[int] = []
        try:
            answer: dict[str, object] = {"is": "done", **requests.answer(message.body, message.fds, out)}
        except ContractError as error:
            answer = {"is": "refused", "code": error.rule, "text": line(error.detail)}
        except (KeystoreError, StorageError) as error:
            answer = {"is": "failed", "code": error.code, "text": line(str(error))}
        except Exception as error:  # noqa: BLE001 - its text could hold key material, so only its type leaves
            answer = {"is": "failed", "code": "unlocker", "text": type(error).__name__}
        ipc.close_all(message.fds)
        ipc.send(control, answer, out)
        ipc.close_all(out)


serve()
