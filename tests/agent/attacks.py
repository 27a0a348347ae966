"""What a hostile model would do, one attack a process: run here it succeeds, run in a worker it must not.

``python attacks.py NAME FACTS`` makes one attack and exits with 0, or with the errno that refused it. The same
functions are what a model of ``hostile_runtime`` runs inside a real worker.
"""

import ctypes
import fcntl
import json
import mmap
import os
import resource
import signal
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
# Calls that have the same number on every architecture, and those that have not.
_X86 = os.uname().machine == "x86_64"
_PTRACE, _PROCESS_VM_READV, _MEMFD_CREATE = (101, 310, 319) if _X86 else (117, 270, 279)
_PERF_EVENT_OPEN, _KEYCTL, _PIDFD_OPEN, _PIDFD_SEND_SIGNAL, _IO_URING_SETUP = (
    (298, 250, 434, 424, 425) if _X86 else (241, 219, 434, 424, 425)
)
_PTRACE_SEIZE = 0x4206
_CLONE_NEWUSER = 0x10000000
_PR_SET_DUMPABLE = 4

Facts = dict[str, Any]
"""victim: pid of another process; address: of 8 of its bytes; key: a 0600 file; folder: one that can be written."""


def _call(number: int, *arguments: object) -> int:
    whole = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    result = int(_libc.syscall(ctypes.c_long(number), *whole))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def read_a_key(facts: Facts) -> None:
    with open(facts["key"], "rb") as file:
        assert file.read() == b"secret"


def delete_a_key(facts: Facts) -> None:
    Path(facts["key"]).unlink()


def make_a_key_readable(facts: Facts) -> None:
    Path(facts["key"]).chmod(0o644)


def list_a_folder(facts: Facts) -> None:
    assert list(Path(facts["folder"]).iterdir())


def write_a_file(facts: Facts) -> None:
    os.close(os.open(facts["folder"] + "/planted", os.O_WRONLY | os.O_CREAT))


def write_shared_memory(facts: Facts) -> None:
    os.close(os.open(f"/dev/shm/dunlin-{os.getpid()}", os.O_RDWR | os.O_CREAT))
    Path(f"/dev/shm/dunlin-{os.getpid()}").unlink()


def open_the_memory_of_a_process(facts: Facts) -> None:
    with open(f"/proc/{facts['victim']}/mem", "rb") as memory:
        memory.seek(facts["address"])
        assert memory.read(8)


def list_the_files_of_a_process(facts: Facts) -> None:
    assert list(Path(f"/proc/{facts['victim']}/fd").iterdir())


def read_the_environment_of_a_process(facts: Facts) -> None:
    with open(f"/proc/{facts['victim']}/environ", "rb") as file:
        file.read()


def trace_a_process(facts: Facts) -> None:
    _call(_PTRACE, _PTRACE_SEIZE, facts["victim"], 0, 0)


def copy_the_memory_of_a_process(facts: Facts) -> None:
    buffer = ctypes.create_string_buffer(8)
    ours = struct.pack("QQ", ctypes.addressof(buffer), 8)
    theirs = struct.pack("QQ", facts["address"], 8)
    assert _call(_PROCESS_VM_READV, facts["victim"], ours, 1, theirs, 1, 0) == 8


def get_a_handle_of_a_process(facts: Facts) -> None:
    _call(_PIDFD_OPEN, facts["victim"], 0)


def signal_a_process(facts: Facts) -> None:
    os.kill(facts["victim"], 0)


def have_a_process_signalled_by_a_socket(facts: Facts) -> None:
    fcntl.fcntl(facts["socket"], fcntl.F_SETOWN, facts["victim"])


def limit_a_process(facts: Facts) -> None:
    resource.prlimit(facts["victim"], resource.RLIMIT_CORE, (0, 0))


def slow_a_process_down(facts: Facts) -> None:
    os.sched_setaffinity(facts["victim"], os.sched_getaffinity(facts["victim"]))


def connect_to_the_internet(facts: Facts) -> None:
    with socket.socket() as sock:
        sock.connect(("127.0.0.1", facts["port"]))


def ask_a_name_server(facts: Facts) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"?", ("127.0.0.1", 53))


def connect_to_a_service(facts: Facts) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(facts["service"])


def listen(facts: Facts) -> None:
    with socket.create_server(("127.0.0.1", 0)):
        pass


def fork(facts: Facts) -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    with suppress(OSError):  # that it cannot be waited for is no refusal
        os.waitpid(child, 0)


def start_a_program(facts: Facts) -> None:
    child = os.posix_spawn("/bin/true", ["true"], {})
    assert os.waitpid(child, 0)[1] == 0


def become_a_program(facts: Facts) -> None:
    os.execv("/bin/true", ["true"])


def make_a_namespace(facts: Facts) -> None:
    assert _libc.unshare(_CLONE_NEWUSER) == 0 or _refused()


def use_a_ring(facts: Facts) -> None:
    _call(_IO_URING_SETUP, 1, ctypes.create_string_buffer(120))


def use_kernel_keys(facts: Facts) -> None:
    _call(_KEYCTL, 0, -2, 1)


def count_events_of_the_processor(facts: Facts) -> None:
    event = ctypes.create_string_buffer(struct.pack("IIQ", 1, 112, 0) + bytes(96))
    _call(_PERF_EVENT_OPEN, event, 0, -1, -1, 0)


def hide_a_program_in_memory(facts: Facts) -> None:
    _call(_MEMFD_CREATE, b"hidden\0", 0)


def make_code(facts: Facts) -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def turn_data_into_code(facts: Facts) -> None:
    page = mmap.mmap(-1, 4096)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    assert _libc.mprotect(ctypes.c_void_p(address), 4096, 7) == 0 or _refused()


def become_readable(facts: Facts) -> None:
    assert _libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0) == 0 or _refused()


def _refused() -> bool:
    code = ctypes.get_errno()
    raise OSError(code, os.strerror(code))


ATTACKS: dict[str, Callable[[Facts], None]] = {
    function.__name__: function
    for function in (
        read_a_key, delete_a_key, make_a_key_readable, list_a_folder, write_a_file, write_shared_memory,
        open_the_memory_of_a_process, list_the_files_of_a_process, read_the_environment_of_a_process, trace_a_process,
        copy_the_memory_of_a_process, get_a_handle_of_a_process, signal_a_process,
        have_a_process_signalled_by_a_socket, limit_a_process, slow_a_process_down, connect_to_the_internet,
        ask_a_name_server, connect_to_a_service, listen, fork, start_a_program, become_a_program, make_a_namespace,
        use_a_ring, use_kernel_keys, count_events_of_the_processor, hide_a_program_in_memory, make_code,
        turn_data_into_code, become_readable,
    )
}  # fmt: skip


def outcome(name: str, facts: Facts) -> int:
    """0: the attack succeeded; else the errno that refused it."""
    try:
        ATTACKS[name](facts)
    except OSError as error:
        return error.errno or 255
    return 0


if __name__ == "__main__":
    facts = json.loads(sys.argv[2])
    ours, theirs = socket.socketpair()
    facts["socket"] = ours.fileno()
    signal.alarm(20)
    sys.exit(outcome(sys.argv[1], facts))
