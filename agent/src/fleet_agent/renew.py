"""``python -m fleet_agent.renew``: carries one renewal request to the server, which needs a network but no key."""

import os

from fleet_agent import ipc
from fleet_agent.errors import EnrolmentError, line
from fleet_agent.https import exchange
from fleet_agent.tls import CertificateTooOldError, server_context


def carry() -> None:
    """One request in, one answer out."""
    control = ipc.enter_child()
    message = ipc.recv(control)
    if message is None:
        return
    body, fd = message.body, message.fds[0]
    request = os.pread(fd, os.fstat(fd).st_size, 0)
    try:
        context = server_context(str(body["ca"]))
        reply = exchange(str(body["url"]), "/device/v1/renew", request, context, int(body["at_least"]))
    except (EnrolmentError, CertificateTooOldError) as error:
        ipc.send(control, {"is": "failed", "text": line(str(error))})
        return
    ipc.send(control, {"is": "done", "reply": reply})


if __name__ == "__main__":
    carry()
