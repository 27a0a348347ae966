"""``python -m fleet_agent.unlocker``: one request, one answer, until the supervisor closes the socket."""

from pathlib import Path

from dunlin_contract.errors import ContractError
from fleet_agent import ipc
from fleet_agent.errors import StorageError, line
from fleet_agent.paths import Paths
from fleet_agent.unlocker.keystore import FileKeystore, KeystoreError
from fleet_agent.unlocker.requests import Requests


def serve() -> None:
    """Answer until the supervisor is gone."""
    control = ipc.enter_child()
    first = ipc.recv(control)
    if first is None:
        return
    paths = Paths(Path(str(first.body["state"])))
    requests = Requests(paths, FileKeystore(paths))
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
