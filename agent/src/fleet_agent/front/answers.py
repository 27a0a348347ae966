"""Answers to infer requests of the Open Inference Protocol v2, to bytes; no sockets here."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from fleet_agent.frames import Buffer, Tensor
from fleet_agent.front.classification import classes, packed
from fleet_agent.front.errors import HttpError
from fleet_agent.front.exchange import JSON, dump
from fleet_agent.front.oip import InferRequest, Wanted
from fleet_agent.front.rendering import check_elements, described, values
from fleet_agent.front.router import Worker


class Answer(NamedTuple):
    """What ``Exchange.respond`` takes; ``headers`` are whole lines."""

    body: bytes
    kind: bytes
    headers: bytes


def infer_answer(worker: Worker, request: InferRequest, tensors: Sequence[Tensor]) -> Answer:
    """The answer with the outputs in the order in which they were asked for; those for shared memory are put there.

    Raises:
        HttpError: 400, an output cannot be given as it was asked for.
    """
    wanted = request.outputs
    if wanted is not None:
        given = {tensor.name: tensor for tensor in tensors}
        tensors = [given[output] for output in wanted]
    all_alike = Wanted(request.binary)
    each = [(tensor, all_alike if wanted is None else wanted[tensor.name]) for tensor in tensors]
    # Classes are texts, and made here too, wherever they go.
    shown = (tensor for tensor, how in each if how.classes or not (how.binary or how.target))
    check_elements(shown, worker.model)
    outputs = []
    tail: list[Buffer] = []
    for tensor, how in each:
        output, data = _output(worker, tensor, how)
        outputs.append(output)
        if data is not None:
            output["parameters"] = {"binary_data_size": len(data)}
            tail.append(data)
    answer: dict[str, Any] = {"model_name": worker.model, "model_version": worker.version, "outputs": outputs}
    if request.id:
        answer["id"] = request.id
    head = dump(answer)
    if not tail:
        return Answer(head, JSON, worker.header)
    length = b"inference-header-content-length: %d\r\n" % len(head)
    return Answer(b"".join((head, *tail)), b"application/octet-stream", worker.header + length)


def _output(worker: Worker, tensor: Tensor, how: Wanted) -> tuple[dict[str, Any], Buffer | None]:
    """One output, and its bytes when they follow the JSON."""
    if how.classes:
        spec = next(spec for spec in worker.io.outputs if spec.name == tensor.name)
        if tensor.dtype.name == "bool":
            raise HttpError(400, f"output {tensor.name!r} is true or false: it has no largest classes")
        shape, texts = classes(tensor, how.classes, worker.labels, rows=spec.shape[:1] == (-1,))
        output: dict[str, Any] = {"name": tensor.name, "datatype": "BYTES", "shape": shape}
        return (output, packed(texts)) if how.binary else (output | {"data": texts}, None)
    output = described(tensor)
    if how.target is not None:
        how.target.write(tensor.name, tensor.data)
        return output, None
    return (output, tensor.data) if how.binary else (output | {"data": values(tensor)}, None)
