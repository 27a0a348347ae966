"""The sandbox's parts: filters on both architectures, what each process may still do, older kernels, control groups."""

import ctypes
import errno
import os
import pwd
import re
import signal
import socket
import struct
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from fleet_agent import files
from fleet_agent.config import workers
from fleet_agent.config.file import ConfigError
from fleet_agent.config.file import read as read_config
from fleet_agent.sandbox import accounts, enter, groups, kernel, landlock, privileges, profiles, seccomp, survey
from fleet_agent.sandbox.kernel import AbsentError, SandboxError
from fleet_agent.sandbox.privileges import Account
from fleet_agent.sandbox.record import Record
from fleet_agent.sandbox.syscalls import AUDIT_ARCH, NUMBERS

SOME_USER = Account(64_322, 64_322)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
PID = 4711
ALLOWED, REFUSED, NO_SUCH_CALL, KILLED = 0x7FFF0000, 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS, 0x80000000


# A process of its own for each test that enters: there is no way back.


def inside(body: Callable[[], object]) -> str:
    """What ``body`` says of itself in a child; raises what it raised."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            text = "ok " + str(body())
        except BaseException:  # a test's assertions too
            text = "failed " + traceback.format_exc()
        os.write(writer, text.encode()[:60_000])
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as file:
        said, _, text = file.read().decode().partition(" ")
    status = os.waitpid(pid, 0)[1]
    assert said == "ok", text or f"the child ended with {status}"
    return text


def refused(action: Callable[[], object], *codes: int) -> None:
    """``action`` must fail with one of ``codes``."""
    try:
        action()
    except OSError as error:
        assert error.errno in codes, error  # noqa: PT017
    else:
        raise AssertionError("it was not refused")


# Filters, run by an interpreter of classic BPF: those of ARM cannot be installed here, and rarely the other way round.


def verdict(program: list[seccomp.Instruction], machine: str, number: int, *arguments: int) -> int:
    data = struct.pack("=IIQ6Q", number, AUDIT_ARCH[machine], 0, *(*arguments, *[0] * (6 - len(arguments))))
    at = value = 0
    while True:
        code, if_true, if_false, operand = program[at]
        at += 1
        match code:
            case 0x20:
                (value,) = struct.unpack_from("=I", data, operand)
            case 0x54:
                value &= operand
            case 0x06:
                return operand
            case 0x15 | 0x35 | 0x45:
                true = {0x15: value == operand, 0x35: value >= operand, 0x45: bool(value & operand)}[code]
                at += if_true if true else if_false
            case _:
                raise AssertionError(f"no such instruction: {code:#x}")


@pytest.fixture(params=sorted(AUDIT_ARCH), name="machine")
def _machine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def number(machine: str, name: str) -> int | None:
    found: int | None = getattr(NUMBERS[name], machine)
    return found


COMPUTING = [
    ("read", (), ALLOWED),
    ("futex", (), ALLOWED),
    ("mmap", (0, 4096, 3), ALLOWED),
    ("mmap", (0, 4096, 7), REFUSED),
    ("mprotect", (0, 4096, 1), ALLOWED),
    ("mprotect", (0, 4096, 5), REFUSED),
    ("openat", (0, 0, os.O_RDONLY | os.O_CLOEXEC), ALLOWED),
    ("openat", (0, 0, os.O_WRONLY), REFUSED),
    ("openat", (0, 0, os.O_RDWR), REFUSED),
    ("openat", (0, 0, os.O_CREAT), REFUSED),
    ("openat", (0, 0, os.O_TRUNC), REFUSED),
    ("open", (0, os.O_RDWR), REFUSED),
    ("open", (0, os.O_RDONLY), ALLOWED),
    ("clone3", (), NO_SUCH_CALL),
    ("clone", (0x003D0F00,), ALLOWED),
    ("clone", (0x00000F00,), REFUSED),
    ("clone", (signal.SIGCHLD,), REFUSED),
    ("tgkill", (PID, PID, signal.SIGABRT), ALLOWED),
    ("tgkill", (PID + 1, PID + 1, signal.SIGKILL), REFUSED),
    ("prctl", (15,), ALLOWED),
    ("prctl", (4, 1), REFUSED),
    ("fcntl", (3, 4), ALLOWED),
    ("fcntl", (3, 1030), ALLOWED),
    ("fcntl", (3, 8), REFUSED),
    ("ioctl", (3, 0x5421), ALLOWED),
    ("ioctl", (3, 0x5412), REFUSED),
    ("prlimit64", (0,), ALLOWED),
    ("prlimit64", (PID + 1,), REFUSED),
    *((name, (), REFUSED) for name in ("socket", "connect", "execve", "fork", "ptrace", "kill", "bpf", "keyctl")),
    *((name, (), REFUSED) for name in ("process_vm_readv", "io_uring_setup", "mount", "unshare", "pidfd_open")),
]
GUARDED = [
    ("read", (), ALLOWED),
    ("openat", (0, 0, os.O_RDWR), ALLOWED),
    ("mmap", (0, 4096, 7), ALLOWED),
    ("accept4", (), ALLOWED),
    ("socket", (socket.AF_UNIX,), ALLOWED),
    ("socket", (socket.AF_INET,), REFUSED),
    ("bind", (), REFUSED),
    ("clone3", (), NO_SUCH_CALL),
    ("clone", (0x003D0F00,), ALLOWED),
    ("clone", (signal.SIGCHLD,), REFUSED),
    ("tgkill", (PID,), ALLOWED),
    ("tgkill", (PID + 1,), REFUSED),
    ("prctl", (15,), ALLOWED),
    ("prctl", (4, 1), REFUSED),
    ("fcntl", (3, 4), ALLOWED),
    ("fcntl", (3, 15), REFUSED),
    *((name, (), REFUSED) for name in ("execve", "fork", "ptrace", "kill", "bpf", "keyctl", "mount", "pidfd_getfd")),
]


@pytest.mark.parametrize(("name", "arguments", "expected"), COMPUTING)
def test_a_worker_may_compute_and_nothing_else(machine: str, name: str, arguments: tuple, expected: int) -> None:
    which = number(machine, name)
    if which is not None:
        assert verdict(seccomp.only_computing(PID, machine), machine, which, *arguments) == expected


@pytest.mark.parametrize(("name", "arguments", "expected"), GUARDED)
def test_others_may_do_all_but_what_is_alien(machine: str, name: str, arguments: tuple, expected: int) -> None:
    which = number(machine, name)
    if which is not None:
        program = seccomp.nothing_alien(PID, ("bind",), machine)
        assert verdict(program, machine, which, *arguments) == expected


def test_what_is_not_in_the_table_is_refused(machine: str) -> None:
    known = {getattr(numbers, machine) for numbers in NUMBERS.values()}
    for which in set(range(600)) - known:
        assert verdict(seccomp.only_computing(PID, machine), machine, which) == REFUSED
    assert verdict(seccomp.nothing_alien(PID, machine=machine), machine, 463) == NO_SUCH_CALL


def test_a_call_by_another_architecture_ends_the_process() -> None:
    for program in (seccomp.only_computing(PID, "x86_64"), seccomp.nothing_alien(PID, machine="x86_64")):
        assert verdict(program, "aarch64", 63) == KILLED
        assert verdict(program, "x86_64", 0x40000000) == KILLED


def test_filters_fit_into_the_kernel(machine: str) -> None:
    for program in (seccomp.only_computing(PID, machine), seccomp.nothing_alien(PID, seccomp.SOCKETS, machine)):
        assert len(program) < 4096
        for at, step in enumerate(program):
            assert 0 <= step.if_true < 256
            assert 0 <= step.if_false < 256
            assert at + max(step.if_true, step.if_false) + 1 < len(program) or step.code == 0x06


def test_numbers_are_those_of_the_kernels_headers(machine: str) -> None:
    # 64-bit ARM uses the generic table, which every architecture's headers bring.
    header = (
        Path("/usr/include")
        / {
            "x86_64": "x86_64-linux-gnu/asm/unistd_64.h",
            "aarch64": "asm-generic/unistd.h",
        }[machine]
    )
    if not header.exists():
        pytest.skip(f"{header} is not here")
    known = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text()))
    compared = 0
    for name in NUMBERS.keys() & known.keys():
        assert number(machine, name) == int(known[name]), name
        compared += 1
    assert compared > 100


# Entering.


def test_threads_and_files_that_are_open_go_on(tmp_path: Path) -> None:
    (tmp_path / "open").write_text("before")

    def body() -> str:
        file = (tmp_path / "open").open()
        record = enter.enter(profiles.worker("cpu"), os.getppid())
        done: list[str] = []
        thread = threading.Thread(target=lambda: done.append(file.read()))
        thread.start()
        thread.join()
        refused((tmp_path / "open").read_text, errno.EACCES)
        refused(lambda: (tmp_path / "new").write_text("x"), errno.EPERM, errno.EACCES)
        assert Path("/proc/cpuinfo").read_text()
        return f"{done} {record.tier}"

    text = inside(body)
    assert text.startswith("['before']")
    assert text.endswith("landlock+seccomp")


@needs_root
def test_another_user_has_nothing_of_roots_and_still_dies_with_its_parent(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.touch(0o600)

    def body() -> str:
        record = enter.enter(profiles.worker("cpu"), os.getppid(), SOME_USER)
        assert (os.getuid(), os.geteuid(), os.getgid()) == (SOME_USER.uid, SOME_USER.uid, SOME_USER.gid)
        return record.tier

    assert inside(body) == "user+landlock+seccomp"

    def by_user_alone() -> None:
        libc = ctypes.CDLL(None)
        privileges.become(SOME_USER, os.getppid())
        deadly = ctypes.c_int()
        libc.prctl(2, ctypes.byref(deadly))
        assert deadly.value == signal.SIGKILL
        assert libc.prctl(3) == 0  # not dumpable
        refused(lambda: os.setuid(0), errno.EPERM)
        refused(key.read_text, errno.EACCES)
        refused(Path(f"/proc/{os.getppid()}/mem").read_bytes, errno.EACCES)

    inside(by_user_alone)


@needs_root
def test_root_without_another_user_is_root_in_name_only() -> None:
    def body() -> None:
        privileges.become(None, os.getppid())
        refused(lambda: os.setuid(1), errno.EPERM)
        refused(lambda: os.chroot("/"), errno.EPERM)

    inside(body)


def test_a_worker_whose_supervisor_went_meanwhile_ends() -> None:
    def body() -> None:
        with pytest.raises(SandboxError, match="supervisor is gone"):
            enter.enter(profiles.worker("cpu"), os.getppid() + 1)

    inside(body)


def test_a_second_thread_keeps_one_out() -> None:
    def body() -> None:
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        with pytest.raises(SandboxError, match="2 threads"):
            enter.enter(profiles.worker("cpu"), os.getppid())

    inside(body)


def test_a_second_thread_does_not_matter_where_there_is_no_landlock(monkeypatch: pytest.MonkeyPatch) -> None:
    failing("landlock_create_ruleset", errno.ENOSYS, monkeypatch)

    def body() -> None:
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        assert enter.enter(profiles.worker("cpu"), os.getppid()).landlock == 0

    inside(body)


def test_an_emulated_processor_may_have_a_thread_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    failing("landlock_create_ruleset", errno.ENOSYS, monkeypatch)

    def body() -> str:
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        return enter.enter(profiles.worker("cpu"), os.getppid()).tier

    assert inside(body) == "seccomp"


def failing(name: str, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that answers one system call with an error."""
    call = kernel.call

    def answer(which: str, *arguments: object) -> int:
        if which == name:
            raise OSError(code, os.strerror(code))
        return call(which, *arguments)

    monkeypatch.setattr(kernel, "call", answer)


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM])
@pytest.mark.parametrize(
    ("name", "part"), [("landlock_create_ruleset", "landlock"), ("seccomp", "seccomp")], ids=["landlock", "seccomp"]
)
def test_an_older_kernel_gives_a_lower_tier_and_says_so(
    name: str, part: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(name, code, monkeypatch)

    def body() -> str:
        record = enter.enter(profiles.worker("cpu"), os.getppid())
        assert record.lacking[part]
        return record.tier

    assert inside(body) == {"landlock": "seccomp", "seccomp": "landlock"}[part]


@pytest.mark.parametrize("name", ["landlock_restrict_self", "landlock_add_rule"])
@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EINVAL])
def test_a_sandbox_that_fails_half_way_ends_the_process(name: str, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(name, code, monkeypatch)

    def body() -> None:
        with pytest.raises(SandboxError, match="Landlock"):
            enter.enter(profiles.worker("cpu"), os.getppid())

    inside(body)


def test_a_filter_that_the_kernel_does_not_take_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seccomp, "only_computing", lambda _: [seccomp.Instruction(0x15, 9, 9, 0)])

    def body() -> None:
        with pytest.raises(SandboxError, match="seccomp: Invalid"):
            enter.enter(profiles.worker("cpu"), os.getppid())

    inside(body)


def test_a_machine_without_a_table_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "", "", "", "armv7l")))
    with pytest.raises(AbsentError, match="armv7l"):
        landlock.abi()
    with pytest.raises(AbsentError):
        seccomp.available()


# The other processes.


def test_the_front_answers_on_its_sockets_and_opens_none(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret")
    shared = Path(f"/dev/shm/dunlin-test-{os.getpid()}")
    shared.write_bytes(bytes(8))
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())

    def body() -> str:
        record = enter.enter(profiles.front(shared_memory=True), os.getppid())
        connection, _ = listener.accept()
        connection.sendall(b"hello")
        refused(socket.socket, errno.EPERM)
        refused(lambda: socket.socket(socket.AF_UNIX), errno.EPERM)
        refused((tmp_path / "key").read_text, errno.EACCES)
        refused(lambda: (tmp_path / "new").write_text("x"), errno.EACCES)
        refused(lambda: os.execv("/bin/true", ["true"]), errno.EPERM, errno.EACCES)
        refused(os.fork, errno.EPERM)
        with shared.open("r+b") as file:
            file.write(b"12345678")
        assert Path("/proc/net/tcp").read_text()
        assert Path("/proc/meminfo").read_text()
        import this  # noqa: F401 - any module that nobody has imported yet

        return record.tier

    try:
        assert inside(body).endswith("landlock+seccomp")
        assert client.recv(5) == b"hello"
        assert shared.read_bytes() == b"12345678"
    finally:
        shared.unlink()
        client.close()
        listener.close()


def test_shared_memory_is_the_fronts_only_where_the_owner_allows_it() -> None:
    def body() -> None:
        enter.enter(profiles.front(shared_memory=False), os.getppid())
        refused(lambda: Path(f"/dev/shm/dunlin-test-{os.getpid()}").write_text("x"), errno.EACCES)

    inside(body)


def test_the_unlocker_keeps_its_folder_and_sees_nothing_else(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (tmp_path / "outside").write_text("x")

    def body() -> None:
        enter.enter(profiles.unlocker(state), os.getppid())
        files.make_folder(state / "keystore" / "deep")
        files.write_whole(state / "keystore" / "key", b"one")
        files.write_whole(state / "keystore" / "key", b"two")
        assert files.read_if_there(state / "keystore" / "key") == b"two"
        assert files.destroy(state / "keystore" / "key") == 3
        os.close(os.memfd_create("model"))
        refused((tmp_path / "outside").read_text, errno.EACCES)
        refused(lambda: (tmp_path / "new").write_text("x"), errno.EACCES)
        refused(lambda: (state / "keystore").rename(tmp_path / "moved"), errno.EACCES, errno.EXDEV)
        refused(socket.socket, errno.EPERM)
        refused(socket.socketpair, errno.EPERM)

    inside(body)


# Reporting and settings.


def test_a_record_comes_back_and_anything_else_does_not() -> None:
    record = Record(64_322, 7, True, {"landlock": "this kernel has no Landlock"})
    assert Record.from_map(record.to_map()) == record
    assert Record().tier == "none"
    for wrong in (
        None,
        [],
        {},
        {"user": "root"},
        record.to_map() | {"landlock": "7"},
        record.to_map() | {"lacking": 1},
    ):
        assert Record.from_map(wrong) is None
    long = record.to_map() | {"lacking": {"x" * 999: "y" * 9999}}
    assert all(len(text) <= 200 for pair in Record.from_map(long).lacking.items() for text in pair)  # type: ignore[union-attr]


@needs_root
def test_workers_run_as_whom_the_owner_names(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"

    def account(user: str) -> Account | None:
        file.write_text(f'[worker]\nuser = "{user}"\n')
        return workers.read(read_config(file)).of("digits").account

    other = next(entry for entry in pwd.getpwall() if entry.pw_uid)
    assert account(other.pw_name) == Account(other.pw_uid, other.pw_gid)
    with pytest.raises(ConfigError, match=r"agent.toml:2: there is no user hrdlicka.*useradd"):
        account("hrdlicka")
    with pytest.raises(ConfigError, match="must not run as root"):
        account("root")


def test_without_the_usual_user_workers_stay_who_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "USUAL", "hrdlicka")
    assert accounts.find(None) is None
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(accounts.AccountError, match="the agent is not root"):
        accounts.find("daemon")


# Control groups, by a tree that looks like the kernel's.


@pytest.fixture(name="tree")
def _tree(tmp_path: Path) -> tuple[Path, Path]:
    """A delegated group with this process in it; its root, and what /proc/self/cgroup says."""
    root = tmp_path / "cgroup"
    unit = root / "system.slice/dunlin-agent.service"
    unit.mkdir(parents=True)
    (root / "cgroup.controllers").write_text("cpu memory pids\n")
    (unit / "cgroup.controllers").write_text("memory pids\n")
    (unit / "cgroup.procs").write_text("17\n18\n")
    (unit / "cgroup.subtree_control").write_text("")
    own = tmp_path / "own"
    own.write_text("0::/system.slice/dunlin-agent.service\n")
    return root, own


def test_a_worker_gets_a_group_with_its_limits(tree: tuple[Path, Path]) -> None:
    root, own = tree
    unit = root / "system.slice/dunlin-agent.service"
    made = groups.take(groups.find(root, own, lambda folder: folder == unit))
    assert (
        unit / "supervisor/cgroup.procs"
    ).read_text() == "18"  # the last one written: the kernel adds, a file is replaced
    assert (unit / "cgroup.subtree_control").read_text() == "+memory +pids"
    group = made.make(3, 256)
    folder = unit / "worker-3"
    group.add(4711)
    assert (folder / "cgroup.procs").read_text() == "4711"
    assert (folder / "memory.max").read_text() == str(256 << 20)
    assert int((folder / "pids.max").read_text()) >= 64
    assert not group.starved
    (folder / "memory.events").write_text("low 0\nhigh 0\nmax 9\noom 1\noom_kill 1\n")
    assert group.starved


def test_an_agent_that_starts_again_finds_its_group_divided(tree: tuple[Path, Path]) -> None:
    root, own = tree
    unit = root / "system.slice/dunlin-agent.service"
    groups.take(groups.find(root, own, lambda folder: folder == unit))
    (unit / "supervisor/cgroup.controllers").write_text("memory pids\n")
    own.write_text("0::/system.slice/dunlin-agent.service/supervisor\n")
    (unit / "cgroup.procs").write_text("")
    (unit / "worker-9").mkdir()
    groups.take(groups.find(root, own, lambda folder: folder == unit))
    assert not (unit / "worker-9").exists()
    assert not (unit / "supervisor/supervisor").exists()


def test_a_group_of_somebody_elses_is_left_alone(tree: tuple[Path, Path]) -> None:
    root, own = tree
    before = sorted(path.name for path in root.rglob("*"))
    with pytest.raises(groups.GroupsError, match="Delegate=yes"):
        groups.take(groups.find(root, own, lambda _: False))
    (root / "system.slice/dunlin-agent.service/cgroup.controllers").write_text("cpu\n")
    with pytest.raises(groups.GroupsError, match="no memory, pids controller"):
        groups.take(groups.find(root, own, lambda _: True))
    own.write_text("5:memory:/x\n")
    with pytest.raises(groups.GroupsError, match="version 2"):
        groups.take(groups.find(root, own, lambda _: True))
    assert sorted(path.name for path in root.rglob("*")) == before


def test_a_live_group_kills_what_takes_too_much() -> None:
    try:
        made = groups.take(groups.find())
    except groups.GroupsError as error:
        pytest.skip(str(error))
    group = made.make(999, 64)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.read(reader, 1)
        bytearray(b"x") * (256 << 20)
        os._exit(0)
    group.add(pid)
    os.write(writer, b"x")
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
    assert group.starved
    made.sweep()
    os.close(reader)
    os.close(writer)


def test_a_survey_tells_what_is_there_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def found() -> dict[str, tuple[bool, str]]:
        return {finding.part: (finding.there, finding.text) for finding in survey.survey("hrdlicka")}

    here = found()
    assert list(here) == ["user", "landlock", "seccomp", "limits"]
    assert not here["user"][0]
    record = Record(landlock=int(here["landlock"][0]), seccomp=here["seccomp"][0])
    assert inside(lambda: enter.enter(profiles.worker("cpu"), os.getppid()).tier) == record.tier
    monkeypatch.setattr(kernel, "call", _nothing_there)
    old = found()
    assert old["landlock"] == (
        False,
        "this kernel has no Landlock; without another user, workers can read the device's keys",
    )
    assert old["seccomp"] == (False, "this kernel has no seccomp")


def _nothing_there(*_: object) -> int:
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
