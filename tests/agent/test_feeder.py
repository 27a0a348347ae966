"""Sources and sinks: what is fed, what becomes of it, and what is said of trouble, once."""

import contextlib
import http.server
import json
import os
import shutil
import socket
import socketserver
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dunlin_contract.results import Result
from fleet_agent.config import file, results, sinks, sources
from fleet_agent.config.file import ConfigError
from fleet_agent.config.sinks import Sink
from fleet_agent.config.sources import Source
from fleet_agent.feeder.calling import Answer, Model
from fleet_agent.feeder.camera import Camera
from fleet_agent.feeder.errors import LaterError, NeverError, SourceError
from fleet_agent.feeder.files import Folder, Schedule, next_time
from fleet_agent.feeder.inputs import Input
from fleet_agent.feeder.network import Pull, Topic
from fleet_agent.feeder.running import Runner
from fleet_agent.feeder.sinks import FileSink, FleetSink, MqttSink

REQUEST = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}]}).encode()
JPEG = b"\xff\xd8\xff\xe0picture"
RELEASE = b"\5" * 32


# The local API, and a server to pull from.


class Api:
    """What the test wants the local API to answer; ``asked`` is what came."""

    def __init__(self) -> None:
        self.status, self.answer = 200, {"model": "m", "version": "1.0", "predictions": [
            {"label": "cat", "index": 3, "score": 0.75}, {"label": "dog", "index": 1, "score": None}]}  # fmt: skip
        self.asked: list[tuple[str, str, bytes]] = []


def handler(api: Api) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            api.asked.append((self.path, self.headers["Content-Type"], data))
            self._answer(json.dumps(api.answer).encode())

        def do_GET(self) -> None:
            api.asked.append((self.path, "", b""))
            self._answer(JPEG)

        def _answer(self, body: bytes) -> None:
            self.send_response(api.status)
            self.send_header("dunlin-release", RELEASE.hex())
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

        def address_string(self) -> str:
            return "local"

    return Handler


class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


@pytest.fixture(name="api")
def _api(tmp_path: Path) -> Iterator[Api]:
    api = Api()
    with UnixServer(str(tmp_path / "api.sock"), handler(api)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield api
        server.shutdown()


@pytest.fixture(name="model")
def _model(tmp_path: Path) -> Iterator[Model]:
    model = Model(tmp_path / "api.sock", "m")
    yield model
    model.close()


def test_a_picture_is_asked_about_and_its_predictions_are_tensors(api: Api, model: Model) -> None:
    answer = model.ask(JPEG)
    assert api.asked == [("/predict/m", "image/jpeg", JPEG)]
    assert (answer.model, answer.version, answer.release) == ("m", "1.0", RELEASE)
    index, score = answer.tensors()
    assert (index.name, index.dtype, index.shape, index.data) == ("index", "int32", (2,), struct.pack("<2i", 3, 1))
    assert struct.unpack("<2f", score.data)[0] == 0.75
    assert score.data[4:] == struct.pack("<f", float("nan"))


def test_a_request_is_passed_on_and_its_outputs_are_tensors(api: Api, model: Model) -> None:
    outputs = [
        {"name": "y", "datatype": "FP16", "shape": [2, 1], "data": [[0.5], [1]]},
        {"name": "words", "datatype": "BYTES", "shape": [1], "data": ["cat"]},
    ]
    api.answer = {"model_name": "m", "model_version": "2.0", "outputs": outputs}
    answer = model.ask(b"  " + REQUEST)
    assert api.asked[0][:2] == ("/v2/models/m/infer", "application/json")
    assert answer.version == "2.0"
    (tensor,) = answer.tensors()
    assert (tensor.name, tensor.dtype, tensor.shape, tensor.data) == (
        "y",
        "float16",
        (2, 1),
        struct.pack("<2e", 0.5, 1),
    )


@pytest.mark.parametrize(
    "outputs",
    [
        [],
        [{"name": "y", "datatype": "FP32", "shape": [3], "data": [1]}],
        [{"name": "y", "datatype": "UINT8", "shape": [1], "data": [300]}],
        [{"datatype": "UINT8", "shape": [1], "data": [3]}],
    ],
)
def test_an_answer_without_tensors_is_no_result(api: Api, model: Model, outputs: list[Any]) -> None:
    api.answer = {"outputs": outputs}
    with pytest.raises(NeverError):
        model.ask(REQUEST).tensors()


@pytest.mark.parametrize(("status", "error"), [(503, LaterError), (404, LaterError), (400, NeverError)])
def test_what_passes_is_told_from_what_does_not(api: Api, model: Model, status: int, error: type[Exception]) -> None:
    api.status, api.answer = status, {"error": "the reason"}
    with pytest.raises(error, match="the reason"):
        model.ask(JPEG)


def test_nobody_there_and_rubbish(tmp_path: Path, model: Model) -> None:
    with pytest.raises(LaterError, match="no model serves"):
        model.ask(JPEG)
    with pytest.raises(NeverError, match="neither"):
        model.ask(b"GIF89a")


# A source's thread.


class Given:
    """A source of the test's making."""

    durable = True

    def __init__(self, *inputs: Input | Exception | None) -> None:
        self.left = list(inputs)

    def inputs(self) -> Iterator[Input | None]:
        while self.left:
            one = self.left.pop(0)
            if isinstance(one, Exception):
                raise one
            yield one


class Sinkhole:
    """Takes what it does not fail at."""

    def __init__(self, *fails: Exception) -> None:
        self.fails = list(fails)
        self.took: list[str] = []

    def put(self, source: str, name: str, answer: Answer) -> None:
        if self.fails:
            raise self.fails.pop(0)
        self.took.append(name)


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def wait(self, seconds: float) -> None:
        self.now += seconds


def runner(
    model: Model, given: Any, *holes: Sinkhole, troubled: bool = False, **more: Any
) -> tuple[Runner, list[dict[str, object]], Time]:
    said: list[dict[str, object]] = []
    time = Time()

    def say(body: dict[str, object]) -> None:
        if body["is"] != "alive":
            said.append({key: value for key, value in body.items() if key != "source"})

    source = Source("s", "folder", "m", **more)
    return Runner(source, given, model, holes, say, time.wait, lambda: time.now, troubled=troubled), said, time


def given(name: str, data: bytes = JPEG, done: Callable[[], None] = lambda: None) -> Input:
    return Input(name, lambda: data, done)


def test_what_every_sink_took_is_done(api: Api, model: Model) -> None:
    done: list[str] = []
    one, two = Sinkhole(), Sinkhole()
    source = Given(given("a", done=lambda: done.append("a")), None, given("b", done=lambda: done.append("b")))
    run, said, _ = runner(model, source, one, two)
    run.round()
    assert one.took == two.took == done == ["a", "b"]
    assert (run.counts.answered, run.counts.lost, said) == (2, 0, [])


def test_what_can_wait_is_given_to_the_sink_that_failed_alone(api: Api, model: Model) -> None:
    full = [LaterError("no space left")] * 3
    one, two = Sinkhole(*full), Sinkhole()
    run, said, _ = runner(model, Given(given("a")), one, two)
    run.round()
    assert (one.took, two.took) == (["a"], ["a"])
    assert len(api.asked) == 1
    assert said == []  # it passed before it was worth telling


def test_long_trouble_is_told_once_and_its_end_too(api: Api, model: Model) -> None:
    run, said, time = runner(model, Given(given("a")), Sinkhole(*[LaterError("no space left")] * 40))
    run.round()
    assert said == [{"is": "trouble", "text": "no space left"}, {"is": "fine"}]
    assert time.now > 30 * 150  # with growing pauses


def test_what_cannot_wait_is_lost(api: Api, model: Model) -> None:
    hole = Sinkhole(LaterError("away"))
    source = Given(given("a"), given("b"))
    source.durable = False
    run, _, _ = runner(model, source, hole)
    run.round()
    assert (hole.took, run.counts.lost) == (["b"], 1)


def test_a_useless_input_does_not_hold_up_the_next(api: Api, model: Model) -> None:
    hole = Sinkhole()
    run, said, _ = runner(model, Given(given("a.txt", b"hello"), given("b")), hole)
    run.round()
    assert hole.took == ["b"]
    assert said == [{"is": "bad", "text": "a.txt: is neither a JPEG, a PNG nor the JSON of an infer request"}]


def test_a_source_that_goes_away_is_told_once(api: Api, model: Model) -> None:
    hole = Sinkhole()
    gone = SourceError("camera gives no pictures")
    run, said, time = runner(model, Given(gone, gone, gone, None, given("a")), hole)
    for _ in range(4):
        run.round()
    assert said == [{"is": "trouble", "text": "camera gives no pictures"}, {"is": "fine"}]
    assert hole.took == ["a"]
    assert time.now > 5


def test_trouble_that_an_earlier_process_told_of_is_ended_not_told_again(api: Api, model: Model) -> None:
    run, said, _ = runner(model, Given(SourceError("gone"), None), troubled=True)
    run.round()
    assert said == []
    run.round()
    assert said == [{"is": "fine"}]


def test_in_trouble_a_better_sandbox_is_asked_for(api: Api, model: Model) -> None:
    run, _, _ = runner(model, Given(given("a"), given("b.txt", b"hello"), SourceError("gone")))
    asked: list[int] = []
    run.renew = lambda: asked.append(run.counts.answered + run.counts.lost)
    run.round()
    assert asked == [2, 2]  # after the first, none


def test_a_fault_in_one_source_is_told_and_passes(api: Api, model: Model) -> None:
    run, said, _ = runner(model, Given(RuntimeError("secret"), given("a")))
    run.round()
    run.round()
    assert said == [{"is": "trouble", "text": "unexpected RuntimeError"}, {"is": "fine"}]


def test_the_rate_is_kept(api: Api, model: Model) -> None:
    run, _, time = runner(model, Given(*[given(str(n)) for n in range(5)]), per_s=0.1)
    run.round()
    assert 50 <= time.now < 60


# Folders.


def folder(path: Path, **more: Any) -> Source:
    return Source("s", "folder", "m", folder=path, **more)


def names(source: Folder | Schedule, looks: int) -> list[str]:
    """Inputs of so many looks that found nothing more; each is done with."""
    found, empty = [], 0
    for one in source.inputs():
        if one is None:
            empty += 1
            if empty == looks:
                break
            continue
        found.append(one.name)
        one.data()
        one.done()
    return found


def spool(path: Path, *files: str) -> Path:
    path.mkdir(exist_ok=True)
    for place, name in enumerate(files):
        (path / name).write_bytes(JPEG)
        os.utime(path / name, (place, place))
    return path


def test_files_are_taken_when_they_hold_still_oldest_first(tmp_path: Path) -> None:
    path = spool(tmp_path / "in", "b", "a", ".hidden")
    (path / "link").symlink_to(path / "a")
    (path / "sub").mkdir()
    os.mkfifo(path / "pipe")
    source = Folder(folder(path, done="delete"), lambda _: None)
    looks = source.inputs()
    assert next(looks) is None
    (path / "b").write_bytes(b"grows")
    os.utime(path / "b", (0, 7))
    one = next(looks)
    assert one is not None
    assert (one.name, one.data()) == ("a", JPEG)
    one.done()
    assert names(source, 2) == ["b"]
    assert sorted(entry.name for entry in path.iterdir()) == [".hidden", "link", "pipe", "sub"]


def test_files_are_moved_or_kept(tmp_path: Path) -> None:
    path, to = spool(tmp_path / "in", "a"), spool(tmp_path / "done")
    assert names(Folder(folder(path, done="move", done_folder=to), lambda _: None), 3) == ["a"]
    assert (to / "a").read_bytes() == JPEG
    spool(path, "old")
    source = Folder(folder(path), lambda _: None)
    looks = source.inputs()
    assert next(looks) is None
    spool(path, "new")
    assert names(source, 3) == ["new"]
    assert sorted(entry.name for entry in path.iterdir()) == ["new", "old"]


@pytest.mark.parametrize("done", ["delete", "move"])
def test_a_file_renamed_into_the_place_of_another_is_not_done_with_it(tmp_path: Path, done: str) -> None:
    spool(tmp_path, "latest")
    (tmp_path / "done").mkdir()
    source = Folder(folder(tmp_path, done=done, done_folder=tmp_path / "done"), lambda _: None)
    given = (one for one in source.inputs() if one is not None)
    first = next(given)
    assert first.data() == JPEG
    (tmp_path / ".next").write_bytes(b"the next one")
    (tmp_path / ".next").rename(tmp_path / "latest")
    first.done()
    second = next(given)
    assert second.data() == b"the next one"
    second.done()
    assert not (tmp_path / "latest").exists()


def test_an_unreadable_file_is_named_and_left(tmp_path: Path, api: Api, model: Model) -> None:
    path = spool(tmp_path / "in", "a", "b")
    hole = Sinkhole()
    source = Folder(folder(path, done="delete"), lambda _: None)
    run, said, _ = runner(model, source, hole)
    looks = 0

    def wait(_: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 1:  # between being seen and being read
            (path / "a").unlink()
            (path / "a").symlink_to("/etc/hostname")
        if looks == 4:
            raise SourceError("enough")

    source._wait = wait
    run.round()
    assert hole.took == ["b"]
    assert said[-1] == {"is": "trouble", "text": "enough"}
    assert (path / "a").is_symlink()


def test_a_folder_that_goes_away_and_comes_back(tmp_path: Path, api: Api, model: Model) -> None:
    path = tmp_path / "in"
    hole = Sinkhole()
    source = Folder(folder(path, done="delete"), lambda _: None)
    run, said, _ = runner(model, source, hole)
    run.round()
    run.round()
    assert said == [{"is": "trouble", "text": f"folder {path} cannot be read: No such file or directory"}]
    spool(path, "a")
    looks = 0

    def wait(_: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            (path / "z").touch()
            raise SourceError("gone again")

    source._wait = wait
    run.round()
    assert hole.took == ["a"]
    assert [one["is"] for one in said] == ["trouble", "fine", "trouble"]


def test_a_schedule_runs_daily_over_all_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        now = time.mktime((2026, 3, 28, 2, 0, 0, 0, 0, -1))
        clock = [now]
        path = spool(tmp_path / "in", "a", "b")

        def wait(seconds: float) -> None:
            clock[0] += seconds

        source = Schedule(folder(path, at="02:30"), wait, lambda: clock[0])
        runs: list[tuple[str, float]] = []
        for one in source.inputs():
            if one is not None:
                runs.append((one.name, clock[0]))
            if len(runs) == 4:
                break
        assert [name for name, _ in runs] == ["a", "b", "a", "b"]
        assert runs[0][1] == runs[1][1] == now + 1800
        # The night of summer time has no 02:30; it is an hour later then, or earlier, and not missed.
        assert 22 * 3600 <= runs[2][1] - runs[0][1] <= 25 * 3600
        assert time.localtime(next_time(runs[2][1], "02:30"))[2:5] == (30, 2, 30)
    finally:
        monkeypatch.undo()
        time.tzset()


# What is elsewhere.


def test_a_url_is_pulled_and_its_absence_told(api: Api) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler(api)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/live/picture.jpg?size=2"
        one = next(Pull(Source("s", "http", "m", url=url)).inputs())
        assert one is not None
        assert (one.name, one.data(), api.asked) == ("picture.jpg", JPEG, [("/live/picture.jpg?size=2", "", b"")])
        api.status = 302
        with pytest.raises(SourceError, match="answers 302"):
            next(Pull(Source("s", "http", "m", url=url)).inputs())
        server.shutdown()
    with pytest.raises(SourceError, match=r"http://127.0.0.1/live/picture.jpg does not answer \(Connection refused\)"):
        next(Pull(Source("s", "http", "m", url=url.replace("127.0.0.1", "me:secret@127.0.0.1"))).inputs())


@pytest.fixture(name="broker")
def _broker(tmp_path: Path) -> Iterator[Callable[[], int]]:
    """Starts a broker without TLS, on the same port each time; what it gives is the port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    (tmp_path / "broker.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    running: list[subprocess.Popen[bytes]] = []

    def start() -> int:
        program = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
        assert program is not None
        for one in running:
            one.kill()
            one.wait()
        running.append(subprocess.Popen([program, "-c", tmp_path / "broker.conf"], stderr=subprocess.DEVNULL))
        return port

    yield start
    for one in running:
        one.kill()
        one.wait()


def test_messages_of_a_topic_are_fed_and_results_published(broker: Callable[[], int]) -> None:
    url = f"mqtt://127.0.0.1:{broker()}"
    topic = Topic(Source("s", "mqtt", "m", url=url, topic="in/+"))
    sink, out = MqttSink(url, "out"), Topic(Source("s", "mqtt", "m", url=url, topic="out"))
    deadline = time.monotonic() + 60
    # Subscribing takes its time: publish until it comes.
    feed, heard, got = topic.inputs(), out.inputs(), None
    while got is None and time.monotonic() < deadline:
        with contextlib.suppress(LaterError):
            sink._broker.client.publish("in/door", JPEG, 1)
        try:
            got = next(feed)
        except SourceError:
            feed = topic.inputs()
    assert got is not None
    assert (got.name, got.data()) == ("in/door", JPEG)
    line = None
    while line is None and time.monotonic() < deadline:
        with contextlib.suppress(LaterError):
            sink.put("s", "door", ANSWER)
        try:
            line = next(heard)
        except SourceError:
            heard = out.inputs()
    assert line is not None
    assert json.loads(line.data())["predictions"] == ANSWER.body["predictions"]
    for one in (topic._broker, out._broker, sink._broker):
        assert one is not None
        one.client.disconnect()
        one.client.loop_stop()


def test_a_broker_that_is_away_is_told_and_nothing_waits_for_it() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        sink = MqttSink(f"mqtt://127.0.0.1:{probe.getsockname()[1]}", "out")
        with pytest.raises(LaterError, match=r"broker 127\.0\.0\.1 port \d+: "):
            sink.put("s", "a", ANSWER)
        sink._broker.client.disconnect()
        sink._broker.client.loop_stop()


def test_a_camera_without_pyav_or_device_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(SourceError, match="need PyAV: pip install"):
        next(Camera(Source("s", "camera", "m", device="/dev/video99", per_s=1)).inputs())
    camera = Camera(Source("s", "camera", "m", url="rtsp://me:secret@cam/door", per_s=1))
    assert camera._shown == "rtsp://cam/door"


def test_a_real_camera_gives_jpegs_and_its_end_is_told(tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="cameras are optional: pip install 'dunlin-agent[camera]'")
    film = tmp_path / "film.avi"
    with av.open(str(film), "w") as out:
        stream = out.add_stream("mjpeg", rate=15)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        frames = [av.VideoFrame(64, 48, "yuvj420p") for _ in range(30)]
        for frame in (*frames, None):
            out.mux(stream.encode(frame))
    ticks = iter(range(1000))
    camera = Camera(Source("s", "camera", "m", device=str(film), per_s=5), lambda: next(ticks) / 15)
    camera.format, camera.options = None, {}
    taken: list[bytes] = []

    with pytest.raises(SourceError, match="gives no more pictures"):
        taken.extend(one.data() for one in camera.inputs() if one is not None)
    assert 9 <= len(taken) <= 11  # of 30 in two seconds, five a second
    assert all(one.startswith(b"\xff\xd8") and len(one) > 200 for one in taken)
    with pytest.raises(SourceError, match="gives no pictures"):
        next(Camera(Source("s", "camera", "m", device="/dev/video99", per_s=1)).inputs())


# Sinks.

ANSWER = Answer("m", "1.0", RELEASE, {"predictions": [{"label": "cat", "index": 3, "score": 0.5}]})


def test_a_file_has_a_line_for_each_result_and_is_rotated(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    sink = FileSink(path, 4096)
    for n in range(100):
        sink.put("s", f"{n}.jpg", ANSWER)
    old, new = (path.with_name("out.jsonl.1"), path)
    assert max(old.stat().st_size, new.stat().st_size) <= 4096
    lines = [json.loads(line) for line in (old.read_text() + new.read_text()).splitlines()]
    assert [one["input"] for one in lines] == [f"{n}.jpg" for n in range(100 - len(lines), 100)]
    del lines[-1]["time"]
    assert lines[-1] == {"source": "s", "input": "99.jpg", "model": "m", "version": "1.0", **ANSWER.body}


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.jsonl"
    sink = FileSink(path, 4096)
    sink.put("s", "a", ANSWER)
    whole, write = path.read_bytes(), os.write

    def full(fd: int, data: bytes) -> int:
        if len(data) < 20:
            raise OSError(28, "No space left on device")
        return write(fd, bytes(data)[:30])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(LaterError, match="No space left"):
        sink.put("s", "b", ANSWER)
    monkeypatch.undo()
    assert path.read_bytes() == whole
    sink.put("s", "c", ANSWER)
    assert [json.loads(line)["input"] for line in path.read_text().splitlines()] == ["a", "c"]


def test_the_fleet_gets_tensors_and_no_names_of_files(tmp_path: Path) -> None:
    kept: list[tuple[Result, int]] = []
    FleetSink(7, lambda *one: kept.append(one)).put("door", "john.jpg", ANSWER)
    ((result, priority),) = kept
    assert (result.model, result.release, result.source, priority) == ("m", RELEASE, "door", 7)
    assert [tensor.name for tensor in result.outputs] == ["index", "score"]
    assert b"john" not in result.to_bytes()
    outputs = [{"name": "y", "datatype": "UINT8", "shape": [300_000], "data": [0] * 300_000}]
    long = Answer("m", "1.0", RELEASE, {"outputs": outputs})
    with pytest.raises(NeverError, match="the fleet takes 262144"):
        FleetSink(7, lambda *_: None).put("door", "a", long)


# Configuration.

WHOLE = """
[[sink]]
name = "log"
kind = "file"
path = "/var/log/results.jsonl"
most_bytes = 100000
[[sink]]
name = "fleet"
kind = "fleet"
priority = 6
[[sink]]
name = "bus"
kind = "mqtt"
url = "mqtt://localhost"
topic = "results"
[[source]]
name = "door"
kind = "camera"
model = "faces"
device = "/dev/video0"
sinks = ["log", "fleet"]
[[source]]
name = "nightly"
kind = "schedule"
model = "faces"
folder = "/srv/pictures"
at = "02:30"
done = "move:/srv/seen"
per_s = 0.5
[results]
most_mb = 5
most_age_h = 48
per_hour = 100
"""


def configured(tmp_path: Path, text: str) -> tuple[Source, ...]:
    (tmp_path / "agent.toml").write_text(text)
    words = file.read(tmp_path / "agent.toml")
    results.read(words)
    return sources.read(words, sinks.read(words))


def test_the_configuration_says_all_of_it(tmp_path: Path) -> None:
    door, nightly = configured(tmp_path, WHOLE)
    log = Sink("log", "file", Path("/var/log/results.jsonl"), most_bytes=100_000)
    fleet = Sink("fleet", "fleet", priority=6)
    assert door == Source("door", "camera", "faces", (log, fleet), per_s=1.0, device="/dev/video0")
    assert (nightly.at, nightly.done, nightly.done_folder, nightly.per_s) == ("02:30", "move", Path("/srv/seen"), 0.5)
    assert sources.from_body(sources.to_body(door)) == door
    assert sources.from_body(sources.to_body(nightly)) == nightly
    caps = results.read(file.read(tmp_path / "agent.toml"))
    assert (caps.most_bytes, caps.most_age_s, caps.per_hour) == (5 << 20, 48 * 3600, 100)
    assert sources.read(file.read(None), sinks.read(file.read(None))) == ()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('kind = "camera"', 'kind = "webcam"', "one of camera, folder"),
        ('device = "/dev/video0"', 'url = "http://x"', "rtsp://"),
        ('device = "/dev/video0"', 'folder = "/x"', "no use for 'folder'"),
        ('at = "02:30"', 'at = "2:30"', "time of the day"),
        ('at = "02:30"', "", "needs 'at'"),
        ("move:/srv/seen", "move", "done must be"),
        ("move:/srv/seen", "move:seen", "absolute folder"),
        ('["log", "fleet"]', '["log", "flet"]', "there is no sink 'flet'"),
        ("per_s = 0.5", "per_s = 5000", "per_s must be"),
        ("priority = 6", "priority = 10", "priority must be 0 to 9"),
        ('topic = "results"', 'topic = "results/#"', "without + and #"),
        ("mqtt://localhost", "http://localhost", "mqtt://HOST:PORT"),
        ('path = "/var/log/results.jsonl"', 'path = "results.jsonl"', "must be absolute"),
        ('name = "nightly"', 'name = "door"', "there twice"),
        ("most_mb = 5", "most_mb = 0", "most_mb must be"),
    ],
)
def test_what_cannot_be_is_refused_with_its_line(tmp_path: Path, old: str, new: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        configured(tmp_path, WHOLE.replace(old, new))
    assert says in str(caught.value)
    assert "agent.toml" in str(caught.value)


def test_two_of_a_name_are_one_too_many(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="sink 'a' is there twice"):
        configured(tmp_path, '[[sink]]\nname = "a"\nkind = "fleet"\n' * 2)
