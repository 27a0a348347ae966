"""Images: what reaches the model, what is refused before it is decoded, and what the answer says."""

import io
import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from dunlin_contract.manifest import Io, Postprocess, Preprocess, Quantization
from dunlin_contract.manifest import Tensor as Spec
from fleet_agent import frames
from fleet_agent.frames import BY_NAME, Image, Prediction, RequestError, Response, Status, Tensor
from fleet_agent.worker import images
from tests.agent import local_api_models as models
from tests.agent.local_api_parts import Worker
from tests.agent.test_worker import data_socket, receive

RED_BLUE = np.array([[[255, 0, 0], [0, 0, 255]]], "uint8")  # one row, two columns


def preprocess(height: int = 1, width: int = 2, **changes: object) -> Preprocess:
    fields = {"layout": "NHWC", "color": "rgb", "mean": (0.0,) * 3, "std": (1.0,) * 3} | changes
    if fields["color"] == "grey":
        fields |= {"mean": fields["mean"][:1], "std": fields["std"][:1]}
    return Preprocess(height=height, width=width, **fields)


def spec(dtype: str = "float32", scale: float | None = None, zero_point: int = 0) -> Spec:
    quantization = None if scale is None else Quantization(scale=scale, zero_point=zero_point)
    return Spec(name="image", dtype=dtype, shape=(1, -1, -1, -1), quantization=quantization)


def encoded(pixels: np.ndarray | Pillow.Image, kind: str = "image/png", **options: object) -> Image:
    picture = pixels if isinstance(pixels, Pillow.Image) else Pillow.fromarray(pixels)
    out = io.BytesIO()
    picture.save(out, "PNG" if kind == "image/png" else "JPEG", **options)
    return Image(kind, 0, out.getvalue())


def given_to_model(image: Image, how: Preprocess, what: Spec | None = None) -> np.ndarray:
    images.prepare(Io(inputs=(spec(),), outputs=(spec(),), preprocess=how))
    tensor = images.to_tensor(image, how, what or spec())
    return np.frombuffer(tensor.data, tensor.dtype.name).reshape(tensor.shape)


# what reaches the model


def test_pixels_arrive_in_rows_of_red_green_blue() -> None:
    array = given_to_model(encoded(RED_BLUE), preprocess())
    assert (array.shape, array.dtype) == ((1, 1, 2, 3), np.float32)
    assert array.ravel().tolist() == [255, 0, 0, 0, 0, 255]


def test_channels_may_come_first_and_have_their_own_mean_and_deviation() -> None:
    how = preprocess(layout="NCHW", mean=(55.0, 0.0, 5.0), std=(100.0, 1.0, 50.0))
    array = given_to_model(encoded(RED_BLUE), how)
    assert array.shape == (1, 3, 1, 2)
    np.testing.assert_allclose(array.ravel(), [2.0, -0.55, 0.0, 0.0, -0.1, 5.0], atol=1e-6)


def test_grey_is_one_channel() -> None:
    white_black = np.array([[[255] * 3, [0] * 3]], "uint8")
    array = given_to_model(encoded(white_black), preprocess(color="grey", std=(255.0,)))
    assert (array.shape, array.ravel().tolist()) == ((1, 1, 2, 1), [1.0, 0.0])


def test_a_quantized_input_gets_its_own_units_and_is_clipped() -> None:
    array = given_to_model(encoded(RED_BLUE), preprocess(std=(255.0,) * 3), spec("int8", 1 / 255, -128))
    assert (array.dtype, array.ravel().tolist()) == (np.int8, [127, -128, -128, -128, -128, 127])
    array = given_to_model(encoded(RED_BLUE), preprocess(), spec("int8", 1.0, 0))
    assert array.ravel().tolist() == [127, 0, 0, 0, 0, 127]


def test_an_integer_input_without_quantization_gets_whole_pixels() -> None:
    array = given_to_model(encoded(RED_BLUE), preprocess(), spec("uint8"))
    assert (array.dtype, array.ravel().tolist()) == (np.uint8, [255, 0, 0, 0, 0, 255])


def test_an_image_is_resized_whole_not_cut() -> None:
    halves = np.zeros((100, 300, 3), "uint8")
    halves[:, 150:] = 200
    array = given_to_model(encoded(halves), preprocess(4, 8))
    assert array.shape == (1, 4, 8, 3)
    assert array[0, :, :3].max() == 0
    assert array[0, :, 5:].min() == 200


def test_a_camera_that_was_turned_is_turned_back() -> None:
    upright = np.zeros((40, 20, 3), "uint8")
    upright[:20] = 250
    exif = Pillow.Exif()
    exif[0x0112] = 6  # the picture's top is at its right side: turn it clockwise
    turned = Pillow.fromarray(upright).transpose(Pillow.Transpose.ROTATE_90)
    array = given_to_model(encoded(turned, "image/jpeg", exif=exif, quality=95), preprocess(4, 2))
    assert array[0, 0].min() > 240
    assert array[0, 3].max() < 10


def test_a_large_photograph_decoded_small_is_nearly_the_same() -> None:
    rng = np.random.default_rng(3)
    smooth = Pillow.fromarray(rng.integers(0, 256, (12, 12, 3), "uint8")).resize((1200, 900), Pillow.Resampling.BICUBIC)
    photograph = encoded(smooth, "image/jpeg", quality=95)
    array = given_to_model(photograph, preprocess(32, 32))
    with Pillow.open(io.BytesIO(photograph.data)) as opened:
        full = np.asarray(opened.resize((32, 32), Pillow.Resampling.BILINEAR), "float32")
    assert np.abs(array[0] - full).mean() < 3


@pytest.mark.parametrize("mode", ["RGBA", "P", "L", "LA", "1", "CMYK"])
def test_other_kinds_of_pixels_become_what_the_model_takes(mode: str) -> None:
    picture = Pillow.fromarray(np.full((4, 4, 3), 255, "uint8")).convert(mode)
    kind = "image/jpeg" if mode == "CMYK" else "image/png"
    array = given_to_model(encoded(picture, kind), preprocess(2, 2))
    assert array.shape == (1, 2, 2, 3)
    assert array.min() > 250


# what is refused


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def bomb(width: int, height: int) -> Image:
    """A few bytes that say they are a huge picture."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return Image("image/png", 0, b"\x89PNG\r\n\x1a\n" + body)


LARGE_PNG = encoded(np.random.default_rng(1).integers(0, 256, (64, 64, 3), "uint8")).data
PNG, JPEG = encoded(RED_BLUE).data, encoded(np.zeros((64, 64, 3), "uint8"), "image/jpeg").data


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (bomb(5001, 5000), "5001 x 5000 pixels; at most 25 million"),
        (bomb(16_385, 2), "16385 x 2 pixels"),
        (bomb(60_000, 60_000), "cannot be decoded: DecompressionBombError"),
        (Image("image/png", 0, b""), "cannot be decoded"),
        (Image("image/png", 0, b"no picture at all"), "cannot be decoded"),
        (Image("image/png", 0, JPEG), "cannot be decoded"),
        (Image("image/jpeg", 0, PNG), "cannot be decoded"),
        (Image("image/png", 0, b"GIF89a" + bytes(40)), "cannot be decoded"),
        (Image("image/jpeg", 0, JPEG[: len(JPEG) // 2]), "cannot be decoded"),
        (Image("image/png", 0, LARGE_PNG[: len(LARGE_PNG) // 2]), "cannot be decoded"),
        (encoded(Pillow.fromarray(np.full((2, 2), 40_000, "uint16"))), "16 bits a pixel"),
    ],
    ids=["pixels", "side", "bomb", "empty", "text", "jpeg-as-png", "png-as-jpeg", "gif", "cut-jpeg", "cut-png", "deep"],
)
def test_what_is_no_picture_for_a_model_is_refused(image: Image, says: str) -> None:
    with pytest.raises(RequestError, match=says):
        given_to_model(image, preprocess())


def test_a_manifest_that_does_not_fit_its_own_colours_is_refused() -> None:
    how = Preprocess(height=1, width=1, layout="NHWC", color="rgb", mean=(0.0,), std=(1.0,))
    with pytest.raises(RequestError, match="not one mean and std for each of 3 channels"):
        given_to_model(encoded(RED_BLUE), how)


@given(st.sampled_from([PNG, JPEG]), st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=8))
def test_a_damaged_file_is_refused_or_a_picture_and_nothing_else(data: bytes, changes: list[tuple[int, int]]) -> None:
    damaged = bytearray(data)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    kind = "image/png" if data is PNG else "image/jpeg"
    try:
        array = given_to_model(Image(kind, 0, bytes(damaged)), preprocess(4, 4))
    except RequestError:
        return
    assert array.shape == (1, 4, 4, 3)


def test_without_pillow_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "PIL.ImageOps")
    with pytest.raises(images.LackingError, match=r"pip install 'dunlin-agent\[images\]'"):
        images.to_tensor(encoded(RED_BLUE), preprocess(), spec())


# what the answer says


def scores(*values: float, dtype: str = "float32") -> Tensor:
    array = np.array([values], dtype)
    return Tensor("scores", BY_NAME[dtype], array.shape, array.tobytes())


def test_the_best_classes_come_first_with_their_names() -> None:
    post = Postprocess(softmax=False, top_k=5)
    best = images.best(scores(0.5, 2.0, 1.0), spec(), post, 2, ("cat", "dog"))
    assert best == (Prediction(1, 2.0, "dog"), Prediction(2, 1.0, ""))


def test_softmax_makes_shares_even_of_huge_scores() -> None:
    best = images.best(scores(1000.0, 1000.0, 0.0), spec(), Postprocess(softmax=True, top_k=3), 3, ())
    assert [(one.place, one.score) for one in best] == [(0, 0.5), (1, 0.5), (2, 0.0)]


def test_quantized_scores_are_shown_in_real_units() -> None:
    what = spec("int8", 1 / 256, -128)
    best = images.best(scores(-128, 127, dtype="int8"), what, Postprocess(softmax=False, top_k=1), 1, ())
    assert best == (Prediction(1, 255 / 256, ""),)


def test_a_nan_is_the_last_choice() -> None:
    best = images.best(scores(float("nan"), 1.0), spec(), Postprocess(softmax=False, top_k=2), 2, ())
    assert [one.place for one in best] == [1, 0]


def test_a_score_that_a_frame_cannot_hold_is_infinite() -> None:
    best = images.best(scores(1e300, 1.0, dtype="float64"), spec("float64"), Postprocess(softmax=False, top_k=2), 2, ())
    packed = memoryview(frames.pack_served(1, Status.SERVED, frames.NO_TIME, [], best))
    assert [one.score for one in frames.parse_response(packed[4:]).predictions] == [float("inf"), 1.0]


def test_labels_are_lines() -> None:
    assert images.read_labels("Möwe\nStar\r\n".encode()) == ("Möwe", "Star")
    assert images.read_labels(b"\xff\n") == ("\ufffd",)


# in a worker


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker()
    yield made
    made.close()


def ask(worker: Worker, image: Image) -> Response:
    sock = data_socket(worker)
    sock.sendall(frames.pack_request(1, frames.pack_image(image)))
    return receive(sock)


def looks(post: Postprocess | None, how: Preprocess | None) -> Io:
    inputs = (Spec(name="image", dtype="float32", shape=(1, 1, 2, 3)),)
    outputs = (Spec(name="pixels", dtype="float32", shape=(1, 6)),)
    return Io(inputs=inputs, outputs=outputs, preprocess=how, postprocess=post)


def test_a_worker_answers_an_image_with_names(worker: Worker, tmp_path: Path) -> None:
    post = Postprocess(softmax=False, top_k=1, labels=2)
    model = models.look(tmp_path / "m", 1, 2, 3)
    worker.load(model, "onnxruntime", looks(post, preprocess(std=(100.0,) * 3)), labels=b"r1\ng1\nb1\nr2\ng2\nb2\n")
    response = ask(worker, encoded(np.array([[[0, 200, 0], [0, 0, 100]]], "uint8")))
    assert (response.status, response.predictions) == (Status.SERVED, (Prediction(1, 2.0, "g1"),))
    assert np.frombuffer(response.tensors[0].data, "float32").tolist() == [0, 2, 0, 0, 0, 1]
    assert response.timing.input_ns > 0
    more = ask(worker, encoded(RED_BLUE)._replace(top_k=2))
    assert [one.label for one in more.predictions] == ["r1", "b2"]
    assert ask(worker, bomb(60_000, 60_000)).status is Status.REFUSED


def test_a_worker_opens_nothing_to_decode_any_kind_of_picture(worker: Worker, tmp_path: Path) -> None:
    """Its sandbox lets it open no files, so whatever Pillow loads when it needs it must be there already."""
    worker.load(models.look(tmp_path / "m", 1, 2, 3), "onnxruntime", looks(None, preprocess()))
    grey = Pillow.fromarray(np.zeros((40, 20), "uint8"))
    exif = Pillow.Exif()
    exif[0x0112] = 6
    pictures = [encoded(grey.convert(mode), exif=exif) for mode in ("1", "L", "LA", "P", "RGB", "RGBA")]
    pictures += [encoded(grey.convert(mode), "image/jpeg", exif=exif) for mode in ("L", "RGB", "CMYK", "YCbCr")]
    pictures += [encoded(grey.convert("RGB").resize((640, 640)), "image/jpeg", progressive=True)]
    out = io.BytesIO()
    grey.convert("RGB").save(out, "MPO", save_all=True, append_images=[grey.convert("RGB")])
    pictures += [Image("image/jpeg", 0, out.getvalue())]
    assert [ask(worker, picture).text for picture in pictures] == [""] * len(pictures)


@pytest.mark.parametrize(
    ("how", "status", "says"), [(None, Status.REFUSED, r"no \[preprocess\]"), (preprocess(), Status.SERVED, "")]
)
def test_a_model_takes_images_if_its_manifest_says_how(worker: Worker, tmp_path: Path, how, status, says) -> None:
    worker.load(models.look(tmp_path / "m", 1, 2, 3), "onnxruntime", looks(None, how))
    response = ask(worker, encoded(RED_BLUE))
    assert (response.status, response.predictions) == (status, ())
    assert says.replace("\\", "") in response.text
