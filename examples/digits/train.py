"""Train the three digits networks and write everything in `models/`.

    python train.py [OUTPUT_FOLDER]

Reads scikit-learn's `load_digits` (1,797 real handwritten digits, 8 x 8 pixels) and writes, for each of v1, v2 and
v3, `vN-float.onnx`, `vN-int8.onnx` (static int8, QDQ) and `vN-int8.tflite` (static int8 weights and activations), and
beside them `labels.txt`, `samples.npz` (inputs for golden outputs), `calibration.npz` (inputs for the baseline) and
`test_images.npz` (the 450 test images and their labels).

All files take `image` float32 [1, 8, 8, 1] (pixel values divided by 16) and give `scores` float32 [1, 10], so that an
application need not know which of them a device runs.

Needs the environment in `requirements.in`. Neither the demo nor the tests need it: the outputs are committed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from ai_edge_quantizer import quantizer, recipe
from ai_edge_quantizer.algorithm_manager import AlgorithmName
from ai_edge_quantizer.qtyping import TFLOperationName
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

SEED = 20261122
TEST_IMAGES = 450
CALIBRATION_IMAGES = 200
GOLDEN_SAMPLES = 4
BASELINE_IMAGES = 400


class SmallNet(nn.Module):
    """Two 3 x 3 convolutions and two dense layers: 19,178 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.dense1 = nn.Linear(32 * 4 * 4, 27)
        self.dense2 = nn.Linear(27, 10)

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        x = image.reshape(-1, 1, 8, 8)  # NHWC with one channel and NCHW are the same bytes
        x = torch.relu(self.conv1(x))
        x = torch.max_pool2d(torch.relu(self.conv2(x)), 2)
        x = torch.relu(self.dense1(x.flatten(1)))
        return {"scores": self.dense2(x)}


class NeedlesslyLargeNet(nn.Module):
    """A good little network that enlarges its feature maps before it looks at them again, pixel by pixel.

    Everything behind the enlargement is pointwise and then averaged back, so the enlargement changes no score: `scale`
    may be 1 in training and 64 in the exported file. What it changes is the work: more than eight thousand million
    multiplications for an 8 x 8 picture, which no device does within the two milliseconds that the recipe promises.
    """

    def __init__(self, width: int = 128, depth: int = 8) -> None:
        super().__init__()
        self.scale = 1
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, width, 3, padding=1)
        self.pointwise = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in range(depth))
        self.dense = nn.Linear(width * 4 * 4, 10)

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        x = image.reshape(-1, 1, 8, 8)
        x = torch.relu(self.conv1(x))
        x = torch.max_pool2d(torch.relu(self.conv2(x)), 2)
        if self.scale > 1:
            x = nn.functional.interpolate(x, scale_factor=float(self.scale), mode="nearest")
        for layer in self.pointwise:
            x = torch.relu(layer(x)) + x
        return {"scores": self.dense(nn.functional.avg_pool2d(x, self.scale).flatten(1))}


class Batches(CalibrationDataReader):  # type: ignore[misc]
    """Calibration images, one at a time, as ONNX Runtime's quantizer asks for them."""

    def __init__(self, images: np.ndarray) -> None:
        self._rest = iter(images)

    def get_next(self) -> dict[str, np.ndarray] | None:
        image = next(self._rest, None)
        return None if image is None else {"image": image[None]}


def train(net: nn.Module, images: np.ndarray, labels: np.ndarray, epochs: int, rate: float = 2e-3) -> None:
    x, y = torch.from_numpy(images), torch.from_numpy(labels)
    optimizer = torch.optim.Adam(net.parameters(), lr=rate)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[rows])["scores"], y[rows]).backward()
            optimizer.step()
    net.eval()


def export_onnx(net: nn.Module, calibration: np.ndarray, folder: Path, name: str) -> None:
    float_path, int8_path = folder / f"{name}-float.onnx", folder / f"{name}-int8.onnx"
    prepared = folder / f"{name}-prepared.onnx"
    sample = torch.zeros(1, 8, 8, 1)
    program = torch.onnx.export(net, (sample,), input_names=["image"], output_names=["scores"], dynamo=True)
    model = program.model_proto
    # The exporter records source file paths and stack traces in the metadata; a released model carries none.
    for node in model.graph.node:
        del node.metadata_props[:]
    for value in [*model.graph.value_info, *model.graph.input, *model.graph.output]:
        del value.metadata_props[:]
    onnx.save(model, float_path)
    quant_pre_process(str(float_path), str(prepared))
    quantize_static(
        str(prepared),
        str(int8_path),
        Batches(calibration),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
        extra_options={"ActivationSymmetric": True, "WeightSymmetric": True},
    )
    prepared.unlink()


def export_tflite(net: nn.Module, calibration: np.ndarray, folder: Path, name: str) -> None:
    import litert_torch

    edge = litert_torch.convert(net, sample_kwargs={"image": torch.zeros(1, 8, 8, 1)})
    float_path = folder / f"{name}-float.tflite"
    edge.export(str(float_path))
    quantize = quantizer.Quantizer(str(float_path), recipe.static_wi8_ai8())
    for edge_op in (TFLOperationName.INPUT, TFLOperationName.OUTPUT):  # float at the edges, as in the ONNX file
        quantize.update_quantization_recipe(regex=".*", operation_name=edge_op, algorithm_key=AlgorithmName.NO_QUANTIZE)
    samples = {"serving_default": [{"image": image[None]} for image in calibration]}
    result = quantize.quantize(quantize.calibrate(samples))
    (folder / f"{name}-int8.tflite").write_bytes(result.quantized_model)
    float_path.unlink()


def score(folder: Path, name: str, images: np.ndarray) -> dict[str, np.ndarray]:
    """Predictions of each exported file for `images`, by its own runtime."""
    import onnxruntime
    from ai_edge_litert.interpreter import Interpreter

    found: dict[str, np.ndarray] = {}
    for path in sorted(folder.glob(f"{name}-*.onnx")):
        session = onnxruntime.InferenceSession(path)
        found[path.name] = np.array([session.run(None, {"image": i[None]})[0].argmax() for i in images])
    interpreter = Interpreter(str(folder / f"{name}-int8.tflite"))
    run: Any = interpreter.get_signature_runner()
    found[f"{name}-int8.tflite"] = np.array([run(image=i[None])["scores"].argmax() for i in images])
    return found


def main(folder: Path) -> None:
    torch.set_num_threads(1)  # the networks are so small that threads only wait for each other
    folder.mkdir(parents=True, exist_ok=True)
    digits = load_digits()
    images = (digits.images / 16).astype(np.float32)[..., None]
    labels = digits.target.astype(np.int64)
    train_x, test_x, train_y, test_y = train_test_split(
        images, labels, test_size=TEST_IMAGES, random_state=SEED, stratify=labels
    )
    np.savez_compressed(folder / "test_images.npz", images=test_x, labels=test_y)
    np.savez_compressed(folder / "samples.npz", image=train_x[:GOLDEN_SAMPLES])
    np.savez_compressed(folder / "calibration.npz", image=train_x[-BASELINE_IMAGES:])
    (folder / "labels.txt").write_text("".join(f"{digit}\n" for digit in range(10)))

    for name, kind, epochs in (("v1", SmallNet, 2), ("v2", SmallNet, 40), ("v3", NeedlesslyLargeNet, 40)):
        torch.manual_seed(SEED)
        net = kind()
        train(net, train_x, train_y, epochs)
        exact = torch.argmax(net(torch.from_numpy(test_x))["scores"], 1).numpy()
        print(f"{name}: float accuracy {np.mean(exact == test_y):.4f}", flush=True)
        calibration, shown = train_x[:CALIBRATION_IMAGES], test_x
        if isinstance(net, NeedlesslyLargeNet):
            net.scale, calibration, shown = 64, train_x[:16], test_x[:20]
        export_onnx(net, calibration, folder, name)
        export_tflite(net, calibration, folder, name)
        for file, predicted in score(folder, name, shown).items():
            size = (folder / file).stat().st_size
            print(f"  {file}: {np.mean(predicted == test_y[: len(shown)]):.4f}, {size:,} bytes", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "models")
