"""Tensors in system shared memory, with tritonclient's own regions; and regions that are not what they seem."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.utils.shared_memory as shm
from tritonclient.utils import InferenceServerException

from fleet_agent.front.errors import HttpError
from fleet_agent.front.limits import LIMITS
from fleet_agent.front.peer import Peer
from fleet_agent.front.shared_memory import Regions
from tests.agent.conformance.parts import CLIENTS, ROWS, given, served
from tests.agent.local_api_parts import Device

SIZE = ROWS.nbytes
UID = os.getuid()


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    with served(tmp_path_factory.mktemp("api")) as made:
        yield made


@pytest.fixture(params=list(CLIENTS))
def client(parts: Device, request: pytest.FixtureRequest) -> Iterator[Any]:
    made = CLIENTS[request.param](parts.front.url)
    yield made
    made.unregister_system_shared_memory()
    made.close()


@contextmanager
def memory(size: int) -> Iterator[tuple[str, Any]]:
    """A region as tritonclient makes it: its key and its handle."""
    key = f"/dunlin-test-{os.getpid()}"
    handle = shm.create_shared_memory_region("mine", key, size)
    try:
        yield key, handle
    finally:
        shm.destroy_shared_memory_region(handle)


def status_of(call: Any) -> tuple[str, str]:
    with pytest.raises(InferenceServerException) as caught:
        call()
    return caught.value.status(), caught.value.message()


def from_region(name: str = "mine", offset: int = 0, size: int = SIZE) -> triton.InferInput:
    made = triton.InferInput("x", list(ROWS.shape), "FP32")
    made.set_shared_memory(name, size, offset)
    return made


def to_region(name: str = "mine", offset: int = SIZE, size: int = SIZE) -> triton.InferRequestedOutput:
    made = triton.InferRequestedOutput("y")
    made.set_shared_memory(name, size, offset)
    return made


def test_inputs_and_outputs_in_a_region(client: Any) -> None:
    with memory(64 + 2 * SIZE) as (key, handle):
        shm.set_shared_memory_region(handle, [ROWS], offset=64)
        client.register_system_shared_memory("mine", key, 2 * SIZE, offset=64)
        listed = client.get_system_shared_memory_status()
        assert listed == [{"name": "mine", "key": key.lstrip("/"), "offset": 64, "byte_size": 2 * SIZE}]
        assert client.get_system_shared_memory_status("mine") == listed
        result = client.infer("add", [from_region()], outputs=[to_region()])
        assert result.get_output("y") == {"name": "y", "datatype": "FP32", "shape": [2, 4]}
        np.testing.assert_array_equal(shm.get_contents_as_numpy(handle, "float32", [2, 4], 64 + SIZE), ROWS + 0.5)
        np.testing.assert_array_equal(client.infer("add", [from_region()]).as_numpy("y"), ROWS + 0.5)
        client.unregister_system_shared_memory("mine")
        client.unregister_system_shared_memory("mine")
        assert client.get_system_shared_memory_status() == []
        assert status_of(lambda: client.infer("add", [from_region()]))[0] == "400"
        assert status_of(lambda: client.get_system_shared_memory_status("mine"))[0] == "404"


def test_what_does_not_fit_is_400(client: Any) -> None:
    with memory(2 * SIZE) as (key, handle):
        shm.set_shared_memory_region(handle, [ROWS])
        for size, offset, says in ((2 * SIZE + 1, 0, "has 64 bytes"), (2 * SIZE, 1, "has 64 bytes"), (0, 0, "from 0")):
            status, text = status_of(partial(client.register_system_shared_memory, "mine", key, size, offset=offset))
            assert status == "400"
            assert says in text
        assert "No such file" in status_of(lambda: client.register_system_shared_memory("mine", "/none-such", 8))[1]
        client.register_system_shared_memory("mine", key, 2 * SIZE)
        assert "already" in status_of(lambda: client.register_system_shared_memory("mine", key, SIZE))[1]
        for inputs, outputs, says in (
            (from_region(size=SIZE - 4), to_region(), "28 bytes of shared memory; shape [2, 4] needs 32"),
            (from_region(offset=SIZE + 4), to_region(), "do not fit into shared memory region 'mine'"),
            (from_region("other"), to_region(), "no shared memory region 'other'"),
            (from_region(), to_region(size=SIZE - 1), "output 'y' has 32 bytes; 31 of shared memory"),
            (from_region(), to_region(offset=SIZE + 1), "do not fit into shared memory region 'mine'"),
            (from_region(), to_region("other"), "no shared memory region 'other'"),
        ):
            status, text = status_of(partial(client.infer, "add", [inputs], outputs=[outputs]))
            assert (status, says in text) == ("400", True), text


def test_a_region_that_is_truncated_harms_nobody(client: Any) -> None:
    """Mapped memory would end the front here, with SIGBUS."""
    with memory(2 * SIZE) as (key, handle):
        shm.set_shared_memory_region(handle, [ROWS])
        client.register_system_shared_memory("mine", key, 2 * SIZE)
        os.truncate(f"/dev/shm{key}", SIZE)
        np.testing.assert_array_equal(client.infer("add", [from_region()]).as_numpy("y"), ROWS + 0.5)
        status, text = status_of(lambda: client.infer("add", [from_region()], outputs=[to_region()]))
        assert (status, "it was truncated" in text) == ("400", True)
        os.truncate(f"/dev/shm{key}", 0)
        assert "it was truncated" in status_of(lambda: client.infer("add", [from_region()]))[1]
        assert Path(f"/dev/shm{key}").stat().st_size == 0
        # tritonclient's own mapping must not be touched any more either.
        os.truncate(f"/dev/shm{key}", 2 * SIZE)
    np.testing.assert_array_equal(client.infer("add", [given("x", ROWS)]).as_numpy("y"), ROWS + 0.5)


def test_switched_off(tmp_path: Path) -> None:
    with served(tmp_path, shared_memory=False) as off, triton.InferenceServerClient(off.front.url) as client:
        assert "system_shared_memory" not in client.get_server_metadata()["extensions"]
        with memory(SIZE) as (key, _):
            assert "switched off" in status_of(lambda: client.register_system_shared_memory("mine", key, SIZE))[1]


# the rules, one by one, on a folder of the test's own


@pytest.fixture
def regions(tmp_path: Path) -> Regions:
    (tmp_path / "good").write_bytes(bytes(64))
    (tmp_path / "link").symlink_to(tmp_path / "good")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "twice").write_bytes(bytes(64))
    os.link(tmp_path / "twice", tmp_path / "again")
    return Regions(LIMITS, tmp_path)


@pytest.mark.parametrize(
    "key", ["link", "pipe", "folder", "twice", "../good", ".", "..", "/", "", "a\0b", "x" * 300, 7]
)
def test_keys_that_are_no_shared_memory(regions: Regions, key: object) -> None:
    with pytest.raises(HttpError) as caught:
        regions.register(UID, "r", {"key": key, "byte_size": 8})
    assert caught.value.status == 400
    assert regions.listed(UID) == []


@pytest.mark.parametrize(
    "more",
    [{"byte_size": 65}, {"byte_size": 8, "offset": 57}, {"byte_size": 8, "offset": -1}, {"byte_size": True}, {},
     {"byte_size": 2**31}, {"byte_size": 8.0}],
)  # fmt: skip
def test_bounds_that_are_none(regions: Regions, more: dict[str, Any]) -> None:
    with pytest.raises(HttpError) as caught:
        regions.register(UID, "r", {"key": "good"} | more)
    assert caught.value.status == 400


def test_a_file_of_another_user_is_403_and_a_region_of_another_user_is_not_there(regions: Regions) -> None:
    with pytest.raises(HttpError) as caught:
        regions.register(UID + 1, "r", {"key": "good", "byte_size": 8})
    assert caught.value.status == 403
    regions.register(UID, "r", {"key": "/good", "byte_size": 8})
    regions.unregister(UID + 1, None)
    regions.unregister(UID + 1, "r")
    assert regions.listed(UID + 1) == []
    with pytest.raises(HttpError):
        regions.find(UID + 1, "r")
    assert regions.find(UID, "r").read(0, 8) == bytes(8)


def test_regions_are_counted_and_their_files_closed(regions: Regions, tmp_path: Path) -> None:
    for number in range(LIMITS.regions):
        regions.register(UID, f"r{number}", {"key": "good", "byte_size": 8})
    with pytest.raises(HttpError) as caught:
        regions.register(UID, "one more", {"key": "good", "byte_size": 8})
    assert caught.value.status == 503
    assert open_files(tmp_path) == LIMITS.regions
    regions.unregister(UID, None)
    assert open_files(tmp_path) == 0


def open_files(folder: Path) -> int:
    """How many descriptors of this process are of files in a folder."""
    links = Path("/proc/self/fd").iterdir()
    return sum(link.is_symlink() and link.readlink().parent == folder for link in links)


# who is there


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_user_of_a_loopback_connection(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listening:
        client = socket.create_connection(listening.getsockname()[:2])
        accepted, _ = listening.accept()
        with accepted:
            assert Peer(accepted).uid == UID
            # A connection that is closed over there would be listed as root's.
            client.close()
            assert Peer(accepted).uid is None


def test_the_user_of_a_unix_connection() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert (Peer(ours).unix, Peer(ours).uid) == (True, UID)


def test_another_machine_has_no_user_here(tmp_path: Path) -> None:
    class Far:
        family = socket.AF_INET

        def getpeername(self) -> tuple[str, int]:
            return "192.0.2.7", 4000

        def getsockname(self) -> tuple[str, int]:
            return "192.0.2.1", 8100

    line = "0: 070200C0:0FA0 010200C0:1FA4 01 0:0 0:0 0 1000 0 1\n"
    (tmp_path / "tcp").write_text("head\n" + line)
    assert Peer(Far(), tmp_path).uid is None  # type: ignore[arg-type]
