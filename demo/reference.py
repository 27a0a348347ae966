"""What a release must answer: the example's model files run by the bare runtimes, outside any agent."""

import json
import sys
from functools import cache
from pathlib import Path

import numpy as np

from demo.device import traffic
from demo.programs import run

MODELS = Path(__file__).resolve().parent.parent / "examples" / "digits" / "models"
RUNTIMES = {"litert": "tflite", "onnxruntime": "onnx"}
NEEDLE_BYTES = 48


def model_file(version: str, runtime: str) -> Path:
    """The model that a device with `runtime` serves as `version` ("1.0.0" -> v1)."""
    return MODELS / f"v{version.split('.', maxsplit=1)[0]}-int8.{RUNTIMES[runtime]}"


@cache
def digits(version: str, runtime: str) -> tuple[int, ...]:
    """The 450 digits that the release recognises on the test images, by the bare runtime in a process of its own."""
    return tuple(json.loads(run([sys.executable, "-m", "demo.reference", str(model_file(version, runtime)), runtime])))


def recognise(path: str, runtime: str) -> list[int]:
    """The digit with the highest score for each test image."""
    images = traffic.TestSet.load().images
    scores = _litert(path, images) if runtime == "litert" else _onnxruntime(path, images)
    return [int(digit) for digit in scores.argmax(axis=1)]


def _litert(path: str, images: np.ndarray) -> np.ndarray:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path, num_threads=1)
    interpreter.allocate_tensors()
    (source,), (sink,) = interpreter.get_input_details(), interpreter.get_output_details()
    rows = []
    for image in images:
        interpreter.set_tensor(source["index"], image[np.newaxis])
        interpreter.invoke()
        rows.append(interpreter.get_tensor(sink["index"])[0])
    return np.stack(rows)


def _onnxruntime(path: str, images: np.ndarray) -> np.ndarray:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return np.stack([session.run(None, {"image": image[np.newaxis]})[0][0] for image in images])


def needles(data: bytes, count: int = 24) -> list[bytes]:
    """Pieces from all over a file that are found in a copy of it and nowhere else: the varied ones among many."""
    step = max(NEEDLE_BYTES, len(data) // (8 * count))
    pieces = [data[at : at + NEEDLE_BYTES] for at in range(0, len(data) - NEEDLE_BYTES, step)]
    return sorted(pieces, key=lambda piece: len(set(piece)), reverse=True)[:count]


if __name__ == "__main__":
    print(json.dumps(recognise(sys.argv[1], sys.argv[2])))
