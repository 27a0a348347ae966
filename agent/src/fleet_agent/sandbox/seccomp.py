"""seccomp: the system calls that a process may still make.

Source: the kernel's ``Documentation/userspace-api/seccomp_filter.rst``, ``include/uapi/linux/filter.h``. A filter is a
program of classic BPF over (number, architecture, arguments); it holds for all threads, for ever. It is made of pairs
"is it this call? then this answer", so that no jump is longer than a byte can say.
"""

import ctypes
import errno
import struct
from collections.abc import Iterable
from typing import NamedTuple

from fleet_agent.sandbox import kernel
from fleet_agent.sandbox.syscalls import AUDIT_ARCH, LAST_KNOWN, NUMBERS, X32_BIT, architecture

_SET_MODE_FILTER = 1
_GET_ACTION_AVAIL = 2
_ALL_THREADS = 1
_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_KILL_PROCESS = 0x80000000

_AT_NUMBER, _AT_ARCHITECTURE, _AT_ARGUMENT, _ARGUMENT_BYTES = 0, 4, 16, 8
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06

_AF_UNIX = 1
_PROT_EXEC = 4
_WRITING = 0o1 | 0o2 | 0o100 | 0o1000  # O_WRONLY, O_RDWR, O_CREAT, O_TRUNC: the same numbers on both
_AT_FDCWD_CALLS = {"openat": 2, "open": 1}
_THREAD = 0x00010F00  # CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD
_PRCTLS = (15, 0x53564D41)  # PR_SET_NAME, PR_SET_VMA
# F_DUPFD, F_[GS]ETFD, F_[GS]ETFL, F_DUPFD_CLOEXEC, F_GET_SEALS
_FCNTLS = (0, 1, 2, 3, 4, 1030, 1034)
# What a descriptor can be made to do to other processes: F_SETOWN, F_SETSIG, F_SETOWN_EX.
_FCNTLS_AT_OTHERS = (8, 10, 15)
# What would undo privileges.become: PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_PTRACER.
_PRCTLS_UNDOING = (1, 4, 0x59616D61)
_IOCTLS = (0x5401, 0x541B, 0x5421, 0x5450, 0x5451)  # TCGETS, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX

# What computing, memory, threads, the two sockets and reading files take. Names of the other architecture are skipped.
_PLAIN = """
read write readv writev pread64 lseek close fstat newfstatat statx stat lstat getdents64 readlink readlinkat access
faccessat faccessat2 munmap mremap madvise brk mlock mlock2 munlock mincore futex futex_waitv set_robust_list rseq exit
exit_group rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack sched_yield sched_getaffinity sched_getparam
sched_getscheduler getpid gettid getuid geteuid getgid getegid clock_gettime clock_getres clock_nanosleep nanosleep
gettimeofday getrandom getrusage sysinfo uname getcpu recvmsg sendmsg recvfrom sendto getsockname getpeername getsockopt
shutdown poll ppoll pselect6 epoll_create1
epoll_ctl epoll_wait epoll_pwait eventfd2 dup restart_syscall membarrier mbind get_mempolicy getcwd set_tid_address
arch_prctl
"""

# What none of our processes ever does and an intruder would.
_ALIEN = """
ptrace process_vm_readv process_vm_writev process_madvise process_mrelease kcmp pidfd_open pidfd_getfd
pidfd_send_signal kill tkill rt_sigqueueinfo rt_tgsigqueueinfo execve execveat fork vfork unshare setns mount umount2
pivot_root chroot open_tree move_mount fsopen fsconfig fsmount fspick mount_setattr io_uring_setup io_uring_enter
io_uring_register bpf perf_event_open userfaultfd add_key request_key keyctl init_module finit_module delete_module
kexec_load kexec_file_load reboot swapon swapoff acct quotactl settimeofday clock_settime adjtimex clock_adjtime
sethostname setdomainname personality modify_ldt iopl ioperm fanotify_init name_to_handle_at open_by_handle_at
migrate_pages move_pages syslog
"""

SOCKETS = ("socket", "connect", "bind", "listen")
OWNERSHIP = (
    "chmod", "fchmod", "fchmodat", "chown", "lchown", "fchown", "fchownat", "setxattr", "lsetxattr", "fsetxattr",
)  # fmt: skip
"""Who may do what with a file: Landlock lets it be changed wherever a file lies."""


class Instruction(NamedTuple):
    """``struct sock_filter``."""

    code: int
    if_true: int
    if_false: int
    operand: int


def available() -> None:
    """Whether filters can be had.

    Raises:
        AbsentError: not here.
    """
    answer = ctypes.create_string_buffer(struct.pack("I", _ERRNO), 4)
    try:
        kernel.call("seccomp", _GET_ACTION_AVAIL, 0, answer)
    except OSError as error:
        raise kernel.asked("seccomp", error.errno) from None


def install(program: list[Instruction]) -> None:
    """Put a filter on this process, which has given up on new privileges.

    Raises:
        AbsentError: the kernel has no filters.
        SandboxError: it has, and did not take this one.
    """
    available()
    raw = b"".join(struct.pack("HBBI", *each) for each in program)
    filters = ctypes.create_string_buffer(raw, len(raw))
    head = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(filters)))
    with kernel.must("seccomp"):
        if kernel.call("seccomp", _SET_MODE_FILTER, _ALL_THREADS, head):
            raise kernel.SandboxError("seccomp: a thread could not be filtered")


def only_computing(pid: int, machine: str | None = None) -> list[Instruction]:
    """A filter that allows what :data:`_PLAIN` lists, threads, and nothing that another process could notice.

    ``pid`` is the process itself, which may abort(3). Everything else gets EPERM; ``clone3`` gets ENOSYS, since the C
    library then uses ``clone``, whose flags a filter can see.
    """
    column = machine or _here()
    program = _begin(column)
    program += _answer(column, "clone3", _ERRNO | errno.ENOSYS)
    program += _if(column, "clone", 0, _all_of(_THREAD))
    program += _if(column, "tgkill", 0, _one_of([pid]))
    program += _if(column, "prlimit64", 0, _one_of([0]))
    program += _if(column, "prctl", 0, _one_of(_PRCTLS))
    program += _if(column, "fcntl", 1, _one_of(_FCNTLS))
    program += _if(column, "ioctl", 1, _one_of(_IOCTLS))
    for name in ("mmap", "mprotect"):
        program += _if(column, name, 2, _none_of(_PROT_EXEC))
    for name, argument in _AT_FDCWD_CALLS.items():
        program += _if(column, name, argument, _none_of(_WRITING))
    for name in _PLAIN.split():
        program += _answer(column, name, _ALLOW)
    return [*program, Instruction(_RETURN, 0, 0, _ERRNO | errno.EPERM)]


def nothing_alien(
    pid: int, denied: Iterable[str] = (), machine: str | None = None, families: Iterable[int] = (_AF_UNIX,)
) -> list[Instruction]:
    """A filter that refuses what :data:`_ALIEN` and ``denied`` list, new processes, and calls younger than the table.

    Sockets that are not ``denied`` are of ``families``. ``pid`` is the process itself.
    """
    column = machine or _here()
    program = _begin(column)
    program += _answer(column, "clone3", _ERRNO | errno.ENOSYS)
    program += _if(column, "clone", 0, _all_of(_THREAD))
    program += [
        Instruction(_AT_LEAST, 0, 1, LAST_KNOWN + 1),
        Instruction(_RETURN, 0, 0, _ERRNO | errno.ENOSYS),
    ]
    for name in (*_ALIEN.split(), *denied):
        program += _answer(column, name, _ERRNO | errno.EPERM)
    program += _if(column, "socket", 0, _one_of(families))
    program += _if(column, "tgkill", 0, _one_of([pid]))
    program += _if(column, "fcntl", 1, _not_one_of(_FCNTLS_AT_OTHERS))
    program += _if(column, "prctl", 0, _not_one_of(_PRCTLS_UNDOING))
    return [*program, Instruction(_RETURN, 0, 0, _ALLOW)]


def _here() -> str:
    column = architecture()
    if column is None:
        raise kernel.AbsentError("seccomp filters of this agent know x86-64 and 64-bit ARM only")
    return column


def _begin(column: str) -> list[Instruction]:
    """Another architecture's call, or x86-64's third ABI, would be read by the wrong table: it ends the process."""
    program = [
        Instruction(_LOAD, 0, 0, _AT_ARCHITECTURE),
        Instruction(_EQUAL, 1, 0, AUDIT_ARCH[column]),
        Instruction(_RETURN, 0, 0, _KILL_PROCESS),
        Instruction(_LOAD, 0, 0, _AT_NUMBER),
    ]
    if column == "x86_64":
        program += [Instruction(_AT_LEAST, 0, 1, X32_BIT), Instruction(_RETURN, 0, 0, _KILL_PROCESS)]
    return program


def _answer(column: str, name: str, answer: int) -> list[Instruction]:
    which = getattr(NUMBERS[name], column)
    return [] if which is None else [Instruction(_EQUAL, 0, 1, which), Instruction(_RETURN, 0, 0, answer)]


def _if(column: str, name: str, argument: int, test: list[Instruction]) -> list[Instruction]:
    """Allow a call whose argument passes; ``test`` goes to its end to allow, past it to refuse."""
    which = getattr(NUMBERS[name], column)
    if which is None:
        return []
    load = Instruction(_LOAD, 0, 0, _AT_ARGUMENT + _ARGUMENT_BYTES * argument)
    body = [load, *test, Instruction(_RETURN, 0, 0, _ALLOW), Instruction(_RETURN, 0, 0, _ERRNO | errno.EPERM)]
    return [Instruction(_EQUAL, 0, len(body), which), *body]


def _one_of(values: Iterable[int]) -> list[Instruction]:
    values = list(values)
    last = len(values) - 1
    return [Instruction(_EQUAL, last - place, 0 if place < last else 1, value) for place, value in enumerate(values)]


def _not_one_of(values: Iterable[int]) -> list[Instruction]:
    values = list(values)
    return [Instruction(_EQUAL, len(values) - place, 0, value) for place, value in enumerate(values)]


def _all_of(bits: int) -> list[Instruction]:
    return [Instruction(_AND, 0, 0, bits), Instruction(_EQUAL, 0, 1, bits)]


def _none_of(bits: int) -> list[Instruction]:
    return [Instruction(_ANY_BIT, 1, 0, bits)]
