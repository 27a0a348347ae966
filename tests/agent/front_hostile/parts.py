"""Requests as bytes, for clients that do not speak HTTP as they should."""

import json
import socket

from tests.agent.local_api_parts import PATIENCE_S, Device

X = {"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}
WHOLE = json.dumps({"inputs": [X]}).encode()


def spin(steps: int, number: int = 0) -> bytes:
    """A whole request to count to ``steps``."""
    return infer("spin", {"name": "n", "datatype": "INT64", "shape": [], "data": [steps]}, number)


def infer(model: str, tensor: dict, number: int) -> bytes:
    """A whole request, its id ``number``."""
    body = json.dumps({"id": str(number), "inputs": [tensor]}).encode()
    return b"POST /v2/models/%b/infer HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (model.encode(), len(body)) + body


def raw(served: Device, data: bytes) -> bytes:
    """Everything that the front answers until it hangs up."""
    with socket.create_connection(("127.0.0.1", served.front.port), PATIENCE_S) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        answer = b""
        while more := sock.recv(65_536):
            answer += more
    return answer
