"""From a JPEG or PNG to the model's first input, and from its first output to labelled classes.

The manifest's ``preprocess`` and ``postprocess`` say how. Pillow decodes, in this process, which has no keys and no
network.
"""

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dunlin_contract.manifest import Io, Postprocess, Preprocess
from dunlin_contract.manifest import Tensor as Spec
from fleet_agent.frames import BY_NAME, MOST_TOP_K, Image, Prediction, RequestError, Tensor
from fleet_agent.runtimes.errors import scrub
from fleet_agent.worker.model import Model, Result

if TYPE_CHECKING:
    from PIL import Image as Pillow

MOST_PIXELS = 25_000_000
MOST_SIDE = 16_384
_FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG"}
_MODES = {"rgb": "RGB", "grey": "L"}
_CHANNELS = {"rgb": 3, "grey": 1}


class LackingError(Exception):
    """This device cannot decode images; the text says what to install."""


def prepare(io: Io) -> None:
    """Load what decodes images, if the model takes any and it is installed: later this process opens no files."""
    if io.preprocess is None:
        return
    with suppress(ImportError):
        from PIL import Image as Pillow
        from PIL import ImageOps, MpoImagePlugin, TiffImagePlugin  # noqa: F401 - Pillow asks for these when it needs them

        Pillow.preinit()


class Pictures:
    """Requests whose content is an image, for a model whose manifest says how it takes one."""

    def __init__(self, model: Model, labels: Sequence[str] = ()) -> None:
        self._model = model
        self._labels = labels

    def infer(self, image: Image) -> Result:
        """Decode, run, and name the best classes.

        Raises:
            RequestError: no such image, or a model that takes none.
            LackingError: there is no Pillow here.
            ModelRunError: the runtime failed, or gave what the manifest does not promise.
        """
        start = time.perf_counter_ns()
        io = self._model.io
        if io.preprocess is None or len(io.inputs) != 1:
            raise RequestError("this model takes no images: its manifest has no [preprocess] for its one input")
        tensor = to_tensor(image, io.preprocess, io.inputs[0])
        decoded = time.perf_counter_ns() - start
        result = self._model.infer([tensor])
        predictions = () if io.postprocess is None else self._predictions(image, io, io.postprocess, result)
        timing = result.timing
        return result._replace(timing=timing._replace(input_ns=timing.input_ns + decoded), predictions=predictions)

    def _predictions(self, image: Image, io: Io, post: Postprocess, result: Result) -> tuple[Prediction, ...]:
        return best(result.tensors[0], io.outputs[0], post, image.top_k or post.top_k, self._labels)


def to_tensor(image: Image, preprocess: Preprocess, spec: Spec) -> Tensor:
    """The first input: resized to height x width (bilinear, not cropped), (pixel - mean) / std per channel.

    Pixels are 0 to 255. A quantized input is quantized by its scale and zero point; an integer one without them takes
    the values rounded.

    Raises:
        RequestError: not an image, too large, cut off; or the manifest's preprocessing does not fit the input.
        LackingError: there is no Pillow here.
    """
    channels = _CHANNELS[preprocess.color]
    if not len(preprocess.mean) == len(preprocess.std) == channels:
        raise RequestError(f"the manifest's preprocessing has not one mean and std for each of {channels} channels")
    pixels = _pixels(image, preprocess)
    values = (pixels - np.array(preprocess.mean, "float32")) / np.array(preprocess.std, "float32")
    if preprocess.layout == "NCHW":
        values = values.transpose(2, 0, 1)
    return Tensor(spec.name, BY_NAME[spec.dtype], (1, *values.shape), _stored(values, spec).tobytes())


def _stored(values: NDArray[np.float32], spec: Spec) -> NDArray[Any]:
    """Real values in the units and the type of the input."""
    dtype = np.dtype(spec.dtype)
    if dtype.kind not in "iu":
        return values.astype(dtype)
    if spec.quantization is not None:
        values = values / np.float32(spec.quantization.scale) + np.float32(spec.quantization.zero_point)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)


def _pixels(image: Image, preprocess: Preprocess) -> NDArray[np.float32]:
    """Height x width x channels, 0 to 255."""
    if "PIL.ImageOps" not in sys.modules:
        raise LackingError("this device cannot decode images: install Pillow with pip install 'dunlin-agent[images]'")
    from PIL import Image as Pillow

    try:
        # Only the decoder of the stated format: Pillow knows forty, and not all are as well kept.
        with Pillow.open(BytesIO(image.data), formats=(_FORMATS[image.kind],)) as opened:
            return _scaled(opened, preprocess)
    except RequestError:
        raise
    except Exception as error:  # noqa: BLE001 - a parser of foreign bytes; each failure means the same
        raise RequestError(f"the image cannot be decoded: {scrub(error)}") from None


def _scaled(opened: "Pillow.Image", preprocess: Preprocess) -> NDArray[np.float32]:
    from PIL import Image as Pillow
    from PIL import ImageOps

    mode = _MODES[preprocess.color]
    size = preprocess.width, preprocess.height
    wide, high = opened.size
    if wide * high > MOST_PIXELS or max(wide, high) > MOST_SIDE:
        # Asked of the header: nothing of that size has been made yet.
        raise RequestError(
            f"the image has {wide} x {high} pixels; at most {MOST_PIXELS // 1_000_000} million are taken"
        )
    if opened.mode.startswith("I"):
        raise RequestError("the image has 16 bits a pixel; send 8 bits a channel")
    if min(wide, high) > 4 * max(size):
        # A JPEG can be decoded at an eighth of its size, for a fraction of the work; it stays larger than asked.
        opened.draft(mode, (2 * max(size), 2 * max(size)))
    upright = ImageOps.exif_transpose(opened)
    scaled = upright.convert(mode).resize(size, Pillow.Resampling.BILINEAR)
    return np.asarray(scaled, "float32").reshape(preprocess.height, preprocess.width, -1)


def best(output: Tensor, spec: Spec, post: Postprocess, top_k: int, labels: Sequence[str]) -> tuple[Prediction, ...]:
    """The ``top_k`` largest of the first output in real units, softened first if the manifest says so; best first."""
    values = np.frombuffer(output.data, spec.dtype).astype("float64").ravel()
    if spec.quantization is not None:
        values = (values - spec.quantization.zero_point) * spec.quantization.scale
    if post.softmax and values.size:
        values = np.exp(values - values.max())
        values /= values.sum()
    with np.errstate(over="ignore"):
        shown = values.astype("float32")  # as a frame has scores: what is larger is infinite
    # The earlier of equals first, as argmax has it; NaN last.
    order = np.argsort(-values, kind="stable")[: min(top_k, MOST_TOP_K)]
    return tuple(
        Prediction(int(place), float(shown[place]), labels[place] if place < len(labels) else "") for place in order
    )


def read_labels(raw: bytes) -> tuple[str, ...]:
    """A labels payload: one class a line, UTF-8."""
    return tuple(raw.decode("utf-8", "replace").splitlines())
