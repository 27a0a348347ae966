"""Numbers of the system calls that filters name, from the kernel's ``unistd_64.h`` and ``asm-generic/unistd.h``."""

import os
from typing import NamedTuple


class Number(NamedTuple):
    """Of one call; None where that architecture lacks it."""

    x86_64: int | None
    aarch64: int | None


AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
X32_BIT = 0x40000000
"""Calls of x86-64's third ABI; none of ours makes one."""

# Calls from 424 on have the same number everywhere.
_TABLE = """
read 0 63|write 1 64|close 3 57|fstat 5 80|lseek 8 62|mmap 9 222|mprotect 10 226|munmap 11 215|brk 12 214
rt_sigaction 13 134|rt_sigprocmask 14 135|rt_sigreturn 15 139|ioctl 16 29|pread64 17 67|readv 19 65|writev 20 66
sched_yield 24 124|mremap 25 216|mincore 27 232|madvise 28 233|dup 32 23|nanosleep 35 101|getpid 39 172
socket 41 198|connect 42 203|accept 43 202|sendto 44 206|recvfrom 45 207|sendmsg 46 211|recvmsg 47 212|bind 49 200
listen 50 201|shutdown 48 210|getsockname 51 204|getpeername 52 205|getsockopt 55 209
socketpair 53 199|clone 56 220|execve 59 221|exit 60 93|kill 62 129|uname 63 160|fcntl 72 25
getcwd 79 17|gettimeofday 96 169|getrusage 98 165|sysinfo 99 179|ptrace 101 117|getuid 102 174|syslog 103 116
getgid 104 176|geteuid 107 175|getegid 108 177|sigaltstack 131 132|personality 135 92|pivot_root 155 41|prctl 157 167
adjtimex 159 171|chroot 161 51|acct 163 89|settimeofday 164 170|mount 165 40|umount2 166 39|swapon 167 224
swapoff 168 225|reboot 169 142|sethostname 170 161|setdomainname 171 162|init_module 175 105|delete_module 176 106
quotactl 179 60|gettid 186 178|tkill 200 130|futex 202 98|sched_getaffinity 204 123|set_tid_address 218 96
restart_syscall 219 128|getdents64 217 61|clock_settime 227 112|clock_gettime 228 113|clock_getres 229 114
clock_nanosleep 230 115|exit_group 231 94|epoll_ctl 233 21|tgkill 234 131|mbind 237 235|get_mempolicy 239 236
kexec_load 246 104|add_key 248 217|request_key 249 218|keyctl 250 219|migrate_pages 256 238|openat 257 56
newfstatat 262 79|readlinkat 267 78|faccessat 269 48|pselect6 270 72|ppoll 271 73|unshare 272 97
set_robust_list 273 99|move_pages 279 239|epoll_pwait 281 22|accept4 288 242|eventfd2 290 19|epoll_create1 291 20
rt_tgsigqueueinfo 297 240|perf_event_open 298 241|fanotify_init 300 262|prlimit64 302 261|name_to_handle_at 303 264
open_by_handle_at 304 265|clock_adjtime 305 266|setns 308 268|getcpu 309 168|process_vm_readv 310 270
process_vm_writev 311 271|kcmp 312 272|finit_module 313 273|seccomp 317 277|getrandom 318 278
kexec_file_load 320 294|bpf 321 280|execveat 322 281|userfaultfd 323 282|membarrier 324 283|mlock2 325 284
statx 332 291|rseq 334 293|sched_getparam 143 121|sched_getscheduler 145 120|mlock 149 228|munlock 150 229
rt_sigqueueinfo 129 138|capget 125 90|capset 126 91
fchmod 91 52|fchmodat 268 53|fchown 93 55|fchownat 260 54|setxattr 188 5|lsetxattr 189 6|fsetxattr 190 7
pidfd_send_signal 424 424|io_uring_setup 425 425|io_uring_enter 426 426|io_uring_register 427 427|open_tree 428 428
move_mount 429 429|fsopen 430 430|fsconfig 431 431|fsmount 432 432|fspick 433 433|pidfd_open 434 434|clone3 435 435
openat2 437 437|pidfd_getfd 438 438|faccessat2 439 439|process_madvise 440 440|mount_setattr 442 442
landlock_create_ruleset 444 444|landlock_add_rule 445 445|landlock_restrict_self 446 446|process_mrelease 448 448
futex_waitv 449 449
open 2 -|stat 4 -|lstat 6 -|poll 7 -|access 21 -|fork 57 -|vfork 58 -|readlink 89 -|arch_prctl 158 -|modify_ldt 154 -
iopl 172 -|ioperm 173 -|epoll_wait 232 -|chmod 90 -|chown 92 -|lchown 94 -
"""

LAST_KNOWN = 450
"""Calls above it are younger than this table, and nothing here was built against a C library that needs one."""


def _read() -> dict[str, Number]:
    table = {}
    for entry in _TABLE.replace("\n", "|").split("|"):
        if entry:
            name, x86_64, aarch64 = entry.split()
            table[name] = Number(int(x86_64), None if aarch64 == "-" else int(aarch64))
    return table


NUMBERS = _read()


def architecture() -> str | None:
    """This machine's column of the table, if it has one (a 32-bit interpreter on a 64-bit kernel has none)."""
    import sys

    machine = os.uname().machine
    return machine if machine in AUDIT_ARCH and sys.maxsize > 2**32 else None


def number(name: str) -> int | None:
    """Of a call on this machine, None if it has none there."""
    column = architecture()
    if column is None:
        return None
    found: int | None = getattr(NUMBERS[name], column)
    return found
