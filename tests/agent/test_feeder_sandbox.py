"""A feeder in its sandbox: what its sources and sinks need it has; a stranger's input that took it over has no more."""

import errno
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fleet_agent import ipc
from fleet_agent.config.sinks import Sink
from fleet_agent.config.sources import Source, to_body
from fleet_agent.feeder import files, running
from fleet_agent.feeder.calling import Answer
from fleet_agent.feeder.errors import SourceError
from fleet_agent.feeder.inputs import Input
from fleet_agent.feeder.network import Broker
from fleet_agent.feeder.sinks import FileSink
from tests.agent import attacks

PATIENCE_S = 60.0
ANSWER = Answer("m", "1.0", b"\5" * 32, {"predictions": []})


class Handler:
    """A source whose code is ``act``: what that returns is told as the source's trouble."""

    durable = False

    def __init__(self, act: Callable[[], object]) -> None:
        self._act = act

    def inputs(self) -> Iterator[Input | None]:
        raise SourceError(f"came to: {self._act()}")
        yield None


@contextmanager
def feeder(
    source: Source, act: Callable[[], object] | None = None, parent: int | None = None, **more: object
) -> Iterator[socket.socket]:
    """A real feeder's process; what it is fed by is ``act``, or ``source`` itself."""
    ours, theirs = ipc.pair()
    pid = os.fork()
    if pid == 0:
        try:
            ours.close()
            if act is not None:
                running.opened = lambda _: Handler(act)  # type: ignore[assignment]
            running.serve(theirs, parent or os.getppid())
        finally:
            os._exit(9)
    theirs.close()
    ours.settimeout(PATIENCE_S)
    ipc.send(ours, {"sources": [to_body(source)], "api": "/nowhere/api.sock", "troubled": [], **more})
    try:
        yield ours
    finally:
        ours.close()
        os.waitpid(pid, 0)


def heard(control: socket.socket, kind: str) -> dict[str, Any]:
    """The next message of a kind."""
    while (message := ipc.recv(control)) is not None:
        if message.body["is"] == kind:
            return message.body
    raise AssertionError(f"the feeder ended without {kind}")


def came_to(source: Source, act: Callable[[], object]) -> str:
    """What ``act`` comes to inside the sandbox of ``source``; what it raises, for one that fails."""

    def caught() -> object:
        try:
            return act()
        except Exception as error:
            return f"{type(error).__name__} {error}"

    with feeder(source, caught) as control:
        assert heard(control, "confined")["tier"].endswith("landlock+seccomp")
        return str(heard(control, "trouble")["text"]).removeprefix("came to: ")


def code_of(act: Callable[[], object]) -> int:
    """The errno that an action ends with; 0: it succeeds."""
    try:
        act()
    except OSError as error:
        return error.errno or 255
    return 0


# Strangers' inputs.


@pytest.fixture(name="facts")
def _facts(tmp_path: Path) -> Iterator[dict[str, Any]]:
    state = tmp_path / "state"
    state.mkdir()
    key = state / "key"
    key.write_bytes(b"secret")
    key.chmod(0o600)
    victim = subprocess.Popen([sys.executable, "-c", _VICTIM], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert victim.stdout is not None
    facts = {"victim": victim.pid, "address": int(victim.stdout.readline()), "key": str(key), "folder": str(state)}
    yield {**facts, "socket": 0}
    victim.communicate(b"\n")


_VICTIM = """
import ctypes
secret = ctypes.create_string_buffer(b"secrets!")
print(ctypes.addressof(secret), flush=True)
input()
"""


@pytest.mark.parametrize(
    "attack",
    [
        "read_a_key", "delete_a_key", "make_a_key_readable", "list_a_folder", "write_a_file", "write_shared_memory",
        "open_the_memory_of_a_process", "list_the_files_of_a_process", "read_the_environment_of_a_process",
        "trace_a_process", "copy_the_memory_of_a_process", "get_a_handle_of_a_process", "signal_a_process", "fork",
        "have_a_process_signalled_by_a_socket", "start_a_program", "become_a_program", "make_a_namespace",
        "use_a_ring", "use_kernel_keys", "count_events_of_the_processor", "become_readable",
    ],
)  # fmt: skip
def test_an_input_that_took_the_feeder_over_is_refused(attack: str, facts: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    source = Source("s", "http", "m", url="http://127.0.0.1:9/", sinks=(Sink("f", "file", path=tmp_path / "in" / "f"),))

    def act() -> int:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            return attacks.outcome(attack, {**facts, "socket": ours.fileno()})

    assert int(came_to(source, act)) > 0, "the attack succeeded inside the sandbox"


def test_a_feeder_without_a_network_opens_no_connection(tmp_path: Path) -> None:
    source = Source("s", "folder", "m", folder=tmp_path)
    assert came_to(source, lambda: code_of(socket.socket)) == str(errno.EPERM)


def test_a_camera_is_the_one_device(tmp_path: Path) -> None:
    source = Source("s", "camera", "m", device="/dev/zero", per_s=1)

    def act() -> str:
        with open("/dev/zero", "r+b", buffering=0) as device:
            device.read(1)
        return str([code_of(partial(open, "/dev/full", mode)) for mode in ("rb", "r+b")])

    assert came_to(source, act) == f"[{errno.EACCES}, {errno.EACCES}]"


# What it is there for.


@pytest.mark.parametrize("beside", [False, True], ids=["apart", "beneath the sink's folder"])
def test_files_are_read_moved_and_deleted_and_results_written(tmp_path: Path, beside: bool) -> None:
    out = tmp_path / "out"
    done = out / "done" if beside else tmp_path / "done"
    for name in (tmp_path / "in", out, done):
        name.mkdir()
    for name in "ab":
        (tmp_path / "in" / name).write_bytes(b"picture")
    (done / "a").write_text("older")
    sink = Sink("f", "file", path=out / "lines", most_bytes=4096)
    source = Source("s", "folder", "m", (sink,), folder=tmp_path / "in", done="move", done_folder=done)

    def act() -> str:
        lines = FileSink(out / "lines", 150)
        for name in files.look(tmp_path / "in"):
            one = files.read(source, tmp_path / "in" / name)
            assert one.data() == b"picture"
            one.done()
            lines.put("s", name, ANSWER)
        return str([code_of((out / "lines").read_bytes), code_of(lambda: list(tmp_path.iterdir()))])

    assert came_to(source, act) == f"[{errno.EACCES}, {errno.EACCES}]"
    assert sorted(path.name for path in done.iterdir()) == ["a", "b"]
    assert (done / "a").read_bytes() == b"picture"
    assert list((tmp_path / "in").iterdir()) == []
    assert len((out / "lines").read_bytes().splitlines()) == 1
    assert len((out / "lines.1").read_bytes().splitlines()) == 1


def test_a_file_is_deleted_where_that_is_asked_for_only(tmp_path: Path) -> None:
    for done, left in (("delete", 0), ("keep", 1)):
        folder = tmp_path / done
        folder.mkdir()
        (folder / "a").write_bytes(b"picture")
        came_to(Source("s", "folder", "m", folder=folder, done=done), (folder / "a").unlink)
        assert len(list(folder.iterdir())) == left


def test_networks_names_certificates_and_the_local_api_are_there(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as api:
        api.bind(str(tmp_path / "api.sock"))
        api.listen()
        port = tcp.getsockname()[1]

        def act() -> str:
            socket.create_connection(("localhost", port), 5).close()
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(tmp_path / "api.sock"))
            ssl.create_default_context()
            broker = Broker(f"mqtt://127.0.0.1:{port}")
            return f"connected, {broker.why}"

        source = Source("s", "mqtt", "m", url=f"mqtt://localhost:{port}", topic="t")
        assert came_to(source, act).startswith("connected, ")


# What comes later.


def test_a_folder_that_comes_later_needs_a_new_process(tmp_path: Path) -> None:
    source = Source("s", "folder", "m", folder=tmp_path / "later")
    with feeder(source) as control:
        assert "later cannot be read" in heard(control, "trouble")["text"]
        (tmp_path / "later").mkdir()
        heard(control, "again")
        assert ipc.recv(control) is None
    with feeder(source, troubled=["s"]) as control:
        heard(control, "fine")


def test_a_sandbox_that_does_not_work_is_told_and_nothing_is_fed(tmp_path: Path) -> None:
    with feeder(Source("s", "folder", "m", folder=tmp_path), parent=os.getppid()) as control:
        assert heard(control, "trouble")["text"] == "the sandbox does not work: the supervisor is gone"
        assert ipc.recv(control) is None
