"""What a simulated board's application must answer, by this machine's TFLM (ports/common/application.c)."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from demo.programs import run

OUTPUT_BYTES = 64
"""Of each output, as many as a board tells."""
ARENA_BYTES = 4 << 20


def outputs(model: Path, numbers: Sequence[int]) -> list[list[bytes]]:
    """Bytes of each output of those inferences, counted from 0, in a process of its own: TFLM may abort."""
    argv = [sys.executable, "-m", "demo.application", str(model), *map(str, numbers)]
    return [[bytes.fromhex(value) for value in values] for values in json.loads(run(argv))]


def pattern(number: int, size: int) -> bytes:
    """The input of an inference: any int8, or float32 from 0.125 to 0.5."""
    return bytes(0x3E if at % 4 == 3 else (at * 37 + number * 11) & 0xFF for at in range(size))


def infer(model: bytes, number: int) -> list[bytes]:
    """The outputs of one inference with a fresh interpreter. For models with one input."""
    from tflite_micro import runtime

    count = len(runtime.convert_bytearray_to_object(bytearray(model)).subgraphs[0].outputs)
    interpreter = runtime.Interpreter.from_bytes(model, arena_size=ARENA_BYTES)
    detail = interpreter.get_input_details(0)
    dtype, shape = np.dtype(detail["dtype"]), [int(one) for one in detail["shape"]]
    data = pattern(number, dtype.itemsize * int(np.prod(shape)))
    interpreter.set_input(np.frombuffer(data, dtype).reshape(shape), 0)
    interpreter.invoke()
    return [np.asarray(interpreter.get_output(place)).tobytes()[:OUTPUT_BYTES] for place in range(count)]


def main(model: str, numbers: Sequence[str]) -> None:
    """Print the outputs as JSON."""
    content = Path(model).read_bytes()
    print(json.dumps([[one.hex() for one in infer(content, int(number))] for number in numbers]))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
